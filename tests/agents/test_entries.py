"""A tree's bytes: every entry, every cut, and everything that is not legal."""

from __future__ import annotations

import itertools
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selo.agents.errors import PeerMisbehaved
from selo.agents.trees.entries import (
    DEPTH_MAX,
    LINK_TARGET_MAX,
    Entry,
    EntryReader,
    EntryType,
    is_legal_name,
    link_stays_inside,
)
from selo.crypto.limits import COUNT_MAX

HEADER_MAX = 28 + 255 + 2 + LINK_TARGET_MAX
FOLDER, FILE, LINK = EntryType

TREE: list[Entry | bytes] = [
    Entry(FOLDER, 0, b"top", 0o755, 1_700_000_000_123_456_789),
    Entry(FILE, 1, b"empty", 0o600, 0),
    Entry(FILE, 1, b"f\xff\n", 0o4755, -1, size=5),
    b"hello",
    Entry(FOLDER, 1, b"sub", 0o2770, -(10**9)),
    Entry(LINK, 2, b"l", 0o777, 5, target=b"../f"),
    Entry(FILE, 2, b"sparse", 0o644, 1, size=3, sparse=True),
    b"\0\0\0",
    Entry(FILE, 0, b"n" * 255, 0, 7, size=1),
    b"x",
]


def packed(parts: Iterable[Entry | bytes]) -> bytes:
    return b"".join(part.pack() if isinstance(part, Entry) else part for part in parts)


def merged(parts: Iterable[Entry | bytes | memoryview]) -> list[Entry | bytes]:
    """Entries and whole contents, however the contents were cut."""
    result: list[Entry | bytes] = []
    for part in parts:
        if isinstance(part, Entry):
            result.append(part)
        elif isinstance(result[-1], bytes):
            result[-1] += bytes(part)
        else:
            result.append(bytes(part))
    return result


def read(pieces: Iterable[bytes]) -> list[Entry | bytes]:
    reader = EntryReader()
    result = merged(part for piece in pieces for part in reader.feed(piece))
    assert reader.at_boundary
    return result


def test_an_entry_is_written_as_the_page_says() -> None:
    """Each field at its place, in the order and with the lengths of the format."""
    entry = Entry(FILE, 0x0102, b"name", 0o7654, -1, size=0x0A0B0C0D0E0F, sparse=True)
    assert entry.pack() == bytes.fromhex(
        "02 01 0102 0fac ffffffffffffffff 3b9ac9ff 00000a0b0c0d0e0f 0004 6e616d65 0000"
    )
    link = Entry(LINK, 1, b"l", 0o777, 10**9 + 2, target=b"to")
    assert link.pack() == bytes.fromhex(
        "03 00 0001 01ff 0000000000000001 00000002 0000000000000000 0001 6c 0002 746f"
    )


def test_every_cut_in_two_gives_the_same() -> None:
    """Wherever the bytes are cut, entries and content come out alike."""
    raw = packed(TREE)
    for cut in range(len(raw) + 1):
        assert read([raw[:cut], raw[cut:]]) == TREE


def test_byte_by_byte_gives_the_same() -> None:
    """Also when every byte comes alone, with nothing in between as well."""
    raw = packed(TREE)
    assert read(raw[at : at + 1] for at in range(len(raw))) == TREE
    assert read(piece for byte in raw for piece in (b"", bytes([byte]))) == TREE


@given(st.lists(st.integers(0, len(packed(TREE)))))
def test_any_cuts_give_the_same(cuts: list[int]) -> None:
    """Any number of cuts."""
    raw, places = packed(TREE), [0, *sorted(cuts), len(packed(TREE))]
    assert read(raw[a:b] for a, b in itertools.pairwise(places)) == TREE


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_bytes_will_do(kind: type) -> None:
    """Bytes, a bytearray that is free again afterwards, and a view."""
    data = kind(packed(TREE))
    assert read([data]) == TREE
    if kind is bytearray:
        data.clear()


def test_content_is_not_copied() -> None:
    """Content comes as views into what was fed."""
    data = packed(TREE)
    views = [part for part in EntryReader().feed(data) if not isinstance(part, Entry)]
    assert all(isinstance(view, memoryview) and view.obj is data for view in views)


