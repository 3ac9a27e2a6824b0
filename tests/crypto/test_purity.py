"""crypto/ is pure: what it loads, and what it may name."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import selo.crypto

ROOM = Path(selo.crypto.__file__).parent
MODULES = sorted(path.stem for path in ROOM.glob("*.py") if path.stem != "__init__")

FORBIDDEN = "zmq msgpack socket asyncio threading selo.agents selo.transport selo.config"
PURE = {"__future__", "base64", "binascii", "collections.abc", "dataclasses", "enum", "hashlib", "hmac"}
PURE |= {"re", "struct", "typing", "warnings"}


def fresh_interpreter(program: str) -> str:
    """What a new Python prints; nothing that this process loaded is in it."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


def test_security_importing_crypto_loads_no_input_and_no_output() -> None:
    """All of crypto/, loaded in a fresh interpreter that turns every warning into an error, brings in neither
    a transport nor a thread nor a socket."""
    imports = "\n".join(f"import selo.crypto.{name}" for name in MODULES)
    found = f"print([name for name in {FORBIDDEN.split()} if name in sys.modules])"
    assert len(MODULES) > 15
    assert fresh_interpreter(f"import sys\n{imports}\n{found}") == "[]"


def test_using_diffie_hellman_and_dsa_warns_nobody() -> None:
    """The library deprecates FFDH loudly; a user of ours hears nothing of it."""
    program = (
        "from selo.crypto.primitives import dh_public, dh_shared\n"
        "from selo.crypto.identity import Identity\n"
        "import hashlib\n"
        "entropy = lambda n: hashlib.shake_256(b'x').digest(n)\n"
        "dh_shared(entropy(40), dh_public(entropy(40)))\n"
        "identity = Identity.generate(entropy)\n"
        "print(identity.public.verify_dsa(b'm', identity.sign_dsa(b'm')))"
    )
    assert fresh_interpreter(program) == "True"


def test_our_filter_is_not_left_behind() -> None:
    """Importing us leaves the warning filters of the program as they were."""
    program = (
        "import warnings\nbefore = list(warnings.filters)\n"
        "import selo.crypto.primitives\nprint(before == list(warnings.filters))"
    )
    assert fresh_interpreter(program) == "True"


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "one import style: from selo.crypto.x import y"
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("module", MODULES)
def test_security_crypto_names_only_pure_modules(module: str) -> None:
    """Each module imports pure parts of the standard library, this room and selo.errors; ``cryptography`` and
    ``warnings`` stand in primitives.py alone."""
    found = imported(ROOM / f"{module}.py")
    others = {
        name
        for name in found
        if name not in PURE
        and name not in ("selo.errors", "selo.crypto")
        and not name.startswith("selo.crypto.")
    }
    if module == "primitives":
        assert others
        assert all(name.split(".")[0] == "cryptography" for name in others)
    else:
        assert others == set()
        assert "warnings" not in found


@pytest.mark.parametrize("module", MODULES)
def test_security_crypto_asks_for_no_clock_file_or_entropy(module: str) -> None:
    """No call reaches around the imports: no ``open``, ``__import__``, ``eval`` and their like."""
    tree = ast.parse((ROOM / f"{module}.py").read_text())
    called = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not called & {"open", "__import__", "eval", "exec", "input", "print", "compile"}
