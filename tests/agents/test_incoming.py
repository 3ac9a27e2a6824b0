"""The Receiver against an authenticated Emitter that breaks the rules of the delivery."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from blake3 import blake3

from selo.agents import receiver as receiver_module
from selo.agents.bodies import Abort, AbortCode, Ack, Answer, Kind, Mark, Offer
from selo.agents.errors import DeliveryCut, DigestMismatch, PeerFailed, PeerMisbehaved, SinkFault
from selo.agents.sinks import CallableSink, FileSink
from selo.agents.writer import Writer
from selo.config.settings import Settings
from selo.crypto.errors import RecordRefused
from selo.crypto.receipts import Attestation
from selo.crypto.records import RecordType
from selo.transport.base import LegClosed
from tests.agents.exchange import CableEnd
from tests.agents.rogue import PATIENCE

STREAM = Offer(Kind.STREAM, None, None, delivery=b"d" * 16)


def deliver(rogue, data: bytes, *, digest: bytes | None = None) -> tuple[bytes, bytes]:
    """A whole delivery in one DATA record; the statement and the body of the RECEIPT."""
    send_whole(rogue, data, digest=digest)
    return rogue.take_receipt()


def send_whole(rogue, data: bytes, *, digest: bytes | None = None) -> None:
    """All that an Emitter sends of a delivery before its receipt."""
    rogue.begin(STREAM)
    rogue.send(RecordType.DATA, data)
    rogue.send_final(blake3(data).digest() if digest is None else digest)


def refused(rogue) -> None:
    """The Receiver says that the protocol was broken."""
    assert Abort.unpack(rogue.take(RecordType.ABORT).plaintext).code is AbortCode.PROTOCOL


def test_receipt_is_the_final_computed_again(receive_from_rogue, no_stray_files: Path) -> None:
    """An honest scripted Emitter gets a RECEIPT with its own totals and a signed statement before it, after
    the file is there."""
    data, target = os.urandom(1000), no_stray_files / "file"
    receipts = []

    def honest(rogue) -> None:
        statement, receipt = deliver(rogue, data)
        assert target.read_bytes() == data
        attestation = Attestation.unpack(statement)
        assert attestation is not None and attestation.durable and not attestation.sha256
        receipts.append(receipt)

    side = receive_from_rogue(honest, FileSink(target))
    assert side.error is None
    assert side.outcome.receipt == "sent"
    assert receipts[0][-32:] == blake3(data).digest()


def test_security_content_that_differs_from_its_digest_is_not_stored(
    receive_from_rogue, no_stray_files: Path
) -> None:
    """Every tag verifies, the content's digest does not: nothing appears under the final name."""
    target = no_stray_files / "file"

    def lying(rogue) -> None:
        with pytest.raises(LegClosed):
            deliver(rogue, b"data", digest=bytes(32))

    side = receive_from_rogue(lying, FileSink(target))
    assert isinstance(side.error, DeliveryCut)
    assert isinstance(side.error.cause, DigestMismatch)
    assert side.status == 4
    assert not target.exists()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (RecordType.RECEIPT, bytes(80)),
        (RecordType.OPEN, STREAM.pack()[:-1]),
        (RecordType.OPEN, b"\x98\x07" + STREAM.pack()[2:]),
        (RecordType.OPEN, b"\x98\x01" + STREAM.pack()[2:]),
        (RecordType.OPEN, Answer().pack()),
    ],
    ids=["RECEIPT", "OPEN cut", "OPEN of no kind", "OPEN of a file without a name", "an answer"],
)
def test_security_record_out_of_place_ends_the_session(
    receive_from_rogue, no_stray_files: Path, kind: RecordType, body: bytes
) -> None:
    """What authenticates and yet may not come ends with 4 and writes nothing."""

    def breaking(rogue) -> None:
        rogue.allow_anything()
        rogue.send(kind, body)
        rogue.until_closed(rogue.receive)

    side = receive_from_rogue(breaking, FileSink(no_stray_files / "file"))
    assert isinstance(side.error, DeliveryCut)
    assert isinstance(side.error.cause, PeerMisbehaved | RecordRefused)
    assert side.status == 4
    assert not list(no_stray_files.iterdir())


