"""An export that the engine writes down, which reveals what was kept apart: test and unseen results.

The same for the command line and the screens: the files by engine.export, then the lines by the engine.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import export as exporting
from engine.export import BEST, Export
from engine.records import Note, Order
from engine.select import METRIC

if TYPE_CHECKING:
    from engine.client import Client
    from engine.select import Direction
    from engine.workspace import Workspace


def promote(
    client: Client,
    workspace: Workspace,
    run: str = BEST,
    *,
    metric: str = METRIC,
    direction: Direction | None = None,
    family: str | None = None,
    dataset: str | None = None,
    alias: str = "",
    to: Path | None = None,
) -> Export:
    """Write .best_model_path (or an alias) and give the promote order. run: a whole id, or "best".

    Raises what engine.export.export does, and what the engine says.
    """
    found = exporting.export(
        workspace, run, metric=metric, direction=direction, family=family, dataset=dataset, alias=alias, to=to
    )
    client.call(Order(run=found.run, order="promote", value=str(found.checkpoint)))
    fields: dict[str, object] = {"run": found.run, "checkpoint": str(found.checkpoint), "sha256": found.sha256}
    fields |= {"alias": alias, "copy": str(to) if to else ""}
    client.call(Note(kind="alias" if alias else "export", fields=fields))
    return found


def undo(client: Client, workspace: Workspace, alias: str = "") -> dict[str, Any]:
    """Go back to the model before and have that written down; what its JSON twin says."""
    back = exporting.undo(workspace, alias)
    fields = {name: back.get(name) for name in ("run", "checkpoint", "sha256")}
    client.call(Note(kind="undo", fields={**fields, "alias": alias}))
    return back
