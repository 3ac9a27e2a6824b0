"""What `import selo` shows."""

from __future__ import annotations

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
