"""Every limit that an operator may move: name, default, unit, range and reason.

Limits of the protocol itself, which nobody may move, live in ``crypto/limits.py``.
The numbers are those of docs/PROTOCOL.md, sections 5, 11 and 13.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Unit(Enum):
    """What a limit counts."""

    SECONDS = "seconds"
    BYTES = "bytes"
    RECORDS = "records"


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One limit. ``low`` and ``high`` are the ends of its range, both legal.

    ``default`` None means "without end", legal only where ``endless`` is set.
    """

    name: str
    default: float | None
    unit: Unit
    low: float
    high: float
    reason: str
    endless: bool = False


# A day: longer waits are `forever`, and every sum of two limits stays exact.
_DAY: Final = 86_400.0

RECORD_SIZE: Final = Limit(
    name="record_size",
    default=1 << 20,
    unit=Unit.BYTES,
    low=32,
    high=1 << 20,
    reason="plaintext of one DATA record: large ones cost least per byte, and 1 MiB bounds what a peer "
    "can make us hold before its tag verified; a Receiver grants at least 4096 whatever this says",
)
WINDOW_BYTES: Final = Limit(
    name="window_bytes",
    default=16 << 20,
    unit=Unit.BYTES,
    low=4096,
    high=1 << 30,
    reason="data on its way and not yet acknowledged: 16 MiB keeps 1 Gbit/s full over 130 ms, "
    "and is the memory that one session may cost; 1 GiB keeps 10 Gbit/s full over 850 ms: no path needs more",
)
WINDOW_RECORDS: Final = Limit(
    name="window_records",
    default=4096,
    unit=Unit.RECORDS,
    low=1,
    high=1 << 20,
    reason="the same for many small records, whose cost is per record",
)
FIRST_MESSAGE_DEADLINE: Final = Limit(
    name="first_message_deadline",
    default=2.0,
    unit=Unit.SECONDS,
    low=0.1,
    high=60.0,
    reason="from admission to M1: a peer that was let in has it ready, and holds the one place until then",
)
HANDSHAKE_DEADLINE: Final = Limit(
    name="handshake_deadline",
    default=5.0,
    unit=Unit.SECONDS,
    low=0.1,
    high=300.0,
    reason="from admission (or our connection) to the end of the handshake: two round trips, some arithmetic",
)
PING_INTERVAL: Final = Limit(
    name="ping_interval",
    default=2.0,
    unit=Unit.SECONDS,
    low=0.05,
    high=3600.0,
    reason="silence of ours after which we send PING: several fit into the peer's idle limit",
)
IDLE_LIMIT: Final = Limit(
    name="idle_limit",
    default=10.0,
    unit=Unit.SECONDS,
    low=0.1,
    high=_DAY,
    reason="silence of the peer after which it is lost: five pings of a peer with default settings; at least "
    "two of a peer with ours, or one that is late would end a session in which nothing is wrong",
)
CLOSE_GRACE: Final = Limit(
    name="close_grace",
    default=2.0,
    unit=Unit.SECONDS,
    low=0.1,
    high=60.0,
    reason="how long a Receiver waits for the Emitter's close after RECEIPT: closing first could destroy it, "
    "and less than a round trip is no wait at all",
)
EMIT_WAIT: Final = Limit(
    name="emit_wait",
    default=30.0,
    unit=Unit.SECONDS,
    low=0.0,
    high=_DAY,
    endless=True,
    reason="how long `emit` keeps trying: the other side may be started a moment later",
)
RECEIVE_WAIT: Final = Limit(
    name="receive_wait",
    default=None,
    unit=Unit.SECONDS,
    low=0.0,
    high=_DAY,
    endless=True,
    reason="how long `receive` waits for its delivery: it is a service until it has one",
)
RETRY_MIN: Final = Limit(
    name="retry_min",
    default=0.05,
    unit=Unit.SECONDS,
    low=0.001,
    high=60.0,
    reason="the pause after the first failed attempt to connect; it doubles",
)
RETRY_MAX: Final = Limit(
    name="retry_max",
    default=2.0,
    unit=Unit.SECONDS,
    low=0.001,
    high=3600.0,
    reason="the longest pause between attempts: nobody waits long for a Receiver that has just come",
)
MESSAGE_MAX: Final = Limit(
    name="message_max",
    default=16 << 20,
    unit=Unit.BYTES,
    low=1,
    high=1 << 30,
    reason="the longest message that a conversation takes: it is held in memory until it is whole",
)
HOLD_LIMIT: Final = Limit(
    name="hold_limit",
    default=16 << 30,
    unit=Unit.BYTES,
    low=1,
    high=1 << 44,
    reason="the disk that one held delivery may take: its length may be unknown until it ends",
)

LIMITS: Final[dict[str, Limit]] = {
    limit.name: limit
    for limit in (
        RECORD_SIZE,
        WINDOW_BYTES,
        WINDOW_RECORDS,
        FIRST_MESSAGE_DEADLINE,
        HANDSHAKE_DEADLINE,
        PING_INTERVAL,
        IDLE_LIMIT,
        CLOSE_GRACE,
        EMIT_WAIT,
        RECEIVE_WAIT,
        RETRY_MIN,
        RETRY_MAX,
        MESSAGE_MAX,
        HOLD_LIMIT,
    )
}

RECEIVE_ADDRESS: Final = "tcp://127.0.0.1:7800"
"""Where `receive` listens: this machine alone; listening to others is said explicitly."""
