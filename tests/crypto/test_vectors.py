"""The published vectors, replayed: what is good works, what is not is refused as it says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from selo.agents.cli.words import fingerprint_words
from selo.crypto import primitives, schedule
from selo.crypto.admission import TicketGate
from selo.crypto.errors import HandshakeError, MalformedIdentity, RecordRefused
from selo.crypto.handshake import SessionLimits, emitter_hello, receiver_start
from selo.crypto.identity import Identity, PublicIdentity
from selo.crypto.nonces import NonceGenerator
from selo.crypto.protection import RecordProtection
from selo.crypto.records import Opener, RecordType, Sealer
from selo.crypto.schedule import EpochKeys
from selo.crypto.suites import CLASSIC

from .sealing import seal

VECTORS = Path(__file__).parents[1] / "vectors"


def read(name: str) -> Any:
    """The content of a file with its byte strings as bytes; names, texts and labels stay as they are."""
    words = {"name", "text", "label", "expect", "phase", "signer", "session", "emitter", "receiver"}
    words |= {"words", "suggests"}

    def value_of(key: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {inner: value_of(inner, item) for inner, item in value.items()}
        if isinstance(value, list):
            return [value_of(key, item) for item in value]
        return bytes.fromhex(value) if isinstance(value, str) and key not in words else value

    return value_of("", json.loads((VECTORS / name).read_text()))


IDENTITY, SCHEDULE, RECORDS, HANDSHAKE = map(
    read, ("identity.json", "schedule.json", "records.json", "handshake.json")
)
SESSIONS = {session["name"]: session for session in HANDSHAKE["sessions"]}


def named(cases: list[dict[str, Any]]) -> Any:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.get("name", ""))


def test_the_files_are_what_their_maker_makes() -> None:
    """Nobody changed a file by hand, or the maker without the files."""
    maker = [sys.executable, str(VECTORS / "make_vectors.py"), "--check"]
    done = subprocess.run(maker, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_case_has_its_verdict() -> None:
    """Each case says ``ok`` or names a check, and the refusals are no fewer than the successes."""
    cases = [*SCHEDULE["tickets"], *RECORDS["refusals"]]
    cases += [case for part in ("identities", "words", "texts", "refusals") for case in IDENTITY[part]]
    cases += [*HANDSHAKE["sessions"], *HANDSHAKE["refusals"], *HANDSHAKE["signatures"]]
    verdicts = [case["expect"] for case in cases]
    assert all(isinstance(verdict, str) and verdict for verdict in verdicts)
    assert verdicts.count("ok") < len(verdicts) / 2


# identity.json.


@named(IDENTITY["identities"])
def test_identity(case: dict[str, Any]) -> None:
    """Private keys make the public ones, the fingerprint and the text; the text reads back."""
    identity = Identity(case["dsa_x"], case["ed25519_seed"], case["mldsa65_seed"])
    public = identity.public
    assert (public.dsa_y, public.ed25519, public.mldsa65) == (case["dsa_y"], case["ed25519"], case["mldsa65"])
    assert public.fingerprint == case["fingerprint"]
    assert public.to_text(case["name"]) == case["text"]
    assert PublicIdentity.from_text(case["text"]) == (public, case["name"])


@named([*IDENTITY["identities"], *IDENTITY["words"]])
def test_words(case: dict[str, Any]) -> None:
    """A fingerprint as twelve words, which its last 16 bytes do not change."""
    assert fingerprint_words(case["fingerprint"]) == case["words"]
    assert fingerprint_words(case["fingerprint"][:16] + bytes(16)) == case["words"]


@named(IDENTITY["texts"])
def test_other_good_text(case: dict[str, Any]) -> None:
    """No name, names at the edges, and what a clipboard does: the same identity."""
    public, name = PublicIdentity.from_text(case["text"])
    assert (public.fingerprint, name) == (case["fingerprint"], case["suggests"])


@named(IDENTITY["refusals"])
def test_security_refused_identity(case: dict[str, Any]) -> None:
    """A text that is no public identity is refused, for the reason given."""
    with pytest.raises(MalformedIdentity) as caught:
        PublicIdentity.from_text(case["text"])
    assert caught.value.reason == case["expect"]


# schedule.json.


@pytest.mark.parametrize("name", SCHEDULE["labels"])
def test_label(name: str) -> None:
    """L(x)."""
    assert schedule.label(name) == SCHEDULE["labels"][name]


@pytest.mark.parametrize("case", SCHEDULE["derive"], ids=lambda case: f"{case['label']} {case['length']}")
def test_derive(case: dict[str, Any]) -> None:
    """D(secret, label, ctx, n)."""
    assert schedule.derive(case["secret"], case["label"], case["context"], case["length"]) == case["output"]


@pytest.mark.parametrize("case", SCHEDULE["epochs"], ids=lambda case: case["epoch"])
def test_epoch(case: dict[str, Any]) -> None:
    """The chain, ratcheted to an epoch, and that epoch's keys."""
    keys = EpochKeys(case["chain_0"])
    for _ in range(case["epoch"]):
        keys.advance()
    assert keys._chain == case["chain"]
    assert vars(keys.record_keys()) == {use: case[use] for use in ("enc", "mac", "iv")}


