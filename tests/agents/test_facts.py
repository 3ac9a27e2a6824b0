"""What a program learns about its session."""

from __future__ import annotations

import pytest

from selo.agents import events
from selo.agents.sources import BytesSource
from selo.errors import MisuseError


def test_both_sides_know_the_same_session(make_wire, deliver, parties) -> None:
    """Role and peer are each side's own; suite, transcript and exported keys are the same on both."""
    run = deliver(make_wire(), BytesSource(b"data"))
    (emitter,), (receiver,) = run.emitter.facts, run.receiver.facts
    assert (emitter.role, emitter.peer, emitter.fingerprint) == (
        "Emitter",
        "bob",
        parties.receiver.fingerprint,
    )
    assert (receiver.role, receiver.peer, receiver.fingerprint) == (
        "Receiver",
        "alice",
        parties.emitter.fingerprint,
    )
    assert emitter.suite == receiver.suite == "classic"
    assert emitter.transcript == receiver.transcript
    (told,) = (event for event in run.emitter.events if isinstance(event, events.Established))
    assert emitter.transcript == told.transcript


def test_security_exported_keys_are_bound_to_label_context_and_session(make_wire, deliver) -> None:
    """The same question gets the same answer on both sides; another label, context or session another."""
    first, second = (deliver(make_wire(), BytesSource(b"data")) for _ in range(2))
    facts, others = first.emitter.facts[0], second.emitter.facts[0]
    key = facts.export("backup", b"context", 32)
    assert len(key) == 32
    assert first.receiver.facts[0].export("backup", b"context", 32) == key
    different = [
        facts.export("restore", b"context", 32),
        facts.export("backup", b"other", 32),
        others.export("backup", b"context", 32),
    ]
    assert len({key, *different}) == 4


@pytest.mark.parametrize(
    ("label", "length"),
    [
        *(("é", 32), ("x" * 248, 32), (b"x", 32), (None, 32)),
        *(("x", length) for length in (0, -1, 8161, 1 << 16, 1.5, True, None)),
    ],
)
def test_an_export_that_cannot_be_is_the_callers_mistake(make_wire, deliver, label, length) -> None:
    """Labels are ASCII and short, lengths are what HKDF can make."""
    facts = deliver(make_wire("memory"), BytesSource(b"")).emitter.facts[0]
    with pytest.raises(MisuseError):
        facts.export(label, b"", length)


def test_security_facts_do_not_show_keys(make_wire, deliver) -> None:
    """A log line with the facts in it gives nothing away."""
    facts = deliver(make_wire("memory"), BytesSource(b"")).emitter.facts[0]
    assert "established" not in repr(facts)
