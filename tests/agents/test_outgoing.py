"""The Emitter against an authenticated Receiver that breaks the rules of the delivery."""

from __future__ import annotations

import os
import struct
from dataclasses import replace

import pytest
from blake3 import blake3

from selo.agents import events
from selo.agents.bodies import Abort, AbortCode, Ack, Answer, Kind, Mark, Offer
from selo.agents.errors import (
    DeliveryCut,
    DigestMismatch,
    PeerFailed,
    PeerInterrupted,
    PeerLater,
    PeerMisbehaved,
    ReceiptUnsigned,
)
from selo.agents.sources import BytesSource, IterableSource
from selo.config.settings import Settings
from selo.crypto.errors import RecordRefused
from selo.crypto.receipts import ATTESTATION_LENGTH
from selo.crypto.records import RecordType
from selo.transport.base import LegClosed

DATA = os.urandom(100_000)

SOURCES = {
    "bytes": lambda: BytesSource(DATA),
    "a generator": lambda: IterableSource(chunk for chunk in (DATA[:9], DATA[9:])),
}


def endless():
    """A stream that is never over: whatever ends the session is not its end."""
    while True:
        yield b"more"


def mark(place: int, data: bytes = DATA) -> Mark:
    """The true mark of a place."""
    return Mark(place, blake3(data[:place]).digest())


def told(rogue) -> Abort:
    """Why the Emitter ends the session."""
    return Abort.unpack(rogue.take(RecordType.ABORT).plaintext)


def test_a_signed_receipt_equal_to_our_final_is_success(emit_to_rogue) -> None:
    """An honest scripted Receiver: its statement and the FINAL's own 80 bytes back end the delivery, and
    the Emitter's last ACK names the RECEIPT."""

    def honest(rogue) -> None:
        assert rogue.welcome() == 0
        final = rogue.take(RecordType.FINAL)
        assert final.plaintext[-32:] == blake3(DATA).digest()
        last = rogue.receipt(final, DATA)
        assert (last.next_seq, last.durable_bytes) == (rogue._sealer.next_seq, len(DATA))
        assert rogue.content == DATA

    side = emit_to_rogue(BytesSource(DATA), honest)
    assert side.error is None
    assert (side.outcome.bytes, side.outcome.items, side.outcome.receipt) == (len(DATA), 1, "verified")


@pytest.mark.parametrize("position", range(80))
def test_security_receipt_that_differs_anywhere_is_no_success(emit_to_rogue, position: int) -> None:
    """A RECEIPT with any byte changed is refused, though its tag and the statement verify."""

    def forging(rogue) -> None:
        rogue.welcome()
        receipt = bytearray(rogue.take(RecordType.FINAL).plaintext)
        receipt[position] ^= 1
        rogue.send(RecordType.DATA, rogue.attestation(b"x"))
        rogue.send(RecordType.RECEIPT, bytes(receipt))
        assert told(rogue).code is AbortCode.PROTOCOL

    side = emit_to_rogue(BytesSource(b"x"), forging)
    assert isinstance(side.error, DeliveryCut)
    assert isinstance(side.error.cause, DigestMismatch)


@pytest.mark.parametrize("position", range(ATTESTATION_LENGTH))
def test_security_statement_that_differs_anywhere_is_no_success(emit_to_rogue, position: int) -> None:
    """A statement with any byte changed carries no signature of the Receiver's over this delivery. The
    flag and the time are taken from it, and are signed as well."""

    def forging(rogue) -> None:
        rogue.welcome()
        final = rogue.take(RecordType.FINAL)
        statement = bytearray(rogue.attestation(b"x"))
        statement[position] ^= 1
        rogue.send(RecordType.DATA, bytes(statement))
        rogue.send(RecordType.RECEIPT, bytes(final.plaintext))
        assert told(rogue).code is AbortCode.PROTOCOL

    side = emit_to_rogue(BytesSource(b"x"), forging)
    assert isinstance(side.error, DeliveryCut)
    assert isinstance(side.error.cause, ReceiptUnsigned)
    assert side.error.outcome_unknown


