"""A delivery over many sessions, in every interleaving: it ends in the source's bytes, or in a failure.

The real Reader and Writer, with everything they decide; only their threads are stepped by hand, the records
between them are lists, and the disk is one that forgets what was not synced.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from selo.agents import reader as reader_module
from selo.agents import writer as writer_module
from selo.agents.bodies import Answer, Kind, Offer
from selo.agents.content import ContentHash, Ladder, Summary
from selo.agents.errors import CannotBeginAnew, StreamLost
from selo.agents.outbox import PER_BLOCK
from selo.agents.reader import Reader
from selo.agents.sinks import CallableSink
from selo.agents.sources import BytesSource
from selo.agents.storage.base import Held, ResumableSink
from selo.agents.writer import Writer, _portions, check_place
from selo.errors import SeloError

OFFER = Offer(Kind.STREAM, None, None, delivery=b"d" * 16)


class Stepped:
    """A thread that does nothing until the test does it."""

    def __init__(self, *, target: Callable[..., None], args: tuple[Any, ...], **_names: object) -> None:
        self.args = args

    def start(self) -> None:
        """The test runs it."""

    def join(self, _timeout: float | None = None) -> None:
        """It is not running."""

    def is_alive(self) -> bool:
        """It never is."""
        return False


class Threads:
    """Stands where a module imported ``threading``: all of it, but for the threads."""

    def __init__(self, module: Any) -> None:
        self.Condition = module.Condition
        self.Thread = Stepped


class Chunks(BytesSource):
    """A source that gives blocks of the test's lengths; one that cannot be read again gives each once."""

    def __init__(self, data: bytes, lengths: list[int], *, restartable: bool) -> None:
        super().__init__(data)
        self.data = data
        self.restartable = restartable
        self._lengths = lengths
        self._given = self._cut()

    def _cut(self) -> Iterator[bytes]:
        start = number = 0
        while start < len(self.data):
            length = self._lengths[number % len(self._lengths)]
            yield self.data[start : start + length]
            start, number = start + length, number + 1

    def blocks(self, block_size: int) -> Iterator[bytes]:
        return self._cut() if self.restartable else self._given


@dataclass
class Disk:
    """What the Receiver's machine remembers, from one of its processes to the next."""

    partial: bytearray = field(default_factory=bytearray)
    summary: Summary | None = None
    stored: list[bytes] = field(default_factory=list)


class DiskSink(ResumableSink):
    """Writes to a ``Disk``, of which only what was sealed is sure to stay."""

    target, durable, keeps, log, places = "the disk", True, True, None, ()

    def __init__(self, disk: Disk, step: int) -> None:
        self._disk = disk
        self._step = step

    def open(self, offer: Offer) -> Held:
        ladder, content, partial = Ladder(), ContentHash(), self._disk.partial
        for end in range(self._step, len(partial) + self._step, self._step):
            content.update(bytes(partial[end - self._step : end]))
            ladder.add(min(end, len(partial)), content)
        ladder.end(len(partial), content)
        return Held(ladder, self._disk.summary)

    def go_on(self, position: int) -> None:
        assert position <= len(self._disk.partial)
        del self._disk.partial[position:]

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._disk.partial += data

    def seal(self, summary: Summary) -> Summary:
        return replace(summary, durable=True)

    def commit(self) -> str | None:
        self._disk.stored.append(bytes(self._disk.partial))
        content = ContentHash()
        content.update(self._disk.stored[-1])
        self._disk.summary = Summary(len(self._disk.partial), content.blake3, 1, 0, bytes(32), True, None)
        self._disk.partial.clear()
        return None

    def forget(self) -> None:
        self._disk.summary = None

    def suspend(self) -> None:
        """It lies on the disk."""

    def discard(self) -> None:
        self._disk.partial.clear()


CONTENTS = [bytes(part or 1 for part in hashlib.shake_256(name).digest(60)) for name in (b"one", b"other")]
"""Bytes in which no place looks like another, and none like what a disk shows after a power cut."""

PARAMETERS = st.tuples(
    st.integers(0, 60),  # bytes
    st.lists(st.integers(1, 9), min_size=1, max_size=4),  # of the source's blocks
    st.booleans(),  # whether it can be read again
    st.booleans(),  # whether the sink keeps what was cut
    st.integers(1, 6),  # blocks that the Emitter keeps
    st.integers(1, 15),  # bytes between two marks
)


