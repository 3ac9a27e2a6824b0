"""A second host, whose person nobody trusts."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ..processes.conftest import selo
from .conftest import url

FAMILIES = pytest.mark.parametrize("family", ["ip4", "ip6"])


@FAMILIES
def test_security_a_second_host_is_refused(
    alice, bob, mallory, parcel: Path, inbox: Path, family: str
) -> None:
    """3 for mallory, whose address bob is told; nothing is written, and alice gets through afterwards."""
    receiver = bob.receive("--into", inbox, bind=url(getattr(bob, family)))
    stranger = mallory.emit(getattr(bob, family), parcel)
    assert stranger.end() == 3
    assert "bob refused us" in stranger.message
    assert list(inbox.iterdir()) == []
    refused = receiver.wait_for("refused")
    assert refused["peer_address"] == getattr(mallory, family)
    emitter = alice.emit(getattr(bob, family), parcel)
    assert (emitter.end(), receiver.end()) == (0, 0)
    assert {path.name: path.read_bytes() for path in inbox.iterdir()} == {"parcel": parcel.read_bytes()}


def test_security_a_second_host_finds_the_place_taken(alice, bob, mallory, inbox: Path) -> None:
    """While alice delivers, mallory waits in vain and ends with 5; alice's stream arrives exactly."""
    receiver = bob.receive("--into", inbox, bind=url(bob.ip4))
    emitter = alice.emit(bob.ip4, "--as", "stream", "-", stdin=subprocess.PIPE)
    data = os.urandom(300_000)
    emitter.child.stdin.write(data)
    emitter.child.stdin.flush()
    receiver.wait_for("opened")
    stranger = mallory.emit(bob.ip4, "--wait", "1s", "-")
    assert stranger.end() == 5
    assert "busy with another peer" in stranger.message
    emitter.child.stdin.write(data)
    emitter.child.stdin.close()
    assert (emitter.end(), receiver.end()) == (0, 0), (emitter.events[-1], receiver.events[-1])
    assert {path.name: path.read_bytes() for path in inbox.iterdir()} == {"stream": data + data}


@FAMILIES
def test_security_a_second_host_at_the_receivers_address(
    alice, bob, mallory, network, parcel: Path, inbox: Path, tmp_path: Path, family: str
) -> None:
    """Mallory has taken bob's address: alice ends with 3, and less has left her host than one record."""
    home = tmp_path / "mallory"
    shutil.copytree(mallory.home, home)
    alice_id = selo("id", "--export", home=alice.home).stdout
    assert selo("trust", "add", "alice", "--may-send", home=home, input=alice_id).returncode == 0
    network.cut("bob")
    network.ip("mallory", f"addr add {bob.ip4}/24 dev eth0", f"addr add {bob.ip6}/64 dev eth0 nodad")
    receiver = mallory.receive("--into", inbox, bind=url(getattr(bob, family)), home=home)
    emitter = alice.emit(getattr(bob, family), parcel)
    assert emitter.end() == 3
    assert "does not answer to bob's key" in emitter.message
    assert receiver.wait_for("refused")["peer_address"] == getattr(alice, family)
    assert list(inbox.iterdir()) == []
    assert network.sent_bytes("alice") < 50_000
