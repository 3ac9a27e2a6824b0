"""The conversation that a session may carry: messages in parts, both ways (docs/PROTOCOL.md, section 9)."""

from __future__ import annotations

import hmac
import time
from collections import deque

from blake3 import blake3

from selo.agents.bodies import Ack, Kind, Offer
from selo.agents.delivery import Pace, ReceiveWindow, SendWindow
from selo.agents.errors import DigestMismatch, MessageTooLong, PeerMisbehaved, WrongKind
from selo.agents.mailbox import Mailbox
from selo.agents.session import FRAMES_PER_TURN, Session
from selo.crypto.handshake import Role, SessionLimits
from selo.crypto.records import Record, RecordType, Totals

MORE, LAST = b"\0", b"\1"
"""The byte before every part: whether more of its message follows."""

OFFER = Offer(Kind.CONVERSATION, None, None)


class Dialogue:
    """Carries a mailbox's messages; done when both directions have their RECEIPT."""

    accepts = frozenset(
        {RecordType.OPEN, RecordType.DATA, RecordType.FINAL, RecordType.ACK, RecordType.RECEIPT}
    )
    must_finish = False

    def __init__(
        self,
        role: Role,
        mailbox: Mailbox,
        *,
        limits: SessionLimits,
        record_size: int,
        message_max: int,
        open_by: float,
    ) -> None:
        self._role = role
        self._mailbox = mailbox
        self._open_by = open_by
        self.speaking = _Speaking(mailbox, limits, record_size)
        self.hearing = _Hearing(mailbox, limits, message_max)
        self._receipted = False
        self.done = False

    @property
    def waits_for_close(self) -> bool:
        """Whether it is the other side that closes first."""
        return self._role is Role.RECEIVER

    def advance(self, session: Session) -> bool:
        """See ``Handler.advance``."""
        if not self.hearing.opened and time.monotonic() > self._open_by:
            raise PeerMisbehaved("no OPEN came in time")
        if not self._open(session):
            return False
        more = self.speaking.advance(session)
        if session.can_send and not self._receipted:
            self.hearing.acknowledge(session)
            self._receipt(session)
        return more

    def _open(self, session: Session) -> bool:
        """Send our OPEN when it is its turn; whether we have opened."""
        if not self.speaking.opened and (self._role is Role.EMITTER or self.hearing.opened):
            session.send(RecordType.OPEN, OFFER.pack())
            self.speaking.opened = True
        return self.speaking.opened

    def _receipt(self, session: Session) -> None:
        """Say that all was taken; the Receiver last, so that the Emitter may close on hearing it."""
        if not self.hearing.all_taken:
            return
        if self._role is Role.RECEIVER and not self.speaking.receipted:
            return
        session.send(RecordType.RECEIPT, session.receipt(self.hearing.digest))
        self._receipted = True
        self.done = self._role is Role.RECEIVER

    def receive(self, record: Record, session: Session) -> None:
        """See ``Handler.receive``."""
        # The order of OPEN, DATA and FINAL within their direction was checked by the opener.
        if record.type is RecordType.OPEN:
            self.hearing.open(record)
        elif record.type is RecordType.DATA:
            self.hearing.part(record)
        elif record.type is RecordType.FINAL:
            self.hearing.final(record)
        elif not self.speaking.opened:
            raise PeerMisbehaved(f"{record.type.name} before OPEN")
        elif record.type is RecordType.ACK:
            self.speaking.acknowledged(record, session)
        else:
            self._take_receipt(record)

    def _take_receipt(self, record: Record) -> None:
        if self._role is Role.EMITTER and not self._receipted:
            raise PeerMisbehaved("RECEIPT before ours")
        self.speaking.take_receipt(record)
        self.done = self._role is Role.EMITTER


