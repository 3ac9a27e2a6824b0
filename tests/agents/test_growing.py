"""A tree that grows by itself, without a staging folder around it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selo.agents.errors import SinkFault
from selo.agents.storage.durable import PAGE
from selo.agents.storage.growing import OPEN_LEVELS, GrowingTree
from selo.agents.storage.handles import Handles
from selo.agents.trees.entries import Entry, EntryReader
from selo.config.policy import Names
from tests.agents.storing import FOLDER, MTIME, STORED_TREE, TREE, look, tree
from tests.leaks import descriptors


class Growth:
    """A growing tree in a folder, fed with the bytes of a tree."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.handles = Handles()
        self.reader = EntryReader()
        self.root = self.handles.open(folder, os.O_RDONLY)
        options = {"rule": Names.PLAIN, "umask": 0o022, "sha256": False, "on_item": lambda _item: None}
        self.tree = GrowingTree(self.handles, self.root, **{**options, **changes})

    def feed(self, data: bytes) -> None:
        for part in self.reader.feed(data):
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
    before = descriptors()
    growth.feed(
        tree(*((depth, b"d", FOLDER) for depth in range(9)), *((1, b"%d" % n, FOLDER) for n in range(9)))
    )
    assert descriptors() == before + 2
    growth.end()
    assert descriptors() == before


@pytest.mark.parametrize("cut", [0, 1, 3, 60, 99])
def test_security_a_deep_tree_takes_few_descriptors(cut: int, tmp_path: Path) -> None:
    """Whoever brings many deep trees, and cuts them, does not take those of the others; all is stored."""
    deep = 100
    down = tree(*((depth, b"d", FOLDER) for depth in range(deep)), (deep, b"x", b"x"))
    up = tree(*((depth, b"y", b"%d" % depth) for depth in range(deep - 1, 0, -1)))
    before = descriptors()
    growth = Growth(tmp_path)
    growth.feed(down)
    assert descriptors() == before + 1 + OPEN_LEVELS
    if cut:
        growth.handles.close_all()
        growth = Growth(tmp_path, again=True)
        for entry in [part for part in EntryReader().feed(down) if isinstance(part, Entry)][: cut + 1]:
            assert growth.tree.find(entry)
            list(growth.tree.content_found(None))
        growth.reader = growth.tree.end_finding()
        assert descriptors() <= before + 1 + OPEN_LEVELS
        growth.feed(tree(*((depth, b"d", FOLDER) for depth in range(cut + 1, deep)), (deep, b"x", b"x")))
    growth.feed(up)
    assert descriptors() <= before + 1 + OPEN_LEVELS
    growth.end()
    growth.handles.close_all()
    stored = look(tmp_path)
    assert len(stored) == 2 * deep
    assert all(what[2] == MTIME for what in stored.values())
    assert stored["d/" * (deep - 1) + "y"][0] == b"99"


@pytest.mark.parametrize("plant", ["a link", "another folder"])
def test_security_a_folder_that_is_opened_again_is_the_one_that_it_was(
    plant: str, growth: Growth, tmp_path: Path
) -> None:
    """What was put under its name while it was closed is not written to, nor followed."""
    growth.feed(tree(*((depth, b"d", FOLDER) for depth in range(40))))
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "d" / "d").rename(tmp_path / "moved")
    (tmp_path / "moved" / "d").rename(outside / "d")
    if plant == "a link":
        (tmp_path / "d" / "d").symlink_to(outside)
    else:
        outside.rename(tmp_path / "d" / "d")
    with pytest.raises((SinkFault, OSError)):
        growth.feed(tree((2, b"x", b"content")))
    assert not list(tmp_path.rglob("x"))


def test_what_is_found_twice_is_found_once(tmp_path: Path) -> None:
    """The second item of a name, or of a name that is the same here, had been written down and not made."""
    growth = Growth(tmp_path)
    growth.feed(tree((0, b"top", FOLDER), (1, b"a", b"")))
    growth.handles.close_all()
    os.link(tmp_path / "top" / "a", tmp_path / "top" / "A")  # as on a disk to which both are one
    again = Growth(tmp_path, again=True)
    data = tree((0, b"top", FOLDER), (1, b"a", b""), (1, b"a", b""), (1, b"A", b""))
    found = [again.tree.find(part) for part in EntryReader().feed(data) if isinstance(part, Entry)]
    assert found == [True, True, False, False]
    again.handles.close_all()


@pytest.mark.parametrize("entry", [(1, b"\x1b[2J", b""), (1, b"l", "\x1b[2J"), (1, b"l", "../../out")])
def test_security_what_would_be_refused_now_is_not_found(entry: tuple[Any, ...], tmp_path: Path) -> None:
    """It came under another rule: it is to come again, and is refused then."""
    (tmp_path / "top").mkdir()
    if isinstance(entry[2], str):
        (tmp_path / "top" / "l").symlink_to(entry[2])
    else:
        (tmp_path / "top" / os.fsdecode(entry[1])).touch()
    again = Growth(tmp_path, again=True)
    top, item = (
        part for part in EntryReader().feed(tree((0, b"top", FOLDER), entry)) if isinstance(part, Entry)
    )
    assert again.tree.find(top)
    assert not again.tree.find(item)
    again.handles.close_all()


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
