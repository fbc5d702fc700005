"""The steps from a leaderboard into production and back: promote, alias, undo, more seeds, the table as a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from engine.board import BoardRow
from engine.errors import EngineError, UsageError
from engine.messages import Queued, RunDetail, ShowRun
from engine.pointer import Pointer, pointer, pointers, undoable
from tui import why
from tui.answers import Ranking, row_of
from tui.keys import label
from tui.present import Part
from tui.screens.choose import Choice, ChooseScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.work import WorkScreen

if TYPE_CHECKING:
    from engine.export import Export, Ready
    from engine.messages import Submit
    from engine.rerun import Rerun

SEEDS = (1, 2, 4, 8)
"""How many more are offered."""


class Promoting(WorkScreen):
    """What the screen Best can do with the run under the cursor; it finds and shows, this changes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Ranking | None = None

    def ask_again(self) -> None:
        raise NotImplementedError

    def chosen_line(self) -> BoardRow | None:
        """The run under the cursor; says so when there is none."""
        row = self.target()
        found = row_of(self.found.board if self.found else None, row.id if row else None)
        if found is None:
            self.notify("No run is chosen: the cursor is on none.", severity="warning")
        return found

    # -- promote ---------------------------------------------------------------------------------------------------

    def action_promote(self) -> None:
        if not self.paddock.refuse() and (row := self.chosen_line()) is not None:
            self._look_first(row.id, "")

    def action_alias(self) -> None:
        if self.paddock.refuse() or (row := self.chosen_line()) is None:
            return
        from tui.screens.ask import AskScreen

        run, workspace = row.id, self.paddock.workspace

        def check(text: str) -> str:
            try:
                pointer(workspace, text)
            except UsageError as error:
                return str(error)
            return "" if text else "An alias has a name: prod, candidate."

        def answered(text: str | None) -> None:
            if text:
                self._look_first(run, text)

        taken = ", ".join(one.alias for one in pointers(workspace) if one.alias)
        detail = f"There are {taken}." if taken else "It writes .best_model_path.NAME."
        self.ask_person(AskScreen(f"Under which name is {run} to be exported?", detail, check, text=""), answered)

    def _look_first(self, run: str, alias: str) -> None:
        from engine.export import ready

        workspace = self.paddock.workspace

        def then(found: Ready) -> None:
            what = f"Promote {run}" + (f" as {alias}?" if alias else "?")
            detail = "Programs that read the file use this model from then on."
            question = ConfirmScreen().ask(what, detail, "yes, promote it", more=why.question(found, alias))
            self.ask_person(question, lambda yes: self._promote(run, alias) if yes else None)

        self.notify(f"Checking the weights of {run}…", timeout=2)
        self.work("change", lambda: ready(workspace, run, alias), then)

    def _promote(self, run: str, alias: str) -> None:
        from engine.client import connect
        from engine.promotion import promote

        workspace = self.paddock.workspace

        def change() -> Export:
            with connect(workspace, start=False) as client:
                return promote(client, workspace, run, alias=alias)

        def then(found: Export) -> None:
            self.notify(
                f"{found.run} is the model of {found.path.name}; {label('best.undo')} takes it back.", timeout=6
            )
            self.ask_again()

        self.work("change", change, then)

    # -- undo ------------------------------------------------------------------------------------------------------

    def action_undo(self) -> None:
        if self.paddock.refuse():
            return
        there = undoable(self.paddock.workspace)
        if not there:
            self.notify(
                f"There is nothing to go back to: nothing was promoted yet. {label('best.promote')} does it.", timeout=5
            )
        elif len(there) == 1:
            self._ask_undo(there[0])
        else:
            choices = [Choice(one.path.name, told=_named(one)) for one in there]
            by_name = {one.path.name: one for one in there}
            self.ask_person(
                ChooseScreen("Which file is to name its model before again?", choices),
                lambda name: self._ask_undo(by_name[name]) if name else None,
            )

    def _ask_undo(self, one: Pointer) -> None:
        try:
            before = one.before()
            now = one.read() if one.path.is_file() else {}
        except EngineError as error:
            self.notify(str(error), severity="error")
            return
        to = f"{before.get('run')}  {before.get('checkpoint')}" if before else "no model, as before: the file goes away"
        more: list[list[Part]] = [
            [(f" {name:<9}", "rest"), (text, role)]
            for name, text, role in (
                ("file", str(one.path), "strong"),
                ("names", f"{now.get('run')}, kept for another {label('best.undo')}" if now else "no model", "text"),
                ("then", to, "text"),
                ("weights", f"sha256 {str(before.get('sha256'))[:16]}…, checked before anything is written", "good"),
                ("as typed", "engine export --undo" + (f" --alias {one.alias}" if one.alias else ""), "rest"),
            )
            if before or name != "weights"
        ]
        detail = "What was revealed stays revealed."
        whom = before.get("run") if before else "no model"
        question = ConfirmScreen().ask(f"Go back to {whom}?", detail, "yes, go back", more=more)
        self.ask_person(question, lambda yes: self._undo(one.alias) if yes else None)

    def _undo(self, alias: str) -> None:
        from engine.client import connect
        from engine.promotion import undo

        workspace = self.paddock.workspace

        def change() -> str:
            with connect(workspace, start=False) as client:
                return str(undo(client, workspace, alias).get("run", ""))

        def then(run: str) -> None:
            said = f"{run} is the model again" if run else "no model is named any more"
            self.notify(f"{said}; {label('best.undo')} once more takes that back.", timeout=6)
            self.ask_again()

        self.work("change", change, then)

    # -- more seeds ------------------------------------------------------------------------------------------------

    def action_replicate(self) -> None:
        if self.paddock.refuse() or (row := self.chosen_line()) is None:
            return
        from engine.client import connect
        from engine.replicate import further_seeds
        from engine.rerun import patch_of, prepare

        run, workspace = row.id, self.paddock.workspace

        def look() -> tuple[list[int], Rerun]:
            with connect(workspace, start=False) as client:
                detail = client.call(ShowRun(run))
            assert isinstance(detail, RunDetail)
            seeds = further_seeds(workspace, detail.spec, SEEDS[-1])
            return seeds, prepare(workspace, detail.spec, patch_of(Path(detail.folder)), os.environ)

        def then(found: tuple[list[int], Rerun]) -> None:
            seeds, made = found
            choices = [
                Choice(str(n), f"{n} more", f"seed{'' if n == 1 else 's'} {', '.join(map(str, seeds[:n]))}")
                for n in SEEDS
            ]
            detail = "; ".join(f"{one.part}: {one.text}" for one in made.missing)
            detail = f"As near as can be: {detail}" if detail else ""
            self.ask_person(
                ChooseScreen(f"Queue more seeds of {run}: all the same but the seed", choices, "2", detail),
                lambda count: self._replicate(run, made, seeds[: int(count)]) if count else None,
            )

        self.notify(f"Looking at what {run} was made of…", timeout=2)
        self.work("change", look, then)

    def _replicate(self, run: str, made: Rerun, seeds: list[int]) -> None:
        from engine.client import connect
        from engine.replicate import replicas

        workspace = self.paddock.workspace

        def change() -> list[str]:
            wishes: list[Submit] = replicas(made, seeds)
            with connect(workspace, start=False) as client:
                replies = [client.call(wish) for wish in wishes]
            return [reply.row.id for reply in replies if isinstance(reply, Queued)]

        self.work("change", change, lambda ids: self.notify(f"{', '.join(ids)} of {run} are queued", timeout=6))

    # -- files -----------------------------------------------------------------------------------------------------

    def action_export_table(self) -> None:
        """While the engine is away this key starts it, as everywhere."""
        from tui.world import AWAY

        if self.paddock.world.link.state == AWAY:
            self.paddock.action_start_engine()
            return
        found = self.found
        if found is None or found.board is None or not found.board.rows:
            self.notify("There is no table to export yet.", timeout=3)
            return
        from engine.board_text import written

        board = found.board
        choices = [
            Choice("md", "Markdown", "the table, and what to think of it: engine best --md"),
            Choice("csv", "CSV", "every column, full numbers: engine best --csv"),
        ]

        def answered(form: str | None) -> None:
            if form:
                self.export_to(f"best-{board.metric}.{form}", lambda: written([board], form))

        self.ask_person(ChooseScreen("Export the leaderboard as", choices, "md"), answered)


def _named(one: Pointer) -> str:
    try:
        now = one.read().get("run") if one.path.is_file() else "no model"
        return f"{now}, before {one.before().get('run', 'none')}"
    except EngineError as error:
        return str(error)
