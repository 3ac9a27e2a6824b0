"""Descriptors and the threads that may close them."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from selo.agents.storage.handles import NEW_FILE_FLAGS, Handles, NotOnDisk


def test_what_is_open_is_closed_once(tmp_path: Path) -> None:
    """Closed one by one or all together; a number that was closed is not closed again."""
    handles = Handles()
    first = handles.open(tmp_path / "first", NEW_FILE_FLAGS)
    second = handles.open(tmp_path / "second", NEW_FILE_FLAGS)
    handles.close(first)
    assert os.open(tmp_path / "first", os.O_RDONLY) == first  # another file's by now
    handles.close_all()
    handles.close_all()
    os.fstat(first)
    with pytest.raises(OSError):
        os.fstat(second)
    os.close(first)


def test_security_only_the_thread_that_opened_closes(tmp_path: Path) -> None:
    """Under a write that hangs in it, no other thread gives the number away."""
    handles = Handles()
    number = handles.open(tmp_path / "file", NEW_FILE_FLAGS)
    other = threading.Thread(target=handles.close_all)
    other.start()
    other.join()
    os.fstat(number)
    handles.close_all()
    with pytest.raises(OSError):
        os.fstat(number)


def test_security_new_files_are_their_owners_alone_and_not_inherited(tmp_path: Path) -> None:
    """Mode 0600 whatever the umask, closed in programs that we start, and never an existing file."""
    before = os.umask(0)
    try:
        handles = Handles()
        number = handles.open(tmp_path / "file", NEW_FILE_FLAGS)
    finally:
        os.umask(before)
    assert os.fstat(number).st_mode & 0o777 == 0o600
    assert not os.get_inheritable(number)
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("file", "link"):
        with pytest.raises(FileExistsError):
            handles.open(tmp_path / name, NEW_FILE_FLAGS)
    handles.close_all()


def test_a_close_that_fails_says_that_what_was_written_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on NFS, or where a quota is full: it is told from a write that found no room."""
    handles = Handles()
    number = handles.open(tmp_path / "file", NEW_FILE_FLAGS)

    def full(_number: int) -> None:
        raise OSError(errno.EDQUOT, "quota exceeded")

    with monkeypatch.context() as patch:
        patch.setattr(os, "close", full)
        with pytest.raises(NotOnDisk) as caught:
            handles.close(number)
    assert caught.value.errno == errno.EDQUOT
    os.close(number)
