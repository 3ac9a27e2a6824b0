"""Totals: the 80 bytes of FINAL and RECEIPT."""

from __future__ import annotations

import hmac
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selo.crypto.totals import StreamCount, Totals
from selo.errors import MisuseError

KEY = b"\x0c" * 32
U64 = st.integers(0, 2**64 - 1)
BYTES_32 = st.binary(min_size=32, max_size=32)


@given(U64, U64, BYTES_32, BYTES_32)
def test_totals_round_trip(records: int, data_bytes: int, cumulative: bytes, digest: bytes) -> None:
    """80 bytes, in the order records, bytes, cum, digest, and back."""
    totals = Totals(records, data_bytes, cumulative, digest)
    packed = totals.pack()
    assert packed == records.to_bytes(8, "big") + data_bytes.to_bytes(8, "big") + cumulative + digest
    assert Totals.unpack(packed) == totals


@pytest.mark.parametrize("position", range(80))
def test_security_totals_differ_in_any_byte(position: int) -> None:
    """A RECEIPT that differs from its FINAL anywhere is not equal to it."""
    packed = bytearray(Totals(1, 2, bytes(32), bytes(32)).pack())
    packed[position] ^= 1
    assert Totals.unpack(packed) != Totals(1, 2, bytes(32), bytes(32))


def test_security_totals_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equality goes through hmac.compare_digest, over all 80 bytes."""
    seen: list[int] = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: bool(seen.append(len(a))) or real(a, b))
    assert Totals(1, 2, bytes(32), bytes(32)) == Totals(1, 2, bytes(32), bytes(32))
    assert seen == [80]
    assert Totals(1, 2, bytes(32), bytes(32)) != b"something else"


@pytest.mark.parametrize("length", [0, 79, 81])
def test_totals_have_80_bytes(length: int) -> None:
    """Any other length is a caller's bug: an Opener refuses such a record before."""
    with pytest.raises(MisuseError):
        Totals.unpack(bytes(length))


@pytest.mark.parametrize(("cumulative", "digest"), [(31, 32), (32, 31), (33, 32), (32, 33)])
def test_totals_hold_32_byte_values(cumulative: int, digest: int) -> None:
    """``struct`` would pad or cut in silence; we do not."""
    with pytest.raises(MisuseError):
        Totals(0, 0, bytes(cumulative), bytes(digest))


@pytest.mark.parametrize("records", [0, 1, 2, 50])
def test_count(records: int, reference: ModuleType) -> None:
    """Records, bytes and the cumulative MAC are the second implementation's; asking changes nothing."""
    tags = [bytes([n]) * 32 for n in range(records)]
    count = StreamCount(KEY)
    for n, tag in enumerate(tags):
        count.totals(bytes(32))
        count.add(tag, n * 10)
    assert (count.records, count.data_bytes) == (records, 10 * sum(range(records)))
    expected = reference.totals(KEY, tags, count.data_bytes, b"\x0d" * 32)
    assert count.totals(b"\x0d" * 32).pack() == count.totals(b"\x0d" * 32).pack() == expected


def test_security_the_cumulative_mac_tells_order_and_number() -> None:
    """Two tags swapped, one missing, another key: another MAC each time."""

    def cumulative(key: bytes, *tags: bytes) -> bytes:
        count = StreamCount(key)
        for tag in tags:
            count.add(tag, 0)
        return count.totals(bytes(32)).cumulative

    a, b = b"a" * 32, b"b" * 32
    found = [cumulative(KEY, a, b), cumulative(KEY, b, a), cumulative(KEY, a), cumulative(bytes(32), a, b)]
    assert len(set(found)) == 4
