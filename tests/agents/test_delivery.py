"""The two windows of a direction: they agree in every interleaving, and never lock each other out."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from selo.agents.bodies import Ack
from selo.agents.delivery import SMALLEST_PACED, Pace, ReceiveWindow, SendWindow
from selo.agents.errors import PeerMisbehaved
from selo.crypto.session_limits import SessionLimits

RECORD = 4096
"""Bytes of the largest record: the smallest max_plaintext that a session may have."""

limits = st.builds(SessionLimits, st.just(RECORD), st.integers(1, 9), st.integers(RECORD, 4 * RECORD))
lengths = st.one_of(st.integers(1, RECORD), st.sampled_from([1, RECORD - 1, RECORD]))


class BothWindows(RuleBasedStateMachine):
    """A sender that asks its window, a receiver, and what is on its way between them."""

    @initialize(granted=limits)
    def begin(self, granted: SessionLimits) -> None:
        self.granted = granted
        self.sender, self.receiver = SendWindow(granted), ReceiveWindow(granted)
        self.next_seq = 0  # of the sender's next record
        self.expected_seq = 0  # of the next record that the receiver opens
        self.data: deque[tuple[int, int]] = deque()  # (seq, length); length 0: no DATA
        self.acks: deque[Ack] = deque()
        self.stored: list[tuple[int, int]] = []  # arrived, in order
        self.consumed = 0
        self.acknowledged = 0  # consumed when the last ACK left
        self.unacknowledged: list[tuple[int, int]] = []  # sent, and no ACK of it arrived

    @rule(length=lengths)
    def send_data(self, length: int) -> None:
        if self.sender.has_room(length):
            self.sender.sent(self.next_seq, length)
            self.unacknowledged.append((self.next_seq, length))
            self.data.append((self.next_seq, length))
            self.next_seq += 1
        else:
            fits = sum(each for _, each in self.unacknowledged) + length <= self.granted.window_bytes
            assert len(self.unacknowledged) == self.granted.window_records or not fits

    @rule()
    def send_ping(self) -> None:
        self.data.append((self.next_seq, 0))
        self.next_seq += 1

    @precondition(lambda self: self.data)
    @rule()
    def arrive(self) -> None:
        """Whatever the sender's window permitted is accepted here, or this raises."""
        seq, length = self.data.popleft()
        self.expected_seq = seq + 1
        if length:
            self.receiver.arrived(seq, length)
            self.stored.append((seq, length))

    @precondition(lambda self: self.consumed < len(self.stored))
    @rule(draw=st.data())
    def consume(self, draw: st.DataObject) -> None:
        self.consumed = draw.draw(st.integers(self.consumed, len(self.stored)))
        self.receiver.consumed(self.consumed)

    @rule()
    def acknowledge(self) -> None:
        ack = self.receiver.ack(self.expected_seq)
        open_seqs = [seq for seq, _ in self.stored[self.consumed :]]
        assert ack.next_seq == (open_seqs[0] if open_seqs else self.expected_seq)
        self.acknowledged = self.consumed
        self.acks.append(ack)

    @precondition(lambda self: self.acks)
    @rule()
    def hear(self) -> None:
        ack = self.acks.popleft()
        self.sender.acknowledge(ack, sealed=self.next_seq)
        self.unacknowledged = [sent for sent in self.unacknowledged if sent[0] >= ack.next_seq]

    @invariant()
    def in_flight_is_within_both_limits(self) -> None:
        flight = sum(length for _, length in self.unacknowledged)
        assert len(self.unacknowledged) <= self.granted.window_records
        assert flight <= self.granted.window_bytes
        assert self.sender.sent_bytes - self.sender.acknowledged_bytes == flight

    @invariant()
    def an_ack_is_due_at_a_quarter_or_when_all_is_consumed(self) -> None:
        unsaid = [length for _, length in self.stored[self.acknowledged : self.consumed]]
        assert self.receiver.ack_is_due == (
            bool(unsaid)
            and (
                self.consumed == len(self.stored)
                or len(unsaid) >= self.granted.window_records / 4
                or sum(unsaid) >= self.granted.window_bytes / 4
            )
        )

    @invariant()
    def counts_are_right(self) -> None:
        assert self.receiver.arrived_bytes == sum(length for _, length in self.stored)

    def teardown(self) -> None:
        """From any state: once all arrived, was consumed and acknowledged when due, there is room for all."""
        while self.data:
            self.arrive()
        self.receiver.consumed(len(self.stored))
        if self.receiver.ack_is_due:
            self.acks.append(self.receiver.ack(self.expected_seq))
        while self.acks:
            self.hear()
        assert self.sender.acknowledged_bytes == self.sender.sent_bytes == self.receiver.arrived_bytes
        assert self.sender.has_room(RECORD)


