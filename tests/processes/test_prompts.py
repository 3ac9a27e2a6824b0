"""Passphrases at a real terminal: what is asked, what is shown, and what the terminal is like afterwards."""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from selo.config.home import Home

SELO = Path(sys.executable).with_name("selo")
PATIENCE = 60.0
SECRET = b"correct horse"
NEW = "new passphrase for "
AGAIN = "the same again: "
CTRL_C, CTRL_D = b"\x03", b"\x04"


class Terminal:
    """A terminal, the `selo` that it controls, and a person who reads before typing."""

    def __init__(self, *arguments: object, home: Path, **streams: int) -> None:
        self._ours, self._theirs = os.openpty()
        on_terminal = {"stdin": self._theirs, "stdout": self._theirs, "stderr": self._theirs}
        self.child = subprocess.Popen(
            [SELO, "--home", str(home), *map(str, arguments)],
            preexec_fn=self._control,
            **(on_terminal | streams),
        )
        self._seen = 0
        self._screen = b""

    def _control(self) -> None:
        os.setsid()
        fcntl.ioctl(self._theirs, termios.TIOCSCTTY, 0)

    def read_until(self, text: str) -> None:
        """Wait until the text stands on the screen, after what was waited for before."""
        until = time.monotonic() + PATIENCE
        while (found := self._screen.find(text.encode(), self._seen)) < 0:
            ready, _, _ = select.select([self._ours], [], [], max(0, until - time.monotonic()))
            assert ready, f"no {text!r} after {self._screen!r}"
            self._screen += os.read(self._ours, 4096)
        self._seen = found + len(text)

    def type(self, line: bytes) -> None:
        """A line, and the key that ends it."""
        self.press(line + b"\r")

    def press(self, keys: bytes) -> None:
        """Keys alone."""
        os.write(self._ours, keys)

    @property
    def echoes(self) -> bool:
        """Whether what is typed is shown."""
        return bool(termios.tcgetattr(self._theirs)[3] & termios.ECHO)

    def end(self) -> int:
        """The exit status, once the process has ended; then the screen is complete."""
        until = time.monotonic() + PATIENCE
        while self.child.poll() is None or select.select([self._ours], [], [], 0)[0]:
            assert time.monotonic() < until, f"it goes on after {self._screen!r}"
            if select.select([self._ours], [], [], 0.01)[0]:
                self._screen += os.read(self._ours, 4096)
        return self.child.returncode

    @property
    def screen(self) -> str:
        """All that was shown so far."""
        return self._screen.decode().replace("\r\n", "\n")

    def close(self) -> None:
        """End what still runs."""
        self.child.kill()
        self.child.wait(PATIENCE)
        for pipe in (self.child.stdin, self.child.stdout):
            if pipe is not None:
                pipe.close()
        os.close(self._ours)
        os.close(self._theirs)


Sit = Callable[..., Terminal]


@pytest.fixture
def sit() -> Iterator[Sit]:
    """Starts `selo` at a terminal of its own."""
    terminals: list[Terminal] = []

    def start(*arguments: object, home: Path, **streams: int) -> Terminal:
        terminals.append(Terminal(*arguments, home=home, **streams))
        return terminals[-1]

    yield start
    for terminal in terminals:
        terminal.close()


@pytest.fixture
def encrypted(homes, tmp_path) -> Path:
    """A copy of alice's home, encrypted under SECRET."""
    home = tmp_path / "alice"
    shutil.copytree(homes.alice, home)
    (tmp_path / "secret").write_bytes(SECRET + b"\n")
    (tmp_path / "secret").chmod(0o600)
    changed = subprocess.run(
        [SELO, "--home", str(home), "passphrase", "--new-passphrase-file", str(tmp_path / "secret")],
        capture_output=True,
        timeout=PATIENCE,
    )
    assert changed.returncode == 0, changed.stderr
    return home


def answer(terminal: Terminal, *exchanges: tuple[str, bytes]) -> None:
    """Answer each question, once it stands there; none may echo."""
    for question, line in exchanges:
        terminal.read_until(question)
        assert not terminal.echoes
        terminal.type(line)


