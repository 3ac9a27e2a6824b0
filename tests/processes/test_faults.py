"""What people see when something breaks: exit statuses, sentences, and nothing left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.processes.manners import BRISK, BRISK_AND_FINAL, FINAL

SELO = Path(sys.executable).with_name("selo")


def trickle(emitter, receiver) -> None:
    """Let a stream begin, and stay open."""
    emitter.child.stdin.write(b"the beginning\n")
    emitter.child.stdin.flush()
    receiver.wait_for("opened")


def nothing_in(folder: Path) -> bool:
    """Whether a folder is empty, also of temporary files."""
    return not list(folder.iterdir())


def test_unknown_emitter_is_refused_and_the_receiver_stays_up(receive, emit, homes, tmp_path: Path) -> None:
    """Mallory's identity is not trusted: 3 within seconds, nothing written; alice still gets through."""
    (tmp_path / "inbox").mkdir()
    (tmp_path / "file").write_text("hello")
    receiver = receive("--into", tmp_path / "inbox")
    mallory = emit(receiver, tmp_path / "file", home=homes.mallory)
    assert mallory.end() == 3
    assert "does it trust" in mallory.message
    assert nothing_in(tmp_path / "inbox")
    receiver.wait_for("refused")
    assert (emit(receiver, tmp_path / "file").end(), receiver.end()) == (0, 0)


def test_wrong_receiver_is_noticed(start, homes, tmp_path: Path) -> None:
    """Alice means bob, but mallory listens: the Emitter ends with 3 at once and says so."""
    trusted = tmp_path / "mallory"
    subprocess.run(["cp", "-a", homes.mallory, trusted], check=True)
    receiver = start(
        "receive", "--bind", "tcp://127.0.0.1:0", "--from", "bob", "--into", tmp_path, home=trusted
    )
    address = receiver.wait_for("listening")["address"]
    emitter = start("emit", "--to", "bob", "--connect", address, "-", home=homes.alice)
    assert emitter.end() == 3
    assert "does not answer to bob's key" in emitter.message
    receiver.wait_for("refused")
    assert receiver.child.poll() is None


def test_wait_is_over_with_3_after_refusals_and_5_without(receive, emit, homes, tmp_path: Path) -> None:
    """`receive --wait`: 3 if anyone was refused, else 5."""
    lonely = receive("--into", tmp_path, "--wait", "1s")
    visited = receive("--into", tmp_path, "--wait", "4s")
    assert emit(visited, "-", home=homes.mallory).end() == 3
    assert (lonely.end(), visited.end()) == (5, 3)


def test_nobody_there_is_5(emit, receive, tmp_path: Path) -> None:
    """`emit --wait` gives up with 5."""
    receiver = receive("--into", tmp_path)
    receiver.kill()
    receiver.end()
    assert emit(receiver, "-", "--wait", "500ms").end() == 5


@pytest.mark.parametrize("target", ["folder", "standard output"])
def test_emitter_killed_in_the_middle(receive, emit, tmp_path: Path, target: str) -> None:
    """SIGKILL at the Emitter: the Receiver ends with 4 and no file is there."""
    where = ("--into", tmp_path) if target == "folder" else ("-",)
    receiver = receive(*where, settings=BRISK_AND_FINAL)
    emitter = emit(receiver, "-", "--as", "stream", stdin=subprocess.PIPE)
    trickle(emitter, receiver)
    emitter.kill()
    assert receiver.end() == 4
    assert nothing_in(tmp_path)


def test_receiver_killed_in_the_middle(receive, emit, tmp_path: Path) -> None:
    """SIGKILL at the Receiver: the Emitter ends with 4 and says how much was acknowledged."""
    receiver = receive("--into", tmp_path)
    emitter = emit(receiver, "-", "--as", "stream", stdin=subprocess.PIPE, settings=BRISK_AND_FINAL)
    trickle(emitter, receiver)
    emitter.wait_for("progress")
    receiver.kill()
    assert emitter.end() == 4
    assert "14 bytes had been acknowledged" in emitter.message
    assert not (tmp_path / "stream").exists()


def test_frozen_peer_is_given_up(receive, emit, tmp_path: Path) -> None:
    """A peer that keeps its connection but says nothing any more is lost after the idle limit."""
    receiver = receive("--into", tmp_path, settings=BRISK_AND_FINAL)
    emitter = emit(receiver, "-", "--as", "stream", stdin=subprocess.PIPE)
    trickle(emitter, receiver)
    emitter.kill(signal.SIGSTOP)
    try:
        assert receiver.end() == 4
    finally:
        emitter.kill(signal.SIGCONT)
    assert "nothing heard" in receiver.message
    assert nothing_in(tmp_path)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("who", ["emitter", "receiver"])
