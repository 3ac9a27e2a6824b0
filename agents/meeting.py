"""How two agents meet: one connects and the other listens, whichever of them emits.

A meeting makes legs until the handshake on one of them succeeds, or there is a
definite no, or no time left. It knows no roles: it is told what a handshake is.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from selo.agents import events
from selo.agents.establish import HandshakeLink
from selo.agents.facts import SessionFacts
from selo.agents.meeting_errors import (
    HandshakeTimeout,
    NobodyCame,
    NotReached,
    OnlyStrangersCame,
    RefusedByPeer,
    SendersUnknown,
    WrongListener,
)
from selo.agents.stop import Stop
from selo.config.settings import Settings
from selo.config.trust import Peer
from selo.crypto.errors import HandshakeError, UnknownPeer
from selo.crypto.handshake import Established, Role
from selo.crypto.identity import PublicIdentity
from selo.crypto.suites import CLASSIC, Suite
from selo.errors import SeloError, TrustError
from selo.transport.base import (
    ConnectFailed,
    FrameRefused,
    GateBusy,
    GateRefused,
    Leg,
    LegClosed,
    Listener,
    Refusal,
)

REFUSALS_BELIEVED = 2
"""Closes in a row after the peer proved itself that count as its no; one may be an accident."""

LOOK_AROUND = 0.5
"""Seconds between two looks at who was refused at the gate, while nobody is admitted."""

Dial = Callable[[PublicIdentity, int], Leg]
"""Makes the leg for one attempt to reach that identity; the number counts the attempts from 0."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What all parts of one agent's run go by."""

    settings: Settings
    stop: Stop
    suite: Suite = CLASSIC
    report: events.Report = events.ignore
    on_session: Callable[[SessionFacts], object] = lambda _facts: None
    known: Mapping[bytes, str] = field(default_factory=dict)
    """Our names for peers, by fingerprint: for reports of those who are known and not allowed."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What a meeting is told about the side that it works for.

    ``handshake`` runs over a fresh link; it is told which identity was dialled, or None by a listener.
    ``wait`` (seconds, None: without end) bounds the meeting. ``fingerprint`` is our own.
    """

    role: Role
    fingerprint: bytes
    wait: float | None
    handshake: Callable[[HandshakeLink, PublicIdentity | None], Established]

    @property
    def awaited(self) -> str:
        """The role of the other side, as people call it."""
        return "Receiver" if self.role is Role.EMITTER else "Emitter"

    @property
    def deadline(self) -> float | None:
        """The end of a meeting that begins now (``time.monotonic`` seconds)."""
        return None if self.wait is None else time.monotonic() + self.wait


class Meeting(Protocol):
    """One way in which two agents come together."""

    def establish(self, part: Part, terms: Terms) -> tuple[Leg, Established]:
        """The leg and the session on it. The caller closes the leg.

        Raises:
            TrustError: the other side is not whom it should be, or does not trust us.
            UnreachableError: there was no session in time.
            Interrupted: the stop was requested.
        """


class _Refusals:
    """Counts the closes in a row that came instead of an acceptance."""

    def __init__(self) -> None:
        self._count = 0

    def note(self, link: HandshakeLink | None, error: SeloError) -> bool:
        """Take one failed attempt in; whether that is a no to believe."""
        refused = link is not None and link.awaits_acceptance and isinstance(error, LegClosed)
        self._count = self._count + 1 if refused else 0
        return self._count == REFUSALS_BELIEVED


class Connecting:
    """We connect to ``address``, where ``peer`` is said to listen."""

    def __init__(self, address: str, peer: Peer, dial: Dial) -> None:
        self._address = address
        self._peer = peer
        self._dial = dial

    def establish(self, part: Part, terms: Terms) -> tuple[Leg, Established]:
        """See ``Meeting.establish``.

        Raises:
            WrongListener: whoever listens there does not hold the peer's key.
            RefusedByPeer: the peer does not trust us.
            NotReached: there was no session within ``part.wait``.
        """
        deadline, refusals = part.deadline, _Refusals()
        attempt, reason = 0, ""
        while True:
            link = None
            try:
                for identity in self._peer.identities:
                    link = HandshakeLink(
                        self._dial(identity, attempt), terms.settings, terms.stop, terms.report, deadline
                    )
                    established = self._attempt(link, identity, part)
                    if established is not None:
                        return link.leg, established
            except (ConnectFailed, GateBusy, LegClosed, HandshakeTimeout) as error:
                if refusals.note(link, error):
                    raise RefusedByPeer(self._peer.name, part.fingerprint) from error
                if not reason or not _cut_short(error, terms.settings):
                    reason = str(error)
                self._pause(attempt, deadline, reason, part, terms)
            attempt += 1

    def _attempt(self, link: HandshakeLink, identity: PublicIdentity, part: Part) -> Established | None:
        """The session; None when the gate does not answer to this identity, and there is an older one."""
        try:
            return part.handshake(link, identity)
        except BaseException as error:
            link.leg.close()
            if isinstance(error, GateRefused) and identity is not self._peer.identities[-1]:
                return None
            if isinstance(error, GateRefused | HandshakeError | FrameRefused):
                raise WrongListener(self._peer.name, self._address, str(error)) from error
            raise

    def _pause(self, attempt: int, deadline: float | None, reason: str, part: Part, terms: Terms) -> None:
        """Wait before the next attempt: at random, so that two never keep meeting, and longer each time."""
        settings = terms.settings
        longest = min(settings.retry_max, settings.retry_min * 2 ** min(attempt, 16))
        pause = random.uniform(settings.retry_min, max(settings.retry_min, longest))
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= settings.retry_min:
                raise NotReached(
                    self._peer.name, self._address, part.wait or 0.0, reason, terms.suite.name, part.awaited
                )
            pause = min(pause, left - settings.retry_min)
        terms.report(events.Waiting(self._address, reason))
        terms.stop.sleep(pause)


