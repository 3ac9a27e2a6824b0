"""Alice and bob, each with a home, and the `selo` processes that work for them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SELO = Path(sys.executable).with_name("selo")

PATIENCE = 60.0
"""Seconds after which a process is called hung."""


@dataclass(frozen=True)
class People:
    """Alice sends to bob."""

    alice: Path
    bob: Path

    @classmethod
    def introduced(cls, folder: Path) -> People:
        """Two who have made identities and exchanged them, in that folder."""
        people = cls(folder / "alice", folder / "bob")
        for home in (people.alice, people.bob):
            _selo(home, "keygen", "--name", home.name)
        public = {home: _selo(home, "id", "--export") for home in (people.alice, people.bob)}
        _selo(people.alice, "trust", "add", "bob", stdin=public[people.bob])
        _selo(people.bob, "trust", "add", "alice", "--may-send", stdin=public[people.alice])
        return people


def _selo(home: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    command = [str(SELO), "--home", str(home), *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=PATIENCE, check=True).stdout


class Agent:
    """One running `selo --json`, its events so far, and whether it was us who killed it.

    ``stdin``: a file that is poured into its standard input through a pipe.
    """

    def __init__(
        self, command: Sequence[object], home: Path, settings: Mapping[str, str], stdin: Path | None = None
    ) -> None:
        self.events: list[dict] = []
        self.noise: list[str] = []
        """Lines on standard error that are no events: there must be none."""
        self.killed = False
        self._news = threading.Condition()
        self._child = subprocess.Popen(
            [*map(str, command)],
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("SELO_")},
                "SELO_HOME": str(home),
                **{f"SELO_{name.upper()}": value for name, value in settings.items()},
            },
        )
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        if stdin is not None:
            self._threads.append(threading.Thread(target=self._pour, args=(stdin,), daemon=True))
        for thread in self._threads:
            thread.start()

    def _listen(self) -> None:
        assert self._child.stderr is not None
        with self._child.stderr as lines:
            for line in lines:
                with self._news:
                    try:
                        self.events.append({**json.loads(line), "at": time.monotonic()})
                    except ValueError:
                        self.noise.append(line.decode(errors="replace").rstrip())
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def _pour(self, source: Path) -> None:
        assert self._child.stdin is not None
        with suppress(BrokenPipeError), self._child.stdin as pipe, source.open("rb") as file:
            while block := file.read(1 << 16):
                pipe.write(block)

    @property
    def status(self) -> int | None:
        """Its exit status (negative: killed by that signal), or None while it runs."""
        return self._child.poll()

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.status is None

    def kill(self) -> None:
        """SIGKILL, and wait until it is no more."""
        if self.running:
            self.killed = True
            self._child.kill()
        self._child.wait(PATIENCE)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._child.send_signal(number)

    def join(self) -> None:
        """Wait until it has ended and its last event is here."""
        self._child.wait(PATIENCE)
        for thread in self._threads:
            thread.join(PATIENCE)

    def wait_for(self, name: str) -> dict | None:
        """The first event of that name, or None if it ended without one."""
        deadline = time.monotonic() + PATIENCE
        with self._news:
            while not self.named(name):
                if not self._threads[0].is_alive() or time.monotonic() > deadline:
                    return None
                self._news.wait(0.05)
        return self.named(name)[0]

    def named(self, name: str) -> list[dict]:
        """All events of that name so far."""
        return [event for event in self.events if event.get("event") == name]

    @property
    def story(self) -> str:
        """What it told, short, and how it ended."""
        shown: list[str] = []
        for event in self.events:
            name = event.get("event", "?")
            if name in ("progress", "item-started", "item-done"):
                continue
            more = [str(event[key]) for key in ("message", "reason", "offset", "receipt") if key in event]
            words = " ".join([name, *more])
            if shown[-1:] != [words]:
                shown.append(words)
        return " | ".join([*shown, *self.noise, f"exit {self.status}"])
