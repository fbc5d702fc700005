"""More seeds of one config, and the small pieces that the leaderboard's screen asks the engine for."""

from __future__ import annotations

import csv
import io
import json
import math

import pytest

from engine.board_text import written
from engine.errors import UsageError
from engine.export import export, ready
from engine.records import Spec
from engine.replicate import seed_of
from engine.select import leaderboards
from engine.store import Store
from engine.store_board import metrics_of, seeds_of
from engine.store_forecasts import bands, led_there
from engine.store_open import reading
from tests.conftest import Box
from tests.engine.store_folders import Run, finished
from tests.engine.test_cli import Cli, cli  # noqa: F401 - a fixture

CONFIG = {"train": {"lr": 3e-4, "seed": 7}, "data": {"context": 512, "horizon": 64}}


def test_further_seeds_are_queued_and_never_one_twice(box: Box, cli: Cli):  # noqa: F811
    finished(box.workspace, "toto-0001", 0.5, config=CONFIG)
    finished(box.workspace, "toto-0002", 0.6, config=CONFIG | {"train": {"lr": 3e-4, "seed": 8}}, seed=8)
    finished(box.workspace, "toto-0003", 0.6, config=CONFIG | {"train": {"lr": 1e-3, "seed": 9}}, seed=9)
    refused = cli("rerun", "1", "--seeds", "2")
    assert (refused.code, "--anyway runs it as near as can be" in refused.err) == (1, True)
    made = cli("rerun", "1", "--seeds", "2", "--anyway", "--hold")
    assert made.out.split() == ["toto-0004", "toto-0005"], made.err
    assert "9, 10 are the seeds" in made.err
    for run, seed in (("toto-0004", 9), ("toto-0005", 10)):
        spec = json.loads((box.workspace.run(run) / "spec.json").read_text())
        assert (spec["seed"], spec["config"]["train"]["seed"], spec["changed"]) == (seed, seed, {"train.seed": seed})
        assert "rerun_of" not in spec or spec["rerun_of"] == ""
    again = cli("rerun", "2", "--seeds", "1", "--anyway", "--hold", "--json").json
    assert [row["id"] for row in again["runs"]] == ["toto-0006"]
    assert json.loads((box.workspace.run("toto-0006") / "spec.json").read_text())["seed"] == 11
    assert "expected 1 to 64" in cli("rerun", "1", "--seeds", "65", "--anyway").err
    with reading(box.workspace.database) as con:
        assert seeds_of(con, "toto-0003") == {9}


def test_a_run_without_a_seed_of_ours_has_no_replicas():
    with pytest.raises(UsageError, match=r"has no setting train\.seed"):
        seed_of(Spec(id="exec-0001", family="exec", command=("true",), cwd="/"))
    with pytest.raises(UsageError, match="was imported"):
        seed_of(Spec(id="toto-0001", family="toto", command=(), cwd="/", config={"train": {"seed": 1}}))


def test_what_runs_can_be_ranked_by(workspace, database):
    finished(workspace, "toto-0001", 0.5).log(30, test_loss=1.0)
    Store(workspace).catch_up().check()
    with reading(workspace.database) as con:
        names = list(metrics_of(con))
    assert names[:2] == ["val_dm_pvalue", "val_dm_stat"]
    assert {"val_pct_mae", "val_skill", "loss", "lr"} <= set(names)
    assert "test_loss" not in names


@pytest.mark.parametrize("stride", [1, 2, 4, 6])
def test_the_prices_before_a_forecast_are_put_together_from_earlier_windows(workspace, database, stride):
    """Windows of 4 steps, `stride` apart: they overlap, touch, or leave a price out."""
    run = Run(workspace, "toto-0001")
    prices = [100 + 7 * math.sin(i) for i in range(40)]
    run.windows(prices, stride)
    Store(workspace).catch_up().check()
    with reading(workspace.database) as con:
        band = bands(con, workspace.runs, run.id, ["ARM"])["ARM"]
        led = led_there(con, workspace.runs, run.id, band, 12)
        assert len(led_there(con, workspace.runs, run.id, band, 3)) == 3
    last = 4 + stride * ((40 - 5 - 4) // stride)
    assert (led[-1], band.last) == (prices[last], prices[last])
    expected = [math.nan if stride == 6 and (last - at) % 6 == 1 else prices[at] for at in range(last - 11, last + 1)]
    assert led == pytest.approx(expected, nan_ok=True)


def test_a_look_before_an_export_writes_nothing(workspace, database):
    finished(workspace, "toto-0001", 0.5).evaluate("test", pct_mae=0.7)
    finished(workspace, "toto-0002", 0.6)
    Store(workspace).catch_up().check()
    before = sorted(path.name for path in workspace.root.iterdir())
    found = ready(workspace, "toto-0001")
    assert sorted(path.name for path in workspace.root.iterdir()) == before
    assert (found.path, found.step, found.now) == (workspace.root / ".best_model_path", 100, {})
    assert export(workspace, "toto-0001").sha256 == found.sha256
    assert ready(workspace, "toto-0002").now["run"] == "toto-0001"
    assert ready(workspace, "toto-0002", "prod").path.name == ".best_model_path.prod"


def test_the_leaderboard_as_a_file(workspace, database):
    finished(workspace, "toto-0001", 0.5, name="a | b")
    Store(workspace).catch_up().check()
    boards = leaderboards(workspace.database)
    assert written(boards, "md").startswith("# Best by val_pct_mae\n\n|")
    rows = list(csv.DictReader(io.StringIO(written(boards, "csv"))))
    assert [(row["id"], row["rank"], row["value"], row["metric"]) for row in rows] == [
        ("toto-0001", "1", "0.5", "val_pct_mae"), ("naive", "", "0.588", "val_pct_mae"),
    ]  # fmt: skip
