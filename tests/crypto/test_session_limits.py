"""The Receiver's limits: 16 bytes, and section 13's bounds."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selo.crypto.session_limits import SessionLimits
from selo.errors import MisuseError

MIB = 1 << 20
AT_THE_EDGES = [
    (4096, 1, 4096),
    (4096, 1 << 20, 1 << 32),
    (MIB, 1, MIB),
    (MIB, 1 << 20, 1 << 32),
    (65_536, 4096, 16 * MIB),
]
BEYOND = [
    (0, 1, 4096),
    (4095, 1, 4096),
    (MIB + 1, 1, 2 * MIB),
    (4096, 0, 4096),
    (4096, (1 << 20) + 1, 4096),
    (4096, 1, 4095),
    (MIB, 1, MIB - 1),
    (4096, 1, (1 << 32) + 1),
    ((1 << 32) - 1, (1 << 32) - 1, (1 << 64) - 1),
]


@pytest.mark.parametrize("values", AT_THE_EDGES)
def test_limits_within_section_13(values: tuple[int, int, int]) -> None:
    """The ends of every range are legal, and 16 bytes carry them: u32, u32, u64."""
    limits = SessionLimits(*values)
    assert limits.pack() == struct.pack(">IIQ", *values)
    assert SessionLimits.unpack(limits.pack()) == limits


@pytest.mark.parametrize("values", BEYOND)
def test_security_limits_beyond_section_13(values: tuple[int, int, int]) -> None:
    """One beyond an end is our caller's bug, and of a peer it is no limits at all."""
    with pytest.raises(MisuseError):
        SessionLimits(*values)
    assert SessionLimits.unpack(struct.pack(">IIQ", *values)) is None


@given(st.binary(min_size=16, max_size=16))
def test_what_a_peer_says_has_one_encoding(data: bytes) -> None:
    """Whatever unpacks packs back to the same bytes."""
    limits = SessionLimits.unpack(data)
    assert limits is None or limits.pack() == data
