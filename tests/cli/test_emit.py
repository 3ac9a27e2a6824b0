"""`selo emit`: what goes wrong before anybody is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from selo.agents.cli.main import main


@pytest.fixture
def alice(tmp_path: Path) -> Path:
    """A home that knows nobody."""
    home = tmp_path / "alice"
    assert main(["--home", str(home), "--quiet", "keygen"]) == 0
    return home


def test_unknown_peer_is_usage(alice: Path, tmp_path: Path, capsys) -> None:
    """A peer that is not in the trust store is named, and nobody is called."""
    assert (
        main(["--home", str(alice), "emit", "--to", "bob", "--connect", "tcp://127.0.0.1:1", str(tmp_path)])
        == 2
    )
    assert "bob" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["127.0.0.1:7800", "http://host", "tcp://", "tcp://host:0", "ipc://relative"])
def test_address_that_is_none_is_usage(alice: Path, tmp_path: Path, capsys, url: str) -> None:
    """An address that cannot be meant ends with 2 and an example of one that can."""
    other = tmp_path / "bob"
    assert main(["--home", str(other), "--quiet", "keygen"]) == 0
    exported = other / "identity.pub"
    assert main(["--home", str(alice), "--quiet", "trust", "add", "bob", str(exported)]) == 0
    capsys.readouterr()
    assert main(["--home", str(alice), "emit", "--to", "bob", "--connect", url, str(exported)]) == 2
    assert "as in " in capsys.readouterr().err


def test_home_without_identity_says_keygen(tmp_path: Path, capsys) -> None:
    """The first thing that a new user may forget is told with its command."""
    assert main(["--home", str(tmp_path / "none"), "emit", "--to", "bob", "--connect", "tcp://h:1", "x"]) != 0
    assert "keygen" in capsys.readouterr().err
