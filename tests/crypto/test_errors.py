"""Errors: who is at fault, what they say, what they carry."""

from __future__ import annotations

import pytest

from selo.crypto import errors
from selo.crypto.errors import HandshakeCheck, RecordCheck
from selo.crypto.suites import UnknownSuite
from selo.errors import SeloError, SessionError, TrustError, UsageError

EVERY = [
    (errors.MalformedMessage("M1", HandshakeCheck.LENGTH), TrustError, 3),
    (errors.AuthenticationFailed("M2", HandshakeCheck.MAC), TrustError, 3),
    (
        errors.IncompatiblePeer("M1", ours_version=1, theirs_version=1, ours_suite=1, theirs_suite=3),
        TrustError,
        3,
    ),
    (errors.UnknownPeer(bytes(32)), TrustError, 3),
    (errors.RecordRefused(RecordCheck.TAG), SessionError, 4),
    (errors.SequenceExhausted(), SessionError, 4),
    (errors.MalformedIdentity("it is too long"), UsageError, 2),
    (errors.PassphraseNeeded(), UsageError, 2),
    (errors.WrongPassphrase(), UsageError, 2),
    (UnknownSuite("modern", ("classic",)), UsageError, 2),
]


@pytest.mark.parametrize(("error", "family", "status"), EVERY, ids=lambda value: type(value).__name__)
def test_errors_are_sorted_by_fault(error: SeloError, family: type[SeloError], status: int) -> None:
    """Every error of the room is of one fault class, and its words have no capital and no full stop."""
    assert isinstance(error, family)
    assert error.exit_status == status
    words = str(error)
    assert words
    assert words[0] == words[0].lower() or words.startswith("M")
    assert not words.endswith(".")


def test_every_error_class_is_listed_above() -> None:
    """A new class cannot stay outside the table."""
    concrete = {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, SeloError) and value.__module__ == errors.__name__
    } - {errors.HandshakeError, errors.RecordError, errors.IdentityError}
    assert concrete <= {type(error) for error, _, _ in EVERY}


def test_security_an_authentication_failure_says_one_thing() -> None:
    """Whatever failed, the words are the same; only the local report can read ``check``."""
    failures = [errors.AuthenticationFailed("M2", check) for check in HandshakeCheck]
    assert len({str(failure) for failure in failures}) == 1
    assert [failure.check for failure in failures] == list(HandshakeCheck)


@pytest.mark.parametrize(
    ("theirs", "check"),
    [((2, 1), HandshakeCheck.VERSION), ((1, 2), HandshakeCheck.SUITE), ((2, 2), HandshakeCheck.VERSION)],
)
def test_an_incompatible_peer_is_named_in_full(theirs: tuple[int, int], check: HandshakeCheck) -> None:
    """Both versions and both suites are in the words; the version is judged before the suite."""
    error = errors.IncompatiblePeer(
        "M1", ours_version=1, theirs_version=theirs[0], ours_suite=1, theirs_suite=theirs[1]
    )
    assert error.check is check
    assert f"version {theirs[0]}, suite {theirs[1]};" in str(error)
