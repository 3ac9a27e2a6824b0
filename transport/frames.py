"""The one encoding of a frame (docs/PROTOCOL.md, section 4).

A frame is the msgpack array ``[kind, header: bin, body: bin]``. It is written and
read by hand, because msgpack would copy the body and would accept every longer
spelling of the same value; here one value has one encoding.

Reading copies nothing: what ``parse`` returns are views of the received bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from selo.errors import MisuseError
from selo.transport.base import Frame, FrameRefused

HEADER_LENGTH = 16
TAG_LENGTH = 32

_HANDSHAKE = b"\x93\x00\xc4\x00"
_RECORD = b"\x93\x01\xc4\x10"
_BIN8, _BIN16, _BIN32 = 0xC4, 0xC5, 0xC6


@dataclass(slots=True, eq=False)
class HandshakeFrame:
    """A frame of kind 0: one whole handshake message."""

    message: memoryview


@dataclass(slots=True, eq=False)
class RecordFrame:
    """A frame of kind 1: one record's header (16 bytes) and body (ciphertext | tag)."""

    OVERHEAD: ClassVar[int] = len(_RECORD) + HEADER_LENGTH + 5
    """The most bytes that framing adds to a body."""

    header: memoryview
    body: memoryview


@dataclass(slots=True, eq=False)
class NewRecordFrame:
    """A record frame to be filled: ``header`` and ``body`` are writable views into ``buffer``."""

    buffer: bytearray
    header: memoryview
    body: memoryview


def pack_handshake(message: bytes) -> bytes:
    """The frame of kind 0 around one handshake message."""
    return _HANDSHAKE + _bin_prefix(len(message)) + message


def new_record_frame(plaintext_length: int) -> NewRecordFrame:
    """Room for one record of ``plaintext_length`` bytes, in one allocation that is also the frame to send.

    The body is ``plaintext_length + 32`` bytes: the record is sealed where it lies.
    """
    if plaintext_length < 0:
        raise MisuseError("a record cannot hold fewer than no bytes")
    body_length = plaintext_length + TAG_LENGTH
    prefix = _bin_prefix(body_length)
    header_at = len(_RECORD)
    body_at = header_at + HEADER_LENGTH + len(prefix)
    buffer = bytearray(body_at + body_length)
    buffer[:header_at] = _RECORD
    buffer[header_at + HEADER_LENGTH : body_at] = prefix
    view = memoryview(buffer)
    return NewRecordFrame(buffer, view[header_at : header_at + HEADER_LENGTH], view[body_at:])


def parse(frame: Frame, *, max_length: int) -> HandshakeFrame | RecordFrame:
    """Take a frame apart without copying it.

    Args:
        frame: one whole frame, as bytes.
        max_length: bytes that a frame may have in the session's present state.

    Raises:
        FrameRefused: the frame is longer, or is not the one legal encoding of anything.
    """
    view = memoryview(frame)
    length = len(view)
    if length > max_length:
        raise FrameRefused(f"{length} bytes where at most {max_length} are allowed")
    prefix = view[:4]
    if prefix == _RECORD:
        body = _bin_to_end(view, 4 + HEADER_LENGTH, length)
        return RecordFrame(view[4 : 4 + HEADER_LENGTH], body)
    if prefix == _HANDSHAKE:
        return HandshakeFrame(_bin_to_end(view, 4, length))
    raise FrameRefused("it starts like no frame")


def _bin_to_end(view: memoryview, at: int, length: int) -> memoryview:
    """The contents of the minimal ``bin`` that starts at ``at`` and fills the rest of the frame."""
    if at + 2 > length:
        raise FrameRefused("it ends too early")
    marker = view[at]
    if marker == _BIN8:
        body_at, shortest = at + 2, 0
    elif marker == _BIN16:
        body_at, shortest = at + 3, 1 << 8
    elif marker == _BIN32:
        body_at, shortest = at + 5, 1 << 16
    else:
        raise FrameRefused("its body is not a bin")
    # A prefix that is itself cut short names a body that cannot be there either.
    named = int.from_bytes(view[at + 1 : body_at], "big")
    if body_at + named != length:
        raise FrameRefused("its length is not the one it names")
    if named < shortest:
        raise FrameRefused("its length is spelled longer than it must be")
    return view[body_at:]


def _bin_prefix(length: int) -> bytes:
    if length < 1 << 8:
        return bytes((_BIN8, length))
    if length < 1 << 16:
        return bytes((_BIN16,)) + length.to_bytes(2, "big")
    if length < 1 << 32:
        return bytes((_BIN32,)) + length.to_bytes(4, "big")
    raise MisuseError("a frame cannot hold 4 GiB")
