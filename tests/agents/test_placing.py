"""Final names on a real file system, with renameat2 and without it, and without links."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from selo.agents.storage import placing
from selo.agents.storage.placing import (
    Place,
    is_folder,
    move_new,
    move_over,
    numbered,
    rename_with,
    status_of,
)

KINDS: dict[str, Callable[[Path, str], object]] = {
    "file": lambda path, text: path.write_text(text),
    "folder": lambda path, text: (path / text).mkdir(parents=True),
    "link": lambda path, text: path.symlink_to(text),
}


def shown(path: Path) -> str:
    """What is there, and what it was made with."""
    if path.is_symlink():
        return f"link {os.readlink(path)}"
    if path.is_dir():
        return " ".join(["folder", *sorted(os.listdir(path))])
    return f"file {path.read_text()}" if path.exists() else "nothing"


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Iterator[int]:
    number = os.open(tmp_path, os.O_RDONLY)
    yield number
    os.close(number)


@pytest.fixture(name="system", params=["renameat2", "no flags", "no links"])
def _system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    def refuse(*_args: object, **_kw: object) -> None:
        raise OSError(errno.EPERM, "not permitted")

    if request.param != "renameat2":
        monkeypatch.setattr(placing, "rename_with", refuse)
    if request.param == "no links":
        monkeypatch.setattr(os, "link", refuse)
    return str(request.param)


@pytest.mark.parametrize("comes", ["file", "folder"])
@pytest.mark.parametrize("there", [None, *KINDS])
def test_security_a_new_name_takes_nobody_elses(
    there: str | None, comes: str, system: str, root: int, tmp_path: Path
) -> None:
    """Whatever has it keeps it, unchanged, and what was to be named stays where it is."""
    KINDS[comes](tmp_path / "source", "new")
    source, target = Place(root, "source"), Place(root, "target")
    if there is None:
        move_new(source, target)
        assert (shown(tmp_path / "source"), shown(tmp_path / "target")) == ("nothing", f"{comes} new")
        return
    KINDS[there](tmp_path / "target", "old")
    before = os.lstat(tmp_path / "target")
    with pytest.raises(FileExistsError):
        move_new(source, target)
    assert os.path.samestat(before, os.lstat(tmp_path / "target"))
    assert (shown(tmp_path / "source"), shown(tmp_path / "target")) == (f"{comes} new", f"{there} old")


@pytest.mark.parametrize("comes", ["file", "folder"])
@pytest.mark.parametrize("there", [None, *KINDS])
def test_security_a_name_is_taken_over_by_its_own_kind_only(
    there: str | None, comes: str, system: str, root: int, tmp_path: Path
) -> None:
    """A file replaces a file or a link itself, a folder a folder; the old one is kept if it can be."""
    KINDS[comes](tmp_path / "source", "new")
    places = Place(root, "source"), Place(root, "target"), Place(root, "aside")
    if there is not None:
        KINDS[there](tmp_path / "target", "old")
    if there is not None and (comes == "folder") != (there == "folder"):
        with pytest.raises((IsADirectoryError, NotADirectoryError)):
            move_over(*places)
        assert (shown(tmp_path / "source"), shown(tmp_path / "target")) == (f"{comes} new", f"{there} old")
        return
    move_over(*places)
    assert shown(tmp_path / "target") == f"{comes} new"
    left = {shown(tmp_path / "source"), shown(tmp_path / "aside")} - {"nothing"}
    kept = there is not None and (there == "folder" or system != "no links")
    assert left == ({f"{there} old"} if kept else set())


def test_an_old_folder_comes_back_where_the_new_one_cannot_take_its_name(
    root: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an exchange in one step: the first half is undone."""
    KINDS["folder"](tmp_path / "source", "new")
    KINDS["folder"](tmp_path / "target", "old")
    real, calls = os.rename, itertools.count()

    def rename(*args: str, **kw: int) -> None:
        if next(calls) == 1:
            raise OSError(errno.EIO, "input/output error")
        real(*args, **kw)

    def refuse(*_args: object) -> None:
        raise OSError(errno.ENOSYS, "no such call")

    monkeypatch.setattr(placing, "rename_with", refuse)
    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(OSError, match="input/output"):
        move_over(Place(root, "source"), Place(root, "target"), Place(root, "aside"))
    assert [shown(tmp_path / name) for name in ("source", "target", "aside")] == [
        "folder new",
        "folder old",
        "nothing",
    ]


def test_an_error_that_means_something_else_is_not_tried_around(root: int, tmp_path: Path) -> None:
    """A source that is not there is no reason to link and rename."""
    for move in (move_new, lambda s, t: move_over(s, t, t)):
        with pytest.raises(FileNotFoundError):
            move(Place(root, "source"), Place(root, "target"))
    assert list(tmp_path.iterdir()) == []


def test_a_system_without_renameat2_says_so(
    root: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one whose kernel does not know it."""
    monkeypatch.setattr(placing, "_libc", object())
    with pytest.raises(OSError) as caught:
        rename_with(Place(root, "source"), Place(root, "target"), placing.NOREPLACE)
    assert caught.value.errno == errno.ENOSYS


def test_what_a_link_leads_to_does_not_matter(root: int, tmp_path: Path) -> None:
    """A link to a folder is no folder, and one that leads nowhere is there."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "dangling").symlink_to("nowhere")
    assert is_folder(Place(root, "folder"))
    assert not is_folder(Place(root, "link"))
    assert not is_folder(Place(root, "nothing"))
    assert status_of(Place(root, "dangling")) is not None
    assert status_of(Place(root, "nothing")) is None


@pytest.mark.parametrize(
    ("name", "folder", "second"),
    [
        ("a.txt", False, "a (2).txt"),
        ("a.tar.gz", False, "a.tar (2).gz"),
        ("a.txt", True, "a.txt (2)"),
        ("a", False, "a (2)"),
        ("x" * 255, False, "x" * 251 + " (2)"),
        ("x" * 251 + ".txt", False, "x" * 247 + " (2).txt"),
        ("\u00e9" * 127, False, "\u00e9" * 125 + " (2)"),
        ("a." + "x" * 253, False, "a." + "x" * 249 + " (2)"),
    ],
)
def test_the_next_names(name: str, folder: bool, second: str) -> None:
    """The number stands before the ending of a file, and no name is too long, in whole characters."""
    names = list(itertools.islice(numbered(name, folder=folder), 12))
    assert names[:2] == [name, second]
    assert len(set(names)) == 12
    assert all(len(os.fsencode(each)) <= 255 for each in names)
