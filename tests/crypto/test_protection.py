"""Record protection against the second implementation, and everything its tag covers."""

from __future__ import annotations

from types import ModuleType

import pytest

from selo.crypto.protection import RecordProtection
from selo.crypto.schedule import RecordKeys
from selo.crypto.suites import CLASSIC
from selo.errors import MisuseError

KEYS = {"enc": b"\x01" * 32, "mac": b"\x02" * 32, "iv": b"\x03" * 32}
LENGTHS = [0, 1, 15, 16, 17, 31, 32, 33, 255, 256, 4096]


def protection(epoch: int = 0, direction: int = 0x45, **keys: bytes) -> RecordProtection:
    return RecordProtection(RecordKeys(**(KEYS | keys)), suite=CLASSIC, direction=direction, epoch=epoch)


@pytest.mark.parametrize("direction", [0x45, 0x52])
@pytest.mark.parametrize("seq", [0, 65_535, 65_536])
@pytest.mark.parametrize("length", LENGTHS)
def test_a_record_is_the_specifications(length: int, seq: int, direction: int, reference: ModuleType) -> None:
    """The body is byte for byte what the second implementation makes, and opens to what was sealed."""
    plaintext = bytes(n % 251 for n in range(length))
    header, body = reference.seal(KEYS, direction, 3, seq, plaintext)
    out = bytearray(length + 32)
    tag = protection(seq >> 16, direction).seal_into(header, seq, plaintext, memoryview(out))
    assert bytes(out) == body
    assert tag == body[-32:]
    opener = protection(seq >> 16, direction)
    iv = opener.verify(header, seq, memoryview(body))
    assert iv is not None
    assert opener.decrypt(iv, memoryview(body)) == plaintext


@pytest.mark.parametrize("position", range(16))
def test_security_the_tag_covers_every_byte_of_the_header(position: int, reference: ModuleType) -> None:
    """Whatever byte of the header differs, the tag does not verify."""
    header, body = reference.seal(KEYS, 0x45, 3, 0, b"plaintext")
    changed = bytearray(header)
    changed[position] ^= 0x80
    assert protection().verify(changed, 0, memoryview(body)) is None


@pytest.mark.parametrize("position", range(9 + 32))
def test_security_the_tag_covers_every_byte_of_the_body(position: int, reference: ModuleType) -> None:
    """Whatever byte of the ciphertext or of the tag differs, the tag does not verify."""
    header, body = reference.seal(KEYS, 0x45, 3, 0, b"plaintext")
    changed = bytearray(body)
    changed[position] ^= 0x80
    assert protection().verify(header, 0, memoryview(changed)) is None


def test_security_the_tag_covers_direction_epoch_and_iv(reference: ModuleType) -> None:
    """The same bytes under the same keys do not verify for another direction, another number (so another IV),
    another epoch, or with another IV key."""
    header, body = reference.seal(KEYS, 0x45, 3, 0, b"plaintext")
    view = memoryview(body)
    assert protection().verify(header, 0, view) is not None
    assert protection(direction=0x52).verify(header, 0, view) is None
    assert protection().verify(header, 1, view) is None
    assert protection(epoch=1).verify(header, 65_536, view) is None
    assert protection(iv=b"\x04" * 32).verify(header, 0, view) is None
    assert protection(mac=b"\x04" * 32).verify(header, 0, view) is None


def test_security_a_number_is_sealed_once() -> None:
    """A second record under the same number is a bug, and nothing of it is written."""
    sealing, out = protection(), bytearray(33)
    sealing.seal_into(bytes(16), 7, b"x", memoryview(out))
    again = bytearray(33)
    with pytest.raises(MisuseError):
        sealing.seal_into(bytes(16), 7, b"y", memoryview(again))
    assert again == bytes(33)