def test_the_reader_knows_where_it_stands() -> None:
    """After every byte: what is owed, what is pending, and whether the tree may end."""
    reader = EntryReader()
    for part in TREE:
        for at in range(len(raw := packed([part]))):
            assert reader.at_boundary == (isinstance(part, Entry) and at == 0)
            assert reader.owed == (0 if isinstance(part, Entry) else len(raw) - at)
            assert reader.pending == (at if isinstance(part, Entry) else 0)
            list(reader.feed(raw[at : at + 1]))
    assert reader.at_boundary and not reader.owed and not reader.pending


def test_a_reader_can_be_brought_to_any_place() -> None:
    """A new one that was fed the entries so far, and content where a file is begun, goes on alike."""
    for number, part in enumerate(TREE):
        raw = packed([part])
        for at in range(len(raw) if isinstance(part, bytes) else 1):
            reader = EntryReader()
            for before in TREE[:number]:
                list(reader.feed(packed([before])))
            list(reader.feed(raw[:at]))
            rest = merged([TREE[0], *reader.feed(raw[at:] + packed(TREE[number + 1 :]))])[1:]
            assert rest == ([raw[at:], *TREE[number + 1 :]] if at else TREE[number:])


NAMES = st.binary(min_size=1, max_size=255).filter(is_legal_name)
TIMES = st.integers(-(2**63) * 10**9, 2**63 * 10**9 - 1)
ENTRIES = st.one_of(
    st.builds(Entry, st.just(FOLDER), st.just(0), NAMES, st.integers(0, 0o7777), TIMES),
    st.builds(
        Entry,
        st.just(FILE),
        st.just(0),
        NAMES,
        st.integers(0, 0o7777),
        TIMES,
        size=st.integers(0, COUNT_MAX),
        sparse=st.booleans(),
    ),
    st.builds(
        Entry,
        st.just(LINK),
        st.just(0),
        NAMES,
        st.integers(0, 0o7777),
        TIMES,
        target=st.binary(min_size=1, max_size=LINK_TARGET_MAX).map(
            lambda target: target.replace(b"\0", b"0")
        ),
    ),
)


@given(ENTRIES)
def test_every_legal_entry_comes_back(entry: Entry) -> None:
    """All types, modes, times, sizes, names and targets survive, and the reader owes the size."""
    reader = EntryReader()
    assert list(reader.feed(entry.pack())) == [entry]
    assert reader.owed == entry.size


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    """Garbage gives entries or a refusal, whole or byte by byte the same, and little is held."""

    def run(pieces: Iterator[bytes]) -> tuple[list[Entry | bytes], str]:
        reader, result = EntryReader(), []
        try:
            for piece in pieces:
                for part in reader.feed(piece):
                    result.append(part)
                    assert reader.pending <= HEADER_MAX
        except PeerMisbehaved:
            return merged(result), "refused"
        return merged(result), "fine"

    assert run(iter([raw])) == run(raw[at : at + 1] for at in range(len(raw)))


LEGAL = {
    FOLDER: Entry(FOLDER, 0, b"name", 0o755, 5),
    FILE: Entry(FILE, 0, b"name", 0o644, 5, size=1),
    LINK: Entry(LINK, 0, b"name", 0o777, 5, target=b"to"),
}


def raw_entry(of: EntryType, **changes: int | bytes) -> bytes:
    """A legal entry but for some fields, written without any check."""
    legal = LEGAL[of]
    fields: dict[str, int | bytes] = {
        "type": legal.type,
        "flags": 0,
        "depth": 0,
        "mode": legal.mode,
        "seconds": 0,
        "nanoseconds": 5,
        "size": legal.size,
        "name": legal.name,
        "target": legal.target,
    } | changes
    name, target = fields.pop("name"), fields.pop("target")
    assert isinstance(name, bytes) and isinstance(target, bytes)
    head = struct.pack(">BBHHqIQ", *fields.values())
    return head + struct.pack(">H", len(name)) + name + struct.pack(">H", len(target)) + target


