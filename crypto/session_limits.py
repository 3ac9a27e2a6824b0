"""The Receiver's word on how much may be under way (docs/PROTOCOL.md, sections 6 and 13)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from selo.crypto.limits import MAX_PLAINTEXT, MAX_WINDOW_BYTES, MAX_WINDOW_RECORDS, MIN_MAX_PLAINTEXT
from selo.crypto.primitives import Buffer
from selo.errors import MisuseError

_LAYOUT = struct.Struct(">IIQ")


@dataclass(frozen=True)
class SessionLimits:
    """What both directions of a session keep to.

    ``max_plaintext``: bytes of one record. ``window_records`` and ``window_bytes``: DATA sent and not
    yet acknowledged.

    Raises:
        MisuseError: a value outside section 13.
    """

    max_plaintext: int
    window_records: int
    window_bytes: int

    def __post_init__(self) -> None:
        if not _in_range(self.max_plaintext, self.window_records, self.window_bytes):
            raise MisuseError(f"session limits out of range: {self}")

    def pack(self) -> bytes:
        """The 16 bytes of M4."""
        return _LAYOUT.pack(self.max_plaintext, self.window_records, self.window_bytes)

    @classmethod
    def unpack(cls, data: Buffer) -> SessionLimits | None:
        """What 16 bytes of a peer say, or None when a value is outside section 13."""
        values = _LAYOUT.unpack(data)
        return cls(*values) if _in_range(*values) else None


def _in_range(max_plaintext: int, window_records: int, window_bytes: int) -> bool:
    return (
        MIN_MAX_PLAINTEXT <= max_plaintext <= MAX_PLAINTEXT
        and 1 <= window_records <= MAX_WINDOW_RECORDS
        and max_plaintext <= window_bytes <= MAX_WINDOW_BYTES
    )
