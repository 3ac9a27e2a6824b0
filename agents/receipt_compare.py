"""What lies on this machine against what a receipt says was delivered.

A path that a person names is followed wherever it leads. Below it nothing is: a link is looked at as a link,
and a folder is entered from its parent's handle, so a receipt cannot lead out of what was named. Its paths
are as hostile as whoever signed it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from selo.agents.content import ContentHash
from selo.agents.errors import words_of
from selo.agents.receipt_file import StoredReceipt
from selo.crypto.items import Item, ItemType
from selo.errors import UsageError

_BLOCK = 1 << 20

_FOUND = {stat.S_IFDIR: "a folder", stat.S_IFREG: "a file", stat.S_IFLNK: "a link"}
_DELIVERED = {
    ItemType.FOLDER: "a folder",
    ItemType.FILE: "a file",
    ItemType.LINK: "a link",
    ItemType.STREAM: "a file",
}


class NotInReceipt(UsageError):
    """A path that no item of the receipt belongs to."""

    hint = "`selo receipt show` lists what was delivered; name what lies under the same name here"

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"nothing in the receipt is called as {self.path}"


@dataclass(frozen=True)
class Difference:
    """Something that is not as it was delivered: ``path`` on this machine, and how it differs."""

    path: str
    reason: str


class Comparison:
    """The items of a receipt against the files and folders at ``paths``.

    A path belongs to the top-level item of its own name or, if there is one top-level item only, to that.

    Raises:
        NotInReceipt: a path belongs to none.
    """

    def __init__(self, receipt: StoredReceipt, paths: Sequence[str]) -> None:
        self._receipt = receipt
        tops = {self._split(item)[0] for item in receipt.items()}
        self._places: dict[bytes, list[_Place]] = {}
        for path in paths:
            self._places.setdefault(_top_of(path, tops), []).append(_Place(path))
        self.compared = 0
        """Items that were looked at so far, each once."""

    def differences(self) -> Iterator[Difference]:
        """Every difference, in the order of the list. To be taken to its end before ``extras``."""
        entered: list[_Place] = []
        try:
            for item in self._receipt.items():
                top, below = self._split(item)
                places = self._places.get(top, [])
                if places is not entered:
                    _leave(entered)
                    entered = places
                self.compared += bool(places)
                for place in places:
                    reason = place.why_not(item, below)
                    if reason is not None:
                        yield Difference(place.shown(below), reason)
        finally:
            _leave(entered)

    def extras(self) -> Iterator[str]:
        """What lies in the folders beside what was delivered; of a folder, itself and not what it holds."""
        for places in self._places.values():
            for place in places:
                yield from map(place.shown, place.extras())
                place.leave()

    def _split(self, item: Item) -> tuple[bytes, bytes]:
        """The item's top-level name, and its path below that."""
        if self._receipt.statement.items == 1:
            return item.path, b""  # a file or a stream may be called anything
        top, _, below = item.path.partition(b"/")
        return top, below


def _top_of(path: str, tops: set[bytes]) -> bytes:
    name = os.path.basename(os.fsencode(path).rstrip(b"/"))
    if name in (b"", b".", b".."):
        name = os.path.basename(os.path.realpath(os.fsencode(path)))
    if name in tops:
        return name
    if len(tops) == 1:
        return next(iter(tops))
    raise NotInReceipt(path)


