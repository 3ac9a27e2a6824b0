"""The Emitter's half of a session that carries a delivery (docs/PROTOCOL.md, section 9).

OPEN out, and the Receiver's answer in; our ACK says from where DATA goes on; DATA within the window, FINAL,
until the RECEIPT and the signature that comes with it, which our last ACK confirms.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from contextlib import suppress

from selo.agents.bodies import Ack, Answer, Offer
from selo.agents.delivery import Pace, SendWindow
from selo.agents.errors import DigestMismatch, PeerMisbehaved
from selo.agents.reader import Reader
from selo.agents.session import FRAMES_PER_TURN, Session
from selo.crypto.handshake import SessionLimits
from selo.crypto.records import Record, RecordType
from selo.transport.base import LegClosed


class Outgoing:
    """Sends one delivery, or the rest of one; done when a RECEIPT equal to our FINAL was opened.

    ``check`` is handed the signed statement that comes before the RECEIPT, and raises if it is not the
    Receiver's over this delivery; ``on_receipt`` is called before our last ACK. ``on_place`` is told what the
    Receiver has, and from where we go on.
    """

    accepts = frozenset({RecordType.OPEN, RecordType.DATA, RecordType.ACK, RecordType.RECEIPT})

    def __init__(
        self,
        offer: Offer,
        reader: Reader,
        check: Callable[[bytes], None],
        on_receipt: Callable[[], None],
        *,
        limits: SessionLimits,
        record_size: int,
        on_place: Callable[[Answer, int], None],
        on_progress: Callable[[int], None],
    ) -> None:
        self._offer = offer
        self._reader = reader
        self._check = check
        self._on_receipt = on_receipt
        self._on_place = on_place
        self._on_progress = on_progress
        self._pace = Pace(min(record_size, limits.max_plaintext), started=time.monotonic())
        self._opened = False
        self._answer: Answer | None = None
        self._place: int | None = None
        self._final: bytes | None = None
        self._attested = False
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

    @property
    def acknowledged(self) -> int | None:
        """Bytes of the delivery, from its beginning, that the Receiver has; None until that is settled."""
        return None if self._place is None else self._place + self.window.acknowledged_bytes

    def advance(self, session: Session) -> bool:
        """See ``Handler.advance``."""
        if not self._opened:
            session.send(RecordType.OPEN, self._offer.pack())
            self._opened = True
        if self._answer is None or self._final is not None:
            return False
        if self._place is None and not self._settle(session):
            return False
        more = self._send_data(session)
        if session.can_send and self._reader.ended:
            self._final = session.send_final(self._reader.content.blake3)
        return more

    def _settle(self, session: Session) -> bool:
        """Say where we go on, once that was found; whether it was said."""
        place = self._reader.place
        if place is None or not session.can_send or self._answer is None:
            return False
        session.send(RecordType.ACK, Ack(session.expected_seq, place).pack())
        self._place = place
        self._pace = self._pace.again(time.monotonic())
        self._on_place(self._answer, place)
        return True

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
        """See ``Handler.receive``."""
        if record.type is RecordType.OPEN:
            self._answer = Answer.unpack(record.plaintext)
            self._reader.take_up(self._answer)
        elif self._place is None:
            raise PeerMisbehaved(f"{record.type.name} before the delivery's place was settled")
        elif record.type is RecordType.ACK:
            self._take_ack(record, session)
        elif self._final is None:
            raise PeerMisbehaved(f"{record.type.name} before FINAL")
        elif record.type is RecordType.DATA:
            if self._attested:
                raise PeerMisbehaved("a second statement")
            self._check(record.plaintext)
            self._attested = True
        else:
            self._take_receipt(record, session)

    def _take_ack(self, record: Record, session: Session) -> None:
        self.window.acknowledge(Ack.unpack(record.plaintext), sealed=session.next_seq)
        self._pace.acknowledged(self.window.acknowledged_bytes, now=time.monotonic())
        acknowledged = self.acknowledged
        assert acknowledged is not None
        self._reader.acknowledge(acknowledged)
        self._on_progress(acknowledged)

    def _take_receipt(self, record: Record, session: Session) -> None:
        assert self._final is not None
        if not hmac.compare_digest(record.plaintext, self._final):
            raise DigestMismatch
        if not self._attested:
            raise PeerMisbehaved("RECEIPT without a signed statement")
        self._on_receipt()
        self.done = True  # whether or not the Receiver hears of it
        with suppress(LegClosed):
            session.send(RecordType.ACK, Ack(session.expected_seq, self._reader.length).pack())
