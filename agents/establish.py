"""The handshake over a leg: from the first frame to an established session.

Entropy enters the protocol here, fresh for every attempt. Deadlines are the
settings'; a leg that is not done by then is given up.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from selo.agents import events
from selo.agents.meeting_errors import HandshakeTimeout
from selo.agents.stop import Stop
from selo.config.settings import Settings
from selo.config.trust import Peer
from selo.crypto.handshake import (
    Established,
    SessionLimits,
    emitter_hello,
    receiver_start,
)
from selo.crypto.identity import Identity, PublicIdentity
from selo.crypto.limits import EXPONENT_LENGTH, HANDSHAKE_FRAME_MAX, MAX_PLAINTEXT, NONCE_LENGTH
from selo.crypto.suites import Suite
from selo.transport.base import Frame, FrameRefused, Leg, Ready
from selo.transport.frames import HandshakeFrame, pack_handshake, parse


@dataclass(frozen=True)
class Deadline:
    """A moment on the clock (seconds), and how long it was to that moment when it was set."""

    at: float
    seconds: float


@dataclass
class HandshakeLink:
    """Whole handshake messages over a leg, each by a deadline; none is later than ``end``.

    ``awaits_acceptance`` turns true when the Receiver has proved who it is, and has only to accept us.
    """

    leg: Leg
    settings: Settings
    stop: Stop
    report: events.Report
    end: float | None = None
    awaits_acceptance: bool = False
    _early: Frame | None = field(default=None, init=False)

    def deadline(self, seconds: float) -> Deadline:
        """``seconds`` from now, or from the moment when our gate let the other side in; or ``end``."""
        start = self.leg.admitted_at or time.monotonic()
        if self.end is not None:
            seconds = max(0.0, min(seconds, self.end - start))
        return Deadline(start + seconds, seconds)

    def connect(self) -> None:
        """Wait until there is a connection: at once, unless it is we who connect.

        Raises:
            HandshakeTimeout: there was none within the handshake's deadline.
        """
        deadline = self.deadline(self.settings.handshake_deadline)
        ready = self.leg.wait(0.0, want_write=True)
        while not ready.writable:
            # Why there is none; or a first frame, which may be here a moment before that news.
            if ready.readable and (frame := self.leg.try_receive()) is not None:
                self._early = frame
                return
            ready = self._wait(deadline, "a connection", want_write=True)

    def send(self, message: bytes, deadline: Deadline) -> None:
        """Send one message.

        Raises:
            HandshakeTimeout: there was no connection, or no room, by the deadline.
        """
        frame = pack_handshake(message)
        while not self.leg.try_send(frame):
            self._wait(deadline, "a connection", want_write=True)

    def receive(self, awaited: str, deadline: Deadline) -> bytes:
        """Receive the next message.

        Raises:
            HandshakeTimeout: it did not come by the deadline.
            FrameRefused: something else came.
        """
        frame, self._early = self._early, None
        while frame is None and (frame := self.leg.try_receive()) is None:
            self._wait(deadline, awaited)
        parsed = parse(frame, max_length=HANDSHAKE_FRAME_MAX)
        if not isinstance(parsed, HandshakeFrame):
            raise FrameRefused("a record before the handshake was over")
        return bytes(parsed.message)

    def _wait(self, deadline: Deadline, awaited: str, *, want_write: bool = False) -> Ready:
        self.stop.check()
        left = deadline.at - time.monotonic()
        if left <= 0:
            raise HandshakeTimeout(awaited, deadline.seconds)
        return self.leg.wait(left, want_write=want_write)


def establish_as_emitter(
    link: HandshakeLink, *, identity: Identity, peer: PublicIdentity, name: str, suite: Suite
) -> Established:
    """M1 and M3 out, M2 and M4 in; ``name`` is what we call the peer.

    Raises:
        HandshakeError: the other side is not ``peer``, or broke the handshake.
        HandshakeTimeout, LegClosed, GateRefused, GateBusy, ConnectFailed, FrameRefused: the attempt failed.
        Interrupted: the stop was requested.
    """
    hello, phase = emitter_hello(
        identity=identity,
        peer=peer,
        nonce=os.urandom(NONCE_LENGTH),
        exponent=os.urandom(EXPONENT_LENGTH),
        suite=suite,
    )
    with link.stop.waking(link.leg.wake):
        link.connect()
        deadline = link.deadline(link.settings.handshake_deadline)
        link.report(events.Connected(link.leg.peer_address))
        link.send(hello, deadline)
        auth, confirmed = phase.receive(link.receive("the Receiver's answer (M2)", deadline))
        link.awaits_acceptance = True
        link.report(events.PeerVerified("Receiver", name, peer.fingerprint))
        link.report(events.KeysConfirmed("Receiver"))
        link.send(auth, deadline)
        established = confirmed.receive(link.receive("the Receiver's acceptance (M4)", deadline))
    link.report(events.Established(suite.name, established.transcript))
    return established


def establish_as_receiver(
    link: HandshakeLink, *, identity: Identity, senders: Mapping[bytes, Peer], suite: Suite
) -> Established:
    """M1 and M3 in, M2 and M4 out; the deadlines run from the moment of admission.

    Raises:
        HandshakeError: the other side is none of ``senders``, or broke the handshake.
        HandshakeTimeout, LegClosed, FrameRefused: the attempt failed.
        Interrupted: the stop was requested.
    """
    settings = link.settings
    max_plaintext = min(MAX_PLAINTEXT, settings.window_bytes)
    phase = receiver_start(
        identity=identity,
        authorised={fingerprint: peer.identity_of(fingerprint) for fingerprint, peer in senders.items()},
        limits=SessionLimits(max_plaintext, settings.window_records, settings.window_bytes),
        nonce=os.urandom(NONCE_LENGTH),
        exponent=os.urandom(EXPONENT_LENGTH),
        suite=suite,
    )
    with link.stop.waking(link.leg.wake):
        link.connect()
        deadline = link.deadline(settings.handshake_deadline)
        first = link.deadline(settings.first_message_deadline)
        link.report(events.Connected(link.leg.peer_address))
        answer, awaiting = phase.receive(link.receive("a first message (M1)", first))
        link.send(answer, deadline)
        accept, established = awaiting.receive(link.receive("the Emitter's proof (M3)", deadline))
        peer = senders[established.peer.fingerprint]
        link.report(events.PeerVerified("Emitter", peer.name, established.peer.fingerprint))
        link.report(events.KeysConfirmed("Emitter"))
        link.send(accept, deadline)
    link.report(events.Established(suite.name, established.transcript))
    return established
