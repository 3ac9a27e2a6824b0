"""The reading and the writing thread, with real sources and sinks."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from selo.agents import workers
from selo.agents.bodies import Kind, Offer
from selo.agents.errors import DigestMismatch, InternalFault, SinkFault, SourceFault, TargetExists
from selo.agents.sinks import CallableSink, FileSink, FolderSink, Sink
from selo.agents.sources import (
    BytesSource,
    DescriptorSource,
    FileSource,
    IterableSource,
    Source,
    open_source,
)
from selo.agents.workers import JOIN_BELOW, READ_AHEAD_BLOCKS, SMALLEST_BLOCK, Reader, Writer
from selo.errors import SeloError

PATIENCE = 20.0
"""Seconds after which what should have come is missing; nothing waits that long when all is well."""

RECORD = 1000
STREAM = Offer(Kind.STREAM, None, None)


@pytest.fixture(autouse=True)
def _no_threads_are_left() -> Iterator[None]:
    """Every thread that a test's workers started ends."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE)
        assert not thread.is_alive(), f"{thread.name} is left"


class Bell:
    """A ``wake`` that can be waited for."""

    def __init__(self) -> None:
        self._rung = threading.Semaphore(0)

    def __call__(self) -> None:
        self._rung.release()

    def wait(self) -> None:
        """Sleep until the bell was rung once more: as a session sleeps, but not for ever."""
        assert self._rung.acquire(timeout=PATIENCE), "nobody woke the session"

    def is_quiet(self) -> bool:
        """Whether, once all earlier rings are forgotten, none follows for a moment."""
        while self._rung.acquire(blocking=False):
            pass
        return not self._rung.acquire(timeout=0.05)

    def until(self, condition: Callable[[], object]) -> None:
        """Look at ``condition`` whenever the bell was rung, until it is true."""
        while not condition():
            self.wait()


# Reader


def reader_of(source: Source, record_size: int = RECORD) -> tuple[Reader, Bell]:
    bell = Bell()
    reader = Reader(source, record_size=record_size, wake=bell)
    reader.start()
    return reader, bell


def take_all(reader: Reader, bell: Bell, limit: int, pieces: list[bytes]) -> list[bytes]:
    """Every piece into ``pieces``, as the session takes them; the source's failure is raised."""
    while not reader.ended:
        while piece := reader.take(limit):
            pieces.append(bytes(piece))
        if not reader.ended:
            bell.wait()
    return pieces


@pytest.mark.parametrize(
    "size", [0, 1, RECORD - 1, RECORD, RECORD + 1, SMALLEST_BLOCK, SMALLEST_BLOCK + 1, 300_000]
)
@pytest.mark.parametrize("limit", [32, RECORD, 1 << 20])
def test_the_reader_hands_out_every_byte_in_order(size: int, limit: int, tmp_path: Path) -> None:
    """From a real file, in pieces of 1 to ``limit`` bytes, with the digest of all of it."""
    path = tmp_path / "data"
    path.write_bytes(data := os.urandom(size))
    reader, bell = reader_of(FileSource(path))
    pieces = take_all(reader, bell, limit, [])
    assert b"".join(pieces) == data
    assert all(1 <= len(piece) <= limit for piece in pieces)
    assert reader.digest == blake3(data).digest()
    assert reader.take(limit) == b""
    reader.cancel()


def test_records_are_full(tmp_path: Path) -> None:
    """Out of a file every record but the last is full, though the blocks are larger than a record."""
    path = tmp_path / "data"
    path.write_bytes(os.urandom(5 * SMALLEST_BLOCK + 1))
    reader, bell = reader_of(FileSource(path))
    pieces = take_all(reader, bell, RECORD, [])
    assert {len(piece) for piece in pieces[:-1]} == {RECORD}
    reader.cancel()


def test_the_reader_hands_out_live_input_at_once() -> None:
    """Bytes in a pipe whose writer stays can be taken, and more later."""
    readable, writable = os.pipe()
    reader, bell = reader_of(DescriptorSource(readable))
    try:
        for said in (b"a", b"few bytes"):
            os.write(writable, said)
            taken: list[bytes] = []
            bell.until(lambda taken=taken: taken.append(bytes(reader.take(RECORD))) or taken[-1])
            assert taken[-1] == said
            assert not reader.ended
    finally:
        os.close(writable)
        bell.until(lambda: reader.ended)
        reader.cancel()
        os.close(readable)


