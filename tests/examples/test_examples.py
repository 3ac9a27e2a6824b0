"""Every example, as the processes that a person would start, with homes of its own."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from selo.config.home import Home
from selo.config.keyring import load_identity
from selo.config.trust import TrustStore

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(
    path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.glob("*/*.*") if path.suffix in (".py", ".sh")
)
PATIENCE = 30


class Stage:
    """Alice and Bob, who trust each other, and an address."""

    def __init__(self, homes: Path, folder: Path) -> None:
        self.homes, self.folder = homes, folder
        folder.chmod(0o700)
        self.address = f"ipc://{folder}/s"
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, who: str, script: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Run an example as one of the two."""
        command = [sys.executable] if script.endswith(".py") else ["bash"]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        process = subprocess.Popen(
            [*command, str(EXAMPLES / script), *arguments],
            env=os.environ | {"SELO_HOME": str(self.homes / who), "PATH": path},
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.processes.append(process)
        return process


@pytest.fixture(scope="module")
def homes(tmp_path_factory):
    """Alice's and Bob's homes, each with the other pinned."""
    folder = tmp_path_factory.mktemp("homes")
    made = {name: load_identity(folder / name, create=True) for name in ("alice", "bob")}
    for name, other in (("alice", "bob"), ("bob", "alice")):
        TrustStore(Home.locate(str(folder / name), {})).add(other, made[other].public, may_send=True)
    return folder


@pytest.fixture
def stage(homes, tmp_path):
    """A stage that leaves no process behind."""
    made = Stage(homes, tmp_path)
    yield made
    for process in made.processes:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen[bytes], given: bytes | None = None) -> tuple[int, bytes, bytes]:
    """The status, output and error output of a process."""
    output, errors = process.communicate(given, timeout=PATIENCE)
    return process.returncode, output, errors


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_explains_every_script(stage, script):
    """`--help` says how to use it and ends well."""
    status, output, errors = end(stage.start("alice", script, "--help"))
    assert status == 0
    assert b"usage:" in output + errors


def test_a_client_gets_its_answers(stage):
    """Questions in, answers out, and both end with 0."""
    server = stage.start("bob", "request_reply/server.py", "--from", "alice", "--bind", stage.address)
    client = stage.start("alice", "request_reply/client.py", "--to", "bob", "--connect", stage.address)
    assert end(client, b"one\ntwo\n") == (0, b"ONE\nTWO\n", b"")
    assert end(server) == (0, b"", b"")


def test_a_server_that_is_killed_is_no_success(stage):
    """A client whose server is gone ends with an error."""
    server = stage.start("bob", "request_reply/server.py", "--from", "alice", "--bind", stage.address)
    client = stage.start("alice", "request_reply/client.py", "--to", "bob", "--connect", stage.address)
    client.stdin.write(b"one\n")
    client.stdin.flush()
    assert client.stdout.readline() == b"ONE\n"
    server.send_signal(signal.SIGKILL)
    status, output, errors = end(client, b"two\n")
    assert (status, output) == (4, b"")
    assert b"client: " in errors


def shipping(stage):
    """A log of two lines that is being shipped: both processes, and the file that it goes to."""
    (stage.folder / "app.log").write_bytes(b"one\ntwo\n")
    target = stage.folder / "all.log"
    collector = stage.start(
        "bob", "log_shipper/collect.py", "--from", "alice", "--bind", stage.address, str(target)
    )
    shipper = stage.start(
        "alice",
        "log_shipper/ship.py",
        "--to",
        "bob",
        "--connect",
        stage.address,
        "--interval",
        "0.02",
        "app.log",
    )
    return collector, shipper, target


