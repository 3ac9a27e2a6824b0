"""A home in one file: its identity and its peers, to be put away and brought back.

    {"selo": "backup", "version": 1, "identity": "<private>", "public": "<public>", "peers": {NAME: {...}}}

The private identity is the text of its file, encrypted or not. Peers stand as in their own files
(config/peer.py). config.toml is not in it: it belongs to a machine.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from selo.config.errors import BackupRefused, FileDamaged, FileFault, HomeNotEmpty
from selo.config.files import make_private_folder, write_file
from selo.config.home import Home, is_name
from selo.config.peer import Peer, decode_peer, distinct, encode_peer
from selo.config.trust import TrustStore
from selo.crypto.errors import MalformedIdentity, PassphraseNeeded
from selo.crypto.identity import Identity, PublicIdentity

BACKUP_MAX = 16 << 20
"""Bytes. A peer takes some 4 KiB, so this is thousands of them, and no more than a terminal's paste."""

_MARK = {"selo": "backup", "version": 1}
_KEYS = {*_MARK, "identity", "public", "peers"}


def make_backup(
    home: Home,
    identity: Identity,
    passphrase: bytes | None,
    *,
    entropy: Callable[[int], bytes] = os.urandom,
) -> bytes:
    """The backup of a home whose identity the caller has loaded; encrypted if there is a passphrase.

    Raises:
        MalformedIdentity: the passphrase is empty.
        FileDamaged, FileFault: a file of the home cannot be read.
    """
    entry = {
        **_MARK,
        "identity": identity.to_bytes(passphrase, entropy).decode(),
        "public": identity.public.to_text(_suggested_name(home)),
        "peers": {peer.name: json.loads(encode_peer(peer)) for peer in TrustStore(home).peers()},
    }
    return json.dumps(entry, indent=1).encode() + b"\n"


def _suggested_name(home: Home) -> str | None:
    try:
        return home.load_public_identity()[1]
    except PassphraseNeeded:  # identity.pub is lost, and the name with it
        return None


class Backup:
    """A backup that was read and found to be whole, but for what only its passphrase can tell.

    Raises:
        BackupRefused: it is none, or damaged.
    """

    def __init__(self, source: str, data: bytes) -> None:
        self._source = source
        entry = self._parse(data)
        self._private = entry["identity"].encode("ascii", "replace")
        try:
            self.public, self.name = PublicIdentity.from_text(entry["public"])
        except MalformedIdentity as error:
            raise BackupRefused(source, error.reason) from error
        self.peers = [self._peer(name, peer) for name, peer in sorted(entry["peers"].items())]
        if len({peer.name.lower() for peer in self.peers}) != len(self.peers):
            raise BackupRefused(source, "two of its peers have one name")
        fingerprints = [each.fingerprint for peer in self.peers for each in peer.identities]
        if len({*fingerprints, self.public.fingerprint}) != len(fingerprints) + 1:
            raise BackupRefused(source, "one identity stands in it twice")

    def restore(self, home: Home, passphrase: bytes | None) -> None:
        """Make the home anew: all of it, or nothing.

        Raises:
            HomeNotEmpty: something is there.
            PassphraseNeeded, WrongPassphrase: the identity in it cannot be opened.
            BackupRefused: the identity in it is damaged, or another one than its public half.
            FileFault: the system refused.
        """
        try:
            identity = Identity.from_bytes(self._private, passphrase)
        except MalformedIdentity as error:
            raise BackupRefused(self._source, error.reason) from error
        if identity.fingerprint != self.public.fingerprint:
            raise BackupRefused(self._source, "its private identity is not that of its public one")
        draft = self._draft(home)
        try:
            self._fill(Home(draft))
            os.rename(draft, home.path)  # only onto nothing, or onto an empty folder
        except OSError as error:
            if os.path.isdir(home.path) and os.listdir(home.path):
                raise HomeNotEmpty(home.path) from error
            raise FileFault.from_os("make the folder", home.path, error) from error
        finally:
            _remove(draft)

    def _draft(self, home: Home) -> Path:
        try:
            if home.path.is_dir() and any(home.path.iterdir()):
                raise HomeNotEmpty(home.path)
            home.path.parent.mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(prefix=f".{home.path.name}-", dir=home.path.parent))  # mode 0700
        except OSError as error:
            raise FileFault.from_os("make the folder", home.path, error) from error

    def _fill(self, home: Home) -> None:
        make_private_folder(home.peers_folder)
        for peer in self.peers:
            write_file(home.peers_folder / f"{peer.name}.json", encode_peer(peer))
        write_file(home.public_identity_file, self.public.to_text(self.name).encode())
        write_file(home.identity_file, self._private)

    def _parse(self, data: bytes) -> dict[str, Any]:
        if len(data) > BACKUP_MAX:
            raise BackupRefused(self._source, f"it is longer than {BACKUP_MAX:,} bytes")
        try:
            entry = json.loads(data, object_pairs_hook=distinct)
        except (ValueError, RecursionError):
            raise BackupRefused(self._source, "it is not JSON, or names a key twice") from None
        if not isinstance(entry, dict) or set(entry) != _KEYS:
            raise BackupRefused(self._source, f"it needs exactly {', '.join(sorted(_KEYS))}")
        if entry["selo"] != "backup" or type(entry["version"]) is not int or entry["version"] != 1:
            raise BackupRefused(self._source, "this Selo knows version 1 of it only")
        if not isinstance(entry["identity"], str) or not isinstance(entry["public"], str):
            raise BackupRefused(self._source, "an identity is text")
        if not isinstance(entry["peers"], dict):
            raise BackupRefused(self._source, "peers are by name")
        return entry

    def _peer(self, name: str, entry: object) -> Peer:
        if not is_name(name):
            raise BackupRefused(self._source, f"{name!r} cannot be the name of a peer")
        try:
            return decode_peer(name, Path(name), json.dumps(entry).encode())
        except FileDamaged as error:
            raise BackupRefused(self._source, f"its peer {name}: {error.reason}") from error


def _remove(draft: Path) -> None:
    """What was not renamed; never fails."""
    for folder, _, files in os.walk(draft, topdown=False):
        for file in files:
            with suppress(OSError):
                os.unlink(os.path.join(folder, file))
        with suppress(OSError):
            os.rmdir(folder)