class _Place:
    """One path that a person named, against one top-level item and what lies below it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._handles = _Handles(path)
        self._known: set[bytes] = set()
        self._lost = False

    def shown(self, below: bytes) -> str:
        return os.path.join(self._path, os.fsdecode(below)) if below else self._path

    def leave(self) -> None:
        """Give the handles back; they are made again if need be."""
        self._handles.close()

    def why_not(self, item: Item, below: bytes) -> str | None:
        """How the item differs, or None. If the path itself is not there, that is said once and for all."""
        if self._lost:
            return None
        self._known.add(below)
        try:
            if not below:
                reason = _why_not(item, self._path, None)
                self._lost = reason is not None
                return reason
            if any(name in (b"", b".", b"..") or b"\0" in name for name in below.split(b"/")):
                return "what was delivered is called as nothing can be"
            folder, _, name = below.rpartition(b"/")
            return _why_not(item, name, self._handles.folder(folder))
        except (FileNotFoundError, NotADirectoryError):
            self._lost = self._lost or not below
            return "it is missing"
        except OSError as error:
            return f"it cannot be read: {words_of(error)}"

    def extras(self) -> Iterator[bytes]:
        folders = [b""]
        while folders and not self._lost:
            folder = folders.pop()
            inner = []
            for name, is_folder in self._listed(folder):
                below = folder + b"/" + name if folder else name
                if below not in self._known:
                    yield below
                elif is_folder:
                    inner.append(below)
            folders += reversed(inner)

    def _listed(self, folder: bytes) -> list[tuple[bytes, bool]]:
        # What cannot be listed was found out when it was compared; a file has nothing beside it.
        with suppress(OSError), os.scandir(self._handles.folder(folder)) as entries:
            return sorted((os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in entries)
        return []


def _leave(places: list[_Place]) -> None:
    for place in places:
        place.leave()


def _why_not(item: Item, name: str | bytes, folder: int | None) -> str | None:
    """How what is called so in a folder (None: what a person named) differs from the item."""
    follow = folder is None and item.type is not ItemType.LINK
    status = os.stat(name, dir_fd=folder, follow_symlinks=follow)
    found, delivered = _FOUND.get(stat.S_IFMT(status.st_mode), "a device"), _DELIVERED[item.type]
    if found != delivered:
        return f"it is {found}, and {delivered} was delivered"
    if item.type is ItemType.LINK:
        target = os.readlink(os.fsencode(name), dir_fd=folder)
        return None if target == item.target else "it points elsewhere"
    if not item.has_content:
        return None
    if status.st_size != item.size:
        return f"it has {status.st_size:,} bytes, and {item.size:,} were delivered"
    return _other_content(item, name, folder)


def _other_content(item: Item, name: str | bytes, folder: int | None) -> str | None:
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY
    # Whatever has taken the file's name since it was looked at is not followed and not waited for.
    flags |= os.O_NONBLOCK | (os.O_NOFOLLOW if folder is not None else 0)
    content, length = ContentHash(sha256=item.sha256 is not None), 0
    block = memoryview(bytearray(_BLOCK))
    with open(os.open(name, flags, dir_fd=folder), "rb", buffering=0) as file:
        while length <= item.size and (count := file.readinto(block)):
            content.update(block[:count])
            length += count
    if length != item.size or (content.blake3, content.sha256) != (item.blake3, item.sha256):
        return "its content differs"
    return None


class _Handles:
    """Handles of the folders from a root down to the one last asked for: a list in order costs one each."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._names: list[bytes] = []
        self._open: list[int] = []

    def folder(self, path: bytes) -> int:
        """The handle of a folder below the root, or of the root itself; no link below the root is followed.

        Raises:
            OSError: there is no such folder.
        """
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        names = path.split(b"/") if path else []
        if not self._open:
            self._open.append(os.open(self._root, flags))
        common = _common(self._names, names)
        self._close_below(common)
        for name in names[common:]:
            self._open.append(os.open(name, flags | os.O_NOFOLLOW, dir_fd=self._open[-1]))
            self._names.append(name)
        return self._open[-1]

    def close(self) -> None:
        """Close them all."""
        self._close_below(0)
        if self._open:
            os.close(self._open.pop())

    def _close_below(self, depth: int) -> None:
        while len(self._names) > depth:
            self._names.pop()
            os.close(self._open.pop())


def _common(one: list[bytes], other: list[bytes]) -> int:
    """How many names both begin with."""
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count
