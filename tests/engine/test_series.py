"""Curves from a run folder: whatever the file does, bounded in time, with every extreme kept."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import rundir
from engine.series import LOOK_AHEAD, Series, parse, pieces
from engine.thinning import decimate
from tests.conftest import ROOT
from tests.engine.store_folders import T0, Run

SOME = st.floats(allow_nan=True, allow_infinity=True, width=32)


def test_curves_grow_with_the_file(workspace):
    run = Run(workspace)
    series = Series(run.folder)
    assert not series.refresh()  # no file yet
    run.log(0, loss=1.0, epoch=0.0)
    run.log(10, loss=0.5, lr=0.1, epoch=0.5)
    assert series.refresh()
    assert not series.refresh()
    run.log(20, loss=None, epoch=1.0)
    assert series.refresh()
    assert series.names() == ["loss", "lr"]
    xs, ys = series.points("loss")
    assert list(xs) == [0, 10, 20]
    assert list(ys[:2]) == [1.0, 0.5]
    assert math.isnan(ys[2])
    assert math.isnan(series.last("loss"))
    assert series.last("lr") == 0.1
    assert list(series.points("loss", "epoch")[0]) == [0.0, 0.5, 1.0]
    assert list(series.points("loss", "time")[0]) == [0.0, 10.0, 20.0]
    assert [list(column) for column in series.points("never")] == [[], []]


def test_a_half_line_waits_for_its_end(workspace):
    run = Run(workspace)
    path = run.folder / rundir.METRICS
    path.write_bytes(b'{"step":1,"loss":1.0}\n{"step":2,"lo')
    series = Series(run.folder)
    assert series.refresh()
    assert not series.refresh()
    with open(path, "ab") as file:
        file.write(b'ss":2.0}\n')
    assert series.refresh()
    assert list(series.points("loss")[1]) == [1.0, 2.0]


@pytest.mark.parametrize("how", ["shrank", "another", "gone"])
def test_another_file_starts_the_curves_anew(workspace, how):
    run = Run(workspace)
    run.logs(20)
    series = Series(run.folder)
    series.refresh()
    path = run.folder / rundir.METRICS
    if how == "shrank":
        os.truncate(path, 0)
        run.log(7, loss=7.0)
    else:
        os.rename(path, path.with_suffix(".old"))
        if how == "another":
            run.logs(30)
    assert series.refresh()
    assert len(series.points("loss")[0]) == {"shrank": 1, "another": 30, "gone": 0}[how]


def test_a_refresh_is_bounded_and_goes_on_where_it_stopped(workspace):
    run = Run(workspace)
    run.logs(40_000)  # three megabytes
    series = Series(run.folder)
    looks = 0
    while series.refresh(most=1, seconds=60):
        looks += 1
        assert series.behind == (len(series.points("loss")[0]) < 40_000)
    assert looks >= 3
    assert list(series.points("loss")[0]) == list(range(40_000))
    slow = Series(run.folder)
    assert slow.refresh(seconds=0)
    assert slow.behind
    assert 0 < len(slow.points("loss")[0]) < 40_000


def test_a_line_that_is_too_long_is_passed_over(workspace):
    run = Run(workspace)
    run.log(1, loss=1.0)
    with open(run.folder / rundir.METRICS, "ab") as file:
        file.write(b'{"step":2,"x":"' + b"y" * (3 << 20) + b'"}\n')
    run.log(3, loss=3.0)
    series = Series(run.folder)
    series.refresh(seconds=60)
    assert list(series.points("loss")[0]) == [1, 3]
    assert series.passed == 1


NUMBER = st.one_of(st.none(), st.integers(-(10**400), 10**400), st.floats(allow_nan=False, allow_infinity=False))


@given(lines=st.lists(st.one_of(
    st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b" ")),
    st.sampled_from([b'{"step":1,"a":2}', b'{"step":1,"a":2', b'"b":3}', b'{"step":1},{"step":2}', b'{"step":1,', b""]),
    st.dictionaries(st.sampled_from(["step", "t", "a", "b"]), NUMBER, max_size=4).map(
        lambda line: json.dumps(line).encode()),
), max_size=12))  # fmt: skip
def test_lines_read_together_are_the_lines_read_alone(lines):
    data = b"".join(line + b"\n" for line in lines)
    rows, passed = parse(data)
    alone = [parse(line + b"\n") for line in lines]
    assert rows == [row for found, _ in alone for row in found]
    assert passed == sum(count for _, count in alone)


@given(data=st.lists(st.sampled_from([b"a", b"bc", b"\n"]), max_size=60).map(b"".join), start=st.integers(0, 10))
def test_pieces_are_all_finished_lines(tmp_path_factory, data, start):
    path = tmp_path_factory.mktemp("p") / "file"
    path.write_bytes(data)
    fd = os.open(path, os.O_RDONLY)
    found = list(pieces(fd, start))
    os.close(fd)
    end = data.rfind(b"\n") + 1
    assert b"".join(piece.data for piece in found) == (data[start:end] if end > start else b"")
    assert not found or found[-1].end == end


def test_a_line_of_holes_or_without_end_is_leapt_over_in_bounded_steps(tmp_path):
    """A terabyte that is not there, between two lines; and one line that goes on and on."""
    path = tmp_path / "file"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.write(fd, b"a\n")
    os.ftruncate(fd, 1 << 40)
    assert [piece.data for piece in pieces(fd, 0)] == [b"a\n"]
    os.pwrite(fd, b"\nb\n", 1 << 40)
    assert [(piece.data, piece.passed) for piece in pieces(fd, 0)] == [(b"a\n", 0), (b"", 1), (b"b\n", 0)]
    os.ftruncate(fd, 0)
    os.pwrite(fd, b"x" * (LOOK_AHEAD + (3 << 20)), 0)
    first = next(pieces(fd, 0))
    os.close(fd)
    assert (first.data, first.passed) == (b"", 1)
    assert LOOK_AHEAD <= first.end <= LOOK_AHEAD + (2 << 20)


@given(points=st.lists(st.tuples(SOME, SOME), max_size=200), columns=st.integers(1, 12))
def test_decimating_keeps_order_and_every_extreme(points, columns):
    xs, ys = [x for x, _ in points], [y for _, y in points]
    kept_x, kept_y = decimate(xs, ys, columns)
    kept = list(zip(map(float, kept_x), map(float, kept_y), strict=True))
    assert len(kept) <= max(4 * columns, 4)
    if len(points) <= 4 * columns:
        assert list(kept_x) == xs
        return
    seen = [(x, y) for x, y in points if math.isfinite(x)]
    rest = iter(map(repr, seen))
    assert all(repr(point) in rest for point in kept)  # in order, and nothing made up
    fine = [y for _, y in seen if math.isfinite(y)]
    if fine:
        kept_fine = [y for _, y in kept if math.isfinite(y)]
        assert (min(kept_fine), max(kept_fine)) == (min(fine), max(fine))
    if seen:
        assert (repr(kept[0]), repr(kept[-1])) == (repr(seen[0]), repr(seen[-1])) or xs != sorted(xs)


def test_decimating_keeps_a_spike_in_every_column():
    xs = list(range(10_000))
    ys = [100.0 if x % 1000 == 500 else -100.0 if x % 1000 == 501 else math.sin(x) for x in xs]
    _, kept = decimate(xs, ys, 10)
    assert list(kept).count(100.0) == 10
    assert list(kept).count(-100.0) == 10
    with pytest.raises(ValueError, match="columns = 0"):
        decimate(xs, ys, 0)
    with pytest.raises(ValueError, match="as many of each"):
        decimate(xs, ys[:-1], 5)


def test_importing_it_loads_nothing_heavy():
    code = "import sys, engine.series; print([m for m in ('numpy', 'duckdb', 'pandas') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert out == "[]\n"


def test_times_are_those_of_the_lines(workspace):
    run = Run(workspace)
    run.log(0, loss=1.0)
    series = Series(run.folder)
    series.refresh()
    assert series._curves["loss"].t[0] == T0 + 10
