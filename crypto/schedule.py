"""The key schedule (docs/PROTOCOL.md, sections 2, 6 and 7): from one shared value to every key.

Dropping a key means forgetting every reference to it. CPython gives no way to
overwrite the bytes themselves, and this module does not pretend to.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from selo.crypto.limits import (
    DIRECTION_EMITTER,
    DIRECTION_RECEIVER,
    EPOCH_BITS,
    EXPORT_MAX,
    HASH_LENGTH,
    KEY_LENGTH,
    PROTOCOL_LABEL,
)
from selo.crypto.primitives import Buffer, hkdf_expand, hkdf_extract, hmac_sha256, sha256
from selo.crypto.suites import Suite
from selo.errors import MisuseError


def label(name: str) -> bytes:
    """L(x): ASCII ``selo/1``, a space, x, a zero byte. No label is a prefix of another."""
    return PROTOCOL_LABEL + b" " + name.encode("ascii") + b"\0"


def derive(secret: bytes, name: str, context: bytes, length: int = KEY_LENGTH) -> bytes:
    """D(secret, label, ctx, n): HKDF-Expand with an unambiguous info.

    Raises:
        MisuseError: a label or a context over 255 bytes, or a length that HKDF cannot give.
    """
    tag = label(name)
    if len(tag) > 255 or len(context) > 255:
        raise MisuseError("a label and a context of the key schedule have at most 255 bytes")
    info = struct.pack(">HB", length, len(tag)) + tag + bytes([len(context)]) + context
    return hkdf_expand(secret, info, length)


# Transcript hashes, 32 bytes each.


def transcript_1(m1: Buffer, m2_clear: Buffer) -> bytes:
    """T1: over M1 and what M2 shows in clear."""
    return sha256(label("th1"), m1, m2_clear)


def transcript_2(t1: bytes, m2_seal: Buffer) -> bytes:
    """T2: T1 and the seal of M2."""
    return sha256(label("th2"), t1, m2_seal)


def transcript_3(t2: bytes, m3: Buffer) -> bytes:
    """T3: T2 and M3. It names both identities, and every traffic key comes from it."""
    return sha256(label("th3"), t2, m3)


def mac1(secret: bytes, receiver_fingerprint: bytes, message: Buffer) -> bytes:
    """The MAC that closes M1, keyed by the Receiver secret and the Receiver's fingerprint."""
    return hmac_sha256(hmac_sha256(secret, label("mac1") + receiver_fingerprint), message)


@dataclass(frozen=True)
class RecordKeys:
    """The three keys, 32 bytes each, of one direction in one epoch."""

    enc: bytes = field(repr=False)
    mac: bytes = field(repr=False)
    iv: bytes = field(repr=False)


@dataclass(frozen=True)
class HandshakeKeys:
    """What protects M2 to M4: seals by direction, and the keys of the confirming MACs."""

    seal_receiver: RecordKeys
    seal_emitter: RecordKeys
    mac_receiver: bytes = field(repr=False)
    mac_emitter: bytes = field(repr=False)


@dataclass(frozen=True)
class TrafficSecrets:
    """What an established session starts from; 32 bytes each."""

    fin: bytes = field(repr=False)
    exporter: bytes = field(repr=False)
    chains: dict[int, bytes] = field(repr=False)
    """The first chain key of each direction (0x45, 0x52)."""
    cumulative: dict[int, bytes] = field(repr=False)
    """The key of each direction's cumulative MAC."""


def handshake_secret(suite: Suite, secret: bytes, shared: bytes) -> bytes:
    """HS, from the Receiver secret (32 bytes, maybe zeros) and the shared value Z (384 bytes)."""
    early = hkdf_extract(sha256(label("salt"), struct.pack(">H", suite.number)), secret)
    return hkdf_extract(derive(early, "derived", b""), shared)


def handshake_keys(secret: bytes, t1: bytes) -> HandshakeKeys:
    """The keys of M2 to M4, from HS and T1."""

    def seal(side: str) -> RecordKeys:
        enc, mac, iv = (derive(secret, f"hs {side} {use}", t1) for use in ("enc", "mac", "iv"))
        return RecordKeys(enc, mac, iv)

    return HandshakeKeys(seal("R"), seal("E"), derive(secret, "km R", t1), derive(secret, "km E", t1))


def traffic_secrets(secret: bytes, t3: bytes) -> TrafficSecrets:
    """The secrets of an established session, from HS and T3."""
    master = derive(secret, "master", t3)
    sides = ((DIRECTION_EMITTER, "E"), (DIRECTION_RECEIVER, "R"))
    return TrafficSecrets(
        fin=derive(master, "fin", t3),
        exporter=derive(master, "exporter", t3),
        chains={direction: derive(master, f"chain {side}", t3) for direction, side in sides},
        cumulative={direction: derive(master, f"cumulative {side}", t3) for direction, side in sides},
    )


class EpochKeys:
    """The chain of one direction: the keys of its current epoch, and one way, forward."""

    def __init__(self, chain: bytes, epoch: int = 0) -> None:
        if len(chain) != KEY_LENGTH or epoch < 0:
            raise MisuseError("a chain starts from 32 bytes and an epoch")
        self._chain = chain
        self.epoch = epoch

    @property
    def first_seq(self) -> int:
        """The number of this epoch's first record."""
        return self.epoch << EPOCH_BITS

    @property
    def end_seq(self) -> int:
        """The number after this epoch's last record."""
        return (self.epoch + 1) << EPOCH_BITS

    def record_keys(self) -> RecordKeys:
        """The keys of the current epoch."""
        enc, mac, iv = (self._derive(use) for use in ("enc", "mac", "iv"))
        return RecordKeys(enc, mac, iv)

    def advance(self) -> None:
        """Go on to the next epoch. The key from which this one came is gone: nobody can go back."""
        self._chain = self._derive("next")
        self.epoch += 1

    def _derive(self, use: str) -> bytes:
        return derive(self._chain, use, struct.pack(">I", self.epoch))


def export(secret: bytes, name: str, context: bytes, length: int) -> bytes:
    """exporter(label, ctx, n): keys for another use, bound to this session alone.

    Raises:
        MisuseError: a label that is not ASCII or too long, a context that is not bytes, or a length
            outside 1 .. 8160 bytes.
    """
    if not isinstance(name, str) or not name.isascii():
        raise MisuseError("an exporter's label is ASCII text")
    if not isinstance(context, bytes):
        raise MisuseError("an exporter's context is bytes")
    if type(length) is not int or not 1 <= length <= EXPORT_MAX:
        raise MisuseError(f"an exporter gives 1 to {EXPORT_MAX} bytes")
    return derive(derive(secret, name, b"", HASH_LENGTH), "exp", sha256(context), length)
