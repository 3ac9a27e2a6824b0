"""An Emitter that we trust and that lies: authentic records that break the rules of a delivery, one by one.

Each test breaks one rule and nothing else, so that it fails where that rule is not looked at.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from selo.agents import events
from selo.agents.bodies import Abort, AbortCode, Answer, Kind, Offer
from selo.agents.delivery import ReceiveWindow
from selo.agents.errors import (
    DeliveryCut,
    PeerMisbehaved,
    WrongKind,
)
from selo.agents.sinks import FileSink
from selo.crypto.records import RecordType
from selo.crypto.session_limits import SessionLimits

from .liar import Liar
from .lying import (
    DIGEST,
    EMPTY,
    FILE,
    STREAM,
    Gated,
    caught,
    deliver,
    lying_emitter,
)
from .stage import Stage
from .tap import DATA


@pytest.fixture(scope="module")
def stage() -> Stage:
    """Two identities, and their handshake."""
    return Stage()


def test_security_no_open_in_time(stage: Stage) -> None:
    """Who proves who he is and then says nothing is not waited for."""

    def silent(liar: Liar) -> None:
        assert liar.told().code is AbortCode.PROTOCOL

    caught(lying_emitter(stage, silent, handshake_deadline=0.2), "no OPEN came in time")


@pytest.mark.parametrize("offer", [STREAM, FILE], ids=["stream", "file"])
@pytest.mark.parametrize("kind", [RecordType.DATA, RecordType.FINAL], ids=lambda kind: kind.name)
@pytest.mark.parametrize("answered", [False, True], ids=["before the answer", "after the answer"])
def test_security_nothing_before_its_place(
    stage: Stage, tmp_path: Path, offer: Offer, kind: RecordType, answered: bool
) -> None:
    """DATA and FINAL mean something only from a place on."""

    def hasty(liar: Liar) -> None:
        if answered:
            liar.begin(offer)
        else:
            liar.send(RecordType.OPEN, offer.pack())
        if kind is RecordType.DATA:
            liar.send(kind, DATA)
        else:
            liar.send_final(EMPTY)
        while (record := liar.receive()).type is not RecordType.ABORT:
            assert record.type is RecordType.OPEN
        assert Abort.unpack(record.plaintext).code is AbortCode.PROTOCOL

    outcome = lying_emitter(stage, hasty, sink=FileSink(tmp_path / "file"))
    caught(outcome, f"{kind.name} before its place in the delivery was said")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("next_seq", [0, 2, 1 << 40])
def test_security_the_place_answers_the_answer(stage: Stage, next_seq: int) -> None:
    """The first ACK is of the Receiver's OPEN: not of nothing, nor of records that were never sealed."""

    def lying(liar: Liar) -> None:
        liar.begin(STREAM)
        liar.place(next_seq=next_seq)
        assert liar.told().code is AbortCode.PROTOCOL

    caught(lying_emitter(stage, lying), "ACK of something else than the answer")


def test_security_no_place_before_the_answer(stage: Stage) -> None:
    """Nor before OPEN: an Emitter that has not heard what is here knows no place."""

    def hasty(liar: Liar) -> None:
        liar.place()
        assert liar.told().code is AbortCode.PROTOCOL

    caught(lying_emitter(stage, hasty), "ACK out of place")


@pytest.mark.parametrize("where", [0, 1])
@pytest.mark.parametrize("with_data", [False, True], ids=["at once", "after DATA"])
def test_security_one_place_only(stage: Stage, where: int, with_data: bool) -> None:
    """A second ACK, where there is no receipt yet, cannot move what was written."""

    def moving(liar: Liar) -> None:
        liar.begin(STREAM)
        liar.place()
        if with_data:
            liar.send(RecordType.DATA, DATA)
        liar.place(where)
        assert liar.told().code is AbortCode.PROTOCOL

    caught(lying_emitter(stage, moving), "ACK out of place")


def test_security_no_confirmation_before_the_receipt(stage: Stage) -> None:
    """An ACK between FINAL and RECEIPT breaks the protocol. The delivery is whole and stored nevertheless,
    and nobody is told that its receipt arrived."""
    sink = Gated()
    sink.may_commit.clear()

    def hasty(liar: Liar) -> None:
        liar.begin(STREAM)
        liar.place()
        liar.send(RecordType.DATA, DATA)
        liar.send_final(DIGEST)
        liar.place(len(DATA), next_seq=3)
        assert liar.told().code is AbortCode.PROTOCOL
        sink.may_commit.set()

    outcome = lying_emitter(stage, hasty, sink=sink)
    assert isinstance(outcome.receiver, events.Delivered)
    assert outcome.receiver.receipt == "not sent"
    assert sink.taken == DATA


