"""Digests of a delivery, and marks of what there is of it."""

from __future__ import annotations

import hashlib
import itertools
import os

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from selo.agents.bodies import MARKS_MAX, Answer
from selo.agents.content import ContentHash, Ladder

CONTENT = os.urandom(5000)


def climbed(steps: list[int], *, end: bool = True) -> tuple[Ladder, int]:
    """A ladder over the first bytes of ``CONTENT`` in such steps, and how far it goes."""
    ladder, content, position = Ladder(), ContentHash(), 0
    for step in steps:
        content.update(CONTENT[position : position + step])
        position += step
        ladder.add(position, content)
    if end:
        ladder.end(position, content)
    return ladder, position


@pytest.mark.parametrize("sha256", [False, True])
@pytest.mark.parametrize("cut", [0, 1, 1024, 4999, 5000])
def test_digests_are_of_everything_however_it_is_cut(sha256: bool, cut: int) -> None:
    """BLAKE3 always, SHA-256 where it is wanted; a copy goes on alone, and leaves the first one as it is."""
    content = ContentHash(sha256=sha256)
    content.update(memoryview(CONTENT)[:cut])
    copy = content.copy()
    copy.update(bytearray(CONTENT[cut:]))
    for made, data in ((content, CONTENT[:cut]), (copy, CONTENT)):
        assert made.blake3 == blake3(data).digest()
        assert made.sha256 == (hashlib.sha256(data).digest() if sha256 else None)


@pytest.mark.parametrize("count", [0, 1, 2, MARKS_MAX - 1, MARKS_MAX, MARKS_MAX + 1, 1000, 5000])
@pytest.mark.parametrize("step", [1, 5])
def test_marks_are_few_true_and_evenly_spread(count: int, step: int) -> None:
    """However many places there were: at most 64, which an answer can say; rising; each digest true; the
    last one the end; no gap larger than a 16th of the whole."""
    count = min(count, len(CONTENT) // step)
    ladder, end = climbed([step] * count)
    marks = ladder.marks()
    assert len(marks) <= MARKS_MAX
    assert Answer.unpack(Answer(marks).pack()).marks == marks
    assert all(mark.digest == blake3(CONTENT[: mark.position]).digest() for mark in marks)
    places = [0, *(mark.position for mark in marks)]
    assert places[-1] == end
    assert all(after - before <= max(step, end / 16) for before, after in itertools.pairwise(places))


def test_nothing_has_no_marks() -> None:
    """Place 0 needs no mark: it is always the same."""
    ladder, _ = climbed([])
    assert ladder.marks() == ()


def test_the_end_is_there_once() -> None:
    """An end that is a place already is no second mark."""
    ladder, _ = climbed([100])
    assert [mark.position for mark in ladder.marks()] == [100]


def test_hashes_go_on_from_every_mark() -> None:
    """From each place that was kept, and from no other."""
    ladder, _ = climbed([37] * 130)
    kept = {mark.position for mark in ladder.marks()}
    for place in range(37 * 130 + 2):
        content = ladder.hash_at(place)
        assert (content is not None) == (place in kept)
        if content is not None:
            content.update(CONTENT[place:])
            assert content.blake3 == blake3(CONTENT).digest()


@given(st.lists(st.integers(1, 60), max_size=80), st.booleans())
def test_any_steps_make_marks_that_an_answer_can_say(steps: list[int], end: bool) -> None:
    """Of any lengths, with an end or without."""
    ladder, position = climbed(steps, end=end)
    marks = ladder.marks()
    assert Answer.unpack(Answer(marks).pack()).marks == marks
    assert all(mark.digest == blake3(CONTENT[: mark.position]).digest() for mark in marks)
    if end and steps:
        assert marks[-1].position == position
