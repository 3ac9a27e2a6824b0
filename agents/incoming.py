"""The Receiver's half of a session that carries a delivery (docs/PROTOCOL.md, section 9).

OPEN comes, and is answered with what is here already, or refused; the Emitter's ACK says from where its
DATA goes on; after FINAL everything is stored, signed for and receipted, and the Emitter's last ACK says
that it has the receipt.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from selo.agents.bodies import Ack, Answer, Kind, Offer
from selo.agents.content import Summary
from selo.agents.delivery import ReceiveWindow
from selo.agents.errors import BeginAnew, DigestMismatch, OpenMissing, PeerMisbehaved, WrongKind
from selo.agents.session import Session
from selo.agents.writer import Writer, check_place
from selo.crypto.handshake import SessionLimits
from selo.crypto.records import Record, RecordType, Totals

Claim = Callable[[Offer], Writer]
"""Gives the writer for a delivery, new or one that goes on; raises what the Emitter is to be refused with."""


class Incoming:
    """Takes one delivery, or the rest of one; done when the Emitter has its receipt."""

    accepts = frozenset({RecordType.OPEN, RecordType.ACK, RecordType.DATA, RecordType.FINAL})

    def __init__(
        self,
        claim: Claim,
        attest: Callable[[Offer, Summary], bytes],
        *,
        limits: SessionLimits,
        open_by: float,
        on_place: Callable[[Answer, int], None],
        on_progress: Callable[[int], None],
    ) -> None:
        self._claim = claim
        self._attest = attest
        self._open_by = open_by
        self._on_place = on_place
        self._on_progress = on_progress
        self._writer: Writer | None = None
        self._answer: Answer | None = None
        self._place: int | None = None
        self._records_before = 0
        self._answer_seq = 0
        self._receipt_seq: int | None = None
        self._receipt_waits = False
        self.offer: Offer | None = None
        self.totals: Totals | None = None
        self.window = ReceiveWindow(limits)
        self.done = False

    @property
    def must_finish(self) -> bool:
        """Whether FINAL verified, and what is left to do is ours: to store it, and to hand the RECEIPT over.

        Not to wait until an Emitter that does not read makes room for it.
        """
        return self.totals is not None and self._receipt_seq is None and not self._receipt_waits

    def advance(self, session: Session) -> bool:
        """See ``Handler.advance``."""
        writer = self._writer
        if writer is None:
            if time.monotonic() > self._open_by:
                raise OpenMissing
            return False
        if writer.failure is not None:
            raise writer.failure
        if self._answer is None:
            if writer.answer is not None and session.can_send:
                self._answer, self._answer_seq = writer.answer, session.next_seq
                # All that came in earlier sessions is written by now, and nothing of this one yet.
                self._records_before = writer.consumed_records
                session.send(RecordType.OPEN, self._answer.pack())
        elif self.totals is not None and writer.stored is not None:
            self._receipt(session, writer.stored)
        elif self._place is not None:
            if self.totals is not None and session.is_stopping:
                writer.hurry()
            self._acknowledge(session, writer)
        return False

    def _acknowledge(self, session: Session, writer: Writer) -> None:
        self.window.consumed(writer.consumed_records - self._records_before)
        if self.window.ack_is_due and session.can_send:
            session.send(RecordType.ACK, self.window.ack(session.expected_seq).pack())
            self._on_progress(writer.position)

    def _receipt(self, session: Session, stored: Summary) -> None:
        assert self.offer is not None and self.totals is not None
        if self._receipt_seq is not None:
            return
        if self.totals.digest != stored.blake3:
            raise DigestMismatch
        self._receipt_waits = not session.can_send
        if self._receipt_waits:
            return
        session.send(RecordType.DATA, self._attest(self.offer, stored))
        self._receipt_seq = session.next_seq
        session.send(RecordType.RECEIPT, session.receipt(stored.blake3))

    def receive(self, record: Record, session: Session) -> None:
        """See ``Handler.receive``."""
        # The order of OPEN, DATA and FINAL within their direction was checked by the opener.
        if record.type is RecordType.OPEN:
            self._open(Offer.unpack(record.plaintext))
        elif record.type is RecordType.ACK:
            self._acknowledged(Ack.unpack(record.plaintext), session)
        elif self._place is None or self._writer is None:
            raise PeerMisbehaved(f"{record.type.name} before its place in the delivery was said")
        elif record.type is RecordType.DATA:
            self.window.arrived(record.seq, len(record.plaintext))
            self._check_size(whole=False)
            self._writer.put(record.plaintext)
        else:
            self._check_size(whole=True)
            self.totals = Totals.unpack(record.plaintext)
            if self._writer.stored is None:
                self._writer.finish(self.totals.digest)

    def _open(self, offer: Offer) -> None:
        if offer.kind is Kind.CONVERSATION:
            raise WrongKind("a conversation", "a delivery")
        self.offer = offer
        self._writer = self._claim(offer)

    def _acknowledged(self, ack: Ack, session: Session) -> None:
        """The first ACK settles the place, the one after the RECEIPT says that it came; there is no other."""
        if self._receipt_seq is not None:
            if not self._receipt_seq < ack.next_seq <= session.next_seq:
                raise PeerMisbehaved("ACK of something else than the RECEIPT")
            self.done = True
            return
        if self._answer is None or self._writer is None or self._place is not None:
            raise PeerMisbehaved("ACK out of place")
        if not self._answer_seq < ack.next_seq <= session.next_seq:
            raise PeerMisbehaved("ACK of something else than the answer")
        check_place(self._answer, ack.durable_bytes)
        if self._answer.complete and ack.durable_bytes != self._answer.held:
            raise BeginAnew
        self._place = ack.durable_bytes
        if not self._answer.complete:
            self._writer.go_on(self._place)
        self._on_place(self._answer, self._place)

    def _check_size(self, *, whole: bool) -> None:
        """A file is as long as its OPEN said: the room for it was looked at, and its name may mean a length.

        A stream's size is only information. What is stored already takes nothing more.
        """
        offer = self.offer
        assert offer is not None and self._place is not None and self._answer is not None
        arrived = self._place + self.window.arrived_bytes
        if self._answer.complete and arrived > self._place:
            if not self._answer.held:  # nothing was stored: its end and its beginning are one place
                raise BeginAnew
            raise PeerMisbehaved("DATA after the end of a delivery that is stored")
        if offer.kind is not Kind.FILE or offer.size is None:
            return
        if arrived > offer.size or (whole and arrived != offer.size):
            raise PeerMisbehaved(f"a file of {offer.size:,} bytes came with {arrived:,}")
