"""A tree that lies in a staging folder until it is whole: `items/`, and the journal of its entries."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable

from selo.agents.bodies import Kind, Offer
from selo.agents.content import ContentHash, Ladder
from selo.agents.errors import PeerMisbehaved, SinkFault
from selo.agents.storage.base import StorageRules
from selo.agents.storage.durable import sync_file_system, sync_tree
from selo.agents.storage.growing import GrowingTree
from selo.agents.storage.journal import Journal
from selo.agents.storage.staged import Staged, Whole, too_long
from selo.agents.storage.staging import ITEMS
from selo.agents.trees.entries import Entry, EntryReader, EntryType
from selo.agents.trees.item_names import check_item_name
from selo.crypto.items import Item, ItemLog

LOOK_AFTER_ENTRIES = 1000
"""Entries between two looks at how much room is left: each takes some, though it brings few bytes."""

SYNC_EACH = 64
"""Items that are synced one by one; of more, the whole file system is, which then costs less."""


class StagedTree(Staged):
    """Stores a TREE: each of its top-level items gets its name in ``folder``.

    ``on_start`` is told of each file that begins, ``on_item`` of each item when it is whole, and not again
    of those that came in a run before.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        rules: StorageRules = StorageRules(),  # noqa: B008 - it is frozen
        *,
        on_item: Callable[[Item], object] = lambda _item: None,
        on_start: Callable[[bytes, int], object] = lambda _path, _size: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(folder, rules, now)
        self._on_item = on_item
        self._on_start = on_start
        self._sha256 = False
        self._entries = 0
        self._reader = EntryReader()
        self._tree: GrowingTree | None = None
        self._journal: Journal | None = None

    @property
    def log(self) -> ItemLog | None:
        return self._tree.log if self._tree is not None else None

    def _begin(self, offer: Offer) -> None:
        self._sha256 = offer.sha256
        limits = self._rules
        if limits.max_bytes is not None and (offer.size or 0) > limits.max_bytes:
            raise too_long(self.target, limits.max_bytes)
        if limits.max_items is not None and (offer.items or 0) > limits.max_items:
            raise self._too_many(limits.max_items)

    def _too_many(self, limit: int) -> SinkFault:
        reason = f"it has more than the {limit:,} items that are taken"
        return SinkFault(self.target, reason, for_peer=f"it takes {limit:,} items at most")

    def _check_offer_place(self, offer: Offer) -> None:
        """The one item's name, where it is known: the Emitter hears of it before it sends anything."""
        if offer.name is not None:
            name = os.fsencode(offer.name)
            check_item_name(name, 0, self._rules.names)
            self._check_place(offer.name, None)

    def _restore(self) -> None:
        assert self._staging is not None
        source = self._staging.open_source(Kind.TREE)
        if source is None or not self._journal_opened(make=False):
            self._staging.clear(but_state=True)
            os.mkdir(ITEMS, 0o700, dir_fd=self._staging.number)
            source = self._staging.open_source(Kind.TREE)
            assert source is not None
            self._source = source
            self._journal_opened(make=True)
            self._tree = self._new_tree(again=False)
            return
        self._source = source
        self._go_through(None)

    def _journal_opened(self, *, make: bool) -> bool:
        assert self._staging is not None
        try:
            self._journal = Journal(self._handles, self._staging.number, make=make)
        except OSError as error:
            # Anything else says nothing of what is there, which would be thrown away.
            none = isinstance(error, FileNotFoundError) or error.errno in (
                errno.ELOOP,
                errno.ENXIO,
                errno.EISDIR,
            )
            if make or not none:
                raise
            return False
        return True

    def _new_tree(self, *, again: bool) -> GrowingTree:
        return GrowingTree(
            self._handles,
            self._source,
            rule=self._rules.names,
            umask=self._umask,
            sha256=self._sha256,
            on_item=self._on_item,
            on_start=self._on_start,
            again=again,
        )

    def _go_through(self, limit: int | None) -> None:
        """Read what is here in the order in which it came, up to ``limit`` bytes; the rest is dropped."""
        assert self._journal is not None
        if self._tree is not None:
            self._tree.close()
        self._tree = tree = self._new_tree(again=True)
        reader, content, ladder = EntryReader(), ContentHash(sha256=self._sha256), Ladder()
        position, behind, self._entries = 0, 0, 0
        for raw, place in self._journal.entries():
            entry = _legal(reader, raw) if limit is None or position < limit else None
            if entry is None or not tree.find(entry):
                break
            behind, self._entries = place, self._entries + 1
            position += len(raw)
            content.update(raw)
            if entry.size and limit is not None and position > limit:
                break
            for data in tree.content_found(None if limit is None else limit - position):
                list(reader.feed(data))
                ladder.add(position, content)
                position += len(data)
                content.update(data)
            if reader.owed:
                break
            ladder.add(position, content)
        if limit is not None and position != limit:
            raise SinkFault(self.target, "what was kept of it has changed")
        ladder.end(position, content)
        self._reader = tree.end_finding()
        self._journal.cut(behind)
        self._position, self._ladder = position, ladder

    def _cut(self, position: int) -> None:
        self._go_through(position)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._take(len(data))
        assert self._tree is not None and self._journal is not None
        try:
            parts = list(self._reader.feed(data))
            entries = [part for part in parts if isinstance(part, Entry)]
            self._count(len(entries))
            if entries:
                self._journal.append(entry.pack() for entry in entries)
            for part in parts:
                if isinstance(part, Entry):
                    self._make(part)
                else:
                    self._tree.fill(part)
        except OSError as error:
            raise SinkFault.from_os(f"{self.target}: {self._tree.path!a}", error) from error
        self._position += len(data)

    def _count(self, more: int) -> None:
        if self._entries // LOOK_AFTER_ENTRIES != (self._entries + more) // LOOK_AFTER_ENTRIES:
            self._look()
        self._entries += more
        limit = self._rules.max_items
        if limit is not None and self._entries > limit:
            raise self._too_many(limit)

    def _make(self, entry: Entry) -> None:
        assert self._tree is not None
        self._tree.make(entry)  # which looks at its name: not every name's place is the peer's business
        if entry.depth == 0:
            self._check_place(os.fsdecode(entry.name), entry.type is EntryType.FOLDER)

    def _finish(self) -> list[Whole]:
        assert self._tree is not None and self._staging is not None
        if not self._reader.at_boundary:
            raise PeerMisbehaved("a tree ends in the middle of an entry")
        self._tree.finish()
        if self.durable and not (self._entries > SYNC_EACH and sync_file_system(self._source)):
            sync_tree(self._source)
        self._tree.set_late_modes(durable=self.durable)
        return self._tree.tops


def _legal(reader: EntryReader, raw: bytes) -> Entry | None:
    """The one entry that a piece of the journal is; None if it is damaged."""
    try:
        parts = list(reader.feed(raw))
    except PeerMisbehaved:
        return None
    if len(parts) != 1 or not isinstance(parts[0], Entry) or reader.pending:
        return None
    return parts[0]