def test_a_log_arrives_as_it_grows(stage):
    """Lines written before and after the start arrive, also a last one without a newline."""
    collector, shipper, target = shipping(stage)
    with open(stage.folder / "app.log", "ab") as log:
        log.write(b"three\nfo")
        log.flush()
        log.write(b"ur")
    (stage.folder / "app.log.done").touch()
    assert end(shipper) == (0, b"", b"")
    assert end(collector) == (0, b"", b"")
    assert target.read_bytes() == b"one\ntwo\nthree\nfour"


def test_a_rotated_log_ends_both_with_an_error(stage):
    """A rotation is not guessed over: the shipper says so and the collector fails too."""
    collector, shipper, target = shipping(stage)
    while not (target.exists() and target.stat().st_size):
        assert collector.poll() is None and shipper.poll() is None
    (stage.folder / "app.log").rename(stage.folder / "app.log.1")
    (stage.folder / "app.log").write_bytes(b"new\n")
    status, _, errors = end(shipper)
    assert status == 1 and b"rotated" in errors
    assert end(collector)[0] != 0
    assert target.read_bytes() == b"one\ntwo\n"


def test_readings_are_committed_before_they_are_acknowledged(stage):
    """Every batch that the sensor printed is in the database, though its store is killed; again is once."""
    file = stage.folder / "readings.db"
    store = ["sensor_sqlite/store.py", "--from", "alice", "--bind", stage.address, str(file)]
    sensor = ["sensor_sqlite/sensor.py", "--to", "bob", "--connect", stage.address, "--batch", "2"]
    storing, sensing = stage.start("bob", *store), stage.start("alice", *sensor)
    sensing.stdin.write(b"1 10\n2 20\n")
    sensing.stdin.flush()
    sensing.stdin.close()
    sensing.stdin = None
    assert end(sensing)[:2] == (0, b"1\n")
    assert end(storing)[0] == 0
    storing, sensing = stage.start("bob", *store), stage.start("alice", *sensor)
    sensing.stdin.write(b"1 10\n2 20\n3 30\n4 40\n" + b"5 50\n" * 2000)
    sensing.stdin.flush()
    assert sensing.stdout.readline() == b"1\n"
    assert sensing.stdout.readline() == b"2\n"
    storing.send_signal(signal.SIGKILL)
    status, more, _ = end(sensing)
    assert status == 4
    with closing(sqlite3.connect(file)) as database:
        numbers = {number for (number,) in database.execute("SELECT number FROM batches")}
        readings = database.execute("SELECT time, value FROM readings WHERE time < 5").fetchall()
    assert {1, 2, *map(int, more.split())} <= numbers
    assert readings == [(1, 10), (2, 20), (3, 30), (4, 40)]


@pytest.fixture
def shop(stage):
    """A database."""
    file = stage.folder / "shop.db"
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE goods (name TEXT)")
        database.executemany("INSERT INTO goods VALUES (?)", [(f"thing {n}",) for n in range(1000)])
    return file


def test_a_database_arrives_whole(stage, shop):
    """What was dumped there can be read here."""
    load = stage.start("bob", "database_dump/load.sh", "new.db", "alice", stage.address)
    send = stage.start("alice", "database_dump/send.sh", "shop.db", "bob", stage.address)
    assert end(send)[0] == 0
    assert end(load)[0] == 0
    with closing(sqlite3.connect(stage.folder / "new.db")) as database:
        assert database.execute("SELECT count(*) FROM goods").fetchone() == (1000,)
    assert not list(stage.folder.glob(".load-*"))


def test_a_dump_that_fails_leaves_no_database(stage):
    """A damaged source is an error on both sides, and nothing appears."""
    (stage.folder / "shop.db").write_bytes(b"no database" * 1000)
    load = stage.start("bob", "database_dump/load.sh", "new.db", "alice", stage.address)
    send = stage.start("alice", "database_dump/send.sh", "shop.db", "bob", stage.address)
    assert end(send)[0] != 0
    assert end(load)[0] != 0
    assert not (stage.folder / "new.db").exists()
    assert not list(stage.folder.glob(".load-*"))
