"""The writing thread, with real sinks, in one session after another."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from selo.agents import writer as writer_module
from selo.agents.bodies import Answer, Kind, Mark, Offer
from selo.agents.errors import (
    CannotBeginAnew,
    DigestMismatch,
    InternalFault,
    PeerMisbehaved,
    SinkFault,
    TargetExists,
)
from selo.agents.sinks import CallableSink, FileSink, FolderSink, Sink
from selo.agents.storage import staged_file
from selo.agents.storage.base import Held, StorageRules
from selo.agents.storage.staged_file import StagedFile
from selo.agents.writer import JOIN_BELOW, Writer, check_place
from tests.agents.bell import PATIENCE, Bell

RECORD = 1000
STREAM = Offer(Kind.STREAM, None, None, delivery=b"d" * 16)
FILE = Offer(Kind.FILE, "out", 1000, delivery=b"f" * 16)


@pytest.fixture(autouse=True)
def _no_threads_are_left() -> Iterator[None]:
    """Every thread that a test's worker started ends."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE)
        assert not thread.is_alive(), f"{thread.name} is left"


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
    assert writer.stored.blake3 == blake3(data).digest()
    assert (writer.consumed_records, writer.position) == (len(parts), len(data))
    assert writer.wait()
    assert os.listdir(tmp_path) == ["out"]


def test_what_is_consumed_is_told_before_the_end(started: Start) -> None:
    """The session hears of consumed records while more are to come: that is what opens the window."""
    got = bytearray()
    writer, bell = started(CallableSink(got.extend))
    for number in range(1, 20):
        writer.put(bytes([number]) * number)
        bell.until(lambda number=number: writer.consumed_records == number)
        assert len(got) == writer.position
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

    def open(self, offer: Offer) -> Held | None:
        held = super().open(offer)
        self.opened.set()
        return held


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
    assert (writer.stored is not None) == (stage == "finished")
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
    monkeypatch.setattr(writer_module, "JOIN_SECONDS", 0.05)
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


# In one session after another

DATA = os.urandom(1000)


def answer_of(count: int) -> Answer:
    """That of a writer in whose process so much came."""
    return Answer((Mark(count, blake3(DATA[:count]).digest()),) if count else ())


def taken_up(writer: Writer, bell: Bell) -> Answer:
    """A session begins; its answer."""
    writer.take_up()
    bell.until(lambda: writer.answer is not None)
    assert writer.answer is not None
    return writer.answer


def staged(folder: Path) -> StagedFile:
    """A sink that keeps what was cut."""
    return StagedFile(folder, StorageRules(), name="out")


def begun(started: Start, folder: Path, count: int, offer: Offer = STREAM) -> tuple[Writer, Bell]:
    """A writer that has so much of ``DATA``."""
    writer, bell = started(staged(folder), offer)
    bell.until(lambda: writer.answer is not None)
    assert writer.answer == Answer()
    writer.go_on(0)
    if count:
        writer.put(DATA[:count])
        bell.until(lambda: writer.position == count)
    return writer, bell


@pytest.mark.parametrize("count", [0, 1, 500, 1000])
def test_the_next_session_goes_on_where_the_last_one_was(started: Start, tmp_path: Path, count: int) -> None:
    """Its answer comes when all of the last session is written, and what follows is added to that."""
    writer, bell = begun(started, tmp_path, 0)
    for start in range(0, count, 100):
        writer.put(DATA[start : min(start + 100, count)])
    assert taken_up(writer, bell) == answer_of(count)
    writer.go_on(count)
    if count < len(DATA):
        writer.put(DATA[count:])
    writer.finish(blake3(DATA).digest())
    assert writer.wait()
    assert (tmp_path / "out").read_bytes() == DATA


@pytest.mark.parametrize("count", [1, 500, 1000])
def test_the_next_session_may_begin_anew(started: Start, tmp_path: Path, count: int) -> None:
    """At place 0 what was there goes, and the digest is of what comes."""
    writer, bell = begun(started, tmp_path, count)
    assert taken_up(writer, bell) == answer_of(count)
    writer.go_on(0)
    writer.put(b"other")
    writer.finish(blake3(b"other").digest())
    assert writer.wait()
    assert (tmp_path / "out").read_bytes() == b"other"


