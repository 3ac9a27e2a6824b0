"""The entries of a tree, in the order in which they came: u16 length | entry, again and again.

They are written before what they describe is made, so nothing is in the staging folder that the journal does
not know, and what it knows and is not there had not come yet.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterable, Iterator

from selo.agents.storage.durable import write_all
from selo.agents.storage.handles import NEW_FILE_FLAGS, Handles
from selo.agents.storage.staging import JOURNAL

READ_AT_ONCE = 1 << 20
"""Bytes, when it is read again."""

_LENGTH = struct.Struct(">H")


class Journal:
    """An open journal: the one that is there or, where ``make`` says so, a new one, if none is."""

    def __init__(self, handles: Handles, folder: int, *, make: bool) -> None:
        """Open it.

        Raises:
            FileNotFoundError: there is none, and it was not to be made.
            OSError: the system refused, or something has its name that is to be made.
        """
        flags = NEW_FILE_FLAGS if make else os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
        self._number = handles.open(JOURNAL, flags | os.O_APPEND, dir_fd=folder)
        if not stat.S_ISREG(os.fstat(self._number).st_mode):
            handles.close(self._number)
            raise FileNotFoundError

    def append(self, entries: Iterable[bytes]) -> None:
        """Write entries down.

        Raises:
            OSError: they are not all there; the last may be cut.
        """
        write_all(self._number, b"".join(_LENGTH.pack(len(entry)) + entry for entry in entries))

    def entries(self) -> Iterator[tuple[bytes, int]]:
        """Each whole entry, and the place in the journal (bytes) behind it.

        Raises:
            OSError: it cannot be read.
        """
        place, read_to, buffer = 0, 0, b""
        while data := os.pread(self._number, READ_AT_ONCE, read_to):
            read_to += len(data)
            buffer += data
            at = 0
            while (end := _end_of_entry(buffer, at)) is not None:
                yield buffer[at + _LENGTH.size : end], place + end
                at = end
            place, buffer = place + at, buffer[at:]

    def cut(self, place: int) -> None:
        """Drop what lies behind a place.

        Raises:
            OSError: the system refused.
        """
        os.ftruncate(self._number, place)


def _end_of_entry(buffer: bytes, at: int) -> int | None:
    if len(buffer) - at < _LENGTH.size:
        return None
    end: int = at + _LENGTH.size + _LENGTH.unpack_from(buffer, at)[0]
    return end if end <= len(buffer) else None
