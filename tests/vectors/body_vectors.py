"""bodies.json: the plaintexts of OPEN, its answer, ACK, ABORT, and what is not (docs/PROTOCOL.md, section 9).

The msgpack is spelled out here, byte by byte: no library's idea of it decides.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from vector_tools import Json, fixed

U64_MAX = (1 << 64) - 1
COUNT_MAX = (1 << 63) - 1


@dataclass(frozen=True)
class Raw:
    """A str whose bytes are no UTF-8."""

    data: bytes


Value = int | str | bytes | Raw | None
Field = tuple[str, Value]


def body_vectors() -> Json:
    """Numbers in ``values`` are decimal strings: many readers of JSON round those above 2^53."""
    return {
        "bodies": [*_legal_opens(), *_legal_answers(), *_legal_acks(), *_legal_aborts()],
        "refusals": [
            *(_refused("OPEN", name, body) for name, body in _refused_opens()),
            *(_refused("ANSWER", name, body) for name, body in _refused_answers()),
            *(_refused("ACK", f"{n} bytes", bytes(n)) for n in (0, 1, 15, 17, 32)),
            _refused("ACK", "as msgpack", b"\x92\x05\x0b"),
            *(_refused("ABORT", name, body) for name, body in _refused_aborts()),
        ],
    }


def _legal(record_type: str, name: str, body: bytes, values: tuple[Value, ...]) -> Json:
    shown = [str(value) if type(value) is int else value for value in values]
    return {"type": record_type, "name": name, "body": body, "values": shown, "expect": "ok"}


def _refused(record_type: str, name: str, body: bytes) -> Json:
    return {"type": record_type, "name": name, "body": body, "expect": "refused"}


# msgpack: the shortest spelling of a value first, then every other.


def _array(arity: int) -> Iterator[tuple[str, bytes]]:
    yield "fixarray", bytes([0x90 | arity])
    yield "array 16", b"\xdc" + struct.pack(">H", arity)
    yield "array 32", b"\xdd" + struct.pack(">I", arity)


def _number(n: int) -> Iterator[tuple[str, bytes]]:
    if 0 <= n < 128:
        yield "positive fixint", bytes([n])
    if -32 <= n < 0:
        yield "negative fixint", struct.pack(">b", n)
    for bits, code, form in ((8, 0xCC, "B"), (16, 0xCD, "H"), (32, 0xCE, "I"), (64, 0xCF, "Q")):
        if 0 <= n < 1 << bits:
            yield f"uint {bits}", bytes([code]) + struct.pack(f">{form}", n)
    for bits, code, form in ((8, 0xD0, "b"), (16, 0xD1, "h"), (32, 0xD2, "i"), (64, 0xD3, "q")):
        if -(1 << (bits - 1)) <= n < 1 << (bits - 1):
            yield f"int {bits}", bytes([code]) + struct.pack(f">{form}", n)


def _binary(data: bytes) -> Iterator[tuple[str, bytes]]:
    if len(data) < 256:
        yield "a bin with a length of 8 bits", b"\xc4" + bytes([len(data)]) + data
    yield "a bin with a length of 16 bits", b"\xc5" + struct.pack(">H", len(data)) + data
    yield "a bin with a length of 32 bits", b"\xc6" + struct.pack(">I", len(data)) + data


def _text(text: str | Raw) -> Iterator[tuple[str, bytes]]:
    data = text.encode() if isinstance(text, str) else text.data
    if len(data) < 32:
        yield "fixstr", bytes([0xA0 | len(data)]) + data
    if len(data) < 256:
        yield "str 8", b"\xd9" + bytes([len(data)]) + data
    yield "str 16", b"\xda" + struct.pack(">H", len(data)) + data
    yield "str 32", b"\xdb" + struct.pack(">I", len(data)) + data


def _spellings(value: Value) -> Iterator[tuple[str, bytes]]:
    if value is None:
        return iter([("nil", b"\xc0")])
    if isinstance(value, bool):
        return iter([("true", b"\xc3")] if value else [("false", b"\xc2")])
    if isinstance(value, bytes):
        return _binary(value)
    return _number(value) if isinstance(value, int) else _text(value)


def _shortest(value: Value) -> bytes:
    return next(_spellings(value))[1]


def _body(*values: Value) -> bytes:
    return next(_array(len(values)))[1] + b"".join(map(_shortest, values))


OTHER_TYPES: dict[str, bytes] = {
    "the unused byte c1": b"\xc1",
    "false": b"\xc2",
    "true": b"\xc3",
    "bin 8": b"\xc4\x01a",
    "bin 16": b"\xc5\x00\x01a",
    "bin 32": b"\xc6\x00\x00\x00\x01a",
    "ext 8": b"\xc7\x01\x00a",
    "ext 16": b"\xc8\x00\x01\x00a",
    "ext 32": b"\xc9\x00\x00\x00\x01\x00a",
    "float 32": b"\xca" + struct.pack(">f", 1),
    "float 64": b"\xcb" + struct.pack(">d", 1),
    "int 8, negative": b"\xd0\x80",
    "int 16, negative": b"\xd1\x80\x00",
    "int 32, negative": b"\xd2\x80\x00\x00\x00",
    "int 64, negative": b"\xd3" + struct.pack(">q", -(1 << 63)),
    "negative fixint": b"\xff",
    "fixext 1": b"\xd4\x00a",
    "fixext 2": b"\xd5\x00ab",
    "fixext 4, a timestamp": b"\xd6\xff\x00\x00\x00\x00",
    "fixext 8": b"\xd7\x00abcdefgh",
    "fixext 16": b"\xd8\x00abcdefghijklmnop",
    "an empty array": b"\x90",
    "an array": b"\x91\x01",
    "an array 16": b"\xdc\x00\x01\x01",
    "an array 32": b"\xdd\x00\x00\x00\x01\x01",
    "an empty map": b"\x80",
    "a map": b"\x81\x01\x01",
    "a map 16": b"\xde\x00\x01\x01\x01",
    "a map 32": b"\xdf\x00\x00\x00\x01\x01\x01",
}
NOT_UTF8 = {
    "a byte ff": b"\xff",
    "a cut character": b"\xc3",
    "a surrogate": b"\xed\xa0\x80",
    "an overlong slash": b"\xc0\xaf",
    "above U+10FFFF": b"\xf4\x90\x80\x80",
}


def _misspelt(fields: tuple[Field, ...]) -> Iterator[tuple[str, bytes]]:
    """Each part of a legal body in each spelling but the shortest, and each field of each other type."""
    arrays = list(_array(len(fields)))
    parts = [_shortest(value) for _, value in fields]
    for name, start in arrays[1:]:
        yield f"the array as {name}", start + b"".join(parts)
    for at, (field, value) in enumerate(fields):
        _, *others = _spellings(value)
        number = type(value) is int
        wrong = {"a str": b"\xa1a"} if number else {"a number": b"\x01"}
        for name, spelled in [*others, *wrong.items(), *OTHER_TYPES.items()]:
            if (isinstance(value, bool) and name in ("true", "false")) or (
                field == "mtime" and "negative" in name
            ):
                continue
            changed = [*parts[:at], spelled, *parts[at + 1 :]]
            yield f"{field} {_named(value)} as {name}", arrays[0][1] + b"".join(changed)


def _named(value: Value) -> str:
    if isinstance(value, str | bytes):
        return f"of {len(value.encode() if isinstance(value, str) else value)} bytes"
    return "nil" if value is None else str(value)


def _damaged(body: bytes) -> Iterator[tuple[str, bytes]]:
    for length in range(len(body)):
        yield f"cut to {length}", body[:length]
    yield "and a byte", body + b"\0"
    yield "and nil", body + b"\xc0"
    yield "twice", body + body


def _other_shapes(values: tuple[Value, ...]) -> Iterator[tuple[str, bytes]]:
    """Other lengths of the array, other things than an array."""
    many = values + (None,) * 14
    for arity in range(16):
        if arity != len(values):
            yield f"an array of {arity}", _body(*many[:arity])
    yield "an array of 16", b"\xdc\x00\x10" + b"".join(map(_shortest, many[:16])).ljust(16, b"\xc0")
    yield "in an array of its own", b"\x91" + _body(*values)
    yield "a map", b"\x82" + b"".join(map(_shortest, many[:4]))
    yield "a number", b"\x01"
    yield "a bin", b"\xc4\x03" + _body(*values)[:3]
    yield "1,024 arrays deep", b"\x91" * 1024
    yield "an array of 2^32 - 1", b"\xdd\xff\xff\xff\xff"
    yield "4,097 bytes", _body(*values).ljust(4097, b"\xc0")


# OPEN.

ID = bytes(range(16))
FIELDS = ("kind", "name", "size", "delivery", "items", "mode", "mtime", "sparse", "sha256")
NEVER_TIMES = (COUNT_MAX + 1, -COUNT_MAX - 1)


def _open(
    kind: Value,
    name: Value = None,
    size: Value = None,
    *,
    delivery: Value = ID,
    items: Value = None,
    mode: Value = None,
    mtime: Value = None,
    sparse: Value = False,
    sha256: Value = False,
) -> tuple[Value, ...]:
    """The values of the OPEN of a delivery."""
    return kind, name, size, delivery, items, mode, mtime, sparse, sha256


def _legal_opens() -> Iterator[Json]:
    def case(name: str, values: tuple[Value, ...]) -> Json:
        return _legal("OPEN", name, _body(*values), values)

    yield case("a stream", _open(0))
    yield case("a stream with a size", _open(0, None, 7))
    yield case("a stream with a name", _open(0, "log"))
    yield case("a stream with both, and SHA-256", _open(0, "log", 7, sha256=True))
    yield case("a stream of another delivery", _open(0, delivery=b"\xff" * 16))
    for length in (1, 31, 32, 255):
        yield case(f"a file with a name of {length}", _open(1, "n" * length, 7))
    for size in (0, 127, 128, 255, 256, 65_535, 65_536, (1 << 32) - 1, 1 << 32, COUNT_MAX):
        yield case(f"a file of {size} bytes", _open(1, "n", size))
    for mode in (0, 0o644, 0o7777):
        yield case(f"a file of mode {mode:o}", _open(1, "n", 7, mode=mode))
    for mtime in (0, -1, -32, -33, -128, -129, 1 << 60, -(1 << 31), COUNT_MAX, -COUNT_MAX):
        yield case(f"a file of the time {mtime}", _open(1, "n", 7, mtime=mtime))
    yield case(
        "a file with everything",
        _open(1, "n", 7, mode=0o755, mtime=1_700_000_000 * 10**9, sparse=True, sha256=True),
    )
    # Whether a str can be the name of a file is the sink's question, not the parser's.
    for name in (
        "\u00e9" * 127,
        "\U0001f600" * 63 + "nnn",
        "..",
        "a/b",
        "\x00",
        "\x1b[2J",
        "\u202e",
        "\ufeff",
    ):
        yield case(f"a name of {len(name.encode())} bytes, {name[:4]!a}", _open(1, name, 7))
    yield case("a tree", _open(3))
    for items in (0, 1, 100_000, COUNT_MAX):
        yield case(f"a tree of {items} entries", _open(3, "folder", 1 << 40, items=items))
    yield case("a tree with a sparse file", _open(3, "folder", 1 << 40, items=2, sparse=True))
    yield case("a conversation", (2, None, None))


def _refused_opens() -> Iterator[tuple[str, bytes]]:
    file = _open(1, "a", 7, mode=0o644, mtime=5)
    yield from _misspelt(tuple(zip(FIELDS, file, strict=True)))
    longer = [_open(0, "n" * 31, 128), _open(1, "n" * 32, 1 << 16, mtime=-200), _open(1, "n", 1 << 32)]
    yield from _spelt_longer([*longer, (2, None, None)])
    yield from _damaged(_body(*_open(1, "report.pdf", 128)))
    yield from _other_shapes(file)
    yield "a conversation with a name", _body(2, "a", None)
    yield "a conversation with a size", _body(2, None, 7)
    yield "a conversation with a delivery", _body(*_open(2))
    for kind in (0, 1, 3):
        yield f"kind {kind} without a delivery", _body(kind, "a", 7)
    yield "an answer", _body(4, b"", False)
    for number in (2, 4, 5, 127, 128, 1 << 32, U64_MAX):
        yield f"kind {number}", _body(*_open(number, "a", 7))
    yield "kind nil", _body(*_open(None, "a", 7))
    yield from _refused_names()
    yield from _refused_numbers()


def _refused_names() -> Iterator[tuple[str, bytes]]:
    yield "a file without a name", _body(*_open(1, None, 7))
    yield "a file without a size", _body(*_open(1, "a", None))
    yield "a file without both", _body(*_open(1))
    yield "an empty name", _body(*_open(1, "", 7))
    yield "an empty name of a stream", _body(*_open(0, ""))
    yield "an empty name of a tree", _body(*_open(3, ""))
    yield "a name of 256 bytes", _body(*_open(1, "n" * 256, 7))
    yield "a name of 128 characters, 256 bytes", _body(*_open(1, "\u00e9" * 128, 7))
    for name, data in NOT_UTF8.items():
        yield f"a name with {name}", _body(*_open(1, Raw(data), 7))
    for length in (0, 1, 15, 17, 32):
        yield f"a delivery of {length} bytes", _body(*_open(0, delivery=bytes(length)))
    yield "a delivery of none", _body(*_open(0, delivery=None))


def _refused_numbers() -> Iterator[tuple[str, bytes]]:
    yield "a size of 2^63", _body(*_open(1, "a", COUNT_MAX + 1))
    yield "2^63 entries", _body(*_open(3, items=COUNT_MAX + 1))
    yield "mode 10000", _body(*_open(1, "a", 7, mode=0o10000))
    for time in NEVER_TIMES:
        yield f"the time {time}", _body(*_open(1, "a", 7, mtime=time))
    yield "a stream with a mode", _body(*_open(0, mode=0))
    yield "a stream with a time", _body(*_open(0, mtime=0))
    yield "a stream that is sparse", _body(*_open(0, sparse=True))
    yield "a stream with entries", _body(*_open(0, items=0))
    yield "a file with entries", _body(*_open(1, "a", 7, items=1))
    yield "a tree with a mode", _body(*_open(3, mode=0))
    yield "a tree with a time", _body(*_open(3, mtime=0))


def _spelt_longer(bodies: list[tuple[Value, ...]]) -> Iterator[tuple[str, bytes]]:
    """One value spelled longer, at a time, where the shortest spelling is another."""
    for values in bodies:
        for at, value in enumerate(values):
            _, *others = _spellings(value)
            for name, spelled in others:
                parts = [spelled if n == at else _shortest(each) for n, each in enumerate(values)]
                yield (
                    f"{', '.join(map(_named, values))}: value {at} as {name}",
                    next(_array(len(values)))[1] + b"".join(parts),
                )


# The Receiver's OPEN.


def _marks(*places: int) -> bytes:
    """Marks of these places; the digests are nobody's."""
    return b"".join(struct.pack(">Q", place) + fixed(f"mark {place}", 32) for place in places)


