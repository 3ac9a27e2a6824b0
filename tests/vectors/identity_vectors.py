"""identity.json: public identities, their words, other texts that are read, and texts that are none."""

from __future__ import annotations

import hashlib
import struct

from mnemonic import Mnemonic
from vector_tools import IDENTITIES, Json, fixed, number, private_keys, ref

from selo.crypto import armor, groups

WORDS = Mnemonic("english").wordlist


def identity_vectors() -> Json:
    return {
        "identities": [_good_identity(name) for name in IDENTITIES],
        "words": _words_cases(),
        "texts": _other_good_texts(),
        "refusals": [*_refused_bodies(), *_refused_texts()],
    }


def _good_identity(name: str) -> Json:
    public = IDENTITIES[name].public
    x, ed25519_seed, mldsa65_seed = private_keys(name)
    fingerprint = ref.fingerprint(public.dsa_y, public.ed25519, public.mldsa65)
    return {
        "name": name,
        "dsa_x": x,
        "ed25519_seed": ed25519_seed,
        "mldsa65_seed": mldsa65_seed,
        "dsa_y": public.dsa_y,
        "ed25519": public.ed25519,
        "mldsa65": public.mldsa65,
        "fingerprint": fingerprint,
        "words": _words(fingerprint),
        "text": public.to_text(name),
        "expect": "ok",
    }


def _words(fingerprint: bytes) -> str:
    """BIP-39 for 128 bits of entropy, spelled out: 4 bits of checksum, twelve times 11 bits."""
    entropy = fingerprint[:16]
    bits = int.from_bytes(entropy, "big") << 4 | hashlib.sha256(entropy).digest()[0] >> 4
    return " ".join(WORDS[bits >> shift & 2047] for shift in range(121, -1, -11))


def _words_cases() -> list[Json]:
    named = {
        "zeros": bytes(32),
        "ones": b"\xff" * 32,
        "7f": b"\x7f" * 32,
        "80": b"\x80" * 32,
        "zeros, then ones": bytes(16) + b"\xff" * 16,
    }
    named |= {f"number {n}": fixed(f"fingerprint {n}", 32) for n in range(4)}
    return [
        {"name": name, "fingerprint": value, "words": _words(value), "expect": "ok"}
        for name, value in named.items()
    ]


def _other_good_texts() -> list[Json]:
    """The same identity without a name, with names at the edges, and as a clipboard gives it back."""
    public = IDENTITIES["emitter"].public
    text = public.to_text("emitter")
    cases: list[tuple[str, str, str | None]] = [
        ("without a name", public.to_text(None), None),
        ("a name of 1", public.to_text("E"), "E"),
        ("a name of 64", public.to_text("Az09._-" + "x" * 57), "Az09._-" + "x" * 57),
        ("CRLF", text.replace("\n", "\r\n"), "emitter"),
        ("no last line end", text.rstrip("\n"), "emitter"),
        ("white space around it", f" \t\r\n\n{text}\n \t", "emitter"),
    ]
    fingerprint = ref.fingerprint(public.dsa_y, public.ed25519, public.mldsa65)
    return [
        {"name": name, "text": changed, "suggests": suggests, "fingerprint": fingerprint, "expect": "ok"}
        for name, changed, suggests in cases
    ]


def _refused_bodies() -> list[Json]:
    public = IDENTITIES["emitter"].public

    def body(*keys: tuple[int, bytes]) -> bytes:
        return b"".join(struct.pack(">HI", algorithm, len(key)) + key for algorithm, key in keys)

    dsa, ed25519, mldsa65 = (1, public.dsa_y), (2, public.ed25519), (3, public.mldsa65)
    keys, group = "its keys are not the ones of an identity", "its DSA key is not in the group"
    p = groups.DSA_P
    values = {"0": 0, "1": 1, "2": 2, "p-1": p - 1, "p": p, "p+1": p + 1, "2^3072-1": 2**3072 - 1}
    cases = [(f"y = {name}", body((1, number(y)), ed25519, mldsa65), group) for name, y in values.items()]
    cases += [
        ("no ML-DSA-65 key", body(dsa, ed25519), keys),
        ("another order", body(ed25519, dsa, mldsa65), keys),
        ("an unknown algorithm", body(dsa, ed25519, (4, public.mldsa65)), keys),
        ("y with a leading zero byte", body((1, b"\0" + public.dsa_y), ed25519, mldsa65), keys),
        ("a byte before", b"\0" + body(dsa, ed25519, mldsa65), keys),
        ("cut by a byte", body(dsa, ed25519, mldsa65)[:-1], keys),
        ("a byte after", body(dsa, ed25519, mldsa65) + b"\0", "bytes follow its keys"),
    ]
    return [{"name": name, "text": armor.wrap("PUBLIC", data), "expect": why} for name, data, why in cases]


def _refused_texts() -> list[Json]:
    text = IDENTITIES["emitter"].public.to_text("emitter")
    lines = text.split("\n")
    edges, width = (
        "a public identity stands between its BEGIN and END lines",
        "its lines must have 64 characters",
    )
    bad_name = "a name has 1 to 64 letters, digits, dots, hyphens and underscores"
    canonical = "its body is not canonical base64"
    cases = [
        ("no END line", "\n".join(lines[:-2]), edges),
        ("text before it", "hello\n" + text, edges),
        ("two of them", text + text, f"{width}, the last one maybe fewer"),
        (
            "no empty line",
            text.replace("\n\n", "\n", 1),
            "an empty line must follow its name or its BEGIN line",
        ),
        ("a line of 63", text.replace(lines[5], lines[5][:-1]), f"{width}, the last one maybe fewer"),
        ("no base64", text.replace(lines[5], "!" + lines[5][1:]), "its body is not base64"),
        ("unused bits set", _with_unused_bits(text), canonical),
        ("a name with a space", text.replace("Name: emitter", "Name: the emitter"), bad_name),
        ("a name of 65", text.replace("Name: emitter", "Name: " + "x" * 65), bad_name),
        ("an escape in the name", text.replace("Name: emitter", "Name: \x1b[2J"), bad_name),
    ]
    return [{"name": name, "text": changed, "expect": why} for name, changed, why in cases]


def _with_unused_bits(text: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    at = text.index("=") - 1
    return text[:at] + alphabet[alphabet.index(text[at]) + 1] + text[at + 1 :]
