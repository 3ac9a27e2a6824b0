"""How fast bytes may go: a limit that whoever moves them keeps by sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

BURST: Final = 0.25
"""Seconds of the rate that may go at once: what a system's late wake-ups cost is made good from it."""


class Throttle:
    """Keeps the mean of any time near ``rate``: beyond it go at most ``BURST`` and what is spent at once."""

    def __init__(
        self,
        rate: int | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Arguments:
        rate: bytes per second, or None for no limit.
        clock: seconds, from anywhere.
        sleep: may return early, as when the work is given up.
        """
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._due = clock()

    def spend(self, count: int) -> None:
        """Sleep until the next ``count`` bytes may go."""
        if self._rate is None:
            return
        now = self._clock()
        self._due = max(self._due, now - BURST) + count / self._rate
        if self._due > now:
            self._sleep(self._due - now)
