"""Connecting: what is said when nobody is there, or somebody else."""

from __future__ import annotations

import gc
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import zmq

from selo.errors import MisuseError
from selo.transport import connect, descriptors
from selo.transport.address import AddressError
from selo.transport.base import ConnectFailed, Leg, Listener, Ready
from selo.transport.pair import TICKET_MAX

from . import zmtp
from .wires import GOOD, MAX_FRAME, PATIENCE, await_that, meet, receive, send, ticket

Serve = Callable[[Callable[[socket.socket], object]], str]


def why_not(address: str, **options: float) -> str:
    """What a failed attempt says."""
    leg = connect(address, ticket(), max_frame=MAX_FRAME, **options)  # type: ignore[arg-type]
    try:
        assert not leg.try_send(b"x")
        await_that(lambda: leg.wait(PATIENCE, want_write=True) == Ready(True, False, False))
        with pytest.raises(ConnectFailed) as caught:
            leg.try_receive()
        with pytest.raises(ConnectFailed):
            leg.try_send(b"x")
    except ConnectFailed as error:
        return str(error)
    finally:
        leg.close()
    return str(caught.value)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a TCP server that does something with every connection."""
    opened: list[socket.socket] = []

    def start(handle: Callable[[socket.socket], object]) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        opened.append(server)

        def run() -> None:
            with suppress(OSError):
                while True:
                    opened.append(server.accept()[0])
                    handle(opened[-1])

        threading.Thread(target=run, daemon=True).start()
        return f"tcp://127.0.0.1:{server.getsockname()[1]}"

    yield start
    for one in opened:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


def test_nobody_listens(tmp_path: object) -> None:
    """A refused connection and a missing socket are said to be that, at once."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
        assert why_not(address) == f"cannot connect to {address}: nobody listens there"
    assert "nobody listens there" in why_not(f"ipc://{tmp_path}/none")


def test_refused_is_not_late_even_if_we_look_late() -> None:
    """The reason does not depend on when the program got round to asking."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
        leg = connect(address, ticket(), max_frame=MAX_FRAME, handshake_timeout=0.2)
        monitor = leg._link.event_socket
        assert monitor is not None
        assert monitor.poll(PATIENCE * 1000)
        threading.Event().wait(0.3)
        with pytest.raises(ConnectFailed, match="nobody listens"):
            leg.try_receive()
        leg.close()


def test_somebody_who_says_nothing(serve: Serve) -> None:
    """The attempt ends after its time."""
    assert "no answer within 0.3 s" in why_not(serve(lambda _: None), handshake_timeout=0.3)


@pytest.mark.parametrize(
    "words", [b"SSH-2.0-OpenSSH_9.9\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(200)]
)
def test_somebody_else(serve: Serve, words: bytes) -> None:
    """Another protocol is told apart from nobody."""
    assert "does not speak Selo's transport" in why_not(serve(lambda peer: peer.sendall(words)))


@pytest.mark.parametrize("end", [socket.socket.close, zmtp.reset], ids=["close", "reset"])
def test_somebody_who_hangs_up(serve: Serve, end: Callable[[socket.socket], object]) -> None:
    """A connection that is closed at once is a failed attempt, and may not be Selo.

    It is closed after our first byte: one that is reset before that looks like nobody.
    """

    def hang_up(peer: socket.socket) -> None:
        peer.recv(1)
        end(peer)

    assert "closed the connection at once" in why_not(serve(hang_up))


def test_another_zeromq_program() -> None:
    """A PAIR without our mechanism is not ours."""
    with zmq.Context() as context, context.socket(zmq.PAIR) as other:
        other.linger = 0
        port = other.bind_to_random_port("tcp://127.0.0.1")
        assert "Selo's transport" in why_not(f"tcp://127.0.0.1:{port}")


def test_a_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error of the connection, said by the call itself."""

    def unknown(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(-2, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConnectFailed, match="cannot connect to tcp://no.such:7800: no address is known"):
        connect("tcp://no.such", ticket(), max_frame=MAX_FRAME)


@pytest.mark.parametrize("length", [0, TICKET_MAX + 1])
def test_impossible_tickets(length: int) -> None:
    """What ZMTP cannot carry is the caller's mistake."""
    with pytest.raises(MisuseError):
        connect("tcp://127.0.0.1:1", bytes(length), max_frame=MAX_FRAME)


def test_the_longest_ticket(make_listener: Callable[..., Listener]) -> None:
    """255 bytes, zeros among them, reach the gate as they are."""
    long = GOOD + bytes(TICKET_MAX - len(GOOD))
    listener = make_listener()
    leg, _ = meet(listener, lambda: connect(listener.address, long, max_frame=MAX_FRAME))
    leg.close()


def test_no_address(make_listener: Callable[..., Listener]) -> None:
    """What cannot be connected to is the caller's mistake."""
    with pytest.raises(AddressError):
        connect("tcp://*:1", ticket(), max_frame=MAX_FRAME)


def test_each_attempt_takes_the_next_address(
    make_listener: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a name with two addresses, of which one is dead, every other attempt reaches the other."""
    listener = make_listener()
    port = int(listener.address.rpartition(":")[2])
    places = [(socket.AF_INET, 1, 6, "", ("127.0.0.2", 0)), (socket.AF_INET, 1, 6, "", ("127.0.0.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: places)
    for attempt in (0, 2):
        assert "127.0.0.2" in why_not(f"tcp://two.example:{port}", attempt=attempt)
    name = f"tcp://two.example:{port}"
    leg, accepted = meet(listener, lambda: connect(name, ticket(), max_frame=MAX_FRAME, attempt=3))
    send(leg, b"x")
    assert receive(accepted) == b"x"
    assert "two.example" in leg.peer_address
    leg.close()


def test_a_leg_that_nobody_closed_ends_by_itself(make_listener: Callable[..., Listener]) -> None:
    """Dropping it does not hang, and the other end sees it go."""
    listener = make_listener()
    pair_of: list[Leg] = list(meet(listener))
    del pair_of[0]
    gc.collect()
    await_that(lambda: pair_of[0].wait(PATIENCE).readable)


def test_without_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where ZeroMQ would abort for want of files, the attempt fails instead."""
    monkeypatch.setattr(descriptors, "_NEEDED", 1 << 22)
    with pytest.raises(ConnectFailed, match="too many files are open"):
        connect("tcp://127.0.0.1:1", ticket(), max_frame=MAX_FRAME)
