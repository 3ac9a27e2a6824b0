"""``connect`` and ``listen`` over ZeroMQ PAIR."""

from __future__ import annotations

import struct
import time
import weakref
from collections.abc import Collection

import zmq

from selo.errors import MisuseError, SeloError
from selo.transport.address import HostUnknown, IpcAddress, TcpAddress, connecting_address
from selo.transport.base import ConnectFailed, GateBusy, GateRefused
from selo.transport.descriptors import DescriptorsExhausted, require_descriptors
from selo.transport.pair_leg import (
    MAX_AHEAD,
    USER_NAME,
    Context,
    PairLeg,
    Socket,
    prepare_context,
    prepare_socket,
    ready_events,
)
from selo.transport.pair_listener import PairListener, listen

__all__ = ["PairLeg", "PairListener", "connect", "listen"]

TICKET_MAX = 255
"""Bytes: what ZMTP's PLAIN mechanism carries as a password."""

_EVENTS = (
    zmq.EVENT_CONNECTED
    | zmq.EVENT_CLOSED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_DISCONNECTED
)
_EVENT = struct.Struct("=HI")

_NOBODY = "nobody listens there"
_OTHER_PROGRAM = "whoever listens there does not speak Selo's transport"
_HUNG_UP = (
    "whoever listens there closed the connection at once; it is not ready yet, or does not speak Selo's "
    "transport"
)


def connect(
    address: str,
    ticket: bytes,
    *,
    max_frame: int,
    max_ahead: int = MAX_AHEAD,
    handshake_timeout: float = 5.0,
    attempt: int = 0,
) -> PairLeg:
    """Start one connection attempt; returns at once, but for looking up a host name.

    The leg is connecting until the listener let it in: ``try_send`` returns False, and
    ``wait`` with ``want_write`` ends when it may be used. If it is not let in, its calls raise
    GateRefused, GateBusy or ConnectFailed. Every attempt takes a new leg and a new ticket.

    Args:
        address: ``tcp://host:port`` or ``ipc:///path``.
        ticket: shown at the listener's gate, 1 to 255 bytes.
        max_frame: bytes of the longest frame, in either direction.
        max_ahead: bytes that the listener may have sent and we not yet read (TCP on Linux).
        handshake_timeout: seconds until the attempt has failed.
        attempt: counts the attempts; a host name with several addresses is tried at each in turn.

    Raises:
        AddressError: ``address`` is none to connect to.
        ConnectFailed: the host name is unknown, or no file descriptors are left.
    """
    target = connecting_address(address)
    if not 0 < len(ticket) <= TICKET_MAX:
        raise MisuseError(f"a ticket of {len(ticket)} bytes; PLAIN carries 1 to {TICKET_MAX}")
    endpoint, label = _endpoint(target, attempt)
    try:
        require_descriptors()
    except DescriptorsExhausted as error:
        raise ConnectFailed(label, str(error)) from None
    context = prepare_context()
    # libzmq would report its own time-outs like refusals: it gets longer than our deadline.
    socket = prepare_socket(
        context,
        max_frame=max_frame,
        handshake_timeout=handshake_timeout + 1.0,
        ipv6=endpoint.startswith("tcp://["),
    )
    socket.plain_username = USER_NAME
    socket.setsockopt(zmq.PLAIN_PASSWORD, ticket)
    monitor = socket.get_monitor_socket(_EVENTS)

    leg = PairLeg(
        socket, _Dialled(label, monitor, handshake_timeout), max_frame=max_frame, max_ahead=max_ahead
    )
    # Also for a leg that nobody closed: pyzmq's own clean-up of a context can hang for ever.
    leg.on_close = weakref.finalize(leg, _end, context, socket, monitor)
    socket.connect(endpoint)
    return leg


def _end(context: Context, socket: Socket, monitor: Socket) -> None:
    socket.disable_monitor()
    monitor.close(0)
    socket.close(0)
    context.term()


def _endpoint(target: TcpAddress | IpcAddress, attempt: int) -> tuple[str, str]:
    """What ZeroMQ is to connect to, and how to call it when talking to people."""
    if isinstance(target, IpcAddress):
        return str(target), str(target)
    try:
        endpoints = target.connecting_endpoints()
    except HostUnknown as error:
        raise ConnectFailed(str(target), str(error)) from error
    endpoint = endpoints[attempt % len(endpoints)]
    return endpoint, str(target) if endpoint == str(target) else f"{target} ({endpoint})"


class _Dialled:
    """The link of a leg that we connect, read from its socket's event monitor by the leg's own thread.

    The monitor sees one connection, so it cannot fill up while nobody looks.
    """

    def __init__(self, address: str, monitor: Socket, timeout: float) -> None:
        self.peer_address = address
        self.event_socket = monitor
        self.taken_at: float | None = None
        self.usable = False
        self.ended = False
        self.failure: SeloError | None = None
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._descriptor: int | None = None

    def refresh(self) -> None:
        """See ``Link``."""
        while ready_events(self.event_socket) & zmq.POLLIN:
            event, value = _EVENT.unpack(self.event_socket.recv_multipart()[0])
            self._on_event(event, value)
        if not self.usable and time.monotonic() >= self._deadline:
            self._fail(self._no_answer())

    def connections(self) -> Collection[int]:
        """See ``Link``."""
        return () if self._descriptor is None else (self._descriptor,)

    def identify(self, descriptor: int) -> None:
        """See ``Link``: there is only one."""

    def _on_event(self, event: int, value: int) -> None:
        if event == zmq.EVENT_CONNECTED:
            self._descriptor = value
        elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self.usable = True
        elif event == zmq.EVENT_DISCONNECTED and self.usable:
            self.ended, self._descriptor = True, None
        elif not self.usable:
            self._fail(self._explain(event, value))

    def _explain(self, event: int, value: int) -> SeloError:
        if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH and value == 400:
            return GateRefused(self.peer_address)
        if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH and value == 500:
            return GateBusy(self.peer_address)
        if event == zmq.EVENT_CLOSED:
            return ConnectFailed(self.peer_address, _NOBODY)
        if event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
            return ConnectFailed(self.peer_address, _HUNG_UP)
        return ConnectFailed(self.peer_address, _OTHER_PROGRAM)

    def _no_answer(self) -> SeloError:
        return ConnectFailed(self.peer_address, f"no answer within {round(self._timeout, 2):g} s")

    def _fail(self, error: SeloError) -> None:
        self.failure = self.failure or error