@pytest.mark.parametrize("case", SCHEDULE["ivs"], ids=lambda case: case["seq"])
def test_iv(case: dict[str, Any]) -> None:
    """The IV of a number."""
    assert NonceGenerator(case["iv_key"], case["seq"] >> 16).iv(case["seq"]) == case["iv"]


@pytest.mark.parametrize("case", SCHEDULE["exporter"], ids=lambda case: f"{case['label']} {case['length']}")
def test_exporter(case: dict[str, Any]) -> None:
    """exporter(label, ctx, n)."""
    assert schedule.export(case["exporter"], case["label"], case["context"], case["length"]) == case["output"]


@named(SCHEDULE["tickets"])
def test_ticket(case: dict[str, Any]) -> None:
    """Good tickets pass, others do not; one that is spent was good."""
    gate = TicketGate(case["fingerprint"], case["secret"])
    if case["expect"] == "spent":
        gate.spend(case["ticket"])
    assert gate.check(case["ticket"]) == (case["expect"] == "ok")


# records.json.


def opener_of(records: dict[str, Any]) -> Opener:
    return Opener(
        EpochKeys(records["chain_0"]),
        records["kcum"],
        suite=CLASSIC,
        direction=records["direction"],
        max_plaintext=records["max_plaintext"],
    )


def sealed(sealer: Sealer, record: dict[str, Any]) -> tuple[bytes, bytes]:
    body = bytearray(len(record["plaintext"]) + 32)
    header = sealer.seal_into(RecordType(record["type"]), record["plaintext"], memoryview(body))
    return header, bytes(body)


def test_stream() -> None:
    """Sealed again, the stream of the file comes out byte for byte; opened, it gives its plaintexts."""
    opener = opener_of(RECORDS)
    sealer = Sealer(
        EpochKeys(RECORDS["chain_0"]), RECORDS["kcum"], suite=CLASSIC, direction=0x45, max_plaintext=4096
    )
    for case in RECORDS["stream"]:
        header, body = seal(sealer, RecordType(case["type"]), case["plaintext"])
        assert (header, bytes(body)) == (case["header"], case["body"])
        assert opener.open(header, body) == (case["type"], case["seq"], case["plaintext"])


@pytest.mark.parametrize(
    "records", [RECORDS["stream"], *(case["records_E"] + case["records_R"] for case in SESSIONS.values())]
)
def test_digest(records: list[dict[str, Any]]) -> None:
    """FINAL and RECEIPT end with the BLAKE3 of the DATA plaintexts, and are the same."""
    data = b"".join(case["plaintext"] for case in records if case["type"] == RecordType.DATA)
    ends = [case["plaintext"] for case in records if case["type"] in (RecordType.FINAL, RecordType.RECEIPT)]
    assert len(ends) == 2
    assert ends[0] == ends[1]
    assert ends[0][48:] == blake3(data).digest()


