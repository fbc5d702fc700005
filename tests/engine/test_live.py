"""Progress from a run's own lines: known answers, and that no line, however odd, breaks it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.curve import Curve
from engine.live import Progress
from tests.conftest import CHARACTERS


def test_who_tells_no_skill_has_it_reckoned():
    progress = Progress()
    progress.metrics({"t": 1.0, "step": 1, "val_pct_mae": 0.4})
    assert progress.skill is None
    progress.metrics({"t": 1.0, "step": 1, "val_naive_pct_mae": 0.5})
    assert progress.skill == pytest.approx(0.2)
    progress.metrics({"t": 2.0, "step": 2, "val_pct_mae": 0.6})
    progress.metrics({"t": 2.0, "step": 2, "loss": 0.1})
    assert progress.skill == pytest.approx(-0.2)
    progress.metrics({"t": 3.0, "step": 3, "val_pct_mae": 0.5, "val_naive_pct_mae": 0.0})  # nothing to compare with
    assert progress.skill == pytest.approx(-0.2)


def test_a_usual_run():
    progress = Progress()
    progress.event({"t": 0.0, "event": "plan", "steps": 100, "epochs": 10})
    progress.event({"t": 0.0, "event": "phase", "name": "train"})
    for step in range(1, 51):
        progress.metrics({"t": 10 + step * 0.5, "step": step, "epoch": step / 10, "loss": 1 / step})
    assert (progress.step, progress.steps, progress.epoch, progress.epochs) == (50, 100, 5.0, 10.0)
    assert progress.steps_per_s == 2.0
    assert progress.eta == 25.0
    assert [*progress.spark] == pytest.approx([(1 / step + 1 / (step + 1)) / 2 for step in range(1, 51, 2)])
    progress.metrics({"t": 40.0, "step": 50, "val_pct_mae": 0.6, "val_naive_pct_mae": 0.5, "val_skill": -0.2})
    progress.metrics({"t": 41.0, "step": 50, "val_pct_mae": 0.7, "val_naive_pct_mae": 0.5, "val_skill": -0.4})
    assert (progress.metric, progress.best, progress.naive, progress.skill) == (0.7, 0.6, 0.5, -0.4)
    progress.event(
        {"t": 42.0, "event": "evaluation", "split": "val", "metrics": {"val_pct_mae": 0.6, "val_skill": -0.2}}
    )
    assert (progress.metric, progress.skill) == (0.6, -0.2)
    progress.event({"t": 43.0, "event": "evaluation", "split": "test", "metrics": {"val_pct_mae": 0.1}})
    assert progress.metric == 0.6
    progress.event({"t": 44.0, "event": "finished", "step": 100, "why": "steps"})
    assert progress.finished == "steps"


def test_of_an_ended_run_a_curve_is_as_long_as_it_is_drawn():
    progress = Progress()
    for step in range(1, 61):
        progress.metrics({"t": step, "step": step, "loss": 100 / 3 + step})
    progress.settle()
    told = progress.spark
    assert told == (36.8333, 42.8333, 48.8333, 54.8333, 60.8333, 66.8333, 72.8333, 78.8333, 84.8333, 90.8333)
    progress.settle()
    assert progress.spark is told
    progress.metrics({"t": 61, "step": 61, "loss": 1.0})  # a settled run has told more
    assert [*progress.spark] == [*told, 1.0]
    few = Progress(spark=Curve([0.5, 0.25]))
    few.settle()
    assert few.spark == (0.5, 0.25)


def test_a_clock_moved_back_and_a_resumed_step_start_the_pace_anew():
    progress = Progress()
    for t, step in ((100.0, 10), (110.0, 20), (50.0, 30), (60.0, 35)):
        progress.metrics({"t": t, "step": step})
    assert progress.steps_per_s == 0.5


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(CHARACTERS, max_size=4)
    | st.lists(st.integers(), max_size=2)
)
kinds = st.sampled_from(["plan", "phase", "best", "warning", "oom", "failed", "finished", "evaluation", "checkpoint"])
names = st.sampled_from(
    ["t", "step", "epoch", "loss", "val_pct_mae", "steps", "name", "path", "metrics", "split", "why"]
)


@given(
    st.lists(st.tuples(st.booleans(), kinds | scalars, st.dictionaries(names, scalars | st.just({"val_skill": []}))))
)
def test_no_line_breaks_it(lines):
    progress = Progress()
    for is_event, kind, fields in lines:
        if is_event:
            progress.event({**fields, "event": kind})
        else:
            progress.metrics(fields)
    assert progress.eta is None or progress.eta >= 0
    assert progress.step is None or isinstance(progress.step, int)
