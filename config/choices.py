"""Which of several sources decides: the nearer one, and it decides a whole choice.

`--bind` on the line replaces a ``receive_connect`` of the file: both say how to meet. Two values of one
source that cannot both be meant are an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

from selo.config.catalogue import CATALOGUE, STANDARD_OUTPUT
from selo.config.errors import SettingsContradict
from selo.config.policy import Overwrite

if TYPE_CHECKING:
    from selo.config.settings_file import SettingsFile  # brings a parser that most runs do not need


class Source(IntEnum):
    """Where a value can come from; the greater is the nearer."""

    DEFAULT = 0
    FILE = 1
    ENVIRONMENT = 2
    FLAG = 3


@dataclass(frozen=True)
class Origin:
    """Where the value of the setting ``name`` came from, or what overruled the one that came from there.

    ``file`` is the settings file where that is the source. ``str()`` is short (`config.toml line 3`);
    ``place`` is long enough for an error.
    """

    source: Source
    name: str
    file: SettingsFile | None = None
    overruled_by: Origin | None = None

    def __str__(self) -> str:
        if self.overruled_by is not None:
            return f"{replace(self, overruled_by=None)}, overruled by {self.overruled_by}"
        if self.file is not None:
            return f"{self.file.path.name} line {self.file.line_of(self.name)}"
        if self.source is Source.DEFAULT:
            return "default"
        return self._outside

    @property
    def place(self) -> str:
        """The flag, the variable, or the key with its file and line."""
        if self.file is not None:
            return f"{self.name} in {self.file.path} line {self.file.line_of(self.name)}"
        return self.name if self.source is Source.DEFAULT else self._outside

    @property
    def _outside(self) -> str:
        setting = CATALOGUE[self.name]
        return setting.variable if self.source is Source.ENVIRONMENT else setting.flag or self.name


@dataclass(frozen=True)
class Chosen:
    """A value and its origin."""

    value: Any
    origin: Origin


@dataclass(frozen=True)
class Clash:
    """Two settings that cannot both be meant: both say something, and the second says ``at`` if that is set.

    The nearer of the two overrules the other. A first that ``serves`` has a meaning only beside some value
    of the second: it overrules nothing, and is an error if it is nearer than what it contradicts.
    """

    first: str
    second: str
    reason: str
    at: object = None
    serves: bool = False

    def happens(self, values: Mapping[str, Chosen]) -> bool:
        """Whether both are set so."""
        if self.first not in values or self.second not in values:
            return False
        first, second = values[self.first].value, values[self.second].value
        return _says(first) and (_says(second) if self.at is None else second == self.at)


# What a value of the type is that says nothing; of the others that is None.
_NOTHING: Final[dict[type, object]] = {bool: False, Overwrite: Overwrite.NEVER}

CLASHES: Final = (
    Clash("quiet", "verbose", "a command says less or more"),
    Clash("receive_connect", "receive_bind", "a Receiver connects or listens"),
    Clash("emit_connect", "emit_bind", "an Emitter connects or listens"),
    Clash("receive_output", "receive_into", "a delivery goes to one place"),
    Clash(
        "receive_overwrite",
        "receive_output",
        "there is nothing to overwrite on standard output",
        at=STANDARD_OUTPUT,
        serves=True,
    ),
    Clash(
        "receive_forever",
        "receive_output",
        "one output is not for many deliveries",
        serves=True,
    ),
    Clash(
        "receive_hold",
        "receive_into",
        "only standard output and special files need to hold; a file always waits for the end",
        serves=True,
    ),
)


def settle(layers: Iterable[Mapping[str, Chosen]]) -> dict[str, Chosen]:
    """What all sources together say; ``layers`` is one source each, the farthest (the defaults) first.

    Raises:
        SettingsContradict: two values that cannot both be meant, and neither overrules the other.
    """
    settled: dict[str, Chosen] = {}
    for layer in layers:
        for clash in CLASHES:
            if clash.happens(layer):
                raise _contradiction(clash, layer)
        settled |= layer
    for clash in CLASHES:
        if clash.happens(settled):
            _overrule(clash, settled)
    return settled


def _overrule(clash: Clash, settled: dict[str, Chosen]) -> None:
    first, second = settled[clash.first], settled[clash.second]
    if first.origin.source < second.origin.source:
        settled[clash.first] = _nothing(first, second)
    elif not clash.serves:
        settled[clash.second] = _nothing(second, first)
    elif second.origin.source is not Source.DEFAULT:  # a default nobody said: whoever uses the two decides
        raise _contradiction(clash, settled)


def _contradiction(clash: Clash, values: Mapping[str, Chosen]) -> SettingsContradict:
    first, second = values[clash.first].origin, values[clash.second].origin
    return SettingsContradict((first.place, second.place), clash.reason)


def _nothing(loser: Chosen, winner: Chosen) -> Chosen:
    return Chosen(_nothing_like(loser.value), replace(loser.origin, overruled_by=winner.origin))


def _nothing_like(value: object) -> object:
    return _NOTHING.get(type(value))


def _says(value: object) -> bool:
    return value != _nothing_like(value)
