"""How charts that belong together are looked at: zoom and crosshair as steps from one View to the next, pure."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from tui.charts import Picture, View

CLOSER = 0.6
"""What one step of the zoom leaves of the window."""
NEARLY = 0.98
"""Of everything; a window that large is everything."""
LEAST = 1e-9
"""Of everything; a window is never smaller."""


def reach(pictures: Iterable[Picture]) -> tuple[float, float] | None:
    """What all of them span together; None when they show nothing."""
    found = [one for picture in pictures if (one := picture.reach) is not None]
    return (min(low for low, _ in found), max(high for _, high in found)) if found else None


def zoomed(view: View, whole: tuple[float, float], about: float | None, *, closer: bool) -> View:
    """Show less, or more, and leave in its place what the zoom is about: the pointer, the crosshair or the middle."""
    low, high = view.window or whole
    if about is None:
        about = view.at if view.at is not None and low <= view.at <= high else (low + high) / 2
    factor = CLOSER if closer else 1 / CLOSER
    low, high = about - (about - low) * factor, about + (high - about) * factor
    return windowed(view, whole, low, high)


def windowed(view: View, whole: tuple[float, float], low: float, high: float) -> View:
    """Show a window, held to what there is; all there is when it reaches as far."""
    low, high = max(low, whole[0]), min(high, whole[1])
    size = whole[1] - whole[0]
    if size <= 0 or high - low >= NEARLY * size:
        return replace(view, window=None, picked=None)
    if high - low < LEAST * size:
        return replace(view, picked=None)
    return replace(view, window=(low, high), picked=None)


def panned(view: View, whole: tuple[float, float], part: float) -> View:
    """Move the window by a part of itself, as far as there is something; the crosshair stays with its point."""
    if view.window is None:
        return view
    low, high = view.window
    shift = min(max(part * (high - low), whole[0] - low), whole[1] - high)
    return replace(view, window=(low + shift, high + shift))


def crossed(view: View, whole: tuple[float, float], columns: float) -> View:
    """Move the crosshair by a part of the window; from nowhere it comes to the right end. The window goes with it."""
    low, high = view.window or whole
    if view.at is None:
        return pointed(view, whole, high)
    return pointed(view, whole, view.at + columns * (high - low))


def pointed(view: View, whole: tuple[float, float], x: float) -> View:
    """Put the crosshair somewhere, and move the window so far that it is inside."""
    x = min(max(x, whole[0]), whole[1])
    window = view.window
    if window is not None and not window[0] <= x <= window[1]:
        shift = x - window[0] if x < window[0] else x - window[1]
        window = (window[0] + shift, window[1] + shift)
    return replace(view, at=x, window=window)
