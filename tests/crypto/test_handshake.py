"""The handshake as a whole: every phase with every message, and what both ends agree on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from selo.crypto.errors import (
    AuthenticationFailed,
    HandshakeCheck,
    HandshakeError,
    RecordRefused,
    UnknownPeer,
)
from selo.crypto.handshake import Established, ExpectM1, Role, SessionLimits, emitter_hello
from selo.crypto.handshake import receiver_start as start
from selo.crypto.identity import Identity, PublicIdentity
from selo.crypto.limits import ZERO_SECRET
from selo.crypto.records import RecordType
from selo.errors import MisuseError

from .sealing import seal

MakePair = Callable[..., Any]
PHASES = {"M1": "expect_m1", "M2": "expect_m2", "M3": "expect_m3", "M4": "expect_m4"}


def refusal(phase: Any, message: bytes) -> HandshakeError:
    """The error of a refused message; the phase is dead afterwards and holds nothing."""
    with pytest.raises(HandshakeError) as caught:
        phase.receive(message)
    assert phase._state is None
    with pytest.raises(MisuseError):
        phase.receive(message)
    return caught.value


def phase_for(pair: Any, expected: str) -> Any:
    """A phase that waits for ``expected``; all messages of the pair up to it are there."""
    if expected == "M2":
        pair.answer_m1()
    return getattr(pair, PHASES[expected])()


# What both ends have in the end.


def test_both_ends_agree(pair: MakePair, emitter: Identity, receiver: Identity) -> None:
    """Roles, peers, limits, transcript and exporter; and what one seals the other opens, both ways."""
    e, r = pair().run()
    assert (e.role, r.role) == (Role.EMITTER, Role.RECEIVER)
    assert (e.peer.public, r.peer.public) == (receiver.public, emitter.public)
    assert (e.peer.fingerprint, r.peer.fingerprint) == (receiver.fingerprint, emitter.fingerprint)
    assert e.limits == r.limits
    assert e.transcript == r.transcript
    assert e.export("a use", b"ctx", 48) == r.export("a use", b"ctx", 48)
    for one, other in ((e, r), (r, e)):
        record = other.opener.open(*seal(one.sealer, RecordType.OPEN, b"x"))
        assert (record.seq, record.plaintext) == (0, b"x")


def test_the_receivers_limits_hold_on_both_sides(pair: MakePair) -> None:
    """The smallest limits there are: what they forbid, neither end seals."""
    limits = SessionLimits(4096, 1, 4096)
    e, r = pair(limits=limits).run()
    assert e.limits == r.limits == limits
    for session in (e, r):
        seal(session.sealer, RecordType.OPEN, b"x")
        with pytest.raises(MisuseError):
            seal(session.sealer, RecordType.DATA, bytes(4097))


def test_messages_have_their_one_length(pair: MakePair) -> None:
    """493, 581, 161, 81."""
    made = pair()
    made.run()
    assert [len(made.messages[name]) for name in ("M1", "M2", "M3", "M4")] == [493, 581, 161, 81]


def test_a_receiver_secret_works_when_both_have_it(pair: MakePair) -> None:
    """And changes every key, though nothing else differs."""
    secret = b"\x5a" * 32
    e, r = pair(seed="same", emitter_secret=secret, receiver_secret=secret).run()
    assert e.export("x", b"", 32) == r.export("x", b"", 32)


def test_security_two_sessions_share_nothing(pair: MakePair) -> None:
    """Sessions of the same two peers have other transcripts, exporters, and records."""
    (one, _), (other, r) = pair().run(), pair().run()
    assert one.transcript != other.transcript
    assert one.export("x", b"", 32) != other.export("x", b"", 32)
    with pytest.raises(RecordRefused, match="tag"):
        r.opener.open(*seal(one.sealer, RecordType.OPEN, b"x"))


def test_security_both_identities_are_sealed(pair: MakePair, emitter: Identity, receiver: Identity) -> None:
    """No fingerprint and no part of a public key stands in any message."""
    made = pair()
    made.run()
    wire = b"".join(made.messages.values())
    for identity in (emitter, receiver):
        assert identity.fingerprint not in wire
        assert identity.public.dsa_y[:16] not in wire


# Every phase with every message.


@pytest.mark.parametrize("shown", ["M1", "M2", "M3", "M4"])
@pytest.mark.parametrize("expected", PHASES)
def test_security_every_phase_with_every_message(pair: MakePair, expected: str, shown: str) -> None:
    """A phase takes its own message and no other: none skipped, doubled, out of order or reflected."""
    made = pair()
    made.run()
    phase = phase_for(made, expected)
    if shown == expected:
        phase.receive(made.messages[shown])
        with pytest.raises(MisuseError):
            phase.receive(made.messages[shown])
    else:
        assert refusal(phase, made.messages[shown]).stage == expected


@pytest.mark.parametrize("expected", ["M2", "M3", "M4"])
def test_security_messages_of_another_session_are_refused(pair: MakePair, expected: str) -> None:
    """Replayed from a session of the same two peers: only its keys could have made it fit."""
    other = pair()
    other.run()
    made = pair()
    error = refusal(phase_for(made, expected), other.messages[expected])
    assert (error.stage, error.check) == (expected, HandshakeCheck.SEAL)


def test_security_a_replayed_m1_leads_nowhere(pair: MakePair) -> None:
    """A recorded M1 gets a fresh M2, and the recorded M3 does not fit to it."""
    old = pair()
    old.run()
    new = pair()
    _, phase = new.expect_m1().receive(old.messages["M1"])
    assert refusal(phase, old.messages["M3"]).check is HandshakeCheck.SEAL


@pytest.mark.parametrize("expected", PHASES)
def test_security_a_message_cut_anywhere_is_refused(pair: MakePair, expected: str) -> None:
    """Every length from 0 to one byte less."""
    made = pair()
    made.run()
    phase = phase_for(made, expected)
    message = made.messages[expected]
    for length in range(len(message)):
        assert refusal(_fresh(phase), message[:length]).stage == expected


@pytest.mark.parametrize("expected", PHASES)
@pytest.mark.parametrize("more", [b"\0", b"\xff", b"\0" * 100], ids=["00", "ff", "100 bytes"])
def test_security_a_longer_message_is_refused(pair: MakePair, expected: str, more: bytes) -> None:
    """One byte more is another length, so another message."""
    made = pair()
    made.run()
    phase = phase_for(made, expected)
    assert refusal(phase, made.messages[expected] + more).check is HandshakeCheck.LENGTH


def _fresh(phase: Any) -> Any:
    """A copy that can be spent; the state is shared and read-only up to where these tests are refused."""
    copy = object.__new__(type(phase))
    copy.__dict__.update(phase.__dict__)
    return copy


def expected_check(message: str, position: int) -> HandshakeCheck:
    """The first check of section 6.1 that a change of this byte must fail."""
    fields = {
        "M1": [
            (9, HandshakeCheck.MAGIC),
            (11, HandshakeCheck.VERSION),
            (13, HandshakeCheck.SUITE),
            (429, HandshakeCheck.MAC1),
            (461, HandshakeCheck.COOKIE),
            (493, HandshakeCheck.MAC1),
        ],
        "M2": [
            (1, HandshakeCheck.TYPE),
            (3, HandshakeCheck.VERSION),
            (5, HandshakeCheck.SUITE),
            (581, HandshakeCheck.SEAL),
        ],
        "M3": [(1, HandshakeCheck.TYPE), (161, HandshakeCheck.SEAL)],
        "M4": [(1, HandshakeCheck.TYPE), (81, HandshakeCheck.SEAL)],
    }
    return next(check for end, check in fields[message] if position < end)


@pytest.mark.parametrize("expected", ["M1", "M2", "M3"])
def test_security_every_byte_of_a_message_counts(pair: MakePair, expected: str) -> None:
    """Each byte of M1, M2 and M3 changed: refused by exactly the check that section 6.1 puts first."""
    made = pair()
    phase = phase_for(made, expected)
    message = made.messages[expected]
    for position in range(len(message)):
        changed = bytearray(message)
        changed[position] ^= 1 << (position % 8)
        error = refusal(_fresh(phase), bytes(changed))
        assert (position, error.check) == (position, expected_check(expected, position))


def test_security_every_byte_of_m4_counts(pair: MakePair) -> None:
    """Each byte of M4 changed; every time in a handshake of its own, because the seal counts its records."""
    for position in range(81):
        made = pair(seed=f"m4 {position}")
        phase = made.expect_m4()
        changed = bytearray(made.messages["M4"])
        changed[position] ^= 1 << (position % 8)
        assert refusal(phase, bytes(changed)).check is expected_check("M4", position)


# Secrets and proof.


@pytest.mark.parametrize(
    ("ours", "theirs"), [(b"\1" * 32, None), (None, b"\1" * 32), (b"\1" * 32, b"\2" * 32)]
)
def test_security_a_wrong_receiver_secret_is_refused_before_any_arithmetic(
    pair: MakePair, ours: bytes | None, theirs: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One side with it, the other without or with another one: mac1 fails, and nothing was computed."""
    from selo.crypto import handshake_receiver

    made = pair(emitter_secret=ours or ZERO_SECRET, receiver_secret=theirs or ZERO_SECRET)
    monkeypatch.delattr(handshake_receiver, "dh_public")
    monkeypatch.delattr(handshake_receiver, "dh_shared")
    assert refusal(made.expect_m1(), made.messages["M1"]).check is HandshakeCheck.MAC1


