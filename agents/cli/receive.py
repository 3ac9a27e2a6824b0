"""`selo receive`: one delivery from a trusted peer, into a folder, a file or standard output."""

from __future__ import annotations

import os
from argparse import Namespace

from selo.agents.cli.common import Context
from selo.agents.cli.report import Narrator
from selo.agents.meeting import Terms
from selo.agents.receiver import MakeSink, Receiver
from selo.agents.routes import meeting
from selo.agents.sinks import DescriptorSink, FileSink, FolderSink
from selo.agents.stop import stop_on_signals
from selo.config.trust import TrustStore
from selo.crypto.suites import suite_by_name


def run(arguments: Namespace, context: Context) -> int:
    """Listen until one delivery is stored.

    Raises:
        SeloError: see ``Receiver.run``, ``TrustStore.senders`` and ``listen_on``.
    """
    settings = context.settings
    senders = TrustStore(context.home).senders(arguments.senders)
    identity = context.load_identity()
    make_sink = _sink_maker(arguments)
    _warn_early(arguments, context)
    narrator = Narrator(context)
    with stop_on_signals() as stop:
        terms = Terms(settings=settings, stop=stop, suite=suite_by_name(settings.suite), report=narrator)
        try:
            receiver = Receiver(identity=identity, senders=senders, make_sink=make_sink, terms=terms)
            peers = {peer.name: peer for peer in senders.values()}.values()
            with meeting(
                connect=None, bind=settings.listen, identity=identity, peers=peers, settings=settings
            ) as place:
                receiver.run(place)
        finally:
            narrator.close()
    return 0


def _sink_maker(arguments: Namespace) -> MakeSink:
    if arguments.output == "-":
        return lambda _sender: DescriptorSink(1)
    if arguments.output is not None:
        return lambda _sender: FileSink(arguments.output, overwrite=arguments.overwrite)
    return lambda sender: FolderSink(arguments.into, sender=sender, overwrite=arguments.overwrite)


def _warn_early(arguments: Namespace, context: Context) -> None:
    """Say now what would fail only when somebody delivers; it may be mended until then."""
    if arguments.output == "-":
        return
    if arguments.output is not None:
        if os.path.isfile(arguments.output) and not arguments.overwrite:
            context.warn(f"{arguments.output} exists; a delivery will be refused (--overwrite allows it)")
        folder = os.path.dirname(arguments.output) or "."
    else:
        folder = arguments.into
    if not os.path.isdir(folder):
        context.warn(f"there is no folder {folder}; a delivery will be refused until there is")
    elif not os.access(folder, os.W_OK):
        context.warn(f"the folder {folder} cannot be written; a delivery will be refused")
