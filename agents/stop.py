"""A request to end in order: from a signal handler, another thread, or a dying parent.

A flag and a pipe rather than an exception out of a signal handler, which could
strike between any two instructions, and rather than ``threading.Event``, whose
lock a handler that interrupts ``wait`` would find taken.
"""

from __future__ import annotations

import math
import os
import select
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from selo.errors import Interrupted

IMPATIENCE = 3.0
"""Seconds that an orderly end may take before a second signal ends the process at once. Longer than
``close_grace``, so that an impatient second Ctrl-C does not spoil the telling of the other side."""

HEARING = 0.5
"""Seconds that a wait without an end lasts at a time. Python acts on a signal between two instructions: on
one that comes after the last instruction and before the wait begins, only when the wait ends."""


def wait_for(
    condition: threading.Condition, holds: Callable[[], object], seconds: float | None = None
) -> bool:
    """Wait until ``holds()``, for so long at most (None: however long that takes); Ctrl-C is heard.

    Returns:
        whether it holds.
    """
    until = math.inf if seconds is None else time.monotonic() + seconds
    try:
        while not condition.wait_for(holds, max(0.0, min(HEARING, until - time.monotonic()))):
            if time.monotonic() >= until:
                return False
        return True
    except BaseException:
        # Struck as it took its lock again, a wait ends without it, and `with` would fail to release it.
        try:
            condition.notify(0)
        except RuntimeError:
            condition.acquire()
        raise


def join(thread: threading.Thread) -> None:
    """Wait for the end of a thread, however long that takes; Ctrl-C is heard."""
    while thread.is_alive():
        thread.join(HEARING)


class Stop:
    """Whether, and by which signal, the work is to end."""

    def __init__(self) -> None:
        self._signal_number: int | None = None
        self._wakers: list[Callable[[], None]] = []
        self._readable, self._writable = os.pipe()
        os.set_blocking(self._writable, False)
        # The pipe ends with the object and not with a block: a thread that still holds it may request.
        weakref.finalize(self, _close, self._readable, self._writable).atexit = False

    def request(self, signal_number: int = signal.SIGINT) -> None:
        """Ask for the end; any thread and any signal handler may. The first request counts."""
        if self._signal_number is None:
            self._signal_number = signal_number
        with suppress(BlockingIOError):  # full already: whoever sleeps on it wakes anyway
            os.write(self._writable, b"\0")
        for wake in tuple(self._wakers):
            wake()

    @property
    def requested(self) -> bool:
        """Whether the end was asked for."""
        return self._signal_number is not None

    def check(self) -> None:
        """Raise if the end was asked for.

        Raises:
            Interrupted: it was.
        """
        if self._signal_number is not None:
            raise Interrupted(self._signal_number)

    def sleep(self, seconds: float) -> None:
        """Sleep, but not past a request.

        Raises:
            Interrupted: the end was or is asked for.
        """
        self.check()
        poller = select.poll()  # not select(), which fails in a process with more than 1,024 descriptors
        poller.register(self._readable, select.POLLIN)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            poller.poll(min(left, HEARING) * 1000)
            self.check()

    @contextmanager
    def inner(self) -> Iterator[Stop]:
        """A ``Stop`` of a part of the work: a request to this one reaches it, and not the other way round."""
        part = Stop()

        def forward() -> None:
            if self._signal_number is not None:
                part.request(self._signal_number)

        with self.waking(forward):
            forward()  # what was requested before
            yield part

    @contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """While in the block, a request also calls ``wake``."""
        try:
            self._wakers.append(wake)
            yield
        finally:
            with suppress(ValueError):  # interrupted before it was there
                self._wakers.remove(wake)


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """A ``Stop`` that SIGINT, SIGTERM and SIGHUP request while in the block (main thread only).

    A signal that comes again more than ``IMPATIENCE`` seconds after the first ends the process at
    once: a disk or a name server that hangs is not worth waiting for when somebody asks twice. One
    that was ignored when we were started, as ``nohup`` and background jobs of scripts do, stays so.
    Once a signal came the process is about to end, and the handlers stay: a further one would be
    KeyboardInterrupt, in the middle of the last words.
    """
    stop = Stop()

    first: list[float] = []

    def handle(signal_number: int, _frame: FrameType | None) -> None:
        first.append(time.monotonic())
        if first[-1] - first[0] > IMPATIENCE:
            signal.signal(signal_number, signal.SIG_DFL)
            os.kill(os.getpid(), signal_number)
        stop.request(signal_number)

    heeded = [
        number
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    ]
    previous = {number: signal.signal(number, handle) for number in heeded}
    try:
        yield stop
    finally:
        if not first:
            for number, handler in previous.items():
                signal.signal(number, handler)
