"""A few rounds of `make chaos`, and proof that its judge would notice: a spoilt truth is told as a fault."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.messages import ListRuns, Submit
from engine.records import ENDED, Spec
from engine.rundir import LIFECYCLE
from tests.chaos import truth
from tests.chaos.place import HERE, Place
from tests.chaos.rounds import Round
from tests.conftest import wait_for


@pytest.fixture
def place():
    made = Place()  # not below tmp_path: the path of a socket must be short
    yield made
    made.close()


def test_rounds_of_chaos(place: Place):
    answered: dict[str, str] = {}
    for number in range(2):
        Round(place, f"suite/{number}", answered).play()
    assert answered


def test_the_judge_notices_what_is_wrong(place: Place):
    command = (sys.executable, str(HERE / "trainer.py"), str(place.ledger), "5", "0.001", "plain")
    spec = Spec(family="exec", command=command, cwd="/", gpus=1)
    run = place.call(Submit(spec=spec, environment=dict(os.environ))).row.id
    wait_for(lambda: {row.state for row in place.call(ListRuns()).rows} <= ENDED)
    assert truth.faults(place, {run: "plain"}) == []
    ledger, metrics = place.ledger / run, place.workspace.run(run) / "metrics.jsonl"
    kept = metrics.read_bytes()
    metrics.write_bytes(b"\n".join(kept.split(b"\n")[:-3]) + b"\n")
    assert "lost 2 lines that were written, the first of step 4" in truth.of_run(place, row(place, run), False)[0]
    metrics.write_bytes(kept)
    (ledger / "begun").write_text("1 1\n2 2\n")
    (ledger / "clash").write_text("GPU-aaaa\n")
    (ledger / "ended").write_text("3\n")
    found = "; ".join(truth.of_run(place, row(place, run), True))
    for fault in ("began 2 times", "was given GPU-aaaa while somebody held it", "a process of it lives",
                  "ended with 3, told as 0", "is ok, but its own account is ['3']"):  # fmt: skip
        assert fault in found
    (ledger / "begun").unlink()
    lost, lifecycle = replace(row(place, run), state="lost", reason="killed"), place.workspace.run(run) / LIFECYCLE
    assert "never began" not in truth.of_run(place, lost, False)
    lifecycle.unlink()
    assert "never began" in truth.of_run(place, lost, False)
    assert any("exec-0009 was queued and is lost" in fault for fault in truth.faults(place, {"exec-0009": "plain"}))


def row(place: Place, run: str):
    return next(row for row in place.call(ListRuns()).rows if row.id == run)


def test_the_clock_moves_for_what_is_started_here_and_not_for_us(place: Place, tmp_path: Path):
    before = time.time()
    place.move_clock(86_400)
    out = tmp_path / "out"
    os.spawnlp(os.P_WAIT, "sh", "sh", "-c", f"{sys.executable} -S -c 'import time; print(time.time())' > {out}")
    assert float(out.read_text()) - before > 86_000
    assert time.time() - before < 80_000
    assert shutil.which("cc")
