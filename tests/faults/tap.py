"""The wire between two ends in memory, and what Mallory does to one frame that passes over it.

A session is driven in lock step (``stage.py``), so every run has the same frames in the same order: a place
on the wire is a direction and a number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from selo.agents.routes import FRAME_MAX
from selo.crypto.records import RecordType
from selo.transport import memory_pair

FORTH, BACK = 0, 1
"""The directions of a tap: from the Emitter to the Receiver, and back."""

RECORD = 16
PIECES = 6
DATA = bytes(range(1, 1 + RECORD * PIECES))
"""What is delivered: six records, each with other bytes."""

PING = -1
"""The place of a direction's first PING; others have none, for nobody knows when they come."""

_TYPE_AT = 8
"""Where a record's frame shows its type."""

HANDSHAKE = {FORTH: ["M1", "M3"], BACK: ["M2", "M4"]}
RECORDS = {
    FORTH: ["OPEN", "ACK place", *(f"DATA {n}" for n in range(1, PIECES + 1)), "FINAL", "ACK receipt"],
    BACK: ["OPEN answer", *(f"ACK {n}" for n in range(1, PIECES + 1)), "DATA statement", "RECEIPT"],
}
"""The frames of a session in lock step, PING aside, in the order in which each direction sends them."""


WHOLE = {direction: HANDSHAKE[direction] + RECORDS[direction] for direction in (FORTH, BACK)}
"""The frames of a session from its M1 on."""

_PLACE, _FIRST_ACK = 3, 3
_FINAL = _PLACE + PIECES + 1
_STATEMENT = _FIRST_ACK + PIECES
ORDER = [
    *((direction, number) for number in range(_PLACE) for direction in (FORTH, BACK)),
    (FORTH, _PLACE),
    *(place for n in range(PIECES) for place in ((FORTH, _PLACE + 1 + n), (BACK, _FIRST_ACK + n))),
    *((FORTH, _FINAL), (BACK, _STATEMENT), (BACK, _STATEMENT + 1), (FORTH, _FINAL + 1)),
]
"""The places of a whole session in the order in which its frames are sent."""


@dataclass
class Wire:
    """Both ends of a connection, and all that was sent over it; PING passes and is not counted.

    ``strike`` is shown the frame whose place is ``at`` (a direction and a number in it), and gives what is
    delivered instead. What is put into ``held`` follows the next frame of that direction.
    """

    at: tuple[int, int] | None = None
    strike: Strike | None = None
    sent: tuple[list[bytes], list[bytes]] = field(default_factory=lambda: ([], []))
    held: list[bytes] = field(default_factory=list)
    on_frame: Callable[[int, int], None] = lambda _direction, _number: None
    struck: bool = False
    used: bool = False
    _passing: bool = False

    def __post_init__(self) -> None:
        self.near, self.far = memory_pair(max_frame=FRAME_MAX, tap=self._tap)

    def give(self, direction: int, frame: bytes) -> None:
        """Let a frame arrive at once, as if it came in that direction."""
        self._passing = True
        (self.near if direction == FORTH else self.far).try_send(frame)
        self._passing = False

    def hang_up(self, direction: int) -> None:
        """Close the end whose frames go in that direction: the other one may read what has arrived."""
        (self.near if direction == FORTH else self.far).close()

    @property
    def final_left(self) -> bool:
        """Whether the Emitter has sent its FINAL."""
        return any(kind_of(frame) == RecordType.FINAL for frame in self.sent[FORTH])

    @property
    def receipt_left(self) -> bool:
        """Whether the Receiver has sent its RECEIPT."""
        return any(kind_of(frame) == RecordType.RECEIPT for frame in self.sent[BACK])

    def _tap(self, direction: int, frame: bytes) -> Sequence[bytes]:
        if self._passing:
            return [frame]
        if kind_of(frame) == RecordType.PING:
            number = PING
        else:
            number = len(self.sent[direction])
            self.sent[direction].append(frame)
            self.on_frame(direction, number)
        if not self.struck and (direction, number) == self.at and self.strike is not None:
            self.struck = True
            return self.strike(self, frame)
        if self.held and self.at is not None and direction == self.at[0]:
            late, self.held = self.held, []
            return [frame, *late]
        return [frame]


Strike = Callable[[Wire, bytes], Sequence[bytes]]
"""What Mallory does to one frame."""


def drop(_wire: Wire, _frame: bytes) -> Sequence[bytes]:
    """It never comes."""
    return []


def double(_wire: Wire, frame: bytes) -> Sequence[bytes]:
    """It comes twice."""
    return [frame, frame]


def swap(wire: Wire, frame: bytes) -> Sequence[bytes]:
    """It comes after its neighbour."""
    wire.held.append(frame)
    return []


def alter(position: int, mask: int) -> Strike:
    """Bits of one byte are turned over."""

    def strike(_wire: Wire, frame: bytes) -> Sequence[bytes]:
        altered = bytearray(frame)
        altered[position] ^= mask
        return [bytes(altered)]

    return strike


def cut(length: int) -> Strike:
    """Only so many bytes of it come."""
    return lambda _wire, frame: [frame[:length]]


def extend(more: bytes) -> Strike:
    """More comes than was sent."""
    return lambda _wire, frame: [frame + more]


def before(other: bytes) -> Strike:
    """Another frame comes first."""
    return lambda _wire, frame: [other, frame]


def instead(other: bytes) -> Strike:
    """Another frame comes."""
    return lambda _wire, _frame: [other]


def replay(direction: int, number: int) -> Strike:
    """An earlier frame of the same session comes again first."""
    return lambda wire, frame: [wire.sent[direction][number], frame]


def reflect(direction: int, *, as_well: bool) -> Strike:
    """It comes back to its sender, and ``as_well`` to whom it is for."""

    def strike(wire: Wire, frame: bytes) -> Sequence[bytes]:
        wire.give(BACK if direction == FORTH else FORTH, frame)
        return [frame] if as_well else []

    return strike


def hang_up(direction: int) -> Strike:
    """It comes, and is the last one: its sender loses the connection with it, the other side after it."""

    def strike(wire: Wire, frame: bytes) -> Sequence[bytes]:
        wire.give(direction, frame)
        wire.hang_up(direction)
        return []

    return strike


def kind_of(frame: bytes) -> int | None:
    """The type of a record that a side sent; None in the handshake."""
    return frame[_TYPE_AT] if frame[1] == 1 else None
