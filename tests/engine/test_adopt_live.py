"""Adopted numbers on a real engine: seen in lists, curves, database and leaderboard, once each over its deaths."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine import rundir
from engine.adopt import Adopt
from engine.messages import Sync
from engine.series import Series
from engine.store import reading
from engine.submit import Wishes, submit_command
from tests.conftest import Box, wait_for

PRINTS = """
import json, os, sys, time
out = open("out.jsonl", "a")
for step in range(1, 31):
    print(f"step {step}/30 loss: {1 / step}", flush=True)
    print(json.dumps({"step": step, "val_loss": 2 / step}), file=out, flush=True)
    while step == 20 and not os.path.exists("go"):
        time.sleep(0.01)
"""


@pytest.fixture
def foreign(box: Box) -> str:
    adopt = Adopt(stdout=True, file="out.jsonl")
    command = (sys.executable, "-c", PRINTS)
    return submit_command(box.client, box.workspace, command, cwd=box.workspace.root, wishes=Wishes(adopt=adopt)).id


def test_numbers_of_a_program_that_does_not_know_us(box: Box, foreign: str):
    (box.workspace.root / "out.jsonl").unlink(missing_ok=True)
    row = wait_for(lambda: r if (r := box.row(foreign)).step == 20 and r.loss == 0.05 else None, "for step 20")
    assert (row.steps, row.state) == (30, "running")
    box.crash()
    assert wait_for(lambda: r if (r := box.row(foreign)).step == 20 else None, "for the next engine").steps == 30
    (box.workspace.root / "go").touch()
    assert box.ended(foreign).state == "ok"
    folder = box.workspace.run(foreign)
    whole = wait_for(lambda: [*rundir.read(folder / rundir.ADOPTED)] if _whole(folder) else None, "for the last line")
    for name in ("loss", "val_loss"):
        assert [line["step"] for line in whole if name in line] == [*range(1, 31)]
    assert box.row(foreign).step == 30
    command = [sys.executable, "-m", "engine", "logs", foreign, "--metrics"]
    env = {**os.environ, "ENGINE_HOME": str(box.workspace.root)}
    told = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    assert [json.loads(line) for line in told.splitlines()] == whole[:-1], "all but the engine's own mark"
    told = subprocess.run([*command, "--json"], env=env, capture_output=True, text=True, check=True).stdout
    assert json.loads(told)["lines"] == whole[:-1]
    series = Series(folder)
    series.refresh()
    assert list(series.points("val_loss")[1]) == [2 / n for n in range(1, 31)]
    assert series.passed == 0
    box.call(Sync())
    with reading(box.workspace.database) as con:
        found = con.execute(
            "SELECT metric, count(*), min(value), max(step) FROM metric_curve WHERE id = ? GROUP BY 1 ORDER BY 1",
            [foreign],
        ).fetchall()
        assert found == [("loss", 30, 1 / 30, 30), ("val_loss", 30, 2 / 30, 30)]
        assert con.execute("SELECT sum(passed) FROM files").fetchall() == [(0,)]
        assert con.execute("SELECT steps_planned FROM runs").fetchall() == [(30,)]
    from engine.select import leaderboard

    assert leaderboard(box.workspace.database, "val_loss").best.id == foreign


def _whole(folder: Path) -> bool:
    return rundir.read_last(folder / rundir.ADOPTED, 200)[-1:] == [{"event": "adopted"}]


def test_a_bad_pattern_is_refused_and_a_slow_one_given_up(box: Box, capsys: pytest.CaptureFixture[str]):
    from engine.cli import main

    assert main.run(["exec", "--metrics-pattern", "(", "--", "true"]) == 2
    assert "is no regular expression" in capsys.readouterr().err
    code = "print('loss: ' + 'a' * 100)"
    row = submit_command(
        box.client,
        box.workspace,
        (sys.executable, "-c", code),
        cwd=box.workspace.root,
        wishes=Wishes(adopt=Adopt(stdout=True, patterns=(r"(a+)+$(?P<loss>x)",))),
    )
    assert box.ended(row.id).state == "ok"
    assert "needs too long" in wait_for(lambda: box.row(row.id).warning, "for the warning")
    assert json.loads((box.workspace.run(row.id) / "spec.json").read_text())["adopt"]["patterns"]
