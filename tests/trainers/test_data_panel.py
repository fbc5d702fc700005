"""A batch holds exactly the rows it names; what was missing is filled without looking ahead, and masked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from trainers.data import synth
from trainers.data.config import DataConfig
from trainers.data.dataset import load
from trainers.data.errors import DataError
from trainers.data.panel import Panel, fill
from trainers.data.series import Series

DAY = 86_400_000_000_000
NAN = float("nan")


def series(symbol: str, close: list[float], volume: list[float]) -> Series:
    times = np.arange(len(close), dtype=np.int64) * DAY
    return Series(symbol, times, {"volume": np.array(volume), "close": np.array(close)}, "memory")


def panel() -> Panel:
    a = series("A", [NAN, 1, NAN, NAN, 4], [10, 11, 12, 13, 14])
    b = series("B", [20, 21, 22, 23], [NAN, NAN, NAN, NAN])
    return Panel.build([a, b], ("Close", "volume"))


def test_gaps_are_filled_from_before_and_masked():
    p = panel()
    assert p.variates == ("close", "volume")
    assert p.values.dtype == torch.float32
    assert p.values.tolist() == [[1, 1, 1, 1, 4, 20, 21, 22, 23], [10, 11, 12, 13, 14, 0, 0, 0, 0]]
    assert p.mask[0].tolist() == [False, True, False, False, True, True, True, True, True]
    assert p.mask[1].tolist() == [True] * 5 + [False] * 4
    assert p.offsets.tolist() == [0, 5, 9]


def test_the_fill_of_a_row_depends_on_no_later_row():
    rng = np.random.default_rng(0)
    column = np.where(rng.random(50) < 0.4, np.nan, rng.random(50))
    column[0] = 1.0
    whole, _ = fill(column)
    for cut in range(1, 50):
        np.testing.assert_array_equal(fill(column[:cut])[0], whole[:cut])


def test_a_batch_holds_the_rows_it_names():
    rng = np.random.default_rng(0)
    p = Panel.build([series(s, rng.random(40), rng.random(40)) for s in "ABC"], ("close", "volume"))
    starts = torch.tensor([0, 33, 47, 80, 113])
    batch = p.gather(starts, 7)
    assert batch.values.shape == batch.mask.shape == (5, 2, 7)
    assert batch.values.is_contiguous()
    for i, s in enumerate(starts.tolist()):
        assert torch.equal(batch.values[i], p.values[:, s : s + 7])
        assert torch.equal(batch.mask[i], p.mask[:, s : s + 7])
    assert batch.symbols.tolist() == [0, 0, 1, 2, 2]
    assert len(batch) == 5
    batch.values.zero_()
    assert p.values.abs().sum() > 0  # a batch is a copy


def test_gather_past_the_end_is_an_error():
    p = panel()
    with pytest.raises(IndexError):
        p.gather(torch.tensor([8]), 4)
    with pytest.raises(IndexError, match="longer than the panel"):
        p.gather(torch.tensor([0]), 10)


def test_tail_is_the_end_of_every_symbol():
    batch = panel().tail(4)
    assert batch.values[:, 0].tolist() == [[1, 1, 1, 4], [20, 21, 22, 23]]
    with pytest.raises(ValueError, match="B has 4 rows; 5 are needed"):
        panel().tail(5)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("workspace")
    synth.write(root / "trainingdata", symbols=4, days=400, seed=1)
    return root


def test_load_gives_batches_of_every_split(workspace):
    data = load(DataConfig(context=32, horizon=8, unseen=("SYN03",)), workspace)
    assert data.synthetic
    assert "the data are synthetic" in data.notes
    assert data.variates == ("close", "open", "high", "low", "volume")
    assert len(data.fingerprint) == 64
    for name, count in data.windows().items():
        got = list(data.batches(name, 5))
        assert count > 0
        assert sum(len(b) for b, _ in got) == count == len(data.starts(name))
        assert all(len(b) == len(g) for b, g in got)
        held = {data.symbols[i] for b, _ in got for i in b.symbols.tolist()}
        assert ("SYN03" in held) == (name == "unseen")
        for b, _ in got:
            assert b.values.shape[1:] == (5, 40)
            assert (data.origins(b.starts) == data.panel.times[b.starts + 31]).all()
    assert (data.origins(data.starts("train")) < data.splits.val_from).all()


def test_symbols_restrict_and_typos_are_named(workspace):
    data = load(DataConfig(context=32, horizon=8, symbols=("SYN01", "SYN02"), covariates=()), workspace)
    assert data.symbols == ("SYN01", "SYN02")
    assert data.variates == ("close",)
    for wrong in ({"symbols": ("SYN1",)}, {"unseen": ("SYN1",)}):
        with pytest.raises(DataError, match=r"no symbol 'SYN1' here\. Did you mean 'SYN0?1"):
            load(DataConfig(context=32, horizon=8, **wrong), workspace)
    with pytest.raises(DataError, match="Did you mean 'close'"):
        load(DataConfig(context=32, horizon=8, target="closes"), workspace)


def test_load_tells_what_was_put_right_and_left_out(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    days = np.datetime64("2020-01-01") + np.arange(300)
    rows = [f"{d},{10 + i % 7}" for i, d in enumerate(days)]
    rows[5] = f"{days[5]},"
    (folder / "A.csv").write_text("\n".join(["date,close", *reversed(rows)]))
    (folder / "B.csv").write_text("date,close\n2020-01-01,x\n")
    config = DataConfig(path="data", covariates=(), context=32, horizon=8)
    with pytest.raises(DataError, match=r"B\.csv: line 2, column 'close': 'x' is not a number"):
        load(config, tmp_path)
    data = load(DataConfig(path="data", covariates=(), context=32, horizon=8, skip_bad=True), tmp_path)
    assert [n.split(": ")[0] for n in data.notes[:2]] == ["left out", "A"]
    assert "descending dates" in data.notes[1]
    assert data.notes[2] == "1 missing values of close filled and masked"
    assert not data.synthetic


def test_windows_bring_the_calendar_of_their_own_rows():
    minutes = np.array(["2024-02-29T23:58", "2024-03-03T09:30", "2024-12-31T00:00", "1969-12-31T12:05"])
    times = np.sort(minutes.astype("datetime64[ns]").astype(np.int64))
    one = Series("A", times, {"close": np.ones(4)}, "memory")
    p = Panel.build([one], ("close",))
    assert p.gather(torch.tensor([0]), 2).stamps is None
    p = p.with_stamps()
    batch = p.gather(torch.tensor([0, 2]), 2)
    assert batch.stamps is not None
    expected = [[[5, 12, 2, 31, 12], [58, 23, 3, 29, 2]], [[30, 9, 6, 3, 3], [0, 0, 1, 31, 12]]]
    assert batch.stamps.tolist() == expected
    assert torch.equal(batch.to("cpu").stamps, batch.stamps)
    assert p.to("cpu").stamps is not None
