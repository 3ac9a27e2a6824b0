"""`selo emit`: files and folders, or one stream, to one pinned peer."""

from __future__ import annotations

import os
from argparse import Namespace

from selo.agents.cli.common import Context
from selo.agents.cli.report import Narrator
from selo.agents.emitter import Emitter
from selo.agents.events import Report
from selo.agents.meeting import Terms
from selo.agents.memory import DeliveryMemory
from selo.agents.opening import open_paths
from selo.agents.receipt_file import ReceiptKeeper
from selo.agents.routes import meeting
from selo.agents.sources import DescriptorSource, Source
from selo.agents.stop import Stop, stop_on_signals
from selo.config.catalogue import CATALOGUE
from selo.config.errors import SettingMissing
from selo.config.settings import Settings
from selo.config.trust import Peer, TrustStore
from selo.crypto.suites import suite_by_name

STANDARD_INPUT = "-"


def run(arguments: Namespace, context: Context) -> int:
    """Deliver, and say what was delivered.

    Raises:
        SettingMissing: it is said nowhere to whom, or where.
        SeloError: see ``Emitter.run``, ``TrustStore.get`` and ``open_paths``.
    """
    settings = context.settings
    peer = _peer(settings, context)
    identity = context.load_identity()
    keeper = ReceiptKeeper(arguments.receipt) if arguments.receipt is not None else None
    narrator = Narrator(context)
    with stop_on_signals() as stop:
        terms = Terms(settings=settings, stop=stop, suite=suite_by_name(settings.suite), report=narrator)
        try:
            source = _source(arguments, context, stop, narrator)
            memory = DeliveryMemory(context.home.deliveries_folder, keep=settings.keep_partial)
            what = _what(arguments)
            emitter = Emitter(
                identity=identity,
                peer=peer,
                source=source,
                terms=terms,
                delivery=memory.recall(peer.fingerprint, what) if what else None,
                receipt=keeper,
            )
            with meeting(
                connect=settings.emit_connect,
                bind=settings.emit_bind,
                identity=identity,
                peers=[peer],
                settings=settings,
            ) as place:
                emitter.run(place)
            if what:
                memory.forget(peer.fingerprint, what)
        finally:
            narrator.close()
            if keeper is not None:
                keeper.discard()
    return 0


def _peer(settings: Settings, context: Context) -> Peer:
    if settings.emit_to is None:
        raise SettingMissing("whom to send to", CATALOGUE["emit_to"].ways)
    if settings.emit_connect is None and settings.emit_bind is None:
        ways = CATALOGUE["emit_connect"].ways + CATALOGUE["emit_bind"].ways[:1]
        raise SettingMissing("where the Receiver listens, or where to listen for it", ways)
    return TrustStore(context.home).get(settings.emit_to)


def _source(arguments: Namespace, context: Context, stop: Stop, report: Report) -> Source:
    if arguments.paths == [STANDARD_INPUT]:
        return DescriptorSource(0, arguments.stream_name)
    return open_paths(
        arguments.paths,
        name=arguments.stream_name,
        exclude=arguments.exclude,
        ignore_files=arguments.ignore_files,
        warn=context.warn,
        report=report,
        check=stop.check,
    )


def _what(arguments: Namespace) -> list[str]:
    """What tells this delivery from others of ours, in another process too; nothing of standard input."""
    if arguments.paths == [STANDARD_INPUT]:
        return []
    paths = [os.path.realpath(path) for path in arguments.paths]
    return [*paths, arguments.stream_name or "", *arguments.exclude, "", *arguments.ignore_files]
