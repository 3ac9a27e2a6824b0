"""The digests of what is delivered, and how far both sides hold the same of it. Pure.

A ``Mark`` is a place in a delivery with the digest of everything before it. The Receiver shows marks of
what it has, the Emitter compares them with its own bytes; neither believes a length or a time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from blake3 import blake3

from selo.agents.bodies import MARKS_MAX, Mark


class ContentHash:
    """BLAKE3 of all bytes so far and, where it is wanted, SHA-256 of them as well."""

    def __init__(self, *, sha256: bool = False) -> None:
        self._blake3 = blake3()
        self._sha256 = hashlib.sha256() if sha256 else None

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes."""
        self._blake3.update(data)
        if self._sha256 is not None:
            self._sha256.update(data)

    def copy(self) -> ContentHash:
        """Another one that goes on from here."""
        other = ContentHash()
        other._blake3 = self._blake3.copy()
        other._sha256 = self._sha256.copy() if self._sha256 is not None else None
        return other

    @property
    def blake3(self) -> bytes:
        """32 bytes."""
        return self._blake3.digest()

    @property
    def sha256(self) -> bytes | None:
        """32 bytes, or None where it was not wanted."""
        return self._sha256.digest() if self._sha256 is not None else None


@dataclass(frozen=True)
class Summary:
    """A whole delivery in numbers: what its Receiver keeps of it until the Emitter has its receipt.

    ``length`` (bytes) and ``blake3`` (32 bytes) are those of all its DATA, from its beginning; ``items``
    counts what was delivered, ``items_bytes`` their content; ``items_hash`` (32 bytes) binds the list.
    ``durable``: it would survive a power cut. ``target`` is where it was put, if that has a name.
    """

    length: int
    blake3: bytes
    items: int
    items_bytes: int
    items_hash: bytes
    durable: bool
    target: str | None


class Ladder:
    """At most ``MARKS_MAX`` places of a stream, evenly spread, each with the hash of all before it."""

    def __init__(self) -> None:
        self._rungs: list[tuple[int, ContentHash]] = []
        self._stride = 1

    def add(self, position: int, content: ContentHash) -> None:
        """A place that is further on than those before; ``content`` is copied where the place is kept."""
        if self._rungs and position - self._rungs[-1][0] < self._stride:
            return
        self._rungs.append((position, content.copy()))
        if len(self._rungs) == MARKS_MAX:
            # Every other one goes. The first mark is no better than the second: both are near the start.
            self._rungs = self._rungs[1::2]
            self._stride = max(self._stride * 2, self._rungs[-1][0] // len(self._rungs))

    def end(self, position: int, content: ContentHash) -> None:
        """The end of what there is: always kept."""
        if position and (not self._rungs or self._rungs[-1][0] != position):
            self._rungs.append((position, content.copy()))

    def marks(self) -> tuple[Mark, ...]:
        """All places, in order."""
        return tuple(Mark(position, content.blake3) for position, content in self._rungs)

    def hash_at(self, position: int) -> ContentHash | None:
        """The hash of all before a place that was kept, to go on from; None where there is no such place."""
        return next((content.copy() for place, content in self._rungs if place == position), None)
