"""Long streams and any streams: epochs, the end of the numbers, and tampering anywhere."""

from __future__ import annotations

import struct
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selo.crypto import protection as protection_module
from selo.crypto.errors import RecordCheck, RecordRefused, SequenceExhausted
from selo.crypto.limits import MAX_PLAINTEXT, SEQUENCE_END
from selo.crypto.records import Opener, RecordType, Sealer
from selo.crypto.schedule import EpochKeys
from selo.crypto.suites import CLASSIC

from .sealing import seal

CHAIN, KCUM = b"\x0a" * 32, b"\x0c" * 32
DIGEST = b"\x0d" * 32
CHANNEL: dict[str, Any] = {"suite": CLASSIC, "direction": 0x45, "max_plaintext": MAX_PLAINTEXT}

Sent = tuple[RecordType, bytes, bytearray]


def ends(epoch: int = 0) -> tuple[Sealer, Opener]:
    return Sealer(EpochKeys(CHAIN, epoch), KCUM, **CHANNEL), Opener(EpochKeys(CHAIN, epoch), KCUM, **CHANNEL)


def test_security_iv_never_repeats_in_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past an epoch's boundary, 66,600 records, both directions: encryption gets no IV twice."""
    seen: set[bytes] = set()
    count = 0
    real = protection_module.cfb_encrypt_into

    def recording(key: Any, iv: bytes, plaintext: bytes, out: memoryview) -> None:
        nonlocal count
        count += 1
        seen.add(iv)
        real(key, iv, plaintext, out)

    monkeypatch.setattr(protection_module, "cfb_encrypt_into", recording)
    for chain, direction, records in ((CHAIN, 0x45, 65_600), (b"\x0b" * 32, 0x52, 1_000)):
        sealer = Sealer(EpochKeys(chain), KCUM, **CHANNEL | {"direction": direction})
        for _ in range(records):
            seal(sealer, RecordType.PING, b"")
    assert len(seen) == count == 66_600


def test_security_epochs_change_between_65_535_and_65_536(reference: ModuleType) -> None:
    """Record 65,535 is under the keys of epoch 0, record 65,536 under those of epoch 1, byte for byte; past
    the boundary neither end holds what epoch 0's keys came from."""
    sealer, opener = ends()
    for _ in range(65_535):
        opener.open(*seal(sealer, RecordType.PING, b""))
    for number, epoch in ((65_535, 0), (65_536, 1), (65_537, 1)):
        assert sealer.next_seq == opener.next_seq == number
        header, body = seal(sealer, RecordType.PING, b"")
        keys = reference.epoch_keys(CHAIN, epoch)
        assert (header, bytes(body)) == reference.seal(keys, 0x45, RecordType.PING, number, b"")
        assert opener.open(header, body).seq == number
    for end in (sealer, opener):
        assert end._keys is not None
        assert (end._keys.epoch, end._keys._chain) == (1, reference.epoch_keys(CHAIN, 1)["chain"])


def test_security_a_session_ends_at_2_to_the_40() -> None:
    """The last number is 2^40 - 1. After it nothing is sealed or opened, and no key is left."""
    sealer, opener = ends(epoch=(1 << 24) - 1)
    assert sealer.next_seq == SEQUENCE_END - 65_536
    for _ in range(65_536):
        record = opener.open(*seal(sealer, RecordType.PING, b""))
    assert record.seq == SEQUENCE_END - 1
    with pytest.raises(SequenceExhausted):
        seal(sealer, RecordType.PING, b"")
    with pytest.raises(RecordRefused) as caught:
        opener.open(bytes(16), bytes(32))
    assert caught.value.check is RecordCheck.ENDED
    assert sealer._keys is sealer._protection is opener._keys is opener._protection is None


# Any stream, any tampering.


@st.composite
def streams(draw: st.DrawFn) -> list[tuple[RecordType, bytes]]:
    """A legal sequence of records; a FINAL's plaintext is filled in when it is sealed."""
    quiet = st.sampled_from([(RecordType.PING, b""), (RecordType.ACK, bytes(16))])
    data = st.tuples(st.just(RecordType.DATA), st.binary(min_size=1, max_size=200))
    stream = [*draw(st.lists(quiet, max_size=3)), (RecordType.OPEN, draw(st.binary(min_size=1, max_size=40)))]
    stream += draw(st.lists(st.one_of(quiet, data), max_size=12))
    if draw(st.booleans()):
        stream += [(RecordType.FINAL, b""), *draw(st.lists(quiet, max_size=3))]
    return stream


def sealed(stream: list[tuple[RecordType, bytes]]) -> list[Sent]:
    sealer, _ = ends()
    sent = []
    for record_type, plaintext in stream:
        content = plaintext if record_type is not RecordType.FINAL else sealer.totals(DIGEST).pack()
        sent.append((record_type, *seal(sealer, record_type, content)))
    return sent


@given(streams())
def test_any_stream_opens_to_itself(stream: list[tuple[RecordType, bytes]]) -> None:
    """Whatever is sealed opens to the same types and plaintexts, in order, numbered from 0."""
    _, opener = ends()
    for number, ((record_type, plaintext), (_, header, body)) in enumerate(
        zip(stream, sealed(stream), strict=True)
    ):
        record = opener.open(header, body)
        assert (record.type, record.seq) == (record_type, number)
        assert record_type is RecordType.FINAL or record.plaintext == plaintext


@settings(max_examples=200)
@given(streams(), st.data())
def test_security_any_change_of_a_stream_is_refused(
    stream: list[tuple[RecordType, bytes]], data: st.DataObject
) -> None:
    """Flip a bit, drop, double, swap, or put in a record of another session at any place: everything before
    it opens, and from it on nothing does."""
    records = [(header, bytes(body)) for _, header, body in sealed(stream)]
    place = data.draw(st.integers(0, len(records) - 1), "place")
    kind = data.draw(st.sampled_from(["flip", "drop", "double", "swap", "foreign", "cut", "extend"]), "kind")
    header, body = records[place]
    changed = list(records)
    first_bad = place
    if kind == "flip":
        at = data.draw(st.integers(0, 8 * (16 + len(body)) - 1), "bit")
        whole = bytearray(header + body)
        whole[at // 8] ^= 1 << (at % 8)
        changed[place] = bytes(whole[:16]), bytes(whole[16:])
    elif kind == "drop":
        changed.pop(place)
    elif kind == "double":
        changed.insert(place, records[place])
        first_bad = place + 1
    elif kind == "swap":
        other = data.draw(
            st.integers(0, len(records) - 1).filter(lambda n: n != place or len(records) == 1), "other"
        )
        changed[place], changed[other] = changed[other], changed[place]
        first_bad = min(place, other) if place != other else len(records)
    elif kind == "foreign":
        foreign = Sealer(EpochKeys(b"\x0f" * 32), KCUM, **CHANNEL)
        for _ in range(place):
            seal(foreign, RecordType.PING, b"")
        changed[place] = tuple(map(bytes, seal(foreign, RecordType.PING, b"")))  # type: ignore[assignment]
    else:
        shorter = body[:-1] if kind == "cut" else body + b"\0"
        changed[place] = struct.pack(">I", len(shorter)) + header[4:], shorter
    _, opener = ends()
    for number, record in enumerate(changed):
        if number < first_bad:
            opener.open(*record)
        else:
            with pytest.raises(RecordRefused):
                opener.open(*record)
