"""One frame has one encoding, and nothing else is read as a frame."""

from __future__ import annotations

import struct

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from selo.errors import MisuseError
from selo.transport.base import FrameRefused
from selo.transport.frames import HandshakeFrame, RecordFrame, new_record_frame, pack_handshake, parse

ANY_LENGTH = 1 << 32
HEADER = bytes(range(16))
LENGTHS = [0, 1, 31, 32, 33, 223, 224, 255, 256, 257, 1000, 65_503, 65_535, 65_536, 65_537, 1 << 20]


def record(body: bytes) -> bytes:
    """A record frame around a body of at least a tag."""
    frame = new_record_frame(len(body) - 32)
    frame.header[:] = HEADER
    frame.body[:] = body
    return bytes(frame.buffer)


def again(frame: bytes) -> bytes:
    """What a frame says, encoded once more by msgpack."""
    parsed = parse(frame, max_length=ANY_LENGTH)
    if isinstance(parsed, HandshakeFrame):
        return bytes(msgpack.packb([0, b"", bytes(parsed.message)]))
    return bytes(msgpack.packb([1, bytes(parsed.header), bytes(parsed.body)]))


@pytest.mark.parametrize("length", LENGTHS)
def test_handshake_frames_are_what_msgpack_makes(length: int) -> None:
    """Written by hand, byte for byte the minimal msgpack, and read back whole."""
    message = bytes(length)
    frame = pack_handshake(message)
    assert frame == msgpack.packb([0, b"", message])
    parsed = parse(frame, max_length=len(frame))
    assert isinstance(parsed, HandshakeFrame)
    assert parsed.message == message


@pytest.mark.parametrize("length", [length for length in LENGTHS if length >= 32])
def test_record_frames_are_what_msgpack_makes(length: int) -> None:
    """The same for records, whose body is filled in where it lies."""
    body = bytes(index % 256 for index in range(length))
    frame = record(body)
    assert frame == msgpack.packb([1, HEADER, body])
    parsed = parse(frame, max_length=len(frame))
    assert isinstance(parsed, RecordFrame)
    assert (parsed.header, parsed.body) == (HEADER, body)
    assert len(frame) <= length + RecordFrame.OVERHEAD


def test_overhead_is_exact_for_the_largest_record() -> None:
    """OVERHEAD is what the longest frames add: a limit made with it is neither too low nor too high."""
    assert len(new_record_frame(1 << 20).buffer) == (1 << 20) + 32 + RecordFrame.OVERHEAD


def test_parsing_copies_nothing() -> None:
    """What is read are views: writing to the received bytes shows in them."""
    frame = bytearray(record(bytes(100)))
    parsed = parse(frame, max_length=ANY_LENGTH)
    assert isinstance(parsed, RecordFrame)
    frame[4], frame[-1] = 0xAA, 0xBB
    assert (parsed.header[0], parsed.body[-1]) == (0xAA, 0xBB)
    parsed.body[0] = 0xCC
    assert frame[22] == 0xCC


@pytest.mark.parametrize(
    "frame", [pack_handshake(b""), pack_handshake(bytes(300)), record(bytes(32)), record(bytes(300))]
)
class TestOneEncoding:
    """Around a good frame there is nothing else that is one."""

    def test_security_every_truncation_is_refused(self, frame: bytes) -> None:
        """No proper prefix of a frame is a frame."""
        for length in range(len(frame)):
            with pytest.raises(FrameRefused):
                parse(frame[:length], max_length=ANY_LENGTH)

    def test_security_every_extension_is_refused(self, frame: bytes) -> None:
        """A frame with one byte more, whichever, is none."""
        for byte in range(256):
            with pytest.raises(FrameRefused):
                parse(frame + bytes([byte]), max_length=ANY_LENGTH)

    def test_security_whatever_parses_encodes_back(self, frame: bytes) -> None:
        """Any change of any of the first 32 bytes is refused, or makes another frame in its one encoding."""
        for position in range(min(32, len(frame))):
            for byte in range(256):
                changed = bytearray(frame)
                changed[position] = byte
                try:
                    assert again(bytes(changed)) == changed
                except FrameRefused:
                    assert changed != frame

    def test_security_length_limit(self, frame: bytes) -> None:
        """One byte over the limit is refused, however good the frame."""
        parse(frame, max_length=len(frame))
        with pytest.raises(FrameRefused, match="at most"):
            parse(frame, max_length=len(frame) - 1)


