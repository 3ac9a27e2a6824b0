"""What an Emitter remembers of deliveries, in a real folder."""

from __future__ import annotations

import json
import os
import stat
import time
from dataclasses import replace
from pathlib import Path

import pytest
from blake3 import blake3

from selo.agents.bodies import Kind, Offer
from selo.agents.content import Summary
from selo.agents.errors import SinkFault
from selo.agents.memory import DeliveryMemory, HandedOn, Remembered, Stored
from selo.agents.sources import FileSource
from selo.config.errors import FileFault
from selo.crypto.limits import DELIVERY_LENGTH
from selo.errors import SeloError

BOB, CAROL = bytes(32), bytes(31) + b"c"
KEEP = 1000.0


@pytest.fixture
def memory(tmp_path: Path) -> DeliveryMemory:
    """One in a folder that is not there yet."""
    return DeliveryMemory(tmp_path / "deliveries", keep=KEEP)


def files(folder: Path) -> list[Path]:
    """What it wrote."""
    return sorted((folder / "deliveries").iterdir())


def test_the_same_is_called_the_same(memory: DeliveryMemory, tmp_path: Path) -> None:
    """Asked again, by another process too: one name of 16 bytes, in one file for its owner alone."""
    name = memory.recall(BOB, ["/a", "file"]).delivery
    assert len(name) == DELIVERY_LENGTH
    assert memory.recall(BOB, ["/a", "file"]).delivery == name
    assert DeliveryMemory(tmp_path / "deliveries", keep=KEEP).recall(BOB, ["/a", "file"]).delivery == name
    (file,) = files(tmp_path)
    assert json.loads(file.read_text()) == {"version": 1, "delivery": name.hex()}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_security_what_differs_is_called_otherwise(memory: DeliveryMemory) -> None:
    """Another peer, another text, the same letters cut otherwise: no two are ever one delivery."""
    asked = [
        (BOB, ["/a", "b"]),
        (CAROL, ["/a", "b"]),
        (BOB, ["/ab"]),
        (BOB, ["/a", "b", ""]),
        (BOB, ["b", "/a"]),
        (BOB, ['/a", "b']),
        (BOB, []),
    ]
    names = [memory.recall(peer, what).delivery for peer, what in asked]
    assert len(set(names)) == len(names)
    assert [memory.recall(peer, what).delivery for peer, what in asked] == names


def test_what_is_forgotten_is_a_new_delivery(memory: DeliveryMemory, tmp_path: Path) -> None:
    """After its receipt the same command delivers anew; others are still known. Twice does no harm."""
    name, other = memory.recall(BOB, ["a"]).delivery, memory.recall(BOB, ["b"]).delivery
    memory.forget(BOB, ["a"])
    memory.forget(BOB, ["a"])
    assert len(files(tmp_path)) == 1
    assert memory.recall(BOB, ["a"]).delivery != name
    assert memory.recall(BOB, ["b"]).delivery == other


STORED = Stored("tcp://bob:1", 3, bytes(32), items=2, items_bytes=1, durable=True)
STORED_ENTRY = {
    "to": "tcp://bob:1",
    "length": 3,
    "blake3": "00" * 32,
    "items": 2,
    "items_bytes": 1,
    "durable": True,
}


def stored_as(entry: object, without: str | None = None) -> bytes:
    """A file that says of its delivery that it is stored."""
    if without is not None:
        assert isinstance(entry, dict)
        entry = {name: value for name, value in entry.items() if name != without}
    return json.dumps({"version": 1, "delivery": "00" * 16, "stored": entry}).encode()


def test_what_was_stored_is_read_as_it_was_written() -> None:
    """All fields, in the form that this page's damaged ones are made from."""
    assert Remembered.unpack(stored_as(STORED_ENTRY)) == Remembered(bytes(16), STORED)
    assert Remembered.unpack(Remembered(bytes(16), STORED).pack()) == Remembered(bytes(16), STORED)