@pytest.mark.parametrize("blocks", range(READ_AHEAD_BLOCKS + 3))
def test_a_failure_surfaces_after_what_was_read(blocks: int) -> None:
    """All that the source gave before it failed is handed out first; then every take raises its fault."""
    data = os.urandom(blocks * SMALLEST_BLOCK)

    def generate() -> Iterator[bytes]:
        if data:
            yield data
        raise RuntimeError

    reader, bell = reader_of(IterableSource(generate()), SMALLEST_BLOCK)
    taken: list[bytes] = []
    with pytest.raises(SourceFault):
        take_all(reader, bell, RECORD, taken)
    assert b"".join(taken) == data
    assert not reader.ended
    with pytest.raises(SourceFault):
        reader.take(RECORD)
    reader.cancel()


class BrokenSource(BytesSource):
    """A source of somebody else's, with a bug."""

    def blocks(self, block_size: int) -> Iterator[bytes]:
        yield b"first"
        raise ZeroDivisionError


def test_a_bug_in_a_source_is_an_internal_fault() -> None:
    """An error that no source should raise is not lost with its thread."""
    reader, bell = reader_of(BrokenSource(b""))
    with pytest.raises(InternalFault, match="ZeroDivisionError"):
        take_all(reader, bell, RECORD, [])
    assert not reader.ended
    reader.cancel()


def test_reading_ahead_is_bounded() -> None:
    """While nobody takes, a source is read a few blocks ahead and no further; each take lets it go on."""
    bell = Bell()
    given = 0

    def generate() -> Iterator[bytes]:
        nonlocal given
        while True:
            given += 1
            bell()
            yield bytes(SMALLEST_BLOCK)

    reader = Reader(IterableSource(generate()), record_size=SMALLEST_BLOCK, wake=bell)
    reader.start()
    for taken in range(5):
        most = taken + READ_AHEAD_BLOCKS + 1  # the blocks that wait, and the one in the reader's hand
        bell.until(lambda most=most: given >= most)
        assert bell.is_quiet(), "it reads on"
        assert given == most
        assert len(reader.take(SMALLEST_BLOCK)) == SMALLEST_BLOCK
    reader.cancel()


@pytest.mark.parametrize("stage", ["never started", "waiting for input", "full", "ended", "failed"])
def test_cancel_ends_the_reader_at_every_stage(stage: str) -> None:
    """However far it is, the thread ends soon (see the fixture), and nothing is handed out any more."""
    readable, writable = os.pipe()
    sources: dict[str, Callable[[], Source]] = {
        "never started": lambda: BytesSource(b"x"),
        "waiting for input": lambda: DescriptorSource(readable),
        "full": lambda: open_source("/dev/zero"),
        "ended": lambda: BytesSource(b""),
        "failed": lambda: BrokenSource(b""),
    }
    bell = Bell()
    reader = Reader(sources[stage](), record_size=RECORD, wake=bell)
    try:
        if stage != "never started":
            reader.start()
        if stage not in ("never started", "waiting for input"):
            bell.until(lambda: reader.ended or reader._failure or len(reader._blocks) == READ_AHEAD_BLOCKS)
            assert bell.is_quiet()  # by now it most likely sleeps where it is to be woken
        started = time.monotonic()
        reader.cancel()
        reader.cancel()
        assert time.monotonic() - started < PATIENCE / 2
        assert not reader._thread.is_alive()
        assert not reader._blocks
        if stage == "waiting for input":
            assert not reader.ended, "a cancelled stream did not end in order"
    finally:
        os.close(readable)
        os.close(writable)


# Writer


@pytest.fixture
def started() -> Iterator[Callable[..., tuple[Writer, Bell]]]:
    """Starts a writer on a sink; it is cancelled after the test."""
    writers: list[Writer] = []

    def start(sink: Sink, offer: Offer = STREAM) -> tuple[Writer, Bell]:
        bell = Bell()
        writer = Writer(sink, wake=bell)
        writers.append(writer)
        writer.open(offer)
        return writer, bell

    yield start
    for writer in writers:
        writer.cancel()


Start = Callable[..., tuple[Writer, Bell]]


