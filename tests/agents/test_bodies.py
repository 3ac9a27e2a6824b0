"""OPEN, its answer, ACK and ABORT: one encoding each, and nothing else parses."""

from __future__ import annotations

import dataclasses
import itertools
import struct

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selo.agents.bodies import (
    ABORT_TEXT_MAX,
    COUNT_MAX,
    DELIVERY_LENGTH,
    MARKS_MAX,
    NAME_MAX,
    Abort,
    AbortCode,
    Ack,
    Answer,
    Kind,
    Mark,
    Offer,
)
from selo.agents.errors import PeerMisbehaved
from selo.crypto.limits import STRUCTURED_BODY_MAX

U64_MAX = (1 << 64) - 1

Message = Offer | Answer | Abort

ID = bytes(range(16))
OFFERS = (
    Offer(Kind.CONVERSATION, None, None),
    Offer(Kind.STREAM, None, None),
    Offer(Kind.STREAM, None, 0, ID, sha256=True),
    Offer(Kind.STREAM, "a", None, ID),
    Offer(Kind.FILE, "report.pdf", 127, ID, None, 0o644, 0),
    Offer(Kind.FILE, "ü" * 16, 128, ID, None, 0, -1),
    Offer(Kind.FILE, "n" * 31, 1 << 16, ID, None, 0o7777, 1 << 60, sha256=True),
    Offer(Kind.FILE, "image", 1 << 40, ID, sparse=True),
    Offer(Kind.FILE, "n" * 32, 1 << 32, ID, None, None, -(1 << 40)),
    Offer(Kind.FILE, "n" * NAME_MAX, COUNT_MAX, ID, None, 255, -COUNT_MAX),
    Offer(Kind.TREE, None, None, ID, None),
    Offer(Kind.TREE, "folder", 1 << 40, ID, 100_000, sparse=True),
)
ANSWERS = (
    Answer(),
    Answer((), True),
    Answer((Mark(1, bytes(32)),)),
    Answer((Mark(COUNT_MAX, bytes(range(32))),), True),
    Answer(tuple(Mark(place, bytes(32)) for place in range(1, MARKS_MAX + 1))),
)
ABORTS = (
    Abort(AbortCode.SOURCE, ""),
    Abort(AbortCode.SINK, "no space left on device"),
    Abort(AbortCode.INTERRUPTED, "t" * 32),
    Abort(AbortCode.PROTOCOL, "t" * 256),
    Abort(AbortCode.INTERNAL, "é" * (ABORT_TEXT_MAX // 2)),
    Abort(AbortCode.LATER, "not now"),
)
MESSAGES = [
    pytest.param(value, id=type(value).__name__ + str(n))
    for n, value in enumerate((*OFFERS, *ANSWERS, *ABORTS))
]

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=NAME_MAX).filter(
    lambda name: len(name.encode()) <= NAME_MAX
)
counts = st.integers(0, COUNT_MAX)
ids = st.binary(min_size=DELIVERY_LENGTH, max_size=DELIVERY_LENGTH)
modes = st.none() | st.integers(0, 0o7777)
times = st.none() | st.integers(-COUNT_MAX, COUNT_MAX)
nothing = st.none()
offers = st.one_of(
    st.builds(
        Offer,
        st.just(Kind.STREAM),
        nothing | names,
        nothing | counts,
        ids,
        sha256=st.booleans(),
    ),
    st.builds(
        Offer,
        st.just(Kind.FILE),
        names,
        counts,
        ids,
        mode=modes,
        mtime=times,
        sparse=st.booleans(),
        sha256=st.booleans(),
    ),
    st.builds(
        Offer,
        st.just(Kind.TREE),
        nothing | names,
        nothing | counts,
        ids,
        nothing | counts,
        sparse=st.booleans(),
        sha256=st.booleans(),
    ),
)
answers = st.builds(
    Answer,
    st.dictionaries(st.integers(1, COUNT_MAX), st.binary(min_size=32, max_size=32), max_size=MARKS_MAX).map(
        lambda marks: tuple(Mark(place, marks[place]) for place in sorted(marks))
    ),
    st.booleans(),
)
aborts = st.builds(
    Abort,
    st.sampled_from(AbortCode),
    st.text(st.characters(exclude_categories=["Cs"])).filter(
        lambda text: len(text.encode()) <= ABORT_TEXT_MAX
    ),
)


def refused(message: type[Message], body: bytes) -> bool:
    """Whether ``body`` is refused as it must be: by PeerMisbehaved and nothing else."""
    try:
        message.unpack(body)
    except PeerMisbehaved:
        return True
    return False


# One encoding


@pytest.mark.parametrize("value", MESSAGES)
def test_every_truncation_is_refused(value: Message) -> None:
    """No proper prefix of a body is a body."""
    body = value.pack()
    assert all(refused(type(value), body[:length]) for length in range(len(body)))


@pytest.mark.parametrize("value", MESSAGES)
def test_every_extension_by_a_byte_or_a_body_is_refused(value: Message) -> None:
    """Nothing may follow a body."""
    body = value.pack()
    assert all(refused(type(value), body + bytes([byte])) for byte in range(256))
    assert refused(type(value), body + body)


def array_spellings(arity: int) -> list[bytes]:
    """Every way in which msgpack can begin an array of ``arity``, the legal one first."""
    return [bytes([0x90 | arity]), struct.pack(">BH", 0xDC, arity), struct.pack(">BI", 0xDD, arity)]


def integer_spellings(value: int) -> list[bytes]:
    """Every way in which msgpack can write a number, the legal one first."""
    if value < 0:
        codes = [(0xD0, "b", 7), (0xD1, "h", 15), (0xD2, "i", 31), (0xD3, "q", 63)]
        spelled = [struct.pack("b", value)] if value >= -32 else []
        return spelled + [
            struct.pack(">B" + form, code, value) for code, form, bits in codes if -value <= 1 << bits
        ]
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


def binary_spellings(data: bytes) -> list[bytes]:
    """Every way in which msgpack can write a bin, the legal one first."""
    heads = [struct.pack(">BB", 0xC4, len(data))] if len(data) < 256 else []
    heads += [struct.pack(">BH", 0xC5, len(data)), struct.pack(">BI", 0xC6, len(data))]
    return [head + data for head in heads]


def spellings(value: object) -> list[bytes]:
    """Every way to write one value of a body."""
    if value is None or isinstance(value, bool):
        return [{None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]]
    if isinstance(value, bytes):
        return binary_spellings(value)
    return text_spellings(value) if isinstance(value, str) else integer_spellings(int(value))  # type: ignore[call-overload]


def values_of(message: Message) -> list[object]:
    """What stands in the body's array, by docs/PROTOCOL.md."""
    if isinstance(message, Answer):
        marks = b"".join(struct.pack(">Q32s", mark.position, mark.digest) for mark in message.marks)
        return [4, marks, message.complete]
    values = list(vars(message).values())
    return values[:3] if isinstance(message, Offer) and message.kind is Kind.CONVERSATION else values


@pytest.mark.parametrize("value", MESSAGES)
def test_every_longer_spelling_of_the_same_values_is_refused(value: Message) -> None:
    """Of all msgpack spellings of a body, the shortest parses and no other does."""
    values = values_of(value)
    alternatives = [array_spellings(len(values)), *(spellings(each) for each in values)]
    shortest, *others = (b"".join(parts) for parts in itertools.product(*alternatives))
    assert shortest == value.pack()
    assert type(value).unpack(shortest) == value
    assert others
    assert all(refused(type(value), body) for body in others)


@pytest.mark.parametrize("value", [*OFFERS[:5], OFFERS[-1], *ANSWERS[:3], *ABORTS[:3]])
def test_no_two_bodies_mean_the_same(value: Message) -> None:
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
    "long bin": bytes(MARKS_MAX * 40 + 40),
    "nil": None,
    "text": "text",
    "zero": 0,
    "large": U64_MAX,
    "array": [0],
    "empty array": [],
    "map": {0: 0},
    "empty map": {},
    "ext": msgpack.ExtType(1, b"x"),
    "empty ext": msgpack.ExtType(1, b""),
    "timestamp": msgpack.Timestamp(0, 0),
    "negative": -1,
}


