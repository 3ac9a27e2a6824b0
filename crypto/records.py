"""The sealed stream of one direction (docs/PROTOCOL.md, section 8).

A Sealer makes records, an Opener takes them. Each direction of a session has one
of each, with keys of its own; a sealed record is never sealed again.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import NamedTuple

from selo.crypto.errors import RecordCheck, RecordRefused, SequenceExhausted
from selo.crypto.limits import (
    DIGEST_LENGTH,
    HEADER_LENGTH,
    MAX_PLAINTEXT,
    MIN_MAX_PLAINTEXT,
    SEQUENCE_END,
    TAG_LENGTH,
)
from selo.crypto.primitives import Buffer, equal
from selo.crypto.protection import HEADER, RecordProtection
from selo.crypto.schedule import EpochKeys
from selo.crypto.stream import RecordType, StreamRules, StreamState, fits
from selo.crypto.suites import Suite
from selo.crypto.totals import StreamCount, Totals
from selo.errors import MisuseError

__all__ = ["Opener", "Record", "RecordType", "Sealer", "Totals"]

_CHECKED_HEADER = struct.Struct(">IB3sQ")
_RESERVED = bytes(3)
_NO_DIGEST = bytes(DIGEST_LENGTH)


class Record(NamedTuple):
    """An authentic record in its right place."""

    type: RecordType
    seq: int
    plaintext: bytes


class _Channel:
    """What sealing and opening share: keys by epoch, the count, the rules."""

    def __init__(
        self, keys: EpochKeys, cumulative_key: bytes, *, suite: Suite, direction: int, max_plaintext: int
    ) -> None:
        if not MIN_MAX_PLAINTEXT <= max_plaintext <= MAX_PLAINTEXT:
            raise MisuseError(f"max_plaintext must be {MIN_MAX_PLAINTEXT} to {MAX_PLAINTEXT} bytes")
        self._suite = suite
        self._direction = direction
        self._max_plaintext = max_plaintext
        self._next_seq = keys.first_seq
        self._keys: EpochKeys | None = keys
        self._protection: RecordProtection | None = self._protect(keys)
        self._count = StreamCount(cumulative_key)
        self._rules = StreamRules()

    @property
    def next_seq(self) -> int:
        """The number of the next record."""
        return self._next_seq

    @property
    def state(self) -> StreamState:
        """How far this direction's stream has come."""
        return self._rules.state

    def _protect(self, keys: EpochKeys) -> RecordProtection:
        return RecordProtection(
            keys.record_keys(), suite=self._suite, direction=self._direction, epoch=keys.epoch
        )

    def _record_done(self, record_type: int, tag: bytes, length: int) -> None:
        self._count.add(tag, length if record_type == RecordType.DATA else 0)
        self._rules.advance(record_type)
        self._next_seq += 1
        if self._rules.state is StreamState.ABORTED or self._next_seq == SEQUENCE_END:
            self._drop_keys()
        elif self._keys is not None and self._next_seq == self._keys.end_seq:
            self._keys.advance()
            self._protection = self._protect(self._keys)

    def _drop_keys(self) -> None:
        self._protection = None
        self._keys = None


class Sealer(_Channel):
    """Seals the records of one direction, in order.

    A MisuseError leaves the Sealer as it was, so that its owner can still seal an ABORT.
    """

    def seal_into(self, record_type: RecordType, plaintext: Buffer, out: memoryview) -> bytes:
        """Seal ``plaintext`` into ``out`` (32 bytes longer, other memory); the header comes back.

        Raises:
            MisuseError: the type is not allowed now, or a length is wrong.
            SequenceExhausted: 2^40 records were sealed.
        """
        length = len(plaintext)
        protection = self._checked(record_type, plaintext, length)
        if len(out) != length + TAG_LENGTH:
            raise MisuseError("a record's body is 32 bytes longer than its plaintext")
        header = HEADER.pack(len(out), record_type, self._next_seq)
        tag = protection.seal_into(header, self._next_seq, plaintext, out)
        self._record_done(record_type, tag, length)
        return header

    def totals(self, digest: bytes) -> Totals:
        """The totals of every record sealed so far: the plaintext of a FINAL, if that is sealed *next*.

        ``digest`` is the BLAKE3 (32 bytes) of all DATA plaintexts, taken at the source.
        """
        return self._count.totals(digest)

    def _checked(self, record_type: int, plaintext: Buffer, length: int) -> RecordProtection:
        if not self._rules.allows(record_type):
            raise MisuseError(f"no record of type {int(record_type)} may be sealed now ({self.state.value})")
        if self._protection is None:
            raise SequenceExhausted()
        if not fits(record_type, length) or length > self._max_plaintext:
            raise MisuseError(f"a record of type {int(record_type)} cannot carry {length} bytes")
        if record_type == RecordType.FINAL and not _same_count(self._count, plaintext):
            raise MisuseError("a FINAL must hold the totals of every record sealed before it")
        return self._protection


