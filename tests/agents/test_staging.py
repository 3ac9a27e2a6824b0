"""The staging folder itself: made, held, found, removed."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from selo.agents.storage import staging
from selo.agents.storage.base import BeingReceived
from selo.agents.storage.handles import Handles
from selo.agents.storage.placing import Place
from selo.agents.storage.staging import STAGING_NAME, Staging, remove_by_name, staging_name
from selo.agents.storage.state import State
from tests.agents.storing import FILE_OFFER

NAME = staging_name(bytes(range(16)))


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> Iterator[Place]:
    number = os.open(tmp_path, os.O_RDONLY)
    yield Place(number, NAME)
    os.close(number)


def test_a_name_says_which_delivery_it_is() -> None:
    """Hidden, and known by its form."""
    assert NAME == ".selo-000102030405060708090a0b0c0d0e0f.part"
    assert STAGING_NAME.fullmatch(NAME)


def test_security_it_is_its_owners_alone(place: Place, tmp_path: Path) -> None:
    """Whatever the umask."""
    before = os.umask(0)
    try:
        handles = Handles()
        assert Staging.enter(handles, place).fresh
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o700
    handles.close_all()


def test_one_holds_it_and_then_another(place: Place) -> None:
    """In one process as between two; who lets go leaves it as it is."""
    first, second = Handles(), Handles()
    held = Staging.enter(first, place)
    held.save(State(FILE_OFFER, 1.0), durable=True)
    with pytest.raises(BeingReceived):
        Staging.enter(second, place)
    first.close_all()
    taken = Staging.enter(second, place)
    assert not taken.fresh
    assert taken.load() == State(FILE_OFFER, 1.0)
    second.close_all()


def test_a_folder_that_is_not_there_is_not_made_where_it_is_only_looked_for(
    place: Place, tmp_path: Path
) -> None:
    """To remove what is left, nothing has to be there."""
    with pytest.raises(FileNotFoundError):
        Staging.enter(Handles(), place, make=False)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_goes_away_before_it_is_locked_is_made_again(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was locked has to be what has the name: the lock of a removed folder holds nobody off."""
    real, rounds = staging._lock, iter([True, False])

    def lock(number: int, shown_as: str) -> bool:
        if next(rounds):
            (tmp_path / NAME).rename(tmp_path / "gone")
        return real(number, shown_as)

    monkeypatch.setattr(staging, "_lock", lock)
    handles = Handles()
    held = Staging.enter(handles, place)
    assert os.path.samestat(os.fstat(held.number), (tmp_path / NAME).stat())
    handles.close_all()


def test_it_goes_with_all_that_is_in_it(place: Place, tmp_path: Path) -> None:
    """The state first: half of it is not to be taken for a delivery."""
    handles = Handles()
    held = Staging.enter(handles, place)
    held.save(State(FILE_OFFER, 1.0), durable=False)
    (tmp_path / NAME / "items" / "inner").mkdir(parents=True)
    held.clear(but_state=True)
    assert os.listdir(tmp_path / NAME) == ["state.json"]
    (tmp_path / NAME / "data").touch()
    held.remove()
    assert list(tmp_path.iterdir()) == []


def test_security_the_state_goes_first_also_where_nobody_holds_it(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the middle, what is left is not taken for a delivery."""
    handles = Handles()
    held = Staging.enter(handles, place)
    held.save(State(FILE_OFFER, 1.0), durable=False)
    (tmp_path / NAME / "data").touch()
    left: list[list[str]] = []
    with monkeypatch.context() as patch:
        patch.setattr(staging, "remove", lambda *_: left.append(os.listdir(tmp_path / NAME)))
        remove_by_name(tmp_path, NAME)
    assert left == [["data"]]
    remove_by_name(tmp_path, NAME)
    remove_by_name(tmp_path, NAME)
    assert list(tmp_path.iterdir()) == []
    handles.close_all()


def test_a_state_is_replaced_in_one_step(place: Place, tmp_path: Path) -> None:
    """Whoever reads it meanwhile finds the old one or the new one."""
    handles = Handles()
    held = Staging.enter(handles, place)
    held.save(State(FILE_OFFER, 0.0), durable=False)
    ended = threading.Event()
    seen: set[float] = set()

    def read() -> None:
        while not ended.is_set():
            seen.add(State.unpack((tmp_path / NAME / "state.json").read_bytes()).created)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(200):
        held.save(State(FILE_OFFER, float(number)), durable=False)
    ended.set()
    reader.join()
    assert seen <= {float(number) for number in range(200)} and seen
    handles.close_all()
