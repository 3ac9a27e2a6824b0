"""Where a Receiver puts the deliveries of a peer, by the settings and what is said of that peer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from selo.agents import events
from selo.agents.hold import HoldSink
from selo.agents.receiver import MakeSink
from selo.agents.sinks import DescriptorSink, FileSink, FolderSink, LimitedSink, Sink
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


def sink_maker(settings: Settings, report: events.Report = events.ignore) -> MakeSink:
    """Makes the sink for each delivery: standard output, one file, or a folder."""
    output = settings.receive_output
    if output == STANDARD_OUTPUT:
        return lambda peer: _direct(DescriptorSink(1), settings, peer)
    if output is None:
        return lambda peer: _folder_sink(settings, peer, report)
    special = os.path.exists(output) and not os.path.isfile(output)
    # A regular file waits for the authenticated end by itself.
    return lambda peer: (
        _direct(FileSink(output), settings, peer) if special else FileSink(output, rules_for(settings, peer))
    )


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


def _direct(sink: Sink, settings: Settings, peer: Peer) -> Sink:
    """A sink for what is in no staging folder: its limits and its holding back are looked after here."""
    if settings.receive_hold:
        sink = HoldSink(sink, limit=settings.hold_limit)
    limit = policy_for(settings, peer).max_bytes
    return sink if limit is None else LimitedSink(sink, limit)


def sweep_places(settings: Settings, peers: list[Peer], now: Callable[[], float] = time.time) -> None:
    """Remove what cut deliveries have left for too long; what cannot be removed stays."""
    output = settings.receive_output
    if output is not None:
        folders = {os.path.dirname(os.path.realpath(output))} if output != STANDARD_OUTPUT else set()
    else:
        folders = {str(policy_for(settings, peer).into) for peer in peers}
    for folder in sorted(folders):
        sweep(folder, older_than=settings.keep_partial, now=now())