@pytest.mark.parametrize("lengths", [[], [1], [RECORD] * 50, [JOIN_BELOW, JOIN_BELOW + 1, 1, 1 << 20, 5]])
def test_the_writer_stores_every_byte_in_order(started: Start, lengths: list[int], tmp_path: Path) -> None:
    """Into a real file, whatever is joined on the way, with the counts and the digest of all of it."""
    parts = [os.urandom(length) for length in lengths]
    data = b"".join(parts)
    writer, bell = started(FileSink(tmp_path / "out"))
    for part in parts:
        writer.put(memoryview(part))
    writer.finish(blake3(data).digest())
    bell.until(lambda: writer.stored or writer.failure)
    assert writer.failure is None
    assert writer.target == str(tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == data
    assert writer.digest == blake3(data).digest()
    assert (writer.consumed_records, writer.consumed_bytes) == (len(parts), len(data))
    assert writer.wait()
    assert os.listdir(tmp_path) == ["out"]


def test_what_is_consumed_is_told_before_the_end(started: Start) -> None:
    """The session hears of consumed records while more are to come: that is what opens the window."""
    got = bytearray()
    writer, bell = started(CallableSink(got.extend))
    for number in range(1, 20):
        writer.put(bytes([number]) * number)
        bell.until(lambda number=number: writer.consumed_records == number)
        assert len(got) == writer.consumed_bytes
    assert not writer.stored


@pytest.mark.parametrize("data", [b"", b"x", bytes(100_000)])
def test_security_a_wrong_digest_leaves_no_file(started: Start, data: bytes, tmp_path: Path) -> None:
    """What reached the sink is not what left the source: DigestMismatch, and nothing is kept."""
    writer, bell = started(FileSink(tmp_path / "out"))
    if data:
        writer.put(data)
    writer.finish(blake3(data + b"other").digest())
    bell.until(lambda: writer.failure)
    assert isinstance(writer.failure, DigestMismatch)
    assert not writer.wait()
    assert not writer.stored
    assert writer.target is None
    assert os.listdir(tmp_path) == []


def test_a_sink_that_refuses_is_heard_of(started: Start, tmp_path: Path) -> None:
    """A failure to open is the writer's, though the data is already on its way."""
    (tmp_path / "out").touch()
    writer, bell = started(FileSink(tmp_path / "out"))
    writer.put(b"data")
    bell.until(lambda: writer.failure)
    assert isinstance(writer.failure, TargetExists)
    writer.put(b"more")
    writer.finish(blake3(b"datamore").digest())
    assert not writer.wait()
    assert os.listdir(tmp_path) == ["out"]


def test_a_sink_that_fails_in_the_middle_is_heard_of(started: Start) -> None:
    """A full disk, found at a write."""
    writer, bell = started(FileSink("/dev/full"))
    writer.put(b"data")
    bell.until(lambda: writer.failure)
    assert isinstance(writer.failure, SinkFault)
    assert writer.consumed_records == 0


class BrokenSink(CallableSink):
    """A sink of somebody else's, with bugs."""

    def __init__(self, broken: str) -> None:
        super().__init__(lambda _data: None)
        self._broken = broken

    def open(self, offer: Offer) -> None:
        self._break("open")

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._break("write")

    def commit(self) -> str | None:
        self._break("commit")
        return None

    def discard(self) -> None:
        raise ZeroDivisionError

    def _break(self, method: str) -> None:
        if method == self._broken:
            raise ZeroDivisionError


@pytest.mark.parametrize("method", ["open", "write", "commit"])
def test_a_bug_in_a_sink_is_an_internal_fault(started: Start, method: str) -> None:
    """An error that no sink should raise is not lost with its thread, even if discarding raises as well."""
    writer, bell = started(BrokenSink(method))
    writer.put(b"data")
    writer.finish(blake3(b"data").digest())
    bell.until(lambda: writer.failure)
    assert isinstance(writer.failure, InternalFault)
    assert not writer.wait()


class AnnouncingSink(FolderSink):
    """Says when it is open."""

    def __init__(self, folder: Path, *, sender: str) -> None:
        super().__init__(folder, sender=sender)
        self.opened = threading.Event()

    def open(self, offer: Offer) -> None:
        super().open(offer)
        self.opened.set()


@pytest.mark.parametrize("stage", ["never opened", "open", "written", "finished"])
def test_cancel_ends_the_writer_at_every_stage(stage: str, tmp_path: Path) -> None:
    """The thread ends (see the fixture), and of a delivery that was not stored nothing is left."""
    bell = Bell()
    sink = AnnouncingSink(tmp_path, sender="alice")
    writer = Writer(sink, wake=bell)
    if stage != "never opened":
        writer.open(Offer(Kind.FILE, "out", 4))
        assert sink.opened.wait(PATIENCE)
        assert len(os.listdir(tmp_path)) == 1
    if stage in ("written", "finished"):
        writer.put(b"data")
        bell.until(lambda: writer.consumed_records)
    if stage == "finished":
        writer.finish(blake3(b"data").digest())
        bell.until(lambda: writer.stored)
    writer.cancel()
    writer.cancel()
    assert writer.stored == (stage == "finished")
    assert os.listdir(tmp_path) == (["out"] if stage == "finished" else [])
    assert writer.failure is None


def test_security_cancel_between_data_and_finish_stores_nothing(tmp_path: Path) -> None:
    """A cut session is no end, not even when everything that came is a whole delivery with its digest."""
    writer = Writer(FileSink(tmp_path / "out"), wake=Bell())
    writer.open(STREAM)
    writer.put(b"data")
    writer.cancel()
    writer.finish(blake3(b"data").digest())
    assert not writer.wait()
    assert os.listdir(tmp_path) == []


class HangingSink(FileSink):
    """A file on a disk that hangs in one write or in the last sync, until it is let go."""

    def __init__(self, path: Path, method: str) -> None:
        super().__init__(path)
        self._method = method
        self.hanging = threading.Event()
        self.let_go = threading.Event()

    def _hang(self, method: str) -> None:
        if method == self._method:
            self.hanging.set()
            assert self.let_go.wait(PATIENCE)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._hang("write")
        super().write(data)

    def commit(self) -> str | None:
        self._hang("commit")
        return super().commit()


def fill(fifo: Path) -> int:
    """Make the FIFO full, so that the next write to it hangs; its reading end."""
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    try:
        while True:
            os.write(writing, bytes(1 << 16))
    except BlockingIOError:
        os.close(writing)
        return reading


def test_cancel_does_not_wait_for_a_write_that_hangs(tmp_path: Path) -> None:
    """A FIFO that nobody reads holds the thread; cancel comes back, and the thread ends with the hang."""
    os.mkfifo(tmp_path / "fifo")
    reading = fill(tmp_path / "fifo")
    sink = HangingSink(tmp_path / "fifo", "write")
    sink.let_go.set()  # into the write that hangs by itself
    writer = Writer(sink, wake=Bell())
    writer.open(STREAM)
    writer.put(b"data")
    assert sink.hanging.wait(PATIENCE)
    started = time.monotonic()
    writer.cancel()
    assert time.monotonic() - started < PATIENCE / 2
    assert writer._thread is not None
    assert writer._thread.is_alive(), "the write did not hang"
    os.close(reading)  # the write that hung fails, and the thread ends: see the fixture


@pytest.mark.parametrize("method", ["write", "commit"])
def test_security_a_cancelled_delivery_on_a_hanging_disk_leaves_nothing(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancel removes the partial file at once; when the disk comes back, no name appears after all."""
    monkeypatch.setattr(workers, "JOIN_SECONDS", 0.05)
    sink = HangingSink(tmp_path / "out", method)
    writer = Writer(sink, wake=Bell())
    writer.open(STREAM)
    writer.put(b"data")
    writer.finish(blake3(b"data").digest())
    assert sink.hanging.wait(PATIENCE)
    writer.cancel()
    assert os.listdir(tmp_path) == []
    sink.let_go.set()
    assert not writer.wait()
    assert os.listdir(tmp_path) == []
    assert not writer.stored


def test_a_slow_disk_is_waited_for(tmp_path: Path) -> None:
    """However long the disk takes, the end of a whole delivery is waited for."""
    sink = HangingSink(tmp_path / "out", "commit")
    writer = Writer(sink, wake=Bell())
    writer.open(STREAM)
    writer.finish(blake3(b"").digest())
    threading.Timer(0.2, sink.let_go.set).start()
    assert writer.wait()
    assert os.listdir(tmp_path) == ["out"]


# Both


def test_a_file_goes_through_both_unchanged(started: Start, tmp_path: Path) -> None:
    """Reader to Writer, piece by piece: both take the same digest and the copy is the original."""
    (tmp_path / "in").write_bytes(data := os.urandom(500_000))
    reader, reader_bell = reader_of(FileSource(tmp_path / "in"))
    writer, writer_bell = started(FileSink(tmp_path / "out"))
    for piece in take_all(reader, reader_bell, RECORD, []):
        writer.put(piece)
    writer.finish(reader.digest)
    writer_bell.until(lambda: writer.stored or writer.failure)
    assert (tmp_path / "out").read_bytes() == data
    assert reader.digest == writer.digest == blake3(data).digest()
    reader.cancel()


def test_failures_are_of_the_family() -> None:
    """Whatever surfaces from a worker is a SeloError with an exit status."""
    for error in (InternalFault(ValueError("x")), DigestMismatch(), SourceFault("a", "b")):
        assert isinstance(error, SeloError)
        assert error.exit_status in (1, 4)
