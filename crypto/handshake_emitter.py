"""The Emitter's side of the handshake (docs/PROTOCOL.md, section 6); the numbered steps are those of 6.1."""

from __future__ import annotations

from dataclasses import dataclass, field

from selo.crypto import messages, schedule
from selo.crypto.authentication import VerifiedPeer, emitter_auth, verify_receiver
from selo.crypto.errors import AuthenticationFailed, HandshakeCheck, MalformedMessage
from selo.crypto.established import Established, Role, establish, fin
from selo.crypto.identity import Identity, PublicIdentity
from selo.crypto.limits import COOKIE_LENGTH, DIRECTION_EMITTER, DIRECTION_RECEIVER, ZERO_SECRET
from selo.crypto.messages import HandshakeSeal
from selo.crypto.phases import Phase, check_entropy, check_shape, check_version, opened
from selo.crypto.primitives import dh_public, dh_shared, equal, is_public_value
from selo.crypto.schedule import HandshakeKeys
from selo.crypto.session_limits import SessionLimits
from selo.crypto.suites import CLASSIC, Suite

_NO_COOKIE = bytes(COOKIE_LENGTH)


@dataclass(frozen=True)
class _EmitterHello:
    identity: Identity
    peer: PublicIdentity
    suite: Suite
    secret: bytes = field(repr=False)
    nonce: bytes
    exponent: bytes = field(repr=False)
    m1: bytes


@dataclass(frozen=True)
class _EmitterAuth:
    peer: VerifiedPeer
    suite: Suite
    seal: HandshakeSeal
    traffic: schedule.TrafficSecrets
    t3: bytes


def emitter_hello(
    *,
    identity: Identity,
    peer: PublicIdentity,
    nonce: bytes,
    exponent: bytes,
    suite: Suite = CLASSIC,
    secret: bytes = ZERO_SECRET,
) -> tuple[bytes, ExpectM2]:
    """M1 for the pinned ``peer``, and the phase that takes its answer.

    ``nonce`` (32 bytes) and ``exponent`` (40) are fresh random bytes, never used before or again;
    ``secret`` is the Receiver secret (32 bytes).

    Raises:
        MisuseError: one of these has another length, or the exponent is not random.
        AuthenticationFailed: ``peer`` is ``identity`` itself, which every Receiver refuses.
    """
    check_entropy(nonce, exponent, secret)
    if equal(peer.fingerprint, identity.fingerprint):
        raise AuthenticationFailed("M1", HandshakeCheck.OWN_FINGERPRINT)
    covered = messages.m1_before_mac(suite, nonce, dh_public(exponent), _NO_COOKIE)
    m1 = covered + schedule.mac1(secret, peer.fingerprint, covered)
    return m1, ExpectM2(_EmitterHello(identity, peer, suite, secret, nonce, exponent, m1))


class ExpectM2(Phase[_EmitterHello]):
    """The Emitter has sent M1."""

    def receive(self, message: bytes) -> tuple[bytes, ExpectM4]:
        """M3, and the phase that takes its answer. The Receiver has proved who it is.

        Raises:
            HandshakeError: the first check that failed.
            MisuseError: this phase took a message before.
        """
        hello = self._take()
        public_value, sealed = _parse_m2(message, hello)
        # 3. Z.
        shared = dh_shared(hello.exponent, public_value)
        secret = schedule.handshake_secret(hello.suite, hello.secret, shared)
        t1 = schedule.transcript_1(hello.m1, message[: hello.suite.m2_clear_length])
        keys = schedule.handshake_keys(secret, t1)
        # 4. The seal.
        seal = HandshakeSeal(keys.seal_receiver, suite=hello.suite, direction=DIRECTION_RECEIVER)
        auth = opened("M2", seal, sealed)
        # 5 to 7. The fingerprint, macR, sigR.
        peer = verify_receiver(auth, hello.peer, suite=hello.suite, keys=keys, t1=t1)
        t2 = schedule.transcript_2(t1, sealed)
        m3 = _make_m3(hello, keys, t2)
        t3 = schedule.transcript_3(t2, m3)
        traffic = schedule.traffic_secrets(secret, t3)
        return m3, ExpectM4(_EmitterAuth(peer, hello.suite, seal, traffic, t3))


def _parse_m2(message: bytes, hello: _EmitterHello) -> tuple[bytes, bytes]:
    """Steps 1 and 2: Y and the seal come back."""
    # 1. Type, version, suite, length.
    prefix = messages.M2_PREFIX
    if len(message) < prefix.size:
        raise MalformedMessage("M2", HandshakeCheck.LENGTH)
    message_type, version, suite = prefix.unpack_from(message)
    if message_type != messages.HELLO_R:
        raise MalformedMessage("M2", HandshakeCheck.TYPE)
    check_version("M2", version, suite, hello.suite)
    if len(message) != hello.suite.m2_length:
        raise MalformedMessage("M2", HandshakeCheck.LENGTH)
    # 2. The nonce is not ours; Y is in range.
    nonce, public_value = messages.M2_CLEAR.unpack_from(message, prefix.size)
    if equal(nonce, hello.nonce):
        raise AuthenticationFailed("M2", HandshakeCheck.NONCE)
    if not is_public_value(public_value):
        raise MalformedMessage("M2", HandshakeCheck.PUBLIC_VALUE)
    return public_value, message[hello.suite.m2_clear_length :]


def _make_m3(hello: _EmitterHello, keys: HandshakeKeys, t2: bytes) -> bytes:
    seal = HandshakeSeal(keys.seal_emitter, suite=hello.suite, direction=DIRECTION_EMITTER)
    auth = emitter_auth(hello.identity, hello.peer.fingerprint, suite=hello.suite, keys=keys, t2=t2)
    return bytes([messages.AUTH_E]) + seal.seal(auth)


class ExpectM4(Phase[_EmitterAuth]):
    """The Emitter has sent M3. It sends nothing more before it has verified M4."""

    def receive(self, message: bytes) -> Established:
        """The session: this Receiver has accepted us.

        Raises:
            HandshakeError: the first check that failed.
            MisuseError: this phase took a message before.
        """
        state = self._take()
        # 1. Type, length.
        check_shape("M4", message, messages.ACCEPT_R, state.suite.m4_length)
        # 2. The seal.
        packed, confirmation = messages.ACCEPT.unpack(opened("M4", state.seal, message[1:]))
        # 3. fin.
        if not equal(confirmation, fin(state.traffic, state.t3, packed)):
            raise AuthenticationFailed("M4", HandshakeCheck.FIN)
        # 4. The limits.
        limits = SessionLimits.unpack(packed)
        if limits is None:
            raise MalformedMessage("M4", HandshakeCheck.LIMITS)
        return establish(
            Role.EMITTER, state.peer, suite=state.suite, limits=limits, t3=state.t3, secrets=state.traffic
        )
