"""Which delivery a Receiver goes on with, for whom, and for how long: with real writers and folders."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from blake3 import blake3

from selo.agents.bodies import Answer, Kind, Mark, Offer
from selo.agents.errors import CannotBeginAnew, HeldForAnother, PeerMisbehaved, RefusedByPolicy, SinkFault
from selo.agents.intake import INTAKES_MAX, Intake, Intakes
from selo.agents.sinks import CallableSink
from selo.agents.storage.staged_file import StagedFile
from selo.agents.writer import Writer

PATIENCE = 20.0
WINDOW = 100.0
STREAM = Offer(Kind.STREAM, "log", None, delivery=b"d" * 16)


class Clock:
    """A clock that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Desk:
    """Intakes, and what is needed to claim one."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.intakes = Intakes(WINDOW, self.clock)
        self.folder = folder
        self.bell = threading.Semaphore(0)
        self.begun = 0

    def begin(self) -> Writer:
        """A writer into the folder."""
        self.begun += 1
        return Writer(StagedFile(self.folder, sender="alice"), wake=self.bell.release)

    def claim(
        self, offer: Offer = STREAM, peer: str = "alice", *, alone: bool = False, rules: object = None
    ) -> Intake:
        """As a session does; returns when the answer is there."""
        intake = self.intakes.claim(peer, offer, self.begin, self.bell.release, alone=alone, rules=rules)
        while intake.writer.answer is None and intake.writer.failure is None:
            assert self.bell.acquire(timeout=PATIENCE)
        return intake

    def write(self, intake: Intake, data: bytes) -> None:
        """As a session does; returns when it is written."""
        count = intake.writer.consumed_records
        intake.writer.put(data)
        while intake.writer.consumed_records == count:
            assert self.bell.acquire(timeout=PATIENCE)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """One whose deliveries end with the test."""
    made = Desk(tmp_path)
    yield made
    made.intakes.close()


def begun(desk: Desk, data: bytes, offer: Offer = STREAM) -> Intake:
    """A delivery of which so much is there, and whose session was lost."""
    intake = desk.claim(offer)
    intake.writer.go_on(0)
    desk.write(intake, data)
    desk.intakes.hold(intake)
    return intake


def test_a_delivery_goes_on_where_it_was(desk: Desk) -> None:
    """The same offer gets the same writer again, which answers with what it has."""
    first = begun(desk, b"abc")
    again = desk.claim()
    assert again is first
    assert again.writer.answer == Answer((Mark(3, blake3(b"abc").digest()),))
    assert desk.begun == 1


def test_security_another_name_is_another_delivery(desk: Desk) -> None:
    """Every bit of the name counts: nothing of one is shown to another."""
    begun(desk, b"abc")
    for position in range(16):
        name = bytearray(STREAM.delivery)
        name[position] ^= 1
        intake = desk.claim(replace(STREAM, delivery=bytes(name)))
        assert intake.writer.answer == Answer()
        intake.writer.cancel()
        desk.intakes.done(intake)


def test_security_alone_only_what_is_held_goes_on(desk: Desk) -> None:
    """A Receiver for one delivery begins no other while one is cut, and the one can still be taken up."""
    first = begun(desk, b"abc")
    other = replace(STREAM, delivery=b"e" * 16)
    with pytest.raises(HeldForAnother) as caught:
        desk.claim(other, "carol", alone=True)
    assert caught.value.peer == "carol"
    assert desk.begun == 1
    assert desk.claim(alone=True) is first
    desk.intakes.done(first)
    first.writer.cancel()
    assert desk.claim(other, "carol", alone=True).peer == "carol"


def test_other_digests_are_another_offer_of_the_same(desk: Desk) -> None:
    """Wanted with SHA-256 the second time, what is on the disk is read again for that."""
    first = begun(desk, b"abc")
    again = desk.claim(replace(STREAM, sha256=True))
    assert again is not first
    assert again.writer.answer is not None and again.writer.answer.held == 3
    again.writer.cancel()


def test_security_what_is_taken_up_goes_by_the_rules_of_now(desk: Desk) -> None:
    """What is on the disk of it is gone on with, by another writer, which is made under the new rules."""
    first = begun(desk, b"abc")
    again = desk.claim(rules="others")
    assert again is not first and desk.begun == 2
    assert again.writer.answer is not None and again.writer.answer.held == 3
    desk.write(again, b"d")
    desk.intakes.hold(again)
    assert desk.claim(rules="others") is again
    again.writer.cancel()


def test_what_is_stored_needs_no_rules_any_more(desk: Desk) -> None:
    """Only its receipt is missing, and that is given under any."""
    first = begun(desk, b"abc")
    first.writer.finish(blake3(b"abc").digest())
    assert first.writer.wait()
    assert desk.claim(rules="others") is first


@pytest.mark.parametrize(
    "offer", [replace(STREAM, size=7), replace(STREAM, sha256=True)], ids=["size", "digest"]
)
def test_security_what_was_handed_on_is_not_begun_anew(desk: Desk, offer: Offer) -> None:
    """Offered otherwise the second time, it would be the beginning and then the whole in one pipe."""
    handed_on: list[bytes] = []
    desk.begin = lambda: Writer(CallableSink(handed_on.append), wake=desk.bell.release)  # type: ignore[method-assign]
    begun(desk, b"abc")
    with pytest.raises(CannotBeginAnew):
        desk.claim(offer)
    assert handed_on == [b"abc"]


@pytest.mark.parametrize(
    "offer",
    [
        replace(STREAM, kind=Kind.FILE, size=3),
        replace(STREAM, kind=Kind.TREE),
    ],
    ids=["as a file", "as a tree"],
)
def test_security_a_delivery_does_not_change_what_it_is(desk: Desk, offer: Offer) -> None:
    """Taken up again as something else it breaks the protocol, and what is held is not harmed."""
    first = begun(desk, b"abc")
    with pytest.raises(PeerMisbehaved):
        desk.claim(offer)
    assert desk.claim() is first


@pytest.mark.parametrize(
    "change",
    [{"size": 4}, {"mtime": 9}, {"mode": 0o600}, {"name": "other"}],
    ids=lambda change: next(iter(change)),
)
def test_a_file_that_was_changed_is_looked_at_anew(desk: Desk, change: dict[str, object]) -> None:
    """Another size, time, mode or name: the writer is another one, and only what the disk shows counts."""
    file = Offer(Kind.FILE, "data", 9, b"d" * 16, None, 0o644, 5)
    first = begun(desk, b"abc", file)
    again = desk.claim(replace(file, **change))  # type: ignore[arg-type]
    assert again is not first
    assert again.writer.answer is not None and again.writer.answer.held in (0, 3)
    assert desk.begun == 2


def test_a_writer_that_failed_is_not_gone_on_with(tmp_path: Path) -> None:
    """What a sink failed with while it was held is told to who comes for it; after that it may begin anew."""
    desk = Desk(tmp_path / "missing")
    failure = desk.claim().writer.failure
    assert failure is not None
    (tmp_path / "missing").mkdir()
    with pytest.raises(SinkFault) as caught:
        desk.claim()
    assert caught.value is failure
    assert desk.claim().writer.failure is None
    desk.intakes.close()


def test_what_cannot_begin_leaves_nothing(desk: Desk) -> None:
    """An error of ``begin`` is the caller's, and holds no place."""

    def refuse() -> Writer:
        raise RefusedByPolicy("alice", "no")

    with pytest.raises(RefusedByPolicy):
        desk.intakes.claim("alice", STREAM, refuse, lambda: None, alone=True)
    assert desk.claim(replace(STREAM, delivery=b"e" * 16), alone=True).writer.failure is None


