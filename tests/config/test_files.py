import errno
import os
import stat

import pytest

from selo.config import files
from selo.config.errors import Exposed, FileFault
from selo.config.files import (
    SIZE_MAX,
    list_folder,
    make_private_folder,
    read_file,
    read_private_file,
    remove_file,
    write_file,
    write_new_file,
)


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def open_umask():
    """A umask that takes nothing away: what is private must not depend on it."""
    previous = os.umask(0)
    yield
    os.umask(previous)


@pytest.mark.parametrize("write", [write_new_file, write_file])
@pytest.mark.usefixtures("open_umask")
def test_a_written_file_is_private_and_alone(write, tmp_path):
    """A new file has mode 0600 whatever the umask, its whole content, and leaves no draft beside it."""
    write(tmp_path / "secret", b"data")
    assert (tmp_path / "secret").read_bytes() == b"data"
    assert mode_of(tmp_path / "secret") == 0o600
    assert os.listdir(tmp_path) == ["secret"]


def test_a_new_file_never_replaces_one(tmp_path):
    """Writing where something is already fails and changes nothing."""
    path = tmp_path / "secret"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        write_new_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["secret"]


def test_a_new_file_never_follows_a_link(tmp_path):
    """A link that leads nowhere is not a free name."""
    (tmp_path / "secret").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        write_new_file(tmp_path / "secret", b"new")
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_can_be_replaced(tmp_path):
    """`write_file` replaces the whole of a file, also its mode."""
    path = tmp_path / "public"
    path.write_bytes(b"a longer old content")
    write_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert mode_of(path) == 0o600


@pytest.mark.parametrize("write", [write_new_file, write_file])
def test_a_cut_write_leaves_nothing(write, tmp_path, monkeypatch):
    """When the disk fails before the content is safe, neither the file nor a draft stays."""

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(FileFault, match="cannot write .*secret: no space left on device"):
        write(tmp_path / "secret", b"data")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", files.NO_LINKS, ids=errno.errorcode.get)
def test_a_file_system_without_hard_links_will_do(number, tmp_path, monkeypatch):
    """There a new file is made as well: private, whole, alone, and never instead of another one."""

    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.os, "link", fail)
    write_new_file(tmp_path / "secret", b"data")
    assert (tmp_path / "secret").read_bytes() == b"data"
    assert mode_of(tmp_path / "secret") == 0o600
    with pytest.raises(FileExistsError):
        write_new_file(tmp_path / "secret", b"new")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        write_new_file(tmp_path / "link", b"new")
    assert (tmp_path / "secret").read_bytes() == b"data"
    assert sorted(os.listdir(tmp_path)) == ["link", "secret"]


@pytest.mark.parametrize("number", files.UNSYNCABLE, ids=errno.errorcode.get)
@pytest.mark.parametrize("write", [write_new_file, write_file])
def test_a_folder_that_cannot_be_synced_will_do(write, number, tmp_path, monkeypatch):
    """Where the system has no way to sync a folder, files are written and removed all the same."""
    sync = os.fsync

    def refuse_folders(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    monkeypatch.setattr(files.os, "fsync", refuse_folders)
    write(tmp_path / "secret", b"data")
    assert (tmp_path / "secret").read_bytes() == b"data"
    remove_file(tmp_path / "secret")
    assert os.listdir(tmp_path) == []


def test_a_folder_that_fails_is_a_file_fault(tmp_path, monkeypatch):
    """An error of the disk is no such system."""
    sync = os.fsync

    def fail_on_folders(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(descriptor)

    monkeypatch.setattr(files.os, "fsync", fail_on_folders)
    with pytest.raises(FileFault, match="input/output error"):
        write_file(tmp_path / "secret", b"data")


@pytest.mark.parametrize("write", [write_new_file, write_file])
def test_the_content_is_on_disk_before_the_name(write, tmp_path, monkeypatch):
    """The file is synced while it has no name yet, and the folder after it got one."""
    steps = []
    sync = os.fsync

    def watch(descriptor):
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        steps.append((kind, (tmp_path / "secret").exists()))
        sync(descriptor)

    monkeypatch.setattr(files.os, "fsync", watch)
    write(tmp_path / "secret", b"data")
    assert steps == [("file", False), ("folder", True)]


@pytest.mark.parametrize("action", [read_file, read_private_file, remove_file])
def test_a_missing_file_is_told_apart(action, tmp_path):
    """A missing file is the one error of the system that comes through as it is."""
    with pytest.raises(FileNotFoundError):
        action(tmp_path / "none")


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (read_file, "cannot read"),
        (lambda path: write_new_file(path / "in", b""), "cannot write"),
        (lambda path: write_file(path / "in", b""), "cannot write"),
        (lambda path: remove_file(path / "in"), "cannot remove"),
        (lambda path: make_private_folder(path / "in"), "cannot make the folder"),
        (list_folder, "cannot read"),
    ],
    ids=["read", "write new", "write", "remove", "make", "list"],
)
def test_every_other_error_of_the_system_is_a_file_fault(action, words, tmp_path):
    """A path through a file, and a folder where a file should be, are sentences that name the path."""
    path = tmp_path / "thing"
    if action is read_file:
        path.mkdir()
    else:
        path.write_bytes(b"a file")
    with pytest.raises(FileFault, match=words) as fault:
        action(path)
    assert str(path) in str(fault.value)
    assert fault.value.exit_status == 1


def test_writing_into_a_missing_folder_is_a_file_fault(tmp_path):
    """The folder is not made by the way."""
    with pytest.raises(FileFault, match="no such file or directory"):
        write_new_file(tmp_path / "none" / "file", b"")


def test_reading_is_bounded(tmp_path):
    """A file of the largest size is read whole, and one byte more is refused."""
    path = tmp_path / "big"
    path.write_bytes(bytes(SIZE_MAX))
    assert len(read_file(path)) == SIZE_MAX
    path.write_bytes(bytes(SIZE_MAX + 1))
    with pytest.raises(FileFault, match="larger than"):
        read_file(path)


@pytest.mark.parametrize("bits", [0o001, 0o002, 0o004, 0o010, 0o020, 0o040], ids=lambda bits: f"{bits:03o}")
def test_a_private_file_that_others_can_reach_is_refused(bits, tmp_path):
    """Every bit for group or others is enough, and the hint is the command that mends it."""
    path = tmp_path / "secret"
    path.write_bytes(b"data")
    path.chmod(0o600 | bits)
    with pytest.raises(Exposed) as exposed:
        read_private_file(path)
    assert exposed.value.hint == f"chmod 600 {path}"
    path.chmod(0o600)
    assert read_private_file(path) == b"data"


@pytest.mark.usefixtures("open_umask")
def test_a_private_folder_is_private_from_the_start(tmp_path):
    """A new folder has mode 0700 whatever the umask; one that exists is left alone."""
    make_private_folder(tmp_path / "a" / "b")
    assert mode_of(tmp_path / "a" / "b") == 0o700
    (tmp_path / "a" / "b").chmod(0o755)
    make_private_folder(tmp_path / "a" / "b")
    assert mode_of(tmp_path / "a" / "b") == 0o755


def test_a_missing_folder_is_empty(tmp_path):
    """Listing what is not there finds nothing."""
    assert list_folder(tmp_path / "none") == []
