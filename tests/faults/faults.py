"""What can go wrong with a link and with a process."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from enum import StrEnum

from .delivery import Delivery
from .forwarder import DOWN, UP
from .places import Place


class Fault(StrEnum):
    """What strikes."""

    EMITTER_KILLED = "emitter killed"
    RECEIVER_KILLED = "receiver killed"
    BOTH_KILLED = "both killed"
    LINK_DOWN = "link down"
    FLAPPING = "link flapping"
    DROPPED = "packets dropped"
    DELAYED = "packets delayed"
    RESET = "connection reset"
    CORRUPTED = "bit turned"
    FROZEN = "process frozen"


KILLS = {
    Fault.EMITTER_KILLED: ("emitter",),
    Fault.RECEIVER_KILLED: ("receiver",),
    Fault.BOTH_KILLED: ("emitter", "receiver"),
}

DELAY = 0.02
"""Seconds for which a piece is held at most, where packets are delayed."""


def action(
    fault: Fault, delivery: Delivery, place: Place, rng: random.Random, seconds: float
) -> Callable[[], None]:
    """What to call when it is to strike. ``seconds``: how long it lasts, where it passes."""
    if fault in KILLS:
        return lambda: delivery.kill(*KILLS[fault])
    whose = rng.choice(("alice", "bob"))
    direction = rng.choice((UP, DOWN))
    forwarder = place.forwarder
    match fault:
        case Fault.LINK_DOWN:
            return lambda: _down(delivery, place, whose, seconds)
        case Fault.FLAPPING:
            ups_and_downs = [rng.uniform(0.05, seconds / 3) for _ in range(6)]
            return lambda: _flap(delivery, place, whose, ups_and_downs)
        case Fault.DROPPED:
            return place.lossy
        case Fault.DELAYED:
            return lambda: forwarder.slow(delay=DELAY)
        case Fault.CORRUPTED:
            return lambda: forwarder.corrupt(direction)
        case Fault.FROZEN:
            return lambda: _freeze(delivery, whose, seconds)
    return lambda: _reset(place)


def _reset(place: Place) -> None:
    place.forwarder.reset()
    place.forwarder.restored()


def _down(delivery: Delivery, place: Place, whose: str, seconds: float) -> None:
    place.down(whose)
    delivery.later(seconds, lambda: place.up(whose))


def _flap(delivery: Delivery, place: Place, whose: str, ups_and_downs: list[float]) -> None:
    """Down for the first of these times (seconds), up for the second, and so on; up at the end."""
    if not ups_and_downs:
        return
    down, up, *rest = ups_and_downs

    def back() -> None:
        place.up(whose)
        delivery.later(up, lambda: _flap(delivery, place, whose, rest))

    place.down(whose)
    delivery.later(down, back)


def _freeze(delivery: Delivery, whose: str, seconds: float) -> None:
    frozen = delivery.emitter if whose == "alice" else delivery.receiver
    frozen.signal(signal.SIGSTOP)
    delivery.later(seconds, lambda: frozen.signal(signal.SIGCONT))
