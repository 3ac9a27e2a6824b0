"""docs/api.md: every block of Python on it runs as it stands, in processes of its own."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from selo.config.home import Home
from selo.config.keyring import load_identity
from selo.config.trust import TrustStore

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
BLOCKS = re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def scenes() -> list[list[tuple[str, str]]]:
    """The blocks that run together: bob.py with the alice.py after it, any other one alone."""
    found: list[list[tuple[str, str]]] = []
    for name, code in BLOCKS:
        if name == "alice.py":
            found[-1].append((name, code))
        else:
            found.append([(name, code)])
    return found


@pytest.fixture(scope="module")
def homes(tmp_path_factory):
    """Alice's and Bob's homes, each with the other pinned."""
    folder = tmp_path_factory.mktemp("homes")
    made = {name: load_identity(folder / name, create=True) for name in ("alice", "bob")}
    for name, other in (("alice", "bob"), ("bob", "alice")):
        home = Home.locate(str(folder / name), {})
        TrustStore(home).add(other, made[other].public, may_send=True)
    return folder


def test_every_block_of_python_says_which_script_it_is():
    """No block of the page escapes the test below."""
    assert len(BLOCKS) == PAGE.read_text().count("```python") > 10


@pytest.mark.parametrize("scene", scenes(), ids=lambda scene: "+".join(name for name, _ in scene))
def test_the_page_is_true(scene, homes, tmp_path):
    """Each script, with its partner where it has one, ends with status 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    (tmp_path / "report.pdf").write_bytes(os.urandom(100_000))
    (tmp_path / "inbox").mkdir()
    processes = []
    for name, code in scene:
        script = tmp_path / name
        script.write_text(code.replace("7800", port))
        home = homes / ("bob" if name == "bob.py" else "alice")
        processes.append(
            subprocess.Popen(
                [sys.executable, name],
                cwd=tmp_path,
                env=os.environ | {"SELO_HOME": str(home)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    try:
        ends = [(process.communicate(timeout=30)[1], process.returncode) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert ends == [("", 0)] * len(scene)
