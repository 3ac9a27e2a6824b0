"""One frozen model of every setting: defaults < the home's config.toml < SELO_* < flags.

What there is to set stands in config/catalogue.py. A value is checked where it was read, so an error can
name that place; how the values fit together is checked once, at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from selo.config.catalogue import CATALOGUE, DELIVERY_PREFIX, ENVIRONMENT_PREFIX, nearest
from selo.config.choices import Chosen, Origin, Source, settle
from selo.config.errors import SettingRefused, UnknownSetting
from selo.config.files import read_file
from selo.config.home import HOME_VARIABLE, Home
from selo.config.policy import Names, Overwrite


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an operator decides. Durations are seconds, sizes bytes, rates bytes a second (None: without end).

    Of ``receive_bind`` and ``receive_connect`` one is None, and so is one of ``receive_into`` and
    ``receive_output`` (`-`: standard output); of ``emit_connect`` and ``emit_bind`` one is, or both are.
    ``receive_from`` is empty where everybody may deliver who may send; of what each of them may
    deliver these are the defaults (config/policy.py). ``receive_exec`` is quoted as for a shell. The reasons
    for all of them stand in config/catalogue.py, those for the numbers in config/limits.py.
    """

    suite: str
    passphrase_file: Path | None
    json: bool
    quiet: bool
    verbose: bool
    receive_bind: str | None
    receive_connect: str | None
    receive_from: tuple[str, ...]
    receive_into: Path | None
    receive_output: str | None
    receive_overwrite: Overwrite
    receive_names: Names
    receive_folders: bool
    receive_max_bytes: int | None
    receive_max_items: int | None
    receive_keep_free: int
    receive_rate: int | None
    receive_no_fsync: bool
    receive_hold: bool
    hold_limit: int
    receive_wait: float | None
    resume_window: float
    keep_partial: float
    receive_forever: bool
    receive_exec: str | None
    emit_to: str | None
    emit_connect: str | None
    emit_bind: str | None
    emit_wait: float | None
    retry_for: float | None
    resume_buffer: int
    emit_rate: int | None
    emit_digest: str
    record_size: int
    window_bytes: int
    window_records: int
    first_message_deadline: float
    handshake_deadline: float
    ping_interval: float
    idle_limit: float
    close_grace: float
    retry_min: float
    retry_max: float
    message_max: int


@dataclass(frozen=True)
class Loaded:
    """The settings of one run, and where each of them came from, by name.

    ``has_file`` is whether there is a settings file. ``unknown`` are the variables that look like settings
    and are none, each with the likely one or None.
    """

    settings: Settings
    origins: Mapping[str, Origin]
    has_file: bool
    unknown: tuple[tuple[str, str | None], ...]


def load_settings(
    home: Home | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> Settings:
    """The settings of one run, as for ``load``, without where they came from."""
    return load(home, environ, flags).settings


def load(
    home: Home | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> Loaded:
    """The settings of one run, and where they came from.

    Arguments:
        home: its config.toml is read, where it has one; empty texts count as not set.
        environ: `SELO_RECORD_SIZE` and so on; empty values count as not set.
        flags: by the setting's name (`record_size`), as text or a value; None counts as not set.

    Raises:
        UsageError: a value, key or combination that cannot be meant, named with where it was read.
        LocalFault: the settings file cannot be read.
    """
    environ = environ or {}
    defaults = {
        name: Chosen(setting.default, Origin(Source.DEFAULT, name)) for name, setting in CATALOGUE.items()
    }
    in_file = _from_file(home) if home is not None else None
    chosen = settle((defaults, in_file or {}, _from_environment(environ), _from_flags(flags or {})))
    _check_together(chosen)
    return Loaded(
        settings=Settings(**{name: each.value for name, each in chosen.items()}),
        origins={name: each.origin for name, each in chosen.items()},
        has_file=in_file is not None,
        unknown=_unknown_variables(environ),
    )


def _from_file(home: Home) -> dict[str, Chosen] | None:
    path = home.settings_file
    try:
        data = read_file(path)
    except FileNotFoundError:
        return None
    home.require_private()
    from selo.config.settings_file import SettingsFile

    file = SettingsFile.parse(path, data)
    for key in file.values:
        if key not in CATALOGUE:
            raise UnknownSetting(f"{path} line {file.line_of(key)}", key, nearest(key, CATALOGUE))
    return {
        key: _read(Origin(Source.FILE, key, file), value) for key, value in file.values.items() if value != ""
    }


def _from_environment(environ: Mapping[str, str]) -> dict[str, Chosen]:
    return {
        name: _read(Origin(Source.ENVIRONMENT, name), environ[setting.variable])
        for name, setting in CATALOGUE.items()
        if environ.get(setting.variable)
    }


def _from_flags(flags: Mapping[str, object]) -> dict[str, Chosen]:
    for name in flags:
        if name not in CATALOGUE:
            raise UnknownSetting("a flag", name, nearest(name, CATALOGUE))
    return {
        name: _read(Origin(Source.FLAG, name), value) for name, value in flags.items() if value is not None
    }


def _read(origin: Origin, value: object) -> Chosen:
    setting = CATALOGUE[origin.name]
    try:
        return Chosen(setting.parse(value), origin)
    except ValueError:
        raise SettingRefused(origin.place, value, setting.expected) from None


def _check_together(chosen: Mapping[str, Chosen]) -> None:
    for smaller, larger, times, words in (
        ("record_size", "window_bytes", 1, "what"),
        ("first_message_deadline", "handshake_deadline", 1, "what"),
        ("ping_interval", "idle_limit", 2, "twice what"),
        ("retry_min", "retry_max", 1, "what"),
        # Else another `receive` that starts would remove what this one still waits for.
        ("resume_window", "keep_partial", 1, "what"),
    ):
        low, high = chosen[smaller], chosen[larger]
        if times * low.value > high.value:
            low_words, high_words = (CATALOGUE[each.origin.name].in_words(each.value) for each in (low, high))
            raise SettingRefused(
                f"{larger} ({high.origin})",
                high_words,
                f"at least {words} {smaller} is ({low_words}, {low.origin})",
            )


def _unknown_variables(environ: Mapping[str, str]) -> tuple[tuple[str, str | None], ...]:
    known = {HOME_VARIABLE, *(setting.variable for setting in CATALOGUE.values())}
    unknown = sorted(
        name
        for name in environ
        if name.startswith(ENVIRONMENT_PREFIX) and not name.startswith(DELIVERY_PREFIX) and name not in known
    )
    return tuple((name, nearest(name, known)) for name in unknown)
