import array
import fcntl
import json
import os
import subprocess
import sys
import termios
import time

import pytest

from selo import __version__
from selo.agents.cli.streams import EVENTS_VERSION, write_error_line, write_event
from tests.cli.lines import event_of


def shell(line, *words, **options):
    """A line of the shell in which `"$@"` is the program `selo` with ``words``."""
    return subprocess.run(
        ["/bin/sh", "-c", line, "sh", sys.executable, "-m", "selo", *map(str, words)],
        capture_output=True, text=True, cwd="/", timeout=60, **options,
    )  # fmt: skip


def python(code, **options):
    """A process that has prepared its standard streams and then runs ``code``."""
    begin = "import os, sys\nfrom selo.agents.cli.streams import *\nprepare_standard_streams()\n"
    return subprocess.Popen([sys.executable, "-c", begin + code], cwd="/", **options)


# Standard output: what cannot be written is an error.


@pytest.mark.parametrize("words", ["id", "id --export", "--version", "--help", "receive --help"])
@pytest.mark.parametrize(
    ("output", "reason"), [(">&-", "bad file descriptor"), (">/dev/full", "no space left on device")]
)
def test_a_result_that_cannot_be_written_is_an_error(words, output, reason, home):
    """With standard output closed or full: 1, one sentence, no traceback, also for --help and --version."""
    process = shell(f'"$@" {output}', "--home", home.path, *words.split())
    assert process.returncode == 1
    assert process.stderr == f"selo: cannot write standard output: {reason}\n"


@pytest.mark.parametrize("words", ["id", "--version"])
def test_a_result_without_a_reader_is_an_error(words, home):
    """`selo id | true`: the same."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "selo", "--home", str(home.path), words]
    process = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, cwd="/", timeout=60)
    os.close(writing)
    assert (process.returncode, process.stderr) == (1, "selo: cannot write standard output: broken pipe\n")


def test_a_result_that_the_encoding_lacks_is_escaped(tmp_path):
    """A folder with a name in another script is shown on a terminal that knows ASCII only."""
    home = tmp_path / "\u65e5"
    process = shell('"$@"', "--home", home, "keygen", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert process.returncode == 0
    assert "\\u65e5/identity.pub" in process.stdout


# Standard error: what cannot be written changes nothing.


@pytest.mark.parametrize("error", ["2>&-", "2>/dev/full"])
@pytest.mark.parametrize(
    ("words", "status"),
    [("id --nonsense", 2), ("id", 0), ("id --json", 0), ("trust list", 0), ("--version", 0)],
)
def test_a_standard_error_that_fails_decides_nothing(error, words, status, home):
    """Closed or full, the exit status is the same, and standard output holds what it would have held."""
    plain = shell('"$@"', "--home", home.path, *words.split())
    process = shell(f'"$@" {error}', "--home", home.path, *words.split())
    assert process.returncode == plain.returncode == status
    assert process.stdout == plain.stdout


@pytest.mark.parametrize("words", ["--nonsense", "--json --nonsense", "--home /none id --verbose"])
def test_an_error_without_a_reader_keeps_its_status(words):
    """`selo ... 2>&1 >&- | true`: nobody hears the error, and it is the same one."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "selo", *words.split()]
    process = subprocess.run(command, stdout=subprocess.PIPE, stderr=writing, cwd="/", timeout=60)
    os.close(writing)
    assert (process.returncode, process.stdout) == (2, b"")


def unread(reading):
    """How many bytes wait in a pipe."""
    count = array.array("i", [0])
    fcntl.ioctl(reading, termios.FIONREAD, count)
    return count[0]


def test_what_is_written_next_is_heard_again():
    """A failure of standard error is not for ever: when there is room again, the next line arrives."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    os.write(writing, bytes(fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ)))
    code = """
write_error_line("lost")
print("ready", flush=True)
sys.stdin.readline()
write_error_line("heard")
"""
    with python(code, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=writing) as process:
        os.close(writing)
        assert process.stdout.readline() == b"ready\n"
        os.read(reading, unread(reading))
        process.stdin.close()
        assert process.wait(60) == 0
    assert os.read(reading, 100) == b"heard\n"
    os.close(reading)


def test_a_thread_that_is_stuck_in_standard_error_does_not_keep_the_process():
    """With a reader that reads nothing, a process whose work is done ends, and with its own status."""
    reading, writing = os.pipe()
    code = """
import threading
def talk():
    while True:
        write_error_line("x" * 4095)
threading.Thread(target=talk, daemon=True).start()
sys.stdin.read()
drop_unwritten_output()
sys.exit(7)
"""
    with python(code, stdin=subprocess.PIPE, stderr=writing) as process:
        size = fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ)
        os.close(writing)
        deadline = time.monotonic() + 60
        while unread(reading) < size:  # then the thread can only be stuck, or about to be
            assert time.monotonic() < deadline
        process.stdin.close()
        assert process.wait(60) == 7
    os.close(reading)


# Closed standard streams.


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)])
def test_nothing_gets_the_number_of_a_closed_stream(closed, tmp_path):
    """What we open next has another number; for child processes too, the closed ones are held."""
    code = """
number = os.open(os.devnull, os.O_RDONLY)
assert number > 2, number
assert all(os.get_inheritable(stream) for stream in range(3))
sys.stdout.write("out"), sys.stderr.write("err")
drop_unwritten_output()
os._exit(7)
"""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with python(code, preexec_fn=lambda: [*map(os.close, closed)], **pipes) as process:
        output, error = process.communicate(timeout=60)
    assert process.returncode == 7, error
    assert output == (b"" if 1 in closed else b"out")
    assert error == (b"" if 2 in closed else b"err")


@pytest.mark.parametrize(("line", "status"), [('"$@" <&-', 1), ('"$@" </dev/null', 2)])
def test_a_closed_standard_input_is_a_sentence(line, status, home):
    """`selo trust add` reads from nothing: told apart from an empty file, and no bug of ours."""
    process = shell(line, "--home", home.path, "trust", "add", "bob")
    assert process.returncode == status
    assert process.stderr.startswith("selo: ")
    assert "bug" not in process.stderr
    assert ("cannot read standard input: it is closed" in process.stderr) == (status == 1)


# In this process.


def test_an_event_is_one_line_of_ascii(capsys):
    """Whatever a value holds, no line end and no control character gets out."""
    write_event("thing", text="a\nb\x1b\u202e\u2028\xfc")
    line = capsys.readouterr().err
    assert line.isascii()
    assert line.count("\n") == 1
    assert event_of(line)["text"] == "a\nb\x1b\u202e\u2028\xfc"


def test_every_event_has_its_version_and_its_time(capsys):
    """Before its own fields: which page describes it, and when it was told (milliseconds since 1970)."""
    before = time.time()
    write_event("thing", value=1)
    line = json.loads(capsys.readouterr().err)
    assert list(line) == ["event", "v", "time", "value"]
    assert line["v"] == EVENTS_VERSION
    assert before - 0.001 <= line["time"] <= time.time() + 0.001
    assert line["time"] == round(line["time"], 3)


def test_without_a_standard_error_nothing_is_said(monkeypatch, capsys):
    """None is not standard output, and a stream that was closed is nobody's error."""
    monkeypatch.setattr(sys, "stderr", None)
    write_error_line("lost")
    with open(os.devnull, "w") as closed:
        monkeypatch.setattr(sys, "stderr", closed)
    write_error_line("lost")
    assert capsys.readouterr().out == ""


def test_the_version_is_all_that_version_says():
    """What is flushed at the end is the answer alone."""
    assert shell('"$@"', "--version").stdout == f"selo {__version__}\n"
