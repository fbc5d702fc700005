"""How the command line writes numbers: sizes, durations, ages, shares."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.records import RunRow


def size(count: float | None) -> str:
    """Bytes in binary units, three digits: 1.46 GiB."""
    if count is None:
        return "n/a"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 999.5 else f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:.3g} TiB"


def span(seconds: float | None) -> str:
    """A duration in its two largest units: 0.4s, 45s, 3m20s, 2h05m, 3d04h."""
    if seconds is None:
        return ""
    if 0 <= seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"


def moment(t: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(t)) if t else ""


def number(value: float | None, digits: int = 4) -> str:
    return "" if value is None else f"{value:.{digits}g}"


def per_cent(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.0f}%"


def bar(share: float | None, cells: int) -> str:
    """A bar of so many characters, filled to the eighth."""
    if share is None:
        return "·" * cells
    eighths = round(max(0.0, min(1.0, share)) * cells * 8)
    full, part = divmod(eighths, 8)
    return ("█" * full + (" ▏▎▍▌▋▊▉"[part] if part else "")).ljust(cells, "░")[:cells]


def stands(row: RunRow, between: str = ", ") -> str:
    """The state of a run and why, without saying the state twice."""
    return between.join(part for part in (state(row), row.reason) if part)


def state(row: RunRow) -> str:
    """The state of a run; "" where its reason begins with it."""
    return "" if row.reason.startswith(row.state) else row.state
