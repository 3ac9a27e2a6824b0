"""Suites: frozen choices of every algorithm. One is configured; none is negotiated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from selo.crypto import limits
from selo.errors import UsageError


@dataclass(frozen=True)
class Suite:
    """Its name in the settings, its number on the wire, the exact length (bytes) of its messages."""

    name: str
    number: int
    m1_length: int
    m2_length: int
    m2_clear_length: int
    m3_length: int
    m4_length: int


CLASSIC: Final = Suite(
    name="classic",
    number=1,
    m1_length=limits.M1_LENGTH,
    m2_length=limits.M2_LENGTH,
    m2_clear_length=limits.M2_CLEAR_LENGTH,
    m3_length=limits.M3_LENGTH,
    m4_length=limits.M4_LENGTH,
)
"""ffdhe3072, DSA-3072/256 with SHA-256, AES-256-CFB128, HMAC-SHA-256 and HKDF-SHA-256: what the exercise
asks for, sound at the 128-bit level, not resistant to a quantum computer."""

SUITES: Final = {CLASSIC.name: CLASSIC}
"""Every suite by its name."""


class UnknownSuite(UsageError):
    """A setting that names no suite; ``known`` are the names that it may have."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(name, known)
        self.name = name
        self.known = known

    def __str__(self) -> str:
        return f"no suite is called {self.name!r}; there is {', '.join(self.known)}"


def suite_by_name(name: str) -> Suite:
    """The suite that a setting names.

    Raises:
        UnknownSuite: there is none of that name.
    """
    try:
        return SUITES[name]
    except KeyError:
        raise UnknownSuite(name, tuple(SUITES)) from None
