"""Runs side by side: differences of specs, paired tests, symbols, curves; as text, Markdown, HTML and JSON."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from engine import page
from engine.compare import compare
from engine.compare_page import parts, spark
from engine.errors import UnknownRun, UsageError
from engine.store import Store
from engine.workspace import Workspace
from tests.engine.store_folders import Run, finished


@pytest.fixture(scope="module")
def two(tmp_path_factory, empty_database):
    workspace = Workspace(tmp_path_factory.mktemp("w"))
    shutil.copy(empty_database, workspace.database)
    first = finished(workspace, "toto-0001", 0.50, name="a | b")
    first.forecasts([0.5 + 0.01 * (day % 3) for day in range(20)], symbols=("ARM", "JD"))
    changed = {"train": {"lr": 1e-3, "ema": True, "optimizer": "adamw"}, "data": {"context": 512, "horizon": 64}}
    second = finished(workspace, "toto-0002", 0.60, config=changed, seed=8, git={"commit": "b" * 40, "dirty": True})
    second.forecasts([0.8 - 0.01 * (day % 2) for day in range(15)], symbols=("JD",))
    second.evaluate("test", pct_mae=0.4)
    Store(workspace).catch_up().check()
    return workspace


def test_what_differs_and_who_is_better(two):
    found = compare(two, ["toto-0001", "toto-0002"])
    assert [(one.part, one.name, one.values) for one in found.differences] == [
        ("run", "seed", (7, 8)),
        ("settings", "train.lr", (0.0003, 0.001)),
        ("code", "commit", ("a" * 40, "b" * 40)),
        ("code", "branch", ("main", "")),
        ("code", "uncommitted changes", ("no", "yes")),
    ]
    metrics = {metric.name: metric for metric in found.metrics}
    assert next(iter(metrics)) == "val_pct_mae"
    assert (metrics["val_pct_mae"].values, metrics["val_pct_mae"].best) == ((0.5, 0.6), 0)
    assert metrics["val_skill"].best == 0
    assert metrics["val_naive_pct_mae"].best is None
    assert not any(name.startswith("test") for name in metrics)
    test = found.tests["toto-0002"]
    assert (test.windows, test.origins, test.words) == (15, 15, "worse, p < 0.001")
    assert found.symbols["ARM"]["toto-0001"] == (pytest.approx(1 - 0.5 / 0.588), 0.5)
    assert found.curves["val_pct_mae"]["toto-0001"] == [(0, 0.6), (10, pytest.approx(0.5999))]
    assert len(found.curves["loss"]["toto-0002"]) == 20
    plain = json.loads(json.dumps(found.as_json()))
    assert plain["tests"]["toto-0002"]["words"] == "worse, p < 0.001"
    assert plain["symbols"]["ARM"]["toto-0002"]["pct_mae"] == 0.6


def test_runs_that_nobody_evaluated_are_compared_by_what_they_logged(workspace, database):
    for number, best in ((1, 0.7), (2, 0.6)):
        run = Run(workspace, f"exec-000{number}", family="exec")
        run.start()
        for step, error in enumerate((0.9, best, 0.8)):
            run.log(step, loss=error + 1, val_pct_mae=error, val_naive_pct_mae=0.75, accuracy=number / 10, epoch=step,
                    temperature=step + number, steps_per_s=9.0)  # fmt: skip
        run.end()
    Store(workspace).catch_up().check()
    found = compare(workspace, ["exec-0001", "exec-0002"])
    assert found.logged
    assert [(one.name, one.values, one.best) for one in found.metrics] == [
        ("val_pct_mae", (0.7, 0.6), 1),
        ("val_naive_pct_mae", (0.75, 0.75), None),
        ("accuracy", (0.1, 0.2), 1),
        ("loss", (1.7, 1.6), 1),
        ("temperature", (3.0, 4.0), None),
    ]
    for said in (page.terminal(parts(found, pictures=False)), page.markdown(parts(found, pictures=False))):
        assert "None of these runs has been evaluated: these are the best values logged" in said


def test_every_form_says_the_same(two):
    found = compare(two, ["toto-0001", "toto-0002"])
    text = page.terminal(parts(found, pictures=False))
    markdown = page.markdown(parts(found, pictures=False))
    html = page.html("t", parts(found, pictures=True))
    for said in (text, markdown, html):
        for words in ("train.lr", "0.0003", "worse, p &lt; 0.001" if said is html else "worse, p < 0.001", "+0.150"):
            assert words in said, words
    assert "| a \\| b" not in markdown
    assert "(a \\| b)" in markdown
    assert html.count("<svg") == 2
    ids = [piece.split('"')[0] for piece in html.split(' id="')[1:]]
    assert len(ids) == len(set(ids))
    assert "http" not in html.replace("http://www.w3.org", "")
    assert "rgba(0,114,178" in html  # a skill above 0
    single = {metric: {run: points[:1] for run, points in drawn.items()} for metric, drawn in found.curves.items()}
    html = page.html("t", parts(replace(found, curves=single), pictures=True))
    assert "<svg" not in html, "one value each is a row of the table, no curve"


def test_what_does_not_compare_is_said(workspace):
    finished(workspace, "toto-0001", 0.5)
    finished(workspace, "toto-0002", 0.1, config={"data": {"horizon": 8}}, data=None)
    Store(workspace).catch_up().check()
    found = compare(workspace, ["toto-0001", "toto-0002"])
    assert found.note == "The runs are on different data and horizons: their results do not compare."
    assert all(metric.best is None for metric in found.metrics)
    text = page.terminal(parts(found, pictures=False))
    assert found.note in text
    assert "window by window" not in text


def test_what_cannot_be_compared(workspace):
    finished(workspace, "toto-0001")
    Run(workspace, "toto-0002")
    Store(workspace).catch_up().check()
    with pytest.raises(UsageError, match="1 run to compare: expected 2 to 32"):
        compare(workspace, ["toto-0001", "toto-0001"])
    with pytest.raises(UnknownRun, match="toto-0009"):
        compare(workspace, ["toto-0001", "toto-0009"])
    text = page.terminal(parts(compare(workspace, ["toto-0001", "toto-0002"]), pictures=False))
    assert "nothing can be tested" in text
    assert "Nothing in settings, code, packages, environment and data." in text


def test_a_curve_in_a_line():
    assert spark([0.0, 1.0, 2.0, 3.5, 7.0]) == "▁▂▃▅█"
    assert spark([2.0, 2.0]) == "▁▁"
    assert spark([]) == ""
    assert len(spark(list(range(1000)), 40)) == 40
