"""`selo demo`: the exercise, then a real file, both agents as processes, everything checked."""

from __future__ import annotations

import os
import tempfile
from argparse import Namespace
from dataclasses import replace
from functools import partial
from pathlib import Path

from blake3 import blake3

from selo.agents import events
from selo.agents.cli.common import Context
from selo.agents.cli.report import in_words, size_words
from selo.agents.cli.streams import write_event
from selo.agents.cli.terminal import printable
from selo.agents.launcher import Emitting, Receiving, SyncPipe
from selo.agents.sinks import FileSink, Sink
from selo.agents.sources import BytesSource, FileSource
from selo.agents.stop import Stop, stop_on_signals
from selo.config.settings import Settings
from selo.config.trust import Peer
from selo.errors import LocalFault

MESSAGE = b"D" * 1024
"""What the exercise sends."""

BLOCK = 32
"""Bytes of the exercise's blocks."""

FILE_SIZE = 64 << 20
"""Bytes of the file that is made on the spot."""

Delivered = tuple[events.Delivered, events.Delivered]


class DemoFailed(LocalFault):
    """Something that the demo shows was not true."""

    def __init__(self, claim: str) -> None:
        super().__init__(claim)
        self.claim = claim

    def __str__(self) -> str:
        return f"the demo failed: it is not true that {self.claim}"


def run(arguments: Namespace, context: Context) -> int:
    """Show both deliveries.

    Raises:
        DemoFailed, AgentFailed: something went wrong or was not true.
        Interrupted: the stop was requested; nothing is left behind.
    """
    with stop_on_signals() as stop, tempfile.TemporaryDirectory(prefix="selo-demo-") as folder:
        demo = _Demo(arguments.transport, context, stop, Path(folder))
        demo.exercise()
        demo.file()
    return 0


class _Demo:
    def __init__(self, transport: str, context: Context, stop: Stop, folder: Path) -> None:
        self._transport = transport
        self._context = context
        self._stop = stop
        self._folder = folder

    def exercise(self) -> None:
        """The message of the exercise in its 32-byte blocks."""
        self._title(f"{len(MESSAGE):,} times D in {BLOCK}-byte blocks, over {self._transport}")
        target = self._folder / "message"
        settings = replace(self._context.settings, record_size=BLOCK)
        emitted, received = self._deliver(Emitting(partial(BytesSource, MESSAGE)), target, settings)
        message = target.read_bytes()
        self._line("Receiver", f"message: {printable(message.decode('ascii', 'replace'))}")
        self._check("the message arrived exactly", message == MESSAGE)
        self._check(f"it took {len(MESSAGE) // BLOCK} records", emitted.records == len(MESSAGE) // BLOCK)
        self._check_digests(emitted, received, target)

    def file(self) -> None:
        """A file of random bytes."""
        self._title(f"a file of {size_words(FILE_SIZE)} made on the spot, over {self._transport}")
        source, target = self._folder / "original", self._folder / "copy"
        source.write_bytes(os.urandom(FILE_SIZE))
        emitted, received = self._deliver(
            Emitting(partial(FileSource, source)), target, self._context.settings
        )
        self._check(f"{FILE_SIZE:,} bytes arrived", target.stat().st_size == FILE_SIZE)
        self._check("original and copy have one digest", _digest(source) == _digest(target))
        self._check_digests(emitted, received, target)

    def _deliver(self, emitting: Emitting, target: Path, settings: Settings) -> Delivered:
        receiving = Receiving(partial(_file_sink, target))
        pipe = SyncPipe(emitting, receiving, transport=self._transport, settings=settings, report=self._tell)
        return pipe.auto(self._stop)

    def _check_digests(self, emitted: events.Delivered, received: events.Delivered, target: Path) -> None:
        self._check(
            "both agents report the digest of what is on disk",
            emitted.blake3 == received.blake3 == _digest(target),
        )
        self._check("the Emitter verified the receipt", emitted.receipt == "verified")

    def _check(self, claim: str, holds: bool) -> None:
        if not holds:
            raise DemoFailed(claim)
        self._line("checked", claim)

    def _tell(self, role: str, event: events.Event) -> None:
        if self._context.json:
            write_event(**event.as_json(), role_of=role)
        elif not isinstance(event, events.Progress | events.Opened):
            for line in in_words(event, verbose=True).splitlines():
                self._line(role, line)

    def _title(self, text: str) -> None:
        if not self._context.json and not self._context.quiet:
            print(text, flush=True)

    def _line(self, who: str, text: str) -> None:
        if not self._context.json and not self._context.quiet:
            print(f"  {who:<9} {text}", flush=True)


def _file_sink(target: Path, _sender: Peer) -> Sink:
    return FileSink(target)


def _digest(path: Path) -> str:
    hasher = blake3()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()
