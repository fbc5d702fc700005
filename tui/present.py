"""From numbers to what people read: pure functions, each giving text or a cell of (text, role) parts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from engine.records import ENDED, RunRow

Part = tuple[str, str]
Cell = tuple[Part, ...]

NONE = "–"
EIGHTHS = " ▏▎▍▌▋▊▉█"
LEVELS = "▁▂▃▄▅▆▇█"
GIB = 1 << 30
MIB = 1 << 20

# What a state looks like; a mark never depends on colour alone.
MARKS: dict[str, Part] = {
    "queued": ("○", "ours"),
    "held": ("‖", "attention"),
    "starting": ("◌", "ours"),
    "running": ("●", "good"),
    "paused": ("◫", "attention"),
    "stopping": ("◐", "attention"),
    "finishing": ("◑", "ours"),
    "orphaned": ("▲", "trouble"),
    "ok": ("✓", "good"),
    "failed": ("✗", "trouble"),
    "stopped": ("■", "rest"),
    "lost": ("?", "trouble"),
}
STATE_ROLES = {state: role for state, (_, role) in MARKS.items()}


def mark(row: RunRow) -> Cell:
    """One sign for the state; a warning of a running run takes its place."""
    if row.warning and row.state == "running":
        return (("▲", "attention"),)
    return (MARKS.get(row.state, ("·", "rest")),)


def cell(text: str, role: str = "text") -> Cell:
    return ((text, role),)


def plain(parts: Iterable[Part]) -> str:
    return "".join(text for text, _ in parts)


# -- text of a number -----------------------------------------------------------------------------------------------


def duration(seconds: float | None) -> str:
    """42s, 4m 05s, 3h 07m, 2d 04h: at most 7 characters, the two largest units."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return NONE
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    days = whole // 86400
    return f"{days}d {whole % 86400 // 3600:02d}h" if days < 100 else f"{days}d"


def ago(seconds: float | None) -> str:
    """Like duration, one unit: 5s, 3m, 2h, 6d."""
    if seconds is None or not math.isfinite(seconds):
        return NONE
    whole = max(0, int(seconds))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if whole >= size:
            return f"{whole // size}{unit}"
    return f"{whole}s"


def number(value: float | None) -> str:
    """Four significant digits, at most 8 characters: 0.0108, 1.912, 24.31, 1.2e-05."""
    if value is None:
        return NONE
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    size = abs(value)
    if size == 0:
        return "0"
    if size < 1e-3 or size >= 1e6:
        return f"{value:.1e}"
    if size < 1:
        return f"{value:.4f}"
    return f"{value:.{max(0, 3 - int(math.log10(size)))}f}"


def metric(value: float | None) -> str:
    """A percentage error: three decimals below 10, two below 100, then fewer."""
    if value is None or not math.isfinite(value):
        return NONE
    size = abs(value)
    return f"{value:.3f}" if size < 10 else f"{value:.2f}" if size < 100 else number(value)


def count(value: float | None) -> str:
    """An amount: 950, 9.2k, 412k, 1.3M."""
    if value is None or not math.isfinite(value):
        return NONE
    size = abs(value)
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size >= limit:
            scaled = value / limit
            text = f"{scaled:.1f}" if abs(scaled) < 100 else f"{scaled:.0f}"
            return text.removesuffix(".0") + unit
    return f"{value:.0f}"


def rate(value: float | None) -> str:
    """Something a second: 0.42, 8.1, 88, 412k."""
    if value is None or not math.isfinite(value):
        return NONE
    size = abs(value)
    if size >= 1000:
        return count(value)
    return f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 1 else f"{value:.2f}"


