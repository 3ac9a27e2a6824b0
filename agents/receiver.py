"""The Receiver: meets an Emitter that it trusts, and takes what it delivers.

When the link or the Emitter is lost it keeps what came, for that peer and that delivery, and goes on with
it in the next session.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from selo.agents import events
from selo.agents.bodies import Kind, Offer
from selo.agents.errors import BeginAnew, DeliveryCut, HeldForAnother, RefusedByPolicy
from selo.agents.establish import HandshakeLink, establish_as_receiver
from selo.agents.hook import Arrived
from selo.agents.intake import Intake, Intakes
from selo.agents.meeting import Meeting, Part, Terms
from selo.agents.meeting_errors import OnlyStrangersCame, SendersUnknown
from selo.agents.reception import Reception, Unbegun, Unfinished
from selo.agents.sinks import Sink
from selo.agents.writer import Writer
from selo.config.policy import policy_for
from selo.config.trust import Peer
from selo.crypto.handshake import Established, Role
from selo.crypto.identity import Identity, PublicIdentity
from selo.errors import (
    Interrupted,
    LocalFault,
    SeloError,
    SessionError,
    TrustError,
    UnreachableError,
)

MakeSink = Callable[[Peer], Sink]
"""Makes the sink for a delivery from a peer."""


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """Takes deliveries of ``senders``: asked at every handshake, it says who may deliver, by fingerprint.

    ``on_stored`` is called for each delivery when it is stored; and once more by another process that finds
    it stored and is to send the receipt, for it cannot know whether that was done. ``now`` is the clock that
    receipts show (seconds since 1970).
    """

    identity: Identity
    senders: Callable[[], Mapping[bytes, Peer]]
    make_sink: MakeSink
    terms: Terms
    on_stored: Callable[[Arrived], None] = lambda _arrived: None
    now: Callable[[], float] = time.time

    def run(self, meeting: Meeting) -> events.Delivered:
        """Wait for a trusted Emitter and take its delivery, in as many sessions as that takes.

        Raises:
            TrustError: whoever we met is no sender, or only others came.
            UnreachableError: ``settings.receive_wait`` seconds are over.
            SinkFault, PeerFault: one side's disk or source failed; the other was told.
            SessionError: the session was cut or tampered with, and not taken up within ``resume_window``
                seconds; nothing is under the final name.
            Interrupted: the stop was requested; the Emitter was told.
        """
        service = Service(self, alone=True)
        lost: Unfinished | None = None
        until = _Until(self.terms.settings.receive_wait)
        try:
            while True:
                held = service.intakes.left if lost is not None else None
                try:
                    return service.serve(meeting, held if held is not None else until.left)
                except Unfinished as unfinished:
                    lost = unfinished
                except BeginAnew:  # nothing is held any more, and its Emitter is on its way
                    until = _Until(self.terms.settings.resume_window)
                except (HeldForAnother, Unbegun):
                    continue
                except (UnreachableError, TrustError, SessionError, Interrupted) as error:
                    if lost is None or isinstance(error, DeliveryCut):
                        raise
                    return lost.give_up(error)
        except SeloError as error:
            self.terms.report(events.Failed.of(error))
            raise
        finally:
            service.close()

    def serve(self, meeting: Meeting) -> None:
        """Take one delivery after another; what fails is reported, and cut ones are held meanwhile.

        Raises:
            Interrupted: the stop was requested.
        """
        settings, stop = self.terms.settings, self.terms.stop
        service = Service(self, alone=False)
        pause = settings.retry_min
        try:
            while True:
                service.intakes.expire()
                try:
                    service.serve(meeting, service.intakes.left)
                    pause = settings.retry_min
                except (Unfinished, Unbegun, UnreachableError, OnlyStrangersCame):
                    continue
                except Interrupted:
                    raise
                except SeloError as error:
                    self.terms.report(events.Failed.of(error))
                    # A disk, or a port that is taken; or we connect, and somebody else listens there.
                    if isinstance(error, LocalFault | TrustError):
                        stop.sleep(pause)
                        pause = min(settings.retry_max, pause * 2)
        finally:
            service.close()


class _Until:
    """A moment ``seconds`` from now; None: never."""

    def __init__(self, seconds: float | None) -> None:
        self._at = None if seconds is None else time.monotonic() + seconds

    @property
    def left(self) -> float | None:
        """Seconds."""
        return None if self._at is None else max(0.0, self._at - time.monotonic())


class Service:
    """Serves one session after another. ``alone``: while a delivery is cut, no other one is begun."""

    def __init__(self, receiver: Receiver, *, alone: bool) -> None:
        self._receiver = receiver
        self._terms = receiver.terms
        self._settings = receiver.terms.settings
        self.alone = alone
        self._senders = receiver.senders()
        self.intakes = Intakes(self._settings.resume_window)
        self.told: set[bytes] = set()
        """Deliveries for which ``on_stored`` was called, while they may be found stored again."""

    def serve(self, meeting: Meeting, wait: float | None) -> events.Delivered:
        """Take one session's delivery, or the rest of one.

        Raises:
            SeloError: as of ``Receiver.run``; the delivery may still be held.
        """
        leg, established = meeting.establish(self._part(wait), self._terms)
        try:
            peer = self._senders[established.peer.fingerprint]
            return Reception(self._receiver, self, leg, established, peer).run()
        finally:
            leg.close()

    def close(self) -> None:
        """Let go of everything; what is on disk can be taken up by another process."""
        self.intakes.close()

    def claim(self, peer: Peer, offer: Offer, wake: Callable[[], None]) -> Intake:
        """The delivery of an offer.

        Raises:
            RefusedByPolicy: the peer may not deliver that.
            SeloError: see ``Intakes.claim``.
        """
        policy = policy_for(self._settings, peer)

        def begin() -> Writer:
            rule = policy.refuse(tree=offer.kind is Kind.TREE, size=offer.size, items=offer.items)
            if rule is not None:
                raise RefusedByPolicy(peer.name, rule)
            return Writer(self._receiver.make_sink(peer), wake=wake, rate=policy.rate)

        return self.intakes.claim(peer.name, offer, begin, wake, alone=self.alone, rules=policy)

    def _part(self, wait: float | None) -> Part:
        return Part(
            role=Role.RECEIVER,
            fingerprint=self._receiver.identity.fingerprint,
            wait=wait,
            handshake=self._handshake,
        )

    def _handshake(self, link: HandshakeLink, _dialled: PublicIdentity | None) -> Established:
        try:
            self._senders = self._receiver.senders()
        except SeloError as error:
            raise SendersUnknown(str(error)) from error
        return establish_as_receiver(
            link,
            identity=self._receiver.identity,
            senders=self._senders,
            suite=self._terms.suite,
        )
