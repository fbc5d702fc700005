"""What the doctor says of a real workspace in several states of disorder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine import rundir
from engine.doctor import LOOKS, Check, examine
from engine.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def look(workspace: Workspace, name: str) -> Check:
    return LOOKS[name](workspace, name)


def test_an_empty_folder_is_fine_and_stays_empty(workspace: Workspace) -> None:
    checks = examine(workspace)
    assert [check.name for check in checks] == list(LOOKS)
    bad = [check for check in checks if check.ok is False and check.name not in ("devices", "disk")]
    assert bad == []
    assert list(workspace.root.iterdir()) == []


def test_nothing_is_raised_and_torch_not_imported(workspace: Workspace) -> None:
    program = (
        "import sys; from pathlib import Path; from engine.doctor import *; from engine.workspace import Workspace;"
        "checks = examine(Workspace(Path('/nonexistent/folder')));"
        "print([c.name for c in checks if c.ok is False and c.name not in ('devices', 'disk')],"
        " {'torch', 'duckdb', 'trainers', 'textual'} & set(sys.modules))"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['workspace'] set()"


def test_a_folder_open_to_others(workspace: Workspace) -> None:
    workspace.prepare()
    assert look(workspace, "socket").ok is True
    workspace.private.chmod(0o755)
    check = look(workspace, "socket")
    assert check.ok is False
    assert "mode 755" in check.text
    assert check.remedy == f"chmod 700 {workspace.private}"


def test_a_path_too_long_for_a_socket(tmp_path: Path) -> None:
    deep = Workspace(tmp_path / ("x" * 100))
    (check,) = [check for check in examine(deep) if check.name == "socket"]
    assert check.ok is False
    assert "ENGINE_SOCKET" in check.text


def test_an_engine_that_holds_the_lock_but_does_not_answer(workspace: Workspace) -> None:
    workspace.prepare()
    assert look(workspace, "engine").ok is None
    fd = rundir.take(workspace.lock)
    assert fd is not None
    try:
        assert look(workspace, "engine").ok is False
    finally:
        os.close(fd)


def test_the_database_is_known_by_its_head(workspace: Workspace) -> None:
    assert look(workspace, "database").ok is None
    workspace.database.write_bytes(b"nonsense")
    check = look(workspace, "database")
    assert check.ok is False
    assert "engine db rebuild" in check.remedy


def test_a_real_database_and_who_holds_it(workspace: Workspace) -> None:
    program = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read(); c.close()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, workspace.database], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        check = look(workspace, "database")
        assert check.ok is None
        assert f"(pid {holder.pid})" in check.text
        holder.stdin.close()
    check = look(workspace, "database")
    assert check.ok is True
    assert "storage version" in check.text


def test_a_clock_that_went_back(workspace: Workspace) -> None:
    workspace.prepare()
    assert look(workspace, "clock").ok is True
    ahead = time.time() + 7200
    os.utime(workspace.host, (ahead, ahead))
    check = look(workspace, "clock")
    assert check.ok is False
    assert "from the future" in check.text


def test_training_data(workspace: Workspace) -> None:
    assert "missing" in look(workspace, "data").text
    workspace.data.mkdir()
    (workspace.data / "README.md").touch()
    assert "empty" in look(workspace, "data").text
    (workspace.data / "a.csv").write_text("x\n")
    assert look(workspace, "data") == Check("data", True, "1 files, 0.0 MB")
    (workspace.data / "SYNTHETIC.json").write_text("{}")
    assert look(workspace, "data").text.endswith("synthetic")


def test_a_file_in_the_place_of_the_workspace(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert look(Workspace(tmp_path / "file"), "workspace").ok is False


def test_a_workspace_that_cannot_be_written() -> None:
    check = look(Workspace(Path("/proc")), "workspace")
    assert check.ok is False
    assert "can't be written" in check.text
