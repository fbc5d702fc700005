"""Which devices CUDA_VISIBLE_DEVICES or Slurm lets us use, and what to set for a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

CUDA = "CUDA_VISIBLE_DEVICES"
SLURM = ("SLURM_STEP_GPUS", "SLURM_JOB_GPUS")
"""The step's, which is a part of the job's, first. Numbers of the whole machine."""


def bound(environ: Mapping[str, str], count: int) -> tuple[str, str | None]:
    """Give the variable that bounds what may be used, and its value; None bounds nothing.

    count: devices that NVML shows. A preset CUDA_VISIBLE_DEVICES always counts. Slurm sets it too, as a rule, and then
    knows best how the devices are numbered inside the job; where it did not, its list of the job's GPUs counts, unless
    no more devices than those are shown: then it has fenced the others off and numbers those anew.
    """
    if CUDA in environ:
        return CUDA, environ[CUDA]
    for name in SLURM:
        if listed := _numbers(environ.get(name, "")):
            return name, None if count <= len(listed) else ",".join(map(str, listed))
    return CUDA, None


def _numbers(text: str) -> list[int]:
    """Read a Slurm list: 0,2-3 is 0, 2 and 3; nothing for what is no such list."""
    found: list[int] = []
    for part in filter(None, text.split(",")):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or len(part) > 9:
            return []
        found += range(int(first), int(last or first) + 1)
    return found


def visible(
    value: str | None, devices: Sequence[tuple[int, str]], name: str = CUDA
) -> tuple[frozenset[str], str | None]:
    """Give the UUIDs that a CUDA_VISIBLE_DEVICES of `value` shows, and a complaint about what it hides unasked.

    devices: (index, uuid) of each GPU or slice; a slice has its GPU's index. As in CUDA: None shows all; what
    the first entry is (number, GPU-uuid, MIG-uuid) all must be; a UUID may be cut short while it stays unique;
    an entry that fits nothing hides itself and all after it; an entry given twice hides everything. Unlike
    CUDA, which shows a process one slice, a GPU's number here stands for all its slices, for each run gets
    its own. Numbers are in PCI order, as in nvidia-smi, whatever CUDA_DEVICE_ORDER says.
    """
    if value is None:
        return frozenset(uuid for _, uuid in devices), None
    said = f"{name}={value}:"
    entries = [entry.strip() for entry in value.split(",")]
    prefix = next((p for p in ("GPU-", "MIG-") if entries[0].startswith(p)), "")
    shown: dict[str, list[str]] = {}
    for entry in entries:
        if prefix:
            fits = [uuid for _, uuid in devices if entry.startswith(prefix) and uuid.startswith(entry)]
            key = fits[0] if len(fits) == 1 else ""
            fits = fits if key else []
        else:
            key = str(leading_number(entry))
            fits = [uuid for index, uuid in devices if str(index) == key]
        if not fits:
            if not value.strip() or entry == "-1":  # the usual ways to say "none"
                complaint = None
            else:
                complaint = f"{said} {entry!r} fits no device, so it and all after it are hidden"
            return frozenset(uuid for uuids in shown.values() for uuid in uuids), complaint
        if key in shown:
            return frozenset(), f"{said} {entry!r} is given twice, so all devices are hidden"
        shown[key] = fits
    return frozenset(uuid for uuids in shown.values() for uuid in uuids), None


def leading_number(entry: str) -> int:
    """Read a number as CUDA does, like strtol: "1gpu" is 1; -1 for what does not begin with one."""
    digits = entry.removeprefix("+")
    end = next((i for i, c in enumerate(digits) if not ("0" <= c <= "9")), len(digits))
    return int(digits[:end][:18]) if end else -1


def cuda_env(uuids: Iterable[str]) -> str:
    """Give the CUDA_VISIBLE_DEVICES of a run that gets these devices; none of them makes a CPU run."""
    return ",".join(uuids)
