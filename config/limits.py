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
    ITEMS = "items"
    RATE = "bytes per second"


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
# No disk that one delivery goes to is larger.
_PEBIBYTE: Final = 1 << 50
_RATES: Final = (1000, 100 * 10**9)

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

RETRY_FOR: Final = Limit(
    name="retry_for",
    default=600.0,
    unit=Unit.SECONDS,
    low=0.0,
    high=30 * _DAY,
    endless=True,
    reason="how long after a cut `emit` tries to go on where it was: a line that is down for minutes comes "
    "back; 0 never tries again",
)
RESUME_BUFFER: Final = Limit(
    name="resume_buffer",
    default=32 << 20,
    unit=Unit.BYTES,
    low=0,
    high=1 << 30,
    reason="what `emit` keeps of a stream to send it again after a cut, for nobody can read a pipe twice: "
    "more than a window, which is what can be under way; with less than that few cuts can be mended",
)
RESUME_WINDOW: Final = Limit(
    name="resume_window",
    default=900.0,
    unit=Unit.SECONDS,
    low=0.0,
    high=30 * _DAY,
    reason="how long `receive` waits for the rest of a delivery that was cut: longer than an Emitter tries "
    "by default; with 0 it is given up at once, and nothing of it is kept",
)
KEEP_PARTIAL: Final = Limit(
    name="keep_partial",
    default=7 * _DAY,
    unit=Unit.SECONDS,
    low=0.0,
    high=365 * _DAY,
    reason="how long the part of a delivery that was cut stays on disk for a later run to go on from: over a "
    "weekend; a `receive` that starts removes what is older, and `emit` forgets what it did not finish",
)
EMIT_RATE: Final = Limit(
    name="emit_rate",
    default=None,
    unit=Unit.RATE,
    low=_RATES[0],
    high=_RATES[1],
    endless=True,
    reason="how fast `emit` sends: slower leaves a line to others; below 1 kB/s a record takes too long",
)
RECEIVE_RATE: Final = Limit(
    name="receive_rate",
    default=None,
    unit=Unit.RATE,
    low=_RATES[0],
    high=_RATES[1],
    endless=True,
    reason="how fast `receive` takes what is sent: slower leaves line and disk to others; the Emitter adapts",
)
RECEIVE_MAX_BYTES: Final = Limit(
    name="receive_max_bytes",
    default=None,
    unit=Unit.BYTES,
    low=1,
    high=_PEBIBYTE,
    endless=True,
    reason="the largest delivery that is taken: what announces more is refused before it is sent, what turns "
    "out to be more is cut off",
)
RECEIVE_MAX_ITEMS: Final = Limit(
    name="receive_max_items",
    default=None,
    unit=Unit.ITEMS,
    low=1,
    high=10**9,
    endless=True,
    reason="the most files, folders and links that one delivery may have: each takes an inode, however small",
)
RECEIVE_KEEP_FREE: Final = Limit(
    name="receive_keep_free",
    default=0,
    unit=Unit.BYTES,
    low=0,
    high=_PEBIBYTE,
    reason="what a delivery must leave free on the disk that it goes to: others write there too",
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
        RETRY_FOR,
        RESUME_BUFFER,
        RESUME_WINDOW,
        KEEP_PARTIAL,
        EMIT_RATE,
        RECEIVE_RATE,
        RECEIVE_MAX_BYTES,
        RECEIVE_MAX_ITEMS,
        RECEIVE_KEEP_FREE,
    )
}

RECEIVE_ADDRESS: Final = "tcp://127.0.0.1:7800"
"""Where `receive` listens: this machine alone; listening to others is said explicitly."""
