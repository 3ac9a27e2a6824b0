"""Whether a second walk finds what a first one has found. Pure.

What moves from a folder that is still to come into one that is through would be in neither, without a word.
Eight bytes are kept of each name.
"""

from __future__ import annotations

from array import array


class Roll:
    """The paths of a first walk, in its order."""

    def __init__(self) -> None:
        self._names = array("q")

    def add(self, path: bytes) -> None:
        """The next one."""
        self._names.append(hash(path))

    def __len__(self) -> int:
        return len(self._names)

    def call(self) -> Call:
        """For one more walk in the same order."""
        return Call(self._names)


class Call:
    """A further walk; ``missing`` counts what the first one had and this one has passed."""

    def __init__(self, names: array[int]) -> None:
        self._names = names
        self._next = 0
        self._ahead: frozenset[int] | None = None
        self.missing = 0

    def found(self, path: bytes) -> None:
        """The next path: one of the roll, or one that is new."""
        name, place = hash(path), self._next
        if place >= len(self._names) or self._names[place] != name:
            if self._ahead is None:  # a search for each new name would take as long as all of them together
                self._ahead = frozenset(self._names[place:])
            if name not in self._ahead:
                return
            try:
                place = self._names.index(name, place)
            except ValueError:
                return
            self.missing += place - self._next
        self._next = place + 1

    def end(self) -> int:
        """Nothing more comes; how many are missing."""
        self.missing += len(self._names) - self._next
        self._next = len(self._names)
        return self.missing
