"""Deliveries that go on: killed and interrupted sides, a lost receipt, and the same commands again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

MIB = 1 << 20
SLOW = ("--rate", "4MB/s")
"""Slow enough that something is left to be cut when the first progress was reported."""

PATIENCE = 60.0
ONCE_AGAIN = {"retry_min": "100ms", "retry_max": "500ms"}


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """A folder to deliver into."""
    path = tmp_path / "inbox"
    path.mkdir()
    return path


def make_file(folder: Path) -> Path:
    """6 MiB that compress to nothing less."""
    path = folder / "parcel"
    path.write_bytes(os.urandom(6 * MIB))
    return path


def make_folder(folder: Path) -> Path:
    """As much in many small files, folders in folders, a link, and one large file."""
    path = folder / "parcel"
    for number in range(300):
        place = path / f"{number % 7}" / f"{number % 3}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"file {number}").write_bytes(os.urandom(number * 40))
    (path / "large").write_bytes(os.urandom(4 * MIB))
    (path / "link").symlink_to("large")
    (path / "nothing").mkdir()
    return path


each_kind = pytest.mark.parametrize("make", [make_file, make_folder], ids=["file", "folder"])


def look(path: Path) -> object:
    """A file's bytes, or all that is below a folder."""
    if path.is_file():
        return path.read_bytes()
    return {
        each.relative_to(path).as_posix(): os.readlink(each)
        if each.is_symlink()
        else each.read_bytes()
        if each.is_file()
        else None
        for each in path.rglob("*")
    }


def arrived(source: Path, inbox: Path) -> bool:
    """Whether it is there, whole, and nothing else: no staging folder, no second copy."""
    return os.listdir(inbox) == [source.name] and look(inbox / source.name) == look(source)


@pytest.fixture
def again(start, homes) -> Callable[..., object]:
    """Start bob's `selo receive` at an address where one was before."""

    def run(address: str, *arguments: object, **options: object):
        process = start("receive", "--bind", address, *arguments, home=homes.bob, **options)
        process.address = address
        process.wait_for("listening")
        return process

    return run


def resumed(process) -> int:
    """Where the delivery went on: not at its beginning."""
    (event,) = process.named("resumed")
    assert 0 < event["offset"] <= event["held"]
    assert not event["complete"]
    return event["offset"]


# Killed


@each_kind
def test_killed_emitter(make, receive, emit, inbox: Path, tmp_path: Path) -> None:
    """The Receiver waits; the same command again sends the rest."""
    source = make(tmp_path)
    receiver = receive("--into", inbox)
    emitter = emit(receiver, source, *SLOW)
    emitter.wait_for("progress")
    emitter.kill()
    assert emitter.end() == -signal.SIGKILL
    receiver.wait_for("lost")
    emitter = emit(receiver, source)
    assert (emitter.end(), receiver.end()) == (0, 0)
    assert resumed(emitter) == resumed(receiver)
    assert arrived(source, inbox)


@each_kind
def test_killed_receiver(make, receive, emit, again, inbox: Path, tmp_path: Path) -> None:
    """The Emitter tries; the Receiver's command again takes the rest."""
    source = make(tmp_path)
    receiver = receive("--into", inbox)
    emitter = emit(receiver, source, *SLOW, settings=ONCE_AGAIN)
    emitter.wait_for("progress")
    receiver.kill()
    assert receiver.end() == -signal.SIGKILL
    emitter.wait_for("lost")
    assert not (inbox / source.name).exists()
    receiver = again(receiver.address, "--into", inbox)
    assert (emitter.end(), receiver.end()) == (0, 0)
    assert resumed(emitter) == resumed(receiver)
    assert arrived(source, inbox)


@each_kind
def test_both_killed(make, receive, emit, inbox: Path, tmp_path: Path) -> None:
    """Nothing of the first run lives any more; what it left is gone on from."""
    source = make(tmp_path)
    receiver = receive("--into", inbox)
    emitter = emit(receiver, source, *SLOW)
    emitter.wait_for("progress")
    for process in (receiver, emitter):
        process.kill()
        process.end()
    receiver = receive("--into", inbox)
    emitter = emit(receiver, source)
    assert (emitter.end(), receiver.end()) == (0, 0)
    assert resumed(emitter) == resumed(receiver)
    assert arrived(source, inbox)


def test_what_changed_meanwhile_is_sent_as_it_is_now(receive, emit, inbox: Path, tmp_path: Path) -> None:
    """Both killed, and then the file is another one: not one byte of the old one is in the new one."""
    source = make_file(tmp_path)
    receiver = receive("--into", inbox)
    emitter = emit(receiver, source, *SLOW)
    emitter.wait_for("progress")
    for process in (receiver, emitter):
        process.kill()
        process.end()
    source.write_bytes(os.urandom(5 * MIB))
    receiver = receive("--into", inbox)
    emitter = emit(receiver, source)
    assert (emitter.end(), receiver.end()) == (0, 0)
    assert arrived(source, inbox)


