"""Which run is best: by validation, on the same data and windows, with naive in its place."""

from __future__ import annotations

import json
import math

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import rundir
from engine.board import Board, direction_of, dm_words
from engine.board_text import render
from engine.errors import NothingToShow, UnknownFamily, UsageError
from engine.select import leaderboard, leaderboards
from engine.store import Store
from tests.engine.store_folders import T0, Run, finished

pytestmark = pytest.mark.usefixtures("database")
OTHER = {"path": "other", "fingerprint": "e" * 32, "files": 1, "bytes": 5, "synthetic": False}


def board(workspace, *args, **options) -> Board:
    Store(workspace).catch_up().check()
    return leaderboard(workspace.database, *args, **options)


def test_naive_stands_where_it_belongs(workspace):
    finished(workspace, "toto-0001", 0.600, dm_stat=2.5, dm_pvalue=0.012, name="wide")
    finished(workspace, "toto-0002", 0.570, dm_stat=-3.1, dm_pvalue=0.0004)
    finished(workspace, "toto-0003", 0.580, dm_stat=-0.4, dm_pvalue=0.69)
    found = board(workspace)
    assert [(row.rank, row.id) for row in found.rows] == [
        (1, "toto-0002"), (2, "toto-0003"), (None, "naive"), (3, "toto-0001"),
    ]  # fmt: skip
    best = found.best
    assert best is not None
    assert (best.value, best.naive, best.words) == (0.570, 0.588, "better than naive, p < 0.001")
    assert best.skill == pytest.approx(1 - 0.570 / 0.588)
    assert (best.steps, best.hours, best.checkpoint) == (19, 1.0, "runs/toto-0002/checkpoints/step-000100")
    assert [row.words for row in found.rows if not row.is_naive][1:] == [
        "no different from naive, p = 0.69", "worse than naive, p = 0.012",
    ]  # fmt: skip
    assert found.sentence == "toto-0002 beats the naive forecast (0.588) by 3.1 % (p < 0.001)."
    assert found.note == ""
    shown = render(found)
    assert shown.index("toto-0003") < shown.index("-  naive") < shown.index("toto-0001 (wide)")
    assert "The data are synthetic." in shown
    assert json.loads(json.dumps(found.as_json()))["rows"][2]["id"] == "naive"
    top = board(workspace, top_k=1)
    assert [row.id for row in top.rows] == ["toto-0002", "naive"]


def test_nothing_beats_naive(workspace):
    finished(workspace, "toto-0003", 0.6, dm_stat=1.0, dm_pvalue=0.3)
    assert board(workspace).sentence == (
        "No run beats the naive forecast (0.588); the best, toto-0003, is 2.0 % worse."
    )


def test_better_by_chance_is_said_to_be(workspace):
    finished(workspace, "toto-0001", 0.587, dm_stat=-0.2, dm_pvalue=0.8)
    assert board(workspace).sentence.endswith("by 0.2 %, which may be chance (p = 0.8).")


def test_a_missing_number_never_wins(workspace):
    finished(workspace, "toto-0001", None)
    finished(workspace, "toto-0002", 0.9)
    Run(workspace, "toto-0003")
    Run(workspace, "exec-0004").log(1, val_pct_mae=None)
    found = board(workspace)
    assert [row.id for row in found.rows] == ["naive", "toto-0002"]
    assert set(found.left_out) == {"toto-0001", "toto-0003", "exec-0004"}
    assert "3 without a val_pct_mae left out" in found.note


def test_only_what_can_be_compared_is_ranked(workspace):
    finished(workspace, "toto-0001", 0.6)
    finished(workspace, "toto-0002", 0.61)
    finished(workspace, "toto-0004", 0.2, horizon=8)
    finished(workspace, "toto-0005", 0.3, windows=7)
    Run(workspace, "toto-0006").log(1, val_pct_mae=0.01)
    Run(workspace, "exec-0007", data=None).log(1, val_pct_mae=0.001)
    found = board(workspace)
    assert [row.id for row in found.rows] == ["naive", "toto-0001", "toto-0002"]
    assert found.note.startswith("4 left out that can't be compared")
    for words in ("horizon 8", "7 windows", "no final evaluation", "unknown data"):
        assert words in found.note


