"""Mallory on the wire changes frames: no byte and no length of any frame of a session can be another.

``test_adversary_frames.py`` has whole frames that are lost, doubled, swapped, replayed and reflected.
"""

from __future__ import annotations

import pytest

from .stage import IMPATIENT, LockStep, Stage, settings_for
from .tap import BACK, FORTH, HANDSHAKE, PING, RECORDS, WHOLE, Wire, alter, cut, double, drop, extend
from .verdicts import (
    FINAL,
    Place,
    addressee,
    attack,
    attack_whole,
    honest,
    length_of,
    no_session,
    places_of,
    refused_by,
)

each_record = pytest.mark.parametrize("place", places_of(RECORDS))
each_handshake_message = pytest.mark.parametrize("place", places_of(HANDSHAKE))


@pytest.fixture(scope="module")
def stage() -> Stage:
    """Two identities, and their handshake."""
    return Stage()


@pytest.fixture(scope="module")
def recorded(stage: Stage) -> Wire:
    """An earlier session of the same two, all of it."""
    wire = Wire()
    honest(stage.whole(wire, settings_for()))
    return wire


# The session as it is


def test_session_in_lock_step_has_the_same_frames_each_time(stage: Stage, recorded: Wire) -> None:
    """What the tests here call places are places: names, number and lengths agree with what is sent."""
    wire = Wire()
    honest(stage.records(wire, settings_for()))
    for direction in (FORTH, BACK):
        lengths = [len(frame) for frame in recorded.sent[direction]]
        assert len(lengths) == len(WHOLE[direction])
        assert lengths[len(HANDSHAKE[direction]) :] == [len(frame) for frame in wire.sent[direction]]


# One frame, changed


@each_record
def test_security_every_byte_of_every_record(stage: Stage, recorded: Wire, place: Place) -> None:
    """One bit of any byte, the framing's too: refused by whom it reaches."""
    for position in range(length_of(recorded, place)):
        outcome = attack(stage, place, alter(position, 1 << position % 8))
        refused_by(outcome, addressee(place[0]), place[1])


@each_record
def test_security_every_length_of_every_record(stage: Stage, recorded: Wire, place: Place) -> None:
    """Cut to any length, none included, or one byte longer: refused by whom it reaches."""
    for strike in [*map(cut, range(length_of(recorded, place))), extend(b"\0"), extend(b"\xff")]:
        refused_by(attack(stage, place, strike), addressee(place[0]), place[1])


@pytest.mark.parametrize("direction", [FORTH, BACK], ids=["E to R", "R to E"])
def test_security_every_byte_of_a_ping(stage: Stage, direction: int) -> None:
    """A PING is a record: changed in any byte, of any length, lost or doubled, it ends the session."""
    length = 4 + 16 + 2 + 32
    strikes = [alter(position, 1 << position % 8) for position in range(length)]
    strikes += [*map(cut, range(length)), extend(b"\0"), drop, double]
    for strike in strikes:
        wire = Wire((direction, PING), strike)
        outcome = stage.records(wire, settings_for(**IMPATIENT, close_grace=0.1), source=LockStep())
        assert wire.struck
        refused_by(outcome, addressee(direction), FINAL)


def handshake_positions(length: int) -> list[int]:
    """All of a short message; of a long one the framing, the fields, and some of the public value."""
    if length < 200:
        return list(range(length))
    return [*range(50), *range(50, length - 170, 17), *range(length - 170, length, 3), length - 1]


@each_handshake_message
def test_security_bytes_of_handshake_messages(stage: Stage, recorded: Wire, place: Place) -> None:
    """One bit of a byte: no session, on either side."""
    for position in handshake_positions(length_of(recorded, place, handshake=True)):
        no_session(attack_whole(stage, place, alter(position, 1 << position % 8)))


@each_handshake_message
def test_security_lengths_of_handshake_messages(stage: Stage, recorded: Wire, place: Place) -> None:
    """Cut, or one byte longer: no session, on either side."""
    length = length_of(recorded, place, handshake=True)
    lengths = (
        range(length) if length < 200 else [0, 1, 2, 3, 4, 5, 6, 7, 8, length // 2, length - 33, length - 1]
    )
    for strike in [*map(cut, lengths), extend(b"\0")]:
        no_session(attack_whole(stage, place, strike))


@pytest.mark.slow
@each_record
def test_security_every_bit_of_every_record(stage: Stage, recorded: Wire, place: Place) -> None:
    """Any single bit, and any whole byte turned over."""
    for position in range(length_of(recorded, place)):
        for mask in (*(1 << bit for bit in range(8)), 0xFF):
            refused_by(attack(stage, place, alter(position, mask)), addressee(place[0]), place[1])


@pytest.mark.slow
@each_handshake_message
def test_security_every_byte_and_length_of_handshake_messages(
    stage: Stage, recorded: Wire, place: Place
) -> None:
    """All positions, two ways each, and all lengths."""
    length = length_of(recorded, place, handshake=True)
    strikes = [alter(position, mask) for position in range(length) for mask in (1 << position % 8, 0xFF)]
    for strike in [*strikes, *map(cut, range(length))]:
        no_session(attack_whole(stage, place, strike))
