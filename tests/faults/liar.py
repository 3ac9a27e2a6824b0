"""Somebody with a key that is trusted: it seals whatever a script says."""

from __future__ import annotations

import time

from selo.agents.bodies import Abort, Ack, Answer, Offer
from selo.agents.routes import FRAME_MAX
from selo.crypto.established import Established
from selo.crypto.records import Record, RecordType
from selo.transport.base import Leg
from selo.transport.frames import RecordFrame, new_record_frame, parse

PATIENCE = 20.0
"""Seconds after which a session is called hung."""


class Liar:
    """One end of a session."""

    def __init__(self, leg: Leg, established: Established) -> None:
        self._leg = leg
        self._sealer = established.sealer
        self._opener = established.opener

    def send(self, kind: RecordType, plaintext: bytes = b"") -> None:
        """Seal and send one record."""
        frame = new_record_frame(len(plaintext))
        frame.header[:] = self._sealer.seal_into(kind, plaintext, frame.body)
        while not self._leg.try_send(frame.buffer):
            self._leg.wait(1.0, want_write=True)

    def send_final(self, digest: bytes) -> None:
        """Seal and send the right FINAL, but for the digest."""
        self.send(RecordType.FINAL, self._sealer.totals(digest).pack())

    def receive(self) -> Record:
        """Open the next record that is no PING.

        Raises:
            LegClosed: the other side closed.
        """
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            frame = self._leg.try_receive()
            if frame is None:
                self._leg.wait(1.0)
                continue
            parsed = parse(frame, max_length=FRAME_MAX)
            assert isinstance(parsed, RecordFrame)
            record = self._opener.open(parsed.header, parsed.body)
            if record.type is not RecordType.PING:
                return record
        raise AssertionError("no record came")

    def take(self, kind: RecordType) -> bytes:
        """The next record of a type; ACKs before it are passed over."""
        while (record := self.receive()).type is not kind:
            assert record.type is RecordType.ACK, record
        return record.plaintext

    def take_ack(self) -> Ack:
        """The next record, which is an ACK."""
        record = self.receive()
        assert record.type is RecordType.ACK, record
        return Ack.unpack(record.plaintext)

    def told(self) -> Abort:
        """What the other side gives up with."""
        return Abort.unpack(self.take(RecordType.ABORT))

    # As an Emitter

    def begin(self, offer: Offer) -> Answer:
        """OPEN, and what the Receiver says to it."""
        self.send(RecordType.OPEN, offer.pack())
        return Answer.unpack(self.take(RecordType.OPEN))

    def place(self, where: int = 0, next_seq: int = 1) -> None:
        """The place from which DATA goes on; or, later, the confirmation of the receipt."""
        self.send(RecordType.ACK, Ack(next_seq, where).pack())

    # As a Receiver

    def welcome(self, answer: Answer) -> tuple[Offer, int]:
        """Answer the OPEN; the offer, and the place that the Emitter says."""
        offer = Offer.unpack(self.take(RecordType.OPEN))
        self.send(RecordType.OPEN, answer.pack())
        return offer, self.take_ack().durable_bytes

    def take_all(self) -> tuple[Offer, bytes]:
        """Everything of a delivery up to its FINAL, whose body comes back too."""
        offer, _ = self.welcome(Answer())
        while (record := self.receive()).type is RecordType.DATA:
            pass
        assert record.type is RecordType.FINAL
        return offer, record.plaintext
