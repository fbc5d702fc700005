"""What differs between two runs, and the same run once more."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from msgspec.structs import replace

from engine import freeze
from engine.cli import main
from engine.differ import differences, sections
from engine.fingerprint import DataPrint, fingerprint
from engine.messages import ShowRun, Submit
from engine.provenance import Git, git_state
from engine.records import Spec
from engine.rerun import prepare
from engine.submit import Wishes, submit_command
from engine.workspace import Workspace
from tests.conftest import Box
from tests.engine.test_freeze import git, repo  # noqa: F401 - a fixture

SPEC = Spec(
    id="toy-0001",
    family="toy",
    command=(sys.executable, "-m", "trainers", "toy", "{run}"),
    cwd="/",
    config={"train": {"lr": 0.1, "steps": 10}, "data": {"horizon": 8}},
    seed=1,
    git=Git(commit="a" * 40, branch="main"),
    packages={"torch": "1", "numpy": "2"},
    data=DataPrint(path="x", fingerprint="f1", files=1, bytes=5),
    env={"OMP_NUM_THREADS": "1"},
)


def test_a_run_does_not_differ_from_itself():
    assert differences([SPEC, replace(SPEC, id="toy-0002", submitted=5.0)]) == []


def test_each_part_is_told():
    other = replace(
        SPEC,
        seed=2,
        config={"train": {"lr": 0.2, "warmup": 3}, "data": {"horizon": 8}},
        git=Git(commit="b" * 40, branch="main"),
        packages={"torch": "1.1", "scipy": "3"},
        data=DataPrint(path="x", fingerprint="f2", files=2, bytes=5),
        env={"OMP_NUM_THREADS": "4"},
    )
    patch = "diff --git a/t.py b/t.py\n--- a/t.py\n+++ b/t.py\n@@ -1 +1,2 @@\n-x\n+y\n+z\n"
    found = {(one.part, one.name): one.values for one in differences([SPEC, other], ["", patch])}
    assert found == {
        ("run", "seed"): (1, 2),
        ("settings", "train.lr"): (0.1, 0.2),
        ("settings", "train.steps"): (10, None),
        ("settings", "train.warmup"): (None, 3),
        ("code", "commit"): ("a" * 40, "b" * 40),
        ("code", "t.py"): (None, "+2 -1"),
        ("packages", "torch"): ("1", "1.1"),
        ("packages", "numpy"): ("2", None),
        ("packages", "scipy"): (None, "3"),
        ("environment", "OMP_NUM_THREADS"): ("1", "4"),
        ("data", "fingerprint"): ("f1", "f2"),
        ("data", "files"): (1, 2),
    }
    assert [*sections(patch + patch.replace("t.py", "u v.py"))] == ["t.py", "u v.py"]


def queue(box: Box, repo: Path) -> str:  # noqa: F811
    command = (sys.executable, "train.py")
    row = submit_command(box.client, box.workspace, command, cwd=repo / "sub", wishes=Wishes(freeze=True))
    assert box.ended(row.id).state == "ok"
    return row.id


def log(box: Box, run_id: str) -> str:
    return (box.workspace.run(run_id) / "log.txt").read_text()


def test_frozen_code_runs_again_after_it_has_changed(box: Box, repo: Path, capsys):  # noqa: F811
    first = queue(box, repo)
    (repo / "sub" / "extra.py").write_text("NAME = 'newer'\n")
    git(repo, "commit", "-a", "-m", "second")
    freeze.remove(freeze.folder(box.workspace, box.call(ShowRun(first)).spec.code))  # as `engine gc` does
    assert main.run(["rerun", first, "--check"]) == 0
    assert "can be run again exactly" in capsys.readouterr().err
    assert main.run(["rerun", first]) == 0
    again = capsys.readouterr().out.strip()
    assert box.ended(again).state == "ok"
    assert log(box, again) == log(box, first) == "changed 1 new\n"
    assert box.call(ShowRun(again)).spec.rerun_of == first
    assert main.run(["diff", first, again, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["same"] is True
    second = queue(box, repo)
    assert log(box, second) == "changed 1 newer\n"
    assert main.run(["diff", first, second, "--json"]) == 0
    told = {one["name"]: (one["a"], one["b"]) for one in json.loads(capsys.readouterr().out)["differences"]}
    assert told["commit"] == (git(repo, "rev-parse", "HEAD~1"), git(repo, "rev-parse", "HEAD"))
    assert told["sub/train.py"] == ("+2 -1", "changed")
    assert told["sub/extra.py"] == ("+1 -0", "+1 -0")
    assert main.run(["diff", first, second]) == 0
    assert "code sub/train.py" in capsys.readouterr().out


def test_what_can_not_be_had_is_told_and_refused(box: Box, tmp_path: Path, capsys):
    data = tmp_path / "data.csv"
    data.write_text("a\n1\n")
    (box.workspace.root / "prints.py").write_text("print('hello')\n")
    spec = Spec(
        family="exec",
        command=(sys.executable, "prints.py"),
        cwd=str(box.workspace.root),
        data=fingerprint([data]),
        packages={"msgspec": "0.0.1", "no-such-thing": "7"},
        env_withheld=("OF_MINE_TOKENISH",),
        env={"OMP_NUM_THREADS": "3"},
    )
    first = box.call(Submit(spec=spec)).row.id
    box.ended(first)
    data.write_text("a\n2\n")
    assert main.run(["rerun", first, "--check", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    parts = sorted(one["part"] for one in told["missing"])
    assert (told["exact"], parts) == (False, ["code", "data", "environment", "packages", "packages"])
    assert main.run(["rerun", first]) == 1
    said = capsys.readouterr().err
    for text in ("can't be run again exactly", "has changed", "no-such-thing 7 is gone", "it was 0.0.1", "--anyway"):
        assert text in said
    assert len(box.rows()) == 1
    assert main.run(["rerun", first, "--anyway", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)["run"]["id"]
    assert box.ended(again).state == "ok"
    assert log(box, again) == "hello\n"


def test_the_environment_is_that_of_then(workspace: Workspace):
    spec = Spec(family="exec", command=("true",), cwd="/", env={"OMP_NUM_THREADS": "3", "ENGINE_HOME": "/then"})
    now = {"OMP_NUM_THREADS": "1", "TORCH_LOGS": "x", "ENGINE_HOME": "/now", "MY_SECRET": "s", "PATH": "/bin"}
    made = prepare(workspace, spec, "", now)
    assert made.environment == {"OMP_NUM_THREADS": "3", "ENGINE_HOME": "/now", "MY_SECRET": "s"}


def test_a_command_that_was_not_frozen_needs_its_folder_as_it_was(workspace: Workspace, repo: Path):  # noqa: F811
    workspace.prepare()
    spec = Spec(
        family="exec", command=(sys.executable, "train.py"), cwd=str(repo / "sub"), git=git_state(repo / "sub")[0]
    )

    def missing() -> list[str]:
        return [one.text for one in prepare(workspace, spec, "", {}).missing]

    assert missing() == []
    (repo / "sub" / "extra.py").write_text("NAME = 'newer'\n")
    assert "has other changes now; it was not frozen" in missing()[0]
    git(repo, "commit", "-a", "-m", "second")
    assert f"has commit {git(repo, 'rev-parse', 'HEAD')[:10]} now" in missing()[0]
