"""Where a Receiver puts the deliveries of a peer, by the settings and what is said of that peer."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

from selo.agents import events
from selo.agents.direct import DirectSink
from selo.agents.memory import HandedOn
from selo.agents.receiver import MakeSink
from selo.agents.sinks import DescriptorSink, FileSink, FolderSink, Sink, is_special
from selo.agents.storage.base import StorageRules
from selo.agents.storage.sweep import sweep
from selo.config.catalogue import STANDARD_OUTPUT
from selo.config.policy import policy_for
from selo.config.settings import Settings
from selo.config.trust import Peer


def rules_for(settings: Settings, peer: Peer) -> StorageRules:
    """How what ``peer`` delivers is stored."""
    policy = policy_for(settings, peer)
    return StorageRules(
        overwrite=policy.overwrite,
        names=policy.names,
        fsync=not settings.receive_no_fsync,
        keep=settings.resume_window > 0,
        keep_free=policy.keep_free,
        max_bytes=policy.max_bytes,
        max_items=policy.max_items,
    )


def sink_maker(
    settings: Settings, report: events.Report = events.ignore, notes: Path | None = None
) -> MakeSink:
    """Makes the sink for each delivery: standard output, one file, or a folder.

    What an output is, is settled here: a FIFO that comes to be there later gets nothing. ``notes`` is the
    folder that remembers what was handed on (``HandedOn``), where there is one.
    """
    output = settings.receive_output
    if output is None:
        return lambda peer: _folder_sink(settings, peer, report)
    if output == STANDARD_OUTPUT:
        # A shell has emptied the file behind `>`: what an earlier process wrote to it is there no more.
        handed_on = None if _is_empty_file(1) else _handed_on(settings, notes)
        return lambda peer: _direct(DescriptorSink(1), settings, peer, handed_on)
    if is_special(output):
        handed_on = _handed_on(settings, notes)
        return lambda peer: _direct(FileSink(output, special=True), settings, peer, handed_on)
    # A regular file waits for the authenticated end by itself.
    return lambda peer: FileSink(output, rules_for(settings, peer), special=False)


def _folder_sink(settings: Settings, peer: Peer, report: events.Report) -> Sink:
    folder = policy_for(settings, peer).into
    assert folder is not None  # one of output and folder always is

    return FolderSink(
        folder,
        rules_for(settings, peer),
        sender=peer.name,
        on_start=lambda path, size: report(events.ItemStarted.of(path, size)),
        on_item=lambda item: report(events.ItemDone.of(item)),
    )


def _direct(sink: Sink, settings: Settings, peer: Peer, handed_on: HandedOn | None) -> Sink:
    """A sink for what is in no staging folder."""
    hold = settings.hold_limit if settings.receive_hold else None
    return DirectSink(sink, hold=hold, limit=policy_for(settings, peer).max_bytes, handed_on=handed_on)


def _handed_on(settings: Settings, notes: Path | None) -> HandedOn | None:
    """What is known of this output at this address; of another one it says nothing."""
    if notes is None or settings.resume_window == 0:
        return None
    output = settings.receive_output or ""
    place = [output if output == STANDARD_OUTPUT else os.path.abspath(output)]
    place += [settings.receive_bind or "", settings.receive_connect or ""]
    return HandedOn(notes, keep=settings.keep_partial, place=place)


def _is_empty_file(descriptor: int) -> bool:
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size == 0


def sweep_places(settings: Settings, peers: list[Peer], now: Callable[[], float] = time.time) -> None:
    """Remove what cut deliveries have left for too long; what cannot be removed stays."""
    output = settings.receive_output
    if output is not None:
        folders = {os.path.dirname(os.path.realpath(output))} if output != STANDARD_OUTPUT else set()
    else:
        folders = {str(policy_for(settings, peer).into) for peer in peers}
    for folder in sorted(folders):
        sweep(folder, older_than=settings.keep_partial, now=now())
