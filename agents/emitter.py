"""The Emitter: finds its Receiver, proves itself, sends one delivery, waits for the receipt."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from selo.agents import events
from selo.agents.errors import DeliveryCut, HandshakeTimeout, NotReached, RefusedByPeer, WrongListener
from selo.agents.establish import HandshakeLink, establish_as_emitter
from selo.agents.outgoing import Outgoing
from selo.agents.session import Session
from selo.agents.sources import Source
from selo.agents.stop import Stop
from selo.agents.workers import Reader
from selo.config.settings import Settings
from selo.config.trust import Peer
from selo.crypto.errors import HandshakeError
from selo.crypto.handshake import Established
from selo.crypto.identity import Identity
from selo.crypto.suites import CLASSIC, Suite
from selo.errors import SeloError, SessionError, TrustError
from selo.transport.base import ConnectFailed, FrameRefused, GateBusy, GateRefused, Leg, LegClosed

REFUSALS_BELIEVED = 2
"""Closes in a row after the peer proved itself that count as its no; one may be an accident."""

Dial = Callable[[int], Leg]
"""Makes the leg for one attempt; the argument counts the attempts from 0."""


@dataclass(frozen=True, kw_only=True)
class Emitter:
    """One delivery to one pinned peer. ``address`` is what reports call the place that ``dial`` reaches."""

    identity: Identity
    peer: Peer
    address: str
    dial: Dial
    source: Source
    settings: Settings
    suite: Suite = CLASSIC
    stop: Stop
    report: events.Report = events.ignore

    def run(self) -> events.Delivered:
        """Deliver.

        Raises:
            TrustError: the listener is not the peer, or the peer does not trust us.
            UnreachableError: there was no session within ``settings.emit_wait`` seconds.
            SourceFault, PeerFault: one side's file or disk failed; the other was told.
            SessionError: the session was cut or tampered with.
            Interrupted: the stop was requested; the Receiver was told.
        """
        started = time.monotonic()
        leg, established = self._establish()
        try:
            delivered = self._deliver(leg, established, started)
        finally:
            leg.close()
        self.report(delivered)
        return delivered

    def _establish(self) -> tuple[Leg, Established]:
        """Try until there is a session, a definite no, or no time left."""
        deadline = None if self.settings.emit_wait is None else time.monotonic() + self.settings.emit_wait
        attempt = refusals = 0
        while True:
            link = None
            try:
                leg = self.dial(attempt)
                link = HandshakeLink(leg, self.settings, self.stop, self.report, deadline)
                return leg, self._attempt(link)
            except (ConnectFailed, GateBusy, LegClosed, HandshakeTimeout) as error:
                refused = link is not None and link.authenticated and isinstance(error, LegClosed)
                refusals = refusals + 1 if refused else 0
                if refusals == REFUSALS_BELIEVED:
                    raise RefusedByPeer(self.peer.name, self.identity.fingerprint) from error
                self._pause(attempt, deadline, str(error))
            attempt += 1

    def _attempt(self, link: HandshakeLink) -> Established:
        try:
            return establish_as_emitter(link, identity=self.identity, peer=self.peer, suite=self.suite)
        except (GateRefused, HandshakeError, FrameRefused) as error:
            link.leg.close()
            raise self._wrong_listener(error) from error
        except BaseException:
            link.leg.close()
            raise

    def _wrong_listener(self, error: SeloError) -> TrustError:
        return WrongListener(self.peer.name, self.address, str(error))

    def _pause(self, attempt: int, deadline: float | None, reason: str) -> None:
        """Wait before the next attempt: at random, so that two never keep meeting, and longer each time."""
        settings = self.settings
        longest = min(settings.retry_max, settings.retry_min * 2 ** min(attempt, 16))
        pause = random.uniform(settings.retry_min, max(settings.retry_min, longest))
        if deadline is not None and time.monotonic() + pause >= deadline:
            waited = settings.emit_wait or 0.0
            raise NotReached(self.peer.name, self.address, waited, reason, self.suite.name)
        self.report(events.Waiting(self.address, reason))
        self.stop.sleep(pause)

    def _deliver(self, leg: Leg, established: Established, started: float) -> events.Delivered:
        offer = self.source.offer
        throttle = events.Throttle(self.report)
        reader = Reader(self.source, record_size=self.settings.record_size, wake=leg.wake)
        outgoing = Outgoing(
            offer,
            reader,
            limits=established.limits,
            record_size=self.settings.record_size,
            on_progress=lambda done: throttle.progress(done, offer.size),
        )
        session = Session(leg, established, settings=self.settings, stop=self.stop)
        try:
            self.report(events.Opened.of(offer, "to", self.peer.name))
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