@pytest.mark.parametrize("sessions", [0, 1, 2])
@pytest.mark.parametrize("place", ["the end", "the beginning", "a mark"])
def test_security_what_was_on_disk_is_never_added_to_by_mistake(
    started: Start, tmp_path: Path, sessions: int, place: str
) -> None:
    """Another process left 500 bytes. However many sessions are lost before one settles the place, each is
    shown the same marks, and DATA is written where it belongs."""
    first, _ = begun(started, tmp_path, 500)
    first.suspend()
    assert first.suspended
    writer, bell = started(staged(tmp_path))
    bell.until(lambda: writer.answer is not None)
    shown = writer.answer
    assert shown is not None and shown.held == 500
    for _ in range(sessions):
        assert taken_up(writer, bell) == shown
    at = {"the end": 500, "the beginning": 0, "a mark": shown.marks[len(shown.marks) // 2].position}[place]
    writer.go_on(at)
    writer.put(DATA[at:])
    writer.finish(blake3(DATA).digest())
    assert writer.wait(), writer.failure
    assert (tmp_path / "out").read_bytes() == DATA


def test_what_is_stored_says_so_in_every_session(started: Start, tmp_path: Path) -> None:
    """After the commit the answer is "complete", with the end of it, at once."""
    writer, _ = begun(started, tmp_path, 1000)
    writer.finish(blake3(DATA).digest())
    assert writer.wait()
    for _ in range(2):
        writer.take_up()
        assert writer.answer == Answer(answer_of(1000).marks, complete=True)
    assert not writer.found_stored
    assert writer.stored is not None and writer.stored.durable
    assert (writer.stored.items, writer.stored.items_bytes) == (1, 1000)


def test_what_another_process_stored_is_found(started: Start, tmp_path: Path) -> None:
    """Until it is forgotten, a new writer of the same delivery answers that it is complete; after that it is
    a new delivery, whose name is taken."""
    first, _ = begun(started, tmp_path, 1000)
    first.finish(blake3(DATA).digest())
    assert first.wait()
    second, bell = started(staged(tmp_path))
    bell.until(lambda: second.answer is not None)
    assert second.answer == Answer(answer_of(1000).marks, complete=True)
    assert second.found_stored and second.wait()
    assert second.target == str(tmp_path / "out")
    second.forget()
    assert os.listdir(tmp_path) == ["out"]
    third, bell = started(staged(tmp_path))
    bell.until(lambda: third.failure is not None)
    assert isinstance(third.failure, TargetExists)


def test_a_sink_that_only_hands_on_goes_on_and_never_anew(started: Start) -> None:
    """In the same process it can go on from exactly where it is."""
    got = bytearray()
    writer, bell = started(CallableSink(got.extend))
    bell.until(lambda: writer.answer is not None)
    writer.go_on(0)
    writer.put(DATA[:500])
    assert taken_up(writer, bell) == answer_of(500)
    assert (writer.handed_on, writer.keeps) == (500, False)
    writer.go_on(500)
    writer.put(DATA[500:700])
    assert taken_up(writer, bell) == answer_of(700)
    writer.go_on(0)
    bell.until(lambda: writer.failure is not None)
    assert isinstance(writer.failure, CannotBeginAnew)
    assert got == DATA[:700]


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_suspending_keeps_what_came_and_nothing_else(started: Start, tmp_path: Path, count: int) -> None:
    """All that was put is on disk for another process; where nothing came there is nothing to keep."""
    writer, _ = begun(started, tmp_path, 0)
    if count:
        writer.put(DATA[:count])
    writer.suspend()
    assert writer.stored is None and writer.failure is None
    assert len(os.listdir(tmp_path)) == (1 if count else 0)
    again, bell = started(staged(tmp_path))
    bell.until(lambda: again.answer is not None)
    assert again.answer is not None and again.answer.held == count


@pytest.mark.parametrize("offer", [FILE, STREAM], ids=["file", "stream"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO], ids=errno.errorcode.get)
def test_what_a_full_disk_has_is_kept_and_a_broken_one_is_not_believed(
    started: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, offer: Offer
) -> None:
    """Room can be made, and then a file goes on; of a stream nobody has the rest."""
    writer, bell = begun(started, tmp_path, 1, offer)

    def failing(_descriptor: int, _data: bytes) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(staged_file, "write_all", failing)
    writer.put(b"more")
    bell.until(lambda: writer.failure)
    writer.cancel()
    monkeypatch.undo()
    assert isinstance(writer.failure, SinkFault)
    kept = bool(list(tmp_path.glob(".selo-*.part")))
    assert kept == writer.suspended == (number != errno.EIO and offer is FILE)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO], ids=errno.errorcode.get)
