"""What a Receiver signs about a delivery that it has stored, and the text that keeps it.

    statement = u16 1 | u16 suite | fpE[32] | fpR[32] | T3[32] | delivery[16] | u8 kind | u8 flags |
                u64 time | u64 items | u64 items_bytes | u64 length | blake3[32] | items_hash[32]
    signature = DSA_R(0x20 x 64 | L("sig receipt") | u16 suite | H(statement))
    receipt   = statement | signature | item | item | ...      as base64 between a BEGIN and an END line

docs/PROTOCOL.md, section 9. One receipt has one text, so nothing of it can be changed without notice.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from selo.crypto.identity import Identity, PublicIdentity
from selo.crypto.items import Item, ItemLog, MalformedReceipt, unpack_items
from selo.crypto.limits import (
    COUNT_MAX,
    DELIVERY_LENGTH,
    DIGEST_LENGTH,
    DSA_SIGNATURE_LENGTH,
    FINGERPRINT_LENGTH,
    HASH_LENGTH,
)
from selo.crypto.primitives import Buffer, equal, sha256
from selo.crypto.schedule import label
from selo.crypto.suites import SUITES, Suite
from selo.errors import MisuseError

KINDS: Final = (0, 1, 3)
"""What can be delivered: a stream, a file, a tree; the numbers are those of OPEN."""

TIME_MAX: Final = 253_402_300_799
"""Seconds since 1970: the end of the year 9999, so that every time can be shown."""

_VERSION: Final = 1
_DURABLE: Final = 1
_SHA256: Final = 2
_STATEMENT: Final = struct.Struct(">HH32s32s32s16sBBQQQQ32s32s")
_ATTESTATION: Final = struct.Struct(">BQ64s")

STATEMENT_LENGTH: Final = _STATEMENT.size
ATTESTATION_LENGTH: Final = _ATTESTATION.size

_BEGIN: Final = b"-----BEGIN SELO RECEIPT-----\n"
_END: Final = b"-----END SELO RECEIPT-----\n"
_LINE: Final = 64
_LINE_BYTES: Final = 48
_TAIL_MAX: Final = _LINE + 1 + len(_END)
"""The longest last line with the END line after it."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What the Receiver says: from whom it has what, in which session, and how well it is stored.

    ``emitter`` and ``receiver`` are fingerprints, ``transcript`` the T3 of the session (32 bytes each);
    ``delivery`` (16 bytes) is the name that the Emitter gave it. ``kind`` is one of ``KINDS``. ``durable``:
    it would survive a power cut. ``sha256``: the items have SHA-256 digests too. ``time`` is the Receiver's
    clock (seconds since 1970). ``items`` were delivered, ``items_bytes`` of content; ``length`` (bytes) and
    ``blake3`` are those of the whole stream of DATA, and ``items_hash`` binds the list (32 bytes each).

    Raises:
        MisuseError: a field of the wrong length or out of range.
    """

    suite: Suite
    emitter: bytes
    receiver: bytes
    transcript: bytes
    delivery: bytes
    kind: int
    durable: bool
    sha256: bool
    time: int
    items: int
    items_bytes: int
    length: int
    blake3: bytes
    items_hash: bytes

    def __post_init__(self) -> None:
        lengths = (
            (self.emitter, FINGERPRINT_LENGTH),
            (self.receiver, FINGERPRINT_LENGTH),
            (self.transcript, HASH_LENGTH),
            (self.delivery, DELIVERY_LENGTH),
            (self.blake3, DIGEST_LENGTH),
            (self.items_hash, HASH_LENGTH),
        )
        if any(len(value) != length for value, length in lengths) or not self._is_in_range():
            raise MisuseError("a statement has a field of a wrong length or out of range")

    def _is_in_range(self) -> bool:
        counts = (self.items, self.items_bytes, self.length)
        return (
            self.kind in KINDS
            and 0 <= self.time <= TIME_MAX
            and all(0 <= count <= COUNT_MAX for count in counts)
        )

    def pack(self) -> bytes:
        """The bytes that are signed."""
        return _STATEMENT.pack(
            _VERSION,
            self.suite.number,
            self.emitter,
            self.receiver,
            self.transcript,
            self.delivery,
            self.kind,
            _flags(self.durable, self.sha256),
            self.time,
            self.items,
            self.items_bytes,
            self.length,
            self.blake3,
            self.items_hash,
        )

    @classmethod
    def unpack(cls, data: bytes) -> Statement:
        """What a receipt says.

        Raises:
            MalformedReceipt: it is no statement, or one of another version.
        """
        if len(data) != STATEMENT_LENGTH:
            raise MalformedReceipt("it is cut short")
        version, number, emitter, receiver, transcript, delivery, kind, flags, *rest = _STATEMENT.unpack(data)
        suite = next((suite for suite in SUITES.values() if suite.number == number), None)
        if version != _VERSION or suite is None:
            raise MalformedReceipt("its version or its suite is not known to this version of Selo")
        time, items, items_bytes, length, blake3, items_hash = rest
        try:
            return cls(
                suite=suite,
                emitter=emitter,
                receiver=receiver,
                transcript=transcript,
                delivery=delivery,
                kind=kind,
                **_read_flags(flags),
                time=time,
                items=items,
                items_bytes=items_bytes,
                length=length,
                blake3=blake3,
                items_hash=items_hash,
            )
        except MisuseError:
            raise MalformedReceipt("its statement has a value out of range") from None


@dataclass(frozen=True)
class Attestation:
    """What travels of a signed statement (73 bytes): the Emitter knows all the rest itself."""

    durable: bool
    sha256: bool
    time: int
    signature: bytes

    def pack(self) -> bytes:
        """u8 flags | u64 time | sig[64]: the one DATA of the Receiver's direction."""
        return _ATTESTATION.pack(_flags(self.durable, self.sha256), self.time, self.signature)

    @classmethod
    def unpack(cls, data: Buffer) -> Attestation | None:
        """What a peer's bytes say, or None where they are not the one encoding of an attestation."""
        if len(data) != ATTESTATION_LENGTH:
            return None
        flags, time, signature = _ATTESTATION.unpack(data)
        if flags > _DURABLE | _SHA256 or time > TIME_MAX:
            return None
        return cls(**_read_flags(flags), time=time, signature=signature)


