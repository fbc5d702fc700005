"""An export that the engine writes down, which reveals what was kept apart: test and unseen results.

The same for the command line and the screens: the files by engine.export, then the lines by the engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from engine import export as exporting
from engine.export import BEST, Export, How
from engine.messages import Note, Order

if TYPE_CHECKING:
    from engine.client import Client
    from engine.workspace import Workspace


def promote(client: Client, workspace: Workspace, run: str = BEST, **how: Unpack[How]) -> Export:
    """Write .best_model_path (or an alias) and give the promote order. run: a whole id, or "best".

    Nothing of it where the client rehearses. Raises what engine.export.export does, and what the engine says.
    """
    found = exporting.export(workspace, run, **how, rehearse=client.rehearse is not None)
    if client.rehearse is not None:
        return found
    client.call(Order(run=found.run, order="promote", value=str(found.checkpoint)))
    fields: dict[str, object] = {"run": found.run, "checkpoint": str(found.checkpoint), "sha256": found.sha256}
    fields |= {"alias": found.alias, "copy": str(found.copy or "")}
    client.call(Note(kind="alias" if found.alias else "export", fields=fields))
    return found


def undo(client: Client, workspace: Workspace, alias: str = "") -> dict[str, Any]:
    """Go back to the model before and have that written down, unless the client rehearses; what its JSON twin says.

    {} where no model had been named before: none is from then on.
    """
    back = exporting.undo(workspace, alias, rehearse=client.rehearse is not None)
    if client.rehearse is not None:
        return back
    fields = {name: back.get(name, "") for name in ("run", "checkpoint", "sha256")}
    client.call(Note(kind="undo", fields={**fields, "alias": alias}))
    return back
