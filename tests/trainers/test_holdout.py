"""Scoring a finished model on data it is pointed at: the same forecasts as its training gave, on any data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.trainers.conftest import Home, events, lines, write_prices
from trainers.holdout import run


@pytest.fixture
def model(home: Home) -> Path:
    code, folder = home.train("toy-0001", train__steps=5, data__unseen="CCC")
    assert code == 0
    return folder / "checkpoints" / "step-000005"


def evaluate(home: Home, run_id: str = "evaluate-0002", **asked: Any) -> tuple[int, Path]:
    folder = home.root / "runs" / run_id
    folder.mkdir()
    spec = {"id": run_id, "family": "evaluate", "config": {"evaluate": {"device": "cpu", **asked}}}
    (folder / "spec.json").write_text(json.dumps(spec))
    return run(folder), folder


def report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "evaluation" / "holdout.json").read_text())


def table(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path).set_index(["symbol", "origin", "step"]).sort_index()


def test_it_gives_the_forecasts_that_the_training_recorded(home: Home, model: Path) -> None:
    before = {path: path.read_bytes() for path in model.parents[1].rglob("*") if path.is_file()}
    val = table(model.parents[1] / "evaluation" / "val_forecasts.parquet")
    since = str(val.reset_index("origin")["origin"].min() + pd.offsets.BDay(1))[:10]
    code, folder = evaluate(home, model=str(model), since=since)
    assert code == 0
    ours = table(folder / "evaluation" / "holdout_forecasts.parquet")
    assert len(val.index.intersection(ours.index)) == len(val)
    pd.testing.assert_frame_equal(ours.loc[val.index], val, check_exact=True)
    assert before == {path: path.read_bytes() for path in model.parents[1].rglob("*") if path.is_file()}
    told = events(folder, "evaluation")[0]
    assert (told["split"], told["metrics"]["holdout_pct_mae"]) == (
        "holdout",
        report(folder)["metrics"]["holdout_pct_mae"],
    )
    assert lines(folder, "events.jsonl")[-1]["event"] == "finished"


def test_other_data_are_scored_symbol_by_symbol_beside_what_costs_nothing(home: Home, model: Path) -> None:
    other = home.root / "holdout"
    other.mkdir()
    write_prices(other / "NEW.csv", 60, seed=9, price=3.0)
    write_prices(other / "AAA.csv", 60, seed=8)
    code, folder = evaluate(home, model=str(model), data=str(other))
    assert code == 0
    found = report(folder)
    assert set(found["symbols"]) == {"AAA", "NEW"}
    assert {"drift", "seasonal_naive"} <= set(found["baselines"])
    # 60 rows, context 16, horizon 4: origins every 4 rows from row 16
    assert (found["windows"], found["origins"], found["symbols"]["NEW"]["windows"]) == (22, 11, 11)
    assert found["metrics"]["holdout_strategy_periods"] == 11
    assert "10 basis points" in found["strategy"]
    assert "carry names of the training data (AAA)" in events(folder, "warning")[0]["text"]
    code, folder = evaluate(home, "evaluate-0003", model=str(model), data=str(other), unseen=True, stride=1)
    assert code == 0
    found = report(folder)
    assert set(found["symbols"]) == {"NEW"}
    assert found["windows"] == 60 - 16 - 4 + 1
    assert found["definitions"]["dm_lags"] == 3
    assert "no strategy check" in found["strategy"]


def test_a_symbol_that_was_kept_from_training_counts_as_unseen(home: Home, model: Path) -> None:
    code, folder = evaluate(home, model=str(model), unseen=True)
    assert code == 0
    assert set(report(folder)["symbols"]) == {"CCC"}


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        ({"modle": "x"}, 2, "Unknown field 'evaluate.modle'. Did you mean 'model'?"),
        ({"stride": "x"}, 2, "evaluate.stride = x: expected int."),
        ({"unseen": "yes"}, 2, "evaluate.unseen = yes: expected bool."),
        ({"symbols": "AAA"}, 2, "evaluate.symbols = AAA: expected a list"),
        ({"horizon": 9000}, 2, "evaluate.horizon = 9000: out of range [0, 8192]."),
        ({"cost_bps": -1}, 2, "evaluate.cost_bps = -1: out of range [0, 1000]."),
        ({"model": "nowhere"}, 3, "nowhere: not there."),
        ({"data": "nowhere"}, 3, "nowhere: not there."),
        ({"symbols": ["AAB"]}, 3, "no symbol 'AAB' there. Did you mean 'AAA'?"),
        ({"since": "2099-01-01"}, 3, "no window to forecast since 2099-01-01: 16 rows of context and 4 to forecast"),
        ({"unseen": True, "symbols": ["AAA"]}, 3, "--unseen: the model was trained on all 3 symbols there."),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    home: Home, model: Path, capsys: pytest.CaptureFixture[str], asked: dict[str, Any], code: int, said: str
) -> None:
    (home.root / ".best_model_path").write_text(f"{model}\n")
    capsys.readouterr()
    ended, folder = evaluate(home, **asked)
    err = capsys.readouterr().err
    assert (ended, err.count("\n")) == (code, 1), err
    assert said in err
    assert said in events(folder, "failed")[0]["cause"]
