"""What an Emitter remembers of deliveries, in a real folder."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path

import pytest
from blake3 import blake3

from selo.agents.memory import DeliveryMemory, Remembered
from selo.agents.sources import FileSource, IterableSource
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
    "a short digest": b'{"version": 1, "delivery": "' + b"00" * 16 + b'", "length": 1, "blake3": "00"}',
    "a digest without a length": b'{"version": 1, "delivery": "'
    + b"00" * 16
    + b'", "blake3": "'
    + b"00" * 32
    + b'"}',
    "a length without a digest": b'{"version": 1, "delivery": "' + b"00" * 16 + b'", "length": 1}',
    "a length that is text": b'{"version": 1, "delivery": "'
    + b"00" * 16
    + b'", "length": "1", "blake3": "'
    + b"00" * 32
    + b'"}',
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
    assert not memory.recall(BOB, ["a"]).is_stored(FileSource(source))
    memory.note_stored(BOB, ["a"], Remembered(name, len(data), blake3(data).digest()))
    again = DeliveryMemory(tmp_path / "deliveries", keep=KEEP).recall(BOB, ["a"])
    assert again.delivery == name
    assert again.is_stored(FileSource(source))
    for other in (data[:-1], data + b"x", b"y" + data[1:], b""):
        source.write_bytes(other)
        assert not again.is_stored(FileSource(source))
    assert not again.is_stored(IterableSource([data]))
