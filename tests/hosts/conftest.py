"""Real `selo` processes on hosts of their own, which are network namespaces; skipped where there are none."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..processes import conftest as processes
from .network import Network, Unavailable, find, ip4, ip6

PORT = 7800

homes = processes.homes


@dataclass(frozen=True)
class Host:
    """One machine with one person on it."""

    name: str
    number: int
    home: Path
    network: Network
    _stack: ExitStack

    @property
    def ip4(self) -> str:
        """Its IPv4 address."""
        return ip4(self.number)

    @property
    def ip6(self) -> str:
        """Its IPv6 address."""
        return ip6(self.number)

    def start(
        self,
        *arguments: object,
        settings: dict[str, str] | None = None,
        home: Path | None = None,
        **pipes: object,
    ) -> processes.Process:
        """Start `selo --json ...` here; it is killed if it still runs when the test is over."""
        child = subprocess.Popen(
            [*self.network.inside(self.name), processes.SELO, "--json", *map(str, arguments)],
            stderr=subprocess.PIPE,
            env={
                **os.environ,
                "SELO_HOME": str(home or self.home),
                **{f"SELO_{key.upper()}": value for key, value in (settings or {}).items()},
            },
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **pipes},
        )
        # Leaving it closes the pipes and waits; by then it was told to go.
        self._stack.enter_context(child)
        self._stack.callback(child.kill)
        return processes.Process(child)

    def receive(self, *arguments: object, bind: str, **options: object) -> processes.Process:
        """Start `selo receive`, and wait until it listens."""
        receiver = self.start("receive", "--bind", bind, *arguments, **options)
        receiver.wait_for("listening")
        return receiver

    def emit(self, host: str, *arguments: object, **options: object) -> processes.Process:
        """Start `selo emit` to bob, at that host."""
        return self.start("emit", "--to", "bob", "--connect", url(host), *arguments, **options)


def url(host: str) -> str:
    """A host as people write it in an address, at the one port that everybody uses here."""
    return f"tcp://[{host}]:{PORT}" if ":" in host else f"tcp://{host}:{PORT}"


@pytest.fixture
def network() -> Iterator[Network]:
    """A switch, and nobody on it yet."""
    try:
        network = Network()
    except Unavailable as why:
        pytest.skip(str(why))
    try:
        yield network
    finally:
        network.close()


@pytest.fixture
def sit_at(network: Network, homes: processes.Homes) -> Iterator[Callable[[str, int], Host]]:
    """Seats people at hosts that are there."""
    with ExitStack() as stack:
        yield lambda name, number: Host(name, number, getattr(homes, name), network, stack)


@pytest.fixture
def make_host(network: Network, sit_at: Callable[[str, int], Host]) -> Callable[[str, int], Host]:
    """Puts people's hosts on the switch."""

    def make(name: str, number: int) -> Host:
        network.add_host(name, number)
        return sit_at(name, number)

    return make


@pytest.fixture
def alice(make_host: Callable[[str, int], Host]) -> Host:
    """She sends to bob."""
    return make_host("alice", 1)


@pytest.fixture
def bob(make_host: Callable[[str, int], Host]) -> Host:
    """He lets alice deliver, and nobody else."""
    return make_host("bob", 2)


@pytest.fixture
def mallory(make_host: Callable[[str, int], Host]) -> Host:
    """Knows them both and is trusted by neither."""
    return make_host("mallory", 3)


@pytest.fixture
def parcel(tmp_path: Path) -> Path:
    """A file to deliver: several records."""
    path = tmp_path / "parcel"
    path.write_bytes(os.urandom(3_000_001))
    return path


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """An empty folder to deliver into."""
    path = tmp_path / "inbox"
    path.mkdir()
    return path


@pytest.fixture
def needs_nft() -> None:
    """Skips where packets cannot be filtered."""
    try:
        find("nft", "nftables")
    except Unavailable as why:
        pytest.skip(str(why))