ILLEGAL_ANYWHERE: dict[str, list[int | bytes]] = {
    "type": [0, *range(4, 256)],
    "flags": list(range(2, 256)),
    "depth": [1, 2, DEPTH_MAX, DEPTH_MAX + 1, 65535],
    "mode": [0o10000, 0o10644, 0o100644, 0o170000, 65535],
    "nanoseconds": [10**9, 10**9 + 1, 2**32 - 1],
    "size": [COUNT_MAX + 1, 2**64 - 1],
    "name": [
        *(b"", b".", b"..", b"/", b"a/b", b"/a", b"a/", b"../a"),
        *(b"\0", b"a\0", b"\0a", b"n" * 256, b"n" * 65535),
    ],
}
ILLEGAL = [
    *(
        (of, field, value)
        for of in EntryType
        for field, values in ILLEGAL_ANYWHERE.items()
        for value in values
    ),
    *((of, "flags", 1) for of in (FOLDER, LINK)),
    *((of, "size", size) for of in (FOLDER, LINK) for size in (1, COUNT_MAX)),
    *((of, "target", target) for of in (FOLDER, FILE) for target in (b"t", b"t" * LINK_TARGET_MAX)),
    *(
        (LINK, "target", target)
        for target in (b"", b"\0", b"a\0b", b"t" * (LINK_TARGET_MAX + 1), b"t" * 65535)
    ),
]


def test_the_table_is_about_entries_that_are_legal_otherwise() -> None:
    """Without a change each of them is read."""
    for of, entry in LEGAL.items():
        assert list(EntryReader().feed(raw_entry(of))) == [entry]


@pytest.mark.parametrize("of", EntryType)
def test_every_illegal_field_is_refused(of: EntryType) -> None:
    """Each illegal value of each field of each type, in one piece and byte by byte."""
    for _, field, value in (case for case in ILLEGAL if case[0] is of):
        raw = raw_entry(of, **{field: value})
        with pytest.raises(PeerMisbehaved):
            list(EntryReader().feed(raw))
        reader = EntryReader()
        for at in range(len(raw)):
            try:
                assert not list(reader.feed(raw[at : at + 1])), (field, value)
            except PeerMisbehaved:
                break
            assert reader.pending <= HEADER_MAX
        else:
            raise AssertionError(f"{field} {value!r} passed")


def test_what_is_too_long_is_refused_before_it_is_there() -> None:
    """A length says enough: nobody waits for, or keeps, what would be refused."""
    for raw, enough in (
        (raw_entry(LINK, name=b"n" * 65535), 28),
        (raw_entry(LINK, target=b"t" * 65535), 28 + 4 + 2),
        (raw_entry(FILE, type=9), 28),
    ):
        reader = EntryReader()
        assert not list(reader.feed(raw[: enough - 1]))
        with pytest.raises(PeerMisbehaved):
            list(reader.feed(raw[enough - 1 : enough]))


def test_all_bytes_but_two_may_be_in_a_name() -> None:
    """256 values at the beginning, in the middle and at the end."""
    for byte in range(256):
        for name in (bytes([byte, 97]), bytes([97, byte, 97]), bytes([97, byte])):
            legal = byte not in b"/\0"
            assert is_legal_name(name) == legal
            if legal:
                assert read([replace(LEGAL[FOLDER], name=name).pack()])
    assert (
        is_legal_name(b"...") and is_legal_name(b". ") and is_legal_name(b"-") and is_legal_name(b"n" * 255)
    )


def test_what_came_before_an_illegal_entry_is_given() -> None:
    """The good ones first, then the refusal."""
    parts = EntryReader().feed(packed(TREE[:4]) + raw_entry(FILE, type=0))
    assert merged(itertools.islice(parts, 4)) == TREE[:4]
    with pytest.raises(PeerMisbehaved):
        next(parts)


@pytest.mark.parametrize("before", [None, *itertools.product(EntryType, range(3))])
def test_an_entry_lies_in_a_folder_that_is_open(before: tuple[EntryType, int] | None) -> None:
    """After each type at each depth: the depths up to its own, one more below a folder, and no other."""
    opened = [replace(LEGAL[FOLDER], depth=depth) for depth in range(before[1] if before else 0)]
    last = [replace(LEGAL[before[0]], depth=before[1], size=0)] if before else []
    deepest = 0 if before is None else before[1] + (before[0] is FOLDER)
    for of, depth in itertools.product(EntryType, range(6)):
        reader = EntryReader()
        list(reader.feed(packed([*opened, *last])))
        entry = replace(LEGAL[of], depth=depth)
        if depth <= deepest:
            assert list(reader.feed(entry.pack())) == [entry]
        else:
            with pytest.raises(PeerMisbehaved, match="deeper"):
                list(reader.feed(entry.pack()))


