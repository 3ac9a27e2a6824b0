"""An identity is replaced between real processes, and no delivery waits for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.processes.conftest import Start, selo


@dataclass
class Pair:
    """Alice and bob, who may both send to each other."""

    folder: Path
    start: Start
    _count: int = 0

    @property
    def alice(self) -> Path:
        return self.folder / "alice"

    @property
    def bob(self) -> Path:
        return self.folder / "bob"

    def selo(self, home: Path, *words: object, **options: object) -> bytes:
        """What a command that has to succeed writes to standard output."""
        done = selo(*words, home=home, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def deliver(self, sender: Path, receiver: Path) -> tuple[int, int]:
        """Both exit statuses of a delivery, the sender's first; what arrives is what was sent."""
        self._count += 1
        data, inbox = f"delivery {self._count}".encode(), self.folder / f"inbox-{self._count}"
        (self.folder / "file").write_bytes(data)
        inbox.mkdir()
        receiving = self.start(
            *("receive", "--bind", "tcp://127.0.0.1:0", "--from", sender.name, "--into", inbox),
            home=receiver,
        )
        address = receiving.wait_for("listening")["address"]
        emitting = self.start(
            "emit", "--to", receiver.name, "--connect", address, self.folder / "file", home=sender
        )
        status = emitting.end()
        if status != 0:  # a Receiver waits on for somebody whom it knows
            receiving.kill(2)
        ends = status, receiving.end()
        arrived = [path.read_bytes() for path in inbox.iterdir()]
        assert arrived == ([data] if ends == (0, 0) else [])
        return ends


@pytest.fixture
def pair(tmp_path: Path, start: Start) -> Pair:
    """Identities made and exchanged as the README says."""
    pair = Pair(tmp_path, start)
    for home in (pair.alice, pair.bob):
        pair.selo(home, "keygen", "--name", home.name)
    for home, other in ((pair.alice, pair.bob), (pair.bob, pair.alice)):
        public = pair.selo(other, "id", "--export")
        pair.selo(home, "trust", "add", other.name, "--may-send", input=public)
    return pair


def test_a_rotation_from_beginning_to_end(pair: Pair) -> None:
    """Deliveries go on both ways, before, while and after it; then the old identity is worth nothing."""
    both_ways = ((pair.alice, pair.bob), (pair.bob, pair.alice))
    pair.selo(pair.alice, "rotate", "--start")
    (pair.folder / "alice-next.id").write_bytes(pair.selo(pair.alice, "id", "--next", "--export"))
    for sender, receiver in both_ways:  # alice is ready, and bob knows nothing of it
        assert pair.deliver(sender, receiver) == (0, 0)

    pair.selo(pair.bob, "trust", "rotate", "alice", pair.folder / "alice-next.id")
    for sender, receiver in both_ways:  # bob takes both, and alice is the old one
        assert pair.deliver(sender, receiver) == (0, 0)

    pair.selo(pair.alice, "rotate", "--finish")
    for sender, receiver in both_ways:  # alice is the new one
        assert pair.deliver(sender, receiver) == (0, 0)

    pair.selo(pair.bob, "trust", "rotate", "alice", "--finish")
    for sender, receiver in both_ways:
        assert pair.deliver(sender, receiver) == (0, 0)

    (pair.alice / "identity.old").replace(pair.alice / "identity")
    (pair.alice / "identity.pub").unlink()
    for sender, receiver in both_ways:  # somebody has the old identity
        assert pair.deliver(sender, receiver)[0] == 3


def test_security_an_identity_that_was_not_pinned_is_refused(pair: Pair) -> None:
    """Who changes over before the peers have the next identity is a stranger to them, both ways."""
    pair.selo(pair.alice, "rotate", "--start")
    pair.selo(pair.alice, "rotate", "--finish")
    assert pair.deliver(pair.alice, pair.bob)[0] == 3
    assert pair.deliver(pair.bob, pair.alice)[0] == 3


@pytest.mark.parametrize("finished", [True, False])
def test_an_emitter_that_listens_takes_the_newest_identity_only(finished: bool, pair: Pair) -> None:
    """Its gate answers to one identity: until the peer has changed over, it has to listen itself."""
    pair.selo(pair.alice, "rotate", "--start")
    pair.selo(pair.bob, "trust", "rotate", "alice", input=pair.selo(pair.alice, "id", "--next", "--export"))
    if finished:
        pair.selo(pair.alice, "rotate", "--finish")
    (pair.folder / "file").write_bytes(b"through a NAT")
    (pair.folder / "inbox").mkdir()
    emitting = pair.start(
        "emit", "--to", "alice", "--bind", "tcp://127.0.0.1:0", pair.folder / "file", home=pair.bob
    )
    address = emitting.wait_for("listening")["address"]
    receiving = pair.start(
        "receive", "--connect", address, "--from", "bob", "--into", pair.folder / "inbox", home=pair.alice
    )
    assert receiving.end() == (0 if finished else 3)
    if not finished:
        emitting.kill(2)
    assert emitting.end() == (0 if finished else 130)
    assert [path.name for path in (pair.folder / "inbox").iterdir()] == (["file"] if finished else [])
