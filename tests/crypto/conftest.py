"""What the tests of the crypto room share: identities, both ends in memory, the second implementation."""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from selo.crypto.handshake import (
    Established,
    ExpectM1,
    ExpectM2,
    ExpectM3,
    ExpectM4,
    SessionLimits,
    emitter_hello,
    receiver_start,
)
from selo.crypto.identity import Identity, PublicIdentity
from selo.crypto.limits import ZERO_SECRET

ROOT = Path(__file__).parents[2]

# Read while tests are collected: afterwards no test sees the SELO_* of whoever runs it.
VECTORS = Path(os.environ.get("SELO_VECTORS") or ROOT.parent / "shared" / "vectors")
LIMITS = SessionLimits(max_plaintext=1 << 20, window_records=4096, window_bytes=16 << 20)


def seeded(seed: str) -> Callable[[int], bytes]:
    """Entropy that is the same in every run: SHAKE-256 of the seed and a counter."""
    calls = iter(range(1 << 32))
    return lambda length: hashlib.shake_256(f"{seed} {next(calls)}".encode()).digest(length)


@pytest.fixture(scope="session")
def emitter() -> Identity:
    return Identity.generate(seeded("emitter"))


@pytest.fixture(scope="session")
def receiver() -> Identity:
    return Identity.generate(seeded("receiver"))


@pytest.fixture(scope="session")
def stranger() -> Identity:
    return Identity.generate(seeded("stranger"))


@pytest.fixture(scope="session")
def reference() -> ModuleType:
    """tests/crypto/reference.py, by path: the tests are no package."""
    return load_module(Path(__file__).with_name("reference.py"))


def load_module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def session_limits() -> SessionLimits:
    return LIMITS


@pytest.fixture(scope="session", name="seeded")
def seeded_fixture() -> Callable[[str], Callable[[int], bytes]]:
    return seeded


@dataclass
class Pair:
    """Both ends of a handshake in memory. Every phase can be taken afresh, as often as a test wants."""

    emitter: Identity
    receiver: Identity
    seed: str
    authorised: dict[bytes, PublicIdentity] = field(default_factory=dict)
    emitter_secret: bytes = ZERO_SECRET
    receiver_secret: bytes = ZERO_SECRET
    pinned: PublicIdentity | None = None
    limits: SessionLimits = LIMITS
    messages: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        entropy = seeded(self.seed)
        self.nonces = entropy(32), entropy(32)
        self.exponents = entropy(40), entropy(40)
        self.authorised = self.authorised or {self.emitter.fingerprint: self.emitter.public}
        self.messages["M1"], self._expect_m2 = emitter_hello(
            identity=self.emitter,
            peer=self.pinned or self.receiver.public,
            nonce=self.nonces[0],
            exponent=self.exponents[0],
            secret=self.emitter_secret,
        )
        self._expect_m1 = receiver_start(
            identity=self.receiver,
            authorised=self.authorised,
            limits=self.limits,
            nonce=self.nonces[1],
            exponent=self.exponents[1],
            secret=self.receiver_secret,
        )

    def expect_m1(self) -> ExpectM1:
        return copy.copy(self._expect_m1)

    def expect_m2(self) -> ExpectM2:
        return copy.copy(self._expect_m2)

    def answer_m1(self) -> ExpectM3:
        """M1 to the Receiver; M2 stands in ``messages``."""
        self.messages["M2"], phase = self.expect_m1().receive(self.messages["M1"])
        return phase

    def answer_m2(self) -> ExpectM4:
        """M2 to the Emitter; M3 stands in ``messages``."""
        self.messages["M3"], phase = self.expect_m2().receive(self.messages["M2"])
        return phase

    def expect_m3(self) -> ExpectM3:
        """A Receiver that waits for the M3 in ``messages``."""
        phase = self.answer_m1()
        self.answer_m2()
        return phase

    def expect_m4(self) -> ExpectM4:
        """An Emitter that waits for the M4 in ``messages``."""
        expect_m3 = self.answer_m1()
        phase = self.answer_m2()
        self.messages["M4"], self.receiver_session = expect_m3.receive(self.messages["M3"])
        return phase

    def run(self) -> tuple[Established, Established]:
        """The sessions of the Emitter and of the Receiver."""
        phase = self.expect_m4()
        return phase.receive(self.messages["M4"]), self.receiver_session


@pytest.fixture
def pair(emitter: Identity, receiver: Identity, request: pytest.FixtureRequest) -> Callable[..., Pair]:
    """Makes pairs; every one has nonces and exponents of its own."""
    made = iter(range(1 << 32))

    def make(**arguments: Any) -> Pair:
        defaults = {"emitter": emitter, "receiver": receiver, "seed": f"{request.node.nodeid} {next(made)}"}
        return Pair(**(defaults | arguments))

    return make


class ForgingIdentity(Identity):
    """An identity whose signatures (and shown fingerprint) are whatever a test says."""

    def __init__(self, base: Identity, sign: Callable[[bytes], bytes], shown: bytes | None = None) -> None:
        self.public = base.public
        self._sign = sign
        self._shown = shown

    @property
    def fingerprint(self) -> bytes:
        return self._shown or self.public.fingerprint

    def sign_dsa(self, message: bytes) -> bytes:
        return self._sign(message)


@pytest.fixture(scope="session")
def forging() -> type[ForgingIdentity]:
    return ForgingIdentity


def _absent(reason: str) -> None:
    """Skip at home, fail where everything must run."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def wycheproof() -> Callable[[str], dict[str, Any]]:
    """Reads a file of Project Wycheproof, where somebody has put them beside the repository."""

    def read(name: str) -> dict[str, Any]:
        path = VECTORS / "wycheproof" / name
        if not path.is_file():
            _absent(f"no Wycheproof vectors ({name}); name their folder in SELO_VECTORS")
        content: dict[str, Any] = json.loads(path.read_text())
        return content

    return read


@pytest.fixture(scope="session")
def nist_vectors() -> Path:
    """The folder of the vectors that the package ``cryptography-vectors`` installs."""
    spec = importlib.util.find_spec("cryptography_vectors")
    if spec is None or spec.origin is None:
        _absent("the package cryptography-vectors is not installed")
        raise AssertionError("unreachable")
    return Path(spec.origin).parent
