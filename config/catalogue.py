"""What can be set: every setting's name, default, form, reason, flag and variable, in the order shown."""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from selo.config.home import PATH_FORM, is_name, parse_path
from selo.config.limits import LIMITS, RECEIVE_ADDRESS, Limit, Unit
from selo.config.policy import Names, Overwrite
from selo.config.quantities import (
    COUNT_FORM,
    DURATION_FORM,
    RATE_FORM,
    SIZE_FORM,
    SWITCH_FORM,
    parse_count,
    parse_duration,
    parse_rate,
    parse_size,
    parse_switch,
    show_duration,
    show_rate,
    show_size,
)
from selo.crypto.suites import CLASSIC, SUITES

ENVIRONMENT_PREFIX = "SELO_"
DELIVERY_PREFIX = "SELO_DELIVERY_"
"""What `receive --exec` tells the command that it runs: variables of ours that are no settings."""
NOTHING = "-"
STANDARD_OUTPUT = "-"
DIGESTS = ("blake3", "sha256")


@dataclass(frozen=True)
class Setting:
    """One setting. ``parse`` raises ValueError for what is not ``expected``.

    ``option`` is its flag with the command that has it (`receive --bind`), or nothing where there is no flag.
    ``show`` writes a value that is neither None nor empty, in a form that ``parse`` reads. ``endless`` is
    the word for None where that means "without end".
    """

    name: str
    default: Any
    expected: str
    reason: str
    parse: Callable[[object], Any]
    show: Callable[[Any], str] = str
    option: str = ""
    unit: str = ""
    endless: str = ""

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
            return self.endless or NOTHING
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


def _command(value: object) -> str:
    if not shlex.split(_text(value)):  # itself raises ValueError for a quotation without an end
        raise ValueError(value)
    return _text(value)


def _overwrite(value: object) -> Overwrite:
    try:  # as it was said before there was a third way
        return Overwrite.REPLACE if parse_switch(value) else Overwrite.NEVER
    except ValueError:
        return Overwrite(_text(value))


def _names_rule(value: object) -> Names:
    return Names(_text(value))


def _digest(value: object) -> str:
    if _text(value) not in DIGESTS:
        raise ValueError(value)
    return _text(value)


def _switch(name: str, reason: str, option: str, *, default: bool = False) -> Setting:
    return Setting(
        name, default, SWITCH_FORM, reason, parse_switch, lambda value: str(value).lower(), option=option
    )


def _of_limit(limit: Limit, option: str = "") -> Setting:
    parse, form, show = _READERS[limit.unit]
    expected = f"{form}, from {show(limit.low)} to {show(limit.high)}"
    endless = ("forever" if limit.unit is Unit.SECONDS else "unlimited") if limit.endless else ""
    if endless:
        expected += f", or `{endless}`"

    def parse_in_range(value: object) -> float | None:
        if endless and value == endless:
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
        endless=endless,
    )


_READERS: Final[dict[Unit, tuple[Callable[[object], float], str, Callable[[Any], str]]]] = {
    Unit.SECONDS: (parse_duration, DURATION_FORM, show_duration),
    Unit.BYTES: (parse_size, SIZE_FORM, show_size),
    Unit.RECORDS: (parse_count, COUNT_FORM, str),
    Unit.ITEMS: (parse_count, COUNT_FORM, str),
    Unit.RATE: (parse_rate, RATE_FORM, show_rate),
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
    Setting(
        "receive_overwrite",
        Overwrite.NEVER,
        f"one of {', '.join(Overwrite)}",
        "what becomes of a delivery whose name is taken: it is refused (never), gets another name "
        "(rename, `receive --rename`) or takes the place (replace)",
        _overwrite,
        option="receive --overwrite",
    ),
    Setting(
        "receive_names",
        Names.PLAIN,
        f"one of {', '.join(Names)}",
        "which names of files are taken: those that harm no terminal (plain), those that every system can "
        "store (portable), or whatever a file can be called here (any)",
        _names_rule,
        option="receive --names",
    ),
    _switch(
        "receive_folders",
        "take folders and several files at once, and not only single files and streams",
        "receive --no-folders",
        default=True,
    ),
    _of_limit(LIMITS["receive_max_bytes"], "receive --max-bytes"),
    _of_limit(LIMITS["receive_max_items"], "receive --max-items"),
    _of_limit(LIMITS["receive_keep_free"], "receive --keep-free"),
    _of_limit(LIMITS["receive_rate"], "receive --rate"),
    _switch(
        "receive_no_fsync",
        "do not wait for the disk before the receipt: faster, and a power cut may take what was receipted",
        "receive --no-fsync",
    ),
    _switch(
        "receive_hold",
        "hold a stream back on disk until its end is known to be good, then hand it on; "
        "for standard output and special files (other files always wait for the end)",
        "receive --hold",
    ),
    _of_limit(LIMITS["hold_limit"], "receive --hold-limit"),
    _of_limit(LIMITS["receive_wait"], "receive --wait"),
    _of_limit(LIMITS["resume_window"], "receive --resume-window"),
    _of_limit(LIMITS["keep_partial"], "receive --keep-partial"),
    _switch("receive_forever", "take one delivery after another, and not one alone", "receive --forever"),
    Setting(
        "receive_exec",
        None,
        "a command and its arguments, quoted as for a shell (no shell runs it)",
        "what to run after each delivery, of which variables tell it: SELO_DELIVERY_PEER and so on",
        _command,
        option="receive --exec",
    ),
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
    _of_limit(LIMITS["retry_for"], "emit --retry-for"),
    _of_limit(LIMITS["resume_buffer"], "emit --resume-buffer"),
    _of_limit(LIMITS["emit_rate"], "emit --rate"),
    Setting(
        "emit_digest",
        DIGESTS[0],
        f"one of {', '.join(DIGESTS)}",
        "which digests the receipt names of each item: sha256 adds that one, for lists that others keep",
        _digest,
        option="emit --digest",
    ),
    _of_limit(LIMITS["record_size"], "emit --record-size"),
)

_DECLARED = (*_GENERAL, *_RECEIVE, *_EMIT)
_REST = tuple(
    _of_limit(limit) for name, limit in LIMITS.items() if name not in {each.name for each in _DECLARED}
)

CATALOGUE: Final[dict[str, Setting]] = {setting.name: setting for setting in (*_DECLARED, *_REST)}
