"""Who starts next and where: a pure decision over the waiting runs and what is free, with a reason for every wait.

The queue is served in its order. A run takes all its devices at once; one that can't yet keeps the devices it will
have first, and a later run may use those only if it has ended by the time the first can start (backfill). Runs that
share a device do so within its memory; a run that does not share has its devices alone.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from engine import reasons
from engine.places import Holder, Place, Slot

__all__ = ["CPU", "Decision", "Holder", "Slot", "Want", "decide"]

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
    kind: tuple[object, ...] = field(init=False, compare=False, repr=False)
    """What two runs have in common that are refused for the same reason."""
    claim: int | None = field(init=False, compare=False, repr=False)
    """Bytes of a device that it shares; None has its devices alone."""
    lacks: str = field(init=False, compare=False, repr=False)
    """How the reason begins where its claim fits nowhere: with its own words, put together once for all rounds."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", (self.gpus, self.memory, self.given, self.share))
        object.__setattr__(self, "claim", claim := self.memory if self.share else None)
        object.__setattr__(self, "lacks", "" if claim is None else reasons.lacking(claim))

    def ends(self, now: float) -> float | None:
        """When it has surely ended if it starts now; None where nobody knows."""
        longest = self.limit
        if self.seconds is not None and (longest is None or self.seconds * MARGIN < longest):
            longest = self.seconds * MARGIN
        return None if longest is None else now + longest


