"""Walk-forward cross-validation: every fold knows its own past only, and together they are the validation windows."""

from __future__ import annotations

import json
import statistics
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainers.conftest import Home, events, lines, write_prices
from trainers.data.dataset import Dataset, load
from trainers.data.errors import DataError
from trainers.errors import ConfigError
from trainers.resolve import resolve
from trainers.run import run

FOLDED: dict[str, Any] = {"data__val_fraction": 0.4, "train__steps": 4, "train__eval_every": 2, "eval__folds": 3}


def dataset(home: Home, **sets: Any) -> Dataset:
    config = resolve("toy", None, {"data.context": 16, "data.horizon": 4, "data.val_fraction": 0.4, **sets})
    return load(config.data, home.root, config.eval.stride)


@pytest.mark.parametrize("sets", [{}, {"data.purge": 9}, {"eval.stride": 1}, {"eval.stride": 3, "data.unseen": "BBB"}])
def test_no_fold_trains_on_what_it_is_scored_on(home: Home, sets: dict[str, Any]) -> None:
    write_prices(home.root / "trainingdata" / "DDD.csv", 120, seed=9)  # ends before the others do
    whole = dataset(home, **sets)
    parts = whole.folds(4)
    panel, gap = whole.panel, whole.config.gap
    context, length = whole.config.context, whole.length
    calendar = np.unique(panel.times.numpy())
    place = np.searchsorted(calendar, panel.times.numpy())
    sizes = []
    for part in parts:
        train, val = part.starts("train"), part.starts("val")
        rows_in_training = {int(r) for s in train.tolist() for r in range(s, s + length)}
        targets = [r for s in val.tolist() for r in range(s + context, s + length)]
        assert rows_in_training.isdisjoint(targets)
        # nothing within the purge before the first target either: in dates over all symbols, in rows within each
        first = min(place[t] for t in targets)
        assert max(place[r] for r in rows_in_training) < first - gap
        for symbol in set(panel.row_symbol[val].tolist()):
            own = [t for t in targets if panel.row_symbol[t] == symbol]
            trained = [r for r in rows_in_training if panel.row_symbol[r] == symbol]
            assert not trained or max(trained) < min(own) - gap
        assert not part.windows()["test"]
        assert not part.windows()["unseen"]
        sizes.append(len(train))
    assert sizes == sorted(set(sizes))  # each has more of the past than the one before
    assert torch.equal(parts[0].starts("train"), whole.starts("train"))
    together = torch.cat([part.starts("val") for part in parts])
    assert torch.equal(together.sort().values, whole.starts("val").sort().values)
    if whole.windows()["test"]:
        latest = max(int(place[s + length - 1]) for s in together.tolist())
        earliest = min(int(place[s + context]) for s in whole.starts("test").tolist())
        assert latest < earliest - gap + 1


def test_folds_are_told_with_mean_and_spread(home: Home) -> None:
    code, folder = home.train("toy-0001", **FOLDED)
    assert code == 0
    told = json.loads((folder / "evaluation" / "folds.json").read_text())
    assert [row["fold"] for row in told["folds"]] == [1, 2, 3]
    scores = [row["metrics"]["val_pct_mae"] for row in told["folds"]]
    assert len(set(scores)) == 3
    assert told["mean"]["val_pct_mae"] == pytest.approx(statistics.fmean(scores))
    assert told["std"]["val_pct_mae"] == pytest.approx(statistics.stdev(scores))
    assert all(row["train_until"] < row["val_from"] for row in told["folds"])
    val = json.loads((folder / "evaluation" / "val.json").read_text())
    assert val["metrics"]["val_folds_pct_mae"] == told["mean"]["val_pct_mae"]
    assert val["metrics"]["val_folds_pct_mae_std"] == told["std"]["val_pct_mae"]
    assert sum(row["windows"] for row in told["folds"]) == val["windows"]
    naive = [row["metrics"]["val_naive_pct_mae"] * row["windows"] for row in told["folds"]]
    assert sum(naive) / val["windows"] == pytest.approx(val["metrics"]["val_naive_pct_mae"], rel=1e-6)
    assert [e["name"] for e in events(folder, "phase")][-4:] == ["fold 1/3", "fold 2/3", "fold 3/3", "evaluate"]
    assert [line["step"] for line in lines(folder, "metrics.jsonl") if "loss" in line] == [1, 2, 3, 4]
    assert [line["step"] for line in lines(folder / "folds" / "2", "metrics.jsonl") if "loss" in line] == [1, 2, 3, 4]
    assert not list(folder.glob("folds/*/checkpoints"))


def test_folds_change_nothing_of_the_run_itself(home: Home) -> None:
    _, folded = home.train("toy-0001", **FOLDED)
    _, plain = home.train("toy-0002", **{**FOLDED, "eval__folds": 0})
    one, other = (json.loads((f / "evaluation" / "val.json").read_text())["metrics"] for f in (folded, plain))
    assert {k: v for k, v in one.items() if "folds" not in k} == other


def test_a_run_stopped_within_the_folds_goes_on_where_it_was(home: Home) -> None:
    _, whole = home.train("toy-0001", **FOLDED)
    stopped = home.make("toy-0002", **FOLDED)
    code = run("toy", stopped, lambda: (stopped / "folds" / "2" / "metrics.jsonl").exists())
    assert code == 143
    assert not (stopped / "evaluation").exists()
    code, resumed = home.train("toy-0002.2", resume_from="toy-0002", **FOLDED)
    assert code == 0
    assert [e["name"] for e in events(resumed, "phase") if "fold" in e["name"]] == ["fold 2/3", "fold 3/3"]
    one, other = ((f / "evaluation" / "folds.json").read_text() for f in (whole, resumed))
    assert one == other


def test_more_folds_than_origin_dates_are_refused_before_training(home: Home) -> None:
    with pytest.raises(DataError, match=r"eval.folds = 90: validation has \d+ origin dates"):
        dataset(home).folds(90)
    code, folder = home.train("toy-0001", **{**FOLDED, "eval__folds": 90})
    assert code == 3
    assert not (folder / "checkpoints").exists()
    with pytest.raises(ConfigError, match=r"eval.folds = 1: one part is the ordinary validation"):
        resolve("toy", None, {"eval.folds": 1})
