"""Scoring: every window of a split counts, naive stands beside it, and closed splits stay closed."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from tests.trainers.conftest import Home, events, lines, write_prices
from tests.trainers.toy.family import ToyFamily
from trainers.calendar import future, season
from trainers.data.dataset import Dataset, load
from trainers.device import place
from trainers.errors import LossError
from trainers.evaluate import Scorer, TrainWindows
from trainers.family import Forecast
from trainers.resolve import RunConfig, resolve

DAY = 86_400_000_000_000


def setting(home: Home, **sets: Any) -> tuple[RunConfig, Dataset]:
    config = resolve("toy", None, {"data.context": 16, "data.horizon": 4, **sets})
    return config, load(config.data, home.root, config.eval.stride)


class Counting(ToyFamily):
    """Remembers which windows it was asked to forecast."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    def forecast(self, model: nn.Module, values_BVT: torch.Tensor, *rest: Any, **more: Any) -> Forecast:
        self.seen += [row.numpy().tobytes() for row in values_BVT[:, 0]]
        return super().forecast(model, values_BVT, *rest, **more)


@pytest.mark.parametrize("batch", [1, 5, 7, 64])
def test_every_validation_window_is_counted_whatever_the_batch(home: Home, batch: int) -> None:
    config, dataset = setting(home, **{"eval.batch": batch, "eval.stride": 1})
    family = Counting()
    model = family.build(config, 5, 0).eval()
    found = Scorer(family, config, dataset, place("cpu"))(model, 1, lambda: False)
    assert found is not None
    starts = dataset.starts("val")
    contexts = [dataset.panel.values[0, at : at + 16].numpy().tobytes() for at in starts.tolist()]
    assert family.seen == contexts
    assert len(contexts) > 64
    whole, _ = setting(home, **{"eval.batch": 1000, "eval.stride": 1})
    once = Scorer(family, whole, dataset, place("cpu"))(model, 1, lambda: False)
    assert once is not None
    assert found == pytest.approx(once, rel=1e-5)


def test_the_metrics_are_those_of_the_written_forecasts(home: Home) -> None:
    code, folder = home.train("toy-0001", train__steps=5, data__unseen="CCC")
    assert code == 0
    for split in ("val", "test", "unseen"):
        report = json.loads((folder / "evaluation" / f"{split}.json").read_text())
        table = pq.read_table(folder / "evaluation" / f"{split}_forecasts.parquet").to_pydict()
        assert len(table["step"]) == report["windows"] * 4
        target, naive, p50 = (np.array(table[name]) for name in ("target", "naive", "p50"))
        assert report["metrics"][f"{split}_pct_mae"] == pytest.approx(100 * np.mean(np.abs(p50 - target) / naive))
        assert report["metrics"][f"{split}_naive_pct_mae"] == pytest.approx(
            100 * np.mean(np.abs(naive - target) / naive)
        )
        assert set(report["symbols"]) == ({"CCC"} if split == "unseen" else {"AAA", "BBB"})
        assert set(report["baselines"]) == {"drift", "seasonal_naive"}
        assert report["season"] == 5
        assert math.isfinite(report["baselines"]["drift"]["pct_mae"])
        assert not any(name.startswith("naive_") for name in report["baselines"]["drift"])


def test_test_and_unseen_numbers_stay_in_their_files(home: Home) -> None:
    _, folder = home.train("toy-0001", train__steps=5, data__unseen="CCC")
    report = json.loads((folder / "evaluation" / "test.json").read_text())
    secret = f"{report['metrics']['test_pct_mae']:.6f}"
    for name in ("metrics.jsonl", "events.jsonl"):
        assert secret[:7] not in (folder / name).read_text()
        assert "test_" not in (folder / name).read_text()


def test_watching_does_not_change_the_training(home: Home) -> None:
    _, often = home.train("toy-0001", train__steps=12, train__eval_every=2)
    _, never = home.train("toy-0002", train__steps=12, train__eval_every=12)
    losses = [[x["loss"] for x in lines(f, "metrics.jsonl") if "loss" in x] for f in (often, never)]
    assert losses[0] == losses[1]


def test_a_forecast_that_is_not_a_number_is_a_loss_error(home: Home) -> None:
    config, dataset = setting(home)
    family = ToyFamily()
    model = family.build(config, 5, 0).eval()
    with torch.no_grad():
        model.outer.bias.fill_(math.nan)
    with pytest.raises(LossError, match="Scoring at step 3: the forecast is not finite"):
        Scorer(family, config, dataset, place("cpu"))(model, 3, lambda: False)


def test_a_stop_leaves_a_validation_half_way(home: Home) -> None:
    config, dataset = setting(home)
    family = ToyFamily()
    assert Scorer(family, config, dataset, place("cpu"))(family.build(config, 5, 0), 1, lambda: True) is None


def test_training_windows_are_gathered_by_number(home: Home) -> None:
    _, dataset = setting(home)
    windows = TrainWindows(dataset)
    assert len(windows) == dataset.windows()["train"]
    batch = windows.gather(torch.tensor([3, 0]))
    assert batch.values.shape == (2, 5, 20)
    assert batch.starts.tolist() == dataset.starts("train")[[3, 0]].tolist()


@pytest.mark.parametrize(
    ("rows", "sets", "said"),
    [
        (10, {}, "too short for training"),
        (200, {"data__unseen": "ZZZ"}, "no symbol 'ZZZ'"),
        (200, {"data__path": "nowhere"}, "nowhere"),
    ],
)
def test_data_that_will_not_do_end_the_run_with_3_and_one_line(
    home: Home, rows: int, sets: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (home.root / "trainingdata").iterdir():
        path.unlink()
    write_prices(home.root / "trainingdata" / "AAA.csv", rows, seed=1)
    code, folder = home.train("toy-0001", **sets)
    assert code == 3
    assert said in events(folder, "failed")[0]["cause"]
    assert capsys.readouterr().err.count("\n") == 1


def stamps(*days: str) -> np.ndarray:
    return np.array(days, dtype="datetime64[ns]").astype(np.int64)


def test_the_calendar_goes_on_as_the_series_did() -> None:
    business = np.array([d for d in np.arange("2024-01-01", "2024-02-03", dtype="datetime64[D]") if np.is_busday(d)])
    times = business.astype("datetime64[ns]").astype(np.int64)
    assert [str(t)[:10] for t in future(times, 3)] == ["2024-02-05", "2024-02-06", "2024-02-07"]
    assert season(times) == 5
    daily = np.arange("2024-01-01", "2024-02-03", dtype="datetime64[D]").astype("datetime64[ns]").astype(np.int64)
    assert [str(t)[:10] for t in future(daily, 2)] == ["2024-02-03", "2024-02-04"]
    assert season(daily) == 7
    monthly = stamps("2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30")
    assert [str(t)[:10] for t in future(monthly, 2)] == ["2024-05-31", "2024-06-30"]
    first = stamps("2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01")
    assert [str(t)[:10] for t in future(first, 2)] == ["2024-05-01", "2024-06-01"]
    assert season(first) == 12
    hours = (daily[:, None] + DAY // 24 * np.arange(24)).ravel()
    assert future(hours, 1)[0].hour == 0
    assert season(hours) == 24
    session = (times[:, None] + DAY // 24 * np.arange(9, 16)).ravel()
    after = future(session, 8)
    assert [str(t) for t in after[[0, 6, 7]]] == ["2024-02-05 09:00:00", "2024-02-05 15:00:00", "2024-02-06 09:00:00"]
    assert season(session) == 7
