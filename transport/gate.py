"""The gate in front of a bound socket: who gets in, who is turned away, who is gone.

One thread per listener answers libzmq's questions (ZAP, ZeroMQ RFC 27) and reads the
sockets' event monitors. It must never rest: while a monitor is not read, a few hundred
strangers are enough to stop libzmq's I/O thread, and with it everybody.
"""

from __future__ import annotations

import queue
import struct
import threading
import time
from collections.abc import Callable, Collection

import zmq

from selo.errors import SeloError
from selo.transport.base import Gate, Refusal
from selo.transport.inflow import peer_host
from selo.transport.pair_leg import USER_NAME, Context, Socket, ready_events
from selo.transport.waker import Waker

BUSY = "came while another peer was here"
NO_GOOD_TICKET = "showed no good admission ticket"
OTHER_PROGRAM = "does not speak Selo's transport"
LEFT = "left, or said nothing, before showing an admission ticket"
STALLED = "showed an admission ticket, and nothing more in time"

LOCAL_PROCESS = "a process of this machine"
UNKNOWN = "an unknown address"
MANY = "many others"

_MANY_REFUSALS = 64
"""Different refusals remembered; later ones are counted together."""

_ADMITTED, _REFUSED, _BUSY = b"200", b"400", b"500"

_EVENTS = (
    zmq.EVENT_ACCEPTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_MONITOR_STOPPED
)
_EVENT = struct.Struct("=HI")

_EVENTS_PER_TURN = 256
"""Read before the next ticket is looked at: strangers who come and go do not keep the others waiting."""


class Refusals:
    """Who was turned away, merged and bounded; any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str], int] = {}

    def add(self, peer_address: str, reason: str) -> None:
        """Count one."""
        with self._lock:
            key = (peer_address, reason)
            if key not in self._counts and len(self._counts) >= _MANY_REFUSALS:
                key = (MANY, reason)
            self._counts[key] = self._counts.get(key, 0) + 1

    def take(self) -> list[Refusal]:
        """All of them, in the order of their first; forgets them."""
        with self._lock:
            counts, self._counts = self._counts, {}
        return [
            Refusal(peer, reason, count, reason == NO_GOOD_TICKET) for (peer, reason), count in counts.items()
        ]


class Place:
    """The one place behind one bound socket, and the link of the peer who takes it.

    A socket serves one connection attempt, so a place is taken at most once. The gate's
    thread writes here, the leg's thread reads; ``changed`` is called when the latter
    should look.
    """

    event_socket = None
    failure: SeloError | None = None

    def __init__(self, domain: bytes, refusals: Refusals, changed: Callable[[], None]) -> None:
        self.domain = domain
        self.changed = changed
        self.peer_address = ""
        self.taken_at: float | None = None
        self.usable = False
        self.ended = False
        self._refusals = refusals
        self._lock = threading.Lock()
        self._closed = False
        self._hosts: dict[int, str] = {}
        self._turned_away: dict[str, int] = {}
        self._ours: set[int] = set()
        self._gone: set[int] = set()
        self._failed: str | None = None

    # The gate's thread: tickets

    def take(self, host: str) -> bool:
        """Take the place for a peer at ``host``; False when it is taken or given up."""
        with self._lock:
            if self._closed or self.taken_at is not None:
                return False
            self.taken_at = time.monotonic()
            self.peer_address = host
        self.changed()
        return True

    def turned_away(self, host: str) -> None:
        """A ticket from ``host`` was refused and reported; the end of its connection is no more news."""
        if len(self._turned_away) < _MANY_REFUSALS:
            self._turned_away[host] = self._turned_away.get(host, 0) + 1

    # The gate's thread: events, in the order in which libzmq's one I/O thread made them

    def on_event(self, event: int, value: int) -> None:
        """Follow the connections, so that ours is not mistaken for a stranger's."""
        if event == zmq.EVENT_ACCEPTED:
            host = peer_host(value)
            self._hosts[value] = UNKNOWN if host is None else host or LOCAL_PROCESS
        elif event == zmq.EVENT_DISCONNECTED:
            self._on_disconnected(value)
        elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._on_success()
        elif event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
            self._failed = OTHER_PROGRAM
        elif event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
            self._failed = LEFT

    def _on_success(self) -> None:
        """Only whoever took the place gets this far, and is one of the connections there are now.

        The event does not say which. No other one of them can succeed, so the others will be
        gone when their time for the handshake is over, and the first frame tells for certain.
        """
        with self._lock:
            self._ours = set(self._hosts)
            self.usable = True
        self.changed()

    def _on_disconnected(self, descriptor: int) -> None:
        host = self._hosts.pop(descriptor, UNKNOWN)
        # The I/O thread says why a handshake failed immediately before it says who is gone.
        reason, self._failed = self._failed, None
        if self._closed and host == self.peer_address:
            return  # it was we who ended it, and that is told
        if self._lost(descriptor):
            self.changed()
        elif reason != LEFT and host in self._turned_away:
            self._forget(host)
        else:
            self._refusals.add(host, reason or OTHER_PROGRAM)

    def _lost(self, descriptor: int) -> bool:
        """Whether this was the end of the leg's connection."""
        with self._lock:
            if descriptor not in self._ours:
                return False
            self._ours.discard(descriptor)
            self._gone.add(descriptor)
            self._settle()
            return self.ended

    def _forget(self, host: str) -> None:
        self._turned_away[host] -= 1
        if not self._turned_away[host]:
            del self._turned_away[host]

    # The leg's thread

    def refresh(self) -> None:
        """Nothing: the gate's thread keeps this up to date."""

    def connections(self) -> Collection[int]:
        """See ``Link``."""
        with self._lock:
            return tuple(self._ours)

    def identify(self, descriptor: int) -> None:
        """See ``Link``."""
        with self._lock:
            self._ours = {descriptor} - self._gone
            self._settle()

    def close(self) -> None:
        """Nobody takes this place any more."""
        with self._lock:
            self._closed = True

    def _settle(self) -> None:
        self.ended = self.ended or (self.usable and not self._ours)


