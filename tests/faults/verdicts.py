"""What may become of a session that was attacked, and what never."""

from __future__ import annotations

import pytest

from selo.agents import events
from selo.agents.errors import DeliveryCut
from selo.crypto.errors import HandshakeError, RecordError
from selo.crypto.established import Role
from selo.errors import SeloError
from selo.transport.base import FrameRefused, LegClosed

from .stage import Outcome, Stage, settings_for
from .tap import BACK, DATA, FORTH, HANDSHAKE, RECORDS, Strike, Wire

RECEIPT = len(RECORDS[BACK]) - 1
CONFIRMATION = len(RECORDS[FORTH]) - 1
FINAL = RECORDS[FORTH].index("FINAL")
STATEMENT = RECORDS[BACK].index("DATA statement")

Place = tuple[int, int]


def places_of(frames: dict[int, list[str]]) -> list[object]:
    """Every frame of both directions, as parameters of a test."""
    ways = {FORTH: "E to R", BACK: "R to E"}
    return [
        pytest.param((direction, number), id=f"{name}, {ways[direction]}")
        for direction, names in frames.items()
        for number, name in enumerate(names)
    ]


def honest(outcome: Outcome) -> None:
    """Both sides succeeded, and truly."""
    assert isinstance(outcome.emitter, events.Delivered), outcome.emitter
    assert isinstance(outcome.receiver, events.Delivered), outcome.receiver
    truthful(outcome)


def truthful(outcome: Outcome) -> None:
    """Whoever speaks of success is right, and nothing that was not sent reached the sink in any case."""
    assert DATA.startswith(outcome.received)
    if isinstance(outcome.emitter, events.Delivered):
        assert isinstance(outcome.receiver, events.Delivered)
        assert outcome.emitter.blake3 == outcome.receiver.blake3
    if isinstance(outcome.receiver, events.Delivered):
        assert outcome.received == DATA
    assert outcome.stored == isinstance(outcome.receiver, events.Delivered)


def cause(side: events.Delivered | SeloError) -> BaseException | None:
    """Why a side's session was cut."""
    return side.cause if isinstance(side, DeliveryCut) else None


def refused_by(outcome: Outcome, role: Role, number: int) -> None:
    """The side that got record ``number`` of the other one refused it, by its tag, its place or its frame,
    before anything in it was looked at; and nobody succeeded who had not all that it takes.

    After FINAL the Receiver has all of it and stores it, and does not claim that its receipt arrived.
    """
    truthful(outcome)
    emitter, receiver = outcome.emitter, outcome.receiver
    if role is Role.EMITTER:
        assert isinstance(cause(emitter), RecordError | FrameRefused), emitter
        assert outcome.status(role) == 4
        assert emitter.outcome_unknown == outcome.wire.final_left
        assert isinstance(receiver, events.Delivered) == outcome.wire.final_left
    elif number <= FINAL:
        assert isinstance(cause(receiver), RecordError | FrameRefused), receiver
        assert isinstance(cause(emitter), LegClosed), emitter
        assert outcome.status(Role.EMITTER) == outcome.status(role) == 4
    else:
        assert isinstance(emitter, events.Delivered) == outcome.wire.receipt_left
    if isinstance(receiver, events.Delivered):
        assert receiver.receipt == "not sent"


def addressee(direction: int) -> Role:
    """The side that frames of a direction are for."""
    return Role.RECEIVER if direction == FORTH else Role.EMITTER


def attack(stage: Stage, place: Place, strike: Strike, **changes: float) -> Outcome:
    """A session from its OPEN on with one blow; it was dealt."""
    outcome = stage.records(Wire(place, strike), settings_for(**changes))
    assert outcome.wire.struck
    return outcome


def attack_whole(stage: Stage, place: Place, strike: Strike, **changes: float) -> Outcome:
    """A session from its M1 on with one blow; it was dealt."""
    outcome = stage.whole(Wire(place, strike), settings_for(**changes))
    assert outcome.wire.struck
    return outcome


def no_session(outcome: Outcome) -> None:
    """The handshake failed on one side by a check, and on the other too; nothing was said of a delivery."""
    truthful(outcome)
    ends = [outcome.emitter, outcome.receiver]
    assert all(isinstance(end, SeloError) and end.exit_status for end in ends)
    assert any(isinstance(cause(end) or end, HandshakeError | FrameRefused) for end in ends), ends
    assert outcome.received == b""


def length_of(recorded: Wire, place: Place, *, handshake: bool = False) -> int:
    """Bytes of the frame at a place: the same in every session."""
    direction, number = place
    return len(recorded.sent[direction][number + (0 if handshake else len(HANDSHAKE[direction]))])
