"""The export names whole checkpoints only, at once, and keeps the one before."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest

from engine.errors import EngineError, NothingToShow, UnknownRun, WorkspaceError
from engine.export import export, exported
from engine.store import Store
from tests.engine.store_folders import Run, finished


def twin(workspace, end: str = ".json"):
    return json.loads((workspace.root / f".best_model_path{end}").read_text())


def test_the_best_run_is_exported(workspace):
    finished(workspace, "toto-0001", 0.6)
    finished(workspace, "toto-0002", 0.5).evaluate("test", pct_mae=0.7)
    Store(workspace).catch_up().check()
    found = export(workspace)
    folder = workspace.run("toto-0002") / "checkpoints" / "step-000100"
    assert (found.run, found.checkpoint, found.previous, found.step) == ("toto-0002", folder, "", 100)
    assert workspace.best.read_text() == f"{folder}\n"
    assert found.metrics["pct_mae"] == 0.5
    assert found.revealed["test"]["pct_mae"] == 0.7
    assert "unseen" not in found.revealed
    assert found.board is not None
    said = twin(workspace)
    assert said["run"] == "toto-0002"
    assert said["family"] == "toto"
    assert said["commit"] == "a" * 40
    assert said["data"] == {"path": "trainingdata", "fingerprint": "f" * 32, "synthetic": True}
    assert said["forecast"] == {"context": 512, "horizon": 64, "levels": [0.1, 0.5, 0.9]}
    assert said["metrics"]["val_pct_mae"] == 0.5
    assert said["metrics"]["test_pct_mae"] == 0.7
    assert said["sha256"] == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert exported(workspace) == said


def test_the_one_before_is_kept(workspace):
    first, second = finished(workspace, "toto-0001"), finished(workspace, "toto-0002")
    export(workspace, first.id)
    found = export(workspace, second.id)
    assert found.previous == str(first.folder / "checkpoints" / "step-000100")
    assert (workspace.root / ".best_model_path.previous").read_text().strip() == found.previous
    assert twin(workspace, ".previous.json")["run"] == "toto-0001"
    assert twin(workspace)["run"] == "toto-0002"
    (workspace.root / ".best_model_path.json").unlink()
    export(workspace, first.id)
    assert not (workspace.root / ".best_model_path.previous.json").exists()


def test_a_checkpoint_that_is_not_whole_is_not_exported(workspace):
    run = finished(workspace, "toto-0001")
    folder = run.folder / "checkpoints" / "step-000100"
    (folder / "config.json").unlink()
    with pytest.raises(EngineError, match=r"config\.json in .* is missing"):
        export(workspace, run.id)
    shutil.rmtree(folder)
    with pytest.raises(EngineError, match="toto-0001: its best checkpoint is not there"):
        export(workspace, run.id)
    assert not workspace.best.exists()


def test_a_checkpoint_elsewhere_is_not_exported(workspace):
    run = finished(workspace, "toto-0001")
    run.event("best", step=1, path="../../elsewhere", metric="val_pct_mae", value=0.1)
    with pytest.raises(EngineError, match="outside its folder"):
        export(workspace, run.id)


def test_nothing_to_export(workspace):
    with pytest.raises(NothingToShow):
        export(workspace)
    run = Run(workspace)
    Store(workspace).catch_up().check()
    with pytest.raises(NothingToShow, match="no run has a val_pct_mae yet"):
        export(workspace)
    with pytest.raises(NothingToShow, match="has saved no checkpoint yet"):
        export(workspace, run.id)
    with pytest.raises(UnknownRun, match=r"Did you mean toto-0001\?"):
        export(workspace, "toto-0002")
    with pytest.raises(UnknownRun):
        export(workspace, "../toto-0001")
    with pytest.raises(NothingToShow):
        exported(workspace)


def test_a_workspace_that_cannot_be_written(workspace):
    run = finished(workspace, "toto-0001")
    workspace.best.mkdir()
    with pytest.raises(WorkspaceError, match="was not written"):
        export(workspace, run.id)