def test_keygen_encrypts_under_what_was_typed_twice(sit, tmp_path):
    """The identity opens under it, and the terminal showed none of it and echoes again."""
    terminal = sit("keygen", "--passphrase", home=tmp_path / "h")
    answer(terminal, (f"{NEW}{tmp_path / 'h' / 'identity'}: ", SECRET), (AGAIN, SECRET))
    assert terminal.end() == 0
    assert terminal.echoes
    assert SECRET.decode() not in terminal.screen
    assert Home(tmp_path / "h").load_identity(SECRET)


def test_keygen_asks_again_for_two_that_differ(sit, tmp_path):
    """Once mistyped: the pair that was the same counts, and nothing else."""
    terminal = sit("keygen", "--passphrase", home=tmp_path / "h")
    answer(terminal, (NEW, b"corect horse"), (AGAIN, SECRET), (NEW, SECRET), (AGAIN, SECRET))
    assert terminal.end() == 0
    assert Home(tmp_path / "h").load_identity(SECRET)


def test_keygen_gives_up_after_three_pairs(sit, tmp_path):
    """Nothing is made, and the status is that of a command that cannot be meant."""
    terminal = sit("keygen", "--passphrase", home=tmp_path / "h")
    answer(terminal, *[(NEW, b"one thing"), (AGAIN, b"or another")] * 3)
    assert terminal.end() == 2
    assert "selo: the two were different, 3 times" in terminal.screen
    assert "one thing" not in terminal.screen
    assert "or another" not in terminal.screen
    assert not (tmp_path / "h").exists()


def test_an_empty_passphrase_is_refused_at_once(sit, tmp_path):
    """It is not taken for "none": whoever asked for a passphrase gets one, or nothing."""
    terminal = sit("keygen", "--passphrase", home=tmp_path / "h")
    answer(terminal, (NEW, b""))
    assert terminal.end() == 2
    assert "selo: an empty passphrase protects nothing" in terminal.screen
    assert not (tmp_path / "h").exists()


def test_two_wrong_ones_and_the_right_one(sit, encrypted, tmp_path):
    """A person may mistype twice; an empty line is a wrong one."""
    terminal = sit("backup", tmp_path / "kept", home=encrypted)
    question = f"passphrase for {encrypted / 'identity'}: "
    for wrong in (b"incorrect horse", b""):
        answer(terminal, (question, wrong))
        terminal.read_until("wrong passphrase\r\n")
    answer(terminal, (question, SECRET))
    assert terminal.end() == 0
    assert (tmp_path / "kept").exists()
    assert "horse" not in terminal.screen


def test_security_three_wrong_ones_are_the_end(sit, encrypted, tmp_path):
    """The status is 2, nothing was written, and none of the tries is on the screen."""
    terminal = sit("backup", tmp_path / "kept", home=encrypted)
    answer(terminal, *[("passphrase for ", b"incorrect horse")] * 3)
    assert terminal.end() == 2
    assert "selo: wrong passphrase, or the private identity was altered" in terminal.screen
    assert terminal.echoes
    assert "horse" not in terminal.screen
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize(
    ("keys", "status", "said"),
    [
        (CTRL_C, 130, "selo: interrupted"),
        (b"correct" + CTRL_C, 130, "selo: interrupted"),
        (CTRL_D, 2, "selo: no passphrase was given"),
    ],
    ids=["ctrl-c", "ctrl-c half-way", "ctrl-d"],
)
def test_who_gives_up_gets_the_terminal_back(keys, status, said, sit, encrypted, tmp_path):
    """Ctrl-C ends with 130 and Ctrl-D with 2; the terminal echoes again and shows nothing that was typed."""
    terminal = sit("backup", tmp_path / "kept", home=encrypted)
    terminal.read_until("passphrase for ")
    assert not terminal.echoes
    terminal.press(keys)
    assert terminal.end() == status
    assert said in terminal.screen
    assert "Traceback" not in terminal.screen
    assert "correct" not in terminal.screen
    assert terminal.echoes
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("typed", ["größer", "日本語"])
def test_a_passphrase_in_any_script_is_the_same_in_a_file(typed, sit, tmp_path):
    """What a terminal sends as UTF-8 is what a file holds as UTF-8."""
    terminal = sit("keygen", "--passphrase", home=tmp_path / "h")
    answer(terminal, (NEW, typed.encode()), (AGAIN, typed.encode()))
    assert terminal.end() == 0
    assert Home(tmp_path / "h").load_identity(typed.encode())


