"""Emitter and Receiver against each other, over every transport."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from selo.agents import emitter as emitter_module
from selo.agents import events
from selo.agents.bodies import Abort, AbortCode, Ack, Answer, Mark
from selo.agents.errors import DeliveryCut, PeerFailed, PeerLost, SourceFault, StreamLost
from selo.agents.meeting_errors import NotReached, RefusedByPeer, WrongListener
from selo.agents.outage import Outage
from selo.agents.sinks import CallableSink, FolderSink
from selo.agents.sources import BytesSource, FileSource, IterableSource
from selo.config.settings import Settings
from selo.crypto.records import RecordType
from selo.errors import Interrupted, LocalFault
from selo.transport.base import ConnectFailed
from tests.agents.rogue import Rogue

RECORD = 1 << 16


@pytest.mark.parametrize("record_size", [32, RECORD])
@pytest.mark.parametrize("size", ["0", "1", "31", "32", "33", "record", "record+1", "3 records"])
def test_every_size_arrives_exactly(
    make_wire, deliver, settings: Settings, record_size: int, size: str
) -> None:
    """Whatever its length, a delivery arrives byte for byte and both sides agree on it."""
    length = {"record": record_size, "record+1": record_size + 1, "3 records": 3 * record_size}.get(size)
    data = os.urandom(int(size) if length is None else length)
    run = deliver(make_wire(), BytesSource(data), emitter_settings=replace(settings, record_size=record_size))
    assert run.emitter.error is None and run.receiver.error is None
    assert run.received == data
    assert run.emitter.outcome.blake3 == run.receiver.outcome.blake3 == blake3(data).hexdigest()
    assert run.emitter.outcome.bytes == run.receiver.outcome.bytes == len(data)
    assert run.emitter.outcome.records == run.receiver.outcome.records == -(-len(data) // record_size)


def test_many_records_pass_a_small_window(make_wire, deliver, settings: Settings) -> None:
    """A window much smaller than the delivery is opened again and again by ACKs."""
    data = os.urandom(300_000)
    small = replace(settings, record_size=1000, window_bytes=4096, window_records=3)
    run = deliver(make_wire(), BytesSource(data), emitter_settings=small, receiver_settings=small)
    assert run.received == data
    assert run.emitter.outcome is not None


def test_milestones_of_the_exercise_are_reported_by_both_agents(make_wire, deliver) -> None:
    """Each side reports the partner's verified signature, then the DH keys confirmed by MAC."""
    run = deliver(make_wire(), BytesSource(b"D" * 1024))
    for side, partner in ((run.emitter, "Receiver"), (run.receiver, "Emitter")):
        told = [
            event for event in side.events if isinstance(event, events.PeerVerified | events.KeysConfirmed)
        ]
        assert [type(event) for event in told] == [events.PeerVerified, events.KeysConfirmed]
        assert all(event.role == partner for event in told)


def test_security_unpinned_receiver_gets_nothing(make_wire, deliver, parties, settings: Settings) -> None:
    """An Emitter that pinned another key sends no byte of its source, also where no gate stops it first:
    the Receiver does not answer an M1 that was not made for it. Whoever connected learns that there is
    somebody else."""
    wire = make_wire()
    brief = replace(settings, emit_wait=1.0, receive_wait=1.0)
    run = deliver(
        wire,
        BytesSource(b"x"),
        pinned=parties.stranger,
        emitter_settings=brief,
        receiver_settings=brief,
    )
    gated = wire.listener.address.startswith(("tcp:", "ipc:"))
    if wire.emitter_binds:
        assert isinstance(run.receiver.error, WrongListener)
        assert run.emitter.status != 0
    else:
        assert isinstance(run.emitter.error, WrongListener if gated else NotReached)
        assert any(isinstance(event, events.Refused) for event in run.receiver.events)
    assert run.received == b""


def test_security_unknown_emitter_is_refused(make_wire, deliver, parties, settings: Settings) -> None:
    """A Receiver that does not know the Emitter says so, stores nothing, and the Emitter ends with 3 or,
    where the transport has no second connection, with 5."""
    wire = make_wire()
    patient = replace(settings, receive_wait=1.5, emit_wait=1.0)
    run = deliver(
        wire,
        BytesSource(b"data"),
        emitter=parties.stranger,
        emitter_settings=patient,
        receiver_settings=patient,
    )
    assert run.received == b""
    if wire.emitter_binds:
        assert isinstance(run.receiver.error, WrongListener)
        assert any("refused us" in event.reason for event in run.emitter.events if event.name == "refused")
    else:
        assert isinstance(run.emitter.error, RefusedByPeer | NotReached)
        assert any(isinstance(event, events.Refused) for event in run.receiver.events)


