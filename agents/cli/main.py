"""The program `selo`: parse, load the one sub-command that is used, report what went wrong.

Its manners: words are `selo: ...` on standard error, without a capital and without a
final period; what to do next follows as `hint: ...`. With --json both are one object.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from selo.agents.cli.parser import parse_command_line
from selo.agents.cli.streams import (
    drop_unwritten_output,
    prepare_standard_streams,
    write_error_line,
    write_event,
    write_output,
)
from selo.agents.cli.terminal import printable
from selo.agents.errors import InternalFault
from selo.errors import Interrupted, LocalFault, SeloError

if TYPE_CHECKING:
    import argparse

    from selo.agents.cli.common import Context

_HANDLERS = {
    "keygen": ("identity", "keygen"),
    "id": ("identity", "show"),
    "trust": ("trust", "run"),
    "passphrase": ("keys", "passphrase"),
    "backup": ("keys", "backup"),
    "restore": ("keys", "restore"),
    "rotate": ("keys", "rotate"),
    "receive": ("receive", "run"),
    "emit": ("emit", "run"),
    "receipt": ("receipt", "run"),
    "demo": ("demo", "run"),
    "config": ("config", "run"),
}


def entry() -> NoReturn:
    """`main` on this process's arguments, then the end of the process."""
    prepare_standard_streams()
    status = main()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing is left that would have to be put in order
    drop_unwritten_output()
    sys.exit(status)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (None: this process's own) and return the exit status.

    Raises nothing: every error ends as words on standard error and a status (docs/PROTOCOL.md, section 12).
    """
    manner = _Manner(json=False, verbose=False)
    try:
        arguments = sys.argv[1:] if argv is None else list(argv)
        manner = _Manner.before_settings(arguments)
        return _run(arguments, manner)
    except BrokenPipeError:  # nobody reads our reports any more: there is nobody to tell
        return LocalFault.exit_status
    except KeyboardInterrupt:
        return _report(Interrupted(2), manner)
    except SeloError as error:
        return _report(error, manner)
    except Exception as error:
        return _report(InternalFault(error), manner)


@dataclass
class _Manner:
    """How an error is told: as line or environment says, and as the settings say once they are read."""

    json: bool
    verbose: bool

    @classmethod
    def before_settings(cls, argv: Sequence[str]) -> _Manner:
        """``argv`` and the variables may be such that they cannot be read."""
        options = argv[: argv.index("--")] if "--" in argv else argv
        return cls(
            *(f"--{name}" in options or _is_set(f"SELO_{name.upper()}") for name in ("json", "verbose"))
        )


def _is_set(variable: str) -> bool:
    from selo.config.quantities import parse_switch

    with suppress(ValueError):
        return parse_switch(os.environ.get(variable))
    return False


def _run(argv: Sequence[str], manner: _Manner) -> int:
    try:
        arguments = parse_command_line(argv)
    except SystemExit:  # --help or --version was answered, and argparse does not say if that failed
        write_output("", end="")
        return 0
    if arguments.command == "doctor":  # before the settings are read: they may be what is broken
        from selo.agents.cli import doctor

        return doctor.run(arguments, json=manner.json)
    module, function = _HANDLERS[arguments.command]
    context = _make_context(arguments)
    manner.json, manner.verbose = context.json, context.verbose
    handler = getattr(import_module(f"selo.agents.cli.{module}"), function)
    status: int = handler(arguments, context)
    return status


def _make_context(arguments: argparse.Namespace) -> Context:
    from selo.agents.cli.common import Context
    from selo.agents.cli.config import flags_of
    from selo.config.home import Home
    from selo.config.settings import load

    home = Home.locate(arguments.home, os.environ)
    loaded = load(home, os.environ, flags_of(arguments))
    settings = loaded.settings
    context = Context(
        home=home, settings=settings, json=settings.json, quiet=settings.quiet, verbose=settings.verbose
    )
    for variable, likely in loaded.unknown:
        context.warn(f"{variable} sets nothing" + (f"; did you mean {likely}?" if likely else ""))
    return context


def _report(error: SeloError, manner: _Manner) -> int:
    """Say what went wrong, and return its exit status."""
    fields: dict[str, object] = {"status": error.exit_status, "message": str(error), "hint": error.hint}
    if isinstance(error, InternalFault) and manner.verbose:
        fields["traceback"] = "".join(traceback.format_exception(error.error))
    if manner.json:
        write_event("error", **fields)
        return error.exit_status
    for line in str(fields.get("traceback", "")).splitlines():
        write_error_line(f"| {printable(line)}")
    write_error_line(f"selo: {printable(str(error))}")
    for line in error.hint.splitlines():
        write_error_line(f"hint: {printable(line)}")
    return error.exit_status
