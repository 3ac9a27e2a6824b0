"""Who may import whom, read from the source itself."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

# A room, and the parts of selo that it may name (a room may always name itself).
MAY_IMPORT = {
    # The face shows names of every room, and loads none of them (tests/house/test_face.py).
    "selo": {"selo.errors", "selo.agents", "selo.config", "selo.crypto"},
    "agents": {"selo", "selo.errors", "selo.crypto", "selo.transport", "selo.config"},
    "config": {"selo.errors", "selo.crypto"},
    "transport": {"selo.errors"},
    "crypto": {"selo.errors"},
}
NO_INPUT_OR_OUTPUT = {"asyncio", "io", "logging", "msgpack", "multiprocessing", "os", "pathlib", "random"}
NO_INPUT_OR_OUTPUT |= {
    "secrets",
    "select",
    "socket",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "time",
    "zmq",
}


def imported_names(source: str) -> list[str]:
    """Every module that the source imports, wherever in it; a relative import as dots."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            # `from selo import crypto` names the room in its second half.
            names += [f"{base}.{alias.name}" if base == "selo" else base for alias in node.names]
    return names


@pytest.fixture(scope="module")
def imports(root, modules):
    """(room, file, imported name) for every import statement of the rooms and the face."""
    found = [
        (path.parts[0], str(path), name)
        for path in modules
        for name in imported_names((root / path).read_text())
    ]
    assert found, "a contract over no import would hold"
    return found


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_it_may(room, imports):
    """selo -> agents -> transport, config -> crypto -> selo.errors, and nothing the other way round."""
    own = "selo" if room == "selo" else f"selo.{room}"
    mine = [(file, name) for owner, file, name in imports if owner == room and is_within(name, "selo")]
    assert room in ("crypto", "selo", "transport") or mine, f"no import of selo found in {room}"
    for file, name in mine:
        allowed = (
            (room != "selo" and is_within(name, own))
            or any(is_within(name, part) for part in MAY_IMPORT[room] - {"selo"})
            or (name == "selo.__version__" and room == "agents")
        )
        assert allowed, f"{file} imports {name}"


def test_there_is_one_import_style(imports):
    """Always `from selo.room.module import name`: never a bare room, never a relative import."""
    rooms = {"agents", "config", "crypto", "transport"}
    for _, file, name in imports:
        assert name.split(".")[0] not in rooms | {""}, f"{file} imports {name}"


def test_crypto_does_no_input_and_no_output(imports):
    """The core touches no file, clock, socket, thread or entropy of its own: they are arguments."""
    names = [(file, name) for room, file, name in imports if room == "crypto"]
    assert names
    for file, name in names:
        assert name.split(".")[0] not in NO_INPUT_OR_OUTPUT, f"{file} imports {name}"


def test_transport_knows_no_keys(imports):
    """No transport imports a cryptographic library."""
    for room, file, name in imports:
        if room == "transport":
            assert name.split(".")[0] not in {"cryptography", "hashlib", "hmac", "blake3"}, (
                f"{file} imports {name}"
            )


@pytest.mark.parametrize("room", ["agents", "config", "crypto", "transport"])
def test_a_room_is_no_package_of_its_own(room):
    """Outside the repository `import crypto` finds nothing of ours: only `selo.crypto` exists."""
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({room!r}) is not None)"
    assert subprocess.run([sys.executable, "-I", "-c", code], cwd="/").returncode == 0
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec('selo.{room}') is None)"
    assert subprocess.run([sys.executable, "-I", "-c", code], cwd="/").returncode == 0