class Opener(_Channel):
    """Opens the records of one direction, in order. The first refusal is final: the keys are gone."""

    _totals: Totals | None = None

    def open(self, header: Buffer, body: Buffer) -> Record:
        """The record, when it is authentic and the expected one. ``body`` is ciphertext | tag.

        Raises:
            RecordRefused: a check failed, now or before; the session is over.
        """
        try:
            return self._open(header, memoryview(body))
        except RecordRefused:
            self._drop_keys()
            raise

    def totals(self, digest: bytes) -> Totals:
        """Our own totals of the stream whose FINAL was opened, beside our own ``digest`` (32 bytes).

        Raises:
            MisuseError: no FINAL was opened.
        """
        if self._totals is None:
            raise MisuseError("a stream has totals once its FINAL was opened")
        return replace(self._totals, digest=digest)

    def _open(self, header: Buffer, body: memoryview) -> Record:
        protection = self._protection
        if protection is None:
            raise RecordRefused(RecordCheck.ENDED)
        record_type, seq = self._checked(header, len(body))
        # 5. The tag.
        iv = protection.verify(header, seq, body)
        if iv is None:
            raise RecordRefused(RecordCheck.TAG)
        # A length that its type cannot have is judged only now: it is then our peer's doing, no stranger's.
        length = len(body) - TAG_LENGTH
        if not fits(record_type, length):
            raise RecordRefused(RecordCheck.BODY)
        # 6. Decryption.
        plaintext = protection.decrypt(iv, body)
        if record_type == RecordType.FINAL:
            if not _same_count(self._count, plaintext):
                raise RecordRefused(RecordCheck.TOTALS)
            self._totals = Totals.unpack(plaintext)
        self._record_done(record_type, bytes(body[length:]), length)
        return Record(RecordType(record_type), seq, plaintext)

    def _checked(self, header: Buffer, body_length: int) -> tuple[int, int]:
        """Steps 1 to 4 of section 8: what costs nothing. The type and the number come back."""
        if len(header) != HEADER_LENGTH:
            raise RecordRefused(RecordCheck.LENGTH)
        stated_length, record_type, reserved, seq = _CHECKED_HEADER.unpack(header)
        # 1. The length.
        if stated_length != body_length or not TAG_LENGTH <= body_length <= self._max_plaintext + TAG_LENGTH:
            raise RecordRefused(RecordCheck.LENGTH)
        # 2. The zero bytes.
        if reserved != _RESERVED:
            raise RecordRefused(RecordCheck.RESERVED)
        # 3. The type.
        if not RecordType.OPEN <= record_type <= RecordType.ABORT:
            raise RecordRefused(RecordCheck.TYPE)
        if not self._rules.allows(record_type):
            raise RecordRefused(RecordCheck.STATE)
        # 4. The number.
        if seq != self._next_seq:
            raise RecordRefused(RecordCheck.SEQUENCE)
        return record_type, seq


def _same_count(count: StreamCount, final: Buffer) -> bool:
    """Whether a FINAL's records, bytes and cumulative MAC are those of ``count``; constant time."""
    return equal(count.totals(_NO_DIGEST).pack()[:-DIGEST_LENGTH], final[:-DIGEST_LENGTH])
