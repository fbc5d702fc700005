"""The demo, small: from made-up data through real trainings to an exported model and its forecast, and once more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import NothingToShow
from engine.export import exported
from tests.conftest import Box

ENGINE = [sys.executable, "-m", "engine.cli.main"]


def engine(root: Path, *args: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*ENGINE, *args], capture_output=True, text=True, check=False, cwd=root, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.timeout(900)
def test_the_demo_and_what_it_leaves(box: Box, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    root = box.workspace.root
    box.workspace.database.unlink()  # from nothing
    assert box.pid
    with pytest.raises(NothingToShow):
        exported(box.workspace)
    engine(root, "data", "synth", "--symbols", "2", "--days", "500")
    first = engine(root, "demo", "--steps", "2")
    assert "the last price, repeated" in first.stdout
    assert "The data are synthetic." in first.stdout
    assert "SYNTHETIC" in first.stdout
    assert "engine down" in first.stdout
    assert sorted(box.rows()) == ["kronos-0001", "toto-0002", "toto-0003", "toto-0004"]
    assert all(row.tags == ("demo",) and row.state == "ok" for row in box.rows().values())
    board = json.loads(engine(root, "best", "--json").stdout)
    assert {row["family"] for row in board["rows"] if row["rank"]} == {"kronos", "toto"}
    assert not board["left_out"]
    best = next(row for row in board["rows"] if row["rank"] == 1)["id"]
    assert exported(box.workspace)["run"] == best
    assert any(line["order"] == "promote" for line in box.lines(best, "orders.jsonl"))

    again = engine(root, "demo", "--steps", "2")
    assert again.stderr.count("used again") == 4
    assert len(box.rows()) == 4

    other = next(run_id for run_id in box.rows() if run_id != best)
    path = engine(root, "export", other).stdout.strip()
    assert Path(path).is_relative_to(box.workspace.run(other))
    told = json.loads(engine(root, "predict", "--symbol", "SYN01", "--horizon", "3", "--json").stdout)
    assert told["model"] == path
    assert len(told["forecast"]) == 3
    assert engine(root, "best", "--family", "toto", "-k", "1").stdout.count("toto-0") >= 1
    assert Path(engine(root, "export", "best").stdout.strip()).is_relative_to(box.workspace.run(best))
