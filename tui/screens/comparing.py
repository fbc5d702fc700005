"""What is done with a comparison: its SQL, the two runs line by line, the page that is written of it."""

from __future__ import annotations

from tui import behind, compare, elsewhere, faults
from tui.answers import Compared
from tui.screens.choose import Choice, ChooseScreen
from tui.screens.work import WorkScreen
from tui.widgets.table import Table
from tui.world import AWAY


class Comparing(WorkScreen):
    """A screen with a Table #runs of the runs that are compared."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: tuple[str, ...] = ()
        self.found = Compared()

    @property
    def table(self) -> Table[compare.Side]:
        return self.query_one("#runs", Table)

    def action_sql(self) -> None:
        if len(self.runs) >= compare.LEAST:
            self.paddock.open_sql(behind.of_runs(self.runs))

    def action_diff(self) -> None:
        """The run under the cursor against the first, or the second against the first."""
        run = self.table.chosen
        if run is None or len(self.runs) < compare.LEAST or self.found.found is None:
            self.notify("There is nothing to compare yet.", timeout=3)
            return
        from engine.codediff import code_diff
        from engine.compare import spec_of
        from tui.screens.diff import DiffScreen, lines

        first = self.runs[0]
        other = run if run != first else self.runs[1]
        workspace, far = self.paddock.workspace, self.paddock.far
        fields = compare.settings(self.found, (first, other), equal=False)

        def look() -> tuple[str, str]:
            try:
                if far is not None:
                    return elsewhere.code_diff(far, first, other), ""
                return code_diff(workspace, spec_of(workspace, first), spec_of(workspace, other)), ""
            except Exception as error:  # the edge of a worker
                return "", faults.said(error)

        def then(found: tuple[str, str]) -> None:
            self.ask_person(DiffScreen(f"{first} and {other}", lines(first, other, fields, *found)), lambda _: None)

        self.work("diff", look, then)

    def action_export(self) -> None:
        """While the engine is away this key starts it, as everywhere."""
        if self.paddock.world.link.state == AWAY:
            self.paddock.action_start_engine()
            return
        found = self.found.found
        if found is None or len(self.runs) < compare.LEAST:
            self.notify("There is no comparison to export yet.", timeout=3)
            return
        from engine import page
        from engine.compare_page import parts

        title = f"Comparison of {', '.join(found.runs)}"

        def make(form: str) -> str:
            if form == "md":
                return page.markdown(parts(found, pictures=False))
            from engine.plots import needed

            needed()
            return page.html(title, parts(found, pictures=True))

        def answered(form: str | None) -> None:
            if form:
                self.export_to(f"compare-{'-'.join(found.runs[:3])}.{form}", lambda: make(form))

        choices = [
            Choice("md", "Markdown", "engine compare … --md"),
            Choice("html", "HTML", "one file with pictures: engine compare … --html"),
        ]
        self.ask_person(ChooseScreen("Export the comparison as", choices, "md"), answered)
