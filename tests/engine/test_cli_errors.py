"""What a person's mistake gets: one line on stderr, the documented exit code, the nearest name, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine import errors
from engine.cli import lazy, main
from engine.workspace import Workspace
from tests.conftest import Box

COMMANDS = [name for section in main.COMMANDS.values() for name in section]


@pytest.fixture
def line(workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Run a command that must fail; its exit code and its one line."""
    monkeypatch.chdir(workspace.root)

    def call(*args: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main.run(args)
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("engine: ")
        assert err.count("\n") == 1, err
        assert "Traceback" not in err
        return code, err.removeprefix("engine: ").strip()

    return call


def test_every_exit_code_is_documented():
    kinds = [errors.EngineError]
    for kind in kinds:
        kinds += kind.__subclasses__()
        assert f"{kind.exit_code} " in main.EPILOG, kind


def test_help_lists_every_command_once_and_the_exit_codes(capsys: pytest.CaptureFixture[str]):
    assert main.run(["--help"]) == 0
    text = capsys.readouterr().out
    for section, names in main.COMMANDS.items():
        for name, (_, told) in names.items():
            assert (f"  {name} " in text) == bool(section), name
            assert not section or told in text
    assert "Exit codes: 0 done" in text
    assert "130" in text


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("data", "db")])
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]):
    assert main.run([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Usage: engine {name}")
    assert len(text.splitlines()[2].strip()) > 15


def test_every_read_takes_json():
    reads = ("ls", "show", "status", "gpus", "families", "config", "best", "sql", "doctor", "predict", "wait", "follow")
    for name in reads:
        group = lazy.typer.main.get_command(lazy.group(main.COMMANDS, main.HELP))
        command = group.get_command(None, name)
        assert any("--json" in param.opts for param in command.params), name


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["lss"], "No command 'lss'. Did you mean ls?"),
        (["expotr", "best"], "Did you mean export?"),
        (["db", "rebild"], "No command 'rebild'. Did you mean rebuild? `engine db --help` lists all."),
        (["ls", "--stat", "ok"], "No such option: --stat. Did you mean --state?"),
        (["ls", "--limit", "many"], "'many' is not a whole number"),
        (["ls", "--limit", "-3"], "--limit -3 is out of range"),
        (["show"], "run is missing"),
        (["logs", "1", "-n"], "'-n' requires an argument"),
        (["sql", "select 1", "--json", "--csv"], "exclude each other"),
        (["export", "1", "--direction", "up"], "--direction up: expected min or max"),
        (["run", "toto", "--set", "train.lr"], "--set train.lr: expected field=value"),
        (["run", "toto", "--set", "train.lr=1", "--set", "train.lr=2"], "--set train.lr is given twice"),
        (["priority", "1", "high"], "'high' is not a whole number"),
    ],
)
def test_a_wrong_command_line_needs_no_engine(line, workspace: Workspace, args: list[str], told: str):
    code, text = line(*args)
    assert code == 2
    assert told in text
    assert not workspace.runs.exists(), "no engine was started for it"


REFUSED = [
    (["run", "totp"], 2, "Unknown family 'totp'. Did you mean toto?"),
    (["run", "toto", "--set", "train.lrr=1"], 2, "Did you mean 'train.lr'?"),
    (["run", "toto", "--set", "lr=1"], 2, "Did you mean 'train.lr'?"),
    (["run", "toto", "--set", "train.lr=300"], 2, "out of range"),
    (["run", "toto", "--set", "train.steps=many"], 2, "many"),
    (["run", "toto", "--preset", "tinny"], 2, "Did you mean 'tiny'?"),
    (["run", "toto"], 3, "trainingdata does not exist. Bring some with `engine data import FOLDER`"),
    (["exec", "--gpus", "-1", "true"], 2, "--gpus -1 is out of range"),
    (["exec", "--", "no-such-program"], 2, "No program 'no-such-program' on PATH"),
    (["exec", "--", "./missing.sh"], 2, "No program './missing.sh' in"),
    (["exec", "--after", "exec-0007", "true"], 2, "No run 'exec-0007'"),
    (["exec", "--tag", " ", "true"], 2, "a tag is one word"),
    (["exec", "--tag", "two words", "true"], 2, "a tag is one word of 1 to 60 letters"),
    (["exec", "--name", "two\nlines", "true"], 2, "a name is one line"),
    (["exec", "--retry", "99", "true"], 2, "--retry = 99 is out of range"),
    (["exec", "--retry-wait", "3", "--retry", "1", "true"], 2, "--retry-wait 3: expected a duration"),
    (["limit", "family:totp", "2"], 2, "Unknown family 'totp'. Did you mean toto?"),
    (["show", "toto-9"], 2, "No run 'toto-9'"),
    (["ls", "--state", "runing"], 2, "No state 'runing'. Did you mean running?"),
    (["ls", "--family", "toto"], 2, "No run of a family 'toto'"),
    (["config", "totp"], 2, "Did you mean toto?"),
    (["predict"], 7, "No model has been exported: `engine export best`"),
    (["sql", ""], 2, "The query is empty"),
    (["sql", "selec 1"], 2, "Parser Error"),
]


def test_what_the_engine_or_the_trainers_refuse(line, box: Box):
    assert box.pid
    for args, code, told in REFUSED:  # one engine for all: each start is half a second
        found, text = line(*args)
        assert (found, told in text) == (code, True), f"{args}: {found} {text}"
    assert box.rows() == {}


def test_an_empty_data_folder_says_what_to_do(line, box: Box):
    box.workspace.data.mkdir()
    (box.workspace.data / "README.md").write_text("no data\n")
    code, text = line("run", "toto")
    assert code == 3
    assert "holds no CSV, Parquet or JSON file" in text
    assert not list(box.workspace.runs.glob("toto-*"))


def test_without_an_engine_status_does_not_start_one(line, workspace: Workspace):
    code, text = line("status")
    assert (code, text) == (4, f"No engine runs in {workspace.root}. `engine up` starts it.")
    assert not workspace.runs.exists()


def test_a_workspace_that_cannot_be_written(line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "runs").write_text("a file where the folder should be")
    monkeypatch.setenv("ENGINE_HOME", str(blocked))
    code, text = line("up")
    assert code == 5
    assert "can't be used" in text


def test_a_workspace_path_too_long_for_a_socket(line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setenv("ENGINE_HOME", str(deep))
    code, text = line("ls")
    assert code == 5
    assert "107 is the most" in text


def test_a_damaged_database_says_how_to_rebuild(line, box: Box):
    box.workspace.database.write_bytes(b"this is no database" * 100)
    run = box.ended(box.submit("true").id)
    assert run.state == "ok", "the database is only a reading of the folders"
    assert main.run(["sql", "select 1"]) == 6
    assert main.run(["db", "rebuild"]) == 0
    assert main.run(["sql", "select 1"]) == 0


def test_our_own_fault_is_one_line_and_a_traceback_only_on_demand(workspace: Workspace):
    code = "from engine.cli import main, talk; talk.say = {talk}; import engine.cli.runs as r; del r.ls; main.main()"
    command = [sys.executable, "-c", code.format(talk="talk.say"), "ls", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "fault of the program" in done.stderr
    assert "engine.log" in done.stderr
    env = {**os.environ, "ENGINE_DEBUG": "1"}
    assert "Traceback" in subprocess.run(command, capture_output=True, text=True, check=False, env=env).stderr
