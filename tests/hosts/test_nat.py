"""A host behind a router that masquerades: nobody reaches it from outside, and it reaches everybody."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ..processes.conftest import selo
from .conftest import Host, url
from .network import Network, ip4

ROUTER = 9
INSIDE, PRIVATE = "192.168.78.1", "192.168.78.2"

MASQUERADE = """
table ip nat {
    chain leaving {
        type nat hook postrouting priority srcnat
        oifname "eth0" masquerade
    }
}
"""


def hide(network: Network, name: str) -> None:
    """A host whose one cable leads to a router, which stands on the switch."""
    network.add_host("router", ROUTER)
    network.add_namespace(name)
    network.ip(
        name,
        f"link add eth0 type veth peer name lan netns {network.namespace('router')}",
        "link set eth0 up",
        f"addr add {PRIVATE}/24 dev eth0",
        f"route add default via {INSIDE}",
    )
    network.ip("router", "link set lan up", f"addr add {INSIDE}/24 dev lan")
    network.run("router", "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    network.run("router", "nft", "-f", "-", stdin=MASQUERADE)


@pytest.fixture
def bob(network: Network, sit_at, needs_nft) -> Host:
    """He is behind the router."""
    hide(network, "bob")
    return sit_at("bob", 2)


def fetch(bob: Host, alice: Host, *arguments: object, **options: object):
    """Start a Receiver that connects to alice's host."""
    return bob.start("receive", "--from", "alice", "--connect", url(alice.ip4), *arguments, **options)


def offer(alice: Host, *arguments: object, **options: object):
    """Start an Emitter that listens, and wait until it does."""
    emitter = alice.start("emit", "--to", "bob", "--bind", url(alice.ip4), *arguments, **options)
    emitter.wait_for("listening")
    return emitter


def test_nobody_reaches_a_receiver_behind_nat(alice, bob, parcel: Path, inbox: Path) -> None:
    """It listens on every address, and neither its own nor the router's leads there: 5."""
    receiver = bob.receive("--into", inbox, bind=url("*"))
    for host in (PRIVATE, ip4(ROUTER)):
        assert alice.emit(host, "--wait", "500ms", parcel).end() == 5
    assert [event["event"] for event in receiver.events] == ["listening"]


def test_a_receiver_behind_nat_connects(alice, bob, parcel: Path, inbox: Path) -> None:
    """It fetches a file from an Emitter that listens: byte-identical, 0 on both sides, from the router."""
    emitter = offer(alice, parcel)
    receiver = fetch(bob, alice, "--into", inbox)
    assert (emitter.end(), receiver.end()) == (0, 0), (emitter.events[-1], receiver.events[-1])
    assert {path.name: path.read_bytes() for path in inbox.iterdir()} == {"parcel": parcel.read_bytes()}
    assert emitter.named("connected")[0]["peer_address"] == ip4(ROUTER)


def test_a_receiver_behind_nat_connects_first(alice, bob, parcel: Path, inbox: Path) -> None:
    """Started before the Emitter, it keeps trying, and has a stream when that has come."""
    receiver = fetch(bob, alice, "--wait", "20s", "-", stdout=subprocess.PIPE)
    receiver.wait_for("waiting")
    emitter = offer(alice, parcel)
    assert receiver.child.stdout.read() == parcel.read_bytes()
    assert (emitter.end(), receiver.end()) == (0, 0), (emitter.events[-1], receiver.events[-1])


def test_an_emitter_behind_nat_connects(network, make_host, sit_at, needs_nft, parcel, inbox: Path) -> None:
    """It delivers to a Receiver that listens, which is told the router's address."""
    hide(network, "alice")
    alice, bob = sit_at("alice", 1), make_host("bob", 2)
    receiver = bob.receive("--into", inbox, bind=url(bob.ip4))
    emitter = alice.emit(bob.ip4, parcel)
    assert (emitter.end(), receiver.end()) == (0, 0), (emitter.events[-1], receiver.events[-1])
    assert (inbox / "parcel").read_bytes() == parcel.read_bytes()
    assert receiver.named("connected")[0]["peer_address"] == ip4(ROUTER)


def test_security_a_second_host_fetches_nothing(
    alice, bob, mallory, network, parcel: Path, inbox: Path, tmp_path: Path
) -> None:
    """Mallory asks for bob's file: 3, and less than a record has left alice's host; then bob has it."""
    home = tmp_path / "mallory"
    shutil.copytree(mallory.home, home)
    alice_id = selo("id", "--export", home=alice.home).stdout
    assert selo("trust", "add", "alice", "--may-send", home=home, input=alice_id).returncode == 0
    stolen = tmp_path / "stolen"
    stolen.mkdir()
    emitter = offer(alice, parcel)
    stranger = fetch(mallory, alice, "--into", stolen, home=home)
    assert emitter.wait_for("refused")["peer_address"] == mallory.ip4
    assert stranger.end() == 3
    assert list(stolen.iterdir()) == []
    assert network.sent_bytes("alice") < 50_000
    receiver = fetch(bob, alice, "--into", inbox)
    assert (emitter.end(), receiver.end()) == (0, 0), (emitter.events[-1], receiver.events[-1])
    assert (inbox / "parcel").read_bytes() == parcel.read_bytes()
