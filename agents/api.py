"""What an embedding program calls: one call for each thing that the command line does.

All of them block; each may run in a thread of its own (`asyncio.to_thread`). None touches
signal handlers: Ctrl-C arrives as KeyboardInterrupt, after the other side was told, and
what another handler raises arrives in the same way.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import BinaryIO, TypeAlias, cast

from selo.agents import events
from selo.agents.apart import apart, begin_apart
from selo.agents.arguments import known_peers, require
from selo.agents.direct import DirectSink
from selo.agents.emitter import Emitter
from selo.agents.facts import SessionFacts
from selo.agents.launcher import Emitting, Receiving, RoleReport, SyncPipe
from selo.agents.meeting import Terms
from selo.agents.opening import open_paths
from selo.agents.places import rules_for
from selo.agents.receipt_file import ReceiptKeeper
from selo.agents.receiver import MakeSink, Receiver
from selo.agents.routes import meeting
from selo.agents.sinks import CallableSink, FileSink, FolderSink, Sink, is_special
from selo.agents.sources import Block, BytesSource, DescriptorSource, IterableSource, Source
from selo.agents.stop import Stop
from selo.agents.stream import Passage, Stream
from selo.config.policy import Overwrite
from selo.config.settings import Settings, load_settings
from selo.config.trust import Peer
from selo.crypto.identity import Identity
from selo.crypto.limits import DELIVERY_LENGTH
from selo.errors import MisuseError

Path: TypeAlias = "str | os.PathLike[str]"

Data: TypeAlias = "Path | Sequence[Path] | bytes | bytearray | memoryview | BinaryIO | Iterable[Block]"
"""What can be sent: a path (of a folder, too), some paths, bytes, an open binary file, bytes in pieces."""

Target: TypeAlias = "str | os.PathLike[str] | Callable[[bytes], object]"
"""Where a delivery can go: into a folder, into a file, or to a callable, block by block."""

READ_SIZE = 1 << 20
"""Bytes asked of a file object that has no descriptor."""


def emit(
    data: Data,
    *,
    identity: Identity,
    to: Peer,
    connect: str | None = None,
    bind: str | None = None,
    name: str | None = None,
    receipt: Path | None = None,
    delivery: bytes | None = None,
    settings: Settings | None = None,
    report: events.Report = events.ignore,
    on_session: Callable[[SessionFacts], object] | None = None,
    stop: Stop | None = None,
) -> events.Delivered:
    """Deliver ``data`` to a pinned peer; returns when its receipt has verified.

    Args:
        data: a path (text is always a path) of a file or folder, a list of paths, bytes, an open binary file,
            or an iterable of bytes.
        identity: ours.
        to: the peer; nobody else gets a byte.
        connect: where it listens, as in ``tcp://host:7800``; tries for ``settings.emit_wait`` seconds.
        bind: or where we listen, for a peer who cannot be reached.
        name: what the other side may call it; a path's own name unless given.
        receipt: a file that does not exist yet, for the Receiver's signed receipt.
        delivery: 16 random bytes that name this delivery. Where an earlier call with the same ones was cut,
            another process's too, this one goes on; without them it goes on within this call only.
        settings: the defaults if None.
        report: called with events (selo.agents.events), from a thread of this call's own.
        on_session: called with the facts of each session before any data is sent in it.
        stop: its request, from any thread, ends the delivery in order.

    Raises:
        TrustError: the other side is not the peer, or does not trust us.
        UnreachableError: there was no session in time.
        LocalFault, PeerFault: one side's source or disk failed; the other was told.
        SessionError: the session was cut or tampered with, or the outcome is unknown.
        UsageError: an address that cannot be meant.
        MisuseError: not exactly one of ``connect`` and ``bind``, or data of another kind.
        Interrupted: ``stop`` was requested.
    """
    require(identity, Identity, "identity", "what load_identity gives")
    require(to, Peer, "to", "what load_peer gives")
    if delivery is not None and not (isinstance(delivery, bytes) and len(delivery) == DELIVERY_LENGTH):
        raise MisuseError(f"delivery takes {DELIVERY_LENGTH} bytes")
    terms = _terms(settings, report, on_session, stop)
    source = as_source(data, name)

    def run(terms: Terms) -> events.Delivered:
        with ExitStack() as stack:
            keeper = ReceiptKeeper(receipt) if receipt is not None else None
            if keeper is not None:
                stack.callback(keeper.discard)
            emitter = Emitter(
                identity=identity, peer=to, source=source, terms=terms, delivery=delivery, receipt=keeper
            )
            place = stack.enter_context(
                meeting(connect=connect, bind=bind, identity=identity, peers=[to], settings=terms.settings)
            )
            return emitter.run(place)

    return _apart(run, terms)


def receive(
    into: Target,
    *,
    identity: Identity,
    senders: Peer | Collection[Peer],
    connect: str | None = None,
    bind: str | None = None,
    overwrite: bool | None = None,
    settings: Settings | None = None,
    report: events.Report = events.ignore,
    on_session: Callable[[SessionFacts], object] | None = None,
    stop: Stop | None = None,
) -> events.Delivered:
    """Take one delivery; returns when it is stored and the Emitter was sent its receipt.

    Args:
        into: a folder, for the name that the Emitter gives; any other path, for that name; or a
            callable, for every block as soon as it is authentic: only the return says that it was all.
        identity: ours.
        senders: who may deliver; whoever else comes is turned away and reported.
        connect: where the one sender listens, if we cannot be reached.
        bind: or where we listen. Either waits for ``settings.receive_wait`` seconds (without end).
        overwrite: whether what exists may be replaced; None: as the peer's policy and the settings say (no).
        settings, report, on_session, stop: as for ``emit``.

    Raises:
        TrustError, UnreachableError: nobody came in time, or nobody who may.
        LocalFault, PeerFault: one side's disk or source failed; the other was told.
        SessionError: the session was cut or tampered with; no file appeared.
        UsageError: an address that cannot be meant, or several senders to connect to.
        MisuseError: not exactly one of ``connect`` and ``bind``, or no sender.
        Interrupted: ``stop`` was requested.
    """
    terms = _terms(settings, report, on_session, stop)
    make_sink = _sink_maker(into, overwrite, terms.settings)

    def run(terms: Terms) -> events.Delivered:
        receiver = _receiver(identity, senders, make_sink, terms)
        with meeting(
            connect=connect, bind=bind, identity=identity, peers=_peers(senders), settings=terms.settings
        ) as place:
            return receiver.run(place)

    return _apart(run, terms)


def open_stream(
    *,
    identity: Identity,
    senders: Peer | Collection[Peer],
    connect: str | None = None,
    bind: str | None = None,
    settings: Settings | None = None,
    report: events.Report = events.ignore,
    stop: Stop | None = None,
) -> Stream:
    """Take one delivery as an iterator of its blocks.

        with open_stream(identity=me, senders=alice, bind="tcp://0.0.0.0:7800") as stream:
            for block in stream:
                ...

    Args:
        identity, senders, connect, bind, settings: as for ``receive``.
        report: called with events, from the stream's own thread.
        stop: as for ``receive``; the iteration then raises Interrupted.

    Raises:
        LocalFault: the address cannot be bound.
        UsageError, MisuseError: as for ``receive``. All other errors come out of the iteration.
    """
    passage = Passage()
    terms = _terms(settings, report, passage.on_session, stop)

    def begin(part: Stop, end: ExitStack) -> Stream:
        receiver = _receiver(identity, senders, lambda _sender: passage, replace(terms, stop=part))
        peers = _peers(senders)
        place = end.enter_context(
            meeting(connect=connect, bind=bind, identity=identity, peers=peers, settings=terms.settings)
        )
        return Stream(receiver, place, end, passage)

    return begin_apart(begin, Stream.close, terms.stop)


def run_agents(
    data: Data,
    into: Target,
    *,
    transport: str = "pair",
    settings: Settings | None = None,
    report: RoleReport | None = None,
    stop: Stop | None = None,
) -> tuple[events.Delivered, events.Delivered]:
    """Run an Emitter and a Receiver as processes of their own, with identities made for this run.

    The processes are spawned: ``data`` and ``into`` must be picklable, and a script that calls this does so
    under ``if __name__ == "__main__":``.

    Args:
        data: as for ``emit``, but no open file and no generator.
        into: as for ``receive``; a callable is called in the Receiver's process.
        transport: ``"pair"`` (ZeroMQ), ``"pipe"``, or an address to bind.
        settings, stop: as for ``emit``.
        report: called with a role and an event.

    Returns:
        what the Emitter and the Receiver say was delivered.

    Raises:
        LocalFault: one of the two failed; the words and ``exit_status`` are its own.
        Interrupted: ``stop`` was requested.
    """
    settings = settings or load_settings()
    pipe = SyncPipe(
        Emitting(partial(as_source, data, None)),
        Receiving(_sink_maker(into, None, settings)),
        transport=transport,
        settings=settings,
        report=report,
    )
    return pipe.auto(stop)


def _apart(run: Callable[[Terms], events.Delivered], terms: Terms) -> events.Delivered:
    with terms.stop.inner() as stop:  # Ctrl-C during this call requests nothing of the program's other calls
        return apart(partial(run, replace(terms, stop=stop)), stop)


def as_source(data: Data, name: str | None) -> Source:
    """The source of whatever ``emit`` takes.

    Raises:
        SourceFault: it cannot be opened, or its name cannot be a delivery's.
        MisuseError: it is none of ``Data``.
    """
    if isinstance(data, str | os.PathLike):
        return open_paths([os.fspath(data)], name=name)
    if isinstance(data, list | tuple) and data and all(isinstance(each, str | os.PathLike) for each in data):
        return open_paths([os.fspath(each) for each in data], name=name)
    if isinstance(data, bytes | bytearray | memoryview):
        return BytesSource(bytes(data), name)
    _refuse_text(data)
    # read1 gives what is here now, as a live stream wants it; read would wait for all that was asked for.
    read = getattr(data, "read1", None) or getattr(data, "read", None)
    if read is not None:
        return _file_source(data, read, name)
    if isinstance(data, Iterable):
        return IterableSource(cast("Iterable[Block]", data), name)
    raise MisuseError(
        f"cannot send a {type(data).__name__}: give a path, bytes, a binary file or an iterable"
    )


def _refuse_text(data: object) -> None:
    given: object = data  # no type above allows a text file, and people try
    if isinstance(given, io.TextIOBase):
        raise MisuseError("cannot send a file in text mode; open it with 'rb'")


def _file_source(file: object, read: Callable[[int], bytes | None], name: str | None) -> Source:
    _refuse_non_blocking(file)
    # The descriptor of anything else, a gzip.GzipFile say, does not hold what its read gives.
    raw = getattr(file, "raw", file)
    if isinstance(file, io.FileIO | io.BufferedReader) and isinstance(raw, io.FileIO):
        descriptor = _unread_descriptor(file)
        if descriptor is not None:
            return DescriptorSource(descriptor, name, shown_as=str(raw.name))
    return IterableSource(_blocks(read), name)


def _unread_descriptor(file: io.FileIO | io.BufferedReader) -> int | None:
    """The descriptor, unless the object has read ahead of it: then what it holds is not all there is."""
    try:
        descriptor = file.fileno()
        return descriptor if os.lseek(descriptor, 0, os.SEEK_CUR) == file.tell() else None
    except OSError:  # without a position, as a pipe's: nobody can tell
        return None
    except ValueError as error:
        raise MisuseError("a file that is closed") from error


def _refuse_non_blocking(file: object) -> None:
    """What has nothing to read for a moment would look like the end of the file."""
    try:
        blocking = os.get_blocking(file.fileno())  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):  # no descriptor
        return
    if not blocking:
        raise MisuseError("a file in non-blocking mode; os.set_blocking(file.fileno(), True) changes it")


def _blocks(read: Callable[[int], bytes | None]) -> Iterator[bytes]:
    while (block := read(READ_SIZE)) != b"":
        if block is None:
            raise MisuseError("a file in non-blocking mode")
        if not isinstance(block, bytes | bytearray | memoryview):
            raise MisuseError("a file in text mode; open it with 'rb'")
        yield block


def _sink_maker(into: Target, overwrite: bool | None, settings: Settings) -> MakeSink:
    if not callable(into):
        require(into, (str, os.PathLike), "into", "a path or a callable")
    special = not callable(into) and is_special(into)  # what becomes a FIFO later is not written to
    return partial(_sink, into, overwrite, settings, special)


def _sink(into: Target, overwrite: bool | None, settings: Settings, special: bool, sender: Peer) -> Sink:
    rules = rules_for(settings, sender)
    if callable(into):
        return DirectSink(CallableSink(into), limit=rules.max_bytes)
    if special:
        return DirectSink(FileSink(into, special=True), limit=rules.max_bytes)
    if overwrite is not None:
        rules = replace(rules, overwrite=Overwrite.REPLACE if overwrite else Overwrite.NEVER)
    if os.path.isdir(into) or os.fspath(into).endswith(os.sep):
        return FolderSink(into, rules, sender=sender.name)
    return FileSink(into, rules, special=False)


def _receiver(
    identity: Identity, senders: Peer | Collection[Peer], make_sink: MakeSink, terms: Terms
) -> Receiver:
    require(identity, Identity, "identity", "what load_identity gives")
    known = {each.fingerprint: peer for peer in _peers(senders) for each in peer.identities}
    if not known:
        raise MisuseError("a Receiver needs somebody who may send")
    return Receiver(identity=identity, senders=lambda: known, make_sink=make_sink, terms=terms)


def _peers(peers: Peer | Collection[Peer]) -> list[Peer]:
    return known_peers(peers, "senders")


def _terms(
    settings: Settings | None,
    report: events.Report,
    on_session: Callable[[SessionFacts], object] | None,
    stop: Stop | None,
) -> Terms:
    return Terms(
        settings=require(settings, Settings, "settings", "what load_settings gives", optional=True)
        or load_settings(),
        stop=require(stop, Stop, "stop", "a selo.Stop", optional=True) or Stop(),
        report=report,
        on_session=on_session or (lambda _facts: None),
    )
