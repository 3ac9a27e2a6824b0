"""`make bench-trees`: many small files, and one large one, beside `tar | ssh` and `rsync`. See README.md."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from contenders import SELO, Word, find, selo_keys, ssh_keys
from measure import Command, Cost, Failed, Stage, free_port
from table import load, machine, size_of, size_text, spread, table

SIDES = ("sender", "receiver")

FOLDER_FILES = 500
"""Files in one folder of the tree."""

Commands = tuple[list[Command], Command]


def selo(folder: Path, source: Path, target: Path, *more: Word) -> Commands:
    """`selo receive --into` and `selo emit FOLDER`."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    receive: list[Word] = [SELO, "--home", folder / "bob", "receive", "--quiet", "--bind", address]
    emit: list[Word] = [SELO, "--home", folder / "alice", "emit", "--quiet", "--to", "bob"]
    return (
        [Command([*receive, "--into", target, *more], "receiver", port=port)],
        Command([*emit, "--connect", address, source], "sender"),
    )


def selo_unsynced(folder: Path, source: Path, target: Path) -> Commands:
    """The same as durable as the others: not."""
    return selo(folder, source, target, "--no-fsync")


def _server(folder: Path) -> tuple[Command, list[str]]:
    port = free_port()
    server: list[Word] = [find("sshd") or "sshd", "-D", "-e", "-f", folder / "sshd_config", "-p", str(port)]
    client = ["ssh", "-F", str(folder / "ssh_config"), "-p", str(port)]
    return Command(server, "receiver", port=port, daemon=True), client


def tar(folder: Path, source: Path, target: Path) -> Commands:
    """`tar -c | ssh tar -x`, which syncs nothing and says nothing about what arrived."""
    server, client = _server(folder)
    far = f"tar -x -C {shlex.quote(str(target))} -f -"
    line = (
        f"tar -c -C {shlex.quote(str(source.parent))} -f - {shlex.quote(source.name)} | "
        f"{shlex.join([*client, '127.0.0.1', far])}"
    )
    return [server], Command(["bash", "-o", "pipefail", "-c", line], "sender")


def rsync(folder: Path, source: Path, target: Path) -> Commands:
    """`rsync -a` over the same ssh, onto nothing."""
    server, client = _server(folder)
    return [server], Command(
        ["rsync", "-a", "-e", shlex.join(client), str(source), f"127.0.0.1:{target}/"], "sender"
    )


CONTENDERS: dict[str, tuple[Callable[..., Commands], Callable[[Path], None], tuple[str, ...]]] = {
    "selo": (selo, selo_keys, (str(SELO),)),
    "selo --no-fsync": (selo_unsynced, selo_keys, (str(SELO),)),
    "tar, ssh": (tar, ssh_keys, ("tar", "ssh", "sshd")),
    "rsync, ssh": (rsync, ssh_keys, ("rsync", "ssh", "sshd")),
}


class Trees:
    """One run: its folder, and the keys of the contenders."""

    def __init__(self, folder: Path, rounds: int) -> None:
        self.folder = folder
        self.rounds = rounds
        self.faults: list[str] = []

    def compare(self, what: str, source: Path) -> None:
        """Every contender in every round, and the table."""
        costs: dict[str, list[Cost]] = {}
        for turn in range(self.rounds):
            for name, (commands, prepare, needs) in CONTENDERS.items():
                if any(find(need) is None for need in needs):
                    continue
                print(f"bench: {what}: round {turn + 1}, {name}", file=sys.stderr, flush=True)
                try:
                    costs.setdefault(name, []).append(self._once(name, commands, prepare, source))
                except Failed as fault:
                    self.faults.append(f"{what}, {name}, round {turn + 1}: {fault}")
        print(f"\n### {what}\n")
        base = median(cost.wall for cost in costs["tar, ssh"]) if costs.get("tar, ssh") else None
        rows = [
            [
                name,
                spread([cost.wall for cost in each], 1),
                f"{median(cost.wall for cost in each) / base:.2f}" if base else "-",
                *(f"{median(cost.cpu[side] for cost in each):.1f}" for side in SIDES),
                *(f"{median(cost.peak[side] for cost in each) / 1024:.0f}" for side in SIDES),
            ]
            for name, each in costs.items()
            if each
        ]
        head = ["", "wall s", "wall / tar, ssh", "CPU s sender", "receiver", "peak MiB sender", "receiver"]
        print(table(head, rows), flush=True)

    def _once(
        self,
        name: str,
        commands: Callable[..., Commands],
        prepare: Callable[[Path], None],
        source: Path,
    ) -> Cost:
        keys = self.folder / name.replace(" ", "-")
        if not keys.exists():
            keys.mkdir(mode=0o700)
            prepare(keys)
        target = self.folder / "target"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        os.sync()  # what the one before left to the disk is not for this one to pay
        receivers, sender = commands(keys, source, target)
        with Stage(self.folder) as stage:
            started = time.monotonic()
            for command in receivers:
                stage.start(command)
            stage.start(sender)
            stage.finish()
            stage.cost.wall = stage.cost.sending = time.monotonic() - started
            stage.stop_daemons()
        self._verify(source, target / source.name)
        return stage.cost

    @staticmethod
    def _verify(source: Path, target: Path) -> None:
        if subprocess.run(["diff", "-rq", source, target], check=False, stdout=subprocess.DEVNULL).returncode:
            raise Failed("ended well, and the data is not what was sent")


def make_tree(folder: Path, files: int, size: int) -> Path:
    """``files`` files of ``size`` random bytes, ``FOLDER_FILES`` in a folder."""
    top = folder / "tree"
    for number in range(files):
        if number % FOLDER_FILES == 0:
            inner = top / f"folder-{number // FOLDER_FILES:05}"
            inner.mkdir(parents=True)
        (inner / f"file-{number:07}").write_bytes(os.urandom(size))
    return top


def make_file(folder: Path, size: int) -> Path:
    """One file of random bytes."""
    path = folder / "large"
    with path.open("wb") as file:
        for start in range(0, size, 1 << 20):
            file.write(os.urandom(min(1 << 20, size - start)))
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print the tables; 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000, help="small files (100000)")
    parser.add_argument("--small", type=size_of, default=1024, help="bytes of each (1024)")
    parser.add_argument("--size", type=size_of, default=5 << 30, help="the large file (5GiB)")
    parser.add_argument("--rounds", type=int, default=1, help="rounds (1)")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="selo-bench-") as name:
        trees = Trees(Path(name), given.rounds)
        print(f"{machine()}\n- load before: {load()}")
        tree = make_tree(trees.folder, given.files, given.small)
        trees.compare(f"{given.files:,} files of {size_text(given.small)}", tree)
        shutil.rmtree(tree)
        trees.compare(f"One file of {size_text(given.size)}", make_file(trees.folder, given.size))
    for fault in trees.faults:
        print(f"\nfailed: {fault}")
    return 1 if trees.faults else 0


if __name__ == "__main__":
    sys.exit(main())