def test_refused_twice_is_a_no(make_wire, deliver, parties, settings: Settings, request) -> None:
    """Over a transport with listeners, two closes after a verified M2 are told as a refusal."""
    wire = make_wire()
    if wire.listener.address.startswith(("memory:", "pipe:")):
        pytest.skip("one connection only")
    if wire.emitter_binds:
        pytest.skip("the Receiver that refuses ends, and does not come twice")
    run = deliver(
        wire,
        BytesSource(b"data"),
        emitter=parties.stranger,
        receiver_settings=replace(settings, receive_wait=1.5),
    )
    assert isinstance(run.emitter.error, RefusedByPeer)
    assert run.emitter.status == 3
    assert parties.stranger.fingerprint.hex() in str(run.emitter.error)
    assert run.receiver.status == 3


def test_source_that_fails_ends_both_sides_with_1(make_wire, deliver) -> None:
    """A source that breaks in the middle is told to the other side, and nobody reports success."""

    def breaking():
        yield b"first"
        raise ValueError("broken")

    run = deliver(make_wire(), IterableSource(breaking()))
    assert isinstance(run.emitter.error, SourceFault)
    assert isinstance(run.receiver.error, PeerFailed)
    assert (run.emitter.status, run.receiver.status) == (1, 1)


def test_file_that_shrinks_ends_both_sides_with_1(
    make_wire, deliver, tmp_path: Path, settings: Settings
) -> None:
    """A file cut short while it is read is an error on both sides."""
    path = tmp_path / "source"
    path.write_bytes(os.urandom(200_000))
    source = FileSource(path)
    os.truncate(path, 1000)
    run = deliver(make_wire(), source)
    assert (run.emitter.status, run.receiver.status) == (1, 1)
    assert "shrank" in str(run.emitter.error) and "shrank" in str(run.receiver.error)


def test_interrupted_emitter_tells_the_receiver(make_wire, deliver) -> None:
    """Ctrl-C at the Emitter: it ends with 130, the Receiver with 4, at once."""
    gate = threading.Event()

    def endless(run):
        def chunks():
            yield b"begin"
            run.emitter.stop.request(2)
            gate.wait(10)

        return chunks()

    holder: list = []
    source = IterableSource(chunk for run in holder for chunk in endless(run))
    run = deliver(make_wire(), source, before=holder.append)
    gate.set()
    assert isinstance(run.emitter.error, Interrupted)
    assert (run.emitter.status, run.receiver.status) == (130, 4)
    assert isinstance(run.receiver.error, DeliveryCut)
    assert "interrupted" in str(run.receiver.error)


def test_nobody_there_ends_with_5(deliver, parties, settings: Settings, make_wire) -> None:
    """An Emitter whose Receiver never appears gives up after its wait, with 5."""
    wire = make_wire("tcp")
    wire.listener.close()
    run = deliver(wire, BytesSource(b"x"), emitter_settings=replace(settings, emit_wait=0.5))
    assert isinstance(run.emitter.error, NotReached)
    assert run.emitter.status == 5
    assert not any(isinstance(event, events.Connected) for event in run.emitter.events)


# Cut, and taken up again


SMALL = os.urandom(300)
CHUNK = 100
FRAMES = 12
"""More than a delivery of three records takes in either direction: M1 to M4, OPEN, ACK, DATA, FINAL..."""

CUTS = [
    (what, direction, number)
    for what in ("sent", "received")
    for direction in (0, 1)
    for number in range(FRAMES)
]


def chunks() -> Iterator[bytes]:
    """What cannot be read twice."""
    return (SMALL[start : start + CHUNK] for start in range(0, len(SMALL), CHUNK))


WAYS = {
    "bytes to a callable": (
        lambda _folder: BytesSource(SMALL),
        lambda _folder, got: CallableSink(got.extend),
    ),
    "a generator to a callable": (
        lambda _folder: IterableSource(chunks()),
        lambda _folder, got: CallableSink(got.extend),
    ),
    "a file to a folder": (
        lambda folder: FileSource(folder / "data"),
        lambda folder, _got: FolderSink(folder / "inbox", sender="alice"),
    ),
}


@dataclass
class Cut:
    """One delivery over an ``Exchange``, and what is in the folder afterwards."""

    run: Any
    arrived: bytes
    sessions: int


