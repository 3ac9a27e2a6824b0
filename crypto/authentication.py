"""Who the other side is: signatures and MACs over the transcript (docs/PROTOCOL.md, section 6).

A ``VerifiedPeer`` is the proof that the checks were made: nothing outside this
module can build one, and a session cannot be built without one.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from selo.crypto.errors import AuthenticationFailed, HandshakeCheck, UnknownPeer
from selo.crypto.groups import DSA_G
from selo.crypto.identity import Identity, PublicIdentity
from selo.crypto.limits import DSA_PUBLIC_LENGTH
from selo.crypto.messages import AUTH
from selo.crypto.primitives import dsa_verify, equal, hmac_sha256, sha256
from selo.crypto.schedule import HandshakeKeys, label
from selo.crypto.suites import Suite
from selo.errors import MisuseError

_PROOF: Final = object()

_DUMMY_Y: Final = DSA_G.to_bytes(DSA_PUBLIC_LENGTH, "big")
"""Stands in for the key of an unknown Emitter. Its private half is 1: what it verifies proves nothing,
and nothing is made of it."""


class VerifiedPeer:
    """A peer that proved, in this handshake, that it holds the keys of ``public``."""

    __slots__ = ("_public",)

    def __init__(self, public: PublicIdentity, *, proof: object) -> None:
        if proof is not _PROOF:
            raise MisuseError("a peer is verified by its handshake and by nothing else")
        self._public = public

    @property
    def public(self) -> PublicIdentity:
        """The pinned identity that verified."""
        return self._public

    @property
    def fingerprint(self) -> bytes:
        """Its fp, 32 bytes."""
        return self._public.fingerprint

    def __repr__(self) -> str:
        return f"VerifiedPeer({self.fingerprint.hex()})"


def receiver_auth(identity: Identity, *, suite: Suite, keys: HandshakeKeys, t1: bytes) -> bytes:
    """fpR | sigR | macR, 128 bytes: the plaintext of M2's seal."""
    fingerprint = identity.fingerprint
    signature = identity.sign_dsa(_receiver_signed(suite, t1, fingerprint))
    return AUTH.pack(fingerprint, signature, _receiver_mac(keys, t1, fingerprint, signature))


def emitter_auth(
    identity: Identity, receiver_fingerprint: bytes, *, suite: Suite, keys: HandshakeKeys, t2: bytes
) -> bytes:
    """fpE | sigE | macE, 128 bytes: the plaintext of M3's seal."""
    fingerprints = identity.fingerprint + receiver_fingerprint
    signature = identity.sign_dsa(_emitter_signed(suite, t2, fingerprints))
    return AUTH.pack(identity.fingerprint, signature, _emitter_mac(keys, t2, fingerprints, signature))


def verify_receiver(
    auth: bytes, pinned: PublicIdentity, *, suite: Suite, keys: HandshakeKeys, t1: bytes
) -> VerifiedPeer:
    """Steps 5 to 7 of the Emitter on M2.

    Raises:
        AuthenticationFailed: the first check that failed.
    """
    fingerprint, signature, mac = AUTH.unpack(auth)
    # 5. The pinned peer and nobody else.
    if not equal(fingerprint, pinned.fingerprint):
        raise AuthenticationFailed("M2", HandshakeCheck.FINGERPRINT)
    # 6. macR.
    if not equal(mac, _receiver_mac(keys, t1, fingerprint, signature)):
        raise AuthenticationFailed("M2", HandshakeCheck.MAC)
    # 7. sigR.
    if not pinned.verify_dsa(_receiver_signed(suite, t1, fingerprint), signature):
        raise AuthenticationFailed("M2", HandshakeCheck.SIGNATURE)
    return VerifiedPeer(pinned, proof=_PROOF)


def verify_emitter(
    auth: bytes,
    authorised: Mapping[bytes, PublicIdentity],
    own_fingerprint: bytes,
    *,
    suite: Suite,
    keys: HandshakeKeys,
    t2: bytes,
) -> VerifiedPeer:
    """Steps 3 to 5 of the Receiver on M3.

    An unknown Emitter goes the same way, through a dummy key, before it is refused: time does not tell
    who is authorised.

    Raises:
        UnknownPeer: an Emitter that is not in ``authorised``.
        AuthenticationFailed: the first check that failed.
    """
    fingerprint, signature, mac = AUTH.unpack(auth)
    fingerprints = fingerprint + own_fingerprint
    # 3. In the table, and not ourselves.
    peer = _look_up(fingerprint, authorised)
    own = equal(fingerprint, own_fingerprint)
    # 4. macE.
    failed = None
    if not equal(mac, _emitter_mac(keys, t2, fingerprints, signature)):
        failed = HandshakeCheck.MAC
    # 5. sigE.
    elif not dsa_verify(
        peer.dsa_y if peer else _DUMMY_Y, _emitter_signed(suite, t2, fingerprints), signature
    ):
        failed = HandshakeCheck.SIGNATURE
    if own:
        raise AuthenticationFailed("M3", HandshakeCheck.OWN_FINGERPRINT)
    if peer is None:
        raise UnknownPeer(fingerprint)
    if failed is not None:
        raise AuthenticationFailed("M3", failed)
    return VerifiedPeer(peer, proof=_PROOF)


def _look_up(fingerprint: bytes, authorised: Mapping[bytes, PublicIdentity]) -> PublicIdentity | None:
    """Looks at every entry, whichever matches: time tells how many there are and nothing else."""
    found = None
    for public in authorised.values():
        if equal(public.fingerprint, fingerprint):
            found = public
    return found


def _signed(role: str, suite: Suite, digest: bytes) -> bytes:
    """What a signature covers. The 64 spaces and the label keep it apart from anything else signed, ever."""
    return b"\x20" * 64 + label(f"sig {role}") + struct.pack(">H", suite.number) + digest


def _receiver_signed(suite: Suite, t1: bytes, fingerprint: bytes) -> bytes:
    return _signed("Receiver", suite, sha256(t1, fingerprint))


def _emitter_signed(suite: Suite, t2: bytes, fingerprints: bytes) -> bytes:
    return _signed("Emitter", suite, sha256(t2, fingerprints))


def _receiver_mac(keys: HandshakeKeys, t1: bytes, fingerprint: bytes, signature: bytes) -> bytes:
    return hmac_sha256(keys.mac_receiver, label("mac Receiver") + sha256(t1, fingerprint, signature))


def _emitter_mac(keys: HandshakeKeys, t2: bytes, fingerprints: bytes, signature: bytes) -> bytes:
    return hmac_sha256(keys.mac_emitter, label("mac Emitter") + sha256(t2, fingerprints, signature))
