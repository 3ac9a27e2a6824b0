"""The names of one delivery: given, taken back, and what was replaced put back where that was interrupted.

A thing of the delivery is known by its inode: it has its name where what has that name is this very inode,
and waits for it while its place in the staging folder holds that inode. Whatever else lies in such a place,
or aside, was replaced, and may be the only copy that its owner has.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress

from selo.agents.storage.handles import Handles
from selo.agents.storage.placing import (
    EXCHANGE,
    Place,
    move_new,
    move_over,
    rename_with,
    set_folder_mode,
    status_of,
)
from selo.agents.storage.staging import ASIDE, Staging
from selo.agents.storage.state import Final, State


class Naming:
    """Moves things between a ``staging`` folder, its ``source`` and the target ``folder``, all three open.

    ``source`` is None where that is gone. Errors of the system are raised as they are.
    """

    def __init__(self, staging: int, source: int | None, folder: int) -> None:
        self._staging = staging
        self._source = source
        self._folder = folder
        self._replaced: dict[int, int] = {}
        """The modes of what had the names before, by the number of the thing that replaced it."""

    def target(self, final: Final) -> Place:
        """Where it is to be."""
        return Place(self._folder, final.target)

    def has_name(self, final: Final) -> bool:
        """Whether it is where it is to be."""
        there = status_of(self.target(final))
        return there is not None and there.st_ino == final.inode

    def waits(self, final: Final) -> bool:
        """Whether it is in the staging folder."""
        here = self._here(final)
        return here is not None and here.st_ino == final.inode

    def source(self, final: Final) -> Place:
        """Where it lies until then."""
        assert self._source is not None
        return Place(self._source, final.source)

    def _here(self, final: Final) -> os.stat_result | None:
        return None if self._source is None else status_of(Place(self._source, final.source))

    def _aside(self, index: int) -> Place:
        return Place(self._staging, f"{ASIDE}{index}")

    def give(self, index: int, final: Final, *, over: bool) -> None:
        """Give it its name; ``over``: also where something of its kind has it.

        Raises:
            FileExistsError: it is taken.
        """
        source, target = self.source(final), self.target(final)
        if not over:
            move_new(source, target)
            return
        there = status_of(target)
        if there is not None:
            self._replaced[index] = stat.S_IMODE(there.st_mode)
        move_over(source, target, self._aside(index))

    def set_mode(self, final: Final, *, durable: bool) -> None:
        """A folder that its owner may not write to cannot be moved, so it gets its mode where it is now."""
        if final.mode is not None and self.has_name(final):  # else somebody was faster, and it is not ours
            set_folder_mode(self.target(final), final.mode, durable=durable)

    def take_back(self, index: int, final: Final) -> bool:
        """Undo ``give``, also one that failed; False where what was replaced is not there any more."""
        source, target = self.source(final), self.target(final)
        aside, here = self._aside(index), self._here(final)
        if self.has_name(final):
            # A link that was made, and the other not removed.
            if here is not None and here.st_ino == final.inode:
                os.unlink(target.name, dir_fd=target.folder)
            elif here is not None:
                rename_with(source, target, EXCHANGE)
            elif index in self._replaced and status_of(aside) is None:
                return False
            else:
                move_new(target, source)
        if status_of(aside) is not None and not self._put_back(index, target):
            return False
        if index in self._replaced:
            with suppress(OSError):  # it is no folder
                set_folder_mode(target, self._replaced[index])
        return True

    def _put_back(self, index: int, target: Place) -> bool:
        """Give what lies aside its name again, if that is free."""
        aside = self._aside(index)
        there = status_of(target)
        if there is None:
            move_new(aside, target)
        elif os.path.samestat(there, os.lstat(aside.name, dir_fd=aside.folder)):
            os.unlink(aside.name, dir_fd=aside.folder)  # it had not been replaced yet
        else:
            return False
        return True

    def put_back(self, finals: Sequence[Final]) -> bool:
        """Put back what can be; whether nothing is left here of which this may be the only copy."""
        if all(map(self.has_name, finals)):
            return True
        settled = True
        for index, final in enumerate(finals):
            if status_of(self._aside(index)) is not None:
                settled = self._put_back(index, self.target(final)) and settled
            settled = settled and (self._here(final) is None or self.waits(final))
        return settled


def is_settled(handles: Handles, staging: Staging, folder: int, state: State | None) -> bool:
    """Whether a staging folder holds nothing but parts of its delivery, once what was replaced is put back.

    Raises:
        OSError: the system refused.
    """
    if state is None:
        return staging.holds_parts_only
    if state.summary is None or state.placed:
        return True
    source = staging.open_source(state.offer.kind)
    try:
        return Naming(staging.number, source, folder).put_back(state.finals)
    finally:
        if source is not None and source != staging.number:
            handles.close(source)


def is_half(staging: Staging, folder: int, state: State) -> bool:
    """Whether some things of a delivery have their names, and others wait for them.

    Raises:
        OSError: the system refused.
    """
    if state.placed:
        return False
    naming = Naming(staging.number, None, folder)
    given = [naming.has_name(final) for final in state.finals]
    return any(given) and not all(given)