def sign(identity: Identity, statement: Statement) -> bytes:
    """The Receiver's signature, 64 bytes; another one at every call.

    Raises:
        MisuseError: the statement is another Receiver's.
    """
    if not equal(statement.receiver, identity.fingerprint):
        raise MisuseError("a Receiver signs its own statements only")
    return identity.sign_dsa(_signed(statement))


def verify(public: PublicIdentity, statement: Statement, signature: bytes) -> bool:
    """Whether ``public`` is the Receiver that the statement names, and signed it."""
    return equal(statement.receiver, public.fingerprint) and public.verify_dsa(_signed(statement), signature)


def attest(identity: Identity, statement: Statement) -> Attestation:
    """The Receiver's half: what it sends after it has stored a delivery.

    Raises:
        MisuseError: see ``sign``.
    """
    return Attestation(statement.durable, statement.sha256, statement.time, sign(identity, statement))


def check(public: PublicIdentity, statement: Statement, attestation: Attestation) -> Statement | None:
    """The Emitter's half: what the Receiver has signed, or None if that is not what was delivered.

    ``statement`` is the Emitter's own idea of it; ``durable`` and ``time`` are taken from the attestation.
    """
    if attestation.sha256 != statement.sha256:
        return None
    said = replace(statement, durable=attestation.durable, time=attestation.time)
    return said if verify(public, said, attestation.signature) else None


def receipt_text(statement: Statement, signature: bytes, items: Iterable[bytes]) -> Iterator[bytes]:
    """The text of a receipt (ASCII), in blocks; ``items`` are the bytes of the list, cut anywhere."""
    yield _BEGIN
    pending = statement.pack() + signature
    for block in items:
        pending += block
        whole = len(pending) - len(pending) % _LINE_BYTES
        yield _lines(pending[:whole])
        pending = pending[whole:]
    yield _lines(pending) + _END


