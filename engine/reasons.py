"""The reason line of a waiting run, in words a person can act on."""

from __future__ import annotations

from collections.abc import Sequence

from engine.places import GIB, Place
from engine.when import clock

FEW = 3


def gib(count: float) -> str:
    """Bytes as GiB with one digit behind the point, none where it is zero: 6.1 GiB, 62 GiB."""
    return f"{round(count / GIB, 1):g} GiB"


def few(parts: Sequence[str]) -> str:
    return ", ".join(parts[:FEW]) + (f" and {len(parts) - FEW} more" if len(parts) > FEW else "")


def gpus(count: int) -> str:
    return f"{count} GPU" if count == 1 else f"{count} GPUs"


def cpu(slots: int, busy: Sequence[str]) -> str:
    return f"CPU {'slot' if slots == 1 else 'slots'} busy: {few(busy)}"


def limited(group: str, most: int, running: Sequence[str]) -> str:
    who = f": {few(running)}" if running else ""
    return f"limit {group} {most}{who}"


def too_many(need: int, have: int) -> str:
    return f"needs {gpus(need)}, this box has {have}"


def too_large(need: int, memory: int, large: int, totals: Sequence[int]) -> str:
    if need == 1:
        return f"needs {gib(memory)}, the largest GPU here has {gib(max(totals, default=0))}"
    return f"needs {gpus(need)} of {gib(memory)} each, {large} of this box have that much"


def busy(
    need: int,
    memory: int | None,
    fit: Sequence[Place],
    kept: Sequence[Place],
    places: Sequence[Place],
    first: Sequence[str],
    now: float,
) -> str:
    """Why a run can't have its devices now.

    memory: bytes it needs, where they decide. fit: devices that would do; kept: those of them that an earlier run
    keeps. first: runs that start now.
    """
    if kept and len(fit) >= need:
        return _kept(kept, now)
    by_label = sorted(places, key=lambda place: place.slot.label)
    parts = [_who(place, now) for place in by_label if place.slot.holders or place.slot.stranger]
    if first:
        parts.append(f"{few(first)} goes first")
    short = [place for place in by_label if memory is not None and place not in fit and _is_short(place, memory)]
    if short and memory is not None:
        most = max(short, key=_left)
        parts.insert(0, f"needs {gib(memory)} while {gib(max(0, _left(most)))} are free on {most.slot.label}")
    head = f"needs {gpus(need)}, {len(fit) - len(kept)} idle: " if need > 1 else ""
    return head + (few(parts) if parts else _kept(kept, now))


def _is_short(place: Place, memory: int) -> bool:
    """Whether memory alone is what it lacks."""
    return (place.idle or not place.alone) and _left(place) < memory


def _left(place: Place) -> int:
    return place.slot.free if place.idle else place.room


def _kept(kept: Sequence[Place], now: float) -> str:
    who = list(dict.fromkeys(place.kept_for for place in kept))
    what = "idle GPUs are" if len(kept) > 1 else f"{kept[0].slot.label} is"
    start = kept[0].kept_until
    when = f", which can start about {clock(start, now)}" if start and len(who) == 1 else ""
    return f"{what} kept for {few(who)}{when}"


def _who(place: Place, now: float) -> str:
    slot = place.slot
    if slot.stranger:
        return f"{slot.label} is {slot.stranger}"
    until = max((holder.until or now for holder in slot.holders), default=now)
    known = all(holder.until is not None for holder in slot.holders)
    when = f" until about {clock(until, now)}" if known and until > now else ""
    return f"{slot.label} has {few([holder.run for holder in slot.holders])}{when}"
