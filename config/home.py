"""The home: the folder that holds one identity, its trust store and its settings.

~/.selo/               0700
    identity           0600  the private identity
    identity.pub       0600  the public identity, with our name for it
    config.toml              settings, where somebody wrote some
    peers/             0700  the trust store (config/trust.py)
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from selo.config.errors import IdentityExists, NameRefused, NoIdentity
from selo.config.files import (
    make_private_folder,
    read_file,
    read_private_file,
    require_private,
    write_file,
    write_new_file,
)
from selo.crypto.identity import Identity, PublicIdentity

HOME_VARIABLE = "SELO_HOME"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


def is_name(name: str) -> bool:
    """Whether ``name`` may name a peer or an identity."""
    return _NAME.fullmatch(name) is not None


def checked_name(name: str) -> str:
    """``name`` if it may name a peer or an identity: it is also safe as the name of a file.

    Raises:
        NameRefused: it may not.
    """
    if not is_name(name):
        raise NameRefused(name)
    return name


@dataclass(frozen=True)
class Home:
    """One home folder, which need not exist yet."""

    path: Path

    @classmethod
    def locate(cls, flag: str | None, environ: Mapping[str, str]) -> Home:
        """The home that --home, else SELO_HOME, else `~/.selo` names."""
        return cls(Path(flag or environ.get(HOME_VARIABLE) or "~/.selo").expanduser())

    @property
    def settings_file(self) -> Path:
        return self.path / "config.toml"

    @property
    def identity_file(self) -> Path:
        return self.path / "identity"

    @property
    def public_identity_file(self) -> Path:
        return self.path / "identity.pub"

    @property
    def peers_folder(self) -> Path:
        return self.path / "peers"

    def require_private(self) -> None:
        """Refuse a home that others can reach: whoever can write there decides whom we trust.

        Raises:
            NoIdentity: there is no such folder.
            Exposed: others can reach it.
            FileFault: the system refuses to say.
        """
        try:
            require_private(self.path, 0o700)
        except FileNotFoundError:
            raise NoIdentity(self.path) from None

    def create_identity(
        self,
        *,
        name: str | None = None,
        passphrase: bytes | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> Identity:
        """Make the home where it is missing, and a new identity in it. Never overwrites one.

        ``name`` goes into the public identity as a suggestion to those who import it.

        Raises:
            IdentityExists: there is one.
            NameRefused: ``name`` cannot be one.
            Exposed: the home exists and others can reach it.
            FileFault: the system refused.
        """
        if name is not None:
            checked_name(name)
        make_private_folder(self.path)
        self.require_private()
        identity = Identity.generate(entropy)
        try:
            write_new_file(self.identity_file, identity.to_bytes(passphrase, entropy))
        except FileExistsError:
            raise IdentityExists(self.path) from None
        write_file(self.public_identity_file, identity.public.to_text(name).encode())
        return identity

    def load_identity(self, passphrase: bytes | None = None) -> Identity:
        """The private identity.

        Raises:
            NoIdentity: there is none.
            Exposed: others on this machine can reach it.
            IdentityError: the passphrase is wrong or missing, or the file is damaged.
            FileFault: the system refused.
        """
        self.require_private()
        try:
            data = read_private_file(self.identity_file)
        except FileNotFoundError:
            raise NoIdentity(self.path) from None
        return Identity.from_bytes(data, passphrase)

    def load_public_identity(self, passphrase: bytes | None = None) -> tuple[PublicIdentity, str | None]:
        """Our public identity, and the name that it suggests for itself.

        The passphrase is needed only where identity.pub got lost: then it is made again, without a name.

        Raises:
            NoIdentity: there is none.
            Exposed: others on this machine can reach the home.
            IdentityError: the file is damaged.
            FileFault: the system refused.
        """
        self.require_private()
        try:
            text = read_file(self.public_identity_file)
        except FileNotFoundError:
            public = self.load_identity(passphrase).public
            write_file(self.public_identity_file, public.to_text(None).encode())
            return public, None
        return PublicIdentity.from_text(text.decode("ascii", "replace"))
