"""The thread that feeds the sink, in one session after another.

It never touches the socket; the session's thread never waits for a disk. ``wake`` tells that thread that
there is something to look at; it changes with the session, the writer does not.
"""

from __future__ import annotations

import errno
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress

from selo.agents.bodies import Answer, Kind, Mark, Offer
from selo.agents.content import ContentHash, Summary
from selo.agents.errors import CannotBeginAnew, DigestMismatch, InternalFault, PeerMisbehaved
from selo.agents.listing import whole_as_item
from selo.agents.rate import Throttle
from selo.agents.reader import JOIN_SECONDS
from selo.agents.sinks import Sink
from selo.agents.sources import Block
from selo.agents.stop import join
from selo.agents.storage.base import Held, ResumableSink
from selo.agents.storage.handles import NotOnDisk
from selo.errors import SeloError

JOIN_BELOW = 1 << 14
"""Bytes below which waiting plaintexts are joined into one write."""

JOIN_RECORDS = 256
"""Plaintexts that are joined at most: well below a quarter of the usual window, so ACKs keep flowing."""


class Writer:
    """Feeds the sink behind the sessions; bounded by the window that each session grants."""

    def __init__(self, sink: Sink, *, wake: Callable[[], None], rate: int | None = None) -> None:
        self.wake = wake
        self._sink = sink
        self._condition = threading.Condition()
        self._throttle = Throttle(rate, sleep=self._sleep)
        self._queue: deque[Block | Callable[[], None]] = deque()
        self._ended = False
        self._cancelled = False
        self._suspending = False
        self._hurried = False
        self._repeatable = False
        self._resumable: ResumableSink | None = None
        self._held: Held | None = None
        self._content = ContentHash()
        self._thread: threading.Thread | None = None
        self._offer: Offer | None = None
        self.answer: Answer | None = None
        """What there is of the delivery, once that is known in this session."""
        self.consumed_records = 0
        """DATA records that the sink took, in all sessions."""
        self.position = 0
        """Bytes of the delivery that the sink has, from its beginning."""
        self.stored: Summary | None = None
        """What was stored, once the sink has committed."""
        self.target: str | None = None
        """Where the delivery is, once stored, if that has a name."""
        self.found_stored = False
        """Whether it was stored by an earlier process: there was nothing to do but to say so."""
        self.suspended = False
        """Whether what was written was left on disk to be taken up again."""
        self.failure: SeloError | None = None
        """Why the sink ended before that."""

    @property
    def places(self) -> tuple[str, ...]:
        """All final names, once stored; `target` is what they have in common."""
        if self.stored is None or self._resumable is None:
            return ()
        return self._resumable.places

    # The session's side

    def open(self, offer: Offer) -> None:
        """Begin: the sink is opened from the worker's thread, and ``answer`` says what it has already."""
        self._offer = offer
        self._thread = threading.Thread(target=self._run, args=(offer,), name="selo-writer", daemon=True)
        self._thread.start()

    def take_up(self) -> None:
        """Another session goes on with it: ``answer`` again, when all that came before is written."""
        if self.stored is not None:
            self.answer = _of_stored(self.stored)
            return
        self.answer = None
        self._order(self._say_position)

    def go_on(self, place: int) -> None:
        """DATA comes from ``place`` on, which is one of the answer's marks, or 0."""
        self._order(lambda: self._go_on(place))

    def put(self, data: Block) -> None:
        """Queue one record's plaintext."""
        with self._condition:
            self._queue.append(data)
            self._condition.notify_all()

    def finish(self, digest: bytes) -> None:
        """No more comes: commit if the BLAKE3 of the whole delivery is ``digest``."""
        self._order(lambda: self._commit(digest))

    @property
    def handed_on(self) -> int:
        """Bytes that the sink passed on and cannot call back."""
        return self.position if self._sink.hands_on else 0

    @property
    def keeps(self) -> bool:
        """Whether what was written can be taken up by another process."""
        return self.failure is None and self._resumable is not None and self._resumable.keeps

    def hurry(self) -> None:
        """Write what is here without regard to the rate: it would slow down nobody but us."""
        with self._condition:
            self._hurried = True
            self._condition.notify_all()

    def wait(self) -> bool:
        """Wait until the sink has committed or failed, however long a disk takes; whether it committed."""
        self.hurry()
        if self._thread is not None:
            join(self._thread)
        return self.stored is not None

    def forget(self) -> None:
        """The Emitter has its receipt: nothing needs to be remembered of a delivery that is stored."""
        if self.stored is not None and self._resumable is not None:
            with suppress(SeloError):  # a file of ours that stays is swept later
                self._resumable.forget()

    def suspend(self) -> None:
        """End, and keep what a later process can go on from; without such a place, as ``cancel``."""
        if self._thread is None:
            return
        with self._condition:
            self._suspending = True
            self._condition.notify_all()
        self._thread.join(JOIN_SECONDS)
        if self._thread.is_alive():  # a slow write: it lets go when that is over, and writes nothing more
            with self._condition:
                self.suspended, self._cancelled = self.keeps, True
                self._condition.notify_all()

    def cancel(self) -> None:
        """Give up: the sink is discarded, unless it committed."""
        with self._condition:
            self._cancelled = True
            self._queue.clear()
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join(JOIN_SECONDS)
            if self._thread.is_alive():
                self._discard()  # it hangs in a write; what can be removed from here is removed

    def _order(self, order: Callable[[], None]) -> None:
        with self._condition:
            self._queue.append(order)
            self._condition.notify_all()

    # The writing thread's side

    def _run(self, offer: Offer) -> None:
        try:
            self._open(offer)
            self._work()
        except SeloError as error:
            self.failure = error
        except BaseException as error:
            self.failure = InternalFault(error)
        finally:
            if self.stored is None:
                self._let_go()
            self.wake()

    def _let_go(self) -> None:
        """Not stored: what was asked to be left is, and what a disk had no more room for; all else goes."""
        left = self._suspending if self.failure is None else self._repeatable and _is_full(self.failure)
        if left and self._resumable is not None:
            with suppress(Exception):  # it is left as it is
                self._resumable.suspend()
                self.suspended = self._resumable.keeps
        else:
            self._discard()

    def _discard(self) -> None:
        with suppress(Exception):  # a foreign sink's bug; the first failure is the one to report
            self._sink.discard()

    def _open(self, offer: Offer) -> None:
        self._content = ContentHash(sha256=offer.sha256)
        self._repeatable = offer.kind is not Kind.STREAM
        self._held = self._sink.open(offer)
        if self._held is not None and isinstance(self._sink, ResumableSink):
            self._resumable = self._sink
        if self._held is not None and self._held.complete is not None:
            self.stored, self.found_stored = self._held.complete, True
            self.target = self.stored.target
            self.answer = _of_stored(self.stored)
            self._ended = True
        else:
            self.answer = Answer(self._held.ladder.marks() if self._held is not None else ())
        self.wake()

    def _work(self) -> None:
        while not self._ended:
            batch, order = self._next()
            for data, records in _portions(batch):
                if self._cancelled:
                    return
                self._write(data, records)
            if order is not None and not self._cancelled:
                order()
            elif not batch:  # cancelled, or suspended with nothing left to write
                return

    def _next(self) -> tuple[list[Block], Callable[[], None] | None]:
        """All data that waits before the next order, and that order: neither overtakes the other."""
        batch: list[Block] = []
        with self._condition:
            self._condition.wait_for(lambda: self._queue or self._cancelled or self._suspending)
            while self._queue:
                first = self._queue.popleft()
                if callable(first):
                    return batch, first
                batch.append(first)
        return batch, None

    def _write(self, data: Block, records: int) -> None:
        self._throttle.spend(len(data))
        self._sink.write(data)
        self._content.update(data)
        self.position += len(data)
        self.consumed_records += records
        self.wake()

    def _say_position(self) -> None:
        """A session that goes on in this process needs no reading of the disk: the hash is here."""
        if self._held is not None:  # no session has settled the place yet
            self.answer = Answer(self._held.ladder.marks())
        else:
            mark = Mark(self.position, self._content.blake3)
            self.answer = Answer((mark,) if self.position else ())
        self.wake()

    def _go_on(self, place: int) -> None:
        if place != self.position or self._held is not None:
            self._move(place)

    def _move(self, place: int) -> None:
        if self._resumable is None:
            if place != self.position:
                raise CannotBeginAnew(self.position)
            return
        self._resumable.go_on(place)
        found = self._held.ladder.hash_at(place) if self._held is not None and place else None
        sha256 = self._offer is not None and self._offer.sha256
        self._content = found if found is not None else ContentHash(sha256=sha256)
        self.position, self._held = place, None

    def _commit(self, digest: bytes) -> None:
        if self._content.blake3 != digest:
            raise DigestMismatch
        assert self._offer is not None
        log = self._resumable.log if self._resumable is not None else None
        if log is None:
            log = whole_as_item(self._offer, self.position, self._content)
        summary = Summary(
            length=self.position,
            blake3=digest,
            items=log.count,
            items_bytes=log.size,
            items_hash=log.hash,
            durable=self._resumable is not None and self._resumable.durable,
            target=None,
        )
        if self._resumable is not None:
            self._resumable.seal(summary)
        self.target = self._sink.commit()
        self.stored = summary
        self._ended = True

    def _sleep(self, seconds: float) -> None:
        with self._condition:
            self._condition.wait_for(lambda: self._cancelled or self._suspending or self._hurried, seconds)


