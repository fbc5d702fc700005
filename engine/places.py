"""What a device offers at one moment: who has it and until when, how much memory of it is left, for whom it is kept."""

from __future__ import annotations

from dataclasses import dataclass

GIB = 1 << 30
HEADROOM = 0.05
"""Part of a device's memory that sharing runs leave alone: fragments, and what the driver takes for itself."""


@dataclass(frozen=True)
class Holder:
    """One of our runs on a device."""

    run: str
    claim: int | None = None
    """Bytes it shares the device with; None has it alone."""
    used: int | None = None
    """Bytes it holds by NVML; None where that can't tell."""
    until: float | None = None
    """When it is thought to end, unix seconds."""


@dataclass(frozen=True)
class Slot:
    """A GPU (or MIG slice) the engine may use."""

    uuid: str
    label: str
    free: int
    """Bytes, by NVML; 0 when it can't tell."""
    total: int = 0
    """Bytes; 0 when NVML can't tell."""
    holders: tuple[Holder, ...] = ()
    """Our runs that have it; more than one only when all of them share."""
    stranger: str = ""
    """Who else uses it, in words: "used by python (pid 8812, ann, 4.2 GiB)"."""

    @property
    def idle(self) -> bool:
        return not self.holders and not self.stranger

    @property
    def holder(self) -> str:
        return ", ".join(holder.run for holder in self.holders)


class Place:
    """A slot while a decision is being made: what earlier runs of the queue took and keep is gone for later ones."""

    __slots__ = ("alone", "idle", "kept_for", "kept_until", "room", "slot", "total", "until")

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.idle = slot.idle
        self.alone = bool(slot.stranger) or any(holder.claim is None for holder in slot.holders)
        """Somebody has it for himself: nobody may join."""
        self.total = slot.total or slot.free
        self.room = _room(slot)
        ends = [holder.until for holder in slot.holders]
        known = [end for end in ends if end is not None]
        self.until = None if slot.stranger or len(known) < len(ends) else max(known, default=0.0)
        """When all of ours on it have ended; 0 where nobody is, None where nobody knows."""
        self.kept_for = ""
        self.kept_until: float | None = None
        """When the run it is kept for can start; None where nobody knows."""

    def give(self, claim: int | None, until: float | None) -> None:
        """Let a run have it: alone (claim None), or as much memory."""
        self.alone = claim is None
        self.room -= claim or 0
        self.until = until if self.idle else None if until is None or self.until is None else max(until, self.until)
        self.idle = False

    def open_to(self, ends: float | None) -> bool:
        """Whether a run that has ended at `ends` may use it ahead of the one it is kept for."""
        return not self.kept_for or (ends is not None and self.kept_until is not None and ends <= self.kept_until)


def _room(slot: Slot) -> int:
    """Bytes that a further sharing run may claim.

    Both counts must hold: what the sharers were promised (or hold, if that is more), and what NVML says is free
    less what they were promised and have not taken yet.
    """
    total = slot.total or slot.free
    promised = sum(max(holder.claim or 0, holder.used or 0) for holder in slot.holders)
    coming = sum(max(0, (holder.claim or 0) - (holder.used or 0)) for holder in slot.holders)
    return int(min(total - promised, slot.free - coming) - HEADROOM * total)