LEGAL = {
    Kind.STREAM: {"nil": (1, 2, 4, 5, 6), "text": (1,), "zero": (0, 2), "true": (8,), "false": (7, 8)},
    Kind.FILE: {
        "nil": (4, 5, 6),
        "text": (1,),
        "zero": (2, 5, 6),
        "negative": (6,),
        "true": (7, 8),
        "false": (7, 8),
    },
    Kind.TREE: {"nil": (1, 2, 4, 5, 6), "text": (1,), "zero": (2, 4), "true": (7, 8), "false": (7, 8)},
    Kind.CONVERSATION: {"nil": (1, 2)},
    Kind.ANSWER: {"true": (2,), "false": (2,), "empty bin": (1,)},
}
"""Where, in a body of a kind, a value of ``NEITHER_OF_OURS`` is legal after all."""

FIELDS: dict[Kind, list[object]] = {
    Kind.STREAM: [0, "name", 7, ID, None, None, None, False, False],
    Kind.FILE: [1, "name", 7, ID, None, 0o644, 5, False, False],
    Kind.TREE: [3, "name", 7, ID, 9, None, None, False, False],
    Kind.CONVERSATION: [2, None, None],
    Kind.ANSWER: [4, struct.pack(">Q32s", 1, bytes(32)), False],
}


