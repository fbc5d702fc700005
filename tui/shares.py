"""How panes beside or above each other share the room there is: as shares, so that any terminal can keep them; pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

LEAST_COLUMNS, LEAST_LINES = 22, 5
"""What every pane keeps, its frame included; a terminal without room for that shares it out evenly."""
Shares = dict[str, float]
"""Pane -> its share; 1 is what it would have if all had the same."""


class Row(Struct, frozen=True):
    """Panes with borders between them that can be moved.

    name: what it is remembered by. panes: ids, in their order; of `rows|picture` the one that is shown. down: they lie
    above each other. grid: the id of the grid whose columns or rows they stand for.
    """

    name: str
    panes: tuple[str, ...]
    down: bool = False
    grid: str = ""

    @property
    def least(self) -> int:
        return LEAST_LINES if self.down else LEAST_COLUMNS


def moved(sizes: Sequence[int], border: int, cells: int, least: int) -> list[int]:
    """Sizes after the border behind the pane of that number was pushed; only its two neighbours change."""
    found = list(sizes)
    both = found[border] + found[border + 1]
    if both >= 2 * least:
        found[border] = min(max(found[border] + cells, least), both - least)
        found[border + 1] = both - found[border]
    return found


def shares(panes: Sequence[str], sizes: Sequence[int]) -> Shares:
    """What is remembered of sizes in cells."""
    total = sum(sizes)
    return {pane: round(size * len(sizes) / total, 4) for pane, size in zip(panes, sizes, strict=True)} if total else {}


def held(known: Shares, panes: Sequence[str], total: int, least: int) -> list[float]:
    """Whole cells of `total` for each pane: by its share, with at least `least` where that is possible at all.

    total: 0 or less is not known yet: the shares are given as they are.
    """
    parts = [known.get(pane, 1.0) for pane in panes]
    if total <= 0:
        return parts
    if total < least * len(parts):
        return [1.0 for _ in parts]
    room = total - least * len(parts)
    over = [max(0.0, part * total / sum(parts) - least) for part in parts]
    every = sum(over)
    sizes = (least + (room * one / every if every else room / len(parts)) for one in over)
    edges = [math.floor(edge + 0.501) for edge in itertools.accumulate(sizes, initial=0.0)]
    return [float(end - start) for start, end in itertools.pairwise(edges)]


def read(value: Any) -> dict[str, Shares]:
    """Shares by row from the file of settings; what is none is left out: a person may have written it."""
    found: dict[str, Shares] = {}
    for name, row in value.items() if isinstance(value, Mapping) else ():
        known = {pane: float(part) for pane, part in row.items() if _is_share(part)} if isinstance(row, dict) else {}
        if known:
            found[str(name)] = known
    return found


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0
