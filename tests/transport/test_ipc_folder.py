"""An ``ipc://`` socket lives in a private folder, and belongs to one listener."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from selo.transport import listen
from selo.transport.base import BindFailed
from selo.transport.ipc_folder import IpcClaim

from .wires import MAX_FRAME, Tickets, meet


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A private one."""
    folder = tmp_path / "door"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def umask_of_most_people() -> Iterator[None]:
    """022: what is made without care is readable by everybody."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask_of_most_people")
def test_security_a_missing_folder_is_made_private(tmp_path: Path) -> None:
    """And nothing is left in it afterwards."""
    path = tmp_path / "new" / "er" / "s"
    listener = listen(f"ipc://{path}", Tickets().gate, max_frame=MAX_FRAME)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    leg, _ = meet(listener)
    leg.close()
    listener.close()
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("mode", [0o701, 0o710, 0o704, 0o770, 0o755, 0o777, 0o1777])
def test_security_a_folder_that_others_can_reach_is_refused(folder: Path, mode: int) -> None:
    """Whatever they could do there, and it is said what to do."""
    folder.chmod(mode)
    with pytest.raises(BindFailed, match="chmod 700"):
        IpcClaim(str(folder / "s"))
    assert list(folder.iterdir()) == []


def test_security_a_link_to_a_folder_is_refused(tmp_path: Path, folder: Path) -> None:
    """It could point elsewhere the next moment."""
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(BindFailed, match="is not a folder"):
        IpcClaim(str(tmp_path / "link" / "s"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_security_a_folder_of_somebody_else_is_refused(folder: Path) -> None:
    """However private it looks."""
    os.chown(folder, 65534, 65534)
    with pytest.raises(BindFailed, match="belongs to somebody else"):
        IpcClaim(str(folder / "s"))


def test_security_a_second_listener_is_refused(folder: Path) -> None:
    """It does not steal the name, and the first goes on."""
    address = f"ipc://{folder}/s"
    first = listen(address, Tickets().gate, max_frame=MAX_FRAME)
    with pytest.raises(BindFailed, match="another listener"):
        listen(address, Tickets().gate, max_frame=MAX_FRAME)
    leg, _ = meet(first)
    leg.close()
    first.close()
    listen(address, Tickets().gate, max_frame=MAX_FRAME).close()


def test_what_a_killed_listener_left_is_removed(folder: Path) -> None:
    """Its socket and its lock file are no obstacle."""
    code = (
        "import os, sys\n"
        "from selo.transport import listen\n"
        "from selo.transport.base import Gate\n"
        "listen(sys.argv[1], Gate(len, len), max_frame=9)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    address = f"ipc://{folder}/s"
    assert subprocess.run([sys.executable, "-c", code, address]).returncode == -9
    assert sorted(entry.name for entry in folder.iterdir()) == ["s", "s.lock"]
    listener = listen(address, Tickets().gate, max_frame=MAX_FRAME)
    leg, _ = meet(listener)
    leg.close()
    listener.close()
    assert list(folder.iterdir()) == []


def test_security_only_a_socket_is_removed(folder: Path) -> None:
    """A file that happens to have the name stays, and the lock does not."""
    (folder / "s").write_text("precious")
    with pytest.raises(BindFailed, match="not a socket"):
        IpcClaim(str(folder / "s"))
    assert [entry.name for entry in folder.iterdir()] == ["s"]
    assert (folder / "s").read_text() == "precious"


def test_security_a_lock_that_is_a_link_is_not_followed(folder: Path) -> None:
    """Nothing is created where it points."""
    (folder / "s.lock").symlink_to(folder / "elsewhere")
    with pytest.raises(BindFailed):
        IpcClaim(str(folder / "s"))
    assert not (folder / "elsewhere").exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """The system's words, as our error."""
    (tmp_path / "file").write_text("")
    with pytest.raises(BindFailed, match="file"):
        IpcClaim(str(tmp_path / "file" / "folder" / "s"))


def test_claim_and_release(folder: Path) -> None:
    """Exclusive while it is held, and gone afterwards."""
    path = str(folder / "s")
    for _ in range(3):
        claim = IpcClaim(path)
        with pytest.raises(BindFailed):
            IpcClaim(path)
        with socket.socket(socket.AF_UNIX) as left_behind:
            left_behind.bind(path)
        claim.release()
        assert list(folder.iterdir()) == []
