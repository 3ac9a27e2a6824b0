"""What nobody came back for goes, and nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path

from selo.agents.storage.sweep import sweep
from tests.agents.storing import FILE_OFFER, TREE, TREE_OFFER, finish, look, opened, partials, sink_for

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
