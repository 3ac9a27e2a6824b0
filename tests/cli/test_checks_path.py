import os
import socket
import threading
from contextlib import closing, contextmanager

import pytest
import zmq

from selo.agents.cli.checks_path import path
from selo.agents.cli.findings import Level
from selo.agents.routes import dial, listen_on
from selo.config.settings import load_settings
from selo.config.trust import Peer
from selo.crypto.identity import Identity

SETTINGS = load_settings()


@pytest.fixture(scope="module")
def bob():
    return Identity.generate(os.urandom)


@contextmanager
def answering(answer):
    """A TCP server that says ``answer`` to the first who comes, and then waits; None: it hangs up at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def serve():
            connection, _ = server.accept()
            with connection:
                if answer is None:
                    return
                connection.sendall(answer)
                over.wait(30)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        over.set()
        thread.join(30)


def bad(url, peer=None, seconds=1.0):
    """The one finding that is not well, and it is the last."""
    *before, last = path(url, peer, SETTINGS, seconds)
    assert all(each.level is Level.OK for each in before)
    return last


def test_what_is_no_address_to_connect_to_is_a_problem():
    """The fix shows one."""
    found = bad("tcp://*:7800")
    assert (found.subject, found.level) == ("address", Level.PROBLEM)
    assert found.fix.startswith("selo doctor --connect tcp://")


def test_a_name_without_an_address_is_a_problem():
    """`.invalid` never resolves (RFC 6761)."""
    found = bad("tcp://nobody.invalid:7800")
    assert (found.subject, found.level) == ("name", Level.PROBLEM)
    assert found.fix.startswith("getent ahosts nobody.invalid")


def test_a_closed_port_is_refused():
    """Nothing listens there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
    found = bad(f"tcp://127.0.0.1:{number}")
    assert (found.subject, found.level) == ("connection", Level.PROBLEM)
    assert "refused: nothing listens there" in found.seen
    assert found.fix == f"on the other machine: selo receive --bind tcp://0.0.0.0:{number}"


def test_an_address_without_a_route_is_unreachable():
    """TCP cannot reach the broadcast address."""
    found = bad("tcp://255.255.255.255:7800")
    assert "unreachable" in found.seen
    assert found.fix == "ip route get 255.255.255.255"


def test_a_port_that_drops_is_timed_out():
    """A listener whose queue is full drops what comes, as many firewalls do."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(server.getsockname())
        found = bad(f"tcp://127.0.0.1:{server.getsockname()[1]}", seconds=0.3)
        for each in waiting:
            each.close()
    assert "no answer in 0.3 s: a firewall on the way drops" in found.seen
    assert "ufw allow" in found.fix


GREETING = b"\xff" + bytes(8) + b"\x7f"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "connects, but no greeting in 1 s: a firewall, a proxy or another program"),
        (None, "closed without a greeting: a firewall, a proxy or another program"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "another program answers there, with b'HTTP/1.1 400"),
        (b"\xff1234567890123", "another program answers there"),
        (GREETING + b"\x03", "stops after 11 of 64 bytes"),
        (GREETING + bytes((2, 0)) + bytes(52), "version 2 of ZMTP"),
    ],
    ids=["silent", "closed", "http", "binary", "short", "old"],
)
def test_whoever_does_not_greet_as_zeromq_is_told_apart(answer, words):
    """Each is a problem of the greeting, and the fix looks who answers there."""
    with answering(answer) as url:
        found = bad(url)
    assert (found.subject, found.level) == ("greeting", Level.PROBLEM)
    assert words in found.seen
    assert "ss -ltnp" in found.fix


def test_another_zeromq_program_is_told_apart():
    """A real PAIR socket without PLAIN."""
    with zmq.Context() as context, context.socket(zmq.PAIR) as other:
        number = other.bind_to_random_port("tcp://127.0.0.1")
        found = bad(f"tcp://127.0.0.1:{number}")
    assert found.subject == "greeting"
    assert "with the mechanism 'NULL' and not PLAIN" in found.seen


@pytest.fixture
def listening(bob):
    with closing(
        listen_on("tcp://127.0.0.1:0", own_fingerprint=bob.fingerprint, settings=SETTINGS)
    ) as listener:
        yield listener


def test_a_selo_listener_is_well(listening, bob):
    """Name, connection, greeting, and the gate for the peer's key."""
    found = [*path(listening.address, Peer("bob", False, bob.public), SETTINGS)]
    assert [(each.subject, each.level) for each in found] == [
        (subject, Level.OK) for subject in ("name", "connection", "greeting", "gate")
    ]


def test_a_listener_in_the_file_system_is_well(tmp_path, bob):
    """ipc:// has no name; the rest is the same."""
    with closing(
        listen_on(f"ipc://{tmp_path}/door", own_fingerprint=bob.fingerprint, settings=SETTINGS)
    ) as listener:
        found = [*path(listener.address, Peer("bob", False, bob.public), SETTINGS)]
    assert [each.subject for each in found] == ["connection", "greeting", "gate"]
    assert all(each.level is Level.OK for each in found)
    assert "nothing listens there" in bad(f"ipc://{tmp_path}/other").seen


def test_another_identity_at_the_gate_is_a_problem(listening):
    """400: not that peer's key."""
    other = Identity.generate(os.urandom)
    found = bad(listening.address, Peer("carol", False, other.public))
    assert (found.subject, found.level) == ("gate", Level.PROBLEM)
    assert "does not answer to carol's key (400)" in found.seen
    assert "selo trust show carol" in found.fix


def test_a_busy_gate_is_a_warning(listening, bob):
    """500: somebody else holds the place."""
    with closing(dial(listening.address, SETTINGS)(bob.public, 0)) as first:
        assert first.wait(10, want_write=True).writable
        found = bad(listening.address, Peer("bob", False, bob.public))
    assert (found.subject, found.level) == ("gate", Level.WARNING)
    assert "busy with another peer (500)" in found.seen
