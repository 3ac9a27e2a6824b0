"""Files of the home: read whole and bounded, written whole or not at all.

Every error of the operating system becomes a ``FileFault`` here, so nothing
above needs to know about ``OSError``.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from selo.config.errors import Exposed, FileFault

SIZE_MAX = 64 << 10
"""Bytes. The largest file of a home, a private identity, has less than a quarter of this."""

NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS)
"""What link says on file systems without hard links."""

UNSYNCABLE = (errno.EINVAL, errno.ENOTSUP, errno.EROFS)
"""What fsync says where there is nothing to sync: of some systems' folders, of a pipe, of a terminal."""


def read_file(path: Path) -> bytes:
    """The whole file.

    Raises:
        FileFault: it cannot be read, or is larger than ``SIZE_MAX``.
        FileNotFoundError: there is none; the one error of the system that callers tell apart.
    """
    with _faults("read", path, FileNotFoundError), open(path, "rb") as file:
        data = file.read(SIZE_MAX + 1)
    if len(data) > SIZE_MAX:
        raise FileFault("read", path, f"it is larger than {SIZE_MAX} bytes")
    return data


def read_private_file(path: Path) -> bytes:
    """The whole of a file that only its owner may reach.

    Raises:
        Exposed: others can.
        FileFault, FileNotFoundError: as for ``read_file``.
    """
    require_private(path, 0o600)
    return read_file(path)


def require_private(path: Path, wanted: int) -> None:
    """Refuse a file or folder whose mode lets group or others in; ``wanted`` is the mode to advise.

    Raises:
        Exposed: it does.
        FileNotFoundError: there is none.
        FileFault: the system refuses to say.
    """
    with _faults("read", path, FileNotFoundError):
        mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise Exposed(path, mode, wanted)


def write_new_file(path: Path, data: bytes) -> None:
    """Write a file of mode 0600 that does not exist yet. After a crash it is there whole, or not at all.

    (Or empty, on a file system without hard links.)

    Raises:
        FileExistsError: something has that name already; it is unchanged.
        FileFault: the system refused.
    """
    with _faults("write", path, FileExistsError), _synced_draft(path, data) as draft:
        try:
            os.link(draft, path)  # not rename, which would replace whoever was faster
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))  # the name is ours
            os.replace(draft, path)


def write_file(path: Path, data: bytes) -> None:
    """Write or replace a file of mode 0600: a reader, and a crash, see the old one or the new one.

    Raises:
        FileFault: the system refused.
    """
    with _faults("write", path), _synced_draft(path, data) as draft:
        os.replace(draft, path)


def rename_file(path: Path, new_path: Path) -> None:
    """Give a file another name in its folder, for good; what had that name is replaced.

    Raises:
        FileNotFoundError: there is none.
        FileFault: the system refused.
    """
    with _faults("rename", path, FileNotFoundError):
        os.replace(path, new_path)
        _sync_folder(new_path.parent)


def remove_file(path: Path) -> None:
    """Remove a file for good.

    Raises:
        FileNotFoundError: there is none.
        FileFault: the system refused.
    """
    with _faults("remove", path, FileNotFoundError):
        path.unlink()
        _sync_folder(path.parent)


def modified_at(path: Path) -> float:
    """When a file was written last (seconds since 1970).

    Raises:
        FileNotFoundError: there is none.
        FileFault: the system refuses to say.
    """
    with _faults("read", path, FileNotFoundError):
        return path.stat().st_mtime


def list_folder(path: Path) -> list[str]:
    """The names of what is in a folder; of none, if there is no such folder.

    Raises:
        FileFault: the system refused.
    """
    with _faults("read", path):
        try:
            return os.listdir(path)
        except FileNotFoundError:
            return []


def stamp_folder(path: Path) -> frozenset[tuple[str, int, int, int]] | None:
    """What is other as soon as a file of the folder was written, renamed or removed by the functions here.

    None, which says nothing, where a file went while it was looked at.

    Raises:
        FileFault: the system refused.
    """
    with _faults("read", path):
        try:
            with os.scandir(path) as entries:
                return frozenset(_stamp(entry) for entry in entries)
        except FileNotFoundError:
            return None


def _stamp(entry: os.DirEntry[str]) -> tuple[str, int, int, int]:
    status = entry.stat(follow_symlinks=False)
    return entry.name, status.st_ino, status.st_size, status.st_mtime_ns


def make_private_folder(path: Path) -> None:
    """Make a folder of mode 0700 and what is missing above it; one that exists is left as it is.

    Raises:
        FileFault: the system refused.
    """
    with _faults("make the folder", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def _synced_draft(path: Path, data: bytes) -> Iterator[str]:
    """A temporary neighbour of ``path`` that holds ``data`` on disk; then the folder is synced."""
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield draft
        _sync_folder(path.parent)
    finally:
        with suppress(FileNotFoundError):  # os.replace has taken it
            os.unlink(draft)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNSYNCABLE:
            raise
    finally:
        os.close(descriptor)


@contextmanager
def _faults(action: str, path: Path, passing: type[OSError] | None = None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if passing is not None and isinstance(error, passing):
            raise
        raise FileFault.from_os(action, path, error) from error
