import os
import socket
import subprocess
import sys

import pytest

from selo.agents.cli.checks_network import _judged, free_port, holder_of, port, zeromq
from selo.agents.cli.findings import Level
from selo.agents.meeting_errors import HandshakeTimeout
from selo.config.settings import load_settings


def bound_to(url):
    return load_settings(None, {"SELO_RECEIVE_BIND": url})


def mended(found):
    """The settings after the fix, as the shell sets the variable."""
    done = subprocess.run(
        ["bash", "-c", f"{found.fix}; echo $SELO_RECEIVE_BIND"], capture_output=True, text=True, timeout=10
    )
    return bound_to(done.stdout.strip())


def test_a_free_port_is_well():
    """And it is free again afterwards: it can be looked at twice."""
    settings = bound_to(f"tcp://127.0.0.1:{free_port()}")
    for _ in range(2):
        (found,) = port(settings)
        assert (found.subject, found.level) == ("port", Level.OK)
        assert "this machine alone" in found.seen


def test_a_taken_port_is_a_problem_with_its_holder():
    """This test's process holds it; the fix names a free one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        assert holder_of(number)[0] == os.getpid()
        (found,) = port(bound_to(f"tcp://127.0.0.1:{number}"))
        assert (found.subject, found.level) == ("port", Level.PROBLEM)
        assert "another program is listening there" in found.seen
        assert f"(process {os.getpid()})" in found.seen
        (found,) = port(mended(found))
        assert found.level is Level.OK


@pytest.mark.parametrize("url", ["tcp://203.0.113.9:7801", "tcp://nothing:x", "ipc:///dev/null/s"])
def test_an_address_that_cannot_be_bound_is_mended(url):
    """Not this machine's, none at all, in no folder."""
    (found,) = port(bound_to(url))
    assert (found.subject, found.level) == ("port", Level.PROBLEM)
    if url.startswith("tcp://203"):
        (found,) = port(mended(found))
        assert found.level is Level.OK


def test_whoever_connects_needs_no_port():
    """receive_connect overrules the address to bind."""
    (found,) = port(load_settings(None, {"SELO_RECEIVE_CONNECT": "tcp://h:1"}))
    assert found.level is Level.OK


def test_selo_itself_may_hold_the_port(home, make_home):
    """A `selo receive` that waits is no fault; the fix would end that process."""
    number = free_port()
    url = f"tcp://127.0.0.1:{number}"
    selo = os.path.join(os.path.dirname(sys.executable), "selo")
    subprocess.run(
        [selo, "--home", str(home.path), "trust", "add", "bob", "--may-send"],
        input=make_home("bob").public_identity_file.read_bytes(),
        capture_output=True,
        check=True,
        timeout=30,
    )
    line = [selo, "--home", str(home.path), "receive", "--bind", url, "--wait", "60s"]
    with subprocess.Popen([*line, "--into", str(home.path)], stderr=subprocess.PIPE) as child:
        assert b"listening" in child.stderr.readline()
        (found,) = port(bound_to(url))
        assert (found.level, found.fix) == (Level.NOTE, f"kill {child.pid}")
        subprocess.run(["bash", "-c", found.fix], check=True, timeout=10)
        child.wait(30)
    (found,) = port(bound_to(url))
    assert found.level is Level.OK


def test_zeromq_and_a_handshake_work_on_the_loopback():
    """The gate turns a wrong ticket away, and two agents agree."""
    assert [(each.subject, each.level) for each in zeromq(load_settings())] == [
        ("zeromq", Level.OK),
        ("handshake", Level.OK),
    ]


def test_a_handshake_that_fails_is_a_problem():
    """Its words say how it failed."""
    found = _judged(HandshakeTimeout("an answer", 1.0), [])
    assert (found.subject, found.level) == ("handshake", Level.PROBLEM)
    assert str(HandshakeTimeout("an answer", 1.0)) in found.seen
