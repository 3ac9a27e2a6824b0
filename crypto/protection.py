"""Record protection for one direction in one epoch: encrypt-then-MAC (docs/PROTOCOL.md, section 8)."""

from __future__ import annotations

import struct

from selo.crypto.limits import TAG_LENGTH, VERSION
from selo.crypto.nonces import NonceGenerator
from selo.crypto.primitives import Buffer, aes_key, cfb_decrypt, cfb_encrypt_into, equal, mac_context
from selo.crypto.schedule import RecordKeys, label
from selo.crypto.suites import Suite

HEADER = struct.Struct(">IB3xQ")
"""body_len, type, three zero bytes, seq."""


class RecordProtection:
    """Seals or opens records whose order the caller has already settled."""

    def __init__(self, keys: RecordKeys, *, suite: Suite, direction: int, epoch: int) -> None:
        self._nonces = NonceGenerator(keys.iv, epoch)
        self._key = aes_key(keys.enc)
        self._mac = mac_context(keys.mac)
        # Constant for the epoch, so it is hashed once and copied for every record.
        self._mac.update(label("record") + struct.pack(">HHBI", VERSION, suite.number, direction, epoch))

    def seal_into(self, header: bytes, seq: int, plaintext: Buffer, out: memoryview) -> bytes:
        """Write ciphertext | tag to ``out``, 32 bytes longer than ``plaintext``; the tag comes back.

        Raises:
            MisuseError: a record of this number was sealed before.
        """
        iv = self._nonces.iv(seq)
        length = len(out) - TAG_LENGTH
        cfb_encrypt_into(self._key, iv, plaintext, out)
        mac = self._mac.copy()
        mac.update(header + iv)
        mac.update(out[:length])
        tag = mac.finalize()
        out[length:] = tag
        return tag

    def verify(self, header: Buffer, seq: int, body: memoryview) -> bytes | None:
        """The IV that decrypts ``body`` (at least 32 bytes) when its tag is good, else None."""
        iv = self._nonces.iv(seq)
        mac = self._mac.copy()
        mac.update(bytes(header) + iv)
        mac.update(body[:-TAG_LENGTH])
        return iv if equal(mac.finalize(), body[-TAG_LENGTH:]) else None

    def decrypt(self, iv: bytes, body: memoryview) -> bytes:
        """The plaintext; ``iv`` is what ``verify`` gave, so there is none before a verified tag."""
        return cfb_decrypt(self._key, iv, body[:-TAG_LENGTH])
