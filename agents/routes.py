"""How an agent's ends meet: dialling and listening on an address, or one leg that is there already."""

from __future__ import annotations

import os

from selo.agents.emitter import Dial
from selo.config.settings import Settings
from selo.crypto.admission import TicketGate, make_ticket
from selo.crypto.limits import MAX_PLAINTEXT, TAG_LENGTH, TICKET_NONCE_LENGTH
from selo.transport import connect, listen
from selo.transport.base import Gate, Leg, LegClosed, Listener, Refusal
from selo.transport.frames import RecordFrame

FRAME_MAX = MAX_PLAINTEXT + TAG_LENGTH + RecordFrame.OVERHEAD
"""Bytes of the largest frame that any session can carry."""


FRAMING = RecordFrame.OVERHEAD + 16
"""Bytes around a record's body, with ZeroMQ's own generously counted."""

CONTROL_RECORDS = 4 << 20
"""Bytes of PINGs and ACKs that may wait while a suspended process is not reading: days of them."""


def dial(url: str, *, listener_fingerprint: bytes, settings: Settings) -> Dial:
    """Connect to ``url``, where the identity of that fingerprint is said to listen.

    Every attempt shows a fresh admission ticket.
    """

    def attempt(count: int) -> Leg:
        ticket = make_ticket(listener_fingerprint, os.urandom(TICKET_NONCE_LENGTH))
        return connect(
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
