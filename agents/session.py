"""The one session loop: an established session over a leg, until its handler is done.

Frames in, records out to the handler; records from the handler, frames out. The
loop owns the leg, the sealer, the opener and the clock; a handler (``Outgoing`` or
``Incoming``) owns the delivery. Nothing here waits for a disk.
"""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from selo.agents.bodies import Abort, AbortCode
from selo.agents.errors import (
    BeginAnew,
    DigestMismatch,
    HeldForAnother,
    InternalFault,
    MessageTooLong,
    PeerFailed,
    PeerInterrupted,
    PeerLater,
    PeerLost,
    PeerMisbehaved,
    ReceiptUnsigned,
    SinkFault,
    SourceFault,
    WrongKind,
)
from selo.agents.stop import Stop
from selo.agents.storage.base import BeingReceived
from selo.config.settings import Settings
from selo.crypto.errors import RecordError
from selo.crypto.handshake import Established, Role
from selo.crypto.limits import TAG_LENGTH
from selo.crypto.records import Record, RecordType
from selo.errors import Interrupted, LocalFault, SeloError
from selo.transport.base import FrameRefused, Leg, LegClosed
from selo.transport.frames import RecordFrame, new_record_frame, parse

FRAMES_PER_TURN = 64
"""Frames read, and records sealed, before the loop looks at its clock and the other side again."""

LONGEST_SLEEP = 1.0
"""Seconds after which the loop looks around even when nothing is due."""


class Handler(Protocol):
    """The delivery that a session carries, as the loop sees it."""

    accepts: frozenset[RecordType]
    """Record types that may arrive, beside PING and ABORT."""

    @property
    def done(self) -> bool:
        """Whether the session has served its purpose."""

    @property
    def must_finish(self) -> bool:
        """Whether a request to stop has to wait, because what is under way is soon done."""

    def advance(self, session: Session) -> bool:
        """Send what can be sent now, at most a turn's worth; whether there may be more at once."""

    def receive(self, record: Record, session: Session) -> None:
        """Take one authenticated record of an accepted type."""


