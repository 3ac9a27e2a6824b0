"""The Receiver: meets an Emitter that it trusts, and takes what it delivers.

When the link or the Emitter is lost it keeps what came, for that peer and that delivery, and goes on with
it in the next session.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from selo.agents import events
from selo.agents.bodies import Answer, Kind, Offer
from selo.agents.content import Summary
from selo.agents.errors import (
    BeginAnew,
    DeliveryCut,
    DigestMismatch,
    HeldForAnother,
    PeerInterrupted,
    RefusedByPolicy,
)
from selo.agents.establish import HandshakeLink, establish_as_receiver
from selo.agents.facts import SessionFacts
from selo.agents.hook import Arrived
from selo.agents.incoming import Incoming
from selo.agents.intake import Intake, Intakes
from selo.agents.meeting import Meeting, Part, Terms
from selo.agents.outage import may_be_taken_up
from selo.agents.receipting import statement_of
from selo.agents.session import Session
from selo.agents.sinks import Sink
from selo.agents.writer import Writer
from selo.config.policy import policy_for
from selo.config.trust import Peer
from selo.crypto import receipts
from selo.crypto.handshake import Established, Role
from selo.crypto.identity import Identity, PublicIdentity
from selo.errors import (
    Interrupted,
    LocalFault,
    PeerFault,
    SeloError,
    SessionError,
    TrustError,
    UnreachableError,
)
from selo.transport.base import Leg

MakeSink = Callable[[Peer], Sink]
"""Makes the sink for a delivery from a peer."""


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """Takes deliveries of ``senders`` (by fingerprint).

    ``on_stored`` is called once for each delivery, when it is stored. ``now`` is the clock that receipts show
    (seconds since 1970).
    """

    identity: Identity
    senders: Mapping[bytes, Peer]
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
        try:
            while True:
                try:
                    wait = self.terms.settings.receive_wait if lost is None else service.intakes.left
                    return service.serve(meeting, wait)
                except Unfinished as unfinished:
                    lost = unfinished
                except (HeldForAnother, BeginAnew, Unbegun):
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
                except (Unfinished, Unbegun, UnreachableError):
                    continue
                except Interrupted:
                    raise
                except SeloError as error:
                    self.terms.report(events.Failed.of(error))
                    if isinstance(error, LocalFault):  # a disk, or a port that cannot be bound again
                        stop.sleep(pause)
                        pause = min(settings.retry_max, pause * 2)
        finally:
            service.close()


class Unfinished(SessionError):
    """A session was lost that may be taken up again; ``delivered`` where only the receipt is missing."""

    def __init__(self, cut: DeliveryCut, delivered: events.Delivered | None, window: float) -> None:
        super().__init__(cut, delivered, window)
        self.cut = cut
        self.delivered = delivered
        self.window = window

    def __str__(self) -> str:
        return str(self.cut)

    def give_up(self, error: SeloError) -> events.Delivered:
        """The end of the waiting: stored is stored, and cut is cut.

        Raises:
            Interrupted: it was not over, the waiting was stopped.
            DeliveryCut: it is not stored.
        """
        if self.delivered is not None:
            return self.delivered
        if isinstance(error, Interrupted):
            raise error
        self.cut.tried = self.window
        raise self.cut


class Unbegun(SessionError):
    """A session was lost before its OPEN: no delivery is over with it, and the Emitter will come again."""


class Service:
    """Serves one session after another. ``alone``: while a delivery is cut, no other one is begun."""

    def __init__(self, receiver: Receiver, *, alone: bool) -> None:
        self._receiver = receiver
        self._terms = receiver.terms
        self._settings = receiver.terms.settings
        self._alone = alone
        self.intakes = Intakes(self._settings.resume_window)

    def serve(self, meeting: Meeting, wait: float | None) -> events.Delivered:
        """Take one session's delivery, or the rest of one.

        Raises:
            SeloError: as of ``Receiver.run``; the delivery may still be held.
        """
        leg, established = meeting.establish(self._part(wait), self._terms)
        try:
            return _Reception(self._receiver, self, leg, established).run()
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

        return self.intakes.claim(peer.name, offer, begin, wake, alone=self._alone)

    def _part(self, wait: float | None) -> Part:
        return Part(
            role=Role.RECEIVER,
            fingerprint=self._receiver.identity.fingerprint,
            wait=wait,
            handshake=self._handshake,
        )

    def _handshake(self, link: HandshakeLink, _dialled: PublicIdentity | None) -> Established:
        return establish_as_receiver(
            link,
            identity=self._receiver.identity,
            senders=self._receiver.senders,
            suite=self._terms.suite,
        )


class _Reception:
    """One session of a delivery."""

    def __init__(self, receiver: Receiver, service: Service, leg: Leg, established: Established) -> None:
        self._receiver = receiver
        self._service = service
        self._leg = leg
        self._established = established
        self._terms = receiver.terms
        self._settings = receiver.terms.settings
        self._peer = receiver.senders[established.peer.fingerprint]
        self._intake: Intake | None = None
        self._throttle = events.Throttle(self._terms.report)
        self._incoming = Incoming(
            self._claim,
            self._attest,
            limits=established.limits,
            open_by=time.monotonic() + self._settings.handshake_deadline,
            on_place=self._resumed,
            on_progress=self._progress,
        )

    def run(self) -> events.Delivered:
        """Take it."""
        self._terms.on_session(SessionFacts.of(self._established, self._peer.name))
        session = Session(self._leg, self._established, settings=self._settings, stop=self._terms.stop)
        try:
            session.run(self._incoming)
        except SeloError as error:
            return self._ended(error)
        except BaseException:
            self._cancel()
            raise
        intake = self._require_intake()
        delivered = self._announce(intake, "sent")
        intake.writer.forget()
        # An Emitter that is killed before it has noted its receipt comes again: there shall be no second copy.
        self._service.intakes.hold(intake)
        return delivered

    def _claim(self, offer: Offer) -> Writer:
        bound = offer.bound_to(self._established.peer.fingerprint)
        self._terms.report(events.Opened.of(offer, "from", self._peer.name))
        self._intake = self._service.claim(self._peer, bound, self._leg.wake)
        return self._intake.writer

    def _attest(self, offer: Offer, stored: Summary) -> bytes:
        identity, seconds = self._receiver.identity, int(self._receiver.now())
        statement = statement_of(self._established, identity.public, offer, stored, time=seconds)
        return receipts.attest(identity, statement).pack()

    def _resumed(self, answer: Answer, place: int) -> None:
        if answer.held:
            self._terms.report(events.Resumed(place, answer.held, answer.complete))

    def _progress(self, done: int) -> None:
        offer = self._incoming.offer
        self._throttle.progress(done, offer.size if offer is not None else None)

    # The end

    def _ended(self, error: SeloError) -> events.Delivered:
        """What becomes of the delivery now that its session has failed.

        Raises:
            Unfinished: it is held, to be taken up again.
            SeloError: it is over.
        """
        intake = self._intake
        if intake is None:
            if self._settings.resume_window and may_be_taken_up(error):
                self._terms.report(events.Lost(str(error), self._service.intakes.left))
                raise Unbegun(error) from error
            if isinstance(error, SessionError) and not isinstance(error, HeldForAnother):
                raise DeliveryCut("Receiver", error, 0) from error
            raise error
        whole = self._incoming.totals is not None and not isinstance(error, DigestMismatch)
        if whole and (isinstance(error, SessionError | PeerFault) or self._incoming.receipted):
            # After the FINAL the data is whole and authentic, whatever becomes of the link and the Emitter.
            return self._store_unasked(intake, error)
        if isinstance(error, BeginAnew):
            intake.writer.forget()
            self._service.intakes.done(intake)
            raise error
        if self._settings.resume_window and may_be_taken_up(error):
            self._service.intakes.hold(intake)
            raise self._unfinished(error, None) from error
        if isinstance(error, PeerInterrupted | Interrupted) and self._settings.resume_window:
            intake.writer.suspend()
        else:
            intake.writer.cancel()
        self._service.intakes.done(intake)
        if isinstance(error, SessionError):
            kept = intake.writer.suspended
            raise DeliveryCut("Receiver", error, intake.writer.handed_on, kept=kept) from error
        raise error

    def _store_unasked(self, intake: Intake, error: SeloError) -> events.Delivered:
        writer = intake.writer
        if not writer.wait():
            self._service.intakes.done(intake)
            raise writer.failure or error from error
        totals, stored = self._incoming.totals, writer.stored
        if totals is not None and stored is not None and totals.digest != stored.blake3:
            raise DigestMismatch
        delivered = self._announce(intake, "not sent")
        if self._settings.resume_window and may_be_taken_up(error):
            self._service.intakes.hold(intake)
            raise self._unfinished(error, delivered) from error
        self._service.intakes.done(intake)
        return delivered

    def _unfinished(self, error: SeloError, delivered: events.Delivered | None) -> Unfinished:
        intake = self._require_intake()
        cut = DeliveryCut("Receiver", error, intake.writer.handed_on, kept=intake.writer.keeps)
        self._terms.report(events.Lost(str(error), self._settings.resume_window))
        return Unfinished(cut, delivered, self._settings.resume_window)

    def _cancel(self) -> None:
        if self._intake is not None:
            self._intake.writer.cancel()
            self._service.intakes.done(self._intake)

    def _announce(self, intake: Intake, receipt: str) -> events.Delivered:
        """Tell that it is stored; and once, to whom that matters more than whether the Emitter knows."""
        writer, offer, stored = intake.writer, self._incoming.offer, intake.writer.stored
        assert offer is not None and stored is not None
        delivered = events.Delivered(
            peer=self._peer.name,
            bytes=stored.items_bytes,
            records=writer.consumed_records,
            blake3=stored.blake3.hex(),
            seconds=time.monotonic() - intake.started,
            target=writer.target,
            receipt=receipt,
            items=stored.items,
            delivery=offer.delivery.hex(),
            durable=stored.durable,
        )
        self._terms.report(delivered)
        if not intake.announced and not writer.found_stored:
            intake.announced = True
            self._receiver.on_stored(
                Arrived(
                    peer=self._peer.name,
                    fingerprint=self._established.peer.fingerprint.hex(),
                    kind=offer.kind.name.lower(),
                    name=offer.name,
                    target=writer.target,
                    bytes=stored.items_bytes,
                    items=stored.items,
                    blake3=stored.blake3.hex(),
                    id=offer.delivery.hex(),
                )
            )
        return delivered

    def _require_intake(self) -> Intake:
        assert self._intake is not None
        return self._intake
