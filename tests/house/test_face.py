"""What `import selo` shows."""

from __future__ import annotations

import inspect
import subprocess
import sys
import tomllib

import pytest

import selo


def test_the_version_is_the_projects(root):
    """`selo.__version__` and pyproject.toml agree."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert selo.__version__ == project["version"]


@pytest.mark.parametrize("name", selo.__all__)
def test_every_name_of_the_face_is_there(name):
    """What `__all__` promises can be had, and `dir` shows it."""
    assert getattr(selo, name) is not None
    assert name in dir(selo)


def test_no_other_name_is_there():
    """A name that the face does not have is an AttributeError that names it."""
    with pytest.raises(AttributeError, match="nonsense"):
        _ = selo.nonsense


def test_importing_selo_loads_no_room():
    """The face is lazy: it costs nothing until a name is used."""
    code = "import sys, selo; print([name for name in sys.modules if name.startswith('selo.')])"
    process = subprocess.run([sys.executable, "-c", code], cwd="/", capture_output=True, text=True)
    assert process.stdout == "[]\n"


def test_the_face_is_small():
    """A person can keep it in mind: 15 to 25 names, each once."""
    assert 15 <= len(set(selo.__all__)) == len(selo.__all__) <= 25


@pytest.mark.parametrize("name", [name for name in selo.__all__ if callable(getattr(selo, name))])
def test_every_callable_of_the_face_is_typed_and_explained(name):
    """A docstring on each, and on each public method; every argument and result has its type."""
    thing = getattr(selo, name)
    members = {name: thing}
    if inspect.isclass(thing):
        members |= {key: value for key, value in vars(thing).items() if not key.startswith("_")}
    for key, value in members.items():
        function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if inspect.isclass(function) or inspect.isfunction(function):
            assert inspect.getdoc(function), key
        if inspect.isfunction(function):
            signature = inspect.signature(function)
            assert signature.return_annotation is not inspect.Signature.empty, key
            assert all(
                each.annotation is not inspect.Parameter.empty or each.name in ("self", "cls")
                for each in signature.parameters.values()
            ), key
