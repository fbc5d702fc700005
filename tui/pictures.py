"""Which curves make which chart: the loss, the error beside the naive forecast's, speed and learning rate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tui import nothing
from tui.charts import Band as Room
from tui.keys import named
from tui.present import GIB
from tui.reader import Reading
from tui.series import placed, unit
from tui.widgets.chart import Curve, Picture

if TYPE_CHECKING:
    from engine.records import RunRow
    from engine.store_forecasts import Band
    from engine.store_upclose import Watched

# Names that a chart of its own shows, or that say little as a curve.
_PLACES = {"epoch", "t", "step"}
_KNOWN = {"loss", "val_loss", "val_pct_mae", "val_naive_pct_mae", *_PLACES}
_X = {
    "step": ("step", "number"),
    "epoch": ("epoch", "number"),
    "time": ("time", "span"),
    "tokens": ("tokens", "number"),
}
NO_TOKENS = "neither tokens nor points_per_s are logged: {chosen.x-axis} goes on to the next x axis"
NO_VALUES, NO_VALIDATION = Picture.empty, "no validation yet"
NO_EPOCHS = "no epochs are logged: {chosen.x-axis} goes on to the next x axis"


def told(picture: Picture, row: RunRow | None) -> Picture:
    """Where there are no curves of a run yet: why, and the key that helps."""
    if picture.curves or picture.empty not in (NO_VALUES, NO_VALIDATION):
        return picture
    empty = nothing.curves(row, "validation" if picture.empty == NO_VALIDATION else "values")
    return replace(picture, empty=empty, version=(picture.version, empty))


def loss(reading: Reading, *, log: bool) -> Picture:
    """Train and validation loss; for a run that logs neither, its first value."""
    names = ["loss", "val_loss"] if _has(reading, "loss") or _has(reading, "val_loss") else other(reading)[:1]
    labels = {"loss": "train", "val_loss": "val"}
    title = "loss" if names[:1] == ["loss"] or not names else names[0]
    return _picture(reading, title, [(name, labels.get(name, name)) for name in names], log=log)


def error(reading: Reading) -> Picture:
    """val_pct_mae, with the naive forecast's as a level; for a run without it, its second value."""
    if not _has(reading, "val_pct_mae"):
        names = other(reading)
        skip = 0 if _has(reading, "loss") or _has(reading, "val_loss") else 1
        pick = names[skip : skip + 1]
        if pick and not _has(reading, "loss"):
            return _picture(reading, pick[0], [(pick[0], pick[0])])
        return _made(reading, "val pct_mae", [], _version(reading), empty=NO_VALIDATION)
    curves = _curves(reading, [("val_pct_mae", "model")], ["good"])
    if _has(reading, "val_naive_pct_mae"):
        curves.insert(0, Curve("naive", *reading.curves["val_naive_pct_mae"], "attention", dotted=True))
        curves = [curves[1], curves[0]] if len(curves) > 1 else curves
    return _made(reading, "val pct_mae", curves, _version(reading))


def logged(reading: Reading) -> list[str]:
    """The names of all that a chart can draw, as far as it has values."""
    return sorted(name for name in reading.curves if name not in _PLACES and name[-1] != "~" and _has(reading, name))


def metric(reading: Reading, name: str, *, log: bool) -> Picture:
    """Any one metric; beside it what it is in validation, or the naive forecast's, where that is logged too."""
    if name in ("loss", "val_loss"):
        return loss(reading, log=log)
    if name == "val_pct_mae":
        return error(reading)
    twin, naive = f"val_{name}", f"val_naive_{name.removeprefix('val_')}"
    if _has(reading, twin):
        return _picture(reading, name, [(name, "train"), (twin, "val")])
    if name.startswith("val_") and _has(reading, naive):
        curves = _curves(reading, [(name, "model")], ["good"])
        return _made(reading, name, [*curves, Curve("naive", *reading.curves[naive], "attention", dotted=True)],
                     _version(reading))  # fmt: skip
    return _picture(reading, name, [(name, "")], roles=["second"])


def speed(reading: Reading) -> Picture:
    name = "windows_per_s" if _has(reading, "windows_per_s") else "steps_per_s"
    return _picture(reading, name.replace("_per_s", "/s"), [(name, "")], roles=["spark"])


def rates(reading: Reading) -> Picture:
    """The learning rate and, where there is no such thing, whatever else was logged."""
    for name in ("grad_norm", "lr", *other(reading)[2:]):
        if _has(reading, name):
            return _picture(reading, name, [(name, "")], roles=["second"])
    return _made(reading, "grad_norm", [], _version(reading))


