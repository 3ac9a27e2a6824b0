"""Folders, and several files at once, as one delivery.

The tree is walked twice: once at construction, so that what cannot travel costs no session, and again for
each reading. Names that are linked to one file (hard links) are sent as files of their own.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Generator, Iterator, Sequence

from selo.agents.bodies import NAME_MAX, Kind, Offer
from selo.agents.content import ContentHash
from selo.agents.errors import NamesGone, SourceFault
from selo.agents.sources import Block, holds, is_sparse
from selo.agents.trees.entries import MODE_MAX, Entry, EntryType, is_legal_name
from selo.agents.trees.roll import Roll
from selo.agents.trees.rules import Rules
from selo.agents.trees.walk import LEAVE_OUT, Found, Root, special, walk
from selo.crypto.items import Item, ItemLog, ItemType

WHEN_AT_REST = "send it when nobody writes to it, or leave it out with --exclude"

_EFFECTIVE = os.access in os.supports_effective_ids


class TreeSource:
    """Everything below some paths, as a tree; each path is one top-level item.

    ``exclude`` holds gitignore patterns relative to each top-level item, ``ignore_files`` the names of files
    with such patterns for the folder they lie in. ``name`` stands for a single path's own. ``warn`` is told
    what is worth a warning, ``on_start`` the path and size of each file that is begun, and ``on_item`` each
    item once it was read, from the thread that reads. ``check`` is called between any two items of the first
    walk, which its error ends.

    ``size`` in the offer, and ``items``, are what they were at construction.

    Raises:
        SourceFault: something cannot be read or cannot travel, two paths have one name, or nothing is left.
        BadPattern: a pattern means nothing.
    """

    restartable = True

    def __init__(
        self,
        paths: Sequence[str | os.PathLike[str]],
        *,
        exclude: Sequence[str] = (),
        ignore_files: Sequence[str] = (),
        name: str | None = None,
        warn: Callable[[str], object] = lambda _text: None,
        on_start: Callable[[bytes, int], object] = lambda _path, _size: None,
        on_item: Callable[[Item], object] = lambda _item: None,
        check: Callable[[], object] = lambda: None,
    ) -> None:
        self._warn = warn
        self._on_start = on_start
        self._on_item = on_item
        self._rules = Rules(exclude, ignore_files)
        roots = _roots([os.fspath(path) for path in paths], name)
        offered = _text_name(roots[0]) if len(roots) == 1 else None
        self._roots = [root for root in roots if not self._is_hidden(root)]
        if not self._roots:
            raise SourceFault("the paths", "nothing is left to send")
        self._roll = Roll()
        self.offer = self._prescan(offered, check)
        self.sha256 = False
        """Whether items get SHA-256 digests as well; to be set before ``blocks``."""
        self.make_log: Callable[[], ItemLog] = ItemLog
        """Makes the list that a reading fills; to be set before ``blocks``."""
        self.log: ItemLog | None = None
        """The items of the reading under way."""
        self.gone: NamesGone | None = None
        """What is to be said where the last reading came to its end and something was not there any more."""
        self._cancelled = False

    def blocks(self, block_size: int) -> Iterator[Block]:
        """The tree's bytes from the beginning, as often as wanted: the same ones if nothing has changed.

        Raises:
            SourceFault: they cannot be read, or changed while they were read.
        """
        self.log, self.gone = self.make_log(), None
        return _joined(self._pieces(block_size, self.log), block_size)

    def cancel(self) -> None:
        """End ``blocks`` at the next item or block."""
        self._cancelled = True

    def _is_hidden(self, root: Root) -> bool:
        hidden = self._rules.hides_top(root.name, stat.S_ISDIR(root.status().st_mode))
        if hidden:
            self._warn(f"{root.given} is excluded")
        return hidden

    def _prescan(self, offered: str | None, check: Callable[[], object]) -> Offer:
        size, items, sparse = 0, 0, False
        for root in self._roots:
            for found in walk(root, self._rules):
                check()
                self._roll.add(found.path)
                if stat.S_ISREG(found.status.st_mode):
                    _refuse_unreadable(found)
                    size += found.status.st_size
                    sparse |= is_sparse(found.status)
                size += len(_entry(found, found.status).pack())
                items += 1
        return Offer(Kind.TREE, offered, size, items=items, sparse=sparse)

    def _pieces(self, read_size: int, log: ItemLog) -> Iterator[Block]:
        call = self._roll.call()
        for root in self._roots:
            for found in walk(root, self._rules):
                self._check_cancelled(found)
                call.found(found.path)
                if stat.S_ISREG(found.status.st_mode):
                    item = yield from self._file(found, read_size)
                else:
                    entry = _entry(found, found.status)
                    yield entry.pack()
                    item = Item(ItemType(entry.type), found.path, target=entry.target)
                log.add(item)
                self._on_item(item)
        if missing := call.end():
            self.gone = NamesGone(missing, len(self._roll))

    def _check_cancelled(self, found: Found) -> None:
        if self._cancelled:  # no end in order: what came is not all there was
            raise SourceFault(found.where, "reading it was cancelled")

    def _file(self, found: Found, read_size: int) -> Generator[Block, None, Item]:
        """Its entry and content, of the size that it has when it is opened; returns the item."""
        descriptor = found.open()
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise SourceFault(found.where, special(before.st_mode), LEAVE_OUT)
            self._on_start(found.path, before.st_size)
            yield _entry(found, before).pack()
            content, left = ContentHash(sha256=self.sha256), before.st_size
            while left and (block := os.read(descriptor, min(read_size, left))):
                left -= len(block)
                content.update(block)
                yield block
                self._check_cancelled(found)
            more = os.read(descriptor, 1)
            after = os.fstat(descriptor)
            if left or more or _stamp(after) != _stamp(before):
                self._judge_change(found, before, after, left)
                self._check_again(found, descriptor, before, content)
        except OSError as error:
            raise SourceFault.from_os(found.where, error) from error
        finally:
            os.close(descriptor)
        return Item(ItemType.FILE, found.path, before.st_size, content.blake3, content.sha256)

    def _judge_change(self, found: Found, before: os.stat_result, after: os.stat_result, left: int) -> None:
        """What may be a mixture of two states is not sent; a log that grows may be sent as it was."""
        if left or after.st_size < before.st_size:
            raise SourceFault(found.where, "it shrank while it was read", WHEN_AT_REST)
        if after.st_size > before.st_size:
            return
        if after.st_mtime_ns != before.st_mtime_ns:
            raise SourceFault(found.where, "it changed while it was read", WHEN_AT_REST)
        if after.st_ctime_ns == before.st_ctime_ns:  # files of /proc say that they are empty
            raise SourceFault(found.where, "it holds more than its size says", LEAVE_OUT)

    def _check_again(
        self, found: Found, descriptor: int, before: os.stat_result, content: ContentHash
    ) -> None:
        """It grew, or its ctime alone is another: by a new name or mode, or by writing as well."""
        if not holds(descriptor, before.st_size, content.blake3):
            raise SourceFault(found.where, "it changed while it was read", WHEN_AT_REST)
        if os.fstat(descriptor).st_size > before.st_size:
            self._warn(f"{found.where} grew while it was read: its first {before.st_size:,} bytes were taken")


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    """What differs once a file was written to. ctime does so after less than that; nobody puts it back."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _joined(pieces: Iterator[Block], size: int) -> Iterator[Block]:
    """The same bytes in blocks of 1 to ``size``: small pieces together, large ones as they are."""
    block = bytearray()
    for piece in pieces:
        if block and len(block) + len(piece) > size:
            yield block
            block = bytearray()
        if block or len(piece) * 2 <= size:
            block += piece
        else:
            for start in range(0, len(piece), size):
                yield piece[start : start + size]
    if block:
        yield block


