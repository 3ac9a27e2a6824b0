"""Where a delivery goes: a file, standard output, a callable.

A sink is used by one thread (``Writer`` in writer.py), which owns it from ``open``
to ``commit`` or ``discard``. Its system errors leave as ``SinkFault``. Nothing is
under its final name before ``commit``.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from abc import abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from selo.agents.bodies import Kind, Offer
from selo.agents.content import Summary
from selo.agents.errors import SinkFault, TargetExists
from selo.agents.storage.base import Held, ResumableSink, StorageRules, faults
from selo.agents.storage.durable import sync, write_all
from selo.agents.storage.staged_file import StagedFile
from selo.agents.storage.staged_tree import StagedTree
from selo.crypto.items import Item, ItemLog

LOOK_FOR_READER = 0.05
"""Seconds between two looks whether a FIFO is read."""

LINKS_MAX = 40
"""Links one after another that are followed: as many as Linux does."""

TO_BE_FINISHED = StorageRules(keep=False)
"""A cut ends the delivery, and nothing of it stays: for programs that do not say otherwise."""


class Sink(Protocol):
    """What a Receiver writes."""

    @property
    def hands_on(self) -> bool:
        """Whether what is written is out of our hands at once, so that ``discard`` cannot call it back."""

    def open(self, offer: Offer) -> Held | None:
        """Prepare for the delivery, or refuse it.

        Returns:
            what is there of it already, of a sink that can go on from there (``ResumableSink``); else None.

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
        """See ``Sink.open``."""
        refuse_tree(offer, "to the callable")

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
        """See ``Sink.open``."""
        refuse_tree(offer, self._shown_as)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        with faults(self._shown_as):
            write_all(self._descriptor, data)

    def commit(self) -> str | None:
        with faults(self._shown_as):
            sync(self._descriptor)
        return None

    def discard(self) -> None:
        """What was written cannot be called back; the exit status says that it is not whole."""


class _Chosen(ResumableSink):
    """A sink that knows only when it is opened which one it is; ``_inner`` does the work."""

    def __init__(self) -> None:
        self._inner: ResumableSink | SpecialFile | None = None

    @property
    def _chosen(self) -> ResumableSink | SpecialFile:
        assert self._inner is not None
        return self._inner

    @property
    def _staged(self) -> ResumableSink:
        assert isinstance(self._inner, ResumableSink)
        return self._inner

    @property
    def hands_on(self) -> bool:
        return self._inner is not None and self._inner.hands_on

    @property
    def target(self) -> str:
        return self._staged.target

    @property
    def places(self) -> tuple[str, ...]:
        return self._staged.places

    @property
    def durable(self) -> bool:
        return self._staged.durable

    @property
    def keeps(self) -> bool:
        return self._staged.keeps

    @property
    def log(self) -> ItemLog | None:
        return self._staged.log

    @abstractmethod
    def _choose(self, offer: Offer) -> ResumableSink | SpecialFile:
        """The sink for this delivery."""

    def open(self, offer: Offer) -> Held | None:
        """See ``Sink.open``."""
        self._inner = self._choose(offer)
        return self._inner.open(offer)

    def go_on(self, position: int) -> None:
        self._staged.go_on(position)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._chosen.write(data)

    def seal(self, summary: Summary) -> None:
        self._staged.seal(summary)

    def commit(self) -> str | None:
        return self._chosen.commit()

    def forget(self) -> None:
        self._staged.forget()

    def suspend(self) -> None:
        self._staged.suspend()

    def discard(self) -> None:
        if self._inner is not None:
            self._inner.discard()


class FileSink(_Chosen):
    """One file at a path that the user chose; a device or FIFO there is written directly.

    A symbolic link that the user names is followed, as ``cp`` would. ``special``: whether it is a device or
    FIFO; None: what it is now. What becomes one later is somebody else's, and is not written to.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        rules: StorageRules = TO_BE_FINISHED,
        *,
        special: bool | None = None,
    ) -> None:
        super().__init__()
        self._path = Path(path)
        self._rules = rules
        self._special = is_special(path) if special is None else special

    def _choose(self, offer: Offer) -> ResumableSink | SpecialFile:
        refuse_tree(offer, str(self._path))
        with faults(str(self._path)):
            target = _followed(self._path)
            if self._special:
                # Not by its real path: /dev/stdout and /dev/fd/63 have none that can be opened.
                return SpecialFile(self._path, target.parent)
            if self._path.is_symlink() and not self._path.exists():
                # As `cp` has it: whoever made the link would choose where a new file comes to be.
                raise SinkFault(str(self._path), "it is a symbolic link to nothing", "name the file itself")
            if is_special(target):
                raise TargetExists(str(self._path))
        return StagedFile(target.parent, self._rules, name=target.name)


class FolderSink(_Chosen):
    """A folder into which each delivery goes under the name it brings, once that passed the door.

    A stream without a name is called after its sender and the time.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        rules: StorageRules = TO_BE_FINISHED,
        *,
        sender: str,
        on_item: Callable[[Item], object] = lambda _item: None,
        on_start: Callable[[bytes, int], object] = lambda _path, _size: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self._folder = Path(folder)
        self._rules = rules
        self._sender = sender
        self._on_item = on_item
        self._on_start = on_start
        self._now = now

    def _choose(self, offer: Offer) -> ResumableSink:
        if offer.kind is Kind.TREE:
            return StagedTree(
                self._folder, self._rules, on_item=self._on_item, on_start=self._on_start, now=self._now
            )
        return StagedFile(self._folder, self._rules, sender=self._sender, now=self._now)


