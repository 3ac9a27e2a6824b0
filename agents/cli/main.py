"""The program `selo`: parse, load the one sub-command that is used, report what went wrong.

Its manners: words are `selo: ...` on standard error, without a capital and without a
final period; what to do next follows as `hint: ...`. With --json both are one object.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from selo.agents.cli.parser import parse_command_line
from selo.agents.cli.terminal import printable
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


class InternalError(SeloError):
    """An exception that nobody foresaw."""

    hint = "--verbose shows where it happened"

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error

    def __str__(self) -> str:
        return f"this is a bug in Selo; please report it: {type(self.error).__name__}: {self.error}"


def entry() -> NoReturn:
    """The console script: `main` on this process's arguments, then the end of the process."""
    _occupy_standard_streams()
    sys.exit(main())


def _occupy_standard_streams() -> None:
    """Where a standard stream is closed, hold its number, opened the wrong way round.

    Else the next file or socket that we open would get that number, and be read as our input or
    written to as our output. The wrong way round, because using it is still an error.
    """
    for number, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # the lowest free number, which is this one
    sys.stderr = sys.stderr or os.fdopen(os.dup(2), "w")  # None where it was closed


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (None: this process's own) and return the exit status.

    Raises nothing: every error ends as words on standard error and a status (docs/PROTOCOL.md, section 12).
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        return _run(arguments)
    except SystemExit as end:  # argparse after --help and --version
        return int(end.code or 0)
    except BrokenPipeError:  # nobody reads our reports any more: there is nobody to tell
        return LocalFault.exit_status
    except KeyboardInterrupt:
        return _report(Interrupted(2), arguments)
    except SeloError as error:
        return _report(error, arguments)
    except Exception as error:
        return _report(InternalError(error), arguments)


def _run(argv: Sequence[str]) -> int:
    arguments = parse_command_line(argv)
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
    with suppress(BrokenPipeError):
        if isinstance(error, InternalError) and "--verbose" in argv:
            for line in traceback.format_exception(error.error):
                print(printable(line), file=sys.stderr)
        if "--json" in argv:
            from selo.agents.cli.common import write_event

            write_event("error", status=error.exit_status, message=str(error), hint=error.hint)
        else:
            print(f"selo: {printable(str(error))}", file=sys.stderr)
            for line in error.hint.splitlines():
                print(f"hint: {printable(line)}", file=sys.stderr)
    return error.exit_status
