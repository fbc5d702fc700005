"""Frozen code: what was there when a run was queued is what it executes, whatever happens to the files until then."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine import freeze
from engine.cli import main
from engine.errors import EngineError, UsageError
from engine.freezing import for_command, for_trainers
from engine.messages import Order, ShowRun
from engine.provenance import Code, git_state
from engine.submit import Wishes, submit_command, submit_family
from engine.workspace import Workspace
from tests.conftest import Box


def git(where: Path, *command: str) -> str:
    whole = ["git", "-c", "user.name=n", "-c", "user.email=e@e", "-c", "init.defaultBranch=main", *command]
    return subprocess.run(whole, cwd=where, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository with a script in a folder, a change that is not committed, and a new file."""
    top = tmp_path / "repo"
    (top / "sub").mkdir(parents=True)
    (top / "sub" / "train.py").write_text("import helper\nprint('committed', helper.VALUE)\n")
    (top / "sub" / "helper.py").write_text("VALUE = 1\n")
    (top / "run.sh").write_text("#!/bin/sh\necho script\n")
    (top / "run.sh").chmod(0o755)
    (top / "picture.bin").write_bytes(b"\0\1\2")
    (top / ".gitignore").write_text("ignored/\n")
    git(top, "init")
    git(top, "add", ".")
    git(top, "commit", "-m", "first")
    (top / "sub" / "train.py").write_text("import helper\nimport extra\nprint('changed', helper.VALUE, extra.NAME)\n")
    (top / "sub" / "extra.py").write_text("NAME = 'new'\n")
    return top


def laid_out(workspace: Workspace, repo: Path) -> tuple[Code, Path]:
    workspace.prepare()
    state, patch = git_state(repo)
    code = freeze.freeze(workspace, repo, state, patch)
    return code, freeze.folder(workspace, code)


def test_the_folder_holds_commit_and_changes_and_is_read_only(workspace: Workspace, repo: Path):
    code, tree = laid_out(workspace, repo)
    for name in ("sub/train.py", "sub/helper.py", "sub/extra.py", "run.sh", "picture.bin"):
        assert (tree / name).read_bytes() == (repo / name).read_bytes()
        assert not (tree / name).stat().st_mode & 0o222
    assert os.access(tree / "run.sh", os.X_OK)
    assert not os.access(tree / "sub/train.py", os.X_OK)
    assert freeze.whole(tree)
    assert (tree.parent.stat().st_mode | tree.stat().st_mode) & 0o077 == 0
    assert code.left_out == ()


def test_equal_content_is_one_folder_and_other_content_another(workspace: Workspace, repo: Path):
    first, tree = laid_out(workspace, repo)
    made = tree.stat().st_mtime_ns
    assert laid_out(workspace, repo)[0].tree == first.tree
    assert tree.stat().st_mtime_ns == made
    git(repo, "commit", "--allow-empty", "-m", "another commit of the same files")
    assert laid_out(workspace, repo)[0].tree == first.tree
    (repo / "sub" / "extra.py").write_text("NAME = 'newer'\n")
    assert laid_out(workspace, repo)[0].tree != first.tree
    assert sorted(path.name for path in workspace.code.iterdir() if path.is_dir() and path.name.startswith(".")) == []


def test_a_folder_with_a_file_missing_is_laid_out_again(workspace: Workspace, repo: Path):
    _, tree = laid_out(workspace, repo)
    (tree / "sub").chmod(0o700)
    (tree / "sub" / "helper.py").unlink()
    assert not freeze.whole(tree)
    assert laid_out(workspace, repo)[1] == tree
    assert freeze.whole(tree)


def test_a_changed_picture_can_not_be_frozen_and_is_told(workspace: Workspace, repo: Path):
    (repo / "picture.bin").write_bytes(b"\0\3\4")
    code, tree = laid_out(workspace, repo)
    assert (tree / "picture.bin").read_bytes() == b"\0\1\2"
    assert (tree / "sub/train.py").read_bytes() == (repo / "sub/train.py").read_bytes()
    assert any("picture.bin" in name for name in code.left_out)


def test_a_workspace_within_the_repository_gets_all_changes(repo: Path):
    """git applies a patch within a repository to what lies below the folder only."""
    inner = Workspace(repo / "ignored")
    inner.root.mkdir()
    _, tree = laid_out(inner, repo)
    assert (tree / "sub/extra.py").read_text() == "NAME = 'new'\n"


def test_what_does_not_fit_leaves_nothing(workspace: Workspace, repo: Path):
    workspace.prepare()
    state, patch = git_state(repo)
    with pytest.raises(EngineError, match="do not fit"):
        freeze.freeze(workspace, repo, state, patch.replace("committed", "something else"))
    assert [*workspace.code.iterdir()] == []
    (bare := repo.parent / "bare").mkdir()
    git(bare, "init")
    with pytest.raises(EngineError, match=r"no commit yet.*--no-freeze"):
        freeze.freeze(workspace, bare, *git_state(bare))


def frozen(box: Box, repo: Path, *command: str, **wishes: object) -> str:
    row = submit_command(
        box.client, box.workspace, command, cwd=repo / "sub", wishes=Wishes(freeze=True, hold=True, **wishes)
    )
    return row.id


def log(box: Box, run_id: str) -> str:
    return (box.workspace.run(run_id) / "log.txt").read_text()


