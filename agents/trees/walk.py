"""Through a folder and everything below it, always in the same order, never out of it.

Every folder is entered from its parent's handle and no symbolic link is followed, so whoever exchanges a
folder for a link meanwhile gets an error and not another folder's files.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from selo.agents.errors import SourceFault
from selo.agents.trees.entries import DEPTH_MAX, is_legal_name, link_stays_inside
from selo.agents.trees.rules import Rules

LEAVE_OUT = "leave it out with --exclude"

_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK  # without waiting for a FIFO's writer

_SPECIAL = {
    stat.S_IFSOCK: "it is a socket",
    stat.S_IFIFO: "it is a FIFO",
    stat.S_IFCHR: "it is a device",
    stat.S_IFBLK: "it is a device",
}


@dataclass(frozen=True)
class Root:
    """A top-level item: the path as it was ``given``, and its ``name`` in the tree."""

    given: str
    name: bytes

    def status(self) -> os.stat_result:
        """What is there; links are followed.

        Raises:
            SourceFault: nothing is, or it cannot be seen.
        """
        try:
            return os.stat(self.given)
        except OSError as error:
            raise SourceFault.from_os(self.given, error) from error
        except ValueError as error:
            raise SourceFault(ascii(self.given), "it cannot be a path") from error


@dataclass(slots=True)
class Found:
    """One thing in the walk: a folder, a regular file or a symbolic link.

    ``path`` is that of its item, from the top-level name on. ``status`` is a folder's as of its opening.
    ``folder`` is the handle of the folder it lies in, open until the walk goes on; None for a top-level item.
    ``target`` is a link's.
    """

    root: Root
    depth: int
    name: bytes
    path: bytes
    status: os.stat_result
    folder: int | None
    target: bytes = b""

    @property
    def where(self) -> str:
        """Its path, for messages."""
        below = self.below
        return os.path.join(self.root.given, os.fsdecode(below)) if below else self.root.given

    @property
    def below(self) -> bytes:
        """Its path from the top-level item on; empty for that."""
        return self.path[len(self.root.name) + 1 :]

    def open(self, flags: int = 0) -> int:
        """A descriptor of it, which the caller closes. Only a top-level link is followed.

        Raises:
            SourceFault: it cannot be opened, or is a symbolic link now.
        """
        try:
            if self.folder is None:
                return os.open(self.root.given, _OPEN | flags)
            return os.open(self.name, _OPEN | os.O_NOFOLLOW | flags, dir_fd=self.folder)
        except OSError as error:
            if error.errno == errno.ELOOP or (error.errno == errno.ENOTDIR and self.folder is not None):
                raise SourceFault(self.where, "it was replaced while it was read") from error
            raise SourceFault.from_os(self.where, error) from error


@dataclass(slots=True)
class _Level:
    """An open folder of the walk, and the names in it that are still to come."""

    folder: Found
    descriptor: int
    names: Iterator[bytes]
    rules: Rules


def walk(root: Root, rules: Rules) -> Iterator[Found]:
    """The top-level item, and what is in it: names in the order of their bytes, a folder before its content.

    Raises:
        SourceFault: something cannot be read, is of a kind that does not travel, lies too deep, or is a link
            that leads out of the top-level item.
    """
    levels: list[_Level] = []
    found: Found | None = Found(root, 0, root.name, root.name, root.status(), None)
    try:
        while found is not None:
            _refuse_special(found)
            if stat.S_ISDIR(found.status.st_mode):
                levels.append(_enter(found, levels[-1].rules if levels else rules))
            yield found
            found = _next(levels)
    finally:
        for level in levels:
            os.close(level.descriptor)


def _next(levels: list[_Level]) -> Found | None:
    """What comes next and is not left out; folders that are through are closed."""
    while levels:
        level = levels[-1]
        for name in level.names:
            found = _look(level, name)
            if not level.rules.hides(found.below, stat.S_ISDIR(found.status.st_mode)):
                return found
        os.close(levels.pop().descriptor)
    return None


def _look(level: _Level, name: bytes) -> Found:
    parent = level.folder
    path = parent.path + b"/" + name
    try:
        status = os.stat(name, dir_fd=level.descriptor, follow_symlinks=False)
    except OSError as error:
        where = os.path.join(parent.where, os.fsdecode(name))
        raise SourceFault.from_os(where, error) from error
    return Found(parent.root, parent.depth + 1, name, path, status, level.descriptor)


def _enter(found: Found, rules: Rules) -> _Level:
    descriptor = found.open(os.O_DIRECTORY)
    try:
        found.status = os.fstat(descriptor)
        names = sorted(map(os.fsencode, os.listdir(descriptor)))
        inner = rules.within(found.below, descriptor, found.where)
    except OSError as error:
        os.close(descriptor)
        raise SourceFault.from_os(found.where, error) from error
    except BaseException:
        os.close(descriptor)
        raise
    return _Level(found, descriptor, iter(names), inner)


def _refuse_special(found: Found) -> None:
    """Nothing is left out silently: what cannot travel is named."""
    mode = found.status.st_mode
    if not is_legal_name(found.name):
        raise SourceFault(found.where, "its name is longer than 255 bytes", LEAVE_OUT)
    if found.depth > DEPTH_MAX:
        raise SourceFault(found.where, f"it lies more than {DEPTH_MAX} folders deep", LEAVE_OUT)
    if stat.S_ISLNK(mode):
        _read_link(found)
    elif not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise SourceFault(found.where, special(mode), LEAVE_OUT)


def special(mode: int) -> str:
    """What is neither a file nor a folder nor a link, in words."""
    return _SPECIAL.get(stat.S_IFMT(mode), "it is neither a file nor a folder")


def _read_link(found: Found) -> None:
    try:
        found.target = os.readlink(found.name, dir_fd=found.folder)
    except OSError as error:
        raise SourceFault.from_os(found.where, error) from error
    if not link_stays_inside(found.depth, found.target):
        # The target may be a path of this machine: it is part of the source, which no ABORT carries.
        raise SourceFault(
            f"{found.where} -> {os.fsdecode(found.target)}",
            "it is a symbolic link that leads out of what is sent",
            LEAVE_OUT,
        )
