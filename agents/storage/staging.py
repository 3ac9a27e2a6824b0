"""The folder in which a delivery lies until it is whole: `.selo-<32 hex digits>.part` beside its target.

It is held by a lock that ends with the process, so what nobody holds was left behind and may be taken up
again, or removed. The folder is opened once; whatever is put under its name later is not followed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from contextlib import suppress
from pathlib import Path

from selo.agents.bodies import Kind
from selo.agents.errors import SinkFault
from selo.agents.storage.base import BeingReceived
from selo.agents.storage.durable import sync, write_all
from selo.agents.storage.handles import FOLDER_FLAGS, NEW_FILE_FLAGS, Handles
from selo.agents.storage.placing import Place, status_of
from selo.agents.storage.removing import remove, remove_all_but
from selo.agents.storage.state import State

STATE = "state.json"
"""The name of the state's file."""

NEW_STATE = "state.new"
"""What it is called until it is whole."""

DATA = "data"
"""What the content of a file is called in it."""

ITEMS = "items"
"""The folder of a tree in it."""

JOURNAL = "journal"
"""What the journal of a tree's entries is called in it."""

ASIDE = "replaced-"
"""How what was replaced is called in it, before a number."""

_PARTS = frozenset({STATE, NEW_STATE, DATA, ITEMS, JOURNAL})

_ASIDE_NAME = re.compile(rf"{ASIDE}[0-9]+")

STAGING_NAME = re.compile(r"\.selo-[0-9a-f]{32}\.part")
"""What the folders of deliveries under way are called."""

WITHOUT_LOCKS = (errno.EBADF, errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK)
"""What flock says where folders cannot be locked, as on NFS."""

TRIES = 16
"""Times that a folder which goes away between making and locking it is made again."""


def staging_name(delivery: bytes) -> str:
    """The name for a delivery's 16 bytes."""
    return f".selo-{delivery.hex()}.part"


