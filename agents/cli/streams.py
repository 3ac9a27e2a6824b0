"""The standard streams of a command.

What cannot be written to standard output is an error. What cannot be written to standard error
is nobody's: there is no one left to tell, and it never changes how the command ends.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import TextIOWrapper

EVENTS_VERSION = 1
"""Of the form of --json (docs/events.md): it changes when a field goes or changes its meaning."""


def prepare_standard_streams() -> None:
    """Make the three streams safe to use, whatever this process was started with.

    A closed one is held open on the null device: else the next file or socket that we open would get
    its number, and be read as our input or written to as our output. Input and output are held the
    wrong way round, because using them is still an error.
    """
    for number, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # the lowest free number, which is this one
            os.set_inheritable(number, True)  # by our child processes as well
    # The interpreter made None of what was closed. A character that the encoding lacks is no error.
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    else:
        sys.stdout = os.fdopen(1, "w", errors="backslashreplace", closefd=False)
    # Not buffered: what could not be written is forgotten, not tried again at exit; and a thread that is
    # stuck in writing (a terminal that is held) holds no lock for which the interpreter waits at exit.
    sys.stderr = TextIOWrapper(
        os.fdopen(2, "wb", buffering=0, closefd=False),
        encoding=sys.stderr.encoding if sys.stderr is not None else None,
        errors="backslashreplace",
        write_through=True,
    )


def drop_unwritten_output() -> None:
    """Forget what standard output did not take: the interpreter would try again at exit, and end with 120."""
    try:
        sys.stdout.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def write_output(text: str, end: str = "\n") -> None:
    """Text and a line end on standard output, with what was printed there before.

    Raises:
        FileFault: the disk is full, whoever read it has gone, or it is closed.
    """
    try:
        print(text, end=end, flush=True)
    except OSError as error:
        from selo.config.errors import FileFault  # `selo --version` does without

        raise FileFault.from_os("write", "standard output", error) from error


def write_error_line(text: str) -> None:
    """Text and a line end on standard error, if it takes them. Never raises."""
    if sys.stderr is not None:  # print() would take None for standard output
        with suppress(OSError, ValueError):  # ValueError: the object was closed
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()


def write_event(event: str, **fields: object) -> None:
    """One JSON object on one line of standard error, if it takes that. Never raises."""
    import json
    import time

    stamp = {"event": event, "v": EVENTS_VERSION, "time": round(time.time(), 3)}
    write_error_line(json.dumps({**stamp, **fields}))