def _legal_answers() -> Iterator[Json]:
    def case(name: str, marks: bytes, complete: bool) -> Json:
        return _legal("ANSWER", name, _body(4, marks, complete), (4, marks, complete))

    yield case("nothing is here", b"", False)
    yield case("stored, of no bytes", b"", True)
    yield case("stored", _marks(1 << 40), True)
    for place in (1, 255, COUNT_MAX):
        yield case(f"one mark, at {place}", _marks(place), False)
    for count in (2, 6, 7, 63, 64):
        yield case(f"{count} marks", _marks(*range(1000, 1000 + count)), False)


def _refused_answers() -> Iterator[tuple[str, bytes]]:
    yield from _misspelt((("kind", 4), ("marks", _marks(7)), ("complete", False)))
    yield from _spelt_longer([(4, b"", True), (4, _marks(*range(1, 8)), False)])
    yield from _damaged(_body(4, _marks(7), True))
    yield from _other_shapes((4, _marks(7), False))
    for kind in (0, 1, 2, 3, 5, U64_MAX):
        yield f"kind {kind}", _body(kind, b"", False)
    yield "a conversation", _body(2, None, None)
    yield "an offer", _body(*_open(0))
    yield "65 marks", _body(4, _marks(*range(1, 66)), False)
    for length in (1, 8, 32, 39, 41, 79):
        yield f"marks of {length} bytes", _body(4, _marks(1, 2)[:length], False)
    for places in ((0,), (0, 1), (1, 1), (2, 1), (1, 3, 2), (COUNT_MAX + 1,), (1, U64_MAX)):
        yield f"marks at {', '.join(map(str, places))}", _body(4, _marks(*places), False)
    yield "marks nil", _body(4, None, False)
    yield "complete nil", _body(4, b"", None)


