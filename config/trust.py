"""The trust store: the peers that we can name, each with its pinned identity.

One file per peer (config/peer.py). Being in the store lets us address a peer; ``may_send`` lets
it deliver to us. The name is ours: what a public identity suggests for itself authenticates nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from selo.config.errors import (
    ManyRefused,
    NoRotation,
    NoSenders,
    NoSuchPeer,
    OwnIdentity,
    PeerAlreadyPinned,
    PeerExists,
    RotationUnfinished,
)
from selo.config.files import (
    list_folder,
    make_private_folder,
    read_file,
    remove_file,
    rename_file,
    stamp_folder,
    write_file,
    write_new_file,
)
from selo.config.home import Home, checked_peer_name, is_name
from selo.config.peer import OLDER_MAX, Peer, decode_peer, encode_peer
from selo.config.policy import PeerPolicy
from selo.crypto.identity import PublicIdentity
from selo.errors import SeloError, UsageError

__all__ = ["Peer", "TrustStore"]

_SUFFIX = ".json"


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
        """All peers, sorted by name; who is removed meanwhile is left out."""
        found = []
        for name in self.names():
            with suppress(NoSuchPeer):
                found.append(self._read(name))
        return found

    def by_fingerprint(self) -> dict[bytes, Peer]:
        """All peers by the 32-byte fingerprints of all their identities."""
        return _by_fingerprint(self.peers())

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
            return _by_fingerprint(map(self._read, sorted(wanted)))
        allowed = _by_fingerprint(peer for peer in self.peers() if peer.may_send)
        if not allowed:
            raise NoSenders
        return allowed

    def stamp(self) -> object:
        """Something that equals what it was before only if no file of the store has changed, or None."""
        self._home.require_private()
        return stamp_folder(self._home.peers_folder)

    def add(self, name: str, identity: PublicIdentity, *, may_send: bool = False) -> Peer:
        """Pin a public identity under a name.

        Raises:
            NameRefused: it cannot be a name.
            NoIdentity: we have none ourselves yet.
            OwnIdentity: it is ours.
            PeerExists: the name is taken, or differs from a taken one in capitals only.
            PeerAlreadyPinned: the identity is in the store under another name.
        """
        self._require_new(name, identity)
        return self._write_new(Peer(name, may_send, identity))

    def add_all(self, identities: Mapping[str, PublicIdentity], *, may_send: bool = False) -> list[Peer]:
        """Pin several under their names: all, or none if one cannot be. Who is known so is left alone.

        What the disk refuses half-way leaves those before it pinned; the same call again does the rest.

        Returns:
            those who were not known.

        Raises:
            ManyRefused: with an error, as of ``add``, for each that cannot be pinned.
        """
        refused: dict[str, SeloError] = {}
        names: dict[str, str] = {}
        fingerprints: dict[bytes, str] = {}
        known = self.by_fingerprint()
        new: dict[str, PublicIdentity] = {}
        for name, identity in identities.items():
            pinned = known.get(identity.fingerprint)
            if pinned is not None and pinned.name == name:
                continue
            try:
                self._require_new(name, identity)
                if (other := names.setdefault(name.lower(), name)) != name:
                    raise PeerExists(name, other)
                if (other := fingerprints.setdefault(identity.fingerprint, name)) != name:
                    raise PeerAlreadyPinned(name, other)
            except UsageError as error:
                refused[name] = error
            new[name] = identity
        if refused:
            raise ManyRefused(refused)
        return [self._write_new(Peer(name, may_send, identity)) for name, identity in new.items()]

    def rotate(self, name: str, identity: PublicIdentity) -> Peer:
        """Pin the peer's next identity beside those it has; from now on it is the first to be tried.

        Raises:
            NoSuchPeer: there is none of that name.
            OwnIdentity: it is ours.
            PeerAlreadyPinned: it is pinned already, under this or another name.
            RotationUnfinished: ``OLDER_MAX`` older ones are there.
        """
        peer = self.get(name)
        self._require_unpinned(name, identity)
        if len(peer.older) == OLDER_MAX:
            raise RotationUnfinished(name, OLDER_MAX)
        return self._write(replace(peer, identity=identity, older=peer.identities))

    def finish_rotation(self, name: str) -> Peer:
        """Forget all identities of the peer but the newest.

        Raises:
            NoSuchPeer: there is none of that name.
        """
        return self._write(replace(self.get(name), older=()))

    def cancel_rotation(self, name: str) -> Peer:
        """Forget the newest identity of the peer: the one before is its identity again.

        Raises:
            NoSuchPeer: there is none of that name.
            NoRotation: it has one identity only.
        """
        peer = self.get(name)
        if not peer.older:
            raise NoRotation(name)
        return self._write(replace(peer, identity=peer.older[0], older=peer.older[1:]))

    def set_may_send(self, name: str, may_send: bool) -> Peer:
        """Let the peer deliver to us, or no longer.

        Raises:
            NoSuchPeer: there is none of that name.
        """
        return self._write(replace(self.get(name), may_send=may_send))

    def set_policy(self, name: str, policy: PeerPolicy) -> Peer:
        """Say what the peer may deliver, in place of what was said before.

        Raises:
            NoSuchPeer: there is none of that name.
        """
        return self._write(replace(self.get(name), policy=policy))

    def rename(self, name: str, new_name: str) -> Peer:
        """Give the peer another name. After a crash it has one of the two, or both.

        Raises:
            NoSuchPeer: there is none of that name.
            NameRefused: the new one cannot be a name.
            PeerExists: the new one is taken, or differs from a taken one (but this one) in capitals only.
        """
        peer = self.get(name)
        checked_peer_name(new_name)
        self._require_free(new_name, besides=name)
        renamed = replace(peer, name=new_name)
        if name.lower() == new_name.lower():  # the same file where the system does not tell capitals apart
            rename_file(self._file(name), self._file(new_name))
            return renamed
        try:
            write_new_file(self._file(new_name), encode_peer(renamed))
        except FileExistsError:
            raise PeerExists(new_name, new_name) from None
        self.remove(name)
        return renamed

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

    def _require_new(self, name: str, identity: PublicIdentity) -> None:
        checked_peer_name(name)
        # First, so that who is known under this very name is told what can be meant by adding it again.
        self._require_unpinned(name, identity)
        self._require_free(name)

    def _require_free(self, name: str, besides: str | None = None) -> None:
        for existing in self.names():
            if existing.lower() == name.lower() and existing != besides:
                raise PeerExists(name, existing)

    def _require_unpinned(self, name: str, identity: PublicIdentity) -> None:
        if identity.fingerprint == self._home.load_public_identity()[0].fingerprint:
            raise OwnIdentity
        pinned = self.by_fingerprint().get(identity.fingerprint)
        if pinned is not None:
            raise PeerAlreadyPinned(name, pinned.name)

    def _require_known(self, names: Iterable[str]) -> None:
        known = self.names()
        for name in names:
            if name not in known:
                raise NoSuchPeer(name, known)

    def _read(self, name: str) -> Peer:
        path = self._file(name)
        try:
            return decode_peer(name, path, read_file(path))
        except FileNotFoundError:  # removed since it was listed
            raise NoSuchPeer(name, self.names()) from None

    def _write_new(self, peer: Peer) -> Peer:
        make_private_folder(self._home.peers_folder)
        try:
            write_new_file(self._file(peer.name), encode_peer(peer))
        except FileExistsError:
            raise PeerExists(peer.name, peer.name) from None
        return peer

    def _write(self, peer: Peer) -> Peer:
        write_file(self._file(peer.name), encode_peer(peer))
        return peer

    def _file(self, name: str) -> Path:
        return self._home.peers_folder / f"{name}{_SUFFIX}"


def _by_fingerprint(peers: Iterable[Peer]) -> dict[bytes, Peer]:
    return {identity.fingerprint: peer for peer in peers for identity in peer.identities}
