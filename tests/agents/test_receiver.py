"""What a Receiver does with sinks that fail, users who interrupt, and nobody at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from blake3 import blake3

from selo.agents import events
from selo.agents.bodies import Abort, AbortCode, Kind, Offer
from selo.agents.emitter import Emitter
from selo.agents.errors import (
    CannotBeginAnew,
    DeliveryCut,
    NamesGone,
    PeerFailed,
    SinkFault,
    TargetExists,
)
from selo.agents.hook import Arrived
from selo.agents.meeting import Connecting, Listening, Terms
from selo.agents.meeting_errors import NobodyCame
from selo.agents.receiver import Receiver
from selo.agents.sinks import CallableSink, FileSink, FolderSink
from selo.agents.sources import BytesSource, IterableSource
from selo.agents.stop import Stop
from selo.agents.storage.base import StorageRules
from selo.agents.trees.source import TreeSource
from selo.config.errors import FileFault
from selo.config.settings import Settings
from selo.config.trust import Peer
from selo.crypto.identity import Identity
from selo.crypto.items import Item
from selo.crypto.records import RecordType
from selo.errors import SeloError
from tests.agents.rogue import Rogue


def test_file_appears_whole_under_its_name(make_wire, deliver, no_stray_files: Path) -> None:
    """A file goes into the folder under the name it brought, for its owner alone."""
    data = os.urandom(100_000)
    run = deliver(
        make_wire(), BytesSource(data, "report.pdf"), sink=FolderSink(no_stray_files, sender="alice")
    )
    assert run.emitter.status == run.receiver.status == 0
    assert (no_stray_files / "report.pdf").read_bytes() == data
    assert (no_stray_files / "report.pdf").stat().st_mode & 0o777 == 0o600
    assert run.receiver.outcome.target == str(no_stray_files / "report.pdf")


def test_existing_target_ends_both_sides_with_1_and_is_kept(make_wire, deliver, no_stray_files: Path) -> None:
    """Nothing is replaced silently; the Emitter is told why."""
    target = no_stray_files / "kept"
    target.write_text("old")
    run = deliver(make_wire(), BytesSource(b"new", "kept"), sink=FolderSink(no_stray_files, sender="alice"))
    assert isinstance(run.receiver.error, TargetExists)
    assert isinstance(run.emitter.error, PeerFailed)
    assert (run.emitter.status, run.receiver.status) == (1, 1)
    assert "exists" in str(run.emitter.error)
    assert target.read_text() == "old"


def test_a_tree_that_lacks_what_was_there_is_stored_and_no_success(
    make_wire, deliver, tmp_path: Path
) -> None:
    """A file that moves into a folder which is through is in no copy: 1 at the Emitter, after the receipt."""
    top, inbox = tmp_path / "top", tmp_path / "inbox"
    inbox.mkdir()
    for name in ("a", "b", "c"):
        (top / name).mkdir(parents=True)
        (top / name / f"file {name}").write_text(name)

    def move(item: Item) -> None:
        if item.path == b"top/b":
            (top / "c" / "file c").rename(top / "a" / "file c")

    run = deliver(
        make_wire(),
        TreeSource([str(top)], on_item=move),
        sink=FolderSink(inbox, sender="alice"),
    )
    assert (run.emitter.status, run.receiver.status) == (1, 0), run.receiver.error
    assert isinstance(run.emitter.error, NamesGone)
    assert "1 of the 7 things" in str(run.emitter.error)
    assert len([event for event in run.emitter.events if isinstance(event, events.Delivered)]) == 1
    assert (inbox / "top" / "a" / "file a").read_text() == "a"
    assert not list(inbox.rglob("file c"))


def test_security_abort_text_holds_no_local_path(make_wire, deliver, no_stray_files: Path) -> None:
    """What the Emitter is told of a failing sink does not show where the Receiver keeps things."""
    run = deliver(make_wire(), BytesSource(b"new"), sink=FileSink(no_stray_files / "missing" / "file"))
    assert (run.emitter.status, run.receiver.status) == (1, 1)
    assert str(no_stray_files) in str(run.receiver.error)
    assert str(no_stray_files) not in str(run.emitter.error)


def test_sink_that_fails_in_the_middle_ends_both_sides_with_1(
    make_wire, deliver, no_stray_files: Path
) -> None:
    """A disk that fills up half-way is a sentence on both sides, and no file."""

    class Full(FileSink):
        count = 0

        def write(self, data: bytes | bytearray | memoryview) -> None:
            self.count += len(data)
            if self.count > 100_000:
                raise SinkFault("file", "no space left on device")
            super().write(data)

    target = no_stray_files / "file"
    run = deliver(make_wire(), BytesSource(os.urandom(1 << 20)), sink=Full(target))
    assert (run.emitter.status, run.receiver.status) == (1, 1)
    assert "no space left" in str(run.emitter.error)
    assert not target.exists()


def test_interrupted_receiver_tells_the_emitter(make_wire, deliver, no_stray_files: Path) -> None:
    """Ctrl-C at the Receiver: it ends with 130, the Emitter with 4, and no file is left."""
    target = no_stray_files / "file"
    gate = threading.Event()

    def chunks():
        yield b"begin"
        gate.wait(10)

    def interrupt_when_written(run):
        class Noticing(FileSink):
            def write(self, data):
                super().write(data)
                run.receiver.stop.request(15)

        sinks.append(Noticing(target))

    sinks: list = []

    class Late:
        def __getattr__(self, name):
            return getattr(sinks[0], name)

    run = deliver(make_wire(), IterableSource(chunks()), sink=Late(), before=interrupt_when_written)
    gate.set()
    assert (run.emitter.status, run.receiver.status) == (4, 143)
    assert isinstance(run.emitter.error, DeliveryCut)
    assert not target.exists()


def test_slow_sink_is_not_a_dead_peer(make_wire, deliver, settings: Settings) -> None:
    """A sink slower than the idle limit keeps the session: PINGs show that both sides live."""
    release = threading.Event()
    timer = threading.Timer(1.5, release.set)
    taken = bytearray()

    def slow(data: bytes) -> None:
        release.wait(20)
        taken.extend(data)

    impatient = replace(settings, idle_limit=0.6, ping_interval=0.1, window_bytes=4096, record_size=1024)
    timer.start()
    run = deliver(
        make_wire(),
        BytesSource(b"x" * 20_000),
        sink=CallableSink(slow),
        emitter_settings=impatient,
        receiver_settings=impatient,
    )
    timer.cancel()
    assert run.emitter.status == run.receiver.status == 0
    assert taken == b"x" * 20_000


def test_nobody_came_ends_with_5(make_wire, parties, settings: Settings) -> None:
    """``--wait`` ends with 5 when nobody knocked."""
    wire = make_wire("tcp")
    alice = Peer("alice", may_send=True, identity=parties.emitter.public)
    receiver = Receiver(
        identity=parties.receiver,
        senders=lambda: {alice.fingerprint: alice},
        make_sink=lambda _sender: CallableSink(lambda _data: None),
        terms=Terms(settings=replace(settings, receive_wait=0.3), stop=Stop()),
    )
    with pytest.raises(NobodyCame) as caught:
        receiver.run(Listening(wire.listener, ("alice",)))
    assert caught.value.exit_status == 5


# Cut, and taken up again

DATA = os.urandom(1000)
STREAM = Offer(Kind.STREAM, None, None, delivery=b"d" * 16)


def part(count: int, offer: Offer = STREAM, data: bytes = DATA) -> Callable[[Rogue], None]:
    """An Emitter that goes on from what is there, brings all up to ``count`` bytes, and is lost."""

    def script(rogue: Rogue) -> None:
        answer = rogue.begin(offer, None)
        rogue.send(RecordType.DATA, data[answer.held : count])
        rogue.take(RecordType.ACK)

    return script


def rest(held: int | None, offer: Offer = STREAM, data: bytes = DATA) -> Callable[[Rogue], None]:
    """An Emitter that finds ``held`` bytes (None: all, stored), brings the rest, and gets its receipt."""

    def script(rogue: Rogue) -> None:
        answer = rogue.begin(offer, None)
        assert (answer.complete, answer.held) == ((True, len(data)) if held is None else (False, held))
        if answer.held < len(data):
            rogue.send(RecordType.DATA, data[answer.held :])
        rogue.send_final(blake3(data).digest())
        rogue.take_receipt()

    return script


def told_later(offer: Offer = STREAM) -> Callable[[Rogue], None]:
    """An Emitter that is told to come back."""

    def script(rogue: Rogue) -> None:
        rogue.send(RecordType.OPEN, offer.pack())
        assert Abort.unpack(rogue.take(RecordType.ABORT).plaintext).code is AbortCode.LATER

    return script


def unconfirmed(rogue: Rogue) -> None:
    """An Emitter that brings everything, and is lost before it can say that it has the receipt."""
    rogue.begin(STREAM)
    rogue.send(RecordType.DATA, DATA)
    rogue.send_final(blake3(DATA).digest())
    rogue.take(RecordType.RECEIPT)


@pytest.mark.parametrize("places", [[], [1], [0], [999], [1000], [3, 3, 500, 999]])
@pytest.mark.parametrize("kind", ["callable", "file"])
def test_a_delivery_goes_on_in_the_next_session(
    receive_from_rogues, parties, lasting: Settings, tmp_path: Path, places: list[int], kind: str
) -> None:
    """However often the Emitter is lost, and wherever: what comes after is written after what came before."""
    got = bytearray()
    target = tmp_path / "file"
    scripts = []
    held = 0
    for place in places:
        scripts.append(
            (parties.emitter, part(place) if place > held else lambda rogue: rogue.begin(STREAM, None))
        )
        held = max(held, place)
    side = receive_from_rogues(
        [*scripts, (parties.emitter, rest(held))],
        lambda: CallableSink(got.extend) if kind == "callable" else FileSink(target),
        lasting,
    )
    assert side.error is None
    assert (bytes(got) if kind == "callable" else target.read_bytes()) == DATA
    assert side.outcome.bytes == len(DATA)
    assert side.outcome.receipt == "sent"


def test_security_nobody_else_goes_on_with_a_delivery(
    receive_from_rogues, parties, lasting: Settings, tmp_path: Path
) -> None:
    """A trusted peer that knows the delivery's name is not given its place: it is told to come back later,
    and the first one's delivery is not touched."""
    side = receive_from_rogues(
        [
            (parties.emitter, part(500)),
            (parties.stranger, told_later()),
            (parties.emitter, part(700)),
            (parties.stranger, told_later()),
            (parties.emitter, rest(700)),
        ],
        lambda: FileSink(tmp_path / "file"),
        lasting,
    )
    assert side.error is None
    assert (tmp_path / "file").read_bytes() == DATA
    assert side.outcome.peer == "alice"


