"""Runs one session of whole processes and says what it cost: wall and CPU seconds, peak memory, and whether
the data arrived. Linux only: it waits on process descriptors and reads /proc.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE = 120.0
"""Seconds after which a session is called hung and its processes are killed."""


class Failed(Exception):
    """A contender did not deliver; the words say how."""


NOT_PASSED_ON = ("SELO_", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
"""How the names of variables begin that would make Selo another than a user's: without its byte code, say."""

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(NOT_PASSED_ON)}


@dataclass(frozen=True)
class Command:
    """One process of a contender.

    ``reads``: the data comes on its standard input. ``writes``: it leaves on its standard output.
    ``port``: where it listens before anything else starts. ``daemon``: it serves until it is told to stop.
    """

    argv: Sequence[str | os.PathLike[str]]
    side: str
    reads: bool = False
    writes: bool = False
    port: int | None = None
    daemon: bool = False


@dataclass
class Cost:
    """What one session cost. ``wall`` starts with the first process, ``sending`` with the sender; both end
    when the last process that ends by itself has ended. CPU in seconds and peak memory in KiB, by side.
    """

    wall: float = 0.0
    sending: float = 0.0
    cpu: dict[str, float] = field(default_factory=lambda: {"sender": 0.0, "receiver": 0.0})
    peak: dict[str, int] = field(default_factory=lambda: {"sender": 0, "receiver": 0})


@dataclass
class Running:
    """A started process; ``descriptor`` becomes readable when it has ended."""

    child: subprocess.Popen[bytes]
    side: str
    daemon: bool
    errors: Path
    descriptor: int


