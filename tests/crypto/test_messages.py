"""The seal of handshake messages, and their clear parts."""

from __future__ import annotations

from types import ModuleType

import pytest

from selo.crypto.messages import HandshakeSeal, m1_before_mac, m2_clear
from selo.crypto.schedule import RecordKeys
from selo.crypto.suites import CLASSIC

KEYS = {"enc": b"\x01" * 32, "mac": b"\x02" * 32, "iv": b"\x03" * 32}


def seal(direction: int = 0x52) -> HandshakeSeal:
    return HandshakeSeal(RecordKeys(**KEYS), suite=CLASSIC, direction=direction)


def test_clear_parts_are_the_specifications(reference: ModuleType) -> None:
    """M1 without its MAC, M2 without its seal."""
    nonce, value = b"\x07" * 32, b"\x08" * 384
    assert m1_before_mac(CLASSIC, nonce, value, bytes(32)) == reference.m1(nonce, value, bytes(32))[:-32]
    assert m2_clear(CLASSIC, nonce, value) == reference.m2_clear(nonce, value)


@pytest.mark.parametrize("direction", [0x45, 0x52])
def test_seals_are_records_0_and_1(direction: int, reference: ModuleType) -> None:
    """Type HANDSHAKE, epoch 0, numbers from 0, the header left out; and they open in the same order."""
    sealing, opening = seal(direction), seal(direction)
    for seq, plaintext in enumerate((b"first", b"second")):
        sealed = sealing.seal(plaintext)
        assert sealed == reference.seal(KEYS, direction, reference.HANDSHAKE, seq, plaintext)[1]
        assert opening.open(sealed) == plaintext


def test_security_a_seal_opens_once_and_in_order() -> None:
    """The first again in the place of the second, the second in the place of the first: neither opens."""
    sealing = seal()
    first, second = sealing.seal(b"first"), sealing.seal(b"second")
    opening = seal()
    assert opening.open(first) == b"first"
    assert opening.open(first) is None
    assert seal().open(second) is None
    assert seal(0x45).open(first) is None