def test_different_data_are_never_ranked_together(workspace):
    finished(workspace, "toto-0001", 0.6)
    finished(workspace, "toto-0002", 0.61)
    finished(workspace, "toto-0003", 0.1, data=OTHER)
    with pytest.raises(UsageError) as refused:
        board(workspace)
    for words in ("2 different data sets", "eeeeeeeeeeee (other, 1 run)", "ffffffffffff (trainingdata, 2 runs)",
                  "--dataset", "--all-data"):  # fmt: skip
        assert words in str(refused.value)
    for chosen in ("eee", "other"):
        other = board(workspace, dataset=chosen)
        assert [row.id for row in other.rows if not row.is_naive] == ["toto-0003"]
        assert (other.data, other.synthetic) == ("other", False)
    both = leaderboards(workspace.database)
    assert [[row.id for row in one.rows if not row.is_naive] for one in both] == [
        ["toto-0001", "toto-0002"], ["toto-0003"],
    ]  # fmt: skip
    assert [one.note for one in both] == ["", ""]
    some = board(workspace, only=["toto-0002"])
    assert [row.id for row in some.rows if not row.is_naive] == ["toto-0002"]


def test_of_two_groups_of_one_size_the_latest_is_chosen(workspace):
    finished(workspace, "toto-0001", 0.6, horizon=8)
    finished(workspace, "toto-0002", 0.7)
    found = board(workspace).best
    assert found is not None
    assert found.id == "toto-0002"


def test_seeds_show_how_much_is_chance(workspace):
    """Runs that differ in the seed alone have a spread, and what lies within it is a tie."""
    slow = {"train": {"lr": 1e-5}, "data": {"horizon": 64}}
    for number, (seed, value) in enumerate(((1, 0.50), (2, 0.54), (2, 0.52)), 1):
        finished(workspace, f"toto-{number:04d}", value, seed=seed)
    finished(workspace, "toto-0004", 0.51, config=slow, seed=1)
    finished(workspace, "toto-0005", 0.55, config=slow, seed=1, git={"commit": "b" * 40})
    found = board(workspace)
    rows = {row.id: row for row in found.rows}
    assert [row.id for row in found.rows if not row.is_naive] == [f"toto-000{n}" for n in (1, 4, 3, 2, 5)]
    spread = math.sqrt(2) * 0.01  # 0.50 and 0.52: of the seed that ran twice, the last
    assert rows["toto-0001"].spread == pytest.approx(spread)
    assert (rows["toto-0001"].seeds, rows["toto-0001"].mean) == (2, pytest.approx(0.51))
    assert (rows["toto-0004"].seeds, rows["toto-0004"].spread) == (1, None)
    assert [rows[f"toto-000{n}"].tie for n in (1, 2, 3, 4, 5)] == [False, False, True, True, False]
    assert rows["toto-0004"].against_best == "tie: seeds of one config differ by as much (±0.02)"
    assert found.sentence.endswith("2 others tie with it.")
    shown = render(found)
    assert "2 =  toto-0004" in shown
    assert "0.51 ± 0.014 (2 seeds)" in shown


def test_a_difference_that_the_test_does_not_find_is_a_tie(workspace):
    """Losses at the same windows decide, not the two means."""
    finished(workspace, "toto-0001", 0.50).forecasts([0.5 + 0.001 * (day % 3) for day in range(40)])
    finished(workspace, "toto-0002", 0.51).forecasts([0.5 + 0.4 * (-1) ** day for day in range(40)])
    finished(workspace, "toto-0003", 0.52).forecasts([0.7 + 0.1 * (-1) ** day for day in range(40)])
    finished(workspace, "toto-0004", 0.53)
    rows = {row.id: row for row in board(workspace).rows}
    assert (rows["toto-0002"].tie, rows["toto-0003"].tie, rows["toto-0004"].tie) == (True, False, False)
    assert rows["toto-0002"].against_best.startswith("tie: no different, p = ")
    assert rows["toto-0003"].against_best == "worse, p < 0.001"
    assert rows["toto-0004"].against_best == ""