@pytest.mark.parametrize("position", range(9))
@pytest.mark.parametrize("wrong", NEITHER_OF_OURS)
@pytest.mark.parametrize("kind", Kind)
def test_open_of_a_wrong_type_is_refused(position: int, wrong: str, kind: Kind) -> None:
    """Each field of OPEN and of its answer takes its own types, and no other: no float, no array, no map, no
    extension anywhere, no number that is negative or too large."""
    message = Answer if kind is Kind.ANSWER else Offer
    fields = list(FIELDS[kind])
    assert not refused(message, msgpack.packb(fields))
    if position >= len(fields):
        return
    fields[position] = NEITHER_OF_OURS[wrong]
    legal = position in LEGAL[kind].get(wrong, ())
    assert refused(message, msgpack.packb(fields)) is not legal


@pytest.mark.parametrize("position", range(2))
@pytest.mark.parametrize("wrong", NEITHER_OF_OURS)
def test_abort_of_a_wrong_type_is_refused(position: int, wrong: str) -> None:
    """No field of ABORT takes anything but its own type; any number is a code."""
    fields: list[object] = [1, "text"]
    assert not refused(Abort, msgpack.packb(fields))
    fields[position] = NEITHER_OF_OURS[wrong]
    legal = (position, wrong) in ((0, "zero"), (0, "large"), (1, "text"))
    assert refused(Abort, msgpack.packb(fields)) is not legal


def offered(kind: object, name: object, size: object, *, items: object = None, mode: object = None) -> bytes:
    """The body of an OPEN with such fields."""
    body: bytes = msgpack.packb([kind, name, size, ID, items, mode, None, False, False])
    return body


@pytest.mark.parametrize(
    ("body", "legal"),
    [
        (offered(None, "name", 7), False),
        (offered("0", "name", 7), False),
        (offered(2, "name", 7), False),
        (offered(2, None, None), False),
        (offered(4, "name", 7), False),
        (offered(5, "name", 7), False),
        (offered(U64_MAX, "name", 7), False),
        (offered(1, 7, 7), False),
        (offered(1, "name", "7"), False),
        (offered(1, None, 7), False),
        (offered(1, "name", None), False),
        (offered(1, None, None), False),
        (offered(1, "name", COUNT_MAX), True),
        (offered(1, "name", COUNT_MAX + 1), False),
        (offered(1, "name", 7, mode=0o7777), True),
        (offered(1, "name", 7, mode=0o10000), False),
        (offered(1, "name", 7, items=1), False),
        (offered(0, "name", 7, items=1), False),
        (offered(0, "name", 7, mode=1), False),
        (offered(3, "name", 7, mode=1), False),
        (offered(3, None, None, items=COUNT_MAX), True),
        (offered(3, None, None, items=COUNT_MAX + 1), False),
        (msgpack.packb([2, None, None]), True),
        (msgpack.packb([0, None, None]), False),
        (msgpack.packb([1, "name", 7]), False),
        (msgpack.packb([3, None, None]), False),
        (msgpack.packb([4, b"", False]), False),
    ],
)
def test_open_has_the_fields_of_its_kind(body: bytes, legal: bool) -> None:
    """A file has a name and a size, only it a mode and a time, only a tree a number of items, and a
    conversation nothing; an answer is no offer. Numbers are below 2^63."""
    assert refused(Offer, body) is not legal


