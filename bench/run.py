"""`make bench`: Selo beside its peers, in one run, as Markdown on standard output. See README.md."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from contenders import BULK, HERE, ONE_BYTE, RAW, SELO, SMALL, Contender, Job, find
from measure import Cost, Failed, idle, once, session
from table import load, machine, peak, size_of, size_text, spread, table

Costs = dict[str, list[Cost]]
PLAIN = {RAW, "socat TCP"}


class Bench:
    """One run: where its files are, what was measured, and what went wrong."""

    def __init__(self, folder: Path, rounds: int) -> None:
        self.folder = folder
        self.rounds = rounds
        self.faults: list[str] = []
        self._keys: dict[str, Path] = {}

    @property
    def floor(self) -> int:
        """KiB below which no child's peak can be seen now: what one that does nothing is charged."""
        return max(once(["true"], self.folder).peak["sender"] for _ in range(3))

    def source(self, name: str, size: int) -> Path:
        """A file of random bytes."""
        path = self.folder / name
        with path.open("wb") as file:
            for start in range(0, size, 1 << 20):
                file.write(os.urandom(min(1 << 20, size - start)))
        return path

    def compare(self, what: str, contenders: Sequence[Contender], job: Job) -> Costs:
        """Every contender in every round, each round starting with another; one unmeasured round first."""
        able = [contender for contender in contenders if not contender.missing()]
        costs: Costs = {contender.name: [] for contender in able}
        for turn in range(-1, self.rounds):
            say(f"{what}: round {turn + 1} of {self.rounds}")
            for contender in able[turn % len(able) :] + able[: turn % len(able)]:
                try:
                    commands = contender.commands(self.keys(contender), job)
                    cost = session(commands, job.source, job.target, pipes=job.pipes)
                except Failed as fault:
                    self.faults.append(f"{what}, {contender.name}, round {turn + 1}: {fault}")
                    continue
                if turn >= 0:
                    costs[contender.name].append(cost)
        job.target.unlink(missing_ok=True)
        return costs

    def keys(self, contender: Contender) -> Path:
        """The contender's folder, prepared at first use."""
        if contender.name not in self._keys:
            folder = self.folder / f"keys-{len(self._keys)}"
            folder.mkdir(mode=0o700)
            contender.prepare(folder)
            self._keys[contender.name] = folder
        return self._keys[contender.name]

    def bulk(self, what: str, job: Job) -> str:
        """One table: time, rate, ratios, CPU and memory of whole deliveries."""
        costs = self.compare(what, BULK, job)
        size = job.source.stat().st_size / (1 << 20)
        rates = {name: size / median(cost.wall for cost in each) for name, each in costs.items() if each}
        sealed = {
            name: rate for name, rate in rates.items() if name not in PLAIN and not name.startswith("selo")
        }
        best = max(sealed, key=lambda name: sealed[name], default=RAW)
        rows = []
        for contender in BULK:
            name = contender.name
            if name not in rates:
                rows.append([name, absent(contender), *[""] * 7])
                continue
            each = costs[name]
            against = [f"{rates[name] / rates[of]:.2f}" if of in rates else "" for of in (RAW, best)]
            rows.append(
                [name, spread([c.wall for c in each]), f"{rates[name]:.0f}", *against, *self.used(each, name)]
            )
        heads = ["", "wall s", "MiB/s", f"rate / {RAW}", f"rate / {best}"]
        return table([*heads, "CPU s sender", "receiver", "peak MiB sender", "receiver"], rows)

    def used(self, costs: list[Cost], name: str) -> list[str]:
        """CPU seconds and peak memory of both sides."""
        cpu = [f"{median(cost.cpu[side] for cost in costs):.2f}" for side in ("sender", "receiver")]
        parts = {"sender": 1, "receiver": 2 if name == "spiped" else 1}
        return cpu + [peak([c.peak[side] for c in costs], self.floor, n) for side, n in parts.items()]

    def small(self, one_byte: Costs, job: Job) -> str:
        """Records a second, of the whole process and without what a session of one byte costs."""
        costs = self.compare("32-byte records", SMALL, job)
        count = job.source.stat().st_size // 32
        whole = {name: median(cost.wall for cost in each) for name, each in costs.items() if each}
        net = {
            name: count / max(wall - median(cost.wall for cost in one_byte[name]), 0.001)
            for name, wall in whole.items()
            if one_byte.get(name)
        }
        rows = [
            [name, spread([c.wall for c in costs[name]]), f"{count / whole[name]:,.0f}"]
            + (
                [f"{net[name]:,.0f}", f"{net[name] / net[RAW]:.3f}"]
                if {name, RAW} <= net.keys()
                else ["", ""]
            )
            + self.used(costs[name], name)
            for name in whole
        ]
        heads = ["", "wall s", "records/s, all", "records/s, net", f"net / {RAW}"]
        return table([*heads, "CPU s sender", "receiver", "peak MiB sender", "receiver"], rows)

    def one_byte(self, costs: Costs) -> str:
        """A whole session for one byte, and a receiver that waits."""
        rows = []
        for contender in ONE_BYTE:
            name = contender.name
            if not costs.get(name):
                rows.append([name, absent(contender), *[""] * 5])
                continue
            each = costs[name]
            receivers, _ = contender.commands(
                self.keys(contender), Job(self.folder / "one", self.folder / "idle")
            )
            waiting = idle(receivers, self.folder / "idle") / 1024
            ratio = median(c.sending for c in each) / median(c.sending for c in costs.get("ssh") or each)
            times = [spread([c.sending * 1000 for c in each], 0), f"{ratio:.2f}" if costs.get("ssh") else ""]
            times.append(spread([c.wall * 1000 for c in each], 0))
            cpu = [f"{median(c.cpu[side] for c in each) * 1000:.0f}" for side in ("sender", "receiver")]
            rows.append([name, *times, *cpu, f"{waiting:.0f}"])
        heads = ["", "sender's wall ms", "/ ssh", "with the receiver's start", "CPU ms sender", "receiver"]
        return table([*heads, "idle receiver MiB"], rows)

    def handshake(self) -> str:
        """CPU of the handshake alone."""
        argv = [sys.executable, str(HERE / "handshake.py"), "21"]
        lines = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout.split(
            "\n"
        )
        sides = list(zip(*(map(float, line.split()) for line in lines if line), strict=True))
        named = zip(("Emitter", "Receiver"), sides, strict=True)
        return table(["", "CPU ms"], [[name, spread(values, 1)] for name, values in named])

    def start_up(self, runs: int = 11) -> str:
        """Programs that do nothing."""
        programs: list[list[str]] = [[str(SELO), "--version"], [str(SELO), "--help"]]
        programs += [[sys.executable, "-c", "pass"], [sys.executable, "-c", "import zmq"], ["ssh", "-V"]]
        programs = [program for program in programs if find(program[0])]
        walls: list[list[float]] = [[] for _ in programs]
        for _ in range(runs):
            for program, wall in zip(programs, walls, strict=True):
                wall.append(once(program, self.folder).wall * 1000)
        shown = [" ".join([Path(program[0]).name, *program[1:]]) for program in programs]
        return table(["", "wall ms"], [[f"`{n}`", spread(w, 0)] for n, w in zip(shown, walls, strict=True)])


