"""Where an Emitter and a Receiver run, and the link between them: this machine's loopback, or three hosts."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from ..hosts.network import NAMED, Network, Unavailable, find, ip4
from .forwarder import Forwarder

PORT = 7800
_CLONE_NEWNET = 0x40000000

LOSSY = """
table inet lossy {
    chain arriving {
        type filter hook input priority 0
        numgen random mod 100 < 12 counter drop
    }
}
"""
"""One packet in eight is lost."""


class Place(Protocol):
    """Two sides, who meet through ``forwarder``."""

    forwarder: Forwarder
    emitter_listens: bool
    """Whether the Emitter does, and the Receiver connects."""
    bind: str
    """Where whoever listens is to do it."""

    def prefix(self, who: str) -> list[str]:
        """What to put before the command of alice or bob."""

    def heard(self, address: str) -> None:
        """Whoever listens does it there."""

    def down(self, whose: str) -> None:
        """The link of alice or bob carries nothing any more, and nobody is told."""

    def up(self, whose: str) -> None:
        """It does again."""

    def can_lose(self) -> None:
        """Look whether packets can be made to get lost here.

        Raises:
            Unavailable: they cannot.
        """

    def lossy(self) -> None:
        """From now on packets get lost."""


class Loopback:
    """One machine: a link is down while the forwarder passes nothing on."""

    bind = "tcp://127.0.0.1:0"

    def __init__(self, *, emitter_listens: bool = False) -> None:
        self.emitter_listens = emitter_listens
        self.forwarder = Forwarder(emitter_listens=emitter_listens)

    def prefix(self, who: str) -> list[str]:
        return []

    def heard(self, address: str) -> None:
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        self.forwarder.target = (host, int(port))

    def down(self, whose: str) -> None:
        self.forwarder.down()

    def up(self, whose: str) -> None:
        self.forwarder.up()

    def can_lose(self) -> None:
        raise Unavailable("only between hosts can packets get lost")

    def lossy(self) -> None:
        self.can_lose()

    @classmethod
    @contextmanager
    def made(cls, *, emitter_listens: bool = False) -> Iterator[Loopback]:
        """A fresh one."""
        place = cls(emitter_listens=emitter_listens)
        try:
            yield place
        finally:
            place.forwarder.close()


class Hosts:
    """Alice, bob, and between them a relay with the forwarder, each plugged into one switch.

    A link that is down is a cable that is pulled, so what both agents see is the real TCP over it.
    """

    def __init__(self, network: Network, *, emitter_listens: bool = False) -> None:
        self._network = network
        self.emitter_listens = emitter_listens
        listens = ip4(1 if emitter_listens else 2)
        self.bind = f"tcp://{listens}:{PORT}"
        relay = NAMED / network.namespace("relay")
        self.forwarder = Forwarder(ip4(3), PORT, enter=lambda: _enter(relay), emitter_listens=emitter_listens)
        self.forwarder.target = (listens, PORT)

    def prefix(self, who: str) -> list[str]:
        return self._network.inside(who)

    def heard(self, address: str) -> None:
        pass

    def down(self, whose: str) -> None:
        self._network.cut(whose)

    def up(self, whose: str) -> None:
        self._network.restore(whose)
        self.forwarder.restored()

    def can_lose(self) -> None:
        find("nft", "nftables")

    def lossy(self) -> None:
        self._network.run("relay", "nft", "-f", "-", stdin=LOSSY)

    @classmethod
    @contextmanager
    def made(cls, network: Network, *, emitter_listens: bool = False) -> Iterator[Hosts]:
        """On a network with these hosts; all its cables are plugged in again when it is over."""
        place = cls(network, emitter_listens=emitter_listens)
        try:
            yield place
        finally:
            place.forwarder.close()
            for name in ("alice", "bob"):
                network.restore(name)
            with suppress(Unavailable):
                find("nft", "nftables")
                network.run("relay", "nft", "flush", "ruleset")


@contextmanager
def three_hosts() -> Iterator[Network]:
    """A network for ``Hosts``.

    Raises:
        Unavailable: there are no namespaces to be had.
    """
    network = Network()
    try:
        for number, name in enumerate(("alice", "bob", "relay"), 1):
            network.add_host(name, number)
        yield network
    finally:
        network.close()


def _enter(namespace: Path) -> None:
    """Put this thread, and those that it starts, into a network namespace."""
    number = os.open(namespace, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(number, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(number)
