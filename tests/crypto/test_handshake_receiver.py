"""The Receiver against an Emitter that says whatever it likes: the second implementation, made hostile."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from selo.crypto import authentication, groups, handshake_receiver
from selo.crypto.errors import (
    AuthenticationFailed,
    HandshakeCheck,
    HandshakeError,
    IncompatiblePeer,
    MalformedMessage,
    UnknownPeer,
)
from selo.crypto.identity import Identity
from selo.crypto.records import RecordType

from .sealing import seal

MakePair = Callable[..., Any]
P, Q = groups.FFDHE3072_P, groups.DSA_Q
EXPONENT = b"\xc3" * 40
NONCE = b"\xe1" * 32


def number(value: int, length: int = 384) -> bytes:
    return value.to_bytes(length, "big")


def refusal(phase: Any, message: bytes) -> HandshakeError:
    with pytest.raises(HandshakeError) as caught:
        phase.receive(message)
    return caught.value


class HostileEmitter:
    """Runs the handshake with a Receiver of ours, by the page, up to an M3 of a test's choice."""

    def __init__(self, reference: ModuleType, pair: Any) -> None:
        self.ref, self.pair = reference, pair
        self.receiver_fp = pair.receiver.fingerprint
        m1 = reference.m1(NONCE, reference.power(2, EXPONENT), self.receiver_fp)
        m2, self.phase = pair.expect_m1().receive(m1)
        self.hs = reference.handshake_secret(reference.power(int.from_bytes(m2[37:421], "big"), EXPONENT))
        t1 = reference.t1(m1, m2[:421])
        self.keys = reference.handshake_keys(self.hs, t1)
        self.t2 = reference.t2(t1, m2[421:])

    def m3(self, signer: Identity, **say: Any) -> bytes:
        """M3 of ``signer``; a test may have it say anything else instead."""
        fp = say.get("fp", signer.fingerprint)
        signed = say.get("signed", self.ref.signed_by_emitter(self.t2, fp, self.receiver_fp))
        signature = say.get("signature") or signer.sign_dsa(signed)
        mac = say.get(
            "mac", self.ref.mac_of_emitter(self.keys["kmE"], self.t2, fp, self.receiver_fp, signature)
        )
        sealing, direction = say.get("keys", self.keys["hsE"]), say.get("direction", 0x45)
        _, sealed = self.ref.seal(
            sealing, direction, say.get("type", 1), say.get("seq", 0), fp + signature + mac
        )
        return b"\x03" + sealed

    def refused(self, signer: Identity, **say: Any) -> HandshakeError:
        return refusal(self.phase, self.m3(signer, **say))


@pytest.fixture
def hostile(pair: MakePair, reference: ModuleType) -> HostileEmitter:
    return HostileEmitter(reference, pair())


def test_the_second_implementation_can_deliver(hostile: HostileEmitter, emitter: Identity) -> None:
    """An Emitter written from the page alone gets a session: M4, records and exporter are the page's."""
    ref = hostile.ref
    m3 = hostile.m3(emitter)
    m4, session = hostile.phase.receive(m3)
    t3 = ref.t3(hostile.t2, m3)
    traffic = ref.traffic_keys(hostile.hs, t3)
    limits = session.limits.pack()
    _, sealed = ref.seal(hostile.keys["hsR"], 0x52, 1, 1, limits + ref.fin(traffic["kfR"], t3, limits))
    assert m4 == b"\x04" + sealed
    assert session.transcript == t3
    record = ref.seal(ref.epoch_keys(traffic["chain_E"], 0), 0x45, 2, 0, b"open")
    assert session.opener.open(*record).plaintext == b"open"
    header, body = seal(session.sealer, RecordType.PING, b"")
    assert (header, bytes(body)) == ref.seal(ref.epoch_keys(traffic["chain_R"], 0), 0x52, 5, 0, b"")
    assert session.export("use", b"c", 40) == ref.export(traffic["EXP"], "use", b"c", 40)


# M1.


