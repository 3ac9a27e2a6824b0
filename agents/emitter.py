"""The Emitter: meets its Receiver, proves itself, sends one delivery, waits for the receipt.

When the link or the Receiver is lost it meets it again, in a fresh session, and goes on from what is there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from selo.agents import events
from selo.agents.bodies import Answer
from selo.agents.content import Summary
from selo.agents.errors import DeliveryCut, ReceiptUnsigned
from selo.agents.establish import HandshakeLink, establish_as_emitter
from selo.agents.facts import SessionFacts
from selo.agents.listing import whole_as_item
from selo.agents.meeting import Meeting, Part, Terms
from selo.agents.meeting_errors import RefusedByPeer, WrongListener
from selo.agents.outage import Outage, may_be_taken_up
from selo.agents.outgoing import Outgoing
from selo.agents.reader import Reader
from selo.agents.receipt_file import ReceiptKeeper
from selo.agents.receipting import statement_of
from selo.agents.session import Session
from selo.agents.sources import Source
from selo.agents.trees.source import TreeSource
from selo.config.trust import Peer
from selo.crypto import receipts
from selo.crypto.handshake import Established, Role
from selo.crypto.identity import Identity, PublicIdentity
from selo.crypto.items import ItemLog
from selo.crypto.limits import DELIVERY_LENGTH
from selo.crypto.receipts import Attestation, Statement
from selo.errors import Interrupted, SeloError, SessionError, TrustError, UnreachableError
from selo.transport.base import Leg


@dataclass(frozen=True, kw_only=True)
class Emitter:
    """One delivery to one pinned peer.

    ``delivery`` (16 bytes) is the name that an earlier run gave it, if it goes on; ``receipt`` keeps the
    Receiver's signed receipt. ``on_verified`` is told what the Receiver has signed, before that hears that we
    have it, and may forget the delivery.
    """

    identity: Identity
    peer: Peer
    source: Source
    terms: Terms
    delivery: bytes | None = None
    receipt: ReceiptKeeper | None = None
    on_verified: Callable[[Statement], None] = lambda _statement: None

    def run(self, meeting: Meeting) -> events.Delivered:
        """Deliver.

        Raises:
            TrustError: the other side is not the peer, or the peer does not trust us.
            UnreachableError: there was no session within ``settings.emit_wait`` seconds.
            SourceFault, PeerFault: one side's file or disk failed; the other was told.
            SessionError: the session was cut or tampered with, and not taken up within ``retry_for`` seconds;
                or, whatever else ended it, all was sent before and the Receiver may have stored it.
            NamesGone: a tree is stored, without something that was there when it was begun.
            FileFault: stored, but the receipt could not be written; the same delivery again gets another.
            Interrupted: the stop was requested; the Receiver was told.
        """
        errand = _Errand(self)
        try:
            delivered = errand.run(meeting)
        except SeloError as error:
            self.terms.report(events.Failed.of(error))
            raise
        finally:
            errand.reader.cancel()
        self.terms.report(delivered)
        if isinstance(self.source, TreeSource) and self.source.gone is not None:
            self.terms.report(events.Failed.of(self.source.gone))
            raise self.source.gone
        return delivered


class _Errand:
    """One run of an Emitter, over as many sessions as it takes."""

    def __init__(self, emitter: Emitter) -> None:
        settings = emitter.terms.settings
        self._emitter = emitter
        self._terms = emitter.terms
        self._settings = settings
        self._started = time.monotonic()
        self._offer = replace(
            emitter.source.offer,
            delivery=emitter.delivery or os.urandom(DELIVERY_LENGTH),
            sha256=settings.emit_digest == "sha256",
        )
        self.reader = Reader(
            emitter.source,
            record_size=settings.record_size,
            capacity=settings.resume_buffer,
            wake=lambda: None,
            rate=settings.emit_rate,
            sha256=self._offer.sha256,
        )
        if isinstance(emitter.source, TreeSource):
            emitter.source.sha256 = self._offer.sha256
            emitter.source.make_log = self._new_log
        self._outage = Outage(settings.retry_for, shortest=settings.retry_min, longest=settings.retry_max)
        self._outgoing: Outgoing | None = None
        self._acknowledged = 0
        self._sent_whole: int | None = None
        self._statement: Statement | None = None
        self._records = 0
        self._earlier = False

    def run(self, meeting: Meeting) -> events.Delivered:
        """Sessions, until one of them ends with the receipt."""
        try:
            return self._sessions(meeting)
        except DeliveryCut:
            raise
        except Interrupted as error:
            if self._outgoing is not None:
                error.hint = "\n".join(filter(None, (self._what_was_sent, self._how_to_go_on)))
            raise
        except SeloError as error:
            if self._sent_whole is None:
                raise
            raise self._cut(error) from error

    def _sessions(self, meeting: Meeting) -> events.Delivered:
        while True:
            leg, established = self._meet(meeting)
            self._outage.up()
            try:
                return self._session(leg, established)
            except Interrupted:
                self._note_acknowledged()
                raise
            except SessionError as error:
                got_on = self._note_acknowledged()
                if self._settings.retry_for == 0 or not may_be_taken_up(error):
                    raise self._cut(error) from error
                self._outage.lost(error, reached=self._acknowledged, got_on=got_on)
                if self._outage.over:
                    raise self._cut(error, tried=self._settings.retry_for or 0.0) from error
            finally:
                leg.close()
            self._terms.report(events.Lost(str(self._outage.cause), self._outage.left))
            self._terms.stop.sleep(self._outage.pause)

    def _meet(self, meeting: Meeting) -> tuple[Leg, Established]:
        """The first session within ``emit_wait``, a later one within what is left of ``retry_for``."""
        cause = self._outage.cause
        if cause is None:
            return meeting.establish(self._part(self._settings.emit_wait), self._terms)
        while True:
            try:
                return meeting.establish(self._part(self._outage.left), self._terms)
            # A link that flaps closes at that very moment, too, and a bad one turns a bit of a handshake.
            except (RefusedByPeer, WrongListener):
                if self._outage.over:
                    raise
                self._outage.failed_again()
                self._terms.stop.sleep(self._outage.pause)
            except (UnreachableError, SessionError) as error:
                raise self._cut(cause, tried=self._settings.retry_for or 0.0) from error

    def _part(self, wait: float | None) -> Part:
        return Part(
            role=Role.EMITTER,
            fingerprint=self._emitter.identity.fingerprint,
            wait=wait,
            handshake=self._handshake,
        )

    def _handshake(self, link: HandshakeLink, dialled: PublicIdentity | None) -> Established:
        return establish_as_emitter(
            link,
            identity=self._emitter.identity,
            peer=dialled or self._emitter.peer.identity,
            name=self._emitter.peer.name,
            suite=self._terms.suite,
        )

    def _session(self, leg: Leg, established: Established) -> events.Delivered:
        terms, offer, peer = self._terms, self._offer, self._emitter.peer
        terms.on_session(SessionFacts.of(established, peer.name))
        throttle = events.Throttle(terms.report)
        outgoing = Outgoing(
            offer,
            self.reader,
            lambda body: self._check(established, body),
            self._keep_receipt,
            limits=established.limits,
            record_size=self._settings.record_size,
            on_place=self._resumed,
            on_progress=lambda done: throttle.progress(done, offer.size),
        )
        self._outgoing = outgoing
        self.reader.wake = leg.wake
        session = Session(leg, established, settings=self._settings, stop=terms.stop)
        terms.report(events.Opened.of(offer, "to", peer.name))
        session.run(outgoing)
        session.wait_for_close()
        self._records += outgoing.window.sent_records
        return self._delivered()

    def _resumed(self, answer: Answer, place: int) -> None:
        self._earlier = answer.complete and place == answer.held
        if not answer.complete:  # what was sent whole once was not stored
            self._sent_whole = None
        if answer.held:
            self._terms.report(events.Resumed(place, answer.held, answer.complete))

    def _note_acknowledged(self) -> bool:
        """Take in how far the session came that has just ended; whether the delivery got on in it."""
        outgoing = self._outgoing
        if outgoing is None:
            return False
        self._records += outgoing.window.sent_records
        if outgoing.acknowledged is not None:
            self._acknowledged = outgoing.acknowledged
        if outgoing.finished_sending:
            self._sent_whole = self.reader.length
        return outgoing.window.acknowledged_bytes > 0

    def _cut(self, error: SeloError, *, tried: float = 0.0) -> DeliveryCut:
        # Once all was sent it may have been stored, whatever became of the sessions after that.
        unknown = self._sent_whole is not None
        done = self._acknowledged if self._sent_whole is None else self._sent_whole
        cut = DeliveryCut("Emitter", error, done, outcome_unknown=unknown, tried=tried)
        cut.hint = self._how_to_go_on
        if isinstance(error, TrustError):
            cut.hint = f"{error.hint}\n{cut.hint}"
        return cut

    @property
    def _what_was_sent(self) -> str:
        if self._sent_whole is None:
            return ""
        return f"all {self._sent_whole:,} bytes were sent before: the Receiver may have stored them"

    @property
    def _how_to_go_on(self) -> str:
        """What a person can do after a cut; little where the source cannot be read by another process."""
        if self._emitter.delivery is not None and self._emitter.source.restartable:
            return "the same command goes on where this one stopped, once a Receiver waits there"
        return "look there before sending again" if self._sent_whole is not None else ""

    # The receipt

    def _check(self, established: Established, body: bytes) -> None:
        """Take the statement that the Receiver has signed, if it is about this delivery."""
        log = self._items()
        reader = self.reader
        summary = Summary(
            length=reader.length,
            blake3=reader.content.blake3,
            items=log.count,
            items_bytes=log.size,
            items_hash=log.hash,
            durable=False,
            target=None,
        )
        own = self._emitter.identity.public
        attestation = Attestation.unpack(body)
        if attestation is None:
            raise ReceiptUnsigned
        expected = statement_of(established, own, self._offer, summary, time=attestation.time)
        statement = receipts.check(established.peer.public, expected, attestation)
        if statement is None:
            raise ReceiptUnsigned
        self._statement = statement
        if self._emitter.receipt is not None:
            self._emitter.receipt.signed(statement, attestation.signature)

    def _items(self) -> ItemLog:
        """The list of what was sent; of a tree it was made while it was read."""
        if self._emitter.source.log is not None:
            return self._emitter.source.log
        log = self._new_log()
        return whole_as_item(self._offer, self.reader.length, self.reader.content, log)

    def _new_log(self) -> ItemLog:
        """An empty list, which the receipt's file follows."""
        keeper = self._emitter.receipt
        return ItemLog(keeper.begin() if keeper is not None else None)

    def _keep_receipt(self) -> None:
        """Before the Receiver hears that we have it, and forgets the delivery."""
        self._sent_whole = None  # what became of it is known now
        if self._emitter.receipt is not None:
            self._emitter.receipt.write()
        assert self._statement is not None
        self._emitter.on_verified(self._statement)

    def _delivered(self) -> events.Delivered:
        statement = self._statement
        assert statement is not None
        return events.Delivered(
            peer=self._emitter.peer.name,
            bytes=statement.items_bytes,
            records=self._records,
            blake3=statement.blake3.hex(),
            seconds=time.monotonic() - self._started,
            target=None,
            receipt="verified",
            items=statement.items,
            earlier=self._earlier,
            delivery=statement.delivery.hex(),
            durable=statement.durable,
        )
