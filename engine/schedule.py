"""Who starts next and where: a pure decision over the waiting runs and what is free, with a reason for every wait.

The queue is served in its order. A run takes all its devices at once; one that can't yet keeps the devices it will
have first, and a later run may use those only if it has ended by the time the first can start (backfill). Runs that
share a device do so within its memory; a run that does not share has its devices alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from engine import reasons
from engine.places import Holder, Place, Slot

__all__ = ["CPU", "Decision", "Holder", "Slot", "Want", "decide", "order"]

CPU = "cpu"
MARGIN = 1.25
"""An expected duration counts for so much more before a run may go ahead of one that devices are kept for."""


@dataclass(frozen=True)
class Want:
    """A run that may start now: not held, nothing left to wait for."""

    id: str
    gpus: int | None
    """None: one GPU where the box has any, else a CPU slot."""
    memory: int | None = None
    """Bytes it needs on each GPU, as given by hand or predicted; None where nobody knows."""
    given: bool = False
    """The memory was given by hand: a device with less is not tried."""
    share: bool = False
    """May have others beside it; only with a known memory, and on one GPU."""
    seconds: float | None = None
    """How long it is thought to take."""
    limit: float | None = None
    """Seconds after which it is ended in any case."""
    groups: tuple[str, ...] = ()
    """What limits may count it under: "family:toto", "tag:nightly"."""

    @property
    def claim(self) -> int | None:
        """Bytes of a device it shares; None if it wants its devices alone."""
        return self.memory if self.share else None

    def ends(self, now: float) -> float | None:
        """When it has surely ended if it starts now; None where nobody knows."""
        expected = None if self.seconds is None else self.seconds * MARGIN
        longest = min((span for span in (expected, self.limit) if span is not None), default=None)
        return None if longest is None else now + longest


@dataclass
class Decision:
    starts: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)


def order(priority: int, number: int, attempt: int) -> tuple[int, int, int]:
    """Sort key of the queue: higher priority first, then first come first served; a retry keeps its run's place."""
    return (-priority, number, attempt)


def decide(
    wants: Sequence[Want],
    slots: Sequence[Slot],
    cpu_slots: int,
    cpu_busy: Sequence[str],
    *,
    now: float = 0.0,
    limits: Mapping[str, int] | None = None,
    running: Mapping[str, Sequence[str]] | None = None,
) -> Decision:
    """Give devices to the runs in the order they stand in. CPU runs never wait for GPUs.

    cpu_busy: ids of the runs on CPU slots. limits: how many runs of a group may live at a time. running: ids of
    those that do, by group.
    """
    return _Round(slots, cpu_slots, cpu_busy, now, limits or {}, running or {}).serve(wants)


class _Round:
    def __init__(
        self,
        slots: Sequence[Slot],
        cpu_slots: int,
        cpu_busy: Iterable[str],
        now: float,
        limits: Mapping[str, int],
        running: Mapping[str, Sequence[str]],
    ) -> None:
        # the most free memory first; among equals in the order people count them
        self.places = sorted(map(Place, slots), key=lambda place: (-place.slot.free, place.slot.label))
        self.cpu_slots = cpu_slots
        self.cpu = [*cpu_busy]
        self.now = now
        self.limits = limits
        self.group = {name: [*running.get(name, ())] for name in limits}
        self.made = Decision()
        self.refused: dict[tuple[object, ...], str] = {}
        """Why a run was refused that asked for the same: once all is kept, what refused one refuses the next."""

    def serve(self, wants: Sequence[Want]) -> Decision:
        for want in wants:
            if over := next((name for name in want.groups if self._is_full(name)), None):
                self.made.reasons[want.id] = reasons.limited(over, self.limits[over], self.group[over])
                continue
            need = want.gpus if want.gpus is not None else min(1, len(self.places))
            reason = self._on_cpu(want) if need == 0 else self._on_gpus(want, need)
            if reason:
                self.made.reasons[want.id] = reason
        return self.made

    def _is_full(self, name: str) -> bool:
        return name in self.limits and len(self.group[name]) >= self.limits[name]

    def _start(self, want: Want, devices: tuple[str, ...]) -> None:
        self.made.starts.append((want.id, devices))
        for name in want.groups:
            if name in self.group:
                self.group[name].append(want.id)

    def _on_cpu(self, want: Want) -> str:
        if len(self.cpu) >= self.cpu_slots:
            return reasons.cpu(self.cpu_slots, self.cpu)
        self._start(want, (CPU,))
        self.cpu.append(want.id)
        return ""

    def _on_gpus(self, want: Want, need: int) -> str:
        claim, ends = want.claim, want.ends(self.now)
        kind = (need, want.memory, want.given, claim is None, ends)
        if (known := self.refused.get(kind)) is not None:
            return known
        if never := self._never(want, need):
            self.refused[kind] = never
            return never
        fit = [place for place in self.places if _fits(place, want)]
        chosen = [place for place in fit if place.open_to(ends)]
        if claim is not None:  # beside others only where nothing is idle, and then where it is tightest
            chosen.sort(key=lambda place: (not place.idle, place.room))
        chosen = chosen[:need]
        if len(chosen) == need:
            for place in chosen:
                place.give(want.id, claim, ends)
            self._start(want, tuple(place.slot.uuid for place in chosen))
            return ""
        kept = [place for place in fit if not place.open_to(ends)]
        memory = want.memory if want.given or want.share else None
        first = [run for run, devices in self.made.starts if devices != (CPU,)]
        reason = reasons.busy(need, memory, fit, kept, self.places, first, self.now)
        if not self._keep(want, need):
            self.refused[kind] = reason
        return reason

    def _never(self, want: Want, need: int) -> str:
        if need > len(self.places):
            return reasons.too_many(need, len(self.places))
        large = sum(_ever(place, want) for place in self.places)
        return "" if large >= need else reasons.too_large(need, want.memory or 0, large, [p.total for p in self.places])

    def _keep(self, want: Want, need: int) -> bool:
        """Keep the devices that it will have first for a run that must wait; tells whether any were.

        None are kept that a stranger uses: nobody knows for how long, and a device must not lie idle for that.
        """
        can = [
            place
            for place in self.places
            if not place.kept_for
            and not place.slot.stranger
            and _ever(place, want)
            and (not place.idle or _fits(place, want))
        ]
        if len(can) < need:
            return False
        far = float("inf")
        can.sort(key=lambda place: (not place.idle, far if place.until is None else place.until))
        chosen = can[:need]
        waits = [place.until for place in chosen]
        known = [until for until in waits if until is not None]
        starts = max(known) if len(known) == len(waits) else None
        for place in chosen:
            place.kept_for, place.kept_until = want.id, starts
        return True


def _ever(place: Place, want: Want) -> bool:
    """Whether the device would do if nobody else were on it; one whose size is not told is tried."""
    return not want.given or want.memory is None or not place.total or want.memory <= place.total


def _fits(place: Place, want: Want) -> bool:
    """Whether it would do now. A prediction alone never keeps a run from an idle device: it may be wrong."""
    if place.idle:
        return not want.given or want.memory is None or want.memory <= place.slot.free
    return want.claim is not None and place.fits(want.claim)
