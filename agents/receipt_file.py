"""Receipts on disk: kept by the Emitter while it delivers, and read again.

A list of items may be long, so it is never held in memory as a whole: beyond ``SPOOL_MAX`` it lies in a
nameless file until it is needed.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from selo.config.errors import FileFault
from selo.config.files import NO_LINKS, UNSYNCABLE
from selo.crypto.items import Item, MalformedReceipt, unpack_items
from selo.crypto.receipts import ReceiptReader, Statement, receipt_text
from selo.crypto.schedule import label
from selo.errors import MisuseError, UsageError

SPOOL_MAX = 1 << 20
"""Bytes of a list that stay in memory: several thousand items."""

_BLOCK = 1 << 18


class ReceiptExists(UsageError):
    """Something has the name already under which a receipt is wanted; it stays as it is."""

    hint = "name another file with --receipt, or move that one away"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"the receipt cannot be written to {self.path}: it exists already"


class NotAReceipt(UsageError):
    """A file that holds no receipt, and why not."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path} holds no receipt: {self.reason}"


def require_place(path: str | os.PathLike[str]) -> None:
    """Find out, before anything is sent, whether a receipt can be written there.

    Raises:
        ReceiptExists: something is there, be it a link that leads nowhere.
        FileFault: its folder is missing, or no file can be made in it.
    """
    path = Path(path)
    with _faults("write", path):
        if os.path.lexists(path):
            raise ReceiptExists(path)
        # Made and not asked for: permissions, a read-only disk and all else that may refuse are tried.
        tempfile.TemporaryFile(dir=path.parent).close()


class ReceiptKeeper:
    """Keeps a delivery's list of items until its receipt can be written, as the file ``path``.

    Used by one thread at a time.

    Raises:
        ReceiptExists, FileFault: see ``require_place``.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        require_place(path)
        self.path = Path(path)
        self._spool = self._new_spool()
        self._hash = _items_hash()
        self._signed: tuple[Statement, bytes] | None = None

    def begin(self) -> Callable[[bytes], None]:
        """Begin the list, or begin it anew; returns ``add``, to be the ``keep`` of an ``ItemLog``."""
        self._spool.close()
        self._spool = self._new_spool()
        self._hash = _items_hash()
        return self.add

    def add(self, packed: bytes) -> None:
        """The next item (``Item.pack``).

        Raises:
            FileFault: the disk does not take it.
        """
        with _faults("write", self.path):
            self._spool.write(packed)
        self._hash.update(packed)

    def signed(self, statement: Statement, signature: bytes) -> None:
        """Take what the Receiver has signed, once ``receipts.check`` has found it good."""
        self._signed = statement, signature

    def write(self) -> None:
        """Write the receipt: whole, synced, for its owner alone, over nothing that is there; the last call.

        Raises:
            MisuseError: nothing was signed, or another list of items was.
            FileFault: the system refused, or something has taken the name meanwhile; then the receipt lies
                beside it, under a name that the fault tells.
        """
        if self._signed is None or self._signed[0].items_hash != self._hash.digest():
            raise MisuseError("a receipt was to be written over a list of items that nobody signed")
        with self._spool, _faults("write", self.path):
            self._spool.seek(0)
            _write_new(self.path, receipt_text(*self._signed, _blocks(self._spool)))

    def discard(self) -> None:
        """Forget everything; no file was made. May be called twice, and after ``write``."""
        self._spool.close()

    def _new_spool(self) -> IO[bytes]:
        # Beside the receipt: where that has room, so has the list, and /tmp may be memory.
        return tempfile.SpooledTemporaryFile(SPOOL_MAX, dir=str(self.path.parent))


def _items_hash() -> hashlib._Hash:
    return hashlib.sha256(label("items"))


class StoredReceipt:
    """A receipt that was read whole: its list of items is the one of its statement.

    Who signed it was not looked at (``crypto.receipts.verify``). To be closed, or used with ``with``.
    """

    def __init__(self, reader: ReceiptReader) -> None:
        self.statement = reader.statement
        self.signature = reader.signature
        self._spool: IO[bytes] = tempfile.SpooledTemporaryFile(SPOOL_MAX)  # noqa: SIM115
        try:
            for item in reader.items():
                self._spool.write(item.pack())
        except BaseException:
            self._spool.close()
            raise

    def items(self) -> Iterator[Item]:
        """Every item in order, as often as it is asked for; one reader at a time."""
        self._spool.seek(0)
        return unpack_items(_blocks(self._spool))

    def close(self) -> None:
        """Give back what the list took."""
        self._spool.close()

    def __enter__(self) -> StoredReceipt:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_receipt(path: str | os.PathLike[str]) -> StoredReceipt:
    """Read a receipt, all of it.

    Raises:
        NotAReceipt: the file holds none.
        FileFault: it cannot be read.
    """
    path = Path(path)
    try:
        with _faults("read", path), open(path, "rb") as file:
            return StoredReceipt(ReceiptReader(_blocks(file)))
    except MalformedReceipt as error:
        raise NotAReceipt(path, error.reason) from error


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    read: Callable[[], bytes] = lambda: file.read(_BLOCK)  # noqa: E731
    return iter(read, b"")


def _write_new(path: Path, blocks: Iterator[bytes]) -> None:
    """A new file of mode 0600 with all of ``blocks``; after a crash it is there whole, or not at all."""
    descriptor, draft = tempfile.mkstemp(prefix=".selo-receipt-", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            file.writelines(blocks)
            file.flush()
            os.fsync(file.fileno())
        _name_it(draft, path)
    except FileExistsError:  # a receipt cannot be had again, so it is not thrown away
        raise FileFault("write", path, f"something has that name since; the receipt is in {draft}") from None
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise
    with suppress(FileNotFoundError):  # it was renamed
        os.unlink(draft)
    _sync_folder(path.parent)


def _name_it(draft: str, path: Path) -> None:
    """Give the draft its name, unless something has it: ``rename`` would replace that."""
    try:
        os.link(draft, path)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))  # the name is ours
        os.replace(draft, path)


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
def _faults(action: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileFault.from_os(action, path, error) from error
