"""The same commands on another machine, over a program that behaves like ssh."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import remote
from engine.errors import UsageError
from engine.workspace import Workspace
from tests import standin
from tests.conftest import Box

ENGINE = [sys.executable, "-m", "engine.cli.main"]


@pytest.fixture
def there(tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    """The workspace of the other machine; ours stays empty."""
    home = tmp_path / "other home"
    home.mkdir()
    standin.install(tmp_path, home, monkeypatch)
    with monkeypatch.context() as other:
        other.setenv("ENGINE_HOME", str(home))
        other.setenv("ENGINE_CPU_SLOTS", "2")
        box = Box(Workspace(home))
        yield box
        box.close()


def engine(*args: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([*ENGINE, *args], capture_output=True, text=True, input=given)


def test_commands_run_there_with_their_output_and_exit_code(there: Box, tmp_path: Path):
    awkward = "a 'quoted' \"name\" $HOME `id` ; exit 9 *"
    done = engine("--host", "me@box", "exec", "--name", awkward, "--follow", "--", "sh", "-c", "pwd; exit 3")
    assert (done.returncode, done.stdout) == (1, "exec-0001\n")
    rows = json.loads(engine("--host=me@box", "ls", "--json").stdout)
    assert [(row["name"], row["state"], row["exit_code"]) for row in rows] == [(awkward, "failed", 3)]
    assert engine("--host", "box", "logs", "1").stdout == f"{there.workspace.root}\n"
    assert engine("--host", "box", "show", "9").returncode == 2
    sql = engine("--host", f"box:{there.workspace.root}", "sql", "--json", "-", given="SELECT id FROM runs")
    assert json.loads(sql.stdout) == [{"id": "exec-0001"}]
    calls = [eval(line) for line in (tmp_path / "calls").read_text().splitlines()]
    assert all("BatchMode=yes" in call and "-T" in call for call in calls)
    assert not Workspace(tmp_path / "w").runs.exists()


def test_what_goes_wrong_is_one_line(there: Box, monkeypatch: pytest.MonkeyPatch):
    done = engine("--host", "nowhere", "ls")
    assert done.returncode == 4
    assert done.stderr.splitlines()[-1].startswith("engine: nowhere was not reached by ssh")
    monkeypatch.setenv("ENGINE_REMOTE", "/no/such/engine")
    done = engine("--host", "box", "ls")
    assert (done.returncode, "ENGINE_REMOTE names where it is" in done.stderr) == (1, True)
    monkeypatch.delenv("ENGINE_REMOTE")
    assert engine("--host", "box:/no/such/folder", "ls").returncode not in (0, 255)
    monkeypatch.setenv("PATH", "/nonexistent")
    done = engine("--host", "box", "ls")
    assert (done.returncode, "no ssh on this machine" in done.stderr) == (1, True)


@pytest.mark.parametrize("text", ["-oProxyCommand=evil", "", "a b", "box:", "box\nx", "$(id)", "box;id", "-v@box"])
def test_a_host_can_not_be_an_option_or_a_command(text: str):
    with pytest.raises(UsageError):
        remote.place(text)


def test_places():
    assert remote.place("me@box") == remote.Place("me@box")
    assert remote.place("me@box.example.org:/data/a work") == remote.Place("me@box.example.org", "/data/a work")
    assert remote.place("10.0.0.1:w") == remote.Place("10.0.0.1", "w")
    for args in (["--host"], ["--host", "box"]):
        assert engine(*args).returncode == 2
