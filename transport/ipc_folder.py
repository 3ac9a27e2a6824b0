"""The place of an ``ipc://`` socket: a private folder, and one listener at a time.

libzmq would let a second listener steal a live socket's name, and leaves the socket
open to whoever can reach it. The folder keeps others out, the lock keeps us from
stealing from ourselves.
"""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress

from selo.transport.base import BindFailed

LOCK_SUFFIX = ".lock"


class IpcClaim:
    """The right to bind one path, held until ``release``."""

    def __init__(self, path: str) -> None:
        """Take the path over.

        Raises:
            BindFailed: the folder is not private or not ours, another listener has the path, or
                something that is no socket has it.
        """
        self._path = path
        self._label = f"ipc://{path}"
        self._lock_path = path + LOCK_SUFFIX
        try:
            self._check_folder(os.path.dirname(path))
            self._lock = self._take_lock()
            try:
                self._clear_path()
            except BaseException:
                self._drop_lock()
                raise
        except OSError as error:
            raise BindFailed(self._label, f"{error.strerror} ({error.filename})") from error

    def release(self) -> None:
        """Remove the socket and the lock; the listener's sockets are gone."""
        with suppress(OSError):
            os.unlink(self._path)
        self._drop_lock()

    def _check_folder(self, folder: str) -> None:
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        with suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        found = os.lstat(folder)
        if not stat.S_ISDIR(found.st_mode):
            raise BindFailed(self._label, f"{folder} is not a folder (a link will not do)")
        if found.st_uid != os.geteuid():
            raise BindFailed(self._label, f"the folder {folder} belongs to somebody else")
        if found.st_mode & 0o077:
            raise BindFailed(
                self._label, f"others can reach the folder {folder}; make it private with chmod 700"
            )

    def _take_lock(self) -> int:
        while True:
            lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_current(lock):
                    return lock
            except BlockingIOError:
                os.close(lock)
                raise BindFailed(self._label, "another listener of ours is using it") from None
            # Between our open and our flock its last holder removed it: that lock guards nothing.
            os.close(lock)

    def _is_current(self, lock: int) -> bool:
        try:
            return os.path.samestat(os.fstat(lock), os.lstat(self._lock_path))
        except FileNotFoundError:
            return False

    def _clear_path(self) -> None:
        """Remove what a listener left that did not end in order."""
        with suppress(FileNotFoundError):
            if not stat.S_ISSOCK(os.lstat(self._path).st_mode):
                raise BindFailed(self._label, "something that is not a socket has that name")
            os.unlink(self._path)

    def _drop_lock(self) -> None:
        with suppress(OSError):
            os.unlink(self._lock_path)
        os.close(self._lock)
