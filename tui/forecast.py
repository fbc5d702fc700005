"""One forecast beside what came: median, the band of its outer quantiles, the prices before it, and naive's line."""

from __future__ import annotations

from tui.answers import Near
from tui.widgets.chart import Band, Curve, Picture


def picture(near: Near | None) -> Picture:
    """x counts steps from the last price that the model saw, which is step 0."""
    if near is None:
        return Picture("forecast", empty="reading its forecasts…", version=None)
    band = near.band
    if band is None:
        why = near.trouble or (f"{near.run} kept no forecast of {near.symbol}" if near.symbol else "no forecasts kept")
        return Picture("forecast", empty=why, version=("none", near.run, near.symbol, why))
    steps = [0.0, *map(float, range(1, len(band.target) + 1))]
    before = [float(i - len(band.before) + 1) for i in range(len(band.before))]
    low, high = (round(100 * level) for level in band.levels)
    curves = (
        Curve("", before, band.before, "text", quiet=True),
        Curve("naive", [0.0, steps[-1]], [band.last, band.last], "attention", dotted=True),
        Curve("actual", steps, [band.last, *band.target], "second"),
        Curve("median", steps, [band.last, *band.median], "good"),
    )
    room = Band(steps, [band.last, *band.low], [band.last, *band.high], "faint", f"{low}-{high} %")
    title = f"from {band.origin[:10]}"
    version = (near.run, near.symbol, band.origin, near.results.get("val_pct_mae"))
    return Picture(title, curves, "step", version=version, bands=(room,))
