"""What is delivered under fire, and whether what arrived is the same."""

from __future__ import annotations

import os
import random
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Kind(StrEnum):
    """The three ways of handing something to `selo emit`."""

    FILE = "file"
    FOLDER = "folder"
    STDIN = "stdin"


@dataclass(frozen=True)
class Parcel:
    """Something at ``path`` with ``size`` bytes of content, to be called ``name`` on the other side."""

    kind: Kind
    path: Path
    name: str
    size: int

    @property
    def arguments(self) -> list[object]:
        """What `selo emit` is told."""
        return ["--as", self.name, "-"] if self.kind is Kind.STDIN else [self.path]

    @property
    def stdin(self) -> Path | None:
        """What to pour into the standard input of `selo emit`."""
        return self.path if self.kind is Kind.STDIN else None

    def difference(self, arrived: Path) -> str:
        """How what arrived differs, in words; empty if it does not."""
        if self.kind is not Kind.STDIN:
            return _difference(self.path, arrived)
        return "" if arrived.read_bytes() == self.path.read_bytes() else "the stream's content differs"


def make(kind: Kind, folder: Path, size: int, rng: random.Random) -> Parcel:
    """A parcel of that kind with ``size`` random bytes, in a folder that is there.

    A folder holds about ten files of very different lengths, an empty one, a link and a folder in a folder.
    """
    if kind is not Kind.FOLDER:
        path = folder / "parcel"
        path.write_bytes(rng.randbytes(size))
        return Parcel(kind, path, "stream" if kind is Kind.STDIN else path.name, size)
    top = folder / "tree"
    deep = top / "a" / "deep"
    deep.mkdir(parents=True)
    (top / "b-empty").mkdir()
    (top / "empty").touch()
    left = size
    for number in range(10):
        length = left if number == 9 else rng.randint(0, left // 2)
        place = (top, top / "a", deep)[number % 3] / f"{rng.choice('abcxyz')}{number}"
        place.write_bytes(rng.randbytes(length))
        left -= length
    (top / "empty").chmod(0o755)
    (deep / "link").symlink_to("../../empty")
    return Parcel(kind, top, top.name, size)


def _difference(here: Path, there: Path) -> str:
    one, other = here.lstat(), there.lstat()
    if stat.S_IFMT(one.st_mode) != stat.S_IFMT(other.st_mode):
        return f"{there.name} is of another kind"
    if here.is_symlink():
        return "" if os.readlink(here) == os.readlink(there) else f"{there.name} points elsewhere"
    if here.is_dir():
        names, others = sorted(os.listdir(here)), sorted(os.listdir(there))
        if names != others:
            return f"{there.name} holds {others} and not {names}"
        for name in names:
            if found := _difference(here / name, there / name):
                return found
    elif here.read_bytes() != there.read_bytes():
        return f"{there.name}'s content differs ({one.st_size:,} and {other.st_size:,} bytes)"
    if one.st_mode != other.st_mode:
        return f"{there.name}'s mode is {other.st_mode:o} and not {one.st_mode:o}"
    if one.st_mtime_ns != other.st_mtime_ns:
        return f"{there.name}'s time differs"
    return ""
