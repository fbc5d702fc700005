"""The export of a run by the command line: a run as a person typed it, and what is said of it afterwards."""

from __future__ import annotations

from typing import Any, Unpack

from engine import promotion
from engine.cli import talk, words
from engine.export import BEST, Export, How
from engine.messages import RunDetail, ShowRun


def promote(run: str = BEST, **how: Unpack[How]) -> Export:
    """As engine.promotion has it. run: as a person typed it, or "best"."""
    with talk.engine() as client:
        whole = run if run == BEST else talk.expect(client.call(ShowRun(run)), RunDetail).row.id
        return promotion.promote(client, talk.workspace(), whole, **how)


def undo(alias: str = "") -> dict[str, Any]:
    """Go back to the model before and have that written down; what its JSON twin says."""
    with talk.engine() as client:
        return promotion.undo(client, talk.workspace(), alias)


def told(found: Export) -> str:
    """What was exported and how good it is on every part of the data, in one line; or what would be."""
    if talk.rehearsing():
        now = f", which names {found.previous} now" if found.previous else ""
        copied = f", and be copied to {found.copy}" if found.copy else ""
        at = f" at step {found.step}" if found.step is not None else ""
        return f"{found.run}{at} would become the model of {found.path.name}{now}{copied}"
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