def opened(rogue) -> None:
    """The Emitter's OPEN, and the answer to it."""
    rogue.send(RecordType.OPEN, STREAM.pack())
    rogue.take(RecordType.OPEN)


def place(rogue, position: int = 0, next_seq: int | None = None) -> None:
    """The Emitter's first ACK."""
    seq = rogue.expected_seq if next_seq is None else next_seq
    rogue.send(RecordType.ACK, Ack(seq, position).pack())


def unanswered_place(rogue) -> None:
    """A place before the answer can have come."""
    rogue.send(RecordType.OPEN, STREAM.pack())
    rogue.allow_anything()
    place(rogue, next_seq=0)


def stolen_answer(rogue) -> None:
    """DATA at once after OPEN, as if nothing was there and all was well."""
    rogue.send(RecordType.OPEN, STREAM.pack())
    rogue.send(RecordType.DATA, b"data")


BEFORE_THE_PLACE = {
    "a place that was not offered": lambda rogue: (opened(rogue), place(rogue, 1)),
    "a place beyond everything": lambda rogue: (opened(rogue), place(rogue, (1 << 64) - 1)),
    "a place for no answer": lambda rogue: (opened(rogue), place(rogue, next_seq=0)),
    "a place for what never came": lambda rogue: (opened(rogue), place(rogue, next_seq=1 << 40)),
    "a place before the answer": unanswered_place,
    "two places": lambda rogue: (opened(rogue), place(rogue), place(rogue)),
    "ACK in the middle": lambda rogue: (
        opened(rogue),
        place(rogue),
        rogue.send(RecordType.DATA, b"data"),
        place(rogue),
    ),
    "DATA before the answer": stolen_answer,
    "DATA before the place": lambda rogue: (opened(rogue), rogue.send(RecordType.DATA, b"data")),
    "FINAL before the place": lambda rogue: (opened(rogue), rogue.send_final(blake3(b"").digest())),
}


@pytest.mark.parametrize("script", BEFORE_THE_PLACE.values(), ids=BEFORE_THE_PLACE)
def test_security_nothing_is_written_where_no_place_was_settled(
    receive_from_rogue, no_stray_files: Path, script
) -> None:
    """Exactly one ACK, for the answer and with a place that was offered, comes before DATA; else it is 4."""

    def breaking(rogue) -> None:
        script(rogue)
        refused(rogue)

    side = receive_from_rogue(breaking, FileSink(no_stray_files / "file"))
    assert isinstance(side.error, DeliveryCut)
    assert isinstance(side.error.cause, PeerMisbehaved)
    assert side.status == 4
    assert not list(no_stray_files.iterdir())


@pytest.mark.parametrize("next_seq", ["the statement", "none", "one that never came"])
def test_security_ack_of_something_else_than_the_receipt(
    receive_from_rogue, no_stray_files: Path, next_seq: str
) -> None:
    """The last ACK names the RECEIPT. One that does not breaks the protocol; what is stored stays stored, and
    nobody says that the receipt arrived."""

    def lying(rogue) -> None:
        send_whole(rogue, b"data")
        statement = rogue.take(RecordType.DATA)
        rogue.take(RecordType.RECEIPT)
        seq = {"the statement": statement.seq + 1, "none": 0, "one that never came": 1 << 40}[next_seq]
        place(rogue, next_seq=seq)
        refused(rogue)

    side = receive_from_rogue(lying, FileSink(no_stray_files / "file"))
    assert side.error is None
    assert side.outcome.receipt == "not sent"
    assert (no_stray_files / "file").read_bytes() == b"data"


