"""Sessions that are lost where little is under way, and what comes after them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .agents import People
from .delivery import BRISK, Delivery, Strike
from .faults import Fault, action
from .forwarder import UP
from .moments import Moment, after_bytes, trigger
from .parcels import Kind, make
from .places import Place
from .wire import Seen

SIZE = 1_000_000
RECORDS = {"record_size": "65536"}

rng = random.Random(1)


def test_an_emitter_that_dies_after_the_last_word_makes_no_second_copy(
    people: People, make_place: Callable[[bool], Place], tmp_path: Path, inbox: Path
) -> None:
    """The Receiver lives on and stores under free names: who comes again with that delivery is told so."""
    place = make_place(False)
    parcel = make(Kind.FILE, tmp_path, SIZE, rng)
    delivery = Delivery(place, people, parcel, inbox, BRISK | RECORDS, forever=True)
    kill = action(Fault.EMITTER_KILLED, delivery, place, rng, 0)
    verdict = delivery.run([Strike(trigger(Moment.CONFIRMED, delivery.total), kill)])
    assert (verdict.fault, verdict.emitter, delivery.struck) == ("", 0, 1), delivery.story()
    assert verdict.twice == 0
    assert [path.name for path in inbox.iterdir()] == [parcel.name]


@pytest.mark.parametrize("kind", Kind)
def test_a_session_that_is_lost_before_its_open_ends_nothing(
    people: People, make_place: Callable[[bool], Place], tmp_path: Path, inbox: Path, kind: Kind
) -> None:
    """The first one, and the one that was to take a cut delivery up again: the next goes on with it."""
    place = make_place(False)
    delivery = Delivery(place, people, make(kind, tmp_path, SIZE, rng), inbox, BRISK | RECORDS)
    opening = trigger(Moment.OPENING, delivery.total)
    again = trigger(Moment.OPENING, delivery.total)
    cut = action(Fault.RESET, delivery, place, rng, 0)
    strikes = [Strike(opening, cut), Strike(after_bytes(delivery.total // 2), cut), Strike(again, cut)]
    verdict = delivery.run(strikes)
    assert (verdict.fault, verdict.emitter, verdict.receiver) == ("", 0, 0), delivery.story()
    assert delivery.struck == 3
    # Not the connections: one that comes before the Receiver listens again is closed, and tried again.
    assert [len(agent.named("established")) for agent in (delivery.emitter, delivery.receiver)] == [4, 4]


@pytest.mark.parametrize("kind", Kind)
def test_a_full_buffer_does_not_stop_what_is_taken_up_again(
    people: People, make_place: Callable[[bool], Place], tmp_path: Path, inbox: Path, kind: Kind
) -> None:
    """The Receiver has all that the Emitter keeps, and its ACK is lost with the link: more is read."""
    place = make_place(False)
    settings = BRISK | RECORDS | {"resume_buffer": "0"}
    delivery = Delivery(place, people, make(kind, tmp_path, SIZE, rng), inbox, settings)

    def third_record_is_there() -> Callable[[str, Seen], bool]:
        records = 0

        def strikes(direction: str, seen: Seen) -> bool:
            nonlocal records
            if direction == UP and seen.kind == "DATA" and not seen.begun:
                records += 1
            return records == 3

        return strikes

    def cut() -> None:
        # Meanwhile the Receiver takes the record, and its ACK gets no further than the forwarder.
        time.sleep(0.3)
        place.forwarder.reset()

    verdict = delivery.run([Strike(third_record_is_there(), cut)])
    assert (verdict.fault, verdict.emitter, verdict.receiver) == ("", 0, 0), delivery.story()
    assert delivery.struck == 1