DAMAGED = {
    "empty": b"",
    "no JSON": b"{",
    "not UTF-8": b"\xff\xfe\xfd",
    "no object": b"[1]",
    "a number": b"7",
    "null": b"null",
    "another version": b'{"version": 2, "delivery": "' + b"00" * 16 + b'"}',
    "no version": b'{"delivery": "' + b"00" * 16 + b'"}',
    "one more key": b'{"version": 1, "delivery": "' + b"00" * 16 + b'", "x": 1}',
    "a short name": b'{"version": 1, "delivery": "00"}',
    "a long name": b'{"version": 1, "delivery": "' + b"00" * 17 + b'"}',
    "no hexadecimal": b'{"version": 1, "delivery": "' + b"zz" * 16 + b'"}',
    "a name of numbers": b'{"version": 1, "delivery": 7}',
    "deep": b"[" * 60_000,
    "stored, and nothing else": stored_as({}),
    "stored as text": stored_as("yes"),
    "stored as null": stored_as(None),
    **{f"stored without {name}": stored_as(STORED_ENTRY, name) for name in STORED_ENTRY},
    "stored with more": stored_as(STORED_ENTRY | {"x": 1}),
    "a short digest": stored_as(STORED_ENTRY | {"blake3": "00"}),
    "a digest that is a number": stored_as(STORED_ENTRY | {"blake3": 7}),
    "a length that is text": stored_as(STORED_ENTRY | {"length": "1"}),
    "a number that is a truth": stored_as(STORED_ENTRY | {"items": True}),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_costs_no_more_than_a_new_name(
    memory: DeliveryMemory, tmp_path: Path, content: bytes
) -> None:
    """Whatever it holds, there is a name, and it stays the same from then on."""
    first = memory.recall(BOB, ["a"]).delivery
    (file,) = files(tmp_path)
    file.write_bytes(content)
    name = memory.recall(BOB, ["a"]).delivery
    assert len(name) == DELIVERY_LENGTH
    assert name not in (first, bytes(16))
    assert memory.recall(BOB, ["a"]).delivery == name


def test_what_nobody_took_up_is_forgotten(memory: DeliveryMemory, tmp_path: Path) -> None:
    """A file older than ``keep`` goes when another is asked for, and counts no more itself."""
    old = memory.recall(BOB, ["old"]).delivery
    memory.recall(BOB, ["young"])
    for what, age in (("old", KEEP + 10), ("young", KEEP - 100)):
        file = memory._path(BOB, [what])
        os.utime(file, (time.time() - age,) * 2)
    assert memory.recall(BOB, ["old"]).delivery != old
    assert len(files(tmp_path)) == 2
    os.utime(memory._path(BOB, ["young"]), (0, 0))
    memory.recall(BOB, ["old"])
    assert len(files(tmp_path)) == 1


def test_a_folder_that_cannot_be_made_is_an_error_of_the_family(tmp_path: Path) -> None:
    """A file where the folder should be."""
    (tmp_path / "deliveries").touch()
    with pytest.raises(SeloError):
        DeliveryMemory(tmp_path / "deliveries", keep=KEEP).recall(BOB, ["a"])


def test_what_was_stored_is_known_to_the_next_process(memory: DeliveryMemory, tmp_path: Path) -> None:
    """Its receipt has verified: the same source needs no second delivery, any other one does."""
    source = tmp_path / "source"
    source.write_bytes(data := os.urandom(3_000_000))
    name = memory.recall(BOB, ["a"]).delivery
    stored = replace(STORED, length=len(data), blake3=blake3(data).digest())
    memory.note_stored(BOB, ["a"], Remembered(name, stored))
    again = DeliveryMemory(tmp_path / "deliveries", keep=KEEP).recall(BOB, ["a"])
    assert again == Remembered(name, stored)
    assert stored.is_same_as(FileSource(source))
    for other in (data[:-1], data + b"x", b"y" + data[1:], b""):
        source.write_bytes(other)
        assert not stored.is_same_as(FileSource(source))


# The Receiver's


OFFER = Offer(Kind.STREAM, "dump", 3, delivery=bytes(range(16)))
SUMMARY = Summary(3, bytes(32), 1, 3, bytes(32), durable=False, target="/dev/null")


@pytest.fixture
def handed_on(tmp_path: Path) -> HandedOn:
    """Of a place, in a folder that is not there yet."""
    return HandedOn(tmp_path / "stored", keep=KEEP, place=["-", "tcp://*:1"])


def test_what_was_handed_on_is_known_until_it_is_forgotten(handed_on: HandedOn, tmp_path: Path) -> None:
    """All that is signed for, in a file for its owner alone."""
    assert handed_on.recall(OFFER) is None
    handed_on.forget(OFFER)
    assert not (tmp_path / "stored").exists()
    handed_on.note(OFFER, SUMMARY)
    again = HandedOn(tmp_path / "stored", keep=KEEP, place=["-", "tcp://*:1"])
    assert again.recall(OFFER) == SUMMARY
    (file,) = (tmp_path / "stored").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    again.forget(OFFER)
    assert handed_on.recall(OFFER) is None


def test_security_nothing_else_is_taken_for_what_was_handed_on(handed_on: HandedOn, tmp_path: Path) -> None:
    """Another name of the delivery, another place, another kind or name of the stream."""
    handed_on.note(OFFER, SUMMARY)
    for place in ([], ["-"], ["-", "tcp://*:2"], ["/fifo", "tcp://*:1"]):
        assert HandedOn(tmp_path / "stored", keep=KEEP, place=place).recall(OFFER) is None
    for changed in ({"delivery": bytes(16)}, {"kind": Kind.FILE}, {"name": "other"}, {"name": None}):
        assert handed_on.recall(replace(OFFER, **changed)) is None
    assert handed_on.recall(OFFER) == SUMMARY


def test_other_digests_than_were_made_cannot_be_signed_for(handed_on: HandedOn) -> None:
    """The list of items that was made is not the one that is asked for: said so, and nothing is signed."""
    handed_on.note(OFFER, SUMMARY)
    with pytest.raises(SinkFault, match="other digests"):
        handed_on.recall(replace(OFFER, sha256=True))


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[" * 60_000])
def test_a_damaged_note_says_nothing(handed_on: HandedOn, tmp_path: Path, content: bytes) -> None:
    """As if there were none; the next one is good again. So it is with one bit that is another."""
    handed_on.note(OFFER, SUMMARY)
    (file,) = (tmp_path / "stored").iterdir()
    whole = file.read_bytes()
    for damaged in (content, whole[:-1], whole[:50] + b"0" + whole[51:] if whole[50:51] != b"0" else b"1"):
        file.write_bytes(damaged)
        assert handed_on.recall(OFFER) is None
    handed_on.note(OFFER, SUMMARY)
    assert handed_on.recall(OFFER) == SUMMARY


def test_old_notes_go_when_another_is_made(handed_on: HandedOn, tmp_path: Path) -> None:
    """After ``keep`` seconds nobody comes for the receipt any more."""
    handed_on.note(OFFER, SUMMARY)
    (old,) = (tmp_path / "stored").iterdir()
    os.utime(old, (time.time() - KEEP - 10,) * 2)
    handed_on.note(replace(OFFER, delivery=bytes(16)), SUMMARY)
    assert not old.exists()
    assert len(list((tmp_path / "stored").iterdir())) == 1


def test_a_note_that_cannot_be_made_is_an_error_of_the_family(handed_on: HandedOn, tmp_path: Path) -> None:
    """A file where the folder should be."""
    (tmp_path / "stored").touch()
    with pytest.raises(FileFault):
        handed_on.note(OFFER, SUMMARY)
