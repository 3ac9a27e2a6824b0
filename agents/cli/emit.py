"""`selo emit`: one file or one stream to one pinned peer."""

from __future__ import annotations

from argparse import Namespace

from selo.agents.cli.common import Context
from selo.agents.cli.report import Narrator
from selo.agents.emitter import Emitter
from selo.agents.routes import dial
from selo.agents.sources import DescriptorSource, Source, open_source
from selo.agents.stop import stop_on_signals
from selo.config.trust import TrustStore
from selo.crypto.suites import suite_by_name


def run(arguments: Namespace, context: Context) -> int:
    """Deliver, and say what was delivered.

    Raises:
        SeloError: see ``Emitter.run``, ``TrustStore.get`` and ``open_source``.
    """
    peer = TrustStore(context.home).get(arguments.to)
    identity = context.load_identity()
    narrator = Narrator(context)
    with stop_on_signals() as stop:
        try:
            Emitter(
                identity=identity,
                peer=peer,
                address=arguments.connect,
                dial=dial(
                    arguments.connect, listener_fingerprint=peer.fingerprint, settings=context.settings
                ),
                source=_source(arguments),
                settings=context.settings,
                suite=suite_by_name(context.settings.suite),
                stop=stop,
                report=narrator,
            ).run()
        finally:
            narrator.close()
    return 0


def _source(arguments: Namespace) -> Source:
    if arguments.path == "-":
        return DescriptorSource(0, arguments.stream_name)
    return open_source(arguments.path, arguments.stream_name)
