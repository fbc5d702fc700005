"""What the tabs of a run show that the database and its folder tell: read when it may have changed, or met trouble."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msgspec.structs import replace
from textual import on

from engine.messages import RunDetail
from engine.records import ENDED
from tui import details, nothing, pictures
from tui.charts import EVERYTHING, Picture
from tui.present import Part, cell
from tui.screens.travelling import AHEAD, Travelling
from tui.widgets.chart import Chart
from tui.widgets.lines import Lines
from tui.widgets.table import Table

if TYPE_CHECKING:  # duckdb's functions: they are imported in the workers that ask them
    from engine.store_upclose import Scored
    from tui.far import Far
    from tui.upclose import Checkpoint, Checkpoints, Devices, Evaluation, Forecast, Patch

DEVICE_CHARTS = ("utilisation", "memory", "power", "temperature")
EVERY = 5.0
"""Seconds between two looks at the device samples of a run that goes on."""


class Loading(Travelling):
    """A screen of one run with its tabs; each is read in a worker, when it is the one that is shown."""

    AGAIN = 10.0
    """Seconds after which is asked again what met trouble."""

    def __init__(self) -> None:
        super().__init__()
        self.run_id = ""
        self._tab = "charts"
        self._detail: RunDetail | None = None
        self._loaded: dict[str, object] = {}
        self._troubled: set[str] = set()
        """Tabs that could not be read the last time."""
        self._patch: Patch | None = None
        self._symbol = ""

    def _fill(self, name: str, lines: list[list[Part]]) -> None:
        """Show lines in a pane, if its page was opened already."""
        for shown in self.query(name).results(Lines):
            if len(lines) != len(shown.lines):
                shown.styles.height = max(1, len(lines))
            shown.show(lines)

    def _load(self) -> None:
        """Have what the tab shows read in a worker, when something may have changed since it last was."""
        row = self.target()
        if row is None or not self.ready or not self._seen:
            return
        stand: tuple[object, ...] = (row.state, row.best, row.checkpoint)
        if self._tab == "devices" and row.state not in ENDED:
            stand = (*stand, int(time.time() / EVERY))
        if self._tab in self._troubled:
            stand = (*stand, int(time.time() / self.AGAIN))
        if self._loaded.get(self._tab) == stand:
            return
        self._loaded[self._tab] = stand
        workspace, run, app = self.paddock.workspace, row.id, self.paddock
        if app.far is not None:
            self._load_far(app.far, run)
            return
        from tui import upclose  # with duckdb's functions, which no first frame needs

        if self._tab == "code":
            app.in_worker(lambda: upclose.read_patch(workspace.run(run), run), self._take_patch)
        elif self._tab == "devices":
            app.in_worker(lambda: upclose.read_devices(workspace, run), self._take_devices)
        elif self._tab == "checkpoints":
            app.in_worker(lambda: upclose.read_checkpoints(workspace, run), self._take_checkpoints)
        elif self._tab == "evaluation":
            app.in_worker(lambda: upclose.read_evaluation(workspace, run), self._take_evaluation)

    def _load_far(self, far: Far, run: str) -> None:
        """Of a workspace elsewhere only results by symbol are asked for; the other tabs say what does it."""
        from tui import elsewhere
        from tui.upclose import Checkpoints, Devices, Patch

        if self._tab == "evaluation":
            self.paddock.in_worker(lambda: elsewhere.read_evaluation(far, run), self._take_evaluation)
        elif self._tab == "devices":
            self._take_devices(Devices(run, trouble=elsewhere.BY_SQL))
        elif self._tab == "checkpoints":
            self._take_checkpoints(Checkpoints(run, trouble=elsewhere.BY_SQL))
        elif self._tab == "code":
            self._take_patch(Patch(run, trouble="code.patch is a file of the other machine, not copied over ssh"))

    def _met(self, tab: str, trouble: str) -> None:
        """Know whether a tab is to be read again though nothing has changed."""
        (self._troubled.add if trouble else self._troubled.discard)(tab)

    def _take_patch(self, patch: Patch) -> None:
        self._met("code", patch.trouble)
        self._patch = patch
        if self.ready and self._detail is not None:
            self._fill("#code-lines", details.code(self._detail, patch))

    def _take_devices(self, found: Devices) -> None:
        self._met("devices", found.trouble)
        if not self.ready:
            return
        for name in DEVICE_CHARTS:
            picture = pictures.devices(found.watched, name, None)
            self.query_one(f"#{name}", Chart).show(replace(picture, empty=found.trouble or picture.empty))
        self.travel(self.moment)

    def _take_checkpoints(self, found: Checkpoints) -> None:
        self._met("checkpoints", found.trouble)
        if self.ready:
            empty = found.trouble or nothing.checkpoints(self.target())
            shown: Table[Checkpoint] = self.query_one("#checkpoints", Table)
            shown.show(found.rows, time.time(), cell(empty, "rest"))

    def _take_evaluation(self, found: Evaluation) -> None:
        self._met("evaluation", found.trouble)
        if not self.ready:
            return
        table: Table[Scored] = self.query_one("#symbols", Table)
        empty = found.trouble or nothing.evaluation(self.target())
        table.show(found.rows, time.time(), cell(empty, "rest"))
        beaten = sum(row.skill is not None and row.skill > 0 for row in found.rows)
        table.border_title = f"{len(found.rows)} symbols, {beaten} beat naive" if found.rows else ""
        if not found.rows:
            self.query_one("#forecast", Chart).show(Picture("forecast", empty="its forecasts come with its evaluation"))

    @on(Table.Chosen, "#symbols")
    def _symbol_chosen(self, event: Table.Chosen) -> None:
        event.stop()
        if event.key is None or event.key == self._symbol:
            return
        self._symbol = symbol = event.key
        workspace, run = self.paddock.workspace, self.run_id
        if self.paddock.far is not None:
            from tui.elsewhere import NO_FORECAST

            self.query_one("#forecast", Chart).show(Picture(symbol, empty=NO_FORECAST))
            return
        self.query_one("#forecast", Chart).show(Picture(symbol, empty="reading its forecasts…"))
        from tui import upclose

        self.paddock.in_worker(lambda: upclose.read_forecast(workspace, run, symbol), self._take_forecast)

    def _take_forecast(self, found: Forecast) -> None:
        if not self.ready or found.symbol != self._symbol:
            return
        chart = self.query_one("#forecast", Chart)
        if found.trouble:
            self._symbol = ""  # chosen again, it is read again
        if found.band is None:
            chart.show(
                Picture(
                    "forecast", empty=found.trouble or f"no forecast of {found.symbol} was kept; ↑ ↓ another symbol"
                )
            )
        else:
            self.look(EVERYTHING, AHEAD)
            chart.show(pictures.forecast(found.band, (found.run, found.symbol, found.band.origin)))
