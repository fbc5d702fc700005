"""Run folders with everything the tabs of a run show: two hours on a GPU, checkpoints, a patch, an evaluation."""

from __future__ import annotations

import json
import math
import random
import time
from typing import Any

from engine import rundir
from engine.workspace import Workspace
from tests.engine.store_folders import T0, Run

GPU, GIB, STEPS = "GPU-0001", 1 << 30, 600
PATCH = """diff --git a/train.py b/train.py
index 1111111..2222222 100644
--- a/train.py
+++ b/train.py
@@ -1,2 +1,2 @@
-rate = 1e-3
+rate = 3e-4
 steps = 600
"""


def trained(workspace: Workspace, run_id: str = "toto-0001", **spec: Any) -> Run:
    """A run of ten minutes that saved three checkpoints, of which one was deleted again; a step a second."""
    git = {"commit": "ab" * 20, "branch": "main", "dirty": True, "patch_sha": "c" * 64}
    run = Run(workspace, run_id, git=git, code={"tree": "d" * 32, "top": "/w"}, **spec)
    (run.folder / "code.patch").write_text(PATCH)
    run.start((GPU,))
    run.event("plan", steps=STEPS, epochs=6.0)
    chance = random.Random(3)
    log = []
    for step in range(1, STEPS + 1):
        line = {"loss": 0.4 * math.exp(-step / 150) + 0.1 + chance.gauss(0, 0.01), "lr": 3e-4, "epoch": step / 100}
        line |= {"steps_per_s": 1.0, "points_per_s": 512.0, "windows_per_s": 64 + chance.gauss(0, 2)}
        if step % 50 == 0:
            line |= {"val_loss": line["loss"] + 0.02, "val_pct_mae": 0.55 + 0.2 * math.exp(-step / 200)}
            line["val_naive_pct_mae"] = 0.588
            log.append(f"step {step} val_pct_mae {line['val_pct_mae']:.4f}")
        elif step % 10 == 0:
            log.append(f"step {step} loss {line['loss']:.4f}")
        run.log(step, **line)
    (run.folder / "log.txt").write_text("\n".join(log) + "\n")
    run.checkpoint(200, 0.62)
    run.checkpoint(400, 0.58)
    run.checkpoint(600, 0.56)
    for file in (run.folder / "checkpoints" / "step-000200").iterdir():
        file.unlink()
    (run.folder / "checkpoints" / "step-000200").rmdir()
    return run


def evaluated(run: Run, symbols: int = 12) -> Run:
    """Results by symbol, the first one the best, and forecasts of two of them."""
    names = [f"SYM{i:02d}" for i in range(symbols)]
    told = {
        name: {"pct_mae": 0.5 + 0.02 * i, "naive_pct_mae": 0.588, "skill": 1 - (0.5 + 0.02 * i) / 0.588,
               "dir_acc": 0.55 - 0.01 * i, "crps": 0.4 + 0.01 * i, "windows": 40}
        for i, name in enumerate(names)
    }  # fmt: skip
    run.evaluate(pct_mae=0.56, symbols=told)
    chance = random.Random(5)
    price = [100.0]
    for _ in range(130):
        price.append(price[-1] * (1 + chance.gauss(0, 0.01)))
    run.windows(price, 16, symbol=names[-1], horizon=16)
    return run


def samples(workspace: Workspace, seconds: int = STEPS, run: str = "toto-0001") -> None:
    """What the engine records each second: one GPU with our run and a stranger on it, and the machine."""
    workspace.host.mkdir(parents=True, exist_ok=True)
    day = time.strftime("%Y-%m-%d", time.gmtime(T0))
    for second in range(0, seconds, 5):
        t = T0 + 3 + second
        processes = [
            {"pid": 41, "memory": 20 * GIB, "name": "python", "user": "ann", "run": run},
            {"pid": 9, "memory": 2 * GIB, "name": "python", "user": "bob", "run": None},
        ]
        device = {
            "uuid": GPU, "index": 0, "name": "NVIDIA H100", "utilisation": 90 + 8 * math.sin(second / 40),
            "memory_used": 22 * GIB + second * (1 << 22), "memory_total": 80 * GIB, "memory_free": 58 * GIB,
            "power": 400 + 50 * math.sin(second / 60), "power_limit": 700.0, "temperature": 55 + second // 60,
            "processes": processes, "mig": False, "visible": True,
        }  # fmt: skip
        host = {"cpu": 30.0, "load1": 1.0, "memory_used": 9 * GIB, "memory_total": 64 * GIB, "disk_free": 400 * GIB,
                "disk_total": 900 * GIB, "cores": 16}  # fmt: skip
        line = {"kind": "sample", "t": t, "devices": [device], "host": host, "why_none": ""}
        rundir.append(workspace.host / f"{day}.jsonl", line)


def failed(workspace: Workspace, run_id: str = "toto-0002") -> Run:
    """A run that ran out of memory."""
    run = Run(workspace, run_id)
    run.start((GPU,))
    run.event("plan", steps=100, epochs=1.0)
    run.logs(40)
    run.event("oom", requested=2 * GIB, free=GIB, total=80 * GIB)
    run.event("failed", cause="out of memory")
    text = (
        "Traceback (most recent call last):\ntorch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB\n"
    )
    (run.folder / "log.txt").write_text("step 1\n" + text)
    run.end(4, after=60)
    return run


def told(path: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
