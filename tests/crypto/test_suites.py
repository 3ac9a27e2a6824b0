"""Suites: one, frozen."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from selo.crypto.suites import CLASSIC, UnknownSuite, suite_by_name


def test_classic_is_suite_1() -> None:
    """The suite of section 6, under its name and its number."""
    assert suite_by_name("classic") is CLASSIC
    assert CLASSIC.number == 1


def test_security_a_suite_cannot_be_changed() -> None:
    """Nobody weakens a suite in place."""
    with pytest.raises(FrozenInstanceError):
        CLASSIC.number = 2  # type: ignore[misc]


@pytest.mark.parametrize("name", ["", "Classic", "modern", "1", "classic "])
def test_security_there_is_no_other_suite(name: str) -> None:
    """No spelling leads to a suite but the exact one, and the error names what there is."""
    with pytest.raises(UnknownSuite, match="there is classic"):
        suite_by_name(name)
