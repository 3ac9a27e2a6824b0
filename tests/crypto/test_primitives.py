"""The door to the library: known answers, and what it must refuse."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.serialization import load_der_public_key

from selo.crypto import groups, primitives
from selo.crypto.identity import Identity
from selo.errors import MisuseError

P, Q = groups.FFDHE3072_P, groups.DSA_Q
CFB128 = [
    f"CFB128{kind}{bits}.rsp"
    for kind in ("GFSbox", "KeySbox", "MMT", "VarKey", "VarTxt")
    for bits in (128, 192, 256)
]


def number(value: int, length: int = 384) -> bytes:
    return value.to_bytes(length, "big")


# AES.


def nist_cases(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """The cases of a CAVP response file, each with its section (ENCRYPT or DECRYPT)."""
    section, case = "", {}
    for line in path.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif match := re.fullmatch(r"(KEY|IV|PLAINTEXT|CIPHERTEXT) = ([0-9a-f]+)", line):
            case[match[1]] = bytes.fromhex(match[2])
            if {"PLAINTEXT", "CIPHERTEXT"} <= case.keys():
                yield section, case
                case = {}


@pytest.mark.parametrize("name", CFB128)
def test_cfb128_gives_nist_answers(name: str, nist_vectors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every CFB128 answer of NIST's CAVP, both ways. The 128- and 192-bit files run the same code with the
    library's general AES in the place of AES-256."""
    if not name.endswith("256.rsp"):
        monkeypatch.setattr(primitives, "AES256", AES)
    path, count = nist_vectors / "ciphers" / "AES" / "CFB" / name, 0
    for section, case in nist_cases(path):
        key = primitives.aes_key(case["KEY"])
        if section == "ENCRYPT":
            out = bytearray(len(case["PLAINTEXT"]) + 32)
            primitives.cfb_encrypt_into(key, case["IV"], case["PLAINTEXT"], memoryview(out))
            assert bytes(out) == case["CIPHERTEXT"] + bytes(32)
        else:
            assert primitives.cfb_decrypt(key, case["IV"], case["CIPHERTEXT"]) == case["PLAINTEXT"]
        count += 1
    assert count == path.read_text().count("COUNT = ") > 0


def test_block_context_is_a_bare_permutation() -> None:
    """FIPS 197, appendix C.3 (AES-256), and the context can be used again: no block depends on one before."""
    context = primitives.block_context(bytes(range(32)))
    for _ in range(2):
        block = context.update(bytes.fromhex("00112233445566778899aabbccddeeff"))
        assert block.hex() == "8ea2b7ca516745bfeafc49904b496089"
        context.update(bytes(16))


# Hashing.


