"""What stands for a session where a worker is tested alone: something that can be woken."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

PATIENCE = 20.0
"""Seconds after which what should have come is missing; nothing waits that long when all is well."""


class Bell:
    """A ``wake`` that can be waited for."""

    def __init__(self) -> None:
        self._rung = threading.Semaphore(0)

    def __call__(self) -> None:
        self._rung.release()

    def wait(self) -> None:
        """Sleep until the bell was rung once more: as a session sleeps, but not for ever."""
        assert self._rung.acquire(timeout=PATIENCE), "nobody woke the session"

    def is_quiet(self) -> bool:
        """Whether, once all earlier rings are forgotten, none follows for a moment."""
        while self._rung.acquire(blocking=False):
            pass
        return not self._rung.acquire(timeout=0.05)

    def until(self, condition: Callable[[], object]) -> None:
        """Look at ``condition`` whenever the bell was rung, until it is true."""
        while not condition():
            self.wait()


@contextmanager
def ctrl_c_that_wakes_nobody() -> Iterator[None]:
    """What is within waits, and is ended by Ctrl-C though that does not interrupt the wait.

    Another thread gets the signal: for the main thread that is as if it had come between its last
    instruction and the wait.
    """

    def here() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    unheard = threading.Timer(0.1, here)
    rescue = threading.Timer(PATIENCE, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
    started = time.monotonic()
    for timer in (unheard, rescue):
        timer.start()
    with pytest.raises(KeyboardInterrupt):
        yield
    rescue.cancel()
    assert time.monotonic() - started < PATIENCE / 2, "it was not heard"
