"""The table of section 10: every state with every record type."""

from __future__ import annotations

import pytest

from selo.crypto.stream import RecordType, StreamRules, StreamState, fits

ROADS = {
    StreamState.IDLE: [],
    StreamState.OPEN: [RecordType.OPEN],
    StreamState.FINAL: [RecordType.OPEN, RecordType.FINAL],
    StreamState.ABORTED: [RecordType.ABORT],
}

TABLE = {
    StreamState.IDLE: {"OPEN": "open", "ACK": "idle", "RECEIPT": "idle", "PING": "idle", "ABORT": "aborted"},
    StreamState.OPEN: {
        "DATA": "open",
        "FINAL": "final",
        "ACK": "open",
        "RECEIPT": "open",
        "PING": "open",
        "ABORT": "aborted",
    },
    StreamState.FINAL: {"ACK": "final", "RECEIPT": "final", "PING": "final", "ABORT": "aborted"},
    StreamState.ABORTED: {},
}


def rules_in(state: StreamState) -> StreamRules:
    rules = StreamRules()
    for record_type in ROADS[state]:
        assert rules.allows(record_type)
        rules.advance(record_type)
    assert rules.state is state
    return rules


@pytest.mark.parametrize("record_type", range(256))
@pytest.mark.parametrize("state", StreamState)
def test_every_state_with_every_type(state: StreamState, record_type: int) -> None:
    """What section 10 names is allowed and leads where it says; all the other 256 types are not."""
    name = RecordType(record_type).name if record_type in list(RecordType) else ""
    rules = rules_in(state)
    expected = TABLE[state].get(name)
    assert rules.allows(record_type) == (expected is not None)
    assert rules.state is state
    if expected is not None:
        rules.advance(record_type)
        assert rules.state is StreamState(expected)


@pytest.mark.parametrize("state", [StreamState.IDLE, StreamState.OPEN, StreamState.FINAL])
def test_security_one_receipt_and_no_ack_after_it(state: StreamState) -> None:
    """After a RECEIPT this direction says no more about the other one's stream; the rest stays allowed."""
    rules = rules_in(state)
    rules.advance(RecordType.RECEIPT)
    assert not rules.allows(RecordType.RECEIPT)
    assert not rules.allows(RecordType.ACK)
    assert rules.allows(RecordType.PING)
    assert rules.allows(RecordType.ABORT)


BOUNDS = {
    RecordType.OPEN: (1, 4096),
    RecordType.DATA: (1, 1 << 20),
    RecordType.ACK: (16, 16),
    RecordType.PING: (0, 0),
    RecordType.FINAL: (80, 80),
    RecordType.RECEIPT: (80, 80),
    RecordType.ABORT: (1, 4096),
}


@pytest.mark.parametrize("record_type", BOUNDS)
def test_lengths_of_each_type(record_type: RecordType) -> None:
    """Both ends of the range fit, and one byte beyond either does not."""
    fewest, most = BOUNDS[record_type]
    assert fits(record_type, fewest)
    assert fits(record_type, most)
    assert not fits(record_type, fewest - 1)
    assert not fits(record_type, most + 1)