ANOTHER = {
    "cut": lambda rogue: rogue.attestation(b"x")[:-1],
    "longer": lambda rogue: rogue.attestation(b"x") + b"\0",
    "one byte": lambda rogue: b"\0",
    "over other content": lambda rogue: rogue.attestation(b"y"),
    "over less content": lambda rogue: rogue.attestation(b""),
    "over another delivery": lambda rogue: _of(rogue, delivery=bytes(16)),
    "over another kind": lambda rogue: _of(rogue, kind=Kind.FILE, name="x"),
    "over another name": lambda rogue: _of(rogue, name="other"),
    "with SHA-256 that nobody wanted": lambda rogue: _of(rogue, sha256=True),
    "by another Receiver": lambda rogue: _by(rogue),
}


def _of(rogue, **changes) -> bytes:
    rogue.offer = replace(rogue.offer, **changes)
    return rogue.attestation(b"x")


def _by(rogue) -> bytes:
    rogue._identity = type(rogue._identity).generate(os.urandom)
    return rogue.attestation(b"x")


@pytest.mark.parametrize("make", ANOTHER.values(), ids=ANOTHER)
def test_security_statement_about_something_else_is_no_success(emit_to_rogue, make) -> None:
    """A signature that is good, over something else than this delivery, is none over this delivery."""

    def lying(rogue) -> None:
        rogue.welcome()
        final = rogue.take(RecordType.FINAL)
        rogue.send(RecordType.DATA, make(rogue))
        rogue.send(RecordType.RECEIPT, bytes(final.plaintext))
        assert told(rogue).code is AbortCode.PROTOCOL

    side = emit_to_rogue(BytesSource(b"x"), lying)
    assert isinstance(side.error, DeliveryCut)
    assert isinstance(side.error.cause, ReceiptUnsigned)


@pytest.mark.parametrize("statements", [0, 2])
def test_security_one_statement_comes_before_the_receipt(emit_to_rogue, statements: int) -> None:
    """None, or two of them, good as they are, is no success."""

    def miscounting(rogue) -> None:
        rogue.welcome()
        final = rogue.take(RecordType.FINAL)
        for _ in range(statements):
            rogue.send(RecordType.DATA, rogue.attestation(b"x"))
        rogue.send(RecordType.RECEIPT, bytes(final.plaintext))
        assert told(rogue).code is AbortCode.PROTOCOL

    side = emit_to_rogue(BytesSource(b"x"), miscounting)
    assert isinstance(side.error, DeliveryCut)
    assert isinstance(side.error.cause, PeerMisbehaved)


OUT_OF_PLACE = {
    "ACK of records never sent": lambda rogue: rogue.send(RecordType.ACK, Ack(1 << 30, 0).pack()),
    "ACK of bytes never sent": lambda rogue: rogue.send(RecordType.ACK, Ack(0, 1 << 40).pack()),
    "a statement before FINAL": lambda rogue: rogue.send(RecordType.DATA, rogue.attestation(b"")),
    "FINAL of the Receiver": lambda rogue: rogue.send_final(bytes(32)),
}


@pytest.mark.parametrize("send", OUT_OF_PLACE.values(), ids=OUT_OF_PLACE)
def test_security_record_out_of_place_ends_the_session(emit_to_rogue, send) -> None:
    """What authenticates and yet may not come ends with 4; the peer is told that it broke the protocol."""

    def breaking(rogue) -> None:
        rogue.welcome()
        send(rogue)
        assert told(rogue).code is AbortCode.PROTOCOL

    side = emit_to_rogue(IterableSource(endless()), breaking)
    assert isinstance(side.error, DeliveryCut)
    assert isinstance(side.error.cause, PeerMisbehaved)
    assert side.status == 4


