"""What a delivery was made of, item by item: the list that a receipt's signature covers.

    item = u8 type | u32 length | path | u64 size | u32 length | target | blake3[32] | u8 n | sha256[n]

``items_hash`` = H(L("items") | item | item | ...), docs/PROTOCOL.md, section 9.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from selo.crypto.limits import DIGEST_LENGTH, HASH_LENGTH, LINK_TARGET_MAX
from selo.crypto.schedule import label
from selo.errors import UsageError

NO_DIGEST: Final = bytes(DIGEST_LENGTH)

PATH_MAX: Final = 1 << 17
"""Bytes of a path: twice what 256 folders in each other with the longest names make."""


_HEAD: Final = struct.Struct(">BI")
_SIZE_AND_LENGTH: Final = struct.Struct(">QI")
_DIGESTS: Final = struct.Struct(">32sB")


class MalformedReceipt(UsageError):
    """What is no receipt, or no list of items as one holds it. ``reason`` says what is wrong with it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"not a Selo receipt: {self.reason}"


class ItemType(IntEnum):
    """What an item is."""

    FOLDER = 1
    FILE = 2
    LINK = 3
    STREAM = 4


_TYPES: Final = {int(member): member for member in ItemType}


@dataclass(frozen=True)
class Item:
    """One thing that was delivered.

    ``path`` is bytes with ``/`` between the names, empty for a stream without one; ``size`` counts bytes of
    content. ``blake3`` (32 bytes) is zeros for a folder and a link, whose ``target`` is bytes as well.
    ``sha256`` has 32 bytes where it was wanted, which is never for a folder or a link.
    """

    type: ItemType
    path: bytes
    size: int = 0
    blake3: bytes = NO_DIGEST
    sha256: bytes | None = None
    target: bytes = b""

    @property
    def has_content(self) -> bool:
        """Whether it is a file or a stream: what has a digest."""
        return self.type in (ItemType.FILE, ItemType.STREAM)

    def pack(self) -> bytes:
        """The item as it is hashed and kept."""
        sha256 = self.sha256 or b""
        return b"".join(
            (
                _HEAD.pack(self.type, len(self.path)),
                self.path,
                _SIZE_AND_LENGTH.pack(self.size, len(self.target)),
                self.target,
                self.blake3,
                bytes([len(sha256)]),
                sha256,
            )
        )


def unpack_items(blocks: Iterable[bytes]) -> Iterator[Item]:
    """The items of a list, as they come; its bytes may be cut into ``blocks`` anywhere.

    A path may be any bytes: what is looked up under it must be checked by whoever looks.

    Raises:
        MalformedReceipt: it is not the one encoding of a list of items.
    """
    pending = b""
    for block in blocks:
        pending += block
        start = 0
        while (taken := _unpack(pending, start)) is not None:
            item, start = taken
            yield item
        pending = pending[start:]
    if pending:
        raise MalformedReceipt("its last item is cut short")


def _unpack(data: bytes, start: int) -> tuple[Item, int] | None:
    """The item that begins at ``start``, and where it ends; None where more bytes are due first."""
    at = start + _HEAD.size
    if len(data) < at:
        return None
    number, length = _HEAD.unpack_from(data, start)
    if number not in _TYPES or length > PATH_MAX:
        raise MalformedReceipt("it has an item of an unknown type, or with too long a path")
    path = data[at : at + length]
    at += length + _SIZE_AND_LENGTH.size
    if len(data) < at:
        return None
    size, length = _SIZE_AND_LENGTH.unpack_from(data, at - _SIZE_AND_LENGTH.size)
    if length > LINK_TARGET_MAX:
        raise MalformedReceipt("it has a link with too long a target")
    target = data[at : at + length]
    at += length + _DIGESTS.size
    if len(data) < at:
        return None
    blake3, length = _DIGESTS.unpack_from(data, at - _DIGESTS.size)
    if length not in (0, HASH_LENGTH):
        raise MalformedReceipt("it has a digest of a wrong length")
    sha256 = data[at : at + length] or None
    at += length
    if len(data) < at:
        return None
    item = Item(_TYPES[number], path, size, blake3, sha256, target)
    _check(item)
    return item, at


def _check(item: Item) -> None:
    """Each type has its own fields and nothing in the others: two readers cannot differ about an item."""
    if not item.path and item.type is not ItemType.STREAM:
        raise MalformedReceipt("it has an item without a path")
    if bool(item.target) != (item.type is ItemType.LINK):
        raise MalformedReceipt("it has a link without a target, or a target of what is no link")
    if not item.has_content and (item.size or item.blake3 != NO_DIGEST or item.sha256):
        raise MalformedReceipt("it has a folder or a link with content")


class ItemLog:
    """The running list of a delivery's items: how many, how large, and the hash over all of them.

    ``keep``, where it is given, is handed each item's bytes (``Item.pack``): the list itself.
    """

    def __init__(self, keep: Callable[[bytes], object] | None = None) -> None:
        self._hash = hashlib.sha256(label("items"))
        self._keep = keep
        self.count = 0
        """Items so far."""
        self.size = 0
        """Bytes of their content."""

    def add(self, item: Item) -> None:
        """The next item, in the order in which the delivery brings them."""
        packed = item.pack()
        self._hash.update(packed)
        self.count += 1
        self.size += item.size
        if self._keep is not None:
            self._keep(packed)

    def copy(self) -> ItemLog:
        """Another one that goes on from here and keeps nothing."""
        other = ItemLog()
        other._hash, other.count, other.size = self._hash.copy(), self.count, self.size
        return other

    @property
    def hash(self) -> bytes:
        """items_hash, 32 bytes."""
        return self._hash.digest()
