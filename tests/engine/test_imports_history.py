"""Checkpoint folders that other trainers left, brought in as history: what they tell, once, marked as what they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine import rundir
from engine.cli import main
from engine.errors import DataError
from engine.imports import find
from engine.messages import ShowRun, Sync
from engine.select import leaderboard
from engine.series import Series
from engine.store import reading
from tests.conftest import Box

LOG = """2025-11-12 03:05:00,000 - __main__ - INFO - Starting training...
2025-11-12 03:06:00,000 - __main__ - INFO - Epoch 1 - Train Loss: 0.500000, Val Loss: 0.600000
2025-11-12 03:07:30,500 - __main__ - INFO - Epoch 2 - Train Loss: 0.400000, Val Loss: 0.450000, Val RMSE: 0.700000
2025-11-12 03:07:31,000 - __main__ - INFO - Training completed! Total time: 2.51 minutes.
"""


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """Two folders as the Toto and the Kronos trainer of the predecessor left them, and one without an end."""
    toto = tmp_path / "left" / "tototraining" / "gpu_run" / "20251112-030500"
    toto.mkdir(parents=True)
    (toto / "training.log").write_text(LOG)
    (toto / "checkpoint_epoch_1.pt").write_bytes(b"never opened")
    (toto / "best_records.json").write_text(
        json.dumps(
            [
                {"path": f"{toto}/checkpoint_epoch_2.pt", "val_loss": 0.45},
                {"path": "x/checkpoint_epoch_1.pt", "val_loss": 0.6},
            ]
        )
    )
    (toto / "final_metrics.json").write_text(
        json.dumps({"val": {"loss": 0.45, "pct_mae": 0.7, "pct_r2": float("nan")}, "test": {"pct_mae": 2.2}})
    )
    kronos = tmp_path / "left" / "kronos" / "artifacts"
    (kronos / "metrics").mkdir(parents=True)
    (kronos / "metrics" / "evaluation.json").write_text(
        json.dumps({
            "aggregate": {"symbols_evaluated": 2, "mae": 3.0, "mape": 13.5},
            "per_symbol": [{"symbol": "AAPL", "mae": 1.0, "mape": 9.0}, {"symbol": "AMD", "mae": 5.0, "mape": 18.0}],
        })
    )  # fmt: skip
    torn = tmp_path / "left" / "torn"
    torn.mkdir()
    (torn / "training.log").write_text("step 3 loss: 0.25\nTraceback\n")
    (torn / "final_metrics.json").write_text('{"val": {"lo')
    (tmp_path / "left" / "unrelated").mkdir()
    return tmp_path / "left"


def cli(capsys: pytest.CaptureFixture[str], *args: str) -> list[dict[str, object]]:
    capsys.readouterr()
    assert main.run([*args, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_folders_become_history_once(box: Box, left: Path, capsys: pytest.CaptureFixture[str]):
    shown = cli(capsys, "import", str(left), "--dry-run")
    assert [(Path(one["folder"]).name, one["run"]) for one in shown] == [
        ("artifacts", None), ("torn", None), ("20251112-030500", None),
    ]  # fmt: skip
    assert box.rows() == {}
    first = cli(capsys, "import", str(left))
    assert all(one["new"] for one in first)
    for one in first:  # the mark behind the numbers is the engine's own
        assert main.run(["logs", one["run"]["id"], "--metrics"]) == 0
        assert "adopted" not in capsys.readouterr().out
    again = cli(capsys, "import", str(left))
    assert [(one["run"]["id"], one["new"]) for one in again] == [(one["run"]["id"], False) for one in first]
    kronos, torn, toto = (box.row(one["run"]["id"]) for one in first)
    assert (toto.state, toto.family, toto.name, toto.tags) == (
        "ok",
        "imported",
        "20251112-030500",
        ("imported", "toto"),
    )
    assert toto.imported.startswith(str(left / "tototraining"))
    assert round(toto.ended - toto.started, 1) == 151.0
    assert (torn.state, torn.step, torn.loss) == ("failed", 3, 0.25)
    assert torn.reason == "imported with a damaged final_metrics.json: how it ended is not known"
    assert torn.warning == "final_metrics.json can't be read as JSON and is left out"
    assert kronos.tags == ("imported", "kronos")
    series = Series(box.workspace.run(toto.id))
    series.refresh()
    assert list(series.points("val_loss")[1]) == [0.6, 0.45]
    assert (box.workspace.run(toto.id) / rundir.LOG).read_text() == LOG
    box.crash()
    assert box.row(toto.id).loss == 0.4

    box.call(Sync())
    with reading(box.workspace.database) as con:
        ask = con.execute
        assert ask("SELECT count(*) FROM runs WHERE imported IS NOT NULL").fetchall() == [(3,)]
        assert ask("SELECT split, metric, value FROM evaluations WHERE symbol = '' ORDER BY ALL").fetchall() == [
            ("val", "loss", 0.45), ("val", "mae", 3.0), ("val", "mape", 13.5), ("val", "pct_mae", 0.7),
            ("val", "pct_r2", None), ("val", "symbols_evaluated", 2.0),
        ]  # fmt: skip
        symbols = "SELECT symbol, value FROM evaluations WHERE metric = 'mae' AND symbol <> '' ORDER BY 1"
        assert ask(symbols).fetchall() == [("AAPL", 1.0), ("AMD", 5.0)]
        assert ask("SELECT best_step, best_value, best_metric FROM runs WHERE id = ?", [toto.id]).fetchall() == [
            (2, 0.45, "val_loss")
        ]
        assert ask("SELECT step FROM checkpoints ORDER BY step").fetchall() == [(1,), (2,)]
        assert ask("SELECT sum(passed) FROM files").fetchall() == [(0,)]
    # Measured by another program on other data: never ranked among ours unless they are alone, or asked for.
    assert leaderboard(box.workspace.database).fingerprint == "imported"
    assert main.run(["retry", toto.id]) == 2
    assert main.run(["rerun", toto.id]) == 2
    assert capsys.readouterr().err.count("was imported: there is no command to run again") == 2
    assert main.run(["show", toto.id]) == 0
    assert f"{left}/tototraining" in capsys.readouterr().out
    assert box.call(ShowRun(toto.id)).spec.command == ()
    ours = box.python("from engine import runlog\nrunlog.log(1, val_pct_mae=3.0)")
    box.ended(ours.id)
    box.call(Sync())
    board = leaderboard(box.workspace.database)
    assert [row.id for row in board.rows] == [ours.id]
    assert "imported" in board.note


def test_a_folder_without_any_is_told(tmp_path: Path):
    with pytest.raises(DataError, match=r"No checkpoint folder in .*final_metrics\.json"):
        find(tmp_path)
    with pytest.raises(DataError, match="is not a folder"):
        find(tmp_path / "nowhere")