@pytest.mark.parametrize(
    ("kind", "body"),
    [(RecordType.RECEIPT, bytes(80)), (RecordType.OPEN, Answer().pack())],
    ids=["RECEIPT before FINAL", "a second answer"],
)
def test_security_the_order_of_a_direction_is_checked(emit_to_rogue, kind: RecordType, body: bytes) -> None:
    """A RECEIPT before our FINAL, or a second OPEN, ends with 4 as well."""

    def breaking(rogue) -> None:
        rogue.welcome()
        rogue.allow_anything()
        rogue.send(kind, body)
        rogue.until_closed(rogue.receive)

    side = emit_to_rogue(IterableSource(endless()), breaking)
    assert isinstance(side.error, DeliveryCut)
    assert isinstance(side.error.cause, RecordRefused | PeerMisbehaved)
    assert side.status == 4


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (RecordType.ACK, Ack(1, 0).pack()),
        (RecordType.OPEN, Offer(Kind.STREAM, None, None).pack()),
        (RecordType.OPEN, Offer(Kind.CONVERSATION, None, None).pack()),
        (RecordType.OPEN, b"\x93\x04\xc4\x00"),
        (RecordType.OPEN, b"\x93\x04\xc4\x00\x01"),
    ],
    ids=["ACK", "an offer", "a conversation", "an answer, cut", "an answer with a number"],
)
def test_security_nothing_but_an_answer_follows_open(emit_to_rogue, kind: RecordType, body: bytes) -> None:
    """Whatever else comes first ends with 4, and no DATA was sent."""

    def breaking(rogue) -> None:
        rogue.take(RecordType.OPEN)
        rogue.send(kind, body)
        assert told(rogue).code is AbortCode.PROTOCOL
        assert not rogue.content

    side = emit_to_rogue(BytesSource(DATA), breaking)
    assert isinstance(side.error, DeliveryCut)
    assert isinstance(side.error.cause, PeerMisbehaved)
    assert side.error.done == 0


def test_security_ack_that_goes_back_ends_the_session(emit_to_rogue) -> None:
    """An ACK below an earlier one ends with 4."""

    def going_back(rogue) -> None:
        rogue.welcome()
        seq = rogue.take(RecordType.DATA).seq
        rogue.send(RecordType.ACK, Ack(seq + 1, 0).pack())
        rogue.send(RecordType.ACK, Ack(seq, 0).pack())
        rogue.take(RecordType.ABORT)

    side = emit_to_rogue(BytesSource(DATA), going_back)
    assert isinstance(side.error.cause, PeerMisbehaved)


# The place


@pytest.mark.parametrize("source_of", SOURCES.values(), ids=SOURCES)
@pytest.mark.parametrize("answer", ["true", "first true", "all false", "beyond the end", "end and beyond"])
def test_security_the_place_is_the_last_one_that_is_the_same(emit_to_rogue, source_of, answer: str) -> None:
    """Marks are compared with the Emitter's own bytes: it goes on from the last true one, and what arrives is
    the delivery from there; a stream that cannot be read again begins at its beginning."""
    marks, place = {
        "true": ((mark(1), mark(500), mark(70_000)), 70_000),
        "first true": ((mark(1), mark(500, bytes(500)), mark(70_000)), 1),
        "all false": ((mark(1, b"\xff" * 99 if DATA[0] != 0xFF else bytes(9)), mark(500, bytes(500))), 0),
        "beyond the end": ((mark(500), Mark(len(DATA) + 1, blake3(DATA + b"x").digest())), 500),
        "end and beyond": ((mark(len(DATA)), Mark(1 << 60, bytes(32))), len(DATA)),
    }[answer]
    source = source_of()
    if not source.restartable:
        place = 0

    def holding(rogue) -> None:
        assert rogue.welcome(Answer(marks)) == place
        final = rogue.take(RecordType.FINAL)
        assert rogue.content == DATA[place:]
        rogue.receipt(final, DATA)

    side = emit_to_rogue(source, holding)
    assert side.error is None
    resumed = [event for event in side.events if isinstance(event, events.Resumed)]
    assert resumed == [events.Resumed(place, marks[-1].position, False)]
    assert side.outcome.bytes == len(DATA)


@pytest.mark.parametrize("wrong", range(5))
def test_security_a_digest_that_lies_is_not_gone_on_from(emit_to_rogue, wrong: int) -> None:
    """Of five marks, each in turn is false: the place is the one before it, though later ones are true."""
    places = [10, 1000, 5000, 70_000, len(DATA)]
    marks = [mark(place) for place in places]
    marks[wrong] = replace(marks[wrong], digest=bytes(32))

    def lying(rogue) -> None:
        place = rogue.welcome(Answer(tuple(marks)))
        assert place == [0, *places][wrong]
        final = rogue.take(RecordType.FINAL)
        assert rogue.content == DATA[place:]
        rogue.receipt(final, DATA)

    assert emit_to_rogue(BytesSource(DATA), lying).error is None


