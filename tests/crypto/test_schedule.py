"""The key schedule, label by label, against the second implementation."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

from selo.crypto import schedule
from selo.crypto.schedule import EpochKeys
from selo.crypto.suites import CLASSIC
from selo.errors import MisuseError

Z = bytes(range(256)) + bytes(128)
SECRET = b"\x5a" * 32
T1, T3 = b"\x01" * 32, b"\x03" * 32
HS = b"\x0b" * 32
LABELS = (
    *(
        "fp",
        "ticket",
        "mac1",
        "th1",
        "th2",
        "th3",
        "sig Receiver",
        "sig Emitter",
        "mac Receiver",
        "mac Emitter",
    ),
    *(
        "salt",
        "derived",
        "hs R enc",
        "hs R mac",
        "hs R iv",
        "hs E enc",
        "hs E mac",
        "hs E iv",
        "km R",
        "km E",
    ),
    *("master", "fin", "exporter", "cumulative E", "cumulative R", "chain E", "chain R"),
    *("enc", "mac", "iv", "next", "exp", "record", "cum"),
)

HANDSHAKE: dict[str, Callable[[schedule.HandshakeKeys], bytes]] = {
    "hs R enc": lambda keys: keys.seal_receiver.enc,
    "hs R mac": lambda keys: keys.seal_receiver.mac,
    "hs R iv": lambda keys: keys.seal_receiver.iv,
    "hs E enc": lambda keys: keys.seal_emitter.enc,
    "hs E mac": lambda keys: keys.seal_emitter.mac,
    "hs E iv": lambda keys: keys.seal_emitter.iv,
    "km R": lambda keys: keys.mac_receiver,
    "km E": lambda keys: keys.mac_emitter,
}

TRAFFIC: dict[str, Callable[[schedule.TrafficSecrets], bytes]] = {
    "fin": lambda secrets: secrets.fin,
    "exporter": lambda secrets: secrets.exporter,
    "cumulative E": lambda secrets: secrets.cumulative[0x45],
    "cumulative R": lambda secrets: secrets.cumulative[0x52],
    "chain E": lambda secrets: secrets.chains[0x45],
    "chain R": lambda secrets: secrets.chains[0x52],
}


@pytest.mark.parametrize("name", LABELS)
def test_label(name: str, reference: ModuleType) -> None:
    """L(x) is the protocol's name, a space, x and a zero byte."""
    assert schedule.label(name) == reference.l(name) == f"selo/1 {name}\0".encode()


def test_security_no_label_is_a_prefix_of_another() -> None:
    """The closing zero byte keeps labels apart that begin alike (``mac``, ``mac1`` and ``mac Emitter``)."""
    labels = [schedule.label(name) for name in LABELS]
    assert len(set(labels)) == len(labels)
    assert not [(a, b) for a in labels for b in labels if a != b and b.startswith(a)]


@pytest.mark.parametrize("length", [1, 31, 32, 33, 64, 255 * 32])
def test_derive(length: int, reference: ModuleType) -> None:
    """D, for lengths below, at and above a block and at HKDF's end."""
    assert schedule.derive(HS, "x", b"ctx", length) == reference.d(HS, "x", b"ctx", length)


def test_security_derive_separates_secret_label_context_and_length() -> None:
    """Each of D's four inputs changes the whole output; the length is in it, so nothing is a prefix."""
    keys = [
        schedule.derive(HS, "x", b"c"),
        schedule.derive(T1, "x", b"c"),
        schedule.derive(HS, "y", b"c"),
        schedule.derive(HS, "x", b"d"),
        schedule.derive(HS, "x", b"c", 64)[:32],
    ]
    assert len(set(keys)) == len(keys)


def test_derive_refuses_what_its_length_bytes_cannot_say() -> None:
    """A label over 255 bytes with its frame, and a context over 255."""
    assert schedule.derive(HS, "x" * 247, b"c" * 255)
    with pytest.raises(MisuseError):
        schedule.derive(HS, "x" * 248, b"")
    with pytest.raises(MisuseError):
        schedule.derive(HS, "x", b"c" * 256)


def test_transcripts(reference: ModuleType) -> None:
    """Labels th1, th2, th3."""
    assert schedule.transcript_1(b"m1", b"m2") == reference.t1(b"m1", b"m2")
    assert schedule.transcript_2(T1, b"seal") == reference.t2(T1, b"seal")
    assert schedule.transcript_3(T1, b"m3") == reference.t3(T1, b"m3")


