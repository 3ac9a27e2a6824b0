"""`selo passphrase`, `selo backup`, `selo restore` and `selo rotate`: an identity in life."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from pathlib import Path

from selo.agents.cli.common import Context
from selo.agents.cli.identity import describe
from selo.agents.cli.passphrase import ask_new
from selo.agents.cli.streams import write_output
from selo.agents.cli.terminal import printable
from selo.agents.cli.trust import rights
from selo.agents.cli.words import fingerprint_words
from selo.agents.errors import OutputIsTerminal
from selo.config.backup import BACKUP_MAX, Backup, make_backup
from selo.config.errors import FileFault, RotationUnderWay
from selo.config.files import write_new_file
from selo.config.rotation import (
    cancel_rotation,
    change_passphrase,
    finish_rotation,
    load_next_public_identity,
    start_rotation,
)
from selo.errors import UsageError

STANDARD = "-"

_PEERS_NEXT = """
next, and before `selo rotate --finish` here:
  selo id --next --export > {name}-next.id    give that file to every peer
  selo trust rotate {name} {name}-next.id     on each peer's machine, which then takes both"""


class BackupExists(UsageError):
    """A file where a backup was to be written; none is overwritten."""

    hint = "write it under another name"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"{self.path} exists already"


def passphrase(arguments: Namespace, context: Context) -> int:
    """Change, set or remove the passphrase of the identity.

    Raises:
        UsageError, LocalFault: see ``Context.unlock`` and ``change_passphrase``.
    """
    identity, old = context.unlock()
    new: bytes | None = None
    if arguments.new_passphrase_file is not None:
        new = context.passphrase_in(Path(arguments.new_passphrase_file))
    elif not arguments.remove:
        new = ask_new(str(context.home.identity_file))
    change_passphrase(context.home, identity, new)
    done = "removed" if new is None else "set" if old is None else "changed"
    if new is None and old is None:
        done = "none before and none now"
    context.result(f"passphrase {done}", "passphrase-changed", encrypted=new is not None)
    if context.home.next_identity_file.exists():
        context.warn("the next identity keeps the passphrase that it has")
    if context.home.old_identity_file.exists():
        old_file = context.home.old_identity_file
        context.warn(f"{old_file} keeps the passphrase that it has; remove it when no peer takes it any more")
    return 0


def backup(arguments: Namespace, context: Context) -> int:
    """Write the home's identity and peers into one file, or to standard output.

    Raises:
        UsageError, LocalFault: see ``Context.unlock`` and ``make_backup``.
        BackupExists: the file is there.
    """
    to_output = arguments.file == STANDARD
    if to_output and arguments.plain and sys.stdout is not None and sys.stdout.isatty():
        raise OutputIsTerminal
    path = Path(arguments.file)
    if not to_output and os.path.lexists(path):
        raise BackupExists(path)
    given = context.passphrase()  # of the identity, or for the backup: read once, it may be a pipe
    identity, protection = context.unlock(given, for_more=True)
    if arguments.plain:
        protection = None
    elif protection is None:
        protection = given or ask_new("the backup")
    data = make_backup(context.home, identity, protection)
    if context.home.next_identity_file.exists():
        context.warn(
            "a rotation is under way: the next identity is not in the backup; make another when it is over"
        )
    if to_output:
        write_output(data.decode("ascii"), end="")
        return 0
    try:
        write_new_file(path, data)
    except FileExistsError:
        raise BackupExists(path) from None
    how = "encrypted" if protection is not None else "NOT encrypted: keep it as you would the key"
    context.result(
        f"wrote {printable(str(path))}, {how}", "backup", file=str(path), encrypted=protection is not None
    )
    return 0


def restore(arguments: Namespace, context: Context) -> int:
    """Make a home out of a backup.

    Raises:
        UsageError, LocalFault: see ``Backup``.
    """
    source = "standard input" if arguments.file == STANDARD else arguments.file
    kept = Backup(source, _read(arguments.file))
    context.with_passphrase_if_needed(lambda given: kept.restore(context.home, given), source)
    peers = ", ".join(f"{peer.name} ({rights(peer)})" for peer in kept.peers) or "none"
    context.result(
        f"restored {printable(kept.name or '-')} to {printable(str(context.home.path))}\n"
        f"peers        {peers}\n{describe(kept.public.fingerprint)}",
        "restored",
        name=kept.name,
        home=str(context.home.path),
        fingerprint=kept.public.fingerprint.hex(),
        words=fingerprint_words(kept.public.fingerprint),
        peers=[peer.name for peer in kept.peers],
    )
    return 0


def rotate(arguments: Namespace, context: Context) -> int:
    """Start, finish or cancel the rotation of the identity.

    Raises:
        UsageError, LocalFault: see ``config.rotation``.
    """
    if arguments.start:
        _start(context)
    elif arguments.finish:
        public, _ = context.with_passphrase_if_needed(
            lambda given: finish_rotation(context.home, given), str(context.home.next_identity_file)
        )
        old = printable(str(context.home.old_identity_file))
        context.result(
            f"this is the identity now; the one before is kept as {old}\n{describe(public.fingerprint)}",
            "rotation-finished",
            fingerprint=public.fingerprint.hex(),
            words=fingerprint_words(public.fingerprint),
        )
    else:
        cancel_rotation(context.home)
        context.result("the next identity is forgotten", "rotation-cancelled")
    return 0


def _start(context: Context) -> None:
    if context.home.next_identity_file.exists():
        raise RotationUnderWay
    _, protection = context.unlock()
    public = start_rotation(context.home, protection)
    _, name = load_next_public_identity(context.home, protection)
    context.result(
        f"made the next identity; nothing has changed yet\n{describe(public.fingerprint)}",
        "rotation-started",
        fingerprint=public.fingerprint.hex(),
        words=fingerprint_words(public.fingerprint),
    )
    context.note(_PEERS_NEXT.format(name=name or "me"))


def _read(file: str) -> bytes:
    try:
        if file == STANDARD:
            if sys.stdin is None:
                raise FileFault("read", "standard input", "it is closed")
            return sys.stdin.buffer.read(BACKUP_MAX + 1)
        with open(file, "rb") as opened:
            return opened.read(BACKUP_MAX + 1)
    except OSError as error:
        raise FileFault.from_os("read", file, error) from error
