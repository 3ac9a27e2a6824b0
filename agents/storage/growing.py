"""A tree that grows on the disk, entry by entry, below one open folder.

Everything is made new, by name in a folder that is held open: what exists is not opened for writing, and no
link is followed, whoever puts one there meanwhile. What a cut left is gone through in the same order.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from selo.agents.content import ContentHash
from selo.agents.errors import SinkFault
from selo.agents.storage.durable import read_from_disk, set_mode, set_time, sync, write_all, write_sparse
from selo.agents.storage.handles import FOLDER_FLAGS, NEW_FILE_FLAGS, NEW_FILE_MODE, Handles
from selo.agents.storage.placing import Place, status_of
from selo.agents.storage.removing import remove
from selo.agents.storage.staged import Whole
from selo.agents.trees.entries import Entry, EntryReader, EntryType, link_stays_inside
from selo.agents.trees.item_names import check_item_name, why_not_target
from selo.config.policy import Names
from selo.crypto.items import Item, ItemLog, ItemType

READ_AT_ONCE = 1 << 20
"""Bytes, when what is here is read again."""

OPEN_LEVELS = 16
"""Folders that are held open, the deepest ones; one above them is opened again when its turn comes."""

OWN_FOLDER = 0o700
"""What we need of a folder while it grows."""


@dataclass(slots=True)
class _Level:
    """A folder that grows. ``number`` is its descriptor, -1 while it is closed; ``status`` says which it is.

    ``names`` holds what was found in it where that is to be known, else None. ``inodes`` are those of what
    was found: two names of one inode are one on this disk.
    """

    number: int
    status: os.stat_result
    prefix: bytes
    entry: Entry | None
    names: set[bytes] | None
    folded: set[str]
    inodes: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _File:
    """The file whose content comes."""

    number: int
    entry: Entry
    path: bytes
    content: ContentHash
    left: int


class GrowingTree:
    """Makes what the entries say in the open folder ``root``.

    ``rule`` is the one for names; ``umask`` takes bits from modes; ``on_start`` is told of files that begin,
    ``on_item`` of what came.
    ``again`` goes through what is there first: ``find`` and ``content_found``, up to ``end_finding``.
    """

    def __init__(
        self,
        handles: Handles,
        root: int,
        *,
        rule: Names,
        umask: int,
        sha256: bool,
        on_item: Callable[[Item], object],
        on_start: Callable[[bytes, int], object] = lambda _path, _size: None,
        again: bool = False,
    ) -> None:
        self._handles = handles
        self._rule = rule
        self._umask = umask
        self._sha256 = sha256
        self._on_item = on_item
        self._on_start = on_start
        self._finding = again
        self._levels = [_Level(root, os.fstat(root), b"", None, set() if again else None, set())]
        self._file: _File | None = None
        self._late: list[tuple[list[bytes], int]] = []
        self._tops: list[Whole] = []
        self._path = b""
        self.log = ItemLog()
        """The items so far."""

    @property
    def path(self) -> str:
        """The entry under way, for messages."""
        return os.fsdecode(self._path)

    @property
    def tops(self) -> list[Whole]:
        """The top-level items, in order."""
        return self._tops

    # What comes

    def make(self, entry: Entry) -> None:
        """Make what an entry says, empty.

        Raises:
            SinkFault: it is not fit to be made here.
            OSError: the system refused.
        """
        level = self._level_for(entry)
        path = self._path = level.prefix + entry.name
        self._check(entry)
        try:
            if entry.type is EntryType.FILE:
                self._make_room_for_name(level, entry)
                number = self._handles.open(entry.name, NEW_FILE_FLAGS, dir_fd=level.number)
                self._begin_file(entry, number, path)
            elif entry.type is EntryType.FOLDER:
                self._make_room_for_name(level, entry)
                os.mkdir(entry.name, OWN_FOLDER, dir_fd=level.number)
                self._begin_folder(entry, level)
            else:
                self._make_room_for_name(level, entry)
                os.symlink(entry.target, entry.name, dir_fd=level.number)
                self._end_link(entry, level)
        except FileExistsError:
            raise self._twice() from None

    def fill(self, data: bytes | memoryview) -> None:
        """The next content of the last file.

        Raises:
            OSError: the system refused.
        """
        file = self._file
        assert file is not None
        file.content.update(data)
        if file.entry.sparse:
            write_sparse(file.number, data, file.entry.size - file.left)
        else:
            write_all(file.number, data)
        file.left -= len(data)
        if not file.left:
            self._end_file(file)

    def _make_room_for_name(self, level: _Level, entry: Entry) -> None:
        """Where the tree is to be fit for every disk, two names that are one on some are refused."""
        if self._rule is not Names.PORTABLE:
            return
        folded = unicodedata.normalize("NFC", entry.name.decode(errors="surrogateescape")).casefold()
        if folded in level.folded:
            raise self._twice()
        level.folded.add(folded)

    def _twice(self) -> SinkFault:
        reason = (
            "something has this name already: an item whose name is the same here, or another program's file"
        )
        hint = "if it is an item, the Emitter can leave one out or rename it"
        return SinkFault(ascii(self.path), reason, hint, for_peer=f"{self.path!a}: {reason}")

    def _check(self, entry: Entry) -> None:
        """Whether its name, and where it leads if it is a link, is what we take."""
        check_item_name(entry.name, entry.depth, self._rule)
        if entry.type is not EntryType.LINK:
            return
        reason = why_not_target(entry.target, self._rule)
        if not link_stays_inside(entry.depth, entry.target):
            reason = f"it is a link that leads out of what is delivered, to {os.fsdecode(entry.target)!a}"
        if reason is not None:
            raise SinkFault(ascii(self.path), reason, for_peer=f"{self.path!a}: {reason}")

    def _level_for(self, entry: Entry) -> _Level:
        while len(self._levels) > entry.depth + 1:
            self._leave()
        return self._levels[-1]

    def _begin_folder(self, entry: Entry, level: _Level) -> None:
        number = self._handles.open(entry.name, FOLDER_FLAGS, dir_fd=level.number)
        again = level.names is not None
        if again:
            set_mode(number, OWN_FOLDER)
        path = level.prefix + entry.name
        names: set[bytes] | None = set() if again else None
        self._levels.append(_Level(number, os.fstat(number), path + b"/", entry, names, set()))
        self._close_high(len(self._levels) - 1 - OPEN_LEVELS)
        self._add(Item(ItemType.FOLDER, path))
        self._note_top(entry)

    def _begin_file(self, entry: Entry, number: int, path: bytes) -> None:
        self._file = _File(number, entry, path, ContentHash(sha256=self._sha256), entry.size)
        self._note_top(entry)
        if not self._finding:
            self._on_start(path, entry.size)
        if not entry.size:
            self._end_file(self._file)

    def _end_link(self, entry: Entry, level: _Level) -> None:
        set_time(entry.name, entry.mtime, dir_fd=level.number)
        self._add(Item(ItemType.LINK, level.prefix + entry.name, target=entry.target))

    def _add(self, item: Item) -> None:
        self.log.add(item)
        if not self._finding:
            self._on_item(item)

    def _note_top(self, entry: Entry) -> None:
        if entry.depth == 0:
            name, folder = os.fsdecode(entry.name), entry.type is EntryType.FOLDER
            mode = self._folder_mode(entry) if folder else OWN_FOLDER
            # A folder that its owner may not write to cannot be moved.
            self._tops.append(Whole(name, folder, None if mode & OWN_FOLDER == OWN_FOLDER else mode))

    def _folder_mode(self, entry: Entry) -> int:
        """The owner can look into it, or nobody could have sent it."""
        return entry.mode & 0o777 & ~self._umask | 0o500

    def _end_file(self, file: _File) -> None:
        entry = file.entry
        if entry.sparse:
            os.ftruncate(file.number, entry.size)
        set_mode(file.number, entry.mode & 0o777 & ~self._umask | 0o400)
        set_time(file.number, entry.mtime)
        self._handles.close(file.number)
        self._file = None
        content = file.content
        self._add(Item(ItemType.FILE, file.path, entry.size, content.blake3, content.sha256))

    def _leave(self) -> None:
        """The last folder has everything: its mode and time are set now, which what comes into it changes."""
        parent = self._opened(len(self._levels) - 2)
        level = self._levels.pop()
        entry = level.entry
        assert entry is not None
        there = status_of(Place(parent, os.fsdecode(entry.name)))
        if there is None or not os.path.samestat(there, os.fstat(level.number)):
            raise self._taken_away()
        self._remove_unknown(level)
        mode = self._folder_mode(entry)
        if mode & OWN_FOLDER != OWN_FOLDER:
            if entry.depth:
                above = [each.entry.name for each in self._levels if each.entry]
                self._late.append(([*above, entry.name], mode))
            mode |= OWN_FOLDER
        set_mode(level.number, mode)
        set_time(level.number, entry.mtime)
        self._handles.close(level.number)

    def _taken_away(self) -> SinkFault:
        return SinkFault(ascii(self.path), "its folder was taken away while it was written")

    def _close_high(self, index: int) -> None:
        if index > 0 and self._levels[index].number >= 0:
            self._handles.close(self._levels[index].number)
            self._levels[index].number = -1

    def _opened(self, index: int) -> int:
        """The descriptor of a level; if that was closed, of the same folder, by its way from the root."""
        level = self._levels[index]
        if level.number < 0:
            number = root = self._levels[0].number
            for each in self._levels[1 : index + 1]:
                assert each.entry is not None
                inner = self._handles.open(each.entry.name, FOLDER_FLAGS, dir_fd=number)
                if number != root:
                    self._handles.close(number)
                if not os.path.samestat(os.fstat(inner), each.status):
                    raise self._taken_away()
                number = inner
            level.number = number
        return level.number

    def finish(self) -> None:
        """Nothing more comes.

        Raises:
            SinkFault: a folder is not where it was made.
            OSError: the system refused.
        """
        while len(self._levels) > 1:
            self._leave()

    def set_late_modes(self, *, durable: bool) -> None:
        """The modes of folders that their owner may not write to: the last thing that is done to them.

        Raises:
            OSError: the system refused.
        """
        for names, mode in self._late:  # a folder comes behind those in it
            numbers = [self._levels[0].number]
            for name in names:
                numbers.append(self._handles.open(name, FOLDER_FLAGS, dir_fd=numbers[-1]))
            set_mode(numbers[-1], mode)
            if durable:
                sync(numbers[-1])
            for number in reversed(numbers[1:]):
                self._handles.close(number)

    # What is there already

    def find(self, entry: Entry) -> bool:
        """Whether what an entry says is there, at least the beginning; if not, nothing has changed.

        Raises:
            OSError: the system refused.
        """
        if entry.depth >= len(self._levels):
            return False
        status = self._found(self._opened(entry.depth), entry)
        if status is None:
            return False
        level = self._level_for(entry)
        assert level.names is not None
        level.names.add(entry.name)
        level.inodes.add(status.st_ino)
        self._path = level.prefix + entry.name
        self._make_room_for_name(level, entry)
        if entry.type is EntryType.FOLDER:
            self._begin_folder(entry, level)
        elif entry.type is EntryType.LINK:
            self._end_link(entry, level)
        else:
            self._find_file(entry, level)
        return True

    def _found(self, folder: int, entry: Entry) -> os.stat_result | None:
        """What is there of an entry, unless it would be refused if it came now: then it comes, and is."""
        try:
            self._check(entry)
        except SinkFault:
            return None
        status = status_of(Place(folder, os.fsdecode(entry.name)))
        if status is None or stat.S_IFMT(status.st_mode) != _FORMATS[entry.type]:
            return None
        if (
            status.st_ino in self._levels[entry.depth].inodes
        ):  # the second of a name had only been written down
            return None
        if entry.type is EntryType.LINK and os.readlink(entry.name, dir_fd=folder) != entry.target:
            return None
        return status

    def _find_file(self, entry: Entry, level: _Level) -> None:
        flags = os.O_NOFOLLOW | os.O_NONBLOCK
        reading = self._handles.open(entry.name, os.O_RDONLY | flags, dir_fd=level.number)
        set_mode(reading, NEW_FILE_MODE)  # it may have its final one
        number = self._handles.open(entry.name, os.O_RDWR | flags, dir_fd=level.number)
        self._handles.close(reading)
        read_from_disk(number)
        if os.fstat(number).st_size > entry.size:
            os.ftruncate(number, entry.size)
        self._begin_file(entry, number, level.prefix + entry.name)

    def content_found(self, limit: int | None) -> Iterator[bytes]:
        """The content that the file just found has, up to ``limit`` bytes.

        Raises:
            OSError: the system refused.
        """
        while self._file is not None and limit != 0:
            file = self._file
            most = min(READ_AT_ONCE, file.left if limit is None else min(limit, file.left))
            data = os.read(file.number, most)
            if not data:
                return
            file.content.update(data)
            file.left -= len(data)
            if limit is not None:
                limit -= len(data)
            if not file.left:
                self._end_file(file)
            yield data

    def end_finding(self) -> EntryReader:
        """Remove what was not found, and go on from there: what is made from here on needs no list.

        Returns a reader that expects what comes next.

        Raises:
            OSError: the system refused.
        """
        self._finding = False
        reader = EntryReader()
        for index, level in enumerate(self._levels):
            self._opened(index)
            self._remove_unknown(level)
            level.names = None
            if index < len(self._levels) - OPEN_LEVELS:
                self._close_high(index)
            if level.entry is not None:
                list(reader.feed(level.entry.pack()))
        if self._file is not None:
            file = self._file
            place = file.entry.size - file.left
            os.ftruncate(file.number, place)
            os.lseek(file.number, place, os.SEEK_SET)
            list(reader.feed(replace(file.entry, size=file.left).pack()))
        return reader

    def _remove_unknown(self, level: _Level) -> None:
        if level.names is None:
            return
        for name in os.listdir(level.number):
            if os.fsencode(name) not in level.names:
                remove(level.number, name)

    def close(self) -> None:
        """Close everything but the root."""
        if self._file is not None:
            self._handles.close(self._file.number)
        for index in range(1, len(self._levels)):
            self._close_high(index)


_FORMATS = {
    EntryType.FOLDER: stat.S_IFDIR,
    EntryType.FILE: stat.S_IFREG,
    EntryType.LINK: stat.S_IFLNK,
}
