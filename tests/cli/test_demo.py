"""`selo demo`: it ends with 0 only when all that it shows is true."""

from __future__ import annotations

from pathlib import Path

import pytest

from selo.agents.cli import demo
from selo.agents.cli.main import main


def test_demo_ends_with_0(capsys) -> None:
    """Over the pipe transport; tests/processes has both."""
    assert main(["demo", "--transport", "pipe"]) == 0
    assert capsys.readouterr().out.count("checked") == 8


@pytest.mark.parametrize("lie", ["content", "record count"])
def test_demo_fails_when_a_claim_is_false(monkeypatch, capsys, lie: str) -> None:
    """A copy that differs, or a block count that is off, ends with 1 and names the claim."""
    if lie == "content":
        monkeypatch.setattr(Path, "read_bytes", lambda _path: b"something else")
    else:
        monkeypatch.setattr(demo, "BLOCK", 64)
        monkeypatch.setattr(demo, "replace", lambda settings, **_: settings)
    assert main(["demo", "--transport", "pipe"]) == 1
    assert "it is not true that" in capsys.readouterr().err
