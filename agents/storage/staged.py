"""A delivery in its staging folder: opened or taken up again, given its final names, forgotten.

What is particular to a file and to a tree stands in staged_file.py and staged_tree.py.

The order that survives a crash anywhere: the content is synced; the state that says "committing" and holds
every final name is synced; the names are given; the target folder is synced. Whoever opens the delivery
after that looks whether what was to be named still lies in the staging folder. Nothing more needs to be
written once the names are given, so nothing can fail that would have to be told from a failed delivery.
"""

from __future__ import annotations

import os
import secrets
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from selo.agents.bodies import Offer
from selo.agents.content import Ladder, Summary
from selo.agents.errors import PeerMisbehaved, SinkFault, TargetExists
from selo.agents.storage.base import Held, ResumableSink, StorageRules, faults
from selo.agents.storage.durable import current_umask, set_mode, sync
from selo.agents.storage.handles import FOLDER_FLAGS, Handles
from selo.agents.storage.placing import Place, is_folder, move_new, move_over, numbered, status_of
from selo.agents.storage.removing import remove
from selo.agents.storage.staging import Staging, staging_name
from selo.agents.storage.state import Final, State
from selo.config.policy import Overwrite
from selo.crypto.limits import DELIVERY_LENGTH

LOOK_AFTER = 16 << 20
"""Bytes between two looks at how much room is left."""

ASIDE = "replaced-"
"""How the folders are called in the staging folder that were replaced, where two cannot change places."""


@dataclass(frozen=True)
class Whole:
    """One thing that is to get a final name.

    ``name`` is what it is called until then. ``mode``, where it is not None, is given to it after that.
    """

    name: str
    folder: bool
    mode: int | None = None


