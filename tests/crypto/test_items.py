"""Lists of items: one encoding, read however it is cut, and bound by one hash."""

from __future__ import annotations

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selo.crypto.items import (
    LINK_TARGET_MAX,
    NO_DIGEST,
    PATH_MAX,
    Item,
    ItemLog,
    ItemType,
    MalformedReceipt,
    unpack_items,
)

SOME = bytes(range(32))
OTHER = bytes(range(32, 64))
ITEMS = [
    Item(ItemType.FOLDER, b"photos"),
    Item(ItemType.FILE, b"photos/a.jpg", 7, SOME),
    Item(ItemType.FILE, b"photos/caf\xc3\xa9 \xff\n", 1 << 63, SOME, OTHER),
    Item(ItemType.LINK, b"photos/latest", target=b"a.jpg"),
    Item(ItemType.STREAM, b"", 0, SOME),
]
LIST = b"".join(item.pack() for item in ITEMS)

digests = st.binary(min_size=32, max_size=32)
paths = st.binary(min_size=1, max_size=300)
sizes = st.integers(0, 2**64 - 1)
any_item = st.one_of(
    st.builds(Item, st.just(ItemType.FOLDER), paths),
    st.builds(Item, st.just(ItemType.FILE), paths, sizes, digests, st.none() | digests),
    st.builds(Item, st.just(ItemType.STREAM), st.just(b"") | paths, sizes, digests, st.none() | digests),
    st.builds(
        lambda path, target: Item(ItemType.LINK, path, target=target),
        paths,
        st.binary(min_size=1, max_size=99),
    ),
)


def test_the_bytes_are_those_of_the_page() -> None:
    """Type, path, size, target, BLAKE3 and SHA-256, each length before what it counts."""
    packed = Item(ItemType.FILE, b"ab", 5, SOME, OTHER).pack()
    assert packed == b"\x02\0\0\0\2ab" + struct.pack(">QI", 5, 0) + SOME + b"\x20" + OTHER
    packed = Item(ItemType.LINK, b"ab", target=b"xyz").pack()
    assert packed == b"\x03\0\0\0\2ab" + struct.pack(">QI", 0, 3) + b"xyz" + NO_DIGEST + b"\0"


@given(st.lists(any_item, max_size=5))
def test_what_is_packed_is_read_again(items: list[Item]) -> None:
    """Any list of legal items comes back, and to the same bytes."""
    packed = b"".join(item.pack() for item in items)
    read = list(unpack_items([packed]))
    assert read == items
    assert b"".join(item.pack() for item in read) == packed


@pytest.mark.parametrize("size", [1, 2, 3, 7, 31, 32, 33, 100])
def test_blocks_of_any_size(size: int) -> None:
    """How the list is cut into blocks makes no difference."""
    assert list(unpack_items(LIST[at : at + size] for at in range(0, len(LIST), size))) == ITEMS


def test_every_split() -> None:
    """Cut in two anywhere, it reads the same; empty blocks are none."""
    for at in range(len(LIST) + 1):
        assert list(unpack_items([LIST[:at], b"", LIST[at:]])) == ITEMS


def test_items_come_as_soon_as_they_are_whole() -> None:
    """A long list is not waited for."""

    def blocks():
        yield ITEMS[0].pack()
        raise AssertionError("more was asked for than the first item takes")

    assert next(unpack_items(blocks())) == ITEMS[0]


def test_every_truncation_is_refused() -> None:
    """A list ends with an item's last byte and nowhere else."""
    ends = {sum(len(item.pack()) for item in ITEMS[:count]) for count in range(len(ITEMS) + 1)}
    for length in set(range(len(LIST))) - ends:
        with pytest.raises(MalformedReceipt):
            list(unpack_items([LIST[:length]]))


def raw(number: int, path: bytes, size: int, target: bytes, digest: bytes, other: bytes) -> bytes:
    head = struct.pack(">BI", number, len(path)) + path + struct.pack(">QI", size, len(target)) + target
    return head + digest + bytes([len(other)]) + other


@pytest.mark.parametrize("number", [0, *range(5, 256)])
def test_security_unknown_types_are_refused(number: int) -> None:
    """Of every number that is no type."""
    with pytest.raises(MalformedReceipt):
        list(unpack_items([raw(number, b"a", 0, b"", SOME, b"")]))


