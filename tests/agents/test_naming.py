"""Names given and taken back, on a real file system, with and without an exchange in one step."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from selo.agents.storage import naming, placing
from selo.agents.storage.naming import Naming
from selo.agents.storage.state import Final
from tests.agents.storing import as_nobody, look, memory_folder

KINDS = ["file", "folder"]


@pytest.fixture(name="folder")
def _folder() -> Iterator[Path]:
    with memory_folder() as folder:
        (folder / "part" / "items").mkdir(parents=True)
        yield folder


@pytest.fixture(name="exchange", params=[True, False], ids=["renameat2", "without"])
def _exchange(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    def refuse(*_args: object) -> None:
        raise OSError(errno.ENOSYS, "no such call")

    if not request.param:
        monkeypatch.setattr(placing, "rename_with", refuse)
        monkeypatch.setattr(naming, "rename_with", refuse)
    return bool(request.param)


def make(path: Path, kind: str, text: str) -> None:
    """A file, or a folder with one in it."""
    if kind == "folder":
        path.mkdir()
        path /= "inside"
    path.write_text(text)


def text_of(path: Path) -> str | None:
    """What it was made with; None if it is not there."""
    path = path / "inside" if path.is_dir() else path
    return path.read_text() if path.exists() else None


def naming_of(folder: Path) -> Naming:
    """That of a delivery in a folder."""
    numbers = [os.open(folder / name, os.O_RDONLY) for name in ("part", "part/items", "")]
    return Naming(*numbers)


def final_of(folder: Path, name: str) -> Final:
    """The thing that waits under this name."""
    return Final(name, name, (folder / "part" / "items" / name).lstat().st_ino)


@pytest.mark.parametrize("over", [False, True])
@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_what_was_given_is_known_and_can_be_taken_back(
    kind: str, there: bool, over: bool, exchange: bool, folder: Path
) -> None:
    """It waits, has its name, and waits again; what had the name has it again, and nothing is left aside."""
    make(folder / "part" / "items" / "x", kind, "new")
    final, names = final_of(folder, "x"), naming_of(folder)
    if there:
        make(folder / "x", kind, "old")
    before = look(folder)
    assert names.waits(final) and not names.has_name(final)
    if there and not over:
        with pytest.raises(FileExistsError):
            names.give(0, final, over=over)
    else:
        names.give(0, final, over=over)
        assert names.has_name(final) and not names.waits(final)
        assert text_of(folder / "x") == "new"
    assert names.take_back(0, final)
    assert names.waits(final) and not names.has_name(final)
    assert look(folder).keys() == before.keys()
    assert text_of(folder / "x") == ("old" if there else None)
    assert text_of(folder / "part" / "items" / "x") == "new"


def test_a_replaced_file_of_which_there_is_no_link_does_not_come_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Better the new one than none."""

    def refuse(*_args: object, **_kw: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    make(folder / "part" / "items" / "x", "file", "new")
    make(folder / "x", "file", "old")
    final, names = final_of(folder, "x"), naming_of(folder)
    monkeypatch.setattr(os, "link", refuse)
    names.give(0, final, over=True)
    assert not names.take_back(0, final)
    assert text_of(folder / "x") == "new"


@pytest.mark.parametrize("mode", [0o500, 0o555, 0o755])
def test_an_old_folder_has_its_mode_again_when_it_comes_back(mode: int, exchange: bool, folder: Path) -> None:
    """One that its owner may not write to could not be moved aside."""
    for path in (folder / "part", folder / "part" / "items"):
        path.chmod(0o777)
    with as_nobody(folder):
        make(folder / "part" / "items" / "x", "folder", "new")
        make(folder / "x", "folder", "old")
        (folder / "x").chmod(mode)
        final, names = final_of(folder, "x"), naming_of(folder)
        names.give(0, final, over=True)
        assert text_of(folder / "x") == "new"
        assert names.take_back(0, final)
        assert text_of(folder / "x") == "old"
        assert (folder / "x").stat().st_mode & 0o777 == mode
        (folder / "x").chmod(0o755)


@pytest.mark.parametrize("taken", [False, True])
def test_what_lies_aside_is_put_back_where_its_name_is_free(taken: bool, folder: Path) -> None:
    """Where it is not, it may be the only copy, and that is said."""
    make(folder / "part" / "items" / "x", "folder", "new")
    make(folder / "part" / "replaced-0", "folder", "old")
    final, names = final_of(folder, "x"), naming_of(folder)
    if taken:
        make(folder / "x", "folder", "another")
    assert names.put_back([final]) is not taken
    assert text_of(folder / "x") == ("another" if taken else "old")
    assert (folder / "part" / "replaced-0").exists() is taken


def test_a_file_that_was_not_replaced_yet_has_one_name(folder: Path) -> None:
    """The link that was to keep it is removed."""
    make(folder / "part" / "items" / "x", "file", "new")
    make(folder / "x", "file", "old")
    os.link(folder / "x", folder / "part" / "replaced-0")
    assert naming_of(folder).put_back([final_of(folder, "x")])
    assert text_of(folder / "x") == "old"
    assert not (folder / "part" / "replaced-0").exists()


def test_what_changed_places_is_noticed_until_all_have_their_names(folder: Path) -> None:
    """Then it is what was to be replaced, and may go."""
    for name in ("x", "y"):
        make(folder / "part" / "items" / name, "folder", "new")
    make(folder / "x", "folder", "old")
    finals, names = [final_of(folder, name) for name in ("x", "y")], naming_of(folder)
    names.give(0, finals[0], over=True)
    assert not names.put_back(finals)
    names.give(1, finals[1], over=True)
    assert names.put_back(finals)
