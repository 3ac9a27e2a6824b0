"""The structured bodies of a delivery: OPEN and its answer, ACK, ABORT (docs/PROTOCOL.md, section 9).

Pure. They are parsed only after their record's tag verified, and still strictly:
an authenticated peer may be a broken one.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import pairwise

import msgpack

from selo.agents.errors import PeerMisbehaved
from selo.crypto.limits import COUNT_MAX, DELIVERY_LENGTH, STRUCTURED_BODY_MAX

NAME_MAX = 255
"""UTF-8 bytes of a delivery's name: what every common file system can store."""

ABORT_TEXT_MAX = 1024
"""UTF-8 bytes of an ABORT's text: a few sentences for a person."""

NO_DELIVERY = bytes(DELIVERY_LENGTH)
"""The name of none: an offer that was not given one yet."""

MARKS_MAX = 64
"""Places that an answer compares: they fit, and a 32nd of what is there is little to repeat."""

_ACK = struct.Struct(">QQ")
_MARK = struct.Struct(">Q32s")


class Kind(IntEnum):
    """What an OPEN begins."""

    STREAM = 0
    FILE = 1
    CONVERSATION = 2
    TREE = 3
    ANSWER = 4


class AbortCode(IntEnum):
    """Why a side gives up its session."""

    SOURCE = 1
    SINK = 2
    INTERRUPTED = 3
    PROTOCOL = 4
    INTERNAL = 5
    LATER = 6


@dataclass(frozen=True)
class Offer:
    """OPEN: what the Emitter is about to send, or that both sides will.

    ``name`` is a suggestion, hostile to the Receiver; ``size`` in bytes is exact for a file and else
    information, as is ``items``, the number of a tree's entries. ``delivery`` (16 bytes) names this delivery
    in all sessions that carry it. ``mode`` (permission bits) and ``mtime`` (nanoseconds since 1970) are a
    file's. ``sparse``: it is a sparse file, or there is one in the tree, so it may need less than ``size`` on
    a disk. ``sha256``: the items get SHA-256 digests as well.
    """

    kind: Kind
    name: str | None
    size: int | None
    delivery: bytes = NO_DELIVERY
    items: int | None = None
    mode: int | None = None
    mtime: int | None = None
    sparse: bool = False
    sha256: bool = False

    def bound_to(self, fingerprint: bytes) -> Offer:
        """The same under a name that only the Emitter of this fingerprint can give: the Receiver's own."""
        bound = hashlib.sha256(fingerprint + self.delivery).digest()[:DELIVERY_LENGTH]
        return replace(self, delivery=bound)

    def pack(self) -> bytes:
        """The body of OPEN."""
        if self.kind is Kind.CONVERSATION:
            return _encode([int(self.kind), None, None])
        return _encode(
            [
                int(self.kind),
                self.name,
                self.size,
                self.delivery,
                self.items,
                self.mode,
                self.mtime,
                self.sparse,
                self.sha256,
            ]
        )

    @classmethod
    def unpack(cls, body: bytes | memoryview) -> Offer:
        """Read the body of an Emitter's OPEN, or of either side's in a conversation.

        Raises:
            PeerMisbehaved: it is not the one encoding of an offer.
        """
        kind, name, size, *rest = _decode("OPEN", body, (3, 9))
        if type(kind) is not int or kind not in Kind.__members__.values() or kind == Kind.ANSWER:
            raise PeerMisbehaved("OPEN has an unknown kind")
        if (kind == Kind.CONVERSATION) != (not rest):
            raise PeerMisbehaved("OPEN has the fields of another kind")
        if kind == Kind.CONVERSATION:
            if name is not None or size is not None:
                raise PeerMisbehaved("OPEN of a conversation has a name or size")
            return cls(Kind.CONVERSATION, None, None)
        offer = cls(Kind(kind), name, size, *rest)  # type: ignore[arg-type]
        offer._check()
        return offer

    def _check(self) -> None:
        name = self.name
        if name is not None and not (isinstance(name, str) and 0 < len(name.encode()) <= NAME_MAX):
            raise PeerMisbehaved("OPEN has no legal name")
        if not (_is_count(self.size) and _is_count(self.items)):
            raise PeerMisbehaved("OPEN has no legal size")
        if type(self.delivery) is not bytes or len(self.delivery) != DELIVERY_LENGTH:
            raise PeerMisbehaved("OPEN does not name its delivery")
        if not (_is_count(self.mode, 0o7777) and _is_time(self.mtime)):
            raise PeerMisbehaved("OPEN has no legal mode or time")
        if not (type(self.sparse) is bool and type(self.sha256) is bool):
            raise PeerMisbehaved("OPEN does not say whether its file is sparse, or of digests")
        if self.kind == Kind.FILE and (name is None or self.size is None):
            raise PeerMisbehaved("OPEN of a file lacks its name or size")
        if self.kind != Kind.FILE and (self.mode is not None or self.mtime is not None):
            raise PeerMisbehaved("OPEN of what is no file has a mode or time")
        if self.kind == Kind.STREAM and self.sparse:
            raise PeerMisbehaved("OPEN of a stream says that it is sparse")
        if self.kind != Kind.TREE and self.items is not None:
            raise PeerMisbehaved("OPEN of what is no tree counts items")


