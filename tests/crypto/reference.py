"""A second implementation of docs/PROTOCOL.md, straight down the page, for the tests to compare with.

It shares no line with the package: hashlib and hmac, Python's ``pow``, and AES as a
bare permutation from which CFB is spelled out. It is slow, variable in time, checks
nothing, and lets a test say anything that a hostile peer could.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from math import factorial

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

Z32 = bytes(32)
MAGIC = b"SELO\r\n\x1a\n"
E, R = 0x45, 0x52
HANDSHAKE = 1


def _floor_of_e_times_two_to(bits: int) -> int:
    """floor(2^bits * e) with exact integers: the sum of 1/n!, cut where it no longer counts."""
    terms = 700
    scaled = sum(factorial(terms) // factorial(n) for n in range(terms + 1))
    return (scaled << bits) // factorial(terms)


P = 2**3072 - 2**3008 + (_floor_of_e_times_two_to(2942) + 2625351) * 2**64 - 1
G = 2


def h(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def mac(key: bytes, *parts: bytes) -> bytes:
    return hmac.new(key, b"".join(parts), "sha256").digest()


def l(name: str) -> bytes:  # noqa: E743 - the page's own letter
    return b"selo/1" + b"\x20" + name.encode() + b"\x00"


def extract(salt: bytes, ikm: bytes) -> bytes:
    return mac(salt, ikm)


def expand(prk: bytes, info: bytes, n: int) -> bytes:
    blocks = [b""]
    while sum(map(len, blocks)) < n:
        blocks.append(mac(prk, blocks[-1], info, bytes([len(blocks)])))
    return b"".join(blocks)[:n]


def d(secret: bytes, name: str, ctx: bytes, n: int = 32) -> bytes:
    info = n.to_bytes(2, "big") + bytes([len(l(name))]) + l(name) + bytes([len(ctx)]) + ctx
    return expand(secret, info, n)


# Section 3.


def fingerprint(y: bytes, ed25519: bytes, mldsa65: bytes) -> bytes:
    return h(
        l("fp"),
        b"\x00\x01" + struct.pack(">I", 384) + y,
        b"\x00\x02" + struct.pack(">I", 32) + ed25519,
        b"\x00\x03" + struct.pack(">I", 1952) + mldsa65,
    )


# Section 5.


def ticket(fp: bytes, nonce: bytes, secret: bytes = Z32) -> bytes:
    return nonce + mac(mac(secret, l("ticket"), fp), nonce)


# Section 8.


def aes(key: bytes, block: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block)


def cfb(key: bytes, iv: bytes, plaintext: bytes) -> bytes:
    out, feedback = b"", iv
    for start in range(0, len(plaintext), 16):
        block = plaintext[start : start + 16]
        feedback = bytes(a ^ b for a, b in zip(block, aes(key, feedback), strict=False))
        out += feedback
    return out


def cfb_inverse(key: bytes, iv: bytes, ciphertext: bytes) -> bytes:
    out, feedback = b"", iv
    for start in range(0, len(ciphertext), 16):
        block = ciphertext[start : start + 16]
        out += bytes(a ^ b for a, b in zip(block, aes(key, feedback), strict=False))
        feedback = block
    return out


def header(body_len: int, record_type: int, seq: int) -> bytes:
    return struct.pack(">I", body_len) + bytes([record_type, 0, 0, 0]) + struct.pack(">Q", seq)


def record_iv(iv_key: bytes, seq: int) -> bytes:
    return aes(iv_key, struct.pack(">IIQ", 0, seq >> 16, seq))


def record_tag(mac_key: bytes, direction: int, head: bytes, seq: int, iv: bytes, ciphertext: bytes) -> bytes:
    covered = l("record") + struct.pack(">HHBI", 1, 1, direction, seq >> 16)
    return mac(mac_key, covered, head, iv, ciphertext)


def seal(
    keys: dict[str, bytes], direction: int, record_type: int, seq: int, plaintext: bytes
) -> tuple[bytes, bytes]:
    """The header and the body of a record."""
    head = header(len(plaintext) + 32, record_type, seq)
    iv = record_iv(keys["iv"], seq)
    ciphertext = cfb(keys["enc"], iv, plaintext)
    return head, ciphertext + record_tag(keys["mac"], direction, head, seq, iv, ciphertext)


def open_unchecked(keys: dict[str, bytes], seq: int, body: bytes) -> bytes:
    return cfb_inverse(keys["enc"], record_iv(keys["iv"], seq), body[:-32])


def totals(kcum: bytes, tags: list[bytes], data_bytes: int, digest: bytes) -> bytes:
    counts = struct.pack(">QQ", len(tags), data_bytes)
    return counts + mac(kcum, l("cum"), *tags, counts) + digest


# Section 7.


def handshake_secret(z: bytes, secret: bytes = Z32, suite: int = 1) -> bytes:
    es = extract(h(l("salt"), struct.pack(">H", suite)), secret)
    return extract(d(es, "derived", b""), z)


def handshake_keys(hs: bytes, t1: bytes) -> dict[str, dict[str, bytes] | bytes]:
    return {
        "hsR": {use: d(hs, f"hs R {use}", t1) for use in ("enc", "mac", "iv")},
        "hsE": {use: d(hs, f"hs E {use}", t1) for use in ("enc", "mac", "iv")},
        "kmR": d(hs, "km R", t1),
        "kmE": d(hs, "km E", t1),
    }


def traffic_keys(hs: bytes, t3: bytes) -> dict[str, bytes]:
    ms = d(hs, "master", t3)
    names = {
        "kfR": "fin",
        "EXP": "exporter",
        "kcum_E": "cumulative E",
        "kcum_R": "cumulative R",
        "chain_E": "chain E",
        "chain_R": "chain R",
    }
    return {"MS": ms} | {key: d(ms, name, t3) for key, name in names.items()}


def epoch_keys(chain: bytes, epoch: int) -> dict[str, bytes]:
    for i in range(epoch):
        chain = d(chain, "next", struct.pack(">I", i))
    index = struct.pack(">I", epoch)
    return {"chain": chain} | {use: d(chain, use, index) for use in ("enc", "mac", "iv")}


def export(exp: bytes, name: str, ctx: bytes, n: int) -> bytes:
    return d(d(exp, name, b""), "exp", h(ctx), n)


# Section 6.


def power(base: int, exponent: bytes) -> bytes:
    return pow(base, int.from_bytes(exponent, "big"), P).to_bytes(384, "big")


def m1(
    nonce: bytes,
    public: bytes,
    receiver_fp: bytes,
    *,
    secret: bytes = Z32,
    version: int = 1,
    suite: int = 1,
    cookie: bytes = Z32,
) -> bytes:
    covered = b"\x01" + MAGIC + struct.pack(">HH", version, suite) + nonce + public + cookie
    return covered + mac(mac(secret, l("mac1"), receiver_fp), covered)


def m2_clear(nonce: bytes, public: bytes, *, version: int = 1, suite: int = 1) -> bytes:
    return b"\x02" + struct.pack(">HH", version, suite) + nonce + public


def t1(message_1: bytes, clear: bytes) -> bytes:
    return h(l("th1"), message_1, clear)


def t2(first: bytes, sealed: bytes) -> bytes:
    return h(l("th2"), first, sealed)


def t3(second: bytes, message_3: bytes) -> bytes:
    return h(l("th3"), second, message_3)


def signed_by_receiver(first: bytes, fp: bytes, suite: int = 1) -> bytes:
    return b"\x20" * 64 + l("sig Receiver") + struct.pack(">H", suite) + h(first, fp)


def signed_by_emitter(second: bytes, fp: bytes, receiver_fp: bytes, suite: int = 1) -> bytes:
    return b"\x20" * 64 + l("sig Emitter") + struct.pack(">H", suite) + h(second, fp, receiver_fp)


def mac_of_receiver(km: bytes, first: bytes, fp: bytes, signature: bytes) -> bytes:
    return mac(km, l("mac Receiver"), h(first, fp, signature))


def mac_of_emitter(km: bytes, second: bytes, fp: bytes, receiver_fp: bytes, signature: bytes) -> bytes:
    return mac(km, l("mac Emitter"), h(second, fp, receiver_fp, signature))


def fin(kf: bytes, third: bytes, limits: bytes) -> bytes:
    return mac(kf, l("fin"), third, limits)
