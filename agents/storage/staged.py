"""A delivery in its staging folder: opened or taken up again, given its final names, forgotten.

What is particular to a file and to a tree stands in staged_file.py and staged_tree.py.

The order that survives a crash anywhere: the content is synced; the state that says "committing" and holds
every final name is synced; the names are given; the target folder is synced; the state says "placed". Before
that the names themselves tell whoever opens the delivery how far it came (naming.py): where only that last
state cannot be written, nothing has failed. After it the delivery is known to be stored, whatever becomes of
what was stored.
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
from selo.agents.storage.durable import boot_id, current_umask, sync
from selo.agents.storage.handles import Handles
from selo.agents.storage.naming import Naming, is_settled
from selo.agents.storage.placing import Place, is_folder, is_mounted, numbered, status_of
from selo.agents.storage.room import check_room
from selo.agents.storage.staging import Staging, remove_by_name, staging_name
from selo.agents.storage.state import Final, State
from selo.config.policy import Overwrite
from selo.crypto.limits import DELIVERY_LENGTH

LOOK_AFTER = 16 << 20
"""Bytes between two looks at how much room is left."""


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
        self._placing = False
        """Whether names are being given, or only some are: what is here may be the only copy of something."""
        self._placed = False
        """Whether all have their final names."""
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
        if state is not None and state.continues(offer) and self._is_complete(state):
            self._placed = True
            self._handles.close_all()
            if state.offer.sha256 != offer.sha256:  # its list of items is not the one to be signed
                raise SinkFault(
                    self.target, "it is stored already, with other digests (--digest) than are asked for now"
                )
            assert self._state is not None  # its names may be others by now
            return Held(Ladder(), self._state.summary)
        if not self._staging.fresh:
            self._check_left(state)
        self._check_offer_place(offer)
        if state is not None and not state.continues(offer):
            state = None
        if state is None and not self._staging.fresh:
            self._staging.clear()
        self._save(State(offer, self._now() if state is None else state.created))
        self._restore()
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

    def _check_left(self, state: State | None) -> None:
        """Refuse to take up a folder that holds the only copy of something that is not of the delivery."""
        assert self._staging is not None
        if not is_settled(self._handles, self._staging, self._folder, state):
            where = str(self._path / self._staging_name)
            reason = f"{where} holds what is not of this delivery, or what it has replaced"
            hint = "move what is of use out of that folder, then remove it"
            raise SinkFault(self.target, reason, hint, for_peer="its place is taken")

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
        if is_mounted(place):
            raise SinkFault(shown, "a file system is mounted there, so it cannot be replaced")

    def _check_room(self, needed: int = 0) -> None:
        check_room(self._folder, self.target, needed, self._rules.keep_free)

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
            self._look()

    def _look(self) -> None:
        """Whether there is room left; and what is being received is not old."""
        with faults(self.target):
            self._check_room()
            if self._staging is not None:
                self._staging.touch()

    # Committing

    def seal(self, summary: Summary) -> None:
        assert self._state is not None
        with faults(self.target):
            self._check_room()
            finals = tuple(self._planned(self._finish()))
            summary = replace(summary, durable=self.durable, target=self._where(finals))
            state = replace(self._state, summary=summary, finals=finals, boot=boot_id())
            self._save(state, durable=self.durable)

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
        try:
            with faults(self.target):
                self._check_there()
                self._place(Naming(self._staging.number, self._source, self._folder))
                self._end_placing(durable=self.durable)
        except SinkFault as fault:
            if self._placing and not self._placed:
                fault.hint = f"{self._path / self._staging_name} holds the other half, and what was replaced"
            raise
        where = self.target
        if not self._keep:
            with suppress(OSError):
                self._staging.remove()
        self._handles.close_all()
        return where

    def _is_complete(self, state: State) -> bool:
        """Whether a delivery that was being committed has its names; if it has some, it gets the others.

        What gave those that are found may have failed to sync them, and the sync of another process tells
        nothing of that. So they are called durable only where the machine was started since: then they come
        from the disk.
        """
        boot = boot_id()
        if state.summary is None or not state.counts(boot):
            return False
        self._state = state
        if state.placed:
            return True
        assert self._staging is not None
        naming = Naming(self._staging.number, self._staging.open_source(state.offer.kind), self._folder)
        given = [naming.has_name(final) for final in state.finals]
        lost = [final for final in state.finals if not naming.has_name(final) and not naming.waits(final)]
        if lost or not any(given or [True]):
            self._state = None
            return False
        self._place(naming)
        self._end_placing(durable=state.summary.durable and state.boot != boot)
        return True

    def _check_there(self) -> None:
        """Here nothing has its name yet: what is not in the staging folder was taken away, not named."""
        assert self._state is not None
        for final in self._state.finals:
            if status_of(Place(self._source, final.source)) is None:
                raise SinkFault(str(self._path / final.target), "it was taken away while it was received")

    def _place(self, naming: Naming) -> None:
        """Give everything its final name, or nothing."""
        assert self._state is not None
        self._placing = True
        tried: list[int] = []
        try:
            for index, final in enumerate(self._state.finals):
                if not naming.has_name(final):
                    tried.append(index)
                    self._place_one(naming, index)
        except BaseException:
            self._take_back(naming, tried)
            raise
        self._placed = True
        for final in self._state.finals:
            naming.set_mode(final, durable=self.durable)

    def _place_one(self, naming: Naming, index: int) -> None:
        assert self._state is not None
        over = self._rules.overwrite is Overwrite.REPLACE and self._free_names is None
        while True:
            final = self._state.finals[index]
            try:
                naming.give(index, final, over=over)
                return
            except FileExistsError:
                if self._free_names is None:
                    raise TargetExists(
                        str(self._path / final.target), self._shown_to_peer(final.target)
                    ) from None
            self._rename_final(index, is_folder(naming.source(final)))

    def _take_back(self, naming: Naming, tried: list[int]) -> None:
        """Half a delivery is none. Where this fails too, everything stays, and the next run finishes it."""
        assert self._state is not None
        with suppress(OSError):
            if all(naming.take_back(index, self._state.finals[index]) for index in reversed(tried)):
                self._placing = False

    def _end_placing(self, *, durable: bool) -> None:
        """The names are there for good, which is written down; what was replaced goes."""
        assert self._state is not None and self._state.summary is not None and self._staging is not None
        if self._state.summary.durable:
            sync(self._folder)  # without this the names themselves may not survive a power cut
        summary = replace(self._state.summary, durable=durable)
        with suppress(OSError):  # then it is seen by the names
            self._save(replace(self._state, summary=summary, placed=True, boot=boot_id()), durable=durable)
        with suppress(OSError):
            self._staging.clear(but_state=True)

    def _rename_final(self, index: int, folder: bool) -> None:
        """Another name, which is on the disk before it is used: who finds it given knows of it."""
        assert self._state is not None and self._state.summary is not None
        finals = list(self._state.finals)
        first = self._name if self._name is not None else finals[index].source
        finals[index] = replace(finals[index], target=self._next_free(first, folder))
        summary = replace(self._state.summary, target=self._where(tuple(finals)))
        self._save(replace(self._state, summary=summary, finals=tuple(finals)), durable=self.durable)

    # Letting go

    def forget(self) -> None:
        if self._placed:
            self._handles.close_all()
            self._remove_left()

    def suspend(self) -> None:
        if self._staging is None or self._placed or self._placing:
            self._handles.close_all()
            return
        sealed = self._state is not None and self._state.summary is not None
        if not self._keep or not (self._position or sealed):
            self.discard()
        elif self._handles.are_ours:
            self._suspended = True
            with suppress(OSError):
                self._staging.touch()
            self._handles.close_all()

    def discard(self) -> None:
        if self._placed:
            self._handles.close_all()
            if not self._keep:
                self._remove_left()
        elif self._placing:
            self._handles.close_all()
        elif self._suspended:
            self._suspended = False
            self._remove_left()
        elif self._staging is not None and self._handles.are_ours:
            staging, self._staging = self._staging, None
            with suppress(OSError):  # it is gone or read-only: nothing more can be done for it
                staging.remove()
            self._handles.close_all()
        elif self._staging is not None:
            # Another thread hangs in a write: its descriptors are left to it, its files lose their names.
            remove_by_name(self._path, self._staging_name)

    def _remove_left(self) -> None:
        """Remove the staging folder, unless somebody else holds it by now."""
        handles = Handles()
        with suppress(OSError, SinkFault):
            folder = handles.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
            Staging.enter(handles, Place(folder, self._staging_name), make=False).remove()
        handles.close_all()


def too_long(target: str, limit: int) -> SinkFault:
    """The refusal of more bytes than are taken."""
    return SinkFault(
        target,
        f"it is longer than the {limit:,} bytes that are taken",
        for_peer=f"it takes {limit:,} bytes at most",
    )