def test_what_is_held_expires_and_stays_on_disk(desk: Desk) -> None:
    """After its window the writer ends; what it wrote is there, and the same offer goes on from it."""
    first = begun(desk, b"abc")
    assert desk.intakes.left == WINDOW
    desk.clock.now += WINDOW - 1
    assert (desk.intakes.expire(), desk.intakes.left) == ([], 1.0)
    desk.clock.now += 1
    assert desk.intakes.left == 0.0
    assert desk.intakes.expire() == [first]
    assert first.writer.suspended
    assert desk.intakes.left is None
    again = desk.claim()
    assert again is not first
    assert again.writer.answer is not None
    assert again.writer.answer.marks[-1] == Mark(3, blake3(b"abc").digest())


def test_what_is_under_way_does_not_expire(desk: Desk) -> None:
    """The window runs only while there is no session."""
    first = begun(desk, b"abc")
    desk.claim()
    desk.clock.now += 10 * WINDOW
    assert desk.intakes.expire() == []
    assert desk.intakes.left is None
    desk.intakes.hold(first)
    assert desk.intakes.left == WINDOW


def test_security_few_are_held_at_once(desk: Desk) -> None:
    """Of more cut deliveries than 16 the one that would expire first is let go of; its data stays on disk."""
    held = []
    for number in range(INTAKES_MAX + 3):
        held.append(begun(desk, b"abc", replace(STREAM, delivery=bytes([number]) * 16)))
        desk.clock.now += 1
    assert [intake.writer.suspended for intake in held] == [True] * 3 + [False] * INTAKES_MAX
    assert len([name for name in os.listdir(desk.folder) if name.endswith(".part")]) == len(held)


def test_closing_lets_go_of_all(desk: Desk) -> None:
    """What cannot be taken up by another process is discarded, all else stays on disk."""
    first = begun(desk, b"abc")
    got = bytearray()
    handed_on = desk.intakes.claim(
        "carol",
        replace(STREAM, delivery=b"e" * 16),
        lambda: Writer(CallableSink(got.extend), wake=lambda: None),
        lambda: None,
        alone=False,
    )
    desk.intakes.close()
    assert first.writer.suspended and not handed_on.writer.suspended
    assert desk.intakes.left is None
