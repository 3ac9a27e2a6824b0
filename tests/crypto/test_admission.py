"""Admission tickets: made, checked, spent once, forgotten in order."""

from __future__ import annotations

import hmac
from types import ModuleType

import pytest

from selo.crypto import admission
from selo.crypto.admission import TicketGate, make_ticket
from selo.errors import MisuseError

FP = b"\xf0" * 32
SECRET = b"\x5a" * 32


def nonce(number: int) -> bytes:
    return number.to_bytes(16, "big")


def test_a_ticket_is_the_specifications(reference: ModuleType) -> None:
    """nonce | HMAC(K_ticket, nonce), with and without a Receiver secret."""
    assert make_ticket(FP, nonce(1)) == reference.ticket(FP, nonce(1))
    assert make_ticket(FP, nonce(1), SECRET) == reference.ticket(FP, nonce(1), SECRET)
    assert len(make_ticket(FP, nonce(1))) == 48


@pytest.mark.parametrize("length", [0, 15, 17, 32])
def test_a_nonce_has_16_bytes(length: int) -> None:
    """Any other length is the caller's bug."""
    with pytest.raises(MisuseError):
        make_ticket(FP, bytes(length))


def test_a_good_ticket_stays_good_until_it_is_spent() -> None:
    """Checking changes nothing (a ticket refused because the place was taken has lost nothing)."""
    gate, ticket = TicketGate(FP), make_ticket(FP, nonce(1))
    assert gate.check(ticket)
    assert gate.check(ticket)
    gate.spend(ticket)
    assert not gate.check(ticket)
    assert gate.check(make_ticket(FP, nonce(2)))


@pytest.mark.parametrize("position", range(48))
def test_security_every_byte_of_a_ticket_counts(position: int) -> None:
    """A ticket with any one byte changed is refused."""
    changed = bytearray(make_ticket(FP, nonce(1)))
    changed[position] ^= 1
    assert not TicketGate(FP).check(bytes(changed))


@pytest.mark.parametrize("length", [0, 16, 47, 49, 96])
def test_security_a_ticket_has_48_bytes(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ticket that is cut or extended is refused, before any MAC is computed."""
    gate, ticket = TicketGate(FP), make_ticket(FP, nonce(1))
    monkeypatch.delattr(admission, "hmac_sha256")
    assert not gate.check((ticket * 2)[:length])


def test_security_a_ticket_is_for_one_fingerprint_and_one_secret() -> None:
    """A ticket for another binding side, without the secret, or with another one, is refused."""
    gate = TicketGate(FP, SECRET)
    assert gate.check(make_ticket(FP, nonce(1), SECRET))
    assert not gate.check(make_ticket(FP, nonce(1)))
    assert not gate.check(make_ticket(FP, nonce(1), bytes([1] * 32)))
    assert not gate.check(make_ticket(bytes(32), nonce(1), SECRET))


def test_security_a_spent_ticket_cannot_be_spent_again() -> None:
    """Letting somebody in on a spent or a bad ticket is a bug that shows at once."""
    gate, ticket = TicketGate(FP), make_ticket(FP, nonce(1))
    gate.spend(ticket)
    for bad in (ticket, bytes(48)):
        with pytest.raises(MisuseError):
            gate.spend(bad)


def test_security_the_memory_of_spent_nonces_is_bounded() -> None:
    """It holds the last ``capacity`` of them; the oldest is forgotten first."""
    gate = TicketGate(FP, capacity=3)
    tickets = [make_ticket(FP, nonce(number)) for number in range(5)]
    for ticket in tickets:
        gate.spend(ticket)
    assert [gate.check(ticket) for ticket in tickets] == [True, True, False, False, False]
    assert len(gate._spent) == 3


def test_the_default_capacity_is_65_536() -> None:
    """1 MiB of nonces, as section 13 says."""
    assert TicketGate(FP)._capacity == 65_536


def test_security_tickets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The MAC goes through hmac.compare_digest, and before the memory of spent nonces is asked."""
    gate, ticket = TicketGate(FP), make_ticket(FP, nonce(1))
    seen: list[bytes] = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: bool(seen.append(b)) or real(a, b))
    assert gate.check(ticket)
    assert seen == [ticket[16:]]
