"""The descriptors of one sink. Only the thread that opened them closes them.

Where another thread closed one under a hanging write, its number could be another file's, or a socket's,
by the time that write goes on.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress

NEW_FILE_MODE = 0o600
"""Files we make are for their owner alone until they are whole."""

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
"""How folders of ours are opened: what was put in their place is not followed."""

NEW_FILE_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
"""How files of ours are made: what is there already is not opened."""


AnyPath = str | bytes | os.PathLike[str]


class NotOnDisk(OSError):
    """What the system had taken is not on the disk, as a sync or a close says.

    It says so once: what it could not write it takes for written then, and the next sync succeeds. So nothing
    of it can be believed, also where room can be made.
    """


class Handles:
    """Opens and closes for the thread that made it."""

    def __init__(self) -> None:
        self._numbers: set[int] = set()
        self._thread = threading.get_ident()

    @property
    def are_ours(self) -> bool:
        """Whether the calling thread may close them."""
        return threading.get_ident() == self._thread

    def open(self, path: AnyPath, flags: int, *, dir_fd: int | None = None) -> int:
        """A new descriptor, not handed to programs that we start.

        Raises:
            OSError: the system refused.
        """
        number = os.open(path, flags | os.O_CLOEXEC, NEW_FILE_MODE, dir_fd=dir_fd)
        self._numbers.add(number)
        return number

    def close(self, number: int) -> None:
        """Close one; it is closed also where that fails.

        Raises:
            NotOnDisk: what was written to it is not all stored.
        """
        self._numbers.remove(number)
        try:
            os.close(number)
        except OSError as error:
            raise NotOnDisk(error.errno, error.strerror) from error

    def close_all(self) -> None:
        """Close what is open, if it is ours to close."""
        while self.are_ours and self._numbers:
            with suppress(OSError):  # what could not be written back at the close is not wanted any more
                os.close(self._numbers.pop())
