"""The commands the engine knows: what they print, their exit codes, and what they must not import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trainers.conftest import ROOT, Home, call, environment, events
from trainers.__main__ import main


def test_describe_lists_every_family_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe"]) == 0
    toto = json.loads(capsys.readouterr().out)["families"]["toto"]
    assert toto["default_preset"] in toto["presets"]
    names = [row["name"] for row in toto["fields"]]
    assert {"train.lr", "data.context", "data.horizon", "eval.metric", "model.layers"} <= set(names)
    assert len(names) == len(set(names))
    assert all(row["help"] and "default" in row and row["type"] for row in toto["fields"])


@pytest.mark.parametrize(("loaded", "after"), [(["torch"], ""), ([], "apart"), (["torch", "tensorboard"], "apart")])
def test_torch_is_not_taken_apart_unless_something_is_to_be_done_then(loaded: list[str], after: str) -> None:
    program = (
        "import atexit, sys; from trainers.__main__ import leave\n"
        "sys.modules.update(dict.fromkeys(sys.argv[1:], sys))\n"
        "atexit.register(print, 'apart', end=''); print('said ', end=''); leave(5)"
    )
    done = subprocess.run([sys.executable, "-c", program, *loaded], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (5, f"said {after}", "")


@pytest.mark.parametrize(
    "argv",
    [["describe"], ["resolve", "toto"], ["--help"]],
)
def test_quick_commands_import_nothing_heavy(argv: list[str], tmp_path: Path) -> None:
    program = (
        "import sys; from trainers.__main__ import main; code = main(sys.argv[1:])\n"
        "heavy = {'torch', 'pandas', 'numpy', 'msgspec', 'pyarrow', 'difflib'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *argv], env=environment(tmp_path), input="{}", capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_resolve_answers_with_the_whole_configuration(tmp_path: Path) -> None:
    asked = json.dumps({"preset": None, "set": {"train.lr": "3e-4", "data.context": 64}})
    done = call(tmp_path, "resolve", "toto", stdin=asked)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["config"]["train"]["lr"] == 3e-4
    assert said["config"]["data"]["context"] == 64
    assert set(said["config"]) == {"model", "data", "train", "eval"}
    assert said["data_paths"] == [str(tmp_path / "trainingdata")]


@pytest.mark.parametrize(
    ("argv", "stdin", "said"),
    [
        (["resolve", "toto"], '{"set": {"train.lrr": 1}}', "Unknown field 'train.lrr'. Did you mean 'train.lr'?"),
        (["resolve", "toto"], '{"set": {"train.lr": 7}}', "train.lr = 7.0: out of range [1e-08, 1]."),
        (["resolve", "totp"], "{}", "Unknown family 'totp'. Did you mean 'toto'?"),
        (["resolve", "toto"], "{torn", "stdin is not JSON"),
        (["resolve", "toto"], "[]", "stdin: expected an object"),
        (["resolve"], "", "takes FAMILY"),
        (["describ"], "", "Unknown command or family 'describ'. Did you mean 'describe'?"),
        (["toto"], "", "takes RUN_FOLDER"),
    ],
)
def test_mistakes_are_one_line_and_exit_2(
    argv: list[str], stdin: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1


def test_a_folder_without_a_readable_spec_is_refused(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["toy", str(tmp_path / "nothing")]) == 2
    folder = home.make("toy-0001")
    (folder / "spec.json").write_text("{torn")
    assert main(["toy", str(folder)]) == 2
    (folder / "spec.json").write_text('{"family": "toto"}')
    assert main(["toy", str(folder)]) == 2
    assert capsys.readouterr().err.count("\n") == 3


def test_a_typo_in_the_spec_is_refused_with_a_failed_event(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    folder = home.make("toy-0001")
    spec = json.loads((folder / "spec.json").read_text())
    spec["config"]["train"]["lrr"] = 1
    (folder / "spec.json").write_text(json.dumps(spec))
    assert main(["toy", str(folder)]) == 2
    assert "Did you mean 'train.lr'?" in (folder / "events.jsonl").read_text()


def test_out_of_memory_exits_4_and_tells_the_bytes(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    code, folder = home.train("toy-0001", model__hog=1 << 52)
    assert code == 4
    told = events(folder, "oom")[0]
    assert told["requested"] == 1 << 52
    assert 0 < told["free"] < told["total"]
    assert "Lower train.batch" in events(folder, "failed")[0]["cause"]
    assert capsys.readouterr().err.count("\n") == 1


def test_a_disk_that_takes_no_more_ends_the_run_in_one_line(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    import resource

    folder = home.make("toy-0001", train__steps=2)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))
    try:
        assert main(["toy", str(folder)]) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    err = capsys.readouterr().err
    assert "File too large" in err
    assert err.count("\n") == 1
    assert list((folder / "checkpoints").iterdir()) == []


def test_toto_trains_as_the_engine_runs_it(home: Home) -> None:
    """The commands as the engine runs them: resolve, train. tests/engine/test_cli_demo.py forecasts."""
    sets = {"model.embed_dim": 16, "model.layers": 2, "model.heads": 2, "model.mlp_dim": 16, "model.space_every": 2,
            "model.patch": 8, "data.context": 32, "data.horizon": 8, "train.steps": 12, "train.eval_every": 6,
            "data.unseen": "CCC", "train.batch": 8}  # fmt: skip
    resolved = json.loads(call(home.root, "resolve", "toto", stdin=json.dumps({"set": sets})).stdout)
    folder = home.root / "runs" / "toto-0001"
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(json.dumps({"id": "toto-0001", "family": "toto", "config": resolved["config"]}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPROFILEIMPORTTIME", "1")
        done = call(home.root, "toto", str(folder))
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert (done.returncode, [line for line in done.stderr.splitlines() if "|" not in line]) == (0, [])
    assert "torch" in imported
    assert "torch._dynamo" not in imported  # torch's compiler takes longer to load than torch
    report = json.loads((folder / "evaluation" / "val.json").read_text())
    assert report["windows"] > 0
    assert report["metrics"]["val_naive_pct_mae"] > 0
