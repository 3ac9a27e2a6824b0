"""Mallory on the wire moves whole frames: lost, doubled, swapped, replayed, reflected ones are all noticed.

And where a delivery may be taken up again, it succeeds exactly, in a session that has nothing of the first.
"""

from __future__ import annotations

import pytest

from selo.agents import events
from selo.agents.sources import BytesSource
from selo.crypto.errors import RecordError
from selo.crypto.established import Role
from selo.errors import SeloError
from selo.transport.base import FrameRefused

from .stage import IMPATIENT, PATIENCE, OneHandshake, Playback, Stage, Switchboard, settings_for
from .tap import (
    BACK,
    DATA,
    FORTH,
    HANDSHAKE,
    ORDER,
    RECORDS,
    WHOLE,
    Strike,
    Wire,
    alter,
    before,
    cut,
    double,
    drop,
    extend,
    hang_up,
    instead,
    reflect,
    replay,
    swap,
)
from .verdicts import (
    CONFIRMATION,
    FINAL,
    RECEIPT,
    STATEMENT,
    Place,
    addressee,
    attack,
    attack_whole,
    cause,
    honest,
    no_session,
    places_of,
    refused_by,
    truthful,
)

LAST = {(FORTH, CONFIRMATION), (BACK, RECEIPT)}
"""What nobody reads on after: a second copy of them says nothing to anybody."""

each_record = pytest.mark.parametrize("place", places_of(RECORDS))
each_handshake_message = pytest.mark.parametrize("place", places_of(HANDSHAKE))
each_frame = pytest.mark.parametrize("place", places_of(WHOLE))


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


def record_at(place: Place) -> Place | None:
    """A place of a whole session as one among the records; None in the handshake."""
    direction, number = place
    after = number - len(HANDSHAKE[direction])
    return (direction, after) if after >= 0 else None


def attack_anywhere(stage: Stage, place: Place, strike: Strike, *, after: int = 0) -> None:
    """One blow at a place of a whole session: it is refused by whom the frame is for, or there is no session.

    ``after``: how many records of the session's own come through before what is refused.
    """
    outcome = attack_whole(stage, place, strike)
    record = record_at(place)
    if record is None:
        no_session(outcome)
    else:
        refused_by(outcome, addressee(place[0]), record[1] + after)


# Lost, doubled, swapped


@each_record
def test_security_a_record_that_is_lost_is_missed(stage: Stage, place: Place) -> None:
    """The next record is not the expected one, if it is only a PING; what comes after FINAL is not missed."""
    outcome = attack(stage, place, drop, **IMPATIENT)
    refused_by(outcome, addressee(place[0]), place[1])


@each_record
def test_security_a_record_that_comes_late_is_refused(stage: Stage, place: Place) -> None:
    """Swapped with its neighbour, or with a PING where it has none."""
    refused_by(attack(stage, place, swap, **IMPATIENT), addressee(place[0]), place[1])


@each_record
def test_security_a_link_that_is_lost_after_any_record(stage: Stage, place: Place) -> None:
    """The Emitter succeeds where it has the RECEIPT, were that the last thing it hears, and nowhere else; the
    Receiver where it has FINAL."""
    outcome = attack(stage, place, hang_up(place[0]))
    truthful(outcome)
    over = place in LAST
    assert isinstance(outcome.emitter, events.Delivered) == over, outcome.emitter
    assert isinstance(outcome.receiver, events.Delivered) == outcome.wire.final_left, outcome.receiver


@each_handshake_message
def test_security_a_handshake_message_that_is_lost_is_waited_for(stage: Stage, place: Place) -> None:
    """And not longer than the deadline says: no session, on either side."""
    outcome = attack_whole(stage, place, drop, **IMPATIENT)
    assert all(isinstance(end, SeloError) and end.exit_status for end in (outcome.emitter, outcome.receiver))
    assert outcome.received == b""


@each_frame
def test_security_a_frame_that_comes_twice_is_refused(stage: Stage, place: Place) -> None:
    """But for the last one of each direction, after which nobody reads."""
    record = record_at(place)
    if record in LAST:
        honest(attack(stage, record, double))
    else:
        attack_anywhere(stage, place, double, after=1)


@pytest.mark.parametrize("strike", [drop, double, swap], ids=["lost", "doubled", "swapped"])
@pytest.mark.parametrize("window", [2, 4, 64])
def test_security_records_that_follow_each_other_at_once(stage: Stage, window: int, strike: Strike) -> None:
    """The same to each record from the Emitter up to FINAL, with several of them under way."""
    settings = settings_for(**IMPATIENT, window_records=window)
    for number in range(FINAL + 1):
        wire = Wire((FORTH, number), strike)
        outcome = stage.records(wire, settings, source=BytesSource(DATA))
        assert wire.struck
        refused_by(outcome, Role.RECEIVER, number + (strike is double))


