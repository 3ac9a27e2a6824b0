"""Names that were there in a first walk and not in a second one."""

from __future__ import annotations

import itertools

import pytest

from selo.agents.trees.roll import Roll

NAMES = [b"a", b"a/b", b"a/c", b"d", b"e"]


def missing(first: list[bytes], second: list[bytes]) -> int:
    """How many the second walk lacks."""
    roll = Roll()
    for name in first:
        roll.add(name)
    assert len(roll) == len(first)
    call = roll.call()
    for name in second:
        call.found(name)
    count = call.end()
    assert call.end() == count == call.missing
    return count


@pytest.mark.parametrize("first", range(1 << len(NAMES)))
def test_every_name_that_is_gone_is_counted_and_no_new_one_is(first: int) -> None:
    """Any set of names and then any other, both in order."""
    here = [name for bit, name in enumerate(NAMES) if first >> bit & 1]
    for later in range(1 << len(NAMES)):
        there = [name for bit, name in enumerate(NAMES) if later >> bit & 1]
        assert missing(here, there) == len(set(here) - set(there))


def test_many_new_names_are_no_search_each() -> None:
    """Half of 100,000 under other names: the rest of the roll is looked through once."""
    names = [b"%06d" % number for number in range(100_000)]
    assert missing(names, [b"x" + name for name in names[:50_000]] + names[50_000:]) == 50_000
    roll = Roll()
    for name in names:
        roll.add(name)
    call = roll.call()
    call.found(b"new")
    ahead = call._ahead
    call.found(b"another")
    assert ahead is not None and call._ahead is ahead


def test_a_call_begins_anew() -> None:
    """The same roll serves any number of walks."""
    roll = Roll()
    for name in NAMES:
        roll.add(name)
    for length in itertools.chain(range(len(NAMES) + 1), range(len(NAMES), -1, -1)):
        call = roll.call()
        for name in NAMES[:length]:
            call.found(name)
        assert call.end() == len(NAMES) - length
