"""What both sides' phases of the handshake share."""

from __future__ import annotations

import pytest

from selo.crypto.errors import AuthenticationFailed, HandshakeCheck, IncompatiblePeer, MalformedMessage
from selo.crypto.messages import HandshakeSeal
from selo.crypto.phases import Phase, check_entropy, check_shape, check_version, opened
from selo.crypto.schedule import RecordKeys
from selo.crypto.suites import CLASSIC
from selo.errors import MisuseError

NONCE, EXPONENT, SECRET = b"\x01" * 32, b"\x02" * 40, bytes(32)


def test_a_phase_gives_its_state_away_once() -> None:
    """The second message finds no secrets any more."""
    phase = Phase([b"secret"])
    assert phase._take() == [b"secret"]
    for _ in range(2):
        with pytest.raises(MisuseError):
            phase._take()


@pytest.mark.parametrize("change", [-1, 1])
@pytest.mark.parametrize("what", range(3))
def test_security_entropy_of_another_length_is_refused(what: int, change: int) -> None:
    """A byte less or more of nonce, exponent or Receiver secret is a mistake of the caller."""
    good = [NONCE, EXPONENT, SECRET]
    check_entropy(*good)
    good[what] = (good[what] + b"\x05")[: len(good[what]) + change]
    with pytest.raises(MisuseError):
        check_entropy(*good)


@pytest.mark.parametrize(("leading", "taken"), [(7, True), (8, True), (9, False), (40, False)])
def test_security_an_exponent_that_is_not_random_is_refused(leading: int, taken: bool) -> None:
    """More than 64 leading zero bits come from a broken source, not from chance."""
    exponent = bytes(leading) + b"\xff" * (40 - leading)
    if taken:
        check_entropy(NONCE, exponent, SECRET)
    else:
        with pytest.raises(MisuseError):
            check_entropy(NONCE, exponent, SECRET)


def test_another_version_or_suite_is_named() -> None:
    """Both sides' numbers are in the error; the version counts first."""
    check_version("M1", 1, 1, CLASSIC)
    for version, suite, check in ((2, 1, "version"), (0, 9, "version"), (1, 2, "suite"), (1, 0, "suite")):
        with pytest.raises(IncompatiblePeer) as refused:
            check_version("M1", version, suite, CLASSIC)
        assert refused.value.check == check
        assert (refused.value.theirs_version, refused.value.theirs_suite) == (version, suite)
        assert (refused.value.ours_version, refused.value.ours_suite) == (1, 1)


@pytest.mark.parametrize(
    ("message", "check"),
    [
        (b"", HandshakeCheck.TYPE),
        (b"\x02" + bytes(9), HandshakeCheck.TYPE),
        (b"\x03" + bytes(8), HandshakeCheck.LENGTH),
        (b"\x03" + bytes(10), HandshakeCheck.LENGTH),
        (b"\x03", HandshakeCheck.LENGTH),
    ],
)
def test_another_shape_is_refused(message: bytes, check: HandshakeCheck) -> None:
    """Another type, another length: one legal message each."""
    check_shape("M3", b"\x03" + bytes(9), 3, 10)
    with pytest.raises(MalformedMessage) as refused:
        check_shape("M3", message, 3, 10)
    assert (refused.value.stage, refused.value.check) == ("M3", check)


@pytest.mark.parametrize("position", range(40))
def test_security_a_seal_that_was_touched_does_not_open(position: int) -> None:
    """Every bit of ciphertext and tag counts."""
    keys = RecordKeys(enc=b"\x01" * 32, mac=b"\x02" * 32, iv=b"\x03" * 32)
    ends = [HandshakeSeal(keys, suite=CLASSIC, direction=0x45) for _ in range(3)]
    sealed = bytearray(ends[0].seal(b"8 bytes."))
    assert opened("M2", ends[1], bytes(sealed)) == b"8 bytes."
    sealed[position] ^= 1 << (position % 8)
    with pytest.raises(AuthenticationFailed) as refused:
        opened("M2", ends[2], bytes(sealed))
    assert refused.value.check is HandshakeCheck.SEAL
