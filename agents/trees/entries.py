"""A tree as a stream of bytes: entries, each with its place, and the content of files after theirs.

    entry = u8 type | u8 flags | u16 depth | u16 mode | i64 seconds | u32 nanoseconds | u64 size |
            u16 length | name | u16 length | target

An entry says how deep it lies and what it is called there; its folder is the last one of the depth before.
So no path ever travels: there is nothing to be absolute, and nothing to climb. Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from selo.agents.bodies import NAME_MAX
from selo.agents.errors import PeerMisbehaved
from selo.crypto.limits import COUNT_MAX, LINK_TARGET_MAX

DEPTH_MAX: Final = 256
"""The deepest level: each one keeps a folder open, and a process may have 1,024 descriptors as a rule."""


MODE_MAX: Final = 0o7777
"""All permission bits that there are, with set-user-id, set-group-id and sticky."""

SECOND: Final = 10**9
"""Nanoseconds."""

_FIXED: Final = struct.Struct(">BBHHqIQH")
_LENGTH: Final = struct.Struct(">H")

_SPARSE: Final = 1

Content = bytes | memoryview


class EntryType(IntEnum):
    """What an entry is."""

    FOLDER = 1
    FILE = 2
    LINK = 3


_FOLDER, _FILE, _LINK = EntryType
_TYPES: Final = {int(entry_type): entry_type for entry_type in EntryType}


@dataclass(frozen=True, slots=True)
class Entry:
    """One folder, file or symbolic link, and its place.

    ``depth`` counts the folders it lies in, up to ``DEPTH_MAX``; ``name`` is one component of a path, of 1 to
    255 bytes; ``mode`` its permission bits; ``mtime`` nanoseconds since 1970, also before. ``size`` is the
    bytes of content that follow a file's entry, ``sparse`` that many of them may be zeros that need no room
    on a disk. ``target`` (1 to ``LINK_TARGET_MAX`` bytes) is where a link leads.
    """

    type: EntryType
    depth: int
    name: bytes
    mode: int
    mtime: int
    size: int = 0
    target: bytes = b""
    sparse: bool = False

    def pack(self) -> bytes:
        """The entry as it travels; it must be a legal one."""
        seconds, nanoseconds = divmod(self.mtime, SECOND)
        head = _FIXED.pack(
            self.type, self.sparse, self.depth, self.mode, seconds, nanoseconds, self.size, len(self.name)
        )
        return b"".join((head, self.name, _LENGTH.pack(len(self.target)), self.target))


class EntryReader:
    """Takes a tree's bytes, cut anywhere, and gives its entries and their content in order.

    It holds one entry that has not come whole, at most 28 + 255 + 2 + 4,096 bytes. After an error it is of no
    more use. Whoever goes on in the middle of a tree feeds it the entries before, and the content where a
    file was begun.
    """

    def __init__(self) -> None:
        self._head = bytearray()
        self._owed = 0
        self._deepest = 0

    @property
    def owed(self) -> int:
        """Bytes of the last file's content that are still to come."""
        return self._owed

    @property
    def pending(self) -> int:
        """Bytes that came of an entry which is not whole yet."""
        return len(self._head)

    @property
    def at_boundary(self) -> bool:
        """Whether a tree may end here: no entry is begun, and no content is owed."""
        return not self._owed and not self._head

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[Entry | Content]:
        """What the next bytes bring: entries, and views into ``data`` with content of the entry before.

        The iterator is to be run to its end before the next call, and its views used before ``data`` changes.

        Raises:
            PeerMisbehaved: an entry is not legal; what came before it was given already.
        """
        view, at, end = memoryview(data), 0, len(data)
        while at < end:
            if self._owed:
                content = view[at : at + self._owed]
                at += len(content)
                self._owed -= len(content)
                yield content
            elif self._head:
                at = self._complete(view, at)
                if entry := self._parsed(self._head, 0):
                    self._head.clear()
                    yield entry
            elif entry := self._parsed(view, at):
                at += _FIXED.size + len(entry.name) + _LENGTH.size + len(entry.target)
                yield entry
            else:
                self._head += view[at:]
                at = end

    def _complete(self, view: memoryview, at: int) -> int:
        """Take as much as the begun entry is known to need; returns the place behind that."""
        have = len(self._head)
        if have < _FIXED.size:
            need = _FIXED.size
        else:
            need = _name_end(self._head, 0) + _LENGTH.size
            if have >= need:
                need += _LENGTH.unpack_from(self._head, need - _LENGTH.size)[0]
        piece = view[at : at + need - have]
        self._head += piece
        return at + len(piece)

    def _parsed(self, raw: bytearray | memoryview, at: int) -> Entry | None:
        """The entry that begins at ``at``; None if it is not whole, though what is there is legal."""
        have = len(raw) - at
        if have < _FIXED.size:
            return None
        code, flags, depth, mode, seconds, nanoseconds, size, length = _FIXED.unpack_from(raw, at)
        kind = _checked_type(code, flags, size)
        if depth > self._deepest or depth > DEPTH_MAX:
            raise PeerMisbehaved("an entry lies deeper than its folder")
        if mode > MODE_MAX or nanoseconds >= SECOND:
            raise PeerMisbehaved("an entry has no legal mode or time")
        if not 0 < length <= NAME_MAX:
            raise PeerMisbehaved("an entry has no name of a legal length")
        start = at + _FIXED.size
        end = start + length
        if len(raw) < end + _LENGTH.size:
            return None
        (target_length,) = _LENGTH.unpack_from(raw, end)
        if target_length > LINK_TARGET_MAX or (target_length > 0) != (kind is _LINK):
            raise PeerMisbehaved("an entry has no target of a legal length")
        target_start = end + _LENGTH.size
        if len(raw) < target_start + target_length:
            return None
        name, target = bytes(raw[start:end]), bytes(raw[target_start : target_start + target_length])
        if not is_legal_name(name) or b"\0" in target:
            raise PeerMisbehaved("an entry has no legal name or target")
        self._deepest = depth + (kind is _FOLDER)
        self._owed = size
        return Entry(kind, depth, name, mode, seconds * SECOND + nanoseconds, size, target, flags == _SPARSE)


