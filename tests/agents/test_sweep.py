"""What nobody came back for goes, and nothing else."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from selo.agents.errors import SinkFault
from selo.agents.storage import staged
from selo.agents.storage.sweep import sweep
from tests.agents.storing import (
    FILE_OFFER,
    OLD_THREE,
    REPLACE,
    SEVERAL,
    STORED_THREE,
    THREE,
    TREE,
    TREE_OFFER,
    contents,
    crash_at,
    deliver,
    finish,
    kill,
    look,
    memory_folder,
    opened,
    partials,
    plant_old_three,
    sink_for,
    summary_of,
)

DAY = 86_400.0


def cut_file(folder: Path) -> Path:
    """A delivery that was cut; returns its staging folder."""
    sink = sink_for(folder, FILE_OFFER)
    opened(sink, FILE_OFFER)
    sink.write(b"the beginning")
    sink.suspend()
    (staging,) = partials(folder)
    return staging


def age(staging: Path, seconds: float) -> None:
    """Make everything in a staging folder older."""
    for path in [*staging.iterdir(), staging]:
        then = path.lstat().st_mtime - seconds
        os.utime(path, (then, then), follow_symlinks=False)


def test_what_is_old_goes_and_what_is_young_stays(tmp_path: Path) -> None:
    """By the youngest thing in it: a long delivery that was cut yesterday is not old."""
    staging = cut_file(tmp_path)
    assert sweep(tmp_path, DAY, time.time()) == 0
    age(staging, 2 * DAY)
    (staging / "data").touch()
    assert sweep(tmp_path, DAY, time.time()) == 0
    age(staging, 2 * DAY)
    assert sweep(tmp_path, DAY, time.time()) == 1
    assert list(tmp_path.iterdir()) == []


def test_security_what_is_being_received_stays(tmp_path: Path) -> None:
    """However old it is: it is held."""
    sink = sink_for(tmp_path, TREE_OFFER)
    opened(sink, TREE_OFFER)
    sink.write(TREE[:70])
    age(partials(tmp_path)[0], 9 * DAY)
    assert sweep(tmp_path, DAY, time.time()) == 0
    finish(sink, TREE, 70)
    age(partials(tmp_path)[0], 9 * DAY)
    assert sweep(tmp_path, DAY, time.time()) == 1
    assert "top/closed/deep/b" in look(tmp_path)


def test_security_what_is_not_ours_stays(tmp_path: Path) -> None:
    """Other names, files and links of such a name, and what a link leads to."""
    hexed = "0123456789abcdef" * 2
    (tmp_path / f".selo-{hexed}.part").write_bytes(b"a file")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").touch()
    (tmp_path / f".selo-{hexed[::-1]}.part").symlink_to("elsewhere")
    for name in (
        f".selo-{hexed}",
        f"x.selo-{hexed}.part",
        f".selo-{hexed}.part.d",
        f".selo-{hexed.upper()}.part",
    ):
        (tmp_path / name).mkdir()
    before = sorted(tmp_path.rglob("*"))
    assert sweep(tmp_path, -DAY, time.time()) == 0
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_is_not_there_is_no_reason_to_fail(tmp_path: Path) -> None:
    """The Receiver says so itself when something comes."""
    assert sweep(tmp_path / "missing", DAY, time.time()) == 0


def test_what_is_being_written_deep_in_a_tree_is_young(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a folder nor a file at the top changes for hours while one large file comes."""
    monkeypatch.setattr(staged, "LOOK_AFTER", 8)
    sink = sink_for(tmp_path, TREE_OFFER)
    opened(sink, TREE_OFFER)
    place = TREE.index(b"second file")
    sink.write(TREE[:place])
    (staging,) = partials(tmp_path)
    age(staging, 9 * DAY)
    sink.write(TREE[place : place + 9])
    kill(sink)
    assert sweep(tmp_path, DAY, time.time()) == 0
    age(staging, 9 * DAY)
    assert sweep(tmp_path, DAY, time.time()) == 1


