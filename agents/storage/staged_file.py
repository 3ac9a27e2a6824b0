"""A file or a stream that lies in a staging folder until it is whole."""

from __future__ import annotations

import errno
import itertools
import os
import stat
import time
from collections.abc import Callable, Iterator

from selo.agents.bodies import MARKS_MAX, Kind, Offer
from selo.agents.content import ContentHash
from selo.agents.names import checked_file_name
from selo.agents.storage.base import StorageRules, faults
from selo.agents.storage.durable import read_from_disk, set_mode, set_time, sync, write_all, write_sparse
from selo.agents.storage.handles import NEW_FILE_FLAGS, NEW_FILE_MODE
from selo.agents.storage.staged import Staged, Whole, too_long
from selo.agents.storage.staging import DATA
from selo.agents.trees.item_names import check_item_name
from selo.config.policy import Names
from selo.crypto.items import ItemLog

READ_AT_ONCE = 1 << 20
"""Bytes, when what is here is read again."""


class StagedFile(Staged):
    """Stores a FILE or STREAM in ``folder`` under ``name``, else under the name that the offer brings.

    A stream without a name is called after its ``sender`` and the time, and replaces nothing.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        rules: StorageRules = StorageRules(),  # noqa: B008 - it is frozen
        *,
        name: str | None = None,
        sender: str = "",
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(folder, rules, now)
        self._chosen = name
        self._sender = sender
        self._data = -1
        self._offer: Offer | None = None

    @property
    def log(self) -> ItemLog | None:
        return None

    def _shown_to_peer(self, name: str) -> str | None:
        return super()._shown_to_peer(name) if self._chosen is None else None

    def _begin(self, offer: Offer) -> None:
        self._offer = offer
        self._name = self._chosen
        if self._name is None and offer.name is not None:
            if self._rules.names is not Names.ANY:
                checked_file_name(offer.name)
            check_item_name(os.fsencode(offer.name), 0, self._rules.names)
            self._name = offer.name
        if self._name is None:
            self._name = f"{self._sender}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(self._now()))}"
            self._free_names = _made_up
        limit = self._rules.max_bytes
        if limit is not None and (offer.size or 0) > limit:
            raise too_long(self.target, limit)

    def _check_offer_place(self, offer: Offer) -> None:
        assert self._name is not None
        self._check_place(self._name, False)

    def _restore(self) -> None:
        assert self._staging is not None
        self._source = self._staging.number
        if self._opened_again():
            self._read_again()
        else:
            self._staging.clear(but_state=True)
            self._data = self._handles.open(DATA, NEW_FILE_FLAGS, dir_fd=self._source)

    def _opened_again(self) -> bool:
        """Whether there is a file to go on with. It may be one that had got its final mode already."""
        assert self._staging is not None
        if self._staging.fresh:
            return False
        flags = os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            number = self._handles.open(DATA, os.O_RDONLY | flags, dir_fd=self._source)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
                return False
            raise
        regular = stat.S_ISREG(os.fstat(number).st_mode)
        if regular:
            set_mode(number, NEW_FILE_MODE)
            self._data = self._handles.open(DATA, os.O_RDWR | flags, dir_fd=self._source)
        self._handles.close(number)
        return regular

    def _read_again(self) -> None:
        assert self._offer is not None
        there = os.fstat(self._data).st_size
        if self._offer.kind is Kind.FILE and self._offer.size is not None:
            there = min(there, self._offer.size)
        read_from_disk(self._data)
        content = ContentHash(sha256=self._offer.sha256)
        at_once = min(max(there // MARKS_MAX, 1), READ_AT_ONCE)
        while data := os.read(self._data, min(at_once, there - self._position)):
            content.update(data)
            self._position += len(data)
            self._ladder.add(self._position, content)
        self._ladder.end(self._position, content)
        self._keep_first(self._position)

    def _cut(self, position: int) -> None:
        self._keep_first(position)

    def _keep_first(self, position: int) -> None:
        os.ftruncate(self._data, position)
        os.lseek(self._data, position, os.SEEK_SET)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._take(len(data))
        assert self._offer is not None
        with faults(self.target):
            if self._offer.sparse:
                write_sparse(self._data, data, self._position)
            else:
                write_all(self._data, data)
        self._position += len(data)

    def _finish(self) -> list[Whole]:
        assert self._offer is not None
        if self._offer.sparse:
            os.ftruncate(self._data, self._position)
        if self._offer.mode is not None:
            # Its owner can read it, or nobody could have sent it on.
            set_mode(self._data, self._offer.mode & 0o777 & ~self._umask | 0o400)
        if self._offer.mtime is not None:
            set_time(self._data, self._offer.mtime)
        if self.durable:
            sync(self._data)
        self._handles.close(self._data)
        return [Whole(DATA, folder=False)]


def _made_up(stem: str, _folder: bool) -> Iterator[str]:
    """Two streams of one second are two files."""
    return itertools.chain([stem], (f"{stem}-{n}" for n in itertools.count(2)))