@pytest.mark.parametrize("source_of", SOURCES.values(), ids=SOURCES)
@pytest.mark.parametrize(
    "answer",
    [
        Answer((), True),
        Answer((mark(50_000),), True),
        Answer((Mark(len(DATA), bytes(32)),), True),
        Answer((Mark(len(DATA) + 1, blake3(DATA).digest()),), True),
    ],
    ids=["nothing", "a part", "other content", "more"],
)
def test_security_complete_when_it_is_not_begins_anew(emit_to_rogue, source_of, answer: Answer) -> None:
    """An answer that says "stored" of anything but this very content is not believed: the place is 0, and
    from there comes all of it."""

    def lying(rogue) -> None:
        assert rogue.welcome(answer) == 0
        final = rogue.take(RecordType.FINAL)
        assert rogue.content == DATA
        assert final.plaintext[-32:] == blake3(DATA).digest()
        rogue.receipt(final, DATA)

    side = emit_to_rogue(source_of(), lying)
    assert side.error is None
    assert side.outcome.bytes == len(DATA)


@pytest.mark.parametrize("data", [b"", DATA], ids=["nothing", "data"])
def test_complete_and_the_same_needs_no_more_than_a_receipt(emit_to_rogue, data: bytes) -> None:
    """What was stored before is not sent again, and its receipt is a success like any other."""
    marks = (mark(len(data)),) if data else ()

    def stored(rogue) -> None:
        assert rogue.welcome(Answer(marks, True)) == len(data)
        final = rogue.take(RecordType.FINAL)
        assert not rogue.content
        rogue.receipt(final, data)

    side = emit_to_rogue(BytesSource(data), stored)
    assert side.error is None
    assert (side.outcome.bytes, side.outcome.records) == (len(data), 0)


# The end of a session


def test_link_lost_between_final_and_receipt_is_outcome_unknown(emit_to_rogue) -> None:
    """The Emitter never calls that a success, nor a failure."""

    def leaving(rogue) -> None:
        rogue.welcome()
        rogue.take(RecordType.FINAL)

    side = emit_to_rogue(BytesSource(DATA), leaving)
    assert isinstance(side.error, DeliveryCut)
    assert side.error.outcome_unknown
    assert "outcome unknown" in str(side.error)
    assert side.status == 4


def test_outcome_stays_unknown_when_a_later_session_fails(emit_to_rogue, lasting: Settings) -> None:
    """After a FINAL the Receiver may have stored it, whatever became of the sessions that followed."""

    def leaving(rogue) -> None:
        rogue.welcome()
        rogue.take(RecordType.FINAL)

    def failing(rogue) -> None:
        rogue.take(RecordType.OPEN)
        rogue.send(RecordType.ABORT, Abort(AbortCode.PROTOCOL, "no").pack())

    side = emit_to_rogue(BytesSource(DATA), leaving, failing, settings=lasting)
    assert isinstance(side.error, DeliveryCut)
    assert side.error.outcome_unknown
    assert side.error.done == len(DATA)


def test_link_lost_before_final_says_what_was_acknowledged(emit_to_rogue) -> None:
    """The count is of bytes whose ACK arrived, not of bytes sent."""

    def leaving(rogue) -> None:
        rogue.welcome()
        data = rogue.take(RecordType.DATA)
        rogue.send(RecordType.ACK, Ack(data.seq + 1, 0).pack())
        rogue.take(RecordType.DATA)

    def chunks():
        yield b"a" * 1000
        while True:
            yield b"b"

    side = emit_to_rogue(IterableSource(chunks()), leaving)
    assert isinstance(side.error, DeliveryCut)
    assert isinstance(side.error.cause, LegClosed)
    assert side.error.done in (0, 1000)  # 0 if the link was down before the ACK could be read
    assert not side.error.outcome_unknown


