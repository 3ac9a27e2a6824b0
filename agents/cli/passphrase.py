"""Passphrases: from a file, or asked for at the terminal, which is never standard input."""

from __future__ import annotations

import getpass
import os
import stat
from pathlib import Path

from selo.agents.cli.terminal import printable
from selo.config.errors import FileFault, PassphraseFileRefused, PassphraseRefused
from selo.config.files import read_file

TRIES = 3
"""How often a person may mistype."""

TERMINAL = "/dev/tty"


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


def others_can_read(path: Path) -> bool:
    """Whether somebody else on this machine can read the file."""
    try:
        mode = path.stat().st_mode
    except OSError:  # gone since it was read: others cannot read it either
        return False
    return stat.S_ISREG(mode) and bool(mode & 0o044)


def has_terminal() -> bool:
    """Whether there is a person to ask."""
    try:
        os.close(os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def ask(prompt: str) -> bytes:
    """What a person types at the terminal, without an echo.

    Raises:
        PassphraseRefused: there is no terminal, or Ctrl-D.
        KeyboardInterrupt: Ctrl-C; the terminal echoes again.
    """
    # Looked at first: without a terminal getpass would read standard input, and echo it.
    if not has_terminal():
        raise PassphraseRefused("there is no terminal to ask for a passphrase")
    try:
        return getpass.getpass(prompt).encode(errors="surrogateescape")
    except EOFError:
        raise PassphraseRefused("no passphrase was given") from None
    except UnicodeDecodeError:  # without its cause, which would show what was typed
        raise PassphraseRefused("what was typed is no text in UTF-8; a file can hold any bytes") from None


def ask_new(what: str) -> bytes:
    """A new passphrase, asked for twice.

    Raises:
        PassphraseRefused: there is no terminal; it was empty; or it was mistyped again and again.
    """
    told = ""
    for _ in range(TRIES):
        passphrase = ask(f"{told}new passphrase for {printable(what)}: ")
        if not passphrase:
            raise PassphraseRefused("an empty passphrase protects nothing")
        if ask("the same again: ") == passphrase:
            return passphrase
        told = "they differ; "
    raise PassphraseRefused(f"the two were different, {TRIES} times")
