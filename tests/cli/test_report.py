"""What a person, and a program, sees of a delivery."""

from __future__ import annotations

import io
import sys
import threading
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selo.agents import events
from selo.agents.cli import report
from selo.agents.cli.common import Context
from selo.agents.cli.report import WAITING_EVENTS, Narrator, delivered_words, in_words, size_words
from selo.config.home import Home
from selo.config.settings import load_settings
from tests.cli.lines import event_of

HOSTILE = "evil\x1b[2J\r\n\x07\x9b\u202e\u2028\ud800name"
"""Clears the screen, returns, rings, turns the line around, ends it: all that a terminal would obey."""

EXAMPLES = [
    events.Listening("tcp://127.0.0.1:7800", ("alice", "carol")),
    events.Waiting("tcp://127.0.0.1:7800", "connection refused"),
    events.Refused("192.0.2.1", "a bad ticket", 3),
    events.Connected("192.0.2.1"),
    events.PeerVerified("Receiver", "bob", bytes(range(32))),
    events.KeysConfirmed("Receiver"),
    events.Established("classic", bytes(range(32, 64))),
    events.Opened("from", "alice", "file", "report.pdf", 1 << 20),
    events.Progress(5, None),
    events.Delivered("bob", 2048, 2, "ab" * 32, 2.0, None, "verified"),
    events.Resumed(1000, 2000, False),
    events.Lost("the connection was closed", 600.0),
    events.ItemStarted("folder/file", 5),
    events.ItemDone("file", "folder/file", 5, "ab" * 32),
    events.Failed(4, "DeliveryCut", "the session was cut"),
]
VERBOSE_ONLY = (
    events.Connected,
    events.PeerVerified,
    events.KeysConfirmed,
    events.Established,
    events.ItemDone,
)
# Progress is told by the bar, or now and then as a line of its own; a failure as the command's error, or,
# where the command goes on, by the narrator; the beginning of an item is for programs.
SILENT = (events.Progress, events.ItemStarted, events.Failed)
each_event = pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.name)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A run with no flags."""
    return Context(home=Home(tmp_path), settings=load_settings())


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_every_event_has_an_example() -> None:
    """A new event needs words or a deliberate silence: it is added here and decided on."""
    assert {type(event) for event in EXAMPLES} == set(events.Event.__subclasses__())
    assert not [event for event in events.Event.__subclasses__() if event.__subclasses__()]


@each_event
def test_every_event_has_words_or_is_silent_on_purpose(event: events.Event) -> None:
    """Milestones of the handshake are for --verbose; progress has its own form; all else is always told."""
    assert bool(in_words(event, verbose=True)) == (not isinstance(event, SILENT))
    assert bool(in_words(event, verbose=False)) == (not isinstance(event, SILENT + VERBOSE_ONLY))


@each_event
def test_json_is_one_object_a_line_with_every_field(
    event: events.Event, context: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever else is set, each event is one line of JSON that parses to all its fields."""
    for flags in ({}, {"quiet": True}, {"verbose": True}):
        tell(replace(context, json=True, **flags), event)
        (line,) = capsys.readouterr().err.splitlines()
        said = event_of(line)
        assert said["event"] == event.name
        assert set(said) == {"event", *(field.name for field in fields(event))}


def tell(context: Context, event: events.Event) -> None:
    """One event, told."""
    narrator = Narrator(context)
    narrator(event)
    narrator.close()


def with_hostile_text(event: events.Event) -> events.Event:
    """The event with every text that can come from the other side made hostile."""
    ours = {"role", "peer", "kind", "suite", "receipt", "blake3", "address", "senders", "delivery"}
    theirs = {
        field.name: HOSTILE
        for field in fields(event)
        if field.name not in ours and (field.type in ("str", "str | None"))
    }
    return replace(event, **theirs)


