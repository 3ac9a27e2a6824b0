"""A record with memory of its own, for tests that need no frame around it."""

from __future__ import annotations

from selo.crypto.records import RecordType, Sealer


def seal(sealer: Sealer, record_type: RecordType, plaintext: bytes | bytearray) -> tuple[bytes, bytearray]:
    """The header (16 bytes) and the body, ciphertext | tag."""
    body = bytearray(len(plaintext) + 32)
    return sealer.seal_into(record_type, plaintext, memoryview(body)), body