def test_what_was_just_cut_is_young(tmp_path: Path) -> None:
    """However long nothing had come before."""
    sink = sink_for(tmp_path, TREE_OFFER)
    opened(sink, TREE_OFFER)
    sink.write(TREE[:70])
    age(partials(tmp_path)[0], 9 * DAY)
    sink.suspend()
    assert sweep(tmp_path, DAY, time.time()) == 0


def test_what_was_killed_before_it_had_a_state_goes(tmp_path: Path) -> None:
    """An empty folder of ours, and one with nothing but the file of a state to come."""
    for digit, names in (("0", []), ("1", ["state.new"])):
        folder = tmp_path / f".selo-{digit * 32}.part"
        folder.mkdir()
        for name in names:
            (folder / name).touch()
    assert sweep(tmp_path, -DAY, time.time()) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_part_whose_state_a_power_cut_has_emptied_goes(tmp_path: Path) -> None:
    """It is not synced while data comes; what it was about can be taken up by nobody."""
    staging = cut_file(tmp_path)
    os.truncate(staging / "state.json", 0)
    assert sweep(tmp_path, -DAY, time.time()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["photo", "data", "items", "replaced-0", "state.new/x", "state.json"])
def test_security_a_folder_of_somebody_elses_is_not_ours_by_its_name(name: str, tmp_path: Path) -> None:
    """Who may write to the inbox could call any folder so; without a state that is ours, it stays."""
    precious = tmp_path / f".selo-{'0' * 32}.part" / name
    precious.parent.mkdir(parents=True)
    precious.write_bytes(b"precious")
    assert sweep(tmp_path, -DAY, time.time()) == 0
    assert precious.read_bytes() == b"precious"


def test_security_what_somebody_put_beside_a_part_stays(tmp_path: Path) -> None:
    """All of it does, as it is not known whose it is."""
    staging = cut_file(tmp_path)
    (staging / "photo").touch()
    assert sweep(tmp_path, -DAY, time.time()) == 0
    (staging / "photo").unlink()
    assert sweep(tmp_path, -DAY, time.time()) == 1


@pytest.fixture(name="memory")
def _memory() -> Iterator[Path]:
    with memory_folder() as folder:
        yield folder


def holds(folder: Path) -> set[bytes]:
    """The contents of all files below it, those of staging folders too."""
    return {path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("after", ["a sweep", "another offer"])
@pytest.mark.parametrize("linkless", [False, True], ids=["renameat2", "without"])
def test_security_the_only_copy_of_what_was_there_is_never_removed(
    linkless: bool, after: str, memory: Path
) -> None:
    """Killed at any call while several names are replaced, and nobody comes back, or something else comes."""
    number, more, half = 0, True, 0
    while more:
        place = memory / str(number)
        place.mkdir()
        plant_old_three(place)
        more = crash_at(number, place, SEVERAL, THREE, linkless, overwrite=REPLACE)
        if after == "a sweep":
            sweep(place, -DAY, time.time())
        else:
            try:
                deliver(place, replace(SEVERAL, name="other"), b"", overwrite=REPLACE)
            except SinkFault:
                assert partials(place)
        now = contents(place)
        if now != STORED_THREE:
            assert holds(place) >= {b"old a", b"old b", b"old c"}, number
        if now not in (OLD_THREE, STORED_THREE):
            half += 1
            assert partials(place), number
        deliver(place, SEVERAL, THREE, overwrite=REPLACE)
        assert contents(place) == STORED_THREE, number
        assert partials(place) == []
        number += 1
    assert half > 1


def test_security_the_other_half_of_a_delivery_stays(tmp_path: Path) -> None:
    """Sealed, and killed between two names: it can still be finished, however late."""
    sink = sink_for(tmp_path, SEVERAL)
    opened(sink, SEVERAL)
    sink.write(THREE)
    sink.seal(summary_of(sink, THREE))
    (staging,) = partials(tmp_path)
    (staging / "items" / "a").rename(tmp_path / "a")
    kill(sink)
    assert sweep(tmp_path, -DAY, time.time()) == 0
    deliver(tmp_path, SEVERAL, THREE)
    assert contents(tmp_path) == STORED_THREE
    assert partials(tmp_path) == []