def absent(contender: Contender) -> str:
    """Why a contender has no numbers."""
    missing = contender.missing()
    return f"not installed: {', '.join(missing)}" if missing else "failed, see below"


def say(words: str) -> None:
    """Progress, for the person who waits."""
    print(words, file=sys.stderr, flush=True)


@contextmanager
def privilege_separation() -> Iterator[None]:
    """The empty folder that an sshd of root insists on; what starts it as a service usually makes it."""
    folder = Path("/run/sshd")
    ours = os.geteuid() == 0 and find("sshd") is not None and not folder.exists()
    if ours:
        folder.mkdir(mode=0o755)
    try:
        yield
    finally:
        if ours:
            folder.rmdir()


def report(bench: Bench, size: int, records: int) -> None:
    """Measure everything, and print each table as soon as it is there."""
    print(f"{machine()}\n- load before: {load()}")
    print(f"- {bench.rounds} rounds after one to warm up; median (min..max); `≤`: as small as can be seen\n")
    big, target = bench.source("big", size), bench.folder / "arrived"
    for what, pipes in (("File to file", False), ("Pipe to pipe", True)):
        print(f"### {what}, {size_text(size)}\n\n{bench.bulk(what, Job(big, target, pipes))}", flush=True)
    big.unlink()
    one = bench.compare("One byte", ONE_BYTE, Job(bench.source("one", 1), target))
    print(f"### A session of one byte\n\n{bench.one_byte(one)}", flush=True)
    small = Job(bench.source("small", records * 32), target)
    print(f"### {records:,} records of 32 bytes\n\n{bench.small(one, small)}", flush=True)
    print(f"### The handshake alone, one process, 21 times\n\n{bench.handshake()}", flush=True)
    print(f"### Start-up, 11 runs\n\n{bench.start_up()}\n- load after: {load()}")
    for fault in bench.faults:
        print(f"- FAILED: {fault}")


def main() -> int:
    """Exit status 0: everybody who is installed delivered in every round."""
    parser = argparse.ArgumentParser(
        description="Measure Selo beside its peers; Markdown on standard output."
    )
    parser.add_argument(
        "--size", type=size_of, default="256MiB", help="bytes of the bulk deliveries (256MiB)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds (3)")
    parser.add_argument("--records", type=int, default=100_000, help="records of 32 bytes (100000)")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.records < 1:
        parser.error("--rounds and --records are at least 1")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    shared = Path("/dev/shm")
    room = shared.is_dir() and os.statvfs(shared).f_bavail * os.statvfs(shared).f_frsize > 3 * arguments.size
    with (
        privilege_separation(),
        tempfile.TemporaryDirectory(prefix="selo-bench-", dir=shared if room else None) as folder,
    ):
        bench = Bench(Path(folder), arguments.rounds)
        where = "memory (/dev/shm)" if room else "the temporary folder, whose disk is part of every number"
        say(f"the files are in {where}")
        report(bench, arguments.size, arguments.records)
    return 1 if bench.faults else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
