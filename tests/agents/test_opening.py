"""Which source is made of the paths that somebody names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from selo.agents import events
from selo.agents.bodies import Kind
from selo.agents.errors import SourceFault
from selo.agents.opening import open_paths
from selo.agents.sources import DescriptorSource, FileSource
from selo.agents.trees.source import TreeSource
from selo.errors import Interrupted


@pytest.fixture
def things(tmp_path: Path) -> Path:
    """A folder with two files, a folder, a FIFO, and links."""
    (tmp_path / "file").write_bytes(b"data")
    (tmp_path / "other").write_bytes(b"more")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inner").write_bytes(b"inner")
    (tmp_path / "folder" / "skipped.log").write_bytes(b"skipped")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "to-file").symlink_to("file")
    (tmp_path / "to-folder").symlink_to("folder")
    return tmp_path


@pytest.mark.parametrize(
    ("names", "source", "kind", "name"),
    [
        (["file"], FileSource, Kind.FILE, "file"),
        (["to-file"], FileSource, Kind.FILE, "to-file"),
        (["fifo"], DescriptorSource, Kind.STREAM, "fifo"),
        (["folder"], TreeSource, Kind.TREE, "folder"),
        (["to-folder"], TreeSource, Kind.TREE, "to-folder"),
        (["file", "other"], TreeSource, Kind.TREE, None),
        (["file", "folder"], TreeSource, Kind.TREE, None),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else None,
)
def test_each_has_its_source(
    things: Path, names: list[str], source: type, kind: Kind, name: str | None
) -> None:
    """One file travels as a file, one special file as a stream, all else as a tree."""
    made = open_paths([str(things / each) for each in names])
    assert type(made) is source
    assert (made.offer.kind, made.offer.name) == (kind, name)


@pytest.mark.parametrize("path", ["file", "fifo", "folder"])
def test_another_name_may_be_chosen(things: Path, path: str) -> None:
    """What the other side may call it."""
    assert open_paths([str(things / path)], name="chosen").offer.name == "chosen"


@pytest.mark.parametrize(
    "names", [["missing"], ["file", "missing"], ["file", "fifo"], ["file", "file"]], ids="+".join
)
def test_what_cannot_travel_is_refused_before_anything_is_sent(things: Path, names: list[str]) -> None:
    """A path that is not there, a FIFO among several, one name twice: an error that names it."""
    with pytest.raises(SourceFault) as caught:
        open_paths([str(things / each) for each in names])
    assert names[-1] in str(caught.value)


def test_rules_and_reports_reach_the_tree(things: Path) -> None:
    """What is excluded does not travel; each item that was read is told."""
    heard: list[events.Event] = []
    source = open_paths([str(things / "folder")], exclude=["*.log"], report=heard.append)
    for _ in source.blocks(1 << 16):
        pass
    told = {event.path for event in heard if isinstance(event, events.ItemDone)}
    assert told == {"folder", "folder/inner"}
    (things / "folder" / ".gitignore").write_text("inner\n")
    source = open_paths([str(things / "folder")], ignore_files=[".gitignore"])
    assert source.offer.items == 3  # the folder, the rules, and what they do not exclude


def test_a_look_at_a_tree_can_be_ended(things: Path) -> None:
    """What ``check`` raises ends it: Ctrl-C does not wait for a million files."""

    def check() -> None:
        raise Interrupted(2)

    with pytest.raises(Interrupted):
        open_paths([str(things / "folder")], check=check)
