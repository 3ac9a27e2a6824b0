"""How fast bytes may go."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selo.agents.rate import BURST, Throttle


class Time:
    """A clock that goes on only when somebody sleeps; sleepers wake ``late`` by so many seconds."""

    def __init__(self, late: float = 0.0) -> None:
        self.now = 1000.0
        self.late = late
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds + self.late


def throttled(rate: int | None, time: Time) -> Throttle:
    return Throttle(rate, clock=time.clock, sleep=time.sleep)


def test_without_a_rate_nobody_sleeps():
    """None is no limit."""
    time = Time()
    throttle = throttled(None, time)
    for _ in range(100):
        throttle.spend(1 << 30)
    assert time.slept == []


@given(
    rate=st.integers(1000, 10**11),
    steps=st.lists(st.tuples(st.integers(0, 1 << 20), st.floats(0, 2)), min_size=1, max_size=30),
)
def test_no_stretch_of_time_is_much_faster_than_the_rate(rate, steps):
    """Between any two moments at most the rate, the burst and the first piece go, whatever the pauses."""
    time = Time()
    throttle = throttled(rate, time)
    gone = []
    for count, pause in steps:
        time.now += pause
        throttle.spend(count)
        gone.append((time.now, count))
    for first, last in itertools.combinations_with_replacement(range(len(gone)), 2):
        stretch = gone[last][0] - gone[first][0]
        size = sum(count for _, count in gone[first + 1 : last + 1])
        assert size <= rate * (stretch + BURST) * 1.000001 + 1


@pytest.mark.parametrize("rate", [1000, 10**6, 10**9])
@pytest.mark.parametrize("share", [0.001, 0.1, 10])
def test_the_rate_is_reached(rate, share):
    """Whoever always has more to send is slowed down to the rate and not below it."""
    time = Time()
    throttle = throttled(rate, time)
    start, total, piece = time.now, 0, int(rate * share)
    while time.now - start < 20:
        throttle.spend(piece)
        total += piece
    assert total / (time.now - start) == pytest.approx(rate, rel=0.05)


@pytest.mark.parametrize("late", [0.001, 0.01, 0.1])
def test_waking_up_late_costs_nothing(late):
    """What a system oversleeps is made good by the next pieces."""
    time = Time(late)
    throttle = throttled(10**8, time)
    start = time.now
    for _ in range(1000):
        throttle.spend(1 << 20)
    assert 1000 * (1 << 20) / (time.now - start) == pytest.approx(10**8, rel=0.03)


def test_a_long_pause_saves_nothing_up():
    """After an hour of nothing no more goes at once than after a quarter of a second."""
    time = Time()
    throttle = throttled(1000, time)
    throttle.spend(1000)
    time.now += 3600
    time.slept.clear()
    throttle.spend(250)
    assert time.slept == []
    throttle.spend(1000)
    assert time.slept == [pytest.approx(1.0)]


def test_a_sleep_that_is_cut_short_is_owed():
    """Who gives up sleeping early has not made the limit higher."""
    slept = []
    throttle = Throttle(1000, clock=lambda: 0.0, sleep=slept.append)
    throttle.spend(1000)
    throttle.spend(1000)
    assert slept == [pytest.approx(1.0), pytest.approx(2.0)]


def test_it_sleeps_on_the_systems_clock():
    """With nothing said it is real time that passes."""
    throttle = Throttle(1_000_000)
    start = time.monotonic()
    throttle.spend(250_000)
    throttle.spend(100_000)
    assert time.monotonic() - start >= 0.05
