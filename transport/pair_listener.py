"""A bound address that yields one leg after another, each over a fresh socket."""

from __future__ import annotations

import errno
import os
import socket as system
import time
from collections.abc import Callable
from typing import TypeVar

import zmq

from selo.errors import MisuseError
from selo.transport.address import HostUnknown, IpcAddress, TcpAddress, binding_address
from selo.transport.base import BindFailed, Gate, Refusal
from selo.transport.descriptors import DescriptorsExhausted, require_descriptors
from selo.transport.gate import STALLED, GateKeeper, Place
from selo.transport.ipc_folder import IpcClaim
from selo.transport.pair_leg import MAX_AHEAD, PairLeg, Socket, prepare_context, prepare_socket, ready_events
from selo.transport.waker import Waker

_T = TypeVar("_T")

HANDSHAKE_SECONDS = 2.0
"""What a stranger gets for ZMTP's handshake before libzmq closes its connection."""

_REBIND_SECONDS = 1.0
"""The socket before is closed by libzmq's own threads; its address is free a moment later."""

_REBIND_PAUSE = 0.0015

_BACKLOG = 100
"""Connections that wait in the system's queue: libzmq's own number."""

_REASONS = {
    errno.EADDRINUSE: "another program is listening there",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EACCES: "it is not permitted; ports below 1024 need privileges",
    errno.EMFILE: "too many files are open in this process",
    errno.ENFILE: "too many files are open on this machine",
}


def listen(
    address: str, gate: Gate, *, max_frame: int, max_ahead: int = MAX_AHEAD, admission_deadline: float = 2.0
) -> PairListener:
    """Bind an address, with a gate in front of it from the first moment.

    Args:
        address: ``tcp://host:port`` (port 0: any free one; host ``*``: every address) or ``ipc:///path``.
        gate: decides about tickets.
        max_frame: bytes of the longest frame, in either direction; also the most that a
            stranger can make us hold.
        max_ahead: bytes that an admitted peer may have sent and we not yet read (TCP on Linux).
        admission_deadline: seconds that a ticket holder gets for the rest of ZMTP's
            handshake before the place is free again.

    Raises:
        AddressError: ``address`` is none to listen on.
        BindFailed: it cannot be listened on.
    """
    target = binding_address(address)
    try:
        require_descriptors()
    except DescriptorsExhausted as error:
        raise BindFailed(str(target), str(error)) from None
    return PairListener(
        target, gate, max_frame=max_frame, max_ahead=max_ahead, admission_deadline=admission_deadline
    )


