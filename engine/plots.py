"""Pictures as SVG text by matplotlib, which is asked for only when one is drawn: `pip install 'paddock[report]'`.

Readable in print and by the colour-blind: Okabe and Ito's colours, and every line with a dash pattern of its own.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from engine.errors import EngineError
from engine.store_forecasts import Band

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points = Sequence[tuple[float, float]]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))
SPARSE = 16
"""Points of a curve below which each is marked: a single one has no line."""
NAMED = len(COLOURS)
"""Lines with a colour and a name; further ones are thin and grey."""
GREY = "#999999"
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "paddock", "font.family": "sans-serif", "font.size": 10,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#e4e4e4",
    "axes.axisbelow": True, "legend.frameon": False, "path.simplify": True,
}  # fmt: skip


def needed() -> None:
    """Raises EngineError, in one line, where matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401 - 0.3 s
    except ImportError as error:
        raise EngineError(
            f"Pictures need matplotlib ({error}): pip install 'paddock[report]'. --md does without."
        ) from None


def lines(curves: Mapping[str, Points], y: str, level: float | None = None) -> str:
    """Curves by step, the first ones named; level: of the naive forecast, drawn across."""
    with _settings():
        figure, (axes,) = _figure(1, 8, 3.6)
        for i, (name, points) in reversed(list(enumerate(curves.items()))):
            xs, ys = [x for x, _ in points], [y for _, y in points]
            if i < NAMED:
                axes.plot(xs, ys, color=COLOURS[i], linestyle=DASHES[i], linewidth=1.6, label=name, zorder=3,
                          marker="o" if len(points) < SPARSE else "", markersize=4)  # fmt: skip
            else:
                axes.plot(xs, ys, color=GREY, linewidth=0.7, alpha=0.6)
        if level is not None:
            axes.axhline(level, color="black", linewidth=1, label="naive forecast", zorder=2)
        axes.set(xlabel="step", ylabel=y)
        _room(axes, [y for points in list(curves.values())[:NAMED] for _, y in points], level)
        handles, names = axes.get_legend_handles_labels()
        axes.legend(handles[::-1], names[::-1], fontsize=9)
        return _svg(figure, f"{y} by step")


def scatters(panels: Mapping[str, tuple[Points, bool]], y: str, level: float | None = None) -> str:
    """Small pictures of y against one setting each: (points, whether its axis is logarithmic)."""
    with _settings():
        columns = min(3, len(panels))
        figure, axes = _figure(len(panels), 8, 2.5 * math.ceil(len(panels) / columns), columns)
        for one, (name, (points, log)) in zip(axes, panels.items(), strict=True):
            one.scatter([x for x, _ in points], [y for _, y in points], s=16, color=COLOURS[0], alpha=0.7)
            if level is not None:
                one.axhline(level, color="black", linewidth=1)
            one.set(xlabel=name, xscale="log" if log else "linear")
            if not log:
                one.locator_params("x", nbins=4)  # more would run into one another
        for one in axes[::columns]:
            one.set_ylabel(y)
        return _svg(figure, f"{y} against {', '.join(panels)}")


def bands(drawn: Mapping[str, Band]) -> str:
    """Forecasts beside what came, one small picture each: median, band of the outermost levels, the naive line."""
    with _settings():
        columns = min(2, len(drawn))
        figure, axes = _figure(len(drawn), 8, 2.8 * math.ceil(len(drawn) / columns), columns)
        for one, (title, band) in zip(axes, drawn.items(), strict=True):
            steps = range(1, len(band.target) + 1)
            low, high = band.levels
            one.fill_between(steps, band.low, band.high, color=COLOURS[4], alpha=0.35, linewidth=0,
                             label=f"{100 * low:g}-{100 * high:g} %")  # fmt: skip
            one.plot(steps, band.median, color=COLOURS[0], linewidth=1.6, label="forecast")
            one.plot(steps, band.target, color=COLOURS[1], linewidth=1.4, linestyle="--", label="what came")
            one.axhline(band.last, color="black", linewidth=0.9, linestyle=":", label="naive")
            one.set_title(title, fontsize=10)
            one.set_xlabel("steps ahead")
            one.locator_params("x", integer=True)
        axes[0].legend(fontsize=8)
        return _svg(figure, f"forecasts of {', '.join(drawn)}")


def _settings() -> Any:
    needed()
    import matplotlib

    return matplotlib.rc_context(_SETTINGS)


def _figure(count: int, width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    rows = math.ceil(count / columns)
    return figure, [figure.add_subplot(rows, columns, i + 1) for i in range(count)]


def _room(axes: Axes, values: Sequence[float], level: float | None) -> None:
    """Leave the wild beginning of a training out of the picture where it would flatten all else, and say so."""
    known = sorted([value for value in values if math.isfinite(value)] + ([] if level is None else [level]))
    if len(known) < 20:
        return
    low, high = known[0], known[int(0.97 * (len(known) - 1))]
    if known[-1] - low > 3 * (high - low) > 0:
        axes.set_ylim(low - 0.05 * (high - low), high + 0.15 * (high - low))
        axes.set_title(f"{known[-1]:.3g} at most: the highest points are cut off", fontsize=9, loc="right")


def _svg(figure: Figure, label: str) -> str:
    """Just the svg element: it takes the width it is given, and its texts stay texts."""
    from html import escape

    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
    head, _, rest = text.partition(">")
    head = re.sub(r' (width|height|version)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{escape(label)}">{rest}'.strip()
