"""What an operator wants to be done after each delivery: one command at a time, without a shell.

Its standard input is empty, and what it writes goes to our standard error. It is told of the delivery in
variables, which a peer's words cannot leave; all are set, and empty where there is nothing to say.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, fields
from queue import SimpleQueue
from typing import Final

from selo.config.catalogue import DELIVERY_PREFIX

CANNOT_RUN: Final = 127
"""The status of a command that could not be started, as shells say it."""

_STANDARD_ERROR: Final = 2

_LOOK: Final = 0.2
"""Seconds between two calls of ``on_wait``."""


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """A delivery that is stored, as the command learns of it: each field is a variable.

    ``fingerprint`` (64 hexadecimal digits) is its Emitter's, ``id`` (32) names the delivery, ``blake3`` (64)
    is the digest of all its ``bytes``. ``name`` is the Emitter's suggestion: hostile text.
    """

    peer: str
    fingerprint: str
    kind: str
    name: str | None
    target: str | None
    bytes: int
    items: int
    blake3: str
    id: str


def environment_of(arrived: Arrived) -> dict[bytes, bytes]:
    """The variables, in UTF-8 whatever the locale says; ``target`` as the system has it."""
    values = {field.name: getattr(arrived, field.name) for field in fields(arrived)}
    return {
        _variable(name).encode(): os.fsencode(value or "") if name == "target" else _encoded(value)
        for name, value in values.items()
    }


def _variable(name: str) -> str:
    return DELIVERY_PREFIX + name.upper()


def _encoded(value: object) -> bytes:
    text = "" if value is None else str(value)
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode()  # no variable can hold a zero byte


VARIABLES: Final = tuple(_variable(field.name) for field in fields(Arrived))


class Hook:
    """Runs ``command`` for each delivery, in the order in which they came."""

    def __init__(self, command: str, *, ended: Callable[[Arrived, int, str], None]) -> None:
        """Arguments:
        command: quoted as for a shell.
        ended: called from the hook's own thread with the delivery, the command's exit status (negative: the
            signal that ended it) and, unless that is 0, words for it.
        """
        self._words = shlex.split(command)
        self._ended = ended
        self._queue: SimpleQueue[Arrived | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._waiting: list[Arrived] = []

    @property
    def command(self) -> str:
        """The program's name, as it was given."""
        return self._words[0]

    @property
    def waiting(self) -> list[Arrived]:
        """The deliveries for which the command has not ended, in order; the first may be running."""
        return list(self._waiting)

    def run(self, arrived: Arrived) -> None:
        """Run the command for this delivery, after those for the ones before; returns at once."""
        self._waiting.append(arrived)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="selo-hook", daemon=True)
            self._thread.start()
        self._queue.put(arrived)

    def close(self, on_wait: Callable[[], None] = lambda: None) -> None:
        """Wait until the command has run for each delivery; meanwhile ``on_wait`` is called now and then."""
        if self._thread is not None:
            self._queue.put(None)
            while self._thread.is_alive():
                on_wait()
                self._thread.join(_LOOK)
            self._thread = None

    def _work(self) -> None:
        while (arrived := self._queue.get()) is not None:
            status, words = self._run(arrived)
            self._waiting.remove(arrived)
            self._ended(arrived, status, words)

    def _run(self, arrived: Arrived) -> tuple[int, str]:
        try:
            status = subprocess.run(
                self._words,
                env=os.environb | environment_of(arrived),
                stdin=subprocess.DEVNULL,
                stdout=_STANDARD_ERROR,
                start_new_session=True,  # a Ctrl-C or a SIGTERM for our group is not for the command
            ).returncode
        except OSError as error:
            return CANNOT_RUN, f"it cannot be run: {_reason(error)}"
        if status < 0:
            return status, f"it was ended by signal {-status}"
        return status, f"it ended with status {status}" if status else ""


def _reason(error: OSError) -> str:
    words = error.strerror or str(error)
    return words[:1].lower() + words[1:]