@pytest.mark.parametrize("off", [-(1 << 20), -1, 0, 2, 1 << 20])
def test_security_the_confirmation_is_of_the_receipt(stage: Stage, off: int) -> None:
    """An ACK of anything before the RECEIPT, or after it, confirms nothing."""

    def lying(liar: Liar) -> None:
        deliver(liar)
        while (record := liar.receive()).type is not RecordType.RECEIPT:
            pass
        liar.place(len(DATA), next_seq=max(0, record.seq + off))
        assert liar.told().code is AbortCode.PROTOCOL

    outcome = lying_emitter(stage, lying)
    assert isinstance(outcome.receiver, events.Delivered)
    assert outcome.receiver.receipt == "not sent"


@pytest.mark.parametrize("where", [1, len(DATA), 1 << 62])
def test_security_the_place_is_one_of_the_marks(stage: Stage, where: int) -> None:
    """An Emitter cannot make the Receiver skip what it does not have."""

    def lying(liar: Liar) -> None:
        assert liar.begin(STREAM) == Answer()
        liar.place(where)
        assert liar.told().code is AbortCode.PROTOCOL

    caught(lying_emitter(stage, lying), "its place in the delivery is none that we have")


@pytest.mark.parametrize("size", [0, 1, len(DATA) - 1, len(DATA) + 1])
def test_security_a_file_has_the_length_that_was_said(stage: Stage, tmp_path: Path, size: int) -> None:
    """More DATA than OPEN said is refused when it comes, a FINAL after less when that comes."""

    def lying(liar: Liar) -> None:
        liar.begin(replace(FILE, size=size))
        liar.place()
        liar.send(RecordType.DATA, DATA)
        if size > len(DATA):
            liar.send_final(DIGEST)
        assert liar.told().code is AbortCode.PROTOCOL

    outcome = lying_emitter(stage, lying, sink=FileSink(tmp_path / "file"))
    caught(outcome, f"a file of {size:,} bytes came with {len(DATA):,}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("records", "size"), [(65, 1), (5, 1024)], ids=["records", "bytes"])
def test_security_the_window_is_kept(stage: Stage, records: int, size: int) -> None:
    """More than was granted is not held for a program that takes nothing."""
    sink = Gated()
    sink.may_write.clear()

    def flooding(liar: Liar) -> None:
        liar.begin(STREAM)
        liar.place()
        for _ in range(records):
            liar.send(RecordType.DATA, bytes(size))
        assert liar.told().code is AbortCode.PROTOCOL
        sink.may_write.set()

    outcome = lying_emitter(stage, flooding, sink=sink)
    assert isinstance(outcome.receiver, DeliveryCut)
    assert "than the window grants" in str(outcome.receiver.cause)


def test_security_what_is_consumed_counts_until_it_was_said() -> None:
    """An Emitter cannot know of room that no ACK has told it of, so using it breaks the window."""
    window = ReceiveWindow(SessionLimits(4096, 64, 4096))
    window.arrived(0, 4096)
    window.consumed(1)
    with pytest.raises(PeerMisbehaved, match="more bytes than the window grants"):
        window.arrived(1, 1)


def test_security_no_receipt_from_an_emitter(stage: Stage) -> None:
    """Nobody sends one to the Receiver of a delivery."""

    def lying(liar: Liar) -> None:
        liar.begin(STREAM)
        liar.place()
        liar.send(RecordType.RECEIPT, bytes(80))
        assert liar.told().code is AbortCode.PROTOCOL

    caught(lying_emitter(stage, lying), "RECEIPT is not for this direction")


def test_security_a_conversation_is_no_delivery(stage: Stage) -> None:
    """Who waits for a delivery takes nothing else."""

    def talking(liar: Liar) -> None:
        liar.send(RecordType.OPEN, Offer(Kind.CONVERSATION, None, None).pack())
        assert liar.told().code is AbortCode.SINK

    assert isinstance(lying_emitter(stage, talking).receiver, WrongKind)
