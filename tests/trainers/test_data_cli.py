"""synth, import and check as a person runs them: what they write, what they refuse, and their exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trainers.data import synth
from trainers.data.check import check
from trainers.data.cli import main
from trainers.data.errors import DataError
from trainers.data.importer import bring
from trainers.data.read import is_synthetic, read
from trainers.data.series import Series

ROOT = Path(__file__).resolve().parents[2]
DAY = 86_400_000_000_000


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(folder: Path, name: str, rows: str, head: str = "Date,Close") -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"{head}\n{rows}\n")


def snapshot(folder: Path) -> dict[str, bytes]:
    return {f.name: f.read_bytes() for f in sorted(folder.iterdir())}


def test_synth_writes_what_the_seed_says_once(here, capsys):
    assert main(["synth", "--symbols", "3", "--days", "80", "--seed", "5"]) == 0
    assert "3 synthetic symbols" in capsys.readouterr().out
    first = snapshot(here / "trainingdata")
    assert sorted(first) == ["SYN01.csv", "SYN02.csv", "SYN03.csv", "SYNTHETIC.json"]
    marker = json.loads(first["SYNTHETIC.json"])
    assert (marker["synthetic"], marker["seed"]) == (True, 5)
    assert main(["synth", "--seed", "6"]) == 0
    assert "holds synthetic data already (3 files): left as it is" in capsys.readouterr().out
    assert snapshot(here / "trainingdata") == first
    assert main(["synth", "--symbols", "2", "--days", "80", "--seed", "6", "--force"]) == 0
    second = snapshot(here / "trainingdata")
    assert sorted(second) == ["SYN01.csv", "SYN02.csv", "SYNTHETIC.json"]
    assert second["SYN01.csv"] != first["SYN01.csv"]
    assert main(["synth", "--out", "other", "--symbols", "3", "--days", "80", "--seed", "5"]) == 0
    assert snapshot(here / "other") == first


def test_synth_never_overwrites_what_it_did_not_make(here, capsys):
    put(here / "trainingdata", "REAL.csv", "2024-01-02,1")
    before = snapshot(here / "trainingdata")
    assert main(["synth"]) == 0
    assert "holds data already" in capsys.readouterr().out
    assert main(["synth", "--force"]) == 3
    assert "not synthetic" in capsys.readouterr().err
    assert snapshot(here / "trainingdata") == before


def test_an_edited_synthetic_file_is_not_synthetic_any_more(here):
    synth.write(here / "d", 2, 80)
    put(here / "d", "SYN01.csv", "2024-01-02,1")
    with pytest.raises(DataError, match=r"'SYN01\.csv'"):
        synth.write(here / "d", 2, 80, force=True)
    assert (here / "d" / "SYN01.csv").read_text() == "Date,Close\n2024-01-02,1\n"


def test_synthetic_bars_are_like_real_ones(tmp_path):
    synth.write(tmp_path, 12, 600, 7)
    reading = read(tmp_path)
    assert reading.synthetic
    assert all(not c.problems for c in check(reading.series))
    level = [np.median(s.columns["close"]) for s in reading.series]
    assert min(level) < 3
    assert max(level) > 700
    for s in reading.series:
        returns = np.diff(np.log(s.columns["close"]))
        assert 0.01 < returns.std() < 0.06
    dates = pd.to_datetime(reading.series[0].times)
    assert dates.day_of_week.max() == 4
    assert len({len(s) for s in reading.series}) > 1  # some were listed later


def test_volatility_clusters_and_deviations_decay():
    bars = synth.make(8, 3000, 3)
    r = np.array([np.diff(np.log(c["close"][-1900:])) for c in bars.values()])
    five = r[:, : r.shape[1] // 5 * 5].reshape(len(r), -1, 5).sum(2)

    def follow(x):
        return np.mean([np.corrcoef(row[1:], row[:-1])[0, 1] for row in x])

    assert follow(five) < -0.1  # there is something to learn
    assert follow(np.abs(r)) > 0.05  # wild days follow wild days
    volume = [
        np.corrcoef(np.abs(np.diff(np.log(c["close"]))), np.log(c["volume"][1:].astype(float)))[0, 1]
        for c in bars.values()
    ]
    assert np.mean(volume) > 0.05


def test_import_writes_canonical_files_and_tells_what_it_fixed(here, capsys):
    put(here / "src", "B.csv", '2024-01-03,2,"2,000"\n2024-01-02,1,1000', head="Date,CLOSE,Volume")
    put(here / "src", "notes.md", "hello")
    pd.DataFrame(
        {"ticker": ["X/Y", "X/Y"], "time": ["2024-01-02 10:00", "2024-01-02 11:00"], "close": [1.5, None]}
    ).to_json(here / "src" / "long.json")
    assert main(["import", "src"]) == 0
    said = capsys.readouterr()
    assert "2 symbols in trainingdata: 2 new, 0 updated, 0 unchanged; 0 files left out." in said.out
    assert "B: 1 thousands separators in volume, descending dates" in said.err
    assert "X/Y: written as X_Y.csv" in said.err
    assert "notes.md" in said.err
    assert sorted(f.name for f in (here / "trainingdata").iterdir()) == ["B.csv", "X_Y.csv"]
    assert (here / "trainingdata/B.csv").read_text() == "date,close,volume\n2024-01-02,1,1000\n2024-01-03,2,2000\n"
    assert (here / "trainingdata/X_Y.csv").read_text() == "date,close\n2024-01-02 10:00:00,1.5\n2024-01-02 11:00:00,\n"
    assert not is_synthetic(here / "trainingdata")
    put(here / "src", "B.csv", "2024-01-02,1\n2024-01-03,2\n2024-01-04,3")
    assert main(["import", "src"]) == 0
    assert "0 new, 1 updated, 1 unchanged" in capsys.readouterr().out


def test_import_of_a_bad_file_writes_nothing(here, capsys):
    put(here / "src", "A.csv", "2024-01-02,1")
    put(here / "src", "B.csv", "2024-01-02,one")
    assert main(["import", "src"]) == 3
    assert capsys.readouterr().err == "src/B.csv: line 2, column 'Close': 'one' is not a number\n"
    assert not (here / "trainingdata").exists()
    assert main(["import", "src", "--skip-bad"]) == 0
    said = capsys.readouterr()
    assert "1 file left out" in said.out
    assert "left out: src/B.csv: line 2" in said.err
    assert sorted(f.name for f in (here / "trainingdata").iterdir()) == ["A.csv"]


def test_import_does_not_mix_with_synthetic_data(here, capsys):
    synth.write(here / "trainingdata", 3, 80)
    put(here / "src", "SYN02.csv", "2024-01-02,1")
    before = snapshot(here / "trainingdata")
    assert main(["import", "src"]) == 3
    assert "--replace" in capsys.readouterr().err
    assert snapshot(here / "trainingdata") == before
    (here / "trainingdata" / "mine.csv").write_text("date,close\n2024-01-02,1\n")
    assert main(["import", "src", "--replace"]) == 0
    # only what was made goes; a file of one's own stays
    assert sorted(snapshot(here / "trainingdata")) == ["SYN02.csv", "mine.csv"]
    assert not is_synthetic(here / "trainingdata")


def test_import_refuses_synthetic_sources_and_its_own_target(here):
    synth.write(here / "made", 2, 80)
    with pytest.raises(DataError, match="are synthetic"):
        bring(here / "made", here / "to")
    put(here / "to", "A.csv", "2024-01-02,1")
    with pytest.raises(DataError, match="lies in"):
        bring(here / "to", here / "to")


def test_import_refuses_a_second_file_for_a_symbol(here):
    put(here / "src", "A.csv", "2024-01-02,1")
    put(here / "to", "A.tsv", "2024-01-02\t1", head="Date\tClose")
    with pytest.raises(DataError, match="holds this symbol already"):
        bring(here / "src", here / "to")


def test_import_cannot_be_led_out_of_the_folder(here):
    put(
        here / "src",
        "all.csv",
        "../../evil,2024-01-02,1\n.hidden,2024-01-02,1\n/etc/x,2024-01-02,1",
        head="symbol,date,close",
    )
    bring(here / "src", here / "to")
    assert sorted(f.name for f in (here / "to").iterdir()) == ["_._.._evil.csv", "_etc_x.csv", "_hidden.csv"]
    assert sorted(f.name for f in here.iterdir()) == ["src", "to"]


def series(close, **more) -> Series:
    columns = {"close": np.array(close, float), **{k: np.array(v, float) for k, v in more.items()}}
    return Series("A", np.arange(len(close), dtype=np.int64) * DAY, columns, "memory")


def test_check_finds_what_is_odd():
    (report,) = check([series([10, 10.1, 5.02, 5.0, np.nan, 0], volume=[1, 0, 0, 1, 1, 1])])
    assert report.splits == ("1970-01-03",)
    assert (report.missing, report.nonpositive, report.zero_volume, report.rows) == (1, 1, 2, 6)
    assert (report.first, report.last) == ("1970-01-01", "1970-01-06")
    (report,) = check([series([2, 2, 2], open=[2, 2, 2], high=[3, 1.5, 3], low=[1, 1, 2.5])])
    assert report.bad_bars == 2
    assert report.problems == ["2 bars whose high or low is not the extreme"]


def test_a_crash_during_the_day_is_no_split():
    (report,) = check([series([10, 10, 5, 5], open=[10, 10, 9.8, 5])])
    assert report.splits == ()
    (report,) = check([series([10, 10, 5, 5], open=[10, 10, 5.1, 5])])
    assert len(report.splits) == 1


def test_gaps_are_counted_against_the_calendar_of_all():
    whole = series(np.arange(1, 11))
    holed = Series("B", np.delete(whole.times, [3, 4]), {"close": np.arange(8.0) + 1}, "memory")
    late = Series("C", whole.times[5:], {"close": np.arange(5.0) + 1}, "memory")
    assert [c.gaps for c in check([whole, holed, late])] == [0, 2, 0]
    days = np.flatnonzero(np.arange(140) % 7 < 5)
    alone = Series("D", np.delete(days, slice(50, 56)) * DAY, {"close": np.ones(94)}, "memory")
    assert check([alone])[0].gaps == 1


def test_check_prints_a_table_or_json(here, capsys):
    put(here / "d", "A.csv", "2024-01-02,1\n2024-01-03,\n2024-01-04,2")
    put(here / "d", "B.csv", "2024-01-02,x")
    assert main(["check", "d"]) == 3
    assert capsys.readouterr().err == "d/B.csv: line 2, column 'Close': 'x' is not a number\n"
    assert main(["check", "d", "--skip-bad"]) == 0
    out = capsys.readouterr().out
    assert "A: 1 missing values" in out
    assert "left out: d/B.csv: line 2" in out
    assert main(["check", "d", "--skip-bad", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["symbols"][0]["missing"] == 1
    assert value["left_out"] == [{"file": "d/B.csv", "line": 2, "column": "Close", "reason": "'x' is not a number"}]


@pytest.mark.parametrize(
    "argv", [[], ["synt"], ["synth", "--days", "x"], ["synth", "--symbols", "0"], ["import"], ["check", "--nope"]]
)
def test_usage_is_exit_two_and_one_line(here, capsys, argv):
    assert main(argv) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "--help" in err


def test_a_place_that_cannot_be_written_is_one_line(here, capsys):
    (here / "file").write_text("")
    assert main(["synth", "--out", "file/below"]) in (2, 3)
    assert capsys.readouterr().err.count("\n") == 1


def test_the_commands_do_without_torch(tmp_path):
    code = (
        "import sys; from trainers.data import cli; assert cli.main(['synth', '--symbols', '2', '--days', '50']) == 0; "
        "assert cli.main(['check', '--json']) == 0; assert 'torch' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, check=True, capture_output=True
    )


def test_the_fields_alone_do_without_pandas():
    code = "import sys, trainers.data.config; assert not {'numpy', 'pandas', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, check=True)
