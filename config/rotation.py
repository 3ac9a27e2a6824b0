"""An identity in life: another passphrase, and another identity in its place.

While an identity is rotated there are two: peers pin the next one beside the present one, and
only then it takes its place. Whatever a crash leaves behind, the home loads.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from selo.config.errors import FileDamaged, NoRotation, RotationUnderWay
from selo.config.files import (
    read_file,
    read_private_file,
    remove_file,
    rename_file,
    write_file,
    write_new_file,
)
from selo.config.home import Home
from selo.crypto.errors import MalformedIdentity
from selo.crypto.identity import Identity, PublicIdentity


def change_passphrase(
    home: Home,
    identity: Identity,
    passphrase: bytes | None,
    *,
    entropy: Callable[[int], bytes] = os.urandom,
) -> None:
    """Write the home's identity, which the caller has loaded, under another passphrase (None: under none).

    A crash leaves the file as it was or as it is to be. A next identity keeps the passphrase it has.

    Raises:
        MalformedIdentity: the passphrase is empty.
        FileFault: the system refused; the file is unchanged.
    """
    write_file(home.identity_file, identity.to_bytes(passphrase, entropy))


def start_rotation(
    home: Home, passphrase: bytes | None, *, entropy: Callable[[int], bytes] = os.urandom
) -> PublicIdentity:
    """Make the next identity beside the present one, under this passphrase and with the same suggested name.

    Raises:
        NoIdentity: there is none to be replaced.
        RotationUnderWay: there is a next one already.
        FileFault: the system refused.
    """
    _, name = home.load_public_identity(passphrase)
    if home.next_identity_file.exists():
        raise RotationUnderWay
    _forget(home.next_public_identity_file)  # of a rotation that was cut: it belongs to nothing
    identity = Identity.generate(entropy)
    try:
        write_new_file(home.next_identity_file, identity.to_bytes(passphrase, entropy))
    except FileExistsError:
        raise RotationUnderWay from None
    write_file(home.next_public_identity_file, identity.public.to_text(name).encode())
    return identity.public


def load_next_public_identity(
    home: Home, passphrase: bytes | None = None
) -> tuple[PublicIdentity, str | None]:
    """The public half of the next identity, and the name that it suggests for itself.

    The passphrase is needed only where a crash kept its public file from being written.

    Raises:
        NoRotation: there is none.
        IdentityError: the passphrase is missing or wrong.
        FileFault: the system refused.
    """
    home.require_private()
    private = _next_private(home)
    try:
        return PublicIdentity.from_text(read_file(home.next_public_identity_file).decode("ascii", "replace"))
    except (FileNotFoundError, MalformedIdentity):
        public = Identity.from_bytes(private, passphrase).public
        write_file(home.next_public_identity_file, public.to_text(None).encode())
        return public, None


def finish_rotation(home: Home, passphrase: bytes | None = None) -> PublicIdentity:
    """Put the next identity in the place of the present one, which is kept as identity.old.

    Raises:
        NoRotation: there is no next one.
        IdentityError, FileDamaged, FileFault: as for ``load_next_public_identity``; nothing was changed,
            or, if the system refused half-way, what was begun can be done again.
    """
    home.require_private()
    if not home.next_identity_file.exists() and home.next_public_identity_file.exists():
        return _finish_cut_rotation(home, passphrase)
    # Nobody changes to what he cannot open.
    public = Identity.from_bytes(_next_private(home), passphrase).public
    if load_next_public_identity(home, passphrase)[0] != public:
        raise FileDamaged(
            home.next_public_identity_file,
            "it does not belong to the private identity beside it",
            f"remove {home.next_public_identity_file}; it is made again from the private one",
        )
    with suppress(FileNotFoundError):  # lost: then the next one is all the more welcome
        write_file(home.old_identity_file, read_private_file(home.identity_file))
    # Without it the home makes it again from the private one; beside another private one it would be damage.
    _forget(home.public_identity_file)
    rename_file(home.next_identity_file, home.identity_file)
    rename_file(home.next_public_identity_file, home.public_identity_file)
    return public


def _finish_cut_rotation(home: Home, passphrase: bytes | None) -> PublicIdentity:
    """What a crash before the last step left to do; a public half that is another's is dropped."""
    text = read_file(home.next_public_identity_file).decode("ascii", "replace")
    public = home.load_identity(passphrase).public
    try:
        if PublicIdentity.from_text(text)[0] != public:
            raise NoRotation
    except (MalformedIdentity, NoRotation):
        _forget(home.next_public_identity_file)
        raise NoRotation from None
    rename_file(home.next_public_identity_file, home.public_identity_file)
    return public


def cancel_rotation(home: Home) -> None:
    """Remove the next identity.

    Raises:
        NoRotation: there is none.
        FileFault: the system refused.
    """
    home.require_private()
    _next_private(home)
    _forget(home.next_public_identity_file)
    _forget(home.next_identity_file)


def _forget(path: Path) -> None:
    with suppress(FileNotFoundError):
        remove_file(path)


def _next_private(home: Home) -> bytes:
    try:
        return read_private_file(home.next_identity_file)
    except FileNotFoundError:
        raise NoRotation from None
