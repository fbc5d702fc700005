"""Builds the stand-in for libnvidia-ml.so.1 and writes the file it answers from; any test may use it.

The library is found through LD_LIBRARY_PATH, which the loader reads when a process starts: give
`environment(...)` to a subprocess.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

GIB = 1 << 30

# Codes of nvml.h that tests make the stub give.
NOT_SUPPORTED, NO_PERMISSION, NOT_FOUND = 3, 4, 6
UNINITIALIZED, DRIVER_NOT_LOADED, UNKNOWN = 1, 9, 999
GPU_IS_LOST, LIB_RM_VERSION_MISMATCH = 15, 18


@dataclass(frozen=True)
class StubGpu:
    """A GPU, or a slice of one, as the stub shall tell it; memory in bytes, power in milliwatts."""

    uuid: str
    name: str = "Stub GPU"
    total: int = 80 * GIB
    used: int = 0
    reserved: int = 0
    util: int = 0
    power: int = 70_000
    limit: int = 700_000
    temp: int = 40
    processes: Sequence[tuple[int, int, str]] = ()
    """(pid, bytes or -1 for "not available", "C" compute or "G" graphics)."""
    errors: Mapping[str, int] = field(default_factory=dict)
    """NVML code by function, as GetPowerUsage; "*" is every function."""
    slices: Sequence[StubGpu] = ()
    mig: bool = False
    """In MIG mode even without slices."""


def build(folder: Path, *, old_driver: bool = False) -> Path:
    """Compile the stub; gives the folder to put in LD_LIBRARY_PATH."""
    place = folder / ("old" if old_driver else "new")
    place.mkdir(parents=True, exist_ok=True)
    command = ["cc", "-O1", "-shared", "-fPIC", "-Wall", "-Werror", "-Wno-format-truncation"]
    command += ["-DOLD_DRIVER"] if old_driver else []
    source = Path(__file__).with_name("nvml.c")
    subprocess.run([*command, "-o", place / "libnvidia-ml.so.1", source], check=True)
    return place


def write_state(
    path: Path,
    gpus: Sequence[StubGpu] = (),
    *,
    init: int = 0,
    count: int = 0,
    call: int = 0,
    driver: str = "550.54.15",
) -> None:
    """Say what the stub answers from now on, also to processes that already use it."""
    lines = [f"init {init}", f"count {count}", f"call {call}", f"driver {driver}"]
    for gpu in gpus:
        lines += _device("gpu", gpu)
        for part in gpu.slices:
            lines += _device("mig", part)
    beside = path.with_name(path.name + ".new")
    beside.write_text("\n".join(lines) + "\n")
    beside.rename(path)


def environment(folder: Path, state: Path, **more: str) -> dict[str, str]:
    """The environment of a process that shall see the stub: ours, without any CUDA_VISIBLE_DEVICES."""
    env = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
    return env | {"LD_LIBRARY_PATH": str(folder), "NVML_STUB_STATE": str(state)} | more


def _device(kind: str, gpu: StubGpu) -> list[str]:
    lines = [f"{kind} {gpu.uuid}", f"migmode {int(gpu.mig or bool(gpu.slices))}", f"name {gpu.name}"]
    for key in ("total", "used", "reserved", "util", "power", "limit", "temp"):
        lines.append(f"{key} {getattr(gpu, key)}")
    lines += [f"process {pid} {size} {how}" for pid, size, how in gpu.processes]
    lines += [f"error {function} {code}" for function, code in gpu.errors.items()]
    return lines