def test_emit_asks_at_the_terminal_and_leaves_its_input_alone(receive, sit, encrypted):
    """What is piped in is sent to the last byte, though it looks like an answer."""
    data = b"wrong\n" + SECRET + b"\n" + os.urandom(10_000)
    receiver = receive("-", stdout=subprocess.PIPE)
    terminal = sit(
        *("emit", "--to", "bob", "--connect", receiver.address, "-"), home=encrypted, stdin=subprocess.PIPE
    )
    terminal.child.stdin.write(data)
    terminal.child.stdin.close()
    answer(terminal, ("passphrase for ", SECRET))
    assert receiver.child.stdout.read() == data
    assert (terminal.end(), receiver.end()) == (0, 0)


def test_receive_asks_before_it_listens(sit, encrypted):
    """Nobody connects to somebody who is looking for a passphrase; and a pipe's reader gets no question."""
    terminal = sit("receive", "--from", "bob", "-", home=encrypted, stdout=subprocess.PIPE)
    terminal.read_until("passphrase for ")
    assert "tcp://" not in terminal.screen
    terminal.press(CTRL_C)
    assert terminal.end() == 130
    assert terminal.child.stdout.read() == b""


def test_a_passphrase_is_changed_by_three_answers(sit, encrypted):
    """The present one, and the new one twice; afterwards the new one alone opens the identity."""
    terminal = sit("passphrase", home=encrypted)
    answer(terminal, ("passphrase for ", SECRET), (NEW, b"battery staple"), (AGAIN, b"battery staple"))
    assert terminal.end() == 0
    assert "passphrase changed" in terminal.screen
    assert "correct horse" not in terminal.screen
    assert "battery staple" not in terminal.screen
    assert Home(encrypted).load_identity(b"battery staple")


def test_a_backup_of_an_open_identity_gets_a_passphrase_of_its_own(sit, homes, tmp_path):
    """Asked for twice when it is written, and once when it is restored."""
    terminal = sit("backup", tmp_path / "kept", home=homes.alice)
    answer(terminal, (f"{NEW}the backup: ", SECRET), (AGAIN, SECRET))
    assert terminal.end() == 0
    terminal = sit("restore", tmp_path / "kept", home=tmp_path / "h")
    answer(terminal, (f"passphrase for {tmp_path / 'kept'}: ", SECRET))
    assert terminal.end() == 0
    restored = Home(tmp_path / "h").load_identity(SECRET)
    assert restored.fingerprint == Home(homes.alice).load_identity().fingerprint


def test_a_backup_through_pipes_is_asked_for_at_the_terminal(sit, encrypted, tmp_path):
    """Neither side's questions stand in the stream, and neither takes its answers from it."""
    terminal = sit("backup", "-", home=encrypted, stdout=subprocess.PIPE)
    answer(terminal, ("passphrase for ", SECRET))
    data = terminal.child.stdout.read()
    assert terminal.end() == 0
    terminal = sit("restore", "-", home=tmp_path / "h", stdin=subprocess.PIPE)
    terminal.child.stdin.write(data)
    terminal.child.stdin.close()
    answer(terminal, ("passphrase for standard input: ", SECRET))
    assert terminal.end() == 0
    assert Home(tmp_path / "h").load_identity(SECRET).fingerprint == (
        Home(encrypted).load_identity(SECRET).fingerprint
    )
