"""The shape of the house: every module has its tests, and nothing grows too large."""

from __future__ import annotations

import ast
import tomllib

FILE_LINES_MAX = 450
FUNCTION_LINES_MAX = 50
# Modules whose tests are elsewhere, and why.
WITHOUT_TESTS_OF_THEIR_OWN = {
    "transport/base.py": "interfaces and errors: every transport's tests use them",
}


def test_file_of(module):
    """crypto/records.py -> tests/crypto/test_records.py; agents/cli/emit.py -> tests/cli/test_emit.py."""
    folder = "cli" if module.parts[:2] == ("agents", "cli") else module.parts[0]
    # The parts of the grammar mean something only together.
    stem = "parser" if folder == "cli" and module.stem.startswith("grammar") else module.stem
    return f"tests/{folder}/test_{stem}.py"


test_file_of.__test__ = False  # it only sounds like one


def test_every_module_has_a_test_file(modules, project_files):
    """Tests mirror modules, one to one; what is excepted here exists and is still needed."""
    files = {path.as_posix() for path in project_files}
    wanted = [path for path in modules if path.parts[0] != "selo" and not path.name.startswith("__")]
    assert len(wanted) > 20
    missing = {path.as_posix() for path in wanted if test_file_of(path) not in files}
    assert missing == set(WITHOUT_TESTS_OF_THEIR_OWN)


def test_no_module_is_too_long(root, modules):
    """Under 450 lines, or it is two ideas."""
    lengths = {path.as_posix(): len((root / path).read_text().splitlines()) for path in modules}
    assert {name: length for name, length in lengths.items() if length >= FILE_LINES_MAX} == {}


def test_no_function_is_too_long(root, modules):
    """Under 50 lines without its docstring."""
    lengths = {}
    for path in modules:
        for node in ast.walk(ast.parse((root / path).read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                docstring = ast.get_docstring(node, clean=False) or ""
                lengths[f"{path}:{node.name}"] = node.end_lineno - node.lineno + 1 - docstring.count("\n")
    assert lengths
    assert {name: length for name, length in lengths.items() if length >= FUNCTION_LINES_MAX} == {}


def test_every_test_states_its_property(root, project_files):
    """Every test function has a docstring."""
    silent, count = [], 0
    for path in project_files:
        if path.parts[0] != "tests" or path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse((root / path).read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                count += 1
                silent += [] if ast.get_docstring(node) else [f"{path}:{node.name}"]
    assert count > 100
    assert silent == []


def test_every_room_is_packaged(root, modules):
    """The packages that pyproject.toml lists are exactly the folders with code in them."""
    setuptools = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {path.parent.as_posix() for path in modules}
    assert set(setuptools["package-dir"].values()) == folders
    assert set(setuptools["packages"]) == set(setuptools["package-dir"])
    assert folders == {path.parent.as_posix() for path in modules if path.name == "__init__.py"}