class SpecialFile(DescriptorSink):
    """A device or FIFO in ``folder``; closed at the end, which is how a FIFO's reader learns of it."""

    def __init__(self, path: Path, folder: Path) -> None:
        super().__init__(-1, shown_as=str(path))
        self._path = path
        self._folder = folder
        self._thread = 0
        self._open = False
        self._given_up = False

    def open(self, offer: Offer) -> None:
        """See ``Sink.open``; waits for the reader of a FIFO.

        Raises:
            TargetExists: it is a regular file by now, which is not ours to write into.
            SinkFault: see ``Sink.open``; or it is a FIFO that somebody has planted.
        """
        super().open(offer)
        self._thread = threading.get_ident()
        flags = os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC | os.O_NONBLOCK
        with faults(str(self._path)):
            while not self._open:
                if self._given_up:
                    raise SinkFault(str(self._path), "nobody came to read it")
                try:
                    self._descriptor = os.open(self._path, flags)
                    self._open = True
                except OSError as error:
                    if error.errno != errno.ENXIO:
                        raise
                    # A blocking open could not be called off, and of this nothing tells.
                    time.sleep(LOOK_FOR_READER)
            try:
                self._refuse_other()
            except SinkFault:
                self._close()
                raise
            os.set_blocking(self._descriptor, True)

    def _refuse_other(self) -> None:
        status = os.fstat(self._descriptor)
        if stat.S_ISREG(status.st_mode):
            raise TargetExists(str(self._path))
        if stat.S_ISFIFO(status.st_mode):
            _refuse_planted(self._path, status, self._folder)

    def commit(self) -> str | None:
        super().commit()
        with faults(str(self._path)):
            self._close()
        return str(self._path)

    def discard(self) -> None:
        self._given_up = True
        with suppress(OSError):
            self._close()

    def _close(self) -> None:
        """Only the thread that opened it does: where another closed it under a hanging write, its number
        could be another file's, or a socket's, by the time that write goes on."""
        if self._open and threading.get_ident() == self._thread:
            self._open = False
            os.close(self._descriptor)


def is_special(path: str | os.PathLike[str]) -> bool:
    """Whether what is there, or where a link there leads, is neither a file nor a folder."""
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def _followed(path: Path) -> Path:
    """Where a path leads whose last name may be a link; the last name of the result is followed no more.

    Raises:
        SinkFault: it is a folder, or a link that somebody has planted.
        OSError: the system refused.
    """
    at = path
    for _ in range(LINKS_MAX):
        if not at.is_symlink():
            break
        _refuse_planted(at, at.lstat(), at.parent)
        at = at.parent / os.readlink(at)
    if at.is_dir():
        raise SinkFault(str(path), "it is a folder")
    return Path(os.path.realpath(at.parent)) / at.name


def _refuse_planted(path: Path, status: os.stat_result, folder: Path) -> None:
    """Where everybody may make names, a link or FIFO is believed only if we made it, or the system.

    Raises:
        SinkFault: somebody else made it.
    """
    if status.st_uid not in (0, os.geteuid()) and os.stat(folder).st_mode & stat.S_IWOTH:
        raise SinkFault(str(path), "somebody else has put it there, into a folder that all can write to")


def refuse_tree(offer: Offer, target: str) -> None:
    """Refuse what is more than one thing where there is room for one only.

    Raises:
        SinkFault: it is a tree.
    """
    if offer.kind is Kind.TREE:
        raise SinkFault(
            target,
            "a folder, or several files, came",
            "`selo receive --into DIR` takes them",
            for_peer="it takes one file or stream, and no folders",
        )
