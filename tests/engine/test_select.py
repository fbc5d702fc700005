"""Which run is best: by validation, on the same data and windows, with naive in its place."""

from __future__ import annotations

import json
import math

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import NothingToShow, UnknownFamily, UsageError
from engine.select import Board, direction_of, dm_words, leaderboard, render
from engine.store import Store
from tests.engine.store_folders import Run, finished

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
    assert shown.index("toto-0003") < shown.index("naive  ") < shown.index("toto-0001 (wide)")
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
    finished(workspace, "toto-0003", 0.1, data=OTHER)
    finished(workspace, "toto-0004", 0.2, horizon=8)
    finished(workspace, "toto-0005", 0.3, windows=7)
    Run(workspace, "toto-0006").log(1, val_pct_mae=0.01)
    found = board(workspace)
    assert [row.id for row in found.rows] == ["naive", "toto-0001", "toto-0002"]
    assert found.note.startswith("4 left out that can't be compared")
    for words in ("data eeeeeeeeeeee", "horizon 8", "7 windows", "no final evaluation", "--fingerprint"):
        assert words in found.note
    other = board(workspace, fingerprint="eee")
    assert other.best is not None
    assert other.best.id == "toto-0003"
    assert not other.synthetic


def test_of_two_groups_of_one_size_the_latest_is_chosen(workspace):
    finished(workspace, "toto-0001", 0.6, data=OTHER)
    finished(workspace, "toto-0002", 0.7)
    found = board(workspace).best
    assert found is not None
    assert found.id == "toto-0002"


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
    with pytest.raises(UsageError, match="ffffffffffff"):
        board(workspace, fingerprint="abc")
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


@settings(deadline=None)
@given(stat=st.floats(), p=st.floats())
def test_a_word_for_every_test(stat, p):
    words = dm_words(stat, p)
    if math.isfinite(stat) and math.isfinite(p):
        assert words.startswith("better") == (stat < 0 and p < 0.05)
    else:
        assert words == ""
