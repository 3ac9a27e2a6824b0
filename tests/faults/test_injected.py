"""Every call of the system that storing makes fails in turn: a delivery is there whole, or not at all."""

from __future__ import annotations

import errno
import itertools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from selo.agents.bodies import Offer
from selo.agents.errors import SinkFault
from selo.agents.storage.base import ResumableSink
from selo.agents.storage.sweep import sweep
from tests.agents.storing import (
    DELIVERIES,
    NEVER,
    RENAME,
    REPLACE,
    System,
    deliver,
    finish,
    look,
    memory_folder,
    opened,
    partials,
    sink_for,
)

SOME_CALLS = 40
"""A delivery makes more than so many, or the tests look at nothing."""

ERRORS = [errno.ENOSPC, errno.EIO, errno.EINTR, errno.EMFILE]

each_delivery = pytest.mark.parametrize(("offer", "data", "stored"), DELIVERIES.values(), ids=DELIVERIES)
each_fault = pytest.mark.parametrize(
    ("error", "lasting"),
    [pytest.param(error, False, id=f"{errno.errorcode[error]}-once") for error in ERRORS]
    + [pytest.param(errno.EIO, True, id="EIO-lasting")],
)
each_error = pytest.mark.parametrize("error", ERRORS, ids=errno.errorcode.get)


@pytest.fixture(name="folder")
def _folder() -> Iterator[Path]:
    with memory_folder() as folder:
        yield folder


def store(sink: ResumableSink, offer: Offer, data: bytes, end: Callable[[ResumableSink], None]) -> None:
    """A whole delivery; one that fails is ended as its session would."""
    try:
        opened(sink, offer)
        sink.go_on(0)
        finish(sink, data, step=50)
    except BaseException:
        end(sink)
        raise
    sink.forget()


def end_by_discard(sink: ResumableSink) -> None:
    sink.discard()


def end_by_suspend(sink: ResumableSink) -> None:
    sink.suspend()


def with_fault(
    number: int, lasting: bool, error: int, act: Callable[[], None]
) -> tuple[SinkFault | None, list[str]]:
    """Do something while one call (numbers begin at 0), or all from it on, fail; the fault and the calls."""

    def on_call(_name: str) -> None:
        failing = len(system.calls) - 1
        if failing == number or (lasting and failing > number):
            raise OSError(error, os.strerror(error), "/a/local/path")

    fault = None
    with pytest.MonkeyPatch.context() as patch:
        system = System(patch, on_call)
        try:
            act()
        except SinkFault as caught:
            fault = caught
    return fault, system.calls


def plant(folder: Path, stored: dict[str, Any]) -> None:
    """Something old under the final name, of the same kind."""
    if "top" in stored:
        (folder / "top").mkdir()
        (folder / "top" / "old").write_bytes(b"old")
    else:
        (folder / next(iter(stored))).write_bytes(b"old")


@each_delivery
@each_fault
@pytest.mark.parametrize("end", [end_by_discard, end_by_suspend])
@pytest.mark.parametrize("overwrite", [NEVER, REPLACE])
def test_security_whatever_call_fails_a_delivery_is_whole_or_not_there(
    offer: Offer,
    data: bytes,
    stored: dict[str, Any],
    error: int,
    lasting: bool,
    end: Callable[[ResumableSink], None],
    overwrite: Any,
    folder: Path,
) -> None:
    """A call fails, once or from then on: the name holds all or what was there, and trying again succeeds."""
    for number in itertools.count():
        place = folder / str(number)
        place.mkdir()
        if overwrite == REPLACE:
            plant(place, stored)
        before = look(place)
        sink = sink_for(place, offer, overwrite=overwrite, fsync=True)
        fault, calls = with_fault(number, lasting, error, lambda sink=sink: store(sink, offer, data, end))
        assert look(place) in ((before, stored) if fault else (stored,)), calls[number:]
        assert fault is None or "/a/local/path" not in fault.for_peer + str(fault)
        assert set(place.iterdir()) - set(partials(place)) == {
            place / name for name in look(place) if "/" not in name
        }
        if fault is None:  # the Emitter has its receipt, and does not come again
            sweep(place, -1.0, time.time())
        else:
            deliver(place, offer, data, overwrite=overwrite, fsync=True)
        assert look(place) == stored, calls[number:]
        assert partials(place) == [], calls[number:]
        if number >= len(calls):
            break
    assert number >= SOME_CALLS


@each_delivery
@each_fault
def test_security_whatever_call_fails_when_a_delivery_is_taken_up_it_is_whole_or_not_there(
    offer: Offer, data: bytes, stored: dict[str, Any], error: int, lasting: bool, folder: Path
) -> None:
    """The same for the second half of a delivery: what is read again is read right, or not used."""
    for number in itertools.count():
        place = folder / str(number)
        place.mkdir()
        sink = sink_for(place, offer)
        opened(sink, offer)
        sink.write(data[: len(data) // 2])
        sink.suspend()
        fault, calls = with_fault(number, lasting, error, lambda place=place: take_up(place, offer, data))
        assert look(place) in (({}, stored) if fault else (stored,)), calls[number:]
        if fault is None:
            sweep(place, -1.0, time.time())
        else:
            deliver(place, offer, data, fsync=True)
        assert look(place) == stored, calls[number:]
        assert partials(place) == [], calls[number:]
        if number >= len(calls):
            break


def take_up(place: Path, offer: Offer, data: bytes) -> None:
    deliver(place, offer, data, fsync=True, step=50)


@each_delivery
@pytest.mark.parametrize("overwrite", [NEVER, RENAME, REPLACE])
def test_security_a_short_write_anywhere_is_completed(
    offer: Offer, data: bytes, stored: dict[str, Any], overwrite: Any, folder: Path
) -> None:
    """The system may take less than it was given, at any write and of any length: the rest follows."""
    for longest in (1, 2, 7, 49):
        place = folder / str(longest)
        place.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            system = System(patch, lambda _name, longest=longest: longest)
            deliver(place, offer, data, overwrite=overwrite, step=50)
        assert look(place) == stored
        assert system.calls.count("write") > len(data) // longest


@each_delivery
@each_error
def test_without_resumption_whatever_call_fails_leaves_nothing_behind(
    offer: Offer, data: bytes, stored: dict[str, Any], error: int, folder: Path
) -> None:
    """Where nothing is kept, nothing of a failed delivery is left, unless only removing it failed."""
    for number in itertools.count():
        place = folder / str(number)
        place.mkdir()
        sink = sink_for(place, offer, keep=False, fsync=True)
        fault, calls = with_fault(
            number, False, error, lambda sink=sink: store(sink, offer, data, end_by_discard)
        )
        assert look(place) in (({}, stored) if fault else (stored,)), calls[number:]
        if partials(place):
            assert fault is None and calls[number] in ("unlink", "rmdir", "listdir", "open")
        if number >= len(calls):
            break
