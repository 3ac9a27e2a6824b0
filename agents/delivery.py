"""The bookkeeping of one direction's DATA: what is in flight, what is consumed. Pure.

Both windows count DATA records and their plaintext bytes (docs/PROTOCOL.md,
sections 6 and 9); other records pass freely.
"""

from __future__ import annotations

from collections import deque

from selo.agents.bodies import Ack
from selo.agents.errors import PeerMisbehaved
from selo.crypto.handshake import SessionLimits


class SendWindow:
    """What we sent and the other side has not consumed yet."""

    def __init__(self, limits: SessionLimits) -> None:
        self._limits = limits
        self._flight: deque[tuple[int, int]] = deque()
        self._flight_bytes = 0
        self._next_seq = 0
        self._durable = 0
        self.sent_bytes = 0
        """Bytes of DATA sent."""
        self.sent_records = 0
        """DATA records sent."""

    @property
    def acknowledged_seq(self) -> int:
        """Every record of ours with a lower number was consumed."""
        return self._next_seq

    @property
    def acknowledged_bytes(self) -> int:
        """Bytes of DATA that the other side's sink consumed."""
        return self.sent_bytes - self._flight_bytes

    def has_room(self, length: int) -> bool:
        """Whether a DATA record of ``length`` bytes may leave now.

        Asked for whole records only: filling the last gap of a window with a small one would
        keep making small ones.
        """
        return (
            len(self._flight) < self._limits.window_records
            and self._flight_bytes + length <= self._limits.window_bytes
        )

    def sent(self, seq: int, length: int) -> None:
        """A DATA record left."""
        self._flight.append((seq, length))
        self._flight_bytes += length
        self.sent_bytes += length
        self.sent_records += 1

    def acknowledge(self, ack: Ack, *, sealed: int) -> None:
        """The other side says what it consumed; ``sealed`` is the number of our next record.

        Raises:
            PeerMisbehaved: it goes back, or claims what was never sent.
        """
        if not self._next_seq <= ack.next_seq <= sealed:
            raise PeerMisbehaved("ACK goes back or claims records that were never sent")
        if not self._durable <= ack.durable_bytes <= self.sent_bytes:
            raise PeerMisbehaved("ACK goes back or claims bytes that were never sent")
        self._next_seq, self._durable = ack.next_seq, ack.durable_bytes
        while self._flight and self._flight[0][0] < ack.next_seq:
            self._flight_bytes -= self._flight.popleft()[1]


SMALLEST_PACED = 1 << 16
"""Bytes of the records that a delivery begins with: at 6.5 kB/s one still passes within ten seconds."""

PACED_SECONDS = 1.0
"""How long a record may take on its way: well within the idle limit, which only whole records restart."""


class Pace:
    """How large the next record may be, so that a slow link is not taken for a dead one.

    Records grow from ``SMALLEST_PACED`` bytes to ``largest`` as ACKs show what the link carries.
    """

    def __init__(self, largest: int, *, started: float) -> None:
        self._largest = largest
        self._started = started
        self.record_size = min(largest, SMALLEST_PACED)
        """Bytes."""

    def again(self, now: float) -> Pace:
        """The same, begun at ``now``: what went before was no sending."""
        return Pace(self._largest, started=now)

    def acknowledged(self, total: int, *, now: float) -> None:
        """``total`` bytes have been consumed by the other side at the time ``now`` (seconds)."""
        rate = total / max(now - self._started, 1e-3)
        self.record_size = max(
            min(self._largest, SMALLEST_PACED), min(self._largest, int(rate * PACED_SECONDS))
        )


class ReceiveWindow:
    """What arrived and our sink has not consumed yet."""

    def __init__(self, limits: SessionLimits) -> None:
        self._limits = limits
        self._backlog: deque[tuple[int, int]] = deque()
        self._backlog_bytes = 0
        self._consumed = 0
        self._unsaid_records = 0
        self._unsaid_bytes = 0
        self.arrived_bytes = 0
        """Bytes of DATA that arrived."""

    def arrived(self, seq: int, length: int) -> None:
        """A DATA record authenticated.

        Raises:
            PeerMisbehaved: it is more than we granted.
        """
        self._backlog.append((seq, length))
        self._backlog_bytes += length
        self.arrived_bytes += length
        # What is consumed but not yet acknowledged still counts: the sender cannot know of it.
        if len(self._backlog) + self._unsaid_records > self._limits.window_records:
            raise PeerMisbehaved("more records than the window grants")
        if self._backlog_bytes + self._unsaid_bytes > self._limits.window_bytes:
            raise PeerMisbehaved("more bytes than the window grants")

    def consumed(self, total_records: int) -> None:
        """The sink has consumed ``total_records`` DATA records since the start."""
        while self._consumed < total_records:
            _, length = self._backlog.popleft()
            self._consumed += 1
            self._backlog_bytes -= length
            self._unsaid_records += 1
            self._unsaid_bytes += length

    @property
    def ack_is_due(self) -> bool:
        """Whether the other side should hear of it: a quarter of a window, or all there is."""
        if not self._unsaid_records:
            return False
        return (
            not self._backlog
            or self._unsaid_records * 4 >= self._limits.window_records
            or self._unsaid_bytes * 4 >= self._limits.window_bytes
        )

    def ack(self, next_seq: int) -> Ack:
        """The ACK that says all that is consumed; ``next_seq`` is the next record expected.

        ``durable_bytes`` stays 0: nothing is synced before the end, and the RECEIPT says that.
        """
        self._unsaid_records = self._unsaid_bytes = 0
        return Ack(self._backlog[0][0] if self._backlog else next_seq, 0)
