"""Forecasting with a checkpoint: any frame of that kind of data, in its own prices."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.trainers.conftest import Home
from trainers import load_forecaster
from trainers.errors import ConfigError, DataError
from trainers.forecast import Forecaster
from trainers.forecast_cli import main


@pytest.fixture
def best(home: Home) -> Path:
    """A checkpoint that .best_model_path names."""
    code, folder = home.train("toy-0001", train__steps=5)
    assert code == 0
    path = folder / "checkpoints" / "step-000005"
    (home.root / ".best_model_path").write_text(f"{path.relative_to(home.root)}\n")
    return path


@pytest.fixture
def frame(home: Home) -> pd.DataFrame:
    return pd.read_csv(home.root / "trainingdata" / "BBB.csv")


def test_it_reads_what_best_model_path_names(best: Path, frame: pd.DataFrame) -> None:
    out = load_forecaster(device="cpu").predict(frame, horizon=6, levels=[0.1, 0.5, 0.9])
    assert list(out.columns) == ["timestamp", "step", "mean", "0.1", "0.5", "0.9"]
    assert out["step"].tolist() == [1, 2, 3, 4, 5, 6]
    last = frame["Close"].iloc[-1]
    assert (out["0.1"] < out["0.5"]).all()
    assert (out["0.5"] < out["0.9"]).all()
    assert out["0.5"].between(0.8 * last, 1.2 * last).all()  # in prices, not in scaled units
    following = pd.bdate_range(frame["Date"].iloc[-1], periods=7)[1:]
    assert out["timestamp"].tolist() == following.tolist()


def test_the_frame_may_be_dressed_in_any_way(best: Path, frame: pd.DataFrame) -> None:
    forecaster = load_forecaster(best, "cpu")
    plain = forecaster.predict(frame, horizon=4)
    shuffled = frame.iloc[::-1][["Volume", "Close", "Date", "Low", "High", "Open"]].rename(columns=str.upper)
    pd.testing.assert_frame_equal(forecaster.predict(shuffled, horizon=4), plain)
    indexed = frame.assign(Date=pd.to_datetime(frame["Date"])).set_index("Date")
    pd.testing.assert_frame_equal(forecaster.predict(indexed, horizon=4), plain)
    unnamed = indexed.rename_axis(None)
    pd.testing.assert_frame_equal(forecaster.predict(unnamed, horizon=4), plain)


def test_it_forecasts_what_the_evaluation_recorded(best: Path, frame: pd.DataFrame) -> None:
    table = pd.read_parquet(best.parents[1] / "evaluation" / "val_forecasts.parquet").query("symbol == 'BBB'")
    origin = table["origin"].iloc[-1]
    recorded = table[table["origin"] == origin]
    past = frame[pd.to_datetime(frame["Date"]) <= origin]
    out = load_forecaster(best, "cpu").predict(past, horizon=4, levels=[0.1, 0.5, 0.9])
    np.testing.assert_allclose(out["0.1"], recorded["p10"], rtol=1e-6)
    np.testing.assert_allclose(out["0.5"], recorded["p50"], rtol=1e-6)
    np.testing.assert_allclose(out["mean"], recorded["mean"], rtol=1e-6)
    np.testing.assert_allclose(recorded["target"], frame["Close"].iloc[len(past) : len(past) + 4], rtol=1e-6)


def test_several_symbols_come_back_named_and_do_not_touch_each_other(best: Path, frame: pd.DataFrame) -> None:
    forecaster = load_forecaster(best, "cpu")
    double = frame.assign(symbol="XX", Close=2 * frame["Close"])
    out = forecaster.predict(pd.concat([frame.assign(symbol="YY"), double]), horizon=4)
    assert out.groupby("symbol", sort=False).size().to_dict() == {"YY": 4, "XX": 4}
    alone = forecaster.predict(frame, horizon=4)
    np.testing.assert_allclose(out.query("symbol == 'YY'")["0.5"], alone["0.5"], rtol=1e-5)
    np.testing.assert_allclose(out.query("symbol == 'XX'")["0.5"], 2 * alone["0.5"], rtol=1e-4)


def test_missing_cells_are_masked_and_a_short_history_is_padded(best: Path, frame: pd.DataFrame) -> None:
    forecaster = load_forecaster(best, "cpu")
    holes = frame.copy()
    holes.loc[holes.index[-3], "Volume"] = np.nan
    assert forecaster.predict(holes, horizon=3)["0.5"].notna().all()
    values, mask = forecaster._window(_series(forecaster, holes))
    assert mask.sum() == mask.size - 1
    assert np.isfinite(values).all()
    with pytest.raises(DataError, match="12 values of close are too short a history; give at least 16"):
        forecaster.predict(frame.tail(12), horizon=3)


def test_a_history_shorter_than_the_context_is_padded_on_the_left(home: Home, frame: pd.DataFrame) -> None:
    home.train("toy-0001", train__steps=2, data__context=40)
    forecaster = load_forecaster(home.root / "runs" / "toy-0001" / "checkpoints" / "step-000002", "cpu")
    values, mask = forecaster._window(_series(forecaster, frame.tail(20)))
    assert values.shape == (5, 40)
    assert not mask[:, :20].any()
    assert mask[:, 20:].all()
    assert len(forecaster.predict(frame.tail(20), horizon=5)) == 5


def _series(forecaster: Forecaster, frame: pd.DataFrame):
    from trainers.data.series import series_from_frame

    return series_from_frame(frame, forecaster.variates, "x")[0]


def test_a_missing_column_is_named(best: Path, frame: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="volume"):
        load_forecaster(best, "cpu").predict(frame.drop(columns="Volume"))


def test_the_same_question_has_the_same_answer(best: Path, frame: pd.DataFrame) -> None:
    one, other = (load_forecaster(best, "cpu").predict(frame, horizon=20) for _ in range(2))
    pd.testing.assert_frame_equal(one, other)


@pytest.mark.parametrize(("levels", "horizon"), [([0.0], 4), ([0.5, 0.5], 4), ([], 4), ([0.5], 0), ([0.5], 10**6)])
def test_questions_without_sense_are_refused(
    best: Path, frame: pd.DataFrame, levels: list[float], horizon: int
) -> None:
    with pytest.raises(ConfigError):
        load_forecaster(best, "cpu").predict(frame, horizon=horizon, levels=levels)


def test_a_checkpoint_folder_is_complete_by_itself(best: Path, frame: pd.DataFrame, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(best, elsewhere)
    before = load_forecaster(best, "cpu").predict(frame, horizon=4)
    shutil.rmtree(best.parent.parent)
    pd.testing.assert_frame_equal(load_forecaster(elsewhere, "cpu").predict(frame, horizon=4), before)


def test_without_an_export_it_says_how_to_make_one(home: Home) -> None:
    with pytest.raises(DataError, match=r"`engine export best` writes it\."):
        load_forecaster()
    (home.root / ".best_model_path").write_text("runs/gone/checkpoints/step-000001\n")
    with pytest.raises(DataError, match="no checkpoint there"):
        load_forecaster()
    (home.root / ".best_model_path").write_text("")
    with pytest.raises(DataError, match="expected one line"):
        load_forecaster()


def test_the_command_answers_in_json(best: Path, home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--symbol", "BBB", "--horizon", "5", "--levels", ".1,.5,.9", "--device", "cpu", "--json"])
    assert code == 0
    said = json.loads(capsys.readouterr().out)
    assert said["family"] == "toy"
    assert [row["step"] for row in said["forecast"]] == [1, 2, 3, 4, 5]
    assert set(said["forecast"][0]) == {"symbol", "timestamp", "step", "mean", "0.1", "0.5", "0.9"}
    assert set(said["last"]) == {"BBB"}


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--symbol", "BBX"], "no symbol 'BBX' there. Did you mean 'BBB'?"),
        (["--data", "nowhere"], "nowhere: not there"),
        (["--horizon", "x"], "--horizon x"),
        (["--horizons", "3"], "unrecognized arguments"),
        (["--model", "nowhere"], "nowhere: not there. Give a checkpoint folder"),
        (["--out", "x.xls"], "--out x.xls: expected a name that ends in .csv or .parquet."),
        (["--out", "nowhere/x.csv"], "--out nowhere/x.csv: there is no folder nowhere."),
    ],
)
def test_the_command_refuses_in_one_line(best: Path, argv: list[str], said: str) -> None:
    with pytest.raises((ConfigError, DataError)) as caught:
        main([*argv, "--device", "cpu"])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_forecasts_of_any_number_of_series_go_into_a_file(
    best: Path, home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr("trainers.forecast_cli.TOLD_EVERY", 2)  # three series: one part and a rest
    out = home.root / f"forecast{suffix}"
    assert main(["--horizon", "5", "--device", "cpu", "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"15 rows of 3 series in {out}\n")
    found = pd.read_csv(out, parse_dates=["timestamp"]) if suffix == ".csv" else pd.read_parquet(out)
    frames = [pd.read_csv(path).assign(symbol=path.stem) for path in sorted((home.root / "trainingdata").iterdir())]
    whole = load_forecaster(best, "cpu").predict(pd.concat(frames), horizon=5)
    pd.testing.assert_frame_equal(found, whole, check_dtype=False)


def test_history_and_measurements(best: Path, frame: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--symbol", "BBB", "--horizon", "4", "--device", "cpu", "--json"]
    assert main([*asked, "--history", "9"]) == 0
    assert json.loads(capsys.readouterr().out)["history"]["BBB"] == pytest.approx(frame["Close"].tolist()[-9:])
    assert main([*asked, "--bench"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["series"], found["horizon"], found["device"], found["device_peak_bytes"]) == (1, 4, "cpu", None)
    assert 0 < found["model_s"] < found["warm_s"]
    assert 0 < found["first_s"] < found["cold_s"]
    assert found["peak_bytes"] > 50 << 20
    assert main([*asked[:-1], "--bench"]) == 0
    assert "1 series, horizon 4" in capsys.readouterr().out


def test_an_alias_names_another_model(best: Path, home: Home, frame: pd.DataFrame) -> None:
    (home.root / ".best_model_path.prod").write_text(f"{best}\n")
    (home.root / ".best_model_path").unlink()
    assert load_forecaster(device="cpu", alias="prod").path == best
    with pytest.raises(DataError, match="`engine export RUN --alias test` writes it"):
        load_forecaster(alias="test")
    with pytest.raises(ConfigError, match="is no name of a model"):
        load_forecaster(alias="../prod")
    with pytest.raises(ConfigError, match="give one of them"):
        load_forecaster(best, alias="prod")


def test_an_inference_program_needs_nothing_but_the_file(
    best: Path, home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program of the README, in the workspace and with nothing in its environment."""
    monkeypatch.chdir(home.root)
    monkeypatch.delenv("ENGINE_HOME")
    program = (
        "import pandas as pd\n"
        "from trainers import load_forecaster\n"
        "frame = pd.read_csv('trainingdata/AAA.csv')\n"
        "print(load_forecaster().predict(frame, horizon=64, levels=[.1, .5, .9]).shape)\n"
    )
    exec(compile(program, "program", "exec"), {})
    assert capsys.readouterr().out.strip() == "(64, 6)"
