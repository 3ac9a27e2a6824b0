"""What the kernel counts of a connection."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator

import pytest

from selo.transport.inflow import bytes_received, peer_host

needs_the_counter = pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts what came in")


@pytest.fixture
def tcp() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    with near, far:
        yield near, far


@needs_the_counter
def test_what_came_in_is_counted_read_or_not(tcp: tuple[socket.socket, socket.socket]) -> None:
    """All bytes since the connection was made, also those that the program has read already."""
    near, far = tcp
    assert bytes_received(far.fileno()) == 0
    near.sendall(bytes(1000))
    assert far.recv(1, socket.MSG_PEEK)  # they are here
    assert bytes_received(far.fileno()) == 1000
    assert len(far.recv(1000, socket.MSG_WAITALL)) == 1000
    near.sendall(bytes(500))
    assert len(far.recv(500, socket.MSG_WAITALL)) == 500
    assert bytes_received(far.fileno()) == 1500
    assert bytes_received(near.fileno()) == 0


def test_the_other_end_has_an_address(tcp: tuple[socket.socket, socket.socket]) -> None:
    """The numeric address of a TCP peer, nothing for a local one."""
    assert peer_host(tcp[0].fileno()) == "127.0.0.1"
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert peer_host(ours.fileno()) == ""


def test_the_descriptor_stays_open(tcp: tuple[socket.socket, socket.socket]) -> None:
    """The connection is libzmq's: whoever looks at it leaves it as it was."""
    near, far = tcp
    bytes_received(far.fileno())
    peer_host(far.fileno())
    near.sendall(b"x")
    assert far.recv(1) == b"x"


def test_what_is_no_connection_any_more_cannot_be_told(tcp: tuple[socket.socket, socket.socket]) -> None:
    """A number that is closed, or means another file by now, is None and no error."""
    near, far = tcp
    near.close()
    far.close()
    reading, writing = os.pipe()
    unconnected = socket.socket()
    unix = socket.socketpair()
    with unconnected, unix[0], unix[1]:
        for number in (reading, writing, 1 << 20, unix[0].fileno()):
            assert bytes_received(number) is None
        for number in (reading, writing, 1 << 20, unconnected.fileno()):
            assert peer_host(number) is None
    os.close(reading)
    os.close(writing)
