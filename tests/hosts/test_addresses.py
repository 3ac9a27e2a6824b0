"""From one host to another: every way to name where the Receiver listens, over IPv4 and IPv6."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from .conftest import url

FAMILIES = pytest.mark.parametrize("family", ["ip4", "ip6"])


@FAMILIES
def test_a_file_arrives(alice, bob, parcel: Path, inbox: Path, family: str) -> None:
    """Bound to the host's own address: byte-identical, 0 on both sides, each names the other's address."""
    receiver = bob.receive("--into", inbox, bind=url(getattr(bob, family)))
    emitter = alice.emit(getattr(bob, family), parcel)
    assert (emitter.end(), receiver.end()) == (0, 0), (emitter.events[-1], receiver.events[-1])
    assert (inbox / "parcel").read_bytes() == parcel.read_bytes()
    assert receiver.named("connected")[0]["peer_address"] == getattr(alice, family)
    assert emitter.named("connected")[0]["peer_address"] == url(getattr(bob, family))


@FAMILIES
def test_a_stream_arrives(alice, bob, family: str) -> None:
    """Standard input to standard output, exactly."""
    data = os.urandom(5_000_000)
    receiver = bob.receive("-", bind=url(getattr(bob, family)), stdout=subprocess.PIPE)
    emitter = alice.emit(getattr(bob, family), "-", stdin=subprocess.PIPE)
    feeder = threading.Thread(target=_feed, args=(emitter.child.stdin, data))
    feeder.start()
    assert receiver.child.stdout.read() == data
    feeder.join()
    assert (emitter.end(), receiver.end()) == (0, 0)


def _feed(stdin, data: bytes) -> None:
    with stdin:
        stdin.write(data)


@pytest.mark.parametrize(
    ("bind", "family"), [("0.0.0.0", "ip4"), ("*", "ip4"), ("*", "ip6"), ("::", "ip6"), ("::", "ip4")]
)
def test_listening_on_every_address(alice, bob, parcel: Path, inbox: Path, bind: str, family: str) -> None:
    """0.0.0.0 takes IPv4; `*` and [::] take both."""
    receiver = bob.receive("--into", inbox, bind=url(bind))
    emitter = alice.emit(getattr(bob, family), parcel)
    assert (emitter.end(), receiver.end()) == (0, 0), (emitter.events[-1], receiver.events[-1])
    assert (inbox / "parcel").read_bytes() == parcel.read_bytes()


@FAMILIES
def test_security_the_default_is_this_machine_only(
    alice, bob, parcel: Path, inbox: Path, family: str
) -> None:
    """Without --bind no other host gets through: the Emitter ends with 5, bob hears of nothing."""
    receiver = bob.start("receive", "--into", inbox)
    assert receiver.wait_for("listening")["address"] == url("127.0.0.1")
    emitter = alice.emit(getattr(bob, family), "--wait", "1s", parcel)
    assert emitter.end() == 5
    assert "nobody listens there" in emitter.message
    assert [event["event"] for event in receiver.events] == ["listening"]
    # What it does take shows that it was there all the time.
    neighbour = bob.emit("127.0.0.1", parcel, home=alice.home)
    assert (neighbour.end(), receiver.end()) == (0, 0)