def test_interrupted_side_tells_the_other(
    receive, emit, tmp_path: Path, who: str, number: int, status: int
) -> None:
    """Ctrl-C and SIGTERM: own status, 4 on the other side at once, nothing left behind."""
    receiver = receive("--into", tmp_path, settings=FINAL)
    emitter = emit(receiver, "-", "--as", "stream", stdin=subprocess.PIPE, settings=FINAL)
    trickle(emitter, receiver)
    interrupted, other = (emitter, receiver) if who == "emitter" else (receiver, emitter)
    interrupted.kill(number)
    assert interrupted.end() == status
    assert other.end() == 4
    # A Receiver that is told to stop may be a service that comes back.
    later = (who, number) == ("receiver", signal.SIGTERM)
    assert ("may be started again" if later else "interrupted by its user") in other.message
    assert nothing_in(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_waiting_receiver_ends_at_once(receive, tmp_path: Path, number: int) -> None:
    """A Receiver that nobody visited ends in order on a signal."""
    receiver = receive("--into", tmp_path)
    receiver.kill(number)
    assert receiver.end() == 128 + number


def test_existing_target_is_kept(receive, emit, tmp_path: Path) -> None:
    """No overwriting without --overwrite: 1 on both sides, each with a sentence."""
    (tmp_path / "file").write_text("new")
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "file").write_text("old")
    receiver = receive("--into", tmp_path / "inbox")
    emitter = emit(receiver, tmp_path / "file")
    assert (emitter.end(), receiver.end()) == (1, 1)
    assert "exists" in emitter.message and "exists" in receiver.message
    assert (tmp_path / "inbox" / "file").read_text() == "old"
    receiver = receive("--into", tmp_path / "inbox", "--overwrite")
    assert (emit(receiver, tmp_path / "file").end(), receiver.end()) == (0, 0)
    assert (tmp_path / "inbox" / "file").read_text() == "new"


def test_missing_folder_is_1_on_both_sides(receive, emit, tmp_path: Path) -> None:
    """What cannot be written is a sentence on both sides."""
    receiver = receive("--output", tmp_path / "missing" / "file")
    emitter = emit(receiver, "-")
    assert (emitter.end(), receiver.end()) == (1, 1)
    assert "folder to store it in is not there" in emitter.message
    assert "no such file or directory" in receiver.message
    assert str(tmp_path) not in emitter.message


def test_disk_full_is_1_on_both_sides(receive, emit) -> None:
    """A device that is full: 1 on both sides."""
    receiver = receive("--output", "/dev/full")
    emitter = emit(receiver, "-", stdin=subprocess.PIPE)
    emitter.child.stdin.write(b"x" * 1000)
    emitter.child.stdin.close()
    assert (emitter.end(), receiver.end()) == (1, 1)
    assert "no space left" in emitter.message and "no space left" in receiver.message


def test_reader_that_leaves_is_1_on_both_sides(receive, emit, tmp_path: Path) -> None:
    """`selo receive - | head`: a broken pipe is a failure, not a success."""
    with (tmp_path / "big").open("wb") as file:
        file.truncate(8 << 20)
    receiver = receive("-", stdout=subprocess.PIPE)
    emitter = emit(receiver, tmp_path / "big")
    receiver.child.stdout.read(10)
    receiver.child.stdout.close()
    assert (emitter.end(), receiver.end()) == (1, 1)
    assert "ended" in receiver.message


@pytest.mark.parametrize("name", ["missing", "fifo in a folder"])
def test_source_that_cannot_be_read_costs_no_session(receive, emit, tmp_path: Path, name: str) -> None:
    """A wrong path, or a folder with what cannot travel, is told before anybody is called."""
    (tmp_path / "fifo in a folder").mkdir()
    os.mkfifo(tmp_path / "fifo in a folder" / "fifo")
    receiver = receive("--into", tmp_path)
    emitter = emit(receiver, tmp_path / name)
    assert emitter.end() == 1
    assert str(tmp_path / name) in emitter.message
    assert receiver.named("connected") == []


def test_shrinking_source_is_1_on_both_sides(receive, emit, tmp_path: Path) -> None:
    """A file that is cut while it is read is an error on both sides, and no file arrives."""
    source, inbox = tmp_path / "source", tmp_path / "inbox"
    inbox.mkdir()
    with source.open("wb") as file:
        file.truncate(64 << 20)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    receiver = receive(
        "--output", fifo
    )  # nobody reads the FIFO yet: the Emitter gets no further than its window
    emitter = emit(receiver, source)
    receiver.wait_for("opened")
    os.truncate(source, 1000)
    with fifo.open("rb") as drain:
        while drain.read(1 << 20):
            pass
    assert (emitter.end(), receiver.end()) == (1, 1)
    assert "shrank" in emitter.message and "shrank" in receiver.message


