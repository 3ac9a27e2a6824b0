"""Which record may follow which in one direction (docs/PROTOCOL.md, section 10).

The rules here need to know one direction alone. Whether an ACK or a RECEIPT
answers something is known to the session, which sees both.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Final

from selo.crypto.limits import ACK_LENGTH, MAX_PLAINTEXT, STRUCTURED_BODY_MAX, TOTALS_LENGTH


class RecordType(IntEnum):
    """The types of section 8, as they stand in the header."""

    HANDSHAKE = 1
    OPEN = 2
    DATA = 3
    ACK = 4
    PING = 5
    FINAL = 6
    RECEIPT = 7
    ABORT = 8


class StreamState(Enum):
    """How far the stream of one direction has come."""

    IDLE = "idle"
    OPEN = "open"
    FINAL = "final"
    ABORTED = "aborted"


_LIVE: Final = (StreamState.IDLE, StreamState.OPEN, StreamState.FINAL)

NEXT: Final[dict[StreamState, dict[int, StreamState]]] = {
    state: {
        RecordType.ACK: state,
        RecordType.RECEIPT: state,
        RecordType.PING: state,
        RecordType.ABORT: StreamState.ABORTED,
    }
    for state in _LIVE
}
"""The state that a record leads to; a type that is missing is refused in that state."""

NEXT[StreamState.IDLE][RecordType.OPEN] = StreamState.OPEN
NEXT[StreamState.OPEN][RecordType.DATA] = StreamState.OPEN
NEXT[StreamState.OPEN][RecordType.FINAL] = StreamState.FINAL
NEXT[StreamState.ABORTED] = {}

PLAINTEXT_LENGTHS: Final[dict[int, tuple[int, int]]] = {
    RecordType.OPEN: (1, STRUCTURED_BODY_MAX),
    RecordType.DATA: (1, MAX_PLAINTEXT),
    RecordType.ACK: (ACK_LENGTH, ACK_LENGTH),
    RecordType.PING: (0, 0),
    RecordType.FINAL: (TOTALS_LENGTH, TOTALS_LENGTH),
    RecordType.RECEIPT: (TOTALS_LENGTH, TOTALS_LENGTH),
    RecordType.ABORT: (1, STRUCTURED_BODY_MAX),
}
"""The fewest and the most bytes of plaintext of each type; a session's max_plaintext comes on top."""


class StreamRules:
    """The state of one direction, and what may come next in it."""

    def __init__(self) -> None:
        self.state = StreamState.IDLE
        self._receipted = False

    def allows(self, record_type: int) -> bool:
        """Whether a record of this type may come next; changes nothing."""
        if self._receipted and record_type in (RecordType.ACK, RecordType.RECEIPT):
            return False
        return record_type in NEXT[self.state]

    def advance(self, record_type: int) -> None:
        """Take note of an allowed record, sealed or opened."""
        self.state = NEXT[self.state][record_type]
        if record_type == RecordType.RECEIPT:
            self._receipted = True


def fits(record_type: int, length: int) -> bool:
    """Whether a record of this type may carry ``length`` bytes of plaintext."""
    fewest, most = PLAINTEXT_LENGTHS[record_type]
    return fewest <= length <= most
