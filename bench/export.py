"""A small Toto for other runtimes: what torch.export, ONNX and int8 differ by, cost and gain, on one thread.

    python bench/export.py

Sample data and a short training in a folder of their own; ends with 1 when a conversion is not faithful.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ENV = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def trainers(home: Path, *args: str, given: dict[str, Any] | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "trainers", *args],
        cwd=home, env={**ENV, "ENGINE_HOME": str(home)}, input=json.dumps(given or {}), text=True,
        stdout=subprocess.PIPE, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"trainers {args[0]} ended with {done.returncode}")
    return done.stdout


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="export-") as folder:
        home = Path(folder)
        trainers(home, "data", "synth", "--symbols", "6", "--days", "800")
        made = json.loads(trainers(home, "resolve", "toto", given={"set": {"train.steps": 60, "train.device": "cpu"}}))
        run = home / "runs" / "toto-0001"
        run.mkdir(parents=True)
        (run / "spec.json").write_text(json.dumps({"id": run.name, "family": "toto", "config": made["config"]}))
        trainers(home, "toto", str(run))
        checkpoint = max((run / "checkpoints").iterdir())
        for kind in ("torch", "onnx", "int8"):
            told = json.loads(
                trainers(home, "convert", "--model", str(checkpoint), "--to", kind, "--out", str(home / kind), "--json")
            )
            differs = f"differs by {told['largest_difference']:.1g} on {told['windows']} windows"
            line = f"{kind:<6} {told['bytes'] / 2**20:6.2f} MiB   {differs}"
            if kind == "int8":
                line += (
                    f" before quantising;  pct_mae {told['pct_mae']:.4g} -> {told['int8_pct_mae']:.4g} "
                    f"({100 * told['loss_of_accuracy']:+.2f} %),  {told['speed']:.2f}x as fast as ONNX in float32"
                )
            print(line, flush=True)


if __name__ == "__main__":
    main()