@pytest.mark.parametrize(
    "bad",
    [
        {"nonce": bytes(31)},
        {"nonce": bytes(33)},
        {"exponent": bytes([1] * 39)},
        {"exponent": bytes(40)},
        {"secret": b""},
    ],
    ids=["nonce 31", "nonce 33", "exponent 39", "exponent 0", "no secret"],
)
def test_security_entropy_of_the_wrong_size_starts_nothing(
    emitter: Identity, receiver: Identity, session_limits: SessionLimits, bad: dict[str, bytes]
) -> None:
    """Nonces of 32 bytes, exponents of 40 that look random, secrets of 32; both sides, before any message."""
    good: dict[str, Any] = {"nonce": bytes(32), "exponent": b"\x01" * 40, "secret": bytes(32)} | bad
    with pytest.raises(MisuseError):
        emitter_hello(identity=emitter, peer=receiver.public, **good)
    with pytest.raises(MisuseError):
        start(identity=receiver, authorised={}, limits=session_limits, **good)


def test_security_an_emitter_does_not_call_itself(emitter: Identity) -> None:
    """One's own fingerprint as the peer is refused before anything is sent."""
    with pytest.raises(AuthenticationFailed) as caught:
        emitter_hello(identity=emitter, peer=emitter.public, nonce=bytes(32), exponent=b"\x01" * 40)
    assert caught.value.check is HandshakeCheck.OWN_FINGERPRINT


