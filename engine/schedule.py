"""Who starts next and where: a pure decision over the waiting runs and what is free, with a reason for every wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

CPU = "cpu"


@dataclass(frozen=True)
class Want:
    """A run that may start now: not held, nothing left to wait for."""

    id: str
    gpus: int | None
    """None: one GPU where the box has any, else a CPU slot."""


@dataclass(frozen=True)
class Slot:
    """A GPU (or MIG slice) the engine may use."""

    uuid: str
    label: str
    free: int
    """Bytes, by NVML; 0 when it can't tell."""
    holder: str = ""
    """Our run that has it."""
    stranger: str = ""
    """Who else uses it, in words: "python (pid 8812, ann, 4.2 GiB)"."""

    @property
    def idle(self) -> bool:
        return not self.holder and not self.stranger


@dataclass
class Decision:
    starts: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)


def order(priority: int, number: int, attempt: int) -> tuple[int, int, int]:
    """Sort key of the queue: higher priority first, then first come first served; a retry keeps its run's place."""
    return (-priority, number, attempt)


def decide(wants: Sequence[Want], slots: Sequence[Slot], cpu_slots: int, cpu_busy: Sequence[str]) -> Decision:
    """Give devices to the runs in the order they stand in.

    A run takes all its devices at once. One that needs more than are idle keeps those that are for itself: shorter
    runs behind it must not starve it. CPU runs never wait for GPUs.
    cpu_busy: ids of the runs on CPU slots.
    """
    made = Decision()
    idle = sorted((slot for slot in slots if slot.idle), key=lambda slot: (-slot.free, slot.label))
    cpu = [*cpu_busy]
    reserved_by = ""
    for want in wants:
        need = want.gpus if want.gpus is not None else min(1, len(slots))
        if need == 0:
            if len(cpu) < cpu_slots:
                made.starts.append((want.id, (CPU,)))
                cpu.append(want.id)
            else:
                made.reasons[want.id] = f"CPU {'slot' if cpu_slots == 1 else 'slots'} busy: {_few(cpu)}"
        elif need > len(slots):
            made.reasons[want.id] = f"needs {_gpus(need)}, this box has {len(slots)}"
        elif reserved_by:
            made.reasons[want.id] = f"idle GPUs are kept for {reserved_by}"
        elif need <= len(idle):
            taken, idle = idle[:need], idle[need:]
            made.starts.append((want.id, tuple(slot.uuid for slot in taken)))
        else:
            if idle or need > 1:
                reserved_by = want.id
            made.reasons[want.id] = _why(need, len(idle), [slot for slot in slots if not slot.idle], made)
    return made


def _why(need: int, idle: int, busy: Sequence[Slot], made: Decision) -> str:
    parts = [f"{slot.label} {f'has {slot.holder}' if slot.holder else f'is used by {slot.stranger}'}" for slot in busy]
    if made.starts:
        parts.append(f"{_few([run for run, _ in made.starts])} goes first")
    head = f"needs {_gpus(need)}, {idle} idle: " if need > 1 else ""
    return head + _few(parts)


def _gpus(count: int) -> str:
    return f"{count} GPU" if count == 1 else f"{count} GPUs"


def _few(parts: Sequence[str]) -> str:
    return ", ".join(parts[:3]) + (f" and {len(parts) - 3} more" if len(parts) > 3 else "")
