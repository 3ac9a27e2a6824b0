"""What may be taken up again after a session was lost, and for how long it is tried."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from selo.agents.errors import PeerLater, PeerLost
from selo.crypto.errors import RecordError
from selo.errors import SeloError
from selo.transport.base import FrameRefused, LegClosed

_LINK = (LegClosed, PeerLost, PeerLater, RecordError, FrameRefused)


def may_be_taken_up(error: SeloError) -> bool:
    """Whether the link or the process at its other end may have been lost, rather than a side have decided.

    Records that do not verify count as a bad link: the next session has new keys, and nothing of this one.
    """
    return isinstance(error, _LINK)


class Outage:
    """The time between a session and the next one, for at most ``limit`` seconds (None: without end).

    A delivery that got further than ever in between begins a new outage with the next loss. While one only
    regains what its Receiver had lost, the time stands still: it is neither an outage nor a new beginning, or
    a Receiver that keeps nothing would be tried without end.
    """

    def __init__(
        self,
        limit: float | None,
        *,
        shortest: float,
        longest: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._shortest = shortest
        self._longest = longest
        self._clock = clock
        self._since: float | None = None
        self._tries = 0
        self._highest = 0
        self._up_at = clock()
        self.cause: SeloError | None = None
        """Why the last session was lost; None before the first loss."""

    def up(self) -> None:
        """There is a session again."""
        self._up_at = self._clock()

    def lost(self, cause: SeloError, *, reached: int, got_on: bool) -> None:
        """A session was lost, in which all before the place ``reached`` (bytes) was acknowledged.

        ``got_on``: more than where it had begun, which may be before what earlier sessions had reached.
        """
        self.cause = cause
        now = self._clock()
        if self._since is None or reached > self._highest:
            self._since, self._tries = now, 0
        elif got_on:
            self._since += now - self._up_at
        self._highest = max(self._highest, reached)
        self._tries += 1

    def failed_again(self) -> None:
        """There was no session."""
        self._tries += 1

    @property
    def left(self) -> float | None:
        """Seconds that remain; None: without end."""
        if self._limit is None or self._since is None:
            return self._limit
        return max(0.0, self._since + self._limit - self._clock())

    @property
    def over(self) -> bool:
        """Whether it has lasted too long to go on."""
        return self.left is not None and self.left <= 0

    @property
    def pause(self) -> float:
        """Seconds before the next try: none before the first, then at random, and longer each time."""
        if self._tries <= 1:
            return 0.0
        most = min(self._longest, self._shortest * 2 ** min(self._tries, 16))
        return random.uniform(self._shortest, max(self._shortest, most))
