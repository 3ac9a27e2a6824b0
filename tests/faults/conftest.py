"""Real `selo` processes, and between them a link that fails on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ..hosts.network import Network, Unavailable
from .agents import People
from .places import Hosts, Loopback, Place, three_hosts


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    """Alice, who may send, and bob."""
    return People.introduced(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="session")
def network() -> Iterator[Network | None]:
    """Three hosts; None where there can be none."""
    with ExitStack() as stack:
        try:
            network = stack.enter_context(three_hosts())
        except Unavailable:
            network = None
        yield network


@pytest.fixture
def make_place(network: Network | None) -> Iterator[Callable[[bool], Place]]:
    """Makes the place for a delivery; told whether to prefer hosts with cables."""
    with ExitStack() as stack:

        def make(cables: bool) -> Place:
            made = Hosts.made(network) if cables and network is not None else Loopback.made()
            return stack.enter_context(made)

        yield make


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """An empty folder to deliver into."""
    path = tmp_path / "inbox"
    path.mkdir()
    return path
