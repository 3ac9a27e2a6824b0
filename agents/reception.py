"""One session in which a Receiver takes a delivery, or the rest of one; and what becomes of it at the end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NoReturn

from selo.agents import events
from selo.agents.bodies import AbortCode, Answer, Kind, Offer
from selo.agents.content import Summary
from selo.agents.errors import (
    BeginAnew,
    DeliveryCut,
    DigestMismatch,
    HeldForAnother,
    OpenMissing,
    PeerInterrupted,
)
from selo.agents.facts import SessionFacts
from selo.agents.hook import Arrived
from selo.agents.incoming import Incoming
from selo.agents.intake import Intake
from selo.agents.meeting_errors import OnlyStrangersCame
from selo.agents.outage import may_be_taken_up
from selo.agents.receipting import statement_of
from selo.agents.session import Session, abort_for
from selo.agents.writer import Writer
from selo.config.trust import Peer
from selo.crypto import receipts
from selo.crypto.handshake import Established, Role
from selo.errors import Interrupted, LocalFault, PeerFault, SeloError, SessionError, UnreachableError
from selo.transport.base import Leg

if TYPE_CHECKING:
    from selo.agents.receiver import Receiver, Service


GOES_ON = "what came is kept; the same commands go on where they stopped"
"""What a person is told who can do something about it."""


class Unfinished(SessionError):
    """A session was lost that may be taken up again; ``delivered`` where only the receipt is missing."""

    def __init__(
        self, cut: DeliveryCut, delivered: events.Delivered | None, writer: Writer, window: float
    ) -> None:
        super().__init__(cut, delivered, writer, window)
        self.cut = cut
        self.delivered = delivered
        self.writer = writer
        self.window = window

    def __str__(self) -> str:
        return str(self.cut)

    def give_up(self, error: SeloError) -> events.Delivered:
        """The end of the waiting by ``error``: stored is stored, and cut is cut.

        Raises:
            DeliveryCut: its time is over, and it is not stored.
            SeloError: what came was not stored in the end, or what else ended the waiting.
        """
        if self.delivered is not None:
            return self.delivered
        if self.writer.failure is not None:
            raise self.writer.failure
        if isinstance(error, UnreachableError | OnlyStrangersCame):
            self.cut.tried = self.window
        elif not isinstance(error, SessionError):
            raise error
        raise self.cut


class Unbegun(SessionError):
    """A session in which no delivery began: none is over with it, and whoever came may come again."""


class Reception:
    """One session of a delivery."""

    def __init__(
        self, receiver: Receiver, service: Service, leg: Leg, established: Established, peer: Peer
    ) -> None:
        self._receiver = receiver
        self._service = service
        self._leg = leg
        self._established = established
        self._terms = receiver.terms
        self._settings = receiver.terms.settings
        self._peer = peer
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
        self._forget(intake)
        # An Emitter that is killed before it has noted its receipt comes again: no second copy for it.
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
            self._never_began(error)
        whole = self._incoming.totals is not None and not isinstance(error, DigestMismatch)
        if whole and (isinstance(error, SessionError | PeerFault) or intake.writer.stored is not None):
            # After the FINAL the data is whole and authentic, whatever becomes of the link and the Emitter.
            return self._store_unasked(intake, error)
        if intake.announced and not isinstance(error, BeginAnew | DigestMismatch):
            return self._store_unasked(intake, error)  # in an earlier session
        if isinstance(error, BeginAnew):
            self._forget(intake)
            self._service.intakes.done(intake)
            raise error
        if self._settings.resume_window and may_be_taken_up(error):
            self._service.intakes.hold(intake)
            raise self._unfinished(error, None) from error
        if self._settings.resume_window and self._can_come_again(intake.offer, error):
            intake.writer.suspend()
        else:
            intake.writer.cancel()
        self._service.intakes.done(intake)
        if intake.writer.suspended and isinstance(error, Interrupted | LocalFault):
            error.hint = f"{error.hint}\n{GOES_ON}".strip()
        if isinstance(error, SessionError):
            kept = intake.writer.suspended
            raise DeliveryCut("Receiver", error, intake.writer.handed_on, kept=kept) from error
        raise error

    @staticmethod
    def _can_come_again(offer: Offer, error: SeloError) -> bool:
        """Whether the Emitter may bring the rest, although it ends now: a stream is over with its process."""
        if offer.kind is Kind.STREAM:
            return abort_for(error, Role.EMITTER).code is AbortCode.LATER
        return isinstance(error, PeerInterrupted | Interrupted | PeerFault)

    def _never_began(self, error: SeloError) -> NoReturn:
        """There was no delivery in this session, or none that is taken: that ends none that is held."""
        if isinstance(error, Interrupted | HeldForAnother):
            raise error
        unheard = may_be_taken_up(error) or isinstance(error, OpenMissing)
        waits = self._service.alone and self._service.intakes.any_held
        if self._settings.resume_window and (unheard or waits):
            self._terms.report(events.Lost(str(error), self._service.intakes.left))
            raise Unbegun(error) from error
        if isinstance(error, SessionError):
            raise DeliveryCut("Receiver", error, 0) from error
        raise error

    def _store_unasked(self, intake: Intake, error: SeloError) -> events.Delivered:
        writer = intake.writer
        if not writer.wait():
            self._service.intakes.done(intake)
            raise writer.failure or error from error
        totals, stored = self._incoming.totals, writer.stored
        if totals is not None and stored is not None and totals.digest != stored.blake3:
            self._service.intakes.done(intake)
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
        return Unfinished(cut, delivered, intake.writer, self._settings.resume_window)

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
            places=writer.places,
            items=stored.items,
            earlier=writer.found_stored,
            delivery=offer.delivery.hex(),
            durable=stored.durable,
        )
        self._terms.report(delivered)
        if not intake.announced:
            intake.announced = True
            self._tell_stored(intake, offer, stored)
        return delivered

    def _tell_stored(self, intake: Intake, offer: Offer, stored: Summary) -> None:
        writer, told, delivery = intake.writer, self._service.told, intake.offer.delivery
        if writer.found_stored and delivery in told:
            return
        told.add(delivery)
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

    def _forget(self, intake: Intake) -> None:
        """Nobody can find it stored any more."""
        intake.writer.forget()
        self._service.told.discard(intake.offer.delivery)

    def _require_intake(self) -> Intake:
        assert self._intake is not None
        return self._intake