# Replayed


@each_frame
def test_security_every_earlier_frame_of_the_same_session(stage: Stage, place: Place) -> None:
    """Whatever was sent before, in either direction, comes again first."""
    for direction, number in ORDER[: ORDER.index(place)]:
        attack_anywhere(stage, place, replay(direction, number))


@each_frame
def test_security_every_frame_of_another_session(stage: Stage, recorded: Wire, place: Place) -> None:
    """Whatever the same two sent in an earlier session, in either direction, comes first, or instead."""
    record = record_at(place)
    for frame in recorded.sent[FORTH] + recorded.sent[BACK]:
        if record is None:
            no_session(attack_whole(stage, place, before(frame)))
        else:
            refused_by(attack(stage, record, before(frame)), addressee(place[0]), record[1])
    attack_anywhere(stage, place, instead(recorded.sent[place[0]][place[1]]))


@pytest.mark.parametrize("direction", [FORTH, BACK], ids=["E to R", "R to E"])
def test_security_a_whole_recorded_side(stage: Stage, recorded: Wire, direction: int) -> None:
    """Everything that one side once said, said again: the other one takes part in no session."""
    wire = Wire()
    emits, receives = OneHandshake(wire.near), OneHandshake(wire.far)
    if direction == FORTH:
        no_session(stage.run(wire, Playback(wire.near, recorded.sent[FORTH]), receives, settings_for()))
    else:
        no_session(stage.run(wire, emits, Playback(wire.far, recorded.sent[BACK]), settings_for()))


# Reflected


@pytest.mark.parametrize("as_well", [False, True], ids=["to the sender alone", "to both"])
@each_frame
def test_security_no_side_takes_its_own_frames(stage: Stage, place: Place, as_well: bool) -> None:
    """A frame that comes back to its sender is refused by it."""
    outcome = attack_whole(stage, place, reflect(place[0], as_well=as_well))
    record = record_at(place)
    if record is None:
        no_session(outcome)
        return
    truthful(outcome)
    if place[0] == FORTH:
        sender, over = outcome.emitter, record[1] == CONFIRMATION
    else:
        sender, over = outcome.receiver, record[1] >= STATEMENT
    if over:
        assert isinstance(sender, events.Delivered)
    else:
        assert isinstance(cause(sender), RecordError | FrameRefused), sender
    assert isinstance(outcome.emitter, SeloError) or over


# Taken up again


def blows(recorded: Wire, place: Place) -> dict[str, Strike]:
    """One of each kind."""
    direction, number = place
    foreign = recorded.sent[direction][number + len(HANDSHAKE[direction])]
    return {
        "lost": drop,
        "doubled": double,
        "late": swap,
        "another number": alter(19, 1),
        "another type": alter(8, 1),
        "another ciphertext": alter(22, 0x80),
        "another tag": alter(-1, 1),
        "cut": cut(-1),
        "nothing": cut(0),
        "longer": extend(b"\0"),
        "replayed": instead(foreign),
        "hung up": hang_up(direction),
        "reflected": reflect(direction, as_well=False),
        "reflected as well": reflect(direction, as_well=True),
    }


@each_record
def test_security_the_next_session_delivers_exactly(stage: Stage, recorded: Wire, place: Place) -> None:
    """Any blow to the first session, and time to come again: both sides succeed, exactly once, and no frame
    of theirs is one of the first session. Only an Emitter that has its receipt begins no second session."""
    for blow, strike in blows(recorded, place).items():
        # Where the Emitter has its RECEIPT it is done; the Receiver sends that in one go with its statement.
        receipted = place[0] == BACK and place[1] >= STATEMENT and blow == "reflected as well"
        unread = place in LAST and blow in ("doubled", "hung up")
        over = receipted or unread or place == (FORTH, CONFIRMATION)
        settings = settings_for(
            **IMPATIENT,
            retry_for=PATIENCE,
            resume_window=0.2 if over else PATIENCE,
            receive_wait=PATIENCE,
        )
        board = Switchboard(stage, settings, Wire(place, strike))
        outcome = stage.again(board, settings)
        assert outcome.wire.struck
        honest(outcome)
        assert len(board.wires) == (1 if over else 2), blow
        frames = [frame for wire in board.wires for frame in wire.sent[FORTH] + wire.sent[BACK]]
        assert len(set(frames)) == len(frames)
