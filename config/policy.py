"""What a peer may deliver, and how it is taken: the settings of a Receiver, and what differs for one peer.

A field of ``PeerPolicy`` that is set comes before the setting `receive_...` of its name, wherever that
was said: on the line, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from selo.config.limits import LIMITS
from selo.config.quantities import show_size

if TYPE_CHECKING:
    from selo.config.peer import Peer
    from selo.config.settings import Settings

T = TypeVar("T")

UNLIMITED: Final = 2**63 - 1
"""A peer's limit that is none, whatever the settings say: no delivery can announce more."""

OF_SETTINGS: Final = "receive_"
"""What stands before a field's name in the name of its setting."""


class Names(StrEnum):
    """Which names of a delivery's items are taken."""

    PLAIN = "plain"
    PORTABLE = "portable"
    ANY = "any"


class Overwrite(StrEnum):
    """What becomes of a delivery whose name is taken: it is refused, stored under another, or replaces."""

    NEVER = "never"
    RENAME = "rename"
    REPLACE = "replace"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How the deliveries of one peer are taken. Sizes are bytes, None where there is no limit.

    ``into`` is None where a run has one output for all. ``folders``: trees are taken, not only single files
    and streams. ``keep_free`` is what must stay free on the disk. ``rate`` is bytes per second.
    """

    into: Path | None
    folders: bool
    max_bytes: int | None
    max_items: int | None
    keep_free: int
    names: Names
    overwrite: Overwrite
    rate: int | None

    def refuse(self, *, tree: bool, size: int | None, items: int | None) -> str | None:
        """Why a delivery is not taken, in words for its Emitter too, as far as its offer tells; else None.

        ``size`` (bytes) and ``items`` are what it announces, None where it does not know.
        """
        if tree and not self.folders:
            return "folders and several files at once are not taken here"
        if self.max_bytes is not None and size is not None and size > self.max_bytes:
            return f"it is of {show_size(size)}, and at most {show_size(self.max_bytes)} is taken here"
        if self.max_items is not None and items is not None and items > self.max_items:
            return f"it has {items} items, and at most {self.max_items} are taken here"
        return None


@dataclass(frozen=True, kw_only=True)
class PeerPolicy:
    """What the operator said of one peer: the fields of ``Policy``, None where it is as the settings say.

    ``into`` is absolute: whoever receives later may stand in another folder. ``max_bytes``, ``max_items``
    and ``rate`` are ``UNLIMITED`` where the peer has no limit although the settings have one.
    """

    into: Path | None = None
    folders: bool | None = None
    max_bytes: int | None = None
    max_items: int | None = None
    keep_free: int | None = None
    names: Names | None = None
    overwrite: Overwrite | None = None
    rate: int | None = None

    def as_json(self) -> dict[str, object]:
        """What is set, in JSON's types: as ``from_json`` reads it."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        plain = {name: str(value) if name == "into" else value for name, value in values.items()}
        return {name: plain[name] for name, value in values.items() if value is not None}

    @classmethod
    def from_json(cls, entry: object) -> PeerPolicy:
        """The policy that ``as_json`` made ``entry`` of.

        Raises:
            ValueError: it made no such thing; the words say what is wrong.
        """
        if not isinstance(entry, dict) or not entry:
            raise ValueError("a policy is an object that is not empty")
        for name in entry:
            if name not in _CHECKS:
                raise ValueError("a policy has an unknown field")
        return cls(**{name: _CHECKS[name](value) for name, value in entry.items()})


AS_SETTINGS: Final = PeerPolicy()
"""Of whom nothing was said."""


def policy_for(settings: Settings, peer: Peer) -> Policy:
    """How the deliveries of ``peer`` are taken in a run with these settings.

    A run with one output takes everybody's deliveries there, whatever folder a peer has.
    """
    said = peer.policy
    return Policy(
        into=None if settings.receive_output is not None else _first(said.into, settings.receive_into),
        folders=_first(said.folders, settings.receive_folders),
        max_bytes=_limit(_first(said.max_bytes, settings.receive_max_bytes)),
        max_items=_limit(_first(said.max_items, settings.receive_max_items)),
        keep_free=_first(said.keep_free, settings.receive_keep_free),
        names=_first(said.names, settings.receive_names),
        overwrite=_first(said.overwrite, settings.receive_overwrite),
        rate=_limit(_first(said.rate, settings.receive_rate)),
    )


def _first(said: T | None, otherwise: T) -> T:
    return otherwise if said is None else said


def _limit(value: int | None) -> int | None:
    return None if value == UNLIMITED else value


def _into(value: object) -> Path:
    if not isinstance(value, str) or "\0" in value or not Path(value).is_absolute():
        raise ValueError("into is an absolute path")
    return Path(value)


def _folders(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("folders is true or false")
    return value


def _number(name: str, *, unlimited: bool) -> Callable[[object], int]:
    limit = LIMITS[f"{OF_SETTINGS}{name}"]

    def check(value: object) -> int:
        if type(value) is not int or not (  # True is an int as well
            limit.low <= value <= limit.high or (unlimited and value == UNLIMITED)
        ):
            raise ValueError(f"{name} is a whole number in its range")
        return value

    return check


def _word(name: str, words: type[Names] | type[Overwrite]) -> Callable[[object], Names | Overwrite]:
    def check(value: object) -> Names | Overwrite:
        if not isinstance(value, str) or value not in {*words}:
            raise ValueError(f"{name} is one of {', '.join(words)}")
        return words(value)

    return check


_CHECKS: Final[Mapping[str, Callable[[object], Any]]] = {
    "into": _into,
    "folders": _folders,
    "max_bytes": _number("max_bytes", unlimited=True),
    "max_items": _number("max_items", unlimited=True),
    "keep_free": _number("keep_free", unlimited=False),
    "names": _word("names", Names),
    "overwrite": _word("overwrite", Overwrite),
    "rate": _number("rate", unlimited=True),
}
