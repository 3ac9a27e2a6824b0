"""Cables that are cut and plugged in again, and packets that get lost."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from blake3 import blake3

from ..processes.manners import BRISK, BRISK_AND_FINAL
from .conftest import url

PATIENT = {"idle_limit": "8s", "ping_interval": "500ms"}
OUTAGE = 1.0
"""Seconds: long for TCP, which sends again after 0.2, 0.6, 1.4 and 3 s; short for a patient agent."""

LOSSY = """
table inet lossy {
    chain arriving {
        type filter hook input priority 0
        numgen inc mod 20 == 19 counter drop
    }
}
"""

UNDER_DEFAULT = 9.0
"""Seconds: a busy machine may need them, and the limits' defaults (10 s and 30 s) are longer."""

FAMILIES = pytest.mark.parametrize("family", ["ip4", "ip6"])


class Feed:
    """Pours random data into an Emitter until told to stop, at most 20 MB/s, and keeps their digest."""

    def __init__(self, stdin) -> None:
        self._stdin = stdin
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.digest = blake3()
        self.size = 0

    def _run(self) -> None:
        with suppress(BrokenPipeError), self._stdin:
            while not self._over.wait(0.005):
                data = os.urandom(100_000)
                self._stdin.write(data)
                self.digest.update(data)
                self.size += len(data)

    def stop(self) -> None:
        """End the input."""
        self._over.set()
        self._thread.join()

    @classmethod
    @contextmanager
    def into(cls, emitter) -> Iterator[Feed]:
        """One that has begun."""
        feed = cls(emitter.child.stdin)
        feed._thread.start()
        try:
            yield feed
        finally:
            feed.stop()


@FAMILIES
def test_a_cut_longer_than_the_idle_limit_ends_both(alice, bob, network, inbox: Path, family: str) -> None:
    """Where neither takes it up again: 4 on both sides within seconds, and not even a temporary file."""
    receiver = bob.receive("--into", inbox, bind=url(getattr(bob, family)), settings=BRISK_AND_FINAL)
    emitter = alice.emit(
        *(getattr(bob, family), "--as", "stream", "-"), settings=BRISK_AND_FINAL, stdin=subprocess.PIPE
    )
    with Feed.into(emitter):
        emitter.wait_for("progress")
        network.cut("bob")
        cut_at = time.monotonic()
        assert (emitter.end(), receiver.end()) == (4, 4)
        assert time.monotonic() - cut_at < UNDER_DEFAULT
    for process in (emitter, receiver):
        assert "nothing heard from the other side for 2 s" in process.message
    assert list(inbox.iterdir()) == []


@FAMILIES
def test_a_cut_longer_than_the_idle_limit_is_gone_on_from(
    alice, bob, network, inbox: Path, family: str
) -> None:
    """Both sides give the session up, and go on in another one when the cable is there again: 0 on both."""
    receiver = bob.receive("--into", inbox, bind=url(getattr(bob, family)), settings=BRISK)
    emitter = alice.emit(
        *(getattr(bob, family), "--as", "stream", "-"),
        settings={**BRISK, "retry_max": "1s"},
        stdin=subprocess.PIPE,
    )
    with Feed.into(emitter) as feed:
        emitter.wait_for("progress")
        network.cut("bob")
        for process in (emitter, receiver):
            assert "nothing heard" in process.wait_for("lost")["reason"]
        network.restore("bob")
        assert emitter.wait_for("resumed")["offset"] > 0
    assert (emitter.end(), receiver.end()) == (0, 0), (emitter.events[-1], receiver.events[-1])
    arrived = (inbox / "stream").read_bytes()
    assert (len(arrived), blake3(arrived).digest()) == (feed.size, feed.digest.digest())
    assert [path.name for path in inbox.iterdir()] == ["stream"]


@FAMILIES
@pytest.mark.parametrize("whose", ["alice", "bob"])
def test_a_cut_shorter_than_the_idle_limit_is_survived(
    alice, bob, network, inbox: Path, family: str, whose: str
) -> None:
    """Whosever cable it is, what was sent meanwhile is sent again: byte-identical, 0 on both sides."""
    receiver = bob.receive("--into", inbox, bind=url(getattr(bob, family)), settings=PATIENT)
    emitter = alice.emit(getattr(bob, family), "--as", "stream", "-", settings=PATIENT, stdin=subprocess.PIPE)
    with Feed.into(emitter) as feed:
        emitter.wait_for("progress")
        network.cut(whose)
        time.sleep(OUTAGE)
        network.restore(whose)
        stuck = emitter.named("progress")[-1]["done"]
        while emitter.wait_for("progress")["done"] <= stuck:
            pass
    assert (emitter.end(), receiver.end()) == (0, 0), (emitter.events[-1], receiver.events[-1])
    arrived = (inbox / "stream").read_bytes()
    assert (len(arrived), blake3(arrived).digest()) == (feed.size, feed.digest.digest())


@FAMILIES
def test_a_cable_that_is_plugged_in_late(alice, bob, network, parcel: Path, inbox: Path, family: str) -> None:
    """Nobody can be reached when the Emitter starts; it delivers as soon as somebody can."""
    network.cut("bob")
    receiver = bob.receive("--into", inbox, bind=url(getattr(bob, family)))
    emitter = alice.emit(getattr(bob, family), "--wait", "20s", parcel)
    time.sleep(OUTAGE)
    assert emitter.child.poll() is None
    assert emitter.named("established") == []
    network.restore("bob")
    assert (emitter.end(), receiver.end()) == (0, 0), (emitter.events[-1], receiver.events[-1])
    assert (inbox / "parcel").read_bytes() == parcel.read_bytes()


@FAMILIES
def test_a_cable_that_stays_cut(alice, bob, network, parcel: Path, inbox: Path, family: str) -> None:
    """The Emitter gives up with 5 when its --wait is over; the Receiver has heard of nothing and stays."""
    network.cut("bob")
    receiver = bob.receive("--into", inbox, bind=url(getattr(bob, family)))
    started = time.monotonic()
    emitter = alice.emit(getattr(bob, family), "--wait", "1500ms", parcel)
    assert emitter.end() == 5
    assert 1.5 <= time.monotonic() - started < UNDER_DEFAULT
    assert receiver.child.poll() is None
    assert [event["event"] for event in receiver.events] == ["listening"]


@FAMILIES
def test_lost_packets_are_sent_again(
    alice, bob, network, needs_nft, parcel: Path, inbox: Path, family: str
) -> None:
    """One packet in twenty is lost in each direction: the delivery arrives all the same."""
    for host in (alice, bob):
        network.run(host.name, "nft", "-f", "-", stdin=LOSSY)
    receiver = bob.receive("--into", inbox, bind=url(getattr(bob, family)))
    emitter = alice.emit(getattr(bob, family), parcel)
    assert (emitter.end(), receiver.end()) == (0, 0), (emitter.events[-1], receiver.events[-1])
    assert (inbox / "parcel").read_bytes() == parcel.read_bytes()
    lost = re.search(r"counter packets (\d+)", network.run("bob", "nft", "list", "ruleset"))
    assert int(lost[1]) > 0