def check_lone_record(case: dict[str, Any]) -> None:
    keys = schedule.RecordKeys(case["enc"], case["mac"], case["iv"])
    arguments: dict[str, Any] = {"suite": CLASSIC, "direction": case["direction"], "epoch": case["seq"] >> 16}
    out = bytearray(len(case["body"]))
    sealing, opening = RecordProtection(keys, **arguments), RecordProtection(keys, **arguments)
    sealing.seal_into(case["header"], case["seq"], case["plaintext"], memoryview(out))
    assert bytes(out) == case["body"]
    iv = opening.verify(case["header"], case["seq"], memoryview(case["body"]))
    assert iv == case["iv_of_record"]
    assert opening.decrypt(iv, memoryview(case["body"])) == case["plaintext"]


@pytest.mark.parametrize("case", RECORDS["records"], ids=lambda case: f"{case['seq']} {len(case['body'])}")
def test_record(case: dict[str, Any]) -> None:
    """Records of every length around a block, and at the edges of epochs, both ways."""
    check_lone_record(case)


@named(RECORDS["refusals"])
def test_security_refused_record(case: dict[str, Any]) -> None:
    """After so many good records, the bad one is refused by the check that is named."""
    opener = opener_of(RECORDS)
    for good in RECORDS["stream"][: case["after"]]:
        opener.open(good["header"], good["body"])
    with pytest.raises(RecordRefused) as caught:
        opener.open(case["header"], case["body"])
    assert caught.value.check == case["expect"]


# handshake.json.


@pytest.fixture(scope="module")
def identities() -> dict[str, Identity]:
    return {
        case["name"]: Identity(case["dsa_x"], case["ed25519_seed"], case["mldsa65_seed"])
        for case in IDENTITY["identities"]
    }


class Replay:
    """Both ends of a recorded session, their signatures the recorded ones, each phase made afresh."""

    def __init__(self, case: dict[str, Any], identities: dict[str, Identity], forging: Any) -> None:
        self.case = case
        self._identities = {
            side: forging(identities[side], lambda message, side=side: recorded_signature(side, message))
            for side in ("emitter", "receiver")
        }

    def expect_m1(self) -> Any:
        emitter, limits = self._identities["emitter"], SessionLimits.unpack(self.case["limits"])
        assert limits is not None
        return receiver_start(
            identity=self._identities["receiver"],
            authorised={emitter.fingerprint: emitter.public},
            limits=limits,
            nonce=self.case["nR"],
            exponent=self.case["y"],
            secret=self.case["secret"],
        )

    def expect_m2(self) -> Any:
        m1, phase = emitter_hello(
            identity=self._identities["emitter"],
            peer=self._identities["receiver"].public,
            nonce=self.case["nE"],
            exponent=self.case["x"],
            secret=self.case["secret"],
        )
        assert m1 == self.case["M1"]
        return phase

    def expect_m3(self) -> Any:
        m2, phase = self.expect_m1().receive(self.case["M1"])
        assert m2 == self.case["M2"]
        return phase

    def expect_m4(self) -> Any:
        m3, phase = self.expect_m2().receive(self.case["M2"])
        assert m3 == self.case["M3"]
        return phase

    def phase(self, name: str) -> Any:
        return getattr(self, f"expect_{name.lower()}")()


def recorded_signature(signer: str, message: bytes) -> bytes:
    for item in HANDSHAKE["signatures"]:
        if (item["signer"], item["message"], item["expect"]) == (signer, message, "ok"):
            return bytes(item["signature"])
    raise AssertionError("the package signs what the vectors do not know")


@pytest.fixture
def replay(identities: dict[str, Identity], forging: Any) -> Callable[[str], Replay]:
    return lambda name: Replay(SESSIONS[name], identities, forging)


