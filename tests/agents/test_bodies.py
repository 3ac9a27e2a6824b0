"""OPEN, ACK and ABORT: one encoding each, and nothing else parses."""

from __future__ import annotations

import itertools
import struct

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selo.agents.bodies import ABORT_TEXT_MAX, NAME_MAX, Abort, AbortCode, Ack, Kind, Offer
from selo.agents.errors import PeerMisbehaved
from selo.crypto.limits import STRUCTURED_BODY_MAX

U64_MAX = (1 << 64) - 1

OFFERS = (
    Offer(Kind.CONVERSATION, None, None),
    Offer(Kind.STREAM, None, None),
    Offer(Kind.STREAM, None, 0),
    Offer(Kind.STREAM, "a", None),
    Offer(Kind.FILE, "report.pdf", 127),
    Offer(Kind.FILE, "ü" * 16, 128),
    Offer(Kind.FILE, "n" * 31, 1 << 16),
    Offer(Kind.FILE, "n" * 32, 1 << 32),
    Offer(Kind.FILE, "n" * NAME_MAX, U64_MAX),
)
ABORTS = (
    Abort(AbortCode.SOURCE, ""),
    Abort(AbortCode.SINK, "no space left on device"),
    Abort(AbortCode.INTERRUPTED, "t" * 32),
    Abort(AbortCode.PROTOCOL, "t" * 256),
    Abort(AbortCode.INTERNAL, "é" * (ABORT_TEXT_MAX // 2)),
)
MESSAGES = [pytest.param(value, id=type(value).__name__ + str(n)) for n, value in enumerate(OFFERS + ABORTS)]

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=NAME_MAX).filter(
    lambda name: len(name.encode()) <= NAME_MAX
)
sizes = st.integers(0, U64_MAX)
offers = st.one_of(
    st.builds(Offer, st.just(Kind.STREAM), st.none() | names, st.none() | sizes),
    st.builds(Offer, st.just(Kind.FILE), names, sizes),
)
aborts = st.builds(
    Abort,
    st.sampled_from(AbortCode),
    st.text(st.characters(exclude_categories=["Cs"])).filter(
        lambda text: len(text.encode()) <= ABORT_TEXT_MAX
    ),
)


def refused(message: type[Offer] | type[Abort], body: bytes) -> bool:
    """Whether ``body`` is refused as it must be: by PeerMisbehaved and nothing else."""
    try:
        message.unpack(body)
    except PeerMisbehaved:
        return True
    return False


# One encoding


@pytest.mark.parametrize("value", MESSAGES)
def test_every_truncation_is_refused(value: Offer | Abort) -> None:
    """No proper prefix of a body is a body."""
    body = value.pack()
    assert all(refused(type(value), body[:length]) for length in range(len(body)))


@pytest.mark.parametrize("value", MESSAGES)
def test_every_extension_by_a_byte_or_a_body_is_refused(value: Offer | Abort) -> None:
    """Nothing may follow a body."""
    body = value.pack()
    assert all(refused(type(value), body + bytes([byte])) for byte in range(256))
    assert refused(type(value), body + body)


def array_spellings(arity: int) -> list[bytes]:
    """Every way in which msgpack can begin an array of ``arity``, the legal one first."""
    return [bytes([0x90 | arity]), struct.pack(">BH", 0xDC, arity), struct.pack(">BI", 0xDD, arity)]


def integer_spellings(value: int) -> list[bytes]:
    """Every way in which msgpack can write an unsigned number, the legal one first."""
    codes = [(0xCC, "B", 8), (0xCD, "H", 16), (0xCE, "I", 32), (0xCF, "Q", 64)]
    signed = [(0xD0, "b", 7), (0xD1, "h", 15), (0xD2, "i", 31), (0xD3, "q", 63)]
    spelled = [bytes([value])] if value < 128 else []
    return spelled + [
        struct.pack(">B" + form, code, value) for code, form, bits in codes + signed if value < 1 << bits
    ]


def text_spellings(text: str) -> list[bytes]:
    """Every way in which msgpack can write a str, the legal one first."""
    data = text.encode()
    spelled = [bytes([0xA0 | len(data)])] if len(data) < 32 else []
    spelled += [bytes([0xD9, len(data)])] if len(data) < 256 else []
    spelled += [struct.pack(">BH", 0xDA, len(data)), struct.pack(">BI", 0xDB, len(data))]
    return [head + data for head in spelled]


def spellings(value: object) -> list[bytes]:
    """Every way to write one value of a body."""
    if value is None:
        return [b"\xc0"]
    return text_spellings(value) if isinstance(value, str) else integer_spellings(int(value))  # type: ignore[call-overload]


@pytest.mark.parametrize("value", MESSAGES)
def test_every_longer_spelling_of_the_same_values_is_refused(value: Offer | Abort) -> None:
    """Of all msgpack spellings of a body, the shortest parses and no other does."""
    values = vars(value).values()
    alternatives = [array_spellings(len(values)), *(spellings(each) for each in values)]
    shortest, *others = (b"".join(parts) for parts in itertools.product(*alternatives))
    assert shortest == value.pack()
    assert type(value).unpack(shortest) == value
    assert others
    assert all(refused(type(value), body) for body in others)


@pytest.mark.parametrize("value", [*OFFERS[:5], *ABORTS[:3]])
def test_no_two_bodies_mean_the_same(value: Offer | Abort) -> None:
    """With any one byte changed to any other, a body is refused or means something else."""
    body = value.pack()
    for position, byte in itertools.product(range(len(body)), range(256)):
        changed = body[:position] + bytes([byte]) + body[position + 1 :]
        if changed != body and not refused(type(value), changed):
            other = type(value).unpack(changed)
            # An unknown code means INTERNAL: the one value that many bodies share.
            assert other != value or (isinstance(other, Abort) and other.code is AbortCode.INTERNAL)


# Types

NEITHER_OF_OURS = {
    "true": True,
    "false": False,
    "float": 1.0,
    "nan": float("nan"),
    "bin": b"name",
    "empty bin": b"",
    "array": [0],
    "empty array": [],
    "map": {0: 0},
    "empty map": {},
    "ext": msgpack.ExtType(1, b"x"),
    "empty ext": msgpack.ExtType(1, b""),
    "timestamp": msgpack.Timestamp(0, 0),
    "negative": -1,
}


@pytest.mark.parametrize("position", range(3))
@pytest.mark.parametrize("wrong", NEITHER_OF_OURS.values(), ids=NEITHER_OF_OURS)
@pytest.mark.parametrize("kind", Kind)
def test_open_of_a_wrong_type_is_refused(position: int, wrong: object, kind: Kind) -> None:
    """No field of OPEN takes a bool, a float, bin, an array, a map, an extension or a negative number."""
    fields: list[object] = [int(kind), *((None, None) if kind is Kind.CONVERSATION else ("name", 7))]
    assert not refused(Offer, msgpack.packb(fields))
    fields[position] = wrong
    assert refused(Offer, msgpack.packb(fields))


@pytest.mark.parametrize("position", range(2))
@pytest.mark.parametrize("wrong", [*NEITHER_OF_OURS.values(), None], ids=[*NEITHER_OF_OURS, "nil"])
def test_abort_of_a_wrong_type_is_refused(position: int, wrong: object) -> None:
    """No field of ABORT takes anything but its own type."""
    fields: list[object] = [1, "text"]
    assert not refused(Abort, msgpack.packb(fields))
    fields[position] = wrong
    assert refused(Abort, msgpack.packb(fields))


@pytest.mark.parametrize(
    "fields",
    [
        [None, "name", 7],
        ["0", "name", 7],
        [2, "name", 7],
        [U64_MAX, "name", 7],
        [1, 7, 7],
        [1, "name", "7"],
        [1, None, 7],
        [1, "name", None],
        [1, None, None],
    ],
)
def test_open_of_swapped_or_missing_fields_is_refused(fields: list[object]) -> None:
    """A kind is 0 to 2, a name a str, a size a number; a file has both, a conversation neither."""
    assert refused(Offer, msgpack.packb(fields))


@pytest.mark.parametrize("message", [Offer, Abort])
@pytest.mark.parametrize("arity", range(18))
def test_arrays_of_another_length_are_refused(message: type[Offer] | type[Abort], arity: int) -> None:
    """OPEN has three values and ABORT two."""
    fields = [1, "text", 7] if message is Offer else [1, "text"]
    if arity != len(fields):
        assert refused(message, msgpack.packb((fields + [None] * 16)[:arity]))


@pytest.mark.parametrize("message", [Offer, Abort])
def test_no_single_byte_is_a_body(message: type[Offer] | type[Abort]) -> None:
    """Nothing, and every msgpack value of one byte, is refused."""
    assert refused(message, b"")
    assert all(refused(message, bytes([byte])) for byte in range(256))


@pytest.mark.parametrize("message", [Offer, Abort])
@pytest.mark.parametrize("byte", [0x91, 0x92, 0x93, 0x81, 0xDC])
def test_security_deep_nesting_is_refused(message: type[Offer] | type[Abort], byte: int) -> None:
    """A body that opens an array or a map at every byte ends in a refusal, not in a full stack."""
    assert refused(message, bytes([byte]) * STRUCTURED_BODY_MAX)


@pytest.mark.parametrize("message", [Offer, Abort])
def test_security_bodies_above_the_limit_are_not_parsed(message: type[Offer] | type[Abort]) -> None:
    """A body of 4,097 bytes is refused for its length alone."""
    with pytest.raises(PeerMisbehaved, match="too long"):
        message.unpack(b"\x93" * (STRUCTURED_BODY_MAX + 1))


@pytest.mark.parametrize("text", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80"])
def test_text_that_is_not_utf8_is_refused(text: bytes) -> None:
    """Broken, truncated, surrogate, overlong and out-of-range UTF-8 is refused in both messages."""
    spelled = bytes([0xA0 | len(text)]) + text
    assert refused(Offer, b"\x93\x01" + spelled + b"\x07")
    assert refused(Abort, b"\x92\x01" + spelled)


# Limits


@pytest.mark.parametrize(
    ("name", "legal"),
    [
        ("", False),
        ("n", True),
        ("n" * 255, True),
        ("n" * 256, False),
        ("é" * 127, True),
        ("é" * 127 + "n", True),
        ("é" * 128, False),
        ("\U0001f600" * 63 + "nnn", True),
        ("\U0001f600" * 64, False),
    ],
)
def test_a_name_has_1_to_255_bytes(name: str, legal: bool) -> None:
    """The limit counts bytes of UTF-8, not characters."""
    assert refused(Offer, msgpack.packb([1, name, 7])) is not legal


@pytest.mark.parametrize("text", ["t" * ABORT_TEXT_MAX, "é" * 512, "\U0001f600" * 256])
def test_an_abort_text_has_at_most_1024_bytes(text: str) -> None:
    """1,024 bytes pass and one more does not."""
    assert Abort.unpack(msgpack.packb([1, text])).text == text
    assert refused(Abort, msgpack.packb([1, text + "t"]))


@pytest.mark.parametrize("character", ["t", "é", "€", "\U0001f600"])
@pytest.mark.parametrize("offset", range(5))
def test_a_long_abort_text_is_cut_at_a_character(character: str, offset: int) -> None:
    """However the characters lie across byte 1,024, what is sent is legal and as long as it can be."""
    text = "t" * offset + character * ABORT_TEXT_MAX
    sent = Abort.unpack(Abort(AbortCode.SINK, text).pack()).text
    assert text.startswith(sent)
    assert ABORT_TEXT_MAX - len(character.encode()) < len(sent.encode()) <= ABORT_TEXT_MAX


def test_an_abort_text_with_lone_surrogates_can_be_sent() -> None:
    """A text from the system that is not UTF-8 does not keep an ABORT from leaving."""
    assert Abort.unpack(Abort(AbortCode.SOURCE, "a\udcffb").pack()).text == "a?b"


@pytest.mark.parametrize("code", [0, 6, 7, 127, 128, 255, 256, 1 << 16, 1 << 32, U64_MAX])
def test_an_unknown_abort_code_counts_as_internal(code: int) -> None:
    """A later version's reason is a fault of the other side, no breach of the protocol."""
    assert Abort.unpack(msgpack.packb([code, "later"])) == Abort(AbortCode.INTERNAL, "later")


# Round trips


@given(offers)
def test_every_legal_offer_comes_back(offer: Offer) -> None:
    """Packed and unpacked, from bytes or from a view of them, an offer is the same."""
    assert Offer.unpack(offer.pack()) == Offer.unpack(memoryview(offer.pack())) == offer


@given(aborts)
def test_every_legal_abort_comes_back(abort: Abort) -> None:
    """Packed and unpacked, an ABORT is the same."""
    assert Abort.unpack(abort.pack()) == Abort.unpack(memoryview(abort.pack())) == abort


@given(st.sampled_from([Offer, Abort]), st.binary(max_size=64))
def test_any_bytes_are_refused_or_are_the_one_encoding(
    message: type[Offer] | type[Abort], body: bytes
) -> None:
    """Whatever parses packs to the same bytes again; nothing raises another error."""
    if not refused(message, body) and message is Offer:
        assert Offer.unpack(body).pack() == body


@given(st.binary(min_size=1, max_size=3).map(lambda head: b"\x93" + head), st.binary(max_size=8))
def test_bytes_that_look_like_open_are_refused_or_are_the_one_encoding(head: bytes, tail: bytes) -> None:
    """The same, close to what is legal."""
    if not refused(Offer, head + tail):
        assert Offer.unpack(head + tail).pack() == head + tail


@given(st.integers(0, U64_MAX), st.integers(0, U64_MAX))
def test_every_ack_comes_back(next_seq: int, durable: int) -> None:
    """ACK is two unsigned 64-bit numbers, big endian."""
    body = Ack(next_seq, durable).pack()
    assert body == next_seq.to_bytes(8, "big") + durable.to_bytes(8, "big")
    assert Ack.unpack(body) == Ack.unpack(memoryview(body)) == Ack(next_seq, durable)


def test_an_ack_of_another_length_is_refused() -> None:
    """ACK has 16 bytes."""
    for length in (n for n in range(64) if n != 16):
        with pytest.raises(PeerMisbehaved):
            Ack.unpack(bytes(length))
