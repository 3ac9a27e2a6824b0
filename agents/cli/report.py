"""What a person sees of a delivery: one line per event, a bar on a terminal, JSON with --json.

All of it goes to standard error: standard output may be carrying the data. A thread
of its own does the telling, so that a terminal that is held, or a pipe that nobody
reads, can neither stop a delivery nor fail it.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from selo.agents import events
from selo.agents.cli.common import Context, write_error_line
from selo.agents.cli.streams import write_event
from selo.agents.cli.terminal import printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PLAIN_INTERVAL = 5.0
"""Seconds between two progress lines where there is no terminal to draw a bar on."""

WAITING_EVENTS = 256
"""Events that may wait for a standard error that is held; what comes after them goes untold."""

NAMES_TOLD = 8
"""Final names of one delivery that are told in words; of more, the folder."""

LAST_WORDS = 1.0
"""Seconds that ``close`` gives to what still waits."""


class Narrator:
    """Takes an agent's events, from any thread, and tells them in the manner that the context asks for."""

    def __init__(self, context: Context, *, goes_on: bool = False) -> None:
        """``goes_on``: a failure does not end the command, which would tell it as its error."""
        self._context = context
        self._goes_on = goes_on
        self._bar: Bar | None = None
        self._next_line = time.monotonic() + PLAIN_INTERVAL
        self._last_said = ""
        self._events: queue.Queue[events.Event | None] = queue.Queue(WAITING_EVENTS)
        self._given_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="selo-narrator", daemon=True)
        self._thread.start()

    def __call__(self, event: events.Event) -> None:
        """Take one event; never waits and never fails."""
        untold = not (self._context.json or self._context.verbose)
        if untold and isinstance(event, events.ItemStarted | events.ItemDone):
            return  # a hundred thousand of them would keep the interpreter from its work
        crowd = isinstance(event, events.ItemStarted | events.ItemDone | events.Progress)
        if crowd and self._events.qsize() > WAITING_EVENTS // 2:
            return  # what is said once has the rest of the room
        with suppress(queue.Full):
            self._events.put_nowait(event)

    def close(self) -> None:
        """Tell what waits, and take the bar off the terminal.

        The thread is over then; where standard error is held, as soon as that lets go.
        """
        until = time.monotonic() + LAST_WORDS
        with suppress(queue.Full):
            self._events.put(None, timeout=LAST_WORDS)
        self._thread.join(max(0.0, until - time.monotonic()))
        self._given_up.set()
        with suppress(queue.Full):  # it may have caught up just now, and waits for more
            self._events.put_nowait(None)

    def _run(self) -> None:
        with suppress(OSError):  # nobody reads standard error any more: there is nobody to tell
            while (event := self._events.get()) is not None and not self._given_up.is_set():
                self._tell(event)
            self._remove_bar()

    def _tell(self, event: events.Event) -> None:
        if self._context.json:
            write_event(**event.as_json())
        elif self._context.quiet:
            return
        elif isinstance(event, events.Progress):
            self._progress(event)
        elif isinstance(event, events.Failed):
            if self._goes_on:
                self._say(f"failed: {printable(event.reason)}")
        else:
            self._say(in_words(event, verbose=self._context.verbose))

    def _progress(self, event: events.Progress) -> None:
        if sys.stderr.isatty():
            if self._bar is None:
                self._bar = Bar()
            self._bar.show(event.done, event.total)
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + PLAIN_INTERVAL
            of_total = f" of {event.total:,}" if event.total is not None else ""
            self._say(f"{event.done:,}{of_total} bytes")

    def _say(self, words: str) -> None:
        if words and words != self._last_said:  # waiting says the same many times
            self._remove_bar()
            for line in words.splitlines():
                write_error_line(f"selo: {line}")
            self._last_said = words

    def _remove_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class Bar:
    """A bar with a known length; otherwise bytes and rate. Draws on standard error."""

    def __init__(self) -> None:
        # Here and not above: rich takes longer to import than all the rest, and most runs draw no bar.
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        columns = (
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        self._progress: Progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task: TaskID = self._progress.add_task("", total=None)
        self._progress.start()

    def show(self, done: int, total: int | None) -> None:
        """Draw ``done`` bytes of ``total``."""
        self._progress.update(self._task, completed=done, total=total)

    def close(self) -> None:
        """Take it off the terminal."""
        self._progress.stop()


def in_words(event: events.Event, *, verbose: bool) -> str:
    """An event as lines for a person; empty when it is not worth one. Peers' texts are escaped."""
    match event:
        case events.Listening():
            return f"listening on {event.address} for {', '.join(event.peers)}"
        case events.Waiting():
            return f"waiting: {printable(event.reason)}"
        case events.Refused():
            times = f" ({event.count} times)" if event.count > 1 else ""
            return f"refused {printable(event.peer_address)}: {printable(event.reason)}{times}"
        case events.Connected():
            return f"connection with {printable(event.peer_address)}" if verbose else ""
        case events.PeerVerified():
            return f"{event.peer}'s signature verified, {_short(event.fingerprint)}" if verbose else ""
        case events.KeysConfirmed():
            return "valid DH (MAC)" if verbose else ""
        case events.Established():
            return f"session established, suite {event.suite}, {_short(event.transcript)}" if verbose else ""
        case events.Opened():
            verb, way = ("sending", "to") if event.direction == "to" else ("receiving", "from")
            unnamed = "several items" if event.kind == "tree" else "a stream"
            label = printable(event.label) if event.label is not None else unnamed
            size = f", {size_words(event.size)}" if event.size is not None else ""
            return f"{verb} {label} {way} {printable(event.peer)}{size}"
        case events.Resumed():
            return resumed_words(event)
        case events.Lost():
            wait = "without end" if event.seconds is None else f"for {event.seconds:.0f} s"
            return f"the session was lost: {printable(event.reason)}; the delivery can go on {wait}"
        case events.ItemDone():
            return f"{printable(event.path)}, {size_words(event.size)}" if verbose else ""
        case events.Delivered():
            return delivered_words(event)
    return ""


def earlier_words(event: events.Delivered) -> str:
    """Of a delivery that an earlier session had stored: whatever became of it since is not looked at."""
    if event.receipt == "verified":
        head = f"{event.peer} had stored it before, receipt verified: {event.bytes:,} bytes"
    else:
        place = f" as {printable(event.target)}" if event.target is not None else ""
        gone = event.target is not None and not os.path.lexists(event.target)
        note = "; it is not there any more, and is not stored again" if gone else ""
        head = f"stored{place} before, from {event.peer}; the receipt was missing{note}"
    return f"{head}\nblake3 {event.blake3}"


def resumed_words(event: events.Resumed) -> str:
    """From where a delivery goes on, and why that is not where it stopped."""
    if event.complete:
        return "it was stored before; only the receipt is missing"
    if event.offset == event.held:
        return f"going on after {event.offset:,} bytes that are there"
    where = f"after {event.offset:,} bytes" if event.offset else "from the beginning"
    return f"{event.held:,} bytes are there, and are not all what is sent now: going on {where}"


def delivered_words(event: events.Delivered) -> str:
    """What was delivered, to whom, how fast, and what to compare."""
    rate = size_words(int(event.bytes / event.seconds)) if event.seconds > 0 else "-"
    if event.earlier:
        return earlier_words(event)
    if event.receipt == "verified":
        head = f"delivered to {event.peer}, receipt verified"
    else:
        place = f" as {_places(event)}" if event.target is not None else ""
        unsent = "" if event.receipt == "sent" else "; the Emitter may not have the receipt"
        head = f"received from {event.peer}{place}{unsent}"
    if event.items != 1:
        head += f", {event.items:,} items"
    return f"{head}: {event.bytes:,} bytes in {event.seconds:.2f} s ({rate}/s)\nblake3 {event.blake3}"


def _places(event: events.Delivered) -> str:
    """Where it is: each name, if they are few, for with --rename they may be others than were sent."""
    names = event.places if 1 < len(event.places) <= NAMES_TOLD else (event.target or "",)
    return ", ".join(map(printable, names))


def _short(value: bytes) -> str:
    """Enough to tell two values apart at a glance; ``--json`` shows them whole."""
    return f"{value[:8].hex()}..."


def size_words(size: int) -> str:
    """A size in binary units, as in ``64.0 MiB``."""
    value, unit = float(size), "bytes"
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if round(value, 1) < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{size:,} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
