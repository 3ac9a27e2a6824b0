"""A tree that grows by itself, without a staging folder around it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selo.agents.errors import SinkFault
from selo.agents.storage.durable import PAGE
from selo.agents.storage.growing import GrowingTree
from selo.agents.storage.handles import Handles
from selo.agents.trees.entries import Entry, EntryReader
from selo.config.policy import Names
from tests.agents.storing import FOLDER, MTIME, STORED_TREE, TREE, look, tree


class Growth:
    """A growing tree in a folder, fed with the bytes of a tree."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.handles = Handles()
        self.root = self.handles.open(folder, os.O_RDONLY)
        options = {"rule": Names.PLAIN, "umask": 0o022, "sha256": False, "on_item": lambda _item: None}
        self.tree = GrowingTree(self.handles, self.root, **{**options, **changes})

    def feed(self, data: bytes) -> None:
        for part in EntryReader().feed(data):
            if isinstance(part, Entry):
                self.tree.make(part)
            else:
                self.tree.fill(part)

    def end(self) -> None:
        self.tree.finish()
        self.tree.set_late_modes(durable=True)


@pytest.fixture(name="growth")
def _growth(tmp_path: Path) -> Iterator[Growth]:
    growth = Growth(tmp_path)
    yield growth
    growth.handles.close_all()


def test_everything_is_as_it_was_sent(growth: Growth, tmp_path: Path) -> None:
    """Also the modes of folders that may not be written to, which come last."""
    growth.feed(TREE)
    growth.end()
    assert look(tmp_path) == STORED_TREE
    assert [(top.name, top.folder, top.mode) for top in growth.tree.tops] == [("top", True, None)]


def test_a_top_level_folder_that_may_not_be_written_to_gets_its_mode_where_it_is_named(
    growth: Growth, tmp_path: Path
) -> None:
    """It could not be moved with it."""
    growth.feed(tree((0, b"top", FOLDER, 0o555)))
    growth.end()
    assert look(tmp_path)["top"] == (FOLDER, 0o755, MTIME)
    assert growth.tree.tops[0].mode == 0o555


def test_as_many_folders_are_open_as_it_is_deep(growth: Growth) -> None:
    """Not one more: a process has few descriptors."""
    before = len(os.listdir("/proc/self/fd"))
    growth.feed(
        tree(*((depth, b"d", FOLDER) for depth in range(9)), *((1, b"%d" % n, FOLDER) for n in range(9)))
    )
    assert len(os.listdir("/proc/self/fd")) == before + 2
    growth.end()
    assert len(os.listdir("/proc/self/fd")) == before


def test_security_a_folder_that_was_taken_away_is_noticed(growth: Growth, tmp_path: Path) -> None:
    """What is written into it would not be where it is said to be."""
    growth.feed(tree((0, b"top", FOLDER), (1, b"in", FOLDER)))
    (tmp_path / "top" / "in").rename(tmp_path / "moved")
    (tmp_path / "top" / "in").mkdir()
    with pytest.raises(SinkFault, match="taken away"):
        growth.end()


def test_nothing_is_found_in_the_wrong_place(growth: Growth, tmp_path: Path) -> None:
    """What is of another kind, leads elsewhere, or lies deeper than the folder before, was not made by us."""
    growth.feed(TREE)
    growth.end()
    entries = [part for part in EntryReader().feed(TREE) if isinstance(part, Entry)]
    again = Growth(tmp_path, again=True)
    for other in entries[1:]:
        assert not again.tree.find(other)  # each lies deeper than anything that was found
    assert again.tree.find(entries[0])
    for entry in entries[1:]:
        for other in [
            part
            for part in EntryReader().feed(
                tree((0, b"top", FOLDER), (1, entry.name, FOLDER), (1, entry.name, b""), (1, entry.name, "x"))
            )
            if isinstance(part, Entry)
        ][1:]:
            if other.type is not entry.type or (other.target != entry.target):
                assert not again.tree.find(other)
    again.handles.close_all()


@pytest.mark.parametrize("cut", [1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE])
def test_pages_of_zeros_are_left_out_and_read_as_zeros(cut: int, tmp_path: Path) -> None:
    """At the beginning, between, and at the end; whatever the pieces."""
    contents = [
        bytes(4 * PAGE),
        bytes(PAGE) + b"x" + bytes(2 * PAGE),
        b"x" * PAGE + bytes(PAGE) + b"y",
        bytes(2 * PAGE - 1) + b"x" + bytes(PAGE),
        b"",
        bytes(5),
    ]
    for number, content in enumerate(contents):
        data = tree((0, b"%d" % number, content))
        entry, *_ = EntryReader().feed(data[:1] + b"\1" + data[2:])
        assert isinstance(entry, Entry) and entry.sparse
        growth = Growth(tmp_path)
        growth.tree.make(entry)
        for at in range(0, len(content), cut):
            growth.tree.fill(content[at : at + cut])
        growth.end()
        growth.handles.close_all()
        path = tmp_path / str(number)
        assert path.read_bytes() == content
        assert path.stat().st_blocks * 512 <= content.count(b"x") * PAGE + content.count(b"y") * PAGE
