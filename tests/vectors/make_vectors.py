"""Writes the test vectors: identity, schedule, frames, records, handshake, bodies and receipts, each a .json.

    python tests/vectors/make_vectors.py            writes them
    python tests/vectors/make_vectors.py --check    names those that would change; exit status 1 if any

Everything is computed by the second implementation (tests/crypto/reference.py),
so the files are not what the package believes of itself. Identities, nonces and
exponents are fixed. DSA signatures cannot be: those in handshake.json and
receipts.json are kept as long as what they sign is the same, so a second run
changes nothing.

What the files hold is said in docs/PROTOCOL.md, section 15.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from body_vectors import body_vectors
from frame_vectors import frame_vectors
from handshake_vectors import handshake_vectors
from identity_vectors import identity_vectors
from receipt_vectors import receipt_vectors
from record_vectors import record_vectors
from schedule_vectors import schedule_vectors
from vector_tools import HERE, Json, shown

FILES: dict[str, Callable[[], Json]] = {
    "identity.json": identity_vectors,
    "schedule.json": schedule_vectors,
    "frames.json": frame_vectors,
    "records.json": record_vectors,
    "handshake.json": handshake_vectors,
    "bodies.json": body_vectors,
    "receipts.json": receipt_vectors,
}


def main(arguments: list[str]) -> int:
    check = arguments == ["--check"]
    texts = {name: json.dumps(shown(make()), indent=1) + "\n" for name, make in FILES.items()}
    changed = [name for name, text in texts.items() if _written(name) != text] if check else []
    for name in changed:
        print(f"{name} is not what make_vectors.py makes")
    if not check:
        for name, text in texts.items():
            (HERE / name).write_text(text)
    return 1 if changed else 0


def _written(name: str) -> str:
    file = HERE / name
    return file.read_text() if file.is_file() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
