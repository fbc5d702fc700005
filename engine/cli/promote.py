"""Export a run and have the engine write it down, which reveals what was kept apart: test and unseen results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import export as exporting
from engine.cli import talk, words
from engine.export import BEST, Export
from engine.records import Note, Order, RunDetail, ShowRun

if TYPE_CHECKING:
    from engine.select import Direction


def promote(
    run: str = BEST,
    *,
    metric: str = "val_pct_mae",
    direction: Direction | None = None,
    family: str | None = None,
    dataset: str | None = None,
    alias: str = "",
    to: Path | None = None,
) -> Export:
    """Write .best_model_path (or an alias) and give the promote order. run: as a person typed it, or "best"."""
    with talk.engine() as client:
        whole = run if run == BEST else talk.expect(client.call(ShowRun(run)), RunDetail).row.id
        found = exporting.export(
            talk.workspace(), whole, metric=metric, direction=direction, family=family, dataset=dataset, alias=alias,
            to=to,
        )  # fmt: skip
        client.call(Order(run=found.run, order="promote", value=str(found.checkpoint)))
        fields: dict[str, object] = {"run": found.run, "checkpoint": str(found.checkpoint), "sha256": found.sha256}
        fields |= {"alias": alias, "copy": str(to) if to else ""}
        client.call(Note(kind="alias" if alias else "export", fields=fields))
    return found


def undo(alias: str = "") -> dict[str, Any]:
    """Go back to the model before and have that written down; what its JSON twin says."""
    with talk.engine() as client:
        back = exporting.undo(talk.workspace(), alias)
        fields = {name: back.get(name) for name in ("run", "checkpoint", "sha256")}
        client.call(Note(kind="undo", fields={**fields, "alias": alias}))
    return back


def told(found: Export) -> str:
    """What was exported and how good it is on every part of the data, in one line."""
    scores = [_score("val", found.metrics), *(_score(split, results) for split, results in found.revealed.items())]
    step = f" at step {found.step}" if found.step is not None else ""
    line = f"{found.run}{step} is the model of {found.path.name}. " + " · ".join(score for score in scores if score)
    return f"{line}. A copy is in {found.copy}." if found.copy is not None else line


def _score(split: str, results: dict[str, float | None]) -> str:
    """`val 1.01% (naive 1.05%)`: mean absolute error in per cent of the price."""
    mine, naive = results.get("pct_mae"), results.get("naive_pct_mae")
    if mine is None:
        return ""
    return f"{split} {words.number(mine)}%" + (f" (naive {words.number(naive)}%)" if naive is not None else "")
