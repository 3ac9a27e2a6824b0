"""A peer that is who it says it is, and does what its script says."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from selo.agents.bodies import Ack, Answer, Kind, Offer
from selo.agents.content import ContentHash, Summary
from selo.agents.listing import whole_as_item
from selo.agents.receipting import statement_of
from selo.agents.routes import FRAME_MAX
from selo.crypto import receipts
from selo.crypto.handshake import Established
from selo.crypto.identity import Identity
from selo.crypto.records import Record, RecordType
from selo.transport.base import Leg, LegClosed
from selo.transport.frames import RecordFrame, new_record_frame, parse

PATIENCE = 30.0
"""Seconds after which a test is called hung; nothing waits that long when all is well."""


class Rogue:
    """A scripted peer that authenticates honestly and then seals whatever its script says."""

    def __init__(self, leg: Leg, established: Established, identity: Identity) -> None:
        self._leg = leg
        self._established = established
        self._identity = identity
        self._sealer = established.sealer
        self._opener = established.opener
        self.offer = Offer(Kind.STREAM, None, None)
        """What was offered, by us or to us."""
        self.content = bytearray()
        """The DATA that ``take`` passed."""

    # What an honest Receiver does

    def welcome(self, answer: Answer = Answer()) -> int:  # noqa: B008 - it is frozen
        """Take the Emitter's OPEN and answer it; the place from which it goes on."""
        self.offer = Offer.unpack(self.take(RecordType.OPEN).plaintext)
        self.send(RecordType.OPEN, answer.pack())
        return Ack.unpack(self.take(RecordType.ACK).plaintext).durable_bytes

    def summary(self, content: bytes) -> Summary:
        """What was stored, if that was ``content`` and no tree."""
        digest = ContentHash(sha256=self.offer.sha256)
        digest.update(content)
        log = whole_as_item(self.offer, len(content), digest)
        return Summary(len(content), digest.blake3, log.count, log.size, log.hash, True, None)

    def attestation(self, content: bytes, seconds: int = 1_700_000_000) -> bytes:
        """The signed statement that all of the delivery, ``content``, is stored."""
        statement = statement_of(
            self._established, self._identity.public, self.offer, self.summary(content), time=seconds
        )
        return receipts.attest(self._identity, statement).pack()

    def receipt(self, final: Record, content: bytes) -> Ack:
        """Send the statement and the RECEIPT; the Emitter's word that it has them."""
        self.send(RecordType.DATA, self.attestation(content))
        self.send(RecordType.RECEIPT, bytes(final.plaintext))
        return Ack.unpack(self.take(RecordType.ACK).plaintext)

    # What an honest Emitter does

    def begin(self, offer: Offer, place: int | None = 0) -> Answer:
        """Send OPEN, and when the answer came the ``place`` (None: the end of what is there)."""
        self.offer = offer
        self.send(RecordType.OPEN, offer.pack())
        answer = Answer.unpack(self.take(RecordType.OPEN).plaintext)
        self.settle(answer.held if place is None else place)
        return answer

    def settle(self, place: int) -> None:
        """Say the place, in answer to the last record that came."""
        self.send(RecordType.ACK, Ack(self.expected_seq, place).pack())

    def take_receipt(self) -> tuple[bytes, bytes]:
        """The statement and the RECEIPT, whose arrival is confirmed."""
        statement = self.take(RecordType.DATA)
        receipt = self.take(RecordType.RECEIPT)
        self.settle(0)
        return bytes(statement.plaintext), bytes(receipt.plaintext)

    # Both

    @property
    def expected_seq(self) -> int:
        """The number of the next record of the other side."""
        return self._opener.next_seq

    def take(self, until: RecordType) -> Record:
        """Open records until one of a type comes; DATA that goes by is kept in ``content``."""
        while (record := self.receive()).type is not until:
            if record.type is RecordType.DATA:
                self.content += record.plaintext
        return record

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
        """Open the next record that is no PING."""
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

    def pause(self, seconds: float) -> None:
        """Wait, and drop what comes meanwhile.

        Raises:
            LegClosed: the other side closed.
        """
        self._leg.wait(seconds)
        while self._leg.try_receive() is not None:
            pass

    def hears(self, seconds: float) -> bool:
        """Whether anything comes in that time; it stays to be received."""
        return self._leg.wait(seconds).readable

    def until_closed(self, step: Callable[[], object]) -> None:
        """Do ``step`` again and again until the other side has closed."""
        with suppress(LegClosed):
            while True:
                step()

    def allow_anything(self) -> None:
        """Take the rules out of the sealer, as a broken implementation would."""
        self._sealer._checked = lambda *_: self._sealer._protection  # type: ignore[method-assign]
        self._sealer._rules.advance = lambda _type: None  # type: ignore[method-assign]


Script = Callable[[Rogue], object]