class Session:
    """Sealed records over one leg, with liveness."""

    def __init__(
        self,
        leg: Leg,
        established: Established,
        *,
        settings: Settings,
        stop: Stop,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._leg = leg
        self._sealer = established.sealer
        self._opener = established.opener
        self._peer_role = Role.RECEIVER if established.role is Role.EMITTER else Role.EMITTER
        self._max_frame = established.limits.max_plaintext + TAG_LENGTH + RecordFrame.OVERHEAD
        self._settings = settings
        self._stop = stop
        self._clock = clock
        self._unsent: deque[bytearray] = deque()
        self._last_sent = self._last_heard = clock()
        self.limits = established.limits

    # What a handler may do

    @property
    def next_seq(self) -> int:
        """The number of the next record we seal."""
        return self._sealer.next_seq

    @property
    def expected_seq(self) -> int:
        """The number of the next record that the other side seals."""
        return self._opener.next_seq

    @property
    def can_send(self) -> bool:
        """Whether a record would leave at once."""
        return not self._unsent

    @property
    def is_stopping(self) -> bool:
        """Whether a stop was requested, which the handler may still have reason to put off."""
        return self._stop.requested

    def send(self, kind: RecordType, plaintext: bytes | memoryview = b"") -> None:
        """Seal one record in place in its frame, and hand it to the transport or line it up."""
        frame = new_record_frame(len(plaintext))
        frame.header[:] = self._sealer.seal_into(kind, plaintext, frame.body)
        self._unsent.append(frame.buffer)
        self._flush()

    def send_final(self, digest: bytes) -> bytes:
        """Seal FINAL over everything sent so far; returns its plaintext, which RECEIPT must equal."""
        plaintext = self._sealer.totals(digest).pack()
        self.send(RecordType.FINAL, plaintext)
        return plaintext

    def receipt(self, digest: bytes) -> bytes:
        """The RECEIPT for everything opened up to the FINAL, with our own content digest."""
        return self._opener.totals(digest).pack()

    # The loop

    def run(self, handler: Handler) -> None:
        """Serve the handler until it is done.

        Raises:
            SeloError: the session failed. What the other side can use of the reason was
                sent as an ABORT, unless it is the other side, or the link, that failed.
            Interrupted: the stop was requested; the other side was told.
        """
        with self._stop.waking(self._leg.wake):
            try:
                while not handler.done:
                    self._turn(handler)
            except (
                RecordError,
                FrameRefused,
                LegClosed,
                PeerLost,
                PeerFailed,
                PeerInterrupted,
                PeerLater,
            ):
                raise  # nobody trustworthy is listening, or they know already
            except BaseException as error:
                self._abort(error)
                raise

    def _turn(self, handler: Handler) -> None:
        if not handler.must_finish:
            self._stop.check()
        more = handler.advance(self)
        if handler.done:
            return
        self._pause(at_once=more)
        self._flush()
        heard = self._receive(handler)
        # Only after the queue was drained: if it was us who slept, the peer's words wait in it.
        if not heard and self._clock() - self._last_heard > self._settings.idle_limit:
            raise PeerLost(self._settings.idle_limit)
        if self.can_send and self._clock() - self._last_sent >= self._settings.ping_interval:
            self.send(RecordType.PING)

    def _pause(self, *, at_once: bool) -> None:
        """Sleep until something can be read, sent or is due; only look if there is more to do ``at_once``."""
        now = self._clock()
        ping_due = self._last_sent + self._settings.ping_interval - now
        idle_due = self._last_heard + self._settings.idle_limit - now
        timeout = (
            0.0 if at_once else min(LONGEST_SLEEP, idle_due, ping_due if self.can_send else LONGEST_SLEEP)
        )
        self._leg.wait(max(0.0, timeout), want_write=bool(self._unsent))

    def _flush(self) -> None:
        while self._unsent and self._leg.try_send(self._unsent[0]):
            self._unsent.popleft()
            self._last_sent = self._clock()

    def _receive(self, handler: Handler) -> bool:
        """Open what arrived, at most a turn's worth; whether there was anything."""
        for count in range(FRAMES_PER_TURN):
            frame = self._leg.try_receive()
            if frame is None:
                return count > 0
            parsed = parse(frame, max_length=self._max_frame)
            if not isinstance(parsed, RecordFrame):
                raise FrameRefused("a handshake message after the handshake")
            record = self._opener.open(parsed.header, parsed.body)
            self._last_heard = self._clock()
            self._dispatch(record, handler)
            if handler.done:
                break
        return True

    def _dispatch(self, record: Record, handler: Handler) -> None:
        if record.type is RecordType.PING:
            return
        if record.type is RecordType.ABORT:
            raise self._told(record)
        if record.type not in handler.accepts:
            raise PeerMisbehaved(f"{record.type.name} is not for this direction")
        handler.receive(record, self)

    def _told(self, record: Record) -> SeloError:
        try:
            abort = Abort.unpack(record.plaintext)
        except PeerMisbehaved:  # an ABORT is never answered, not even an ill-formed one
            return PeerInterrupted("its reason cannot be read")
        if abort.code in (AbortCode.INTERRUPTED, AbortCode.PROTOCOL):
            return PeerInterrupted(abort.text)
        if abort.code is AbortCode.LATER:
            return PeerLater(abort.text)
        return PeerFailed(self._peer_role.name.capitalize(), abort.text)

    # The end

    def wait_for_close(self) -> bool:
        """Let the other side close first, or give it ``close_grace`` seconds; whether all we sealed left.

        A close with unread data in our socket would make the system throw away what we
        sent last, so what still arrives is read and dropped.
        """
        deadline = self._clock() + self._settings.close_grace
        with suppress(SeloError):  # closed: what we waited for
            while (left := deadline - self._clock()) > 0:
                self._flush()
                self._leg.wait(left, want_write=bool(self._unsent))
                for _ in range(FRAMES_PER_TURN):  # and then the clock again: they may never stop
                    if self._leg.try_receive() is None:
                        break
        return not self._unsent

    def _abort(self, error: BaseException) -> None:
        """Tell the other side why, as far as it is its business; never fails."""
        with suppress(SeloError):  # the link is gone too; the first error is the one to report
            self.send(RecordType.ABORT, abort_for(error, self._peer_role).pack())
            self.wait_for_close()


def abort_for(error: BaseException, peer: Role) -> Abort:
    """What the other side, of the role ``peer``, is told of our error: whose fault, and never a path."""
    if isinstance(error, SourceFault):
        return Abort(AbortCode.SOURCE, error.for_peer)
    if isinstance(error, HeldForAnother | BeginAnew | BeingReceived):
        return Abort(AbortCode.LATER, error.for_peer)
    if isinstance(error, SinkFault | WrongKind | MessageTooLong):
        return Abort(AbortCode.SINK, error.for_peer)
    if isinstance(error, Interrupted) and _may_come_back(error, peer):
        return Abort(AbortCode.LATER, "it is being stopped, and may be started again")
    if isinstance(error, Interrupted | KeyboardInterrupt):
        return Abort(AbortCode.INTERRUPTED, "interrupted by its user or its program")
    if isinstance(error, PeerMisbehaved | DigestMismatch | ReceiptUnsigned):
        return Abort(AbortCode.PROTOCOL, str(error))
    if isinstance(error, LocalFault) and not isinstance(error, InternalFault):
        return Abort(AbortCode.INTERNAL, "a file or disk of its own")
    return Abort(AbortCode.INTERNAL, "internal fault")


def _may_come_back(error: Interrupted, peer: Role) -> bool:
    """A service that is stopped is often restarted; a person who types Ctrl-C means it."""
    return peer is Role.EMITTER and error.signal_number == signal.SIGTERM
