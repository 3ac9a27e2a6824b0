"""The Receiver: listens, turns strangers away, takes one delivery from a trusted Emitter."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from selo.agents import events
from selo.agents.errors import DeliveryCut, DigestMismatch, HandshakeTimeout, NobodyCame, OnlyStrangersCame
from selo.agents.establish import HandshakeLink, establish_as_receiver
from selo.agents.incoming import Incoming
from selo.agents.session import Session
from selo.agents.sinks import Sink
from selo.agents.stop import Stop
from selo.agents.workers import Writer
from selo.config.settings import Settings
from selo.config.trust import Peer
from selo.crypto.errors import HandshakeError
from selo.crypto.handshake import Established
from selo.crypto.identity import Identity
from selo.crypto.suites import CLASSIC, Suite
from selo.errors import PeerFault, SessionError, TrustError
from selo.transport.base import FrameRefused, Leg, LegClosed, Listener, Refusal

LOOK_AROUND = 0.5
"""Seconds between two looks at who was refused at the gate, while nobody is admitted."""

MakeSink = Callable[[str], Sink]
"""Makes the sink for a delivery from the peer of that name."""


@dataclass(kw_only=True)
class Receiver:
    """One delivery from one of ``senders`` (by fingerprint)."""

    identity: Identity
    senders: Mapping[bytes, Peer]
    make_sink: MakeSink
    settings: Settings
    suite: Suite = CLASSIC
    stop: Stop
    report: events.Report = events.ignore
    _untrusted: int = field(default=0, init=False)

    def run(self, listener: Listener) -> events.Delivered:
        """Wait for a trusted Emitter and take its delivery; the caller closes the listener.

        Raises:
            NobodyCame, OnlyStrangersCame: ``settings.receive_wait`` seconds are over.
            SinkFault, PeerFault: one side's disk or source failed; the other was told.
            SessionError: the session was cut or tampered with; nothing is under the final name.
            Interrupted: the stop was requested; the Emitter was told.
        """
        names = tuple(sorted(peer.name for peer in self.senders.values()))
        self.report(events.Listening(listener.address, names))
        wait = self.settings.receive_wait
        deadline = None if wait is None else time.monotonic() + wait
        with self.stop.waking(listener.wake):
            while True:
                leg = self._next_leg(listener, deadline)
                try:
                    started = time.monotonic()
                    established = self._admit(leg)
                    if established is not None:
                        return self._deliver(leg, established, started)
                finally:
                    leg.close()

    def _next_leg(self, listener: Listener, deadline: float | None) -> Leg:
        while True:
            self.stop.check()
            left = LOOK_AROUND if deadline is None else min(LOOK_AROUND, deadline - time.monotonic())
            leg = listener.accept(max(0.0, left))
            for refusal in listener.take_refusals():
                self._refuse(refusal)
            if leg is not None:
                return leg
            if deadline is not None and time.monotonic() >= deadline:
                self._give_up()

    def _give_up(self) -> None:
        waited = self.settings.receive_wait or 0.0
        if self._untrusted:
            raise OnlyStrangersCame(waited, self._untrusted)
        raise NobodyCame(waited)

    def _refuse(self, refusal: Refusal) -> None:
        """Report it; who merely knocked, or found the place taken, is no reason to end with 3."""
        if refusal.untrusted:
            self._untrusted += refusal.count
        self.report(events.Refused(refusal.peer_address, refusal.reason, refusal.count))

    def _admit(self, leg: Leg) -> Established | None:
        """The handshake; None when it failed, which is reported and leaves nothing behind."""
        link = HandshakeLink(leg, self.settings, self.stop, self.report)
        try:
            return establish_as_receiver(link, identity=self.identity, senders=self.senders, suite=self.suite)
        except (HandshakeError, HandshakeTimeout, LegClosed, FrameRefused) as error:
            untrusted = isinstance(error, TrustError)
            self._refuse(Refusal(leg.peer_address, str(error), untrusted=untrusted))
            return None

    def _deliver(self, leg: Leg, established: Established, started: float) -> events.Delivered:
        peer = self.senders[established.peer.fingerprint]
        throttle = events.Throttle(self.report)
        writer = Writer(self.make_sink(peer.name), wake=leg.wake)
        incoming = Incoming(
            writer,
            limits=established.limits,
            open_by=time.monotonic() + self.settings.handshake_deadline,
            on_open=lambda offer: self.report(events.Opened.of(offer, "from", peer.name)),
            on_progress=lambda done: throttle.progress(done, incoming.offer.size if incoming.offer else None),
        )
        session = Session(leg, established, settings=self.settings, stop=self.stop)
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
        self.report(delivered)
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
