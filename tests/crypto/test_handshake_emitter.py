"""The Emitter against a Receiver that says whatever it likes: the second implementation, made hostile."""

from __future__ import annotations

import struct
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from selo.crypto import groups, handshake_emitter
from selo.crypto.errors import HandshakeCheck, HandshakeError, IncompatiblePeer, MalformedMessage
from selo.crypto.identity import Identity
from selo.crypto.records import RecordType

from .sealing import seal

MakePair = Callable[..., Any]
P, Q = groups.FFDHE3072_P, groups.DSA_Q
EXPONENT = b"\xc3" * 40
NONCE = b"\xe1" * 32
LIMITS = struct.pack(">IIQ", 65_536, 64, 1 << 20)


def number(value: int, length: int = 384) -> bytes:
    return value.to_bytes(length, "big")


def refusal(phase: Any, message: bytes) -> HandshakeError:
    with pytest.raises(HandshakeError) as caught:
        phase.receive(message)
    return caught.value


class HostileReceiver:
    """Answers an Emitter of ours by the page, with an M2 and an M4 of a test's choice."""

    def __init__(self, reference: ModuleType, pair: Any) -> None:
        self.ref, self.pair = reference, pair
        self.m1, self.phase = pair.messages["M1"], pair.expect_m2()
        self.clear = reference.m2_clear(NONCE, reference.power(2, EXPONENT))
        self.hs = reference.handshake_secret(
            reference.power(int.from_bytes(self.m1[45:429], "big"), EXPONENT)
        )
        self.t1 = reference.t1(self.m1, self.clear)
        self.keys = reference.handshake_keys(self.hs, self.t1)

    def m2(self, signer: Identity, **say: Any) -> bytes:
        """M2 of ``signer``; a test may have it say anything else instead."""
        fp = say.get("fp", signer.fingerprint)
        signature = say.get("signature") or signer.sign_dsa(
            say.get("signed", self.ref.signed_by_receiver(self.t1, fp))
        )
        mac = say.get("mac", self.ref.mac_of_receiver(self.keys["kmR"], self.t1, fp, signature))
        sealing, direction = say.get("keys", self.keys["hsR"]), say.get("direction", 0x52)
        _, sealed = self.ref.seal(
            sealing, direction, say.get("type", 1), say.get("seq", 0), fp + signature + mac
        )
        return bytes(self.clear + sealed)

    def refused(self, signer: Identity, **say: Any) -> HandshakeError:
        return refusal(self.phase, self.m2(signer, **say))

    def finish(self, signer: Identity) -> Any:
        """A good M2; the phase that waits for M4 comes back."""
        m2 = self.m2(signer)
        self.m3, phase = self.phase.receive(m2)
        self.t2 = self.ref.t2(self.t1, m2[421:])
        self.t3 = self.ref.t3(self.t2, self.m3)
        self.traffic = self.ref.traffic_keys(self.hs, self.t3)
        return phase

    def m4(self, **say: Any) -> bytes:
        limits = say.get("limits", LIMITS)
        fin = say.get("fin") or self.ref.fin(self.traffic["kfR"], self.t3, limits)
        _, sealed = self.ref.seal(
            say.get("keys", self.keys["hsR"]),
            say.get("direction", 0x52),
            say.get("type", 1),
            say.get("seq", 1),
            limits + fin,
        )
        return b"\x04" + bytes(sealed)


@pytest.fixture
def hostile(pair: MakePair, reference: ModuleType) -> HostileReceiver:
    return HostileReceiver(reference, pair())


