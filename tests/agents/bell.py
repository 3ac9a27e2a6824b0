"""What stands for a session where a worker is tested alone: something that can be woken."""

from __future__ import annotations

import threading
from collections.abc import Callable

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