@pytest.mark.parametrize("field", ["mtime", "delivery"])
def test_open_has_times_and_names_in_their_limits(field: str) -> None:
    """A time is above -2^63 and below 2^63; the delivery's name has 16 bytes."""
    file = Offer(Kind.FILE, "name", 7, ID)
    values: dict[str, list[tuple[object, bool]]] = {
        "mtime": [(COUNT_MAX, True), (-COUNT_MAX, True), (-COUNT_MAX - 1, False), (COUNT_MAX + 1, False)],
        "delivery": [(bytes(length), length == 16) for length in range(40)],
    }
    for value, legal in values[field]:
        changed = dataclasses.replace(file, **{field: value})  # type: ignore[arg-type]
        assert refused(Offer, changed.pack()) is not legal


@pytest.mark.parametrize("message", [Offer, Answer, Abort])
@pytest.mark.parametrize("arity", range(18))
def test_arrays_of_another_length_are_refused(message: type[Message], arity: int) -> None:
    """OPEN has three values or nine, an answer three and ABORT two."""
    fields = {Offer: FIELDS[Kind.FILE], Answer: FIELDS[Kind.ANSWER], Abort: [1, "text"]}[message]
    if arity != len(fields):
        assert refused(message, msgpack.packb((fields + [None] * 16)[:arity]))


# Answers


def answer_of(*places: int, digest: bytes = bytes(32)) -> bytes:
    """The body of an answer with these places."""
    body: bytes = msgpack.packb([4, b"".join(struct.pack(">Q", place) + digest for place in places), False])
    return body


@pytest.mark.parametrize(
    ("body", "legal"),
    [
        (answer_of(), True),
        (answer_of(1), True),
        (answer_of(0), False),
        (answer_of(0, 1), False),
        (answer_of(1, 1), False),
        (answer_of(2, 1), False),
        (answer_of(1, 3, 2), False),
        (answer_of(COUNT_MAX), True),
        (answer_of(COUNT_MAX + 1), False),
        (answer_of(1, U64_MAX), False),
        (answer_of(*range(1, MARKS_MAX + 1)), True),
        (answer_of(*range(1, MARKS_MAX + 2)), False),
        (answer_of(1, digest=bytes(31)), False),
        (answer_of(1, digest=bytes(33)), False),
        *((msgpack.packb([4, bytes(length), False]), length == 0) for length in range(40)),
        (msgpack.packb([4.0, b"", False]), False),
        (msgpack.packb([0, b"", False]), False),
        (msgpack.packb([4, "", False]), False),
        (msgpack.packb([4, b"", 0]), False),
        (msgpack.packb([4, b"", None]), False),
    ],
)
def test_marks_rise_and_are_whole(body: bytes, legal: bool) -> None:
    """At most 64 marks of 40 bytes, the places rising from 1 and below 2^63; and a bool."""
    assert refused(Answer, body) is not legal


def test_what_is_held_is_the_last_mark() -> None:
    """Nothing where there is none."""
    assert [answer.held for answer in ANSWERS] == [0, 0, 1, COUNT_MAX, MARKS_MAX]


# Binding


def test_security_a_bound_name_is_of_one_emitter_and_one_delivery() -> None:
    """Another fingerprint or another name: another one, in every bit; all else of the offer stays."""
    offer = OFFERS[6]
    bound = offer.bound_to(bytes(32))
    assert bound == dataclasses.replace(offer, delivery=bound.delivery)
    assert len(bound.delivery) == DELIVERY_LENGTH
    made = {bound.delivery, offer.delivery}
    for position in range(256):
        made.add(offer.bound_to((1 << position).to_bytes(32, "big")).delivery)
    for position in range(128):
        name = (int.from_bytes(ID, "big") ^ 1 << position).to_bytes(16, "big")
        made.add(dataclasses.replace(offer, delivery=name).bound_to(bytes(32)).delivery)
    assert len(made) == 2 + 256 + 128


