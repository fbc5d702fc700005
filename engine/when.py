"""Times and durations as people type them, and as they are told: `22:00`, `+2h`, `8h`, "begins at 22:00".

Times are unix seconds, durations seconds. Clock times are local ones (TZ); `now` is handed in.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from engine.errors import UsageError

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
LONGEST = 3650 * 86400.0
"""Seconds; a duration beyond ten years is a slip of the finger."""
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)\s*")
_WORDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("w", "week", "weeks"), "w"),
}
_CLOCK = re.compile(r"(?:([a-z]+)\s+)?(\d{1,2}):(\d{2})(?::(\d{2}))?\s*(am|pm)?")
DURATION = "a duration such as 45s, 30m, 8h, 1h30m or 2d"
MOMENT = "a time such as 22:00, tomorrow 8:00, friday 18:30, +2h or 2026-03-01T22:00"


def duration(text: str, what: str = "") -> float:
    """Read a duration: 45s, 30m, 8h, 1h30m, 1.5h, 2d. what: the option it was given to, for the message.

    A bare number is refused, because some mean minutes by it and some seconds. Raises UsageError.
    """
    said = f"{what} {text}".strip()
    rest = text.strip().lower()
    total, at, seen = 0.0, 0, set()
    while at < len(rest):
        part = _PART.match(rest, at)
        unit = _WORDS.get(part[2]) if part else None
        if part is None or unit is None or unit in seen:
            raise UsageError(f"{said}: expected {DURATION}.")
        seen.add(unit)
        total += float(part[1]) * UNITS[unit]
        at = part.end()
    if not 0 < total <= LONGEST:
        raise UsageError(f"{said}: expected {DURATION}, more than 0 and at most ten years.")
    return total


def moment(text: str, now: float, what: str = "") -> float:
    """Read a time to come: 22:00 (the next one), tomorrow 8:00, friday 18:30, +2h, or ISO 8601.

    An ISO time without an offset is local. Raises UsageError for a past one.
    """
    said = f"{what} {text}".strip()
    rest = text.strip().lower()
    if rest.startswith(("+", "in ")):
        return now + duration(rest.removeprefix("+").removeprefix("in "), what)
    if clock := _CLOCK.fullmatch(rest):
        return _next(clock, now, said)
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(f"{said}: expected {MOMENT}.") from None
    if re.fullmatch(r"\d*", rest):
        raise UsageError(f"{said}: expected {MOMENT}.")  # fromisoformat takes 20260301 as a date
    at = _seconds(found, said)
    if at <= now:
        raise UsageError(f"{said}: that was {span(now - at)} ago.")
    return at


def _next(clock: re.Match[str], now: float, said: str) -> float:
    """The next time that the clock shows this, on the day that is named if one is."""
    day, half = clock[1], clock[5]
    hour, minute, second = int(clock[2]), int(clock[3]), int(clock[4] or 0)
    if half:
        if not 1 <= hour <= 12:
            raise UsageError(f"{said}: expected {MOMENT}.")
        hour = hour % 12 + (12 if half == "pm" else 0)
    if hour > 23 or minute > 59 or second > 59:
        raise UsageError(f"{said}: there is no such time of day; expected {MOMENT}.")
    today = datetime.fromtimestamp(now)
    at = today.replace(hour=hour, minute=minute, second=second, microsecond=0)
    if day in (None, "today"):
        if _seconds(at, said) > now:
            return _seconds(at, said)
        if day:
            raise UsageError(f"{said}: that was {span(now - _seconds(at, said))} ago.")
        return _seconds(at + timedelta(days=1), said)
    if day == "tomorrow":
        return _seconds(at + timedelta(days=1), said)
    number = next((i for i, name in enumerate(DAYS) if len(day) >= 3 and name.startswith(day)), None)
    if number is None:
        raise UsageError(f"{said}: expected {MOMENT}.")
    at += timedelta(days=(number - today.weekday()) % 7)
    return _seconds(at if _seconds(at, said) > now else at + timedelta(days=7), said)


def _seconds(at: datetime, said: str) -> float:
    try:
        return at.timestamp()
    except (OverflowError, ValueError, OSError):
        raise UsageError(f"{said}: expected {MOMENT}.") from None


LAST = datetime(9999, 12, 30, tzinfo=UTC).timestamp()
"""The last day that is one in every time zone."""


def clock(t: float, now: float) -> str:
    """Say a time as short as it is clear: 22:00, tomorrow 08:00, Fri 18:30, 2026-03-01 22:00.

    A number that is no time of people, as a damaged line may hold, is the nearest that is one.
    """
    t = min(max(t, 0.0), LAST)
    at, today = datetime.fromtimestamp(t), datetime.fromtimestamp(now)
    days = (at.date() - today.date()).days
    time = f"{at:%H:%M}"
    if days == 0:
        return time
    if days == 1:
        return f"tomorrow {time}"
    if days == -1:
        return f"yesterday {time}"
    return f"{at:%a} {time}" if 1 < days < 7 else f"{at:%Y-%m-%d} {time}"


def span(seconds: float) -> str:
    """Say a duration in words, its two largest units: 45 s, 8 h, 1 h 30 min, 2 d."""
    whole = max(0, round(seconds))
    for size, unit, below, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size} {unit}" + (f" {rest} {small}" if rest else "")
    return f"{whole} s" if whole or not seconds else f"{seconds:.2g} s"
