"""The settings: whether config.toml, the environment and the line can be meant together."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping

from selo.agents.cli.findings import Finding, ok, problem, warning
from selo.config.errors import Exposed
from selo.config.home import Home
from selo.config.settings import load
from selo.errors import SeloError

_VARIABLE = re.compile(r"\bSELO_[A-Z_]+\b")


def settings(home: Home | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Iterator[Finding]:
    """What stops the settings, and variables that set nothing. ``home`` is None where it cannot be read."""
    try:
        loaded = load(home, environ, flags)
    except SeloError as error:
        words = f"{error} ({error.hint})" if error.hint else str(error)
        yield problem("settings", words, _fix(error, home, flags))
        return
    for variable, likely in loaded.unknown:
        words = f"{variable} sets nothing" + (f"; did you mean {likely}?" if likely else "")
        yield warning("settings", words, f"unset {variable}")
    said = sum(origin.source.value > 0 for origin in loaded.origins.values())
    there = (
        f"{home.settings_file} reads" if home is not None and loaded.has_file else "there is no config.toml"
    )
    yield ok("settings", f"{there}; {said} of {len(loaded.origins)} are not the default")


def _fix(error: SeloError, home: Home | None, flags: Mapping[str, object]) -> str:
    if isinstance(error, Exposed):
        return f"chmod {error.wanted:o} {shlex.quote(str(error.path))}"
    if home is not None and not _loads(home, {}):
        file = shlex.quote(str(home.settings_file))
        return (
            f"mv {file} {file}.old  # better: edit the line; the other settings of the file are gone with it"
        )
    named = " ".join(dict.fromkeys(_VARIABLE.findall(str(error))))
    return f"unset {named}" if named and _loads(home, flags) else "selo doctor, without the option"


def _loads(home: Home | None, flags: Mapping[str, object]) -> bool:
    """Whether it is the variables (and, without ``flags``, the line) that stop the settings."""
    try:
        load(home, {}, flags)
    except SeloError:
        return False
    return True
