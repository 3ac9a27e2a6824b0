"""A peer, and the file that the trust store keeps of it.

`peers/NAME.json` holds exactly
``{"version": 1, "may_send": bool, "identity": "<the public identity's text>"}``; while the peer changes
its identity, ``"older": ["<the one before>", ...]``; and ``"policy": {...}`` where something was said of
what it may deliver (config/policy.py).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from selo.config.errors import FileDamaged
from selo.config.home import checked_peer_name
from selo.config.policy import AS_SETTINGS, PeerPolicy
from selo.crypto.errors import MalformedIdentity
from selo.crypto.identity import PublicIdentity

OLDER_MAX = 3
"""Identities beside the newest: who has more under one name has forgotten to finish a rotation."""

_VERSION = 1
_KEYS = {"version", "may_send", "identity"}
_MORE_KEYS = {"older", "policy"}


@dataclass(frozen=True)
class Peer:
    """Somebody whose identity we pinned under a name of ours."""

    name: str
    may_send: bool
    identity: PublicIdentity
    older: tuple[PublicIdentity, ...] = ()
    policy: PeerPolicy = AS_SETTINGS

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


def encode_peer(peer: Peer) -> bytes:
    """The content of the peer's file."""
    entry: dict[str, object] = {
        "version": _VERSION,
        "may_send": peer.may_send,
        "identity": peer.identity.to_text(None),
    }
    if peer.older:
        entry["older"] = [identity.to_text(None) for identity in peer.older]
    if peer.policy != AS_SETTINGS:
        entry["policy"] = peer.policy.as_json()
    return json.dumps(entry, indent=1).encode() + b"\n"


def decode_peer(name: str, path: Path, data: bytes) -> Peer:
    """The peer of a file at ``path``.

    Raises:
        FileDamaged: it is not what ``encode_peer`` makes.
    """
    entry = _object(path, data)
    version, may_send, texts = entry["version"], entry["may_send"], [entry["identity"]]
    if type(version) is not int or version != _VERSION:  # True == 1 == 1.0
        raise damaged(path, f"this Selo knows version {_VERSION} of it only")
    if "older" in entry:
        if not isinstance(entry["older"], list) or not 1 <= len(entry["older"]) <= OLDER_MAX:
            raise damaged(path, f"older is a list of 1 to {OLDER_MAX} identities")
        texts += entry["older"]
    if not isinstance(may_send, bool) or not all(isinstance(text, str) for text in texts):
        raise damaged(path, "may_send is true or false, and an identity is text")
    try:
        newest, *older = (PublicIdentity.from_text(str(text))[0] for text in texts)
    except MalformedIdentity as error:
        raise damaged(path, error.reason) from error
    if len({each.fingerprint for each in (newest, *older)}) != len(texts):
        raise damaged(path, "it names an identity twice")
    try:
        policy = PeerPolicy.from_json(entry["policy"]) if "policy" in entry else AS_SETTINGS
    except ValueError as error:
        raise damaged(path, str(error)) from None
    return Peer(name, may_send, newest, tuple(older), policy)


def _object(path: Path, data: bytes) -> dict[str, object]:
    try:
        entry = json.loads(data, object_pairs_hook=distinct)
    except (ValueError, RecursionError):
        raise damaged(path, "it is not JSON, or names a key twice") from None
    if not isinstance(entry, dict) or set(entry) - _MORE_KEYS != _KEYS:
        raise damaged(path, "it needs exactly version, may_send and identity, and may have older and policy")
    return entry


def damaged(path: Path, reason: str) -> FileDamaged:
    """The error for a file of the trust store."""
    return FileDamaged(path, reason, f"remove {path} and add the peer again")


def distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A JSON object whose keys are all different; of two alike, readers disagree which one counts.

    Raises:
        ValueError: two are alike.
    """
    if len(dict(pairs)) != len(pairs):
        raise ValueError(pairs)
    return dict(pairs)
