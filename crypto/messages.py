"""The bytes of the handshake messages (docs/PROTOCOL.md, section 6): layouts and their seal. No decisions."""

from __future__ import annotations

import struct
from typing import Final

from selo.crypto.limits import MAGIC, TAG_LENGTH, VERSION
from selo.crypto.protection import HEADER, RecordProtection
from selo.crypto.schedule import RecordKeys
from selo.crypto.stream import RecordType
from selo.crypto.suites import Suite

HELLO_E: Final = 1
HELLO_R: Final = 2
AUTH_E: Final = 3
ACCEPT_R: Final = 4

M1_PREFIX: Final = struct.Struct(">B8sHH")
"""type, magic, version, suite."""

M1_BODY: Final = struct.Struct(">32s384s32s32s")
"""nE, X, cookie, mac1."""

M2_PREFIX: Final = struct.Struct(">BHH")
"""type, version, suite."""

M2_CLEAR: Final = struct.Struct(">32s384s")
"""nR, Y; the seal follows."""

AUTH: Final = struct.Struct(">32s64s32s")
"""Inside M2 and M3: fingerprint, signature, MAC."""

ACCEPT: Final = struct.Struct(">16s32s")
"""Inside M4: limits, fin."""


def m1_before_mac(suite: Suite, nonce: bytes, public_value: bytes, cookie: bytes) -> bytes:
    """The 461 bytes of M1 that mac1 covers."""
    prefix = M1_PREFIX.pack(HELLO_E, MAGIC, VERSION, suite.number)
    return prefix + nonce + public_value + cookie


def m2_clear(suite: Suite, nonce: bytes, public_value: bytes) -> bytes:
    """The 421 bytes of M2 before its seal."""
    return M2_PREFIX.pack(HELLO_R, VERSION, suite.number) + nonce + public_value


class HandshakeSeal:
    """SEAL of section 6 for one direction: records of type HANDSHAKE, numbered from 0, headers not sent."""

    def __init__(self, keys: RecordKeys, *, suite: Suite, direction: int) -> None:
        self._protection = RecordProtection(keys, suite=suite, direction=direction, epoch=0)
        self._next_seq = 0

    def seal(self, plaintext: bytes) -> bytes:
        """Ciphertext and tag of this direction's next handshake record."""
        sealed = bytearray(len(plaintext) + TAG_LENGTH)
        header, seq = self._next_header(len(sealed))
        self._protection.seal_into(header, seq, plaintext, memoryview(sealed))
        return bytes(sealed)

    def open(self, sealed: bytes) -> bytes | None:
        """The plaintext of the next handshake record, or None when its tag is wrong."""
        header, seq = self._next_header(len(sealed))
        body = memoryview(sealed)
        iv = self._protection.verify(header, seq, body)
        return None if iv is None else self._protection.decrypt(iv, body)

    def _next_header(self, body_length: int) -> tuple[bytes, int]:
        seq, self._next_seq = self._next_seq, self._next_seq + 1
        return HEADER.pack(body_length, RecordType.HANDSHAKE, seq), seq