class ReceiptReader:
    """A receipt, read from ``blocks`` of its text that may be cut anywhere.

    That its signature is good is not looked at: see ``verify``.

    Raises:
        MalformedReceipt: it is none.
    """

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._body = _unwrapped(blocks)
        signed_length = STATEMENT_LENGTH + DSA_SIGNATURE_LENGTH
        head = b""
        while len(head) < signed_length:
            block = next(self._body, None)
            if block is None:
                raise MalformedReceipt("it is cut short")
            head += block
        self.statement: Final = Statement.unpack(head[:STATEMENT_LENGTH])
        self.signature: Final = head[STATEMENT_LENGTH:signed_length]
        self._first = head[signed_length:]

    def items(self) -> Iterator[Item]:
        """The items, once. Only when the last one has come is it known that they are those of the statement.

        Raises:
            MalformedReceipt: they are not, or the text is not in its one form.
        """
        statement, log = self.statement, ItemLog()
        for item in unpack_items(self._list()):
            log.add(item)
            # Not only at the end: a list without one would never come to it.
            if log.count > statement.items:
                raise MalformedReceipt("it lists more items than its statement counts")
            if item.has_content and bool(item.sha256) != statement.sha256:
                raise MalformedReceipt("it has other digests than its statement says")
            yield item
        if (log.count, log.size, log.hash) != (statement.items, statement.items_bytes, statement.items_hash):
            raise MalformedReceipt("its list of items is not the one of its statement")

    def _list(self) -> Iterator[bytes]:
        yield self._first
        yield from self._body


def _signed(statement: Statement) -> bytes:
    """What the signature covers, under a label of its own: no signature of a handshake is one of these."""
    suite = struct.pack(">H", statement.suite.number)
    return b"\x20" * 64 + label("sig receipt") + suite + sha256(statement.pack())


def _flags(durable: bool, with_sha256: bool) -> int:
    return (_DURABLE if durable else 0) | (_SHA256 if with_sha256 else 0)


def _read_flags(flags: int) -> dict[str, bool]:
    if flags > _DURABLE | _SHA256:
        raise MalformedReceipt("its statement has a flag that this version of Selo does not know")
    return {"durable": bool(flags & _DURABLE), "sha256": bool(flags & _SHA256)}


def _lines(body: bytes) -> bytes:
    encoded = base64.b64encode(body)
    return b"".join(encoded[start : start + _LINE] + b"\n" for start in range(0, len(encoded), _LINE))


def _unwrapped(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes between the BEGIN and the END line of a text in its one form."""
    pending, begun = b"", False
    for block in blocks:
        pending += block
        if not begun and len(pending) >= len(_BEGIN):
            pending, begun = _without_begin(pending), True
        # What is longer than every tail begins with a whole line that is not the last.
        lines = (len(pending) - _TAIL_MAX) // (_LINE + 1)
        if begun and lines > 0:
            end = lines * (_LINE + 1)
            body = _decoded(pending[:end])
            if len(body) != lines * _LINE_BYTES:
                raise MalformedReceipt("a line before its last one is padded")
            yield body
            pending = pending[end:]
    if not begun or not pending.endswith(b"\n" + _END):
        raise MalformedReceipt("a receipt stands between its BEGIN and END lines")
    yield _decoded(pending[: -len(_END)])


def _without_begin(text: bytes) -> bytes:
    if not text.startswith(_BEGIN):
        raise MalformedReceipt("a receipt stands between its BEGIN and END lines")
    return text[len(_BEGIN) :]


def _decoded(text: bytes) -> bytes:
    """Lines of base64, each ended, in the one form: only what encodes to the same text is read."""
    try:
        body = base64.b64decode(text.replace(b"\n", b""), validate=True)
    except (binascii.Error, ValueError):
        raise MalformedReceipt("its body is not base64") from None
    if _lines(body) != text:
        raise MalformedReceipt("its lines are not canonical base64")
    return body