@pytest.mark.parametrize("name", SESSIONS)
def test_session(name: str, replay: Callable[[str], Replay]) -> None:
    """Both ends, given the recorded nonces, exponents and signatures, send every message of the file byte for
    byte, agree on T3 and the exporter, and seal and open its records."""
    both = replay(name)
    case = both.case
    m4, receiver = both.expect_m3().receive(case["M3"])
    assert m4 == case["M4"]
    emitter = both.expect_m4().receive(case["M4"])
    assert emitter.transcript == receiver.transcript == case["T3"]
    for export in case["exporter"]:
        for end in (emitter, receiver):
            assert end.export(export["label"], export["context"], export["length"]) == export["output"]
    for records, sender, other in (
        (case["records_E"], emitter, receiver),
        (case["records_R"], receiver, emitter),
    ):
        for record in records:
            header, body = seal(sender.sealer, RecordType(record["type"]), record["plaintext"])
            assert (header, bytes(body)) == (record["header"], record["body"])
            assert other.opener.open(header, body).plaintext == record["plaintext"]


@pytest.mark.parametrize("name", SESSIONS)
def test_sessions_keys(name: str) -> None:
    """Every derived value of the file, step by step."""
    case = SESSIONS[name]
    assert primitives.dh_shared(case["x"], case["M2"][37:421]) == case["Z"]
    assert primitives.dh_shared(case["y"], case["M1"][45:429]) == case["Z"]
    assert schedule.handshake_secret(CLASSIC, case["secret"], case["Z"]) == case["HS"]
    assert schedule.transcript_1(case["M1"], case["M2"][:421]) == case["T1"]
    assert schedule.transcript_2(case["T1"], case["M2"][421:]) == case["T2"]
    assert schedule.transcript_3(case["T2"], case["M3"]) == case["T3"]
    keys = schedule.handshake_keys(case["HS"], case["T1"])
    assert (vars(keys.seal_receiver), vars(keys.seal_emitter)) == (case["hsR"], case["hsE"])
    assert (keys.mac_receiver, keys.mac_emitter) == (case["kmR"], case["kmE"])
    traffic = schedule.traffic_secrets(case["HS"], case["T3"])
    assert (traffic.fin, traffic.exporter) == (case["kfR"], case["EXP"])
    assert traffic.cumulative == {0x45: case["kcum_E"], 0x52: case["kcum_R"]}
    assert traffic.chains == {0x45: case["chain_E"], 0x52: case["chain_R"]}
    for direction, side in ((0x45, "E"), (0x52, "R")):
        epochs = EpochKeys(traffic.chains[direction])
        for index in range(3):
            assert {"chain": epochs._chain, **vars(epochs.record_keys())} == case["epochs"][f"{side} {index}"]
            epochs.advance()


@pytest.mark.parametrize("name", SESSIONS)
def test_sessions_records_at_an_epochs_edge(name: str) -> None:
    """Records 65,535 and 65,536 of both directions, under the keys of the session's epochs 0 and 1."""
    case = SESSIONS[name]
    assert len(case["at_epochs_edge"]) == 4
    for record in case["at_epochs_edge"]:
        side = "E" if record["direction"] == 0x45 else "R"
        assert record["enc"] == case["epochs"][f"{side} {record['seq'] >> 16}"]["enc"]
        check_lone_record(record)


@pytest.mark.parametrize("case", HANDSHAKE["refusals"], ids=lambda case: f"{case['phase']} {case['name']}")
def test_security_refused_message(case: dict[str, Any], replay: Callable[[str], Replay]) -> None:
    """The phase that waits for it refuses the message by the check that is named."""
    phase = replay(case["session"]).phase(case["phase"])
    with pytest.raises(HandshakeError) as caught:
        phase.receive(case["message"])
    assert (caught.value.stage, caught.value.check) == (case["phase"], case["expect"])


def test_signatures(identities: dict[str, Identity]) -> None:
    """Every recorded signature verifies, and no spoilt one does."""
    for case in HANDSHAKE["signatures"]:
        valid = identities[case["signer"]].public.verify_dsa(case["message"], case["signature"])
        assert valid == (case["expect"] == "ok"), case.get("name")
