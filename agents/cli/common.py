"""What every sub-command is handed, and how it speaks.

Results go to standard output. Everything else goes to standard error: notes and
warnings for a person, or, with --json, one JSON object per line and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from selo.agents.cli.passphrase import TRIES, ask, has_terminal, others_can_read, read_passphrase
from selo.agents.cli.streams import write_error_line as write_error_line
from selo.agents.cli.streams import write_event, write_output
from selo.agents.cli.terminal import printable
from selo.config.home import Home
from selo.config.settings import Settings
from selo.crypto.errors import PassphraseNeeded, WrongPassphrase
from selo.crypto.identity import Identity, PublicIdentity

T = TypeVar("T")

HOW_TO_GIVE_IT = "run it at a terminal, or name its file with --passphrase-file or SELO_PASSPHRASE_FILE"


@dataclass(frozen=True)
class Context:
    """The home, the settings and the manner of one run."""

    home: Home
    settings: Settings
    json: bool = False
    quiet: bool = False
    verbose: bool = False

    def result(self, text: str, event: str, **fields: object) -> None:
        """What the command is for: the text, or with --json the event."""
        if self.json:
            write_event(event, **fields)
        else:
            write_output(text)

    def note(self, text: str) -> None:
        """A hint for a person on standard error; none with --quiet or --json."""
        if not self.quiet and not self.json:
            write_error_line(text)

    def warn(self, text: str) -> None:
        """Something that is likely a mistake, in one line; none with --quiet."""
        if self.quiet:
            return
        if self.json:
            write_event("warning", message=text)
        else:
            write_error_line(f"selo: warning: {printable(text)}")

    def passphrase(self) -> bytes | None:
        """The passphrase of the run's file, or None when no passphrase file was named.

        Raises:
            PassphraseFileRefused: its first line is empty.
            FileFault: it cannot be read.
        """
        path = self.settings.passphrase_file
        return None if path is None else self.passphrase_in(path)

    def passphrase_in(self, path: Path) -> bytes:
        """The passphrase in a file, with a warning if others can read it.

        Raises:
            PassphraseFileRefused, FileFault: see ``read_passphrase``.
        """
        passphrase = read_passphrase(path)
        if others_can_read(path):
            self.warn(f"others on this machine can read the passphrase file {path} (chmod 600 {path})")
        return passphrase

    def load_identity(self) -> Identity:
        """The home's private identity, under the passphrase of this run or of the person at the terminal.

        Raises:
            UsageError, LocalFault: see ``Home.load_identity``, ``passphrase`` and ``ask``.
        """
        return self.unlock()[0]

    def unlock(
        self, passphrase: bytes | None = None, *, for_more: bool = False
    ) -> tuple[Identity, bytes | None]:
        """The same, and the passphrase that it is encrypted under, if it is.

        ``passphrase`` is that of this run, if it was read already; it may be meant ``for_more`` than this.
        """
        if passphrase is None:
            passphrase = self.passphrase()
        try:
            identity = self.home.load_identity()
        except PassphraseNeeded:
            return self.with_passphrase(self.home.load_identity, str(self.home.identity_file), passphrase)
        if passphrase is not None and not for_more:
            self.warn("the identity is not encrypted; the passphrase was not needed")
        return identity, None

    def with_public(
        self, load: Callable[[Home, bytes | None], tuple[PublicIdentity, str | None]]
    ) -> tuple[tuple[PublicIdentity, str | None], bytes | None]:
        """A public identity and its name, made again where its file was lost, which takes the private one."""
        return self.with_passphrase_if_needed(
            lambda given: load(self.home, given), str(self.home.identity_file)
        )

    def with_passphrase_if_needed(
        self, use: Callable[[bytes | None], T], what: str
    ) -> tuple[T, bytes | None]:
        """What ``use`` makes without a passphrase or, if it needs one, of this run's or of one asked for."""
        passphrase = self.passphrase()
        try:
            return use(None), None
        except PassphraseNeeded:
            return self.with_passphrase(use, what, passphrase)

    def with_passphrase(
        self, use: Callable[[bytes | None], T], what: str, passphrase: bytes | None
    ) -> tuple[T, bytes | None]:
        """What ``use`` makes of the passphrase of ``what``, which is asked for where none was given.

        Raises:
            WrongPassphrase: it was wrong, at the terminal ``TRIES`` times.
            PassphraseNeeded: there was none, and there is nobody to ask.
        """
        if passphrase is not None or not has_terminal():
            try:
                return use(passphrase), passphrase
            except PassphraseNeeded as error:
                error.hint = HOW_TO_GIVE_IT
                raise
        for left in reversed(range(TRIES)):
            passphrase = ask(f"passphrase for {printable(what)}: ")
            try:
                return use(passphrase), passphrase
            except WrongPassphrase:
                if not left:
                    raise
                self.note("wrong passphrase")
        raise AssertionError("the last try returns or raises")
