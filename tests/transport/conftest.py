"""Every transport in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from selo.transport.base import Leg, Listener

from . import wires

KINDS = ("tcp", "tcp6", "ipc", "pipe", "memory")

Joined = tuple[Leg, Leg]


def _skip_without_ipv6(kind: str) -> None:
    if kind == "tcp6" and not wires.has_ipv6():
        pytest.skip("this machine has no IPv6 loopback")


@pytest.fixture
def make_listener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Listener]]:
    """Opens listeners, and closes them after the test."""
    opened: list[Listener] = []

    def make(kind: str = "tcp", **options: float) -> Listener:
        _skip_without_ipv6(kind)
        listener = wires.open_listener(kind, tmp_path_factory.mktemp("ipc"), **options)
        opened.append(listener)
        return listener

    yield make
    for listener in opened:
        listener.close()


@pytest.fixture
def join(make_listener: Callable[..., Listener]) -> Iterator[Callable[[str], Joined]]:
    """Joins two legs over a transport: the one that connected, the one that was accepted."""
    joined: list[Leg] = []

    def make(kind: str) -> Joined:
        pair = wires.private_pair(kind) if kind in ("pipe", "memory") else wires.meet(make_listener(kind))
        joined.extend(pair)
        wires.greet(*pair)
        return pair

    yield make
    for leg in joined:
        leg.close()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The name of a transport."""
    name: str = request.param
    return name


@pytest.fixture
def legs(kind: str, join: Callable[[str], Joined]) -> Joined:
    """Two joined legs over each transport."""
    return join(kind)
