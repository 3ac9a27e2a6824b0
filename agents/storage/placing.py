"""Final names: a whole file or folder gets one in a single step, and takes nobody else's without leave."""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from selo.agents.bodies import NAME_MAX
from selo.agents.storage.durable import set_mode, sync
from selo.agents.storage.handles import FOLDER_FLAGS, Handles
from selo.config.files import NO_LINKS

NOREPLACE = 1
EXCHANGE = 2

WITHOUT_FLAGS = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM)
"""What renameat2 says where the system, the file system or a sandbox does not know its flags."""

ENDING_MAX = 32
"""Characters of a file's ending; a longer one is a part of its name."""

_libc = ctypes.CDLL(None, use_errno=True)


class Place(NamedTuple):
    """A name in an open folder."""

    folder: int
    name: str


def status_of(place: Place) -> os.stat_result | None:
    """What is there, itself and not what it leads to; None if nothing is.

    Raises:
        OSError: the system does not say.
    """
    try:
        return os.lstat(place.name, dir_fd=place.folder)
    except FileNotFoundError:
        return None


def is_folder(place: Place) -> bool:
    """Whether a folder is there, and not a link to one.

    Raises:
        OSError: the system does not say.
    """
    status = status_of(place)
    return status is not None and stat.S_ISDIR(status.st_mode)


def is_mounted(place: Place) -> bool:
    """Whether a folder is there that is on another file system than the one it lies in.

    Raises:
        OSError: the system does not say.
    """
    status = status_of(place)
    # Of a file, an overlay says the number of the file system below.
    return is_folder(place) and status is not None and status.st_dev != os.fstat(place.folder).st_dev


def move_new(source: Place, target: Place) -> None:
    """Give a file or folder a name that nothing has.

    Raises:
        FileExistsError: something has it; it is unchanged.
        OSError: the system refused.
    """
    try:
        rename_with(source, target, NOREPLACE)
        return
    except OSError as error:
        if error.errno not in WITHOUT_FLAGS:
            raise
    if is_folder(source):
        _move_new_folder(source, target)
    else:
        _move_new_file(source, target)


def _move_new_folder(source: Place, target: Place) -> None:
    """``rename`` replaces no file by it, and only an empty folder: whoever makes that now loses nothing."""
    if status_of(target) is not None:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    try:
        _rename(source, target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from error
        raise


def _move_new_file(source: Place, target: Place) -> None:
    """``rename`` would silently replace what appeared meanwhile; ``link`` does not."""
    folders = {"src_dir_fd": source.folder, "dst_dir_fd": target.folder}
    try:
        os.link(source.name, target.name, follow_symlinks=False, **folders)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if status_of(target) is not None:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        _rename(source, target)
        return
    with suppress(OSError):  # it has its name; the other one goes with the staging folder
        os.unlink(source.name, dir_fd=source.folder)


def move_over(source: Place, target: Place, aside: Place) -> None:
    """The same, and what has the name is replaced: a file's or link's by a file, a folder's by a folder.

    A folder that was replaced is under the name ``source`` or ``aside`` then, a file under ``aside`` if its
    file system has links.

    Raises:
        IsADirectoryError, NotADirectoryError: the two are not of a kind; the old one is unchanged.
        OSError: the system refused.
    """
    if status_of(target) is None:
        with suppress(FileExistsError):  # whoever is faster is replaced
            move_new(source, target)
            return
    if not is_folder(source):
        with suppress(OSError):  # a folder, or there are no links: then it does not come back
            folders = {"src_dir_fd": target.folder, "dst_dir_fd": aside.folder}
            os.link(target.name, aside.name, follow_symlinks=False, **folders)
        os.replace(source.name, target.name, src_dir_fd=source.folder, dst_dir_fd=target.folder)
        return
    if not is_folder(target):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    with _movable(target):
        try:
            rename_with(source, target, EXCHANGE)
        except OSError as error:
            if error.errno not in WITHOUT_FLAGS:
                raise
            _exchange_by_hand(source, target, aside)


@contextmanager
def _movable(folder: Place) -> Iterator[None]:
    """One that its owner may not write to cannot be moved elsewhere. Where it stays it has its mode again."""
    status = status_of(folder)
    mode = stat.S_IMODE(status.st_mode) if status is not None else stat.S_IWUSR
    if mode & stat.S_IWUSR:
        yield
        return
    with suppress(OSError):  # it is another user's, who may allow it all the same
        set_folder_mode(folder, mode | stat.S_IWUSR)
    try:
        yield
    except OSError:
        with suppress(OSError):
            set_folder_mode(folder, mode)
        raise


def set_folder_mode(folder: Place, mode: int, *, durable: bool = False) -> None:
    """Permission bits for a folder; not of what a link leads to.

    Raises:
        NotOnDisk: it has them, and they may not survive a power cut, as ``durable`` wants.
        OSError: it is no folder, or the system refused.
    """
    handles = Handles()
    try:
        number = handles.open(folder.name, FOLDER_FLAGS, dir_fd=folder.folder)
        set_mode(number, mode)
        if durable:
            sync(number)
    finally:
        handles.close_all()


def _exchange_by_hand(source: Place, target: Place, aside: Place) -> None:
    _rename(target, aside)
    try:
        _rename(source, target)
    except OSError:
        with suppress(OSError):  # the name was taken this very moment: the old one stays aside
            move_new(aside, target)
        raise


def _rename(source: Place, target: Place) -> None:
    os.rename(source.name, target.name, src_dir_fd=source.folder, dst_dir_fd=target.folder)


def rename_with(source: Place, target: Place, flags: int) -> None:
    """renameat2 of Linux, which Python does not have.

    Raises:
        OSError: ENOSYS where the system does not have it either, else what it says.
    """
    call = getattr(_libc, "renameat2", None)
    names = os.fsencode(source.name), os.fsencode(target.name)
    code = errno.ENOSYS
    if call is not None:
        if call(source.folder, names[0], target.folder, names[1], flags) == 0:
            return
        code = ctypes.get_errno()
    raise OSError(code, os.strerror(code))


def numbered(name: str, *, folder: bool) -> Iterator[str]:
    """``name``, ``name (2)``, ``name (3)``..., before a file's ending, none longer than a name may be."""
    stem, ending = (name, "") if folder else os.path.splitext(name)
    if len(ending) > ENDING_MAX:
        stem, ending = name, ""
    yield name
    for number in itertools.count(2):
        tail = f" ({number}){ending}"
        while len(os.fsencode(stem + tail)) > NAME_MAX:
            stem = stem[:-1]
        yield stem + tail
