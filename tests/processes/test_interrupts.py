"""Ctrl-C at the hard moments: while the program starts, while it ends, while the system hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.processes.conftest import PATIENCE, Homes, Process

IMPORTED = """
import os, signal, selo.__main__
os.kill(os.getpid(), signal.SIGINT)
print("it went on")
"""

HANGS = """
import hashlib, os, socket, sys
from selo.__main__ import entry

def hang(*_arguments, **_options):
    os.write(2, b"looking up\\n")
    hashlib.pbkdf2_hmac("sha512", b"", b"", 1 << 30)  # as in a C library, which begins again after a signal

socket.getaddrinfo = hang
entry()
"""


def run(script: str, *arguments: object, **options: object) -> subprocess.Popen[bytes]:
    """A Python process."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", script, *map(str, arguments)], **pipes, **options)


def test_ctrl_c_while_it_starts_is_quiet() -> None:
    """Nothing is to be put in order yet, and nobody wants to see where we were."""
    process = run(IMPORTED)
    assert process.communicate(timeout=PATIENCE) == (b"", b"")
    assert process.returncode == -signal.SIGINT


def test_ctrl_c_that_is_ignored_stays_ignored() -> None:
    """As in a script's background job."""
    process = run(IMPORTED, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    assert process.communicate(timeout=PATIENCE) == (b"it went on\n", b"")
    assert process.returncode == 0


@pytest.mark.parametrize("pause", [0.0005, 0.002, 0.004, 0.01])
def test_who_leans_on_ctrl_c_sees_no_traceback(receive, pause: float) -> None:
    """The words and the status of one, or none and the end by the signal."""
    receiver: Process = receive()
    while receiver.child.poll() is None:
        receiver.kill(signal.SIGINT)
        time.sleep(pause)
    assert receiver.end() in (130, -signal.SIGINT)  # and each line of its standard error was an event


def test_a_second_signal_is_heard_while_the_system_hangs(homes: Homes) -> None:
    """In a call of the system that no signal ends, as some look-ups of names."""
    line = ("--home", homes.alice, "emit", "--to", "bob", "--connect", "tcp://host.example:7800", __file__)
    process = run(HANGS, *line)
    assert process.stderr is not None
    assert process.stderr.readline() == b"looking up\n"
    process.send_signal(signal.SIGINT)
    time.sleep(3.5)  # IMPATIENCE
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGINT


def test_a_program_with_a_handler_that_exits_tells_the_other_side(
    homes: Homes, receive, tmp_path: Path
) -> None:
    """SIGTERM as SystemExit, as services do it: the Receiver does not wait for the rest."""
    script = (
        "import signal, sys, selo\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(77))\n"
        "def endless():\n    while True: yield b'x' * 1000\n"
        f"home = {os.fspath(homes.alice)!r}\n"
        "me, bob = selo.load_identity(home), selo.load_peer('bob', home)\n"
        "selo.emit(endless(), identity=me, to=bob, connect=sys.argv[1])\n"
    )
    receiver: Process = receive("--into", tmp_path)
    process = run(script, receiver.address)  # type: ignore[attr-defined]
    receiver.wait_for("opened")
    process.send_signal(signal.SIGTERM)
    _, words = process.communicate(timeout=PATIENCE)
    assert process.returncode == 77, words
    assert receiver.end() == 4
    assert "interrupted" in receiver.message
