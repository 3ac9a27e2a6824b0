"""The journal of a tree's entries, cut anywhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from selo.agents.storage import journal
from selo.agents.storage.handles import Handles
from selo.agents.storage.journal import JOURNAL, Journal
from tests.leaks import descriptors

ENTRIES = [b"first", b"x" * 300, b"", b"last"]


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Iterator[int]:
    number = os.open(tmp_path, os.O_RDONLY)
    yield number
    os.close(number)


@pytest.mark.parametrize("at_once", [1, 2, 3, 299, 1 << 20])
def test_what_was_appended_is_read_in_order(
    at_once: int, root: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it is read; each place is one behind which the journal can be cut, and gone on with."""
    monkeypatch.setattr(journal, "READ_AT_ONCE", at_once)
    handles = Handles()
    book = Journal(handles, root, make=True)
    book.append(ENTRIES[:2])
    book.append(ENTRIES[2:])
    read = list(book.entries())
    assert [entry for entry, _ in read] == ENTRIES
    assert read[-1][1] == (tmp_path / JOURNAL).stat().st_size
    for kept, (_, place) in reversed(list(enumerate(read, 1))):
        book.cut(place)
        assert list(book.entries()) == read[:kept]
        book.append([b"another"])
        assert [entry for entry, _ in book.entries()] == [*ENTRIES[:kept], b"another"]
        book.cut(place)
    handles.close_all()


def test_of_a_journal_cut_anywhere_the_whole_entries_are_read(root: int, tmp_path: Path) -> None:
    """What a power cut left of the last one is none."""
    handles = Handles()
    book = Journal(handles, root, make=True)
    book.append(ENTRIES)
    read = list(book.entries())
    for length in range((tmp_path / JOURNAL).stat().st_size, -1, -1):
        book.cut(length)
        assert list(book.entries()) == [each for each in read if each[1] <= length]
    handles.close_all()


@pytest.mark.parametrize("what", ["nothing", "folder", "fifo", "link"])
def test_security_what_is_no_journal_is_not_opened_as_one(what: str, root: int, tmp_path: Path) -> None:
    """Nor made in its place: that is for who knows that nothing is lost."""
    place = tmp_path / JOURNAL
    if what == "folder":
        place.mkdir()
    elif what == "fifo":
        os.mkfifo(place)
    elif what == "link":
        (tmp_path / "victim").touch()
        place.symlink_to("victim")
    handles = Handles()
    before = descriptors()
    with pytest.raises(OSError):
        Journal(handles, root, make=False)
    if what != "nothing":
        with pytest.raises(FileExistsError):
            Journal(handles, root, make=True)
    assert descriptors() == before