class Stage:
    """The processes of one session; leaving it kills and reaps whatever still runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.processes: list[Running] = []
        self.cost = Cost()

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            if process.child.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.child.pid, signal.SIGKILL)
                process.child.wait()
            for pipe in (process.child.stdin, process.child.stdout):
                if pipe is not None:
                    pipe.close()
            os.close(process.descriptor)
            process.errors.unlink(missing_ok=True)

    def start(self, command: Command, stdin: object = None, stdout: object = None) -> Running:
        """Start a process in a group of its own, and wait until it listens if it will."""
        errors = self._folder / f"errors-{len(self.processes)}"
        with errors.open("wb") as stderr:
            child = subprocess.Popen(
                command.argv,
                stdin=subprocess.DEVNULL if stdin is None else stdin,  # type: ignore[call-overload]
                stdout=subprocess.DEVNULL if stdout is None else stdout,
                stderr=stderr,
                start_new_session=True,
                env=ENVIRONMENT,
            )
        process = Running(child, command.side, command.daemon, errors, os.pidfd_open(child.pid))
        self.processes.append(process)
        if command.port is not None:
            self._wait_listening(process, command.port)
        return process

    def _wait_listening(self, process: Running, port: int) -> None:
        """Ask the kernel, not the port: some contenders serve one connection only."""
        deadline = time.monotonic() + 15
        while not _listens(port):
            if time.monotonic() > deadline:
                raise Failed(f"does not listen: {_words(process)}")
            if select.select([process.descriptor], [], [], 0.005)[0]:
                raise Failed(f"ended before it listened: {_words(process)}")

    def finish(self) -> None:
        """Wait for all that end by themselves, then stop the daemons.

        Raises:
            Failed: one took too long, or ended with another status than 0.
        """
        poller, waiting = select.poll(), {}
        for process in self.processes:
            if not process.daemon:
                waiting[descriptor := process.descriptor] = process
                poller.register(descriptor, select.POLLIN)
        deadline = time.monotonic() + PATIENCE
        while waiting:
            ready = poller.poll(max(0.0, deadline - time.monotonic()) * 1000)
            if not ready:
                raise Failed(f"not done after {PATIENCE:.0f} s")
            for descriptor, _ in ready:
                poller.unregister(descriptor)
                if status := self._reap(process := waiting.pop(descriptor)):
                    raise Failed(f"{process.side} ended with {status}: {_words(process)}")

    def stop_daemons(self) -> None:
        """Let daemons reap their own children first, or the time of those would be lost."""
        for process in self.processes:
            if process.daemon and process.child.returncode is None:
                deadline = time.monotonic() + 5
                while _children(process.child.pid) and time.monotonic() < deadline:
                    time.sleep(0.002)
                process.child.terminate()
                if select.select([process.descriptor], [], [], 5)[0]:
                    self._reap(process)

    def _reap(self, process: Running) -> int:
        """The exit status; what the process and its reaped children used is added to its side."""
        _, status, usage = os.wait4(process.child.pid, 0)
        process.child.returncode = os.waitstatus_to_exitcode(status)
        if process.side in self.cost.cpu:
            self.cost.cpu[process.side] += usage.ru_utime + usage.ru_stime
            self.cost.peak[process.side] += usage.ru_maxrss
        return process.child.returncode


def session(commands: tuple[list[Command], Command], source: Path, target: Path, *, pipes: bool) -> Cost:
    """Deliver ``source`` to ``target`` once; ``pipes`` puts a `cat` at both ends, whose cost is not counted.

    Raises:
        Failed: a process failed or hung, or ``target`` is not ``source`` in the end.
    """
    receivers, sender = commands
    target.unlink(missing_ok=True)
    with Stage(target.parent) as stage, ExitStack() as files:
        started = time.monotonic()
        for command in receivers:
            stdout = files.enter_context(target.open("wb")) if command.writes else None
            piped = subprocess.PIPE if command.writes and pipes else stdout
            process = stage.start(command, stdout=piped)
            if piped is subprocess.PIPE:
                stage.start(Command(["cat"], "drain"), process.child.stdout, stdout)
                _close(process.child.stdout)
        stdin = files.enter_context(source.open("rb")) if sender.reads else None
        sending = time.monotonic()
        if sender.reads and pipes:
            feed = stage.start(Command(["cat"], "feed"), stdin, subprocess.PIPE)
            stage.start(sender, feed.child.stdout)
            _close(feed.child.stdout)
        else:
            stage.start(sender, stdin)
        stage.finish()
        ended = time.monotonic()
        stage.cost.wall, stage.cost.sending = ended - started, ended - sending
        stage.stop_daemons()
        if not same(source, target):
            raise Failed("ended well, and the data is not what was sent")
        return stage.cost


def idle(receivers: list[Command], target: Path) -> int:
    """Peak KiB of the receiving side while it waits for somebody, half a second after it listens."""
    with Stage(target.parent) as stage:
        for command in receivers:
            stage.start(command)
        time.sleep(0.5)
        return sum(_peak(process.child.pid) for process in stage.processes)


def once(argv: Sequence[str | os.PathLike[str]], folder: Path) -> Cost:
    """Run one program to its end."""
    with Stage(folder) as stage:
        started = time.monotonic()
        stage.start(Command(argv, "sender"))
        stage.finish()
        stage.cost.wall = stage.cost.sending = time.monotonic() - started
        return stage.cost


def same(source: Path, target: Path) -> bool:
    """Whether two files hold the same bytes, compared in full and in little memory."""
    if not target.exists() or source.stat().st_size != target.stat().st_size:
        return False
    buffers = bytearray(1 << 20), bytearray(1 << 20)
    with source.open("rb", buffering=0) as left, target.open("rb", buffering=0) as right:
        while count := left.readinto(buffers[0]):
            if right.readinto(buffers[1]) != count or buffers[0] != buffers[1]:
                return False
    return True


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    ending = f":{port:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(ending) and fields[3] == "0A":
            return True
    return False


def _children(pid: int) -> list[str]:
    with suppress(OSError):
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return []


def _peak(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise Failed(f"process {pid} ended while it should wait")


def _words(process: Running) -> str:
    """The last line that the process wrote on standard error."""
    lines = process.errors.read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def _close(pipe: object) -> None:
    if pipe is not None:
        pipe.close()  # type: ignore[attr-defined]
