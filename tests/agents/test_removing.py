"""Removing trees, whatever is in them, and nothing beside them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from selo.agents.storage.removing import remove, remove_all_but
from tests.agents.storing import as_nobody, memory_folder
from tests.leaks import descriptors


def fill(folder: Path) -> None:
    """One of everything, with links that lead out."""
    (folder / "deep" / "deeper").mkdir(parents=True)
    (folder / "deep" / "deeper" / "file").touch()
    (folder / "file").touch()
    (folder / "out").symlink_to("../victim")
    (folder / "deep" / "dangling").symlink_to("nowhere")
    os.mkfifo(folder / "fifo")


def test_security_everything_below_goes_and_links_are_not_followed(tmp_path: Path) -> None:
    """What a link leads to stays; names that are kept stay; what is not there is no error."""
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "file").touch()
    (tmp_path / "link").symlink_to("victim")
    (tmp_path / "tree").mkdir()
    fill(tmp_path / "tree")
    root = os.open(tmp_path, os.O_RDONLY)
    before = descriptors()
    for name in ("tree", "link", "nothing"):
        remove(root, name)
    assert [path.name for path in tmp_path.rglob("*")] == ["victim", "file"]
    fill(tmp_path)
    remove_all_but(root, ("victim",))
    assert [path.name for path in tmp_path.rglob("*")] == ["victim", "file"]
    assert descriptors() == before
    os.close(root)


@pytest.mark.parametrize("mode", [0o000, 0o111, 0o333, 0o444, 0o555])
def test_folders_that_their_owner_may_not_touch_go_too(mode: int) -> None:
    """A tree may bring such folders, and a delivery that is given up must not stay for them."""
    with memory_folder() as tmp_path, as_nobody(tmp_path):
        (tmp_path / "tree" / "inner").mkdir(parents=True)
        (tmp_path / "tree" / "inner" / "file").touch()
        for name in ("tree/inner/file", "tree/inner", "tree"):
            (tmp_path / name).chmod(mode)
        root = os.open(tmp_path, os.O_RDONLY)
        remove(root, "tree")
        os.close(root)
        assert list(tmp_path.iterdir()) == []
