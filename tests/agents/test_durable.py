"""Writing and syncing on real files, and what file systems without modes or syncs say."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selo.agents.storage import durable
from selo.agents.storage.durable import (
    WITHOUT_MODES,
    boot_id,
    current_umask,
    read_from_disk,
    set_mode,
    set_time,
    sync,
    sync_file_system,
    sync_tree,
    write_all,
)
from selo.agents.storage.handles import NotOnDisk
from selo.config.files import UNSYNCABLE
from tests.leaks import descriptors


def refusing(code: int) -> Callable[..., Any]:
    def refuse(*_args: object, **_kw: object) -> None:
        raise OSError(code, os.strerror(code))

    return refuse


def test_a_pipe_that_takes_little_at_once_gets_everything() -> None:
    """Also where somebody has made it non-blocking."""
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    data = os.urandom(300_000)
    arrived = bytearray()

    def read() -> None:
        while len(arrived) < len(data):
            arrived.extend(os.read(readable, 1 << 16))

    reader = threading.Thread(target=read)
    reader.start()
    write_all(writable, data)
    reader.join()
    assert arrived == data
    os.close(readable)
    os.close(writable)


@pytest.mark.parametrize("code", [*UNSYNCABLE, errno.EIO, errno.ENOSPC])
def test_only_what_cannot_be_synced_at_all_is_no_failure(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe has nothing to sync; a disk that fails does."""
    monkeypatch.setattr(os, "fsync", refusing(code))
    reading, writing = os.pipe()
    if code in UNSYNCABLE:
        sync(reading)
    else:
        with pytest.raises(NotOnDisk):
            sync(reading)
    os.close(reading)
    os.close(writing)


def test_security_a_file_system_that_became_read_only_has_lost_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says EROFS, as a pipe may, and of a file or folder that means something else."""
    monkeypatch.setattr(os, "fsync", refusing(errno.EROFS))
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "file"):
        number = os.open(place, os.O_RDONLY)
        with pytest.raises(NotOnDisk):
            sync(number)
        os.close(number)


def test_what_is_read_from_the_disk_is_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it waits to be written, and where the system has no such call."""
    (tmp_path / "file").write_bytes(b"content")
    number = os.open(tmp_path / "file", os.O_RDONLY)
    read_from_disk(number)
    assert os.pread(number, 100, 0) == b"content"
    monkeypatch.delattr(os, "posix_fadvise", raising=False)
    read_from_disk(number)
    os.close(number)


def test_a_start_of_the_machine_has_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same as long as it runs; none where the system does not say."""
    assert boot_id() == boot_id()
    monkeypatch.setattr("builtins.open", refusing(errno.ENOENT))
    assert boot_id() is None


def test_every_file_and_folder_of_a_tree_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each one once; a link, also one that leads nowhere, is stored with its name."""
    names = ["", "a", "b", "b/c", "b/c/d", "e"]
    for name in ("b/c", "e"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("a", "b/c/d"):
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "b" / "up").symlink_to("../..")
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(os.fstat(number).st_ino))
    root = os.open(tmp_path, os.O_RDONLY)
    before = descriptors()
    sync_tree(root)
    assert descriptors() == before
    os.close(root)
    assert sorted(synced) == sorted((tmp_path / name).stat().st_ino for name in names)


def test_a_whole_file_system_is_synced_or_it_is_said_that_it_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no such call each file is to be synced; a descriptor that is none is an error."""
    root = os.open(tmp_path, os.O_RDONLY)
    assert sync_file_system(root) is hasattr(durable._libc, "syncfs")
    os.close(root)
    if hasattr(durable._libc, "syncfs"):
        with pytest.raises(NotOnDisk):
            sync_file_system(root)
    monkeypatch.setattr(durable, "_libc", object())
    assert sync_file_system(root) is False


def test_modes_and_times_are_set(tmp_path: Path) -> None:
    """Of a file and of a link itself; a time before 1970 too."""
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    number = os.open(tmp_path / "file", os.O_RDONLY)
    folder = os.open(tmp_path, os.O_RDONLY)
    set_mode(number, 0o640)
    set_time(number, -1_500_000_000)
    set_time(b"link", 7_000_000_000, dir_fd=folder)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
    assert (tmp_path / "file").stat().st_mtime_ns == -1_500_000_000
    assert (tmp_path / "link").lstat().st_mtime_ns == 7_000_000_000
    set_time(number, 2**200)  # no system has that; it is let be
    os.close(number)
    os.close(folder)


@pytest.mark.parametrize("code", [*WITHOUT_MODES, errno.EIO, errno.EROFS])
def test_a_file_system_without_modes_and_times_will_do(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What FAT says is no failure; what a broken disk says is."""
    monkeypatch.setattr(os, "fchmod", refusing(code))
    monkeypatch.setattr(os, "utime", refusing(code))
    for act in (lambda: set_mode(0, 0o600), lambda: set_time(0, 0)):
        if code in WITHOUT_MODES:
            act()
        else:
            with pytest.raises(OSError):
                act()


@pytest.mark.parametrize("mask", [0, 0o022, 0o077, 0o027])
@pytest.mark.parametrize("asked", ["the system", "by setting it"])
def test_the_umask_is_found_out(mask: int, asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From /proc, or by setting it and setting it back."""
    if asked == "by setting it":
        monkeypatch.setattr("builtins.open", refusing(errno.ENOENT))
    before = os.umask(mask)
    try:
        assert current_umask() == mask
        assert current_umask() == mask
    finally:
        os.umask(before)
