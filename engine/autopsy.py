"""What is added to a cause when somebody asks for the card: the end of the log, and the devices as they were then."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from msgspec.structs import replace

from engine import rundir
from engine.cause import Cause
from engine.devices import DeviceSample, Sample
from engine.run import Run
from engine.workspace import Workspace

LINES = 20
LONGEST = 400
"""Characters of a line of log."""
NEAR = 60.0
"""Seconds before the end within which a sample still tells of it."""
_decoder = msgspec.json.Decoder(Sample)


def log_end(folder: Path) -> tuple[str, ...]:
    """Give the last lines of the log that say something; what a progress bar wrote over itself is left out."""
    try:
        text = rundir.contents(folder / rundir.LOG, last=32 << 10).decode(errors="replace")
    except OSError:
        return ()
    lines = [line.rpartition("\r")[2].rstrip()[:LONGEST] for line in text.rstrip().split("\n")]
    return tuple(line for line in lines if line.strip())[-LINES:]


def complete(workspace: Workspace, run: Run) -> Cause | None:
    """Give the run's cause; one of device memory with what NVML said of its devices last before that."""
    cause = run.cause
    if cause is None or cause.kind != "device memory" or not run.devices or run.exited is None:
        return cause
    sample = sample_before(workspace, run.since)
    if sample is None:
        return cause
    facts = dict(cause.facts)
    for device in sample.devices:
        if device.uuid in run.devices:
            facts |= _seen(device, run)
            break
    return replace(cause, facts=facts)


def _seen(device: DeviceSample, run: Run) -> dict[str, int | float | str]:
    others = sum(process.memory or 0 for process in device.processes if process.run != run.id)
    found = {"nvml_free": device.memory_free, "nvml_total": device.memory_total, "nvml_others": others or None}
    return {name: value for name, value in found.items() if value is not None}


def sample_before(workspace: Workspace, t: float) -> Sample | None:
    """Find the last sample of devices that was recorded before a time, at most NEAR seconds before."""
    for day in (datetime.fromtimestamp(t, UTC), datetime.fromtimestamp(t, UTC) - timedelta(days=1)):
        for line in _backwards(workspace.host / f"{day:%Y-%m-%d}.jsonl", t):
            try:
                sample = _decoder.decode(line)
            except msgspec.DecodeError:
                continue  # a line of another kind
            if sample.t <= t:
                return sample if t - sample.t <= NEAR else None
    return None


def _backwards(path: Path, t: float) -> Iterator[bytes]:
    """Give the lines of a day's file from shortly after a time on backwards; the file is in the order of time."""
    try:
        with open(rundir.open_plain(path), "rb") as file:
            low, high = 0, os.fstat(file.fileno()).st_size
            while high - low > 256 << 10:
                middle = (low + high) // 2
                file.seek(middle)
                file.readline()
                low, high = (low, middle) if _time(file.readline()) > t else (middle, high)
            begin = max(0, low - (1 << 20))
            file.seek(begin)
            lines = file.read(high - begin + (256 << 10)).split(b"\n")
    except OSError:
        return
    yield from reversed(lines)


def _time(line: bytes) -> float:
    try:
        return float(msgspec.json.decode(line)["t"])
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return 0.0
