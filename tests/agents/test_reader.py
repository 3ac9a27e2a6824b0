"""The reading thread, with real sources, and where it goes on after a session was lost."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from selo.agents.bodies import Answer, Mark
from selo.agents.errors import InternalFault, SourceFault, StreamLost
from selo.agents.reader import READ_AHEAD_BLOCKS, SMALLEST_BLOCK, Reader
from selo.agents.sources import (
    Block,
    BytesSource,
    DescriptorSource,
    FileSource,
    IterableSource,
    Source,
    open_source,
)
from tests.agents.bell import PATIENCE, Bell

RECORD = 1000
CAPACITY = 32 << 20


@pytest.fixture(autouse=True)
def _no_threads_are_left() -> Iterator[None]:
    """Every thread that a test's worker started ends."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE)
        assert not thread.is_alive(), f"{thread.name} is left"


def reader_of(source: Source, record_size: int = RECORD) -> tuple[Reader, Bell]:
    bell = Bell()
    reader = Reader(source, record_size=record_size, capacity=CAPACITY, wake=bell)
    reader.take_up(Answer())
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
    assert reader.content.blake3 == blake3(data).digest()
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

    reader = Reader(IterableSource(generate()), record_size=SMALLEST_BLOCK, capacity=CAPACITY, wake=bell)
    reader.take_up(Answer())
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
    reader = Reader(sources[stage](), record_size=RECORD, capacity=CAPACITY, wake=bell)
    try:
        if stage != "never started":
            reader.take_up(Answer())
        if stage not in ("never started", "waiting for input"):
            bell.until(lambda: reader.ended or reader._failure or not reader._has_room)
            assert bell.is_quiet()  # by now it most likely sleeps where it is to be woken
        started = time.monotonic()
        reader.cancel()
        reader.cancel()
        assert time.monotonic() - started < PATIENCE / 2
        assert reader._thread is None or not reader._thread.is_alive()
        assert not reader._outbox.take(RECORD)
        if stage == "waiting for input":
            assert not reader.ended, "a cancelled stream did not end in order"
    finally:
        os.close(readable)
        os.close(writable)


# In one session after another

DATA = os.urandom(10 * RECORD)


def mark(place: int, data: bytes = DATA) -> Mark:
    """The true mark of a place."""
    return Mark(place, blake3(data[:place]).digest())


def again(reader: Reader, bell: Bell, *marks: Mark, complete: bool = False) -> int:
    """A session begins, with a Receiver that shows these marks; the place."""
    reader.take_up(Answer(marks, complete))
    bell.until(lambda: reader.place is not None)
    assert reader.place is not None
    return reader.place


def until_more(reader: Reader, bell: Bell) -> None:
    """Wait until something can be taken."""
    bell.until(lambda: reader._outbox.next < reader.length)