def test_security_an_authorised_table_names_its_entries_truly(
    emitter: Identity, receiver: Identity, stranger: Identity, session_limits: SessionLimits
) -> None:
    """A key under another's fingerprint is a bug that shows before anybody connects."""
    with pytest.raises(MisuseError):
        start(
            identity=receiver,
            authorised={emitter.fingerprint: stranger.public},
            limits=session_limits,
            nonce=bytes(32),
            exponent=b"\x01" * 40,
        )


def test_a_table_changed_later_changes_nothing(pair: MakePair, emitter: Identity) -> None:
    """The Receiver keeps the table that it was started with."""
    table: dict[bytes, PublicIdentity] = {emitter.fingerprint: emitter.public}
    made = pair(authorised=table)
    table.clear()
    assert isinstance(made.run()[1], Established)


def test_security_nobody_is_authorised_by_an_empty_table(
    pair: MakePair, emitter: Identity, receiver: Identity, session_limits: SessionLimits
) -> None:
    """No entries, no Emitters; the fingerprint that was shown is in the report."""
    made = pair()
    phase: ExpectM1 = start(
        identity=receiver, authorised={}, limits=session_limits, nonce=bytes(32), exponent=b"\x01" * 40
    )
    made.messages["M2"], expect_m3 = phase.receive(made.messages["M1"])
    made.answer_m2()
    error = refusal(expect_m3, made.messages["M3"])
    assert isinstance(error, UnknownPeer)
    assert error.fingerprint == emitter.fingerprint


def test_security_no_phase_says_its_secrets(pair: MakePair) -> None:
    """Printed, a phase and a session show no exponent and no key."""
    made = pair(emitter_secret=b"\x5a" * 32, receiver_secret=b"\x5a" * 32)
    shown = "".join(
        repr(phase) + repr(phase._state) for phase in (made.expect_m1(), made.expect_m2(), made.answer_m1())
    )
    shown += repr(made.run())
    for secret in (*made.exponents, b"\x5a" * 32):
        assert secret.hex() not in shown
        assert repr(secret)[2:-1] not in shown
