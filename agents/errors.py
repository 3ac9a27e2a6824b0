"""What can go wrong in an agent, beside what its rooms raise (see selo/errors.py).

``for_peer`` is the text that an ABORT may carry: it never holds a local path.
"""

from __future__ import annotations

import os

from selo.errors import (
    LocalFault,
    MisuseError,
    PeerFault,
    SeloError,
    SessionError,
    UnreachableError,
    UsageError,
)


class SourceFault(LocalFault):
    """What was to be sent cannot be read (any more)."""

    def __init__(self, source: str, reason: str, hint: str = "") -> None:
        super().__init__(source, reason)
        self.source = source
        self.reason = reason
        self.hint = hint

    @classmethod
    def from_os(cls, source: str, error: OSError) -> SourceFault:
        """The same, from what the system said."""
        return cls(source, words_of(error))

    @property
    def for_peer(self) -> str:
        return self.reason

    def __str__(self) -> str:
        return f"cannot read {self.source}: {self.reason}"


class NamesGone(LocalFault):
    """A tree was delivered, without ``missing`` of the ``total`` things that were there when it was begun."""

    hint = "compare the two, or send it again when nobody moves anything in it"

    def __init__(self, missing: int, total: int) -> None:
        super().__init__(missing, total)
        self.missing = missing
        self.total = total

    def __str__(self) -> str:
        return (
            f"it is delivered, but {self.missing:,} of the {self.total:,} things that were there at first "
            "were moved or removed before their turn came, and may be missing"
        )


class StreamLost(SourceFault):
    """What the Receiver lacks was sent, and can be read no more.

    ``kept_from`` is the first place (bytes) that could be sent again, ``held`` what the Receiver has.
    """

    def __init__(self, kept_from: int, held: int) -> None:
        super().__init__(
            "what was sent",
            f"the Receiver has {held:,} bytes of it, and a stream cannot be read again before {kept_from:,}",
            "the Receiver lost what it had: start the program that makes the stream again",
        )
        self.args = (kept_from, held)
        self.kept_from = kept_from
        self.held = held


class SinkFault(LocalFault):
    """What arrives cannot be stored."""

    def __init__(self, target: str, reason: str, hint: str = "", *, for_peer: str = "") -> None:
        super().__init__(target, reason)
        self.target = target
        self.reason = reason
        self.hint = hint
        self.for_peer = for_peer or reason

    @classmethod
    def from_os(cls, target: str, error: OSError) -> SinkFault:
        """The same, from what the system said."""
        if isinstance(error, BrokenPipeError):
            return cls(target, "the program that reads it has ended")
        if isinstance(error, FileNotFoundError):
            words = words_of(error)
            return cls(
                target, words, "make the folder first", for_peer="the folder to store it in is not there"
            )
        return cls(target, words_of(error))

    def __str__(self) -> str:
        return f"cannot write {self.target}: {self.reason}"


class TargetExists(SinkFault):
    """The target is there already and nobody allowed us to replace it."""

    def __init__(self, target: str, shown_to_peer: str | None = None) -> None:
        super().__init__(
            target,
            "it exists already",
            hint="the Emitter can choose another name with --as; --rename or --overwrite take it here, "
            "or the peer's `selo trust policy`, which comes before them",
            for_peer=f"{shown_to_peer or 'its place'} exists already",
        )
        self.args = (target, shown_to_peer)
        self.shown_to_peer = shown_to_peer


class CannotBeginAnew(SinkFault):
    """The Emitter sends from the beginning, and ``handed_on`` bytes are out of our hands."""

    def __init__(self, handed_on: int) -> None:
        super().__init__(
            "the stream",
            f"the Emitter begins anew, and {handed_on:,} bytes were handed on",
            "start both sides again",
            for_peer="it handed on what came before, and cannot take it back",
        )
        self.args = (handed_on,)
        self.handed_on = handed_on


class RefusedByPolicy(SinkFault):
    """The peer may not deliver that here; ``rule`` is the reason, which the peer is told."""

    def __init__(self, peer: str, rule: str) -> None:
        super().__init__(
            f"what {peer} brings",
            rule,
            f"`selo trust policy {peer}` shows what it may deliver",
            for_peer=rule,
        )
        self.args = (peer, rule)
        self.peer = peer
        self.rule = rule


class HoldLimitExceeded(SinkFault):
    """A stream that is longer than the ``limit`` in bytes that we hold back."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            "the stream",
            f"it is longer than the {limit:,} bytes that are held back at most",
            "--hold-limit SIZE allows more; nothing was handed on",
            for_peer=f"it holds back {limit:,} bytes at most",
        )
        self.limit = limit


class InternalFault(LocalFault):
    """An error that nobody foresaw: a bug in Selo."""

    hint = "--verbose shows where it happened"

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error

    def __str__(self) -> str:
        return f"this is a bug in Selo; please report it: {type(self.error).__name__}: {self.error}"


class PeerMisbehaved(SessionError):
    """A record that authenticated and yet breaks the rules of the delivery."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule

    def __str__(self) -> str:
        return f"the other side broke the protocol: {self.rule}"


class OpenMissing(PeerMisbehaved):
    """A session in which nothing was begun."""

    def __init__(self) -> None:
        super().__init__("no OPEN came in time")
        self.args = ()


class PeerLost(SessionError):
    """Nothing authenticated arrived for ``seconds``."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return f"nothing heard from the other side for {self.seconds:g} s"


class PeerInterrupted(SessionError):
    """The other side's user interrupted it, or it gave us up, and it said so."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"the other side gave up: {self.text}"


