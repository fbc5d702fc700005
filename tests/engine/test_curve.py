"""The way of a loss: all of it, in order, few numbers; and after a restart as it was before."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.curve import SPARK, Curve
from engine.folders import RECENT, Follower, sketch
from engine.live import Progress
from engine.records import Spec
from engine.tail import Tail

LOSSES = st.lists(st.floats(-1e6, 1e6), max_size=400)


@given(LOSSES)
def test_it_holds_every_value_once_in_means_of_as_many(losses):
    curve = Curve()
    for loss in losses:
        curve.add(loss)
    each = 1
    while len(losses) >= each * (SPARK + 1):
        each *= 2
    whole = len(losses) // each * each
    means = [sum(losses[i : i + each]) / each for i in range(0, whole, each)]
    assert [*curve] == pytest.approx(means, abs=1e-6)
    assert len(losses) < SPARK or SPARK // 2 <= len(curve) <= SPARK


def write(folder, lines):
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def taken_in(folder, times=1):
    progress, follower = Progress(), Follower(folder, Spec(family="exec", command=("true",), cwd="/"))
    for _ in range(times):
        follower.take_in(progress)
    follower.close()
    return progress


@pytest.mark.parametrize("count", [20, 900, 5_000, 60_000])
def test_after_a_restart_it_is_the_same_way_though_little_of_it_is_read(tmp_path, count):
    lines = [{"t": 1e9 + i, "step": i, "loss": math.exp(-3 * i / count), "lr": 0.001 * i} for i in range(count)]
    write(tmp_path, lines)
    followed, again = Progress(), taken_in(tmp_path, times=3)
    for line in lines:
        followed.metrics(line)
    followed.settle()
    again.settle()
    assert (tmp_path / "metrics.jsonl").stat().st_size > RECENT or again.spark == followed.spark
    assert [*again.spark] == pytest.approx([*followed.spark], abs=0.07)
    assert [*again.spark] == sorted(again.spark, reverse=True)


def test_lines_without_a_loss_and_damaged_ones_draw_nothing(tmp_path):
    write(tmp_path, [{"t": i, "step": i, "lr": 0.1} for i in range(9_000)])
    assert not taken_in(tmp_path).spark
    (tmp_path / "metrics.jsonl").write_bytes(b'{"loss": 1' * 30_000 + b"\n\xff\n" * 30_000)
    assert not taken_in(tmp_path).spark
    tail = Tail(tmp_path / "metrics.jsonl", last=RECENT)
    (tmp_path / "metrics.jsonl").unlink()
    assert not sketch(tail)