class Delivery(RuleBasedStateMachine):
    """An Emitter's Reader, a Receiver's Writer, and what is on its way between them."""

    @initialize(parameters=PARAMETERS)
    def begin(self, parameters: tuple[int, list[int], bool, bool, int, int]) -> None:
        length, lengths, restartable, keeps, blocks, step = parameters
        data = CONTENTS[0][:length]
        self.source = Chunks(data, lengths, restartable=restartable)
        self.capacity = blocks * PER_BLOCK
        self.keeps, self.step = keeps, step
        self.disk = Disk()
        self.printed = bytearray()
        self.versions = [data]
        self.lost_something = self.changed = self.anew = False
        self.writer: Writer | None = None
        self.failure: SeloError | None = None
        self.delivered = self.final_arrived = False
        self._new_reader()
        self._disconnect()

    def _new_reader(self) -> None:
        self.reader = Reader(self.source, record_size=1, capacity=self.capacity, wake=lambda: None)
        self.blocks: tuple[object, Iterator[Any]] = (None, iter(()))

    def _disconnect(self) -> None:
        """The session is lost. What is whole is stored first: see ``_store_unasked`` of the Receiver."""
        if self.final_arrived and self.writer is not None and not self.over:
            while self.writer._queue:
                self._write()
        self.answer: Answer | None = None
        self.flight: deque[bytes] = deque()
        self.final: bytes | None = None
        self.final_arrived = False
        self.acks: deque[int] = deque()

    @property
    def connected(self) -> bool:
        return self.answer is not None

    @property
    def over(self) -> bool:
        return self.failure is not None or self.delivered

    # The threads' work

    def _read(self) -> None:
        """What the reading thread does until it has a block."""
        thread = self.reader._thread
        assert isinstance(thread, Stepped)
        if self.blocks[0] is not thread:
            number, marks, complete, _before = thread.args
            self.blocks = (thread, self.reader._from_place(number, marks, complete=complete))
        block = next(self.blocks[1], None)
        if block is None:
            self.reader._finished = True
        else:
            assert self.reader._put(thread.args[0], block)

    def _write(self) -> None:
        """What the writing thread does with all that waits before the next order, and with that."""
        writer = self.writer
        assert writer is not None
        try:
            batch, order = writer._next()
            for data, records in _portions(batch):
                writer._write(data, records)
            if order is not None:
                order()
        except SeloError as error:
            self.failure = error

    # A session

    @precondition(lambda self: not self.over and not self.connected)
    @rule()
    def connect(self) -> None:
        answer = self._ask()
        if answer is None:
            return
        try:
            self.reader.take_up(answer)
        except StreamLost as error:
            assert self.lost_something, "it was all there"
            self.failure = error
            return
        while self.reader.place is None:
            self._read()
        self._settle(answer, self.reader.place)

    @precondition(lambda self: not self.over and not self.connected)
    @rule()
    def connect_and_lose_the_answer(self) -> None:
        """The Receiver has looked at what is there, and nobody heard of it."""
        self._ask()

    @precondition(lambda self: not self.over and not self.connected)
    @rule()
    def connect_and_lose_the_place(self) -> None:
        """The Emitter has the answer, and begins to look for the place."""
        answer = self._ask()
        if answer is not None and (self.source.restartable or not self.lost_something):
            self.reader.take_up(answer)

    def _ask(self) -> Answer | None:
        """The Emitter's OPEN; the Receiver's answer, unless that is a failure."""
        self._disconnect()
        if self.writer is None:
            sink = DiskSink(self.disk, self.step) if self.keeps else CallableSink(self._print())
            self.writer = Writer(sink, wake=lambda: None)
            self.writer.open(OFFER)
            self.writer._open(OFFER)
        else:
            self.writer.take_up()
        while self.writer.answer is None and self.failure is None:
            self._write()
        return self.writer.answer

    def _print(self) -> Callable[[bytes], object]:
        """What a Receiver does that only hands on: a new process has a new reader behind it."""
        self.printed = bytearray()
        return self.printed.extend

    def _settle(self, answer: Answer, place: int) -> None:
        assert self.writer is not None
        check_place(answer, place)
        if answer.complete and place != answer.held:
            self._forget()
            return
        if not answer.complete:
            self.writer.go_on(place)
            self._write()
            if self.failure is not None:
                assert isinstance(self.failure, CannotBeginAnew) and self.changed and not self.keeps
                return
            assert self.writer.position == place
        self.answer = answer

    def _forget(self) -> None:
        """What is stored is not what the Emitter has: it brings that as new."""
        assert self.changed and self.writer is not None, "the same content is no other"
        self.anew = True
        self.writer.forget()
        self.writer = None

    @precondition(lambda self: not self.over and self.reader._thread is not None)
    @rule()
    def read(self) -> None:
        if not self.reader._finished and self.reader._has_room:
            self._read()

    @precondition(lambda self: not self.over and self.connected and self.final is None)
    @rule(limit=st.integers(1, 12))
    def send(self, limit: int) -> None:
        piece = self.reader.take(limit)
        assert len(piece) <= limit
        if piece:
            self.flight.append(bytes(piece))
        elif self.reader.ended:
            self.final = self.reader.content.blake3
            assert self.reader.length == len(self.source.data)

    @precondition(lambda self: not self.over and self.flight)
    @rule()
    def arrive(self) -> None:
        assert self.answer is not None and self.writer is not None
        if self.answer.complete:
            assert self.answer.held == 0, "more of what is stored"
            self._forget()
            self._disconnect()
            return
        self.writer.put(self.flight.popleft())

    @precondition(lambda self: not self.over and self.writer is not None and self.writer._queue)
    @rule()
    def write(self) -> None:
        self._write()
        assert self.failure is None, self.failure

    @precondition(lambda self: not self.over and self.connected)
    @rule()
    def acknowledge(self) -> None:
        assert self.writer is not None
        if self.writer.stored is None:
            self.acks.append(self.writer.position)

    @precondition(lambda self: not self.over and self.acks)
    @rule()
    def hear(self) -> None:
        self.reader.acknowledge(self.acks.popleft())

    @precondition(lambda self: not self.over and self.final and not self.flight and not self.final_arrived)
    @rule()
    def final_arrives(self) -> None:
        assert self.writer is not None and self.final is not None
        self.final_arrived = True
        if self.writer.stored is None:
            self.writer.finish(self.final)
        else:
            assert self.writer.stored.blake3 == self.final

    @precondition(lambda self: not self.over and self.final_arrived and self.writer.stored is not None)
    @rule()
    def receipt(self) -> None:
        assert self.writer is not None
        self.writer.forget()
        self.delivered = True

    @rule(turns=st.integers(1, 4))
    def all_is_well(self, turns: int) -> None:
        """A link that holds for a while, and both sides at work."""
        for _ in range(turns):
            if not self.over and not self.connected:
                self.connect()
            elif not self.over:
                self._turn()

    def _turn(self) -> None:
        self.read()
        if self.final is None:
            self.send(7)
        if self.flight:
            self.arrive()
        if not self.connected:
            return
        if self.writer is not None and self.writer._queue:
            self.write()
        self.acknowledge()
        while self.acks:
            self.hear()
        if self.final is not None and not self.flight and not self.final_arrived:
            self.final_arrives()
        elif self.final_arrived and self.writer is not None and self.writer.stored is not None:
            self.receipt()

    @precondition(lambda self: self.over)
    @rule(parameters=PARAMETERS)
    def another(self, parameters: tuple[int, list[int], bool, bool, int, int]) -> None:
        """The next delivery, of other machines."""
        self.begin(parameters)

    # What goes wrong

    @precondition(lambda self: not self.over)
    @rule()
    def lose_the_link(self) -> None:
        self._disconnect()

    @precondition(lambda self: not self.over)
    @rule(gone=st.integers(0, 12) | st.just(60), zeros=st.just(0) | st.just(60))
    def receiver_dies(self, gone: int, zeros: int) -> None:
        """Its process, and the cache with it: of what was not synced a part is there, or zeros."""
        if self.writer is not None:
            self.lost_something = True
        self.writer = None
        self._disconnect()
        gone = min(gone, len(self.disk.partial))
        del self.disk.partial[len(self.disk.partial) - gone :]
        self.disk.partial += bytes(min(zeros, gone))

    @precondition(lambda self: not self.over and self.source.restartable)
    @rule(common=st.none() | st.integers(0, 60), length=st.integers(0, 60))
    def emitter_dies(self, common: int | None, length: int) -> None:
        """Its process; the next one may find a changed source, with ``common`` bytes as they were."""
        self._disconnect()
        if common is not None:
            changed = (self.source.data[:common] + CONTENTS[len(self.versions) % 2][common:])[:length]
            self.changed = self.changed or changed != self.source.data
            self.source = Chunks(changed, self.source._lengths, restartable=True)
            self.versions.append(changed)
        self._new_reader()

    # What holds whatever happens

    @invariant()
    def only_whole_versions_are_stored(self) -> None:
        for stored in getattr(self, "disk", Disk()).stored:
            assert stored in self.versions

    @invariant()
    def nothing_is_stored_twice(self) -> None:
        assert len(getattr(self, "disk", Disk()).stored) <= 1 or self.anew

    @invariant()
    def what_is_called_delivered_is_the_source(self) -> None:
        if getattr(self, "delivered", False):
            assert (self.disk.stored[-1] if self.keeps else bytes(self.printed)) == self.source.data

    def teardown(self) -> None:
        """From any state: with a link that holds, the delivery ends."""
        if not hasattr(self, "source"):
            return
        for _ in range(1000):
            self.all_is_well(1)
        assert self.over, "it goes on for ever"
        self.what_is_called_delivered_is_the_source()


def test_security_a_delivery_ends_in_its_bytes_or_in_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is read, sent, acknowledged, lost, and whoever is restarted: never in other bytes."""
    for module in (reader_module, writer_module):
        monkeypatch.setattr(module, "threading", Threads(module.threading))
    run_state_machine_as_test(
        Delivery, settings=settings(max_examples=200, stateful_step_count=80, deadline=None)
    )


def test_the_model_disk_shows_true_marks() -> None:
    """The machine's own disk: each mark is the digest of what is there, the last one of all of it."""
    disk = Disk(bytearray(range(100)))
    marks = DiskSink(disk, 7).open(OFFER).ladder.marks()
    assert marks[-1].position == 100
    assert all(mark.digest == blake3(bytes(disk.partial[: mark.position])).digest() for mark in marks)