def test_the_second_implementation_can_receive(
    hostile: HostileReceiver, emitter: Identity, receiver: Identity
) -> None:
    """A Receiver written from the page alone gets a session: M1, M3 and records are the page's."""
    ref = hostile.ref
    public = ref.power(2, hostile.pair.exponents[0])
    assert hostile.m1 == ref.m1(hostile.pair.nonces[0], public, receiver.fingerprint)
    phase = hostile.finish(receiver)
    auth = ref.open_unchecked(hostile.keys["hsE"], 0, hostile.m3[1:])
    fp, signature, mac = auth[:32], auth[32:96], auth[96:]
    assert fp == emitter.fingerprint
    assert mac == ref.mac_of_emitter(hostile.keys["kmE"], hostile.t2, fp, receiver.fingerprint, signature)
    signed = ref.signed_by_emitter(hostile.t2, fp, receiver.fingerprint)
    assert emitter.public.verify_dsa(signed, signature)
    assert hostile.m3 == b"\x03" + ref.seal(hostile.keys["hsE"], 0x45, 1, 0, auth)[1]
    session = phase.receive(hostile.m4())
    assert session.limits.pack() == LIMITS
    assert session.transcript == hostile.t3
    header, body = seal(session.sealer, RecordType.OPEN, b"open")
    keys = ref.epoch_keys(hostile.traffic["chain_E"], 0)
    assert (header, bytes(body)) == ref.seal(keys, 0x45, 2, 0, b"open")


# M2.


