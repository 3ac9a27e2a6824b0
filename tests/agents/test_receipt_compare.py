"""What lies here against what was delivered: every difference is found, and no link is followed."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from selo.agents.receipt_compare import Comparison, Difference, NotInReceipt
from selo.agents.receipt_file import ReceiptKeeper, StoredReceipt, read_receipt
from selo.crypto.items import Item, ItemLog, ItemType
from selo.crypto.receipts import Statement
from selo.crypto.suites import CLASSIC
from tests.leaks import descriptors

MakeReceipt = Callable[..., StoredReceipt]


def file_item(path: bytes, content: bytes, *, sha256: bool = False, kind: ItemType = ItemType.FILE) -> Item:
    other = hashlib.sha256(content).digest() if sha256 else None
    return Item(kind, path, len(content), blake3(content).digest(), other)


def items_of(top: Path, *, sha256: bool = False) -> Iterator[Item]:
    """The list of what lies at ``top``, in the order of a delivery."""
    name = os.fsencode(top.name)
    if not top.is_dir() or top.is_symlink():
        yield file_item(name, top.read_bytes(), sha256=sha256)
        return
    yield Item(ItemType.FOLDER, name)
    for entry in sorted(top.iterdir(), key=os.fsencode):
        if entry.is_symlink():
            path = name + b"/" + os.fsencode(entry.name)
            yield Item(ItemType.LINK, path, target=os.fsencode(os.readlink(entry)))
            continue
        for item in items_of(entry, sha256=sha256):
            yield Item(item.type, name + b"/" + item.path, item.size, item.blake3, item.sha256, item.target)


@pytest.fixture
def make_receipt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeReceipt]:
    """Makes receipts over lists of items; nobody signed them, which is not looked at here."""
    made: list[StoredReceipt] = []

    def make(items: list[Item], kind: int = 3) -> StoredReceipt:
        path = tmp_path_factory.mktemp("receipt") / "receipt"
        keeper = ReceiptKeeper(path)
        log = ItemLog(keeper.begin())
        for item in items:
            log.add(item)
        statement = Statement(
            suite=CLASSIC,
            emitter=b"E" * 32,
            receiver=b"R" * 32,
            transcript=b"T" * 32,
            delivery=b"D" * 16,
            kind=kind,
            durable=True,
            sha256=any(item.sha256 for item in items),
            time=0,
            items=log.count,
            items_bytes=log.size,
            length=0,
            blake3=b"B" * 32,
            items_hash=log.hash,
        )
        keeper.signed(statement, b"s" * 64)
        keeper.write()
        made.append(read_receipt(path))
        return made[-1]

    yield make
    for receipt in made:
        receipt.close()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A tree with folders, files, an empty folder and links, one of which leads nowhere."""
    top = tmp_path / "photos"
    (top / "2026" / "may").mkdir(parents=True)
    (top / "empty").mkdir()
    (top / "a.jpg").write_bytes(b"a photo")
    (top / "2026" / "may" / "b.jpg").write_bytes(b"another photo" * 200_000)
    (top / "2026" / "nothing").touch()
    (top / "latest").symlink_to("2026/may/b.jpg")
    (top / "lost").symlink_to("nowhere")
    return top


def differences(receipt: StoredReceipt, *paths: Path | str) -> list[Difference]:
    return list(Comparison(receipt, [str(path) for path in paths]).differences())


@pytest.mark.parametrize("sha256", [False, True])
def test_a_tree_that_is_as_it_was(sha256: bool, photos: Path, make_receipt: MakeReceipt) -> None:
    """No difference, nothing besides, and every item was looked at."""
    receipt = make_receipt(list(items_of(photos, sha256=sha256)))
    comparison = Comparison(receipt, [str(photos)])
    assert list(comparison.differences()) == []
    assert list(comparison.extras()) == []
    assert comparison.compared == receipt.statement.items == 9


