"""The page for programs says what the events are, and nothing else."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from selo.agents import events
from selo.agents.cli.streams import EVENTS_VERSION

ALWAYS = {"event", "v", "time"}


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    """The text."""
    return (root / "docs" / "events.md").read_text()


@pytest.fixture(scope="module")
def rows(page: str) -> dict[str, str]:
    """The fields' cell of each event of a delivery, by its name."""
    table = page.split("\n## A delivery\n")[1].split("\n## ")[0]
    found = re.findall(r"^\| `([a-z-]+)` \| [^|]+ \| ([^|]+) \|$", table, re.M)
    assert len(dict(found)) == len(found)
    return dict(found)


def fields_in(cell: str) -> list[str]:
    """The fields that a cell names; what stands in backticks after "same" is another event's."""
    return re.findall(r"(?:^|; )`([a-z0-9_]+)`", cell)


def test_every_event_is_a_row_and_every_row_an_event(rows: dict[str, str]) -> None:
    """No more and no less."""
    assert set(rows) == {event.name for event in events.Event.__subclasses__()}


@pytest.mark.parametrize("event", events.Event.__subclasses__(), ids=lambda event: event.name)
def test_every_row_has_exactly_the_fields_of_its_event(
    event: type[events.Event], rows: dict[str, str]
) -> None:
    """Each field once, and none that there is not."""
    assert sorted(fields_in(rows[event.name])) == sorted(field.name for field in fields(event))


@pytest.mark.parametrize("event", events.Event.__subclasses__(), ids=lambda event: event.name)
def test_no_field_is_called_as_what_every_line_has(event: type[events.Event]) -> None:
    """It would take its place."""
    assert not ALWAYS & {field.name for field in fields(event)}


def test_every_line_has_what_the_page_says(page: str) -> None:
    """The name, the version of the page, the time; and the version is that of the code."""
    table = page.split("Every line has\n")[1].split("\n## ")[0]
    told = dict(re.findall(r"^\| `([a-z]+)` \| ([^|]+) \|$", table, re.M))
    assert set(told) == ALWAYS
    assert told["v"].startswith(f"{EVENTS_VERSION}:")


def test_everything_else_has_its_fields(page: str) -> None:
    """What is no event of a delivery: how a command ends, and what is likely a mistake."""
    table = page.split("\n## Everything else\n")[1]
    told = dict(re.findall(r"^\| `([a-z]+)` \| ([^|]+) \|$", table, re.M))
    assert {name: set(fields_in(cell)) for name, cell in told.items()} == {
        "error": {"status", "message", "hint"},
        "warning": {"message"},
    }
