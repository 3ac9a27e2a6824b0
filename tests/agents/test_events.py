"""What agents tell their callers."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

from selo.agents import events
from selo.agents.errors import PeerMisbehaved
from selo.crypto.items import Item, ItemType

EXAMPLES = [
    events.Listening("tcp://127.0.0.1:7800", ("alice", "carol")),
    events.Waiting("tcp://127.0.0.1:7800", "connection refused"),
    events.Refused("192.0.2.1", "a bad ticket", 3),
    events.Connected("192.0.2.1"),
    events.PeerVerified("Receiver", "bob", bytes(range(32))),
    events.KeysConfirmed("Receiver"),
    events.Established("classic", bytes(range(32, 64))),
    events.Opened("from", "alice", "file", "report\x1b[2J.pdf", 1 << 40),
    events.Progress(5, None),
    events.Delivered("bob", 5, 1, "ab" * 32, 0.25, None, "verified"),
    events.Delivered("bob", 5, 1, "ab" * 32, 0.25, "/tmp/x", "sent", 7, "cd" * 16, True),
    events.ItemStarted("folder/data\x1b[2J", 1 << 40),
    events.ItemDone("file", "folder/data", 5, "ab" * 32),
    events.ItemDone("link", "folder/link", 0, None),
    events.Resumed(5, 10, False),
    events.Lost("the cable was cut", 600.0),
    events.Lost("the cable was cut", None),
    events.Failed(4, "DeliveryCut", "the session was cut"),
]


def all_events() -> set[type[events.Event]]:
    """Every event there is, however deep its class."""
    found: set[type[events.Event]] = set()
    waiting = [events.Event]
    while waiting:
        subclasses = waiting.pop().__subclasses__()
        found.update(subclasses)
        waiting.extend(subclasses)
    return found


def test_the_examples_are_complete() -> None:
    """Every event has an example here: a new one is not forgotten by the tests below."""
    assert {type(example) for example in EXAMPLES} == all_events()


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.name)
def test_json_holds_every_field_and_parses_back(event: events.Event) -> None:
    """Through JSON and back, every field is there under its name, bytes as hexadecimal."""
    said = json.loads(json.dumps(event.as_json()))
    assert said.pop("event") == type(event).name
    expected = dataclasses.asdict(event)
    for key, value in expected.items():
        told = said.pop(key)
        if isinstance(value, bytes):
            assert bytes.fromhex(told) == value
        else:
            assert told == (list(value) if isinstance(value, tuple) else value)
    assert not said


def test_names_are_distinct_words() -> None:
    """A program can tell events apart by their names alone, which no field shadows."""
    names = [event.name for event in all_events()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in names)
    for event in all_events():
        assert not {"event", "name"} & {field.name for field in dataclasses.fields(event)}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (Item(ItemType.FOLDER, b"a"), events.ItemDone("folder", "a", 0, None)),
        (Item(ItemType.FILE, b"a/b", 5, b"\xab" * 32), events.ItemDone("file", "a/b", 5, "ab" * 32)),
        (Item(ItemType.LINK, b"a/\xff", target=b"b"), events.ItemDone("link", "a/\udcff", 0, None)),
    ],
    ids=["folder", "file", "link"],
)
def test_items_are_told_as_what_they_are(item: Item, expected: events.ItemDone) -> None:
    """Its type, its path as text, its size, and the digest of what has content; JSON can hold it."""
    assert events.ItemDone.of(item) == expected
    assert json.loads(json.dumps(events.ItemDone.of(item).as_json()))["path"] == expected.path
    assert events.ItemStarted.of(item.path, item.size) == events.ItemStarted(expected.path, item.size)


def test_an_error_is_told_with_its_status() -> None:
    """Its exit status, its class, its words."""
    error = PeerMisbehaved("ACK out of place")
    assert events.Failed.of(error) == events.Failed(4, "PeerMisbehaved", str(error))


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.name)
def test_events_cannot_be_changed(event: events.Event) -> None:
    """An event is a value: whoever is told of it cannot change what the next one hears."""
    for field in dataclasses.fields(event):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(event, field.name, None)


def test_the_throttle_lets_one_through_per_interval() -> None:
    """The first is reported at once, then one in each interval, each with its own numbers."""
    now = 100.0
    heard: list[events.Event] = []
    throttle = events.Throttle(heard.append, interval=1.0, clock=lambda: now)
    for step in range(40):
        now = 100.0 + step / 8
        throttle.progress(step, 40)
    assert heard == [events.Progress(done, 40) for done in range(0, 40, 8)]


def test_whoever_does_not_want_to_know_is_not_disturbed() -> None:
    """``ignore`` takes any event."""
    for event in EXAMPLES:
        events.ignore(event)
