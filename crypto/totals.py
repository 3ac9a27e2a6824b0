"""What FINAL and RECEIPT say about a whole stream (docs/PROTOCOL.md, section 8)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from selo.crypto.limits import DIGEST_LENGTH, TAG_LENGTH, TOTALS_LENGTH
from selo.crypto.primitives import Buffer, equal, mac_context
from selo.crypto.schedule import label
from selo.errors import MisuseError

_LAYOUT = struct.Struct(">QQ32s32s")
_COUNTS = struct.Struct(">QQ")


@dataclass(frozen=True, eq=False)
class Totals:
    """The count of a stream: 80 bytes in a FINAL or a RECEIPT.

    ``records`` sealed before the FINAL, of whatever type; ``data_bytes`` of their DATA plaintext;
    ``cumulative``, the MAC over every tag; ``digest``, BLAKE3 of the DATA plaintexts (32 bytes each).
    """

    records: int
    data_bytes: int
    cumulative: bytes
    digest: bytes

    def __post_init__(self) -> None:
        if len(self.cumulative) != TAG_LENGTH or len(self.digest) != DIGEST_LENGTH:
            raise MisuseError("a cumulative MAC and a digest have 32 bytes")

    def __eq__(self, other: object) -> bool:
        """Constant time."""
        if not isinstance(other, Totals):
            return NotImplemented
        return equal(self.pack(), other.pack())

    def pack(self) -> bytes:
        """The 80 bytes of the wire."""
        return _LAYOUT.pack(self.records, self.data_bytes, self.cumulative, self.digest)

    @classmethod
    def unpack(cls, data: Buffer) -> Totals:
        """The totals of an opened FINAL or RECEIPT.

        Raises:
            MisuseError: not 80 bytes; an ``Opener`` has refused such a record already.
        """
        if len(data) != TOTALS_LENGTH:
            raise MisuseError(f"totals have {TOTALS_LENGTH} bytes")
        return cls(*_LAYOUT.unpack(data))


class StreamCount:
    """The running count of one direction, kept alike by who seals and who opens."""

    def __init__(self, cumulative_key: bytes) -> None:
        self.records = 0
        self.data_bytes = 0
        self._mac = mac_context(cumulative_key)
        self._mac.update(label("cum"))

    def add(self, tag: bytes, data_length: int) -> None:
        """Count a record by its tag; ``data_length`` is 0 for every type but DATA."""
        self.records += 1
        self.data_bytes += data_length
        self._mac.update(tag)

    def totals(self, digest: bytes) -> Totals:
        """The totals of every record counted so far, beside the caller's ``digest``."""
        mac = self._mac.copy()
        mac.update(_COUNTS.pack(self.records, self.data_bytes))
        return Totals(self.records, self.data_bytes, mac.finalize(), digest)
