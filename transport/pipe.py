"""Legs over a multiprocessing pipe: bytes only, nothing is ever unpickled.

A multiprocessing connection blocks in the middle of a message, in either direction,
so two helper threads do the reading and the writing; the leg only touches queues.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from multiprocessing.connection import Connection

from selo.errors import MisuseError, SessionError
from selo.transport.base import Frame, FrameRefused, LegClosed, Ready
from selo.transport.waker import Waker

QUEUE_BYTES = 4 << 20
"""What may wait in memory in one direction, beside the one frame that the helper thread has in hand."""

_FRAME_COST = 256
"""Bytes that a waiting frame is counted for beside its own: tiny frames cost memory too."""

_CLOSED_THERE = "the other end closed the connection"
_CLOSED_HERE = "this end closed the connection"


def pipe_pair() -> tuple[Connection, Connection]:
    """Two joined connections, for two processes or two threads.

    Hand one to a spawned process as an argument, then close it here: the end of a
    process is only seen when nobody else holds its end of the pipe.
    """
    first, second = multiprocessing.Pipe(duplex=True)
    return first, second


class PipeLeg:
    """A ``Leg`` over one end of a duplex pipe, which it owns from now on.

    Args:
        connection: one of a ``pipe_pair``.
        max_frame: bytes of the longest frame; the announcement of a longer one ends the leg.
        queue_bytes: what may wait in memory in each direction.
    """

    def __init__(self, connection: Connection, max_frame: int, *, queue_bytes: int = QUEUE_BYTES) -> None:
        self._connection = connection
        self._max_frame = max_frame
        self._waker = Waker()
        self._changed = threading.Condition()
        self._arrived = _Queue(queue_bytes)
        self._leaving = _Queue(queue_bytes)
        self._end: SessionError | None = None
        self._closed = False
        self._helpers = [
            threading.Thread(target=self._read, name="selo-pipe-reader", daemon=True),
            threading.Thread(target=self._write, name="selo-pipe-writer", daemon=True),
        ]
        for helper in self._helpers:
            helper.start()

    admitted_at = None

    @property
    def peer_address(self) -> str:
        """See ``Leg.peer_address``."""
        return "pipe:"

    def wait(self, timeout: float, *, want_write: bool = False) -> Ready:
        """See ``Leg.wait``."""
        deadline = time.monotonic() + timeout
        while True:
            woken = self._waker.take()
            with self._changed:
                readable = bool(self._arrived) or self._end is not None
                writable = want_write and self._end is None and self._leaving.has_room
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
        with self._changed:
            if self._end is not None and not self._arrived:
                raise self._end
            if self._end is not None or not self._leaving.has_room:
                return False
            self._leaving.put(frame)
            self._changed.notify_all()
            return True

    def try_receive(self) -> Frame | None:
        """See ``Leg.try_receive``."""
        with self._changed:
            if self._arrived:
                frame = self._arrived.get()
                self._changed.notify_all()
                return frame
            if self._end is not None:
                raise self._end
            return None

    def close(self) -> None:
        """See ``Leg.close``."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._end = LegClosed(_CLOSED_HERE)
            self._arrived.clear()
            self._changed.notify_all()
        # Only a shutdown ends a read or a write that blocks in another thread; closing the
        # descriptor would not, and its number could come to mean another file meanwhile.
        with suppress(OSError), socket.socket(fileno=os.dup(self._connection.fileno())) as twin:
            twin.shutdown(socket.SHUT_RDWR)
        for helper in self._helpers:
            helper.join()
        self._connection.close()
        self._waker.close()

    # The helper threads

    def _read(self) -> None:
        while self._wait_for_room():
            try:
                frame = self._connection.recv_bytes(self._max_frame)
            except (OSError, EOFError) as error:
                self._finish(self._why(error))
                return
            if not frame:
                self._finish(FrameRefused("it is empty"))
                return
            with self._changed:
                self._arrived.put(frame)
            self._waker.poke()

    def _wait_for_room(self) -> bool:
        """Whether to go on reading; False once this end is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._arrived.has_room)
            return not self._closed

    def _write(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._end is not None or bool(self._leaving))
                if self._end is not None:
                    return
                frame = self._leaving.get()
            try:
                self._connection.send_bytes(frame)
            except OSError:
                # The reader sees the end too, after everything that arrived before it.
                return
            self._waker.poke()

    def _why(self, error: Exception) -> SessionError:
        """``recv_bytes`` has no error of its own for a message that is announced as too long."""
        if "bad message length" in str(error):
            return FrameRefused(f"it is announced as longer than {self._max_frame} bytes")
        return LegClosed(_CLOSED_THERE)

    def _finish(self, end: SessionError) -> None:
        with self._changed:
            self._end = self._end or end
            self._changed.notify_all()
        self._waker.poke()


class _Queue:
    """Frames in order, bounded by bytes; has room as long as it is not over its bound."""

    def __init__(self, most: int) -> None:
        self._frames: deque[Frame] = deque()
        self._most = most
        self._held = 0

    def __bool__(self) -> bool:
        return bool(self._frames)

    @property
    def has_room(self) -> bool:
        return self._held < self._most

    def put(self, frame: Frame) -> None:
        self._frames.append(frame)
        self._held += len(frame) + _FRAME_COST

    def get(self) -> Frame:
        frame = self._frames.popleft()
        self._held -= len(frame) + _FRAME_COST
        return frame

    def clear(self) -> None:
        self._frames.clear()
        self._held = 0
