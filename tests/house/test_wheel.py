"""What is installed is tested, not only what lies in the tree."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def wheel(root, project_files, tmp_path_factory):
    """A wheel built from a copy of the project's own files: nothing stale or ignored can leak in."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for path in project_files:
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / path, copy / path)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    subprocess.run([*pip, "--no-build-isolation", "--no-deps", "--wheel-dir", out, copy], check=True, cwd="/")
    (built,) = out.iterdir()
    return built


@pytest.fixture(scope="module")
def python(wheel, root, tmp_path_factory):
    """The interpreter of an environment that holds the wheel and the locked run time, and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for name in re.findall(r"^([a-z0-9-]+)==", (root / "requirements.lock").read_text(), re.MULTILINE):
        link_distribution(name, site)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", folder / "bin" / "python"]
    subprocess.run([*pip, "install", "--quiet", "--no-index", "--no-deps", wheel], check=True, cwd="/")
    return folder / "bin" / "python"


def link_distribution(name: str, site: Path) -> None:
    """Put an installed distribution into another environment without fetching it again."""
    try:
        found = distribution(name)
    except ModuleNotFoundError:  # its marker is about another Python or system
        return
    for part in {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}:
        (site / part).symlink_to(found.locate_file(part))


def run(python, *words):
    return subprocess.run([python, "-I", *words], cwd="/", capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def manual(root):
    """What stands below an environment's share/: path there -> the file in the tree."""
    docs = root / "docs"
    return {f"man/man1/{page.name}": page for page in (docs / "man").iterdir()} | {
        "bash-completion/completions/selo": docs / "completions" / "selo",
        "zsh/site-functions/_selo": docs / "completions" / "_selo",
        "fish/vendor_completions.d/selo.fish": docs / "completions" / "selo.fish",
    }


def test_the_wheel_holds_the_package_and_nothing_else(wheel, modules, manual):
    """Exactly the modules of the rooms under selo/, the type marker, the manual, and the metadata."""
    names = set(zipfile.ZipFile(wheel).namelist())
    metadata = {name for name in names if name.split("/")[0].endswith(".dist-info")}
    assert any(name.endswith("/licenses/LICENSE") for name in metadata)
    inside = {path.as_posix() if path.parts[0] == "selo" else f"selo/{path.as_posix()}" for path in modules}
    (data,) = {name.split("/")[0] for name in names if name.split("/")[0].endswith(".data")}
    shared = {f"{data}/data/share/{name}" for name in manual}
    assert names - metadata == inside | {"selo/py.typed"} | shared


def test_the_manual_is_installed_where_man_and_the_shells_look(python, manual):
    """pip puts every page and every completion below the environment's share/, as it is in the tree."""
    share = python.parents[1] / "share"
    installed = {path.relative_to(share).as_posix() for path in share.rglob("*") if path.is_file()}
    assert "man/man1/selo.1" in manual
    assert installed == set(manual)
    for name, source in manual.items():
        assert (share / name).read_bytes() == source.read_bytes()


def test_the_installed_program_runs(python):
    """The console script and `python -m selo` work outside the tree."""
    script = subprocess.run([python.with_name("selo"), "--version"], cwd="/", capture_output=True, text=True)
    assert script.returncode == 0
    assert script.stdout == run(python, "-m", "selo", "--version").stdout
    assert script.stdout.startswith("selo ")


def test_every_module_imports_with_the_locked_run_time_alone(python, modules):
    """No module needs a package that only the tests install, or a file that only the tree has."""
    names = [".".join(path.with_suffix("").parts) for path in modules if not path.name.startswith("__")]
    names = [name if name.startswith("selo.") else f"selo.{name}" for name in names]
    process = run(python, "-c", f"import importlib\nfor name in {names}: importlib.import_module(name)")
    assert process.stderr == ""
    assert process.returncode == 0


def test_the_installed_program_makes_an_identity(python, tmp_path):
    """keygen, id and trust work with nothing but the wheel and the lock."""
    homes = [tmp_path / name for name in ("alice", "bob")]
    for home in homes:
        assert run(python, "-m", "selo", "--home", home, "keygen", "--name", home.name).returncode == 0
    public = homes[1] / "identity.pub"
    added = run(python, "-m", "selo", "--home", homes[0], "trust", "add", "bob", public, "--may-send")
    assert added.returncode == 0
    assert "bob  may send" in run(python, "-m", "selo", "--home", homes[0], "trust", "list").stdout


def test_the_tests_run_against_this_tree(root):
    """The package that the tests import is the one beside them."""
    import selo

    assert Path(selo.__file__ or "").resolve() == root / "selo" / "__init__.py"