def test_the_place_is_held_for_a_delivery_not_for_a_peer(
    receive_from_rogues, parties, lasting: Settings, tmp_path: Path
) -> None:
    """Not even the same peer begins another one meanwhile."""
    other = replace(STREAM, delivery=b"e" * 16)
    side = receive_from_rogues(
        [(parties.emitter, part(500)), (parties.emitter, told_later(other)), (parties.emitter, rest(500))],
        lambda: FileSink(tmp_path / "file"),
        lasting,
    )
    assert side.error is None
    assert (tmp_path / "file").read_bytes() == DATA


def test_a_receipt_that_was_lost_is_sent_again(
    receive_from_rogues, parties, lasting: Settings, tmp_path: Path
) -> None:
    """The Emitter that comes back hears that all is stored; nothing is delivered or told twice."""
    stored: list[Arrived] = []
    got = bytearray()
    side = receive_from_rogues(
        [(parties.emitter, unconfirmed), (parties.emitter, unconfirmed_again), (parties.emitter, rest(None))],
        lambda: CallableSink(got.extend),
        lasting,
        on_stored=stored.append,
    )
    assert side.error is None
    assert got == DATA
    assert len(stored) == 1
    assert (stored[0].bytes, stored[0].blake3) == (len(DATA), blake3(DATA).hexdigest())
    told = [event.receipt for event in side.events if isinstance(event, events.Delivered)]
    assert told == ["not sent", "not sent", "sent"]
    assert side.outcome.receipt == "sent"


