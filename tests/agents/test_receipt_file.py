"""Receipts on disk: written once, whole and over nothing, and read again whole or not at all."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from selo.agents.receipt_file import (
    SPOOL_MAX,
    NotAReceipt,
    ReceiptExists,
    ReceiptKeeper,
    read_receipt,
    require_place,
)
from selo.config.errors import FileFault
from selo.crypto.identity import Identity
from selo.crypto.items import Item, ItemLog, ItemType
from selo.crypto.receipts import Statement, sign, verify
from selo.crypto.suites import CLASSIC
from selo.errors import MisuseError, UsageError

ITEMS = [
    Item(ItemType.FOLDER, b"photos"),
    Item(ItemType.FILE, b"photos/a.jpg", 7, b"x" * 32),
    Item(ItemType.LINK, b"photos/latest", target=b"a.jpg"),
]


@pytest.fixture(scope="module")
def receiver() -> Identity:
    return Identity.generate(os.urandom)


def statement_of(log: ItemLog, receiver: Identity) -> Statement:
    return Statement(
        suite=CLASSIC,
        emitter=b"E" * 32,
        receiver=receiver.fingerprint,
        transcript=b"T" * 32,
        delivery=b"D" * 16,
        kind=3,
        durable=True,
        sha256=False,
        time=1_800_000_000,
        items=log.count,
        items_bytes=log.size,
        length=300,
        blake3=b"B" * 32,
        items_hash=log.hash,
    )


def kept(keeper: ReceiptKeeper, items: list[Item], receiver: Identity) -> Statement:
    """Goes through a whole delivery, as an Emitter does."""
    log = ItemLog(keeper.begin())
    for item in items:
        log.add(item)
    statement = statement_of(log, receiver)
    keeper.signed(statement, sign(receiver, statement))
    return statement


def test_what_is_written_is_read_again(tmp_path: Path, receiver: Identity) -> None:
    """Statement, signature and items, as often as one asks for them."""
    keeper = ReceiptKeeper(tmp_path / "receipt")
    statement = kept(keeper, ITEMS, receiver)
    keeper.write()
    with read_receipt(tmp_path / "receipt") as receipt:
        assert receipt.statement == statement
        assert verify(receiver.public, statement, receipt.signature)
        assert list(receipt.items()) == ITEMS
        assert list(receipt.items()) == ITEMS


def test_a_receipt_is_its_owners_alone(tmp_path: Path, receiver: Identity) -> None:
    """Mode 0600, whatever the umask, and nothing else is left in the folder."""
    before = os.umask(0)
    try:
        keeper = ReceiptKeeper(tmp_path / "receipt")
        kept(keeper, ITEMS, receiver)
        keeper.write()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "receipt").stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["receipt"]


def test_nothing_is_there_before_the_end(tmp_path: Path, receiver: Identity) -> None:
    """A delivery that is cut leaves no file, however long its list was."""
    keeper = ReceiptKeeper(tmp_path / "receipt")
    long = Item(ItemType.FOLDER, b"x" * 100_000)
    kept(keeper, [long] * (2 * SPOOL_MAX // 100_000), receiver)
    assert os.listdir(tmp_path) == []
    keeper.discard()
    keeper.discard()
    assert os.listdir(tmp_path) == []


def test_a_long_list_goes_to_disk_and_back(tmp_path: Path, receiver: Identity) -> None:
    """Twice what memory holds, all of it."""
    items = [Item(ItemType.FILE, b"%d" % n + b"x" * 1000, n, b"x" * 32) for n in range(2 * SPOOL_MAX // 1000)]
    keeper = ReceiptKeeper(tmp_path / "receipt")
    kept(keeper, items, receiver)
    keeper.write()
    with read_receipt(tmp_path / "receipt") as receipt:
        assert list(receipt.items()) == items


def test_a_list_that_begins_anew_forgets_what_was(tmp_path: Path, receiver: Identity) -> None:
    """A second session that starts from the beginning does not repeat the items of the first."""
    keeper = ReceiptKeeper(tmp_path / "receipt")
    kept(keeper, ITEMS[:2], receiver)
    kept(keeper, ITEMS, receiver)
    keeper.write()
    with read_receipt(tmp_path / "receipt") as receipt:
        assert list(receipt.items()) == ITEMS


def test_only_what_was_signed_is_written(tmp_path: Path, receiver: Identity) -> None:
    """Without a signature, or with one over another list, there is no file."""
    keeper = ReceiptKeeper(tmp_path / "receipt")
    with pytest.raises(MisuseError):
        keeper.write()
    statement = kept(keeper, ITEMS, receiver)
    keeper.signed(replace(statement, items_hash=b"h" * 32), b"s" * 64)
    with pytest.raises(MisuseError):
        keeper.write()
    keeper.discard()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "what", ["a file", "an empty file", "a folder", "a link", "a link to nowhere", "a FIFO"]
)
def test_security_nothing_is_written_over(what: str, tmp_path: Path) -> None:
    """Whatever has the name is found out before anything is sent, and stays as it is."""
    path, other = tmp_path / "receipt", tmp_path / "other"
    other.write_bytes(b"other")
    make = {
        "a file": lambda: path.write_bytes(b"mine"),
        "an empty file": path.touch,
        "a folder": path.mkdir,
        "a link": lambda: path.symlink_to(other),
        "a link to nowhere": lambda: path.symlink_to(tmp_path / "nowhere"),
        "a FIFO": lambda: os.mkfifo(path),
    }
    make[what]()
    before = os.lstat(path)
    for refusing in (require_place, ReceiptKeeper):
        with pytest.raises(ReceiptExists, match="it exists already") as caught:
            refusing(path)
    assert isinstance(caught.value, UsageError) and caught.value.hint
    assert os.lstat(path) == before
    assert sorted(os.listdir(tmp_path)) == ["other", "receipt"]


def test_a_missing_folder_is_found_out_at_once(tmp_path: Path) -> None:
    """Before anything is sent, and by name."""
    with pytest.raises(FileFault, match="cannot write .*missing/receipt: no such file or directory"):
        require_place(tmp_path / "missing" / "receipt")


def test_a_folder_that_refuses_is_found_out_at_once() -> None:
    """A folder in which no file can be made: the process table's, for everybody."""
    with pytest.raises(FileFault, match="cannot write"):
        require_place("/proc/self/receipt")


