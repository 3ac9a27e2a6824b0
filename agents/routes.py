"""How an agent's ends meet: dialling and listening on an address, or one leg that is there already."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from selo.agents.meeting import Connecting, Dial, Listening, Meeting
from selo.agents.meeting_errors import OnePeerToConnectTo
from selo.config.settings import Settings
from selo.config.trust import Peer
from selo.crypto.admission import TicketGate, make_ticket
from selo.crypto.identity import Identity, PublicIdentity
from selo.crypto.limits import MAX_PLAINTEXT, TAG_LENGTH, TICKET_NONCE_LENGTH
from selo.errors import MisuseError
from selo.transport import connect as connect_leg
from selo.transport import listen
from selo.transport.base import Gate, Leg, LegClosed, Listener, Refusal
from selo.transport.frames import RecordFrame

FRAME_MAX = MAX_PLAINTEXT + TAG_LENGTH + RecordFrame.OVERHEAD
"""Bytes of the largest frame that any session can carry."""


FRAMING = RecordFrame.OVERHEAD + 16
"""Bytes around a record's body, with ZeroMQ's own generously counted."""

CONTROL_RECORDS = 4 << 20
"""Bytes of PINGs and ACKs that may wait while a suspended process is not reading: days of them."""


def dial(url: str, settings: Settings) -> Dial:
    """Connect to ``url``; every attempt shows a fresh ticket, made for the identity it is to reach."""

    def attempt(identity: PublicIdentity, count: int) -> Leg:
        ticket = make_ticket(identity.fingerprint, os.urandom(TICKET_NONCE_LENGTH))
        return connect_leg(
            url,
            ticket,
            max_frame=FRAME_MAX,
            max_ahead=_max_ahead(settings),
            handshake_timeout=settings.handshake_deadline,
            attempt=count,
        )

    return attempt


def listen_on(url: str, *, own_fingerprint: bytes, settings: Settings) -> Listener:
    """Listen on ``url`` behind a gate that asks for a ticket made for our fingerprint.

    Raises:
        AddressError: ``url`` is none.
        BindFailed: it cannot be listened on.
    """
    gate = TicketGate(own_fingerprint)
    return listen(
        url,
        Gate(gate.check, gate.spend),
        max_frame=FRAME_MAX,
        max_ahead=_max_ahead(settings),
        admission_deadline=settings.first_message_deadline,
    )


def _max_ahead(settings: Settings) -> int:
    """Bytes that an honest peer may have under way: the window that we grant, its framing, and PINGs."""
    return settings.window_bytes + settings.window_records * (TAG_LENGTH + FRAMING) + CONTROL_RECORDS


@contextmanager
def meeting(
    *, connect: str | None, bind: str | None, identity: Identity, peers: Collection[Peer], settings: Settings
) -> Iterator[Meeting]:
    """The meeting with one of ``peers`` at the address that was given, whose listener ends with the block.

    Raises:
        OnePeerToConnectTo: ``connect`` with several peers: only one of them can be listening there.
        AddressError, BindFailed: see ``listen_on``.
        MisuseError: not exactly one of ``connect`` and ``bind``.
    """
    if (connect is None) == (bind is None):
        raise MisuseError("give either an address to connect to or one to bind")
    names = tuple(sorted(peer.name for peer in peers))
    if connect is not None:
        if len(peers) != 1:
            raise OnePeerToConnectTo(names)
        (peer,) = peers
        yield Connecting(connect, peer, dial(connect, settings))
        return
    assert bind is not None
    listener = listen_on(bind, own_fingerprint=identity.fingerprint, settings=settings)
    try:
        yield Listening(listener, names)
    finally:
        listener.close()


class OneLegListener:
    """A listener for an end that is connected from the start: a pipe between two processes."""

    def __init__(self, leg: Leg, address: str) -> None:
        self.address = address
        self._leg = leg
        self._taken = False

    def accept(self, timeout: float) -> Leg | None:
        """The one leg.

        Raises:
            LegClosed: it was handed out before; nobody else can come.
        """
        if self._taken:
            raise LegClosed("the one connection there was is gone")
        self._taken = True
        return self._leg

    def take_refusals(self) -> list[Refusal]:
        """Nobody else can knock."""
        return []

    def wake(self) -> None:
        """``accept`` never sleeps."""

    def close(self) -> None:
        """Close the leg."""
        self._leg.close()