def unconfirmed_again(rogue: Rogue) -> None:
    """The same, with nothing more to send."""
    assert rogue.begin(STREAM, None).complete
    rogue.send_final(blake3(DATA).digest())
    rogue.take(RecordType.RECEIPT)


@pytest.mark.parametrize("returns", ["never", "and is lost before the answer", "and is lost before FINAL"])
def test_security_what_is_stored_is_never_called_cut(
    receive_from_rogues, parties, lasting: Settings, tmp_path: Path, returns: str
) -> None:
    """Whether or not the Emitter comes back, and however far: the delivery is there, and that is told."""
    scripts = {
        "never": [],
        "and is lost before the answer": [lambda rogue: rogue.send(RecordType.OPEN, STREAM.pack())],
        "and is lost before FINAL": [lambda rogue: rogue.begin(STREAM, None)],
    }[returns]
    side = receive_from_rogues(
        [(parties.emitter, script) for script in (unconfirmed, *scripts)],
        lambda: FileSink(tmp_path / "file"),
        lasting,
    )
    assert side.error is None
    assert side.outcome.receipt == "not sent"
    assert (tmp_path / "file").read_bytes() == DATA


def test_security_changed_content_under_a_stored_name_is_a_new_delivery(
    receive_from_rogues, parties, lasting: Settings, tmp_path: Path
) -> None:
    """An Emitter that does not agree with what is stored is told to come back, and brings it as new."""
    other = os.urandom(1000)

    def disagreeing(rogue: Rogue) -> None:
        answer = rogue.begin(STREAM, 0)
        assert answer.complete
        assert Abort.unpack(rogue.take(RecordType.ABORT).plaintext).code is AbortCode.LATER

    stored: list[Arrived] = []
    files = iter("ab")
    side = receive_from_rogues(
        [
            (parties.emitter, unconfirmed),
            (parties.emitter, disagreeing),
            (parties.emitter, rest(0, data=other)),
        ],
        lambda: FileSink(tmp_path / next(files)),
        lasting,
        on_stored=stored.append,
    )
    assert side.error is None
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()) == (DATA, other)
    assert [each.blake3 for each in stored] == [blake3(DATA).hexdigest(), blake3(other).hexdigest()]


