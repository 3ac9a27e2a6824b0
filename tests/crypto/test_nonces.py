"""The IV generator: right, and never twice the same."""

from __future__ import annotations

from types import ModuleType

import pytest

from selo.crypto.nonces import NonceGenerator
from selo.crypto.schedule import EpochKeys
from selo.errors import MisuseError

KEY = bytes(range(32))


@pytest.mark.parametrize("seq", [0, 1, 65_535, 65_536, 65_537, (1 << 40) - 1])
def test_iv_is_the_specifications(seq: int, reference: ModuleType) -> None:
    """AES-256-ECB(iv, u32 0 | u32 epoch | u64 seq), at the start, at an epoch's edge and at the very end."""
    assert NonceGenerator(KEY, seq >> 16).iv(seq) == reference.record_iv(KEY, seq)


@pytest.mark.parametrize("again", [5, 4, 0])
def test_security_a_generator_gives_no_iv_twice(again: int) -> None:
    """A number that was used, or passed by, is refused, and the refusal changes nothing."""
    generator = NonceGenerator(KEY, 0)
    generator.iv(5)
    with pytest.raises(MisuseError):
        generator.iv(again)
    assert len(generator.iv(6)) == 16


@pytest.mark.parametrize("seq", [0, 65_535, 131_072, -1])
def test_security_a_generator_serves_its_own_epoch_alone(seq: int) -> None:
    """A generator of epoch 1 gives no IV for numbers of other epochs."""
    with pytest.raises(MisuseError):
        NonceGenerator(KEY, 1).iv(seq)


def test_security_iv_never_repeats() -> None:
    """Two sessions, both directions, three epochs, 2,048 numbers at each end: 49,152 IVs, none twice, though
    the same numbers come again and again."""
    seen: set[bytes] = set()
    count = 0
    for chain in (bytes([session, direction]) * 16 for session in (1, 2) for direction in (0x45, 0x52)):
        keys = EpochKeys(chain)
        for _ in range(3):
            generator = NonceGenerator(keys.record_keys().iv, keys.epoch)
            for seq in (
                *range(keys.first_seq, keys.first_seq + 2048),
                *range(keys.end_seq - 2048, keys.end_seq),
            ):
                seen.add(generator.iv(seq))
                count += 1
            keys.advance()
    assert len(seen) == count == 49_152
