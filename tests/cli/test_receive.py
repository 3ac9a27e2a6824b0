"""`selo receive`: what goes wrong before anybody comes."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from selo.agents.cli.main import main


@pytest.fixture
def bob(tmp_path: Path) -> Path:
    """A home that trusts alice."""
    homes = {name: tmp_path / name for name in ("alice", "bob")}
    for home in homes.values():
        assert main(["--home", str(home), "--quiet", "keygen"]) == 0
    public = homes["alice"] / "identity.pub"
    assert (
        main(["--home", str(homes["bob"]), "--quiet", "trust", "add", "alice", str(public), "--may-send"])
        == 0
    )
    return homes["bob"]


def test_nobody_may_send_is_usage(tmp_path: Path, capsys) -> None:
    """Without a peer that may send, `receive` refuses to start and says how to allow one."""
    home = tmp_path / "lonely"
    assert main(["--home", str(home), "--quiet", "keygen"]) == 0
    assert main(["--home", str(home), "receive"]) == 2
    assert "selo trust allow NAME" in capsys.readouterr().err


def test_unknown_sender_is_usage(bob: Path, capsys) -> None:
    """--from names a peer that is known."""
    assert main(["--home", str(bob), "receive", "--from", "carol"]) == 2
    assert "carol" in capsys.readouterr().err


def test_address_in_use_is_1(bob: Path, capsys) -> None:
    """A port that another program has is told at once."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        url = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        assert main(["--home", str(bob), "receive", "--bind", url]) == 1
    assert "another program" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["existing file", "missing folder"])
def test_what_would_fail_later_is_told_early(bob: Path, tmp_path: Path, capsys, what: str) -> None:
    """A target that a delivery would be refused for is warned of while it can still be mended."""
    target = tmp_path / "there"
    target.write_text("old")
    path = target if what == "existing file" else tmp_path / "missing" / "file"
    arguments = ["receive", "--bind", "tcp://127.0.0.1:0", "--output", str(path), "--wait", "100ms"]
    assert main(["--home", str(bob), *arguments]) == 5
    assert "a delivery will be refused" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["file", "variables"])
def test_the_target_can_be_a_setting(bob: Path, tmp_path: Path, capsys, monkeypatch, place: str) -> None:
    """A service needs no flags: sender, place, target and wait all come from file or environment."""
    missing = tmp_path / "missing"
    said = {"receive_from": "alice", "receive_bind": "tcp://127.0.0.1:0", "receive_wait": "100ms"}
    said["receive_into"] = str(missing)
    if place == "file":
        (bob / "config.toml").write_text("".join(f'{name} = "{value}"\n' for name, value in said.items()))
    else:
        for name, value in said.items():
            monkeypatch.setenv(f"SELO_{name.upper()}", value)
    assert main(["--home", str(bob), "receive"]) == 5
    error = capsys.readouterr().err
    assert f"there is no folder {missing}" in error
    assert "for alice" in error


def test_a_target_on_the_line_replaces_that_of_the_settings(bob: Path, tmp_path: Path, capsys) -> None:
    """--into overrules a receive_output of the file."""
    (bob / "config.toml").write_text(f'receive_output = "{tmp_path}/missing/file"\n')
    line = ["receive", "--into", str(tmp_path), "--bind", "tcp://127.0.0.1:0", "--wait", "100ms"]
    assert main(["--home", str(bob), *line]) == 5
    assert "there is no folder" not in capsys.readouterr().err


def test_a_service_has_no_single_output(bob: Path, tmp_path: Path, capsys) -> None:
    """--forever takes many deliveries, and one file or stream is not for many."""
    for output in ("-", str(tmp_path / "file")):
        line = ["receive", "--forever", "--output", output, "--bind", "tcp://127.0.0.1:0"]
        assert main(["--home", str(bob), *line]) == 2
        assert "not for many deliveries" in capsys.readouterr().err


def test_a_hook_that_cannot_be_understood_is_usage(bob: Path, tmp_path: Path, capsys) -> None:
    """A quotation without its end is found before anybody is listened for."""
    line = ["receive", "--into", str(tmp_path), "--exec", "notify 'me", "--bind", "tcp://127.0.0.1:0"]
    assert main(["--home", str(bob), *line]) == 2
    assert "exec" in capsys.readouterr().err


def test_what_lies_too_long_is_swept_at_the_start(bob: Path, tmp_path: Path, capsys) -> None:
    """A part that nobody came back for goes; a young one, and what is not ours, stays."""
    inbox = tmp_path / "inbox"
    for number, age in enumerate((10 * 86_400, 0)):
        part = inbox / f".selo-{number:032x}.part"
        part.mkdir(parents=True)
        os.utime(part, (time.time() - age,) * 2)
    (inbox / "theirs").touch()
    line = ["receive", "--into", str(inbox), "--bind", "tcp://127.0.0.1:0", "--wait", "100ms"]
    assert main(["--home", str(bob), *line]) == 5
    assert sorted(os.listdir(inbox)) == [f".selo-{1:032x}.part", "theirs"]