class PeerFailed(PeerFault):
    """The other side's source or sink failed, and it said so."""

    def __init__(self, role: str, text: str) -> None:
        super().__init__(role, text)
        self.role = role
        self.text = text

    def __str__(self) -> str:
        verb = "did not take it" if self.role == "Receiver" else "could not go on"
        return f"the {self.role} {verb}: {self.text}"


class PeerLater(SessionError):
    """The other side cannot go on now, and said that it may later."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"the other side is not ready: {self.text}"


class HeldForAnother(SessionError):
    """A peer came for something while the place is held for a delivery that was cut."""

    for_peer = "its place is held for a delivery that was cut, until that comes or its user ends the waiting"

    def __init__(self, peer: str) -> None:
        super().__init__(peer)
        self.peer = peer

    def __str__(self) -> str:
        return f"{self.peer} came with another delivery than the one that the place is held for"


class BeginAnew(SessionError):
    """The delivery is stored, and the Emitter has other content under its name now."""

    for_peer = "what was stored is not what is sent now: it is to be sent as new"

    def __str__(self) -> str:
        return "the Emitter's source has changed since the delivery was stored; it is taken as a new one"


class ReceiptUnsigned(SessionError):
    """The statement that came with the receipt does not carry the Receiver's signature over this delivery."""

    def __str__(self) -> str:
        return "the receipt's signature is not the Receiver's over what was sent"


class DigestMismatch(SessionError):
    """What reached the sink is not what left the source, though every tag verified."""

    def __str__(self) -> str:
        return "the content's digest differs between source and sink: memory or program fault"


class DeliveryCut(SessionError):
    """The session ended before the delivery did.

    ``done`` counts bytes: those acknowledged (Emitter; all, if the outcome is unknown), or those that
    the sink had passed on and cannot call back (Receiver). ``tried`` is for how many seconds the delivery
    could not be taken up again, ``kept`` whether its partial data waits to be.
    """

    def __init__(
        self,
        role: str,
        cause: SeloError,
        done: int,
        outcome_unknown: bool = False,
        *,
        tried: float = 0.0,
        kept: bool = False,
    ) -> None:
        super().__init__(role, cause, done, outcome_unknown)
        self.role = role
        self.cause = cause
        self.done = done
        self.outcome_unknown = outcome_unknown
        self.tried = tried
        self.kept = kept
        self.hint = "the same command goes on where this one stopped" if kept else ""

    def __str__(self) -> str:
        return f"{self._what_is_left()}{self._how_long()}"

    def _how_long(self) -> str:
        return f"; it could not be taken up again within {self.tried:g} s" if self.tried else ""

    def _what_is_left(self) -> str:
        if self.outcome_unknown:
            return (
                f"outcome unknown: {self.cause}; all {self.done:,} bytes were sent, "
                "but no valid receipt came: the Receiver may or may not have stored them"
            )
        if self.role == "Emitter":
            return (
                f"the session was cut: {self.cause}; the delivery is not complete, "
                f"{self.done:,} bytes had been acknowledged"
            )
        if self.kept:
            return f"the session was cut: {self.cause}; what came is kept to be taken up again"
        if not self.done:
            return f"the session was cut: {self.cause}; nothing was kept"
        return f"the session was cut: {self.cause}; {self.done:,} bytes were handed on and are not the whole"


class WrongKind(LocalFault):
    """A peer that we trust came for something else than what this agent is here for."""

    hint = "one side runs a delivery and the other a conversation: start the same on both"

    def __init__(self, came: str, wanted: str) -> None:
        super().__init__(came, wanted)
        self.came = came
        self.wanted = wanted

    @property
    def for_peer(self) -> str:
        return f"it takes {self.wanted}, and not {self.came}"

    def __str__(self) -> str:
        return f"the other side began {self.came} where we take {self.wanted}"


class MessageTooLong(LocalFault):
    """A message of a conversation that is longer than we take, in bytes."""

    hint = "message_max (SELO_MESSAGE_MAX) allows longer ones"

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    @property
    def for_peer(self) -> str:
        return f"it takes no message of more than {self.limit:,} bytes"

    def __str__(self) -> str:
        return f"the other side sent a message of more than {self.limit:,} bytes"


class NothingCame(UnreachableError):
    """No message came within the time that a program gave; the conversation goes on."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return f"no message came within {round(self.seconds, 2):g} s"


class UnreadMessages(MisuseError):
    """A conversation that was closed while messages lay there that nobody had taken."""

    hint = "take messages until there are none before closing, or give up with `abort()`"

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count

    def __str__(self) -> str:
        return f"closed with {self.count} messages unread"


class ConversationCut(SessionError):
    """The session ended before the conversation did; counts of our messages."""

    def __init__(self, cause: SessionError, sent: int, taken: int) -> None:
        super().__init__(cause, sent, taken)
        self.cause = cause
        self.sent = sent
        self.taken = taken

    def __str__(self) -> str:
        return (
            f"the session was cut: {self.cause}; of {self.sent:,} messages sent, "
            f"{self.taken:,} are known to have been taken by the other side"
        )


class OutputIsTerminal(UsageError):
    """A stream that would be written to a terminal, which would obey what a peer put into it."""

    hint = "name a file (selo receive --output FILE, selo backup FILE), or pipe it on"

    def __str__(self) -> str:
        return "standard output is a terminal"


def words_of(error: OSError) -> str:
    """The system's words for an error, without a capital and without a path."""
    words = os.strerror(error.errno) if error.errno else type(error).__name__
    return words[:1].lower() + words[1:]
