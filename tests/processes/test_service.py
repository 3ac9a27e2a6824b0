"""`selo receive --forever`, --exec, policies, rates and receipts, between real processes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes.conftest import selo

MIB = 1 << 20


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """A folder to deliver into."""
    path = tmp_path / "inbox"
    path.mkdir()
    return path


@pytest.fixture
def parcel(tmp_path: Path) -> Callable[..., Path]:
    """Makes a file to send."""

    def make(name: str, size: int = 1000) -> Path:
        path = tmp_path / name
        path.write_bytes(os.urandom(size))
        return path

    return make


def stop(service) -> None:
    """As a system does."""
    service.kill(signal.SIGTERM)
    assert service.end() == 143


# --forever and --exec


def test_a_service_takes_one_after_another_whoever_comes_between(
    receive, emit, homes, inbox: Path, parcel, tmp_path: Path
) -> None:
    """Strangers, junk, a refused and a cut delivery end nothing; the hook runs once for each stored."""
    log = tmp_path / "log"
    hook = f"""sh -c 'echo "$SELO_DELIVERY_PEER $SELO_DELIVERY_KIND $SELO_DELIVERY_TARGET" >> {log}'"""
    service = receive("--into", inbox, "--forever", "--exec", hook)
    first, second = parcel("first"), parcel("second", 3 * MIB)
    assert emit(service, first).end() == 0
    assert emit(service, first, home=homes.mallory).end() == 3
    host, port = service.address.removeprefix("tcp://").split(":")
    with socket.create_connection((host, int(port))) as junk:
        junk.sendall(bytes(range(256)))
    assert emit(service, first).end() == 1  # it is there
    cut = emit(service, second, "--rate", "2MB/s")
    cut.wait_for("progress")
    cut.kill(signal.SIGINT)
    assert cut.end() == 130
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(first, folder)
    assert emit(service, folder).end() == 0
    assert emit(service, second).end() == 0
    stop(service)
    assert log.read_text().splitlines() == [
        f"alice {kind} {inbox / name}"
        for kind, name in (("file", "first"), ("tree", "folder"), ("file", "second"))
    ]
    assert sorted(os.listdir(inbox)) == ["first", "folder", "second"]
    assert (inbox / "second").read_bytes() == second.read_bytes()
    assert (inbox / "folder" / "first").read_bytes() == first.read_bytes()
    assert {event["kind"] for event in service.named("failed")} >= {"TargetExists"}


def test_security_a_service_sees_what_changes_in_the_trust_store(
    receive, emit, homes, inbox: Path, parcel, tmp_path: Path
) -> None:
    """Denied, allowed, with a policy, removed, added: the next delivery is taken or refused accordingly."""
    bob = tmp_path / "bob"
    shutil.copytree(homes.bob, bob)
    service = receive("--into", inbox, "--forever", home=bob)

    def trusted(*words: str, **options: object) -> None:
        done = selo("trust", *words, home=bob, **options)
        assert done.returncode == 0, done.stderr

    ends = [emit(service, parcel("first")).end()]
    trusted("deny", "alice")
    ends.append(emit(service, parcel("denied")).end())
    trusted("allow", "alice")
    ends.append(emit(service, parcel("allowed")).end())
    trusted("policy", "alice", "--max-bytes", "999B")
    ends.append(emit(service, parcel("too much")).end())
    trusted("remove", "alice")
    ends.append(emit(service, parcel("removed")).end())
    alice = selo("id", "--export", home=homes.alice).stdout
    trusted("add", "alice", "--may-send", input=alice)
    ends.append(emit(service, parcel("added")).end())
    assert ends == [0, 3, 0, 1, 3, 0]
    assert sorted(os.listdir(inbox)) == ["added", "allowed", "first"]
    stop(service)


def test_a_hook_that_fails_undoes_nothing(receive, emit, inbox: Path, parcel) -> None:
    """It is a warning, and 1 in the end; the Emitter, whose delivery is stored, ends with 0."""
    receiver = receive("--into", inbox, "--exec", "false")
    assert (emit(receiver, parcel("file")).end(), receiver.end()) == (0, 1)
    assert "status 1" in receiver.named("warning")[0]["message"]
    assert os.listdir(inbox) == ["file"]


def test_a_hook_is_waited_for(receive, emit, inbox: Path, parcel, tmp_path: Path) -> None:
    """The Receiver ends when the hook has; the Emitter has its receipt before that."""
    receiver = receive(
        "--into", inbox, "--exec", f"sh -c 'read line < {tmp_path}/gate; touch {tmp_path}/ran'"
    )
    os.mkfifo(tmp_path / "gate")
    assert emit(receiver, parcel("file")).end() == 0
    receiver.wait_for("delivered")
    assert receiver.child.poll() is None
    (tmp_path / "gate").write_text("go\n")
    assert receiver.end() == 0
    assert (tmp_path / "ran").exists()


def test_after_a_signal_it_runs_for_all_that_is_stored(receive, emit, inbox: Path, parcel, tmp_path) -> None:
    """A service that is stopped says for which deliveries it waits, and none is left out."""
    for name in ("one", "two"):
        os.mkfifo(tmp_path / f"gate-{name}")
    line = "read line < $0/gate-$SELO_DELIVERY_NAME; echo $SELO_DELIVERY_ID >> $0/ran"
    hook = f"sh -c '{line}' {tmp_path}"
    service = receive("--into", inbox, "--forever", "--exec", hook)
    ids = []
    for name in ("one", "two"):
        assert emit(service, parcel(name)).end() == 0
        ids.append(service.wait_for("delivered")["delivery"])
    service.kill(signal.SIGTERM)
    warning = service.wait_for("warning")["message"]
    assert all(f"{each} ({inbox / name})" in warning for each, name in zip(ids, ("one", "two"), strict=True))
    for name in ("one", "two"):
        (tmp_path / f"gate-{name}").write_text("go\n")
    assert service.end() == 143
    assert (tmp_path / "ran").read_text().split() == ids


def test_what_a_hook_writes_stays_out_of_the_data(receive, emit, tmp_path: Path, parcel) -> None:
    """With the stream on standard output, a hook that talks does not get into it."""
    file = parcel("file")
    with (tmp_path / "out").open("wb") as out:
        receiver = receive("-", "--exec", """echo '{"event": "hook"}'""", stdout=out)
        assert (emit(receiver, file).end(), receiver.end()) == (0, 0)
    assert (tmp_path / "out").read_bytes() == file.read_bytes()
    assert receiver.named("hook")


# Policies


def refused_before_data(emitter, receiver, words: str) -> None:
    """Both sides ended with 1 and these words, and no data travelled."""
    assert (emitter.end(), receiver.end()) == (1, 1)
    assert words in emitter.message and words in receiver.message
    assert emitter.named("progress") == receiver.named("progress") == []


def test_a_file_that_is_too_large_is_refused_before_its_data(receive, emit, inbox: Path, parcel) -> None:
    """--max-bytes: the limit is told to both."""
    receiver = receive("--into", inbox, "--max-bytes", "1MiB")
    refused_before_data(emit(receiver, parcel("file", MIB + 1)), receiver, "at most 1MiB")
    assert os.listdir(inbox) == []


def test_a_folder_where_none_is_taken_is_refused(receive, emit, inbox: Path, parcel, tmp_path: Path) -> None:
    """--no-folders; so are several files."""
    for number in range(2):
        receiver = receive("--into", inbox, "--no-folders")
        parcel("one"), parcel("two")
        what = [inbox.parent / "one", inbox.parent / "two"] if number else [tmp_path / "folder"]
        (tmp_path / "folder").mkdir(exist_ok=True)
        refused_before_data(emit(receiver, *what), receiver, "folders and several files")
    assert os.listdir(inbox) == []


@pytest.mark.parametrize("where", ["--into", "--output", "-", "fifo"])
def test_security_a_stream_is_cut_at_its_limit(where: str, receive, emit, inbox: Path) -> None:
    """Whatever its length was said to be and wherever it goes: not one byte beyond the limit is taken."""
    arguments = {"--into": ("--into", inbox), "--output": ("--output", inbox / "out")}.get(where, ("-",))
    out = inbox.parent / "out"
    reader = None
    with (inbox.parent / "read").open("wb") as file:
        if where == "fifo":
            os.mkfifo(out)
            arguments = ("--output", out)
            reader = subprocess.Popen(["cat", out], stdout=file)
        receiver = receive(*arguments, "--max-bytes", "1MiB", stdout=file)
        emitter = emit(receiver, "-", "--as", "stream", stdin=subprocess.PIPE)
        emitter.child.stdin.write(bytes(MIB + 1))
        emitter.child.stdin.close()
        assert (emitter.end(), receiver.end()) == (1, 1)
    assert reader is None or reader.wait(60) == 0
    assert "1,048,576 bytes" in emitter.message and "1,048,576 bytes" in receiver.message
    assert os.listdir(inbox) == []
    for path in inbox.parent.iterdir():
        assert not path.is_file() or path.stat().st_size <= MIB


def test_what_is_said_of_a_peer_comes_first(start, emit, homes, inbox: Path, parcel, tmp_path: Path) -> None:
    """`selo trust policy`: its folder, its limit, and `rename`, whatever the flags of the run say."""
    bob = tmp_path / "bob"
    shutil.copytree(homes.bob, bob)
    (tmp_path / "alices").mkdir()
    words = ("--into", tmp_path / "alices", "--max-bytes", "2000", "--overwrite", "rename")
    assert selo("trust", "policy", "alice", *words, home=bob).returncode == 0
    service = start(
        *("receive", "--bind", "tcp://127.0.0.1:0", "--into", inbox, "--forever", "--max-bytes", "5MiB"),
        home=bob,
    )
    service.address = service.wait_for("listening")["address"]
    for _ in range(2):
        assert emit(service, parcel("file", 2000)).end() == 0
    large = emit(service, parcel("large", 2001))
    assert large.end() == 1
    assert "at most" in large.message
    assert large.named("progress") == []
    stop(service)
    assert os.listdir(inbox) == []
    assert sorted(os.listdir(tmp_path / "alices")) == ["file", "file (2)"]


# Rates


@pytest.mark.parametrize("who", ["emitter", "receiver"])
def test_a_rate_is_kept_on_either_side(who: str, receive, emit, inbox: Path, parcel) -> None:
    """So much takes at least about so long; a machine that is slow changes nothing about that."""
    size, rate = 2_000_000, 1_000_000
    file, words = parcel("file", size), ("--rate", "1MB/s")
    receiver = receive("--into", inbox, *(words if who == "receiver" else ()))
    emitter = emit(receiver, file, *(words if who == "emitter" else ()))
    assert (emitter.end(), receiver.end()) == (0, 0)
    assert emitter.named("delivered")[0]["seconds"] > 0.7 * size / rate
    assert (inbox / "file").read_bytes() == file.read_bytes()


# Receipts


@pytest.mark.parametrize("digest", ["blake3", "sha256"])
@pytest.mark.parametrize("what", ["file", "folder", "several"])
def test_a_receipt_verifies_until_something_differs(
    what: str, digest: str, receive, emit, homes, inbox: Path, parcel, tmp_path: Path
) -> None:
    """--receipt: who signed, and that what is at hand is what was stored; then 1."""
    one, two = parcel("one"), parcel("two", 0)
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(one, folder)
    shutil.copy(two, folder)
    sent = {"file": [one], "folder": [folder], "several": [one, folder]}[what]
    receipt = tmp_path / "receipt"
    receiver = receive("--into", inbox)
    emitter = emit(receiver, *sent, "--receipt", receipt, "--digest", digest)
    assert (emitter.end(), receiver.end()) == (0, 0)
    assert emitter.named("delivered")[0]["durable"]
    stored = [inbox / path.name for path in sent]
    for paths in (sent, stored, []):
        verified = selo("receipt", "verify", receipt, *paths, home=homes.alice)
        assert verified.returncode == 0, verified.stderr
        assert b"signed by bob" in verified.stdout
    changed = one if one in sent else folder / "one"
    changed.write_bytes(b"another")
    assert selo("receipt", "verify", receipt, *sent, home=homes.alice).returncode == 1
    assert selo("receipt", "verify", receipt, *stored, home=homes.alice).returncode == 0
    assert selo("receipt", "verify", receipt, home=homes.mallory).returncode in (0, 3)


def test_a_receipt_that_cannot_be_written_is_told_before_anything_is_sent(
    receive, emit, inbox: Path, parcel, tmp_path: Path
) -> None:
    """Its folder is missing: 1, and nobody was called."""
    receiver = receive("--into", inbox)
    emitter = emit(receiver, parcel("file"), "--receipt", tmp_path / "missing" / "receipt")
    assert emitter.end() == 1
    assert receiver.named("connected") == []
    assert os.listdir(inbox) == []
