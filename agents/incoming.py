"""The Receiver's half of a delivery: OPEN, DATA to the sink, FINAL, and the RECEIPT once it is stored."""

from __future__ import annotations

import time
from collections.abc import Callable

from selo.agents.bodies import Kind, Offer
from selo.agents.delivery import ReceiveWindow
from selo.agents.errors import PeerMisbehaved, WrongKind
from selo.agents.session import Session
from selo.agents.workers import Writer
from selo.crypto.handshake import SessionLimits
from selo.crypto.records import Record, RecordType, Totals


class Incoming:
    """Takes one delivery; done when its RECEIPT was sealed."""

    accepts = frozenset({RecordType.OPEN, RecordType.DATA, RecordType.FINAL})

    def __init__(
        self,
        writer: Writer,
        *,
        limits: SessionLimits,
        open_by: float,
        on_open: Callable[[Offer], None],
        on_progress: Callable[[int], None],
    ) -> None:
        self._writer = writer
        self._open_by = open_by
        self._on_open = on_open
        self._on_progress = on_progress
        self.offer: Offer | None = None
        self.totals: Totals | None = None
        self.window = ReceiveWindow(limits)
        self.done = False

    @property
    def must_finish(self) -> bool:
        """Whether FINAL verified: the delivery is whole, and all that is left to do is to store it."""
        return self.totals is not None

    def advance(self, session: Session) -> bool:
        if self.offer is None and time.monotonic() > self._open_by:
            raise PeerMisbehaved("no OPEN came in time")
        if self._writer.failure is not None:
            raise self._writer.failure
        self.window.consumed(self._writer.consumed_records)
        if self._writer.stored:
            session.send(RecordType.RECEIPT, session.receipt(self._writer.digest))
            self.done = True
        elif self.window.ack_is_due and session.can_send:
            session.send(RecordType.ACK, self.window.ack(session.expected_seq).pack())
            self._on_progress(self._writer.consumed_bytes)
        return False

    def receive(self, record: Record, session: Session) -> None:
        # The order of OPEN, DATA and FINAL within their direction was checked by the opener.
        if record.type is RecordType.OPEN:
            offer = Offer.unpack(record.plaintext)
            if offer.kind is Kind.CONVERSATION:
                raise WrongKind("a conversation", "a delivery")
            self.offer = offer
            self._on_open(self.offer)
            self._writer.open(self.offer)
        elif record.type is RecordType.DATA:
            self.window.arrived(record.seq, len(record.plaintext))
            self._check_size(whole=False)
            self._writer.put(record.plaintext)
        else:
            self._check_size(whole=True)
            self.totals = Totals.unpack(record.plaintext)
            self._writer.finish(self.totals.digest)

    def _check_size(self, *, whole: bool) -> None:
        """A file is as long as its OPEN said: the room for it was looked at, and its name may mean a length.

        A stream's size is only information.
        """
        offer, arrived = self.offer, self.window.arrived_bytes
        if offer is None or offer.kind is not Kind.FILE or offer.size is None:
            return
        if arrived > offer.size or (whole and arrived != offer.size):
            raise PeerMisbehaved(f"a file of {offer.size:,} bytes came with {arrived:,}")
