"""How soon a model answers: a small Toto's first forecast in a new process, and 100 series x 64 steps warm.

    python bench/forecast.py        exit 1 if too slow

The model draws 16 samples: the fewer, the more what stands around its call weighs. Cold stands beside a process that
only imports torch and pandas, in turns; warm beside the model's own call. On a busy machine everything waits: a limit
that the clock misses is forgiven where the CPU time is within it, and where those imports alone take as long.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # the repository in place of bench/, so that no file here shadows a module
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import json
import tempfile
from statistics import median

from bench.clock import timed
from bench.export import ENV, trainers

SERIES, HORIZON, ROUNDS = 100, 64, 5
COLD_S, WARM = 3.0, 1.2
FLOOR = "import os, torch, pandas; os._exit(0)"  # what a process takes to come apart is no part of an answer
COLD = """
import os
import pandas
from trainers import load_forecaster
frame = pandas.read_csv({data!r})
made = load_forecaster({model!r}, "cpu").predict(frame, horizon={horizon})
assert len(made) == {horizon} and made["mean"].notna().all()
os._exit(0)
"""


def main(argv: list[str]) -> int:
    if argv:
        print(f"unknown: {' '.join(argv)}\n\n{__doc__}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="forecast-") as folder:
        home = Path(folder)
        model = small(home)
        data = home / "trainingdata"
        program = COLD.format(data=str(min(data.glob("*.csv"))), model=str(model), horizon=HORIZON)
        took: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
        timed(sys.executable, "-P", "-c", program, cwd=home, env=ENV)  # the files are read once before, and compiled
        for _ in range(ROUNDS):
            for code, spent in zip((FLOOR, program), took, strict=True):
                spent.append(timed(sys.executable, "-P", "-c", code, cwd=home, env=ENV))
        (floor, floor_cpu), (cold, cold_cpu) = (
            [median(column) for column in zip(*spent, strict=True)] for spent in took
        )
        print(
            f"cold: load_forecaster and {HORIZON} steps of one series {cold:.2f} s ({cold_cpu:.2f} s of CPU),"
            f" {cold_cpu / floor_cpu:.2f}x of importing torch and pandas ({floor:.2f} s, {floor_cpu:.2f} s of CPU)"
        )
        asked = ("--model", str(model), "--horizon", str(HORIZON), "--device", "cpu", "--bench", "--json")
        told = json.loads(trainers(home, "forecast", *asked))
        print(
            f"warm: {told['series']} series x {told['horizon']} steps {1e3 * told['warm_s']:.0f} ms,"
            f" {told['ratio']:.3f}x of the model's call alone; {told['peak_bytes'] / 2**20:.0f} MiB"
        )
    soon = min(cold, cold_cpu) <= COLD_S or min(cold / floor, cold_cpu / floor_cpu) <= 1.15
    return 0 if soon and told["ratio"] <= WARM else 1


def small(home: Path) -> Path:
    """The checkpoint of Toto's preset small after one step, and the data of SERIES symbols beside it."""
    trainers(home, "data", "synth", "--symbols", str(SERIES), "--days", "1000")
    wanted = {"preset": "small", "set": {"train.steps": 1, "train.device": "cpu", "data.horizon": HORIZON,
                                         "model.samples": 16, "eval.stride": HORIZON}}  # fmt: skip
    config = json.loads(trainers(home, "resolve", "toto", given=wanted))["config"]
    run = home / "runs" / "toto-0001"
    run.mkdir(parents=True)
    (run / "spec.json").write_text(json.dumps({"id": run.name, "family": "toto", "config": config}))
    trainers(home, "toto", str(run))
    return max((run / "checkpoints").iterdir())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