def test_security_content_after_nothing_was_stored_is_a_new_delivery(
    receive_from_rogues, parties, lasting: Settings, tmp_path: Path
) -> None:
    """Of a delivery of no bytes the end is the beginning; DATA shows that the Emitter has other content."""

    def nothing(rogue: Rogue) -> None:
        rogue.begin(STREAM)
        rogue.send_final(blake3(b"").digest())
        rogue.take(RecordType.RECEIPT)

    def something(rogue: Rogue) -> None:
        answer = rogue.begin(STREAM, 0)
        assert (answer.complete, answer.held) == (True, 0)
        rogue.send(RecordType.DATA, DATA)
        assert Abort.unpack(rogue.take(RecordType.ABORT).plaintext).code is AbortCode.LATER

    files = iter("ab")
    side = receive_from_rogues(
        [(parties.emitter, script) for script in (nothing, something, rest(0))],
        lambda: FileSink(tmp_path / next(files)),
        lasting,
    )
    assert side.error is None
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()) == (b"", DATA)


@pytest.mark.parametrize("data", [b"more", b""], ids=["more", "another FINAL"])
def test_security_nothing_is_added_to_what_is_stored(
    receive_from_rogues, parties, lasting: Settings, tmp_path: Path, data: bytes
) -> None:
    """DATA after the end, or a FINAL over something else, gets no receipt and changes no byte."""

    def adding(rogue: Rogue) -> None:
        assert rogue.begin(STREAM, None).complete
        if data:
            rogue.send(RecordType.DATA, data)
        else:
            rogue.send_final(blake3(b"other").digest())
        assert Abort.unpack(rogue.take(RecordType.ABORT).plaintext).code is AbortCode.PROTOCOL

    stored: list[Arrived] = []
    receive_from_rogues(
        [(parties.emitter, unconfirmed), (parties.emitter, adding)],
        lambda: FileSink(tmp_path / "file"),
        lasting,
        on_stored=stored.append,
    )
    assert (tmp_path / "file").read_bytes() == DATA
    assert len(stored) == 1


