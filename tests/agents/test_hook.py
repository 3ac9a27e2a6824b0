"""The command after a delivery."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import threading
from dataclasses import fields, replace

import pytest

from selo.agents.hook import CANNOT_RUN, VARIABLES, Arrived, Hook, environment_of

ARRIVED = Arrived(
    peer="alice",
    fingerprint="0f" * 32,
    kind="tree",
    name="report",
    target="/srv/inbox/report",
    bytes=1234,
    items=5,
    blake3="ab" * 32,
    id="cd" * 16,
)


@pytest.fixture
def ends():
    """What the hook reports, in order."""
    return []


@pytest.fixture
def run(ends):
    """Runs a command for deliveries and waits for its end."""

    def run_it(command, *deliveries):
        hook = Hook(command, ended=lambda *end: ends.append(end))
        for each in deliveries or [ARRIVED]:
            hook.run(each)
        hook.close()
        return ends

    return run_it


def python(code, *words):
    """A command that runs some Python, quoted."""
    return shlex.join([sys.executable, "-c", code, *words])


def told(tmp_path, run, arrived):
    """All variables of ours that the command sees, as bytes."""
    file = tmp_path / "told"
    code = (
        "import json, os, sys; "
        "ours = {k.decode(): list(v) for k, v in os.environb.items() if k.startswith(b'SELO_DELIVERY_')}; "
        "open(sys.argv[1], 'w').write(json.dumps(ours))"
    )
    run(python(code, str(file)), arrived)
    return {name: bytes(value) for name, value in json.loads(file.read_text()).items()}


def test_every_fact_is_a_variable(tmp_path, run):
    """All nine are there, digests in hexadecimal digits and numbers in decimal ones."""
    assert told(tmp_path, run, ARRIVED) == {
        "SELO_DELIVERY_PEER": b"alice",
        "SELO_DELIVERY_FINGERPRINT": b"0f" * 32,
        "SELO_DELIVERY_KIND": b"tree",
        "SELO_DELIVERY_NAME": b"report",
        "SELO_DELIVERY_TARGET": b"/srv/inbox/report",
        "SELO_DELIVERY_BYTES": b"1234",
        "SELO_DELIVERY_ITEMS": b"5",
        "SELO_DELIVERY_BLAKE3": b"ab" * 32,
        "SELO_DELIVERY_ID": b"cd" * 16,
    }
    assert {*VARIABLES} == {name.decode() for name in environment_of(ARRIVED)}
    assert len(VARIABLES) == len(fields(Arrived)) == 9


def test_what_is_not_known_is_empty(tmp_path, run, monkeypatch):
    """No variable of a hook that runs us is taken for one of this delivery."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "of another one")
    variables = told(tmp_path, run, replace(ARRIVED, name=None, target=None))
    assert (variables["SELO_DELIVERY_NAME"], variables["SELO_DELIVERY_TARGET"]) == (b"", b"")
    assert b"of another one" not in variables.values()


@pytest.mark.parametrize(
    "name",
    [
        "$(touch x)",
        "`touch x`",
        "; touch x",
        "a b",
        "a\nSELO_DELIVERY_PEER=eve",
        "-rf",
        "λ\u202e\x1b[2J",
        "'\"",
        "%s",
    ],
)
def test_security_a_peers_name_is_never_more_than_a_value(name, tmp_path, run, monkeypatch):
    """No shell reads it, no other variable is set by it, and it is no argument."""
    monkeypatch.chdir(tmp_path)
    variables = told(tmp_path, run, replace(ARRIVED, name=name))
    assert variables["SELO_DELIVERY_NAME"] == name.encode()
    assert variables["SELO_DELIVERY_PEER"] == b"alice"
    assert os.listdir(tmp_path) == ["told"]


def test_security_a_zero_byte_in_a_name_stops_nothing(tmp_path, run, ends):
    """What no variable can hold is shown in its place, and the command runs."""
    variables = told(tmp_path, run, replace(ARRIVED, name="a\0b"))
    assert variables["SELO_DELIVERY_NAME"] == "a\ufffdb".encode()
    assert ends == [(replace(ARRIVED, name="a\0b"), 0, "")]


def test_a_target_keeps_its_bytes(tmp_path, run):
    """Also one that is not UTF-8: the command must be able to open it."""
    target = os.fsdecode(b"/srv/\xff\xfe")
    assert told(tmp_path, run, replace(ARRIVED, target=target))["SELO_DELIVERY_TARGET"] == b"/srv/\xff\xfe"


def test_the_environment_is_ours_as_well(tmp_path, run, monkeypatch):
    """The command finds its programs and its home."""
    monkeypatch.setenv("OF_THE_OPERATOR", "42")
    code = "import os, sys; sys.exit(int(os.environ['OF_THE_OPERATOR']) - 42)"
    assert run(python(code)) == [(ARRIVED, 0, "")]


