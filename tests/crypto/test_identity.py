"""Identities: made, shown, read back, validated."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from types import ModuleType

import pytest

from selo.crypto import armor, groups
from selo.crypto.errors import MalformedIdentity
from selo.crypto.identity import Identity, PublicIdentity

Entropy = Callable[[int], bytes]


def packed(*keys: tuple[int, bytes]) -> bytes:
    return b"".join(struct.pack(">HI", number, len(key)) + key for number, key in keys)


def test_the_fingerprint_is_the_specifications(emitter: Identity, reference: ModuleType) -> None:
    """SHA-256 over the label and the three public keys, each under its number and length."""
    public = emitter.public
    assert public.fingerprint == reference.fingerprint(public.dsa_y, public.ed25519, public.mldsa65)
    assert emitter.fingerprint == public.fingerprint
    assert len(public.to_bytes()) == 2386


def test_keys_come_from_the_entropy_alone(seeded: Callable[[str], Entropy]) -> None:
    """The same entropy makes the same identity; another makes another."""
    one, same, other = (Identity.generate(seeded(seed)) for seed in ("a", "a", "b"))
    assert one.public == same.public
    assert one.fingerprint == same.fingerprint
    assert one.fingerprint != other.fingerprint


def test_generate_asks_for_512_and_twice_256_bits() -> None:
    """The DSA exponent has no bias to speak of, and each key its own entropy."""
    asked: list[int] = []
    Identity.generate(lambda length: asked.append(length) or bytes([len(asked)]) * length)
    assert asked == [64, 32, 32]


@pytest.mark.parametrize(
    ("wide", "x"),
    [(0, 1), (groups.DSA_Q - 2, groups.DSA_Q - 1), (groups.DSA_Q - 1, 1)],
    ids=["0", "q-2", "q-1"],
)
def test_the_dsa_exponent_is_in_1_to_q_minus_1(wide: int, x: int) -> None:
    """x = wide mod (q-1) + 1, at its edges."""
    identity = Identity.generate(
        lambda length: wide.to_bytes(length, "big") if length == 64 else bytes(length)
    )
    assert identity.public.dsa_y == pow(groups.DSA_G, x, groups.DSA_P).to_bytes(384, "big")
    assert int.from_bytes(identity._keys[0], "big") == x


@pytest.mark.parametrize("x", [0, groups.DSA_Q, groups.DSA_Q + 1, 2**256 - 1])
def test_security_a_private_key_out_of_range_is_none(x: int) -> None:
    """1 <= x < q."""
    with pytest.raises(MalformedIdentity):
        Identity(x.to_bytes(32, "big"), bytes(32), bytes(32))


def test_signatures_verify_under_the_public_half_alone(emitter: Identity, receiver: Identity) -> None:
    """For the message and the key that they were made for."""
    signature = emitter.sign_dsa(b"message")
    assert emitter.public.verify_dsa(b"message", signature)
    assert not emitter.public.verify_dsa(b"other", signature)
    assert not receiver.public.verify_dsa(b"message", signature)


@pytest.mark.parametrize("name", [None, "ana.laptop"])
def test_public_text_round_trip(emitter: Identity, name: str | None) -> None:
    """What one side writes the other reads, name and all, in fifty lines of base64."""
    text = emitter.public.to_text(name)
    assert PublicIdentity.from_text(text) == (emitter.public, name)
    assert len(text.split("\n")) == 50 + 4 + (name is not None)


def test_security_every_character_of_a_public_text_counts(emitter: Identity) -> None:
    """Each base64 character, changed to its neighbour in the alphabet: refused, or another fingerprint."""
    text = emitter.public.to_text(None)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    start, end = text.index("\n\n") + 2, text.index("\n-----END")
    for position in range(start, end, 7):
        if text[position] not in alphabet:
            continue
        changed = alphabet[(alphabet.index(text[position]) + 1) % 64]
        try:
            public, _ = PublicIdentity.from_text(text[:position] + changed + text[position + 1 :])
        except MalformedIdentity:
            continue
        assert public.fingerprint != emitter.fingerprint


def bad_bodies(public: PublicIdentity) -> dict[str, bytes]:
    dsa, ed, ml = (1, public.dsa_y), (2, public.ed25519), (3, public.mldsa65)
    return {
        "nothing": b"",
        "DSA alone": packed(dsa),
        "one missing": packed(dsa, ed),
        "another order": packed(ed, dsa, ml),
        "one twice": packed(dsa, ed, ml, ml),
        "another number": packed((9, public.dsa_y), ed, ml),
        "a longer y": packed((1, b"\0" + public.dsa_y), ed, ml),
        "a shorter y": packed((1, public.dsa_y[1:]), ed, ml),
        "a longer Ed25519": packed(dsa, (2, public.ed25519 + b"\0"), ml),
        "a shorter ML-DSA": packed(dsa, ed, (3, public.mldsa65[:-1])),
        "bytes before": b"\0" + packed(dsa, ed, ml),
        "bytes between": packed(dsa) + b"\0" + packed(ed, ml),
        "bytes after": packed(dsa, ed, ml) + b"\0",
        "cut": packed(dsa, ed, ml)[:-1],
        "a length that lies": packed(dsa, ed)[:-32] + b"",
    }


@pytest.mark.parametrize("case", range(15))
def test_security_exactly_three_keys_in_this_order(emitter: Identity, case: int) -> None:
    """Nothing missing, doubled, exchanged, longer, shorter, before, between or after."""
    body = list(bad_bodies(emitter.public).values())[case]
    text = armor.wrap("PUBLIC", body or b"\0")
    with pytest.raises(MalformedIdentity):
        PublicIdentity.from_text(text)


@pytest.mark.parametrize(
    "y",
    [0, 1, 2, groups.DSA_P - 1, groups.DSA_P, groups.DSA_P + 1, 2**3072 - 1],
    ids=lambda y: hex(y)[:8] + hex(y)[-2:],
)
def test_security_a_dsa_key_outside_the_group_is_refused_when_read(emitter: Identity, y: int) -> None:
    """1 < y < p-1 and y^q = 1, at the only door that a peer's key comes in by."""
    public = emitter.public
    body = packed((1, y.to_bytes(384, "big")), (2, public.ed25519), (3, public.mldsa65))
    with pytest.raises(MalformedIdentity):
        PublicIdentity.from_text(armor.wrap("PUBLIC", body))
    with pytest.raises(MalformedIdentity):
        replace(public, dsa_y=y.to_bytes(384, "big"))


def test_security_a_public_identity_does_not_change(emitter: Identity) -> None:
    """Frozen: its fingerprint stays that of its keys."""
    with pytest.raises(FrozenInstanceError):
        emitter.public.dsa_y = b""  # type: ignore[misc]


def test_security_one_fingerprint_over_all_keys(emitter: Identity, receiver: Identity) -> None:
    """Each key changes it, so nobody mixes another's key into an identity under its old fingerprint."""
    mixed = [
        replace(emitter.public, dsa_y=receiver.public.dsa_y),
        replace(emitter.public, ed25519=receiver.public.ed25519),
        replace(emitter.public, mldsa65=receiver.public.mldsa65),
    ]
    assert len({public.fingerprint for public in [*mixed, emitter.public, receiver.public]}) == 5


def test_security_no_repr_shows_a_private_key(emitter: Identity) -> None:
    """An identity prints as its fingerprint."""
    assert repr(emitter) == f"Identity({emitter.fingerprint.hex()})"
    shown = f"{emitter!r} {emitter} {emitter.public!r}"
    for key in emitter._keys:
        assert key.hex() not in shown
        assert base64.b64encode(key).decode() not in shown
