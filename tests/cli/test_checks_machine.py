import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from selo.agents.cli.checks_machine import LIBRARIES, clock, descriptors, disk, libraries
from selo.agents.cli.findings import Level


def test_every_library_is_there_with_its_version():
    """Selo, Python and six libraries; with the C libraries beneath two of them."""
    found = {each.subject: each for each in libraries()}
    assert set(found) == {"selo", "python", *LIBRARIES}
    assert all(each.level is Level.OK for each in found.values())
    assert "OpenSSL" in found["cryptography"].seen
    assert "libzmq 4" in found["pyzmq"].seen


@pytest.mark.parametrize(("now", "level"), [(0.0, Level.WARNING), (1.8e9, Level.OK), (5e9, Level.WARNING)])
def test_a_clock_that_nobody_has_set_is_a_warning(now, level):
    """1970, 2027 and 2128: never a problem, because no two clocks need to agree."""
    (found,) = clock(now)
    assert (found.subject, found.level) == ("clock", level)


@pytest.mark.parametrize(("limit", "level"), [(48, "PROBLEM"), (128, "WARNING"), (256, "OK")])
def test_few_descriptors_are_found_and_mended(limit, level):
    """In a shell with that limit; the fix, in the same shell, makes it well."""
    look = (
        "from selo.agents.cli.checks_machine import descriptors\n"
        "found, = descriptors(); print(found.level.name, found.fix, sep='|')"
    )
    selo = f'{sys.executable} -c "{look}"'
    first = f'ulimit -S -n {limit}; found=$({selo}); echo "$found"; eval "${{found#*|}}"; {selo}'
    done = subprocess.run(["bash", "-c", first], capture_output=True, text=True, timeout=30, check=True)
    before, after = done.stdout.splitlines()
    assert before.split("|")[0] == level
    assert after == "OK|"


def test_the_limit_is_this_process_s():
    """What is told is what the system says."""
    (found,) = descriptors()
    assert str(resource.getrlimit(resource.RLIMIT_NOFILE)[0]) in found.seen


def test_a_folder_with_room_is_well(tmp_path):
    """It is there and can be written to."""
    (found,) = disk("into disk", tmp_path, 1)
    assert (found.subject, found.level) == ("into disk", Level.OK)


def test_a_disk_with_little_room_is_a_warning(tmp_path):
    """Less than what is wanted; the fix shows what takes the room."""
    (found,) = disk("into disk", tmp_path, 1 << 62)
    assert found.level is Level.WARNING
    assert found.fix.startswith(f"du -xah {tmp_path}")


@pytest.mark.parametrize("fault", ["missing", "file"])
def test_a_folder_that_is_none_is_mended(fault, tmp_path, mend):
    """Missing, or a file in its place."""
    folder = tmp_path / "in box"
    if fault == "file":
        folder.write_text("x")
    (found,) = disk("into disk", folder, 1)
    assert found.level is Level.PROBLEM
    mend(found)
    (found,) = disk("into disk", folder, 1)
    assert found.level is Level.OK


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_not_ours_is_a_problem():
    """The root of the file system belongs to root."""
    (found,) = disk("into disk", Path("/"), 1)
    assert found.level is Level.PROBLEM