@each_event
def test_security_hostile_text_reaches_a_terminal_escaped_only(
    event: events.Event, context: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names and reasons from the other side cannot move the cursor, turn the line around or forge a line."""
    hostile = with_hostile_text(event)
    plain = in_words(event, verbose=True)
    words = in_words(hostile, verbose=True)
    assert words.isascii()
    assert all(line.isprintable() for line in words.split("\n"))
    assert words.count("\n") == plain.count("\n")
    tell(replace(context, json=True), hostile)
    line = capsys.readouterr().err.removesuffix("\n")
    assert line.isascii()
    assert line.isprintable()


def test_the_hostile_events_are_hostile() -> None:
    """The test above tests something: these are the events that carry a peer's text."""
    hostile = {type(event) for event in EXAMPLES if with_hostile_text(event) != event}
    assert hostile == {
        events.Waiting,
        events.Refused,
        events.Connected,
        events.Opened,
        events.Delivered,
        events.Lost,
        events.ItemStarted,
        events.ItemDone,
        events.Failed,
    }


@given(st.text())
def test_security_no_label_makes_a_second_line(label: str) -> None:
    """Whatever a delivery is called, its announcement is one printable line."""
    assert in_words(events.Opened("from", "alice", "file", label, None), verbose=False).isprintable()


def test_what_is_said_of_a_delivery() -> None:
    """To whom or from whom, where it is, how much, how fast, whether the receipt went, and its digest."""
    sent = events.Delivered("bob", 2048, 2, "ab" * 32, 2.0, None, "verified")
    assert delivered_words(sent) == (
        "delivered to bob, receipt verified: 2,048 bytes in 2.00 s (1.0 KiB/s)\nblake3 " + "ab" * 32
    )
    stored = replace(sent, target="/tmp/x", receipt="sent")
    assert delivered_words(stored).startswith("received from bob as /tmp/x: 2,048 bytes")
    assert delivered_words(replace(stored, target=None)).startswith("received from bob: 2,048 bytes")
    assert "the Emitter may not have the receipt" in delivered_words(replace(stored, receipt="not sent"))
    assert "received from bob as /tmp/x, 12 items: " in delivered_words(replace(stored, items=12))
    assert "to bob, receipt verified, 0 items: " in delivered_words(replace(sent, items=0))
    assert "(-/s)" in delivered_words(replace(sent, seconds=0.0))


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (events.Resumed(1000, 1000, False), "going on after 1,000 bytes that are there"),
        (events.Resumed(500, 1000, False), "1,000 bytes are there, and are not all what is sent now"),
        (events.Resumed(500, 1000, False), "going on after 500 bytes"),
        (events.Resumed(0, 1000, False), "going on from the beginning"),
        (events.Resumed(1000, 1000, True), "it was stored before; only the receipt is missing"),
    ],
)
def test_what_is_said_of_a_delivery_that_goes_on(event: events.Resumed, words: str) -> None:
    """How much need not come again, and why that is not all that is there."""
    assert words in in_words(event, verbose=False)


def test_what_was_stored_before_is_not_called_stored_now(tmp_path: Path) -> None:
    """Both sides say that it was an earlier session, and the Receiver whether it is still there."""
    earlier = events.Delivered("bob", 5, 0, "ab" * 32, 0.1, None, "verified", earlier=True)
    assert delivered_words(earlier).startswith("bob had stored it before, receipt verified: 5 bytes")
    target = tmp_path / "report"
    stored = replace(earlier, peer="alice", target=str(target), receipt="sent")
    assert "it is not there any more, and is not stored again" in delivered_words(stored)
    target.touch()
    words = delivered_words(stored)
    assert words.startswith(f"stored as {target} before, from alice") and "any more" not in words


def test_every_place_is_told_where_they_are_few() -> None:
    """With --rename the names may be others than those that were sent."""
    two = events.Delivered("alice", 5, 1, "ab" * 32, 0.1, "in", "sent", places=("in/q", "in/z (2)"), items=2)
    assert "as in/q, in/z (2), 2 items" in delivered_words(two)
    many = replace(two, places=tuple(f"in/{n}" for n in range(100)), items=100)
    assert "as in, 100 items" in delivered_words(many)


def test_what_is_said_of_a_lost_session() -> None:
    """For how long the delivery can go on; without end where it waits for ever."""
    assert in_words(events.Lost("no answer", 599.997), verbose=False).endswith("can go on for 600 s")
    assert in_words(events.Lost("no answer", None), verbose=False).endswith("can go on without end")


