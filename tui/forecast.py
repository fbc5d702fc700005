"""The forecast in the panel of a run that is looked at closely, or why there is none."""

from __future__ import annotations

from tui.answers import Near
from tui.pictures import forecast
from tui.widgets.chart import Picture


def picture(near: Near | None) -> Picture:
    """None: it is still being read."""
    if near is None:
        return Picture("forecast", empty="reading its forecasts…", version=None)
    band = near.band
    if band is None:
        why = (
            near.trouble
            or near.no_forecast
            or (f"{near.run} kept no forecast of {near.symbol}" if near.symbol else "no forecasts kept")
        )
        return Picture("forecast", empty=why, version=("none", near.run, near.symbol, why))
    version = (near.run, near.symbol, band.origin, near.results.get("val_pct_mae"))
    return forecast(band, version, f"from {band.origin[:10]}")
