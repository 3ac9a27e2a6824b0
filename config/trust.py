"""The trust store: the peers that we can name, each with its pinned identity.

One file per peer, `peers/NAME.json`, holding exactly
``{"version": 1, "may_send": bool, "identity": "<the public identity's text>"}``.
Being in the store lets us address a peer; ``may_send`` lets it deliver to us.
The name is ours: what a public identity suggests for itself authenticates nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from selo.config.errors import (
    FileDamaged,
    NoSenders,
    NoSuchPeer,
    OwnIdentity,
    PeerAlreadyPinned,
    PeerExists,
)
from selo.config.files import list_folder, make_private_folder, read_file, remove_file, write_new_file
from selo.config.home import Home, checked_peer_name, is_name
from selo.crypto.errors import MalformedIdentity
from selo.crypto.identity import PublicIdentity

_VERSION = 1
_SUFFIX = ".json"


@dataclass(frozen=True)
class Peer:
    """Somebody whose identity we pinned under a name of ours."""

    name: str
    may_send: bool
    identity: PublicIdentity
    older: tuple[PublicIdentity, ...] = ()

    @classmethod
    def from_text(cls, name: str, text: str, *, may_send: bool = False) -> Peer:
        """The peer of a public identity's text, under a name of ours, for programs that pin their own.

        Raises:
            NameRefused: it cannot be a name.
            MalformedIdentity: the text is none of an identity.
        """
        checked_peer_name(name)
        return cls(name, may_send, PublicIdentity.from_text(text)[0])

    @property
    def identities(self) -> tuple[PublicIdentity, ...]:
        """All that are pinned under the name, the newest first."""
        return (self.identity, *self.older)

    def identity_of(self, fingerprint: bytes) -> PublicIdentity:
        """The one of ``identities`` that has this fingerprint."""
        return next(each for each in self.identities if each.fingerprint == fingerprint)

    @property
    def fingerprint(self) -> bytes:
        """32 bytes."""
        return self.identity.fingerprint


class TrustStore:
    """The peers of one home. Every method reads the disk anew and raises, beside what it names:

    NoIdentity or Exposed: there is no home, or others on this machine can reach it.
    FileDamaged: a file of the store is not what the store writes.
    FileFault: the system refused.
    """

    def __init__(self, home: Home) -> None:
        self._home = home

    def names(self) -> list[str]:
        """The names of all peers, sorted. Damaged files are named as well."""
        self._home.require_private()
        files = [file for file in list_folder(self._home.peers_folder) if file.endswith(_SUFFIX)]
        # What has no legal name is no peer: the draft of a cut write begins with a dot.
        return sorted(name for file in files if is_name(name := file.removesuffix(_SUFFIX)))

    def peers(self) -> list[Peer]:
        """All peers, sorted by name."""
        return [self._read(name) for name in self.names()]

    def by_fingerprint(self) -> dict[bytes, Peer]:
        """All peers by their 32-byte fingerprints."""
        return {peer.fingerprint: peer for peer in self.peers()}

    def get(self, name: str) -> Peer:
        """The peer of that name, to the letter.

        Raises:
            NoSuchPeer: there is none.
        """
        self._require_known([name])
        return self._read(name)

    def senders(self, names: Iterable[str] | None = None) -> dict[bytes, Peer]:
        """Who may deliver to us, by fingerprint: the named peers if any are named, else all that may send.

        Raises:
            NoSuchPeer: a name that nobody has.
            NoSenders: that would be nobody.
        """
        wanted = set(names or ())
        self._require_known(wanted)
        if wanted:  # nobody else's file is read, and none that is damaged gets in their way
            return {peer.fingerprint: peer for peer in map(self._read, sorted(wanted))}
        allowed = {peer.fingerprint: peer for peer in self.peers() if peer.may_send}
        if not allowed:
            raise NoSenders
        return allowed

    def add(self, name: str, identity: PublicIdentity, *, may_send: bool = False) -> Peer:
        """Pin a public identity under a name.

        Raises:
            NameRefused: it cannot be a name.
            NoIdentity: we have none ourselves yet.
            OwnIdentity: it is ours.
            PeerExists: the name is taken, or differs from a taken one in capitals only.
            PeerAlreadyPinned: the identity is in the store under another name.
        """
        checked_peer_name(name)
        if identity.fingerprint == self._home.load_public_identity()[0].fingerprint:
            raise OwnIdentity
        for existing in self.names():
            if existing.lower() == name.lower():
                raise PeerExists(name, existing)
        pinned = self.by_fingerprint().get(identity.fingerprint)
        if pinned is not None:
            raise PeerAlreadyPinned(name, pinned.name)
        make_private_folder(self._home.peers_folder)
        try:
            write_new_file(self._file(name), _encode(identity, may_send))
        except FileExistsError:
            raise PeerExists(name, name) from None
        return Peer(name, may_send, identity)

    def remove(self, name: str) -> None:
        """Forget a peer, also one whose file is damaged.

        Raises:
            NoSuchPeer: there is none of that name.
        """
        self._require_known([name])
        try:
            remove_file(self._file(name))
        except FileNotFoundError:  # removed since it was listed
            raise NoSuchPeer(name, self.names()) from None

    def _require_known(self, names: Iterable[str]) -> None:
        known = self.names()
        for name in names:
            if name not in known:
                raise NoSuchPeer(name, known)

    def _read(self, name: str) -> Peer:
        path = self._file(name)
        try:
            may_send, text = _decode(path, read_file(path))
        except FileNotFoundError:  # removed since it was listed
            raise NoSuchPeer(name, self.names()) from None
        try:
            identity, _ = PublicIdentity.from_text(text)
        except MalformedIdentity as error:
            raise _damaged(path, error.reason) from error
        return Peer(name, may_send, identity)

    def _file(self, name: str) -> Path:
        return self._home.peers_folder / f"{name}{_SUFFIX}"


def _encode(identity: PublicIdentity, may_send: bool) -> bytes:
    entry = {"version": _VERSION, "may_send": may_send, "identity": identity.to_text(None)}
    return json.dumps(entry, indent=1).encode() + b"\n"


def _decode(path: Path, data: bytes) -> tuple[bool, str]:
    try:
        entry = json.loads(data, object_pairs_hook=_distinct)
    except (ValueError, RecursionError):
        raise _damaged(path, "it is not JSON, or names a key twice") from None
    if not isinstance(entry, dict) or set(entry) != {"version", "may_send", "identity"}:
        raise _damaged(path, "it needs exactly version, may_send and identity")
    version, may_send, text = entry["version"], entry["may_send"], entry["identity"]
    if type(version) is not int or version != _VERSION:  # True == 1 == 1.0
        raise _damaged(path, f"this Selo knows version {_VERSION} of it only")
    if not isinstance(may_send, bool) or not isinstance(text, str):
        raise _damaged(path, "may_send is true or false, and identity is text")
    return may_send, text


def _damaged(path: Path, reason: str) -> FileDamaged:
    return FileDamaged(path, reason, f"remove {path} and add the peer again")


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError(pairs)
    return dict(pairs)
