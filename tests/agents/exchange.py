"""A listener and its connections in one process, which a test can cut at any frame."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable

from selo.agents.routes import FRAME_MAX
from selo.crypto.identity import PublicIdentity
from selo.transport import memory_pair
from selo.transport.base import ConnectFailed, Frame, Leg, LegClosed, Ready, Refusal

CutWhen = Callable[[int, str, int, int], bool]
"""Told of each frame that passes: the number of its connection, "sent" or "received", the direction (0: from
who dialled), and the frame's number among those, all from 0. True: the connection is lost at this moment."""


class Cable:
    """One connection, lost for both ends when the test says so; frames under way are lost with it."""

    def __init__(self, cut_when: Callable[[str, int, int], bool]) -> None:
        self._cut_when = cut_when
        self._counts: Counter[tuple[str, int]] = Counter()
        self._inner = memory_pair(max_frame=FRAME_MAX)
        self.ends = tuple(CableEnd(self, direction, leg) for direction, leg in enumerate(self._inner))
        self.is_cut = False

    def happened(self, what: str, direction: int) -> None:
        """A frame was sent, or received."""
        number = self._counts[what, direction]
        self._counts[what, direction] += 1
        if self._cut_when(what, direction, number):
            self.cut()

    def cut(self) -> None:
        """Lose it."""
        self.is_cut = True
        for leg in self._inner:
            leg.wake()

    def check(self) -> None:
        """Fail as an end of a lost connection does."""
        if self.is_cut:
            raise LegClosed("the cable was cut")


class CableEnd:
    """One end of a ``Cable``: a ``Leg``."""

    admitted_at = None
    peer_address = "memory"

    def __init__(self, cable: Cable, direction: int, inner: Leg) -> None:
        self._cable = cable
        self._direction = direction
        self._inner = inner
        self.wake = inner.wake
        self.close = inner.close

    def wait(self, timeout: float, *, want_write: bool = False) -> Ready:
        """See ``Leg.wait``."""
        if not self._cable.is_cut:
            ready = self._inner.wait(timeout, want_write=want_write)
        return Ready(True, False, False) if self._cable.is_cut else ready

    def try_send(self, frame: Frame) -> bool:
        """See ``Leg.try_send``."""
        self._cable.check()
        sent = self._inner.try_send(frame)
        if sent:
            self._cable.happened("sent", self._direction)
        return sent

    def try_receive(self) -> Frame | None:
        """See ``Leg.try_receive``."""
        self._cable.check()
        frame = self._inner.try_receive()
        if frame is not None:
            self._cable.happened("received", 1 - self._direction)
        return frame


class Exchange:
    """A listener in memory that can be dialled again and again, until it is closed."""

    address = "memory:"

    def __init__(self, cut_when: CutWhen = lambda *_: False) -> None:
        self._cut_when = cut_when
        self._condition = threading.Condition()
        self._waiting: deque[Leg] = deque()
        self._woken = self._closed = False
        self.cables: list[Cable] = []

    def dial(self, _identity: PublicIdentity, _attempt: int) -> Leg:
        """Connect, or fail at once where nobody listens any more."""
        with self._condition:
            if self._closed:
                raise ConnectFailed(self.address, "nobody listens")
            number = len(self.cables)
            cable = Cable(lambda *frame: self._cut_when(number, *frame))
            self.cables.append(cable)
            self._waiting.append(cable.ends[1])
            self._condition.notify_all()
            return cable.ends[0]

    def accept(self, timeout: float) -> Leg | None:
        """See ``Listener.accept``."""
        with self._condition:
            self._condition.wait_for(lambda: self._waiting or self._woken or self._closed, timeout)
            self._woken = False
            if self._closed:
                raise LegClosed("nobody can come any more")
            return self._waiting.popleft() if self._waiting else None

    def take_refusals(self) -> list[Refusal]:
        """There is no gate."""
        return []

    def wake(self) -> None:
        """See ``Listener.wake``."""
        with self._condition:
            self._woken = True
            self._condition.notify_all()

    def close(self) -> None:
        """Nobody comes any more; who is here stays."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
