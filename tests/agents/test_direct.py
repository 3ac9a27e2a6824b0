"""What is handed on: within its limit, after its end where it is held, and once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from blake3 import blake3

from selo.agents.bodies import Kind, Offer
from selo.agents.content import Summary
from selo.agents.direct import DirectSink
from selo.agents.errors import CannotBeginAnew, SinkFault
from selo.agents.memory import HandedOn
from selo.agents.sinks import CallableSink
from selo.config.settings import Settings
from selo.crypto.records import RecordType
from tests.agents.rogue import Rogue

DATA = os.urandom(1000)
OTHER = os.urandom(700)
STREAM = Offer(Kind.STREAM, "log", None, delivery=b"d" * 16)


@pytest.fixture
def handed_on(tmp_path: Path) -> Callable[[], HandedOn]:
    """What each process knows of one place, from one home."""
    return lambda: HandedOn(tmp_path / "stored", keep=1000.0, place=["-"])


def summary(data: bytes) -> Summary:
    """What the writer says of it."""
    return Summary(len(data), blake3(data).digest(), 1, len(data), bytes(32), durable=False, target=None)


def store(sink: DirectSink, data: bytes = DATA, offer: Offer = STREAM) -> bool:
    """A delivery, unless it is known to be stored; whether that was so."""
    if sink.open(offer).complete is not None:
        return True
    sink.go_on(0)
    sink.write(data)
    sink.seal(summary(data))
    sink.commit()
    return False


# Limits


@pytest.mark.parametrize("sizes", [(10,), (11,), (5, 5), (5, 6), (0, 10, 0), (10, 1)])
def test_security_not_a_byte_beyond_the_limit_is_handed_on(sizes: tuple[int, ...]) -> None:
    """What is as long as the limit passes, in whatever pieces; the first piece beyond it passes nowhere."""
    out = bytearray()
    sink = DirectSink(CallableSink(out.extend), limit=10)
    sink.open(STREAM)
    assert sink.hands_on
    taken = 0
    for size in sizes:
        taken += size
        if taken > 10:
            with pytest.raises(SinkFault, match="longer than the 10 bytes"):
                sink.write(bytes(size))
        else:
            sink.write(bytes(size))
    assert len(out) == (taken if taken <= 10 else sum(sizes[:-1]))
    if taken <= 10:
        assert sink.commit() is None
    sink.discard()


# From the beginning again


def anew(rogue: Rogue) -> None:
    """The Emitter has other content now, and begins at 0."""
    assert rogue.begin(STREAM, 0).held == 500
    rogue.send(RecordType.DATA, OTHER)
    rogue.send_final(blake3(OTHER).digest())
    rogue.take_receipt()


def half(rogue: Rogue) -> None:
    """The link is lost in the middle."""
    rogue.begin(STREAM)
    rogue.send(RecordType.DATA, DATA[:500])
    rogue.take(RecordType.ACK)


def test_what_is_held_can_begin_anew(receive_from_rogues, parties, lasting: Settings) -> None:
    """Nothing of it was handed on: what came before is dropped, and only the new content passes."""
    got = bytearray()
    side = receive_from_rogues(
        [(parties.emitter, half), (parties.emitter, anew)],
        lambda: DirectSink(CallableSink(got.extend), hold=1000, limit=1000),
        lasting,
    )
    assert side.error is None
    assert got == OTHER


def test_each_beginning_has_the_whole_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was dropped counts against neither limit, on a disk or not, and leaves nothing at its end."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    size = 3 << 20
    got = bytearray()
    sink = DirectSink(CallableSink(got.extend), hold=size, limit=size)
    sink.open(STREAM)
    for data in (os.urandom(size), last := os.urandom(size - 7)):
        sink.go_on(0)
        sink.write(data)
    sink.commit()
    assert got == last


def test_security_what_was_handed_on_cannot_begin_anew() -> None:
    """Without holding back, or once it is released: what is out of our hands stays what it was."""
    for sink in (DirectSink(CallableSink(bytes)), DirectSink(CallableSink(bytes), hold=1000)):
        sink.open(STREAM)
        sink.go_on(0)
        sink.write(DATA)
        sink.go_on(len(DATA))
        sink.commit()
        with pytest.raises(CannotBeginAnew):
            sink.go_on(0)


# Once


@pytest.mark.parametrize("hold", [None, 1000])
def test_security_another_process_does_not_hand_it_on_again(
    hold: int | None, receive_from_rogues, parties, lasting: Settings, handed_on
) -> None:
    """Its receipt was lost: the next Receiver says that it was stored, signs for it, and writes nothing."""
    got = bytearray()

    def make() -> DirectSink:
        return DirectSink(CallableSink(got.extend), hold=hold, handed_on=handed_on())

    def without_receipt(rogue: Rogue) -> None:
        rogue.begin(STREAM)
        rogue.send(RecordType.DATA, DATA)
        rogue.send_final(blake3(DATA).digest())
        rogue.take(RecordType.RECEIPT)

    def about_the_receipt(rogue: Rogue) -> None:
        answer = rogue.begin(STREAM, len(DATA))
        assert answer.complete and answer.held == len(DATA)
        rogue.send_final(blake3(DATA).digest())
        rogue.take_receipt()
        rogue.settle(0)

    first = receive_from_rogues([(parties.emitter, without_receipt)], make, lasting)
    assert first.error is None and not first.outcome.earlier
    second = receive_from_rogues([(parties.emitter, about_the_receipt)], make, lasting)
    assert second.error is None and second.outcome.earlier
    assert got == DATA
    assert second.outcome.bytes == len(DATA) and second.outcome.places == ()


def test_what_changed_since_it_was_handed_on_is_taken_as_new(
    receive_from_rogues, parties, lasting: Settings, handed_on
) -> None:
    """The Emitter says that what was stored is not what it has now: all of that comes, once."""
    got = bytearray()

    def changed(rogue: Rogue) -> None:
        assert rogue.begin(STREAM, 0).complete
        rogue.take(RecordType.ABORT)

    def whole(rogue: Rogue) -> None:
        assert not rogue.begin(STREAM).complete
        rogue.send(RecordType.DATA, OTHER)
        rogue.send_final(blake3(OTHER).digest())
        rogue.take_receipt()

    store(DirectSink(CallableSink(got.extend), handed_on=handed_on()), offer=bound(parties))
    side = receive_from_rogues(
        [(parties.emitter, changed), (parties.emitter, whole)],
        lambda: DirectSink(CallableSink(got.extend), handed_on=handed_on()),
        lasting,
    )
    assert side.error is None
    assert got == DATA + OTHER


def bound(parties) -> Offer:
    """The stream, as the Receiver knows it."""
    return STREAM.bound_to(parties.emitter.fingerprint)


def test_the_note_goes_when_the_emitter_has_its_receipt(handed_on, tmp_path: Path) -> None:
    """Nothing needs to be known of it any more; and nothing is, of what was not handed on to its end."""
    sink = DirectSink(CallableSink(bytes), handed_on=handed_on())
    sink.open(STREAM)
    sink.write(DATA)
    sink.seal(summary(DATA))
    assert handed_on().recall(STREAM) is None
    sink.commit()
    assert handed_on().recall(STREAM) == summary(DATA)
    sink.forget()
    sink.forget()
    assert os.listdir(tmp_path / "stored") == []


def test_a_sink_that_fails_leaves_no_note(handed_on) -> None:
    """Whoever fails at the end has not handed it on: it is to come again."""

    def failing(_data: bytes) -> None:
        raise BrokenPipeError

    sink = DirectSink(CallableSink(failing), hold=1000, handed_on=handed_on())
    with pytest.raises(SinkFault):
        store(sink)
    sink.discard()
    assert not store(DirectSink(CallableSink(bytes), handed_on=handed_on()))


def test_what_is_handed_on_is_no_failure_for_want_of_a_note(handed_on, tmp_path: Path) -> None:
    """Where the home cannot be written: the reader has it all, whatever we remember."""
    got = bytearray()
    sink = DirectSink(CallableSink(got.extend), handed_on=handed_on())
    sink.open(STREAM)
    sink.write(DATA)
    sink.seal(summary(DATA))
    (tmp_path / "stored").touch()
    sink.commit()
    assert got == DATA