# All of them


@pytest.mark.parametrize("message", [Offer, Answer, Abort])
def test_no_single_byte_is_a_body(message: type[Message]) -> None:
    """Nothing, and every msgpack value of one byte, is refused."""
    assert refused(message, b"")
    assert all(refused(message, bytes([byte])) for byte in range(256))


@pytest.mark.parametrize("message", [Offer, Answer, Abort])
@pytest.mark.parametrize("byte", [0x91, 0x92, 0x93, 0x81, 0xDC])
def test_security_deep_nesting_is_refused(message: type[Message], byte: int) -> None:
    """A body that opens an array or a map at every byte ends in a refusal, not in a full stack."""
    assert refused(message, bytes([byte]) * STRUCTURED_BODY_MAX)


@pytest.mark.parametrize("message", [Offer, Answer, Abort])
def test_security_bodies_above_the_limit_are_not_parsed(message: type[Message]) -> None:
    """A body of 4,097 bytes is refused for its length alone."""
    with pytest.raises(PeerMisbehaved, match="too long"):
        message.unpack(b"\x93" * (STRUCTURED_BODY_MAX + 1))


@pytest.mark.parametrize("text", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80"])
def test_text_that_is_not_utf8_is_refused(text: bytes) -> None:
    """Broken, truncated, surrogate, overlong and out-of-range UTF-8 is refused in both messages."""
    spelled = bytes([0xA0 | len(text)]) + text
    legal = offered(1, "name", 7)
    assert refused(Offer, legal.replace(b"\xa4name", spelled))
    assert not refused(Offer, legal)
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
    assert refused(Offer, offered(1, name, 7)) is not legal


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


@pytest.mark.parametrize("code", [0, 7, 8, 127, 128, 255, 256, 1 << 16, 1 << 32, U64_MAX])
def test_an_unknown_abort_code_counts_as_internal(code: int) -> None:
    """A later version's reason is a fault of the other side, no breach of the protocol."""
    assert Abort.unpack(msgpack.packb([code, "later"])) == Abort(AbortCode.INTERNAL, "later")


# Round trips


@given(offers)
def test_every_legal_offer_comes_back(offer: Offer) -> None:
    """Packed and unpacked, from bytes or from a view of them, an offer is the same."""
    assert Offer.unpack(offer.pack()) == Offer.unpack(memoryview(offer.pack())) == offer


@given(answers)
def test_every_legal_answer_comes_back(answer: Answer) -> None:
    """Packed and unpacked, an answer is the same."""
    assert Answer.unpack(answer.pack()) == Answer.unpack(memoryview(answer.pack())) == answer


@given(aborts)
def test_every_legal_abort_comes_back(abort: Abort) -> None:
    """Packed and unpacked, an ABORT is the same."""
    assert Abort.unpack(abort.pack()) == Abort.unpack(memoryview(abort.pack())) == abort


@given(st.sampled_from([Offer, Answer, Abort]), st.binary(max_size=64))
def test_any_bytes_are_refused_or_are_the_one_encoding(message: type[Message], body: bytes) -> None:
    """Whatever parses packs to the same bytes again; nothing raises another error."""
    if not refused(message, body) and message is not Abort:
        assert message.unpack(body).pack() == body


@given(
    st.sampled_from([*OFFERS, *ANSWERS]),
    st.integers(0, 80),
    st.binary(max_size=4),
    st.booleans(),
)
def test_bytes_that_look_like_open_are_refused_or_are_the_one_encoding(
    value: Offer | Answer, position: int, changed: bytes, longer: bool
) -> None:
    """The same, close to what is legal: some bytes replaced, or put in between."""
    body = value.pack()
    body = body[:position] + changed + body[position + (0 if longer else len(changed)) :]
    if not refused(type(value), body):
        assert type(value).unpack(body).pack() == body


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
