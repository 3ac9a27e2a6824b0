"""The Emitter's half of a delivery: OPEN, DATA within the window, FINAL, until the RECEIPT."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable

from selo.agents.bodies import Ack, Offer
from selo.agents.delivery import Pace, SendWindow
from selo.agents.errors import DigestMismatch, PeerMisbehaved
from selo.agents.session import FRAMES_PER_TURN, Session
from selo.agents.workers import Reader
from selo.crypto.handshake import SessionLimits
from selo.crypto.records import Record, RecordType


class Outgoing:
    """Sends one delivery; done when a RECEIPT equal to our FINAL was opened."""

    accepts = frozenset({RecordType.ACK, RecordType.RECEIPT})

    def __init__(
        self,
        offer: Offer,
        reader: Reader,
        *,
        limits: SessionLimits,
        record_size: int,
        on_progress: Callable[[int], None],
    ) -> None:
        self._offer = offer
        self._reader = reader
        self._on_progress = on_progress
        self._pace = Pace(min(record_size, limits.max_plaintext), started=time.monotonic())
        self._opened = False
        self._final: bytes | None = None
        self.window = SendWindow(limits)
        self.done = False

    @property
    def must_finish(self) -> bool:
        """Never: an Emitter that is interrupted loses nothing that it could keep."""
        return False

    @property
    def finished_sending(self) -> bool:
        """Whether FINAL was sealed: from here on a lost link leaves the outcome unknown."""
        return self._final is not None

    def advance(self, session: Session) -> bool:
        if not self._opened:
            session.send(RecordType.OPEN, self._offer.pack())
            self._opened = True
        if self._final is not None:
            return False
        more = self._send_data(session)
        if session.can_send and self._reader.ended:
            self._final = session.send_final(self._reader.digest)
        return more

    def _send_data(self, session: Session) -> bool:
        """Send up to a turn's worth; whether there may be more to send at once."""
        for _ in range(FRAMES_PER_TURN):
            size = self._pace.record_size
            if not (session.can_send and self.window.has_room(size)):
                return False
            piece = self._reader.take(size)
            if not piece:
                return False
            self.window.sent(session.next_seq, len(piece))
            session.send(RecordType.DATA, piece)
        return True

    def receive(self, record: Record, session: Session) -> None:
        if not self._opened:
            raise PeerMisbehaved(f"{record.type.name} before OPEN")
        if record.type is RecordType.ACK:
            self.window.acknowledge(Ack.unpack(record.plaintext), sealed=session.next_seq)
            acknowledged = self.window.acknowledged_bytes
            self._pace.acknowledged(acknowledged, now=time.monotonic())
            self._on_progress(acknowledged)
            return
        if self._final is None:
            raise PeerMisbehaved("RECEIPT before FINAL")
        if not hmac.compare_digest(record.plaintext, self._final):
            raise DigestMismatch
        self.done = True