@pytest.mark.parametrize("number", ItemType)
@pytest.mark.parametrize("path", [b"", b"a"])
@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize("target", [b"", b"b"])
@pytest.mark.parametrize("digest", [NO_DIGEST, SOME])
@pytest.mark.parametrize("other", [b"", OTHER])
def test_security_each_type_has_its_own_fields(
    number: ItemType, path: bytes, size: int, target: bytes, digest: bytes, other: bytes
) -> None:
    """All combinations: only a stream may lack a path, only a link has a target, only content is measured."""
    packed = raw(number, path, size, target, digest, other)
    content = number in (ItemType.FILE, ItemType.STREAM)
    legal = (
        (bool(path) or number is ItemType.STREAM)
        and bool(target) == (number is ItemType.LINK)
        and (content or (size, digest, other) == (0, NO_DIGEST, b""))
    )
    if legal:
        assert [item.pack() for item in unpack_items([packed])] == [packed]
    else:
        with pytest.raises(MalformedReceipt):
            list(unpack_items([packed]))


@pytest.mark.parametrize("length", sorted({*range(256)} - {0, 32}))
def test_security_digests_of_another_length_are_refused(length: int) -> None:
    """SHA-256 has 32 bytes or is not there."""
    with pytest.raises(MalformedReceipt):
        list(unpack_items([raw(2, b"a", 0, b"", SOME, bytes(length))]))


@pytest.mark.parametrize("claim", [PATH_MAX + 1, 1 << 31, (1 << 32) - 1])
def test_security_a_long_path_is_refused_by_its_length(claim: int) -> None:
    """Before any of it has come, so that nothing is kept by a stranger's number."""
    with pytest.raises(MalformedReceipt):
        list(unpack_items([struct.pack(">BI", 2, claim)]))


def test_security_a_long_target_is_refused_by_its_length() -> None:
    """The longest is read, and one more byte is refused before any of it has come."""
    longest = Item(ItemType.LINK, b"a", target=b"t" * LINK_TARGET_MAX)
    assert list(unpack_items([longest.pack()])) == [longest]
    with pytest.raises(MalformedReceipt):
        list(unpack_items([b"\x03\0\0\0\1a" + struct.pack(">QI", 0, LINK_TARGET_MAX + 1)]))


def test_the_longest_path_is_read() -> None:
    """The limit itself is legal."""
    longest = Item(ItemType.FOLDER, b"p" * PATH_MAX)
    assert list(unpack_items([longest.pack()])) == [longest]


def test_a_log_counts_and_binds_its_items() -> None:
    """How many, how many bytes, and SHA-256 over a label and all items; ``keep`` is handed their bytes."""
    kept: list[bytes] = []
    log = ItemLog(kept.append)
    for item in ITEMS:
        log.add(item)
    assert (log.count, log.size) == (5, 7 + (1 << 63))
    assert log.hash == hashlib.sha256(b"selo/1 items\0" + LIST).digest()
    assert b"".join(kept) == LIST


def test_security_the_hash_tells_lists_apart() -> None:
    """Another order, one item less and one twice are other lists."""
    lists = [ITEMS, ITEMS[::-1], ITEMS[:-1], [*ITEMS, ITEMS[-1]], []]
    hashes = set()
    for items in lists:
        log = ItemLog()
        for item in items:
            log.add(item)
        hashes.add(log.hash)
    assert len(hashes) == len(lists)


def test_a_copy_goes_on_alone() -> None:
    """What the copy takes changes nothing in the first one, and is kept nowhere."""
    kept: list[bytes] = []
    log = ItemLog(kept.append)
    log.add(ITEMS[0])
    before = log.hash
    other = log.copy()
    other.add(ITEMS[1])
    assert (log.hash, log.count, len(kept)) == (before, 1, 1)
    assert (other.count, other.size) == (2, 7)
    log.add(ITEMS[1])
    assert other.hash == log.hash


def test_the_words_of_a_malformed_list() -> None:
    """One sentence with the reason."""
    assert str(MalformedReceipt("its last item is cut short")) == (
        "not a Selo receipt: its last item is cut short"
    )
