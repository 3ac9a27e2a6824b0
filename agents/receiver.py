"""The Receiver: meets an Emitter that it trusts, and takes one delivery."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from selo.agents import events
from selo.agents.errors import DeliveryCut, DigestMismatch
from selo.agents.establish import HandshakeLink, establish_as_receiver
from selo.agents.facts import SessionFacts
from selo.agents.incoming import Incoming
from selo.agents.meeting import Meeting, Part, Terms
from selo.agents.session import Session
from selo.agents.sinks import Sink
from selo.agents.workers import Writer
from selo.config.trust import Peer
from selo.crypto.handshake import Established, Role
from selo.crypto.identity import Identity, PublicIdentity
from selo.errors import PeerFault, SessionError
from selo.transport.base import Leg

MakeSink = Callable[[str], Sink]
"""Makes the sink for a delivery from the peer of that name."""


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """One delivery from one of ``senders`` (by fingerprint)."""

    identity: Identity
    senders: Mapping[bytes, Peer]
    make_sink: MakeSink
    terms: Terms

    def run(self, meeting: Meeting) -> events.Delivered:
        """Wait for a trusted Emitter and take its delivery.

        Raises:
            TrustError: whoever we met is no sender, or only others came.
            UnreachableError: ``settings.receive_wait`` seconds are over.
            SinkFault, PeerFault: one side's disk or source failed; the other was told.
            SessionError: the session was cut or tampered with; nothing is under the final name.
            Interrupted: the stop was requested; the Emitter was told.
        """
        leg, established = meeting.establish(self._part(), self.terms)
        try:
            return self._deliver(leg, established, time.monotonic())
        finally:
            leg.close()

    def _part(self) -> Part:
        return Part(
            role=Role.RECEIVER,
            fingerprint=self.identity.fingerprint,
            wait=self.terms.settings.receive_wait,
            handshake=self._handshake,
        )

    def _handshake(self, link: HandshakeLink, _dialled: PublicIdentity | None) -> Established:
        return establish_as_receiver(
            link, identity=self.identity, senders=self.senders, suite=self.terms.suite
        )

    def _deliver(self, leg: Leg, established: Established, started: float) -> events.Delivered:
        peer = self.senders[established.peer.fingerprint]
        settings, report = self.terms.settings, self.terms.report
        self.terms.on_session(SessionFacts.of(established, peer.name))
        throttle = events.Throttle(report)
        writer = Writer(self.make_sink(peer.name), wake=leg.wake)
        incoming = Incoming(
            writer,
            limits=established.limits,
            open_by=time.monotonic() + settings.handshake_deadline,
            on_open=lambda offer: report(events.Opened.of(offer, "from", peer.name)),
            on_progress=lambda done: throttle.progress(done, incoming.offer.size if incoming.offer else None),
        )
        session = Session(leg, established, settings=settings, stop=self.terms.stop)
        try:
            receipt = self._take(session, incoming, writer)
        finally:
            writer.cancel()
        delivered = events.Delivered(
            peer=peer.name,
            bytes=writer.consumed_bytes,
            records=writer.consumed_records,
            blake3=writer.digest.hex(),
            seconds=time.monotonic() - started,
            target=writer.target,
            receipt=receipt,
        )
        report(delivered)
        return delivered

    def _take(self, session: Session, incoming: Incoming, writer: Writer) -> str:
        """Run the session; what became of the receipt."""
        try:
            session.run(incoming)
        except (SessionError, PeerFault) as error:
            # After the FINAL the data is whole and authentic, whatever becomes of the link and the Emitter.
            if incoming.must_finish and not isinstance(error, DigestMismatch):
                if writer.wait():
                    return "not sent"
                raise writer.failure or error from error
            if isinstance(error, PeerFault):
                raise
            raise DeliveryCut("Receiver", error, writer.handed_on) from error
        return "sent" if session.wait_for_close() else "not sent"
