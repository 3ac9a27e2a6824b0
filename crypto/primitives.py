"""The one door to the cryptographic library; bytes in, bytes out.

Every import of ``cryptography`` in this package stands here, so that its
deprecations and removals touch one file. Nothing of the library's own types,
encodings (DER) or exceptions leaves through a function of this module.

Private exponents and keys are used by OpenSSL's constant-time code, with one
exception that is named where it stands (``dsa_public``).
"""

from __future__ import annotations

import hashlib
import hmac
import warnings
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.utils import CryptographyDeprecationWarning

from selo.crypto import groups
from selo.crypto.limits import (
    DSA_PUBLIC_LENGTH,
    DSA_SIGNATURE_LENGTH,
    EXPONENT_LENGTH,
    EXPONENT_MIN_BITS,
    HASH_LENGTH,
    KEY_LENGTH,
)
from selo.errors import MisuseError

with warnings.catch_warnings():
    # The library warns whoever touches these names (FFDH since its version 50, DSA from 51): known, decided,
    # and nothing that a user of ours can act on. Only these messages, only here.
    warnings.filterwarnings("ignore", r"Diffie-Hellman over finite fields", CryptographyDeprecationWarning)
    warnings.filterwarnings("ignore", r".*\bDSA\b.*\bdeprecated\b", CryptographyDeprecationWarning)
    from cryptography.hazmat.primitives.asymmetric.dh import (
        DHParameterNumbers,
        DHPrivateNumbers,
        DHPublicNumbers,
    )
    from cryptography.hazmat.primitives.asymmetric.dsa import (
        DSAParameterNumbers,
        DSAPrivateKey,
        DSAPrivateNumbers,
        DSAPublicNumbers,
    )

Buffer: TypeAlias = bytes | bytearray | memoryview
MacContext: TypeAlias = HMAC
"""A running HMAC: ``copy()``, ``update(data)``, ``finalize() -> bytes``."""
AesKey: TypeAlias = AES256
BlockContext: TypeAlias = CipherContext
DsaPrivateKey: TypeAlias = DSAPrivateKey

_PUBLIC_VALUE_LENGTH: Final = 384
_SHA256: Final = SHA256()
_DH: Final = DHParameterNumbers(groups.FFDHE3072_P, groups.FFDHE3072_G)
_DSA: Final = DSAParameterNumbers(groups.DSA_P, groups.DSA_Q, groups.DSA_G)


# Hashing and key derivation.


def sha256(*parts: Buffer) -> bytes:
    """SHA-256 (FIPS 180-4) of the concatenation of ``parts``."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()


def hmac_sha256(key: bytes, message: Buffer) -> bytes:
    """HMAC-SHA-256 (RFC 2104), 32 bytes."""
    return hmac.digest(key, message, "sha256")


def equal(one: Buffer, other: Buffer) -> bool:
    """Whether two byte strings are equal, in a time that depends on their lengths alone."""
    return hmac.compare_digest(one, other)


def hkdf_extract(salt: bytes, ikm: bytes) -> bytes:
    """HKDF-SHA-256's first step (RFC 5869, section 2.2), 32 bytes."""
    return hmac_sha256(salt, ikm)