def _is_count(value: object, most: int = COUNT_MAX) -> bool:
    return value is None or (type(value) is int and 0 <= value <= most)


def _is_time(value: object) -> bool:
    return value is None or (type(value) is int and -COUNT_MAX <= value <= COUNT_MAX)


@dataclass(frozen=True)
class Mark:
    """A place in a delivery (bytes from its beginning), and the BLAKE3 (32 bytes) of all before it."""

    position: int
    digest: bytes


@dataclass(frozen=True)
class Answer:
    """The Receiver's OPEN in a delivery: it is welcome, and so much of it is here already.

    ``marks`` are up to ``MARKS_MAX`` places in rising order, the last one the end of what is here; none where
    that is nothing. ``complete``: it was stored before, all of it, and needs no more than a receipt.
    """

    marks: tuple[Mark, ...] = ()
    complete: bool = False

    @property
    def held(self) -> int:
        """Bytes of the delivery that the Receiver has."""
        return self.marks[-1].position if self.marks else 0

    def pack(self) -> bytes:
        """The body of OPEN."""
        marks = b"".join(_MARK.pack(mark.position, mark.digest) for mark in self.marks)
        return _encode([int(Kind.ANSWER), marks, self.complete])

    @classmethod
    def unpack(cls, body: bytes | memoryview) -> Answer:
        """Read the body of a Receiver's OPEN.

        Raises:
            PeerMisbehaved: it is not the one encoding of an answer.
        """
        kind, raw, complete = _decode("OPEN", body, (3,))
        if (
            kind != Kind.ANSWER
            or type(kind) is not int
            or type(raw) is not bytes
            or type(complete) is not bool
        ):
            raise PeerMisbehaved("OPEN is no answer to a delivery")
        if len(raw) % _MARK.size or len(raw) > MARKS_MAX * _MARK.size:
            raise PeerMisbehaved("an answer has marks of a wrong length")
        marks = tuple(Mark(*fields) for fields in _MARK.iter_unpack(raw))
        places = [0, *(mark.position for mark in marks)]
        if any(before >= after for before, after in pairwise(places)):
            raise PeerMisbehaved("an answer's marks do not rise")
        if places[-1] > COUNT_MAX:
            raise PeerMisbehaved("an answer has a mark beyond every delivery")
        return cls(marks, complete)


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
        code, text = _decode("ABORT", body, (2,))
        if type(code) is not int or code < 0:
            raise PeerMisbehaved("ABORT has no code")
        if not isinstance(text, str) or len(text.encode()) > ABORT_TEXT_MAX:
            raise PeerMisbehaved("ABORT has no legal text")
        known = code in AbortCode.__members__.values()
        return cls(AbortCode(code) if known else AbortCode.INTERNAL, text)


def _encode(value: list[object]) -> bytes:
    packed: bytes = msgpack.packb(value)
    return packed


def _decode(what: str, body: bytes | memoryview, arities: tuple[int, ...]) -> list[object]:
    """One flat msgpack array of as many values as one of ``arities`` says, in its one encoding."""
    if len(body) > STRUCTURED_BODY_MAX:
        raise PeerMisbehaved(f"{what} is too long")
    raw = bytes(body)
    try:
        value = msgpack.unpackb(
            raw,
            raw=False,
            strict_map_key=True,
            max_array_len=max(arities),
            max_map_len=0,
            max_ext_len=0,
            max_bin_len=MARKS_MAX * _MARK.size,
        )
    except Exception as error:  # msgpack's own family is wide: ValueError, StackError, UnicodeDecodeError...
        raise PeerMisbehaved(f"{what} is not a legal msgpack array") from error
    if type(value) is not list or len(value) not in arities or any(type(item) is list for item in value):
        raise PeerMisbehaved(f"{what} is not an array of {' or '.join(map(str, arities))}")
    if _encode(value) != raw:
        raise PeerMisbehaved(f"{what} is not in its one encoding")
    return value
