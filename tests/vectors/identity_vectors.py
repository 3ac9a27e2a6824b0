"""identity.json: public identities, and texts that are none."""

from __future__ import annotations

import struct

from vector_tools import IDENTITIES, Json, number, private_keys, ref

from selo.crypto import armor, groups


def identity_vectors() -> Json:
    good = [_good_identity(name) for name in IDENTITIES]
    return {"identities": good, "refusals": [*_refused_bodies(), *_refused_texts()]}


def _good_identity(name: str) -> Json:
    public = IDENTITIES[name].public
    x, ed25519_seed, mldsa65_seed = private_keys(name)
    return {
        "name": name,
        "dsa_x": x,
        "ed25519_seed": ed25519_seed,
        "mldsa65_seed": mldsa65_seed,
        "dsa_y": public.dsa_y,
        "ed25519": public.ed25519,
        "mldsa65": public.mldsa65,
        "fingerprint": ref.fingerprint(public.dsa_y, public.ed25519, public.mldsa65),
        "text": public.to_text(name),
        "expect": "ok",
    }


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
