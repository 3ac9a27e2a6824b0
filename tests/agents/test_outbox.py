"""What an Emitter keeps to send again: against a model that keeps everything."""

from __future__ import annotations

import hashlib
import itertools

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from selo.agents.content import ContentHash
from selo.agents.outbox import PER_BLOCK, Outbox

CONTENT = hashlib.shake_256(b"outbox").digest(40)


def filled(*lengths: int, capacity: int = 1 << 20) -> Outbox:
    """An outbox with the first bytes of ``CONTENT`` in blocks of these lengths."""
    outbox = Outbox(capacity=capacity)
    for length in lengths:
        outbox.add(CONTENT[outbox.end : outbox.end + length])
    return outbox


def rest(outbox: Outbox, limit: int = 3) -> bytes:
    """All that can be sent now."""
    return b"".join(bytes(piece) for piece in iter(lambda: outbox.take(limit), b""))


def cuts(length: int) -> list[tuple[int, ...]]:
    """Every way to cut ``length`` bytes into blocks."""
    return [
        tuple(end - start for start, end in zip((0, *inner), (*inner, length), strict=True))
        for count in range(length)
        for inner in itertools.combinations(range(1, length), count)
    ]


@pytest.mark.parametrize("lengths", cuts(5), ids=str)
@pytest.mark.parametrize("limit", [1, 2, 5, 9])
def test_what_is_taken_is_what_was_added(lengths: tuple[int, ...], limit: int) -> None:
    """However it is cut: in order, in pieces of 1 to ``limit`` bytes."""
    outbox = filled(*lengths)
    pieces = [bytes(piece) for piece in iter(lambda: outbox.take(limit), b"")]
    assert b"".join(pieces) == CONTENT[:5]
    assert all(1 <= len(piece) <= limit for piece in pieces)
    assert outbox.next == outbox.end == 5


@pytest.mark.parametrize("lengths", cuts(5), ids=str)
@pytest.mark.parametrize("sent", range(6))
@pytest.mark.parametrize("consumed", range(6))
def test_every_place_from_the_base_on_can_be_sent_again(
    lengths: tuple[int, ...], sent: int, consumed: int
) -> None:
    """After ``sent`` bytes were taken and ``consumed`` acknowledged, exactly the places from ``base`` to
    ``end`` can be gone on from; what was not acknowledged is among them; from each comes exactly the rest."""
    if consumed > sent:
        return
    for place in range(7):
        outbox = filled(*lengths)
        while outbox.next < sent:
            outbox.take(min(2, sent - outbox.next))
        outbox.acknowledge(consumed)
        assert outbox.base <= consumed
        before = (outbox.base, outbox.next, outbox.end)
        there = outbox.base <= place <= 5
        assert outbox.rewind(place) == there
        if there:
            assert outbox.next == place
            assert rest(outbox) == CONTENT[place:5]
        else:
            assert (outbox.base, outbox.next, outbox.end) == before


@pytest.mark.parametrize("lengths", cuts(5), ids=str)
@pytest.mark.parametrize("consumed", range(6))
def test_digests_are_those_of_all_before_a_place(lengths: tuple[int, ...], consumed: int) -> None:
    """At every place that is still here, whatever was sent; elsewhere there is none."""
    outbox = filled(*lengths)
    rest(outbox)
    outbox.acknowledge(consumed)
    for place in range(7):
        known = outbox.base <= place <= 5
        assert outbox.digest_at(place) == (blake3(CONTENT[:place]).digest() if known else None)


def test_what_is_skipped_counts() -> None:
    """After a place that the Receiver has, the digest of the whole is that of the whole."""
    content = ContentHash()
    content.update(CONTENT[:10])
    outbox = Outbox(capacity=1)
    outbox.skip(content, 10)
    assert (outbox.base, outbox.next, outbox.end) == (10, 10, 10)
    outbox.add(CONTENT[10:])
    assert rest(outbox) == CONTENT[10:]
    assert outbox.content.blake3 == blake3(CONTENT).digest()
    assert not outbox.rewind(9)
    assert outbox.digest_at(9) is None


@pytest.mark.parametrize("capacity", [1, PER_BLOCK, 3 * (PER_BLOCK + 1)])
def test_room_is_bounded_and_comes_back(capacity: int) -> None:
    """Blocks are taken while they are below the capacity, and always one; what is acknowledged makes room."""
    outbox = Outbox(capacity=capacity)
    count = 0
    while outbox.has_room:
        outbox.add(b"x")
        count += 1
    assert count == max(1, -(-capacity // (PER_BLOCK + 1)))
    rest(outbox)
    assert not outbox.has_room, "what was sent may have to be sent again"
    outbox.acknowledge(count)
    assert outbox.has_room
    assert outbox.base == count


def test_sha256_is_taken_where_it_is_wanted() -> None:
    """With it the running hash has both digests."""
    outbox = Outbox(capacity=1, sha256=True)
    outbox.add(CONTENT)
    assert outbox.content.sha256 == hashlib.sha256(CONTENT).digest()
    assert filled(40).content.sha256 is None


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 9)),
        st.tuples(st.just("take"), st.integers(1, 9)),
        st.tuples(st.just("acknowledge"), st.integers(0, 100)),
        st.tuples(st.just("rewind"), st.integers(0, 100)),
    ),
    max_size=40,
)


@given(STEPS)
def test_security_it_never_gives_other_bytes_than_those_of_the_place(steps: list[tuple[str, int]]) -> None:
    """In every interleaving of the four, each piece is what stands at its place of the delivery."""
    content = hashlib.shake_256(b"long").digest(400)
    outbox = Outbox(capacity=1)
    consumed = furthest = 0
    for step, number in steps:
        if step == "add":
            outbox.add(content[outbox.end : outbox.end + number])
        elif step == "take":
            place = outbox.next
            piece = bytes(outbox.take(number))
            assert piece == content[place : min(place + len(piece), outbox.end)]
            assert len(piece) > 0 or place == outbox.end
            furthest = max(furthest, outbox.next)
        elif step == "acknowledge":
            consumed = max(consumed, min(number, outbox.next))
            outbox.acknowledge(consumed)
        else:
            there = outbox.base <= number <= outbox.end
            assert outbox.rewind(number) == there
            assert outbox.next == number or not there
        assert outbox.base <= outbox.next <= outbox.end
        assert outbox.base <= max(consumed, 0)
        for place in (outbox.base, outbox.next, outbox.end, (outbox.base + outbox.end) // 2):
            assert outbox.digest_at(place) == blake3(content[:place]).digest()
    assert outbox.content.blake3 == blake3(content[: outbox.end]).digest()
