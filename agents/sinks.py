"""Where a delivery goes: a file, standard output, a callable.

A sink is used by one thread (``Writer`` in workers.py), which owns it from ``open``
to ``commit`` or ``discard``. Its system errors leave as ``SinkFault``. Nothing is
under its final name before ``commit``.
"""

from __future__ import annotations

import itertools
import os
import secrets
import select
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from selo.agents.bodies import Offer
from selo.agents.errors import SinkFault, TargetExists
from selo.agents.names import checked_file_name
from selo.config.files import NO_LINKS, UNSYNCABLE

NEW_FILE_MODE = 0o600
"""Files we make are for their owner alone; widening is the owner's business."""


class Sink(Protocol):
    """What a Receiver writes."""

    @property
    def hands_on(self) -> bool:
        """Whether what is written is out of our hands at once, so that ``discard`` cannot call it back."""

    def open(self, offer: Offer) -> None:
        """Prepare for the delivery, or refuse it.

        Raises:
            SinkFault: there is no place for it.
        """

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take all of ``data``.

        Raises:
            SinkFault: not all of it could be written.
        """

    def commit(self) -> str | None:
        """Make what was written durable and visible; returns where it is, if that has a name.

        Raises:
            SinkFault: it could not; under the final name is nothing, or what was there before, or
                (if only making that durable failed) the whole delivery.
        """

    def discard(self) -> None:
        """Forget what was written; does nothing after ``commit``. May be called twice, at any time,
        and from another thread while the sink's own hangs in ``write`` or ``commit``."""


class CallableSink:
    """Hands every block to a function, in order."""

    hands_on = True

    def __init__(self, function: Callable[[bytes], object]) -> None:
        self._function = function

    def open(self, offer: Offer) -> None:
        """Nothing to prepare."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        try:
            self._function(bytes(data))
        except BaseException as error:  # its sys.exit() too: this thread is not its to end
            raise SinkFault("to the callable", f"it raised {type(error).__name__}") from error

    def commit(self) -> str | None:
        return None

    def discard(self) -> None:
        """What the function got, it has; it learns of a cut session from the session's error."""


class DescriptorSink:
    """An open descriptor (standard output, a FIFO, a device): written as it comes."""

    hands_on = True

    def __init__(self, descriptor: int, *, shown_as: str = "standard output") -> None:
        self._descriptor = descriptor
        self._shown_as = shown_as

    def open(self, offer: Offer) -> None:
        """It is open."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        with _faults(self._shown_as):
            _write_all(self._descriptor, data)

    def commit(self) -> str | None:
        with _faults(self._shown_as):
            _sync(self._descriptor)
        return None

    def discard(self) -> None:
        """What was written cannot be called back; the exit status says that it is not whole."""


class FileSink:
    """One file at a path that the user chose; a device or FIFO there is written directly.

    A symbolic link that the user names is followed, as ``cp`` would.
    """

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        self._path = Path(path)
        self._overwrite = overwrite
        self._inner: _PartialFile | _SpecialFile | None = None

    @property
    def hands_on(self) -> bool:
        return self._inner is not None and self._inner.hands_on

    def open(self, offer: Offer) -> None:
        with _faults(str(self._path)):
            special = self._path.exists() and not self._path.is_file() and not self._path.is_dir()
            if special:
                # Not by its real path: /dev/stdout and /dev/fd/63 have none that can be opened.
                self._inner = _SpecialFile(self._path)
            else:
                target = Path(os.path.realpath(self._path))
                self._inner = _PartialFile(target, overwrite=self._overwrite)
        self._inner.open(offer)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert self._inner is not None
        self._inner.write(data)

    def commit(self) -> str | None:
        assert self._inner is not None
        return self._inner.commit()

    def discard(self) -> None:
        if self._inner is not None:
            self._inner.discard()


class FolderSink:
    """A folder into which each delivery goes under the name it brings, once that passed the door.

    A stream without a name is called after its sender and the time.
    """

    hands_on = False

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        sender: str,
        overwrite: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._folder = Path(folder)
        self._sender = sender
        self._overwrite = overwrite
        self._now = now
        self._file: _PartialFile | None = None

    def open(self, offer: Offer) -> None:
        name = checked_file_name(offer.name) if offer.name is not None else self._free_name()
        self._file = _PartialFile(self._folder / name, overwrite=self._overwrite)
        self._file.open(offer)

    def _free_name(self) -> str:
        """A made-up name that nothing has: two streams of one second are two files."""
        stem = f"{self._sender}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(self._now()))}"
        for name in itertools.chain([stem], (f"{stem}-{n}" for n in itertools.count(2))):
            if not os.path.lexists(self._folder / name):
                self._overwrite = False  # whoever takes it in between keeps it
                return name
        raise AssertionError("there is always a next number")

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert self._file is not None
        self._file.write(data)

    def commit(self) -> str | None:
        assert self._file is not None
        return self._file.commit()

    def discard(self) -> None:
        if self._file is not None:
            self._file.discard()


class _OwnDescriptor:
    """A descriptor that only the thread that opened it closes.

    Where another thread closed it under a hanging write, its number could be another file's, or a
    socket's, by the time that write goes on.
    """

    def __init__(self, path: Path, flags: int) -> None:
        self.number = os.open(path, flags | os.O_CLOEXEC, NEW_FILE_MODE)
        self._thread = threading.get_ident()
        self._open = True

    def close(self) -> None:
        if self._open and threading.get_ident() == self._thread:
            self._open = False
            os.close(self.number)


class _SpecialFile(DescriptorSink):
    """A device or FIFO; closed at the end, which is how a FIFO's reader learns of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own = _OwnDescriptor(path, os.O_WRONLY | os.O_NOCTTY)
        super().__init__(self._own.number, shown_as=str(path))

    def commit(self) -> str | None:
        super().commit()
        with _faults(str(self._path)):
            self._own.close()
        return str(self._path)

    def discard(self) -> None:
        with suppress(OSError):
            self._own.close()


