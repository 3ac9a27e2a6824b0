"""The Emitter against an authenticated Receiver that breaks the rules of the delivery."""

from __future__ import annotations

import os

import pytest

from selo.agents.bodies import Abort, AbortCode, Ack, Kind, Offer
from selo.agents.errors import DeliveryCut, DigestMismatch, PeerFailed, PeerInterrupted, PeerMisbehaved
from selo.agents.sources import BytesSource, IterableSource
from selo.crypto.records import RecordType
from selo.transport.base import LegClosed

DATA = os.urandom(100_000)


def take(rogue, until: RecordType):
    """Open records until one of a type; that one."""
    while (record := rogue.receive()).type is not until:
        pass
    return record


def test_receipt_equal_to_our_final_is_success(emit_to_rogue) -> None:
    """An honest scripted Receiver: the FINAL's own 80 bytes back end the delivery."""

    def honest(rogue) -> None:
        final = take(rogue, RecordType.FINAL)
        rogue.send(RecordType.RECEIPT, final.plaintext)

    side = emit_to_rogue(BytesSource(DATA), honest)
    assert side.error is None
    assert side.outcome.bytes == len(DATA)


@pytest.mark.parametrize("position", range(80))
def test_security_receipt_that_differs_anywhere_is_no_success(emit_to_rogue, position: int) -> None:
    """A RECEIPT with any byte changed is refused, though its tag verifies."""

    def forging(rogue) -> None:
        receipt = bytearray(take(rogue, RecordType.FINAL).plaintext)
        receipt[position] ^= 1
        rogue.send(RecordType.RECEIPT, bytes(receipt))

    side = emit_to_rogue(BytesSource(b"x"), forging)
    assert isinstance(side.error, DeliveryCut)
    assert isinstance(side.error.cause, DigestMismatch)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (RecordType.ACK, Ack(1 << 30, 0).pack()),
        (RecordType.ACK, Ack(0, 1 << 40).pack()),
        (RecordType.RECEIPT, bytes(80)),
        (RecordType.OPEN, Offer(Kind.STREAM, None, None).pack()),
    ],
    ids=[
        "ACK of records never sent",
        "ACK of bytes never sent",
        "RECEIPT before FINAL",
        "OPEN from the Receiver",
    ],
)
def test_security_record_out_of_place_ends_the_session(emit_to_rogue, kind: RecordType, body: bytes) -> None:
    """What authenticates and yet may not come ends with 4; the peer is told that it broke the protocol."""

    def breaking(rogue) -> None:
        take(rogue, RecordType.OPEN)
        rogue.send(kind, body)
        told.append(Abort.unpack(take(rogue, RecordType.ABORT).plaintext))

    def endless():
        while True:
            yield b"more"

    told: list[Abort] = []
    side = emit_to_rogue(IterableSource(endless()), breaking)
    assert isinstance(side.error, DeliveryCut)
    assert isinstance(side.error.cause, PeerMisbehaved)
    assert side.status == 4
    assert told[0].code is AbortCode.PROTOCOL


def test_security_ack_that_goes_back_ends_the_session(emit_to_rogue) -> None:
    """An ACK below an earlier one ends with 4."""

    def going_back(rogue) -> None:
        take(rogue, RecordType.DATA)
        rogue.send(RecordType.ACK, Ack(2, 0).pack())
        rogue.send(RecordType.ACK, Ack(1, 0).pack())
        take(rogue, RecordType.ABORT)

    side = emit_to_rogue(BytesSource(DATA), going_back)
    assert isinstance(side.error.cause, PeerMisbehaved)


def test_link_lost_between_final_and_receipt_is_outcome_unknown(emit_to_rogue) -> None:
    """The Emitter never calls that a success, nor a failure."""
    side = emit_to_rogue(BytesSource(DATA), lambda rogue: take(rogue, RecordType.FINAL))
    assert isinstance(side.error, DeliveryCut)
    assert side.error.outcome_unknown
    assert "outcome unknown" in str(side.error)
    assert side.status == 4


def test_link_lost_before_final_says_what_was_acknowledged(emit_to_rogue) -> None:
    """The count is of bytes whose ACK arrived, not of bytes sent."""

    def leaving(rogue) -> None:
        data = take(rogue, RecordType.DATA)
        rogue.send(RecordType.ACK, Ack(data.seq + 1, 0).pack())
        take(rogue, RecordType.DATA)

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
def test_every_abort_code_has_its_status(emit_to_rogue, code: int) -> None:
    """1 for a fault on the other side, 4 for an interruption or a broken protocol (section 9)."""

    def aborting(rogue) -> None:
        take(rogue, RecordType.OPEN)
        body = bytearray(Abort(AbortCode.SINK, "why").pack())
        body[1] = code
        rogue.send(RecordType.ABORT, bytes(body))

    side = emit_to_rogue(BytesSource(DATA), aborting)
    cause = side.error.cause if isinstance(side.error, DeliveryCut) else side.error
    assert "why" in str(side.error)
    if code in (AbortCode.INTERRUPTED, AbortCode.PROTOCOL):
        assert isinstance(cause, PeerInterrupted)
        assert side.status == 4
    else:
        assert isinstance(cause, PeerFailed)
        assert side.status == 1
