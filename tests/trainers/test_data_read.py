"""Files as people have them read to the same numbers; files that cannot be read say where and why."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers import errors
from trainers.data import dates
from trainers.data.errors import DataError
from trainers.data.importer import canonical
from trainers.data.read import fingerprint, read
from trainers.data.series import Series, series_from_frame, series_of
from trainers.data.table import Table, read_table

DAYS = ("2024-01-02", "2024-01-03", "2024-01-04")
PLAIN = "date,open,high,low,close,volume\n2024-01-02,1,3,1,2,1000\n2024-01-03,2,4,2,3,2000\n2024-01-04,3,5,3,4,3000\n"


def put(folder: Path, text: str | bytes, name: str = "AB.csv") -> Path:
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def one(path: Path, wanted: tuple[str, ...] | None = None) -> Series:
    (series,) = read(path, wanted).series
    return series


def ns(*days: str) -> list[int]:
    return [int(pd.Timestamp(d).as_unit("ns").value) for d in days]


def respelled(*dates_there: str) -> str:
    text = PLAIN
    for day, other in zip(DAYS, dates_there, strict=True):
        text = text.replace(day, other)
    return text


SPELLINGS = {
    "plain": PLAIN,
    "any case and order": "Volume,CLOSE,Low,Date,High,Open\n"
    "1000,2,1,2024-01-02,3,1\n2000,3,2,2024-01-03,4,2\n3000,4,3,2024-01-04,5,3\n",
    "descending": "date,open,high,low,close,volume\n"
    "2024-01-04,3,5,3,4,3000\n2024-01-03,2,4,2,3,2000\n2024-01-02,1,3,1,2,1000\n",
    "thousands": PLAIN.replace(",1000", ',"1,000"').replace(",2000", ',"2,000.0"'),
    "duplicate rows": PLAIN + "2024-01-03,2,4,2,3,2000\n",
    "byte order mark and windows lines": "\ufeff" + PLAIN.replace("\n", "\r\n"),
    "blank lines": PLAIN.replace("\n", "\n\n"),
    "semicolons": PLAIN.replace(",", ";"),
    "timestamp column": PLAIN.replace("date", "Timestamp"),
    "daily with offset over summer time": PLAIN.replace("2024-01-02", "2024-01-02 00:00:00-05:00").replace(
        "2024-01-03", "2024-01-03 00:00:00-04:00"
    ),
    "compact dates": PLAIN.replace("2024-01-0", "2024010"),
    "epoch": respelled("1704153600", "1704240000", "1704326400"),
    "slashes": PLAIN.replace("2024-01-0", "2024/01/0"),
    "words": respelled('"Jan 02, 2024"', '"Jan 03, 2024"', '"Jan 04, 2024"'),
    "unnamed index": PLAIN.replace("date", ""),
    "dollar signs": PLAIN.replace(",2,1000", ",$2,1000"),
    "another text column": PLAIN.replace("volume\n", "volume,remark\n").replace("00\n", "00,fine\n"),
}  # fmt: skip


@pytest.mark.parametrize("text", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_one_series_in_many_spellings(tmp_path, text):
    series = one(put(tmp_path, text))
    assert series.symbol == "AB"
    assert series.times.tolist() == ns(*DAYS)
    assert {k: v.tolist() for k, v in series.columns.items()} == {
        "open": [1, 2, 3], "high": [3, 4, 5], "low": [1, 2, 3], "close": [2, 3, 4], "volume": [1000, 2000, 3000],
    }  # fmt: skip


def test_what_was_put_right_is_told(tmp_path):
    assert one(put(tmp_path, SPELLINGS["descending"])).fixes == ("descending dates",)
    assert one(put(tmp_path, SPELLINGS["thousands"])).fixes == ("2 thousands separators in volume",)
    duplicate = one(put(tmp_path, SPELLINGS["duplicate rows"]))
    assert duplicate.duplicates == 1
    assert "1 duplicate rows" in duplicate.fixes


FRAME = pd.DataFrame({"Date": pd.to_datetime(list(DAYS)), "Close": [2.0, np.nan, 4.0], "Volume": [1, 2, 3]})


@pytest.mark.parametrize(
    "write",
    [
        lambda f, p: f.to_parquet(p / "AB.parquet"),
        lambda f, p: f.set_index("Date").to_parquet(p / "AB.parquet"),
        lambda f, p: f.assign(Date=f.Date.dt.tz_localize("America/New_York")).to_parquet(p / "AB.parquet"),
        lambda f, p: f.assign(Date=f.Date.astype(str)).to_json(p / "AB.json", orient="records"),
        lambda f, p: f.assign(Date=f.Date.astype(str)).to_json(p / "AB.json", orient="columns"),
        lambda f, p: f.assign(Date=f.Date.astype(str)).to_json(p / "AB.jsonl", orient="records", lines=True),
        lambda f, p: f.assign(Date=f.Date.astype("datetime64[ms]").astype("int64")).to_json(p / "AB.json"),
        lambda f, p: f.to_csv(p / "AB.csv"),
        lambda f, p: f.set_index("Date").to_csv(p / "AB.tsv", sep="\t"),
        lambda f, p: f.assign(Ticker="AB").to_parquet(p / "all.parquet"),
    ],
)
def test_parquet_json_and_csv_agree(tmp_path, write):
    write(FRAME, tmp_path)
    series = one(tmp_path, ("Close", "volume"))
    assert series.symbol == "AB"
    assert series.times.tolist() == ns(*DAYS)
    np.testing.assert_array_equal(series.columns["close"], [2, np.nan, 4])
    np.testing.assert_array_equal(series.columns["volume"], [1, 2, 3])


def test_long_format_gives_one_series_for_each_symbol(tmp_path):
    put(tmp_path, "Symbol,Date,Close\nB,2024-01-03,5\nA,2024-01-02,1\nB,2024-01-02,4\nA,2024-01-03,2\n", "all.csv")
    a, b = read(tmp_path).series
    assert (a.symbol, a.columns["close"].tolist()) == ("A", [1, 2])
    assert (b.symbol, b.columns["close"].tolist()) == ("B", [4, 5])


def test_date_and_time_columns_are_joined(tmp_path):
    series = one(put(tmp_path, "Date,Time,Close\n2024-01-02,09:30,1\n2024-01-02,09:31,2\n"))
    assert series.times.tolist() == ns("2024-01-02 09:30", "2024-01-02 09:31")


def test_offsets_within_the_day_become_utc(tmp_path):
    series = one(put(tmp_path, "date,close\n2024-03-08T10:00:00-05:00,1\n2024-03-11T10:00:00-04:00,2\n"))
    assert series.times.tolist() == ns("2024-03-08 15:00", "2024-03-11 14:00")
    assert series.fixes == ("times with an offset taken to UTC",)


def test_a_column_decides_between_day_and_month_first(tmp_path):
    assert one(put(tmp_path, "date,close\n03/01/2024,1\n13/01/2024,2\n")).times.tolist() == ns(
        "2024-01-03", "2024-01-13"
    )
    assert one(put(tmp_path, "date,close\n01/03/2024,1\n01/13/2024,2\n")).times.tolist() == ns(
        "2024-01-03", "2024-01-13"
    )


def test_missing_cells_are_nan(tmp_path):
    series = one(put(tmp_path, "date,close\n2024-01-02,\n2024-01-03,NaN\n2024-01-04,n/a\n2024-01-05,1e2\n"))
    np.testing.assert_array_equal(series.columns["close"], [np.nan, np.nan, np.nan, 100])


def test_any_numeric_series_by_its_target(tmp_path):
    put(tmp_path, "date,HUFL,OT\n2016-07-01 00:00:00,5.8,30.5\n2016-07-01 01:00:00,5.6,-27.7\n", "ETTh1.csv")
    assert one(tmp_path, ("OT",)).columns["ot"].tolist() == [30.5, -27.7]


def test_adjusted_close_stands_in_only_when_there_is_no_close_and_says_so(tmp_path):
    alone = one(put(tmp_path, "date,Adj Close\n2024-01-02,1\n"), ("close",))
    assert alone.columns["close"].tolist() == [1]
    assert alone.fixes == ("'adj close' taken as close: there is no close",)
    both = one(put(tmp_path, "date,Adj_Close,Close\n2024-01-02,1,2\n"), ("close",))
    assert both.columns["close"].tolist() == [2]
    assert both.fixes == ()


BAD = {
    "empty": (b"", "empty file"),
    "blank": (b" \n\n", "empty file"),
    "header only": (b"date,close\n", "line 1: a header and no rows"),
    "not a number": (b"date,close\n2024-01-02,1\n2024-01-03,abc\n", "line 3, column 'close': 'abc' is not a number"),
    "decimal comma": (b"date;close\n2024-01-02;1,5\n", "line 2, column 'close': '1,5' is not a number"),
    "underscore": (b"date,close\n2024-01-02,1_0\n", "line 2, column 'close': '1_0' is not a number"),
    "infinite": (b"date,close\n2024-01-02,inf\n", "line 2, column 'close': 'inf' is not a number"),
    "too large": (b"date,close\n2024-01-02,1e99\n", "line 2, column 'close': 1e+99 is not a usable number"),
    "no date column": (
        b"day_of,close\n1,2\n",
        "no date column (wanted one of datetime, timestamp, date, time; has day_of, close)",
    ),
    "no target": (
        b"date,closing\n2024-01-02,1\n",
        "column 'close': no such column (has closing) Did you mean 'closing'?",
    ),
    "bad date": (
        b"date,close\n2024-01-02,1\n2024-13-03,1\n",
        "line 3, column 'date': '2024-13-03' is not a date (wanted such as 2024-01-31)",
    ),
    "no date": (b"date,close\n2024-01-02,1\n,1\n", "line 3, column 'date': no date"),
    "words for a date": (
        b"date,close\nyesterday,1\n",
        "line 2, column 'date': 'yesterday' is not a date (wanted such as 2024-01-31)",
    ),
    "ambiguous date": (
        b"date,close\n01/02/2024,1\n",
        "line 2, column 'date': '01/02/2024' could be month/day or day/month; write 2024-01-31",
    ),
    "date out of range": (
        b"date,close\n0001-01-01,1\n",
        "line 2, column 'date': '0001-01-01 00:00:00' lies outside of 1678 to 2262",
    ),
    "short row": (b"date,close\n2024-01-02,1\n2024-01-03\n", "line 3: 1 cells where the header has 2"),
    "conflict": (
        b"date,close\n2024-01-02,1\n2024-01-02,2\n",
        "line 3: 2024-01-02 00:00:00 is there twice for AB, with close 1 and 2",
    ),
    "binary": (b"date,close\n\x00\x01\x02", "line 2: binary data, not text"),
    "other encoding": ("date,close\n2024-01-02,ä\n".encode("latin-1"), "line 2: not UTF-8 text; save it as UTF-8"),
    "open quote": (b'date,close\n2024-01-02,"1\n', "line 2: not a CSV file (unexpected end of data)"),
    "column twice": (b"date,close,Close\n2024-01-02,1,2\n", "column 'Close': column twice"),
    "escape codes": (b"date,close\n2024-01-02,\x1b[31m\n", "line 2, column 'close': '\\x1b[31m' is not a number"),
}


@pytest.mark.parametrize(("raw", "said"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_says_where_and_why_in_one_line(tmp_path, monkeypatch, raw, said):
    put(tmp_path, raw)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        read(Path("AB.csv"), ("close",))
    assert str(caught.value) == f"AB.csv: {said}"
    assert isinstance(caught.value, errors.DataError)
    assert caught.value.code == 3


BAD_JSON = {
    "torn": ('[{"date": "2024-01-02", "close": 1},', "x.json: line 1: not JSON ("),
    "number": ("3", "x.json: JSON holds neither records nor columns"),
    "empty list": ("[]", "x.json: no records"),
    "list of numbers": ("[1, 2]", "x.json: record 1: '1' is not a record"),
    "nested": ('[{"date": "2024-01-02", "close": [1]}]', "x.json: record 1, column 'close': '[1]' is not a number"),
    "boolean": ('[{"date": "2024-01-02", "close": true}]', "x.json: record 1, column 'close': 'True' is not a number"),
    "uneven": ('{"date": ["2024-01-02"], "close": [1, 2]}', "x.json: column 'close': 2 values where"),
    "deep": ("[" * 100_000, "x.json: line 1: not JSON ("),
    "bad second line": ('{"date": "2024-01-02", "close": 1}\n{"date"', "x.json: line 2: not JSON ("),
    "huge": ('[{"date": "2024-01-02", "close": 1' + "0" * 400 + "}]", "x.json: record 1, column 'close': too large"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), BAD_JSON.values(), ids=BAD_JSON.keys())
def test_bad_json(tmp_path, monkeypatch, text, said):
    put(tmp_path, text, "x.json")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        read(Path("x.json"), ("close",))
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_bad_parquet(tmp_path):
    file = put(tmp_path, b"PAR1 this is no parquet PAR1", "x.parquet")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read(file)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.csv")
    with pytest.raises(DataError, match="not a regular file"):
        read(tmp_path)


def test_an_unreadable_file_says_so(tmp_path):
    (tmp_path / "x.csv").symlink_to(tmp_path / "gone")
    with pytest.raises(DataError, match=r"x\.csv: cannot be read: No such file"):
        read(tmp_path)


def test_skip_bad_leaves_out_and_reports(tmp_path):
    put(tmp_path, PLAIN, "A.csv")
    put(tmp_path, "date,close\n2024-01-02,abc\n", "B.csv")
    with pytest.raises(DataError):
        read(tmp_path)
    reading = read(tmp_path, skip_bad=True)
    assert [s.symbol for s in reading.series] == ["A"]
    (bad,) = reading.bad
    assert (Path(bad.file).name, bad.line, bad.column) == ("B.csv", 2, "close")


def test_nothing_left_is_an_error_even_with_skip_bad(tmp_path):
    put(tmp_path, "date,close\n2024-01-02,abc\n", "B.csv")
    with pytest.raises(DataError, match="'abc' is not a number"):
        read(tmp_path, skip_bad=True)


def test_two_files_with_one_symbol(tmp_path):
    put(tmp_path, PLAIN, "A.csv")
    put(tmp_path, json.dumps([{"date": "2024-01-02", "close": 1}]), "A.json")
    with pytest.raises(DataError, match=r"symbol 'A' is in .* already"):
        read(tmp_path)


def test_symbols_cannot_carry_control_characters(tmp_path):
    put(tmp_path, "symbol,date,close\n\x1b[2J,2024-01-02,1\n", "all.csv")
    with pytest.raises(DataError, match="not a usable symbol") as caught:
        read(tmp_path)
    assert "\x1b" not in str(caught.value)


def test_other_files_are_ignored_and_listed(tmp_path):
    put(tmp_path, PLAIN)
    put(tmp_path, "hello", "README.md")
    put(tmp_path, "x", ".hidden.csv")
    reading = read(tmp_path)
    assert [f.name for f in reading.ignored] == ["README.md"]
    assert len(reading.series) == 1


def test_no_data_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match="engine data import"):
        read(tmp_path)
    with pytest.raises(DataError, match="no such file or folder"):
        read(tmp_path / "nope")
    with pytest.raises(DataError, match="unknown kind of file"):
        read(put(tmp_path, "x", "x.docx"))


def test_fingerprint_follows_content_and_names_not_the_folder(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        put(tmp_path / name, PLAIN)
        put(tmp_path / name, name, "README.md")
    assert fingerprint([tmp_path / "a"]) == fingerprint([tmp_path / "b"])
    put(tmp_path / "b", PLAIN + "2024-01-05,1,1,1,1,1\n")
    assert fingerprint([tmp_path / "a"]) != fingerprint([tmp_path / "b"])


def test_a_frame_reads_as_a_file_does(tmp_path):
    for frame in (FRAME, FRAME.set_index("Date"), FRAME.set_index("Date").rename_axis(None)):
        (series,) = series_from_frame(frame, ("close",), symbol="AB")
        assert series.times.tolist() == ns(*DAYS)
        np.testing.assert_array_equal(series.columns["close"], [2, np.nan, 4])
    with pytest.raises(DataError, match="no rows"):
        series_from_frame(FRAME.iloc[:0])


@given(st.binary(max_size=300), st.sampled_from(["x.csv", "x.json", "x.jsonl", "x.parquet"]))
def test_garbage_is_a_data_error_or_a_series(tmp_path_factory, raw, name):
    file = put(tmp_path_factory.mktemp("garbage"), raw, name)
    _survives(file)


@given(st.text(alphabet='date,clos\n0123456789-./:"T{}[]eNa $', max_size=200))
def test_text_that_nearly_is_data_is_a_data_error_or_a_series(tmp_path_factory, text):
    _survives(put(tmp_path_factory.mktemp("near"), "date,close\n" + text))


def _survives(file: Path) -> None:
    try:
        for series in series_of(read_table(file)):
            assert len(series) > 0
            assert (np.diff(series.times) > 0).all()
    except DataError as error:
        said = str(error)
    else:
        said = ""
    assert said == "" or said.isprintable()


@given(
    st.dictionaries(
        st.integers(-9_000_000, 9_000_000), st.one_of(st.none(), st.floats(-1e30, 1e30)), min_size=1, max_size=20
    )
)
def test_what_is_written_reads_back_to_the_same_numbers(tmp_path_factory, rows):
    times = np.array(sorted(rows), np.int64) * 977 * 10**9
    close = np.array([np.nan if rows[k] is None else rows[k] for k in sorted(rows)])
    file = put(tmp_path_factory.mktemp("trip"), canonical(Series("AB", times, {"close": close}, "memory")))
    back = one(file)
    np.testing.assert_array_equal(back.times, times)
    np.testing.assert_array_equal(back.columns["close"], close)


def test_epochs_of_every_unit():
    for unit, digits in ((1, 10), (1000, 13), (10**6, 16), (10**9, 19)):
        (value,), _ = dates.parse([str(1_704_153_600 * unit)])
        assert value == ns("2024-01-02")[0], digits


def test_a_table_of_text_and_numbers_keeps_only_numbers():
    table = Table(Path("x.csv"), ["date", "close", "note"], [["2024-01-02"], ["1"], ["hi"]], np.array([2]))
    (series,) = series_of(table)
    assert list(series.columns) == ["close"]
