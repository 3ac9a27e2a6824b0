"""What of a tree is left out: patterns of the command line, and ignore files as git reads them.

A folder that is left out is not entered, so nothing below it can be brought back. Therefore whatever is asked
about lies in folders that stay, and only patterns that match itself count, the last one of them.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from selo.agents.errors import SourceFault
from selo.errors import UsageError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec


class BadPattern(UsageError):
    """A pattern of ``--exclude``, or a name for ignore files, that cannot be meant."""

    def __init__(self, text: str, reason: str, hint: str = "") -> None:
        super().__init__(text, reason)
        self.text = text
        self.reason = reason
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.text!a} {self.reason}"


@dataclass(frozen=True)
class _Pattern:
    """One line, taken apart. ``body`` has neither the ``!`` before it nor the slash behind it."""

    negated: bool
    folders_only: bool
    body: str

    @property
    def anchored(self) -> bool:
        """Whether it means one place, and not a name at any depth."""
        return "/" in self.body


@dataclass(frozen=True)
class _Group:
    """Neighbouring patterns with the same outcome; paths begin at ``base``, bytes into them."""

    negated: bool
    folders_only: bool
    base: int
    spec: GitIgnoreSpec

    def matches(self, path: bytes, is_folder: bool) -> bool:
        if self.folders_only and not is_folder:
            return False
        return self.spec.check_file(_text(path[self.base :])).include is True


class Rules:
    """The rules that hold in one folder: those of the command line, and of the ignore files down to it.

    Paths are relative to the top-level item, with ``/`` between the names. What comes later outweighs what
    came before: nearer ignore files those further up, and ``exclude`` all of them.

    Raises:
        BadPattern: a pattern means nothing, or ``ignore_files`` holds what is no name.
    """

    def __init__(self, exclude: Sequence[str] = (), ignore_files: Sequence[str] = ()) -> None:
        for name in ignore_files:
            if name in ("", ".", "..") or "/" in name or "\0" in name:
                raise BadPattern(name, "is not the name of a file")
        patterns = [_checked(pattern) for pattern in exclude]
        self._ignore_files = tuple(map(os.fsencode, ignore_files))
        self._exclude = _grouped(patterns, 0)
        self._top = _grouped([pattern for pattern in patterns if not pattern.anchored], 0)
        self._found: tuple[_Group, ...] = ()
        self._groups = self._exclude[::-1]

    def hides(self, path: bytes, is_folder: bool) -> bool:
        """Whether what lies at ``path`` (not empty) is left out."""
        return _decide(self._groups, path, is_folder)

    def hides_top(self, name: bytes, is_folder: bool) -> bool:
        """Whether a top-level item of this name is left out: by ``exclude``, as far as it means any depth."""
        return _decide(self._top[::-1], name, is_folder)

    def within(self, path: bytes, descriptor: int, where: str) -> Rules:
        """The rules inside the open folder at ``path`` (empty: the top-level item), ``where`` for messages.

        Raises:
            SourceFault: an ignore file in it cannot be read or understood.
        """
        patterns = [
            pattern
            for name in self._ignore_files
            for pattern in _patterns_of(name, descriptor, os.path.join(where, os.fsdecode(name)))
        ]
        if not patterns:
            return self
        inner = Rules()
        inner._ignore_files, inner._exclude = self._ignore_files, self._exclude
        inner._found = self._found + _grouped(patterns, len(path) + 1 if path else 0)
        inner._groups = (inner._found + inner._exclude)[::-1]
        return inner


def _decide(groups: Iterable[_Group], path: bytes, is_folder: bool) -> bool:
    return next((not group.negated for group in groups if group.matches(path, is_folder)), False)


def _grouped(patterns: Iterable[_Pattern], base: int) -> tuple[_Group, ...]:
    groups = groupby(patterns, key=lambda pattern: (pattern.negated, pattern.folders_only))
    return tuple(
        _Group(negated, folders_only, base, _compile([pattern.body for pattern in members]))
        for (negated, folders_only), members in groups
    )


def _compile(bodies: list[str]) -> GitIgnoreSpec:
    """What matches a path when one of the patterns means the path itself, and not only a folder above."""
    from pathspec import GitIgnoreSpec

    # The last pattern takes back all folders, and with them whatever is only hidden by one of them.
    # The other backends are whatever is installed; the simple one takes names that are not UTF-8 as well.
    return GitIgnoreSpec.from_lines([*bodies, "!*/"], backend="simple")


def _checked(text: str) -> _Pattern:
    try:
        pattern = _parsed(text)
    except (ValueError, re.error) as error:
        raise BadPattern(text, "is no pattern") from error
    if pattern is None:
        raise BadPattern(
            text, "excludes nothing", hint="a leading # makes a comment and a [ wants its ]: put \\ before it"
        )
    return pattern


def _parsed(line: str) -> _Pattern | None:
    """A line taken apart; None where it says nothing. ValueError and re.error where it is no pattern."""
    text = _one_line(line)
    if not text.endswith("\\ "):
        text = text.rstrip()
    if text.startswith("#"):
        return None
    negated = text.startswith("!")
    stripped = text[negated:]
    body = stripped.rstrip("/")
    if not body:
        return None
    folders_only = body != stripped
    if body[0] in "!#":
        body = "\\" + body
    means_something = _compile([body]).patterns[0].include is not None
    return _Pattern(negated, folders_only, body) if means_something else None


def _patterns_of(name: bytes, folder: int, where: str) -> list[_Pattern]:
    found = []
    for number, line in enumerate(_read(name, folder, where).split(b"\n"), start=1):
        try:
            pattern = _parsed(os.fsdecode(line))
        except (ValueError, re.error) as error:
            raise SourceFault(f"{where}, line {number}", "it is no pattern") from error
        if pattern is not None:
            found.append(pattern)
    return found


def _read(name: bytes, folder: int, where: str) -> bytes:
    """The bytes of an ignore file; none where there is no such file. A link would lead elsewhere."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise SourceFault.from_os(where, error) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        with open(descriptor, "rb", closefd=False) as file:
            return file.read().removeprefix(b"\xef\xbb\xbf")  # the mark that some editors write
    except OSError as error:
        raise SourceFault.from_os(where, error) from error
    finally:
        os.close(descriptor)


def _text(path: bytes) -> str:
    return _one_line(os.fsdecode(path))


def _one_line(text: str) -> str:
    """The matcher's dot takes everything but a line's end, and names may hold one."""
    return text.replace("\n", "\r")
