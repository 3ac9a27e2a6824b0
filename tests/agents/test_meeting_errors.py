"""What the errors of a meeting say, and the status a program ends with."""

from __future__ import annotations

import inspect

import pytest

from selo.agents import meeting_errors as errors
from selo.errors import LocalFault, SeloError, TrustError, UnreachableError, UsageError

FINGERPRINT = bytes(range(32))

EXAMPLES: list[tuple[SeloError, type[SeloError], int]] = [
    (errors.RefusedByPeer("bob", FINGERPRINT), TrustError, 3),
    (errors.WrongListener("bob", "tcp://192.0.2.1:7800", "ticket refused"), TrustError, 3),
    (
        errors.NotReached("bob", "tcp://192.0.2.1:7800", 30.0, "connection refused", "classic"),
        UnreachableError,
        5,
    ),
    (errors.OnePeerToConnectTo(("alice", "carol")), UsageError, 2),
    (errors.NobodyCame(30.0), UnreachableError, 5),
    (errors.OnlyStrangersCame(30.0, 2), TrustError, 3),
    (errors.HandshakeTimeout("a first message (M1)", 5.0), UnreachableError, 5),
    (errors.SendersUnknown("cannot read peers: too many open files"), LocalFault, 1),
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
    """One line, no capital, no final period; a hint is a sentence or nothing."""
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


@pytest.mark.parametrize(("awaited", "command"), [("Receiver", "selo receive"), ("Emitter", "emit --bind")])
def test_the_hint_names_the_command_of_the_other_side(awaited: str, command: str) -> None:
    """Whoever cannot be reached listens with one or the other; the suite is told on both."""
    error = errors.NotReached("bob", "tcp://192.0.2.1:7800", 30.0, "no answer", "classic", awaited)
    assert command in error.hint
    assert "suite classic" in error.hint


@pytest.mark.parametrize(("awaited", "setting"), [("Emitter", "receive_wait"), ("Receiver", "emit_wait")])
def test_who_waits_longer_is_told_by_whose_setting(awaited: str, setting: str) -> None:
    """Nobody came: the hint names our own side's setting, and the words whom we waited for."""
    error = errors.NobodyCame(30.0, awaited)
    assert setting in error.hint
    assert f"no {awaited} came" in str(error)
    assert f"no trusted {awaited} came" in str(errors.OnlyStrangersCame(30.0, 2, awaited))
