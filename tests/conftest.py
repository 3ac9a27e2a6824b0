"""What every test runs in: no settings and no home of the person who runs it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from selo.config.home import Home
from tests import leaks

# Shared two-core machines stall for longer than hypothesis allows an example; CI never tries a new seed.
hypothesis.settings.register_profile("selo", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("selo")


@pytest.fixture(scope="session", autouse=True)
def _nobody_in_particular(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Take SELO_* out of the environment and point HOME at an empty folder."""
    with pytest.MonkeyPatch.context() as patch:
        # Where output is not buffered, what goes wrong when it is flushed at exit goes unseen.
        patch.delenv("PYTHONUNBUFFERED", raising=False)
        for variable in [name for name in os.environ if name.startswith("SELO_")]:
            patch.delenv(variable)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("nobody")))
        yield


@pytest.fixture(autouse=True)
def _process_as_it_was(_nobody_in_particular: None) -> Iterator[None]:
    """A test whose leavings fail another one, far away and on some runs only, fails itself and always."""
    with leaks.process_as_it_was():
        yield


@pytest.fixture
def make_home(tmp_path: Path) -> Callable[[str], Home]:
    """Makes homes, each with an identity of its own, in the test's own folder."""

    def make(name: str) -> Home:
        home = Home(tmp_path / name)
        home.create_identity(name=name)
        return home

    return make


@pytest.fixture
def home(make_home: Callable[[str], Home]) -> Home:
    """The home of `alice`, with an identity in it."""
    return make_home("alice")