@pytest.mark.parametrize("status", [0, 1, 2, 255])
def test_the_status_is_told(status, run):
    """Zero without a word, others with words that name it."""
    words = f"it ended with status {status}" if status else ""
    assert run(python(f"import sys; sys.exit({status})")) == [(ARRIVED, status, words)]


def test_the_signal_is_told(run):
    """A command that was killed has no status."""
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    number = int(signal.SIGKILL)
    assert run(python(code)) == [(ARRIVED, -number, f"it was ended by signal {number}")]


@pytest.mark.parametrize("there", [True, False])
def test_what_cannot_be_run_is_told(there, tmp_path, run):
    """A missing program and a file that is none; what came later is run all the same."""
    file = tmp_path / "program"
    if there:
        file.write_text("no program")
    words = "permission denied" if there else "no such file or directory"
    end = (CANNOT_RUN, f"it cannot be run: {words}")
    assert run(shlex.quote(str(file)), ARRIVED, ARRIVED) == [(ARRIVED, *end), (ARRIVED, *end)]


def test_words_are_split_as_a_shell_splits_them(tmp_path, run, ends):
    """Quotes hold words together; nothing is expanded."""
    file = tmp_path / "words"
    code = "import json, sys; open(sys.argv[1], 'w').write(json.dumps(sys.argv[2:]))"
    run(python(code, str(file)) + """ 'a b' "c d" e\\ f $HOME * ~ '' | > &""")
    words = ["a b", "c d", "e f", "$HOME", "*", "~", "", "|", ">", "&"]
    assert json.loads(file.read_text()) == words
    assert ends == [(ARRIVED, 0, "")]


def test_a_signal_for_our_group_is_not_for_the_command(run, ends):
    """A Ctrl-C at the terminal, or a system that stops us, ends no command that runs."""
    run(python("import os, sys; sys.exit(os.getsid(0) != os.getpid())"))
    assert [status for _, status, _ in ends] == [0]


def test_its_streams_are_not_ours(run, capfd):
    """It reads nothing, and what it writes to either output is on our standard error."""
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(len(sys.stdin.read()))"
    assert run(python(code)) == [(ARRIVED, 0, "")]
    written = capfd.readouterr()
    assert written.out == ""
    assert sorted(written.err.split()) == ["err", "out"]


def test_one_runs_after_another(tmp_path, run, ends):
    """Two at once would see each other's lock; the order is that of the deliveries."""
    lock = tmp_path / "lock"
    code = (
        "import os, sys, time; os.mkdir(sys.argv[1]); time.sleep(0.05); os.rmdir(sys.argv[1]); "
        "sys.exit(int(os.environ['SELO_DELIVERY_ITEMS']))"
    )
    run(python(code, str(lock)), *(replace(ARRIVED, items=number) for number in range(5)))
    assert [status for _, status, _ in ends] == [0, 1, 2, 3, 4]


def test_deliveries_do_not_wait_for_the_command(tmp_path, ends):
    """`run` returns at once; `close` waits for all that were queued, and can be called again."""
    code = "import os, sys; open(sys.argv[1] + os.environ['SELO_DELIVERY_ITEMS']).read()"
    hook = Hook(python(code, f"{tmp_path}/"), ended=lambda *end: ends.append(end))
    for items in (1, 2):
        os.mkfifo(tmp_path / str(items))
        hook.run(replace(ARRIVED, items=items))
    assert ends == []
    closing = threading.Thread(target=hook.close)
    closing.start()
    for items in (1, 2):
        assert closing.is_alive()
        (tmp_path / str(items)).write_bytes(b"")  # waits for the command to read it
    closing.join(10)
    assert [status for _, status, _ in ends] == [0, 0]
    hook.close()


def test_without_a_delivery_nothing_runs(ends):
    """No thread, no process."""
    before = threading.active_count()
    hook = Hook("/nonexistent", ended=lambda *end: ends.append(end))
    assert threading.active_count() == before
    hook.close()
    assert ends == []


def test_what_is_waited_for_is_known(ends, tmp_path):
    """All that were queued, less those whose command has ended; `close` lets its caller look meanwhile."""
    for number in range(3):
        os.mkfifo(tmp_path / str(number))
    code = "import os, sys; open(sys.argv[1] + os.environ['SELO_DELIVERY_ITEMS']).read()"
    hook = Hook(python(code, f"{tmp_path}/"), ended=lambda *end: ends.append(end))
    for number in range(3):
        hook.run(replace(ARRIVED, items=number))
    seen = []

    def look():
        left = [each.items for each in hook.waiting]
        if left and left not in seen:
            seen.append(left)
            (tmp_path / str(left[0])).write_bytes(b"")  # waits for the command to read it

    hook.close(look)
    assert seen == [[0, 1, 2], [1, 2], [2]]
    assert hook.waiting == []
