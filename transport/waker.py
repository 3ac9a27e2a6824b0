"""Wakes the one thread that waits: from other threads, and from signal handlers."""

from __future__ import annotations

import os
import select
import threading
from contextlib import suppress


class Waker:
    """A flag that a sleeping ``poll`` can see.

    ``wake`` is for callers outside a leg; ``poke`` is for the leg's own helper
    threads, whose news must end a sleep but is not reported as a wake.

    The lock keeps a late ``wake`` from writing into a descriptor that was closed and
    given to somebody else. It is reentrant, so a signal handler that runs inside
    ``close`` or ``wake`` of its own thread does not wait for itself.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._lock = threading.RLock()
        self._woken = False
        self._poll = select.poll()
        self._poll.register(self._reader, select.POLLIN)

    def fileno(self) -> int:
        """The descriptor to poll beside others; readable after ``wake`` or ``poke``; -1 when closed."""
        return self._reader

    def wake(self) -> None:
        """End the current or next sleep and be reported by ``take``. Any thread, any signal handler."""
        self._woken = self._writer >= 0
        self.poke()

    def poke(self) -> None:
        """End the current or next sleep, unreported."""
        # A full pipe is as readable as it gets.
        with self._lock, suppress(BlockingIOError):
            if self._writer >= 0:
                os.write(self._writer, b"\0")

    def take(self) -> bool:
        """Forget what was signalled so far; whether ``wake`` was among it.

        The pipe is emptied before the flag is read: a ``wake`` in between leaves a byte
        for the next sleep, and the flag is only ever cleared by whoever reports it.
        """
        with suppress(BlockingIOError):
            while self._reader >= 0 and os.read(self._reader, 4096):
                pass
        if not self._woken:
            return False
        self._woken = False
        return True

    def sleep(self, timeout: float) -> None:
        """Wait for ``wake`` or ``poke``, at most ``timeout`` seconds; at once when closed."""
        if self._reader >= 0:
            self._poll.poll(milliseconds(timeout))

    def close(self) -> None:
        """Free the descriptors; ``wake`` and ``poke`` do nothing from now on."""
        with self._lock:
            reader, self._reader = self._reader, -1
            writer, self._writer = self._writer, -1
            for descriptor in (reader, writer):
                if descriptor >= 0:
                    os.close(descriptor)


def milliseconds(seconds: float) -> int:
    """What ``poll`` wants, rounded up: rounding down would spin through the last millisecond."""
    return max(0, int(min(seconds, 3600.0) * 1000 + 0.999))