def hkdf_expand(prk: bytes, info: bytes, length: int) -> bytes:
    """HKDF-SHA-256's second step (RFC 5869, section 2.3), ``length`` bytes.

    Raises:
        MisuseError: more than 255 blocks of 32 bytes were asked for.
    """
    if not 0 < length <= 255 * HASH_LENGTH:
        raise MisuseError(f"HKDF cannot expand to {length} bytes")
    output, block = b"", b""
    for index in range(1, -(-length // HASH_LENGTH) + 1):
        block = hmac_sha256(prk, block + info + bytes([index]))
        output += block
    return output[:length]


def mac_context(key: bytes) -> MacContext:
    """An empty HMAC-SHA-256 to feed and to copy."""
    return HMAC(key, _SHA256)


# AES-256.


def aes_key(key: bytes) -> AesKey:
    """32 bytes as the library's key for ``cfb_encrypt_into`` and ``cfb_decrypt``."""
    return AES256(key)


def block_context(key: bytes) -> BlockContext:
    """AES-256 as a bare permutation: ``update(block[16]) -> bytes[16]``, any number of times."""
    return Cipher(AES256(key), modes.ECB()).encryptor()


def cfb_encrypt_into(key: AesKey, iv: bytes, plaintext: Buffer, out: memoryview) -> None:
    """AES-256-CFB128 (NIST SP 800-38A, section 6.3, s = 128) into the start of ``out``.

    ``out`` must have 15 bytes more than ``plaintext``: the library asks for the room.
    """
    Cipher(key, CFB(iv)).encryptor().update_into(plaintext, out)


def cfb_decrypt(key: AesKey, iv: bytes, ciphertext: Buffer) -> bytes:
    """The inverse of ``cfb_encrypt_into``; the caller has verified a tag over ``ciphertext`` first."""
    return Cipher(key, CFB(iv)).decryptor().update(ciphertext)


# Diffie-Hellman in ffdhe3072 (RFC 7919).


def is_public_value(value: Buffer) -> bool:
    """Whether 384 bytes are a number in 2 .. p-2.

    p is a safe prime, so every such element has an order of at least (p-1)/2.
    """
    if len(value) != _PUBLIC_VALUE_LENGTH:
        return False
    return 2 <= int.from_bytes(value, "big") <= groups.FFDHE3072_P - 2


def is_exponent(exponent: bytes) -> bool:
    """Whether 40 bytes can be a random exponent; one with 64 leading zero bits says that they are not."""
    return (
        len(exponent) == EXPONENT_LENGTH and int.from_bytes(exponent, "big").bit_length() >= EXPONENT_MIN_BITS
    )


def dh_public(exponent: bytes) -> bytes:
    """g^x mod p for the 40-byte exponent x, big endian, 384 bytes.

    Raises:
        MisuseError: the exponent has another length, or so many leading zeros that it is not random.
    """
    return _dh_power(exponent, groups.FFDHE3072_G)


def dh_shared(exponent: bytes, peer_public: Buffer) -> bytes:
    """y^x mod p for the peer's value y, 384 bytes, leading zeros kept.

    Raises:
        MisuseError: the exponent is not usable, or the caller did not refuse a value outside 2 .. p-2.
    """
    if not is_public_value(peer_public):
        raise MisuseError("a Diffie-Hellman value was not checked before its use")
    return _dh_power(exponent, int.from_bytes(peer_public, "big"))


def _dh_power(exponent: bytes, base: int) -> bytes:
    if not is_exponent(exponent):
        raise MisuseError("a Diffie-Hellman exponent must be 40 random bytes")
    number = int.from_bytes(exponent, "big")
    # The library computes a power only as "exchange", and wants a public value beside the private one that it
    # does not look at: g stands in for it. g itself is a legal peer value, which makes g^x the same call.
    private = DHPrivateNumbers(number, DHPublicNumbers(groups.FFDHE3072_G, _DH)).private_key()
    return private.exchange(DHPublicNumbers(base, _DH).public_key())


# Signatures.


def dsa_public(private: bytes) -> bytes:
    """y = g^x mod p for a 32-byte x, 384 bytes.

    Python's own ``pow``, whose time varies with x: the library has no other way in for a given x, and takes
    this one itself when it loads the key. Done when an identity is made or loaded, never at a peer's request.
    """
    return pow(groups.DSA_G, int.from_bytes(private, "big"), groups.DSA_P).to_bytes(DSA_PUBLIC_LENGTH, "big")


def dsa_private_key(private: bytes, public: bytes) -> DsaPrivateKey:
    """The library's key for a valid x (32 bytes, 1 <= x < q) and its y (384 bytes)."""
    numbers = DSAPublicNumbers(int.from_bytes(public, "big"), _DSA)
    return DSAPrivateNumbers(int.from_bytes(private, "big"), numbers).private_key()


def is_dsa_public(public: Buffer) -> bool:
    """Whether 384 bytes are a number y with 1 < y < p-1 and y^q mod p = 1 (FIPS 186-4; SP 800-89, 5.3.1)."""
    if len(public) != DSA_PUBLIC_LENGTH:
        return False
    y = int.from_bytes(public, "big")
    return 1 < y < groups.DSA_P - 1 and pow(y, groups.DSA_Q, groups.DSA_P) == 1


def dsa_sign(key: DsaPrivateKey, message: bytes) -> bytes:
    """DSA with SHA-256 (FIPS 186-4, section 4.6) as r | s, 64 bytes. OpenSSL draws k; no two are alike."""
    r, s = decode_dss_signature(key.sign(message, _SHA256))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def dsa_verify(public: bytes, message: bytes, signature: Buffer) -> bool:
    """Whether r | s (64 bytes) signs ``message`` under y (FIPS 186-4, section 4.7).

    ``public`` must have passed ``is_dsa_public``: with y = 1 anything verifies.
    """
    if len(signature) != DSA_SIGNATURE_LENGTH:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if not (0 < r < groups.DSA_Q and 0 < s < groups.DSA_Q):
        return False
    key = DSAPublicNumbers(int.from_bytes(public, "big"), _DSA).public_key()
    try:
        key.verify(encode_dss_signature(r, s), message, _SHA256)
    except InvalidSignature:
        return False
    return True


def ed25519_public(seed: bytes) -> bytes:
    """The Ed25519 public key (RFC 8032), 32 bytes, of a 32-byte seed."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def mldsa65_public(seed: bytes) -> bytes:
    """The ML-DSA-65 public key (FIPS 204), 1952 bytes, of a 32-byte seed."""
    return MLDSA65PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()


# A passphrase's protection.


def scrypt_key(passphrase: bytes, salt: bytes, *, log_n: int, r: int, p: int) -> bytes:
    """scrypt (RFC 7914), 32 bytes; takes 128 * 2^log_n * r bytes of memory."""
    return Scrypt(salt=salt, length=KEY_LENGTH, n=1 << log_n, r=r, p=p).derive(passphrase)


def gcm_seal(key: bytes, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """AES-256-GCM (NIST SP 800-38D) with a 12-byte nonce: ciphertext | tag[16]."""
    return AESGCM(key).encrypt(nonce, plaintext, associated)


def gcm_open(key: bytes, nonce: bytes, sealed: bytes, associated: bytes) -> bytes | None:
    """The plaintext, or None when the tag does not verify."""
    try:
        return AESGCM(key).decrypt(nonce, sealed, associated)
    except InvalidTag:
        return None