def test_security_a_stream_that_was_handed_on_is_never_begun_anew(
    receive_from_rogues, parties, lasting: Settings
) -> None:
    """What a callable has got cannot be taken back: an Emitter that begins at 0 again is told why not."""

    def anew(rogue: Rogue) -> None:
        assert rogue.begin(STREAM, 0).held == 500
        assert Abort.unpack(rogue.take(RecordType.ABORT).plaintext).code is AbortCode.SINK

    got = bytearray()
    side = receive_from_rogues(
        [(parties.emitter, part(500)), (parties.emitter, anew)], lambda: CallableSink(got.extend), lasting
    )
    assert isinstance(side.error, CannotBeginAnew)
    assert got == DATA[:500]


def test_a_file_is_begun_anew_where_the_emitter_says_so(
    receive_from_rogues, parties, lasting: Settings, tmp_path: Path
) -> None:
    """Place 0 is always allowed where nothing is out of our hands."""

    def anew(rogue: Rogue) -> None:
        assert rogue.begin(STREAM, 0).held == 500
        rogue.send(RecordType.DATA, b"other")
        rogue.send_final(blake3(b"other").digest())
        rogue.take_receipt()

    side = receive_from_rogues(
        [(parties.emitter, part(500)), (parties.emitter, anew)], lambda: FileSink(tmp_path / "file"), lasting
    )
    assert side.error is None
    assert (tmp_path / "file").read_bytes() == b"other"


@pytest.mark.parametrize("count", [1, 500, 999])
def test_another_process_goes_on_from_the_disk(
    receive_from_rogues, parties, lasting: Settings, tmp_path: Path, count: int
) -> None:
    """What a Receiver that ended has written is read again by the next one, with marks that are true."""
    make = partial(FileSink, tmp_path / "file", StorageRules())
    first = receive_from_rogues([(parties.emitter, part(count))], make, lasting)
    assert isinstance(first.error, DeliveryCut) and first.error.kept
    assert not (tmp_path / "file").exists()

    def looking(rogue: Rogue) -> None:
        answer = rogue.begin(STREAM, 0)  # and is lost: what was there may be gone, and no more than that
        assert all(mark.digest == blake3(DATA[: mark.position]).digest() for mark in answer.marks)

    second = receive_from_rogues([(parties.emitter, rest(count))], make, lasting)
    assert second.error is None
    assert (tmp_path / "file").read_bytes() == DATA
    assert [name for name in os.listdir(tmp_path) if name.startswith(".selo")] == []
    third = receive_from_rogues([(parties.emitter, looking)], lambda: FileSink(tmp_path / "third"), lasting)
    assert third.status == 4


# A service


