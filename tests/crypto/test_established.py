"""What a session offers once the handshake is over."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from selo.crypto.established import establish
from selo.crypto.handshake import Role, SessionLimits
from selo.crypto.records import RecordType
from selo.crypto.schedule import traffic_secrets
from selo.crypto.suites import CLASSIC
from selo.errors import MisuseError

from .sealing import seal

HS, T3 = b"\x0b" * 32, b"\x03" * 32


@pytest.fixture
def ends(pair: Callable[..., Any], session_limits: SessionLimits) -> dict[Role, Any]:
    """Both sides of a session whose secrets are known."""
    peer = pair().run()[0].peer
    arguments: dict[str, Any] = {"suite": CLASSIC, "limits": session_limits, "t3": T3}
    return {role: establish(role, peer, secrets=traffic_secrets(HS, T3), **arguments) for role in Role}


@pytest.mark.parametrize(
    ("role", "direction", "side"), [(Role.EMITTER, 0x45, "E"), (Role.RECEIVER, 0x52, "R")]
)
def test_each_role_seals_its_own_direction(
    ends: dict[Role, Any], reference: ModuleType, role: Role, direction: int, side: str
) -> None:
    """The Emitter's records are direction E under chain E, the Receiver's R under chain R; each begins at 0,
    and the cumulative key is the direction's own."""
    traffic = reference.traffic_keys(HS, T3)
    header, body = seal(ends[role].sealer, RecordType.OPEN, b"x")
    keys = reference.epoch_keys(traffic[f"chain_{side}"], 0)
    assert (header, bytes(body)) == reference.seal(keys, direction, RecordType.OPEN, 0, b"x")
    totals = ends[role].sealer.totals(bytes(32)).pack()
    assert totals == reference.totals(traffic[f"kcum_{side}"], [bytes(body[-32:])], 0, bytes(32))


@pytest.mark.parametrize("length", [1, 32, 8160])
def test_export(ends: dict[Role, Any], reference: ModuleType, length: int) -> None:
    """The specification's exporter, the same on both sides."""
    expected = reference.export(reference.traffic_keys(HS, T3)["EXP"], "use", b"ctx", length)
    assert {end.export("use", b"ctx", length) for end in ends.values()} == {expected}


def test_security_exports_differ_by_label_context_and_length(ends: dict[Role, Any]) -> None:
    """No export is a prefix of another."""
    end = ends[Role.EMITTER]
    found = [
        end.export("a", b"", 32),
        end.export("b", b"", 32),
        end.export("a", b"c", 32),
        end.export("a", b"", 64)[:32],
    ]
    assert len(set(found)) == 4


@pytest.mark.parametrize(("label", "length"), [("ä", 32), ("x" * 248, 32), ("x", 0), ("x", 8161)])
def test_export_refuses(ends: dict[Role, Any], label: str, length: int) -> None:
    """A label that is not ASCII or too long, a length that HKDF cannot give."""
    with pytest.raises(MisuseError):
        ends[Role.EMITTER].export(label, b"", length)


def test_security_a_session_prints_no_key(ends: dict[Role, Any], reference: ModuleType) -> None:
    """Its repr names roles, peer and limits."""
    shown = "".join(map(repr, ends.values()))
    for secret in reference.traffic_keys(HS, T3).values():
        assert secret.hex() not in shown
        assert repr(secret)[2:-1] not in shown
