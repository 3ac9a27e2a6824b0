"""The thread that reads the source, ahead of the session, and what it keeps to send again.

It never touches the socket; the session's thread never waits for a disk. ``wake`` tells that thread that
there is something to look at; it changes with the session, the reader does not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from selo.agents.bodies import Answer, Mark
from selo.agents.content import ContentHash
from selo.agents.errors import InternalFault, StreamLost
from selo.agents.outbox import Outbox
from selo.agents.rate import BURST, Throttle
from selo.agents.sources import Block, Source
from selo.errors import SeloError

READ_AHEAD_BLOCKS = 3
"""Blocks read and not sent: one being sealed, one ready, one being read."""

SMALLEST_BLOCK = 1 << 16
"""Bytes asked of a source at once even when records are tiny: a lock per block, not per record."""

JOIN_SECONDS = 1.0
"""How long a cancelled worker is waited for; one stuck in reading or writing a pipe ends with the process."""


class Reader:
    """Reads one delivery, bounded, and hands out pieces of at most a record, in one session after another.

    Args:
        source: what is read. One that is ``restartable`` is read from its beginning again where a Receiver
            comes back with less than was sent, or with something else.
        record_size: bytes; blocks are a multiple of it.
        capacity: bytes kept that were read and not consumed by the Receiver.
        rate: bytes per second, or None.
    """

    def __init__(
        self,
        source: Source,
        *,
        record_size: int,
        capacity: int,
        wake: Callable[[], None],
        rate: int | None = None,
        sha256: bool = False,
    ) -> None:
        self.wake = wake
        self._source = source
        self._block_size = max(record_size, SMALLEST_BLOCK // record_size * record_size)
        if rate is not None:  # or a slow delivery would be silent for many seconds, and then burst
            self._block_size = min(self._block_size, max(1, int(rate * BURST)))
        self._capacity = capacity
        self._sha256 = sha256
        self._condition = threading.Condition()
        self._throttle = Throttle(rate, sleep=self._sleep)
        self._run_number = 0
        self._thread: threading.Thread | None = None
        self._outbox = Outbox(capacity=capacity, sha256=sha256)
        self._finished = False
        self._failure: SeloError | None = None
        self._place: int | None = None

    # The session's side

    def take_up(self, answer: Answer) -> None:
        """A session begins, whose Receiver has what ``answer`` says: find the place to go on from.

        Raises:
            StreamLost: what it lacks was sent, and cannot be read again.
        """
        with self._condition:
            if self._thread is not None and self._rewind(answer):
                self._condition.notify()
                return
            if self._thread is not None and not self._source.restartable:
                raise StreamLost(self._outbox.base, answer.held)
        if self._source.restartable:
            self._start(answer.marks, complete=answer.complete)
        else:  # not a byte is read only to compare it: it would be gone
            self._start((), complete=False)

    @property
    def place(self) -> int | None:
        """Where this session's DATA begins (bytes of the delivery); None while that is looked for.

        Raises:
            SourceFault: the source failed before it was found.
        """
        with self._condition:
            if self._place is None and self._failure is not None:
                raise self._failure
            return self._place

    def take(self, limit: int) -> memoryview:
        """The next 1 to ``limit`` bytes; empty when none are here now.

        Raises:
            SourceFault: the source failed, and all that it gave before was taken.
        """
        with self._condition:
            piece = self._outbox.take(limit)
            if piece:
                self._condition.notify()
            elif self._failure is not None:
                raise self._failure
            return piece

    def acknowledge(self, place: int) -> None:
        """The Receiver has consumed everything before ``place``: it need not be kept."""
        with self._condition:
            self._outbox.acknowledge(place)
            self._condition.notify()

    @property
    def ended(self) -> bool:
        """Whether the source ended in order and everything was taken."""
        with self._condition:
            return self._finished and self._failure is None and self._outbox.next == self._outbox.end

    @property
    def content(self) -> ContentHash:
        """The hash of all that was read; of the whole delivery once ``ended``."""
        return self._outbox.content

    @property
    def length(self) -> int:
        """Bytes read so far; of the whole delivery once ``ended``."""
        return self._outbox.end

    def cancel(self) -> None:
        """Stop reading; what was read is dropped."""
        with self._condition:
            self._run_number += 1
            self._outbox = Outbox(capacity=self._capacity)
            self._condition.notify_all()
        self._source.cancel()
        if self._thread is not None:
            self._thread.join(JOIN_SECONDS)

    def _rewind(self, answer: Answer) -> bool:
        """Whether the place is among what is kept."""
        if self._place is None:  # it was still being looked for when the session was lost
            return False
        for mark in (*reversed(answer.marks), Mark(0, ContentHash().blake3)):
            if answer.complete and mark.position != self._outbox.end:
                return False
            if self._outbox.digest_at(mark.position) == mark.digest and self._outbox.rewind(mark.position):
                self._place = mark.position
                # Where all that is kept is there already, no ACK comes that would make room for more.
                self._outbox.acknowledge(mark.position)
                return True
        return False

    def _start(self, marks: tuple[Mark, ...], *, complete: bool) -> None:
        """Read from the beginning in a thread of its own; one that was at it stops."""
        with self._condition:
            self._run_number += 1
            number = self._run_number
            self._outbox = Outbox(capacity=self._capacity, sha256=self._sha256)
            self._finished, self._failure = False, None
            self._place = None if marks or complete else 0
            self._condition.notify_all()
            before = self._thread
        self._thread = threading.Thread(
            target=self._run, args=(number, marks, complete, before), name="selo-reader", daemon=True
        )
        self._thread.start()

    # The reading thread's side

    def _run(
        self, number: int, marks: tuple[Mark, ...], complete: bool, before: threading.Thread | None
    ) -> None:
        if before is not None:  # here and not in the session's thread: it may be in the middle of a read
            before.join()
        failure: SeloError | None = None
        try:
            for block in self._from_place(number, marks, complete=complete):
                self._throttle.spend(len(block))
                if not self._put(number, block):
                    return
        except SeloError as error:
            failure = error
        except BaseException as error:
            failure = InternalFault(error)
        with self._condition:
            if number == self._run_number:
                self._failure, self._finished = failure, True
        self.wake()

    def _from_place(self, number: int, marks: tuple[Mark, ...], *, complete: bool) -> Iterator[Block]:
        """The blocks after the last place that is the same here and there; that place is told first.

        A mark that differs says that the source was changed, or that what is there was damaged. Everything
        is then read again up to the last mark that did not: to keep it all meanwhile would have no bound.
        """
        while True:
            blocks = iter(self._source.blocks(self._block_size))
            equal, content, rest = self._compare(number, blocks, marks)
            if equal < len(marks):
                marks = marks[:equal]
                complete = False
                continue
            if complete and (rest or next(blocks, None) is not None):
                marks, complete = (), False  # what was stored there is only the beginning of what is here
                continue
            place = marks[-1].position if marks else 0
            with self._condition:
                if number != self._run_number:
                    return
                self._outbox.skip(content, place)
                self._place = place
            self.wake()
            if rest:
                yield rest
            yield from blocks
            return

    def _compare(
        self, number: int, blocks: Iterator[Block], marks: tuple[Mark, ...]
    ) -> tuple[int, ContentHash, memoryview]:
        """Read up to the last of ``marks``, or past the first that differs.

        Returns:
            how many are equal; and, if all are, the hash up to the last one and the rest of its block.
        """
        content, position, rest = ContentHash(sha256=self._sha256), 0, memoryview(b"")
        for equal, mark in enumerate(marks):
            while position < mark.position:
                if not rest:
                    rest = memoryview(next(blocks, b""))
                if not rest or number != self._run_number:
                    return equal, content, rest
                piece = rest[: mark.position - position]
                content.update(piece)
                position, rest = position + len(piece), rest[len(piece) :]
            if content.blake3 != mark.digest:
                return equal, content, rest
        return len(marks), content, rest

    def _put(self, number: int, block: Block) -> bool:
        """Line a block up when there is room; False when nobody wants it any more."""
        with self._condition:
            self._condition.wait_for(lambda: number != self._run_number or self._has_room)
            if number != self._run_number:
                return False
            self._outbox.add(block)
        self.wake()
        return True

    @property
    def _has_room(self) -> bool:
        unsent = self._outbox.end - self._outbox.next
        return self._outbox.has_room and unsent < READ_AHEAD_BLOCKS * self._block_size

    def _sleep(self, seconds: float) -> None:
        with self._condition:
            number = self._run_number
            self._condition.wait_for(lambda: number != self._run_number, seconds)
