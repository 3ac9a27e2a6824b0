"""Every fault at every moment of every kind of delivery: the same bytes arrive, or an error and nothing.

`make test` runs a few of them; `make faults` runs them all.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from ..hosts.network import Unavailable
from .agents import People
from .delivery import BRISK, Delivery, Strike, Verdict
from .faults import KILLS, Fault, action
from .moments import Moment, trigger
from .parcels import Kind, make
from .places import Place

SIZE = 2_000_000
RECORDS = {"record_size": "65536", "window_bytes": "524288"}
"""About thirty records, eight of them on their way at a time."""

CABLES = {Fault.LINK_DOWN, Fault.FLAPPING, Fault.DROPPED}
"""What is done to cables, where there are some."""

FAULTS = [fault for fault in Fault if fault not in (Fault.CORRUPTED, Fault.FROZEN)]

DOWN_FOR = dict(zip(Moment, (3.0, 1.0, 2.0, 20.0, 8.0, 5.0, 2.5, 2.0), strict=True))
"""Seconds that a link is down: some are shorter than the idle limit."""
FLAPS = 2.0

ALWAYS = {
    (Kind.FILE, Fault.EMITTER_KILLED, Moment.MIDDLE),
    (Kind.FOLDER, Fault.RECEIVER_KILLED, Moment.MIDDLE),
    (Kind.FOLDER, Fault.BOTH_KILLED, Moment.LAST),
    (Kind.STDIN, Fault.EMITTER_KILLED, Moment.MIDDLE),
    (Kind.STDIN, Fault.RECEIVER_KILLED, Moment.BEFORE_RECEIPT),
    (Kind.STDIN, Fault.LINK_DOWN, Moment.FIRST),
    (Kind.FOLDER, Fault.FLAPPING, Moment.FIRST),
    (Kind.STDIN, Fault.DROPPED, Moment.MIDDLE),
    (Kind.FILE, Fault.DELAYED, Moment.HANDSHAKE),
    (Kind.FILE, Fault.RECEIVER_KILLED, Moment.AFTER_RECEIPT),
    (Kind.FILE, Fault.BOTH_KILLED, Moment.CONFIRMED),
}


def cells() -> list[object]:
    """All combinations; what is not always run is marked."""
    return [
        pytest.param(*cell, id="-".join(cell), marks=marks(*cell)) for cell in product(Kind, FAULTS, Moment)
    ]


def marks(kind: Kind, fault: Fault, moment: Moment) -> list[pytest.MarkDecorator]:
    """Those of one combination."""
    return [] if (kind, fault, moment) in ALWAYS else [pytest.mark.slow]


def may_be_delivered(kind: Kind, fault: Fault, moment: Moment) -> set[bool]:
    """How it may end. What can be sent again always arrives; a stream is lost with the process that read it.

    From the FINAL on the Receiver can have everything, but what was under way to it may be lost with a reset.
    """
    if kind is not Kind.STDIN or "emitter" not in KILLS.get(fault, ()):
        return {True}
    if moment in (Moment.AFTER_RECEIPT, Moment.CONFIRMED):
        return {True}
    return {True, False} if moment is Moment.BEFORE_RECEIPT else {False}


@pytest.mark.parametrize(("kind", "fault", "moment"), cells())
def test_a_fault_at_a_moment(
    people: People,
    make_place: Callable[[bool], Place],
    tmp_path: Path,
    inbox: Path,
    kind: Kind,
    fault: Fault,
    moment: Moment,
) -> None:
    """It ends byte-identical or with an error and nothing, in one copy; and it ends well wherever it can."""
    rng = random.Random(f"{kind} {fault} {moment}")
    place = make_place(fault in CABLES)
    if fault is Fault.DROPPED:
        skip_unless_packets_can_be_lost(place)
    (tmp_path / "source").mkdir()
    parcel = make(kind, tmp_path / "source", SIZE, rng)
    expected = may_be_delivered(kind, fault, moment)
    settings = BRISK | RECORDS
    if kind is Kind.STDIN and "emitter" in KILLS.get(fault, ()):
        settings |= {"resume_window": "2s"}  # the rest will not come
    delivery = Delivery(place, people, parcel, inbox, settings)
    seconds = FLAPS if fault is Fault.FLAPPING else DOWN_FOR[moment]
    act = action(fault, delivery, place, rng, seconds)
    verdict = delivery.run([Strike(trigger(moment, delivery.total), act)])
    assert verdict.fault == "", delivery.story()
    assert delivery.struck == 1, "the moment never came"
    assert verdict.delivered in expected, delivery.story()
    assert_statuses(verdict, fault)


def assert_statuses(verdict: Verdict, fault: Fault) -> None:
    """Who was not killed says how it ended; what arrived was receipted to an Emitter that could be told."""
    killed = KILLS.get(fault, ())
    if not verdict.delivered:
        assert 0 not in (verdict.emitter, verdict.receiver)
    elif "emitter" not in killed:
        assert verdict.emitter == 0
    if verdict.delivered and "receiver" not in killed:
        assert verdict.receiver == 0


def skip_unless_packets_can_be_lost(place: Place) -> None:
    """Only between hosts, and with the tool for it."""
    try:
        place.can_lose()
    except Unavailable as why:
        pytest.skip(str(why))


def test_nothing_goes_wrong(
    people: People, make_place: Callable[[bool], Place], tmp_path: Path, inbox: Path
) -> None:
    """Without a fault every byte is sent once: what counts bytes in the other tests counts well."""
    place = make_place(False)
    parcel = make(Kind.FOLDER, tmp_path, SIZE, random.Random(1))
    delivery = Delivery(place, people, parcel, inbox, {**BRISK, **RECORDS})
    verdict = delivery.run()
    assert (verdict.fault, verdict.emitter, verdict.receiver) == ("", 0, 0), delivery.story()
    assert place.forwarder.counts.data == delivery.total
    assert place.forwarder.counts.connections == 1