@dataclass
class Decision:
    starts: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)


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
    """One decision. Runs only take and keep, so what could not be had once can't be had later in the round."""

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
        # one whose size is not told is tried
        self.totals = sorted(float(place.total) or math.inf for place in self.places)
        self.idle = [place for place in self.places if place.idle]
        self.shared = [place for place in self.places if not place.alone and not place.idle]
        self.unkept = [place for place in self.places if not place.slot.stranger]
        self.cpu_slots = cpu_slots
        self.cpu = [*cpu_busy]
        self.cpu_full = ""
        """Why no more can have a CPU slot, once that is so."""
        self.now = now
        self.limits = limits
        self.group = {name: [*running.get(name, ())] for name in limits}
        self.keeps = False
        """Some device is kept for a run that can't have it yet."""
        self.made = Decision()
        self.on_gpus: list[str] = []
        self.busy = reasons.Busy(self.places, self.on_gpus, now)
        self.most_room = max((place.room for place in self.shared), default=0)
        self.full = ""
        """Why one that shares fits nowhere, after its own words, once that was asked since the last start."""
        self.refused: dict[tuple[object, ...], str] = {}
        """Why a run was refused that fits nowhere; it holds for all that ask the same, until another starts."""

    def serve(self, wants: Sequence[Want]) -> Decision:
        told, idle, shared, unkept = self.made.reasons, self.idle, self.shared, self.unkept
        limited, one, largest = bool(self.limits), min(1, len(self.places)), self.totals[-1] if self.totals else 0.0
        for want in wants:
            if limited and want.groups and (over := next(filter(self._is_full, want.groups), "")):
                told[want.id] = reasons.limited(over, self.limits[over], self.group[over])
                continue
            need = want.gpus if want.gpus is not None else one
            claim = want.claim
            if need == 0:
                reason = self._on_cpu(want)
            elif claim is not None:
                if idle or unkept or claim <= self.most_room or claim > largest:
                    reason = self._on_gpus(want, 1)
                else:  # nothing can be had nor kept: a thousand of these may ask in a round, no two alike
                    self.full = self.full or self.busy.full()
                    reason = want.lacks + self.full if shared else self.full
            elif need <= len(unkept):  # for it a device may have to be kept
                reason = self._on_gpus(want, need)
            else:
                reason = self.refused.get(want.kind) or self._on_gpus(want, need)
            if reason:
                told[want.id] = reason
        return self.made

    def _is_full(self, name: str) -> bool:
        return name in self.limits and len(self.group[name]) >= self.limits[name]

    def _start(self, want: Want, devices: tuple[str, ...]) -> None:
        self.made.starts.append((want.id, devices))
        if self.group:
            for name in want.groups:
                if name in self.group:
                    self.group[name].append(want.id)

    def _on_cpu(self, want: Want) -> str:
        if len(self.cpu) >= self.cpu_slots:
            self.cpu_full = self.cpu_full or reasons.cpu(self.cpu_slots, self.cpu)
            return self.cpu_full
        self._start(want, (CPU,))
        self.cpu.append(want.id)
        return ""

    def _on_gpus(self, want: Want, need: int) -> str:
        if need > len(self.places):
            return reasons.too_many(need, len(self.places))
        given = want.memory if want.given else None
        if given is not None and given > self.totals[-need]:
            large = len(self.totals) - bisect_left(self.totals, given)
            return reasons.too_large(need, given, large, [place.total for place in self.places])
        claim = want.claim
        # a prediction alone never keeps a run from an idle device: it may be wrong
        fit = self.idle if given is None else [place for place in self.idle if _now(place, given)]
        if claim is not None and claim <= self.most_room:
            fit = fit + [place for place in self.shared if claim <= place.room]
        kept: list[Place] = []
        if fit:
            ends = want.ends(self.now)
            chosen = [place for place in fit if place.open_to(ends)] if self.keeps else fit
            if len(chosen) >= need:
                self._give(want, claim, ends, chosen, need)
                return ""
            kept = [place for place in fit if place not in chosen]
        reason = self.busy(need, claim if claim is not None else given, fit, kept)
        if not fit:
            self.refused[want.kind] = reason
        if need <= len(self.unkept):
            self._keep(want.id, given, need)
        return reason

    def _give(self, want: Want, claim: int | None, ends: float | None, chosen: list[Place], need: int) -> None:
        if claim is not None:  # beside others only where nothing is idle, and then where it is tightest
            self._share(want, claim, ends, min(chosen, key=_tightest))
            return
        taken = chosen[:need]  # a copy: what is idle changes below
        for place in taken:
            self.idle.remove(place)
            place.give(None, ends)
        self._start_on_gpus(want, tuple([place.slot.uuid for place in taken]))

    def _share(self, want: Want, claim: int, ends: float | None, place: Place) -> None:
        if place.idle:
            self.idle.remove(place)
            self.shared.append(place)
        place.give(claim, ends)
        self.most_room = max([place.room for place in self.shared])
        self._start_on_gpus(want, (place.slot.uuid,))

    def _start_on_gpus(self, want: Want, devices: tuple[str, ...]) -> None:
        self.refused.clear()
        self.full = ""
        self.on_gpus.append(want.id)
        self._start(want, devices)

    def _keep(self, run: str, given: int | None, need: int) -> None:
        """Keep the devices that it will have first for a run that must wait.

        None is kept that a stranger uses: nobody knows for how long, and no other must lie idle for that.
        """
        can = [place for place in self.unkept if given is None or (_now if place.idle else _ever)(place, given)]
        if len(can) < need:
            return
        far = float("inf")
        can.sort(key=lambda place: (not place.idle, far if place.until is None else place.until))
        chosen = can[:need]
        waits = [place.until for place in chosen]
        known = [until for until in waits if until is not None]
        starts = max(known) if len(known) == len(waits) else None
        self.keeps = True
        for place in chosen:
            place.kept_for, place.kept_until = run, starts
            self.unkept.remove(place)


def _tightest(place: Place) -> tuple[bool, int]:
    return not place.idle, place.room


def _now(place: Place, given: int) -> bool:
    """Whether an idle device has so much free; one that can't tell is tried."""
    return given <= place.slot.free or not place.total


def _ever(place: Place, given: int) -> bool:
    """Whether the device would do if nobody else were on it; one whose size is not told is tried."""
    return not place.total or given <= place.total
