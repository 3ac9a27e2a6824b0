"""The structured bodies of a delivery: OPEN, ACK, ABORT (docs/PROTOCOL.md, section 9).

Pure. They are parsed only after their record's tag verified, and still strictly:
an authenticated peer may be a broken one.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

import msgpack

from selo.agents.errors import PeerMisbehaved
from selo.crypto.limits import STRUCTURED_BODY_MAX

NAME_MAX = 255
"""UTF-8 bytes of a delivery's name: what every common file system can store."""

ABORT_TEXT_MAX = 1024
"""UTF-8 bytes of an ABORT's text: a few sentences for a person."""

_ACK = struct.Struct(">QQ")


class Kind(IntEnum):
    """What a session carries."""

    STREAM = 0
    FILE = 1
    CONVERSATION = 2


class AbortCode(IntEnum):
    """Why a side gives up its session."""

    SOURCE = 1
    SINK = 2
    INTERRUPTED = 3
    PROTOCOL = 4
    INTERNAL = 5


@dataclass(frozen=True)
class Offer:
    """OPEN: what the Emitter is about to send, or that both sides will.

    ``name`` is a suggestion, hostile to the Receiver; ``size`` in bytes is information.
    """

    kind: Kind
    name: str | None
    size: int | None

    def pack(self) -> bytes:
        """The body of OPEN."""
        return _encode([int(self.kind), self.name, self.size])

    @classmethod
    def unpack(cls, body: bytes | memoryview) -> Offer:
        """Read the body of OPEN.

        Raises:
            PeerMisbehaved: it is not the one encoding of an offer.
        """
        kind, name, size = _decode("OPEN", body, 3)
        if type(kind) is not int or kind not in Kind.__members__.values():
            raise PeerMisbehaved("OPEN has an unknown kind")
        if name is not None and not (isinstance(name, str) and 0 < len(name.encode()) <= NAME_MAX):
            raise PeerMisbehaved("OPEN has no legal name")
        if size is not None and not (type(size) is int and size >= 0):
            raise PeerMisbehaved("OPEN has no legal size")
        if kind == Kind.FILE and (name is None or size is None):
            raise PeerMisbehaved("OPEN of a file lacks its name or size")
        if kind == Kind.CONVERSATION and not (name is None and size is None):
            raise PeerMisbehaved("OPEN of a conversation has a name or size")
        return cls(Kind(kind), name, size)


@dataclass(frozen=True)
class Ack:
    """ACK: what the sink consumed (a record number) and what is durable (bytes)."""

    next_seq: int
    durable_bytes: int

    def pack(self) -> bytes:
        """The body of ACK."""
        return _ACK.pack(self.next_seq, self.durable_bytes)

    @classmethod
    def unpack(cls, body: bytes | memoryview) -> Ack:
        """Read the body of ACK.

        Raises:
            PeerMisbehaved: its length is not 16 bytes.
        """
        if len(body) != _ACK.size:
            raise PeerMisbehaved("ACK has a wrong length")
        return cls(*_ACK.unpack(body))


@dataclass(frozen=True)
class Abort:
    """ABORT: why a side gives up, and its words for the other's user (hostile text there)."""

    code: AbortCode
    text: str

    def pack(self) -> bytes:
        """The body of ABORT; a longer text is cut at a character."""
        text = self.text.encode(errors="replace")[:ABORT_TEXT_MAX].decode(errors="ignore")
        return _encode([int(self.code), text])

    @classmethod
    def unpack(cls, body: bytes | memoryview) -> Abort:
        """Read the body of ABORT; an unknown code counts as INTERNAL.

        Raises:
            PeerMisbehaved: it is not the one encoding of an ABORT.
        """
        code, text = _decode("ABORT", body, 2)
        if type(code) is not int or code < 0:
            raise PeerMisbehaved("ABORT has no code")
        if not isinstance(text, str) or len(text.encode()) > ABORT_TEXT_MAX:
            raise PeerMisbehaved("ABORT has no legal text")
        known = code in AbortCode.__members__.values()
        return cls(AbortCode(code) if known else AbortCode.INTERNAL, text)


def _encode(value: list[object]) -> bytes:
    packed: bytes = msgpack.packb(value)
    return packed


def _decode(what: str, body: bytes | memoryview, arity: int) -> list[object]:
    """One flat msgpack array of ``arity`` values, in its one encoding."""
    if len(body) > STRUCTURED_BODY_MAX:
        raise PeerMisbehaved(f"{what} is too long")
    raw = bytes(body)
    try:
        value = msgpack.unpackb(
            raw,
            raw=False,
            strict_map_key=True,
            max_array_len=arity,
            max_map_len=0,
            max_ext_len=0,
            max_bin_len=0,
        )
    except Exception as error:  # msgpack's own family is wide: ValueError, StackError, UnicodeDecodeError...
        raise PeerMisbehaved(f"{what} is not a legal msgpack array") from error
    if type(value) is not list or len(value) != arity or any(type(item) is list for item in value):
        raise PeerMisbehaved(f"{what} is not an array of {arity}")
    if _encode(value) != raw:
        raise PeerMisbehaved(f"{what} is not in its one encoding")
    return value
