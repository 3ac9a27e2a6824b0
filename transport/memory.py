"""Two ends in one process: the wire of the tests, able to lose, delay, reorder, double and change frames."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from selo.errors import MisuseError
from selo.transport.base import Frame, FrameRefused, LegClosed, Ready
from selo.transport.waker import Waker

Tap = Callable[[int, bytes], Iterable[bytes]]
"""Takes the direction (0: from the first end to the second, 1: back) and a frame; gives the frames
to deliver instead, in order: none, the same, others, or some that it held back earlier."""

CAPACITY = 64
"""Frames that may wait in one direction."""


def memory_pair(
    *, max_frame: int, capacity: int = CAPACITY, tap: Tap | None = None
) -> tuple[MemoryLeg, MemoryLeg]:
    """Two legs joined to each other; each may belong to a thread of its own.

    Args:
        max_frame: bytes of the longest frame; a longer one that a tap makes is refused on arrival.
        capacity: frames that may wait in one direction before ``try_send`` says False.
        tap: sees every frame where it is sent. It is called by the sender's thread.
    """
    lock = threading.Lock()
    first = MemoryLeg(0, lock, max_frame, capacity, tap)
    second = MemoryLeg(1, lock, max_frame, capacity, tap)
    first.join(second)
    second.join(first)
    return first, second


class MemoryLeg:
    """One end; made by ``memory_pair``. The lock is that of both ends."""

    def __init__(
        self, direction: int, lock: threading.Lock, max_frame: int, capacity: int, tap: Tap | None
    ) -> None:
        self._direction = direction
        self._lock = lock
        self._max_frame = max_frame
        self._capacity = capacity
        self._tap = tap
        self._arrived: deque[bytes] = deque()
        self._waker = Waker()
        self._refused: FrameRefused | None = None
        self._closed = False
        self._peer = self

    def join(self, peer: MemoryLeg) -> None:
        """Name the other end."""
        self._peer = peer

    admitted_at = None

    @property
    def peer_address(self) -> str:
        """See ``Leg.peer_address``."""
        return "memory"

    def wait(self, timeout: float, *, want_write: bool = False) -> Ready:
        """See ``Leg.wait``."""
        deadline = time.monotonic() + timeout
        while True:
            woken = self._waker.take()
            with self._lock:
                over = self._closed or self._peer._closed or self._refused is not None
                readable = bool(self._arrived) or over
                writable = want_write and not over and self._has_room()
            left = deadline - time.monotonic()
            if readable or writable or woken or left <= 0:
                return Ready(readable, writable, woken)
            self._waker.sleep(left)

    def wake(self) -> None:
        """See ``Leg.wake``."""
        self._waker.wake()

    def try_send(self, frame: Frame) -> bool:
        """See ``Leg.try_send``."""
        if not 0 < len(frame) <= self._max_frame:
            raise MisuseError(f"a frame of {len(frame)} bytes; this leg carries 1 to {self._max_frame}")
        with self._lock:
            self._raise_if_over()
            if self._peer._closed or not self._has_room():
                return False
        sent = bytes(frame)
        delivered = [sent] if self._tap is None else list(self._tap(self._direction, sent))
        with self._lock:
            self._peer._arrived.extend(delivered)
        if delivered:
            self._peer._waker.poke()
        return True

    def try_receive(self) -> Frame | None:
        """See ``Leg.try_receive``."""
        with self._lock:
            self._raise_if_over()
            if not self._arrived:
                return None
            was_full = len(self._arrived) >= self._capacity
            frame = self._arrived.popleft()
            if not 0 < len(frame) <= self._max_frame:
                self._refused = FrameRefused(f"{len(frame)} bytes where 1 to {self._max_frame} are allowed")
                raise self._refused
        if was_full:
            self._peer._waker.poke()
        return frame

    def close(self) -> None:
        """See ``Leg.close``; the other end first reads what had arrived there."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._arrived.clear()
        self._peer._waker.poke()
        self._waker.close()

    def _has_room(self) -> bool:
        return len(self._peer._arrived) < self._capacity

    def _raise_if_over(self) -> None:
        if self._closed:
            raise LegClosed("this end closed the connection")
        if self._refused is not None:
            raise self._refused
        if self._peer._closed and not self._arrived:
            raise LegClosed("the other end closed the connection")
