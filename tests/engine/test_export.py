"""The export names whole checkpoints only, at once, and keeps the one before."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest

from engine.errors import EngineError, NothingToShow, UnknownRun, UsageError, WorkspaceError
from engine.export import export, exported, undo
from engine.pointer import pointers
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


def test_weights_that_are_cut_short_are_not_exported(workspace):
    run = finished(workspace, "toto-0001")
    weights = run.folder / "checkpoints" / "step-000100" / "model.safetensors"
    whole = weights.read_bytes()
    for broken, said in (
        (whole[:-3], "its header tells of"),
        (b"no weights", "not a safetensors file"),
        (b"", "not a"),
    ):
        weights.write_bytes(broken)
        with pytest.raises(EngineError, match=said):
            export(workspace, run.id)
    (weights.parent / "config.json").write_text("{")
    with pytest.raises(EngineError, match="is damaged"):
        export(workspace, run.id)
    assert not workspace.best.exists()


def test_undo_changes_places_with_the_one_before(workspace):
    first, second = finished(workspace, "toto-0001"), finished(workspace, "toto-0002")
    with pytest.raises(NothingToShow, match="nothing to go back to"):
        undo(workspace)
    export(workspace, first.id)
    assert undo(workspace) == {}, "there was none before the first"
    assert not workspace.best.exists()
    assert pointers(workspace) == []
    with pytest.raises(NothingToShow, match="Nothing is exported"):
        exported(workspace)
    assert undo(workspace)["run"] == first.id
    assert undo(workspace) == {}
    assert undo(workspace)["run"] == first.id
    export(workspace, second.id)
    assert undo(workspace)["run"] == first.id
    assert workspace.best.read_text().strip() == exported(workspace)["checkpoint"]
    assert exported(workspace)["run"] == first.id
    assert undo(workspace)["run"] == second.id
    (first.folder / "checkpoints" / "step-000100" / "model.safetensors").write_bytes(
        (second.folder / "checkpoints" / "step-000100" / "model.safetensors").read_bytes().replace(b"100", b"101")
    )
    with pytest.raises(EngineError, match="have changed since they were exported"):
        undo(workspace)
    assert exported(workspace)["run"] == second.id


def test_aliases_stand_beside_the_default(workspace):
    first, second = finished(workspace, "toto-0001"), finished(workspace, "toto-0002")
    export(workspace, first.id, alias="prod")
    assert not workspace.best.exists()
    export(workspace, second.id)
    found = export(workspace, second.id, alias="prod")
    assert found.previous == str(first.folder / "checkpoints" / "step-000100")
    assert found.path == workspace.root / ".best_model_path.prod"
    assert [(one.alias, one.read()["run"]) for one in pointers(workspace)] == [("", second.id), ("prod", second.id)]
    assert undo(workspace, "prod")["run"] == first.id
    assert (exported(workspace, "prod")["run"], exported(workspace)["run"]) == (first.id, second.id)
    with pytest.raises(NothingToShow, match="--alias candidate"):
        exported(workspace, "candidate")
    for word in ("previous", "json", "Prod", "a/b", "1st"):
        with pytest.raises(UsageError, match="can't be an alias"):
            export(workspace, first.id, alias=word)


def test_a_copy_stands_alone(workspace, tmp_path):
    run = finished(workspace, "toto-0001")
    folder = run.folder / "checkpoints" / "step-000100"
    (folder / "state.safetensors").write_bytes(b"only for going on")
    to = tmp_path / "away" / "model"
    found = export(workspace, run.id, to=to)
    assert found.copy == to
    assert sorted(path.name for path in to.iterdir()) == ["config.json", "export.json", "model.safetensors"]
    assert (to / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert json.loads((to / "export.json").read_text())["sha256"] == found.sha256
    with pytest.raises(UsageError, match="not empty"):
        export(workspace, run.id, to=to)
    with pytest.raises(WorkspaceError, match="can't be written"):
        export(workspace, run.id, to=to / "config.json" / "below")


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