def test_a_folder_that_was_left_is_closed() -> None:
    """Up again and then two down is refused, though a folder of that depth was there before."""
    folders = [replace(LEGAL[FOLDER], depth=depth) for depth in (0, 1, 2, 0)]
    reader = EntryReader()
    list(reader.feed(packed(folders)))
    with pytest.raises(PeerMisbehaved):
        list(reader.feed(replace(LEGAL[FILE], depth=2).pack()))


@pytest.mark.parametrize("of", EntryType)
def test_the_deepest_level_is_named(of: EntryType) -> None:
    """Entries lie ``DEPTH_MAX`` folders deep and not one deeper."""
    reader = EntryReader()
    list(reader.feed(packed(replace(LEGAL[FOLDER], depth=depth) for depth in range(DEPTH_MAX))))
    assert list(reader.feed(replace(LEGAL[FOLDER], depth=DEPTH_MAX).pack()))
    with pytest.raises(PeerMisbehaved, match="deeper"):
        list(reader.feed(replace(LEGAL[of], depth=DEPTH_MAX + 1).pack()))


# Links

STEPS = ("..", ".", "", "a", "l")


def climbs(target: str) -> int | None:
    """How far a target climbs before it goes down; None if it climbs again or begins at the root."""
    if target.startswith("/") or not target:
        return None
    climbed, down = 0, False
    for step in target.split("/"):
        if step == "..":
            if down:
                return None
            climbed += 1
        elif step not in ("", "."):
            down = True
    return climbed


TARGETS = sorted(
    {"/".join(steps) for count in range(1, 5) for steps in itertools.product(STEPS, repeat=count)}
)


@pytest.mark.parametrize("depth", range(5))
def test_a_link_stays_inside_its_item(depth: int) -> None:
    """All targets of up to four steps: allowed when they climb first, and less far than the link is deep."""
    for target in TARGETS:
        climbed = climbs(target)
        allowed = climbed is not None and climbed < depth
        assert link_stays_inside(depth, target.encode()) == allowed, target


@pytest.mark.parametrize(
    "target",
    [b"", b"/", b"/etc/passwd", b"\0", b"a\0b", b"t" * (LINK_TARGET_MAX + 1), b"../" * 300, b"a/../b"],
)
def test_no_depth_makes_these_targets_legal(target: bytes) -> None:
    """Nothing, the root, a zero byte, too long, too far and climbing again."""
    assert not any(link_stays_inside(depth, target) for depth in range(DEPTH_MAX + 1))


@pytest.mark.parametrize(
    "target", [b"...", b"..a", b"a..", b".. ", b"\xff", b"a//b/", b"./a", b"\\..\\", b"t" * LINK_TARGET_MAX]
)
def test_what_only_looks_like_climbing_is_a_name(target: bytes) -> None:
    """Dots within names, any bytes, and doubled slashes."""
    assert link_stays_inside(1, target)


def test_links_that_are_allowed_lead_inside_on_a_disk(tmp_path: Path) -> None:
    """Allowed targets, made for real on three levels and through one another: none of them gets out."""
    top = tmp_path / "top"
    folders = [top, top / "a", top / "a" / "a"]
    folders[-1].mkdir(parents=True)
    short = [target for target in TARGETS if target and target.count("/") < 3]
    for first in short:
        for folder in folders:
            depth = len(folder.relative_to(tmp_path).parts)
            (folder / "l").unlink(missing_ok=True)
            if link_stays_inside(depth, first.encode()):
                (folder / "l").symlink_to(first)
        for depth, folder in enumerate(folders, start=1):
            for second in short[::3]:
                if link_stays_inside(depth, second.encode()):
                    with suppress(OSError):  # to nothing, or in a circle
                        real = os.path.realpath(folder / second, strict=True)
                        assert real == str(top) or real.startswith(f"{top}/"), (first, second)
