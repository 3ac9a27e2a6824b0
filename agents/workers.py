"""The two threads beside a session's own: one reads the source, one feeds the sink.

The session's thread owns the socket and never waits for a disk; these never touch
the socket. Both take the content's BLAKE3 on the way, where it enters and where it
leaves, and call ``wake`` when the session has something to look at.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress

from blake3 import blake3

from selo.agents.bodies import Offer
from selo.agents.errors import DigestMismatch, InternalFault
from selo.agents.sinks import Sink
from selo.agents.sources import Block, Source
from selo.errors import SeloError

READ_AHEAD_BLOCKS = 3
"""Blocks that wait between source and session: one being sealed, one ready, one being read."""

SMALLEST_BLOCK = 1 << 16
"""Bytes asked of a source at once even when records are tiny: a lock per block, not per record."""

JOIN_BELOW = 1 << 14
"""Bytes below which waiting plaintexts are joined into one write."""

JOIN_RECORDS = 256
"""Plaintexts that are joined at most: well below a quarter of the usual window, so ACKs keep flowing."""

JOIN_SECONDS = 1.0
"""How long a cancelled worker is waited for; one stuck in a write to a pipe ends with the process."""


class Reader:
    """Reads ahead of the session, bounded, and hands out pieces of at most a record."""

    def __init__(self, source: Source, *, record_size: int, wake: Callable[[], None]) -> None:
        self._source = source
        self._block_size = max(record_size, SMALLEST_BLOCK // record_size * record_size)
        self._wake = wake
        self._condition = threading.Condition()
        self._blocks: deque[Block] = deque()
        self._current = memoryview(b"")
        self._finished = False
        self._cancelled = False
        self._failure: SeloError | None = None
        self._hash = blake3()
        self._thread = threading.Thread(target=self._run, name="selo-reader", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def take(self, limit: int) -> memoryview:
        """The next 1 to ``limit`` bytes; empty when none are here now.

        Raises:
            SourceFault: the source failed, and all that it gave before was taken.
        """
        if not self._current:
            self._current = self._next_block()
        piece, self._current = self._current[:limit], self._current[limit:]
        return piece

    def _next_block(self) -> memoryview:
        with self._condition:
            if self._blocks:
                self._condition.notify()
                return memoryview(self._blocks.popleft())
            if self._failure is not None:
                raise self._failure
        return memoryview(b"")

    @property
    def ended(self) -> bool:
        """Whether the source ended in order and everything was taken."""
        with self._condition:
            return self._finished and self._failure is None and not self._blocks and not self._current

    @property
    def digest(self) -> bytes:
        """BLAKE3 of all that was read, 32 bytes; meaningful once ``ended``."""
        return self._hash.digest()

    def cancel(self) -> None:
        """Stop reading; what was read is dropped."""
        with self._condition:
            self._cancelled = True
            self._blocks.clear()
            self._condition.notify()
        self._source.cancel()
        if self._thread.ident is not None:
            self._thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        failure: SeloError | None = None
        try:
            for block in self._source.blocks(self._block_size):
                self._hash.update(block)
                if not self._put(block):
                    return
        except SeloError as error:
            failure = error
        except BaseException as error:
            failure = InternalFault(error)
        with self._condition:
            self._failure, self._finished = failure, True
        self._wake()

    def _put(self, block: Block) -> bool:
        with self._condition:
            self._condition.wait_for(lambda: self._cancelled or len(self._blocks) < READ_AHEAD_BLOCKS)
            if self._cancelled:
                return False
            self._blocks.append(block)
        self._wake()
        return True


class Writer:
    """Feeds the sink behind the session; bounded by the window that the session grants."""

    def __init__(self, sink: Sink, *, wake: Callable[[], None]) -> None:
        self._sink = sink
        self._wake = wake
        self._condition = threading.Condition()
        self._waiting: list[Block] = []
        self._expected_digest: bytes | None = None
        self._cancelled = False
        self._hash = blake3()
        self._thread: threading.Thread | None = None
        self.consumed_records = 0
        """DATA records that the sink took."""
        self.consumed_bytes = 0
        """Their bytes."""
        self.stored = False
        """Whether the sink committed."""
        self.target: str | None = None
        """Where the delivery is, once stored, if that has a name."""
        self.failure: SeloError | None = None
        """Why the sink ended before that."""

    def open(self, offer: Offer) -> None:
        """Begin: the sink is opened from the worker's thread."""
        self._thread = threading.Thread(target=self._run, args=(offer,), name="selo-writer", daemon=True)
        self._thread.start()

    def put(self, data: Block) -> None:
        """Queue one record's plaintext."""
        with self._condition:
            self._waiting.append(data)
            self._condition.notify()

    def finish(self, digest: bytes) -> None:
        """No more comes: commit if the content's BLAKE3 equals ``digest``."""
        with self._condition:
            self._expected_digest = digest
            self._condition.notify()

    @property
    def digest(self) -> bytes:
        """BLAKE3 of all that the sink took, 32 bytes; meaningful once ``stored``."""
        return self._hash.digest()

    @property
    def handed_on(self) -> int:
        """Bytes that the sink passed on and cannot call back."""
        return self.consumed_bytes if self._sink.hands_on else 0

    def wait(self) -> bool:
        """Wait until the sink has committed or failed, however long a disk takes; whether it committed."""
        if self._thread is not None:
            self._thread.join()
        return self.stored

    def cancel(self) -> None:
        """Give up: the sink is discarded, unless it committed."""
        with self._condition:
            self._cancelled = True
            self._waiting.clear()
            self._condition.notify()
        if self._thread is not None:
            self._thread.join(JOIN_SECONDS)
            if self._thread.is_alive():
                self._discard()  # it hangs in a write; what can be removed from here is removed

    def _run(self, offer: Offer) -> None:
        try:
            self._store(offer)
        except SeloError as error:
            self.failure = error
        except BaseException as error:
            self.failure = InternalFault(error)
        finally:
            if not self.stored:
                self._discard()
            self._wake()

    def _discard(self) -> None:
        with suppress(Exception):  # a foreign sink's bug; the first failure is the one to report
            self._sink.discard()

    def _store(self, offer: Offer) -> None:
        self._sink.open(offer)
        while batch := self._take():
            for data, records in _portions(batch):
                self._sink.write(data)
                self._hash.update(data)
                self.consumed_bytes += len(data)
                self.consumed_records += records
                self._wake()
        if self._cancelled:
            return
        if self._hash.digest() != self._expected_digest:
            raise DigestMismatch
        self.target = self._sink.commit()
        self.stored = True

    def _take(self) -> list[Block]:
        """All that waits; empty at the end or when cancelled."""
        with self._condition:
            self._condition.wait_for(
                lambda: self._waiting or self._cancelled or self._expected_digest is not None
            )
            batch, self._waiting = self._waiting, []
            return batch


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