def _entry(found: Found, status: os.stat_result) -> Entry:
    mode, mtime = status.st_mode & MODE_MAX, status.st_mtime_ns
    if stat.S_ISDIR(status.st_mode):
        return Entry(EntryType.FOLDER, found.depth, found.name, mode, mtime)
    if stat.S_ISLNK(status.st_mode):
        return Entry(EntryType.LINK, found.depth, found.name, mode, mtime, target=found.target)
    size, sparse = status.st_size, is_sparse(status)
    return Entry(EntryType.FILE, found.depth, found.name, mode, mtime, size, sparse=sparse)


def _refuse_unreadable(found: Found) -> None:
    at = found.root.given if found.folder is None else found.name
    if not os.access(at, os.R_OK, dir_fd=found.folder, effective_ids=_EFFECTIVE):
        raise SourceFault(found.where, "permission denied", LEAVE_OUT)


def _roots(paths: Sequence[str], name: str | None) -> list[Root]:
    if name is not None and len(paths) != 1:
        raise SourceFault("the paths", "one name cannot stand for several", "leave out --as")
    roots: dict[bytes, Root] = {}
    for path in paths:
        root = Root(path, top_name(path) if name is None else os.fsencode(name))
        if not is_legal_name(root.name):
            raise SourceFault(path, f"its name is not 1 to {NAME_MAX} bytes", "choose another with --as NAME")
        status = root.status()
        other = roots.setdefault(root.name, root)
        if other is root:
            continue
        if os.path.samestat(status, other.status()):
            raise SourceFault(path, "it is given twice")
        raise SourceFault(
            path,
            f"another path has the same name: {other.given}",
            "send one of them on its own, with --as NAME",
        )
    return list(roots.values())


def top_name(path: str) -> bytes:
    """A path's name as a top-level item: its last; of one that ends in ``.`` or ``..`` that of its folder."""
    name = os.path.basename(path.rstrip("/"))
    if name in ("", ".", ".."):
        name = os.path.basename(os.path.realpath(path))
    return os.fsencode(name)


def _text_name(root: Root) -> str:
    """The name as an offer says it: names on a disk need not be UTF-8."""
    try:
        return root.name.decode()
    except UnicodeDecodeError as error:
        raise SourceFault(root.given, "its name is not UTF-8", "choose another with --as NAME") from error
