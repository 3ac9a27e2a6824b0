"""One ZeroMQ PAIR socket as a leg: one socket, one connection attempt, one session.

What libzmq 4.3.5 does, and what therefore happens here:

- A PAIR socket that lost its peer may never notice the next one. So no socket is used
  for a second connection, and libzmq's own reconnection is put off for ever.
- ``RCVHWM`` is 0, no bound. With a bound, libzmq stops reading a connection whose
  frames nobody takes; if that connection then breaks while a ZMTP PING lies unread in
  its buffer, libzmq aborts the whole process (``!_io_error``, stream_engine_base.cpp).
  Any peer could do that on purpose. Without a bound it never stops reading, and the
  bound on memory is ours: what was received and not yet read (``inflow.py``).
- ZeroMQ's heartbeats lead to the same abort, so there are none: sessions have their own.
- Lingering is not delivery, so nothing lingers.

Neither a leg nor a listener survives a fork: start child processes with ``spawn``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Protocol

import zmq

from selo.errors import MisuseError, SeloError
from selo.transport.base import Frame, FrameRefused, LegClosed, Ready
from selo.transport.inflow import bytes_received, cut
from selo.transport.waker import Waker, milliseconds

Socket = zmq.Socket[bytes]
Context = zmq.Context[Socket]

USER_NAME = b"selo/1"

SEND_FRAMES = 64
"""Frames that may wait to be sent. Bytes are bounded by the session's window; with 8, frames of
57 bytes went at 250,000 a second, with 64 at 650,000, with 1,000 at 860,000."""

MAX_AHEAD = 64 << 20
"""Bytes that a peer may have sent and we not yet read, unless the caller says otherwise."""

EARLY_AHEAD = 64 << 10
"""The same before ``EARLY_FRAMES`` frames were read: a handshake takes turns, so nothing piles up."""

EARLY_FRAMES = 2

_SMALL = 8 << 10
"""Frames below are copied out: holding on to one may keep its neighbours' memory too."""

_IN_PLACE = 64 << 10
"""Frames from here on are sent from where they lie."""

_INFLOW_INTERVAL = 0.02
_EARLY_INTERVAL = 0.001
_DRAIN_SECONDS = 0.03
"""After the end of a connection was seen: the last frames may still be on their way between threads."""

_NEVER = 3_600_000
"""Milliseconds before a reconnection. Not -1 ("none"): then unread frames are lost with the connection."""


class Link(Protocol):
    """What is known about the connection below a leg."""

    usable: bool
    """Whether the transport's own handshake has succeeded."""

    ended: bool
    """Whether the connection is gone; frames may still wait."""

    failure: SeloError | None
    """Why there never was a connection."""

    peer_address: str

    taken_at: float | None
    """When the gate let the other end in, if it is ours."""

    @property
    def event_socket(self) -> Socket | None:
        """What to poll for news beside the socket, if the leg's thread has to."""

    def refresh(self) -> None:
        """Take the news in."""

    def connections(self) -> Collection[int]:
        """The descriptors that may be this leg's connection; one, once that is known."""

    def identify(self, descriptor: int) -> None:
        """The first frame came over this descriptor."""


