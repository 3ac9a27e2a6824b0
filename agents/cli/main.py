"""The program `selo`: parse, load the one sub-command that is used, report what went wrong.

Its manners: words are `selo: ...` on standard error, without a capital and without a
final period; what to do next follows as `hint: ...`. With --json both are one object.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
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
    "receive": ("receive", "run"),
    "emit": ("emit", "run"),
    "demo": ("demo", "run"),
}


def entry() -> NoReturn:
    """The console script: `main` on this process's arguments, then the end of the process."""
    prepare_standard_streams()
    status = main()
    drop_unwritten_output()
    sys.exit(status)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (None: this process's own) and return the exit status.

    Raises nothing: every error ends as words on standard error and a status (docs/PROTOCOL.md, section 12).
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        return _run(arguments)
    except BrokenPipeError:  # nobody reads our reports any more: there is nobody to tell
        return LocalFault.exit_status
    except KeyboardInterrupt:
        return _report(Interrupted(2), arguments)
    except SeloError as error:
        return _report(error, arguments)
    except Exception as error:
        return _report(InternalFault(error), arguments)


def _run(argv: Sequence[str]) -> int:
    try:
        arguments = parse_command_line(argv)
    except SystemExit:  # --help or --version was answered, and argparse does not say if that failed
        write_output("", end="")
        return 0
    module, function = _HANDLERS[arguments.command]
    context = _make_context(arguments)
    handler = getattr(import_module(f"selo.agents.cli.{module}"), function)
    status: int = handler(arguments, context)
    return status


def _make_context(arguments: argparse.Namespace) -> Context:
    from dataclasses import fields

    from selo.agents.cli.common import Context
    from selo.config.home import Home
    from selo.config.settings import Settings, load_settings

    home = Home.locate(arguments.home, os.environ)
    flags = {field.name: getattr(arguments, field.name, None) for field in fields(Settings)}
    return Context(
        home=home,
        settings=load_settings(home, os.environ, flags),
        json=arguments.json,
        quiet=arguments.quiet,
        verbose=arguments.verbose,
    )


def _report(error: SeloError, argv: Sequence[str]) -> int:
    """Say what went wrong, and return its exit status. ``argv`` may be one that did not parse."""
    options = argv[: argv.index("--")] if "--" in argv else argv
    fields: dict[str, object] = {"status": error.exit_status, "message": str(error), "hint": error.hint}
    if isinstance(error, InternalFault) and "--verbose" in options:
        fields["traceback"] = "".join(traceback.format_exception(error.error))
    if "--json" in options:
        write_event("error", **fields)
        return error.exit_status
    for line in str(fields.get("traceback", "")).splitlines():
        write_error_line(f"| {printable(line)}")
    write_error_line(f"selo: {printable(str(error))}")
    for line in error.hint.splitlines():
        write_error_line(f"hint: {printable(line)}")
    return error.exit_status
