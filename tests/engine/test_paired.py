"""The engine's Diebold-Mariano test: the trainers' own, closed forms of Student's t, and losses over common windows."""

from __future__ import annotations

import math

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.paired import diebold_mariano, p_words, paired, student_t_pvalue
from engine.store_forecasts import against, bands
from tests.engine.store_folders import Run
from trainers import metrics


@example([0.0, 0.0, 0.0, 1.0, 0.0, 0.0], 2)  # autocovariances that cancel: rounding leaves a variance of 1e-17
@given(differences=st.lists(st.floats(-10, 10).map(lambda x: round(x, 3)), max_size=60), lags=st.integers(0, 5))
def test_it_is_the_test_of_the_trainers(differences, lags):
    ours, theirs = diebold_mariano(differences, lags), metrics.diebold_mariano(differences, lags)
    assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-9, nan_ok=True)


def test_students_t_has_closed_forms():
    assert student_t_pvalue(1.0, 1) == pytest.approx(0.5)  # Cauchy: 1 - 2/pi * atan(t)
    assert student_t_pvalue(-2.0, 2) == pytest.approx(1 - 2 / math.sqrt(6))  # 1 - t / sqrt(2 + t^2)
    assert student_t_pvalue(2.228, 10) == pytest.approx(0.05, abs=2e-5)  # from any table
    assert student_t_pvalue(1.96, 100_000) == pytest.approx(0.05, abs=1e-4)


def test_the_sign_in_words():
    better = paired([-1.0, -1.2, -0.9, -1.1], 4, 0)
    assert better.words == "better, p < 0.001"
    assert paired([1.0, 1.2, 0.9, 1.1], 4, 0).words == "worse, p < 0.001"
    unclear = paired([1.0, -1.2, 0.9, -1.1], 4, 0)
    assert unclear.same
    assert unclear.words == f"no different, {p_words(unclear.p or 0)}"
    assert (paired([1.0], 1, 0).words, paired([], 0, 0).difference) == ("", None)


def test_only_windows_that_both_have_count(workspace):
    one, two, none = Run(workspace), Run(workspace, "toto-0002"), Run(workspace, "toto-0003")
    one.forecasts([0.5, 0.6, 0.7, 0.8], symbols=("ARM", "JD"))
    two.forecasts([1.5, -0.6, 0.1], symbols=("JD", "XOM"))
    with duckdb.connect() as con:
        found = against(con, workspace.runs, one.id, [two.id, none.id])
        assert list(found) == [two.id]
        assert (found[two.id].origins, found[two.id].windows) == (3, 3)
        assert found[two.id].difference == pytest.approx((1.0 + 0.0 - 0.6) / 3)
        assert against(con, workspace.runs, none.id, [one.id]) == {}
        two.evaluate(definitions={"dm_lags": 1})
        later = against(con, workspace.runs, one.id, [two.id])[two.id]
        assert (later.stat, later.p) == pytest.approx(diebold_mariano([1.0, 0.0, -0.6], 1))
        band = bands(con, workspace.runs, one.id, ["JD", "NO"])
    assert list(band) == ["JD"]
    assert (band["JD"].median, band["JD"].levels, band["JD"].last) == ([100.8] * 4, (0.1, 0.9), 100.0)
    assert band["JD"].origin == "2025-01-04 00:00:00"
