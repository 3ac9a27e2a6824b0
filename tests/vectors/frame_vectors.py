"""frames.json: frames of every length class, and every way to be no frame (docs/PROTOCOL.md, section 4)."""

from __future__ import annotations

import struct

from vector_tools import DATA, Json, fixed, ref

HANDSHAKE, RECORD = b"\x93\x00\xc4\x00", b"\x93\x01\xc4\x10"
HANDSHAKE_MAX = 4096
RECORD_MAX = (1 << 20) + 32 + 25
HEADER = ref.header(33, DATA, 7)
MESSAGE, BODY = fixed("a message", 5), fixed("a body", 33)


def frame_vectors() -> Json:
    return {"frames": _legal(), "refusals": [*_misspelt(), *_damaged(), *_other_values(), *_too_long()]}


def _legal() -> list[Json]:
    """``body_length`` bytes at the end of a frame are its message, or its ciphertext and tag."""
    messages = [_case(f"a message of {n}", HANDSHAKE, n, HANDSHAKE_MAX) for n in (0, 1, 255, 256, 4089)]
    lengths = (0, 32, 255, 256, 65_535, 65_536, (1 << 20) + 32)
    records = []
    for n in lengths:
        header = ref.header(n, DATA, 7)
        case = _case(f"a record's body of {n}", RECORD + header, n, RECORD_MAX)
        records.append(case | {"kind": 1, "header": header})
    return [case | {"kind": 0, "header": b""} for case in messages] + records


def _case(name: str, start: bytes, length: int, max_length: int) -> Json:
    content = fixed(name, min(length, 300))
    head = start + _bin(length) + content
    zeros = length - len(content)
    case = {"name": name, "max_length": max_length, "head": head, "zeros": zeros}
    return case | {"body_length": length, "expect": "ok"}


def _bin(length: int) -> bytes:
    if length < 1 << 8:
        return b"\xc4" + bytes([length])
    return b"\xc5" + struct.pack(">H", length) if length < 1 << 16 else b"\xc6" + struct.pack(">I", length)


def _refused(name: str, head: bytes, zeros: int = 0, max_length: int = RECORD_MAX) -> Json:
    return {"name": name, "max_length": max_length, "head": head, "zeros": zeros, "expect": "refused"}


ARRAYS = {"array 16": b"\xdc\x00\x03", "array 32": b"\xdd\x00\x00\x00\x03"}


def _numbers(n: int) -> dict[str, bytes]:
    return {
        "uint 8": b"\xcc" + bytes([n]),
        "uint 16": b"\xcd" + struct.pack(">H", n),
        "uint 32": b"\xce" + struct.pack(">I", n),
        "uint 64": b"\xcf" + struct.pack(">Q", n),
        "int 8": b"\xd0" + bytes([n]),
        "int 16": b"\xd1" + struct.pack(">h", n),
        "int 32": b"\xd2" + struct.pack(">i", n),
        "int 64": b"\xd3" + struct.pack(">q", n),
        "float 32": b"\xca" + struct.pack(">f", n),
        "float 64": b"\xcb" + struct.pack(">d", n),
        "a boolean": bytes([0xC2 + n]),
        "nil": b"\xc0",
    }


def _strings(value: bytes) -> dict[str, bytes]:
    """Every other way in which msgpack can carry these few bytes, as bin, str or ext; and nothing at all."""
    n = len(value)
    spelled = {
        "bin 16": b"\xc5" + struct.pack(">H", n),
        "bin 32": b"\xc6" + struct.pack(">I", n),
        "str 8": b"\xd9" + bytes([n]),
        "str 16": b"\xda" + struct.pack(">H", n),
        "str 32": b"\xdb" + struct.pack(">I", n),
        "ext 8": b"\xc7" + bytes([n, 0]),
        "ext 16": b"\xc8" + struct.pack(">HB", n, 0),
        "ext 32": b"\xc9" + struct.pack(">IB", n, 0),
    }
    if n < 32:
        spelled["fixstr"] = bytes([0xA0 | n])
    if n == 16:
        spelled["fixext 16"] = b"\xd8\x00"
    return {name: start + value for name, start in spelled.items()} | {
        "nil": b"\xc0",
        "an empty array": b"\x90",
    }


