"""What a transport is: legs that carry frames, listeners that yield legs.

A leg is one connection for one session. It moves whole frames (byte strings
that it never looks into) and knows no keys and no files. Everything is
non-blocking but ``wait``, and everything but ``wake`` belongs to one thread:

    ready = leg.wait(timeout, want_write=bool(pending))
    while (frame := leg.try_receive()) is not None: ...
    leg.try_send(frame)

Frames keep their order. A transport does not promise delivery: what a peer has
is what it acknowledged in an authenticated record.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from selo.errors import LocalFault, SessionError, TrustError, UnreachableError

Frame = bytes | bytearray | memoryview


class Ready(NamedTuple):
    """Why ``wait`` came back; all false when its time was over."""

    readable: bool
    writable: bool
    woken: bool


class Leg(Protocol):
    """One end of one connection."""

    @property
    def peer_address(self) -> str:
        """Where the other end is, as far as the transport knows; for reports only."""

    @property
    def admitted_at(self) -> float | None:
        """When our gate let the other end in (``time.monotonic`` seconds); None where we have none."""

    def wait(self, timeout: float, *, want_write: bool = False) -> Ready:
        """Sleep until a frame (or the end) can be read, ``wake`` was called, or
        ``timeout`` seconds are over; with ``want_write`` also until a frame can be sent.

        The one call that blocks. A closed leg is readable: ``try_receive`` says why.
        """

    def try_send(self, frame: Frame) -> bool:
        """Hand over one frame; False when there is no room now (or no connection yet).

        After True the caller never touches the frame's memory again: it may be sent from there.

        Raises:
            LegClosed: the connection is gone, and nothing that arrived is left to read.
            MisuseError: the frame is empty, or longer than this leg carries.
            GateRefused, GateBusy, ConnectFailed: a connecting leg was not let in.
        """

    def try_receive(self) -> Frame | None:
        """The next frame, or None when none is here now. The frame belongs to the caller.

        Raises:
            LegClosed: the connection is gone and every frame that arrived was handed out.
            FrameRefused: the other end sent what no transport frame can be.
            GateRefused, GateBusy, ConnectFailed: as for ``try_send``.
        """

    def wake(self) -> None:
        """Make the current or next ``wait`` return. The one call that any thread, and a
        signal handler, may make; harmless after ``close``."""

    def close(self) -> None:
        """Drop the connection at once, without waiting for anything. May be called twice."""


class Listener(Protocol):
    """A bound address that yields one leg after another, one at a time."""

    @property
    def address(self) -> str:
        """The bound address as a peer would connect to it, the real port in it."""

    def accept(self, timeout: float) -> Leg | None:
        """The next admitted leg, or None when ``timeout`` seconds are over or ``wake`` was called.

        The leg before it must be closed; its address is bound again here, so for a moment
        between two legs nobody listens, and whoever connects then has to try again.
        """

    def take_refusals(self) -> list[Refusal]:
        """Who was turned away at the gate since the last call; bounded, for reports only."""

    def wake(self) -> None:
        """Make the current or next ``accept`` return; any thread, any signal handler."""

    def close(self) -> None:
        """Stop listening, close the open leg. May be called twice."""


Admit = Callable[[bytes], bool]
"""Says whether a shown ticket is good, without spending it; ``transport`` knows no keys."""


@dataclass(frozen=True)
class Gate:
    """What a listener asks about a ticket (docs/PROTOCOL.md, section 5).

    ``check(ticket)`` says whether it is good; ``spend(ticket)`` marks it as used, called only
    when the listener lets its bearer in. Both are called from the listener's own thread.
    """

    check: Admit
    spend: Callable[[bytes], None]


@dataclass(frozen=True)
class Refusal:
    """Somebody who was turned away: where from (no port), why, and how often in a row.

    ``untrusted``: for a ticket or a handshake that was not good, and not merely because the
    place was taken or they speak something else.
    """

    peer_address: str
    reason: str
    count: int = 1
    untrusted: bool = False


class LegClosed(SessionError):
    """The connection ended. ``reason`` is what the transport knows."""

    def __init__(self, reason: str = "the connection was closed") -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class FrameRefused(SessionError):
    """Bytes that cannot be a frame: too long, empty, several parts, or not the one legal encoding."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"not a Selo frame: {self.reason}"


class GateRefused(TrustError):
    """The listener answered 400: it does not answer to the identity our ticket was made for."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address

    def __str__(self) -> str:
        return f"the listener at {self.address} refused our admission ticket"


class GateBusy(UnreachableError):
    """The listener answered 500: it has another peer now. Trying again may help."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address

    def __str__(self) -> str:
        return f"the listener at {self.address} is busy with another peer"


class ConnectFailed(UnreachableError):
    """Nobody listens there, or who listens does not speak our transport."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address = address
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot connect to {self.address}: {self.reason}"


class BindFailed(LocalFault):
    """The address cannot be listened on."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address = address
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot listen on {self.address}: {self.reason}"