@pytest.mark.parametrize(
    "value", [0, 1, P - 1, P, P + 1, 2**3072 - 1], ids=["0", "1", "p-1", "p", "p+1", "2^3072-1"]
)
def test_security_y_outside_2_to_p_minus_2_is_refused_before_any_arithmetic(
    hostile: HostileReceiver, receiver: Identity, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every value of small order and every one that is not reduced."""
    monkeypatch.delattr(handshake_emitter, "dh_shared")
    m2 = hostile.m2(receiver)
    error = refusal(hostile.phase, m2[:37] + number(value) + m2[421:])
    assert error.check is HandshakeCheck.PUBLIC_VALUE


def test_security_the_emitters_own_nonce_is_refused(hostile: HostileReceiver, receiver: Identity) -> None:
    """A reflection of nE is no nR."""
    hostile.clear = hostile.ref.m2_clear(hostile.pair.nonces[0], hostile.ref.power(2, EXPONENT))
    assert hostile.refused(receiver).check is HandshakeCheck.NONCE


@pytest.mark.parametrize(("version", "suite"), [(0, 1), (2, 1), (1, 0), (1, 2), (1, 65_535), (2, 2)])
def test_security_another_version_or_suite_is_named(
    hostile: HostileReceiver, receiver: Identity, version: int, suite: int
) -> None:
    """No negotiation: refused, with both sides' numbers for the report."""
    hostile.clear = hostile.ref.m2_clear(NONCE, number(5), version=version, suite=suite)
    for message in (hostile.m2(receiver), hostile.clear[:5]):
        error = refusal(hostile.pair.expect_m2(), message)
        assert isinstance(error, IncompatiblePeer)
        assert (error.theirs_version, error.theirs_suite) == (version, suite)


def test_security_another_receiver_than_the_pinned_one_is_refused(
    hostile: HostileReceiver, stranger: Identity
) -> None:
    """A perfect M2 of somebody else."""
    assert hostile.refused(stranger).check is HandshakeCheck.FINGERPRINT


def test_security_the_emitter_itself_is_no_receiver(hostile: HostileReceiver, emitter: Identity) -> None:
    """Its own fingerprint is not the pinned one either."""
    assert hostile.refused(emitter).check is HandshakeCheck.FINGERPRINT


def test_security_the_pinned_fingerprint_alone_is_worth_nothing(
    hostile: HostileReceiver, receiver: Identity, stranger: Identity
) -> None:
    """A man in the middle that shows the pinned fingerprint fails at the signature."""
    assert hostile.refused(stranger, fp=receiver.fingerprint).check is HandshakeCheck.SIGNATURE


@pytest.mark.parametrize("place", ["r", "s", "both"])
@pytest.mark.parametrize("value", [0, Q, Q + 1, 2**256 - 1], ids=["0", "q", "q+1", "2^256-1"])
def test_security_sig_r_out_of_range_is_refused(
    hostile: HostileReceiver, receiver: Identity, value: int, place: str
) -> None:
    """r or s or both, everything else right."""
    good = receiver.sign_dsa(hostile.ref.signed_by_receiver(hostile.t1, receiver.fingerprint))
    bad = number(value, 32)
    signature = {"r": bad + good[32:], "s": good[:32] + bad, "both": bad + bad}[place]
    assert hostile.refused(receiver, signature=signature).check is HandshakeCheck.SIGNATURE


def test_security_sig_r_covers_everything_that_it_should(
    pair: MakePair, reference: ModuleType, receiver: Identity, emitter: Identity
) -> None:
    """Signed for another transcript, another fingerprint, another suite, as the Emitter signs, or without the
    padding: refused, with a good MAC each time."""
    wrong: list[Callable[[HostileReceiver], bytes]] = [
        lambda h: h.ref.signed_by_receiver(bytes(32), receiver.fingerprint),
        lambda h: h.ref.signed_by_receiver(h.t1, emitter.fingerprint),
        lambda h: h.ref.signed_by_receiver(h.t1, receiver.fingerprint, suite=2),
        lambda h: h.ref.signed_by_emitter(h.t1, receiver.fingerprint, b""),
        lambda h: h.ref.signed_by_receiver(h.t1, receiver.fingerprint)[64:],
    ]
    for signed in wrong:
        hostile = HostileReceiver(reference, pair())
        assert hostile.refused(receiver, signed=signed(hostile)).check is HandshakeCheck.SIGNATURE


def test_security_mac_r_is_checked(pair: MakePair, reference: ModuleType, receiver: Identity) -> None:
    """Made with kmE, under the Emitter's label, over another signature, or changed in a bit: refused."""
    fp = receiver.fingerprint
    wrong: list[Callable[[HostileReceiver, bytes], bytes]] = [
        lambda h, s: h.ref.mac_of_receiver(h.keys["kmE"], h.t1, fp, s),
        lambda h, s: h.ref.mac_of_emitter(h.keys["kmR"], h.t1, fp, b"", s),
        lambda h, s: h.ref.mac_of_receiver(h.keys["kmR"], h.t1, fp, bytes(64)),
        lambda h, s: bytes([h.ref.mac_of_receiver(h.keys["kmR"], h.t1, fp, s)[0] ^ 1]) + bytes(31),
    ]
    for make in wrong:
        hostile = HostileReceiver(reference, pair())
        signature = receiver.sign_dsa(reference.signed_by_receiver(hostile.t1, fp))
        error = hostile.refused(receiver, signature=signature, mac=make(hostile, signature))
        assert error.check is HandshakeCheck.MAC


@pytest.mark.parametrize(
    "say",
    [{"direction": 0x45}, {"type": 3}, {"seq": 1}, {"seq": 65_536}],
    ids=["direction", "type", "seq", "epoch"],
)
def test_security_the_seal_of_m2_is_record_0_of_its_direction(
    hostile: HostileReceiver, receiver: Identity, say: dict[str, int]
) -> None:
    """Another direction, type or number under the right keys is another record."""
    assert hostile.refused(receiver, **say).check is HandshakeCheck.SEAL


def test_security_checks_of_m2_run_in_the_order_of_section_6_1(
    pair: MakePair, reference: ModuleType, receiver: Identity, stranger: Identity
) -> None:
    """Type, version, suite, length, nonce, range, seal, fingerprint, MAC, signature."""
    bad = {"mac": bytes(32), "signature": bytes(64)}

    def clear(h: HostileReceiver, version: int, suite: int, nonce: bytes, value: int) -> bytes:
        m2 = h.m2(stranger, seq=1, **bad)
        return bytes(h.ref.m2_clear(nonce, number(value), version=version, suite=suite)) + m2[421:]

    own = pair().nonces[0]
    steps: list[tuple[Callable[[HostileReceiver], bytes], HandshakeCheck]] = [
        (lambda h: b"\x02" * 4, HandshakeCheck.LENGTH),
        (lambda h: b"\x01" + clear(h, 2, 2, own, 1)[1:-1], HandshakeCheck.TYPE),
        (lambda h: clear(h, 2, 2, own, 1)[:-1], HandshakeCheck.VERSION),
        (lambda h: clear(h, 1, 2, own, 1)[:-1], HandshakeCheck.SUITE),
        (lambda h: clear(h, 1, 1, h.pair.nonces[0], 1)[:-1], HandshakeCheck.LENGTH),
        (lambda h: clear(h, 1, 1, h.pair.nonces[0], 1), HandshakeCheck.NONCE),
        (lambda h: clear(h, 1, 1, NONCE, 1), HandshakeCheck.PUBLIC_VALUE),
        (lambda h: h.m2(stranger, seq=1, **bad), HandshakeCheck.SEAL),
        (lambda h: h.m2(stranger, **bad), HandshakeCheck.FINGERPRINT),
        (lambda h: h.m2(receiver, **bad), HandshakeCheck.MAC),
        (lambda h: h.m2(receiver, signature=bytes(64)), HandshakeCheck.SIGNATURE),
    ]
    for make, check in steps:
        hostile = HostileReceiver(reference, pair())
        assert refusal(hostile.phase, make(hostile)).check is check


# M4.


@pytest.mark.parametrize("position", range(0, 32, 5))
def test_security_fin_is_checked(hostile: HostileReceiver, receiver: Identity, position: int) -> None:
    """A wrong fin under a good seal."""
    phase = hostile.finish(receiver)
    fin = bytearray(hostile.ref.fin(hostile.traffic["kfR"], hostile.t3, LIMITS))
    fin[position] ^= 1
    assert refusal(phase, hostile.m4(fin=bytes(fin))).check is HandshakeCheck.FIN


def test_security_fin_covers_the_transcript_and_the_limits(
    pair: MakePair, reference: ModuleType, receiver: Identity
) -> None:
    """Over T2, over other limits, or under the exporter's key it does not verify."""
    wrong: list[Callable[[HostileReceiver], bytes]] = [
        lambda h: h.ref.fin(h.traffic["kfR"], h.t2, LIMITS),
        lambda h: h.ref.fin(h.traffic["kfR"], h.t3, bytes(16)),
        lambda h: h.ref.fin(h.traffic["EXP"], h.t3, LIMITS),
    ]
    for make in wrong:
        hostile = HostileReceiver(reference, pair())
        phase = hostile.finish(receiver)
        assert refusal(phase, hostile.m4(fin=make(hostile))).check is HandshakeCheck.FIN


@pytest.mark.parametrize(
    "limits",
    [
        (0, 1, 4096),
        (4095, 1, 4096),
        ((1 << 20) + 1, 1, 1 << 21),
        (4096, 0, 4096),
        (4096, 1, 4095),
        (4096, 1, 1 << 33),
    ],
)
def test_security_limits_beyond_section_13_are_refused(
    hostile: HostileReceiver, receiver: Identity, limits: tuple[int, int, int]
) -> None:
    """An authentic Receiver cannot make us hold more than the specification lets it."""
    phase = hostile.finish(receiver)
    error = refusal(phase, hostile.m4(limits=struct.pack(">IIQ", *limits)))
    assert isinstance(error, MalformedMessage)
    assert error.check is HandshakeCheck.LIMITS


@pytest.mark.parametrize(
    "say",
    [{"seq": 0}, {"seq": 2}, {"type": 2}, {"direction": 0x45}],
    ids=["seq 0", "seq 2", "type", "direction"],
)
def test_security_the_seal_of_m4_is_record_1_of_its_direction(
    hostile: HostileReceiver, receiver: Identity, say: dict[str, int]
) -> None:
    """M2's seal was number 0, so M4's is number 1 under the same keys."""
    phase = hostile.finish(receiver)
    assert refusal(phase, hostile.m4(**say)).check is HandshakeCheck.SEAL


def test_security_checks_of_m4_run_in_the_order_of_section_6_1(
    pair: MakePair, reference: ModuleType, receiver: Identity
) -> None:
    """Type, length, seal, fin, limits."""
    bad = {"limits": bytes(16), "fin": b"\x01" * 32}
    steps: list[tuple[Callable[[HostileReceiver], bytes], HandshakeCheck]] = [
        (lambda h: b"\x03" + h.m4(seq=0, **bad)[1:-1], HandshakeCheck.TYPE),
        (lambda h: h.m4(seq=0, **bad)[:-1], HandshakeCheck.LENGTH),
        (lambda h: h.m4(seq=0, **bad), HandshakeCheck.SEAL),
        (lambda h: h.m4(**bad), HandshakeCheck.FIN),
        (lambda h: h.m4(limits=bytes(16)), HandshakeCheck.LIMITS),
    ]
    for make, check in steps:
        hostile = HostileReceiver(reference, pair())
        phase = hostile.finish(receiver)
        assert refusal(phase, make(hostile)).check is check
