"""What can be set: every setting's name, default, form, reason, flag and variable, in the order shown."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from selo.config.home import PATH_FORM, is_name, parse_path
from selo.config.limits import LIMITS, RECEIVE_ADDRESS, Limit, Unit
from selo.config.quantities import (
    COUNT_FORM,
    DURATION_FORM,
    SIZE_FORM,
    SWITCH_FORM,
    parse_count,
    parse_duration,
    parse_size,
    parse_switch,
    show_duration,
    show_size,
)
from selo.crypto.suites import CLASSIC, SUITES

ENVIRONMENT_PREFIX = "SELO_"
ENDLESS = "forever"
NOTHING = "-"
STANDARD_OUTPUT = "-"


@dataclass(frozen=True)
class Setting:
    """One setting. ``parse`` raises ValueError for what is not ``expected``.

    ``option`` is its flag with the command that has it (`receive --bind`), or nothing where there is no flag.
    ``show`` writes a value that is neither None nor empty, in a form that ``parse`` reads.
    """

    name: str
    default: Any
    expected: str
    reason: str
    parse: Callable[[object], Any]
    show: Callable[[Any], str] = str
    option: str = ""
    unit: str = ""
    endless: bool = False

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return ENVIRONMENT_PREFIX + self.name.upper()

    @property
    def flag(self) -> str:
        """Its flag without the command, or nothing."""
        return self.option.rpartition(" ")[2]

    @property
    def ways(self) -> tuple[str, ...]:
        """Everything that sets it, the nearest source first."""
        ways = (f"`{self.option}`" if self.option else "", self.variable, f"`{self.name}` in config.toml")
        return tuple(filter(None, ways))

    def in_words(self, value: Any) -> str:
        """A value as a person writes it; `-` where there is none."""
        if value is None:
            return ENDLESS if self.endless else NOTHING
        return self.show(value) if value != () else NOTHING


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The likely one of ``known`` where ``name`` is none of them."""
    return next(iter(difflib.get_close_matches(name, known, n=1)), None)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError(value)
    return value


def _suite(value: object) -> str:
    if _text(value) not in SUITES:
        raise ValueError(value)
    return _text(value)


def _path(value: object) -> Path:
    return parse_path(_text(value))


def _output(value: object) -> str:
    text = _text(value)
    parse_path(text)
    return os.path.expanduser(text)  # not as a Path: `./-` is a file, and `-` is none


def _name(value: object) -> str:
    if not is_name(_text(value)):
        raise ValueError(value)
    return _text(value)


def _names(value: object) -> tuple[str, ...]:
    parts = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not parts:
        raise ValueError(value)
    return tuple(dict.fromkeys(map(_name, parts)))


def _switch(name: str, reason: str, option: str) -> Setting:
    return Setting(
        name, False, SWITCH_FORM, reason, parse_switch, lambda value: str(value).lower(), option=option
    )


def _of_limit(limit: Limit, option: str = "") -> Setting:
    parse, form, show = _READERS[limit.unit]
    expected = f"{form}, from {show(limit.low)} to {show(limit.high)}"
    if limit.endless:
        expected += f", or `{ENDLESS}`"

    def parse_in_range(value: object) -> float | None:
        if limit.endless and value == ENDLESS:
            return None
        number = parse(value)
        if not limit.low <= number <= limit.high:
            raise ValueError(value)
        return number

    return Setting(
        limit.name,
        limit.default,
        expected,
        limit.reason,
        parse_in_range,
        show,
        option=option,
        unit=limit.unit.value,
        endless=limit.endless,
    )


_READERS: Final[dict[Unit, tuple[Callable[[object], float], str, Callable[[Any], str]]]] = {
    Unit.SECONDS: (parse_duration, DURATION_FORM, show_duration),
    Unit.BYTES: (parse_size, SIZE_FORM, show_size),
    Unit.RECORDS: (parse_count, COUNT_FORM, str),
}
_ADDRESS = "an address such as tcp://127.0.0.1:7800 or ipc:///run/selo/bob"

_GENERAL = (
    Setting(
        "suite",
        CLASSIC.name,
        f"one of {', '.join(SUITES)}",
        "the set of algorithms: both sides choose the same",
        _suite,
        option="--suite",
    ),
    Setting(
        "passphrase_file",
        None,
        PATH_FORM,
        "its first line is the passphrase of the private identity; none: the identity is not encrypted",
        _path,
        option="--passphrase-file",
    ),
    _switch("json", "events, warnings and errors as one JSON object a line, for programs", "--json"),
    _switch("quiet", "results and errors only, no warnings", "--quiet"),
    _switch("verbose", "say more about what happens", "--verbose"),
)
_RECEIVE = (
    Setting(
        "receive_bind",
        RECEIVE_ADDRESS,
        _ADDRESS,
        "where `receive` listens; the default is for this machine alone",
        _text,
        option="receive --bind",
    ),
    Setting(
        "receive_connect",
        None,
        _ADDRESS,
        "where `receive` finds an Emitter that listens; instead of listening itself",
        _text,
        option="receive --connect",
    ),
    Setting(
        "receive_from",
        (),
        'names of peers, as in "alice,bob" or ["alice", "bob"]',
        "who may deliver, and nobody else; none: everybody whom `trust add --may-send` allowed",
        _names,
        ",".join,
        option="receive --from",
    ),
    Setting(
        "receive_into",
        Path("."),
        PATH_FORM,
        "the folder that deliveries go into, under the name that the sender gives",
        _path,
        option="receive --into",
    ),
    Setting(
        "receive_output",
        None,
        f"a path, or `{STANDARD_OUTPUT}` for standard output",
        "the one file that a delivery goes to, instead of into a folder",
        _output,
        option="receive --output",
    ),
    _switch("receive_overwrite", "replace a file that exists", "receive --overwrite"),
    _switch(
        "receive_hold",
        "hold a stream back on disk until its end is known to be good, then hand it on; "
        "for standard output and special files (other files always wait for the end)",
        "receive --hold",
    ),
    _of_limit(LIMITS["hold_limit"], "receive --hold-limit"),
    _of_limit(LIMITS["receive_wait"], "receive --wait"),
)
_EMIT = (
    Setting(
        "emit_to",
        None,
        "the name of a peer",
        "whom `emit` sends to: whoever else answers is refused",
        _name,
        option="emit --to",
    ),
    Setting(
        "emit_connect", None, _ADDRESS, "where the Receiver of `emit` listens", _text, option="emit --connect"
    ),
    Setting(
        "emit_bind",
        None,
        _ADDRESS,
        "where `emit` listens for a Receiver that connects; instead of connecting itself",
        _text,
        option="emit --bind",
    ),
    _of_limit(LIMITS["emit_wait"], "emit --wait"),
    _of_limit(LIMITS["record_size"], "emit --record-size"),
)

_DECLARED = (*_GENERAL, *_RECEIVE, *_EMIT)
_REST = tuple(
    _of_limit(limit) for name, limit in LIMITS.items() if name not in {each.name for each in _DECLARED}
)

CATALOGUE: Final[dict[str, Setting]] = {setting.name: setting for setting in (*_DECLARED, *_REST)}
