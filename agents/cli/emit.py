"""`selo emit`: files and folders, or one stream, to one pinned peer."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Callable

from selo.agents.apart import apart
from selo.agents.cli.common import Context
from selo.agents.cli.report import Narrator
from selo.agents.emitter import Emitter
from selo.agents.events import Delivered, Report
from selo.agents.meeting import Terms
from selo.agents.memory import DeliveryMemory, Remembered, Stored, What
from selo.agents.opening import open_paths
from selo.agents.receipt_file import ReceiptKeeper
from selo.agents.routes import meeting
from selo.agents.sources import DescriptorSource, Source
from selo.agents.stop import Stop, stop_on_signals
from selo.agents.trees.source import top_name
from selo.config.catalogue import CATALOGUE
from selo.config.errors import SettingMissing
from selo.config.settings import Settings
from selo.config.trust import Peer, TrustStore
from selo.crypto.identity import Identity
from selo.crypto.receipts import Statement
from selo.crypto.suites import suite_by_name
from selo.errors import LocalFault

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

        def deliver() -> _Errand | None:
            errand = _Errand(arguments, context, peer, _source(arguments, context, stop, narrator))
            if errand.was_stored(narrator, stop.check):
                return None
            errand.run(identity, terms, keeper)
            return errand

        try:
            errand = apart(deliver, stop)  # so that a second signal is heard whatever hangs
        finally:
            narrator.close()
            if keeper is not None:
                keeper.discard()
        if errand is None:
            return 0 if keeper is None else _without_receipt(context)
        errand.forget()  # the last thing: until then the same command would find that it is stored
    return 0


class _Errand:
    """What is sent, and what is remembered of that from process to process; nothing of standard input."""

    def __init__(self, arguments: Namespace, context: Context, peer: Peer, source: Source) -> None:
        settings = context.settings
        self.source = source
        self._peer = peer
        self._what = _what(arguments, settings)
        self._to = settings.emit_connect or settings.emit_bind or ""
        self._memory = DeliveryMemory(context.home.deliveries_folder, keep=settings.keep_partial)
        self.remembered = self._memory.recall(peer.fingerprint, self._what) if self._what else None

    def was_stored(self, report: Report, check: Callable[[], object]) -> bool:
        """Whether an earlier process had the receipt, and only could not say so any more; then it is said.

        Only where that process went: one identity may wait at several places.
        """
        remembered = self.remembered
        if remembered is None or remembered.stored is None or remembered.stored.to != self._to:
            return False
        stored = remembered.stored
        if not self.source.restartable or not stored.is_same_as(self.source, check):
            self.forget()
            self.remembered = self._memory.recall(self._peer.fingerprint, self._what)
            return False
        report(
            Delivered(
                peer=self._peer.name,
                bytes=stored.items_bytes,
                records=0,
                blake3=stored.blake3.hex(),
                seconds=0.0,
                target=None,
                receipt="verified",
                items=stored.items,
                earlier=True,
                delivery=remembered.delivery.hex(),
                durable=stored.durable,
            )
        )
        self.forget()
        return True

    def run(self, identity: Identity, terms: Terms, keeper: ReceiptKeeper | None) -> None:
        """Deliver it."""
        settings = terms.settings
        emitter = Emitter(
            identity=identity,
            peer=self._peer,
            source=self.source,
            terms=terms,
            delivery=self.remembered.delivery if self.remembered is not None else None,
            receipt=keeper,
            on_verified=self.note_stored,
        )
        with meeting(
            connect=settings.emit_connect,
            bind=settings.emit_bind,
            identity=identity,
            peers=[self._peer],
            settings=settings,
        ) as place:
            emitter.run(place)

    def note_stored(self, statement: Statement) -> None:
        """The receipt has verified."""
        if self._what:
            remembered = Remembered(statement.delivery, Stored.of(statement, self._to))
            self._memory.note_stored(self._peer.fingerprint, self._what, remembered)

    def forget(self) -> None:
        """It is done."""
        if self._what:
            self._memory.forget(self._peer.fingerprint, self._what)


def _without_receipt(context: Context) -> int:
    """It is stored, and what was asked for is not there: that is no success."""
    context.warn("its receipt went to the run that delivered it, and cannot be had again")
    return LocalFault.exit_status


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


def _what(arguments: Namespace, settings: Settings) -> What:
    """What tells this delivery from others of ours, in another process too; nothing of standard input.

    The names besides the paths: a link and what it leads to are one path, and arrive as two things.
    """
    if arguments.paths == [STANDARD_INPUT]:
        return []
    paths = [os.path.realpath(path) for path in arguments.paths]
    names = [os.fsdecode(top_name(path)) for path in arguments.paths]
    excluded = [arguments.exclude, arguments.ignore_files]
    return [paths, names, arguments.stream_name or "", *excluded, settings.emit_digest]