@pytest.fixture
def deliver_cut(exchange_wire, deliver, lasting: Settings, tmp_path: Path) -> Callable[..., Cut]:
    """Delivers ``SMALL`` one of the ``WAYS`` while ``cut_when`` cuts; both sides must succeed."""
    small = replace(lasting, record_size=CHUNK, retry_min=0.001, retry_max=0.01)
    (tmp_path / "data").write_bytes(SMALL)
    (tmp_path / "inbox").mkdir()

    def run(way: str, cut_when) -> Cut:
        make_source, make_sink = WAYS[way]
        got = bytearray()
        wire = exchange_wire(cut_when)
        result = deliver(
            wire,
            make_source(tmp_path),
            make_sink=lambda: make_sink(tmp_path, got),
            emitter_settings=small,
            receiver_settings=small,
        )
        assert result.emitter.error is None, result.emitter.error
        assert result.receiver.error is None, result.receiver.error
        names = os.listdir(tmp_path / "inbox")
        if way == "a file to a folder":
            assert [name for name in names if not name.startswith(".")] == ["data"]
            got += (tmp_path / "inbox" / "data").read_bytes()
        return Cut(result, bytes(got), len(wire.listener.cables))

    return run


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("what", "direction", "number"), CUTS)
def test_security_a_cut_at_any_frame_changes_nothing(
    deliver_cut, way: str, what: str, direction: int, number: int
) -> None:
    """Wherever the link is lost, with a frame on its way or just after it arrived: both sides meet again,
    what arrives is the delivery, it is told once, and both agree on it."""
    cut = deliver_cut(way, lambda *frame: frame == (0, what, direction, number))
    assert cut.arrived == SMALL
    assert cut.sessions <= 2
    assert cut.run.emitter.outcome.blake3 == cut.run.receiver.outcome.blake3 == blake3(SMALL).hexdigest()
    assert cut.run.emitter.outcome.bytes == cut.run.receiver.outcome.bytes == len(SMALL)
    assert len(cut.run.stored) == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("direction", [0, 1])
def test_security_a_link_that_is_cut_again_and_again_changes_nothing(
    deliver_cut, way: str, direction: int
) -> None:
    """Session after session is lost, each a frame later than the one before it, until one is not."""
    cut = deliver_cut(way, lambda session, *frame: frame == ("received", direction, session))
    assert cut.arrived == SMALL
    assert cut.sessions > 4
    assert len(cut.run.stored) == 1


# All was sent, and no receipt came


def brief(settings: Settings) -> Settings:
    """Small records one by one, and an end that is soon."""
    return replace(settings, record_size=CHUNK, window_records=1, retry_for=0.2, retry_min=0.001)


def take_all(rogue: Rogue) -> None:
    """All of it, acknowledged; and gone."""
    rogue.welcome()
    while (record := rogue.receive()).type is RecordType.DATA:
        rogue.send(RecordType.ACK, Ack(record.seq + 1, 0).pack())


@pytest.mark.parametrize(
    "end",
    [WrongListener("bob", "memory:", "ticket"), RefusedByPeer("bob", bytes(32))],
    ids=lambda end: type(end).__name__,
)
def test_whoever_listens_later_does_not_make_the_outcome_known(emit_to_rogue, lasting: Settings, end) -> None:
    """Somebody else at the address is an error of trust, but not the whole truth once all was sent."""
    side = emit_to_rogue(
        BytesSource(SMALL), take_all, settings=brief(lasting), afterwards=lambda _side: type(end)(*end.args)
    )
    assert isinstance(side.error, DeliveryCut) and side.error.outcome_unknown
    assert isinstance(side.error.cause, type(end))
    assert (side.status, side.error.done) == (4, len(SMALL))
    assert "look there before sending again" in side.error.hint and end.hint in side.error.hint


def test_whoever_listens_later_is_an_error_of_trust_before_that(emit_to_rogue, lasting: Settings) -> None:
    """Where not all was sent the delivery cannot be there."""
    side = emit_to_rogue(
        BytesSource(SMALL),
        lambda rogue: rogue.welcome(),
        settings=brief(lasting),
        afterwards=lambda _side: WrongListener("bob", "memory:", "ticket"),
    )
    assert isinstance(side.error, WrongListener)


def test_security_a_stream_that_is_gone_may_have_been_stored(emit_to_rogue, lasting: Settings) -> None:
    """A Receiver that knows nothing of what it got whole may have handed it on before it died: to send it
    again is no advice to give."""

    def empty(rogue: Rogue) -> None:
        rogue.take(RecordType.OPEN)
        rogue.send(RecordType.OPEN, Answer().pack())
        assert Abort.unpack(rogue.take(RecordType.ABORT).plaintext).code is AbortCode.SOURCE

    side = emit_to_rogue(IterableSource(chunks()), take_all, empty, settings=brief(lasting))
    assert isinstance(side.error, DeliveryCut) and side.error.outcome_unknown
    assert isinstance(side.error.cause, StreamLost)
    assert side.status == 4
    assert side.error.hint == "look there before sending again"


def test_a_later_refusal_does_not_make_the_outcome_known(emit_to_rogue, lasting: Settings) -> None:
    """It may be refused because it is there."""

    def refusing(rogue: Rogue) -> None:
        rogue.take(RecordType.OPEN)
        rogue.send(RecordType.ABORT, Abort(AbortCode.SINK, "its place exists already").pack())

    side = emit_to_rogue(BytesSource(SMALL), take_all, refusing, settings=brief(lasting))
    assert isinstance(side.error, DeliveryCut) and side.error.outcome_unknown
    assert "its place exists already" in str(side.error)