class PairLeg:
    """A ``Leg`` over one PAIR socket. ``connect`` and ``PairListener.accept`` make them."""

    def __init__(self, socket: Socket, link: Link, *, max_frame: int, max_ahead: int) -> None:
        self._socket = socket
        self._link = link
        self._max_frame = max_frame
        self._max_ahead = max_ahead
        self.on_close: Callable[[], object] = socket.close
        """What ``close`` calls, once: whoever made the socket ends it."""
        self._waker = Waker()
        self._failure: SeloError | None = None
        self._frames_read = 0
        self._bytes_read = 0
        self._drained_at: float | None = None
        self._inflow_due = 0.0
        self._polls = {wanted: self._poller(wanted) for wanted in (zmq.POLLIN, zmq.POLLIN | zmq.POLLOUT)}
        self._closed = False

    @property
    def admitted_at(self) -> float | None:
        """See ``Leg.admitted_at``."""
        return self._link.taken_at

    @property
    def peer_address(self) -> str:
        """Where the other end is: numeric host without a port if it connected to us, else what we dialled."""
        return self._link.peer_address

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closed

    # Waiting

    def wait(self, timeout: float, *, want_write: bool = False) -> Ready:
        """See ``Leg.wait``."""
        deadline = time.monotonic() + timeout
        while True:
            ready = self._look(want_write)
            now = time.monotonic()
            if any(ready) or now >= deadline:
                return ready
            self._sleep(self._next_look(now, deadline) - now, want_write)

    def wake(self) -> None:
        """See ``Leg.wake``."""
        self._waker.wake()

    def poke(self) -> None:
        """The link has news; any thread. Not reported as a wake."""
        self._waker.poke()

    def _look(self, want_write: bool) -> Ready:
        woken = self._waker.take()
        now = time.monotonic()
        try:
            self._refresh()
        except SeloError:
            return Ready(True, False, woken)
        self._check_inflow(now)
        events = ready_events(self._socket)
        readable = bool(events & zmq.POLLIN) or self._failure is not None or self._is_over(now)
        writable = want_write and self._link.usable and not self._link.ended and bool(events & zmq.POLLOUT)
        return Ready(readable, writable, woken)

    def _next_look(self, now: float, deadline: float) -> float:
        """When to look again though nothing happened."""
        if self._drained_at is not None:
            return min(deadline, self._drained_at)
        return min(deadline, now + self._inflow_interval)

    def _sleep(self, seconds: float, want_write: bool) -> None:
        # Before the handshake the socket claims to be writable, which would make this spin.
        wanted = zmq.POLLIN | zmq.POLLOUT if want_write and self._link.usable else zmq.POLLIN
        if self._drained_at is not None:
            wanted = zmq.POLLIN
        self._polls[wanted].poll(milliseconds(seconds))

    def _poller(self, wanted: int) -> zmq.Poller:
        poller = zmq.Poller()
        poller.register(self._socket, wanted)
        poller.register(self._waker.fileno(), zmq.POLLIN)
        if self._link.event_socket is not None:
            poller.register(self._link.event_socket, zmq.POLLIN)
        return poller

    # Sending and receiving

    def try_send(self, frame: Frame) -> bool:
        """See ``Leg.try_send``."""
        length = len(frame)
        if not 0 < length <= self._max_frame:
            raise MisuseError(f"a frame of {length} bytes; this leg carries 1 to {self._max_frame}")
        self._raise_failure()
        if not self._link.usable or self._link.ended:
            return self._look_before_sending()
        # libzmq does not look for room at every send; asked for its events, it does.
        if self._sent(frame) or (ready_events(self._socket) & zmq.POLLOUT and self._sent(frame)):
            return True
        return self._look_before_sending()

    def _look_before_sending(self) -> bool:
        """False; unless there never was a connection, or it is gone and everything that arrived was read."""
        self._refresh()
        # What the other side said last comes first, and is told by try_receive.
        if self._link.ended and not ready_events(self._socket) & zmq.POLLIN:
            self._raise_if_over()
        return False

    def _sent(self, frame: Frame) -> bool:
        try:
            self._socket.send(frame, zmq.NOBLOCK, copy=len(frame) < _IN_PLACE)
        except zmq.Again:
            return False
        return True

    def try_receive(self) -> Frame | None:
        """See ``Leg.try_receive``."""
        self._raise_failure()
        try:
            received = self._socket.recv(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            self._refresh()
            self._raise_if_over()
            return None
        assert isinstance(received, zmq.Frame)
        return self._take(received)

    def _take(self, received: zmq.Frame) -> Frame:
        length = len(received)
        if received.more:
            raise self._fail(FrameRefused("a message of several parts"))
        if length == 0:
            raise self._fail(FrameRefused("it is empty"))
        if self._frames_read == 0:
            self._link.identify(int(received.get(zmq.SRCFD)))
        self._frames_read += 1
        self._bytes_read += length + (2 if length < 256 else 9)
        if self._drained_at is not None:
            self._drained_at = time.monotonic() + _DRAIN_SECONDS
        return received.bytes if length < _SMALL else received.buffer

    def _raise_if_over(self) -> None:
        if self._is_over(time.monotonic()):
            raise self._fail(LegClosed("the other end closed the connection"))

    # The end

    def close(self) -> None:
        """See ``Leg.close``."""
        if self._closed:
            return
        self._closed = True
        self.on_close()
        self._waker.close()

    def _is_over(self, now: float) -> bool:
        """Whether the connection is gone and its last frames have had time to arrive."""
        if not self._link.ended:
            return False
        if self._drained_at is None:
            self._drained_at = now + _DRAIN_SECONDS
        return now >= self._drained_at

    def _check_inflow(self, now: float) -> None:
        """Give up a peer who sends more than it may before we have read it.

        While it is not known which of several connections is the leg's, the others belong to
        strangers, who get no further than one frame.
        """
        if now < self._inflow_due:
            return
        self._inflow_due = now + self._inflow_interval
        connections = self._link.connections()
        allowed = self._max_ahead if self._frames_read >= EARLY_FRAMES else EARLY_AHEAD
        if len(connections) > 1:
            allowed += self._max_frame
        for descriptor in connections:
            if (bytes_received(descriptor) or 0) - self._bytes_read > allowed:
                cut(descriptor)
                if len(connections) == 1:
                    self._fail(FrameRefused(f"it comes after more than {allowed} unread bytes"))

    @property
    def _inflow_interval(self) -> float:
        """Seconds between two looks: short while a stranger may be the other end."""
        return _INFLOW_INTERVAL if self._frames_read >= EARLY_FRAMES else _EARLY_INTERVAL

    def _refresh(self) -> None:
        """Take the link's news in; not for every frame, since it costs as much as one."""
        self._raise_failure()
        self._link.refresh()
        self._failure = self._link.failure
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._closed:
            raise LegClosed("this end closed the connection")
        if self._failure is not None:
            raise self._failure

    def _fail(self, error: SeloError) -> SeloError:
        self._failure = error
        return error


def ready_events(socket: Socket) -> int:
    """``POLLIN`` and ``POLLOUT``, as they are now; makes libzmq look at its own news first."""
    events = socket.getsockopt(zmq.EVENTS)
    assert isinstance(events, int)
    return events


def prepare_context() -> Context:
    """A context of its own for one listener or one attempt: one I/O thread, nothing lingers."""
    context = zmq.Context(1)
    context.linger = 0
    context.set(_ZERO_COPY_RECEIVE, 0)
    return context


_ZERO_COPY_RECEIVE = 10
"""``ZMQ_ZERO_COPY_RECV``: off, or a small frame would pin the whole buffer that it was read with."""


def prepare_socket(context: Context, *, max_frame: int, handshake_timeout: float, ipv6: bool) -> Socket:
    """A PAIR socket with every option that both sides share."""
    socket = context.socket(zmq.PAIR)
    socket.linger = 0
    socket.maxmsgsize = max_frame
    socket.sndhwm = SEND_FRAMES
    socket.rcvhwm = 0
    socket.handshake_ivl = milliseconds(handshake_timeout)
    socket.connect_timeout = milliseconds(handshake_timeout)
    socket.reconnect_ivl = _NEVER
    socket.ipv6 = ipv6
    return socket
