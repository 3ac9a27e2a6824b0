"""The file of a private identity, plain and encrypted."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable

import pytest

from selo.crypto import armor, private_file
from selo.crypto.errors import MalformedIdentity, PassphraseNeeded, WrongPassphrase
from selo.crypto.identity import Identity
from selo.crypto.primitives import gcm_open, scrypt_key

Entropy = Callable[[int], bytes]
PAYLOAD = 6 + 32 + 6 + 32 + 6 + 32 + 32


def body_of(data: bytes) -> bytearray:
    return bytearray(armor.unwrap("PRIVATE", data.decode())[0])


def file_of(body: bytes | bytearray) -> bytes:
    return armor.wrap("PRIVATE", bytes(body)).encode()


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The least cost that a file may state: these tests are not about scrypt's slowness."""
    monkeypatch.setattr(private_file, "_LOG_N", 14)


@pytest.fixture
def plain(emitter: Identity, seeded: Callable[[str], Entropy]) -> bytes:
    return emitter.to_bytes(None, seeded("file"))


@pytest.fixture
def encrypted(emitter: Identity, seeded: Callable[[str], Entropy], cheap: None) -> bytes:
    return emitter.to_bytes("pässword".encode(), seeded("file"))


def test_plain_round_trip(emitter: Identity, plain: bytes) -> None:
    """Without a passphrase; one that is offered anyway does no harm."""
    assert Identity.from_bytes(plain, None).public == emitter.public
    again = Identity.from_bytes(plain, b"not needed")
    assert again.public == emitter.public
    assert emitter.public.verify_dsa(b"m", again.sign_dsa(b"m"))
    assert plain.startswith(b"-----BEGIN SELO PRIVATE IDENTITY-----\n\n")


def test_encrypted_round_trip_at_full_cost(emitter: Identity, seeded: Callable[[str], Entropy]) -> None:
    """With a passphrase, at N = 2^17, r = 8, p = 1."""
    data = emitter.to_bytes(b"password", seeded("file"))
    assert bytes(body_of(data)[:5]) == bytes([1, 1, 17, 8, 1])
    assert Identity.from_bytes(data, b"password").public == emitter.public


def test_security_an_encrypted_file_shows_no_key(emitter: Identity, encrypted: bytes) -> None:
    """Neither the keys nor the fingerprint stand in it."""
    body = bytes(body_of(encrypted))
    for key in (*emitter._keys, emitter.fingerprint):
        assert key not in body


def test_security_salt_and_nonce_are_fresh(emitter: Identity, cheap: None) -> None:
    """Both come from the entropy, for every file anew."""
    asked: list[int] = []
    emitter.to_bytes(b"password", lambda length: asked.append(length) or bytes(length))
    assert asked == [16, 12]


def test_an_encrypted_file_needs_its_passphrase(encrypted: bytes) -> None:
    """None, a wrong one, an empty one and another encoding of the same word."""
    with pytest.raises(PassphraseNeeded):
        Identity.from_bytes(encrypted, None)
    for wrong in (b"password", b"", "pässword".encode("latin-1"), "pässword ".encode()):
        with pytest.raises(WrongPassphrase):
            Identity.from_bytes(encrypted, wrong)


def test_an_empty_passphrase_is_refused(emitter: Identity, seeded: Callable[[str], Entropy]) -> None:
    """It would look like protection."""
    with pytest.raises(MalformedIdentity):
        emitter.to_bytes(b"", seeded("file"))


@pytest.mark.parametrize("position", [0, 1, *range(5, 33), 33, 60, 100, 178, 194])
def test_security_every_byte_of_an_encrypted_file_counts(encrypted: bytes, position: int) -> None:
    """Head, salt, nonce, ciphertext and tag: a change is found, none of it gives an identity."""
    body = body_of(encrypted)
    assert len(body) == 2 + 31 + PAYLOAD + 16
    body[position] ^= 1
    expected = MalformedIdentity if position < 2 else WrongPassphrase
    with pytest.raises(expected):
        Identity.from_bytes(file_of(body), "pässword".encode())


@pytest.mark.parametrize("position", range(2 + PAYLOAD))
def test_every_byte_of_a_plain_file_counts(plain: bytes, position: int) -> None:
    """The fingerprint in it catches a damaged disk or editor (whoever can forge it has won anyway)."""
    body = body_of(plain)
    body[position] ^= 1
    with pytest.raises(MalformedIdentity):
        Identity.from_bytes(file_of(body), None)


@pytest.mark.parametrize(
    ("log_n", "r", "p"),
    [
        (0, 8, 1),
        (13, 8, 1),
        (21, 8, 1),
        (63, 8, 1),
        (255, 8, 1),
        (17, 0, 1),
        (17, 9, 1),
        (17, 8, 0),
        (17, 8, 17),
    ],
)
def test_security_scrypt_costs_are_bounded(encrypted: bytes, log_n: int, r: int, p: int) -> None:
    """A header that asks for more than 1 GiB, or for next to nothing, is refused before any work, even before
    the passphrase is asked for."""
    body = body_of(encrypted)
    body[2:5] = struct.pack(">BBB", log_n, r, p)
    with pytest.raises(MalformedIdentity, match="out of bounds"):
        Identity.from_bytes(file_of(body), None)


def test_security_the_ciphertext_is_bound_to_its_header(emitter: Identity, encrypted: bytes) -> None:
    """The associated data is the label and the whole header, as the format says: not less."""
    body = bytes(body_of(encrypted))
    header, sealed = body[:33], body[33:]
    key = scrypt_key("pässword".encode(), header[5:21], log_n=14, r=8, p=1)
    name = b"selo/1 private identity\0"
    payload = gcm_open(key, header[21:], sealed, name + header)
    assert payload is not None
    assert payload.endswith(emitter.fingerprint)
    for associated in (name, header, name + header[:-1], b""):
        assert gcm_open(key, header[21:], sealed, associated) is None


@pytest.mark.parametrize("length", [1, 2, 3, 32, 33, 48])
def test_an_encrypted_file_cut_short(encrypted: bytes, length: int) -> None:
    """A header without its ciphertext, or a ciphertext without room for its tag."""
    with pytest.raises(MalformedIdentity):
        Identity.from_bytes(file_of(body_of(encrypted)[:length]), b"password")


@pytest.mark.parametrize("length", [1, 2, 3, 40, 2 + PAYLOAD - 1])
def test_a_plain_file_cut_short(plain: bytes, length: int) -> None:
    """Nothing but all of it is an identity."""
    with pytest.raises(MalformedIdentity):
        Identity.from_bytes(file_of(body_of(plain)[:length]), None)


def test_other_files_are_no_private_identity(emitter: Identity, plain: bytes) -> None:
    """A public identity, bytes that are no text, a name, bytes after the payload."""
    others = [
        emitter.public.to_text(None).encode(),
        b"\xff\xfe",
        b"",
        base64.b64encode(plain),
        plain.replace(b"-----\n\n", b"-----\nName: ana\n\n", 1),
        file_of(body_of(plain) + b"\0"),
    ]
    for data in others:
        with pytest.raises(MalformedIdentity):
            Identity.from_bytes(data, None)