# Interrupted


@each_kind
@pytest.mark.parametrize("who", ["emitter", "receiver"])
def test_interrupted_and_started_again(make, who: str, receive, emit, inbox: Path, tmp_path: Path) -> None:
    """Ctrl-C ends both, the other one with 4 at once; the same commands again go on."""
    source = make(tmp_path)
    receiver = receive("--into", inbox)
    emitter = emit(receiver, source, *SLOW)
    emitter.wait_for("progress")
    interrupted, other = (emitter, receiver) if who == "emitter" else (receiver, emitter)
    interrupted.kill(signal.SIGINT)
    assert (interrupted.end(), other.end()) == (130, 4)
    assert not (inbox / source.name).exists()
    if who == "emitter":
        assert "the same command goes on" in receiver.named("error")[0]["hint"]
    receiver = receive("--into", inbox)
    emitter = emit(receiver, source)
    assert (emitter.end(), receiver.end()) == (0, 0)
    assert resumed(emitter) == resumed(receiver)
    assert arrived(source, inbox)


@each_kind
def test_a_service_that_is_restarted(make, receive, emit, again, inbox: Path, tmp_path: Path) -> None:
    """SIGTERM at `receive --forever`: the Emitter hears "later", waits, and goes on with the next process."""
    source = make(tmp_path)
    service = receive("--into", inbox, "--forever")
    emitter = emit(service, source, *SLOW, settings=ONCE_AGAIN)
    emitter.wait_for("progress")
    service.kill(signal.SIGTERM)
    assert service.end() == 143
    assert "started again" in emitter.wait_for("lost")["reason"]
    service = again(service.address, "--into", inbox, "--forever")
    assert emitter.end() == 0
    service.wait_for("delivered")
    assert resumed(emitter) == resumed(service)
    service.kill(signal.SIGTERM)
    assert service.end() == 143
    assert arrived(source, inbox)


# Streams


@pytest.mark.parametrize(
    ("who", "number", "kept"),
    [
        ("emitter", signal.SIGINT, False),
        ("receiver", signal.SIGINT, False),
        ("receiver", signal.SIGTERM, True),
    ],
    ids=["Ctrl-C at the Emitter", "Ctrl-C at the Receiver", "a service that is stopped"],
)
def test_of_a_stream_is_kept_what_somebody_can_go_on_with(
    who: str, number: signal.Signals, kept: bool, receive, emit, inbox: Path
) -> None:
    """Its Emitter can bring the rest only while it lives: what is of no use neither stays nor is promised."""
    receiver = receive("--into", inbox)
    emitter = emit(receiver, "-", "--as", "stream", stdin=subprocess.PIPE)
    emitter.child.stdin.write(b"x" * 100_000)
    emitter.child.stdin.flush()
    receiver.wait_for("progress")
    (emitter if who == "emitter" else receiver).kill(number)
    receiver.end()
    error = receiver.named("error")[0]
    assert bool(os.listdir(inbox)) is kept
    assert ("go on" in error["hint"] or "goes on" in error["hint"]) is kept


