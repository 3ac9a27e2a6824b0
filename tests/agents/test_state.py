"""The state of a staging folder: what was written is what is read, and nothing else is."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from blake3 import blake3

from selo.agents.bodies import Kind, Offer
from selo.agents.content import Summary
from selo.agents.storage.state import Final, State

OFFER = Offer(Kind.FILE, "name \u00e9", 5, bytes(range(16)), mode=0o644, mtime=-7, sha256=True)
SUMMARY = Summary(5, bytes(range(32)), 1, 5, bytes(32), True, "/a/place/\udc80")
STATES = {
    "receiving": State(OFFER, 1.5),
    "committing": State(OFFER, 1.5, SUMMARY, (Final("data", "name", 7), Final("\udc80", "b", 2**63, 0o555))),
    "placed": State(OFFER, 1.5, SUMMARY, (Final("data", "name", 7),), placed=True, boot="a-start"),
    "a stream": State(Offer(Kind.STREAM, None, None, bytes(16)), 0.0),
    "nothing in it": State(Offer(Kind.TREE, None, 0, bytes(16), 0), 0.0, replace(SUMMARY, target=None)),
}
each_state = pytest.mark.parametrize("state", STATES.values(), ids=STATES)


@each_state
def test_what_was_written_is_read(state: State) -> None:
    """Every field, names that are no text included; and it is JSON."""
    assert State.unpack(state.pack()) == state
    assert json.loads(state.pack())["state"]["version"] == 1


@each_state
def test_security_whatever_is_damaged_says_nothing(state: State) -> None:
    """Every truncation, every altered byte, and anything behind it."""
    whole = state.pack()
    for length in range(len(whole)):
        with pytest.raises(ValueError):
            State.unpack(whole[:length])
    for at in range(len(whole)):
        for other in {whole[at] ^ 1, whole[at] ^ 0x80, ord("}"), 0} - {whole[at]}:
            with pytest.raises(ValueError):
                State.unpack(whole[:at] + bytes([other]) + whole[at + 1 :])
    for more in (b"\n", b"}", whole):
        with pytest.raises(ValueError):
            State.unpack(whole + more)


def sealed(state: object) -> bytes:
    """What another version of ours might have written."""
    text = json.dumps(state).encode()
    return b'{"blake3":"' + blake3(text).hexdigest().encode() + b'","state":' + text + b"}\n"


@each_state
def test_what_another_version_wrote_says_nothing(state: State) -> None:
    """Another number, a field that is missing or more, or no object at all."""
    good = json.loads(state.pack())["state"]
    assert State.unpack(sealed(good)) == state
    bad = [{**good, "version": 2}, {**good, "offer": "00"}, {**good, "finals": [{}]}, {**good, "summary": {}}]
    bad += [
        {name: value for name, value in good.items() if name != left_out}
        for left_out in good
        if left_out != "status"
    ]
    for other in [*bad, [], None, 7, "text"]:
        with pytest.raises(ValueError):
            State.unpack(sealed(other))


def test_security_what_was_not_made_durable_counts_in_its_own_start_of_the_machine() -> None:
    """What was, counts in each; of a delivery that is still coming there is nothing to count."""
    for durable in (False, True):
        state = State(OFFER, 0.0, replace(SUMMARY, durable=durable), boot="one")
        assert state.counts("one")
        assert state.counts("another") is state.counts(None) is durable
    assert not State(OFFER, 0.0, boot="one").counts("one")


def test_only_the_same_delivery_is_continued() -> None:
    """Kind and name always, size and time of a file; what a first look at a tree said may differ."""
    state = State(OFFER, 0.0)
    assert state.continues(replace(OFFER, mode=0o600))
    for other in ({"name": "other"}, {"size": 6}, {"mtime": 0}, {"kind": Kind.STREAM}):
        assert not state.continues(replace(OFFER, **other))
    tree = Offer(Kind.TREE, "name", 5, bytes(16), 2)
    assert State(tree, 0.0).continues(replace(tree, size=6, items=3))
    assert not State(tree, 0.0).continues(replace(tree, name=None))