def swap_for_link(path: Path) -> None:
    """The same content, by way of a link."""
    moved = path.parent.parent / f"moved-{path.name}"
    path.rename(moved)
    path.symlink_to(moved)


CHANGES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "a byte": ("a.jpg", lambda path: path.write_bytes(b"a Photo"), "its content differs"),
    "the last byte": (
        "2026/may/b.jpg",
        lambda path: path.write_bytes(path.read_bytes()[:-1] + b"!"),
        "its content differs",
    ),
    "shorter": ("a.jpg", lambda path: path.write_bytes(b"a"), "it has 1 bytes, and 7 were delivered"),
    "longer": ("a.jpg", lambda path: path.write_bytes(b"a photo!"), "it has 8 bytes, and 7 were delivered"),
    "no longer empty": (
        "2026/nothing",
        lambda path: path.write_bytes(b"x"),
        "it has 1 bytes, and 0 were delivered",
    ),
    "a file missing": ("a.jpg", Path.unlink, "it is missing"),
    "a folder missing": ("empty", Path.rmdir, "it is missing"),
    "a link missing": ("latest", Path.unlink, "it is missing"),
    "a link that leads elsewhere": (
        "latest",
        lambda path: (path.unlink(), path.symlink_to("a.jpg")),
        "it points elsewhere",
    ),
    "a file for a link": (
        "lost",
        lambda path: (path.unlink(), path.touch()),
        "it is a file, and a link was delivered",
    ),
    "a link for a file": ("a.jpg", swap_for_link, "it is a link, and a file was delivered"),
    "a link for a folder": ("empty", swap_for_link, "it is a link, and a folder was delivered"),
    "a file for a folder": (
        "empty",
        lambda path: (path.rmdir(), path.touch()),
        "it is a file, and a folder was delivered",
    ),
    "a folder for a file": (
        "a.jpg",
        lambda path: (path.unlink(), path.mkdir()),
        "it is a folder, and a file was delivered",
    ),
    "a FIFO for a file": (
        "a.jpg",
        lambda path: (path.unlink(), os.mkfifo(path)),
        "it is a device, and a file was delivered",
    ),
    "a socket for a file": (
        "a.jpg",
        lambda path: (path.unlink(), bound_socket(path)),
        "it is a device, and a file was delivered",
    ),
}


def bound_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        before = os.getcwd()
        os.chdir(path.parent)  # a socket's path is short
        try:
            made.bind(path.name)
        finally:
            os.chdir(before)


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_found(change: str, photos: Path, make_receipt: MakeReceipt) -> None:
    """One change of each kind is one difference, with its path here and its reason."""
    receipt = make_receipt(list(items_of(photos)))
    below, make, reason = CHANGES[change]
    make(photos / below)
    assert differences(receipt, photos) == [Difference(str(photos / below), reason)]


def test_sha256_is_compared_where_it_is_there(photos: Path, make_receipt: MakeReceipt) -> None:
    """A list whose BLAKE3 fits and whose SHA-256 does not is none of this file's."""
    item = file_item(b"a.jpg", b"a photo", sha256=True)
    wrong = Item(item.type, item.path, item.size, item.blake3, b"0" * 32)
    assert differences(make_receipt([item]), photos / "a.jpg") == []
    reasons = [difference.reason for difference in differences(make_receipt([wrong]), photos / "a.jpg")]
    assert reasons == ["its content differs"]


def test_security_no_link_below_the_path_is_followed(photos: Path, make_receipt: MakeReceipt) -> None:
    """A folder that was swapped for a link to its very content is missed, with everything in it."""
    receipt = make_receipt(list(items_of(photos)))
    swap_for_link(photos / "2026")
    found = differences(receipt, photos)
    assert {difference.path.removeprefix(f"{photos}/"): difference.reason for difference in found} == {
        "2026": "it is a link, and a folder was delivered",
        "2026/may": "it is missing",
        "2026/may/b.jpg": "it is missing",
        "2026/nothing": "it is missing",
    }


