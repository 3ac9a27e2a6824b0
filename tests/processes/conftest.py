"""Real `selo` processes over real sockets, as a user would start them."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SELO = Path(sys.executable).with_name("selo")

PATIENCE = 60.0
"""Seconds after which a process is called hung; nothing takes that long when all is well."""


@dataclass
class Process:
    """One running `selo`, and the events that it reports."""

    child: subprocess.Popen[bytes]
    events: list[dict] = field(default_factory=list)
    _news: queue.Queue = field(default_factory=queue.Queue)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.child.stderr is not None
        for line in self.child.stderr:
            event = json.loads(line)
            self.events.append(event)
            self._news.put(event)
        self._news.put(None)

    def wait_for(self, name: str) -> dict:
        """The next event of that name; fails when the process ends without it."""
        while True:
            event = self._news.get(timeout=PATIENCE)
            assert event is not None, f"ended without {name!r}: {self.events}"
            if event["event"] == name:
                return event

    def end(self) -> int:
        """Wait for the process; its exit status (negative: killed by that signal)."""
        status = self.child.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return status

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal."""
        self.child.send_signal(number)

    @property
    def message(self) -> str:
        """The words of the error that ended it."""
        return next(event["message"] for event in self.events if event["event"] == "error")

    def named(self, name: str) -> list[dict]:
        """All events of that name so far."""
        return [event for event in self.events if event["event"] == name]


@dataclass(frozen=True)
class Homes:
    """Three people: alice sends to bob; mallory knows both, and nobody trusts mallory."""

    alice: Path
    bob: Path
    mallory: Path


def selo(
    *arguments: object, home: Path | None = None, **options: object
) -> subprocess.CompletedProcess[bytes]:
    """Run `selo` to its end."""
    where = ["--home", str(home)] if home else []
    return subprocess.run(
        [SELO, *where, *map(str, arguments)], capture_output=True, timeout=PATIENCE, check=False, **options
    )


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Homes:
    """Identities made and exchanged as the README says."""
    folder = tmp_path_factory.mktemp("homes")
    homes = Homes(*(folder / name for name in ("alice", "bob", "mallory")))
    public = {}
    for home in (homes.alice, homes.bob, homes.mallory):
        assert selo("keygen", "--name", home.name, home=home).returncode == 0
        public[home.name] = selo("id", "--export", home=home).stdout
    for home, name, flags in (
        (homes.alice, "bob", ()),
        (homes.bob, "alice", ("--may-send",)),
        (homes.mallory, "bob", ()),
    ):
        added = selo("trust", "add", name, *flags, home=home, input=public[name])
        assert added.returncode == 0, added.stderr
    return homes


Start = Callable[..., Process]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start `selo --json ...`; whatever still runs when the test is over is killed."""
    started: list[Process] = []

    def run(
        *arguments: object, home: Path, settings: dict[str, str] | None = None, **pipes: object
    ) -> Process:
        child = subprocess.Popen(
            [SELO, "--json", "--home", str(home), *map(str, arguments)],
            stderr=subprocess.PIPE,
            env={**os.environ, **{f"SELO_{key.upper()}": value for key, value in (settings or {}).items()}},
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **pipes},
        )
        process = Process(child)
        started.append(process)
        return process

    yield run
    for process in started:
        if process.child.poll() is None:
            process.kill()
        process.end()
        for pipe in (process.child.stdin, process.child.stdout, process.child.stderr):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


@pytest.fixture
def receive(start: Start, homes: Homes) -> Callable[..., Process]:
    """Start bob's (or ``home``'s) `selo receive` on a free port; it has an ``address``."""

    def run(*arguments: object, home: Path | None = None, **options: object) -> Process:
        bind = ("--bind", "tcp://127.0.0.1:0")
        process = start("receive", *bind, *arguments, home=home or homes.bob, **options)
        process.address = process.wait_for("listening")["address"]  # type: ignore[attr-defined]
        return process

    return run


@pytest.fixture
def emit(start: Start, homes: Homes) -> Callable[..., Process]:
    """Start alice's (or ``home``'s) `selo emit` to bob at the address of a Receiver."""

    def run(receiver: Process, *arguments: object, home: Path | None = None, **options: object) -> Process:
        return start(
            "emit", "--to", "bob", "--connect", receiver.address, *arguments,  # type: ignore[attr-defined]
            home=home or homes.alice, **options,
        )  # fmt: skip

    return run


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts small file systems in memory."""
    folders: list[Path] = []

    def mount(*options: str) -> Path:
        folder = tmp_path / "mounted"
        folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", ",".join(("size=1m", *options)), "selo-tests", folder],
            capture_output=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
        folders.append(folder)
        return folder

    yield mount
    for folder in folders:
        subprocess.run(["umount", "--lazy", folder], check=True)
