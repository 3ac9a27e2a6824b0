"""Identities and peers of a home folder, for programs: the calls that `import selo` offers."""

from __future__ import annotations

import os
from collections.abc import Iterable

from selo.config.errors import NoIdentity
from selo.config.home import Home
from selo.config.trust import Peer, TrustStore
from selo.crypto.identity import Identity

Folder = str | os.PathLike[str] | None
"""A home folder; None: what the variable SELO_HOME names, else ``~/.selo``."""


def load_identity(
    home: Folder = None, *, passphrase: bytes | None = None, create: bool = False, name: str | None = None
) -> Identity:
    """The private identity of a home.

    Args:
        home: the folder.
        passphrase: what it is encrypted under, or is to be when it is made here.
        create: make the home and the identity if there is none.
        name: what a new identity suggests that peers call it.

    Raises:
        UsageError: there is none; others on this machine can reach it; the passphrase is wrong or missing.
        LocalFault: it cannot be read or is damaged.
    """
    place = _home(home)
    try:
        return place.load_identity(passphrase)
    except NoIdentity:
        if not create:
            raise
    return place.create_identity(name=name, passphrase=passphrase)


def load_peer(name: str, home: Folder = None) -> Peer:
    """The peer that `selo trust add` pinned under this name.

    Raises:
        UsageError: there is none, or no home.
        LocalFault: it cannot be read or is damaged.
    """
    return TrustStore(_home(home)).get(name)


def load_senders(names: Iterable[str] | None = None, home: Folder = None) -> tuple[Peer, ...]:
    """The peers of these names (or of this one), or all that `--may-send` if none are named.

    Raises:
        UsageError: a name that nobody has, or nobody may send.
        LocalFault: the trust store cannot be read or is damaged.
    """
    found = TrustStore(_home(home)).senders([names] if isinstance(names, str) else names)
    return tuple({peer.name: peer for peer in found.values()}.values())


def _home(folder: Folder) -> Home:
    return Home.locate(None if folder is None else os.fspath(folder), os.environ)
