"""No target in two splits, the purge kept, no window over two symbols, no window forgotten."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from trainers.data.config import DataConfig
from trainers.data.errors import DataError
from trainers.data.split import Splits, cut

DAY = 86_400_000_000_000


@st.composite
def worlds(draw):
    """Symbols that start, end and pause at their own dates, with a target missing here and there; and a config."""
    days = draw(st.integers(30, 150))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    times, observed = [], []
    for _ in range(draw(st.integers(1, 4))):
        first = draw(st.integers(0, days - 2))
        last = draw(st.integers(first + 1, days))
        there = rng.random(last - first) > draw(st.sampled_from([0.0, 0.0, 0.2]))
        there[0] = True
        times.append((np.flatnonzero(there) + first) * DAY)
        observed.append(rng.random(there.sum()) > draw(st.sampled_from([0.0, 0.0, 0.3])))
    config = DataConfig(
        context=draw(st.integers(2, 12)),
        horizon=draw(st.integers(1, 6)),
        stride=draw(st.integers(1, 5)),
        val_fraction=draw(st.sampled_from([0.1, 0.15, 0.3])),
        test_fraction=draw(st.sampled_from([0.0, 0.15, 0.3])),
        purge=draw(st.sampled_from([0, 8])),
        unseen=("S0",) if len(times) > 1 and draw(st.booleans()) else (),
    )
    return times, observed, config, draw(st.sampled_from([0, 1, 3]))


def split_of(times, observed, config, step) -> tuple[Splits, np.ndarray, np.ndarray]:
    names = [f"S{s}" for s in range(len(times))]
    offsets = np.concatenate([[0], np.cumsum([len(t) for t in times])])
    flat = np.concatenate(times)
    return cut(names, offsets, flat, np.concatenate(observed), config, step), offsets, flat


# Most small worlds are too short to be cut at all.
@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(worlds())
def test_splits_keep_apart(world):
    times, observed, config, step = world
    try:
        splits, offsets, flat = split_of(times, observed, config, step)
    except DataError:
        assume(False)
    calendar = np.unique(flat)
    place = np.searchsorted(calendar, flat)
    context, horizon = config.context, config.horizon
    targets, symbol = {}, {}
    for name in ("train", "val", "test", "unseen"):
        starts = splits[name].starts
        symbol[name] = np.searchsorted(offsets, starts, side="right") - 1
        # the whole window lies within its symbol
        assert (starts + context + horizon <= offsets[symbol[name] + 1]).all()
        assert len(np.unique(starts)) == len(starts)
        targets[name] = {int(r) for s in starts for r in range(s + context, s + context + horizon)}
    # no row is a target of two splits, and the purge lies between them, in calendar steps and in rows of the symbol
    for early, late in (("train", "val"), ("val", "test"), ("train", "test"), ("train", "unseen")):
        assert not targets[early] & targets[late]
        if targets[early] and targets[late]:
            between = min(place[r] for r in targets[late]) - max(place[r] for r in targets[early]) - 1
            assert between >= config.gap
        for s in range(len(times)):
            rows = [[r for r in targets[n] if offsets[s] <= r < offsets[s + 1]] for n in (early, late)]
            if all(rows):
                assert min(rows[1]) - max(rows[0]) - 1 >= config.gap
    # unseen symbols are nowhere else, and scalers see none of their rows
    held = {0} if config.unseen else set()
    assert set(symbol["unseen"].tolist()) <= held
    for name in ("train", "val", "test"):
        assert not set(symbol[name].tolist()) & held
    for s in range(len(times)):
        assert splits.train_end[s] <= min(
            (r for r in targets["val"] | targets["unseen"] if offsets[s] <= r), default=1e9
        )
    # evaluation windows lie a step apart in each symbol, and groups follow time
    for name in ("val", "test", "unseen"):
        starts, groups = splits[name].starts, splits[name].groups
        same = np.diff(symbol[name]) == 0
        assert (np.diff(starts)[same] >= splits.step).all()
        assert (np.diff(groups)[same] >= 1).all()
        assert (groups >= 0).all()


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(worlds())
def test_every_eligible_window_is_there(world):
    """Counted the slow way: each row that may be a first target, on the grid of the symbol's first such row."""
    times, observed, config, step = world
    try:
        splits, offsets, flat = split_of(times, observed, config, step)
    except DataError:
        assume(False)
    calendar = np.unique(flat)
    place = np.searchsorted(calendar, flat)
    seen = np.concatenate(observed)
    context, horizon = config.context, config.horizon
    val_at = int(np.searchsorted(calendar, splits.val_from))
    test_at = len(calendar) if splits.test_from is None else int(np.searchsorted(calendar, splits.test_from))

    def full(first_target: int) -> bool:
        before, after = seen[first_target - context : first_target], seen[first_target : first_target + horizon]
        return bool(before.any() and after.any())

    expected = {"train": set(), "val": set(), "test": set(), "unseen": set()}
    for s in range(len(times)):
        rows = range(int(offsets[s]), int(offsets[s + 1]))
        first_val = next((r for r in rows if place[r] >= val_at), rows.stop)
        first_test = next((r for r in rows if place[r] >= test_at), rows.stop)

        def fits(r: int, begin: int, end: int, until: int, rows: range = rows) -> bool:
            inside = max(begin, rows.start + context) <= r and r + horizon <= end
            return inside and all(place[i] < until for i in range(r, r + horizon))

        unseen = f"S{s}" in config.unseen
        if not unseen:
            free = [r for r in rows if fits(r, rows.start, first_val - config.gap, val_at - config.gap)]
            expected["train"] |= {r for r in free if (free[-1] - r) % config.stride == 0 and full(r)}
        periods = (
            [("unseen", first_val, rows.stop, 10**9, val_at)]
            if unseen
            else [
                ("val", first_val, rows.stop, 10**9, val_at)
                if splits.test_from is None
                else ("val", first_val, first_test - config.gap, test_at - config.gap, val_at),
                ("test", first_test, rows.stop, 10**9, test_at),
            ]
        )
        for name, begin, end, until, origin in periods:
            free = [r for r in rows if fits(r, begin, end, until)]
            if free and place[free[0]] != origin:
                common = [
                    r for r in range(free[0], min(free[0] + splits.step, end)) if (place[r] - origin) % splits.step == 0
                ]
                if common:
                    free = [r for r in free if r >= common[0]]
            expected[name] |= {r for r in free if (r - free[0]) % splits.step == 0 and full(r)}
    for name, rows in expected.items():
        assert {int(s) + context for s in splits[name].starts} == rows, name