def size(value: float | None) -> str:
    """Bytes: 61.2 GiB, 812 MiB, 3.0 KiB."""
    if value is None:
        return NONE
    for limit, unit in ((1 << 40, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (1 << 10, "KiB")):
        if value >= limit:
            scaled = value / limit
            return f"{scaled:.1f} {unit}" if scaled < 100 else f"{scaled:.0f} {unit}"
    return f"{value:.0f} B"


def gib(value: float | None) -> str:
    """Bytes as a number of GiB, the unit told elsewhere."""
    if value is None:
        return NONE
    scaled = value / GIB
    return f"{scaled:.1f}" if scaled < 100 else f"{scaled:.0f}"


def skill_cell(skill: float | None) -> Cell:
    """How much better than the naive forecast, signed, with the colour that says good or bad."""
    if skill is None or not math.isfinite(skill):
        return cell(NONE, "faint")
    percent = 100 * skill
    if abs(percent) < 0.05:
        return cell("0.0 %", "rest")
    text = f"{abs(percent):.1f}" if abs(percent) < 1000 else count(abs(percent))
    return cell(f"+{text} %", "good") if percent > 0 else cell(f"−{text} %", "trouble")


# -- pictures in one line -------------------------------------------------------------------------------------------


def bar(fraction: float | None, width: int, role: str = "bar") -> Cell:
    """A bar of `width` cells, an eighth of a cell fine; None is an empty track."""
    eighths = round(8 * width * min(1.0, max(0.0, fraction or 0.0)))
    full, rest = divmod(eighths, 8)
    text = "█" * full + (EIGHTHS[rest] if rest else "")
    return ((text.ljust(width), role),)


def stacked(shares: Sequence[tuple[float, str]], width: int) -> Cell:
    """A bar of several parts, (fraction, role) from the left; a part that is there gets at least one cell."""
    parts: list[Part] = []
    at, total = 0, 0.0
    for fraction, role in shares:
        total += max(0.0, fraction)
        end = min(width, max(round(total * width), at + 1 if fraction > 0.004 else at))
        if end > at:
            parts.append(("█" * (end - at), role))
            at = end
    if at < width:
        parts.append((" " * (width - at), "track"))
    return tuple(parts)


def spark(values: Sequence[float | None], width: int, low: float | None = None, high: float | None = None) -> str:
    """The last `width` values as heights; low and high fix the scale, a missing value is a gap."""
    shown = [v if v is not None and math.isfinite(v) else None for v in values[-width:]]
    real = [v for v in shown if v is not None]
    if not real:
        return " " * width
    # Halved, so that the span of the largest floats there are is still one.
    floor = (min(real) if low is None else low) / 2
    span = (max(real) if high is None else high) / 2 - floor
    text = "".join(
        " " if v is None else LEVELS[min(7, max(0, int(8 * ((v / 2 - floor) / span))))] if span > 0 else LEVELS[0]
        for v in shown
    )
    return text.rjust(width)


# -- a run ----------------------------------------------------------------------------------------------------------


def progress(row: RunRow) -> float | None:
    """The part that is done, 0..1, by steps or else by epochs."""
    if row.state == "ok":
        return 1.0
    if row.steps and row.step is not None:
        return min(1.0, row.step / row.steps)
    if row.epochs and row.epoch is not None:
        return min(1.0, row.epoch / row.epochs)
    return None


def percent(row: RunRow) -> str:
    done = progress(row)
    return "" if done is None else f"{int(100 * done)}%"


def epochs(row: RunRow) -> str:
    """e17/30, or the step where there are no epochs."""
    if row.epoch is not None and row.epochs:
        whole = min(math.floor(row.epoch) + 1, math.ceil(row.epochs))
        return f"e{whole}/{math.ceil(row.epochs)}"
    if row.step is not None:
        return f"s{count(row.step)}" + (f"/{count(row.steps)}" if row.steps else "")
    return ""


def steps(row: RunRow) -> str:
    if row.step is None:
        return NONE
    return count(row.step) + (f"/{count(row.steps)}" if row.steps and row.state not in ENDED else "")


def needs(row: RunRow) -> str:
    if row.gpus is None:
        return "auto"
    return "CPU" if row.gpus == 0 else f"{row.gpus} GPU" + ("s" if row.gpus > 1 else "")


def where(row: RunRow) -> str:
    """The devices it holds: GPU0, CPU, GPU0-3."""
    return ", ".join(row.labels) if row.labels else ""


def what(row: RunRow) -> Cell:
    """Its name, settings and tags."""
    parts: list[Part] = []
    if row.name:
        parts.append((f"{row.name}  ", "strong"))
    if row.what:
        parts.append((row.what, "text"))
    parts += [(f"{'  ' if parts else ''}#{tag}", "second") for tag in row.tags[:1]]
    parts += [(f"  #{tag}", "second") for tag in row.tags[1:]]
    if not parts:
        parts.append(("defaults" if row.family != "exec" else NONE, "rest"))
    return tuple(parts)


def note(row: RunRow) -> Cell:
    """What should be seen of a live run: a state that passes, then trouble, then what it does, then what it is."""
    if row.state == "orphaned":
        return cell("▲ its supervisor is gone; the device is still busy", "trouble")
    if row.state == "paused":
        return cell("paused; it keeps its device and memory", "attention")
    if row.state != "running":
        return cell(row.state + "…", STATE_ROLES.get(row.state, "rest"))
    if row.warning:
        return cell(f"▲ {row.warning}", "attention")
    if row.phase and row.phase != "train":
        return cell(f"{row.phase}…", "ours")
    return tuple((text, "rest" if role in ("text", "strong") else role) for text, role in what(row))


def reason(row: RunRow) -> Cell:
    """Why it waits. What is only a matter of time is grey; what needs a person is amber."""
    text = row.reason or "next"
    role = "attention" if row.state == "held" or text.startswith(("held", "needs")) else "rest"
    return cell(text, "good" if not row.reason else role)


def cause(row: RunRow) -> Cell:
    """How it ended, in a few words; for a good run what it was."""
    if row.state == "failed":
        return cell(row.reason or ended_by(row) or "failed", "trouble")
    if row.state == "lost":
        return cell(row.reason or "lost: the machine went down", "trouble")
    if row.state == "stopped":
        return cell(row.reason or "stopped", "rest")
    return tuple((text, "rest" if role == "text" else role) for text, role in what(row))


def ended_by(row: RunRow) -> str:
    if row.signal is not None:
        return f"signal {row.signal}"
    return f"exit code {row.exit_code}" if row.exit_code is not None else ""