def test_the_windows_agree_and_never_deadlock() -> None:
    """In every interleaving, what the sender's window permits the receiver's accepts, and room comes back."""
    run_state_machine_as_test(
        BothWindows, settings=settings(max_examples=150, stateful_step_count=40, deadline=None)
    )


@given(limits, st.lists(st.one_of(lengths, st.just("consume"), st.just("ack")), max_size=40))
def test_security_an_over_eager_sender_is_refused_exactly_at_the_grant(
    granted: SessionLimits, steps: list[int | str]
) -> None:
    """DATA that our last ACK did not make room for is refused; everything up to there is accepted."""
    window = ReceiveWindow(granted)
    open_lengths: list[int] = []  # since the last ACK, consumed or not
    consumed = total_consumed = 0
    for seq, step in enumerate(steps):
        if step == "consume":
            consumed, total_consumed = len(open_lengths), total_consumed + len(open_lengths) - consumed
            window.consumed(total_consumed)
        elif step == "ack":
            window.ack(seq)
            del open_lengths[:consumed]
            consumed = 0
        else:
            assert isinstance(step, int)
            open_lengths.append(step)
            beyond = len(open_lengths) > granted.window_records or sum(open_lengths) > granted.window_bytes
            if beyond:
                with pytest.raises(PeerMisbehaved, match="window"):
                    window.arrived(seq, step)
                return
            window.arrived(seq, step)


@pytest.mark.parametrize("window_records", [1, 2, 7])
def test_security_one_record_too_many_is_refused(window_records: int) -> None:
    """The limit of records holds however small they are, and consuming alone opens nothing."""
    window = ReceiveWindow(SessionLimits(RECORD, window_records, 1 << 20))
    for seq in range(window_records):
        window.arrived(seq, 1)
    window.consumed(window_records)
    with pytest.raises(PeerMisbehaved, match="records"):
        window.arrived(window_records, 1)


def test_security_one_byte_too_many_is_refused() -> None:
    """The limit of bytes holds however few records there are."""
    window = ReceiveWindow(SessionLimits(RECORD, 100, 2 * RECORD))
    window.arrived(0, RECORD)
    window.arrived(1, RECORD)
    with pytest.raises(PeerMisbehaved, match="bytes"):
        window.arrived(2, 1)


@pytest.mark.parametrize("next_seq", range(8))
def test_security_an_ack_never_goes_back_nor_ahead(next_seq: int) -> None:
    """After ACK (2, 5), with records up to 5 and 30 bytes sent, exactly 2..6 and 5..30 can follow."""
    for durable in range(34):
        window = SendWindow(SessionLimits(RECORD, 3, RECORD))
        for seq in (1, 3, 5):  # the others were OPEN and PINGs
            window.sent(seq, 10)
        window.acknowledge(Ack(2, 5), sealed=6)
        assert window.acknowledged_bytes == 10
        if 2 <= next_seq <= 6 and 5 <= durable <= 30:
            window.acknowledge(Ack(next_seq, durable), sealed=6)
            assert window.acknowledged_bytes == 10 + 10 * (next_seq > 3) + 10 * (next_seq > 5)
        else:
            with pytest.raises(PeerMisbehaved):
                window.acknowledge(Ack(next_seq, durable), sealed=6)
            assert window.acknowledged_bytes == 10, "a refused ACK opens nothing"


def test_room_is_for_whole_records() -> None:
    """A gap smaller than a record stays open: filling it would keep making small records."""
    window = SendWindow(SessionLimits(RECORD, 10, 2 * RECORD - 1))
    window.sent(0, RECORD)
    assert not window.has_room(RECORD)
    assert window.has_room(RECORD - 1)
    window.acknowledge(Ack(1, 0), sealed=1)
    assert window.has_room(RECORD)


def test_an_ack_says_nothing_durable_before_the_end() -> None:
    """Nothing is synced before the RECEIPT, so no ACK claims it."""
    window = ReceiveWindow(SessionLimits(RECORD, 10, RECORD))
    window.arrived(1, 100)
    window.consumed(1)
    assert window.ack(2) == Ack(2, 0)
    assert not window.ack_is_due


def test_records_grow_as_the_link_carries_them() -> None:
    """From 64 KiB to the setting, by what the ACKs show; never so large that one takes over a second."""
    pace = Pace(1 << 20, started=0.0)
    assert pace.record_size == SMALLEST_PACED
    pace.acknowledged(300_000, now=1.0)
    assert pace.record_size == 300_000
    pace.acknowledged(10 << 20, now=2.0)
    assert pace.record_size == 1 << 20
    pace.acknowledged(10 << 20, now=1000.0)
    assert pace.record_size == SMALLEST_PACED


def test_small_records_stay_small() -> None:
    """A record size below 64 KiB is what the user chose, whatever the link."""
    pace = Pace(32, started=0.0)
    for now in (0.0, 1e-9, 1.0, 1e9):
        pace.acknowledged(1 << 30, now=now)
        assert pace.record_size == 32
