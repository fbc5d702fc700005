"""A look inside a few training steps: train.profile=true leaves torch's profiler trace in the run folder.

Open profile/trace.json in Perfetto (ui.perfetto.dev) or chrome://tracing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from trainers.throughput import WARM_UP

STEPS = 4
"""Steps in the trace."""
TAKES = WARM_UP + 1 + STEPS
"""Steps of a process until the trace is written: warm-up, one for the profiler's own, and those traced."""


class Profile:
    """Counts the steps of this process and traces the right ones. told: called with the path once it is there."""

    def __init__(self, folder: Path, told: Callable[[Path], object]) -> None:
        self.path = folder / "profile" / "trace.json"
        self._told = told
        self._left = TAKES
        kinds = [torch.profiler.ProfilerActivity.CPU]
        if torch.cuda.is_available():
            kinds.append(torch.profiler.ProfilerActivity.CUDA)
        self._profiler = torch.profiler.profile(
            activities=kinds,
            schedule=torch.profiler.schedule(wait=WARM_UP, warmup=1, active=STEPS, repeat=1),
            on_trace_ready=self._write,
            record_shapes=True,
        )
        self._profiler.start()

    def step(self) -> None:
        """After every training step."""
        if self._left:
            self._left -= 1
            self._profiler.step()
            if not self._left:
                self._profiler.stop()

    def close(self) -> None:
        """At the end of a run, which may come before the trace was whole: then what there is gets written."""
        if self._left:
            self._left = 0
            self._profiler.stop()

    def _write(self, profiler: torch.profiler.profile) -> None:
        self.path.parent.mkdir(exist_ok=True)
        beside = self.path.with_name(".trace.json")
        profiler.export_chrome_trace(str(beside))
        beside.rename(self.path)
        self._told(self.path)
