"""Listening: one leg after another on one address."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from selo.errors import MisuseError, SeloError
from selo.transport import connect, listen
from selo.transport.base import BindFailed, Leg, LegClosed, Listener

from .wires import (
    MAX_FRAME,
    PATIENCE,
    Tickets,
    await_that,
    await_usable,
    has_ipv6,
    meet,
    receive,
    receive_rest,
    send,
    ticket,
)


@pytest.mark.parametrize("kind", ["tcp", "tcp6", "ipc"])
def test_one_leg_after_another(make_listener: Callable[..., Listener], kind: str) -> None:
    """Every leg has a fresh socket at the same address; nothing of one is heard on the next."""
    listener = make_listener(kind)
    address = listener.address
    for number in range(20):
        leg, accepted = meet(listener)
        send(leg, b"%d" % number)
        send(leg, b"never read")
        assert receive(accepted) == b"%d" % number
        accepted.close()
        assert receive_rest(leg) == []
        leg.close()
    assert listener.address == address
    assert not address.endswith(":0")


def test_accept_takes_its_time_and_wakes(make_listener: Callable[..., Listener]) -> None:
    """None when the time is over; None when it is woken, also before."""
    listener = make_listener()
    assert listener.accept(0.01) is None
    listener.wake()
    assert listener.accept(PATIENCE) is None
    thread = threading.Timer(0.05, listener.wake)
    thread.start()
    started = time.monotonic()
    assert listener.accept(PATIENCE) is None
    assert time.monotonic() - started < PATIENCE
    thread.join()


def test_one_leg_at_a_time(make_listener: Callable[..., Listener]) -> None:
    """Accepting while a leg is open is the caller's mistake; so is accepting after close."""
    listener = make_listener()
    leg, _ = meet(listener)
    with pytest.raises(MisuseError):
        listener.accept(0)
    listener.close()
    listener.close()
    listener.wake()
    with pytest.raises(MisuseError):
        listener.accept(0)
    leg.close()


def test_closing_the_listener_closes_its_leg(make_listener: Callable[..., Listener]) -> None:
    """The peer is told."""
    listener = make_listener()
    leg, accepted = meet(listener)
    listener.close()
    with pytest.raises(LegClosed):
        receive(leg)
    with pytest.raises(LegClosed):
        accepted.try_receive()
    leg.close()


def test_the_peer_is_named(make_listener: Callable[..., Listener]) -> None:
    """By its address without a port; a local one as that."""
    for kind, name in (("tcp", "127.0.0.1"), ("ipc", "a process of this machine")):
        leg, accepted = meet(make_listener(kind))
        assert accepted.peer_address == name
        leg.close()


@pytest.mark.parametrize("address", ["tcp://*:0", "tcp://0.0.0.0:0", "tcp://localhost:0"])
def test_wildcards_and_names(address: str) -> None:
    """They can be listened on, and the real port is in the address; peers reach it."""
    listener = listen(address, Tickets().gate, max_frame=MAX_FRAME)
    assert listener.address.rpartition(":")[0] == address.rpartition(":")[0]
    port = listener.address.rpartition(":")[2]
    leg, accepted = meet(listener, lambda: connect(f"tcp://127.0.0.1:{port}", ticket(), max_frame=MAX_FRAME))
    send(leg, b"x")
    assert receive(accepted) == b"x"
    leg.close()
    listener.close()


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
def test_the_wildcard_means_both_families() -> None:
    """``*`` is reached by IPv6 too."""
    listener = listen("tcp://*:0", Tickets().gate, max_frame=MAX_FRAME)
    port = listener.address.rpartition(":")[2]
    leg, _ = meet(listener, lambda: connect(f"tcp://[::1]:{port}", ticket(), max_frame=MAX_FRAME))
    await_usable(leg)
    leg.close()
    listener.close()


