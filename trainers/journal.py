"""What a run tells of itself while it trains: metric lines with their speed, TensorBoard's copy, the doctor's findings.

Losses and norms stay on the device until a metric line is due: no step waits for the one before it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from engine import runlog
from trainers import profiling
from trainers.board import Board
from trainers.device import Placement
from trainers.doctor import Doctor, Finding, not_a_number
from trainers.profiling import Profile
from trainers.ranks import Ranks
from trainers.throughput import WARM_UP, Meter, peak_flops
from trainers.train_config import TrainConfig


class Journal:
    """Of one run in this process. steps: its last. flops: of one window's forward pass. say: shows a person a line."""

    def __init__(
        self,
        train: TrainConfig,
        steps: int,
        flops: float,
        placement: Placement,
        ranks: Ranks,
        folder: Path,
        say: Callable[[str], object],
    ) -> None:
        self.train, self.steps, self.placement, self.ranks, self.say = train, steps, placement, ranks, say
        self.doctor = Doctor(steps, train.lr, train.clip)
        self.board = Board(folder) if train.tensorboard and ranks.first else None
        self.profile = Profile(folder, self._profiled) if train.profile and ranks.first else None
        warm = profiling.TAKES if train.profile else WARM_UP
        self.meter = Meter(train.batch, 3.0 * flops, _peak(placement, ranks.count), warm)
        self.names: list[str] = []  # of the parameters that have gradients, in order of `each`
        self._pending: list[tuple[Tensor, Tensor, Tensor]] = []
        self._each: list[Tensor] = []
        self._said = time.perf_counter()

    def add(self, loss: Tensor, norm: Tensor, each: Tensor, windows: int, share: float) -> None:
        """A step was taken. each: the gradient norm of every parameter in `names`, before clipping.

        windows, share: see `Meter.step`.
        """
        self._pending.append((loss, norm, each))
        self.meter.step(self.placement.wait, windows, share)
        if self.profile is not None:
            self.profile.step()

    def read(self) -> tuple[list[float], list[float]]:
        """The losses and gradient norms of the steps since the last reading; waits for the device."""
        if not self._pending:
            return [], []
        losses, norms, self._each = (list(column) for column in zip(*self._pending, strict=True))
        self._pending.clear()
        mean = self.ranks.mean(torch.stack(losses).float())
        read: list[list[float]] = torch.stack([mean, torch.stack(norms).float()]).tolist()
        return read[0], read[1]

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        runlog.log(step, **scalars)
        if self.board is not None:
            self.board.log(step, scalars)

    def progress(self, step: int, loss: float, lr: float, speed: float | None, always: bool) -> None:
        """One line for a person, at most every second unless it matters."""
        now = time.perf_counter()
        if now - self._said >= 1.0 or step >= self.steps or always:
            self._said = now
            pace = f" {speed:.3g} it/s" if speed else ""
            self.say(f"step {step}/{self.steps} loss {loss:.4g} lr {lr:.2g}{pace}")

    def warn(self, findings: list[Finding], step: int) -> None:
        """The doctor's findings, as events and as lines."""
        for finding in findings:
            runlog.event("warning", step=step, **finding.fields())
            self.say(f"warning: {finding.text} {finding.suggestion}")

    def not_a_number(self, at: int, step: int, loss: float, norm: float, inputs_finite: bool) -> Finding:
        """Where it began. at: the step's place in the last reading."""
        each = self._each[at].float().tolist()
        return not_a_number(step, loss, norm, zip(self.names, each, strict=True), inputs_finite, self.train.lr)

    def close(self) -> None:
        if self.profile is not None:
            self.profile.close()
        if self.board is not None:
            self.board.close()

    def _profiled(self, path: Path) -> None:
        runlog.event("profile", path=f"{path.parent.name}/{path.name}", steps=profiling.STEPS)
        self.say(f"profile: {path.parent.name}/{path.name}, {profiling.STEPS} steps")


def _peak(placement: Placement, devices: int) -> float | None:
    if placement.device.type != "cuda":
        return None
    tf32 = torch.get_float32_matmul_precision() != "highest"
    peak = peak_flops(torch.cuda.get_device_name(placement.device), placement.precision, tf32)
    return peak and peak * devices
