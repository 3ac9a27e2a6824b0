"""What was piped out of a Receiver that was killed before its receipt: it is never piped out again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes.conftest import Process

DATA = os.urandom(30_000)
"""Less than a pipe holds, so it is written before anybody waits for it."""

KILLED = """
import os, signal, sys
from selo.agents.incoming import Incoming
Incoming._receipt = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
from selo.agents.cli.main import main
sys.exit(main())
"""
"""`selo`, killed when the delivery is stored and the RECEIPT is not sent."""


@pytest.fixture
def address() -> str:
    """One that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def receive_and_die(home: Path, address: str, *words: str) -> tuple[Process, bytes]:
    """What it wrote before that."""
    line = [sys.executable, "-c", KILLED, "--json", "--home", str(home)]
    line += ["receive", "--bind", address, *words]
    child = subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    process = Process(child)
    assert child.stdout is not None
    with child.stdout:
        written = child.stdout.read()
    assert process.end() == -signal.SIGKILL
    assert child.stderr is not None
    child.stderr.close()
    return process, written


@pytest.mark.parametrize("words", [("-",), ("--hold", "-")], ids=["at once", "held"])
def test_security_a_stream_is_handed_on_once(words: tuple[str, ...], start, homes, address: str) -> None:
    """The Emitter gets its receipt from the next run, which writes nothing, says so, and is no success."""
    emitter = start("emit", "--to", "bob", "--connect", address, "-", home=homes.alice, stdin=subprocess.PIPE)
    emitter.child.stdin.write(DATA)
    emitter.child.stdin.close()
    _, first = receive_and_die(homes.bob, address, *words)
    assert first == DATA
    receiver = start("receive", "--bind", address, *words, home=homes.bob, stdout=subprocess.PIPE)
    second, _ = receiver.child.stdout.read(), receiver.child.stdout.close()
    assert second == b""
    assert (emitter.end(), receiver.end()) == (0, 1)
    (delivered,) = emitter.named("delivered")
    assert delivered["receipt"] == "verified" and delivered["earlier"]
    assert "wrote nothing" in receiver.named("warning")[0]["message"]
    assert list((homes.bob / "stored").iterdir()) == []


def test_security_a_file_that_a_shell_has_emptied_gets_all_again(
    start, homes, address: str, tmp_path: Path
) -> None:
    """`selo receive - > file` once more: what the first run wrote there is gone."""
    (tmp_path / "source").write_bytes(DATA)
    emitter = start("emit", "--to", "bob", "--connect", address, tmp_path / "source", home=homes.alice)
    receive_and_die(homes.bob, address, "-")
    with (tmp_path / "file").open("wb") as file:
        receiver = start("receive", "--bind", address, "-", home=homes.bob, stdout=file)
    assert (emitter.end(), receiver.end()) == (0, 0)
    assert (tmp_path / "file").read_bytes() == DATA
