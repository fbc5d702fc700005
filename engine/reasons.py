"""The reason line of a waiting run, in words a person can act on.

A thousand runs may wait for the same few devices: what is the same for all of them is put into words once a round.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from engine.places import GIB, Place
from engine.when import clock

FEW = 3


@lru_cache(maxsize=1 << 12)  # a thousand runs may each need another amount, the same in every round
def gib(count: float) -> str:
    """Bytes as GiB with three digits, none of them a trailing zero: 6.1 GiB, 62 GiB."""
    return f"{count / GIB:.3g} GiB"


@lru_cache(maxsize=1 << 12)
def given(memory: int) -> str:
    return f"given {gib(memory)}"


def lacking(memory: int) -> str:
    return f"needs {gib(memory)} while "


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


class Busy:
    """Why runs can't have their devices now. first: runs that start in this round; the round goes on adding to them."""

    def __init__(self, places: Sequence[Place], first: Sequence[str], now: float) -> None:
        self.by_label = sorted(places, key=lambda place: place.slot.label)
        self.first = first
        self.now = now
        self._known: dict[tuple[object, ...], str] = {}
        self._most: tuple[int, tuple[int, str] | None] = (-1, None)

    def __call__(self, need: int, memory: int | None, fit: Sequence[Place], kept: Sequence[Place]) -> str:
        """Say why. memory: bytes it needs, where they decide. fit: devices that would do; kept: those of them that an
        earlier run keeps."""
        enough = len(fit) >= need
        short = None if enough or memory is None else self._short(memory) if fit else self._roomiest()
        key: tuple[object, ...] = (need, len(self.first), len(fit))
        if short is not None:
            key = (*key, short[0])
        if kept:
            key = (*key, *[place.slot.uuid for place in kept])
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._say(need, fit, kept, enough, short)
        return lacking(memory) + found if short is not None and memory is not None else found

    def full(self) -> str:
        """Say the same of runs that may share and fit nowhere, after what each lacks; it holds until another starts."""
        return self._say(1, (), (), False, self._roomiest())

    def _say(
        self, need: int, fit: Sequence[Place], kept: Sequence[Place], enough: bool, short: tuple[int, str] | None
    ) -> str:
        if kept and enough:
            return self._kept(kept)
        parts = [f"{gib(max(0, short[0]))} are free on {short[1]}"] if short is not None else []
        parts += [self._who(place) for place in self.by_label if place.slot.holders or place.slot.stranger]
        if self.first:
            parts.append(f"{few(self.first)} {'goes' if len(self.first) == 1 else 'go'} first")
        head = f"needs {gpus(need)}, {len(fit) - len(kept)} idle: " if need > 1 and short is None else ""
        return head + (few(parts) if parts else self._kept(kept))

    def _short(self, memory: float) -> tuple[int, str] | None:
        """What is left, and where, on the roomiest device that lacks nothing but so much memory."""
        best: tuple[int, str] | None = None
        for place in self.by_label:
            if place.idle or not place.alone:
                left = place.slot.free if place.idle else place.room
                if left < memory and (best is None or left > best[0]):
                    best = left, place.slot.label
        return best

    def _roomiest(self) -> tuple[int, str] | None:
        """The same for a run that fits nowhere; only a start changes it."""
        if self._most[0] != len(self.first):
            self._most = len(self.first), self._short(float("inf"))
        return self._most[1]

    def _kept(self, kept: Sequence[Place]) -> str:
        who = list(dict.fromkeys(place.kept_for for place in kept))
        what = "idle GPUs are" if len(kept) > 1 else f"{kept[0].slot.label} is"
        start = kept[0].kept_until
        when = f", which can start about {clock(start, self.now)}" if start and len(who) == 1 else ""
        return f"{what} kept for {few(who)}{when}"

    def _who(self, place: Place) -> str:
        slot = place.slot
        if slot.stranger:
            return f"{slot.label} is {slot.stranger}"
        until = max((holder.until or self.now for holder in slot.holders), default=self.now)
        known = all(holder.until is not None for holder in slot.holders)
        when = f" until about {clock(until, self.now)}" if known and until > self.now else ""
        return f"{slot.label} has {few([holder.run for holder in slot.holders])}{when}"
