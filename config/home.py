"""The home: the folder that holds one identity, its trust store and its settings.

~/.selo/               0700
    identity           0600  the private identity
    identity.pub       0600  the public identity, with our name for it
    identity.next      0600  while it is rotated: the next one, and identity.next.pub
    identity.old       0600  the one before the last rotation
    config.toml              settings, where somebody wrote some
    peers/             0700  the trust store (config/trust.py)
    deliveries/        0700  what was sent and has no receipt yet (agents/memory.py)
    stored/            0700  what was handed on and has no receipt yet (agents/memory.py)
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from selo.config.errors import FileDamaged, IdentityExists, NameRefused, NoIdentity, SettingRefused
from selo.config.files import (
    make_private_folder,
    read_file,
    read_private_file,
    require_private,
    write_file,
    write_new_file,
)
from selo.crypto.armor import unwrap
from selo.crypto.errors import MalformedIdentity
from selo.crypto.identity import Identity, PublicIdentity

HOME_VARIABLE = "SELO_HOME"
PATH_FORM = "a path (one that begins with ~ is in the folder of a user of this machine)"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


def is_name(name: str) -> bool:
    """Whether ``name`` may name a peer or an identity."""
    return _NAME.fullmatch(name) is not None


def checked_peer_name(name: str) -> str:
    """``name`` if it may name a peer or an identity: it is also safe as the name of a file.

    Raises:
        NameRefused: it may not.
    """
    if not is_name(name):
        raise NameRefused(name)
    return name


def parse_path(text: str) -> Path:
    """The path that a person wrote; `~` and `~user` at its beginning stand for those users' folders.

    Raises:
        ValueError: it holds a zero byte, or there is no such user.
    """
    if "\0" in text:
        raise ValueError(text)
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError(text) from None


@dataclass(frozen=True)
class Home:
    """One home folder, which need not exist yet."""

    path: Path

    @classmethod
    def locate(cls, flag: str | None, environ: Mapping[str, str]) -> Home:
        """The home that --home, else SELO_HOME, else `~/.selo` names.

        Raises:
            SettingRefused: that cannot be a path, or its `~` is nobody's.
        """
        variable = environ.get(HOME_VARIABLE)
        source = "--home" if flag else HOME_VARIABLE if variable else "the home"
        text = flag or variable or "~/.selo"
        try:
            return cls(parse_path(text))
        except ValueError:
            raise SettingRefused(source, text, PATH_FORM) from None

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
    def deliveries_folder(self) -> Path:
        return self.path / "deliveries"

    @property
    def stored_folder(self) -> Path:
        return self.path / "stored"

    @property
    def next_identity_file(self) -> Path:
        return self.path / "identity.next"

    @property
    def next_public_identity_file(self) -> Path:
        return self.path / "identity.next.pub"

    @property
    def old_identity_file(self) -> Path:
        return self.path / "identity.old"

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
            checked_peer_name(name)
        make_private_folder(self.path)
        self.require_private()
        identity = Identity.generate(entropy)
        try:
            write_new_file(self.identity_file, identity.to_bytes(passphrase, entropy))
        except FileExistsError:
            raise IdentityExists(self.path) from None
        write_file(self.public_identity_file, identity.public.to_text(name).encode())
        return identity

    def require_no_identity(self) -> None:
        """Refuse a home that has an identity, before a person is asked for anything.

        Raises:
            IdentityExists: it has.
        """
        if os.path.lexists(self.identity_file):
            raise IdentityExists(self.path)

    def load_identity(self, passphrase: bytes | None = None) -> Identity:
        """The private identity.

        Raises:
            NoIdentity: there is none.
            Exposed: others on this machine can reach it.
            FileDamaged: it is no identity, or identity.pub is another one's.
            IdentityError: the passphrase is wrong or missing.
            FileFault: the system refused.
        """
        self.require_private()
        try:
            identity = Identity.from_bytes(read_private_file(self.identity_file), passphrase)
        except FileNotFoundError:
            raise NoIdentity(self.path) from None
        except MalformedIdentity as error:
            hint = "bring it back from a copy, or make a new one in another home with --home"
            raise FileDamaged(self.identity_file, error.reason, hint) from error
        self._require_public_half(identity.public)
        return identity

    def load_public_identity(self, passphrase: bytes | None = None) -> tuple[PublicIdentity, str | None]:
        """Our public identity, and the name that it suggests for itself.

        The passphrase is needed only where identity.pub got lost: then it is made again, without a name.

        Raises:
            NoIdentity: there is none.
            Exposed: others on this machine can reach the home.
            FileDamaged: the file is no public identity.
            FileFault: the system refused.
        """
        self.require_private()
        try:
            return PublicIdentity.from_text(self._read_public())
        except FileNotFoundError:
            public = self.load_identity(passphrase).public
            write_file(self.public_identity_file, public.to_text(None).encode())
            return public, None
        except MalformedIdentity as error:
            raise self._public_damaged(error.reason) from error

    def _require_public_half(self, public: PublicIdentity) -> None:
        """Refuse an identity.pub that is not ``public``: `selo id --export` hands it to our peers."""
        try:
            # The bytes alone: to look at the keys in them again would cost more than all the rest of loading.
            body, _ = unwrap("PUBLIC", self._read_public())
        except FileNotFoundError:
            return
        except MalformedIdentity as error:
            raise self._public_damaged(error.reason) from error
        if body != public.to_bytes():
            raise self._public_damaged("it does not belong to the private identity beside it")

    def _read_public(self) -> str:
        return read_file(self.public_identity_file).decode("ascii", "replace")

    def _public_damaged(self, reason: str) -> FileDamaged:
        path = self.public_identity_file
        return FileDamaged(path, reason, f"remove {path}; `selo id` makes it again from the private identity")
