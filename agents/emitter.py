"""The Emitter: meets its Receiver, proves itself, sends one delivery, waits for the receipt."""

from __future__ import annotations

import time
from dataclasses import dataclass

from selo.agents import events
from selo.agents.errors import DeliveryCut
from selo.agents.establish import HandshakeLink, establish_as_emitter
from selo.agents.facts import SessionFacts
from selo.agents.meeting import Meeting, Part, Terms
from selo.agents.outgoing import Outgoing
from selo.agents.session import Session
from selo.agents.sources import Source
from selo.agents.workers import Reader
from selo.config.trust import Peer
from selo.crypto.handshake import Established, Role
from selo.crypto.identity import Identity, PublicIdentity
from selo.errors import SessionError
from selo.transport.base import Leg


@dataclass(frozen=True, kw_only=True)
class Emitter:
    """One delivery to one pinned peer."""

    identity: Identity
    peer: Peer
    source: Source
    terms: Terms

    def run(self, meeting: Meeting) -> events.Delivered:
        """Deliver.

        Raises:
            TrustError: the other side is not the peer, or the peer does not trust us.
            UnreachableError: there was no session within ``settings.emit_wait`` seconds.
            SourceFault, PeerFault: one side's file or disk failed; the other was told.
            SessionError: the session was cut or tampered with.
            Interrupted: the stop was requested; the Receiver was told.
        """
        started = time.monotonic()
        leg, established = meeting.establish(self._part(), self.terms)
        try:
            self.terms.on_session(SessionFacts.of(established, self.peer.name))
            delivered = self._deliver(leg, established, started)
        finally:
            leg.close()
        self.terms.report(delivered)
        return delivered

    def _part(self) -> Part:
        return Part(
            role=Role.EMITTER,
            fingerprint=self.identity.fingerprint,
            wait=self.terms.settings.emit_wait,
            handshake=self._handshake,
        )

    def _handshake(self, link: HandshakeLink, dialled: PublicIdentity | None) -> Established:
        return establish_as_emitter(
            link,
            identity=self.identity,
            peer=dialled or self.peer.identity,
            name=self.peer.name,
            suite=self.terms.suite,
        )

    def _deliver(self, leg: Leg, established: Established, started: float) -> events.Delivered:
        offer = self.source.offer
        settings = self.terms.settings
        throttle = events.Throttle(self.terms.report)
        reader = Reader(self.source, record_size=settings.record_size, wake=leg.wake)
        outgoing = Outgoing(
            offer,
            reader,
            limits=established.limits,
            record_size=settings.record_size,
            on_progress=lambda done: throttle.progress(done, offer.size),
        )
        session = Session(leg, established, settings=settings, stop=self.terms.stop)
        try:
            self.terms.report(events.Opened.of(offer, "to", self.peer.name))
            reader.start()
            session.run(outgoing)
        except SessionError as error:
            unknown = outgoing.finished_sending
            done = outgoing.window.sent_bytes if unknown else outgoing.window.acknowledged_bytes
            raise DeliveryCut("Emitter", error, done, outcome_unknown=unknown) from error
        finally:
            reader.cancel()
        return events.Delivered(
            peer=self.peer.name,
            bytes=outgoing.window.sent_bytes,
            records=outgoing.window.sent_records,
            blake3=reader.digest.hex(),
            seconds=time.monotonic() - started,
            target=None,
            receipt="verified",
        )
