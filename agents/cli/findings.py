"""What `selo doctor` finds: one fact each, and for what is not well the command that mends it.

Nothing of ours is imported but the errors: a finding can be told where everything else is broken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from selo.errors import MisuseError, SeloError


class Level(Enum):
    """How much a finding matters; only a PROBLEM makes the exit status 1."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """What was seen of ``subject``; ``fix`` is what to type, empty if and only if all is well.

    Raises:
        MisuseError: all is well and there is a fix, or the other way round.
    """

    subject: str
    level: Level
    seen: str
    fix: str = ""

    def __post_init__(self) -> None:
        if (self.level is Level.OK) == bool(self.fix):
            raise MisuseError(f"a finding about {self.subject} of level {self.level.value}, fix {self.fix!r}")


def ok(subject: str, seen: str) -> Finding:
    """All is well."""
    return Finding(subject, Level.OK, seen)


def note(subject: str, seen: str, fix: str) -> Finding:
    """Good to know."""
    return Finding(subject, Level.NOTE, seen, fix)


def warning(subject: str, seen: str, fix: str) -> Finding:
    """Likely a mistake, and Selo works."""
    return Finding(subject, Level.WARNING, seen, fix)


def problem(subject: str, seen: str, fix: str) -> Finding:
    """Something that Selo needs does not work."""
    return Finding(subject, Level.PROBLEM, seen, fix)


def guarded(subject: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """The same findings; whatever stops the looking becomes the last one."""
    try:
        yield from findings
    except SeloError as error:
        yield problem(subject, str(error), error.hint or "selo --help")
    except Exception as error:
        words = f"could not be looked at: {type(error).__name__}: {error}"
        yield problem(subject, words, "report this as a bug in Selo, with what `selo --version` says")
