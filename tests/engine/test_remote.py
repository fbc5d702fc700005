"""The same commands on another machine, over a program that behaves like ssh."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import remote
from engine.cli import main
from engine.errors import UsageError
from engine.workspace import Workspace
from tests import standin
from tests.conftest import Box

ENGINE = [sys.executable, "-m", "engine.cli.main"]


@pytest.fixture
def there(tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    """The workspace of the other machine; ours stays empty."""
    home = tmp_path / "o h"  # short: a socket lies below it
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
    sql = engine("--host", f"box:{there.workspace.root}", "sql", "--json", "-", given="SELECT id FROM runs")
    assert json.loads(sql.stdout) == [{"id": "exec-0001"}]
    calls = [eval(line) for line in (tmp_path / "calls").read_text().splitlines()]
    assert all("BatchMode=yes" in call and "-T" in call for call in calls)
    assert not Workspace(tmp_path / "w").runs.exists()


def test_what_goes_wrong_is_one_line(workspace: Workspace, tmp_path: Path, monkeypatch, capfd):
    standin.install(tmp_path, tmp_path, monkeypatch)

    def said(*args: str) -> tuple[int, str]:
        code = main.run(args)
        return code, capfd.readouterr().err.splitlines()[-1]

    code, line = said("--host", "nowhere", "ls")
    assert (code, line.startswith("engine: nowhere was not reached by ssh")) == (4, True)
    monkeypatch.setenv("ENGINE_REMOTE", "/no/such/engine")
    code, line = said("--host", "box", "ls")
    assert (code, "ENGINE_REMOTE names where it is" in line) == (1, True)
    assert said("--host", "box:/no/such/folder", "ls")[0] not in (0, 255)
    monkeypatch.setenv("PATH", "/nonexistent")
    code, line = said("--host", "box", "ls")
    assert (code, "no ssh on this machine" in line) == (1, True)
    for args in (["--host"], ["--host", "box"], ["--host=-x", "ls"]):
        assert said(*args)[0] == 2


@pytest.mark.parametrize("text", ["-oProxyCommand=evil", "", "a b", "box:", "box\nx", "$(id)", "box;id", "-v@box"])
def test_a_host_can_not_be_an_option_or_a_command(text: str):
    with pytest.raises(UsageError):
        remote.place(text)


def test_places():
    assert remote.place("me@box") == remote.Place("me@box")
    assert remote.place("me@box.example.org:/data/a work") == remote.Place("me@box.example.org", "/data/a work")
    assert remote.place("10.0.0.1:w") == remote.Place("10.0.0.1", "w")
