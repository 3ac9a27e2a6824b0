import io
import os
import sys

import pytest

from selo.agents.cli import passphrase
from selo.agents.cli.main import main
from selo.agents.cli.passphrase import ask, ask_new, has_terminal, others_can_read, read_passphrase
from selo.config.errors import FileFault, PassphraseFileRefused, PassphraseRefused
from selo.config.home import Home

# What a person is asked, and in which order, is in tests/processes/test_prompts.py, at real terminals.


@pytest.fixture
def piped(monkeypatch):
    """Standard input with lines in it that nobody may take for a passphrase."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("from a pipe\nfrom a pipe\n"))
    return sys.stdin


def test_only_the_first_line_counts(tmp_path):
    """What stands below it may be a note, and another line end is no part of it."""
    path = tmp_path / "passphrase"
    path.write_bytes(b"secret\r\na note\n")
    assert read_passphrase(path) == b"secret"


@pytest.mark.parametrize("data", [b"", b"\n", b"\r\n", b"\nsecret\n"])
def test_an_empty_first_line_is_no_passphrase(data, tmp_path):
    """It would protect nothing, and the error names the file."""
    path = tmp_path / "passphrase"
    path.write_bytes(data)
    with pytest.raises(PassphraseFileRefused, match=str(path)):
        read_passphrase(path)


@pytest.mark.parametrize("place", ["none", ""])
def test_a_file_that_cannot_be_read_is_a_fault(place, tmp_path):
    """Neither a missing file nor a folder is taken for "no passphrase"."""
    with pytest.raises(FileFault, match=f"cannot read {tmp_path / place}"):
        read_passphrase(tmp_path / place)


def test_who_can_read_a_file_is_read_from_its_mode(tmp_path):
    """Over all modes: the group's and the others' right to read, and nothing else."""
    path = tmp_path / "passphrase"
    path.touch()
    for mode in range(0o1000):
        path.chmod(mode)
        assert others_can_read(path) == bool(mode & 0o040 or mode & 0o004), oct(mode)


def test_a_pipe_and_nothing_are_read_by_nobody_else(tmp_path):
    """As in --passphrase-file <(pass show selo): the mode of a pipe says nothing."""
    os.mkfifo(tmp_path / "pipe", 0o666)
    assert not others_can_read(tmp_path / "pipe")
    assert not others_can_read(tmp_path / "none")


def test_a_terminal_is_looked_for_where_people_sit(monkeypatch):
    """Whether there is one is not whether standard input is one."""
    assert not has_terminal()
    ours, theirs = os.openpty()
    monkeypatch.setattr(passphrase, "TERMINAL", os.ttyname(theirs))
    assert has_terminal()
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("question", [ask, ask_new])
def test_security_without_a_terminal_nothing_is_asked(question, piped, capfd):
    """Standard input is data: it is never read for an answer, and nothing is written."""
    with pytest.raises(PassphraseRefused, match="there is no terminal"):
        question("anything: ")
    assert piped.read() == "from a pipe\nfrom a pipe\n"
    assert capfd.readouterr() == ("", "")


def test_keygen_without_a_terminal_makes_nothing(tmp_path, piped, capsys):
    """An identity that was to be encrypted is not made without a passphrase; the hint names the file."""
    assert main(["--home", str(tmp_path / "h"), "keygen", "--passphrase"]) == 2
    output, error = capsys.readouterr()
    assert "selo: there is no terminal to ask for a passphrase\nhint: " in error
    assert output == ""
    assert not (tmp_path / "h").exists()


def test_keygen_takes_the_file_before_the_person(tmp_path, capsys):
    """With --passphrase and a file nobody is asked."""
    secret = tmp_path / "passphrase"
    secret.write_bytes(b"secret\n")
    secret.chmod(0o600)
    home = Home(tmp_path / "h")
    assert main(["--home", str(home.path), "keygen", "--passphrase", "--passphrase-file", str(secret)]) == 0
    assert home.load_identity(b"secret").public == home.load_public_identity()[0]
    capsys.readouterr()


def test_keygen_asks_for_nothing_where_an_identity_is(home, capsys):
    """Nobody thinks of a passphrase for nothing: the error is of the identity, not of the terminal."""
    assert main(["--home", str(home.path), "keygen", "--passphrase"]) == 2
    assert "already an identity" in capsys.readouterr().err