def test_a_tree_without_a_name_is_several_items() -> None:
    """And a stream without one is a stream."""
    told = [
        in_words(events.Opened("to", "bob", kind, None, None), verbose=False) for kind in ("tree", "stream")
    ]
    assert told == ["sending several items to bob", "sending a stream to bob"]


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_failure_is_told_once(goes_on: bool, context: Context, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the command ends with it, as its error; where it goes on, as a line; with --json always."""
    failed = events.Failed(4, "DeliveryCut", "the session was \x1b[2Jcut")
    for manner in (context, replace(context, quiet=True), replace(context, json=True)):
        narrator = Narrator(manner, goes_on=goes_on)
        narrator(failed)
        narrator.close()
    *words, line = capsys.readouterr().err.splitlines()
    assert words == (["selo: failed: the session was \\x1b[2Jcut"] if goes_on else [])
    assert event_of(line)["reason"] == failed.reason


def test_the_exercise_s_milestones_are_told_with_verbose() -> None:
    """The signature and the Diffie-Hellman keys, with the words of the exercise."""
    assert "signature verified" in in_words(events.PeerVerified("Receiver", "bob", bytes(32)), verbose=True)
    assert in_words(events.KeysConfirmed("Receiver"), verbose=True) == "valid DH (MAC)"


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (1, "1 bytes"),
        (1023, "1,023 bytes"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1 << 20, "1.0 MiB"),
        (64 << 20, "64.0 MiB"),
        (1 << 30, "1.0 GiB"),
        (1 << 40, "1.0 TiB"),
        (1 << 50, "1024.0 TiB"),
        ((1 << 64) - 1, "16777216.0 TiB"),
    ],
)
def test_sizes_are_in_binary_units(size: int, words: str) -> None:
    """The largest unit that leaves at least one, up to TiB, for any size that an OPEN can name."""
    assert size_words(size) == words


def test_quiet_says_nothing(context: Context, capsys: pytest.CaptureFixture[str]) -> None:
    """With --quiet no event makes a sound, nor a bar."""
    narrator = Narrator(replace(context, quiet=True))
    for event in EXAMPLES:
        narrator(event)
    narrator.close()
    assert capsys.readouterr().err == ""


def test_the_same_words_are_said_once_in_a_row(context: Context, capsys: pytest.CaptureFixture[str]) -> None:
    """An Emitter that waits for a minute fills no screen; other words in between are news again."""
    narrator = Narrator(context)
    refused, timeout = (events.Waiting("tcp://h:1", reason) for reason in ("connection refused", "no answer"))
    for event in (refused, refused, refused, timeout, timeout, refused):
        narrator(event)
    narrator.close()
    assert capsys.readouterr().err.splitlines() == [
        "selo: waiting: connection refused",
        "selo: waiting: no answer",
        "selo: waiting: connection refused",
    ]


def test_progress_without_a_terminal_is_a_line_now_and_then(
    context: Context, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log gets a line in each interval, not one for each ACK."""
    now = 1000.0
    monkeypatch.setattr(report.time, "monotonic", lambda: now)
    narrator = Narrator(context)
    for second in range(12):
        now = 1000.0 + second
        narrator._tell(events.Progress(second * 1000, 12_000 if second < 8 else None))  # not by its thread
    narrator.close()
    assert capsys.readouterr().err.splitlines() == ["selo: 5,000 of 12,000 bytes", "selo: 10,000 bytes"]


def test_progress_on_a_terminal_is_a_bar_that_goes_away(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bar is drawn on standard error, makes room for a line, and is closed as often as one likes."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    narrator = Narrator(context)
    narrator(events.Progress(1 << 20, 4 << 20))
    narrator(events.Progress(2 << 20, None))
    narrator(events.Waiting("tcp://h:1", "a line between"))
    narrator(events.Progress(4 << 20, 4 << 20))
    narrator.close()
    narrator.close()
    assert "selo: waiting: a line between\n" in terminal.getvalue()
    assert len(terminal.getvalue()) > len("selo: waiting: a line between\n")


def test_nothing_goes_to_standard_output(context: Context, capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output may be carrying the data."""
    for flags in ({}, {"json": True}, {"verbose": True}):
        narrator = Narrator(replace(context, **flags))
        for event in EXAMPLES:
            narrator(event)
        narrator.close()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err != ""


def test_a_held_terminal_holds_nothing_up(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where standard error takes nothing (Ctrl-S, a full pipe), events are dropped and nobody waits.

    When it takes something again, nothing more is told and the thread ends.
    """
    held = threading.Event()
    told: list[str] = []

    def write_line(line: str) -> None:
        assert held.wait(60)
        told.append(line)

    monkeypatch.setattr(report, "write_error_line", write_line)
    monkeypatch.setattr(report, "LAST_WORDS", 0.1)
    before = set(threading.enumerate())
    narrator = Narrator(replace(context, verbose=True))
    for _ in range(10):
        for event in EXAMPLES:
            for _ in range(WAITING_EVENTS // len(EXAMPLES)):
                narrator(event)
    narrator.close()
    assert not held.is_set()
    held.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
        assert not thread.is_alive()
    assert len(told) < 10


def test_a_broken_terminal_breaks_nothing(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where drawing fails, the telling ends and the delivery does not hear of it."""

    def broken(_self: Narrator, _event: events.Event) -> None:
        raise OSError

    monkeypatch.setattr(Narrator, "_tell", broken)
    narrator = Narrator(context)
    for _ in range(10 * WAITING_EVENTS):
        narrator(EXAMPLES[0])
    narrator.close()
