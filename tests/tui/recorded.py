"""A small server on a real socket that tells what a scene says; it speaks engine.messages and keeps what it is asked.

It stands for an engine on a box that the tests do not run on: two GPUs, hours of training, a stranger's process.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from engine.devices import DeviceSample, ProcessSample, Sample
from engine.errors import UnknownRun
from engine.host import HostSample
from engine.messages import (
    Changed,
    DryRun,
    Failed,
    GetPlan,
    GetStatus,
    Ok,
    Order,
    PlanReply,
    Queued,
    Rehearsed,
    Reply,
    Request,
    Retry,
    RunDetail,
    ShowRun,
    Snapshot,
    StatusReply,
    Submit,
    Watch,
    decode_request,
)
from engine.records import EngineStatus, Plan, RunRow, Spec, Turn, encode
from engine.workspace import Workspace

GIB = 1 << 30


class RecordedEngine:
    """Serves a scene until stop(); rows and samples can be changed while clients watch."""

    def __init__(self, workspace: Workspace, rows: Iterable[RunRow], sample: Sample, history: Iterable[Sample] = ()):
        self.workspace = workspace
        self.rows = {row.id: row for row in rows}
        self.sample, self.history = sample, tuple(history)
        self.asked: list[Request] = []
        self.nonsense = False
        """Whether answers are none that a client could read."""
        self._watchers: set[asyncio.StreamWriter] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> RecordedEngine:
        self.workspace.prepare()
        self.workspace.socket.unlink(missing_ok=True)
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        self._thread.start()
        assert ready.wait(60)
        return self

    def stop(self) -> None:
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._done.set)
            self._thread.join(10)
            self._loop = None

    def __enter__(self) -> RecordedEngine:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_unix_server(self._client, self.workspace.socket)
        ready.set()
        await self._done.wait()
        server.close()
        for writer in list(self._writers):
            writer.close()
        self.workspace.socket.unlink(missing_ok=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while line := await reader.readline():
                request = decode_request(line)
                self.asked.append(request)
                writer.write(b'"no"\n' if self.nonsense else encode(self._answer(request, writer)))
                await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._watchers.discard(writer)
            self._writers.discard(writer)
            writer.close()

    def _answer(self, request: Request, writer: asyncio.StreamWriter) -> Reply:
        if isinstance(request, Watch):
            self._watchers.add(writer)
            return Snapshot(
                rows=tuple(self.rows.values()), sample=self.sample, history=self.history, status=self.status()
            )
        if isinstance(request, GetStatus):
            return StatusReply(self.status())
        if isinstance(request, ShowRun | Order | Retry) and request.run not in self.rows:
            return Failed(UnknownRun.__name__, f"No run '{request.run}'.")
        if isinstance(request, ShowRun):
            return self.detail(self.rows[request.run])
        if isinstance(request, GetPlan):
            return PlanReply(self.plan())
        if isinstance(request, DryRun):
            return self.rehearsed(request.wish)
        if isinstance(request, Retry):
            return Queued(self.rows[request.run])
        return Ok()

    def plan(self) -> Plan:
        """What runs goes on as long as it says, what waits starts after it, one after the other."""
        now, turns, free = time.time(), [], 0.0
        for row in self.rows.values():
            if row.state == "running" and row.eta is not None:
                turns.append(self._turn(row, now - 60, now + row.eta, row.labels))
                free = max(free, now + row.eta)
        for row in self.rows.values():
            if row.state == "queued":
                turns.append(self._turn(row, free, free + 3600, ("GPU0",)))
                free += 3600
        return Plan(now=now, lanes=("GPU0", "GPU1"), cpu_slots=2, turns=tuple(turns), until=free, unknown=0, beyond=0)

    def rehearsed(self, request: Request) -> Rehearsed:
        """A new run would wait for the first GPU, and need as much of it as a dozen like it did."""
        if not isinstance(request, Submit):
            return Rehearsed((), Ok())
        family, now = request.spec.family, time.time()
        row = RunRow(id=f"{family}-0216", family=family, state="queued", since=now, submitted=now, place=6,
                     reason="GPU0 busy until about 14:33", predicted=38 * GIB, predicted_from=12)  # fmt: skip
        told = (f"{row.id} would wait: {row.reason}",)
        return Rehearsed(told, Queued(row), self._turn(row, now + 1980, now + 7200, ("GPU0",)))

    def _turn(self, row: RunRow, start: float, end: float, labels: tuple[str, ...]) -> Turn:
        return Turn(
            run=row.id, name=row.name, family=row.family, state=row.state, place=row.place, gpus=1, labels=labels,
            start=start, end=end, takes=3600.0, how="runs like it", reason=row.reason,
        )  # fmt: skip

    def status(self) -> EngineStatus:
        counts: dict[str, int] = {}
        for row in self.rows.values():
            counts[row.state] = counts.get(row.state, 0) + 1
        return EngineStatus(
            pid=1, started=time.time() - 3600, version="0.1.0", workspace=str(self.workspace.root), socket="",
            cpu_slots=2, counts=counts, database=3 << 20,
        )  # fmt: skip

    def detail(self, row: RunRow) -> RunDetail:
        spec = Spec(
            id=row.id, family=row.family, command=("python", "-m", "trainers", row.family, "{run}"),
            cwd=str(self.workspace.root), preset="small", submitted=row.submitted, seed=7,
            config={"train": {"lr": 3e-4, "epochs": 30.0, "batch": 64}, "data": {"context": 512, "horizon": 64}},
            changed={"train.lr": 3e-4},
        )  # fmt: skip
        events: list[dict[str, object]] = [{"t": row.submitted + 5, "event": "phase", "name": "train"}]
        return RunDetail(
            row=row, spec=spec, folder=str(self.workspace.run(row.id)), orders=[], lifecycle=[], events=events
        )

    def tell(self, *rows: RunRow, sample: Sample | None = None) -> None:
        """Change rows, and tell every watcher."""
        self.rows.update({row.id: row for row in rows})
        message = encode(Changed(rows=rows, sample=sample))

        def send() -> None:
            for writer in self._watchers:
                writer.write(message)

        assert self._loop is not None
        self._loop.call_soon_threadsafe(send)

    def change(self, run: str, **fields: object) -> None:
        self.tell(msgspec.structs.replace(self.rows[run], **fields))


# -- scenes -----------------------------------------------------------------------------------------------------------


def no_gpu(t: float, cpu: float = 30.0) -> Sample:
    host = HostSample(cpu, 0.9, 5 * GIB, 16 * GIB, 412 * GIB, 900 * GIB, 2)
    return Sample(t=t, devices=(), host=host, why_none="NVML Shared Library Not Found")


def two_gpus(t: float, loads: tuple[float, float] = (97.0, 71.0)) -> Sample:
    host = HostSample(41.0, 6.7, 58 * GIB, 256 * GIB, 412 * GIB, 2000 * GIB, 16)
    first = (
        ProcessSample(100, 57 * GIB, "python", "me", "toto-0211"),
        ProcessSample(8812, int(4.2 * GIB), "python", "you", None),
    )
    second = (
        ProcessSample(101, int(14.9 * GIB), "python", "me", "kronos-0208"),
        ProcessSample(102, int(9.1 * GIB), "python", "me", "kronos-0210"),
    )
    devices = tuple(
        DeviceSample(
            f"GPU-{i}", i, "NVIDIA H100 80GB HBM3", load, used, 80 * GIB, 80 * GIB - used, power, 700.0, heat,
            processes, False, True,
        )
        for i, (load, used, power, heat, processes) in enumerate(
            ((loads[0], int(61.2 * GIB), 412.0, 64, first), (loads[1], 24 * GIB, 288.0, 55, second))
        )
    )  # fmt: skip
    return Sample(t=t, devices=devices, host=host)


def history(now: float) -> list[Sample]:
    chance = random.Random(5)
    return [two_gpus(now - i, (chance.uniform(80, 100), chance.uniform(30, 90))) for i in range(120, 0, -1)]


def busy_box(now: float) -> list[RunRow]:
    """The runs of a busy afternoon."""
    falling = tuple(0.02 + 0.5 * math.exp(-i / 8) for i in range(40))

    def running(run: str, family: str, **more: object) -> RunRow:
        fields: dict[str, object] = {"state": "running", "since": now - 2400, "submitted": now - 3000}
        fields |= {
            "started": now - 2400,
            "spark": falling,
            "phase": "train",
            "labels": ("GPU0",),
            "devices": ("GPU-0",),
        }
        return msgspec.convert({"id": run, "family": family, **fields, **more}, RunRow)

    rows = [
        running("toto-0211", "toto", step=9210, steps=16200, epoch=16.6, epochs=30.0, loss=0.0108, metric=0.664,
                best=0.652, naive=0.588, skill=-0.129, steps_per_s=12.8, eta=1860.0, device_memory=57 * GIB,
                what="context 512  lr 3e-4", tags=("paper",)),
        running("kronos-0208", "kronos", step=4400, steps=6600, epoch=1.98, epochs=3.0, loss=1.912, metric=0.581,
                best=0.581, naive=0.588, skill=0.012, steps_per_s=8.1, eta=2280.0, device_memory=15 * GIB,
                labels=("GPU1",), warning="throughput −38 %: loading-bound", started=now - 4360),
        running("kronos-0210", "kronos", step=800, steps=6600, epoch=0.36, epochs=3.0, loss=2.341, steps_per_s=5.5,
                eta=3960.0, device_memory=9 * GIB, labels=("GPU1",), started=now - 540, what="LoRA r16  lr 1e-4"),
    ]  # fmt: skip
    waiting = [
        ("toto-0212", "queued", 1, "context 1024  lr 1e-4  quantile", ("paper",), "GPU0 busy until about 14:33", 1),
        ("toto-0207.2", "queued", 2, "retry of 0207: batch 8→4 x2", (), "fits GPU1 at about 14:40", 1),
        ("kronos-0213", "queued", 3, "LoRA r16  lr 1e-4", ("lora",), "after toto-0212", 1),
        ("toto-0214", "held", None, "walk-forward, 5 folds", ("cv",), "held by you since 13:20", 1),
        ("toto-0215", "queued", 4, "DDP 2 GPUs, base, full fine-tune", (), "needs 2 GPUs at once", 2),
    ]
    for run, state, place, what, tags, why, gpus in waiting:
        rows.append(RunRow(id=run, family=run.partition("-")[0], state=state, since=now - 600, submitted=now - 600,
                           place=place, what=what, tags=tags, reason=why, gpus=gpus))  # fmt: skip
    chance = random.Random(3)
    for number in range(206, 196, -1):
        state = {203: "failed", 200: "stopped", 198: "lost"}.get(number, "ok")
        family = "kronos" if number % 3 == 0 else "toto"
        ended = now - (207 - number) * 2700
        best = None if state in ("failed", "lost") else round(0.55 + chance.random() * 0.12, 3)
        reason = {"failed": "out of memory at step 412: asked 2.1 GiB, 1.2 GiB free", "stopped": "stopped by you"}
        rows.append(RunRow(id=f"{family}-{number:04d}", family=family, state=state, since=ended, submitted=ended - 5000,
                           started=ended - chance.randint(900, 5000), ended=ended, step=chance.randint(4000, 16200),
                           best=best, metric=best, naive=None if best is None else 0.588,
                           skill=None if best is None else 1 - best / 0.588, reason=reason.get(state, ""),
                           what="context 512  lr 3e-4", exit_code=0 if state == "ok" else 4))  # fmt: skip
    return rows


def many_runs(now: float, count: int, live: int = 8, waiting: int = 12) -> list[RunRow]:
    """The runs of a year: ended ones of several families, sweeps and attempts, and the busy box of today."""
    chance = random.Random(17)
    falling = tuple(0.02 + 0.5 * math.exp(-i / 8) for i in range(40))
    rows: list[RunRow] = []
    for number in range(1, count + 1):
        family = ("toto", "toto", "kronos", "chronos2", "patchtst")[number % 5]
        run, submitted = f"{family}-{number:05d}", now - (count - number) * 3000.0 - 4000
        sweep, lr = f"sweep {number // 64}", 10 ** chance.uniform(-5, -3)
        common: dict[str, object] = {
            "id": run, "family": family, "submitted": submitted, "name": sweep, "what": f"lr {lr:.2g}  context 512",
            "tags": tuple(tag for tag in ("base", "paper", "lora", "nightly") if chance.random() < 0.15),
            "commit": f"{number // 40:07x}" + "a" * 33, "dirty": number % 7 == 0, "steps": 16200,
        }  # fmt: skip
        if chance.random() < 0.03:
            common["note"] = "looks odd from step 4,000 on"
        left = count - number
        if left < waiting:
            more: dict[str, object] = {
                "state": "held" if left == 3 else "queued", "since": submitted, "place": waiting - left,
                "reason": "GPU0 busy until about 14:33", "gpus": 1, "submitted": now - 60 - left,
            }  # fmt: skip
        elif left < waiting + live:
            gpu = (left - waiting) % 8
            more = {
                "state": "running", "since": now - 2400, "started": now - 2400 - left, "phase": "train",
                "labels": (f"GPU{gpu}",), "devices": (f"GPU-{gpu}",), "spark": falling, "step": 4000 + 10 * left,
                "epoch": 7.3, "epochs": 30.0, "loss": 0.0108 + left / 1e5, "metric": 0.664, "best": 0.652,
                "naive": 0.588, "skill": -0.129, "steps_per_s": 12.8, "eta": 940.0 + left, "device_memory": 57 * GIB,
            }  # fmt: skip
        else:
            state = chance.choices(("ok", "failed", "stopped", "lost"), (86, 8, 5, 1))[0]
            took = chance.uniform(300, 9000)
            best = None if state in ("failed", "lost") else round(0.52 + abs(chance.gauss(0, 0.09)), 4)
            reasons = {"failed": "out of memory at step 412: asked 2.1 GiB", "stopped": "stopped by you"}
            more = {
                "state": state, "since": submitted + took, "started": submitted + 5, "ended": submitted + took,
                "step": chance.randint(400, 16200), "loss": chance.uniform(0.005, 0.05), "best": best, "metric": best,
                "naive": None if best is None else 0.588, "skill": None if best is None else 1 - best / 0.588,
                "reason": reasons.get(state, ""), "cause": "device memory" if state == "failed" else "",
                "exit_code": 0 if state == "ok" else 4, "spark": falling[:: 1 + number % 3],
            }  # fmt: skip
            if state == "failed" and number % 3 == 0:  # a second attempt went well
                rows.append(msgspec.convert({**common, **more, "later": f"{run}.2"}, RunRow))
                more |= {"state": "ok", "best": 0.61, "metric": 0.61, "naive": 0.588, "skill": 1 - 0.61 / 0.588,
                         "reason": "", "cause": "", "exit_code": 0, "id": f"{run}.2", "attempt": 2}  # fmt: skip
        rows.append(msgspec.convert({**common, **more}, RunRow))
    return rows


def write_folder(workspace: Workspace, run: str, steps: int = 9210, now: float | None = None) -> Path:
    """metrics.jsonl and log.txt of a run that has gone some thousand steps."""
    now = now or time.time()
    folder = workspace.run(run)
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(11)
    lines, log = [], []
    for step in range(10, steps + 1, 10):
        t = now - (steps - step) * 0.26
        loss = (
            0.0105 + 0.006 * math.exp(-step / (steps / 3)) + chance.gauss(0, 0.0004) * (1 + 2 * math.exp(-step / 2000))
        )
        line: dict[str, object] = {
            "t": t,
            "step": step,
            "epoch": step / 540,
            "loss": loss,
            "lr": 3e-4 * (1 - step / 2e4),
        }
        line |= {"grad_norm": abs(chance.gauss(1, 0.2)), "windows_per_s": 410 + chance.gauss(0, 9)}
        if step % 460 == 0:
            error = 0.64 + 0.45 * math.exp(-step / 3000)
            line |= {"val_loss": loss + 0.0006, "val_pct_mae": error, "val_naive_pct_mae": 0.588}
            skill = 100 * (1 - error / 0.588)
            stamp = time.strftime("%H:%M:%S", time.localtime(t))
            log.append(f"{stamp} val_pct_mae {error:.3f} (naive 0.588, skill {skill:+.1f} %)")
            log.append(f"{stamp} checkpoint step-{step:06d} saved, best so far")
        elif step % 50 == 0:
            stamp = time.strftime("%H:%M:%S", time.localtime(t))
            log.append(f"{stamp} epoch {step / 540:.1f}  step {step:,}  loss {loss:.4f}  lr {line['lr']:.1e}")
        lines.append(json.dumps(line))
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "log.txt").write_text("\n".join(log) + "\n")
    return folder