class Staging:
    """A staging folder that is open, and held if ``locked``; ``fresh`` says that it was made just now."""

    def __init__(self, handles: Handles, place: Place, number: int, *, fresh: bool, locked: bool) -> None:
        self._handles = handles
        self._place = place
        self.number = number
        self.fresh = fresh
        self.locked = locked
        self._next_state: int | None = None

    @classmethod
    def enter(cls, handles: Handles, place: Place, *, make: bool = True) -> Staging:
        """Open the folder, making it if it is not there, and hold it.

        Raises:
            BeingReceived: somebody else holds it.
            SinkFault: it is another user's.
            FileNotFoundError: it is not there, and is not to be made.
            OSError: the system refused, or something that is no folder has its name.
        """
        for _ in range(TRIES):
            fresh = make and _made(place)
            try:
                staging = cls._entered(handles, place, fresh=fresh)
            except FileNotFoundError:
                if not make:
                    raise
                continue  # whoever held it has just removed it
            except OSError:
                if fresh:
                    with suppress(OSError):
                        os.rmdir(place.name, dir_fd=place.folder)
                raise
            if staging is not None:
                return staging
        raise BeingReceived(place.name)

    @classmethod
    def _entered(cls, handles: Handles, place: Place, *, fresh: bool) -> Staging | None:
        """The folder, held; None if it was removed before that."""
        number = handles.open(place.name, FOLDER_FLAGS, dir_fd=place.folder)
        try:
            locked = _lock(number, place.name)
            if not fresh and os.fstat(number).st_uid != os.geteuid():
                raise SinkFault(place.name, "it is another user's", for_peer="its place is taken")
            there = status_of(place)
            if there is not None and os.path.samestat(there, os.fstat(number)):
                return cls(handles, place, number, fresh=fresh, locked=locked)
        except BaseException:
            handles.close(number)
            raise
        handles.close(number)
        return None

    def load(self) -> State | None:
        """The state, if there is one that can be understood.

        Raises:
            OSError: the system refused, and what is there may be good.
        """
        try:
            number = self._handles.open(
                STATE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self.number
            )
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ELOOP):
                return None
            raise
        try:
            with open(number, "rb", closefd=False) as file:
                return State.unpack(file.read())
        except (ValueError, IsADirectoryError):
            return None
        finally:
            self._handles.close(number)

    def open_source(self, kind: Kind) -> int | None:
        """The folder in which lies what is to be named: this one, or a folder in it; None if that is gone.

        Raises:
            OSError: the system refused.
        """
        if kind is not Kind.TREE:
            return self.number
        try:
            return self._handles.open(ITEMS, FOLDER_FLAGS, dir_fd=self.number)
        except (FileNotFoundError, NotADirectoryError):
            return None

    @property
    def holds_parts_only(self) -> bool:
        """Whether all that it holds has names that parts of a delivery have."""
        return _PARTS.issuperset(os.listdir(self.number))

    @property
    def is_left_of_ours(self) -> bool:
        """Whether it is what a delivery left, and no folder that somebody else called so."""
        names = os.listdir(self.number)
        if self.load() is not None:
            return all(name in _PARTS or _ASIDE_NAME.fullmatch(name) for name in names)
        if self.holds_parts_only and self._size_of(STATE) == 0:  # a power cut has emptied it
            return True
        return not names or (names == [NEW_STATE] and self._size_of(NEW_STATE) is not None)

    def _size_of(self, name: str) -> int | None:
        """The bytes of a file in it; None if none is there."""
        status = status_of(Place(self.number, name))
        return status.st_size if status is not None and stat.S_ISREG(status.st_mode) else None

    def touch(self) -> None:
        """Something is written to it now, however deep: it is not old.

        Raises:
            OSError: the system refused.
        """
        os.utime(self.number)

    def prepare(self) -> None:
        """Make the file of the next state: where strangers take every descriptor meanwhile, it is there.

        Raises:
            OSError: the system refused.
        """
        if self._next_state is None:
            with suppress(FileNotFoundError):
                os.unlink(NEW_STATE, dir_fd=self.number)
            self._next_state = self._handles.open(NEW_STATE, NEW_FILE_FLAGS, dir_fd=self.number)

    def save(self, state: State, *, durable: bool) -> None:
        """Replace the state in one step.

        Raises:
            OSError: the system refused; the old one is still there.
        """
        self.prepare()
        number, self._next_state = self._next_state, None
        assert number is not None
        try:
            write_all(number, state.pack())
            if durable:
                sync(number)
        finally:
            self._handles.close(number)
        os.replace(NEW_STATE, STATE, src_dir_fd=self.number, dst_dir_fd=self.number)
        if durable:
            sync(self.number)

    def clear(self, *, but_state: bool = False) -> None:
        """Empty the folder.

        Raises:
            OSError: the system refused.
        """
        prepared = (NEW_STATE,) if self._next_state is not None else ()
        remove_all_but(self.number, (STATE, *prepared) if but_state else ())

    def remove(self) -> None:
        """Remove the folder with all that is in it, and let go of it.

        Raises:
            OSError: the system refused; what is left of it is let go of.
        """
        try:
            # The state goes first: what cannot be removed whole is not to be taken for a delivery.
            with suppress(FileNotFoundError):
                os.unlink(STATE, dir_fd=self.number)
            self.clear()
            os.rmdir(self._place.name, dir_fd=self._place.folder)
        finally:
            self._handles.close(self.number)


def remove_by_name(path: Path, name: str) -> None:
    """Remove a staging folder without holding it; what cannot be removed stays."""
    handles = Handles()
    with suppress(OSError):
        folder = handles.open(path, os.O_RDONLY | os.O_DIRECTORY)
        number = handles.open(name, FOLDER_FLAGS, dir_fd=folder)
        with suppress(FileNotFoundError):  # as in ``Staging.remove``
            os.unlink(STATE, dir_fd=number)
        remove(folder, name)
    handles.close_all()


def _made(place: Place) -> bool:
    try:
        os.mkdir(place.name, 0o700, dir_fd=place.folder)
    except FileExistsError:
        return False
    return True


def _lock(number: int, shown_as: str) -> bool:
    """Whether it is ours now; where folders cannot be locked, it is not."""
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BeingReceived(shown_as) from None
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
        return False
    return True
