"""What every sub-command is handed, and how it speaks.

Results go to standard output. Everything else goes to standard error: notes and
warnings for a person, or, with --json, one JSON object per line and nothing else.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from selo.agents.cli.streams import write_error_line as write_error_line
from selo.agents.cli.streams import write_event, write_output
from selo.agents.cli.terminal import printable
from selo.config.errors import FileFault, PassphraseFileRefused
from selo.config.files import read_file
from selo.config.home import Home
from selo.config.settings import Settings
from selo.crypto.errors import PassphraseNeeded
from selo.crypto.identity import Identity


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
        """The passphrase, or None when no passphrase file was named.

        Raises:
            PassphraseFileRefused: its first line is empty.
            FileFault: it cannot be read.
        """
        path = self.settings.passphrase_file
        if path is None:
            return None
        passphrase = read_passphrase(path)
        if _others_can_read(path):
            self.warn(f"others on this machine can read the passphrase file {path} (chmod 600 {path})")
        return passphrase

    def load_identity(self) -> Identity:
        """The home's private identity, under the passphrase of this run.

        Raises:
            UsageError, LocalFault: see ``Home.load_identity`` and ``passphrase``.
        """
        passphrase = self.passphrase()
        try:
            identity = self.home.load_identity()
        except PassphraseNeeded:
            return self.home.load_identity(passphrase)
        if passphrase is not None:
            self.warn("the identity is not encrypted; the passphrase was not needed")
        return identity


def read_passphrase(path: Path) -> bytes:
    """The first line of a file, without its line end.

    Raises:
        PassphraseFileRefused: that is empty.
        FileFault: the file cannot be read.
    """
    try:
        data = read_file(path)
    except FileNotFoundError as error:
        raise FileFault.from_os("read", path, error) from None
    passphrase = data.split(b"\n", 1)[0].removesuffix(b"\r")
    if not passphrase:
        raise PassphraseFileRefused(path, "has an empty first line")
    return passphrase


def _others_can_read(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:  # gone since it was read: others cannot read it either
        return False
    return stat.S_ISREG(mode) and bool(mode & 0o044)