def test_a_name_that_was_taken_meanwhile(tmp_path: Path, receiver: Identity) -> None:
    """Who was faster keeps the name, and the receipt is kept beside it: it cannot be had again."""
    path = tmp_path / "receipt"
    keeper = ReceiptKeeper(path)
    kept(keeper, ITEMS, receiver)
    path.write_bytes(b"theirs")
    with pytest.raises(FileFault, match="something has that name since; the receipt is in ") as caught:
        keeper.write()
    assert path.read_bytes() == b"theirs"
    with read_receipt(caught.value.reason.rpartition(" ")[2]) as receipt:
        assert list(receipt.items()) == ITEMS


def test_a_full_disk_is_a_fault_and_leaves_nothing(tmp_path: Path, receiver: Identity) -> None:
    """What cannot be written whole is not there at all. (A limit on files' sizes stands for the disk.)"""
    program = f"""
import resource, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from selo.agents.receipt_file import ReceiptKeeper
from selo.config.errors import FileFault
from test_receipt_file import ITEMS, Identity, kept
import os
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
keeper = ReceiptKeeper("receipt")
kept(keeper, ITEMS, Identity.generate(os.urandom))
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    keeper.write()
except FileFault as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "cannot write receipt: file too large\n"), done.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("data", [b"", b"hello\n", b"\xff\0", b"-----BEGIN SELO RECEIPT-----\n" * 2])
def test_another_file_is_no_receipt(data: bytes, tmp_path: Path) -> None:
    """A sentence that names the file and the reason."""
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(NotAReceipt, match="file holds no receipt: ") as caught:
        read_receipt(path)
    assert isinstance(caught.value, UsageError)


def test_a_damaged_list_is_no_receipt(tmp_path: Path, receiver: Identity) -> None:
    """A receipt is read to its end before any of its items is handed out."""
    keeper = ReceiptKeeper(tmp_path / "receipt")
    kept(keeper, ITEMS, receiver)
    keeper.write()
    lines = (tmp_path / "receipt").read_bytes().splitlines(keepends=True)
    lines[-3] = lines[-3].swapcase()
    (tmp_path / "damaged").write_bytes(b"".join(lines))
    with pytest.raises(NotAReceipt):
        read_receipt(tmp_path / "damaged")


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    """And so is a folder."""
    with pytest.raises(FileFault, match="cannot read .*missing: no such file or directory"):
        read_receipt(tmp_path / "missing")
    with pytest.raises(FileFault, match="cannot read .*: is a directory"):
        read_receipt(tmp_path)


def test_a_receipt_can_come_through_a_pipe(tmp_path: Path, receiver: Identity) -> None:
    """It is read once, from its beginning to its end."""
    keeper = ReceiptKeeper(tmp_path / "receipt")
    kept(keeper, ITEMS, receiver)
    keeper.write()
    with subprocess.Popen(["cat", str(tmp_path / "receipt")], stdout=subprocess.PIPE) as cat:
        assert cat.stdout is not None
        with read_receipt(f"/dev/fd/{cat.stdout.fileno()}") as receipt:
            assert list(receipt.items()) == ITEMS


def test_the_lists_own_file_has_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, receiver: Identity
) -> None:
    """A reader that is killed leaves nothing behind: what is spooled to disk is in no folder."""
    keeper = ReceiptKeeper(tmp_path / "receipt")
    kept(keeper, [Item(ItemType.FOLDER, b"x" * 100_000)] * (2 * SPOOL_MAX // 100_000), receiver)
    keeper.write()
    spools = tmp_path / "spools"
    spools.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spools))
    with read_receipt(tmp_path / "receipt") as receipt:
        assert sum(1 for _ in receipt.items()) == receipt.statement.items
        assert os.listdir(spools) == []