def _monitor(socket: Socket, context: Context, address: str) -> Socket:
    """A socket that reads the events of another one.

    It is made first: a monitor that nobody reads blocks for ever when it is to end, so none may be left where
    there was no descriptor for its reader.
    """
    reader = context.socket(zmq.PAIR)
    try:
        socket.monitor(address, _EVENTS)
        reader.connect(address)
    except BaseException:
        reader.close(0)
        raise
    return reader


class GateKeeper(threading.Thread):
    """Answers ZAP requests and reads monitors until ``stop``.

    If a callback of the gate raises, nobody gets in any more and ``fault`` holds the exception.
    """

    def __init__(self, context: Context, gate: Gate, on_fault: Callable[[], None]) -> None:
        super().__init__(name="selo-gate", daemon=True)
        self.refusals = Refusals()
        self.fault: BaseException | None = None
        self._context = context
        self._gate = gate
        self._on_fault = on_fault
        self._control = Waker()
        self._stopping = False
        self._orders: queue.SimpleQueue[tuple[Place, Socket] | None] = queue.SimpleQueue()
        self._monitors: dict[Socket, Place] = {}
        # Bound here, before the thread runs: no socket is ever without a gate.
        self._zap = context.socket(zmq.REP)
        self._zap.bind("inproc://zeromq.zap.01")

    # The listener's thread

    def guard(self, socket: Socket, domain: bytes, changed: Callable[[], None]) -> Place:
        """Put the gate in front of a socket that is not bound yet."""
        place = Place(domain, self.refusals, changed)
        socket.plain_server = True
        socket.zap_domain = domain
        monitor = _monitor(socket, self._context, f"inproc://selo.monitor.{domain.decode('ascii')}")
        self._orders.put((place, monitor))
        self._control.poke()
        return place

    def release(self, socket: Socket, place: Place) -> None:
        """Take the gate away again and close the socket, with everything behind it."""
        place.close()
        socket.disable_monitor()
        socket.close(0)

    def stop(self) -> None:
        """End the thread; every guarded socket was released before."""
        self._orders.put(None)
        self._control.poke()
        self.join()
        self._control.close()

    # The gate's own thread

    def run(self) -> None:
        """Serve until ``stop``."""
        try:
            while not self._stopping:
                self._serve_once()
        finally:
            for socket in (self._zap, *self._monitors):
                socket.close(0)

    def _serve_once(self) -> None:
        poller = zmq.Poller()
        for source in (self._zap, self._control.fileno(), *self._monitors):
            poller.register(source, zmq.POLLIN)
        ready = dict(poller.poll())
        # First the orders: whoever knocks must find the place that he knocks at. Then the events,
        # all of them: where somebody comes from can only be told while he is there.
        self._take_orders()
        for monitor in list(self._monitors):
            self._read_monitor(monitor)
        if self._zap in ready:
            self._answer()

    def _take_orders(self) -> None:
        self._control.take()
        while not self._orders.empty():
            order = self._orders.get()
            if order is None:
                self._stopping = True
            else:
                place, monitor = order
                self._monitors[monitor] = place

    def _read_monitor(self, monitor: Socket) -> None:
        for _ in range(_EVENTS_PER_TURN):
            if not ready_events(monitor) & zmq.POLLIN:
                return
            event, value = _EVENT.unpack(monitor.recv_multipart()[0])
            if event == zmq.EVENT_MONITOR_STOPPED:
                del self._monitors[monitor]
                monitor.close(0)
                return
            self._monitors[monitor].on_event(event, value)

    def _answer(self) -> None:
        version, request, domain, host, _identity, mechanism, *credentials = self._zap.recv_multipart()
        # For ipc:// libzmq says "localhost:uid:gid:pid", as far as it knows.
        named = host.decode("ascii", "replace")
        peer = named if named and not named.startswith("localhost") else LOCAL_PROCESS
        place = next((place for place in self._monitors.values() if place.domain == domain), None)
        status = _REFUSED
        if self.fault is None:
            try:
                status, reason = self._judge(place, peer, mechanism, credentials)
            except Exception as fault:
                self.fault = fault
                self._on_fault()
            else:
                self._note(place, peer, reason)
        self._zap.send_multipart([version, request, status, b"", b"", b""])

    def _judge(
        self, place: Place | None, peer: str, mechanism: bytes, credentials: list[bytes]
    ) -> tuple[bytes, str]:
        """Mechanism, user name, ticket, place, in this order (docs/PROTOCOL.md, section 5).

        Without a place the socket was given up while this peer knocked: it may try again at the next one.
        """
        if mechanism != b"PLAIN" or len(credentials) != 2 or credentials[0] != USER_NAME:
            return _REFUSED, OTHER_PROGRAM
        ticket = credentials[1]
        if not self._gate.check(ticket):
            return _REFUSED, NO_GOOD_TICKET
        if place is None or not place.take(peer):
            return _BUSY, BUSY
        self._gate.spend(ticket)
        return _ADMITTED, ""

    def _note(self, place: Place | None, peer: str, reason: str) -> None:
        if not reason:
            return
        self.refusals.add(peer, reason)
        if place is not None:
            place.turned_away(peer)
