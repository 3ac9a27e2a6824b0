"""Long-term identities (docs/PROTOCOL.md, section 3): a key pair per algorithm, one fingerprint over all.

A peer's key is never taken from the wire: it is read here, from text that a
person compared, and validated once.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from selo.crypto import armor, groups, primitives
from selo.crypto.errors import MalformedIdentity
from selo.crypto.limits import (
    DSA_PRIVATE_LENGTH,
    DSA_PUBLIC_LENGTH,
    ED25519_LENGTH,
    FINGERPRINT_LENGTH,
    MLDSA65_PUBLIC_LENGTH,
    SEED_LENGTH,
)
from selo.crypto.private_file import open_private, seal_private
from selo.crypto.schedule import label

Entropy = Callable[[int], bytes]
"""Gives so many fresh random bytes, as ``secrets.token_bytes`` does."""

_PUBLIC: Final = "PUBLIC"
_ITEM: Final = struct.Struct(">HI")
_PUBLIC_LENGTHS: Final = ((1, DSA_PUBLIC_LENGTH), (2, ED25519_LENGTH), (3, MLDSA65_PUBLIC_LENGTH))
_PRIVATE_LENGTHS: Final = ((1, DSA_PRIVATE_LENGTH), (2, SEED_LENGTH), (3, SEED_LENGTH))
_DSA_WIDE_LENGTH: Final = 64
"""512 bits for an x below a 256-bit q: more than the 64 extra bits of FIPS 186-4, B.1.1."""


@dataclass(frozen=True)
class PublicIdentity:
    """What others know of an identity, validated: y (384 bytes), Ed25519 (32), ML-DSA-65 (1952).

    Raises:
        MalformedIdentity: a length is wrong, or y is no element of the DSA group's subgroup.
    """

    dsa_y: bytes = field(repr=False)
    ed25519: bytes = field(repr=False)
    mldsa65: bytes = field(repr=False)
    fingerprint: bytes = field(init=False, compare=False)
    """fp, 32 bytes: SHA-256 over all the keys."""

    def __post_init__(self) -> None:
        keys = (self.dsa_y, self.ed25519, self.mldsa65)
        if any(len(key) != length for key, (_, length) in zip(keys, _PUBLIC_LENGTHS, strict=True)):
            raise MalformedIdentity("a key has the wrong length")
        if not primitives.is_dsa_public(self.dsa_y):
            raise MalformedIdentity("its DSA key is not in the group")
        object.__setattr__(self, "fingerprint", primitives.sha256(label("fp"), self.to_bytes()))

    def verify_dsa(self, message: bytes, signature: bytes) -> bool:
        """Whether ``signature`` (r | s, 64 bytes) is this identity's over ``message``."""
        return primitives.dsa_verify(self.dsa_y, message, signature)

    def to_bytes(self) -> bytes:
        """The 2,386 bytes that the fingerprint hashes."""
        return _pack(_PUBLIC_LENGTHS, (self.dsa_y, self.ed25519, self.mldsa65))

    def to_text(self, name: str | None) -> str:
        """The text to hand to peers; ``name`` is a suggestion and authenticates nothing.

        Raises:
            MalformedIdentity: the name is not 1 to 64 characters of ``A-Z a-z 0-9 . _ -``.
        """
        return armor.wrap(_PUBLIC, self.to_bytes(), name)

    @classmethod
    def from_text(cls, text: str) -> tuple[PublicIdentity, str | None]:
        """The identity of a text, and the name that it suggests.

        Raises:
            MalformedIdentity: anything but the one form of section 3.
        """
        body, name = armor.unwrap(_PUBLIC, text)
        return cls(*_unpack(_PUBLIC_LENGTHS, body)), name


class Identity:
    """The private half: signs. Made by ``generate`` or ``from_bytes``; it shows no key in its ``repr``."""

    def __init__(self, dsa_x: bytes, ed25519_seed: bytes, mldsa65_seed: bytes) -> None:
        if not 1 <= int.from_bytes(dsa_x, "big") < groups.DSA_Q:
            raise MalformedIdentity("its private DSA key is out of range")
        self._keys = (dsa_x, ed25519_seed, mldsa65_seed)
        self.public = PublicIdentity(
            primitives.dsa_public(dsa_x),
            primitives.ed25519_public(ed25519_seed),
            primitives.mldsa65_public(mldsa65_seed),
        )
        self._signer = primitives.dsa_private_key(dsa_x, self.public.dsa_y)

    def __repr__(self) -> str:
        return f"Identity({self.fingerprint.hex()})"

    @classmethod
    def generate(cls, entropy: Entropy) -> Identity:
        """A new identity from 128 bytes of ``entropy``."""
        wide = int.from_bytes(entropy(_DSA_WIDE_LENGTH), "big")
        x = wide % (groups.DSA_Q - 1) + 1
        return cls(x.to_bytes(DSA_PRIVATE_LENGTH, "big"), entropy(SEED_LENGTH), entropy(SEED_LENGTH))

    @property
    def fingerprint(self) -> bytes:
        """fp, 32 bytes."""
        return self.public.fingerprint

    def sign_dsa(self, message: bytes) -> bytes:
        """r | s, 64 bytes, over SHA-256 of ``message``; another one at every call."""
        return primitives.dsa_sign(self._signer, message)

    def to_bytes(self, passphrase: bytes | None, entropy: Entropy) -> bytes:
        """The file of this identity: ASCII text, encrypted when there is a passphrase.

        Raises:
            MalformedIdentity: the passphrase is empty.
        """
        return seal_private(_pack(_PRIVATE_LENGTHS, self._keys) + self.fingerprint, passphrase, entropy)

    @classmethod
    def from_bytes(cls, data: bytes, passphrase: bytes | None) -> Identity:
        """What ``to_bytes`` wrote. A file without encryption needs no passphrase and ignores one.

        Raises:
            MalformedIdentity: the file is damaged or no private identity.
            PassphraseNeeded: it is encrypted and ``passphrase`` is None.
            WrongPassphrase: it is encrypted, and not with this passphrase (or was altered).
        """
        payload = open_private(data, passphrase)
        keys, fingerprint = payload[:-FINGERPRINT_LENGTH], payload[-FINGERPRINT_LENGTH:]
        identity = cls(*_unpack(_PRIVATE_LENGTHS, keys))
        if not primitives.equal(identity.fingerprint, fingerprint):
            raise MalformedIdentity("its keys do not make the fingerprint beside them")
        return identity


def _pack(layout: tuple[tuple[int, int], ...], keys: tuple[bytes, ...]) -> bytes:
    return b"".join(
        _ITEM.pack(number, length) + key for (number, length), key in zip(layout, keys, strict=True)
    )


def _unpack(layout: tuple[tuple[int, int], ...], data: bytes) -> list[bytes]:
    """Exactly the keys of ``layout`` in its order: nothing before, between or after."""
    keys, rest = [], data
    for number, length in layout:
        head, rest = rest[: _ITEM.size], rest[_ITEM.size :]
        if head != _ITEM.pack(number, length) or len(rest) < length:
            raise MalformedIdentity("its keys are not the ones of an identity")
        key, rest = rest[:length], rest[length:]
        keys.append(key)
    if rest:
        raise MalformedIdentity("bytes follow its keys")
    return keys