def release(box: Box, run_id: str) -> str:
    box.call(Order(run=run_id, order="release"))
    return box.ended(run_id).state


def test_a_frozen_command_executes_what_was_there_when_it_was_queued(box: Box, repo: Path):
    first = frozen(box, repo, sys.executable, "train.py")
    removed = frozen(box, repo, sys.executable, "train.py")
    (repo / "sub" / "train.py").write_text("print('too late')\n")
    (repo / "sub" / "helper.py").unlink()
    assert release(box, first) == "ok"
    tree = freeze.folder(box.workspace, box_spec(box, removed).code)
    assert not [*tree.rglob("__pycache__")]
    freeze.remove(tree)  # it is laid out again when the run starts
    assert release(box, removed) == "ok"
    assert log(box, first) == log(box, removed) == "changed 1 new\n"
    # Where it can't be laid out any more, nothing else is executed in its stead.
    gone = frozen(box, repo, sys.executable, "train.py")
    freeze.remove(freeze.folder(box.workspace, box_spec(box, gone).code))
    (repo / ".git").rename(repo.parent / "gone")
    box.call(Order(run=gone, order="release"))
    assert "its frozen code is gone" in box.row(gone).reason
    assert not (box.workspace.run(gone) / "log.txt").exists()


def test_show_names_what_a_frozen_run_executes_without(box: Box, repo: Path, capsys: pytest.CaptureFixture[str]):
    whole = frozen(box, repo, sys.executable, "train.py")
    (repo / "picture.bin").write_bytes(b"\0\3\4")
    for number in range(6):
        (repo / "sub" / f"new{number}.bin").write_bytes(b"\0" + bytes([number]))
    without = frozen(box, repo, sys.executable, "train.py")
    capsys.readouterr()
    assert main.run(["show", whole]) == 0
    assert "not in its code" not in capsys.readouterr().out
    assert main.run(["show", without]) == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if "not in its code" in line]
    assert "picture.bin" in line
    assert line.endswith("and 2 more")
    assert main.run(["show", without, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["spec"]["code"]["left_out"]) == 7


def box_spec(box: Box, run_id: str):
    return box.call(ShowRun(run_id)).spec


def test_an_argument_that_names_a_file_of_now_is_refused(repo: Path, tmp_path: Path):
    with pytest.raises(UsageError, match=r"write train\.py for the frozen one"):
        for_command(repo / "sub", (sys.executable, str(repo / "sub" / "train.py")), True)
    (outside := tmp_path / "outside").mkdir()
    with pytest.raises(UsageError, match="not in a git repository"):
        for_command(outside, ("true",), True)
    assert for_command(outside, ("true",), None).top is None


def trainers(where: Path, text: str) -> None:
    """A package that answers like ours and prints its text when it trains."""
    (where / "trainers").mkdir(parents=True)
    (where / "trainers" / "__init__.py").write_text("")
    (where / "trainers" / "words.py").write_text(f"TEXT = {text!r}\n")
    (where / "trainers" / "__main__.py").write_text(
        "import json, sys\n"
        "if sys.argv[1] == 'describe':\n"
        "    print(json.dumps({'families': {'toy': {'title': 'Toy'}}}))\n"
        "elif sys.argv[1] == 'resolve':\n"
        "    print(json.dumps({'preset': '', 'config': {'train': {'seed': 3}}, 'data_paths': []}))\n"
        "else:\n"
        "    from trainers.words import TEXT\n"
        "    print(TEXT)\n"
    )


def test_our_trainers_are_frozen_in_their_own_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The workspace is the repository, as for whoever cloned it: its own trainers/ must not come first then."""
    top = tmp_path / "clone"
    trainers(top, "as it was")
    (top / ".gitignore").write_text("/runs/\n/runs.duckdb*\n")
    git(top, "init")
    git(top, "add", ".")
    git(top, "commit", "-m", "first")
    monkeypatch.setattr(sys, "path", [str(top), *sys.path])
    for name in [name for name in sys.modules if name.split(".")[0] == "trainers"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setenv("ENGINE_HOME", str(top))
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", str(Path(__file__).parents[2])))
    box = Box(Workspace(top))
    try:
        rows = [
            submit_family(box.client, box.workspace, "toy", wishes=Wishes(freeze=wanted, hold=True, gpus=0))
            for wanted in (None, False)
        ]
        (top / "trainers" / "words.py").write_text("TEXT = 'as it is'\n")
        assert [release(box, row.id) for row in rows] == ["ok", "ok"]
        assert [log(box, row.id) for row in rows] == ["as it was\n", "as it is\n"]
        codes = [box_spec(box, row.id).code for row in rows]
        assert [(bool(code.tree), code.why) for code in codes] == [(True, ""), (False, "--no-freeze")]
    finally:
        box.close()


def test_installed_trainers_are_not_frozen_and_that_is_told(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    trainers(tmp_path / "site", "installed")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    for name in [name for name in sys.modules if name.split(".")[0] == "trainers"]:
        monkeypatch.delitem(sys.modules, name)
    plan = for_trainers(workspace, None)
    assert plan.top is None
    assert plan.why.startswith("installed package")
    with pytest.raises(UsageError, match="there is no code to freeze"):
        for_trainers(workspace, True)
