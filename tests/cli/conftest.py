"""What the tests of the command line share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from selo.agents.cli.findings import Finding


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is asked for anything at the terminal of who runs the tests."""
    monkeypatch.setattr("selo.agents.cli.passphrase.TERMINAL", "/dev/null/no-terminal")


@pytest.fixture
def mend() -> Callable[[Finding], None]:
    """Runs a finding's fix in a shell, as a person would."""

    def run(finding: Finding) -> None:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        subprocess.run(["bash", "-c", finding.fix], check=True, timeout=30, env={**os.environ, "PATH": path})

    return run
