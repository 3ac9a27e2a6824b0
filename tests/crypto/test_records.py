"""Sealer and Opener: what one seals the other opens, in order, once, and nothing else."""

from __future__ import annotations

import struct
from types import ModuleType
from typing import Any

import pytest

from selo.crypto import protection as protection_module
from selo.crypto.errors import RecordCheck, RecordRefused
from selo.crypto.limits import MAX_PLAINTEXT
from selo.crypto.records import Opener, Record, RecordType, Sealer, Totals
from selo.crypto.schedule import EpochKeys
from selo.crypto.stream import StreamState
from selo.crypto.suites import CLASSIC
from selo.errors import MisuseError

from .sealing import seal

CHAIN, KCUM = b"\x0a" * 32, b"\x0c" * 32
DIGEST = b"\x0d" * 32
PLAIN = {
    RecordType.OPEN: b"\x93\x00\xc0\xc0",
    RecordType.DATA: b"some bytes of the stream",
    RecordType.ACK: bytes(16),
    RecordType.PING: b"",
    RecordType.RECEIPT: bytes(80),
    RecordType.ABORT: b"\x92\x01\xa0",
}


def channel(**changes: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {"suite": CLASSIC, "direction": 0x45, "max_plaintext": MAX_PLAINTEXT}
    return settings | changes


def ends(epoch: int = 0, **changes: Any) -> tuple[Sealer, Opener]:
    settings = channel(**changes)
    return Sealer(EpochKeys(CHAIN, epoch), KCUM, **settings), Opener(
        EpochKeys(CHAIN, epoch), KCUM, **settings
    )


def plaintext_of(record_type: RecordType, sealer: Sealer) -> bytes:
    return sealer.totals(DIGEST).pack() if record_type is RecordType.FINAL else PLAIN[record_type]


def send(sealer: Sealer, *types: RecordType) -> list[tuple[bytes, bytearray]]:
    return [seal(sealer, record_type, plaintext_of(record_type, sealer)) for record_type in types]


def refused(opener: Opener, header: bytes | bytearray, body: bytes | bytearray) -> RecordCheck:
    """The check that refuses a record; every later record is refused too, and no key is left."""
    before = opener.next_seq, opener._count.data_bytes
    with pytest.raises(RecordRefused) as caught:
        opener.open(header, body)
    assert (opener.next_seq, opener._count.data_bytes) == before
    assert opener._protection is None
    assert opener._keys is None
    with pytest.raises(RecordRefused) as later:
        opener.open(header, body)
    assert later.value.check is RecordCheck.ENDED
    return caught.value.check


def opened(opener: Opener, records: list[tuple[bytes, bytearray]]) -> list[Record]:
    return [opener.open(header, body) for header, body in records]


ALL = (RecordType.OPEN, RecordType.DATA, RecordType.PING, RecordType.ACK, RecordType.DATA, RecordType.FINAL)
ALL_WITH_END = (*ALL, RecordType.PING, RecordType.RECEIPT, RecordType.ABORT)


# What is sealed opens.


def test_a_whole_stream_opens_to_what_was_sealed() -> None:
    """Every type once: types, numbers and plaintexts come out as they went in; counts agree on both sides."""
    sealer, opener = ends()
    final = b""
    for number, record_type in enumerate(ALL_WITH_END):
        plaintext = plaintext_of(record_type, sealer)
        final = plaintext if record_type is RecordType.FINAL else final
        record = opener.open(*seal(sealer, record_type, plaintext))
        assert record == Record(record_type, number, plaintext)
        assert sealer.next_seq == opener.next_seq == number + 1
    assert sealer._count.data_bytes == opener._count.data_bytes == 2 * len(PLAIN[RecordType.DATA])
    assert opener.totals(DIGEST) == Totals.unpack(final)
    assert opener.totals(DIGEST).records == 5
    assert sealer.state is opener.state is StreamState.ABORTED


def test_records_are_the_specifications(reference: ModuleType) -> None:
    """Header and body of every record are those of the second implementation, FINAL's totals too."""
    sealer, _ = ends()
    keys, tags, data_bytes = reference.epoch_keys(CHAIN, 0), [], 0
    for number, record_type in enumerate(ALL_WITH_END):
        plaintext = plaintext_of(record_type, sealer)
        if record_type is RecordType.FINAL:
            assert plaintext == reference.totals(KCUM, tags, data_bytes, DIGEST)
        header, body = seal(sealer, record_type, plaintext)
        assert (header, bytes(body)) == reference.seal(keys, 0x45, record_type, number, plaintext)
        tags.append(bytes(body[-32:]))
        data_bytes += len(plaintext) if record_type is RecordType.DATA else 0


def test_seal_into_writes_where_it_is_told() -> None:
    """``seal_into`` fills exactly the memory it was given, and makes the record that ``seal`` makes."""
    one, _ = ends()
    other, opener = ends()
    header, body = seal(one, RecordType.OPEN, PLAIN[RecordType.OPEN])
    memory = bytearray(b"\xee" * 100)
    assert (
        other.seal_into(RecordType.OPEN, PLAIN[RecordType.OPEN], memoryview(memory)[10 : 10 + len(body)])
        == header
    )
    assert memory == b"\xee" * 10 + body + b"\xee" * (90 - len(body))
    assert (
        opener.open(memoryview(header), memoryview(memory)[10 : 10 + len(body)]).plaintext
        == PLAIN[RecordType.OPEN]
    )


@pytest.mark.parametrize("length", [1, 4095, 4096, MAX_PLAINTEXT])
def test_data_of_every_allowed_length(length: int) -> None:
    """One byte, and the largest record there is."""
    sealer, opener = ends()
    opened(opener, send(sealer, RecordType.OPEN))
    plaintext = bytes(n % 253 for n in range(4096)) * 256
    assert opener.open(*seal(sealer, RecordType.DATA, plaintext[:length])).plaintext == plaintext[:length]


def test_security_the_two_directions_share_nothing() -> None:
    """A record reflected to its own sealer's side is refused."""
    sealer, _ = ends(direction=0x45)
    _, opener = ends(direction=0x52)
    assert refused(opener, *seal(sealer, RecordType.PING, b"")) is RecordCheck.TAG


# Refusals, one for each check, in their order.


def opening_record() -> tuple[bytearray, bytearray, Opener]:
    sealer, opener = ends()
    header, body = seal(sealer, RecordType.OPEN, PLAIN[RecordType.OPEN])
    return bytearray(header), body, opener


@pytest.mark.parametrize("position", range(16))
@pytest.mark.parametrize("bit", range(8))
def test_security_every_bit_of_the_header_counts(position: int, bit: int) -> None:
    """A changed header is refused by the first check that it fails: length, zero bytes, type, number."""
    header, body, opener = opening_record()
    header[position] ^= 1 << bit
    check = refused(opener, header, body)
    if position < 4:
        assert check is RecordCheck.LENGTH
    elif position == 4:
        changed = RecordType.OPEN ^ (1 << bit)
        legal = changed in (RecordType.FINAL, RecordType.DATA)
        assert check is (RecordCheck.STATE if legal else RecordCheck.TYPE)
    else:
        assert check is (RecordCheck.RESERVED if position < 8 else RecordCheck.SEQUENCE)


@pytest.mark.parametrize("position", range(4 + 32))
@pytest.mark.parametrize("bit", range(8))
def test_security_every_bit_of_the_body_counts(position: int, bit: int) -> None:
    """A changed ciphertext or tag is refused by the tag."""
    header, body, opener = opening_record()
    body[position] ^= 1 << bit
    assert refused(opener, header, body) is RecordCheck.TAG


@pytest.mark.parametrize("length", range(36))
def test_security_a_record_cut_anywhere_is_refused(length: int) -> None:
    """Cut with its old header, the length differs; with a header that agrees, the tag (or it lacks one)."""
    header, body, opener = opening_record()
    assert refused(opener, header, body[:length]) is RecordCheck.LENGTH
    header, body, opener = opening_record()
    header[:4] = struct.pack(">I", length)
    assert refused(opener, header, body[:length]) is (RecordCheck.LENGTH if length < 32 else RecordCheck.TAG)


@pytest.mark.parametrize("length", [0, 15, 17])
def test_security_a_header_has_16_bytes(length: int) -> None:
    """Any other length is refused, not unpacked."""
    header, body, opener = opening_record()
    assert refused(opener, (bytes(header) * 2)[:length], body) is RecordCheck.LENGTH


@pytest.mark.parametrize("max_plaintext", [4096, 65_536, MAX_PLAINTEXT])
def test_security_a_record_over_the_sessions_limit_is_refused(max_plaintext: int) -> None:
    """One byte over max_plaintext: refused by its length although its tag is good, and never sealed by us."""
    sealer, opener = ends(max_plaintext=max_plaintext)
    liberal, _ = ends()
    opened(opener, send(sealer, RecordType.OPEN))
    send(liberal, RecordType.OPEN)
    assert opener.open(*seal(sealer, RecordType.DATA, bytes(max_plaintext)))
    with pytest.raises(MisuseError):
        seal(sealer, RecordType.DATA, bytes(max_plaintext + 1))
    if max_plaintext < MAX_PLAINTEXT:
        seal(liberal, RecordType.DATA, bytes(max_plaintext))
        record = seal(liberal, RecordType.DATA, bytes(max_plaintext + 1))
    else:
        record = struct.pack(">IB3xQ", max_plaintext + 33, 3, 2), bytearray(max_plaintext + 33)
    assert refused(opener, *record) is RecordCheck.LENGTH


@pytest.mark.parametrize("max_plaintext", [0, 4095, MAX_PLAINTEXT + 1])
def test_limits_outside_section_13_make_no_channel(max_plaintext: int) -> None:
    """A session cannot start with a limit that section 13 does not know."""
    with pytest.raises(MisuseError):
        ends(max_plaintext=max_plaintext)


@pytest.mark.parametrize("record_type", [0, 1, *range(9, 256)])
def test_security_types_that_are_no_record_are_refused(record_type: int, reference: ModuleType) -> None:
    """HANDSHAKE and every unassigned type, even with a good tag."""
    _, opener = ends()
    record = reference.seal(reference.epoch_keys(CHAIN, 0), 0x45, record_type, 0, b"")
    assert refused(opener, *record) is RecordCheck.TYPE


ROADS = {
    StreamState.IDLE: (),
    StreamState.OPEN: (RecordType.OPEN,),
    StreamState.FINAL: (RecordType.OPEN, RecordType.FINAL),
    StreamState.ABORTED: (RecordType.ABORT,),
}
ALLOWED = {
    StreamState.IDLE: {"OPEN", "ACK", "RECEIPT", "PING", "ABORT"},
    StreamState.OPEN: {"DATA", "FINAL", "ACK", "RECEIPT", "PING", "ABORT"},
    StreamState.FINAL: {"ACK", "RECEIPT", "PING", "ABORT"},
    StreamState.ABORTED: set(),
}
SENDABLE = [record_type for record_type in RecordType if record_type is not RecordType.HANDSHAKE]


@pytest.mark.parametrize("record_type", SENDABLE)
@pytest.mark.parametrize("state", StreamState)
def test_security_every_state_with_every_type(
    state: StreamState, record_type: RecordType, reference: ModuleType
) -> None:
    """What section 10 does not name for a state is neither sealed (our bug) nor opened (the peer's), although
    its tag is good. Nothing follows an ABORT: the keys are gone."""
    sealer, opener = ends()
    opened(opener, send(sealer, *ROADS[state]))
    assert sealer.state is opener.state is state
    plaintext = plaintext_of(record_type, sealer)
    if record_type.name in ALLOWED[state]:
        assert opener.open(*seal(sealer, record_type, plaintext)).plaintext == plaintext
        return
    with pytest.raises(MisuseError):
        seal(sealer, record_type, plaintext)
    record = reference.seal(reference.epoch_keys(CHAIN, 0), 0x45, record_type, opener.next_seq, plaintext)
    expected = RecordCheck.ENDED if state is StreamState.ABORTED else RecordCheck.STATE
    assert refused(opener, *record) is expected


@pytest.mark.parametrize("second", [RecordType.ACK, RecordType.RECEIPT])
def test_security_nothing_is_acknowledged_after_a_receipt(second: RecordType, reference: ModuleType) -> None:
    """RECEIPT once, and no ACK after it, on both sides."""
    sealer, opener = ends(direction=0x52)
    opened(opener, send(sealer, RecordType.RECEIPT))
    with pytest.raises(MisuseError):
        seal(sealer, second, PLAIN[second])
    record = reference.seal(reference.epoch_keys(CHAIN, 0), 0x52, second, 1, PLAIN[second])
    assert refused(opener, *record) is RecordCheck.STATE


WRONG_LENGTHS = [
    (RecordType.OPEN, 0),
    (RecordType.OPEN, 4097),
    (RecordType.DATA, 0),
    (RecordType.ACK, 15),
    (RecordType.ACK, 17),
    (RecordType.PING, 1),
    (RecordType.FINAL, 79),
    (RecordType.FINAL, 81),
    (RecordType.RECEIPT, 0),
    (RecordType.RECEIPT, 81),
    (RecordType.ABORT, 0),
    (RecordType.ABORT, 4097),
]


@pytest.mark.parametrize(("record_type", "length"), WRONG_LENGTHS)
def test_security_a_length_that_its_type_cannot_have(
    record_type: RecordType, length: int, reference: ModuleType
) -> None:
    """An empty DATA, a PING with a body, an OPEN over 4,096 bytes and their like: not sealed, not opened."""
    sealer, opener = ends()
    if record_type is not RecordType.OPEN:
        opened(opener, send(sealer, RecordType.OPEN))
    with pytest.raises(MisuseError):
        seal(sealer, record_type, bytes(length))
    keys = reference.epoch_keys(CHAIN, 0)
    record = reference.seal(keys, 0x45, record_type, opener.next_seq, bytes(length))
    assert refused(opener, *record) is RecordCheck.BODY


@pytest.mark.parametrize("seq", [1, 3, 65_538, 1 << 40, (1 << 64) - 1])
def test_security_only_the_next_number_is_accepted(seq: int, reference: ModuleType) -> None:
    """A repeat, a gap, the same place of the next epoch, the end of the numbers: each with a tag that is good
    for the number it shows."""
    sealer, opener = ends()
    opened(opener, send(sealer, RecordType.OPEN, RecordType.PING))
    epoch = min(seq >> 16, 1)
    record = reference.seal(reference.epoch_keys(CHAIN, epoch), 0x45, RecordType.PING, min(seq, 65_538), b"")
    header = reference.header(32, RecordType.PING, seq)
    assert refused(opener, header, record[1]) is RecordCheck.SEQUENCE


def test_security_a_record_under_the_next_epochs_keys_is_refused(reference: ModuleType) -> None:
    """The expected number under the keys of another epoch does not verify."""
    _, opener = ends()
    record = reference.seal(reference.epoch_keys(CHAIN, 1), 0x45, RecordType.PING, 0, b"")
    assert refused(opener, *record) is RecordCheck.TAG


def test_security_no_plaintext_before_its_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the tag is wrong, or any check before it fails, decryption is not even called."""
    decrypted: list[int] = []
    monkeypatch.setattr(
        protection_module, "cfb_decrypt", lambda key, iv, body: decrypted.append(len(body)) or b""
    )
    for position in range(16 + 36):
        header, body, opener = opening_record()
        (header if position < 16 else body)[position % 16 if position < 16 else position - 16] ^= 1
        refused(opener, header, body)
    assert decrypted == []
    header, body, opener = opening_record()
    opener.open(header, body)
    assert decrypted == [4]


def test_security_checks_run_in_the_order_of_section_8(reference: ModuleType) -> None:
    """A record with every fault at once is refused by the first; each fault mended uncovers the next."""
    faults = [
        (RecordCheck.LENGTH, {"length": 99, "reserved": b"\1\0\0", "type": 9, "seq": 5}),
        (RecordCheck.RESERVED, {"reserved": b"\1\0\0", "type": 9, "seq": 5}),
        (RecordCheck.TYPE, {"type": 9, "seq": 5}),
        (RecordCheck.STATE, {"type": 3, "seq": 5}),
        (RecordCheck.SEQUENCE, {"type": 2, "seq": 5}),
        (RecordCheck.TAG, {"type": 2, "seq": 0}),
    ]
    for check, fault in faults:
        _, opener = ends()
        header = struct.pack(
            ">IB3sQ", fault.get("length", 32), fault["type"], fault.get("reserved", bytes(3)), fault["seq"]
        )
        assert refused(opener, header, bytes(32)) is check


# Totals.


@pytest.mark.parametrize("position", range(48))
def test_security_a_final_that_counts_wrong_ends_the_session(position: int, reference: ModuleType) -> None:
    """Records, bytes or cumulative MAC off by a bit, under a good tag: not opened, and not sealed."""
    sealer, opener = ends()
    opened(opener, send(sealer, RecordType.OPEN, RecordType.DATA))
    totals = bytearray(sealer.totals(DIGEST).pack())
    totals[position] ^= 1
    with pytest.raises(MisuseError):
        seal(sealer, RecordType.FINAL, totals)
    record = reference.seal(reference.epoch_keys(CHAIN, 0), 0x45, RecordType.FINAL, 2, bytes(totals))
    assert refused(opener, *record) is RecordCheck.TOTALS
    with pytest.raises(MisuseError):
        opener.totals(DIGEST)


def test_the_digest_of_a_final_is_the_callers_to_compare() -> None:
    """Opener and Sealer know no BLAKE3: another digest opens, and makes the totals differ."""
    sealer, opener = ends()
    opened(opener, send(sealer, RecordType.OPEN))
    theirs = Totals.unpack(
        opener.open(*seal(sealer, RecordType.FINAL, sealer.totals(b"\xff" * 32).pack())).plaintext
    )
    assert theirs != opener.totals(DIGEST)
    assert theirs == opener.totals(b"\xff" * 32)


def test_security_a_final_counts_every_record_before_it() -> None:
    """Totals taken before one more record, even a PING, are stale and are not sealed."""
    sealer, _ = ends()
    send(sealer, RecordType.OPEN)
    stale = sealer.totals(DIGEST).pack()
    send(sealer, RecordType.PING)
    with pytest.raises(MisuseError):
        seal(sealer, RecordType.FINAL, stale)
    send(sealer, RecordType.FINAL)


def test_totals_of_an_opened_final_do_not_move() -> None:
    """PINGs after FINAL change neither side's answer to what the FINAL counted."""
    sealer, opener = ends()
    *_, final = opened(opener, send(sealer, RecordType.OPEN, RecordType.DATA, RecordType.FINAL))
    opened(opener, send(sealer, RecordType.PING, RecordType.PING))
    assert opener.totals(DIGEST).pack() == final.plaintext


# The ends' own discipline.


def test_a_misuse_leaves_the_sealer_able_to_abort() -> None:
    """After every kind of misuse the next record is still the next one, and opens."""
    sealer, opener = ends()
    for record_type, plaintext in [
        (RecordType.DATA, b"x"),
        (RecordType.OPEN, b""),
        (RecordType.HANDSHAKE, b"x"),
    ]:
        with pytest.raises(MisuseError):
            seal(sealer, record_type, plaintext)
    for length in (0, 31, 33):
        with pytest.raises(MisuseError):
            sealer.seal_into(RecordType.PING, b"", memoryview(bytearray(length)))
    assert sealer.next_seq == 0
    assert opener.open(*seal(sealer, RecordType.ABORT, b"\x92\x05\xa0")).type is RecordType.ABORT
    assert sealer._keys is sealer._protection is None


def test_opener_copies_are_independent_of_reused_memory() -> None:
    """A plaintext that was handed out does not change when the frame's memory is used again."""
    sealer, opener = ends()
    opened(opener, send(sealer, RecordType.OPEN))
    header, body = seal(sealer, RecordType.DATA, b"kept")
    record = opener.open(header, memoryview(body))
    body[:] = bytes(len(body))
    assert record.plaintext == b"kept"


def test_security_a_sealed_stream_has_no_repr_of_its_keys() -> None:
    """Neither end says its keys when printed."""
    shown = "".join(map(repr, ends()))
    assert CHAIN.hex() not in shown
    assert repr(CHAIN)[2:-1] not in shown
