"""`selo doctor`: looks at everything that Selo stands on, and says how to mend what is not well.

What is to be found may be broken: nothing of ours but the findings is imported before it is needed, and
the settings are read here and not before.
"""

from __future__ import annotations

import os
import shlex
import time
from argparse import Namespace
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from selo.agents.cli import checks_machine
from selo.agents.cli.findings import Finding, Level, guarded, note
from selo.agents.cli.streams import write_event, write_output
from selo.agents.cli.terminal import printable

if TYPE_CHECKING:
    from selo.config.home import Home
    from selo.config.settings import Settings

_MARKS = {Level.OK: "ok", Level.NOTE: "note", Level.WARNING: "warn", Level.PROBLEM: "FAIL"}
_SUBJECT_WIDTH = 12


def run(arguments: Namespace, *, json: bool) -> int:
    """Report every finding; 1 where one of them is a problem, else 0.

    Raises:
        FileFault: standard output does not take the report.
    """
    counts = dict.fromkeys(Level, 0)
    for finding in examine(arguments):
        counts[finding.level] += 1
        _tell(finding, json=json, quiet=bool(arguments.quiet))
    problems = counts[Level.PROBLEM]
    verdict = _verdict(counts)
    if json:
        write_event("verdict", status=int(problems > 0), message=verdict)
    else:
        write_output(verdict)
    return int(problems > 0)


def _tell(finding: Finding, *, json: bool, quiet: bool) -> None:
    if json:
        write_event(
            "finding",
            subject=finding.subject,
            level=finding.level.value,
            seen=finding.seen,
            fix=finding.fix or None,
        )
        return
    if quiet and finding.level is Level.OK:
        return
    mark = _MARKS[finding.level]
    write_output(f"{mark:<4}  {finding.subject:<{_SUBJECT_WIDTH}}  {printable(finding.seen)}")
    if finding.fix:
        write_output(f"      fix: {printable(finding.fix)}")


def _verdict(counts: dict[Level, int]) -> str:
    parts = [
        f"{counts[level]} {level.value}{'s' if counts[level] != 1 else ''}"
        for level in (Level.PROBLEM, Level.WARNING, Level.NOTE)
        if counts[level]
    ]
    if not counts[Level.PROBLEM]:
        return f"Selo works here{': ' if parts else ''}{', '.join(parts)}"
    return f"Selo does not work here yet: {', '.join(parts)}"


def examine(arguments: Namespace) -> Iterator[Finding]:
    """Every finding, in the order in which one stands on another."""
    broken = Watch()
    yield from broken.watch(guarded("libraries", checks_machine.libraries()))
    yield from guarded("clock", checks_machine.clock(time.time()))
    yield from guarded("descriptors", checks_machine.descriptors())
    if broken:
        yield note("the rest", "is not looked at before the libraries are there", "selo doctor")
        return
    yield from guarded("selo", _with_libraries(arguments))


class Watch:
    """Passes findings on; true once there was a problem among them."""

    def __init__(self) -> None:
        self._problems = 0

    def __bool__(self) -> bool:
        return self._problems > 0

    def watch(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """The same findings."""
        for finding in findings:
            self._problems += finding.level is Level.PROBLEM
            yield finding


def _with_libraries(arguments: Namespace) -> Iterator[Finding]:
    from selo.agents.cli import checks_algorithms, checks_home, checks_network, checks_settings
    from selo.agents.cli.config import flags_of
    from selo.config.home import Home
    from selo.config.settings import load_settings

    yield from guarded("algorithms", checks_algorithms.algorithms())
    home, selo = Home.locate(arguments.home, os.environ), "selo"
    if arguments.home:
        selo = f"selo --home {shlex.quote(arguments.home)}"
    closed, unset = Watch(), Watch()
    yield from closed.watch(guarded("home", checks_home.folder(home, selo)))
    readable = None if closed else home
    flags = flags_of(arguments)
    yield from unset.watch(guarded("settings", checks_settings.settings(readable, os.environ, flags)))
    settings = load_settings() if unset else load_settings(readable, os.environ, flags)
    if readable is not None:
        yield from guarded("identity", checks_home.identity(home, settings.passphrase_file, selo))
        yield from guarded("trust", checks_home.trust(home, selo))
        yield from guarded(
            "home disk", checks_machine.disk("home disk", home.path, checks_machine.HOME_BYTES)
        )
    if settings.receive_into is not None:
        into = settings.receive_into.absolute()
        yield from guarded("into disk", checks_machine.disk("into disk", into, checks_machine.INTO_BYTES))
    yield from guarded("port", checks_network.port(settings))
    yield from guarded("zeromq", checks_network.zeromq(settings))
    if arguments.peer_url is not None:
        yield from guarded("path", _path(arguments, home, settings))


def _path(arguments: Namespace, home: Home, settings: Settings) -> Iterator[Finding]:
    from selo.agents.cli.checks_path import path
    from selo.config.trust import TrustStore

    peer = TrustStore(home).get(arguments.peer_name) if arguments.peer_name is not None else None
    yield from path(arguments.peer_url, peer, settings)