def spellings_of_bytes(value: bytes) -> list[bytes]:
    """Every way in which msgpack can spell a byte string, or a text of the same bytes."""
    length = len(value)
    found = [
        b"\xc6" + struct.pack(">I", length),
        b"\xdb" + struct.pack(">I", length),
        b"\xc9" + struct.pack(">Ib", length, 0),
    ]
    if length < 1 << 16:
        found += [
            b"\xc5" + struct.pack(">H", length),
            b"\xda" + struct.pack(">H", length),
            b"\xc8" + struct.pack(">Hb", length, 0),
        ]
    if length < 1 << 8:
        found += [b"\xc4" + bytes([length]), b"\xd9" + bytes([length]), b"\xc7" + bytes([length, 0])]
    if length < 32:
        found.append(bytes([0xA0 | length]))
    if length in (1, 2, 4, 8, 16):
        found.append(bytes([0xD4 + length.bit_length() - 1, 0]))
    return [prefix + value for prefix in found]


ARRAYS = [b"\x93", b"\xdc\x00\x03", b"\xdd\x00\x00\x00\x03"]


def spellings_of_kind(kind: int) -> list[bytes]:
    """Every way in which msgpack can spell a small number, or something equal to it in Python."""
    return [
        bytes([kind]),
        bytes([0xCC, kind]),
        b"\xcd" + struct.pack(">H", kind),
        b"\xce" + struct.pack(">I", kind),
        b"\xcf" + struct.pack(">Q", kind),
        b"\xd0" + bytes([kind]),
        b"\xd1" + struct.pack(">H", kind),
        b"\xd2" + struct.pack(">I", kind),
        b"\xd3" + struct.pack(">Q", kind),
        b"\xca" + struct.pack(">f", kind),
        b"\xcb" + struct.pack(">d", kind),
        [b"\xc2", b"\xc3"][kind],
    ]


@pytest.mark.parametrize(("kind", "header"), [(0, b""), (1, HEADER)])
@pytest.mark.parametrize("length", [0, 1, 16, 31, 32, 100, 255, 256, 65_535, 65_536])
def test_security_of_all_spellings_one_is_read(kind: int, header: bytes, length: int) -> None:
    """All spellings of array, kind, header and body in all combinations: exactly the minimal one parses."""
    body = bytes(length)
    read = []
    for array in ARRAYS:
        for number in spellings_of_kind(kind):
            for head in spellings_of_bytes(header):
                for rest in spellings_of_bytes(body):
                    frame = array + number + head + rest
                    try:
                        parse(frame, max_length=ANY_LENGTH)
                    except FrameRefused:
                        continue
                    read.append(frame)
    assert read == [msgpack.packb([kind, header, body])]


OTHER_VALUES: list[object] = [
    *({}, None, 0, b"", "x", []),
    *([0, b""], [0, b"", b"", b""], [0, None, b""], [0, b"", None], [0, b"", [b""]]),
    *([2, b"", b""], [-1, b"", b""], [0, HEADER, b""], [1, b"", b""]),
    *([1, bytes(15), bytes(32)], [1, bytes(17), bytes(32)]),
]


@pytest.mark.parametrize("value", OTHER_VALUES, ids=repr)
def test_security_other_values_are_refused(value: object) -> None:
    """Good msgpack of anything else is no frame: other kinds, lengths of header, arities, types."""
    with pytest.raises(FrameRefused):
        parse(msgpack.packb(value), max_length=ANY_LENGTH)


@given(st.binary(max_size=80))
@example(b"\x93\x00\xc4\x00\xc4\x00")
def test_security_any_bytes_are_refused_or_canonical(data: bytes) -> None:
    """Whatever parses is its own only encoding."""
    try:
        encoded = again(data)
    except FrameRefused:
        return
    assert encoded == data


@given(
    st.sampled_from([b"\x93\x00\xc4\x00", b"\x93\x01\xc4\x10" + HEADER]),
    st.sampled_from([0xC4, 0xC5, 0xC6]),
    st.binary(max_size=400),
)
def test_security_any_body_is_refused_or_canonical(prefix: bytes, marker: int, rest: bytes) -> None:
    """The same, for frames that begin well."""
    data = prefix + bytes([marker]) + rest
    try:
        encoded = again(data)
    except FrameRefused:
        return
    assert encoded == data


def test_no_frame_of_a_negative_length() -> None:
    """Asking for one is the caller's mistake."""
    with pytest.raises(MisuseError):
        new_record_frame(-1)