class Staged(ResumableSink):
    """What StagedFile and StagedTree share."""

    def __init__(self, folder: str | os.PathLike[str], rules: StorageRules, now: Callable[[], float]) -> None:
        self._path = Path(folder)
        self._rules = rules
        self._now = now
        self._umask = current_umask() if rules.umask is None else rules.umask
        self._keep = rules.keep
        self._handles = Handles()
        self._name: str | None = None
        """The final name, where it is known from the beginning."""
        self._free_names: Callable[[str, bool], Iterator[str]] | None = None
        """Names to try in turn where one is taken; None: there are no others."""
        if rules.overwrite is Overwrite.RENAME:
            self._free_names = lambda name, folder: numbered(name, folder=folder)
        self._staging_name = ""
        self._folder = -1
        self._source = -1
        self._staging: Staging | None = None
        self._state: State | None = None
        self._ladder = Ladder()
        self._position = 0
        self._next_look = LOOK_AFTER
        self._placed = False
        """Whether something has its final name: what is left here then says what else is to get one."""
        self._suspended = False

    @property
    def target(self) -> str:
        if self._state is not None and self._state.summary is not None and self._state.summary.target:
            return self._state.summary.target
        return str(self._path / self._name) if self._name is not None else str(self._path)

    @property
    def durable(self) -> bool:
        return self._rules.fsync

    @property
    def keeps(self) -> bool:
        return self._keep

    @property
    def places(self) -> tuple[str, ...]:
        finals = self._state.finals if self._state is not None else ()
        return tuple(str(self._path / final.target) for final in finals)

    def _shown_to_peer(self, name: str) -> str | None:
        """A name of the target folder, where the peer gave it; ours are not its business."""
        return ascii(name)

    # What a file and a tree do in their own way

    @abstractmethod
    def _begin(self, offer: Offer) -> None:
        """Look at the offer before anything is made: its name, its limits."""

    @abstractmethod
    def _check_offer_place(self, offer: Offer) -> None:
        """Look whether the final name is free, as far as the offer brings one."""

    @abstractmethod
    def _restore(self) -> None:
        """Take up what is in the staging folder, or begin: position, ladder and source folder."""

    @abstractmethod
    def _cut(self, position: int) -> None:
        """Keep the first ``position`` bytes, which is less than there is."""

    @abstractmethod
    def _finish(self) -> list[Whole]:
        """Nothing more comes: modes, times, and on the disk where that is wanted."""

    @abstractmethod
    def _open_source(self) -> bool:
        """Open the folder in which lies what is to be named; False if it is not there."""

    # Opening

    def open(self, offer: Offer) -> Held:
        self._handles = Handles()
        self._begin(offer)
        try:
            with faults(self.target):
                return self._enter(offer)
        except BaseException:
            self._give_up_opening()
            raise

    def _enter(self, offer: Offer) -> Held:
        self._folder = self._handles.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        self._staging = self._entered(offer)
        state = None if self._staging.fresh else self._staging.load()
        if state is not None and not state.continues(offer):
            state = None
        if state is not None and state.summary is not None and self._is_complete(state):
            self._placed = True
            self._handles.close_all()
            return Held(Ladder(), state.summary)
        self._check_offer_place(offer)
        if state is None and not self._staging.fresh:
            self._staging.clear()
        self._save(State(offer, self._now() if state is None else state.created))
        self._restore()
        if self._keep:
            self._staging.prepare()
        # How much room a sparse file needs turns out only as it comes.
        self._check_room(0 if offer.sparse else (offer.size or 0) - self._position)
        return Held(self._ladder)

    def _entered(self, offer: Offer) -> Staging:
        """The staging folder, named after the delivery if it is to be found again."""
        if self._keep:
            staging = self._enter_as(staging_name(offer.delivery))
            if staging.locked:
                return staging
            # Two sessions could fill one folder: better none is found again.
            self._keep = False
            if staging.fresh:
                staging.remove()
        return self._enter_as(staging_name(secrets.token_bytes(DELIVERY_LENGTH)), new=True)

    def _enter_as(self, name: str, *, new: bool = False) -> Staging:
        if new and status_of(Place(self._folder, name)) is not None:
            raise SinkFault(self.target, "its temporary name is taken")
        self._staging_name = name
        return Staging.enter(self._handles, Place(self._folder, name))

    def _give_up_opening(self) -> None:
        """What a session before has left stays; a folder that was made for nothing goes."""
        staging, self._staging = self._staging, None
        if staging is not None and (staging.fresh or not self._keep):
            with suppress(OSError):
                staging.remove()
        self._handles.close_all()

    def _save(self, state: State, *, durable: bool = False) -> None:
        assert self._staging is not None
        self._state = state
        if self._keep:
            self._staging.save(state, durable=durable)

    def _check_place(self, name: str, folder: bool | None) -> None:
        """Refuse early: the Emitter hears of it before it sends what could not be stored.

        ``folder``: whether it is one that is to have the name; None: that is not known yet.
        """
        if self._free_names is not None:
            return
        place, shown = Place(self._folder, name), str(self._path / name)
        if status_of(place) is None:
            return
        if folder is not None and folder != is_folder(place):
            raise SinkFault(shown, "it is no folder" if folder else "it is a folder")
        if self._rules.overwrite is not Overwrite.REPLACE:
            raise TargetExists(shown, self._shown_to_peer(name))

    def _check_room(self, needed: int = 0) -> None:
        volume = os.fstatvfs(self._folder)
        free = volume.f_bavail * volume.f_frsize - self._rules.keep_free
        if volume.f_blocks and max(needed, 0) > free:
            kept = f", besides {self._rules.keep_free:,} to be kept free" if self._rules.keep_free else ""
            reason = f"it takes {needed:,} bytes and {max(free, 0):,} are free{kept}"
            if needed <= 0:
                reason = f"less than {self._rules.keep_free:,} bytes are left free"
            raise SinkFault(self.target, reason, for_peer="there is not enough room for it")

    # Receiving

    def go_on(self, position: int) -> None:
        if position == self._position:
            return
        if position and self._ladder.hash_at(position) is None:
            raise PeerMisbehaved("it goes on from a place that was not offered")
        with faults(self.target):
            self._cut(position)
        self._position = position
        self._ladder = Ladder()
        self._next_look = position + LOOK_AFTER

    def _take(self, length: int) -> None:
        """Look at the limits before so many bytes more are written."""
        limit = self._rules.max_bytes
        if limit is not None and self._position + length > limit:
            raise too_long(self.target, limit)
        if self._position >= self._next_look:
            self._next_look = self._position + LOOK_AFTER
            with faults(self.target):
                self._check_room()

    # Committing

    def seal(self, summary: Summary) -> None:
        assert self._state is not None
        with faults(self.target):
            finals = tuple(self._planned(self._finish()))
            summary = replace(summary, durable=self.durable, target=self._where(finals))
            self._save(replace(self._state, summary=summary, finals=finals), durable=self.durable)

    def _planned(self, wholes: Iterable[Whole]) -> Iterator[Final]:
        for whole in wholes:
            status = status_of(Place(self._source, whole.name))
            target = whole.name if self._name is None else self._name
            if self._free_names is not None:
                target = self._next_free(target, whole.folder)
            else:
                self._check_place(target, whole.folder)
            if status is None:
                raise SinkFault(str(self._path / target), "it was taken away while it was received")
            yield Final(whole.name, target, status.st_ino, whole.mode)

    def _next_free(self, name: str, folder: bool) -> str:
        assert self._free_names is not None
        names = self._free_names(name, folder)
        return next(name for name in names if status_of(Place(self._folder, name)) is None)

    def _where(self, finals: tuple[Final, ...]) -> str:
        return str(self._path / finals[0].target) if len(finals) == 1 else str(self._path)

    def commit(self) -> str | None:
        assert self._staging is not None and self._state is not None and self._state.summary is not None
        with faults(self.target):
            self._check_there()
            self._place()
            self._placed = True
            if self.durable:
                sync(self._folder)  # without this the names themselves may not survive a power cut
        with suppress(OSError):  # what was replaced
            self._staging.clear(but_state=True)
        where = self.target
        if not self._keep:
            with suppress(OSError):
                self._staging.remove()
        self._handles.close_all()
        return where

    def _is_complete(self, state: State) -> bool:
        """Whether a delivery that was being committed has its names; if it has some, it gets the others."""
        self._state = state
        if self._open_source():
            waiting = [final for final in state.finals if not self._has_name(final)]
            if len(waiting) == len(state.finals) > 0:
                self._state = None
                return False
            if waiting:
                self._place()
            assert self._staging is not None
        for final in state.finals:
            self._set_final_mode(final)
        if self.durable:
            sync(self._folder)
        if self._staging is not None:
            with suppress(OSError):
                self._staging.clear(but_state=True)
        return True

    def _check_there(self) -> None:
        """Here nothing has its name yet: what is not in the staging folder was taken away, not named."""
        assert self._state is not None
        for final in self._state.finals:
            if status_of(Place(self._source, final.source)) is None:
                raise SinkFault(str(self._path / final.target), "it was taken away while it was received")

    def _has_name(self, final: Final) -> bool:
        here = status_of(Place(self._source, final.source))
        if here is None:
            return True
        there = status_of(Place(self._folder, final.target))
        if there is None:
            return False
        # One file with two names, or a folder that changed places with an old one.
        return os.path.samestat(here, there) or (there.st_ino == final.inode != here.st_ino)

    def _place(self) -> None:
        """Give everything its final name, or nothing."""
        assert self._state is not None
        named: list[Final] = []
        try:
            for index, final in enumerate(self._state.finals):
                if not self._has_name(final):
                    self._place_one(index)
                    named.append(self._state.finals[index])
        except BaseException:
            self._take_back(named)
            raise
        for final in named:
            self._set_final_mode(final)

    def _place_one(self, index: int) -> None:
        assert self._state is not None
        while True:
            final = self._state.finals[index]
            source, target = Place(self._source, final.source), Place(self._folder, final.target)
            try:
                if self._rules.overwrite is Overwrite.REPLACE and self._free_names is None:
                    assert self._staging is not None
                    move_over(source, target, Place(self._staging.number, f"{ASIDE}{index}"))
                else:
                    move_new(source, target)
                return
            except FileExistsError:
                if self._free_names is None:
                    raise TargetExists(
                        str(self._path / final.target), self._shown_to_peer(final.target)
                    ) from None
            self._rename_final(index, is_folder(source))

    def _rename_final(self, index: int, folder: bool) -> None:
        """Another name, which is on the disk before it is used: who finds it given knows of it."""
        assert self._state is not None and self._state.summary is not None
        finals = list(self._state.finals)
        first = self._name if self._name is not None else finals[index].source
        finals[index] = replace(finals[index], target=self._next_free(first, folder))
        summary = replace(self._state.summary, target=self._where(tuple(finals)))
        self._save(replace(self._state, summary=summary, finals=tuple(finals)), durable=self.durable)

    def _take_back(self, named: list[Final]) -> None:
        """Half a tree is none. Where something was replaced, or this fails too, the next run finishes it."""
        try:
            for final in reversed(named):
                if self._rules.overwrite is Overwrite.REPLACE:
                    raise FileExistsError
                move_new(Place(self._folder, final.target), Place(self._source, final.source))
        except OSError:
            self._placed = True

    def _set_final_mode(self, final: Final) -> None:
        """A folder that its owner may not write to cannot be moved, so it gets its mode where it is now."""
        if final.mode is None:
            return
        there = status_of(Place(self._folder, final.target))
        if there is None or there.st_ino != final.inode:
            return  # somebody was faster, and it is not ours any more
        number = self._handles.open(final.target, FOLDER_FLAGS, dir_fd=self._folder)
        set_mode(number, final.mode)
        if self.durable:
            sync(number)
        self._handles.close(number)

    # Letting go

    def forget(self) -> None:
        if self._placed:
            self._handles.close_all()
            self._remove_left()

    def suspend(self) -> None:
        if self._staging is None or self._placed:
            self._handles.close_all()
            return
        sealed = self._state is not None and self._state.summary is not None
        if not self._keep or not (self._position or sealed):
            self.discard()
        elif self._handles.are_ours:
            self._suspended = True
            self._handles.close_all()

    def discard(self) -> None:
        if self._placed:
            self._handles.close_all()
            if not self._keep:
                self._remove_left()
        elif self._suspended:
            self._suspended = False
            self._remove_left()
        elif self._staging is not None and self._handles.are_ours:
            staging, self._staging = self._staging, None
            with suppress(OSError):  # it is gone or read-only: nothing more can be done for it
                staging.remove()
            self._handles.close_all()
        elif self._staging is not None:
            self._remove_under_the_writer()

    def _remove_left(self) -> None:
        """Remove the staging folder, unless somebody else holds it by now."""
        handles = Handles()
        with suppress(OSError, SinkFault):
            folder = handles.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
            Staging.enter(handles, Place(folder, self._staging_name), make=False).remove()
        handles.close_all()

    def _remove_under_the_writer(self) -> None:
        """Another thread hangs in a write: its descriptors are left to it, its files lose their names."""
        handles = Handles()
        with suppress(OSError):
            remove(handles.open(self._path, os.O_RDONLY | os.O_DIRECTORY), self._staging_name)
        handles.close_all()


def too_long(target: str, limit: int) -> SinkFault:
    """The refusal of more bytes than are taken."""
    return SinkFault(
        target,
        f"it is longer than the {limit:,} bytes that are taken",
        for_peer=f"it takes {limit:,} bytes at most",
    )