def test_security_what_could_not_be_synced_is_never_gone_on_with(
    started: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A full disk that says so at the sync has lost something, and the next sync would not say so again."""
    writer, bell = begun(started, tmp_path, 1)

    def failing(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", failing)
    writer.finish(blake3(DATA[:1]).digest())
    bell.until(lambda: writer.failure)
    writer.cancel()
    assert isinstance(writer.failure, SinkFault)
    assert not writer.suspended
    assert os.listdir(tmp_path) == []


def test_suspending_in_a_slow_write_lets_go_when_that_is_over(
    started: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing more is written, and the next session of this process finds the folder free."""
    writer, _ = begun(started, tmp_path, 1)
    inside, go_on = threading.Event(), threading.Event()
    true_write = staged_file.write_all

    def slow(descriptor: int, data: bytes) -> None:
        inside.set()
        assert go_on.wait(PATIENCE)
        true_write(descriptor, data)

    monkeypatch.setattr(staged_file, "write_all", slow)
    monkeypatch.setattr(writer_module, "JOIN_SECONDS", 0.05)
    writer.put(b"m")
    assert inside.wait(PATIENCE)
    writer.put(b"never written, for the writing is to end")
    writer.suspend()
    go_on.set()
    writer._thread.join(PATIENCE)
    monkeypatch.undo()
    again, bell = started(staged(tmp_path))
    bell.until(lambda: again.answer or again.failure)
    assert again.failure is None


def test_suspending_what_cannot_be_kept_discards_it(started: Start, tmp_path: Path) -> None:
    """Where nothing is to be resumed, nothing is left."""
    writer, bell = started(StagedFile(tmp_path, StorageRules(keep=False), name="out"))
    bell.until(lambda: writer.answer is not None)
    writer.go_on(0)
    writer.put(DATA)
    writer.suspend()
    assert not writer.suspended
    assert os.listdir(tmp_path) == []


def test_suspending_does_not_wait_for_a_rate(started: Start, tmp_path: Path) -> None:
    """A slow rate is no reason to end late, or to lose what came."""
    writer = Writer(staged(tmp_path), wake=lambda: None, rate=100)
    writer.open(STREAM)
    writer.go_on(0)
    for start in range(0, 1000, 100):
        writer.put(DATA[start : start + 100])
    begun_at = time.monotonic()
    writer.suspend()
    assert time.monotonic() - begun_at < PATIENCE / 2
    assert writer.wait() is False
    again, bell = started(staged(tmp_path))
    bell.until(lambda: again.answer is not None)
    assert again.answer is not None and again.answer.held == 1000


def test_waiting_for_the_end_does_not_wait_for_a_rate(tmp_path: Path) -> None:
    """All is here, and nobody at the other end who could be slowed down."""
    writer = Writer(staged(tmp_path), wake=lambda: None, rate=1)
    writer.open(STREAM)
    writer.go_on(0)
    for start in range(0, 1000, 100):
        writer.put(DATA[start : start + 100])
    writer.finish(blake3(DATA).digest())
    ended = threading.Event()
    threading.Thread(target=lambda: (writer.wait(), ended.set()), daemon=True).start()
    try:
        assert ended.wait(PATIENCE)
    finally:
        writer.cancel()
    assert (tmp_path / "out").read_bytes() == DATA


@pytest.mark.parametrize("place", range(0, 60, 5))
def test_security_a_place_is_0_or_a_mark(place: int) -> None:
    """Everything else breaks the protocol."""
    answer = Answer((Mark(10, bytes(32)), Mark(45, bytes(32))))
    if place in (0, 10, 45):
        check_place(answer, place)
    else:
        with pytest.raises(PeerMisbehaved):
            check_place(answer, place)
