"""Lines of --json, for the tests of the commands."""

from __future__ import annotations

import json
import time
from typing import Any

from selo.agents.cli.streams import EVENTS_VERSION


def event_of(line: str) -> dict[str, Any]:
    """The event of one line, without the two fields that every line has; those are checked here."""
    event = json.loads(line)
    assert list(event)[:3] == ["event", "v", "time"]
    assert event.pop("v") == EVENTS_VERSION
    assert abs(time.time() - event.pop("time")) < 600
    return event
