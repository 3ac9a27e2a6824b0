"""Three hosts, two of which trust each other: deliveries, a cable that is cut, and a stranger.

The hosts are network namespaces of this machine, each with its own addresses, its own person and that
person's home. Everything that is typed on one of them is shown. Ends with 0 if all went as it should,
1 if not, 2 where there can be no namespaces.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from .network import Network, Unavailable, ip4, ip6

NAMES = ("alice", "bob", "mallory")
BIN = Path(sys.executable).parent
PATIENCE = 30.0
"""Seconds after which something is called hung."""

FILE, STREAM = 20_000_000, 200_000_000
SHORT_CUT = 1.0
BRISK = "SELO_IDLE_LIMIT=2s SELO_PING_INTERVAL=500ms "
FINAL = "SELO_RETRY_FOR=0 SELO_RESUME_WINDOW=0 "


class Unexpected(Exception):
    """Something did not go as it should."""


class Command:
    """Something that was typed on a host, and what comes of it, which is shown."""

    def __init__(self, person: Person, words: str) -> None:
        print(f"{person.bold(person.name + '$')} {words}", flush=True)
        self._person = person
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.output: list[str] = []
        self.child = subprocess.Popen(
            [*person.network.inside(person.name), "bash", "-o", "pipefail", "-c", words],
            cwd=person.folder,
            env=person.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.child.stdout:
            self.output.append(line.rstrip())
            print(f"  {self._person.name:8}{line}".rstrip(), flush=True)
            self._lines.put(line)
        self._lines.put(None)

    def until(self, words: str) -> Command:
        """Wait until it says that."""
        while (line := self._lines.get(timeout=PATIENCE)) is not None:
            if words in line:
                return self
        raise Unexpected(f"{self._person.name} ended without saying: {words}")

    def end(self, status: int) -> list[str]:
        """Wait for its end, which has to have that exit status; what it said."""
        ended = self.child.wait(PATIENCE)
        self._reader.join(PATIENCE)
        if ended or status:
            print(f"  {self._person.name:8}exit status {ended}", flush=True)
        if ended != status:
            raise Unexpected(f"{self._person.name} ended with {ended} instead of {status}")
        return self.output


class Person:
    """Somebody at a host of their own."""

    def __init__(self, network: Network, name: str, folder: Path) -> None:
        self.network = network
        self.name = name
        self.folder = folder / name
        self.folder.mkdir()
        own = {key: value for key, value in os.environ.items() if not key.startswith("SELO_")}
        self.environment = {**own, "HOME": str(self.folder), "PATH": f"{BIN}:{os.environ['PATH']}"}

    def bold(self, text: str) -> str:
        """For the eye, on a terminal."""
        return f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text

    def types(self, words: str) -> Command:
        """Start a command."""
        return Command(self, words)

    def runs(self, words: str, status: int = 0) -> list[str]:
        """Run a command to its end."""
        return self.types(words).end(status)

    def gives(self, file: str, *others: Person) -> None:
        """Bring a file to others."""
        for other in others:
            (other.folder / file).write_bytes((self.folder / file).read_bytes())
            print(f"  ({file} is brought to {other.name})")


def exchange_keys(alice: Person, bob: Person, mallory: Person) -> None:
    for person in (alice, bob, mallory):
        person.runs(
            f"selo keygen --name {person.name} --quiet >/dev/null; selo id --export > {person.name}.id"
        )
    alice.gives("alice.id", bob)
    bob.gives("bob.id", alice, mallory)
    alice.runs("selo trust add bob bob.id")
    mallory.runs("selo trust add bob bob.id --quiet >/dev/null")
    bob.runs("selo trust add alice alice.id --may-send --quiet >/dev/null")
    bob.runs("mkdir inbox")


def same(alice: Person, sent: str, bob: Person, arrived: str) -> None:
    """Compare digests."""
    (ours,), (theirs,) = alice.runs(f"sha256sum {sent}"), bob.runs(f"sha256sum {arrived}")
    if ours.split()[0] != theirs.split()[0]:
        raise Unexpected("the digests differ")


def deliver(alice: Person, bob: Person, address: str) -> None:
    receiver = bob.types(f"selo receive --bind {address} --from alice --into inbox").until("listening")
    alice.runs(f"selo emit --to bob --connect {address} report.pdf")
    receiver.end(0)
    same(alice, "report.pdf", bob, "inbox/report.pdf")
    bob.runs("rm inbox/report.pdf")


def stream(alice: Person, bob: Person, address: str, settings: str = "") -> tuple[Command, Command]:
    """A stream that has begun."""
    receiver = bob.types(f"{settings}selo receive --bind {address} --from alice --into inbox")
    receiver.until("listening")
    emitter = alice.types(f"cat film | {settings}selo emit --to bob --connect {address} --as film -")
    receiver.until("receiving")
    return emitter, receiver


def short_cut(network: Network, alice: Person, bob: Person, address: str) -> None:
    emitter, receiver = stream(alice, bob, address)
    network.cut("bob")
    print(f"  --- bob's cable is cut, for {SHORT_CUT:g} s ---", flush=True)
    time.sleep(SHORT_CUT)
    if emitter.child.poll() is not None:
        raise Unexpected("the stream was over before the cable was cut")
    network.restore("bob")
    print("  --- bob's cable is plugged in again ---", flush=True)
    emitter.end(0)
    receiver.end(0)
    same(alice, "film", bob, "inbox/film")
    bob.runs("rm inbox/film")


def long_cut(network: Network, alice: Person, bob: Person, address: str) -> None:
    emitter, receiver = stream(alice, bob, address, BRISK)
    network.cut("bob")
    print("  --- bob's cable is cut, until both sides have given the session up ---", flush=True)
    emitter.until("the session was lost")
    receiver.until("the session was lost")
    network.restore("bob")
    print("  --- bob's cable is plugged in again ---", flush=True)
    emitter.until("going on after")
    emitter.end(0)
    receiver.end(0)
    same(alice, "film", bob, "inbox/film")
    bob.runs("rm inbox/film")


def final_cut(network: Network, alice: Person, bob: Person, address: str) -> None:
    emitter, receiver = stream(alice, bob, address, BRISK + FINAL)
    network.cut("bob")
    print("  --- bob's cable is cut, and stays cut ---", flush=True)
    emitter.end(4)
    receiver.end(4)
    network.restore("bob")
    if bob.runs("ls -A inbox"):
        raise Unexpected("something was left in the inbox")
    print("  (the inbox is empty)")


def stranger(alice: Person, bob: Person, mallory: Person, address: str) -> None:
    receiver = bob.types(f"selo receive --bind {address} --from alice --into inbox").until("listening")
    mallory.runs(f"selo emit --to bob --connect {address} mallory.id", status=3)
    receiver.until(ip4(NAMES.index("mallory") + 1))
    alice.runs(f"selo emit --to bob --connect {address} report.pdf")
    receiver.end(0)
    if bob.runs("ls -A inbox") != ["report.pdf"]:
        raise Unexpected("the inbox holds something else")


def show(network: Network, folder: Path) -> None:
    """All of it."""
    for number, name in enumerate(NAMES, 1):
        network.add_host(name, number)
        print(f"  {name:8}{ip4(number)}  {ip6(number)}")
    alice, bob, mallory = (Person(network, name, folder) for name in NAMES)
    for name, size in (("report.pdf", FILE), ("film", STREAM)):
        (alice.folder / name).write_bytes(os.urandom(size))
    over4, over6 = f"tcp://{ip4(2)}:7800", f"'tcp://[{ip6(2)}]:7800'"
    print("\n1. identities; alice and bob trust each other, nobody trusts mallory")
    exchange_keys(alice, bob, mallory)
    print("\n2. a file over IPv4")
    deliver(alice, bob, over4)
    print("\n3. a file over IPv6")
    deliver(alice, bob, over6)
    print("\n4. a stream, and the cable is cut for a moment: it arrives all the same")
    short_cut(network, alice, bob, over4)
    print("\n5. a stream, and the cable is cut for longer than they wait: a new session goes on")
    long_cut(network, alice, bob, over6)
    print("\n6. the cable stays cut, and neither side is to go on: both say so, and no part of it is left")
    final_cut(network, alice, bob, over6)
    print("\n7. mallory is refused, and alice gets through")
    stranger(alice, bob, mallory, over4)


def main() -> int:
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        network = Network()
    except Unavailable as why:
        print(f"demo-hosts: no hosts to be had: {why}", file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory(prefix="selo-hosts-") as folder:
            print("three hosts on one switch")
            show(network, Path(folder))
    except (Unexpected, queue.Empty, subprocess.SubprocessError) as error:
        print(f"\ndemo-hosts: FAILED: {error or 'nothing happened any more'}", flush=True)
        return 1
    except KeyboardInterrupt:
        print("\ndemo-hosts: interrupted; the hosts are gone", flush=True)
        return 130
    finally:
        network.close()
    print(
        "\ndemo-hosts: all as it should be: "
        "five deliveries arrived exactly, one was cut and left nothing, one was refused"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
