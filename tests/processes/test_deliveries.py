"""Deliveries between two real processes: files, pipes, live input, sizes, memory."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from blake3 import blake3

SELO = Path(sys.executable).with_name("selo")


def test_file_into_folder(receive, emit, tmp_path: Path) -> None:
    """A file arrives under its own name; both sides exit 0 and report the same digest."""
    data = os.urandom(3_000_001)
    (tmp_path / "inbox").mkdir()
    (tmp_path / "report.pdf").write_bytes(data)
    receiver = receive("--into", tmp_path / "inbox", "--from", "alice")
    emitter = emit(receiver, tmp_path / "report.pdf")
    assert (emitter.end(), receiver.end()) == (0, 0)
    assert (tmp_path / "inbox" / "report.pdf").read_bytes() == data
    for process in (emitter, receiver):
        (delivered,) = process.named("delivered")
        assert delivered["blake3"] == blake3(data).hexdigest()
        assert delivered["bytes"] == len(data)


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 1 << 20, (1 << 20) + 1])
def test_pipe_to_pipe_of_every_size(receive, emit, size: int) -> None:
    """Standard input to standard output, exactly."""
    data = os.urandom(size)
    receiver = receive("-", stdout=subprocess.PIPE)
    emitter = emit(receiver, "-", stdin=subprocess.PIPE)
    feeder = threading.Thread(target=_feed, args=(emitter.child.stdin, data))
    feeder.start()
    assert receiver.child.stdout.read() == data
    feeder.join()
    assert (emitter.end(), receiver.end()) == (0, 0)


@pytest.mark.parametrize("what", ["empty file", "empty folder", "folder of empty ones", "several"])
def test_nothing_is_something_too(receive, emit, tmp_path: Path, what: str) -> None:
    """A file of 0 bytes, a folder of 0 items: each arrives, with its receipt, and is what it was."""
    source, inbox = tmp_path / what, tmp_path / "inbox"
    inbox.mkdir()
    if what == "empty file":
        source.touch()
    else:
        source.mkdir()
    if what in ("folder of empty ones", "several"):
        (source / "file").touch()
        (source / "folder").mkdir()
    sent = sorted(source.iterdir()) if what == "several" else [source]
    receiver = receive("--into", inbox)
    emitter = emit(receiver, *sent, "--receipt", tmp_path / "receipt")
    assert (emitter.end(), receiver.end()) == (0, 0)
    assert sorted(path.name for path in inbox.iterdir()) == [path.name for path in sent]
    for path in sent:
        below = [each.relative_to(path) for each in path.rglob("*")]
        assert [each.relative_to(inbox / path.name) for each in (inbox / path.name).rglob("*")] == below
        assert (inbox / path.name).is_dir() == path.is_dir()
    assert emitter.named("delivered")[0]["bytes"] == 0
    assert (tmp_path / "receipt").exists()


def _feed(stdin, data: bytes) -> None:
    with stdin:
        stdin.write(data)


def test_live_input_leaves_at_once(receive, emit) -> None:
    """A line typed into the Emitter comes out of the Receiver while the input stays open."""
    receiver = receive("-", stdout=subprocess.PIPE)
    emitter = emit(receiver, "-", stdin=subprocess.PIPE)
    for line in (b"first\n", b"second\n"):
        emitter.child.stdin.write(line)
        emitter.child.stdin.flush()
        assert receiver.child.stdout.readline() == line
    emitter.child.stdin.close()
    assert (emitter.end(), receiver.end()) == (0, 0)


def test_stream_is_named_with_as(receive, emit, tmp_path: Path) -> None:
    """--as names a stream that goes into a folder; without it the Receiver makes a name up."""
    receiver = receive("--into", tmp_path)
    assert emit(receiver, "-", "--as", "dump.sql").end() == 0
    assert receiver.end() == 0
    assert [path.name for path in tmp_path.iterdir()] == ["dump.sql"]
    receiver = receive("--into", tmp_path)
    assert emit(receiver, "-").end() == 0
    assert receiver.end() == 0
    assert any(path.name.startswith("alice-") for path in tmp_path.iterdir())


def test_emitter_waits_for_its_receiver(start, homes, receive, tmp_path: Path) -> None:
    """An Emitter that is early tries until the Receiver appears."""
    receiver = receive("--into", tmp_path)
    address = receiver.address
    receiver.kill()
    receiver.end()
    (tmp_path / "early").write_text("bird")
    emitter = start(
        "emit", "--to", "bob", "--connect", address, tmp_path / "early", "--as", "late", home=homes.alice
    )
    emitter.wait_for("waiting")
    late = start("receive", "--bind", address, "--into", tmp_path, home=homes.bob)
    assert (emitter.end(), late.end()) == (0, 0)
    assert (tmp_path / "late").read_text() == "bird"


@pytest.mark.parametrize(("size", "record_size"), [(200 << 20, "1MiB"), (1 << 20, "32")])
def test_memory_stays_under_100_mib(receive, emit, tmp_path: Path, size: int, record_size: str) -> None:
    """Neither process holds more than its window, whatever the delivery's length and record size."""
    source = tmp_path / "big"
    with source.open("wb") as file:
        file.truncate(size)
    receiver = receive("--output", "/dev/null")
    emitter = emit(receiver, source, "--record-size", record_size)
    peaks = {}
    while emitter.child.poll() is None or receiver.child.poll() is None:
        peaks |= {
            process.child.pid: peak for process in (emitter, receiver) if (peak := _peak(process.child.pid))
        }
        time.sleep(0.01)
    assert (emitter.end(), receiver.end()) == (0, 0)
    assert len(peaks) == 2
    assert max(peaks.values()) < 100 << 20, [f"{peak >> 20} MiB" for peak in peaks.values()]


def _peak(pid: int) -> int:
    """Bytes of memory that a process held at most so far; 0 when it is gone.

    Not the kernel's ``ru_maxrss``, which begins with what the process that started it held.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    lines = [line.split() for line in status.splitlines() if line.startswith("VmHWM")]
    return int(lines[0][1]) << 10 if lines else 0


@pytest.mark.parametrize("transport", ["pair", "pipe"])
def test_demo_shows_only_what_is_true(tmp_path: Path, transport: str) -> None:
    """`selo demo` ends with 0 and shows the exercise's milestones for both agents, and its message."""
    demo = subprocess.run(
        [SELO, "demo", "--transport", transport], capture_output=True, timeout=60, check=False
    )
    shown = demo.stdout.decode()
    assert demo.returncode == 0, demo.stderr
    for milestone in (
        "Emitter   Receiver's signature verified",
        "Receiver  Emitter's signature verified",
        "Emitter   valid DH (MAC)",
        "Receiver  valid DH (MAC)",
        "D" * 1024,
    ):
        assert milestone in shown
    assert shown.count("checked") == 8
    assert not list(tmp_path.iterdir())