@pytest.mark.parametrize(
    "below", [b"../secret", b"..", b".", b"a/../../secret", b"/secret", b"", b"a//b", b"a/", b"a\0b"]
)
def test_security_a_hostile_path_leads_nowhere(
    below: bytes, tmp_path: Path, make_receipt: MakeReceipt
) -> None:
    """Whoever signed the list may have written anything into it: nothing outside is looked at."""
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "top" / "a").mkdir(parents=True)
    items = [Item(ItemType.FOLDER, b"top"), file_item(b"top/" + below, b"secret")]
    found = differences(make_receipt(items), tmp_path / "top")
    if below:
        assert [difference.reason for difference in found] == [
            "what was delivered is called as nothing can be"
        ]
    else:  # "top/" is the top itself
        assert [difference.reason for difference in found] == ["it is a folder, and a file was delivered"]


def test_a_path_that_the_person_names_is_followed(
    photos: Path, tmp_path: Path, make_receipt: MakeReceipt
) -> None:
    """A link to the folder or the file is as good as that itself."""
    receipt = make_receipt(list(items_of(photos)))
    (tmp_path / "shortcut").symlink_to(photos)
    assert differences(receipt, tmp_path / "shortcut") == []
    one = make_receipt([file_item(b"a.jpg", b"a photo")], kind=1)
    (tmp_path / "short").symlink_to(photos / "a.jpg")
    assert differences(one, tmp_path / "short") == []