class TestNotListening:
    """Why an address cannot be listened on."""

    def why(self, address: str) -> str:
        with pytest.raises(BindFailed) as caught:
            listen(address, Tickets().gate, max_frame=MAX_FRAME)
        return str(caught.value)

    def test_taken(self) -> None:
        """Another program has the port."""
        with socket.create_server(("127.0.0.1", 0)) as other:
            address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
            assert self.why(address) == f"cannot listen on {address}: another program is listening there"

    def test_not_ours(self) -> None:
        """The address is of another machine (192.0.2.0/24 is for documentation)."""
        assert "this machine has no such address" in self.why("tcp://192.0.2.1:7800")

    def test_a_name_that_nobody_knows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is said."""

        def unknown(*_: object, **__: object) -> list[object]:
            raise socket.gaierror(-2, "unknown")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        assert "no address is known for the name no.such" in self.why("tcp://no.such:7800")

    def test_privileged(self) -> None:
        """A port that takes privileges, for a process that has none."""
        code = (
            "import os, sys\n"
            "from selo.transport.base import BindFailed, Gate\n"
            "import selo.transport.pair, encodings.idna\n"
            "os.geteuid() or os.setuid(65534)\n"
            "try: selo.transport.listen('tcp://127.0.0.1:1', Gate(len, len), max_frame=9)\n"
            "except BindFailed as error: print(error)\n"
        )
        first = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
        if first <= 1:
            pytest.skip("every port of this machine is for everybody")
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert "ports below 1024 need privileges" in out

    def test_no_descriptors(self) -> None:
        """Where ZeroMQ would abort for want of files, listening fails instead."""
        code = (
            "import os, resource\n"
            "from selo.transport.base import BindFailed, Gate\n"
            "from selo.transport import listen\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
            "kept, free = [], 0\n"
            "try:\n"
            "    while True: kept.append(os.open(os.devnull, os.O_RDONLY))\n"
            "except OSError: pass\n"
            "tries = 0\n"
            "while True:\n"
            "    try: listen('tcp://127.0.0.1:0', Gate(len, len), max_frame=9).close(); break\n"
            "    except BindFailed as error: tries += 1; assert 'too many files' in str(error), error\n"
            "    os.close(kept.pop())\n"
            "print(tries)\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) > 10

    @pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "*"])
    def test_security_no_descriptors_for_the_next_place(self, host: str) -> None:
        """However few strangers leave: binding again fails, and ZeroMQ does not abort the process."""
        code = (
            "import os, resource, sys, time\n"
            "from selo.transport import listen, pair_listener\n"
            "from selo.transport.base import BindFailed, Gate\n"
            "pair_listener._REBIND_SECONDS = 0.02\n"
            "listener = listen(f'tcp://{sys.argv[1]}:0', Gate(len, len), max_frame=9)\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
            "listener._retire()\n"
            "kept, tries, until = [], 0, time.monotonic() + 0.2\n"
            "while time.monotonic() < until:\n"  # the place before is given back by threads of ZeroMQ's
            "    try: kept.append(os.open(os.devnull, os.O_RDONLY))\n"
            "    except OSError: time.sleep(0.01)\n"
            "while True:\n"
            "    try: listener.accept(0.0); break\n"
            "    except BindFailed as error: tries += 1; assert 'too many files' in str(error), error\n"
            "    os.close(kept.pop())\n"
            "listener.close()\n"
            "print(tries)\n"
        )
        if host == "[::1]" and not socket.has_ipv6:
            pytest.skip("this machine has no IPv6")
        done = subprocess.run([sys.executable, "-c", code, host], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) > 2

    def test_the_port_is_taken_between_two_legs(self, make_listener: Callable[..., Listener]) -> None:
        """Another program was quicker: accept gives up after a second and says why."""
        listener = make_listener()
        leg, accepted = meet(listener)
        accepted.close()
        leg.close()
        thief = socket.socket()
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        host, port = "127.0.0.1", int(listener.address.rpartition(":")[2])
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                thief.bind((host, port))
                thief.listen()
                break
            except OSError:
                continue
        with pytest.raises(BindFailed, match="another program"):
            listener.accept(PATIENCE)
        thief.close()
        again, _ = meet(listener)
        again.close()


def test_strangers_who_hold_every_descriptor_go_away() -> None:
    """A listener whose descriptors strangers have used up serves again when their time is over."""
    code = (
        "import resource, sys\n"
        "from selo.transport.base import Gate\n"
        "import selo.transport\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
        "gate = Gate(lambda ticket: ticket == b'good', lambda ticket: None)\n"
        "listener = selo.transport.listen('tcp://127.0.0.1:0', gate, max_frame=1000)\n"
        "print(listener.address, flush=True)\n"
        "leg = None\n"
        "while leg is None: leg = listener.accept(1.0)\n"
        "print('in', flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        strangers = [socket.create_connection((host, int(port))) for _ in range(100)]
        with _let_in(address):
            assert process.stdout.readline().strip() == "in"
        for stranger in strangers:
            stranger.close()


@contextmanager
def _let_in(address: str) -> Iterator[None]:
    """Try until there is a usable leg."""
    usable: list[Leg] = []

    def attempt() -> bool:
        leg = connect(address, b"good", max_frame=1000)
        with suppress(SeloError):
            while not (ready := leg.wait(1.0, want_write=True)).writable:
                if ready.readable:
                    leg.try_receive()
            usable.append(leg)
            return True
        leg.close()
        return False

    await_that(attempt)
    yield
    usable[0].close()
