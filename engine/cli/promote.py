"""Export a run and have the engine write it down, which reveals what was kept apart: test and unseen results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.cli import talk, words
from engine.export import BEST, Export, export
from engine.records import Order, RunDetail, ShowRun

if TYPE_CHECKING:
    from engine.select import Direction


def promote(
    run: str = BEST,
    *,
    metric: str = "val_pct_mae",
    direction: Direction | None = None,
    family: str | None = None,
    fingerprint: str | None = None,
) -> Export:
    """Write .best_model_path and give the promote order. run: as a person typed it, or "best"."""
    with talk.engine() as client:
        whole = run if run == BEST else talk.expect(client.call(ShowRun(run)), RunDetail).row.id
        found = export(
            talk.workspace(), whole, metric=metric, direction=direction, family=family, fingerprint=fingerprint
        )
        client.call(Order(run=found.run, order="promote", value=str(found.checkpoint)))
    return found


def told(found: Export) -> str:
    """What was exported and how good it is on every part of the data, in one line."""
    scores = [_score("val", found.metrics), *(_score(split, results) for split, results in found.revealed.items())]
    step = f" at step {found.step}" if found.step is not None else ""
    return f"{found.run}{step} is the model of {found.path.name}. " + " · ".join(score for score in scores if score)


def _score(split: str, results: dict[str, float | None]) -> str:
    """`val 1.01% (naive 1.05%)`: mean absolute error in per cent of the price."""
    mine, naive = results.get("pct_mae"), results.get("naive_pct_mae")
    if mine is None:
        return ""
    return f"{split} {words.number(mine)}%" + (f" (naive {words.number(naive)}%)" if naive is not None else "")