@pytest.mark.parametrize("held", [1, 4, 9])
def test_security_only_places_that_were_offered_are_gone_on_from(
    receive_from_rogues, parties, lasting: Settings, no_stray_files: Path, held: int
) -> None:
    """Of a delivery with ``held`` bytes, every place but 0 and its end is refused."""
    data = os.urandom(held)

    def begin(rogue) -> None:
        rogue.begin(STREAM)
        rogue.send(RecordType.DATA, data)
        rogue.take(RecordType.ACK)

    def steal(position: int):
        def script(rogue) -> None:
            answer = rogue.begin(STREAM, position)
            assert answer == Answer((Mark(held, blake3(data).digest()),))
            refused(rogue)

        return script

    for position in (*range(1, held), held + 1, 1 << 63):
        scripts = [(parties.emitter, begin), (parties.emitter, steal(position))]
        side = receive_from_rogues(scripts, lambda: FileSink(no_stray_files / "file"), lasting)
        assert isinstance(side.error, DeliveryCut)
        assert isinstance(side.error.cause, PeerMisbehaved)
        assert not list(no_stray_files.iterdir())


@pytest.mark.parametrize("first", [RecordType.DATA, RecordType.FINAL], ids=lambda kind: kind.name)
def test_security_nothing_comes_before_open(
    receive_from_rogue, no_stray_files: Path, first: RecordType
) -> None:
    """DATA or FINAL in an idle direction is refused by the opener itself."""

    def early(rogue) -> None:
        rogue.allow_anything()
        rogue.send(first, bytes(80))

    side = receive_from_rogue(early, FileSink(no_stray_files / "file"))
    assert isinstance(side.error, DeliveryCut)
    assert isinstance(side.error.cause, RecordRefused)
    assert not list(no_stray_files.iterdir())


@pytest.mark.parametrize(("records", "bytes_each"), [(9, 10), (3, 4096)], ids=["records", "bytes"])
def test_security_more_than_the_window_grants_ends_the_session(
    receive_from_rogue, settings: Settings, records: int, bytes_each: int
) -> None:
    """An Emitter that does not wait for ACKs cannot make the Receiver hold more than it granted."""
    let_go = threading.Event()

    def flooding(rogue) -> None:
        rogue.begin(STREAM)
        for _ in range(records):
            rogue.send(RecordType.DATA, bytes(bytes_each))
        refused(rogue)

    small = replace(settings, window_records=8, window_bytes=8192, record_size=1024)
    side = receive_from_rogue(flooding, CallableSink(lambda _data: let_go.wait(20)), small)
    let_go.set()
    assert isinstance(side.error, DeliveryCut)
    assert isinstance(side.error.cause, PeerMisbehaved)
    assert "window" in str(side.error)


def test_emitter_that_leaves_after_final_does_not_undo_it(receive_from_rogue, no_stray_files: Path) -> None:
    """Once FINAL verified the delivery is whole: it is stored, and that is success for the Receiver."""
    target = no_stray_files / "file"

    def hasty(rogue) -> None:
        send_whole(rogue, b"data")

    side = receive_from_rogue(hasty, FileSink(target))
    assert side.error is None
    assert target.read_bytes() == b"data"


@pytest.mark.parametrize("when", ["before DATA", "after DATA"])
def test_emitter_that_leaves_before_final_leaves_nothing(
    receive_from_rogue, no_stray_files: Path, when: str
) -> None:
    """The end of a connection is never the end of a stream."""

    def leaving(rogue) -> None:
        rogue.begin(STREAM)
        if when == "after DATA":
            rogue.send(RecordType.DATA, b"data")

    side = receive_from_rogue(leaving, FileSink(no_stray_files / "file"))
    assert isinstance(side.error, DeliveryCut)
    assert side.status == 4
    assert not list(no_stray_files.iterdir())


