"""Bytes and names that reach the disk."""

from __future__ import annotations

import ctypes
import errno
import os
import select
import stat
from contextlib import suppress

from selo.agents.storage.handles import FOLDER_FLAGS, Handles, NotOnDisk
from selo.config.files import UNSYNCABLE

PAGE = 1 << 12
"""Bytes of zeros in a sparse file that are left out."""

WITHOUT_MODES = (errno.EPERM, errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EOVERFLOW)
"""What chmod and utime say on file systems that store no modes, or not such a time."""

_ZEROS = bytes(PAGE)

_libc = ctypes.CDLL(None, use_errno=True)


def write_all(descriptor: int, data: bytes | bytearray | memoryview) -> None:
    """Write all of it, however little the system takes at once.

    Raises:
        OSError: it could not.
    """
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:  # somebody who shares our standard output made it non-blocking
            writable = select.poll()
            writable.register(descriptor, select.POLLOUT)
            writable.poll()


def write_sparse(descriptor: int, data: bytes | bytearray | memoryview, place: int) -> None:
    """Write what is not zero of each page, at ``place`` bytes, which is where the descriptor stands.

    What is left out at the end of a file counts only once the file is given its length.

    Raises:
        OSError: it could not.
    """
    view, at, unwritten = memoryview(data), 0, 0
    while at < len(view):
        # Not the view itself: comparing one takes twenty times as long as copying it first.
        end = min(at + PAGE - (place + at) % PAGE, len(view))
        if bytes(view[at:end]) == _ZEROS[: end - at]:
            write_all(descriptor, view[unwritten:at])
            os.lseek(descriptor, end - at, os.SEEK_CUR)
            unwritten = end
        at = end
    write_all(descriptor, view[unwritten:])


def sync(descriptor: int) -> None:
    """Wait until a file, or the names in a folder, are on the disk; nothing where there is nothing to sync.

    Raises:
        NotOnDisk: they may not be.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNSYNCABLE or (error.errno == errno.EROFS and _is_stored(descriptor)):
            raise NotOnDisk(error.errno, error.strerror) from error


def _is_stored(descriptor: int) -> bool:
    """Whether it is on a file system: one that a fault has made read-only since has lost what was written."""
    kind = os.fstat(descriptor).st_mode
    return stat.S_ISREG(kind) or stat.S_ISDIR(kind)


def sync_tree(root: int) -> None:
    """``sync`` every file and folder below an open folder, and that folder.

    Raises:
        NotOnDisk: something of it may not be on the disk.
        OSError: it cannot be gone through.
    """
    handles = Handles()
    try:
        _sync_below(handles, root)
    finally:
        handles.close_all()


def _sync_below(handles: Handles, folder: int) -> None:
    with os.scandir(folder) as children:
        for child in children:
            if child.is_symlink():
                continue  # a link is stored with its name
            is_folder = child.is_dir(follow_symlinks=False)
            flags = FOLDER_FLAGS if is_folder else os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            number = handles.open(child.name, flags, dir_fd=folder)
            if is_folder:
                _sync_below(handles, number)
            else:
                sync(number)
            handles.close(number)
    sync(folder)


def sync_file_system(descriptor: int) -> bool:
    """Wait until everything on its file system is on the disk; False where the system has no such call.

    Raises:
        NotOnDisk: something may not be.
    """
    call = getattr(_libc, "syncfs", None)
    if call is None:
        return False
    if call(descriptor) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, *UNSYNCABLE):  # then each file is asked
        return False
    raise NotOnDisk(code, os.strerror(code))


def read_from_disk(descriptor: int) -> None:
    """Make what is read next come from the disk: what is only in memory may be what could not be written.

    What waits to be written stays in memory. A system that has no such call reads what it has.
    """
    if hasattr(os, "posix_fadvise"):
        with suppress(OSError):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def boot_id() -> str | None:
    """What this start of the machine is called; None where the system does not say."""
    with suppress(OSError), open("/proc/sys/kernel/random/boot_id", "rb") as file:
        return file.read().decode().strip()
    return None


def set_mode(descriptor: int, mode: int) -> None:
    """Permission bits for a file or folder, where its file system stores them.

    Raises:
        OSError: it could not.
    """
    try:
        os.fchmod(descriptor, mode)
    except OSError as error:
        if error.errno not in WITHOUT_MODES:
            raise


def set_time(where: int | bytes, mtime: int, *, dir_fd: int | None = None) -> None:
    """The time of modification, nanoseconds since 1970, of a descriptor or of a link in an open folder.

    Raises:
        OSError: it could not.
    """
    times = (mtime, mtime)
    try:
        if dir_fd is None:
            os.utime(where, ns=times)
        else:
            os.utime(where, ns=times, dir_fd=dir_fd, follow_symlinks=False)
    except OverflowError:
        return  # a time that this system has no number for
    except OSError as error:
        if error.errno not in WITHOUT_MODES:
            raise


def current_umask() -> int:
    """The permission bits that this process takes from new files."""
    with suppress(OSError, ValueError, StopIteration), open("/proc/self/status", "rb") as status:
        return int(next(line for line in status if line.startswith(b"Umask:")).split()[1], 8)
    mask = os.umask(0o077)  # there is no asking without setting, and another thread may make a file meanwhile
    os.umask(mask)
    return mask