def test_test_results_show_once_promoted_and_cost_is_told(workspace):
    kept, promoted = finished(workspace, "toto-0001", 0.5), finished(workspace, "toto-0002", 0.6)
    kept.evaluate("test", pct_mae=0.4)
    promoted.evaluate("test", pct_mae=0.7)
    promoted.evaluate("unseen", pct_mae=0.9)
    promoted.order("promote", "checkpoints/step-000100")
    gpu = Run(workspace, "toto-0003")
    gpu.start(("GPU-1",))
    gpu.evaluate(pct_mae=0.55)
    gpu.end(after=7200)
    for second in range(0, 7200, 600):
        device = {"uuid": "GPU-1", "index": 0, "power": 250}
        rundir.append(workspace.host / "2025-11-20.jsonl", {"t": T0 + 3 + second, "devices": [device]})
    dark = Run(workspace, "toto-0004")
    dark.start(("GPU-9",))
    dark.evaluate(pct_mae=0.56)
    dark.end()
    found = board(workspace)
    rows = {row.id: row for row in found.rows}
    assert (rows["toto-0001"].test, rows["toto-0001"].gap) == (None, None)
    assert (rows["toto-0002"].test, rows["toto-0002"].unseen) == (0.7, 0.9)
    assert rows["toto-0002"].gap == pytest.approx((1 - 0.7 / 0.588) - (1 - 0.6 / 0.588))
    assert rows["toto-0001"].cost == "60 min of CPU"
    assert (rows["toto-0003"].device_hours, rows["toto-0003"].kwh) == (2.0, pytest.approx(0.5))
    assert rows["toto-0003"].cost == "2.0 h of device, 0.5 kWh"
    assert rows["toto-0004"].cost == "60 min of device, kWh n/a"
    assert "0.4" not in [cell for line in render(found).splitlines() for cell in line.split()]


def test_other_metrics_rank_too(workspace):
    for number, least in ((1, 0.5), (2, 0.25)):
        run = Run(workspace, f"exec-{number:04d}")
        run.log(1, loss=least, acc=least, val_pct_mae=least)
        run.log(2, loss=9.0, acc=0.1, val_pct_mae=9.0)
    ranked = board(workspace, "loss")
    assert [(row.id, row.value) for row in ranked.rows] == [("exec-0002", 0.25), ("exec-0001", 0.5)]
    assert ranked.sentence == "The best is exec-0002."
    assert "best values logged while training" in ranked.note
    assert [row.id for row in board(workspace, "acc").rows] == ["exec-0001", "exec-0002"]
    assert [row.id for row in board(workspace, "loss", "max").rows] == ["exec-0001", "exec-0002"]
    assert [row.value for row in board(workspace).rows] == [0.25, 0.5]
    finished(workspace, "toto-0003", 0.6)
    skill = board(workspace, "val_skill")
    assert [row.id for row in skill.rows] == ["naive", "toto-0003"]
    assert skill.direction == "max"


def test_what_cannot_be_asked(workspace):
    workspace.database.unlink()
    with pytest.raises(NothingToShow):
        leaderboard(workspace.database)
    finished(workspace, "toto-0001").evaluate("test", pct_mae=0.1)
    with pytest.raises(UsageError, match=r"selection is on validation only\. Try val_pct_mae"):
        board(workspace, "test_pct_mae")
    with pytest.raises(UsageError, match="Did you mean val_pct_mae"):
        board(workspace, "val_pct_mea")
    with pytest.raises(UsageError, match="min or max"):
        board(workspace, direction="up")
    with pytest.raises(UnknownFamily, match="Did you mean toto"):
        board(workspace, family="totp")
    with pytest.raises(UsageError, match=r"No run is on data 'abc'\. There are: ffffffffffff"):
        board(workspace, dataset="abc")
    with pytest.raises(UsageError, match="top-k"):
        board(workspace, top_k=0)


def test_no_results_yet(workspace):
    Run(workspace)
    found = board(workspace)
    assert (found.rows, found.best) == ((), None)
    assert render(found) == "No run has a result yet.\n1 without a val_pct_mae left out: toto-0001."


def test_a_connection_will_do(workspace):
    finished(workspace, "toto-0001")
    Store(workspace).catch_up().check()
    with duckdb.connect(str(workspace.database), read_only=True) as con:
        assert leaderboard(con).best is not None


@pytest.mark.parametrize(
    ("metric", "way"),
    [("val_pct_mae", "min"), ("loss", "min"), ("val_skill", "max"), ("val_pct_r2", "max"), ("windows_per_s", "max")],
)
def test_which_way_is_better(metric, way):
    assert direction_of(metric) == way


@given(stat=st.floats(), p=st.floats())
def test_a_word_for_every_test(stat, p):
    words = dm_words(stat, p)
    if math.isfinite(stat) and math.isfinite(p):
        assert words.startswith("better") == (stat < 0 and p < 0.05)
    else:
        assert words == ""
