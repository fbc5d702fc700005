"""A box for the benchmark of the screens: a real engine over recorded runs, eight of them live on eight stub GPUs."""

from __future__ import annotations

import math
import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.daemon import finished
from engine.client import connect
from engine.messages import Down, ListRuns, Submit
from engine.records import Spec
from engine.workspace import Workspace
from tests.engine.nvml_stub.fixture import GIB, StubGpu, build, write_state

ROOT = Path(__file__).resolve().parent.parent
LIVE, DEVICES, POINTS_A_SECOND = 8, 8, 20

# What a live run does: half an hour of training is there already, then so many points a second, each line as a trainer
# writes it, a validation and a line of log now and then.
REPLAY = """
import math, random, sys, time
from engine import runlog
rate, chance = float(sys.argv[1]), random.Random(7)
runlog.event("plan", steps=2_000_000, epochs=100.0)
runlog.event("phase", name="train")
begun = time.time()
step = -36_000
while True:
    step += 1
    t = step + 36_000
    line = {"loss": 0.5 * math.exp(-t / 9000) + 0.02 + chance.gauss(0, 0.002), "lr": 3e-4, "epoch": t / 20000}
    line |= {"grad_norm": abs(chance.gauss(1, 0.2)), "windows_per_s": 410 + chance.gauss(0, 9)}
    if t % 400 == 0:
        line |= {"val_pct_mae": 0.6 + math.exp(-t / 5000), "val_naive_pct_mae": 0.71, "val_skill": 0.1}
        print(f"{time.strftime('%H:%M:%S')} val_pct_mae {line['val_pct_mae']:.3f} (naive 0.710)", flush=True)
    elif t % 20 == 0:
        print(f"{time.strftime('%H:%M:%S')} step {t} loss {line['loss']:.4f}", flush=True)
    runlog.log(t, **line)
    if step > 0:
        time.sleep(max(0.0, begun + step / rate - time.time()))
"""


@contextmanager
def box(folder: Path, ended: int, live: int = LIVE, rate: float = POINTS_A_SECOND) -> Iterator[Workspace]:
    """A workspace whose engine runs: `ended` runs in folders, `live` ones that write `rate` points a second each."""
    home = folder / f"box-{ended}-{live}"
    home.mkdir()
    state = folder / f"gpus-{ended}"
    write_state(state, _gpus({}))
    os.environ.update(ENGINE_HOME=str(home), PYTHONPATH=str(ROOT), NVML_STUB_STATE=str(state),
                      LD_LIBRARY_PATH=str(build(folder)), ENGINE_GPU_LOCKS=str(folder / f"locks-{ended}"),
                      XDG_STATE_HOME=str(folder / "state"), XDG_CONFIG_HOME=str(folder / "config"))  # fmt: skip
    seen = folder / "state" / "paddock"
    seen.mkdir(parents=True, exist_ok=True)
    (seen / "tui.json").write_text('{"tour": true}')
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    workspace = Workspace(home)
    workspace.prepare()
    finished(workspace, ended)
    over = threading.Event()
    client = connect(workspace)
    try:
        for _ in range(live):
            command = (sys.executable, "-c", REPLAY, str(rate))
            client.call(Submit(spec=Spec(family="exec", command=command, cwd="/", gpus=1), environment={**os.environ}))
        pids: dict[str, int] = {}
        give_up = time.monotonic() + 120
        while len(pids) < live:
            assert time.monotonic() < give_up, "the runs do not start"
            time.sleep(0.1)
            rows = client.call(ListRuns()).rows
            pids = {row.devices[0]: row.pid for row in rows if row.pid and (row.step or 0) > 36_000}
        threading.Thread(target=_breathe, args=(state, pids, over), daemon=True).start()
        yield workspace
    finally:
        over.set()
        client.call(Down(stop_runs=True))
        client.close()


def _breathe(state: Path, pids: dict[str, int], over: threading.Event) -> None:
    """Let the devices' readings move, once a second."""
    while not over.wait(1.0):
        write_state(state, _gpus(pids))


def _gpus(pids: dict[str, int]) -> list[StubGpu]:
    """pids: of the run on a device, by UUID."""
    now = time.time()
    chance = random.Random(int(now))
    gpus = []
    for index in range(DEVICES):
        pid = pids.get(f"GPU-{index}")
        processes, used = ([(pid, (20 + index) * GIB, "C")], (21 + index) * GIB) if pid else ([], 0)
        load = int(80 + 15 * math.sin(now / 7 + index) + chance.uniform(-4, 4))
        gpus.append(StubGpu(f"GPU-{index}", "NVIDIA H100 80GB HBM3", used=used, util=load,
                            power=400_000 + 2000 * load, temp=55 + load // 10, processes=processes))  # fmt: skip
    return gpus
