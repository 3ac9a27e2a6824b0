"""Legs that are joined over every transport, for tests."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from selo.transport import PipeLeg, connect, listen, memory_pair, pipe_pair
from selo.transport.base import ConnectFailed, Frame, Gate, GateBusy, Leg, LegClosed, Listener

MAX_FRAME = (1 << 20) + 57
PATIENCE = 30.0
"""Seconds after which something that should have happened is called lost; nothing waits that long."""

PEER = Path(__file__).with_name("peer.py")
GOOD = b"good"


class Tickets:
    """The simplest gate: a ticket is good if it starts with GOOD and was not spent."""

    def __init__(self) -> None:
        self.spent: list[bytes] = []
        self.gate = Gate(
            lambda ticket: ticket.startswith(GOOD) and ticket not in self.spent, self.spent.append
        )


def ticket() -> bytes:
    """A fresh good one."""
    return GOOD + os.urandom(16)


class Dial(Protocol):
    def __call__(self) -> Leg: ...


def has_ipv6() -> bool:
    """Whether this machine has a loopback to bind IPv6 on."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def open_listener(kind: str, folder: Path, **options: float) -> Listener:
    """A listener of that kind that asks for good tickets."""
    address = {"tcp": "tcp://127.0.0.1:0", "tcp6": "tcp://[::1]:0", "ipc": f"ipc://{folder}/door/s"}[kind]
    return listen(address, Tickets().gate, max_frame=MAX_FRAME, **options)


def meet(listener: Listener, make: Dial | None = None) -> tuple[Leg, Leg]:
    """Connect to a listener and be accepted; tries again while it makes itself ready."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        leg = make() if make else connect(listener.address, ticket(), max_frame=MAX_FRAME)
        try:
            accepted = listener.accept(0)
            while accepted is None:
                if leg.wait(0.005).readable:
                    leg.try_receive()
                accepted = listener.accept(0.005)
            await_usable(leg)
        except (ConnectFailed, GateBusy):
            leg.close()
        else:
            return leg, accepted
    raise AssertionError("nobody was let in")


def await_usable(leg: Leg) -> None:
    """Wait until a leg that connects may send."""
    await_that(lambda: leg.wait(1.0, want_write=True).writable)


def await_that(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "it never happened"


def private_pair(kind: str) -> tuple[Leg, Leg]:
    """Two joined legs without a listener."""
    if kind == "memory":
        return memory_pair(max_frame=MAX_FRAME)
    one, two = pipe_pair()
    return PipeLeg(one, max_frame=MAX_FRAME), PipeLeg(two, max_frame=MAX_FRAME)


def send(leg: Leg, frame: Frame) -> None:
    """Send one frame, waiting for room."""
    until = time.monotonic() + PATIENCE
    while not leg.try_send(frame):
        assert time.monotonic() < until, "there was never room"
        leg.wait(1.0, want_write=True)


def receive(leg: Leg) -> bytes:
    """The next frame, waiting for it."""
    until = time.monotonic() + PATIENCE
    while (frame := leg.try_receive()) is None:
        assert time.monotonic() < until, "nothing came"
        leg.wait(1.0)
    return bytes(frame)


def receive_rest(leg: Leg) -> list[bytes]:
    """Everything until the end of the connection."""
    frames = []
    try:
        while True:
            frames.append(receive(leg))
    except LegClosed:
        return frames


def greet(one: Leg, two: Leg) -> None:
    """Take turns twice, as a handshake does: before, a PAIR leg lets nobody send far ahead."""
    for number in range(2):
        for sender, receiver in ((one, two), (two, one)):
            send(sender, b"turn %d" % number)
            assert receive(receiver) == b"turn %d" % number


def carry(sender: Leg, receiver: Leg, frames: Iterable[bytes]) -> list[bytes]:
    """Send all frames, receive as many."""
    arrived: list[bytes] = []
    count = 0
    for frame in frames:
        count += 1
        while not sender.try_send(frame):
            arrived.append(receive(receiver))
    while len(arrived) < count:
        arrived.append(receive(receiver))
    return arrived


def start_peer(*arguments: str, pass_fds: tuple[int, ...] = ()) -> subprocess.Popen[str]:
    """peer.py in a process of its own."""
    return subprocess.Popen(
        [sys.executable, str(PEER), *arguments],
        pass_fds=pass_fds,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