class _Speaking:
    """Our direction: messages out, in parts that fit the window."""

    def __init__(self, mailbox: Mailbox, limits: SessionLimits, record_size: int) -> None:
        self._mailbox = mailbox
        self._pace = Pace(min(record_size, limits.max_plaintext), started=time.monotonic())
        self._hash = blake3()
        self._rest: memoryview | None = None
        self._final: bytes | None = None
        self._ends: deque[int] = deque()
        self.window = SendWindow(limits)
        self.opened = False
        self.receipted = False
        self.messages = 0
        """Messages sent whole."""

    @property
    def messages_taken(self) -> int:
        """Of those, how many the other side's program has taken, as far as we know."""
        return self.messages - len(self._ends)

    def advance(self, session: Session) -> bool:
        """Send up to a turn's worth of parts, then FINAL; whether there may be more to send at once."""
        if self._final is not None:
            return False
        for _ in range(FRAMES_PER_TURN):
            size = self._pace.record_size
            if not (session.can_send and self.window.has_room(size)):
                return False
            if self._rest is None:
                message = self._mailbox.fetch()
                if message is None:
                    break
                self._rest = memoryview(message)
            self._send_part(session, size - 1)
        else:
            return True
        if self._mailbox.nothing_more_to_send:
            self._final = session.send_final(self._hash.digest())
        return False

    def _send_part(self, session: Session, room: int) -> None:
        assert self._rest is not None
        part, rest = self._rest[:room], self._rest[room:]
        plaintext = (MORE if rest else LAST) + bytes(part)
        self._hash.update(plaintext)
        if not rest:
            self.messages += 1
            self._ends.append(session.next_seq)
        self.window.sent(session.next_seq, len(plaintext))
        session.send(RecordType.DATA, plaintext)
        self._rest = rest if rest else None

    def acknowledged(self, record: Record, session: Session) -> None:
        self.window.acknowledge(Ack.unpack(record.plaintext), sealed=session.next_seq)
        self._pace.acknowledged(self.window.acknowledged_bytes, now=time.monotonic())
        while self._ends and self._ends[0] < self.window.acknowledged_seq:
            self._ends.popleft()

    def take_receipt(self, record: Record) -> None:
        if self._final is None:
            raise PeerMisbehaved("RECEIPT before FINAL")
        if not hmac.compare_digest(record.plaintext, self._final):
            raise DigestMismatch
        self.receipted = True
        self._ends.clear()


class _Hearing:
    """The other side's direction: parts in, messages to the program."""

    def __init__(self, mailbox: Mailbox, limits: SessionLimits, message_max: int) -> None:
        self._mailbox = mailbox
        self._message_max = message_max
        self._hash = blake3()
        self._message = bytearray()  # not a list of parts: small ones would take many times their size
        self._parts = 0
        self._ended = False
        self.window = ReceiveWindow(limits)
        self.opened = False

    @property
    def digest(self) -> bytes:
        """BLAKE3 of all DATA plaintexts that came, 32 bytes."""
        return self._hash.digest()

    @property
    def all_taken(self) -> bool:
        """Whether FINAL verified and the program has taken everything."""
        return self._ended and self._mailbox.all_taken

    def open(self, record: Record) -> None:
        offer = Offer.unpack(record.plaintext)
        if offer.kind is not Kind.CONVERSATION:
            raise WrongKind("a delivery", "a conversation")
        self.opened = True

    def part(self, record: Record) -> None:
        self.window.arrived(record.seq, len(record.plaintext))
        self._hash.update(record.plaintext)
        last, part = record.plaintext[:1], record.plaintext[1:]
        if last not in (MORE, LAST) or (last == MORE and not part):
            raise PeerMisbehaved("a part of a message that is none")
        if len(self._message) + len(part) > self._message_max:
            raise MessageTooLong(self._message_max)
        self._message += part
        self._parts += 1
        if last == LAST:
            self._mailbox.deliver(bytes(self._message), self._parts)
            self._message, self._parts = bytearray(), 0

    def final(self, record: Record) -> None:
        if self._parts:
            raise PeerMisbehaved("FINAL in the middle of a message")
        if Totals.unpack(record.plaintext).digest != self.digest:
            raise DigestMismatch
        self._ended = True
        self._mailbox.nothing_more_comes()

    def acknowledge(self, session: Session) -> None:
        self.window.consumed(self._mailbox.consumed_parts(self._parts))
        if self.window.ack_is_due:
            session.send(RecordType.ACK, self.window.ack(session.expected_seq).pack())