def forecast(band: Band, version: object, title: str = "") -> Picture:
    """A forecast beside what came and naive's line. x: steps from the last price the model saw, which is step 0."""
    steps = [float(i) for i in range(len(band.target) + 1)]
    before = [float(i - len(band.before) + 1) for i in range(len(band.before))]
    low, high = (round(100 * level) for level in band.levels)
    known = any(value == value for value in band.target)
    curves = [
        Curve("", before, band.before, "text", quiet=True),
        Curve("naive", [0.0, steps[-1]], [band.last, band.last], "attention", dotted=True),
        *([Curve("actual", steps, [band.last, *band.target], "second")] if known else []),
        Curve("median", steps, [band.last, *band.median], "good"),
    ]
    room = Room(steps, [band.last, *band.low], [band.last, *band.high], "faint", f"{low}–{high} %")
    title = title or f"{band.symbol} {len(band.target)} steps from {band.origin[:10]}"
    return Picture(title, tuple(curves), "steps ahead", version=version, bands=(room,))


def devices(watched: Sequence[Watched], what: str, version: object) -> Picture:
    """One thing about the devices of a run over time: utilisation, memory, power or temperature."""
    title, scale, values = _WATCHED[what]
    gpus = [one for one in watched if one.name != "machine"]
    curves: list[Curve] = []
    for i, one in enumerate(gpus or watched):
        role = f"run {i % 8 + 1}"
        ys = [value / scale for value in values(one)]
        if any(y == y for y in ys):
            curves.append(Curve(one.name if len(gpus) != 1 else "all", one.t, ys, role))
        if what == "memory" and any(y == y for y in one.own):
            curves.append(Curve("this run", one.t, [y / scale for y in one.own], "second"))
    empty = "not told by these devices" if watched else nothing.samples()
    whole = [one.total / GIB for one in gpus or watched]
    shows = {"utilisation": (0.0, 100.0), "memory": (0.0, *whole), "power": (0.0,)}.get(what, ())
    return Picture(title, tuple(curves), "", version=(version, what), x_kind="time", empty=empty, shows=shows)


_WATCHED: dict[str, tuple[str, float, Callable[[Watched], list[float]]]] = {
    "utilisation": ("utilisation %", 1.0, lambda one: one.utilisation),
    "memory": ("memory GiB", float(GIB), lambda one: one.memory),
    "power": ("power W", 1.0, lambda one: one.power),
    "temperature": ("temperature °C", 1.0, lambda one: one.temperature),
}


def other(reading: Reading) -> list[str]:
    """The names that no chart of ours is made for."""
    ours = _KNOWN | {"lr", "grad_norm", "windows_per_s", "steps_per_s"}
    return [n for n in reading.curves if n not in ours and not n.endswith("~") and _has(reading, n)]


def _has(reading: Reading, name: str) -> bool:
    return len(reading.curves.get(name, ((), ()))[0]) > 0


def _version(reading: Reading) -> object:
    return (reading.wish, reading.version)


def _picture(
    reading: Reading, title: str, names: list[tuple[str, str]], *, log: bool = False, roles: list[str] | None = None
) -> Picture:
    curves = _curves(reading, names, roles or ["ours", "second", "spark"])
    version = (_version(reading), log)
    return _made(reading, title, curves, version, log=log)


def _made(
    reading: Reading, title: str, curves: list[Curve], version: object, *, log: bool = False, empty: str = ""
) -> Picture:
    x_name, x_kind = _X[reading.wish.x]
    if reading.wish.x == "tokens":
        x_name = unit(reading.curves)
        empty = empty if reading.curves else named(NO_TOKENS)
    elif reading.wish.x == "epoch" and curves and not any(placed(curve.xs) for curve in curves):
        empty = named(NO_EPOCHS)
    return Picture(
        title, tuple(curves), x_name, log=log, seams=reading.seams, empty=empty or NO_VALUES, version=version,
        along=ends(xs for xs, _ in reading.curves.values()), x_kind=x_kind,
    )  # fmt: skip


def ends(every: Iterable[Sequence[float]]) -> tuple[float, float] | None:
    """The least and the greatest of the first and last x of curves; None where there are none."""
    found = [x for xs in every if len(xs) for x in (xs[0], xs[-1]) if x == x]
    return (min(found), max(found)) if found else None


def _curves(reading: Reading, names: list[tuple[str, str]], roles: list[str]) -> list[Curve]:
    """Where a smoothed curve exists it is the one with the name, and the raw one stays behind it, quiet."""
    behind: list[Curve] = []
    found: list[Curve] = []
    for (name, label), role in zip(names, roles, strict=False):
        if not _has(reading, name):
            continue
        smooth = reading.curves.get(name + "~")
        if smooth is None:
            found.append(Curve(label, *reading.curves[name], role))
        else:
            behind.append(Curve(label, *reading.curves[name], "faint", quiet=True))
            found.append(Curve(label, *smooth, role))
    return [*behind, *found]
