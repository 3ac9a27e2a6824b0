"""An Emitter that we trust and that lies: authentic records that break the rules of a delivery, one by one.

Each test breaks one rule and nothing else, so that it fails where that rule is not looked at.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from blake3 import blake3

from selo.agents import events
from selo.agents.bodies import Abort, AbortCode, Answer, Kind, Mark, Offer
from selo.agents.delivery import ReceiveWindow
from selo.agents.errors import (
    DeliveryCut,
    DigestMismatch,
    PeerMisbehaved,
    WrongKind,
)
from selo.agents.sinks import CallableSink, FileSink, Sink
from selo.crypto.established import Role
from selo.crypto.records import RecordType
from selo.crypto.session_limits import SessionLimits
from selo.errors import SeloError
from selo.transport.base import LegClosed

from .liar import Liar
from .stage import PATIENCE, Outcome, Script, Stage, settings_for
from .tap import DATA

DELIVERY = os.urandom(16)
STREAM = Offer(Kind.STREAM, None, None, DELIVERY)
FILE = Offer(Kind.FILE, "file", len(DATA), DELIVERY)
EMPTY = blake3().digest()
DIGEST = blake3(DATA).digest()


@pytest.fixture(scope="module")
def stage() -> Stage:
    """Two identities, and their handshake."""
    return Stage()


class Gated(CallableSink):
    """A program that takes what comes when it is let."""

    def __init__(self) -> None:
        self.taken = bytearray()
        self.may_write, self.may_commit = threading.Event(), threading.Event()
        self.may_write.set()
        self.may_commit.set()
        super().__init__(self._take)

    def _take(self, data: bytes) -> None:
        self.may_write.wait(PATIENCE)
        self.taken.extend(data)

    def commit(self) -> str | None:
        self.may_commit.wait(PATIENCE)
        return super().commit()


def lying_emitter(
    stage: Stage, *scripts: Callable[[Liar], object], sink: Sink | None = None, **changes: float
) -> Outcome:
    """A Receiver whose Emitter lies, in one session after another; its window is 64 records."""
    plays = [_without_keys(script) for script in scripts]
    return stage.against(Role.EMITTER, plays, settings_for(window_records=64, **changes), sink=sink)


def _without_keys(script: Callable[[Liar], object]) -> Script:
    return lambda liar, _established: script(liar)


def caught(outcome: Outcome, rule: str, kind: type[SeloError] = PeerMisbehaved) -> None:
    """The Receiver gave up because of that rule, and nothing is stored."""
    receiver = outcome.receiver
    assert isinstance(receiver, DeliveryCut), receiver
    assert isinstance(receiver.cause, kind), receiver.cause
    assert rule in str(receiver.cause)
    assert receiver.exit_status == 4
    assert outcome.stored == 0


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


def deliver(liar: Liar, digest: bytes = DIGEST) -> None:
    """All up to FINAL, of a delivery that is new."""
    assert liar.begin(STREAM) == Answer()
    liar.place()
    liar.send(RecordType.DATA, DATA)
    liar.send_final(digest)


def unconfirmed(liar: Liar) -> int:
    """A delivery that is stored, and whose receipt is lost; the number of the RECEIPT."""
    deliver(liar)
    while (record := liar.receive()).type is not RecordType.RECEIPT:
        pass
    return record.seq


def confirmed(liar: Liar) -> None:
    """A delivery from its beginning to its end."""
    liar.place(len(DATA), next_seq=unconfirmed(liar) + 1)
    with suppress(LegClosed):
        liar.receive()


@pytest.mark.parametrize("where", [1, len(DATA), 1 << 62])
def test_security_the_place_is_one_of_the_marks(stage: Stage, where: int) -> None:
    """An Emitter cannot make the Receiver skip what it does not have."""

    def lying(liar: Liar) -> None:
        assert liar.begin(STREAM) == Answer()
        liar.place(where)
        assert liar.told().code is AbortCode.PROTOCOL

    caught(lying_emitter(stage, lying), "its place in the delivery is none that we have")


@pytest.mark.parametrize("where", [1, 15, 17, 31, 33])
def test_security_the_place_is_one_of_the_marks_of_a_cut_delivery(
    stage: Stage, tmp_path: Path, where: int
) -> None:
    """The same where there is something already: not a byte beside what was compared."""

    def cut(liar: Liar) -> None:
        liar.begin(STREAM)
        liar.place()
        liar.send(RecordType.DATA, DATA[:32])
        liar.take_ack()

    def lying(liar: Liar) -> None:
        assert liar.begin(STREAM) == Answer((Mark(32, blake3(DATA[:32]).digest()),))
        liar.place(where)
        assert liar.told().code is AbortCode.PROTOCOL

    outcome = lying_emitter(stage, cut, lying, sink=FileSink(tmp_path / "file"), resume_window=PATIENCE)
    caught(outcome, "its place in the delivery is none that we have")


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


@pytest.mark.parametrize("held", [False, True], ids=["new", "stored before"])
@pytest.mark.parametrize("position", [0, 31])
def test_security_content_that_is_not_what_final_says(
    stage: Stage, tmp_path: Path, position: int, held: bool
) -> None:
    """The digest of FINAL is that of all that is here, also where it was all here before."""
    wrong = bytearray(DIGEST)
    wrong[position] ^= 1

    def lying(liar: Liar) -> None:
        if held:
            assert liar.begin(STREAM).complete
            liar.place(len(DATA))
            liar.send_final(bytes(wrong))
        else:
            deliver(liar, bytes(wrong))
        assert liar.told().code is AbortCode.PROTOCOL

    before = [unconfirmed] if held else []
    sink = FileSink(tmp_path / "file")
    outcome = lying_emitter(stage, *before, lying, sink=sink, resume_window=PATIENCE if held else 0)
    if held:
        assert outcome.stored == 1
        assert (tmp_path / "file").read_bytes() == DATA
    else:
        caught(outcome, "digest", DigestMismatch)
        assert not list(tmp_path.iterdir())


def test_security_what_is_stored_takes_nothing_more(stage: Stage, tmp_path: Path) -> None:
    """DATA after the end of a delivery that is stored is refused, and changes no byte of it."""

    def appending(liar: Liar) -> None:
        assert liar.begin(STREAM) == Answer((Mark(len(DATA), DIGEST),), complete=True)
        liar.place(len(DATA))
        liar.send(RecordType.DATA, b"more")
        assert liar.told().code is AbortCode.PROTOCOL

    sink = FileSink(tmp_path / "file")
    outcome = lying_emitter(stage, unconfirmed, appending, sink=sink, resume_window=PATIENCE)
    assert outcome.stored == 1
    assert (tmp_path / "file").read_bytes() == DATA


def test_security_other_content_under_the_same_name_is_a_new_delivery(stage: Stage) -> None:
    """An Emitter that shares nothing with what is stored is told to come again, and then begins anew."""

    def other(liar: Liar) -> None:
        assert liar.begin(STREAM).complete
        liar.place(0)
        assert liar.told().code is AbortCode.LATER

    outcome = lying_emitter(stage, unconfirmed, other, confirmed, resume_window=PATIENCE)
    assert outcome.stored == 2
    assert outcome.received == DATA + DATA


def test_a_delivery_to_be_begun_anew_is_not_waited_for_without_end(stage: Stage) -> None:
    """Who was told to come again and does not: the Receiver ends, with what it stored."""

    def other(liar: Liar) -> None:
        assert liar.begin(STREAM).complete
        liar.place(0)
        assert liar.told().code is AbortCode.LATER

    outcome = lying_emitter(stage, unconfirmed, other, resume_window=0.3)
    assert isinstance(outcome.receiver, events.Delivered), outcome.receiver


@pytest.mark.parametrize("misbehaves", [False, True], ids=["link lost", "protocol broken"])
def test_stored_stays_stored_whatever_a_later_session_does(
    stage: Stage, tmp_path: Path, misbehaves: bool
) -> None:
    """Its receipt was lost, and a session that came for it is lost as well: the Receiver tells a success."""

    def again(liar: Liar) -> None:
        assert liar.begin(STREAM).complete
        if misbehaves:
            liar.place(1)
            assert liar.told().code is AbortCode.PROTOCOL

    sink = FileSink(tmp_path / "file")
    outcome = lying_emitter(stage, unconfirmed, again, sink=sink, resume_window=0.3)
    assert (tmp_path / "file").read_bytes() == DATA
    assert outcome.stored == 1
    assert isinstance(outcome.receiver, events.Delivered), outcome.receiver


def test_security_no_receipt_from_an_emitter(stage: Stage) -> None:
    """Nobody sends one to the Receiver of a delivery."""

    def lying(liar: Liar) -> None:
        liar.begin(STREAM)
        liar.place()
        liar.send(RecordType.RECEIPT, bytes(80))
        assert liar.told().code is AbortCode.PROTOCOL

    caught(lying_emitter(stage, lying), "RECEIPT is not for this direction")


def beginning(liar: Liar) -> None:
    """A third of a stream, and no more."""
    liar.begin(STREAM)
    liar.place()
    liar.send(RecordType.DATA, DATA[:32])
    liar.take_ack()


@pytest.mark.parametrize("offer", [FILE, replace(STREAM, sha256=True)], ids=["a file", "with other digests"])
def test_security_a_cut_delivery_stays_what_it_was(stage: Stage, offer: Offer) -> None:
    """Under its name nothing of another kind can be gone on with."""

    def other(liar: Liar) -> None:
        liar.send(RecordType.OPEN, offer.pack())
        assert liar.told().code is AbortCode.PROTOCOL

    outcome = lying_emitter(stage, beginning, other, resume_window=0.3)
    receiver = outcome.receiver
    assert isinstance(receiver, DeliveryCut)
    assert outcome.stored == 0


def test_a_cut_delivery_that_is_offered_with_another_size_begins_anew(stage: Stage) -> None:
    """What was held belongs to what was offered then."""

    def other(liar: Liar) -> None:
        assert liar.begin(replace(STREAM, size=7)) == Answer()

    assert lying_emitter(stage, beginning, other, resume_window=0.3).stored == 0


def test_security_a_conversation_is_no_delivery(stage: Stage) -> None:
    """Who waits for a delivery takes nothing else."""

    def talking(liar: Liar) -> None:
        liar.send(RecordType.OPEN, Offer(Kind.CONVERSATION, None, None).pack())
        assert liar.told().code is AbortCode.SINK

    assert isinstance(lying_emitter(stage, talking).receiver, WrongKind)