class Counting(BytesSource):
    """Bytes that can be read again, and how often they were."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.readings = 0

    def blocks(self, block_size: int) -> Iterator[bytes]:
        self.readings += 1
        return super().blocks(RECORD)


def streams() -> IterableSource:
    """What can be read once."""
    return IterableSource(DATA[start : start + RECORD] for start in range(0, len(DATA), RECORD))


@pytest.mark.parametrize("make", [lambda: Counting(DATA), streams], ids=["restartable", "a stream"])
@pytest.mark.parametrize("taken", [0, 1, RECORD, 2 * RECORD + 7, len(DATA)])
def test_what_is_kept_is_sent_again_from_any_place(make: Callable[[], Source], taken: int) -> None:
    """Nothing was acknowledged, so wherever the Receiver is, the rest comes from what was kept."""
    for place in (0, 1, RECORD - 1, RECORD, taken // 2, taken):
        if place > taken:
            continue
        source = make()
        reader, bell = reader_of(source)
        pieces: list[bytes] = []
        while sum(map(len, pieces)) < taken:
            bell.until(lambda reader=reader: reader.length > 0)
            pieces.append(bytes(reader.take(min(RECORD, taken - sum(map(len, pieces))))))
        marks = [mark(place)] if place else []
        assert again(reader, bell, *marks) == place
        assert b"".join(take_all(reader, bell, RECORD, [])) == DATA[place:]
        assert reader.content.blake3 == blake3(DATA).digest()
        assert reader.length == len(DATA)
        if isinstance(source, Counting):
            assert source.readings == 1
        reader.cancel()


@pytest.mark.parametrize("back", [0, 1, RECORD - 1, RECORD, 3 * RECORD - 1])
def test_security_a_stream_is_never_sent_from_a_place_that_is_gone(back: int) -> None:
    """What the Receiver acknowledged and then lost cannot be sent again; StreamLost says what could."""
    reader, bell = reader_of(streams())
    taken = bytearray()
    while len(taken) < 4 * RECORD:
        until_more(reader, bell)
        taken += reader.take(RECORD)
    reader.acknowledge(3 * RECORD)
    with pytest.raises(StreamLost) as caught:
        reader.take_up(Answer((mark(back),) if back else ()))
    assert (caught.value.kept_from, caught.value.held) == (3 * RECORD, back)
    assert again(reader, bell, mark(3 * RECORD)) == 3 * RECORD
    assert b"".join(take_all(reader, bell, RECORD, [])) == DATA[3 * RECORD :]
    reader.cancel()


@pytest.mark.parametrize("place", [0, 1, RECORD, 3 * RECORD])
def test_what_is_gone_is_read_again_where_it_can_be(place: int) -> None:
    """A file goes on from any true mark, also before what is kept; it is read once more for that."""
    source = Counting(DATA)
    reader, bell = reader_of(source)
    taken = bytearray()
    while len(taken) < 5 * RECORD:
        until_more(reader, bell)
        taken += reader.take(RECORD)
    reader.acknowledge(5 * RECORD)
    assert again(reader, bell, *([mark(place)] if place else [])) == place
    assert b"".join(take_all(reader, bell, RECORD, [])) == DATA[place:]
    assert reader.content.blake3 == blake3(DATA).digest()
    assert source.readings == 2
    reader.cancel()


@pytest.mark.parametrize("make", [lambda: Counting(DATA), streams], ids=["restartable", "a stream"])
def test_security_a_mark_that_differs_is_not_gone_on_from(make: Callable[[], Source]) -> None:
    """Of what is kept, too, the digests are compared: the last true mark counts."""
    reader, bell = reader_of(make())
    bell.until(lambda: reader.length >= 3 * RECORD)
    wrong = Mark(2 * RECORD, bytes(32))
    assert again(reader, bell, mark(7), mark(RECORD), wrong) == RECORD
    assert b"".join(take_all(reader, bell, RECORD, [])) == DATA[RECORD:]
    reader.cancel()


def test_a_session_may_be_lost_before_the_place_is_found() -> None:
    """The next one begins to look anew, with the marks of its own Receiver, and the first search ends."""
    gate = threading.Semaphore(0)

    class Slow(BytesSource):
        def blocks(self, block_size: int) -> Iterator[bytes]:
            for start in range(0, len(DATA), RECORD):
                assert gate.acquire(timeout=PATIENCE)
                yield DATA[start : start + RECORD]

    bell = Bell()
    reader = Reader(Slow(b""), record_size=RECORD, capacity=CAPACITY, wake=bell)
    reader.take_up(Answer((mark(9 * RECORD),)))
    assert reader.place is None
    gate.release(1000)
    assert again(reader, bell, mark(4 * RECORD)) == 4 * RECORD
    assert b"".join(take_all(reader, bell, RECORD, [])) == DATA[4 * RECORD :]
    reader.cancel()


def test_a_stream_can_be_taken_up_at_once_after_its_first_session() -> None:
    """A session lost before anything was read leaves it whole."""
    reader, bell = reader_of(streams())
    assert again(reader, bell) == 0
    assert b"".join(take_all(reader, bell, RECORD, [])) == DATA
    reader.cancel()


def test_a_source_that_fails_while_the_place_is_looked_for_says_so() -> None:
    """A file that cannot be read again up to the marks ends the session with its fault."""
    bell = Bell()
    reader = Reader(BrokenSource(b""), record_size=RECORD, capacity=CAPACITY, wake=bell)
    reader.take_up(Answer((mark(5 * RECORD),)))
    with pytest.raises(InternalFault):
        bell.until(lambda: reader.place is not None)
    reader.cancel()


@pytest.mark.parametrize("capacity", [1, 4 * 5096])
def test_security_what_is_kept_is_bounded(capacity: int) -> None:
    """However much was sent, without an acknowledgement only so much is read; each one lets it go on."""
    source = Counting(DATA)
    bell = Bell()
    reader = Reader(source, record_size=RECORD, capacity=capacity, wake=bell)
    reader.take_up(Answer())
    taken = bytearray()
    while len(taken) < len(DATA):
        until_more(reader, bell)
        taken += reader.take(RECORD)
        if not bell.is_quiet():
            continue
        reader.acknowledge(len(taken))
    assert taken == DATA
    assert reader._outbox._charged <= capacity + RECORD + 4096
    reader.cancel()


RATES = [(1000, 250), (100_000, 25_000), (1 << 30, 1 << 20), (None, 1 << 20)]


@pytest.mark.parametrize(("rate", "largest"), RATES)
def test_a_slow_delivery_comes_in_small_pieces(rate: int | None, largest: int) -> None:
    """A quarter of a second's at most: it is not silent for a minute and then there with a megabyte."""
    asked = []

    class Asked(BytesSource):
        def blocks(self, block_size: int) -> Iterator[Block]:
            asked.append(block_size)
            return iter(())

    reader = Reader(Asked(b""), record_size=1 << 20, capacity=CAPACITY, wake=Bell(), rate=rate)
    reader.take_up(Answer())
    reader.cancel()
    reader._thread.join(PATIENCE)
    assert asked == [largest]


def test_a_rate_is_kept() -> None:
    """100 kB/s: 50,000 bytes do not come at once."""
    bell = Bell()
    reader = Reader(
        BytesSource(bytes(50_000)), record_size=RECORD, capacity=CAPACITY, wake=bell, rate=100_000
    )
    started = time.monotonic()
    reader.take_up(Answer())
    bell.until(lambda: reader.length == 50_000)
    assert time.monotonic() - started > 0.2
    reader.cancel()
