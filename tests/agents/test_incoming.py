"""The Receiver against an authenticated Emitter that breaks the rules of the delivery."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from blake3 import blake3

from selo.agents.bodies import Abort, AbortCode, Ack, Kind, Offer
from selo.agents.errors import DeliveryCut, DigestMismatch, PeerFailed, PeerMisbehaved, SinkFault
from selo.agents.sinks import FileSink
from selo.config.settings import Settings
from selo.crypto.errors import RecordRefused
from selo.crypto.records import RecordType
from selo.transport.base import LegClosed

OPEN = Offer(Kind.STREAM, None, None).pack()


def deliver(rogue, data: bytes, *, digest: bytes | None = None) -> bytes:
    """A whole delivery in one DATA record; the body of the RECEIPT."""
    rogue.send(RecordType.OPEN, OPEN)
    rogue.send(RecordType.DATA, data)
    rogue.send_final(blake3(data).digest() if digest is None else digest)
    while (record := rogue.receive()).type is not RecordType.RECEIPT:
        pass
    return bytes(record.plaintext)


def test_receipt_is_the_final_computed_again(receive_from_rogue, no_stray_files: Path) -> None:
    """An honest scripted Emitter gets a RECEIPT with its own totals, after the file is there."""
    data, target = os.urandom(1000), no_stray_files / "file"
    receipts = []

    def honest(rogue) -> None:
        receipts.append(deliver(rogue, data))
        assert target.read_bytes() == data

    side = receive_from_rogue(honest, FileSink(target))
    assert side.error is None
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
        (RecordType.ACK, Ack(0, 0).pack()),
        (RecordType.RECEIPT, bytes(80)),
        (RecordType.OPEN, b"\x93\x00\xc0"),
        (RecordType.OPEN, b"\x93\x07\xc0\xc0"),
        (RecordType.OPEN, b"\x93\x01\xc0\xc0"),
    ],
    ids=["ACK", "RECEIPT", "OPEN cut", "OPEN of no kind", "OPEN of a file without a name"],
)
def test_security_record_out_of_place_ends_the_session(
    receive_from_rogue, no_stray_files: Path, kind: RecordType, body: bytes
) -> None:
    """What authenticates and yet may not come ends with 4 and writes nothing."""

    def breaking(rogue) -> None:
        rogue.send(kind, body)
        assert Abort.unpack(rogue.receive().plaintext).code is AbortCode.PROTOCOL

    side = receive_from_rogue(breaking, FileSink(no_stray_files / "file"))
    assert isinstance(side.error, DeliveryCut)
    assert isinstance(side.error.cause, PeerMisbehaved)
    assert side.status == 4
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
    receive_from_rogue, settings: Settings, tmp_path: Path, records: int, bytes_each: int
) -> None:
    """An Emitter that does not wait for ACKs cannot make the Receiver hold more than it granted."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)  # nobody reads: the sink consumes nothing

    def flooding(rogue) -> None:
        rogue.send(RecordType.OPEN, OPEN)
        for _ in range(records):
            rogue.send(RecordType.DATA, bytes(bytes_each))
        assert Abort.unpack(rogue.receive().plaintext).code is AbortCode.PROTOCOL

    small = replace(settings, window_records=8, window_bytes=8192, record_size=1024)
    side = receive_from_rogue(flooding, FileSink(fifo), small)
    os.close(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK))  # lets the sink's thread go
    assert isinstance(side.error, DeliveryCut)
    assert isinstance(side.error.cause, PeerMisbehaved)
    assert "window" in str(side.error)


def test_emitter_that_leaves_after_final_does_not_undo_it(receive_from_rogue, no_stray_files: Path) -> None:
    """Once FINAL verified the delivery is whole: it is stored, and that is success for the Receiver."""
    target = no_stray_files / "file"

    def hasty(rogue) -> None:
        rogue.send(RecordType.OPEN, OPEN)
        rogue.send(RecordType.DATA, b"data")
        rogue.send_final(blake3(b"data").digest())

    side = receive_from_rogue(hasty, FileSink(target))
    assert side.error is None
    assert target.read_bytes() == b"data"


@pytest.mark.parametrize("when", ["before DATA", "after DATA"])
def test_emitter_that_leaves_before_final_leaves_nothing(
    receive_from_rogue, no_stray_files: Path, when: str
) -> None:
    """The end of a connection is never the end of a stream."""

    def leaving(rogue) -> None:
        rogue.send(RecordType.OPEN, OPEN)
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
        rogue.send(RecordType.OPEN, OPEN)
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
        rogue.send(RecordType.OPEN, Offer(Kind.FILE, "file", 4).pack())
        rogue.send(RecordType.DATA, bytes(sent))
        if sent < 4:
            rogue.send_final(blake3(bytes(sent)).digest())
        assert Abort.unpack(rogue.receive().plaintext).code is AbortCode.PROTOCOL

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
        rogue.send(RecordType.OPEN, OPEN)
        rogue.send(RecordType.DATA, b"data")
        rogue.send_final(blake3(b"data").digest())
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
        rogue.send(RecordType.OPEN, OPEN)
        rogue.send(RecordType.DATA, b"data")
        rogue.send_final(blake3(b"data").digest())

    failure = SinkFault("file", "no space left on device")
    sink = SlowCommit(no_stray_files / "file", lambda: threading.Event().wait(0.3), failure)
    side = receive_from_rogue(hasty, sink)
    assert side.error is failure
    assert side.status == 1
