import pytest

from selo.agents.cli import checks_algorithms
from selo.agents.cli.checks_algorithms import algorithms, judged
from selo.agents.cli.findings import Level
from selo.crypto import primitives

NAMES = ["ffdhe3072", "DSA", "AES-256-CFB", "HMAC-SHA-256", "HKDF", "Ed25519", "ML-DSA-65"]


def test_every_algorithm_is_computed_and_has_a_provider():
    """All that the suite and identities need, each with the library that does it."""
    findings = [*algorithms()]
    assert [finding.subject for finding in findings] == NAMES
    assert all(finding.level is Level.OK and "OpenSSL" in finding.seen for finding in findings)


@pytest.mark.parametrize(
    ("name", "function", "works"),
    [
        ("dh_shared", lambda one, other: one, "ffdhe3072"),
        ("dsa_verify", lambda *_: True, "dsa"),
        ("cfb_decrypt", lambda *_: b"", "aes_cfb"),
        ("hmac_sha256", lambda *_: b"", "hmac_sha256"),
        ("hkdf_expand", lambda *_: b"", "hkdf"),
        ("ed25519_public", lambda seed: seed, "ed25519"),
        ("mldsa65_public", lambda seed: bytes(1952), "mldsa65"),
    ],
)
def test_a_wrong_answer_is_noticed(name, function, works, monkeypatch):
    """A primitive that returns something else makes its own check fail."""
    check = getattr(checks_algorithms, works)
    assert check()
    monkeypatch.setattr(primitives, name, function)
    assert not check()


def test_an_algorithm_that_is_missing_is_a_problem():
    """Whatever the library raises, and the fix installs it again."""

    def missing():
        raise RuntimeError("unsupported")

    found = judged("DSA", "somebody", missing)
    assert (found.level, found.seen) == (
        Level.PROBLEM,
        "does not work: RuntimeError: unsupported (somebody)",
    )
    assert found.fix.endswith("pip install --force-reinstall cryptography")
    assert judged("DSA", "somebody", lambda: False).seen.startswith("computes a wrong answer")