class Listening:
    """The other side connects to ``listener``, which the caller closes; ``names`` are those who may."""

    def __init__(self, listener: Listener, names: tuple[str, ...]) -> None:
        self._listener = listener
        self._names = names
        self._untrusted = 0
        self._announced = False

    @property
    def address(self) -> str:
        """Where the other side is to connect."""
        return self._listener.address

    def establish(self, part: Part, terms: Terms) -> tuple[Leg, Established]:
        """See ``Meeting.establish``; whoever else comes is reported and leaves nothing behind.

        Raises:
            NobodyCame, OnlyStrangersCame: ``part.wait`` is over.
            RefusedByPeer: the peer came and does not trust us.
        """
        if not self._announced:
            self._announced = True
            terms.report(events.Listening(self._listener.address, self._names))
        deadline, refusals = part.deadline, _Refusals()
        with terms.stop.waking(self._listener.wake):
            while True:
                link = HandshakeLink(
                    self._next_leg(deadline, part, terms), terms.settings, terms.stop, terms.report
                )
                try:
                    return link.leg, part.handshake(link, None)
                except (HandshakeError, HandshakeTimeout, LegClosed, FrameRefused, SendersUnknown) as error:
                    link.leg.close()
                    if refusals.note(link, error):
                        raise RefusedByPeer(" or ".join(self._names), part.fingerprint) from error
                    self._refuse(_refusal(link, error, part, terms), terms)
                except BaseException:
                    link.leg.close()
                    raise

    def _next_leg(self, deadline: float | None, part: Part, terms: Terms) -> Leg:
        while True:
            terms.stop.check()
            left = LOOK_AROUND if deadline is None else min(LOOK_AROUND, deadline - time.monotonic())
            leg = self._listener.accept(max(0.0, left))
            for refusal in self._listener.take_refusals():
                self._refuse(refusal, terms)
            if leg is not None:
                return leg
            if deadline is not None and time.monotonic() >= deadline:
                self._give_up(part)

    def _give_up(self, part: Part) -> None:
        if self._untrusted:
            raise OnlyStrangersCame(part.wait or 0.0, self._untrusted, part.awaited)
        raise NobodyCame(part.wait or 0.0, part.awaited)

    def _refuse(self, refusal: Refusal, terms: Terms) -> None:
        """Report it; who merely knocked, or found the place taken, is no reason to end with 3."""
        if refusal.untrusted:
            self._untrusted += refusal.count
        terms.report(events.Refused(refusal.peer_address, refusal.reason, refusal.count))


def _cut_short(error: SeloError, settings: Settings) -> bool:
    """Whether an attempt ended only because the meeting's time was over: that explains nothing."""
    return isinstance(error, HandshakeTimeout) and error.seconds < settings.handshake_deadline


def _refusal(link: HandshakeLink, error: SeloError, part: Part, terms: Terms) -> Refusal:
    """Why a handshake with somebody who came to us failed."""
    if link.awaits_acceptance and isinstance(error, LegClosed):
        reason = f"it proved itself, and refused us: does it trust {part.fingerprint.hex()}?"
        return Refusal(link.leg.peer_address, reason, untrusted=True)
    if isinstance(error, UnknownPeer) and error.fingerprint in terms.known:
        name = terms.known[error.fingerprint]
        reason = (
            f"it says that it is {name}, who may not send in this run (`selo trust allow {name}`, `--from`)"
        )
        return Refusal(link.leg.peer_address, reason, untrusted=True)
    return Refusal(link.leg.peer_address, str(error), untrusted=isinstance(error, TrustError))