@pytest.mark.parametrize("code", [AbortCode.SOURCE, AbortCode.INTERNAL])
def test_emitter_that_fails_is_believed(receive_from_rogue, no_stray_files: Path, code: AbortCode) -> None:
    """ABORT of a failed source: 1, with the Emitter's words."""

    def failing(rogue) -> None:
        rogue.begin(STREAM)
        rogue.send(RecordType.ABORT, Abort(code, "the disk broke").pack())

    side = receive_from_rogue(failing, FileSink(no_stray_files / "file"))
    assert isinstance(side.error, PeerFailed)
    assert "the disk broke" in str(side.error)
    assert side.status == 1
    assert not list(no_stray_files.iterdir())


@pytest.mark.parametrize("sent", [3, 5], ids=["shorter", "longer"])
def test_security_file_that_is_not_as_long_as_it_said(
    receive_from_rogue, no_stray_files: Path, sent: int
) -> None:
    """A file's size in OPEN is binding: more, or a FINAL with less, ends with 4 and no file."""

    def lying(rogue) -> None:
        rogue.begin(Offer(Kind.FILE, "file", 4))
        rogue.send(RecordType.DATA, bytes(sent))
        if sent < 4:
            rogue.send_final(blake3(bytes(sent)).digest())
        refused(rogue)

    side = receive_from_rogue(lying, FileSink(no_stray_files / "file"))
    assert isinstance(side.error, DeliveryCut)
    assert side.status == 4
    assert not list(no_stray_files.iterdir())


def test_security_peer_that_never_opens_is_given_up(
    receive_from_rogue, settings: Settings, tmp_path: Path
) -> None:
    """A trusted peer that authenticates and then only PINGs does not hold the Receiver for ever."""

    def idling(rogue) -> None:
        rogue.until_closed(lambda: (rogue.send(RecordType.PING), rogue.pause(0.1)))

    brief = replace(settings, handshake_deadline=0.5, first_message_deadline=0.5, close_grace=0.1)
    side = receive_from_rogue(idling, FileSink(tmp_path / "file"), brief)
    assert isinstance(side.error, DeliveryCut)
    assert "no OPEN came in time" in str(side.error)


def test_security_peer_that_floods_after_the_receipt_is_left(
    receive_from_rogue, settings: Settings, no_stray_files: Path
) -> None:
    """A peer that does not close and keeps sending holds the Receiver for ``close_grace`` and no longer."""

    def flooding(rogue) -> None:
        deliver(rogue, b"data")
        rogue.until_closed(lambda: rogue.send(RecordType.PING))

    side = receive_from_rogue(flooding, FileSink(no_stray_files / "file"), replace(settings, close_grace=0.5))
    assert side.error is None
    assert (no_stray_files / "file").read_bytes() == b"data"


@pytest.mark.parametrize("code", list(AbortCode))
def test_abort_after_final_does_not_undo_it(
    receive_from_rogue, no_stray_files: Path, code: AbortCode
) -> None:
    """Once FINAL verified the delivery is stored, whatever the Emitter says then."""

    def regretting(rogue) -> None:
        send_whole(rogue, b"data")
        rogue.send(RecordType.ABORT, Abort(code, "never mind").pack())

    side = receive_from_rogue(regretting, FileSink(no_stray_files / "file"))
    assert side.error is None
    assert (no_stray_files / "file").read_bytes() == b"data"


class SlowCommit(FileSink):
    """A disk that takes its time over the commit, and then may fail."""

    def __init__(self, path: Path, meanwhile, failure: SinkFault | None = None) -> None:
        super().__init__(path)
        self._meanwhile = meanwhile
        self._failure = failure

    def commit(self) -> str | None:
        self._meanwhile()
        if self._failure is not None:
            raise self._failure
        return super().commit()