@pytest.mark.parametrize("code", [*AbortCode, 99])
@pytest.mark.parametrize("when", ["instead of an answer", "after the place"])
def test_every_abort_code_has_its_status(emit_to_rogue, code: int, when: str) -> None:
    """1 for a fault on the other side, 4 for an interruption, a broken protocol, and what may be
    later (section 9.5)."""

    def aborting(rogue) -> None:
        if when == "after the place":
            rogue.welcome()
        else:
            rogue.take(RecordType.OPEN)
        body = bytearray(Abort(AbortCode.SINK, "why").pack())
        body[1] = code
        rogue.send(RecordType.ABORT, bytes(body))

    side = emit_to_rogue(IterableSource(endless()), aborting)
    cause = side.error.cause if isinstance(side.error, DeliveryCut) else side.error
    assert "why" in str(side.error)
    if code in (AbortCode.INTERRUPTED, AbortCode.PROTOCOL):
        assert isinstance(cause, PeerInterrupted)
        assert side.status == 4
    elif code == AbortCode.LATER:
        assert isinstance(cause, PeerLater)
        assert side.status == 4
    else:
        assert isinstance(cause, PeerFailed)
        assert side.status == 1


@pytest.mark.parametrize("code", list(AbortCode))
def test_only_later_is_tried_again(emit_to_rogue, lasting: Settings, code: AbortCode) -> None:
    """A side that decided has decided; one that only is not ready is met again, and gets the delivery."""

    def aborting(rogue) -> None:
        rogue.take(RecordType.OPEN)
        rogue.send(RecordType.ABORT, Abort(code, "why").pack())

    def honest(rogue) -> None:
        rogue.welcome()
        rogue.receipt(rogue.take(RecordType.FINAL), DATA)
        assert rogue.content == DATA

    later = code is AbortCode.LATER
    side = emit_to_rogue(BytesSource(DATA), aborting, *([honest] if later else []), settings=lasting)
    assert (side.error is None) == later
    assert any(isinstance(event, events.Lost) for event in side.events) == later


def test_one_delivery_keeps_its_name_in_all_sessions(emit_to_rogue, lasting: Settings) -> None:
    """What is taken up again is opened as the same delivery, and two deliveries never have one name."""
    names: list[bytes] = []

    def leaving(rogue) -> None:
        names.append(Offer.unpack(rogue.take(RecordType.OPEN).plaintext).delivery)

    def honest(rogue) -> None:
        rogue.welcome()
        names.append(rogue.offer.delivery)
        rogue.receipt(rogue.take(RecordType.FINAL), DATA)

    for _ in range(2):
        assert emit_to_rogue(BytesSource(DATA), leaving, leaving, honest, settings=lasting).error is None
    assert len(names) == 6 and len(set(names)) == 2
    assert names == [names[0]] * 3 + [names[3]] * 3


def test_security_a_stream_that_the_receiver_lost_is_never_spliced(emit_to_rogue, lasting: Settings) -> None:
    """What the Receiver had consumed is gone from an iterable; if it comes back with nothing, that is the
    end (1), and no byte of the rest is sent as if it were the beginning."""

    def taking(rogue) -> None:
        rogue.welcome()
        data = rogue.take(RecordType.DATA)
        rogue.send(RecordType.ACK, Ack(data.seq + 1, 0).pack())
        for _ in range(3):
            data = rogue.take(RecordType.DATA)
            rogue.send(RecordType.ACK, Ack(data.seq + 1, 0).pack())
        rogue.take(RecordType.DATA)

    def forgetful(rogue) -> None:
        rogue.take(RecordType.OPEN)
        rogue.send(RecordType.OPEN, Answer().pack())
        assert told(rogue).code is AbortCode.SOURCE
        assert not rogue.content

    small = replace(lasting, record_size=100, window_records=1, window_bytes=4096)
    chunks = (struct.pack(">I", number) * 25 for number in range(1 << 20))
    side = emit_to_rogue(IterableSource(chunks), taking, forgetful, settings=small)
    assert side.status == 1
    assert "cannot be read again" in str(side.error)
