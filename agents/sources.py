"""Where a delivery comes from: bytes, a file, an open descriptor, an iterable.

A source makes its offer before anything is sent, then yields blocks from a thread
of its own (``Reader`` in reader.py). Its system errors leave as ``SourceFault``.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import weakref
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from blake3 import blake3

from selo.agents.bodies import NAME_MAX, Kind, Offer
from selo.agents.errors import SourceFault
from selo.crypto.items import ItemLog

Block = bytes | bytearray | memoryview

_PIPE_SIZE = 1 << 20
"""Bytes we ask the kernel to give an input pipe (its usual ceiling): fewer, larger records."""

READ_AT_ONCE = 1 << 20
"""Bytes, when a file is compared with what was read of it."""

_HOLE = 4096
"""Bytes that a file must save on the disk to be sparse: a page, the least that a sink would skip."""

_END: Any = object()


class Source(Protocol):
    """What an Emitter reads."""

    @property
    def offer(self) -> Offer:
        """What the delivery is called and how long it is, as far as that is known."""

    @property
    def restartable(self) -> bool:
        """Whether ``blocks`` may be called again, and gives the same from the beginning."""

    @property
    def log(self) -> ItemLog | None:
        """The items that ``blocks`` has given, where the delivery is made of several; else None."""

    def blocks(self, block_size: int) -> Iterator[Block]:
        """The bytes, in blocks of 1 to ``block_size`` bytes; live input yields what is here.

        Raises:
            SourceFault: they cannot be read, or changed while they were read.
        """

    def cancel(self) -> None:
        """Make a ``blocks`` that waits for input fail soon; any thread may call it."""


class BytesSource:
    """Bytes at hand, as a stream or, with ``name``, as a file.

    Raises:
        SourceFault: ``name`` cannot be a delivery's name.
    """

    restartable = True
    log = None

    def __init__(self, data: bytes, name: str | None = None) -> None:
        self._data = data
        self.offer = _offer(Kind.STREAM if name is None else Kind.FILE, name, len(data), "bytes")

    def blocks(self, block_size: int) -> Iterator[Block]:
        view = memoryview(self._data)
        for start in range(0, len(view), block_size):
            yield view[start : start + block_size]

    def cancel(self) -> None:
        """Nothing waits here."""


class IterableSource:
    """Whatever an iterable yields, block by block; an error in it becomes a ``SourceFault``.

    Raises:
        SourceFault: ``name`` cannot be a delivery's name.
    """

    restartable = False
    log = None

    def __init__(self, chunks: Iterable[Block], name: str | None = None) -> None:
        self._chunks = chunks
        self.offer = _offer(Kind.STREAM, name, None, "the iterable")

    def blocks(self, block_size: int) -> Iterator[Block]:
        for chunk in self._chunks_or_fault():
            # A generator may reuse its buffer, and we read ahead. Not bytes(chunk) of anything: an
            # int, which is what bytes yield when they are iterated, would become that many zeros.
            view = memoryview(chunk if isinstance(chunk, bytes) else bytes(_view(chunk)))
            for start in range(0, len(view), block_size):
                yield view[start : start + block_size]

    def _chunks_or_fault(self) -> Iterator[Block]:
        try:
            chunks = iter(self._chunks)
            while (chunk := next(chunks, _END)) is not _END:
                yield chunk
        except GeneratorExit:
            raise
        except BaseException as error:  # its sys.exit() too: this thread is not its to end
            raise SourceFault("the iterable", f"it raised {type(error).__name__}") from error

    def cancel(self) -> None:
        """An iterable cannot be interrupted; its thread ends with the process."""


def _view(chunk: Block) -> memoryview:
    try:
        return memoryview(chunk)
    except TypeError as error:
        raise SourceFault("the iterable", f"it gave {type(chunk).__name__} where bytes are due") from error


class FileSource:
    """A regular file. It is opened at once, so that a wrong path costs no session.

    Raises:
        SourceFault: it cannot be opened, is no regular file, or its name cannot be a delivery's.
    """

    restartable = True
    log = None

    def __init__(self, path: str | os.PathLike[str], name: str | None = None) -> None:
        self._path = os.fspath(path)
        self._descriptor = _open(self._path)
        weakref.finalize(self, _close, self._descriptor)
        self._before = os.fstat(self._descriptor)
        if not stat.S_ISREG(self._before.st_mode):
            raise SourceFault(self._path, "it is no regular file")
        self.offer = replace(
            _offer(Kind.FILE, _name(self._path, name), self._before.st_size, self._path),
            mode=stat.S_IMODE(self._before.st_mode),
            mtime=self._before.st_mtime_ns,
            sparse=is_sparse(self._before),
        )

    def blocks(self, block_size: int) -> Iterator[Block]:
        left, content = self._before.st_size, blake3()
        try:
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            while left and (block := os.read(self._descriptor, min(block_size, left))):
                left -= len(block)
                content.update(block)
                yield block
            more = os.read(self._descriptor, 1)
            after = os.fstat(self._descriptor)
            self._check_unchanged(after, left, more)
            if after.st_ctime_ns != self._before.st_ctime_ns:
                self._check_again(content.digest())
        except OSError as error:
            raise SourceFault.from_os(self._path, error) from error

    def _check_again(self, digest: bytes) -> None:
        """Only its ctime changed, as when it gets another name or mode; or was written, its time put back."""
        if not holds(self._descriptor, self._before.st_size, digest):
            raise SourceFault(self._path, "it changed while it was read", self._hint)

    @property
    def _hint(self) -> str:
        return f"to send a file that is being written, pipe it: selo emit ... - < {self._path}"

    def _check_unchanged(self, after: os.stat_result, left: int, more: bytes) -> None:
        """A file written to while it was read may be a mixture of two states: better no copy."""
        hint = self._hint
        if left:
            raise SourceFault(self._path, f"it shrank while it was read, {left:,} bytes are missing", hint)
        before = self._before
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise SourceFault(self._path, "it changed while it was read", hint)
        if more:  # files of /proc say that they are empty
            raise SourceFault(self._path, "it holds more than its size says", hint)

    def cancel(self) -> None:
        """A read of a regular file does not wait for anybody."""


class DescriptorSource:
    """An open descriptor (standard input, a pipe, a device), as a stream that leaves at once.

    ``shown_as`` names it in errors; an ``owned`` descriptor is closed with the source. A regular file, as
    after `<` in a shell, can be read again from where it stood.

    Raises:
        SourceFault: it is not open, or ``name`` cannot be a delivery's name.
    """

    log = None

    def __init__(
        self,
        descriptor: int,
        name: str | None = None,
        *,
        shown_as: str = "standard input",
        owned: bool = False,
    ) -> None:
        if owned:
            weakref.finalize(self, _close, descriptor)
        self._descriptor = descriptor
        self._shown_as = shown_as
        try:
            self._start, size = _start_and_size(descriptor)
        except OSError as error:
            raise SourceFault.from_os(shown_as, error) from error
        self.restartable = self._start is not None
        self.offer = _offer(Kind.STREAM, name, size, shown_as)
        self._cancelled, self._cancel = os.pipe()
        weakref.finalize(self, _close, self._cancelled, self._cancel)

    def blocks(self, block_size: int) -> Iterator[Block]:
        try:
            if self._start is not None:
                os.lseek(self._descriptor, self._start, os.SEEK_SET)
            _enlarge_pipe(self._descriptor)
            left = self.offer.size or 0
            while block := self._read(block_size):
                left -= len(block)
                yield block
        except OSError as error:
            raise SourceFault.from_os(self._shown_as, error) from error
        if left > 0:  # what grew is taken as far as it goes
            raise SourceFault(self._shown_as, f"it shrank while it was read, {left:,} bytes are missing")

    def _read(self, block_size: int) -> bytes:
        """What is here now, up to ``block_size``; waits for the first byte only. Empty at the end."""
        self._wait_readable(None)
        block = os.read(self._descriptor, block_size)
        if not block or len(block) * 2 > block_size:
            return block
        # A busy writer's next portions join this block; an idle one's bytes do not wait for them.
        parts, length = [block], len(block)
        while (
            length < block_size
            and self._wait_readable(0)
            and (block := os.read(self._descriptor, block_size - length))
        ):
            parts.append(block)
            length += len(block)
        return b"".join(parts)

    def _wait_readable(self, timeout: int | None) -> bool:
        """Whether a read would not wait; ``timeout`` in milliseconds, None: until it is so."""
        poller = select.poll()  # not select(), which fails in a process with more than 1,024 descriptors
        poller.register(self._descriptor, select.POLLIN)
        poller.register(self._cancelled, select.POLLIN)
        ready = {descriptor for descriptor, _ in poller.poll(timeout)}
        if self._cancelled in ready:  # no end in order: what came is not all there was
            raise SourceFault(self._shown_as, "reading it was cancelled")
        return self._descriptor in ready

    def cancel(self) -> None:
        os.write(self._cancel, b"\0")


def open_source(path: str, name: str | None = None) -> Source:
    """The source for a path: a regular file as a file, anything else that can be read as a stream.

    Raises:
        SourceFault: it cannot be opened, is a folder, or its name cannot be a delivery's.
    """
    mode = _mode(path)
    if stat.S_ISREG(mode):
        return FileSource(path, name)
    return DescriptorSource(_open(path), _name(path, name), shown_as=path, owned=True)


def is_sparse(status: os.stat_result) -> bool:
    """Whether a file takes less room on its disk than it has bytes."""
    return status.st_size - status.st_blocks * 512 >= _HOLE


def holds(descriptor: int, size: int, digest: bytes) -> bool:
    """Whether the first ``size`` bytes of an open file have this BLAKE3 now: if they had it when they were
    read before, they are what was there at one moment, namely between the two readings.

    Raises:
        OSError: they cannot be read.
    """
    content, left = blake3(), size
    os.lseek(descriptor, 0, os.SEEK_SET)
    while left and (block := os.read(descriptor, min(READ_AT_ONCE, left))):
        content.update(block)
        left -= len(block)
    return left == 0 and content.digest() == digest


def _mode(path: str) -> int:
    try:
        return os.stat(path).st_mode
    except OSError as error:
        raise SourceFault.from_os(path, error) from error
    except ValueError as error:
        raise SourceFault(ascii(path), "it cannot be a path") from error


def _open(path: str) -> int:
    if stat.S_ISDIR(_mode(path)):
        raise SourceFault(path, "it is a folder")
    try:
        # Opening a FIFO that nobody writes would wait, and no signal ends that: it is waited for in `blocks`.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
        os.set_blocking(descriptor, True)
        return descriptor
    except OSError as error:
        raise SourceFault.from_os(path, error) from error


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        with suppress(OSError):  # nothing was written to it
            os.close(descriptor)


def _name(path: str, name: str | None) -> str:
    return Path(path).name if name is None else name


def _offer(kind: Kind, name: str | None, size: int | None, source: str) -> Offer:
    """The offer, if the protocol can say the name: names on a disk need not be UTF-8."""
    try:
        legal = name is None or 0 < len(name.encode()) <= NAME_MAX
    except UnicodeEncodeError:
        legal = False
    if not legal:
        raise SourceFault(
            source, f"its name is not 1 to {NAME_MAX} bytes of UTF-8", hint="choose another with --as NAME"
        )
    return Offer(kind, name, size)


def _start_and_size(descriptor: int) -> tuple[int | None, int | None]:
    """Where a redirected file stands and how many bytes it still holds; None for pipes and devices."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        return None, None
    start = os.lseek(descriptor, 0, os.SEEK_CUR)
    return start, max(0, status.st_size - start)


def _enlarge_pipe(descriptor: int) -> None:
    import fcntl

    try:
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
    except AttributeError:
        pass  # not this system
    except OSError as error:
        if error.errno not in (errno.EBADF, errno.EPERM, errno.EBUSY, errno.EINVAL):
            raise  # EBADF: no pipe; EPERM, EBUSY: the user's quota; anything else is news
