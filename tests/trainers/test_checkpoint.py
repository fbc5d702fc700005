"""Checkpoints: what was scored is what is saved, the best are kept, and a folder appears whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.trainers.conftest import Home, events, lines
from trainers import checkpoint
from trainers.errors import ConfigError, DataError


def names(folder: Path) -> list[str]:
    return [path.name for path in checkpoint.all_in(folder)]


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_the_saved_best_gives_the_scores_that_made_it_best(home: Home, ema: float) -> None:
    code, folder = home.train("toy-0001", train__steps=24, train__eval_every=4, train__ema=ema, train__lr=0.05)
    assert code == 0
    best = events(folder, "best")[-1]
    logged = {x["step"]: x["val_pct_mae"] for x in lines(folder, "metrics.jsonl") if "val_pct_mae" in x}
    assert best["value"] == min(logged.values()) == logged[best["step"]]
    report = json.loads((folder / "evaluation" / "val.json").read_text())  # made by a model read back from the folder
    assert report["step"] == best["step"]
    assert report["metrics"]["val_pct_mae"] == best["value"]
    assert checkpoint.about(folder / best["path"])["metrics"]["val_pct_mae"] == best["value"]
    assert not events(folder, "warning")


def test_the_best_few_and_the_newest_are_kept_and_only_the_newest_has_state(home: Home) -> None:
    _, folder = home.train("toy-0001", train__steps=30, train__eval_every=3, train__keep=2, train__lr=0.3)
    logged = {x["step"]: x["val_pct_mae"] for x in lines(folder, "metrics.jsonl") if "val_pct_mae" in x}
    best = sorted(logged, key=lambda step: logged[step])[:2]
    assert set(names(folder)) == {f"step-{step:06d}" for step in (*best, 30)}
    with_state = [path.name for path in checkpoint.all_in(folder) if (path / "state.json").exists()]
    assert with_state == ["step-000030"]
    assert all((path / "model.safetensors").exists() for path in checkpoint.all_in(folder))
    assert sorted(p.name for p in (folder / "checkpoints").iterdir()) == names(folder)  # nothing half-made is left


def test_a_higher_metric_can_be_the_better_one(home: Home) -> None:
    _, folder = home.train("toy-0001", train__steps=12, train__eval_every=3, eval__metric="val_skill", train__lr=0.1)
    logged = {x["step"]: x["val_skill"] for x in lines(folder, "metrics.jsonl") if "val_skill" in x}
    assert events(folder, "best")[-1]["value"] == max(logged.values())


def test_a_resumed_run_is_complete_by_itself(home: Home) -> None:
    home.train("toy-0001", train__steps=6, train__eval_every=2)
    _, folder = home.train("toy-0001.2", train__steps=8, train__eval_every=2, train__lr=1e-8, resume_from="toy-0001")
    best = events(folder, "best")[0]
    assert best["step"] <= 6
    assert (folder / best["path"] / "model.safetensors").exists()


def test_a_used_run_folder_is_not_trained_again(home: Home) -> None:
    from trainers.run import run

    _, folder = home.train("toy-0001", train__steps=2)
    assert run("toy", folder) == 2
    assert "holds checkpoints already" in events(folder, "failed")[0]["cause"]


def test_saving_is_whole_or_not_at_all(tmp_path: Path) -> None:
    def broken(folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        checkpoint.save(tmp_path, 5, broken, {}, {}, {})
    assert checkpoint.all_in(tmp_path) == []
    assert checkpoint.newest_with_state(tmp_path) is None


def test_state_comes_back_bit_for_bit_and_the_same_step_can_be_saved_again(tmp_path: Path) -> None:
    tied = torch.randn(3)
    tensors = {"a": tied, "b": tied, "c": torch.tensor([True]), "d": torch.randn(2, dtype=torch.bfloat16)}
    for step in (1, 2, 2):
        path = checkpoint.save(tmp_path, step, lambda folder: None, {"x": 1}, {"step": step}, tensors)
    state, back = checkpoint.load_state(path)
    assert state == {"step": 2}
    assert all(torch.equal(back[k], v) and back[k].dtype == v.dtype for k, v in tensors.items())
    assert names(tmp_path) == ["step-000001", "step-000002"]


def test_what_the_family_wrote_into_config_json_stays(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        (folder / "config.json").write_text('{"patch_size": 16}')

    path = checkpoint.save(tmp_path, 1, write, {"family": "toy"}, {}, {})
    assert json.loads((path / "config.json").read_text()) == {"patch_size": 16, "family": "toy"}


def test_what_is_no_checkpoint_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no checkpoint there"):
        checkpoint.about(tmp_path / "nothing")
    (tmp_path / "config.json").write_text("{torn")
    with pytest.raises(DataError, match="not valid JSON"):
        checkpoint.about(tmp_path)
    (tmp_path / "config.json").write_text('{"family": "toy"}')
    with pytest.raises(ConfigError, match="lacks config, variates, target"):
        checkpoint.about(tmp_path)