class _PartialFile:
    """A file under a temporary name in its target's folder until it is whole and synced."""

    hands_on = False

    def __init__(self, target: Path, *, overwrite: bool) -> None:
        self._target = target
        self._overwrite = overwrite
        self._temporary = target.parent / f".selo-{secrets.token_hex(8)}.part"
        self._own: _OwnDescriptor | None = None
        self._folder: _OwnDescriptor | None = None
        self._exists = False

    def open(self, offer: Offer) -> None:
        self._check_target()
        with _faults(str(self._target)):
            self._check_room(offer.size)
            # Opened now and kept: a folder that we may not read, or a process out of descriptors, is no
            # reason to fail when all the data is there.
            self._folder = _OwnDescriptor(self._target.parent, os.O_RDONLY | os.O_DIRECTORY)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            try:
                self._own = _OwnDescriptor(self._temporary, flags)
            except OSError:
                self._folder.close()
                raise
            self._exists = True

    def _check_target(self) -> None:
        """Refuse early: the Emitter hears of it before it sends its data."""
        with _faults(str(self._target)):
            try:
                mode = os.lstat(self._target).st_mode
            except FileNotFoundError:
                return
        if stat.S_ISDIR(mode):
            raise SinkFault(str(self._target), "it is a folder")
        if not self._overwrite:
            raise TargetExists(str(self._target))

    def _check_room(self, size: int | None) -> None:
        volume = os.statvfs(self._target.parent)
        free = volume.f_bavail * volume.f_frsize
        if size is not None and volume.f_blocks and size > free:
            reason = f"it takes {size:,} bytes and {free:,} are free"
            raise SinkFault(str(self._target), reason, for_peer="there is not enough room for it")

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert self._own is not None
        with _faults(str(self._target)):
            _write_all(self._own.number, data)

    def commit(self) -> str | None:
        assert self._own is not None and self._folder is not None
        with _faults(str(self._target)):
            os.fsync(self._own.number)
            self._own.close()
            self._name_it()
            self._exists = False
            _sync(self._folder.number)  # without this the name itself may not survive a power cut
            self._folder.close()
        return str(self._target)

    def _name_it(self) -> None:
        """Give the file its name; ``rename`` would silently replace what appeared meanwhile."""
        if self._overwrite:
            os.replace(self._temporary, self._target)
            return
        try:
            os.link(self._temporary, self._target, follow_symlinks=False)
        except FileExistsError:
            raise TargetExists(str(self._target)) from None
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            if os.path.lexists(self._target):
                raise TargetExists(str(self._target)) from None
            os.rename(self._temporary, self._target)
            return
        os.unlink(self._temporary)

    def discard(self) -> None:
        for descriptor in (self._own, self._folder):
            if descriptor is not None:
                with suppress(OSError):  # what could not be written back at the close is not wanted any more
                    descriptor.close()
        if self._exists:
            self._exists = False
            with suppress(OSError):  # the folder is gone or read-only: nothing more can be done for it
                os.unlink(self._temporary)


@contextmanager
def _faults(target: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SinkFault.from_os(target, error) from error


def _write_all(descriptor: int, data: bytes | bytearray | memoryview) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:  # somebody who shares our standard output made it non-blocking
            writable = select.poll()
            writable.register(descriptor, select.POLLOUT)
            writable.poll()


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNSYNCABLE:
            raise
