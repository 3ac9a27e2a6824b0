"""Messages both ways between two programs, in one session."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from types import TracebackType

from selo.agents import events
from selo.agents.apart import begin_apart
from selo.agents.arguments import known_peers, require
from selo.agents.dialogue import Dialogue
from selo.agents.errors import ConversationCut, InternalFault, UnreadMessages
from selo.agents.establish import HandshakeLink, establish_as_emitter, establish_as_receiver
from selo.agents.facts import SessionFacts
from selo.agents.mailbox import Mailbox
from selo.agents.meeting import Part, Terms
from selo.agents.routes import meeting
from selo.agents.session import Session
from selo.agents.stop import Stop, join
from selo.config.settings import Settings, load_settings
from selo.config.trust import Peer
from selo.crypto.handshake import Established, Role
from selo.crypto.identity import Identity, PublicIdentity
from selo.errors import MisuseError, SeloError, SessionError
from selo.transport.base import Leg

ABORT_SECONDS = 3.0
"""How long ``abort`` waits, beyond the ``close_grace`` that the telling of the other side may take."""


class Conversation:
    """An established session in which both programs send and take messages; made by ``converse``.

    ``send`` and ``receive`` may be called by any threads. Leaving the ``with`` block closes the
    conversation in order; leaving it by an exception gives it up, and the other side is told.
    """

    def __init__(self, leg: Leg, established: Established, peer: Peer, terms: Terms, end: ExitStack) -> None:
        settings = terms.settings
        self.session = SessionFacts.of(established, peer.name)
        """Who the other side is, and what binds other things to this session."""
        self._leg = leg
        self._stop = terms.stop
        self._aborted = False
        self._close_grace = settings.close_grace
        self._end = end
        self._mailbox = Mailbox(outgoing_bytes=settings.window_bytes, wake=leg.wake)
        self._dialogue = Dialogue(
            established.role,
            self._mailbox,
            limits=established.limits,
            record_size=settings.record_size,
            message_max=settings.message_max,
            open_by=time.monotonic() + settings.handshake_deadline,
        )
        self._session = Session(leg, established, settings=settings, stop=terms.stop)
        self._thread = threading.Thread(target=self._run, name="selo-conversation", daemon=True)
        self._thread.start()

    def send(self, message: bytes | bytearray | memoryview) -> None:
        """Send one message of 0 or more bytes.

        Waits while a window's worth of bytes (``window_bytes``) lies here unsent. That a message was taken
        by the other program is certain only when ``close`` returned.

        Raises:
            MisuseError: after ``finish`` or ``close``.
            SeloError: the conversation failed; see ``receive``.
        """
        self._require_alive()
        # bytes(5) would be five zeros.
        self._mailbox.put(message if isinstance(message, bytes) else bytes(memoryview(message)))

    def receive(self, timeout: float | None = None) -> bytes | None:
        """The next message; None when the other side has finished and all its messages were taken.

        Waits for it, for ``timeout`` seconds at most if that is given.

        Raises:
            NothingCame (an UnreachableError): no message came in time. The conversation goes on.
            ConversationCut (a SessionError): the session was cut or tampered with.
            PeerFault, LocalFault: one side could not go on; the other was told.
        """
        self._require_alive()
        return self._mailbox.take(timeout)

    def __iter__(self) -> Iterator[bytes]:
        """The messages, until the other side has finished; raises what ``receive`` raises."""
        while (message := self.receive()) is not None:
            yield message

    def finish(self) -> None:
        """Say that no more messages follow; those of the other side may still be taken."""
        self._mailbox.finish()

    def close(self) -> None:
        """``finish``, and wait until the other side has finished and each has taken everything.

        Another thread that takes messages must have come to their end, or be waiting for the next one.

        Raises:
            UnreadMessages (a MisuseError): the other side had more to say. It is told that we gave up.
            SeloError: the conversation failed.
        """
        if self._aborted:
            return
        self._mailbox.finish()
        try:
            unread = self._mailbox.wait_until_over()
            if unread:
                raise UnreadMessages(unread)
            join(self._thread)
        except (UnreadMessages, KeyboardInterrupt):
            self.abort()
            raise

    def abort(self) -> None:
        """Give the conversation up; the other side is told. Does nothing once it is over.

        What is called afterwards raises MisuseError, but for ``close``, which has nothing left to do.
        """
        self._aborted = True
        self._stop.request()
        self._thread.join(self._close_grace + ABORT_SECONDS)

    def __enter__(self) -> Conversation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def _require_alive(self) -> None:
        if self._aborted:
            raise MisuseError("a conversation that was given up")

    def _run(self) -> None:
        failure: BaseException | None = None
        try:
            self._session.run(self._dialogue)
            if self._dialogue.waits_for_close:
                self._session.wait_for_close()
        except SessionError as error:
            speaking = self._dialogue.speaking
            failure = ConversationCut(error, speaking.messages, speaking.messages_taken)
            failure.__cause__ = error
        except SeloError as error:
            failure = error
        except BaseException as error:
            failure = InternalFault(error)
        with suppress(Exception):  # the session's own end is the one to tell of
            self._end.close()
        self._mailbox.end(failure)


def converse(
    *,
    identity: Identity,
    peers: Peer | Collection[Peer],
    connect: str | None = None,
    bind: str | None = None,
    settings: Settings | None = None,
    report: events.Report = events.ignore,
    stop: Stop | None = None,
) -> Conversation:
    """Meet a peer for messages both ways: one side gives ``connect``, the other ``bind``.

        with converse(identity=me, peers=bob, connect="tcp://bob.example:7800") as talk:
            talk.send(b"a question")
            print(talk.receive())

    Args:
        identity: ours.
        peers: whom we talk to; with ``bind`` whichever of them comes, with ``connect`` exactly one.
        connect: where the peer listens, as in ``tcp://host:7800``. Tries for ``settings.emit_wait`` seconds.
        bind: where we listen. Waits for ``settings.receive_wait`` seconds (without end by default).
        settings: the defaults if None.
        report: called with events (selo.agents.events), from a thread of this call's own.
        stop: its request, from any thread, ends the waiting and the conversation.

    Raises:
        TrustError: the other side is not the peer, or does not trust us.
        UnreachableError: nobody there, or nobody came.
        UsageError: an address that cannot be meant.
        LocalFault: the address cannot be bound.
        MisuseError: not exactly one of ``connect`` and ``bind``.
    """
    settings = (
        require(settings, Settings, "settings", "what load_settings gives", optional=True) or load_settings()
    )
    stop = require(stop, Stop, "stop", "a selo.Stop", optional=True) or Stop()
    terms = Terms(settings=settings, stop=stop, report=report)
    require(identity, Identity, "identity", "what load_identity gives")
    known = known_peers(peers, "peers")
    if not known:
        raise MisuseError("a conversation needs a peer")
    side = _Side(identity, known, terms, Role.EMITTER if connect is not None else Role.RECEIVER)

    def begin(part: Stop, end: ExitStack) -> Conversation:
        place = end.enter_context(
            meeting(connect=connect, bind=bind, identity=identity, peers=known, settings=settings)
        )
        within = replace(terms, stop=part)
        leg, established = place.establish(side.part(), within)
        end.callback(leg.close)
        peer = side.by_fingerprint[established.peer.fingerprint]
        return Conversation(leg, established, peer, within, end)

    return begin_apart(begin, Conversation.abort, stop)


class _Side:
    """Our half of the handshake."""

    def __init__(self, identity: Identity, peers: list[Peer], terms: Terms, role: Role) -> None:
        self._identity = identity
        self._terms = terms
        self._role = role
        self.by_fingerprint = {each.fingerprint: peer for peer in peers for each in peer.identities}

    def part(self) -> Part:
        settings = self._terms.settings
        return Part(
            role=self._role,
            fingerprint=self._identity.fingerprint,
            wait=settings.emit_wait if self._role is Role.EMITTER else settings.receive_wait,
            handshake=self._handshake,
        )

    def _handshake(self, link: HandshakeLink, dialled: PublicIdentity | None) -> Established:
        suite = self._terms.suite
        if self._role is Role.RECEIVER:
            return establish_as_receiver(
                link, identity=self._identity, senders=self.by_fingerprint, suite=suite
            )
        assert dialled is not None
        name = self.by_fingerprint[dialled.fingerprint].name
        return establish_as_emitter(link, identity=self._identity, peer=dialled, name=name, suite=suite)
