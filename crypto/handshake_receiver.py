"""The Receiver's side of the handshake (docs/PROTOCOL.md, section 6); the numbered steps are those of 6.1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from selo.crypto import messages, schedule
from selo.crypto.authentication import receiver_auth, verify_emitter
from selo.crypto.errors import AuthenticationFailed, HandshakeCheck, MalformedMessage
from selo.crypto.established import Established, Role, establish, fin
from selo.crypto.identity import Identity, PublicIdentity
from selo.crypto.limits import (
    COOKIE_LENGTH,
    DIRECTION_EMITTER,
    DIRECTION_RECEIVER,
    M1_PREFIX_LENGTH,
    MAGIC,
    ZERO_SECRET,
)
from selo.crypto.messages import HandshakeSeal
from selo.crypto.phases import Phase, check_entropy, check_shape, check_version, opened
from selo.crypto.primitives import dh_public, dh_shared, equal, is_public_value
from selo.crypto.schedule import HandshakeKeys
from selo.crypto.session_limits import SessionLimits
from selo.crypto.suites import CLASSIC, Suite
from selo.errors import MisuseError

_NO_COOKIE = bytes(COOKIE_LENGTH)


@dataclass(frozen=True)
class _ReceiverStart:
    identity: Identity
    authorised: Mapping[bytes, PublicIdentity]
    limits: SessionLimits
    suite: Suite
    nonce: bytes
    exponent: bytes = field(repr=False)
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class _ReceiverHello:
    start: _ReceiverStart
    keys: HandshakeKeys
    seal: HandshakeSeal
    master: bytes = field(repr=False)
    t2: bytes


def receiver_start(
    *,
    identity: Identity,
    authorised: Mapping[bytes, PublicIdentity],
    limits: SessionLimits,
    nonce: bytes,
    exponent: bytes,
    suite: Suite = CLASSIC,
    secret: bytes = ZERO_SECRET,
) -> ExpectM1:
    """The phase of a Receiver that somebody has connected to.

    ``authorised`` are the Emitters that may deliver, by fingerprint. ``nonce`` (32 bytes) and ``exponent``
    (40) are fresh random bytes, never used before or again; ``secret`` is the Receiver secret (32 bytes).

    Raises:
        MisuseError: one of these has another length, the exponent is not random, or a fingerprint in
            ``authorised`` is not its identity's.
    """
    check_entropy(nonce, exponent, secret)
    if any(fingerprint != public.fingerprint for fingerprint, public in authorised.items()):
        raise MisuseError("an authorised peer stands under a fingerprint that is not its own")
    return ExpectM1(_ReceiverStart(identity, dict(authorised), limits, suite, nonce, exponent, secret))


class ExpectM1(Phase[_ReceiverStart]):
    """The Receiver has sent nothing yet and computed nothing."""

    def receive(self, message: bytes) -> tuple[bytes, ExpectM3]:
        """M2, and the phase that takes its answer. Nobody has authenticated yet.

        Raises:
            HandshakeError: the first check that failed.
            MisuseError: this phase took a message before.
        """
        start = self._take()
        public_value = _parse_m1(message, start)
        # 7. Only now any arithmetic.
        clear = messages.m2_clear(start.suite, start.nonce, dh_public(start.exponent))
        shared = dh_shared(start.exponent, public_value)
        secret = schedule.handshake_secret(start.suite, start.secret, shared)
        t1 = schedule.transcript_1(message, clear)
        keys = schedule.handshake_keys(secret, t1)
        seal = HandshakeSeal(keys.seal_receiver, suite=start.suite, direction=DIRECTION_RECEIVER)
        sealed = seal.seal(receiver_auth(start.identity, suite=start.suite, keys=keys, t1=t1))
        t2 = schedule.transcript_2(t1, sealed)
        return clear + sealed, ExpectM3(_ReceiverHello(start, keys, seal, secret, t2))


def _parse_m1(message: bytes, start: _ReceiverStart) -> bytes:
    """Steps 1 to 6: X comes back."""
    # 1. Type and magic.
    if len(message) < M1_PREFIX_LENGTH:
        raise MalformedMessage("M1", HandshakeCheck.LENGTH)
    message_type, magic, version, suite = messages.M1_PREFIX.unpack_from(message)
    if message_type != messages.HELLO_E or magic != MAGIC:
        raise MalformedMessage("M1", HandshakeCheck.MAGIC)
    # 2. Version, then suite.
    check_version("M1", version, suite, start.suite)
    # 3. The length.
    if len(message) != start.suite.m1_length:
        raise MalformedMessage("M1", HandshakeCheck.LENGTH)
    public_value: bytes
    _, public_value, cookie, mac = messages.M1_BODY.unpack_from(message, M1_PREFIX_LENGTH)
    # 4. The cookie.
    if cookie != _NO_COOKIE:
        raise MalformedMessage("M1", HandshakeCheck.COOKIE)
    # 5. mac1.
    if not equal(mac, schedule.mac1(start.secret, start.identity.fingerprint, message[: -len(mac)])):
        raise AuthenticationFailed("M1", HandshakeCheck.MAC1)
    # 6. X is in range.
    if not is_public_value(public_value):
        raise MalformedMessage("M1", HandshakeCheck.PUBLIC_VALUE)
    return public_value


class ExpectM3(Phase[_ReceiverHello]):
    """The Receiver has sent M2. It creates, writes and announces nothing before M3 has verified."""

    def receive(self, message: bytes) -> tuple[bytes, Established]:
        """M4 to send, and the session: the Emitter has proved who it is.

        Raises:
            UnknownPeer: an Emitter that is not authorised; its fingerprint is for the local report.
            HandshakeError: the first check that failed.
            MisuseError: this phase took a message before.
        """
        state = self._take()
        start = state.start
        # 1. Type, length.
        check_shape("M3", message, messages.AUTH_E, start.suite.m3_length)
        # 2. The seal.
        seal = HandshakeSeal(state.keys.seal_emitter, suite=start.suite, direction=DIRECTION_EMITTER)
        auth = opened("M3", seal, message[1:])
        # 3 to 5. The fingerprint, macE, sigE.
        peer = verify_emitter(
            auth,
            start.authorised,
            start.identity.fingerprint,
            suite=start.suite,
            keys=state.keys,
            t2=state.t2,
        )
        t3 = schedule.transcript_3(state.t2, message)
        traffic = schedule.traffic_secrets(state.master, t3)
        packed = start.limits.pack()
        m4 = bytes([messages.ACCEPT_R]) + state.seal.seal(packed + fin(traffic, t3, packed))
        return m4, establish(
            Role.RECEIVER, peer, suite=start.suite, limits=start.limits, t3=t3, secrets=traffic
        )
