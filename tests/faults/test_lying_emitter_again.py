"""An Emitter that we trust and that lies in a later session, about what it brought in an earlier one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from blake3 import blake3

from selo.agents import events
from selo.agents.bodies import AbortCode, Answer, Mark
from selo.agents.errors import (
    DigestMismatch,
)
from selo.agents.sinks import FileSink
from selo.crypto.records import RecordType
from selo.errors import SeloError

from .liar import Liar
from .lying import (
    DIGEST,
    FILE,
    STREAM,
    Gated,
    beginning,
    caught,
    confirmed,
    deliver,
    lying_emitter,
    unconfirmed,
)
from .stage import PATIENCE, Stage
from .tap import DATA


@pytest.fixture(scope="module")
def stage() -> Stage:
    """Two identities, and their handshake."""
    return Stage()


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


OTHERWISE = {
    "a file": (FILE, AbortCode.PROTOCOL),
    "with other digests": (replace(STREAM, sha256=True), AbortCode.SINK),
    "with a size": (replace(STREAM, size=7), AbortCode.SINK),
}


@pytest.mark.parametrize("otherwise", OTHERWISE)
def test_security_a_cut_delivery_stays_what_it_was(stage: Stage, otherwise: str) -> None:
    """Offered otherwise, under the same name, it is not gone on with, and what was handed on not doubled."""
    offer, code = OTHERWISE[otherwise]

    def other(liar: Liar) -> None:
        liar.send(RecordType.OPEN, offer.pack())
        assert liar.told().code is code

    outcome = lying_emitter(stage, beginning, other, resume_window=0.3)
    assert isinstance(outcome.receiver, SeloError)
    assert outcome.received == DATA[:32]
    assert outcome.stored == 0


def test_security_a_cut_file_of_another_size_begins_anew(stage: Stage, tmp_path: Path) -> None:
    """What can be taken back is, and nothing of it is in what is stored."""
    anew = DATA[:7]

    def first(liar: Liar) -> None:
        beginning(liar, FILE)

    def other(liar: Liar) -> None:
        assert liar.begin(replace(FILE, size=7)) == Answer()
        liar.place()
        liar.send(RecordType.DATA, anew)
        liar.send_final(blake3(anew).digest())
        liar.take(RecordType.DATA)
        liar.place(7, next_seq=50)

    sink = FileSink(tmp_path / "file")
    assert lying_emitter(stage, first, other, sink=sink, resume_window=0.3).stored == 1
    assert (tmp_path / "file").read_bytes() == anew


def test_a_session_that_comes_during_the_commit_waits_for_it(stage: Stage) -> None:
    """And is then told that it is all there."""
    sink = Gated()
    sink.may_commit.clear()

    def hasty(liar: Liar) -> None:
        deliver(liar)

    def again(liar: Liar) -> None:
        liar.send(RecordType.OPEN, STREAM.pack())
        sink.may_commit.set()
        assert Answer.unpack(liar.take(RecordType.OPEN)).complete

    outcome = lying_emitter(stage, hasty, again, sink=sink, resume_window=0.3)
    assert isinstance(outcome.receiver, events.Delivered)