def plain(lengths, config, starts=None, step=0):
    times = [(np.arange(n) + (0 if starts is None else starts[i])) * DAY for i, n in enumerate(lengths)]
    return split_of(times, [np.ones(n, bool) for n in lengths], config, step)[0]


def test_counts_by_hand():
    # 100 days: test from 90, val from 80. Training targets end before 80 - 4; val ends before 90 - 4.
    config = DataConfig(context=8, horizon=4, val_fraction=0.1, test_fraction=0.1)
    splits = plain([100], config)
    assert splits.train.starts.tolist() == list(range(76 - 12 + 1))
    assert splits.val.starts.tolist() == [80 - 8]  # rows 80..85 hold one window of 4
    assert splits.test.starts.tolist() == [90 - 8, 94 - 8]
    assert splits.train_end.tolist() == [76]
    assert (splits.val_from, splits.test_from) == (80 * DAY, 90 * DAY)


def test_explicit_dates_and_purge():
    config = DataConfig(context=8, horizon=4, val_from="1970-02-20", test_from="1970-03-22", purge=10)
    splits = plain([100], config)
    assert (splits.val_from, splits.test_from) == (50 * DAY, 80 * DAY)
    assert splits.train_end.tolist() == [40]
    assert splits.val.starts.tolist() == [r - 8 for r in (50, 54, 58, 62, 66)]


