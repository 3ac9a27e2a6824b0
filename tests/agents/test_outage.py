"""How long a lost session is tried to be followed by another, and after which errors at all."""

from __future__ import annotations

import inspect

import pytest

from selo.agents import errors
from selo.agents.errors import PeerLater, PeerLost
from selo.agents.outage import Outage, may_be_taken_up
from selo.crypto.errors import RecordError
from selo.errors import Interrupted, SeloError, SessionError
from selo.transport.base import FrameRefused, LegClosed

LINK = (LegClosed, PeerLost, PeerLater, RecordError, FrameRefused)


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def outage(limit: float | None, clock: Clock) -> Outage:
    """One with pauses of 1 to 16 seconds."""
    return Outage(limit, shortest=1.0, longest=16.0, clock=clock)


def all_errors() -> list[type[SeloError]]:
    """Every error of an agent, and those of a link."""
    own = [value for _, value in inspect.getmembers(errors, inspect.isclass) if issubclass(value, SeloError)]
    return sorted({*own, *LINK, Interrupted, *RecordError.__subclasses__()}, key=lambda error: error.__name__)


@pytest.mark.parametrize("error", all_errors(), ids=lambda error: error.__name__)
def test_only_a_lost_link_and_later_are_taken_up(error: type[SeloError]) -> None:
    """What a side decided, its faults and the peer's, and a broken protocol end a delivery at once."""
    assert may_be_taken_up(error.__new__(error)) == issubclass(error, LINK)


def test_before_the_first_loss_nothing_runs() -> None:
    """The time begins with a loss."""
    clock = Clock()
    one = outage(10.0, clock)
    clock.now += 1000
    assert one.cause is None
    assert (one.left, one.over, one.pause) == (10.0, False, 0.0)


@pytest.mark.parametrize(("after", "over"), [(0.0, False), (9.9, False), (10.0, True), (1000.0, True)])
def test_an_outage_ends_after_its_limit(after: float, over: bool) -> None:
    """``left`` falls to 0 and no further."""
    clock = Clock()
    one = outage(10.0, clock)
    cause = LegClosed()
    one.lost(cause, reached=0, got_on=False)
    clock.now += after
    assert one.cause is cause
    assert one.left == pytest.approx(max(0.0, 10.0 - after))
    assert one.over == over


def test_losses_without_progress_are_one_outage() -> None:
    """A link that comes and goes does not make the time longer."""
    clock = Clock()
    one = outage(10.0, clock)
    for reached in (5, 5, 0, 5):
        one.lost(LegClosed(), reached=reached, got_on=False)
        clock.now += 3
    assert one.over


def test_progress_begins_a_new_outage() -> None:
    """As long as it gets on, a delivery may be cut as often as it likes; pauses are short again."""
    clock = Clock()
    one = outage(10.0, clock)
    for reached in range(1, 20):
        one.lost(LegClosed(), reached=reached, got_on=True)
        assert not one.over
        assert one.left == 10.0
        assert one.pause == 0.0
        clock.now += 9


def test_what_is_only_regained_takes_no_time_and_begins_nothing() -> None:
    """A Receiver that lost what it had is given the time for that; one that keeps nothing is given up."""
    clock = Clock()
    one = outage(10.0, clock)
    one.lost(LegClosed(), reached=60, got_on=True)
    clock.now += 2
    one.up()
    clock.now += 3000
    one.lost(LegClosed(), reached=50, got_on=True)
    assert (one.left, one.over) == (8.0, False)
    assert one.pause > 0
    for _ in range(4):
        clock.now += 2
        one.up()
        clock.now += 3000
        assert not one.over or one.left == 0
        one.lost(LegClosed(), reached=50, got_on=True)
    assert one.over


def test_further_than_ever_begins_a_new_outage() -> None:
    """After what was lost is regained."""
    clock = Clock()
    one = outage(10.0, clock)
    one.lost(LegClosed(), reached=60, got_on=True)
    clock.now += 9
    one.up()
    clock.now += 3000
    one.lost(LegClosed(), reached=61, got_on=True)
    assert (one.left, one.pause) == (10.0, 0.0)


def test_without_a_limit_there_is_no_end() -> None:
    """``forever``."""
    clock = Clock()
    one = outage(None, clock)
    one.lost(LegClosed(), reached=0, got_on=False)
    clock.now += 1e9
    assert (one.left, one.over) == (None, False)


def test_pauses_grow_at_random_and_are_bounded() -> None:
    """None before the first try; then from the shortest to what doubles each time, never over the longest."""
    one = outage(None, Clock())
    for tries in range(1, 60):
        one.lost(LegClosed(), reached=0, got_on=False)
        pauses = {one.pause for _ in range(50)}
        if tries == 1:
            assert pauses == {0.0}
        else:
            assert len(pauses) > 1, "two sides that meet in step never meet"
            assert min(pauses) >= 1.0
            assert max(pauses) <= min(16.0, 2.0**tries)


def test_the_link_errors_end_a_session() -> None:
    """What may be taken up is of the family that a session ends with."""
    assert all(issubclass(error, SessionError) for error in LINK)
