"""The home: its folder, the identity, the passphrase, the trust store."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Generator, Iterator
from pathlib import Path

from selo.agents.cli.findings import Finding, note, ok, problem, warning
from selo.agents.cli.passphrase import has_terminal, read_passphrase
from selo.config.errors import Exposed, FileDamaged, NoIdentity
from selo.config.home import Home
from selo.config.trust import Peer, TrustStore
from selo.crypto.errors import PassphraseNeeded, WrongPassphrase
from selo.errors import SeloError


def folder(home: Home, selo: str) -> Iterator[Finding]:
    """Whether the home is there and ours alone. ``selo`` is how to call Selo for this home."""
    quoted = shlex.quote(str(home.path))
    try:
        state = home.path.stat()
    except FileNotFoundError:
        yield problem("home", f"there is no folder {home.path}", f"{selo} keygen")
        return
    except OSError as error:
        yield problem("home", f"{home.path} cannot be looked at: {error.strerror}", f"ls -ld {quoted}")
        return
    if not stat.S_ISDIR(state.st_mode):
        yield problem("home", f"{home.path} is not a folder", f"mv {quoted} {quoted}.old && {selo} keygen")
    elif state.st_uid != os.geteuid():
        yield problem("home", f"{home.path} belongs to another user", f"sudo chown -R $(id -u) {quoted}")
    elif state.st_mode & 0o077:
        yield _exposed("home", Exposed(home.path, stat.S_IMODE(state.st_mode), 0o700))
    elif state.st_mode & 0o700 != 0o700:
        yield problem("home", f"{home.path} is closed to its owner", f"chmod 700 {quoted}")
    else:
        yield ok("home", f"{home.path}, reachable by its owner alone")


def identity(home: Home, passphrase_file: Path | None, selo: str) -> Iterator[Finding]:
    """The identity and, where it needs one, the passphrase."""
    try:
        found, passphrase = home.load_identity(), None
    except PassphraseNeeded:
        passphrase = yield from _passphrase(passphrase_file)
        if passphrase is None:
            return
        found = None
    except SeloError as error:
        yield _no_identity(error, home, selo)
        return
    if found is None:
        try:
            found = home.load_identity(passphrase)
        except WrongPassphrase as error:
            yield problem("passphrase", f"{passphrase_file}: {error}", _NAME_A_FILE)
            return
        except SeloError as error:
            yield _no_identity(error, home, selo)
            return
        yield ok("passphrase", f"{passphrase_file} opens the identity")
    elif passphrase_file is not None:
        words = f"{passphrase_file} is not needed: the identity is not encrypted"
        yield note("passphrase", words, "unset SELO_PASSPHRASE_FILE")
    else:
        yield ok("passphrase", "none is needed: the identity is not encrypted")
    yield from _public_half(home, found.fingerprint, selo)


_NAME_A_FILE = "export SELO_PASSPHRASE_FILE=/path/of/a/file  # whose first line is the passphrase"


def _public_half(home: Home, fingerprint: bytes, selo: str) -> Iterator[Finding]:
    if home.public_identity_file.exists():
        yield ok("identity", f"{fingerprint.hex()[:16]}..., and identity.pub belongs to it")
    else:
        yield note("identity", f"{home.public_identity_file} is missing", f"{selo} id")


def _no_identity(error: SeloError, home: Home, selo: str) -> Finding:
    private, public = (shlex.quote(str(path)) for path in (home.identity_file, home.public_identity_file))
    fix = f"ls -l {private}"
    if isinstance(error, NoIdentity):
        fix = f"{selo} keygen"
    elif isinstance(error, Exposed):
        return _exposed("identity", error)
    elif isinstance(error, FileDamaged) and error.path == home.public_identity_file:
        fix = f"rm {public} && {selo} id"
    elif isinstance(error, FileDamaged):
        # A copy of the old one is better where there is one: peers know its fingerprint.
        fix = f"mv {private} {private}.damaged && {selo} keygen  # or bring it back from a copy"
    return problem("identity", str(error), fix)


def _exposed(subject: str, error: Exposed) -> Finding:
    return problem(subject, str(error), f"chmod {error.wanted:o} {shlex.quote(str(error.path))}")


def _passphrase(path: Path | None) -> Generator[Finding, None, bytes | None]:
    """Also returns the passphrase, or None where there is no usable one."""
    if path is None and has_terminal():
        words = "the identity is encrypted: commands ask at the terminal, and a service needs a file"
        yield note("passphrase", words, _NAME_A_FILE)
        return None
    if path is None:
        yield problem(
            "passphrase", "the identity is encrypted, and no passphrase file is named", _NAME_A_FILE
        )
        return None
    try:
        passphrase = read_passphrase(path)
        mode = path.stat().st_mode
    except (SeloError, OSError) as error:
        yield problem("passphrase", str(error), _NAME_A_FILE)
        return None
    if stat.S_ISREG(mode) and mode & 0o077:
        words = f"others on this machine can reach {path} (mode {stat.S_IMODE(mode):04o})"
        yield warning("passphrase", words, f"chmod 600 {shlex.quote(str(path))}")
    return passphrase


def trust(home: Home, selo: str) -> Iterator[Finding]:
    """Each peer file that does not read, and how many peers may send."""
    store = TrustStore(home)
    peers: list[Peer] = []
    for name in store.names():
        try:
            peers.append(store.get(name))
        except SeloError as error:
            yield problem("trust", str(error), f"{selo} trust remove {name}")
    senders = sum(peer.may_send for peer in peers)
    add = f"{selo} trust add NAME FILE"
    if not peers:
        yield note("trust", "no peer is known: nothing can be sent or received", add)
    elif not senders:
        yield note("trust", f"{_peers(len(peers))}, and none may send to us", f"{selo} trust allow NAME")
    else:
        yield ok("trust", f"{_peers(len(peers))}, of which {senders} may send to us")


def _peers(count: int) -> str:
    return f"{count} peer{'s' if count != 1 else ''}"
