"""`selo receive`: deliveries from trusted peers, into a folder, a file or standard output."""

from __future__ import annotations

import os
import shutil
import sys
from argparse import Namespace

from selo.agents.apart import apart
from selo.agents.cli.common import Context
from selo.agents.cli.report import Narrator
from selo.agents.errors import OutputIsTerminal
from selo.agents.events import Delivered
from selo.agents.hook import Arrived, Hook
from selo.agents.meeting import Terms
from selo.agents.places import sink_maker, sweep_places
from selo.agents.receiver import Receiver
from selo.agents.routes import meeting
from selo.agents.stop import Stop, stop_on_signals
from selo.config.catalogue import STANDARD_OUTPUT
from selo.config.senders import Senders
from selo.config.settings import Settings
from selo.config.trust import TrustStore
from selo.crypto.suites import suite_by_name
from selo.errors import LocalFault


def run(_arguments: Namespace, context: Context) -> int:
    """Listen until one delivery is stored, or, with --forever, until a signal comes.

    Raises:
        SeloError: see ``Receiver.run``, ``Senders`` and ``listen_on``.
    """
    settings = context.settings
    _refuse_terminal(settings)
    senders = Senders(TrustStore(context.home), settings.receive_from)
    identity = context.load_identity()
    _warn_early(context)
    peers = list({peer.name: peer for peer in senders().values()}.values())
    sweep_places(settings, peers)
    narrator = Narrator(context, goes_on=settings.receive_forever)
    with stop_on_signals() as stop:
        hook = _Hook(context, stop)
        hook.warn_early()
        terms = Terms(
            settings=settings,
            stop=stop,
            suite=suite_by_name(settings.suite),
            report=narrator,
            known=_names(context),
        )

        def take() -> Delivered:
            receiver = Receiver(
                identity=identity,
                senders=senders,
                make_sink=sink_maker(settings, narrator, context.home.stored_folder),
                terms=terms,
                on_stored=hook.run,
            )
            with meeting(
                connect=settings.receive_connect,
                bind=settings.receive_bind,
                identity=identity,
                peers=peers,
                settings=settings,
            ) as place:
                if settings.receive_forever:
                    receiver.serve(place)
                return receiver.run(place)

        try:
            delivered = apart(take, stop)  # so that a second signal is heard whatever hangs
        finally:
            hook.close()
            narrator.close()
    if delivered.earlier and not delivered.places:
        # Whoever reads from here reads nothing, and must not go on as if that were the delivery.
        context.warn("an earlier run had handed it on; this one wrote nothing")
        return LocalFault.exit_status
    return LocalFault.exit_status if hook.failed else 0


class _Hook:
    """The command of --exec, where there is one, and whether it has failed."""

    def __init__(self, context: Context, stop: Stop) -> None:
        self._context = context
        self._stop = stop
        self._told = False
        command = context.settings.receive_exec
        self._hook = Hook(command, ended=self._ended) if command is not None else None
        self.failed = False

    def run(self, arrived: Arrived) -> None:
        if self._hook is not None:
            self._hook.run(arrived)

    def warn_early(self) -> None:
        """Say now that there is no such command; it may be there by the time of a delivery."""
        if self._hook is not None and shutil.which(self._hook.command) is None:
            self._context.warn(f"--exec: there is no command {self._hook.command}")

    def close(self) -> None:
        """Wait until it has run for every delivery that is stored: nobody else knows for which it has not."""
        if self._hook is not None:
            self._hook.close(self._say_what_is_waited_for)

    def _say_what_is_waited_for(self) -> None:
        """Once, to somebody who wants the end; a second signal would leave these out."""
        if self._hook is None or self._told or not self._stop.requested:
            return
        self._told = True
        left = ", ".join(
            f"{each.id} ({each.target or each.name or each.kind})" for each in self._hook.waiting
        )
        if left:
            self._context.warn(
                f"--exec is still to end for {left}; a second signal, after some seconds, ends it all"
            )

    def _ended(self, arrived: Arrived, status: int, words: str) -> None:
        if status != 0:
            self.failed = True
            self._context.warn(f"--exec after delivery {arrived.id}: {words}; the delivery is stored")


def _names(context: Context) -> dict[bytes, str]:
    """What we call the peers that we know; nothing where the list cannot be read, which may be no matter."""
    try:
        known = TrustStore(context.home).by_fingerprint()
    except LocalFault:
        return {}
    return {fingerprint: peer.name for fingerprint, peer in known.items()}


def _refuse_terminal(settings: Settings) -> None:
    """What a peer sends is not for a terminal to interpret."""
    if settings.receive_output == STANDARD_OUTPUT and sys.stdout is not None and sys.stdout.isatty():
        raise OutputIsTerminal


def _warn_early(context: Context) -> None:
    """Say now what would fail only when somebody delivers; it may be mended until then."""
    settings = context.settings
    output = settings.receive_output
    if settings.receive_forever and settings.receive_wait is not None:
        context.warn("--wait has nothing to do here: --forever waits for ever")
    if settings.receive_hold and output is None:
        context.warn("--hold has nothing to do here: a file appears only when it is whole")
    if output == STANDARD_OUTPUT:
        return
    if output is not None:
        if os.path.isfile(output) and settings.receive_overwrite == "never":
            context.warn(f"{output} exists; a delivery will be refused (--overwrite or --rename allow it)")
        folder = os.path.dirname(output) or "."
    else:
        folder = str(settings.receive_into)
    if not os.path.isdir(folder):
        context.warn(f"there is no folder {folder}; a delivery will be refused until there is")
    elif not os.access(folder, os.W_OK):
        context.warn(f"the folder {folder} cannot be written; a delivery will be refused")