# ACK.


def _legal_acks() -> Iterator[Json]:
    for values in ((0, 0), (4, 11), (1, U64_MAX), (U64_MAX, 0)):
        yield _legal(
            "ACK", f"next_seq {values[0]}, durable_bytes {values[1]}", struct.pack(">QQ", *values), values
        )


# ABORT.


def _legal_aborts() -> Iterator[Json]:
    """``counts_as``: the code that it is treated as."""

    def case(name: str, code: int, text: str) -> Json:
        counts_as = code if 1 <= code <= 6 else 5
        return _legal("ABORT", name, _body(code, text), (code, text)) | {"counts_as": counts_as}

    for code in (1, 2, 3, 4, 5, 6, 0, 7, 127, 128, 256, 65_536, 1 << 32, U64_MAX):
        yield case(f"code {code}", code, "a reason")
    for length in (0, 31, 32, 255, 256, 1024):
        yield case(f"a text of {length} bytes", 2, "t" * length)
    yield case("a text of 1024 bytes, 512 characters", 2, "\u00e9" * 512)
    yield case("a text that a terminal must not see", 2, "\x1b[2J\x07")


def _refused_aborts() -> Iterator[tuple[str, bytes]]:
    yield from _misspelt((("code", 1), ("text", "a")))
    yield from _spelt_longer([(5, ""), (128, "t" * 32), (1 << 16, "t" * 256)])
    yield from _damaged(_body(2, "disk full"))
    yield from _other_shapes((1, "a"))
    yield "code nil", _body(None, "a")
    yield "text nil", _body(1, None)
    yield "a text of 1025 bytes", _body(1, "t" * 1025)
    yield "a text of 513 characters, 1026 bytes", _body(1, "\u00e9" * 513)
    for name, data in NOT_UTF8.items():
        yield f"a text with {name}", _body(1, Raw(data))
