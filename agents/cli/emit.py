"""`selo emit`: one file or one stream to one pinned peer."""

from __future__ import annotations

from argparse import Namespace

from selo.agents.cli.common import Context
from selo.agents.cli.report import Narrator
from selo.agents.emitter import Emitter
from selo.agents.meeting import Terms
from selo.agents.routes import meeting
from selo.agents.sources import DescriptorSource, Source, open_source
from selo.agents.stop import stop_on_signals
from selo.config.catalogue import CATALOGUE
from selo.config.errors import SettingMissing
from selo.config.trust import TrustStore
from selo.crypto.suites import suite_by_name


def run(arguments: Namespace, context: Context) -> int:
    """Deliver, and say what was delivered.

    Raises:
        SettingMissing: it is said nowhere to whom, or where.
        SeloError: see ``Emitter.run``, ``TrustStore.get`` and ``open_source``.
    """
    settings = context.settings
    if settings.emit_to is None:
        raise SettingMissing("whom to send to", CATALOGUE["emit_to"].ways)
    if settings.emit_connect is None and settings.emit_bind is None:
        ways = CATALOGUE["emit_connect"].ways + CATALOGUE["emit_bind"].ways[:1]
        raise SettingMissing("where the Receiver listens, or where to listen for it", ways)
    peer = TrustStore(context.home).get(settings.emit_to)
    identity = context.load_identity()
    narrator = Narrator(context)
    with stop_on_signals() as stop:
        terms = Terms(settings=settings, stop=stop, suite=suite_by_name(settings.suite), report=narrator)
        try:
            emitter = Emitter(identity=identity, peer=peer, source=_source(arguments), terms=terms)
            with meeting(
                connect=settings.emit_connect,
                bind=settings.emit_bind,
                identity=identity,
                peers=[peer],
                settings=settings,
            ) as place:
                emitter.run(place)
        finally:
            narrator.close()
    return 0


def _source(arguments: Namespace) -> Source:
    if arguments.path == "-":
        return DescriptorSource(0, arguments.stream_name)
    return open_source(arguments.path, arguments.stream_name)
