"""Each algorithm that the suite `classic` and identities need, really computed, against published answers."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Final

from selo.agents.cli.findings import Finding, ok, problem
from selo.crypto import groups, primitives
from selo.crypto.limits import EXPONENT_LENGTH

_CIPHER_KEY: Final = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
_CIPHER_PLAIN: Final = bytes.fromhex("6bc1bee22e409f96e93d7e117393172a")
_CIPHER_TEXT: Final = bytes.fromhex("dc7e84bfda79164b7ecd8486985d3860")
"""NIST SP 800-38A, F.3.17, first segment; the IV is 00 01 .. 0f."""

_HMAC_ANSWER: Final = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
"""RFC 4231, test case 2."""

_HKDF_ANSWER: Final = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
"""RFC 5869, appendix A.1."""

_ED25519_SEED: Final = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
_ED25519_ANSWER: Final = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
"""RFC 8032, section 7.1, test 1."""


def algorithms() -> Iterator[Finding]:
    """One finding for each: it works, and who computes it; or what it said instead."""
    library = str(import_module("cryptography.hazmat.backends.openssl").backend.openssl_version_text())
    hashes = str(import_module("ssl").OPENSSL_VERSION)
    for name, provider, works in (
        ("ffdhe3072", f"cryptography, {library}", ffdhe3072),
        ("DSA", f"3072/256 in Selo's own group, cryptography, {library}", dsa),
        ("AES-256-CFB", f"cryptography, {library}", aes_cfb),
        ("HMAC-SHA-256", f"cryptography, {library}, and Python's hmac, {hashes}", hmac_sha256),
        ("HKDF", f"Selo's own over Python's hmac, {hashes}", hkdf),
        ("Ed25519", f"cryptography, {library}", ed25519),
        ("ML-DSA-65", f"cryptography, {library}", mldsa65),
    ):
        yield judged(name, provider, works)


def judged(name: str, provider: str, works: Callable[[], bool]) -> Finding:
    """The finding about one algorithm; ``works`` may raise what it likes."""
    try:
        words = "" if works() else "computes a wrong answer"
    except Exception as error:  # a library without it fails in a way of its own
        words = f"does not work: {type(error).__name__}: {error}"
    if not words:
        return ok(name, f"works ({provider})")
    fix = f"{shlex.quote(sys.executable)} -m pip install --force-reinstall cryptography"
    return problem(name, f"{words} ({provider})", fix)


def ffdhe3072() -> bool:
    """Both sides of an exchange come to one value."""
    one, other = _exponent(), _exponent()
    theirs, ours = primitives.dh_public(other), primitives.dh_public(one)
    return primitives.dh_shared(one, theirs) == primitives.dh_shared(other, ours)


def _exponent() -> bytes:
    return b"\x80" + os.urandom(EXPONENT_LENGTH - 1)  # never refused for leading zeros


def dsa() -> bool:
    """A signature verifies, and only over its own message."""
    x = (int.from_bytes(os.urandom(40), "big") % (groups.DSA_Q - 1) + 1).to_bytes(32, "big")
    y = primitives.dsa_public(x)
    signature = primitives.dsa_sign(primitives.dsa_private_key(x, y), b"one")
    return primitives.dsa_verify(y, b"one", signature) and not primitives.dsa_verify(y, b"two", signature)


def aes_cfb() -> bool:
    """The published ciphertext, there and back."""
    key, room = primitives.aes_key(_CIPHER_KEY), bytearray(len(_CIPHER_PLAIN) + 15)
    primitives.cfb_encrypt_into(key, bytes(range(16)), _CIPHER_PLAIN, memoryview(room))
    back = primitives.cfb_decrypt(key, bytes(range(16)), _CIPHER_TEXT)
    return room[: len(_CIPHER_TEXT)] == _CIPHER_TEXT and back == _CIPHER_PLAIN


def hmac_sha256() -> bool:
    """The published tag, by both ways in which we compute one."""
    key, message = b"Jefe", b"what do ya want for nothing?"
    running = primitives.mac_context(key)
    running.update(message)
    return primitives.hmac_sha256(key, message).hex() == running.finalize().hex() == _HMAC_ANSWER


def hkdf() -> bool:
    """The published key material."""
    prk = primitives.hkdf_extract(bytes(range(13)), b"\x0b" * 22)
    return primitives.hkdf_expand(prk, bytes(range(0xF0, 0xFA)), 42).hex() == _HKDF_ANSWER


def ed25519() -> bool:
    """The published public key of the published seed."""
    return primitives.ed25519_public(bytes.fromhex(_ED25519_SEED)).hex() == _ED25519_ANSWER


def mldsa65() -> bool:
    """A seed makes one public key of the right length, another seed another one."""
    one, other = (primitives.mldsa65_public(bytes([number]) * 32) for number in (1, 2))
    return one == primitives.mldsa65_public(b"\x01" * 32) != other and len(one) == len(other) == 1952
