"""Time travel: from a moment to a place on the x axis, to a line of the log and to the knob of the scrubber; pure."""

from __future__ import annotations

import re
import time
from bisect import bisect_right
from collections.abc import Sequence

from msgspec import Struct, structs
from msgspec.structs import replace

from engine.devices import Sample
from tui import present
from tui.present import Part
from tui.reader import Points
from tui.world import World

DAY = 86400.0
STEPS = 100
"""Steps of the scrubber from one end of a run to the other."""

_STAMP = re.compile(r"^\W*(?:(\d{4}-\d\d-\d\d)[T ])?(\d\d):(\d\d):(\d\d)")
_STEP = re.compile(r"\bstep[ =:]+(\d[\d,]*)", re.IGNORECASE)


def moment_at(clock: Points, x: float) -> float | None:
    """The unix seconds of a place on the x axis; None where nothing is known."""
    return _between(clock[0], clock[1], x)


def place_at(clock: Points, moment: float) -> float | None:
    """The place on the x axis where a run was at a moment."""
    return _between(clock[1], clock[0], moment)


def _between(xs: Sequence[float], ys: Sequence[float], x: float) -> float | None:
    import numpy as np

    a, b = np.asarray(xs, dtype=np.float64), np.asarray(ys, dtype=np.float64)
    good = np.isfinite(a) & np.isfinite(b)
    a, b = a[good], b[good]
    if not len(a):
        return None
    order = np.argsort(a, kind="stable")
    return float(np.interp(x, a[order], b[order]))


# -- the log --------------------------------------------------------------------------------------------------------


class Times(Struct, frozen=True):
    """When each line of a log was written, as far as its lines tell: ascending, one for each line that tells."""

    at: tuple[float, ...] = ()
    lines: tuple[int, ...] = ()

    def line(self, moment: float) -> int | None:
        """The last line written by a moment; None where no line tells when it was."""
        found = bisect_right(self.at, moment)
        if not self.at:
            return None
        stop = self.lines[found] if found < len(self.lines) else None
        return self.lines[0] if found == 0 else (stop - 1 if stop is not None else self.lines[-1])


def times(lines: Sequence[str], clock: Points, end: float) -> Times:
    """Read the times of a log: of stamps at the start of its lines, or else of the steps that it speaks of.

    clock: steps and their times. end: unix seconds that no line is later than; it gives stamps without a date their
    day, and from there backwards each midnight is seen as the clock jumping up.
    """
    stamped = [(i, found) for i, line in enumerate(lines) if (found := _STAMP.match(line))]
    if stamped:
        return _stamped(stamped, end)
    told: list[tuple[float, int]] = []
    for i, line in enumerate(lines):
        if found := _STEP.search(line):
            t = moment_at(clock, float(found.group(1).replace(",", "")))
            if t is not None:
                told.append((max(t, told[-1][0]) if told else t, i))
    return Times(tuple(t for t, _ in told), tuple(i for _, i in told))


def _stamped(stamped: Sequence[tuple[int, re.Match[str]]], end: float) -> Times:
    found: list[tuple[float, int]] = []
    day = midnight(end)
    later = end + 60
    for i, match in reversed(stamped):
        seconds = int(match[2]) * 3600 + int(match[3]) * 60 + int(match[4])
        if match[1]:
            day = time.mktime(time.strptime(match[1], "%Y-%m-%d")) if _is_day(match[1]) else day
        elif day + seconds > later + 3600 or (not found and day + seconds > later):
            day = midnight(day - DAY / 2)
        later = min(later, day + seconds)
        found.append((later, i))
    found.reverse()
    return Times(tuple(t for t, _ in found), tuple(i for _, i in found))


def midnight(t: float) -> float:
    """When the local day of a moment began."""
    here = time.localtime(t)
    return time.mktime((here.tm_year, here.tm_mon, here.tm_mday, 0, 0, 0, 0, 0, -1))


def _is_day(text: str) -> bool:
    try:
        time.strptime(text, "%Y-%m-%d")
    except ValueError:
        return False
    return True


# -- devices --------------------------------------------------------------------------------------------------------


class Past(Struct, frozen=True):
    """What the devices did until a moment, in unix seconds; trouble: why nothing is known of it."""

    moment: float
    samples: tuple[Sample, ...] = ()
    trouble: str = ""


def known_at(world: World, moment: float) -> Past | None:
    """What is in memory; None where that does not reach so far back."""
    if not world.history or world.history[0].t > moment:
        return None
    return Past(moment, tuple(sample for sample in world.history if sample.t <= moment))


def world_at(world: World, past: Past) -> World:
    """The world with the devices of a moment; what is not kept of the machine is as it is today."""
    host = world.sample.host if world.sample is not None else None
    samples = tuple(
        structs.replace(one, host=structs.replace(one.host, cores=host.cores)) if host and one.host else one
        for one in past.samples
    )
    return replace(world, sample=samples[-1] if samples else None, history=samples)


# -- the scrubber ---------------------------------------------------------------------------------------------------


class Scrub(Struct, frozen=True):
    """start, end: of the run so far, unix seconds. moment: where one is, None for now. live: it goes on.

    keys: which go through time; back: the one that leads to now.
    """

    start: float
    end: float
    moment: float | None = None
    live: bool = False
    keys: str = ", ."
    back: str = "end"

    def moved(self, steps: int) -> float | None:
        """The moment so many steps further; None for now, which lies behind the end."""
        if self.end <= self.start:
            return None
        here = self.end if self.moment is None else self.moment
        there = here + steps * (self.end - self.start) / STEPS
        return None if there >= self.end and steps > 0 else max(self.start, min(there, self.end))


def track(scrub: Scrub, width: int) -> tuple[list[Part], int, int]:
    """The line of a scrubber, the column its track begins in, and the columns it has."""
    form = "%H:%M:%S" if scrub.end - scrub.start < DAY else "%m-%d %H:%M"
    first = f" {time.strftime(form, time.localtime(scrub.start))} "
    last = " now " if scrub.live else f" {time.strftime(form, time.localtime(scrub.end))} "
    badge, said, back = "", f"  {scrub.keys} through time", ""
    if scrub.moment is not None:
        before = present.duration(scrub.end - scrub.moment)
        end = "now" if scrub.live else "its end"
        badge, back = " in the past ", f"   {scrub.back} now "
        said = f"  {time.strftime(form, time.localtime(scrub.moment))}, {before} before {end}"
    ends = len(badge) + len(first) + len(last) + 1
    room = width - ends - len(said) - len(back)
    if room < 10:
        said, room = "", width - ends - len(back)
    if room < 5:
        return [(badge.strip() or first, "attention bold" if badge else "rest"), (back, "key")], 0, 0
    part = 1.0 if scrub.moment is None or scrub.end <= scrub.start else (
        (scrub.moment - scrub.start) / (scrub.end - scrub.start)
    )  # fmt: skip
    knob = min(room - 1, max(0, round(part * (room - 1))))
    travelling = scrub.moment is not None
    parts: list[Part] = [
        *([(badge, "badge attention")] if badge else []),
        (first, "rest"),
        ("━" * knob, "attention" if travelling else "line"),
        ("●", "attention bold" if travelling else "rest"),
        ("━" * (room - knob - 1), "line"),
        (last, "rest"),
        (said, "strong" if travelling else "faint"),
        (back, "key"),
    ]
    return parts, len(badge) + len(first), room