def test_the_outcome_is_known_once_the_receipt_is_there(emit_to_rogue, lasting: Settings) -> None:
    """A receipt that verified and cannot be noted is this side's fault, and no doubt."""

    class Full(LocalFault):
        pass

    def noting(_statement: object) -> None:
        raise Full

    def receipt(rogue: Rogue) -> None:
        rogue.welcome(Answer((Mark(len(SMALL), blake3(SMALL).digest()),), complete=True))
        final = rogue.take(RecordType.FINAL)
        rogue.send(RecordType.DATA, rogue.attestation(SMALL))
        rogue.send(RecordType.RECEIPT, bytes(final.plaintext))
        rogue.take(RecordType.ABORT)

    side = emit_to_rogue(
        BytesSource(SMALL), take_all, receipt, settings=brief(lasting), on_verified=noting, delivery=b"d" * 16
    )
    assert isinstance(side.error, Full)


@pytest.mark.parametrize("named", [False, True], ids=["unnamed", "named"])
@pytest.mark.parametrize("whole", [False, True], ids=["a part", "all of it"])
def test_an_interruption_while_the_link_is_down_says_how_to_go_on(
    emit_to_rogue, lasting: Settings, whole: bool, named: bool
) -> None:
    """Ctrl-C is a decision, which somebody makes better who knows what may be there already."""

    def interrupted(side) -> ConnectFailed:
        side.stop.request(signal.SIGINT)
        return ConnectFailed("memory:", "nobody listens")

    side = emit_to_rogue(
        BytesSource(SMALL),
        take_all if whole else lambda rogue: rogue.welcome(),
        settings=replace(brief(lasting), retry_for=60.0),
        afterwards=interrupted,
        delivery=b"d" * 16 if named else None,
    )
    assert isinstance(side.error, Interrupted)
    assert side.status == 130
    assert ("all 300 bytes were sent before" in side.error.hint) == whole
    assert ("the same command goes on" in side.error.hint) == named
    assert ("look there before" in side.error.hint) == (whole and not named)


def test_an_interruption_after_the_end_says_that_it_may_be_there(emit_to_rogue, lasting: Settings) -> None:
    """In the session itself as well."""
    sides = []

    def interrupted(rogue: Rogue) -> None:
        rogue.welcome()
        rogue.take(RecordType.FINAL)
        sides[0].stop.request(signal.SIGINT)
        rogue.take(RecordType.ABORT)

    settings = replace(brief(lasting), window_records=64)
    side = emit_to_rogue(BytesSource(SMALL), interrupted, settings=settings, on_side=sides.append)
    assert isinstance(side.error, Interrupted)
    assert "the Receiver may have stored them" in side.error.hint


def test_an_interruption_before_any_session_has_nothing_to_say(emit_to_rogue, settings: Settings) -> None:
    """Nothing was begun that could go on."""

    def interrupted(side) -> ConnectFailed:
        side.stop.request(signal.SIGINT)
        return ConnectFailed("memory:", "nobody listens")

    side = emit_to_rogue(BytesSource(SMALL), afterwards=interrupted, delivery=b"d" * 16)
    assert isinstance(side.error, Interrupted)
    assert side.error.hint == ""


def test_getting_on_counts_from_where_the_session_began(
    emit_to_rogue, lasting: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Receiver whose machine died has lost what it acknowledged; what it takes of that again is progress
    of its session, for which the Emitter's time stands still."""
    noted: list[bool] = []

    class Noting(Outage):
        def lost(self, cause, *, reached: int, got_on: bool) -> None:
            noted.append(got_on)
            super().lost(cause, reached=reached, got_on=got_on)

    monkeypatch.setattr(emitter_module, "Outage", Noting)

    def taking(count: int, answer: Answer):
        def script(rogue: Rogue) -> None:
            rogue.welcome(answer)
            for _ in range(count):
                rogue.send(RecordType.ACK, Ack(rogue.take(RecordType.DATA).seq + 1, 0).pack())
            rogue.take(RecordType.DATA)  # which the window did not allow before the last ACK was there

        return script

    first = Answer((Mark(CHUNK // 2, blake3(SMALL[: CHUNK // 2]).digest()),))
    side = emit_to_rogue(
        BytesSource(SMALL),
        taking(2, Answer()),
        taking(1, first),
        taking(0, first),
        settings=replace(brief(lasting), retry_for=60.0),
        afterwards=lambda _side: PeerLost(1.0),
    )
    assert noted == [True, True, False]
    assert isinstance(side.error, DeliveryCut)
