"""`selo receive`: one delivery from a trusted peer, into a folder, a file or standard output."""

from __future__ import annotations

import os
import sys
from argparse import Namespace

from selo.agents.cli.common import Context
from selo.agents.cli.report import Narrator
from selo.agents.errors import OutputIsTerminal
from selo.agents.hold import HoldSink
from selo.agents.meeting import Terms
from selo.agents.receiver import MakeSink, Receiver
from selo.agents.routes import meeting
from selo.agents.sinks import DescriptorSink, FileSink, FolderSink, Sink
from selo.agents.stop import stop_on_signals
from selo.config.catalogue import STANDARD_OUTPUT
from selo.config.settings import Settings
from selo.config.trust import TrustStore
from selo.crypto.suites import suite_by_name
from selo.errors import LocalFault


def run(_arguments: Namespace, context: Context) -> int:
    """Listen until one delivery is stored.

    Raises:
        SeloError: see ``Receiver.run``, ``TrustStore.senders`` and ``listen_on``.
    """
    settings = context.settings
    _refuse_terminal(settings)
    senders = TrustStore(context.home).senders(settings.receive_from)
    identity = context.load_identity()
    make_sink = _sink_maker(settings)
    _warn_early(context)
    narrator = Narrator(context)
    with stop_on_signals() as stop:
        terms = Terms(
            settings=settings,
            stop=stop,
            suite=suite_by_name(settings.suite),
            report=narrator,
            known=_names(context),
        )
        try:
            receiver = Receiver(identity=identity, senders=senders, make_sink=make_sink, terms=terms)
            peers = {peer.name: peer for peer in senders.values()}.values()
            with meeting(
                connect=settings.receive_connect,
                bind=settings.receive_bind,
                identity=identity,
                peers=peers,
                settings=settings,
            ) as place:
                receiver.run(place)
        finally:
            narrator.close()
    return 0


def _names(context: Context) -> dict[bytes, str]:
    """What we call the peers that we know; nothing where the list cannot be read, which may be no matter."""
    try:
        known = TrustStore(context.home).by_fingerprint()
    except LocalFault:
        return {}
    return {fingerprint: peer.name for fingerprint, peer in known.items()}


def _sink_maker(settings: Settings) -> MakeSink:
    output, folder, overwrite = settings.receive_output, settings.receive_into, settings.receive_overwrite
    if output == STANDARD_OUTPUT:
        return lambda _sender: _held(DescriptorSink(1), settings)
    if output is not None:
        special = os.path.exists(output) and not os.path.isfile(output)
        # A regular file waits for the authenticated end by itself.
        return lambda _sender: (
            _held(FileSink(output), settings) if special else FileSink(output, overwrite=overwrite)
        )
    assert folder is not None  # one of the two always is
    return lambda sender: FolderSink(folder, sender=sender, overwrite=overwrite)


def _held(sink: Sink, settings: Settings) -> Sink:
    return HoldSink(sink, limit=settings.hold_limit) if settings.receive_hold else sink


def _refuse_terminal(settings: Settings) -> None:
    """What a peer sends is not for a terminal to interpret."""
    if settings.receive_output == STANDARD_OUTPUT and sys.stdout is not None and sys.stdout.isatty():
        raise OutputIsTerminal


def _warn_early(context: Context) -> None:
    """Say now what would fail only when somebody delivers; it may be mended until then."""
    output = context.settings.receive_output
    if context.settings.receive_hold and output is None:
        context.warn("--hold has nothing to do here: a file appears only when it is whole")
    if output == STANDARD_OUTPUT:
        return
    if output is not None:
        if os.path.isfile(output) and not context.settings.receive_overwrite:
            context.warn(f"{output} exists; a delivery will be refused (--overwrite allows it)")
        folder = os.path.dirname(output) or "."
    else:
        folder = str(context.settings.receive_into)
    if not os.path.isdir(folder):
        context.warn(f"there is no folder {folder}; a delivery will be refused until there is")
    elif not os.access(folder, os.W_OK):
        context.warn(f"the folder {folder} cannot be written; a delivery will be refused")
