"""What the protocol refuses, sorted by who is at fault.

    TrustError      HandshakeError      MalformedMessage, IncompatiblePeer, AuthenticationFailed, UnknownPeer
    SessionError    RecordError         RecordRefused, SequenceExhausted
    UsageError      IdentityError       MalformedIdentity, PassphraseNeeded, WrongPassphrase

On the wire they all look alike: the leg closes. ``check`` says, for the local
report only, which check failed.
"""

from __future__ import annotations

from enum import StrEnum

from selo.errors import SessionError, TrustError, UsageError


class HandshakeCheck(StrEnum):
    """The checks of docs/PROTOCOL.md, section 6.1, in no order."""

    MAGIC = "type and magic"
    TYPE = "type"
    VERSION = "version"
    SUITE = "suite"
    LENGTH = "length"
    COOKIE = "cookie"
    MAC1 = "mac1"
    PUBLIC_VALUE = "range of the public value"
    NONCE = "own nonce"
    SEAL = "seal"
    FINGERPRINT = "fingerprint"
    OWN_FINGERPRINT = "own fingerprint"
    MAC = "mac"
    SIGNATURE = "signature"
    FIN = "fin"
    LIMITS = "limits"


class RecordCheck(StrEnum):
    """The checks of docs/PROTOCOL.md, section 8, in order; ``ENDED`` is every later record."""

    LENGTH = "length"
    RESERVED = "reserved bytes"
    TYPE = "type"
    STATE = "type in this state"
    SEQUENCE = "sequence number"
    TAG = "tag"
    BODY = "length for this type"
    TOTALS = "totals"
    ENDED = "session already ended"


class HandshakeError(TrustError):
    """A handshake that did not come to its end. ``stage`` is the message refused, M1 to M4."""

    def __init__(self, stage: str, check: HandshakeCheck) -> None:
        super().__init__(stage, check)
        self.stage = stage
        self.check = check


class MalformedMessage(HandshakeError):
    """Bytes that no program that follows the protocol sends at this point."""

    def __str__(self) -> str:
        return f"not a handshake message of Selo ({self.stage}: {self.check})"


class AuthenticationFailed(HandshakeError):
    """The other side did not prove that it holds the keys; the words never tell how."""

    def __str__(self) -> str:
        return "the other side did not authenticate"


class IncompatiblePeer(HandshakeError):
    """The other side speaks another version or suite. Suites are the numbers of the wire."""

    def __init__(
        self, stage: str, *, ours_version: int, theirs_version: int, ours_suite: int, theirs_suite: int
    ) -> None:
        differs = HandshakeCheck.VERSION if ours_version != theirs_version else HandshakeCheck.SUITE
        super().__init__(stage, differs)
        self.ours_version = ours_version
        self.theirs_version = theirs_version
        self.ours_suite = ours_suite
        self.theirs_suite = theirs_suite

    def __str__(self) -> str:
        return (
            f"the other side speaks version {self.theirs_version}, suite {self.theirs_suite}; "
            f"we speak version {self.ours_version}, suite {self.ours_suite}"
        )


class UnknownPeer(HandshakeError):
    """An Emitter showed a fingerprint that is not authorised here.

    It held the keys of the exchange, and nothing more is known: whether it could also have
    signed for ``fingerprint`` (32 bytes) was not looked at.
    """

    def __init__(self, fingerprint: bytes) -> None:
        super().__init__("M3", HandshakeCheck.FINGERPRINT)
        self.fingerprint = fingerprint

    def __str__(self) -> str:
        return f"an Emitter that is not authorised here showed the fingerprint {self.fingerprint.hex()}"


class RecordError(SessionError):
    """The stream of records cannot go on."""


class RecordRefused(RecordError):
    """A record that failed ``check``; its session is over."""

    def __init__(self, check: RecordCheck) -> None:
        super().__init__(check)
        self.check = check

    def __str__(self) -> str:
        return f"a record was refused ({self.check})"


class SequenceExhausted(RecordError):
    """This direction sealed its last record: 2^40 of them."""

    def __str__(self) -> str:
        return "the session used up its sequence numbers"


class IdentityError(UsageError):
    """An identity that cannot be read."""


class MalformedIdentity(IdentityError):
    """Text or bytes that are no identity. ``reason`` says what is wrong with them."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"not a Selo identity: {self.reason}"


class PassphraseNeeded(IdentityError):
    """The private identity is encrypted and no passphrase was given."""

    def __str__(self) -> str:
        return "the private identity is encrypted: it needs its passphrase"


class WrongPassphrase(IdentityError):
    """The private identity did not decrypt; AES-GCM cannot tell which of the two it was."""

    def __str__(self) -> str:
        return "wrong passphrase, or the private identity was altered"
