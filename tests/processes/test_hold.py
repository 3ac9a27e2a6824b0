"""`selo receive --hold -` with real processes: a reader gets all of a stream or nothing."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.processes.manners import FINAL

MIB = 1 << 20


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """The folder where streams are held."""
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


@pytest.fixture
def held(start, homes, spool, tmp_path, monkeypatch):
    """A Receiver that holds, and an Emitter whose standard input stays open."""
    monkeypatch.setenv("TMPDIR", str(spool))

    def run(*options: object, stdout: object, settings: dict[str, str] | None = None):
        receiver = start(
            "receive",
            *("--bind", "tcp://127.0.0.1:0", "--hold", *options, "-"),
            home=homes.bob,
            stdout=stdout,
            settings={**FINAL, **(settings or {})},
        )
        address = receiver.wait_for("listening")["address"]
        emitter = start(
            *("emit", "--to", "bob", "--connect", address),
            home=homes.alice,
            stdin=subprocess.PIPE,
            settings={**FINAL, **(settings or {})},
        )
        return emitter, receiver

    return run


def say(emitter, data: bytes) -> None:
    """Send it, and wait until the other side has it."""
    emitter.child.stdin.write(data)
    emitter.child.stdin.flush()
    emitter.wait_for("progress")


def finish(emitter, data: bytes = b"") -> None:
    """Send the rest."""
    emitter.child.stdin.write(data)
    emitter.child.stdin.close()


@pytest.mark.parametrize("size", [0, 5, 3 * MIB])
def test_a_whole_stream_arrives(size, held, tmp_path, spool) -> None:
    """Byte for byte, after its end; nothing stays in the spool."""
    data, out = os.urandom(size), tmp_path / "out"
    with out.open("wb") as file:
        emitter, receiver = held(stdout=file)
        if size:
            say(emitter, data[:4])
            assert out.stat().st_size == 0
        finish(emitter, data[4:])
        assert (emitter.end(), receiver.end()) == (0, 0)
    assert out.read_bytes() == data
    assert os.listdir(spool) == []


@pytest.mark.parametrize("blow", ["Emitter killed", "Receiver interrupted", "Receiver killed"])
def test_security_a_cut_stream_releases_nothing(blow, held, tmp_path, spool) -> None:
    """Whoever dies in the middle, the reader sees not one byte, and no file is left in the spool."""
    out = tmp_path / "out"
    with out.open("wb") as file:
        emitter, receiver = held(stdout=file)
        say(emitter, os.urandom(2 * MIB))
        if blow == "Emitter killed":
            emitter.kill()
            assert receiver.end() == 4
            assert "nothing was kept" in receiver.message
        else:
            receiver.kill(signal.SIGINT if blow == "Receiver interrupted" else signal.SIGKILL)
            assert receiver.end() == (130 if blow == "Receiver interrupted" else -signal.SIGKILL)
            with suppress(BrokenPipeError):
                while emitter.child.poll() is None:
                    emitter.child.stdin.write(bytes(MIB))
            assert emitter.end() == 4
    assert out.read_bytes() == b""
    assert os.listdir(spool) == []


def test_the_limit_is_told_on_both_sides(held, tmp_path) -> None:
    """--hold-limit: the first byte beyond it ends both with 1, and nothing is released."""
    out = tmp_path / "out"
    with out.open("wb") as file:
        emitter, receiver = held("--hold-limit", "1MiB", stdout=file)
        finish(emitter, bytes(MIB + 1))
        assert (emitter.end(), receiver.end()) == (1, 1)
    assert "--hold-limit" in receiver.named("error")[0]["hint"]
    assert "1,048,576 bytes" in emitter.message
    assert out.read_bytes() == b""


def test_a_slow_reader_is_no_dead_peer(held) -> None:
    """The release may take longer than the idle limit: the session lives until the reader has it all."""
    read, write = os.pipe()
    emitter, receiver = held(stdout=write, settings={"idle_limit": "1s", "ping_interval": "200ms"})
    os.close(write)
    data = os.urandom(2 * MIB)
    finish(emitter, data)
    receiver.wait_for("opened")
    got = bytearray(os.read(read, 1))
    time.sleep(2.5)  # what is tested: longer than the idle limit
    assert emitter.child.poll() is None
    while block := os.read(read, MIB):
        got += block
    os.close(read)
    assert (emitter.end(), receiver.end()) == (0, 0)
    assert got == data


def test_a_reader_that_quits_costs_the_receipt(held) -> None:
    """EPIPE during the release: 1 on both sides, so nobody believes that it was loaded."""
    read, write = os.pipe()
    emitter, receiver = held(stdout=write)
    os.close(write)
    os.close(read)
    finish(emitter, bytes(2 * MIB))
    assert (emitter.end(), receiver.end()) == (1, 1)


def test_a_full_disk_under_the_spool_is_told_on_both_sides(
    start, homes, mounted, tmp_path, monkeypatch
) -> None:
    """ENOSPC where the stream is held: 1 on both sides, the place is named, nothing is released."""
    monkeypatch.setenv("TMPDIR", str(mounted()))
    out = tmp_path / "out"
    with out.open("wb") as file:
        receiver = start(
            *("receive", "--bind", "tcp://127.0.0.1:0", "--hold", "-"), home=homes.bob, stdout=file
        )
        address = receiver.wait_for("listening")["address"]
        emitter = start(
            *("emit", "--to", "bob", "--connect", address), home=homes.alice, stdin=subprocess.PIPE
        )
        with suppress(BrokenPipeError):
            finish(emitter, bytes(4 * MIB))
        assert (emitter.end(), receiver.end()) == (1, 1)
    assert "TMPDIR" in receiver.message
    assert "no space left" in receiver.message
    assert str(tmp_path) not in emitter.message
    assert out.read_bytes() == b""


def test_an_interrupt_during_the_release_does_not_cut_it(held) -> None:
    """The stream is whole and the reader has begun to act on it: what is left to do is done."""
    read, write = os.pipe()
    emitter, receiver = held(stdout=write)
    os.close(write)
    data = os.urandom(2 * MIB)
    finish(emitter, data)
    got = bytearray(os.read(read, 1))
    receiver.kill(signal.SIGINT)
    while block := os.read(read, MIB):
        got += block
    os.close(read)
    assert (emitter.end(), receiver.end()) == (0, 0)
    assert got == data


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="there is no sqlite3 command here")
@pytest.mark.parametrize("cut", [True, False])
def test_a_database_gets_the_whole_dump_or_none_of_it(cut, held, tmp_path) -> None:
    """`selo receive --hold - | sqlite3 db`: a dump without a transaction, cut, loads nothing."""
    statements = [b"CREATE TABLE t(n);", *(b"INSERT INTO t VALUES(%d);" % n for n in range(1000))]
    database = tmp_path / "db"
    loader = subprocess.Popen(["sqlite3", str(database)], stdin=subprocess.PIPE)
    emitter, receiver = held(stdout=loader.stdin)
    loader.stdin.close()
    say(emitter, b"".join(statements[:500]))
    if cut:
        emitter.kill()
        assert receiver.end() == 4
    else:
        finish(emitter, b"".join(statements[500:]))
        assert (emitter.end(), receiver.end()) == (0, 0)
    assert loader.wait(30) == 0
    with sqlite3.connect(database) as connection:
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        assert tables == (0 if cut else 1,)
        assert cut or connection.execute("SELECT count(*) FROM t").fetchone() == (1000,)
    connection.close()


@pytest.mark.parametrize("words", [("-",), ("--output", "-"), ("--hold", "-")], ids=" ".join)
def test_security_a_terminal_is_not_written_to(words, homes) -> None:
    """A stream that would go to a terminal is refused with 2 before anybody is listened for."""
    near, far = pty.openpty()
    try:
        done = subprocess.run(
            [Path(os.sys.executable).with_name("selo"), "--home", homes.bob, "receive", *words],
            stdout=far,
            stderr=subprocess.PIPE,
            timeout=30,
        )
    finally:
        os.close(near)
        os.close(far)
    assert done.returncode == 2
    assert b"standard output is a terminal" in done.stderr
    assert b"--output FILE" in done.stderr