def test_interruption_during_the_commit_waits_for_it(receive_from_rogue, no_stray_files: Path) -> None:
    """Ctrl-C when FINAL has verified does not leave a file behind that nobody reported."""
    sides = []
    requested = threading.Event()

    def interrupt() -> None:
        sides[0].stop.request()
        requested.wait(0.3)

    side = receive_from_rogue(
        lambda rogue: deliver(rogue, b"data"),
        SlowCommit(no_stray_files / "file", interrupt),
        on_side=sides.append,
    )
    assert side.error is None
    assert side.outcome is not None
    assert (no_stray_files / "file").read_bytes() == b"data"


def test_disk_error_after_final_is_told_as_one(receive_from_rogue, no_stray_files: Path) -> None:
    """The link lost and the disk failing: the disk is what the user has to mend, so that is told, with 1."""

    def hasty(rogue) -> None:
        send_whole(rogue, b"data")

    failure = SinkFault("file", "no space left on device")
    sink = SlowCommit(no_stray_files / "file", lambda: threading.Event().wait(0.3), failure)
    side = receive_from_rogue(hasty, sink)
    assert side.error is failure
    assert side.status == 1


def test_security_an_emitter_that_does_not_read_cannot_hold_a_receiver_that_is_stopped(
    receive_from_rogue, lasting: Settings, no_stray_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its PINGs keep the session, and the RECEIPT cannot leave: a stop ends that, and what is stored is."""
    target, sides = no_stray_files / "file", []
    full, tried = threading.Event(), threading.Event()
    try_send = CableEnd.try_send

    def try_send_unless_full(end: CableEnd, frame: bytes) -> bool:
        if end._direction == 1 and full.is_set():
            tried.set()
            return False
        return try_send(end, frame)

    monkeypatch.setattr(CableEnd, "try_send", try_send_unless_full)

    class Stopping(FileSink):
        def commit(self) -> str | None:
            where = super().commit()
            sides[0].stop.request(signal.SIGTERM)
            return where

    def deaf(rogue) -> None:
        rogue.begin(STREAM)
        full.set()
        rogue.send(RecordType.DATA, b"data")
        assert tried.wait(PATIENCE), "no acknowledgement is in the way of the RECEIPT"
        rogue.send_final(blake3(b"data").digest())
        deadline = time.monotonic() + PATIENCE

        def ping() -> None:
            assert time.monotonic() < deadline, "it does not hear the signal"
            rogue.send(RecordType.PING)

        rogue.until_closed(ping)

    side = receive_from_rogue(deaf, Stopping(target), replace(lasting, close_grace=0.1), on_side=sides.append)
    assert side.error is None
    assert side.outcome.receipt == "not sent"
    assert target.read_bytes() == b"data"


def test_a_receipt_that_can_leave_leaves_although_a_stop_was_requested(
    receive_from_rogue, no_stray_files: Path
) -> None:
    """The Emitter of what is whole hears that it is stored, not that somebody typed Ctrl-C meanwhile."""
    sides = []

    class Stopping(FileSink):
        def commit(self) -> str | None:
            sides[0].stop.request(signal.SIGINT)
            return super().commit()

    def honest(rogue) -> None:
        deliver(rogue, b"data")

    side = receive_from_rogue(honest, Stopping(no_stray_files / "file"), on_side=sides.append)
    assert side.error is None
    assert side.outcome.receipt == "sent"


def test_a_stop_does_not_wait_for_a_rate_once_all_is_here(
    receive_from_rogue, settings: Settings, no_stray_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left to be written is in memory: the receipt comes as soon as the disk allows."""
    sides = []

    class Finishing(Writer):
        def finish(self, digest: bytes) -> None:
            super().finish(digest)
            sides[0].stop.request(signal.SIGTERM)

    monkeypatch.setattr(receiver_module, "Writer", Finishing)
    slow = replace(settings, receive_rate=1, idle_limit=2 * PATIENCE)
    target = no_stray_files / "file"
    side = receive_from_rogue(
        lambda rogue: deliver(rogue, bytes(1000)), FileSink(target), slow, on_side=sides.append
    )
    assert side.error is None
    assert side.outcome.receipt == "sent"
    assert target.read_bytes() == bytes(1000)
