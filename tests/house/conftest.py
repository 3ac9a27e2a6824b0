"""What the tests of the house look at."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Without git (an unpacked archive) these are what is not part of the project.
NOT_OURS = {".git", ".venv", ".types", "build", "dist", "__pycache__", ".demo", ".hypothesis"}
NOT_OURS |= {".mypy_cache", ".ruff_cache", ".pytest_cache", "selo.egg-info"}


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def project_files() -> list[Path]:
    """Every file of the project, relative to the root: tracked, or about to be; never an ignored one."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listing.returncode == 0:
        named = [Path(name) for name in listing.stdout.split("\0") if name]
    else:
        everything = (path.relative_to(ROOT) for path in ROOT.rglob("*"))
        named = [path for path in everything if not NOT_OURS & set(path.parts)]
    files = sorted(path for path in named if (ROOT / path).is_file())
    assert files, "a check of no file would pass"
    return files


@pytest.fixture(scope="session")
def modules(project_files: list[Path]) -> list[Path]:
    """Every Python file of the rooms and the face, relative to the root."""
    rooms = {"agents", "config", "crypto", "selo", "transport"}
    found = [path for path in project_files if path.suffix == ".py" and path.parts[0] in rooms]
    assert {path.parts[0] for path in found} == rooms
    return found
