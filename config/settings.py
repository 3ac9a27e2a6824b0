"""One frozen model of every setting: defaults < the home's config.toml < SELO_* < flags.

A value is checked where it was read, so an error can name that place; how the
values fit together is checked once, at the end.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selo.config.errors import SettingRefused, SettingsFileRefused, UnknownSetting
from selo.config.files import read_file
from selo.config.home import PATH_FORM, Home, parse_path
from selo.config.limits import LIMITS, LISTEN_ADDRESS, Limit, Unit
from selo.config.quantities import (
    COUNT_FORM,
    DURATION_FORM,
    SIZE_FORM,
    parse_count,
    parse_duration,
    parse_size,
    show_duration,
    show_size,
)
from selo.crypto.suites import CLASSIC, SUITES

ENVIRONMENT_PREFIX = "SELO_"
ENDLESS = "forever"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an operator decides. Durations are seconds (None: without end), sizes are bytes.

    The reasons for the numbers stand beside their defaults in config/limits.py.
    """

    suite: str
    listen: str
    passphrase_file: Path | None
    record_size: int
    window_bytes: int
    window_records: int
    first_message_deadline: float
    handshake_deadline: float
    ping_interval: float
    idle_limit: float
    close_grace: float
    emit_wait: float | None
    receive_wait: float | None
    retry_min: float
    retry_max: float


def load_settings(
    home: Home | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> Settings:
    """The settings of one run.

    Arguments:
        home: its config.toml is read, where it has one.
        environ: `SELO_RECORD_SIZE` and so on; empty values count as not set.
        flags: by the setting's name (`record_size`), as text or a number; None counts as not set.

    Raises:
        UsageError: a value, key or combination that cannot be meant, named with where it was read.
        LocalFault: the settings file cannot be read.
    """
    values = {name: setting.default for name, setting in _SETTINGS.items()}
    if home is not None:
        values |= _from_file(home)
    values |= _from_environment(environ or {})
    values |= _from_flags(flags or {})
    settings = Settings(**values)
    _check_together(settings)
    return settings


@dataclass(frozen=True)
class _Setting:
    """How one setting is read: ``parse`` raises ValueError for what is not ``expected``."""

    name: str
    default: Any
    expected: str
    parse: Callable[[object], object]
    flag: str = ""

    def read(self, source: str, value: object) -> object:
        try:
            return self.parse(value)
        except ValueError:
            raise SettingRefused(source, value, self.expected) from None


def _from_file(home: Home) -> dict[str, object]:
    path = home.settings_file
    try:
        text = read_file(path)
    except FileNotFoundError:
        return {}
    home.require_private()
    values = {}
    for key, value in _parse_toml(path, text).items():
        if key not in _SETTINGS:
            raise UnknownSetting(path, key, _nearest(key, _SETTINGS))
        values[key] = _SETTINGS[key].read(f"{key} in {path}", value)
    return values


def _parse_toml(path: Path, text: bytes) -> dict[str, object]:
    import tomllib  # only the few who have a settings file pay for it

    try:
        return tomllib.loads(text.decode())
    except ValueError as error:  # also what undecodable bytes raise
        raise SettingsFileRefused(path, str(error)) from None


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    named = ((name, ENVIRONMENT_PREFIX + name.upper()) for name in _SETTINGS)
    return {
        name: _SETTINGS[name].read(variable, environ[variable])
        for name, variable in named
        if environ.get(variable)
    }


def _from_flags(flags: Mapping[str, object]) -> dict[str, object]:
    given = {name: value for name, value in flags.items() if value is not None}
    return {name: _SETTINGS[name].read(_SETTINGS[name].flag or name, value) for name, value in given.items()}


def _check_together(settings: Settings) -> None:
    for smaller, larger, times, words in (
        ("record_size", "window_bytes", 1, "what"),
        ("first_message_deadline", "handshake_deadline", 1, "what"),
        ("ping_interval", "idle_limit", 2, "twice what"),
        ("retry_min", "retry_max", 1, "what"),
    ):
        low, high = getattr(settings, smaller), getattr(settings, larger)
        if times * low > high:
            raise SettingRefused(larger, high, f"at least {words} {smaller} is ({low})")


def _nearest(key: str, known: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(key, known, n=1)), None)


def _of_limit(limit: Limit) -> _Setting:
    parse, form, show = _READERS[limit.unit]
    expected = f"{form} from {show(limit.low)} to {show(limit.high)}"
    if limit.endless:
        expected += f", or `{ENDLESS}`"

    def parse_in_range(value: object) -> float | None:
        if limit.endless and value == ENDLESS:
            return None
        number = parse(value)
        if not limit.low <= number <= limit.high:
            raise ValueError(value)
        return number

    return _Setting(limit.name, limit.default, expected, parse_in_range, _FLAGS.get(limit.name, ""))


def _parse_suite(value: object) -> str:
    if not isinstance(value, str) or value not in SUITES:
        raise ValueError(value)
    return value


def _parse_text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(value)
    return value


def _parse_path(value: object) -> Path:
    return parse_path(_parse_text(value))


_READERS: dict[Unit, tuple[Callable[[object], float], str, Callable[[Any], str]]] = {
    Unit.SECONDS: (parse_duration, DURATION_FORM, show_duration),
    Unit.BYTES: (parse_size, SIZE_FORM, show_size),
    Unit.RECORDS: (parse_count, COUNT_FORM, lambda count: f"{count}"),
}
_FLAGS = {"record_size": "--record-size", "emit_wait": "--wait", "receive_wait": "--wait"}
_SETTINGS: dict[str, _Setting] = {
    "suite": _Setting("suite", CLASSIC.name, f"one of {', '.join(SUITES)}", _parse_suite, "--suite"),
    "listen": _Setting(
        "listen", LISTEN_ADDRESS, "an address such as tcp://127.0.0.1:7800", _parse_text, "--bind"
    ),
    "passphrase_file": _Setting("passphrase_file", None, PATH_FORM, _parse_path, "--passphrase-file"),
    **{name: _of_limit(limit) for name, limit in LIMITS.items()},
}
