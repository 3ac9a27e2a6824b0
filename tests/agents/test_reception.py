"""What becomes of a delivery when its session ends, and of one that is held when somebody else's does."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from blake3 import blake3

from selo.agents import events
from selo.agents import receiver as receiver_module
from selo.agents.bodies import Abort, AbortCode, Kind, Offer
from selo.agents.errors import DeliveryCut, PeerLost, SinkFault
from selo.agents.hook import Arrived
from selo.agents.intake import Intakes
from selo.agents.meeting_errors import NobodyCame, OnlyStrangersCame
from selo.agents.reception import Unfinished
from selo.agents.sinks import CallableSink, FileSink
from selo.agents.storage.base import StorageRules
from selo.agents.writer import Writer
from selo.config.settings import Settings
from selo.crypto.records import RecordType
from selo.errors import Interrupted, SeloError, TrustError
from tests.agents.rogue import PATIENCE, Rogue

DATA = os.urandom(1000)
STREAM = Offer(Kind.STREAM, "log", None, delivery=b"d" * 16)
WINDOW = 900.0
DELIVERED = events.Delivered("alice", 5, 1, "ab" * 32, 0.25, None, "not sent")


def cut_delivery(delivered: events.Delivered | None = None, failure: SeloError | None = None) -> Unfinished:
    """A delivery that is held, or stored, and whose sink may have failed since."""
    writer = Writer(CallableSink(lambda _data: None), wake=lambda: None)
    writer.failure = failure
    return Unfinished(DeliveryCut("Receiver", PeerLost(10.0), 0), delivered, writer, WINDOW)


ENDS = [
    NobodyCame(1.0),
    OnlyStrangersCame(1.0, 1),
    PeerLost(1.0),
    TrustError("no"),
    Interrupted(signal.SIGINT),
]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: type(end).__name__)
def test_stored_is_stored_whatever_ends_the_waiting(end: SeloError) -> None:
    """Only the receipt was missing: that is no failure of the delivery."""
    assert cut_delivery(DELIVERED).give_up(end) is DELIVERED
    assert cut_delivery(DELIVERED, SinkFault("x", "y")).give_up(end) is DELIVERED


@pytest.mark.parametrize("end", ENDS, ids=lambda end: type(end).__name__)
def test_a_disk_that_failed_meanwhile_is_told(end: SeloError) -> None:
    """And not called a cut that could be gone on from."""
    failure = SinkFault("the file", "no space left on device")
    with pytest.raises(SinkFault) as caught:
        cut_delivery(failure=failure).give_up(end)
    assert caught.value is failure


@pytest.mark.parametrize(
    ("end", "raised", "tried"),
    [
        (ENDS[0], DeliveryCut, WINDOW),
        (ENDS[1], DeliveryCut, WINDOW),
        (ENDS[2], DeliveryCut, 0.0),
        (ENDS[3], TrustError, None),
        (ENDS[4], Interrupted, None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_waiting_ends_with_its_own_reason(
    end: SeloError, raised: type[SeloError], tried: float | None
) -> None:
    """That its time is over is said only where that is so."""
    with pytest.raises(raised) as caught:
        cut_delivery().give_up(end)
    if isinstance(caught.value, DeliveryCut):
        assert caught.value.tried == tried
    else:
        assert caught.value is end


def half(rogue: Rogue) -> None:
    """Half of the delivery, and gone."""
    rogue.begin(STREAM)
    rogue.send(RecordType.DATA, DATA[:500])
    rogue.take(RecordType.ACK)


def rest(rogue: Rogue) -> None:
    """What is missing, and the receipt."""
    answer = rogue.begin(STREAM, None)
    if DATA[answer.held :]:
        rogue.send(RecordType.DATA, DATA[answer.held :])
    rogue.send_final(blake3(DATA).digest())
    rogue.take_receipt()


def all_but_the_receipt(rogue: Rogue) -> None:
    """The whole, and gone before it is confirmed."""
    rogue.begin(STREAM)
    rogue.send(RecordType.DATA, DATA)
    rogue.send_final(blake3(DATA).digest())
    rogue.take(RecordType.RECEIPT)


def gives_up(rogue: Rogue) -> None:
    """ABORT before OPEN."""
    rogue.send(RecordType.ABORT, Abort(AbortCode.INTERRUPTED, "no").pack())


def converses(rogue: Rogue) -> None:
    """Another kind of session."""
    rogue.send(RecordType.OPEN, Offer(Kind.CONVERSATION, None, None).pack())
    assert Abort.unpack(rogue.take(RecordType.ABORT).plaintext).code is AbortCode.SINK


def says_nothing(rogue: Rogue) -> None:
    """No OPEN in time."""
    assert Abort.unpack(rogue.take(RecordType.ABORT).plaintext).code is AbortCode.PROTOCOL


def breaks_the_rules(rogue: Rogue) -> None:
    """An OPEN that is none."""
    rogue.send(RecordType.OPEN, b"\x93\x07\xc0\xc0")
    assert Abort.unpack(rogue.take(RecordType.ABORT).plaintext).code is AbortCode.PROTOCOL


@pytest.mark.parametrize("first", [half, all_but_the_receipt], ids=lambda script: script.__name__)
@pytest.mark.parametrize(
    "between", [gives_up, converses, says_nothing, breaks_the_rules], ids=lambda script: script.__name__
)
def test_security_no_other_session_ends_a_delivery_that_is_held(
    receive_from_rogues, parties, lasting: Settings, tmp_path: Path, first, between
) -> None:
    """Whatever a trusted peer does that brings nothing: who was cut goes on afterwards."""
    side = receive_from_rogues(
        [(parties.emitter, first), (parties.stranger, between), (parties.emitter, rest)],
        lambda: FileSink(tmp_path / "file", StorageRules()),
        replace(lasting, handshake_deadline=0.5, first_message_deadline=0.5, close_grace=0.5),
    )
    assert side.error is None
    assert (tmp_path / "file").read_bytes() == DATA
    assert side.outcome.peer == "alice"


def test_who_changes_their_mind_and_does_not_come_back_is_not_waited_for(
    receive_from_rogues, parties, lasting: Settings, tmp_path: Path
) -> None:
    """After ABORT 6 for a source that has changed nothing is held; the waiting has an end all the same."""

    def otherwise(rogue: Rogue) -> None:
        assert rogue.begin(STREAM, 0).complete
        assert Abort.unpack(rogue.take(RecordType.ABORT).plaintext).code is AbortCode.LATER

    side = receive_from_rogues(
        [(parties.emitter, all_but_the_receipt), (parties.emitter, otherwise)],
        lambda: FileSink(tmp_path / "file", StorageRules()),
        replace(lasting, resume_window=1.0),
    )
    assert side.error is None, "it is stored, and that is told"
    assert (tmp_path / "file").read_bytes() == DATA


def test_security_a_rate_does_not_hold_a_place_for_who_has_gone(
    receive_from_rogues, parties, lasting: Settings, tmp_path: Path
) -> None:
    """What came whole is stored at once where its Emitter does not wait for it."""

    def hangs_up(rogue: Rogue) -> None:
        rogue.begin(STREAM)
        rogue.send(RecordType.DATA, DATA)
        rogue.send_final(blake3(DATA).digest())

    side = receive_from_rogues(
        [(parties.emitter, hangs_up)],
        lambda: FileSink(tmp_path / "file", StorageRules()),
        replace(lasting, receive_rate=1),
    )
    assert side.error is None
    assert (tmp_path / "file").read_bytes() == DATA


@pytest.mark.parametrize("sha256", [False, True], ids=["not any more", "now"])
@pytest.mark.parametrize("process", ["the same process", "another process"])
def test_security_no_receipt_over_digests_that_were_not_made(
    receive_from_rogues, parties, lasting: Settings, tmp_path: Path, process: str, sha256: bool
) -> None:
    """SHA-256 is asked for, or not any more, when a delivery is stored already: nothing is signed, the
    Emitter is told why, and what is stored stays known."""
    asked_before, asked_now = replace(STREAM, sha256=not sha256), replace(STREAM, sha256=sha256)

    def first(rogue: Rogue) -> None:
        rogue.begin(asked_before)
        rogue.send(RecordType.DATA, DATA)
        rogue.send_final(blake3(DATA).digest())
        rogue.take(RecordType.RECEIPT)

    def otherwise(rogue: Rogue) -> None:
        rogue.send(RecordType.OPEN, asked_now.pack())
        abort = Abort.unpack(rogue.take(RecordType.ABORT).plaintext)
        assert abort.code is AbortCode.SINK
        assert "digests" in abort.text

    def as_before(rogue: Rogue) -> None:
        assert rogue.begin(asked_before, None).complete
        rogue.send_final(blake3(DATA).digest())
        rogue.take_receipt()

    runs = [[first, otherwise]] if process == "the same process" else [[first], [otherwise]]
    for scripts in (*runs, [as_before]):
        side = receive_from_rogues(
            [(parties.emitter, script) for script in scripts],
            lambda: FileSink(tmp_path / "file", StorageRules()),
            lasting,
        )
    assert side.error is None
    assert (tmp_path / "file").read_bytes() == DATA


@pytest.mark.parametrize("killed", [False, True], ids=["told", "killed before it was told"])
def test_what_is_found_stored_is_told_by_the_process_that_finds_it(
    receive_from_rogues, parties, lasting: Settings, tmp_path: Path, killed: bool
) -> None:
    """Whether the one before has told it cannot be known: rather twice than never."""
    stored: list[Arrived] = []

    def dies(_arrived: Arrived) -> None:
        raise Interrupted(signal.SIGKILL)

    for script, on_stored in (
        (all_but_the_receipt, dies if killed else stored.append),
        (rest, stored.append),
    ):
        receive_from_rogues(
            [(parties.emitter, script)],
            lambda: FileSink(tmp_path / "file", StorageRules()),
            lasting,
            on_stored=on_stored,
        )
    assert len(stored) == (1 if killed else 2)
    assert {each.target for each in stored} == {str(tmp_path / "file")}


def test_what_is_found_stored_is_told_once_by_one_process(
    receive_from_rogues, parties, lasting: Settings, tmp_path: Path
) -> None:
    """Also where it looks at the disk again, as for a stream that is said to have another length now."""
    stored: list[Arrived] = []

    def again(rogue: Rogue) -> None:
        assert rogue.begin(replace(STREAM, size=7), None).complete
        rogue.send_final(blake3(DATA).digest())
        rogue.take_receipt()

    side = receive_from_rogues(
        [(parties.emitter, all_but_the_receipt), (parties.emitter, again)],
        lambda: FileSink(tmp_path / "file", StorageRules()),
        lasting,
        on_stored=stored.append,
    )
    assert side.error is None and side.outcome.earlier
    assert len(stored) == 1


@pytest.mark.parametrize("before", [rest, half], ids=["stored", "cut"])
def test_a_service_tells_a_refusal_as_what_it_is(
    serve, play_emitter, parties, tmp_path: Path, before
) -> None:
    """Whatever else it holds: who is refused has lost no link that could be taken up again."""
    (tmp_path / "alice").mkdir()
    exchange, side = serve(lambda peer: FileSink(tmp_path / peer.name / "log", StorageRules()))
    for identity, script in (
        (parties.emitter, before),
        (parties.stranger, converses),
        (parties.emitter, rest),  # by then the one before has been told
    ):
        play_emitter(exchange.dial(identity.public, 0), script, identity)
    assert [event.kind for event in side.events if isinstance(event, events.Failed)] == ["WrongKind"]
    lost = [event for event in side.events if isinstance(event, events.Lost)]
    assert len(lost) == (1 if before is half else 0)


def test_what_is_over_by_another_digest_is_not_held(
    receive_from_rogues, parties, lasting: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A FINAL over something else than what is stored, and an end in the same breath."""
    left: list[list[bytes]] = []
    sent = threading.Event()

    class Noted(Intakes):
        def close(self) -> None:
            left.append(list(self._held))
            super().close()

    class Telling(list):
        def append(self, event: events.Event) -> None:
            super().append(event)
            if isinstance(event, events.Resumed):
                assert sent.wait(PATIENCE)

    def differs(rogue: Rogue) -> None:
        assert rogue.begin(STREAM, None).complete
        rogue.send_final(blake3(b"other").digest())
        gives_up(rogue)
        sent.set()
        rogue.until_closed(rogue.receive)

    monkeypatch.setattr(receiver_module, "Intakes", Noted)
    side = receive_from_rogues(
        [(parties.emitter, all_but_the_receipt), (parties.emitter, differs)],
        lambda: FileSink(tmp_path / "file", StorageRules()),
        lasting,
        on_side=lambda side: setattr(side, "events", Telling()),
    )
    assert side.error is None, "it is stored, and that was told"
    assert left == [[]]