def test_slow_reader_is_not_a_dead_peer(receive, emit, tmp_path: Path) -> None:
    """A reader that takes nothing for longer than the idle limit loses nothing."""
    with (tmp_path / "big").open("wb") as file:
        file.truncate(24 << 20)
    receiver = receive("-", stdout=subprocess.PIPE, settings=BRISK)
    emitter = emit(receiver, tmp_path / "big", settings=BRISK)
    receiver.wait_for("opened")
    time.sleep(3)  # longer than the idle limit, with the window full
    assert sum(len(block) for block in iter(lambda: receiver.child.stdout.read(1 << 20), b"")) == 24 << 20
    assert (emitter.end(), receiver.end()) == (0, 0)


def test_demo_leaves_no_orphans(tmp_path: Path) -> None:
    """SIGKILL at the launcher: its two agents end by themselves."""
    demo = subprocess.Popen(
        [SELO, "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    while b"listening" not in demo.stdout.readline():
        pass
    children = _children_of(demo.pid)
    assert children
    demo.kill()
    demo.communicate()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline, "an agent outlived its launcher"
        time.sleep(0.05)


def _children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("who", ["emitter", "receiver"])
@pytest.mark.parametrize("stderr", ["closed", "full", "gone"])
def test_reports_that_cannot_be_written_fail_nothing(
    homes, receive, tmp_path: Path, who: str, stderr: str
) -> None:
    """A closed, full or abandoned standard error never decides a delivery, and never gets into the data."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("payload")
    port = receive("--output", tmp_path / "unused")
    port.kill()
    port.end()
    arguments = {
        "receiver": ["--home", homes.bob, "receive", "--bind", port.address, "-"],
        "emitter": ["--home", homes.alice, "emit", "--to", "bob", "--connect", port.address, source],
    }
    redirect = {"closed": "2>&-", "full": "2>/dev/full", "gone": "2> >(exec true)"}[stderr]
    children = {}
    with target.open("wb") as output:
        for role, words in arguments.items():
            command = f'exec "$@" {redirect if role == who else "2>/dev/null"}'
            children[role] = subprocess.Popen(
                ["bash", "-c", command, "bash", SELO, *words], stdout=output, stdin=subprocess.DEVNULL
            )
    assert {role: child.wait(60) for role, child in children.items()} == {"receiver": 0, "emitter": 0}
    assert target.read_text() == "payload"


@pytest.mark.parametrize(("who", "redirect"), [("emitter", "<&-"), ("receiver", ">&-")])
def test_closed_stream_is_told(homes, receive, tmp_path: Path, who: str, redirect: str) -> None:
    """Where the stream to send or to write is closed: 1 on the side that has it, 0 on none."""
    port = receive("--output", tmp_path / "unused")
    port.kill()
    port.end()
    arguments = {
        "receiver": ["--home", homes.bob, "receive", "--bind", port.address, "--wait", "5s", "-"],
        "emitter": ["--home", homes.alice, "emit", "--to", "bob", "--connect", port.address, "-"],
    }
    (tmp_path / "data").write_text("some data")
    data = (tmp_path / "data").open("rb")
    children = {
        role: subprocess.Popen(
            ["bash", "-c", f'exec "$@" {redirect if role == who else ""}', "bash", SELO, *words],
            stdin=data,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for role, words in arguments.items()
    }
    data.close()
    statuses = {role: child.wait(60) for role, child in children.items()}
    assert statuses[who] == 1
    assert 0 not in statuses.values()


def test_slow_link_is_not_a_dead_peer(start, homes, receive, tmp_path: Path) -> None:
    """A link on which one full-size record would take longer than the idle limit carries the delivery."""
    source = tmp_path / "source"
    source.write_bytes(os.urandom(600_000))
    receiver = receive("--output", tmp_path / "target", settings=BRISK)
    host, port = receiver.address.removeprefix("tcp://").split(":")
    with SlowLink((host, int(port)), bytes_per_second=150_000) as link:
        emitter = start(
            "emit",
            "--to",
            "bob",
            "--connect",
            f"tcp://127.0.0.1:{link.port}",
            source,
            home=homes.alice,
            settings=BRISK,
        )
        assert (emitter.end(), receiver.end()) == (0, 0)
    assert (tmp_path / "target").read_bytes() == source.read_bytes()


class SlowLink:
    """A TCP relay that lets so many bytes a second through, each way."""

    def __init__(self, target: tuple[str, int], *, bytes_per_second: int) -> None:
        self._target = target
        self._rate = bytes_per_second
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets = [self._listener]

    def __enter__(self) -> SlowLink:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._sockets:
            each.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
                far = socket.create_connection(self._target)
                self._sockets += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(self._rate // 50):
                time.sleep(len(data) / self._rate)
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