def _is_full(failure: SeloError) -> bool:
    """Whether it can be mended by making room: then it would be a pity for what came.

    Not where that was said by a sync: of what came before, something is lost, and it is not known what.
    """
    cause = failure.__cause__
    if not isinstance(cause, OSError) or isinstance(cause, NotOnDisk):
        return False
    return cause.errno in (errno.ENOSPC, errno.EDQUOT)


def check_place(answer: Answer, place: int) -> None:
    """Refuse a place that was not offered.

    Raises:
        PeerMisbehaved: it is neither 0 nor one of the answer's marks.
    """
    if place and all(mark.position != place for mark in answer.marks):
        raise PeerMisbehaved("its place in the delivery is none that we have")


def _of_stored(stored: Summary) -> Answer:
    marks = (Mark(stored.length, stored.blake3),) if stored.length else ()
    return Answer(marks, complete=True)


def _portions(batch: list[Block]) -> Iterator[tuple[Block, int]]:
    """What to write at once, and how many records that is: large ones alone, small ones joined.

    Few writes, and yet the other side hears early of what was consumed: a window is several portions.
    """
    for start in range(0, len(batch), JOIN_RECORDS):
        portion = batch[start : start + JOIN_RECORDS]
        if max(map(len, portion)) <= JOIN_BELOW:
            yield b"".join(portion), len(portion)
        else:
            yield from ((data, 1) for data in portion)