def _name_end(head: bytearray, at: int) -> int:
    length: int = _LENGTH.unpack_from(head, at + _FIXED.size - _LENGTH.size)[0]
    return at + _FIXED.size + length


def _checked_type(code: int, flags: int, size: int) -> EntryType:
    kind = _TYPES.get(code)
    if kind is None:
        raise PeerMisbehaved("an entry has an unknown type")
    if flags and (flags != _SPARSE or kind is not _FILE):
        raise PeerMisbehaved("an entry has flags that are not its type's")
    if size and (size > COUNT_MAX or kind is not _FILE):
        raise PeerMisbehaved("an entry has no legal size")
    return kind


def is_legal_name(name: bytes) -> bool:
    """Whether the format takes the name: 1 to 255 bytes, no slash and no zero, and no way out."""
    return 0 < len(name) <= NAME_MAX and name not in (b".", b"..") and b"/" not in name and b"\0" not in name


def link_stays_inside(depth: int, target: bytes) -> bool:
    """Whether a link at this depth can lead nowhere but into its own top-level item.

    It may climb first, as far as the top-level folder, and then only go down: by names, each of which is a
    folder of the tree or a link for which the same holds. ``..`` behind a name could climb from wherever a
    link has led. A top-level link lies in no folder of the tree, so it always leads out.
    """
    if depth < 1 or not 0 < len(target) <= LINK_TARGET_MAX or target[:1] == b"/" or b"\0" in target:
        return False
    steps = [step for step in target.split(b"/") if step not in (b"", b".")]
    climbs = steps.count(b"..")
    return climbs < depth and b".." not in steps[climbs:]
