"""What a forwarder sees pass in one direction of a connection: frames and their kinds, never their contents.

Kinds and lengths are what the protocol leaves in the clear (docs/PROTOCOL.md, sections 4, 5 and 8). So a
fault can strike at a record, and not only at a count of bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

GREETING = 64
"""Bytes with which each side of a ZMTP connection begins."""

_LONG, _COMMAND = 2, 4
_RECORD = b"\x93\x01\xc4\x10"
_HEAD = 24
"""Bytes of a frame after which its kind and its length are known."""
_TAG = 32
_KINDS = {2: "OPEN", 3: "DATA", 4: "ACK", 5: "PING", 6: "FINAL", 7: "RECEIPT", 8: "ABORT"}


@dataclass(frozen=True)
class Seen:
    """A frame of ``kind`` has begun to pass, or has passed. ``length``: bytes of plaintext in a record.

    ``end``: how many bytes of the piece that was fed belong to what has passed by then.
    """

    kind: str
    begun: bool
    length: int
    end: int


class Wire:
    """Follows one direction."""

    def __init__(self) -> None:
        self._data = 0
        self._taken = 0
        self._greeting = GREETING
        self._head = bytearray()
        self._left: int | None = None
        self._prefix = 0
        self._kind: str | None = None
        self._length = 0

    @property
    def data(self) -> int:
        """Bytes of plaintext in the DATA records that passed, those of an unfinished one too."""
        return self._data + (min(self._taken, self._length) if self._kind == "DATA" else 0)

    def feed(self, piece: bytes) -> Iterator[Seen]:
        """Take the next bytes, cut anywhere; what begins and what ends in them, in order."""
        at = min(self._greeting, len(piece))
        self._greeting -= at
        while at < len(piece):
            if self._left is None:
                at = self._take_head(piece, at)
                if self._left is None:
                    return
            before = self._kind
            if before is None:
                at = self._take_kind(piece, at)
                if self._kind is None:
                    return
                yield Seen(self._kind, True, self._length, at)
            taken = min(self._left - len(self._head), len(piece) - at)
            at += taken
            self._left -= taken
            self._taken += taken
            if self._left == len(self._head):
                kind = self._kind or ""
                self._data += self._length if kind == "DATA" else 0
                self._left, self._kind, self._taken = None, None, 0
                self._head.clear()
                yield Seen(kind, False, self._length, at)

    def _take_head(self, piece: bytes, at: int) -> int:
        """The ZMTP flags and length; ``_left`` is known when they are complete."""
        while at < len(piece):
            self._head.append(piece[at])
            at += 1
            needed = 9 if self._head[0] & _LONG else 2
            if len(self._head) == needed:
                self._left = int.from_bytes(self._head[1:], "big")
                self._prefix = self._head[0]
                self._head.clear()
                break
        return at

    def _take_kind(self, piece: bytes, at: int) -> int:
        """As much of the frame's beginning as tells its kind."""
        assert self._left is not None
        wanted = min(_HEAD, self._left) - len(self._head)
        self._head += piece[at : at + wanted]
        at += min(wanted, len(piece) - at)
        if len(self._head) < min(_HEAD, self._left):
            return at
        self._length = 0
        if self._prefix & _COMMAND:
            self._kind = "command"
        elif self._head.startswith(_RECORD):
            self._kind = _KINDS.get(self._head[8], "unknown")
            self._length = int.from_bytes(self._head[4:8], "big") - _TAG
        else:
            self._kind = "handshake"
        return at