def test_origins_of_all_symbols_fall_on_the_same_days():
    config = DataConfig(context=8, horizon=4, val_fraction=0.3, test_fraction=0.2)
    splits = plain([100, 43], config, starts=[0, 57])
    offsets = (0, 100)
    days = [
        {int(s) - o + d + 8 for s in splits.test.starts if o <= s < o + n} for o, n, d in ((0, 100, 0), (100, 43, 57))
    ]
    assert days[1] <= days[0]
    assert days[1]
    assert offsets[1] == 100
    assert sorted(set(splits.test.groups.tolist())) == [0, 1, 2, 3, 4]
    late = splits.val.starts >= 100  # listed after the cut: 57 + 8 = 65, and the grid has 50, 54, 58, 62, 66
    assert (splits.val.starts[late][0] - 100 + 57 + 8, splits.val.groups[late][0]) == (66, 4)


def test_too_short_names_symbols_lengths_and_need():
    with pytest.raises(DataError) as caught:
        plain([40, 30], DataConfig(context=64, horizon=8))
    said = str(caught.value)
    assert "S0 40, S1 30" in said
    assert "data.context 64 + data.horizon 8 = 72 rows" in said
    assert "\n" not in said


def test_a_short_symbol_beside_long_ones_is_told():
    splits = plain([300, 20], DataConfig(context=32, horizon=4), starts=[0, 0])
    assert splits.notes == ("left out, too short for data.context 32 + data.horizon 4 = 36 rows: S1 20",)
    splits = plain([300, 120], DataConfig(context=32, horizon=4), starts=[0, 0])
    assert splits.notes == (
        "no validation window, too few rows there (rows in all): S1 120",
        "no test window, too few rows there (rows in all): S1 120",
    )
    assert (splits.train.starts >= 300).any()


def test_a_named_symbol_that_is_too_short_is_an_error():
    with pytest.raises(DataError, match="named symbols cannot give a window: S1 20"):
        plain([300, 20], DataConfig(context=32, horizon=4, unseen=("S1",)))
    with pytest.raises(DataError, match="named symbols cannot give a window: S1 20"):
        plain([300, 20], DataConfig(context=32, horizon=4, symbols=("S0", "S1")))


def test_dates_outside_and_unknown_unseen():
    with pytest.raises(
        DataError, match=r"data\.val_from = 2030-01-01 lies outside of the data, 1970-01-01 to 1970-04-10"
    ):
        plain([100], DataConfig(context=8, horizon=4, val_from="2030-01-01"))
    with pytest.raises(DataError, match="no symbol 'S7'"):
        plain([100], DataConfig(context=8, horizon=4, unseen=("S7",)))
    with pytest.raises(DataError, match="names every symbol"):
        plain([100], DataConfig(context=8, horizon=4, unseen=("S0",)))


def test_no_test_is_told():
    splits = plain([100], DataConfig(context=8, horizon=4, test_fraction=0.0))
    assert len(splits.test) == 0
    assert splits.test_from is None
    assert splits.notes == ("no test: data.test_fraction is 0",)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"purge": 8}, r"data\.purge = 8 is less than data\.horizon = 16"),
        ({"val_fraction": 0.5, "test_fraction": 0.45}, "leaves less than a tenth"),
        ({"val_from": "soon"}, r"data\.val_from = 'soon'"),
        ({"val_from": "2024-01-01", "test_from": "2023-01-01"}, "must lie before"),
        ({"covariates": ("open", "Close")}, "names a column twice, or the target"),
    ],
)
def test_fields_that_contradict_each_other(wrong, said):
    with pytest.raises(ValueError, match=said):
        DataConfig(**wrong)
