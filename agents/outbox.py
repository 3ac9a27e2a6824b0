"""What the Emitter keeps of a delivery: from what the Receiver has consumed to what was read. Pure.

The bytes in between may have to be sent again in another session, and standard input cannot be read
twice. Each block remembers the hash of all before it, so that a place the Receiver shows can be compared.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from selo.agents.content import ContentHash

PER_BLOCK = 4096
"""Bytes that a block is charged beside its own: its hash takes memory, and a pipe may give single bytes."""


@dataclass(frozen=True)
class _Block:
    start: int
    data: memoryview
    before: ContentHash

    @property
    def end(self) -> int:
        return self.start + len(self.data)


class Outbox:
    """Blocks of a delivery in order, with the place that is sent next; at most ``capacity`` bytes.

    All places are bytes from the delivery's beginning: ``base`` <= ``next`` <= ``end``. What is before
    ``base`` is gone.
    """

    def __init__(self, *, capacity: int, sha256: bool = False) -> None:
        self._capacity = capacity
        self._sent: deque[_Block] = deque()
        self._unsent: deque[_Block] = deque()
        self._charged = 0
        self.content = ContentHash(sha256=sha256)
        """The hash of everything up to ``end``."""
        self.next = 0
        self.end = 0

    @property
    def base(self) -> int:
        """The first place that can still be sent."""
        first = self._sent[0] if self._sent else self._unsent[0] if self._unsent else None
        return first.start if first is not None else self.end

    @property
    def has_room(self) -> bool:
        """Whether another block may be added. One always may: or a small capacity would stop everything."""
        return not (self._sent or self._unsent) or self._charged < self._capacity

    def skip(self, content: ContentHash, length: int) -> None:
        """Begin at ``length``: the Receiver has all before it, which hashes to ``content``."""
        self.content = content
        self.next = self.end = length

    def add(self, data: bytes | bytearray | memoryview) -> None:
        """The next bytes of the delivery, 1 or more."""
        block = _Block(self.end, memoryview(data), self.content.copy())
        self.content.update(block.data)
        self._unsent.append(block)
        self._charged += len(block.data) + PER_BLOCK
        self.end = block.end

    def take(self, limit: int) -> memoryview:
        """The next 1 to ``limit`` bytes to send; empty when there are none now."""
        if not self._unsent:
            return memoryview(b"")
        block = self._unsent[0]
        start = self.next - block.start
        piece = block.data[start : start + limit]
        self.next += len(piece)
        if self.next == block.end:
            self._sent.append(self._unsent.popleft())
        return piece

    def acknowledge(self, place: int) -> None:
        """The Receiver has consumed everything before ``place``."""
        while self._sent and self._sent[0].end <= place:
            self._charged -= len(self._sent.popleft().data) + PER_BLOCK

    def digest_at(self, place: int) -> bytes | None:
        """BLAKE3 of all before ``place``; None where that cannot be told any more."""
        if place == self.end:
            return self.content.blake3
        for block in (*self._sent, *self._unsent):
            if block.start <= place < block.end:
                content = block.before.copy()
                content.update(block.data[: place - block.start])
                return content.blake3
        return None

    def rewind(self, place: int) -> bool:
        """Send again, or on, from ``place``; whether it is still here (else nothing has changed)."""
        if not self.base <= place <= self.end:
            return False
        while self._sent and self._sent[-1].end > place:
            self._unsent.appendleft(self._sent.pop())
        while self._unsent and self._unsent[0].end <= place:
            self._sent.append(self._unsent.popleft())
        self.next = place
        return True