def test_mac1(reference: ModuleType) -> None:
    """Label mac1, keyed by the Receiver secret and the fingerprint."""
    expected = reference.m1(bytes(32), bytes(384), T1, secret=SECRET)
    assert schedule.mac1(SECRET, T1, expected[:-32]) == expected[-32:]


def test_handshake_secret(reference: ModuleType) -> None:
    """Labels salt and derived: HS from the Receiver secret and Z."""
    assert schedule.handshake_secret(CLASSIC, SECRET, Z) == reference.handshake_secret(Z, SECRET)


@pytest.mark.parametrize("name", HANDSHAKE)
def test_handshake_key(name: str, reference: ModuleType) -> None:
    """One label, one key of M2 to M4."""
    assert HANDSHAKE[name](schedule.handshake_keys(HS, T1)) == reference.d(HS, name, T1)


@pytest.mark.parametrize("name", TRAFFIC)
def test_traffic_secret(name: str, reference: ModuleType) -> None:
    """One label, one secret of the established session, by way of MS."""
    master = reference.d(HS, "master", T3)
    assert TRAFFIC[name](schedule.traffic_secrets(HS, T3)) == reference.d(master, name, T3)


@pytest.mark.parametrize("use", ["enc", "mac", "iv"])
@pytest.mark.parametrize("epoch", [0, 1, 2, 7])
def test_epoch_key(epoch: int, use: str, reference: ModuleType) -> None:
    """Labels enc, mac, iv and next, several epochs on."""
    keys = EpochKeys(HS)
    for _ in range(epoch):
        keys.advance()
    assert getattr(keys.record_keys(), use) == reference.epoch_keys(HS, epoch)[use]
    assert (keys.first_seq, keys.end_seq) == (epoch << 16, (epoch + 1) << 16)


def test_security_the_ratchet_keeps_nothing_of_the_past() -> None:
    """After ``advance`` the object holds the next chain key and its index, and nothing of the old one."""
    keys = EpochKeys(HS)
    old = (HS, *vars(keys.record_keys()).values())
    keys.advance()
    assert set(vars(keys)) == {"_chain", "epoch"}
    assert keys._chain not in old


def test_security_every_key_of_a_session_is_another_one() -> None:
    """All handshake, traffic and record keys of both directions over two epochs differ."""
    handshake, traffic = schedule.handshake_keys(HS, T1), schedule.traffic_secrets(HS, T1)
    found = [get(handshake) for get in HANDSHAKE.values()] + [get(traffic) for get in TRAFFIC.values()]
    for chain in traffic.chains.values():
        epochs = EpochKeys(chain)
        for _ in range(2):
            found += vars(epochs.record_keys()).values()
            epochs.advance()
    assert len(found) == 8 + 6 + 12
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("length", [16, 32, 48, 8160])
def test_export(length: int, reference: ModuleType) -> None:
    """Labels of the caller's own, then exp."""
    assert schedule.export(HS, "my use", b"ctx", length) == reference.export(HS, "my use", b"ctx", length)


@pytest.mark.parametrize(
    ("name", "length"),
    [("ä", 32), ("x" * 248, 32), ("x", 0), ("x", 8161)],
    ids=["not ASCII", "long", "0", "8161"],
)
def test_export_refuses(name: str, length: int) -> None:
    """A label that is not ASCII or too long, a length that HKDF cannot give."""
    with pytest.raises(MisuseError):
        schedule.export(HS, name, b"", length)


@pytest.mark.parametrize(("chain", "epoch"), [(b"", 0), (bytes(31), 0), (bytes(33), 0), (bytes(32), -1)])
def test_a_chain_starts_from_32_bytes(chain: bytes, epoch: int) -> None:
    """Anything else is a bug of the caller."""
    with pytest.raises(MisuseError):
        EpochKeys(chain, epoch)


def test_security_no_repr_shows_a_key() -> None:
    """A log that prints one of these prints no secret."""
    keys, traffic = schedule.handshake_keys(HS, T1), schedule.traffic_secrets(HS, T3)
    shown = repr(keys) + repr(traffic) + repr(EpochKeys(HS))
    secrets = [get(keys) for get in HANDSHAKE.values()] + [get(traffic) for get in TRAFFIC.values()] + [HS]
    assert not [secret for secret in secrets if repr(secret)[2:-1] in shown or secret.hex() in shown]