def test_standard_input_goes_on_after_the_receiver_was_killed(receive, emit, again, inbox: Path) -> None:
    """A producer behind a pipe never learns of it: what is on the Receiver's disk is not sent again."""
    receiver = receive("--into", inbox)
    emitter = emit(receiver, "-", "--as", "stream", stdin=subprocess.PIPE, settings=ONCE_AGAIN)
    parts = [os.urandom(3 * MIB // 2) for _ in range(3)]
    for number, part in enumerate(parts):
        emitter.child.stdin.write(part)
        emitter.child.stdin.flush()
        emitter.wait_for("progress")
        if number < 2:
            receiver.kill()
            receiver.end()
            emitter.wait_for("lost")
            receiver = again(receiver.address, "--into", inbox)
    emitter.child.stdin.close()
    assert (emitter.end(), receiver.end()) == (0, 0)
    assert len(emitter.named("resumed")) == 2
    assert os.listdir(inbox) == ["stream"]
    assert (inbox / "stream").read_bytes() == b"".join(parts)


def test_a_receiver_that_lost_a_long_stream_gets_no_rest(receive, emit, again, inbox: Path) -> None:
    """What was given up beyond the buffer cannot come again: 1, and it says so; nothing is there."""
    receiver = receive("--into", inbox)
    emitter = emit(
        receiver, "-", "--as", "stream", "--resume-buffer", "1MiB",
        stdin=subprocess.PIPE, settings=ONCE_AGAIN,
    )  # fmt: skip
    emitter.child.stdin.write(bytes(10 * MIB))
    while not any(event["done"] >= 10 * MIB for event in emitter.named("progress")):
        emitter.child.stdin.write(bytes(MIB // 8))  # progress is told now and then, while there is some
        emitter.child.stdin.flush()
        time.sleep(0.05)
    receiver.kill()
    receiver.end()
    for left in inbox.iterdir():
        shutil.rmtree(left)
    receiver = again(receiver.address, "--into", inbox)
    assert emitter.end() == 1
    assert "cannot be read again" in emitter.message
    assert receiver.end() == 1
    assert "cannot be read again" in receiver.message
    assert os.listdir(inbox) == []


# The receipt


class Relay:
    """Carries TCP connections to an address; while ``deaf``, what the address says goes no further."""

    def __init__(self, address: str) -> None:
        host, port = address.removeprefix("tcp://").split(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.deaf = threading.Event()
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self) -> None:
        """Lose all connections."""
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """No more."""
        self._listener.close()
        self.cut()
        for each in self._open:
            each.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                self._open += [near, far]
                for one, other, back in ((near, far, False), (far, near, True)):
                    threading.Thread(target=self._carry, args=(one, other, back), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket, back: bool) -> None:
        with suppress(OSError):
            while data := one.recv(1 << 16):
                if not (back and self.deaf.is_set()):
                    other.sendall(data)
        for each in (one, other):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def relay(receive, inbox: Path):
    """A Receiver, and a relay to it."""
    receiver = receive("--into", inbox)
    relay = Relay(receiver.address)
    receiver.address = relay.address
    yield receiver, relay
    relay.close()


def wait_until(condition: Callable[[], bool]) -> None:
    """Until something is so that no process reports."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_lost_receipt_comes_again(relay, emit, inbox: Path) -> None:
    """The line is lost when the delivery is stored and the Emitter does not know: nothing is sent twice."""
    receiver, line = relay
    emitter = emit(receiver, "-", "--as", "stream", stdin=subprocess.PIPE, settings=ONCE_AGAIN)
    emitter.child.stdin.write(b"a stream\n")
    emitter.child.stdin.flush()
    emitter.wait_for("progress")
    line.deaf.set()
    emitter.child.stdin.close()
    wait_until((inbox / "stream").exists)
    line.deaf.clear()
    line.cut()
    assert (emitter.end(), receiver.end()) == (0, 0)
    assert emitter.named("resumed")[0]["complete"]
    assert emitter.named("delivered")[0]["receipt"] == "verified"
    assert [event["receipt"] for event in receiver.named("delivered")] == ["not sent", "sent"]
    assert os.listdir(inbox) == ["stream"]
    assert (inbox / "stream").read_bytes() == b"a stream\n"


@each_kind
def test_an_emitter_killed_before_its_receipt(make, relay, emit, inbox: Path, tmp_path: Path) -> None:
    """The same command again gets the receipt, and there is no second copy; nor is the first one refused."""
    receiver, line = relay
    source = make(tmp_path)
    emitter = emit(receiver, source, *SLOW)
    emitter.wait_for("progress")
    line.deaf.set()  # what is left fits into the window
    wait_until((inbox / source.name).exists)
    emitter.kill()
    emitter.end()
    line.deaf.clear()
    line.cut()
    emitter = emit(receiver, source, "--receipt", tmp_path / "receipt")
    assert (emitter.end(), receiver.end()) == (0, 0)
    assert emitter.named("resumed")[0]["complete"]
    assert b"SELO RECEIPT" in (tmp_path / "receipt").read_bytes()
    assert arrived(source, inbox)


@pytest.mark.parametrize("who", ["emitter", "receiver"])
def test_killed_again_and_again(who: str, receive, emit, again, inbox: Path, tmp_path: Path) -> None:
    """Each run goes on where the one before it ended, and the last one ends well."""
    source = make_file(tmp_path)
    receiver = receive("--into", inbox)
    emitter = emit(receiver, source, "--rate", "2MB/s", settings=ONCE_AGAIN)
    places = [0]
    for _ in range(3):
        emitter.wait_for("progress")
        killed = emitter if who == "emitter" else receiver
        killed.kill()
        killed.end()
        if who == "emitter":
            receiver.wait_for("lost")
            emitter = emit(receiver, source, "--rate", "2MB/s", settings=ONCE_AGAIN)
        else:
            emitter.wait_for("lost")
            receiver = again(receiver.address, "--into", inbox)
        places.append(receiver.wait_for("resumed")["offset"])
    assert (emitter.end(), receiver.end()) == (0, 0)
    assert places == sorted(places)
    assert places[-1] > 0
    assert arrived(source, inbox)