@pytest.mark.parametrize("written", ["photos", "photos/", "./photos//", "photos/.", "photos/2026/.."])
def test_how_a_folder_may_be_written(
    written: str, photos: Path, tmp_path: Path, make_receipt: MakeReceipt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The item is found by the folder's own name, among others."""
    other = tmp_path / "other.txt"
    other.write_bytes(b"other")
    receipt = make_receipt([*items_of(photos), *items_of(other)])
    monkeypatch.chdir(tmp_path)
    assert differences(receipt, written) == []


def test_the_only_item_may_be_called_anything_here(
    photos: Path, tmp_path: Path, make_receipt: MakeReceipt
) -> None:
    """A file, a stream or a folder that was stored under another name."""
    receipt = make_receipt(list(items_of(photos)))
    photos.rename(tmp_path / "photos (2)")
    assert differences(receipt, tmp_path / "photos (2)") == []
    stored = tmp_path / "stored"
    stored.write_bytes(b"a stream")
    for name in (b"", b"log", b"a/b", b".."):
        stream = make_receipt([file_item(name, b"a stream", kind=ItemType.STREAM)], kind=0)
        assert differences(stream, stored) == []


def test_several_paths_each_to_its_item(photos: Path, tmp_path: Path, make_receipt: MakeReceipt) -> None:
    """What belongs to none of them is not looked at, and said to be so."""
    other, third = tmp_path / "other.txt", tmp_path / "third.txt"
    other.write_bytes(b"other")
    third.write_bytes(b"third")
    receipt = make_receipt([*items_of(photos), *items_of(other), *items_of(third)])
    other.write_bytes(b"OTHER")
    comparison = Comparison(receipt, [str(other), str(photos)])
    assert [difference.path for difference in comparison.differences()] == [str(other)]
    assert comparison.compared == receipt.statement.items - 1


def test_two_copies_of_one_item(photos: Path, tmp_path: Path, make_receipt: MakeReceipt) -> None:
    """Each is compared; an item counts once."""
    receipt = make_receipt(list(items_of(photos)))
    copy = tmp_path / "copies" / "photos"
    shutil.copytree(photos, copy, symlinks=True)
    (copy / "a.jpg").write_bytes(b"A photo")
    comparison = Comparison(receipt, [str(photos), str(copy)])
    assert [difference.path for difference in comparison.differences()] == [str(copy / "a.jpg")]
    assert comparison.compared == receipt.statement.items


def test_a_path_that_belongs_to_no_item(photos: Path, tmp_path: Path, make_receipt: MakeReceipt) -> None:
    """Where there are several, another name is a mistake and not a difference."""
    other = tmp_path / "other.txt"
    other.write_bytes(b"other")
    receipt = make_receipt([*items_of(photos), *items_of(other)])
    with pytest.raises(NotInReceipt, match="nothing in the receipt is called as .*renamed"):
        Comparison(receipt, [str(tmp_path / "renamed")])


def test_a_path_that_is_not_there(photos: Path, make_receipt: MakeReceipt) -> None:
    """One difference, not one for each item."""
    receipt = make_receipt(list(items_of(photos)))
    shutil.rmtree(photos)
    assert differences(receipt, photos) == [Difference(str(photos), "it is missing")]
    photos.touch()
    assert differences(receipt, photos) == [
        Difference(str(photos), "it is a file, and a folder was delivered")
    ]


def test_what_lies_besides_is_named(photos: Path, make_receipt: MakeReceipt) -> None:
    """Files, folders and links that were not delivered: no differences; a folder stands for what it holds."""
    receipt = make_receipt(list(items_of(photos)))
    (photos / "new").mkdir()
    (photos / "new" / "inside").touch()
    (photos / "2026" / "may" / "c.jpg").touch()
    (photos / "elsewhere").symlink_to("/")
    comparison = Comparison(receipt, [str(photos)])
    assert list(comparison.differences()) == []
    extras = [os.path.relpath(path, photos) for path in comparison.extras()]
    assert extras == ["elsewhere", "new", "2026/may/c.jpg"]


def test_names_that_are_no_text(tmp_path: Path, make_receipt: MakeReceipt) -> None:
    """Bytes of a name that are no UTF-8 are compared as they are."""
    top = tmp_path / "top"
    top.mkdir()
    name = os.fsdecode(b"caf\xe9\n\x1b[2J")
    (top / name).write_bytes(b"x")
    receipt = make_receipt(list(items_of(top)))
    assert differences(receipt, top) == []
    (top / name).write_bytes(b"y")
    assert differences(receipt, top) == [Difference(str(top / name), "its content differs")]


def test_a_tree_deeper_than_a_path_can_say(tmp_path: Path, make_receipt: MakeReceipt) -> None:
    """Folders are entered one by one, so a system's limit on paths is none here."""
    top, name, depth = tmp_path / "top", "n" * 200, 40
    top.mkdir()
    items, path = [Item(ItemType.FOLDER, b"top")], b"top"
    handle = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=handle)
        inner = os.open(name, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle, path = inner, path + b"/" + name.encode()
        items.append(Item(ItemType.FOLDER, path))
    os.close(os.open("extra", os.O_CREAT | os.O_WRONLY, dir_fd=handle))
    os.close(handle)
    comparison = Comparison(make_receipt(items), [str(top)])
    assert list(comparison.differences()) == []
    assert len(list(comparison.extras())) == 1


def test_no_handle_is_left_open(photos: Path, make_receipt: MakeReceipt) -> None:
    """However many paths there are, and whatever is missing in them."""
    receipt = make_receipt(list(items_of(photos)))
    shutil.rmtree(photos / "2026")
    before = descriptors()
    comparison = Comparison(receipt, [str(photos)])
    assert list(comparison.differences())
    assert descriptors() == before
    assert list(comparison.extras()) == []
    assert descriptors() == before


def test_handles_are_no_more_than_folders_are_deep(tmp_path: Path, make_receipt: MakeReceipt) -> None:
    """However many paths are named: those that are done with are given back."""
    tops = [tmp_path / f"{number:02}" for number in range(30)]
    for top in tops:
        top.mkdir()
        (top / "file").write_bytes(b"x")
    receipt = make_receipt([item for top in tops for item in items_of(top)])
    for top in tops:
        (top / "file").write_bytes(b"y")
    before, seen = descriptors(), 0
    for _ in Comparison(receipt, [str(top) for top in tops]).differences():
        seen += 1
        assert descriptors(collect=False) <= before + 1
    assert seen == 30