@pytest.mark.parametrize(
    "value", [0, 1, P - 1, P, P + 1, 2**3072 - 1], ids=["0", "1", "p-1", "p", "p+1", "2^3072-1"]
)
def test_security_x_outside_2_to_p_minus_2_is_refused_before_any_arithmetic(
    pair: MakePair, reference: ModuleType, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every value of small order and every one that is not reduced, under a good mac1."""
    monkeypatch.delattr(handshake_receiver, "dh_public")
    monkeypatch.delattr(handshake_receiver, "dh_shared")
    made = pair()
    error = refusal(made.expect_m1(), reference.m1(NONCE, number(value), made.receiver.fingerprint))
    assert error.check is HandshakeCheck.PUBLIC_VALUE


@pytest.mark.parametrize("value", [2, P - 2], ids=["2", "p-2"])
def test_x_at_the_ends_of_its_range_is_answered(pair: MakePair, reference: ModuleType, value: int) -> None:
    """2 and p-2 are legal values."""
    made = pair()
    m2, _ = made.expect_m1().receive(reference.m1(NONCE, number(value), made.receiver.fingerprint))
    assert len(m2) == 581


@pytest.mark.parametrize(
    ("say", "expected"),
    [
        ({"version": 0}, (0, 1)),
        ({"version": 2}, (2, 1)),
        ({"version": 65_535}, (65_535, 1)),
        ({"suite": 0}, (1, 0)),
        ({"suite": 2}, (1, 2)),
        ({"suite": 3}, (1, 3)),
        ({"version": 2, "suite": 2}, (2, 2)),
    ],
)
def test_security_another_version_or_suite_is_named(
    pair: MakePair, reference: ModuleType, say: dict[str, int], expected: tuple[int, int]
) -> None:
    """No negotiation: refused, with both sides' numbers for the report, even before the length is known."""
    made = pair()
    message = reference.m1(NONCE, number(5), made.receiver.fingerprint, **say)
    for shown in (message, message[:13], message + bytes(1000)):
        error = refusal(made.expect_m1(), shown)
        assert isinstance(error, IncompatiblePeer)
        assert (error.theirs_version, error.theirs_suite) == expected
        assert (error.ours_version, error.ours_suite) == (1, 1)


def test_security_a_cookie_is_refused(pair: MakePair, reference: ModuleType) -> None:
    """This version has none, even under a good mac1."""
    made = pair()
    message = reference.m1(NONCE, number(5), made.receiver.fingerprint, cookie=bytes(31) + b"\x01")
    error = refusal(made.expect_m1(), message)
    assert isinstance(error, MalformedMessage)
    assert error.check is HandshakeCheck.COOKIE


def test_security_checks_of_m1_run_in_the_order_of_section_6_1(pair: MakePair, reference: ModuleType) -> None:
    """An M1 with every fault, then one fault fewer each time."""
    made = pair()
    fp = made.receiver.fingerprint
    bad_x = number(1)
    cases = [
        (b"\x01" * 12, HandshakeCheck.LENGTH),
        (
            b"\x02" + reference.m1(NONCE, bad_x, bytes(32), version=2, cookie=NONCE)[1:-1],
            HandshakeCheck.MAGIC,
        ),
        (
            reference.m1(NONCE, bad_x, bytes(32), version=2, suite=2, cookie=NONCE)[:-1],
            HandshakeCheck.VERSION,
        ),
        (reference.m1(NONCE, bad_x, bytes(32), suite=2, cookie=NONCE)[:-1], HandshakeCheck.SUITE),
        (reference.m1(NONCE, bad_x, bytes(32), cookie=NONCE)[:-1], HandshakeCheck.LENGTH),
        (reference.m1(NONCE, bad_x, bytes(32), cookie=NONCE), HandshakeCheck.COOKIE),
        (reference.m1(NONCE, bad_x, bytes(32)), HandshakeCheck.MAC1),
        (reference.m1(NONCE, bad_x, fp), HandshakeCheck.PUBLIC_VALUE),
    ]
    for message, check in cases:
        assert refusal(made.expect_m1(), message).check is check


# M3.


@pytest.mark.parametrize("place", ["r", "s", "both"])
@pytest.mark.parametrize("value", [0, Q, Q + 1, 2**256 - 1], ids=["0", "q", "q+1", "2^256-1"])
def test_security_sig_e_out_of_range_is_refused(
    hostile: HostileEmitter, emitter: Identity, value: int, place: str
) -> None:
    """r or s or both, everything else right."""
    good = emitter.sign_dsa(
        hostile.ref.signed_by_emitter(hostile.t2, emitter.fingerprint, hostile.receiver_fp)
    )
    bad = number(value, 32)
    signature = {"r": bad + good[32:], "s": good[:32] + bad, "both": bad + bad}[place]
    assert hostile.refused(emitter, signature=signature).check is HandshakeCheck.SIGNATURE


def test_security_sig_e_covers_everything_that_it_should(
    pair: MakePair, reference: ModuleType, emitter: Identity, receiver: Identity, stranger: Identity
) -> None:
    """Signed for another Receiver, another Emitter, another transcript, another suite, as the Receiver signs,
    or without the padding: refused, with a good MAC each time."""
    fp, to = emitter.fingerprint, receiver.fingerprint
    wrong: list[Callable[[HostileEmitter], bytes]] = [
        lambda h: h.ref.signed_by_emitter(h.t2, fp, stranger.fingerprint),
        lambda h: h.ref.signed_by_emitter(h.t2, stranger.fingerprint, to),
        lambda h: h.ref.signed_by_emitter(bytes(32), fp, to),
        lambda h: h.ref.signed_by_emitter(h.t2, fp, to, suite=2),
        lambda h: h.ref.signed_by_receiver(h.t2, fp + to),
        lambda h: h.ref.signed_by_emitter(h.t2, fp, to)[64:],
    ]
    for signed in wrong:
        hostile = HostileEmitter(reference, pair())
        assert hostile.refused(emitter, signed=signed(hostile)).check is HandshakeCheck.SIGNATURE


def test_security_an_emitter_cannot_show_anothers_fingerprint(
    pair: MakePair, reference: ModuleType, emitter: Identity, stranger: Identity
) -> None:
    """A stranger that shows an authorised fingerprint fails at the signature."""
    hostile = HostileEmitter(reference, pair())
    assert hostile.refused(stranger, fp=emitter.fingerprint).check is HandshakeCheck.SIGNATURE


def test_security_one_authorised_emitter_cannot_be_another(
    pair: MakePair, reference: ModuleType, emitter: Identity, stranger: Identity
) -> None:
    """Both are authorised: each verifies under its own key only, and the session names the right one."""
    table = {identity.fingerprint: identity.public for identity in (emitter, stranger)}
    hostile = HostileEmitter(reference, pair(authorised=table))
    assert hostile.refused(stranger, fp=emitter.fingerprint).check is HandshakeCheck.SIGNATURE
    for signer in (emitter, stranger):
        hostile = HostileEmitter(reference, pair(authorised=table))
        _, session = hostile.phase.receive(hostile.m3(signer))
        assert session.peer.fingerprint == signer.fingerprint


def test_security_an_unknown_emitter_is_refused_and_reported(
    hostile: HostileEmitter, stranger: Identity
) -> None:
    """A perfect M3 of somebody who is not in the table."""
    error = hostile.refused(stranger)
    assert isinstance(error, UnknownPeer)
    assert error.fingerprint == stranger.fingerprint


def test_security_an_unknown_emitter_costs_what_a_known_one_costs(
    pair: MakePair,
    reference: ModuleType,
    emitter: Identity,
    stranger: Identity,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """macE and sigE are checked for it too: the same calls in the same order; a bad MAC ends both alike."""
    calls: list[str] = []
    for name in ("dsa_verify", "hmac_sha256", "equal"):
        real = getattr(authentication, name)

        def counted(*args: Any, _name: str = name, _real: Any = real) -> Any:
            calls.append(_name)
            return _real(*args)

        monkeypatch.setattr(authentication, name, counted)
    seen = []
    for signer, say in (
        (emitter, {}),
        (stranger, {}),
        (emitter, {"mac": bytes(32)}),
        (stranger, {"mac": bytes(32)}),
    ):
        hostile = HostileEmitter(reference, pair())
        m3 = hostile.m3(signer, **say)
        calls.clear()
        with contextlib.suppress(HandshakeError):
            hostile.phase.receive(m3)
        seen.append(list(calls))
    assert seen[0] == seen[1]
    assert seen[2] == seen[3]
    assert seen[1].count("dsa_verify") == 1
    assert seen[3].count("dsa_verify") == 0


def test_security_the_dummy_key_authenticates_nobody(
    hostile: HostileEmitter, stranger: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its private half is known to all (it is 1): a signature that verifies under it is worth nothing."""
    dummy = Identity(number(1, 32), bytes(32), bytes(32))
    signed = hostile.ref.signed_by_emitter(hostile.t2, stranger.fingerprint, hostile.receiver_fp)
    assert dummy.public.dsa_y == authentication._DUMMY_Y
    verified: list[bytes] = []
    real = authentication.dsa_verify
    monkeypatch.setattr(
        authentication, "dsa_verify", lambda y, *rest: bool(verified.append(y)) or real(y, *rest)
    )
    error = hostile.refused(dummy, fp=stranger.fingerprint, signed=signed)
    assert isinstance(error, UnknownPeer)
    assert verified == [authentication._DUMMY_Y]


def test_security_the_receivers_own_fingerprint_is_refused(
    pair: MakePair, reference: ModuleType, emitter: Identity, receiver: Identity
) -> None:
    """Even when its own key is in its table by mistake: a reflection is never a peer."""
    table = {identity.fingerprint: identity.public for identity in (emitter, receiver)}
    hostile = HostileEmitter(reference, pair(authorised=table))
    error = hostile.refused(receiver)
    assert isinstance(error, AuthenticationFailed)
    assert error.check is HandshakeCheck.OWN_FINGERPRINT


@pytest.mark.parametrize("position", range(0, 32, 5))
def test_security_mac_e_is_checked(hostile: HostileEmitter, emitter: Identity, position: int) -> None:
    """A wrong MAC under a good seal, with a good signature."""
    ref, fp, to = hostile.ref, emitter.fingerprint, hostile.receiver_fp
    signature = emitter.sign_dsa(ref.signed_by_emitter(hostile.t2, fp, to))
    mac = bytearray(ref.mac_of_emitter(hostile.keys["kmE"], hostile.t2, fp, to, signature))
    mac[position] ^= 1
    assert hostile.refused(emitter, signature=signature, mac=bytes(mac)).check is HandshakeCheck.MAC


def test_security_mac_e_is_over_the_right_things(
    pair: MakePair, reference: ModuleType, emitter: Identity, receiver: Identity
) -> None:
    """Made with kmR, under the Receiver's label, for another Receiver, over another signature: refused."""
    fp, to = emitter.fingerprint, receiver.fingerprint
    wrong: list[Callable[[HostileEmitter, bytes], bytes]] = [
        lambda h, s: h.ref.mac_of_emitter(h.keys["kmR"], h.t2, fp, to, s),
        lambda h, s: h.ref.mac_of_receiver(h.keys["kmE"], h.t2, fp + to, s),
        lambda h, s: h.ref.mac_of_emitter(h.keys["kmE"], h.t2, fp, fp, s),
        lambda h, s: h.ref.mac_of_emitter(h.keys["kmE"], h.t2, fp, to, bytes(64)),
    ]
    for make in wrong:
        hostile = HostileEmitter(reference, pair())
        signature = emitter.sign_dsa(reference.signed_by_emitter(hostile.t2, fp, to))
        error = hostile.refused(emitter, signature=signature, mac=make(hostile, signature))
        assert error.check is HandshakeCheck.MAC


@pytest.mark.parametrize(
    "say",
    [{"direction": 0x52}, {"type": 3}, {"seq": 1}, {"seq": 65_536}],
    ids=["direction", "type", "seq", "epoch"],
)
def test_security_the_seal_of_m3_is_record_0_of_its_direction(
    hostile: HostileEmitter, emitter: Identity, say: dict[str, int]
) -> None:
    """Another direction, type or number under the right keys is another record."""
    assert hostile.refused(emitter, **say).check is HandshakeCheck.SEAL


def test_security_the_seal_of_m3_is_the_emitters(hostile: HostileEmitter, emitter: Identity) -> None:
    """Sealed under the Receiver's handshake keys it is refused, whichever direction it claims."""
    assert hostile.refused(emitter, keys=hostile.keys["hsR"]).check is HandshakeCheck.SEAL


def test_security_checks_of_m3_run_in_the_order_of_section_6_1(
    pair: MakePair, reference: ModuleType, emitter: Identity, receiver: Identity
) -> None:
    """Type before length before seal before fingerprint before MAC before signature."""
    bad = {"mac": bytes(32), "signature": bytes(64)}
    steps: list[tuple[Callable[[HostileEmitter], bytes], HandshakeCheck]] = [
        (lambda h: b"\x04" + h.m3(receiver, **bad)[1:-1], HandshakeCheck.TYPE),
        (lambda h: h.m3(receiver, **bad)[:-1], HandshakeCheck.LENGTH),
        (lambda h: h.m3(receiver, seq=1, **bad), HandshakeCheck.SEAL),
        (lambda h: h.m3(receiver, **bad), HandshakeCheck.OWN_FINGERPRINT),
        (lambda h: h.m3(emitter, **bad), HandshakeCheck.MAC),
        (lambda h: h.m3(emitter, signature=bytes(64)), HandshakeCheck.SIGNATURE),
    ]
    for make, check in steps:
        hostile = HostileEmitter(reference, pair())
        assert refusal(hostile.phase, make(hostile)).check is check