def test_hmac_gives_wycheproof_answers(wycheproof: Callable[[str], dict[str, Any]]) -> None:
    """All of hmac_sha256, by the one-shot function and by the running one."""
    count = 0
    for group in wycheproof("hmac_sha256_test.json")["testGroups"]:
        for test in group["tests"]:
            key, message = bytes.fromhex(test["key"]), bytes.fromhex(test["msg"])
            running = primitives.mac_context(key)
            running.update(message)
            full = primitives.hmac_sha256(key, message)
            assert running.copy().finalize() == running.finalize() == full
            shown = bytes.fromhex(test["tag"])
            assert (full[: group["tagSize"] // 8] == shown) == (test["result"] == "valid")
            count += 1
    assert count == 174


def test_hkdf_gives_wycheproof_answers(wycheproof: Callable[[str], dict[str, Any]]) -> None:
    """All of hkdf_sha256, including the lengths that HKDF cannot give."""
    count = 0
    for group in wycheproof("hkdf_sha256_test.json")["testGroups"]:
        for test in group["tests"]:
            prk = primitives.hkdf_extract(bytes.fromhex(test["salt"]), bytes.fromhex(test["ikm"]))
            info = bytes.fromhex(test["info"])
            if test["result"] == "valid":
                assert primitives.hkdf_expand(prk, info, test["size"]).hex() == test["okm"]
            else:
                with pytest.raises(MisuseError):
                    primitives.hkdf_expand(prk, info, test["size"])
            count += 1
    assert count == 86


@pytest.mark.parametrize("length", [0, -1, 255 * 32 + 1])
def test_hkdf_refuses_lengths_outside_rfc_5869(length: int) -> None:
    """Nothing, less than nothing, and one byte more than 255 blocks."""
    with pytest.raises(MisuseError):
        primitives.hkdf_expand(bytes(32), b"", length)


def test_sha256_joins_its_parts() -> None:
    """Parts are hashed as one string."""
    assert primitives.sha256(b"a", b"", b"bc") == hashlib.sha256(b"abc").digest()


def test_security_equal_is_the_constant_time_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every comparison of the room goes through hmac.compare_digest."""
    asked: list[tuple[object, object]] = []
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: bool(asked.append((a, b))) or a == b)
    assert primitives.equal(b"a", b"a")
    assert not primitives.equal(b"a", b"b")
    assert asked == [(b"a", b"a"), (b"a", b"b")]


# Diffie-Hellman.


def exponents(seeded: Callable[[str], Callable[[int], bytes]], count: int) -> list[bytes]:
    entropy = seeded("exponents")
    return [entropy(40) for _ in range(count)]


def test_dh_powers_are_pythons(
    seeded: Callable[[str], Callable[[int], bytes]], reference: ModuleType
) -> None:
    """g^x and y^x through the library are what ``pow`` says, 384 bytes, and both sides agree."""
    for one, other in zip(exponents(seeded, 8), exponents(seeded, 9)[1:], strict=True):
        ours, theirs = primitives.dh_public(one), primitives.dh_public(other)
        assert ours == reference.power(2, one)
        assert len(ours) == 384
        shared = primitives.dh_shared(one, theirs)
        assert (
            shared == primitives.dh_shared(other, ours) == reference.power(int.from_bytes(theirs, "big"), one)
        )


def test_security_dh_keeps_leading_zeros(reference: ModuleType) -> None:
    """A shared value that begins with a zero byte keeps it: the peer's value is chosen so that it does."""
    exponent = (
        bytes(7) + b"\x01" + bytes(31) + b"\x03"
    )  # odd, 257 bits: invertible modulo p - 1 or the test says so
    number_x = int.from_bytes(exponent, "big")
    inverse = pow(number_x, -1, P - 1)
    wanted = 1 << (3072 - 17)
    peer = number(pow(wanted, inverse, P))
    shared = primitives.dh_shared(exponent, peer)
    assert shared == number(wanted)
    assert shared.startswith(b"\0\0")
    assert len(shared) == 384


@pytest.mark.parametrize(
    "value", [0, 1, P - 1, P, P + 1, 2**3072 - 1], ids=["0", "1", "p-1", "p", "p+1", "2^3072-1"]
)
def test_security_dh_refuses_values_outside_2_to_p_minus_2(value: int) -> None:
    """None of the values of small order, and nothing that is not reduced, reaches the library."""
    assert not primitives.is_public_value(number(value))
    with pytest.raises(MisuseError):
        primitives.dh_shared(bytes([1] * 40), number(value))


@pytest.mark.parametrize("value", [2, 3, P // 2, P - 2], ids=["2", "3", "p/2", "p-2"])
def test_dh_takes_the_ends_of_its_range(value: int) -> None:
    """2 and p-2 are legal."""
    assert primitives.is_public_value(number(value))
    assert primitives.dh_shared(bytes([1] * 40), number(value)) == number(
        pow(value, int.from_bytes(bytes([1] * 40), "big"), P)
    )


@pytest.mark.parametrize("length", [0, 383, 385])
def test_security_a_public_value_has_384_bytes(length: int) -> None:
    """One length, whatever the number."""
    assert not primitives.is_public_value(b"\x02" * length)


@pytest.mark.parametrize(
    "exponent",
    [b"", bytes(40), b"\x01" * 39, b"\x01" * 41, bytes(8) + b"\x7f" + b"\xff" * 31],
    ids=["empty", "zero", "39 bytes", "41 bytes", "255 bits"],
)
def test_security_dh_refuses_an_exponent_that_is_not_random(exponent: bytes) -> None:
    """A broken source of entropy ends in an error (exponent 0 even ends the library in a panic)."""
    assert not primitives.is_exponent(exponent)
    with pytest.raises(MisuseError):
        primitives.dh_public(exponent)
    with pytest.raises(MisuseError):
        primitives.dh_shared(exponent, number(2))


# DSA.


def test_dsa_signs_and_verifies(emitter: Identity) -> None:
    """A signature has 64 bytes, verifies for its message and key alone, and is never the same twice."""
    one, other = emitter.sign_dsa(b"message"), emitter.sign_dsa(b"message")
    assert len(one) == len(other) == 64
    assert one != other
    y = emitter.public.dsa_y
    assert primitives.dsa_verify(y, b"message", one)
    assert primitives.dsa_verify(y, b"message", other)
    assert not primitives.dsa_verify(y, b"massage", one)
    assert not primitives.dsa_verify(number(groups.DSA_G), b"message", one)


@pytest.mark.parametrize("value", [0, Q, Q + 1, 2**256 - 1], ids=["0", "q", "q+1", "2^256-1"])
@pytest.mark.parametrize("place", ["r", "s", "both"])
def test_security_dsa_refuses_r_and_s_out_of_range(
    emitter: Identity, value: int, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1 <= r, s < q, as FIPS 186-4 has it, each beside a good one and both at once; refused by ourselves,
    before the library sees them."""
    good = emitter.sign_dsa(b"message")
    bad = number(value, 32)
    signature = {"r": bad + good[32:], "s": good[:32] + bad, "both": bad + bad}[place]
    monkeypatch.delattr(primitives, "DSAPublicNumbers")
    assert not primitives.dsa_verify(emitter.public.dsa_y, b"message", signature)


def test_security_dsa_is_not_malleable_by_minus_s(emitter: Identity) -> None:
    """(r, q - s) is another signature's business: it does not verify here."""
    good = emitter.sign_dsa(b"message")
    negated = good[:32] + number(Q - int.from_bytes(good[32:], "big"), 32)
    assert not primitives.dsa_verify(emitter.public.dsa_y, b"message", negated)


@pytest.mark.parametrize("length", [0, 63, 65, 128])
def test_security_a_dsa_signature_has_64_bytes(emitter: Identity, length: int) -> None:
    """One length."""
    good = emitter.sign_dsa(b"message") * 2
    assert not primitives.dsa_verify(emitter.public.dsa_y, b"message", good[:length])


@pytest.mark.parametrize("position", range(64))
def test_security_every_byte_of_a_dsa_signature_counts(emitter: Identity, position: int) -> None:
    """A signature with any one byte changed does not verify."""
    signature = bytearray(emitter.sign_dsa(b"message"))
    signature[position] ^= 0x01
    assert not primitives.dsa_verify(emitter.public.dsa_y, b"message", signature)


def wycheproof_group(monkeypatch: pytest.MonkeyPatch, group: dict[str, Any]) -> bytes:
    """Makes the group of a Wycheproof key ours for a moment; its y comes back."""
    key = load_der_public_key(bytes.fromhex(group["publicKeyDer"]))
    numbers = key.public_numbers()  # type: ignore[union-attr]
    monkeypatch.setattr(primitives, "_DSA", numbers.parameter_numbers)  # type: ignore[union-attr]
    monkeypatch.setattr(groups, "DSA_Q", numbers.parameter_numbers.q)  # type: ignore[union-attr]
    return number(numbers.y)  # type: ignore[union-attr]


def test_dsa_gives_wycheproof_answers_p1363(
    wycheproof: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of dsa_3072_256_sha256_p1363: r | s of any length and range goes straight to our verifier."""
    count = 0
    for group in wycheproof("dsa_3072_256_sha256_p1363_test.json")["testGroups"]:
        y = wycheproof_group(monkeypatch, group)
        for test in group["tests"]:
            valid = primitives.dsa_verify(y, bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"]))
            assert valid == (test["result"] == "valid"), test["comment"]
            count += 1
    assert count == 139


def test_dsa_gives_wycheproof_answers_der(
    wycheproof: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of dsa_3072_256_sha256: what is strict DER of 32-byte numbers verifies as Wycheproof says;
    what is not has no spelling as r | s and is none of the valid ones."""
    count = 0
    for group in wycheproof("dsa_3072_256_sha256_test.json")["testGroups"]:
        y = wycheproof_group(monkeypatch, group)
        for test in group["tests"]:
            try:
                raw = b"".join(
                    number(value, 32) for value in decode_dss_signature(bytes.fromhex(test["sig"]))
                )
            except (ValueError, OverflowError):
                raw = b""
            valid = primitives.dsa_verify(y, bytes.fromhex(test["msg"]), raw)
            assert valid == (test["result"] == "valid"), test["comment"]
            count += 1
    assert count == 366


@pytest.mark.parametrize(
    "y",
    [0, 1, groups.DSA_P - 1, groups.DSA_P, groups.DSA_P + 1, 2**3072 - 1, 2, 5],
    ids=["0", "1", "p-1", "p", "p+1", "2^3072-1", "2", "5"],
)
def test_security_a_dsa_key_outside_the_subgroup_is_no_key(y: int) -> None:
    """1 < y < p-1 and y^q = 1: with y = 1 the library would accept forged signatures for every message."""
    assert not primitives.is_dsa_public(number(y))


def test_a_dsa_key_of_the_subgroup_is_a_key(emitter: Identity) -> None:
    """Powers of g are, in 384 bytes and no others."""
    y = emitter.public.dsa_y
    assert y == number(pow(groups.DSA_G, int.from_bytes(emitter._keys[0], "big"), groups.DSA_P))
    assert primitives.is_dsa_public(y)
    assert primitives.is_dsa_public(number(groups.DSA_G))
    assert not primitives.is_dsa_public(y[1:])
    assert not primitives.is_dsa_public(b"\0" + y)


# Other keys and the passphrase's protection.


def test_ed25519_public_is_rfc_8032s() -> None:
    """RFC 8032, section 7.1, test 1."""
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert primitives.ed25519_public(seed).hex() == public


def test_mldsa65_public_depends_on_the_seed_alone() -> None:
    """The same seed makes the same 1952 bytes; another seed makes others."""
    one = primitives.mldsa65_public(bytes(32))
    assert len(one) == 1952
    assert primitives.mldsa65_public(bytes(32)) == one
    assert primitives.mldsa65_public(bytes([1] * 32)) != one


def test_scrypt_gives_the_answer_of_rfc_7914() -> None:
    """RFC 7914, section 12, third vector (its first 32 bytes)."""
    key = primitives.scrypt_key(b"pleaseletmein", b"SodiumChloride", log_n=14, r=8, p=1)
    assert key.hex() == "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"


def test_gcm_opens_what_it_sealed_and_nothing_else() -> None:
    """A change in the key, the nonce, the associated data or any byte of the ciphertext gives None."""
    key, nonce = bytes(32), bytes(12)
    sealed = primitives.gcm_seal(key, nonce, b"plaintext", b"associated")
    assert primitives.gcm_open(key, nonce, sealed, b"associated") == b"plaintext"
    assert primitives.gcm_open(key, nonce, sealed, b"associate") is None
    assert primitives.gcm_open(bytes([1] * 32), nonce, sealed, b"associated") is None
    assert primitives.gcm_open(key, bytes([1] * 12), sealed, b"associated") is None
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        assert primitives.gcm_open(key, nonce, bytes(changed), b"associated") is None