def test_security_two_peers_with_one_name_for_it_have_two_deliveries(
    serve, play_emitter, parties, tmp_path: Path
) -> None:
    """A service goes on with a delivery only for the peer that began it: the other one finds nothing there,
    and what each brings ends in its own place."""
    for name in ("alice", "carol"):
        (tmp_path / name).mkdir()
    exchange, side = serve(lambda peer: FolderSink(tmp_path / peer.name, sender=peer.name))
    offer = Offer(Kind.FILE, "data", len(DATA), b"d" * 16)
    other = os.urandom(len(DATA))

    def play(identity: Identity, script: Callable[[Rogue], None]) -> None:
        play_emitter(exchange.dial(identity.public, 0), script, identity)

    play(parties.emitter, part(500, offer))
    play(parties.stranger, part(300, offer, other))
    play(parties.emitter, rest(500, offer))
    play(parties.stranger, rest(300, offer, other))
    assert (tmp_path / "alice" / "data").read_bytes() == DATA
    assert (tmp_path / "carol" / "data").read_bytes() == other
    assert not [event for event in side.events if isinstance(event, events.Failed)]


def test_security_who_cannot_be_looked_up_is_not_let_in_and_ends_nothing(
    make_wire, parties, settings: Settings
) -> None:
    """A store that cannot be read for a moment: who knocks then is refused, also at a Receiver for one."""
    wire, taken, alice = make_wire("tcp"), bytearray(), Peer("alice", True, parties.emitter.public)
    known = {alice.fingerprint: alice}
    answers: list[dict[bytes, Peer] | SeloError] = [
        known,
        FileFault("read", Path("peers"), "it hangs"),
        known,
    ]

    def senders() -> dict[bytes, Peer]:
        answer = answers.pop(0)
        if isinstance(answer, SeloError):
            raise answer
        return answer

    seen: list[events.Event] = []
    receiver = Receiver(
        identity=parties.receiver,
        senders=senders,
        make_sink=lambda _sender: CallableSink(taken.extend),
        terms=Terms(settings=settings, stop=Stop(), report=seen.append),
    )
    bob = Peer("bob", False, parties.receiver.public)
    emitter = Emitter(
        identity=parties.emitter,
        peer=bob,
        source=BytesSource(DATA),
        terms=Terms(settings=replace(settings, emit_wait=20.0), stop=Stop()),
    )
    sending = threading.Thread(target=lambda: emitter.run(Connecting(wire.listener.address, bob, wire.dial)))
    sending.start()
    receiver.run(Listening(wire.listener, ("alice",)))
    sending.join()
    assert taken == DATA and answers == []
    refused = [event for event in seen if isinstance(event, events.Refused)]
    assert any("cannot be found out" in event.reason for event in refused)


def test_a_service_takes_others_while_one_is_cut(serve, play_emitter, parties, tmp_path: Path) -> None:
    """Deliveries of one peer that were cut wait side by side, each for its own rest."""
    exchange, _ = serve(lambda peer: FolderSink(tmp_path, sender=peer.name))
    offers = [Offer(Kind.FILE, f"data{n}", len(DATA), bytes([n]) * 16) for n in range(3)]
    for number, offer in enumerate(offers):
        play_emitter(exchange.dial(parties.emitter.public, 0), part(100 + number, offer))
    for number, offer in reversed(list(enumerate(offers))):
        play_emitter(exchange.dial(parties.emitter.public, 0), rest(100 + number, offer))
    assert all((tmp_path / offer.name).read_bytes() == DATA for offer in offers if offer.name)


def test_a_service_outlives_whoever_misbehaves(serve, play_emitter, parties, tmp_path: Path) -> None:
    """A peer that breaks the protocol loses its own delivery; the next one is taken."""
    exchange, side = serve(lambda peer: FolderSink(tmp_path, sender=peer.name))

    def breaking(rogue: Rogue) -> None:
        rogue.begin(STREAM, 77)
        rogue.take(RecordType.ABORT)

    play_emitter(exchange.dial(parties.emitter.public, 0), breaking)
    offer = Offer(Kind.FILE, "data", len(DATA), b"e" * 16)
    play_emitter(exchange.dial(parties.emitter.public, 0), rest(0, offer))
    assert (tmp_path / "data").read_bytes() == DATA
    assert [event.kind for event in side.events if isinstance(event, events.Failed)] == ["DeliveryCut"]