class PairListener:
    """A ``Listener`` over ZeroMQ; made by ``listen``."""

    def __init__(
        self,
        target: TcpAddress | IpcAddress,
        gate: Gate,
        *,
        max_frame: int,
        max_ahead: int,
        admission_deadline: float,
    ) -> None:
        self._target = target
        self._endpoint = _endpoint(target)
        # Asked once: it needs a descriptor, and answers no where there is none.
        self._both_families = system.has_dualstack_ipv6()
        self._claim: IpcClaim | None = None
        self._max_frame = max_frame
        self._max_ahead = max_ahead
        self._admission_deadline = admission_deadline
        self._waker = Waker()
        self._context = prepare_context()
        self._keeper = GateKeeper(self._context, gate, self._waker.poke)
        self._keeper.start()
        self._open: tuple[Socket, Place] | None = None
        self._leg: PairLeg | None = None
        self._generation = 0
        self._closed = False
        try:
            if isinstance(target, IpcAddress):
                self._claim = IpcClaim(target.path)
            self._bind_place(retry_seconds=0.0)
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> str:
        """See ``Listener.address``; a listener on every address says so, since no one of them is right."""
        return str(self._target)

    def accept(self, timeout: float) -> PairLeg | None:
        """See ``Listener.accept``.

        Raises:
            BindFailed: after the leg before, the address could not be bound again.
            MisuseError: the leg before is not closed, or the listener is.
            Exception: what the gate's callback raised; nobody was let in since.
        """
        if self._closed or self._leg is not None:
            raise MisuseError("accept() on a listener that is closed or whose leg is still open")
        deadline = time.monotonic() + timeout
        while True:
            woken = self._waker.take()
            if self._keeper.fault is not None:
                raise self._keeper.fault
            if self._open is None:
                self._bind_place(retry_seconds=_REBIND_SECONDS)
            leg = self._admitted()
            now = time.monotonic()
            if leg is not None or woken or now >= deadline:
                return leg
            self._waker.sleep(min(deadline - now, self._patience(now)))

    def take_refusals(self) -> list[Refusal]:
        """See ``Listener.take_refusals``."""
        return self._keeper.refusals.take()

    def wake(self) -> None:
        """See ``Listener.wake``."""
        self._waker.wake()

    def close(self) -> None:
        """See ``Listener.close``."""
        if self._closed:
            return
        self._closed = True
        if self._leg is not None:
            self._leg.close()
        self._retire()
        self._keeper.stop()
        self._context.term()
        if self._claim is not None:
            self._claim.release()
        self._waker.close()

    # One place after another

    def _admitted(self) -> PairLeg | None:
        """The leg of whoever was let in and is there; frees the place of one who never arrived.

        After None there may be no place: the next turn makes one.
        """
        assert self._open is not None
        socket, place = self._open
        if not place.usable:
            if self._patience(time.monotonic()) <= 0:
                self._keeper.refusals.add(place.peer_address, STALLED)
                self._retire()
                self._bind_place(retry_seconds=_REBIND_SECONDS)
            return None
        ready_events(socket)  # makes libzmq attach the connection to the socket
        place.changed = lambda: None
        try:
            leg = PairLeg(socket, place, max_frame=self._max_frame, max_ahead=self._max_ahead)
        except OSError:  # out of descriptors: those of all who knock on this socket go with it
            self._retire()
            return None
        self._leg = leg
        leg.on_close = self._leg_closed
        place.changed = leg.poke
        leg.poke()
        return leg

    def _patience(self, now: float) -> float:
        """Seconds until the place must be looked at again."""
        if self._open is None:
            return 0.0
        place = self._open[1]
        if place.taken_at is None or place.usable:
            return 3600.0
        return place.taken_at + self._admission_deadline - now

    def _leg_closed(self) -> None:
        self._leg = None
        self._retire()

    def _retire(self) -> None:
        if self._open is not None:
            self._keeper.release(*self._open)
            self._open = None

    def _bind_place(self, *, retry_seconds: float) -> None:
        """A fresh socket on our address, behind the gate before anybody can reach it."""
        give_up = time.monotonic() + retry_seconds
        try:
            socket, place = _patiently(self._guarded_socket, give_up)
            try:
                _patiently(lambda: self._bind(socket), give_up)
            except BaseException:
                self._keeper.release(socket, place)
                raise
        except (zmq.ZMQError, OSError) as error:
            reason = _REASONS.get(error.errno or 0) or os.strerror(error.errno or 0)
            raise BindFailed(str(self._target), reason) from error
        self._open = (socket, place)
        self._learn_port(socket)

    def _bind(self, socket: Socket) -> None:
        """Bind it to a listening socket of ours.

        With an address libzmq would first ask the system for its interfaces, and abort the process where
        strangers have left no descriptor for that.
        """
        if isinstance(self._target, IpcAddress):
            socket.bind(self._endpoint)
            return
        listening = _listening(self._endpoint, both=self._both_families)
        try:
            socket.setsockopt(zmq.USE_FD, listening.fileno())
            socket.bind(self._endpoint)
        except BaseException:
            listening.close()
            raise
        listening.detach()  # libzmq closes it

    def _guarded_socket(self) -> tuple[Socket, Place]:
        self._generation += 1
        socket = prepare_socket(
            self._context,
            max_frame=self._max_frame,
            handshake_timeout=HANDSHAKE_SECONDS,
            ipv6=self._endpoint.startswith(("tcp://[", "tcp://*")),
        )
        try:
            return socket, self._keeper.guard(socket, b"selo-%d" % self._generation, self._waker.poke)
        except BaseException:
            socket.disable_monitor()
            socket.close(0)
            raise

    def _learn_port(self, socket: Socket) -> None:
        """After port 0: the port that it became, for every later bind."""
        if isinstance(self._target, TcpAddress) and self._target.port == 0:
            bound = socket.getsockopt(zmq.LAST_ENDPOINT)
            assert isinstance(bound, bytes)
            port = int(bound.rstrip(b"\0").rpartition(b":")[2])
            self._target = TcpAddress(self._target.host, port)
            self._endpoint = f"{self._endpoint.rpartition(':')[0]}:{port}"


def _patiently(action: Callable[[], _T], give_up: float) -> _T:
    """Do it again while the socket before still holds the address or its strangers' descriptors."""
    passing = (errno.EADDRINUSE, errno.EMFILE, errno.ENFILE)
    while True:
        try:
            return action()
        except (zmq.ZMQError, OSError) as error:
            if error.errno not in passing or time.monotonic() >= give_up:
                raise
        time.sleep(_REBIND_PAUSE)


def _listening(endpoint: str, *, both: bool) -> system.socket:
    """A socket that listens on a numeric endpoint; ``both``: an IPv6 one takes IPv4 as well, where it can."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    host = host.strip("[]")
    six = ":" in host or (host == "*" and both)
    any_host = "::" if six else "0.0.0.0"
    listening = system.socket(system.AF_INET6 if six else system.AF_INET, system.SOCK_STREAM)
    try:
        listening.setsockopt(system.SOL_SOCKET, system.SO_REUSEADDR, 1)
        if six:
            listening.setsockopt(system.IPPROTO_IPV6, system.IPV6_V6ONLY, not both)
        listening.bind((any_host if host == "*" else host, int(port)))
        listening.listen(_BACKLOG)
        listening.setblocking(False)
    except BaseException:
        listening.close()
        raise
    return listening


def _endpoint(target: TcpAddress | IpcAddress) -> str:
    if isinstance(target, IpcAddress):
        return str(target)
    try:
        return target.binding_endpoint()
    except HostUnknown as error:
        raise BindFailed(str(target), str(error)) from error