def _misspelt() -> list[Json]:
    """One of the four parts in another spelling, or of another type; the others as they must be."""
    cases = []
    for kind, header, body in ((0, b"", MESSAGE), (1, HEADER, BODY)):
        array, number = b"\x93", bytes([kind])
        head, rest = b"\xc4" + bytes([len(header)]) + header, b"\xc4" + bytes([len(body)]) + body
        cases += [(f"kind {kind}, the array as {n}", s + number + head + rest) for n, s in ARRAYS.items()]
        cases += [(f"kind {kind} as {n}", array + s + head + rest) for n, s in _numbers(kind).items()]
        cases += [
            (f"kind {kind}, the header as {n}", array + number + s + rest)
            for n, s in _strings(header).items()
        ]
        cases += [
            (f"kind {kind}, the body as {n}", array + number + head + s) for n, s in _strings(body).items()
        ]
    refused = [_refused(name, frame) for name, frame in cases]
    start = RECORD + HEADER
    return [
        *refused,
        _refused("a body of 255 as bin 16", start + b"\xc5\x00\xff", 255),
        _refused("a body of 255 as bin 32", start + b"\xc6\x00\x00\x00\xff", 255),
        _refused("a body of 256 as bin 32", start + b"\xc6\x00\x00\x01\x00", 256),
        _refused("a body of 65535 as bin 32", start + b"\xc6\x00\x00\xff\xff", 65_535),
    ]


def _damaged() -> list[Json]:
    """Bytes left over, bytes missing, a length that is not there."""
    message, record = HANDSHAKE + _bin(len(MESSAGE)) + MESSAGE, RECORD + HEADER + _bin(len(BODY)) + BODY
    start = RECORD + HEADER
    cases = [
        *((f"a message cut to {n}", message[:n]) for n in range(len(message))),
        *((f"a record cut to {n}", record[:n]) for n in range(len(record))),
        ("a message and a byte", message + b"\0"),
        ("a record and a byte", record + b"\0"),
        ("two messages", message + message),
        ("a length one too small", start + b"\xc4\x20" + BODY),
        ("a length one too large", start + b"\xc4\x22" + BODY),
        ("a length of 4 GiB", start + b"\xc6\xff\xff\xff\xff" + BODY),
        ("a length of no value", start + b"\xc4\x00" + BODY),
    ]
    return [_refused(name, frame) for name, frame in cases]


def _other_values() -> list[Json]:
    """Good msgpack of something else."""
    rest = _bin(len(BODY)) + BODY
    cases = [
        ("kind 2", b"\x93\x02\xc4\x10" + HEADER + rest),
        ("kind 127", b"\x93\x7f\xc4\x10" + HEADER + rest),
        ("kind -1", b"\x93\xff\xc4\x10" + HEADER + rest),
        ("kind 0 with a header of 16", b"\x93\x00\xc4\x10" + HEADER + rest),
        ("kind 1 without a header", b"\x93\x01\xc4\x00" + rest),
        ("kind 1 with a header of 15", b"\x93\x01\xc4\x0f" + HEADER[:15] + rest),
        ("kind 1 with a header of 17", b"\x93\x01\xc4\x11" + HEADER + b"\0" + rest),
        ("an array of 2", b"\x92\x01\xc4\x10" + HEADER),
        ("an array of 4", b"\x94\x01\xc4\x10" + HEADER + rest + b"\xc4\x00"),
        ("an empty array", b"\x90"),
        ("a map", b"\x83\x00\xc4\x00\xc4\x00\xc4\x00\xc4\x00\xc4\x00"),
        ("nil", b"\xc0"),
        ("a bin", b"\xc4\x00"),
        ("the unused byte c1", b"\xc1"),
        ("a bare handshake message", MESSAGE),
    ]
    return [_refused(name, frame) for name, frame in cases]


def _too_long() -> list[Json]:
    """A byte more than the state allows, in the one encoding."""
    body = RECORD_MAX + 1 - 25
    return [
        _refused("a frame of 4097 before M4", HANDSHAKE + _bin(4090), 4090, HANDSHAKE_MAX),
        _refused("a byte over max_plaintext + 32 + 25", RECORD + HEADER + _bin(body), body),
    ]
