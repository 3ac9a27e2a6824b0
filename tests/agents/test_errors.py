"""What agents' errors say, to whom, and the status a program ends with."""

from __future__ import annotations

import errno
import inspect

import pytest

from selo.agents import errors
from selo.agents.errors import DeliveryCut, SinkFault, SourceFault
from selo.errors import (
    Interrupted,
    LocalFault,
    MisuseError,
    PeerFault,
    SeloError,
    SessionError,
    UnreachableError,
    UsageError,
)
from selo.transport.base import LegClosed

CUT = LegClosed("the connection was closed")

EXAMPLES: list[tuple[SeloError, type[SeloError], int]] = [
    (errors.SourceFault("/home/a/data", "it is a folder", "send an archive"), LocalFault, 1),
    (errors.StreamLost(5000, 1000), LocalFault, 1),
    (errors.NamesGone(1, 6), LocalFault, 1),
    (errors.SinkFault("/home/a/data", "no space left on device"), LocalFault, 1),
    (errors.TargetExists("/home/a/data"), LocalFault, 1),
    (errors.CannotBeginAnew(1024), LocalFault, 1),
    (errors.RefusedByPolicy("alice", "it takes 10 bytes at most"), LocalFault, 1),
    (errors.HoldLimitExceeded(1024), LocalFault, 1),
    (errors.InternalFault(ValueError("x")), LocalFault, 1),
    (errors.PeerMisbehaved("ACK has a wrong length"), SessionError, 4),
    (errors.OpenMissing(), SessionError, 4),
    (errors.PeerLost(10.0), SessionError, 4),
    (errors.PeerInterrupted("interrupted by its user"), SessionError, 4),
    (errors.PeerFailed("Receiver", "no space left on device"), PeerFault, 1),
    (errors.PeerLater("it is busy"), SessionError, 4),
    (errors.HeldForAnother("alice"), SessionError, 4),
    (errors.BeginAnew(), SessionError, 4),
    (errors.ReceiptUnsigned(), SessionError, 4),
    (errors.DigestMismatch(), SessionError, 4),
    (errors.DeliveryCut("Emitter", CUT, 5), SessionError, 4),
    (errors.DeliveryCut("Receiver", CUT, 5), SessionError, 4),
    (errors.DeliveryCut("Emitter", CUT, 5, outcome_unknown=True), SessionError, 4),
    (errors.WrongKind("a delivery", "a conversation"), LocalFault, 1),
    (errors.MessageTooLong(1000), LocalFault, 1),
    (errors.NothingCame(5.0), UnreachableError, 5),
    (errors.UnreadMessages(2), MisuseError, 1),
    (errors.ConversationCut(CUT, 5, 3), SessionError, 4),
    (errors.OutputIsTerminal(), UsageError, 2),
]
each_example = pytest.mark.parametrize(
    ("error", "family", "status"), [pytest.param(*row, id=type(row[0]).__name__) for row in EXAMPLES]
)


def test_the_examples_are_complete() -> None:
    """Every error of the module has an example here."""
    defined = {
        value
        for _, value in inspect.getmembers(errors, inspect.isclass)
        if value.__module__ == errors.__name__
    }
    assert {type(error) for error, _, _ in EXAMPLES} == defined


@each_example
def test_every_error_is_of_its_family_and_has_its_status(
    error: SeloError, family: type[SeloError], status: int
) -> None:
    """Who is at fault decides the exit status of docs/PROTOCOL.md, section 12."""
    assert isinstance(error, family)
    assert error.exit_status == status


@each_example
def test_every_error_has_words_in_the_house_style(
    error: SeloError, family: type[SeloError], status: int
) -> None:
    """One line, no capital but in a role's name, no final period; a hint is a sentence or nothing."""
    words = str(error)
    assert words
    assert words == words.strip()
    assert "\n" not in words
    assert not words.endswith(".")
    assert words[0].islower()
    assert not error.hint.endswith(".")


@each_example
def test_every_error_keeps_its_data(error: SeloError, family: type[SeloError], status: int) -> None:
    """What the constructor was given is there as attributes, for programs that want more than words."""
    for name in inspect.signature(type(error).__init__).parameters:
        if name not in ("self", "args", "kwargs"):
            assert hasattr(error, name), f"{type(error).__name__} has lost its {name}"


CAUSES = [
    OSError(errno.ENOENT, "No such file or directory", "/home/a/data"),
    OSError(errno.ENOSPC, "No space left on device", "/home/a/data", None, "/home/a/other"),
    PermissionError(errno.EACCES, "Permission denied", "/home/a/data"),
    OSError("cannot open /home/a/data"),
    BlockingIOError(),
]


@pytest.mark.parametrize("cause", CAUSES, ids=repr)
@pytest.mark.parametrize("fault", [SourceFault, SinkFault])
def test_security_what_the_peer_is_told_holds_no_local_path(
    fault: type[SourceFault] | type[SinkFault], cause: OSError
) -> None:
    """The user reads the path, the peer only what is wrong with it."""
    error = fault.from_os("/home/a/data", cause)
    assert "/home/a/data" in str(error)
    assert error.for_peer
    assert "/" not in error.for_peer.replace("input/output", "")


def test_the_systems_words_are_in_the_house_style() -> None:
    """No capital at the beginning, for any error that the system knows."""
    for number in errno.errorcode:
        words = errors.words_of(OSError(number, "ignored"))
        assert words
        assert not words[0].isupper()


def test_a_reader_that_has_gone_has_words_of_its_own() -> None:
    """EPIPE is no broken pipe to a person, but a program that ended."""
    assert "has ended" in str(
        SinkFault.from_os("standard output", BrokenPipeError(errno.EPIPE, "Broken pipe"))
    )


def test_a_cut_says_what_is_known_on_each_side() -> None:
    """The Emitter hears what was acknowledged, or that nobody knows; the Receiver what became of it."""
    assert "1,234 bytes had been acknowledged" in str(DeliveryCut("Emitter", CUT, 1234))
    assert "nothing was kept" in str(DeliveryCut("Receiver", CUT, 0))
    assert "1,234 bytes were handed on and are not the whole" in str(DeliveryCut("Receiver", CUT, 1234))
    kept = DeliveryCut("Receiver", CUT, 1234, kept=True)
    assert "what came is kept to be taken up again" in str(kept)
    assert "the same command goes on" in kept.hint
    assert DeliveryCut("Receiver", CUT, 1234).hint == ""
    unknown = str(DeliveryCut("Emitter", CUT, 1234, outcome_unknown=True))
    assert unknown.startswith("outcome unknown")
    assert "may or may not" in unknown


@pytest.mark.parametrize("role", ["Emitter", "Receiver"])
def test_a_cut_says_how_long_it_was_tried(role: str) -> None:
    """Only where it was: seconds, on each side."""
    assert "within 600 s" in str(DeliveryCut(role, CUT, 1234, tried=600.0))
    assert "within" not in str(DeliveryCut(role, CUT, 1234))


@pytest.mark.parametrize(("number", "status", "words"), [(2, 130, "interrupted"), (15, 143, "terminated")])
def test_signals_have_their_own_status(number: int, status: int, words: str) -> None:
    """128 and the number of the signal, as shells count."""
    assert (Interrupted(number).exit_status, str(Interrupted(number))) == (status, words)
