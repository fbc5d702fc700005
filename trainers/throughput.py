"""How fast a run trains, told right: over whole intervals that end with a wait for the device, without warm-up.

The first steps of a process (compilation, allocator, kernel choice), validations, checkpoints and profiled steps are
no part of any interval. Every rate is of the whole run, all its devices together.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WARM_UP = 3
"""Steps of a process before its speed is told."""

# dense, without sparsity, in 1e12 operations a second: (fp32 outside tensor cores, tf32, bf16 and fp16 with float32
# sums); None where the device has none. Source: NVIDIA's data sheets and architecture papers of each.
_PEAKS: dict[str, tuple[float, float | None, float | None]] = {
    r"B200": (75.0, 1100.0, 2250.0),
    r"H200": (67.0, 494.7, 989.4),
    r"GH200 .*|H100 .*HBM3": (67.0, 494.7, 989.4),
    r"H100 PCIe": (51.0, 378.0, 756.0),
    r"A100-SXM4-.*|A100-PCIE-.*|A100 .*PCIe": (19.5, 156.0, 312.0),
    r"A40": (37.4, 74.8, 149.7),
    r"L40S": (91.6, 183.0, 362.0),
    r"L40": (90.5, 90.5, 181.0),
    r"L4": (30.3, 60.0, 121.0),
    r"RTX 6000 Ada Generation": (91.1, 182.1, 364.2),
    r"RTX A6000": (38.7, 77.4, 154.8),
    r"GeForce RTX 4090": (82.6, 82.6, 165.2),
    r"GeForce RTX 3090": (35.6, 35.6, 71.0),
    r"Tesla T4": (8.1, None, None),
    r"Tesla V100-SXM2-.*": (15.7, None, None),
}


def peak_flops(device: str, precision: str, tf32: bool = False) -> float | None:
    """Operations a second that the device can do at most; None where that is not known (a slice, a CPU, a new one).

    device: as torch.cuda.get_device_name gives it. precision: fp32, bf16 or fp16. tf32: fp32 products may use it.
    """
    name = device.removeprefix("NVIDIA ").strip()
    for pattern, (fp32, tensor32, half) in _PEAKS.items():
        if re.fullmatch(pattern, name) and " MIG " not in f"{name} ":
            found = half if precision in ("bf16", "fp16") else tensor32 if tf32 else fp32
            return found and found * 1e12
    return None


class Meter:
    """Counts steps between two waits for the device.

    windows: of one step as a rule, over all ranks. flops: operations of one whole window's training step, forward and
    backward (three times the forward's). peak: of all devices together, None if unknown. warm: steps left out at first.
    """

    def __init__(
        self,
        windows: int,
        flops: float,
        peak: float | None,
        warm: int = WARM_UP,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.windows, self.flops, self.peak, self.clock = windows, flops, peak, clock
        self.points = 0  # of one whole window: steps times variates
        self._cold = warm
        self._steps = 0
        self._windows = 0
        self._whole = 0.0  # windows, each counted as the part of a whole one that its length is
        self._waited = 0.0
        self._began = clock()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Time in here is waiting for data."""
        began = self.clock()
        yield
        self._waited += self.clock() - began

    def step(self, wait_for_device: Callable[[], object], windows: int | None = None, share: float = 1.0) -> None:
        """One more step was taken. The last of warm-up waits for the device, once, so that its work is not counted.

        windows: how many, if not as usual. share: their length as a part of a whole window's.
        """
        if self._cold:
            self._cold -= 1
            if not self._cold:
                wait_for_device()
                self.restart()
            return
        self._steps += 1
        count = self.windows if windows is None else windows
        self._windows += count
        self._whole += count * share

    def restart(self) -> None:
        """What happened since the last reading is not counted: a validation, a checkpoint."""
        self._began, self._steps, self._waited = self.clock(), 0, 0.0
        self._windows, self._whole = 0, 0.0

    def read(self) -> dict[str, float]:
        """The rates since the last reading; the device's work must be done. Empty while nothing was counted.

        steps_per_s, windows_per_s, points_per_s (windows x steps x variates), data_share (part of the time spent
        waiting for data), mfu (part of the devices' peak that the model's own operations make; if the peak is known).
        """
        steps, seconds, waited = self._steps, max(self.clock() - self._began, 1e-9), self._waited
        windows, whole = self._windows, self._whole
        self.restart()
        if not steps:
            return {}
        out = {
            "steps_per_s": steps / seconds,
            "windows_per_s": windows / seconds,
            "points_per_s": whole * self.points / seconds,
            "data_share": min(waited / seconds, 1.0),
        }
        if self.peak:
            out["mfu"] = whole * self.flops / self.peak / seconds
        return out
