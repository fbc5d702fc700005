"""One run up close: charts, log, configuration, code, devices, checkpoints, evaluation, events; each a tab."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Grid, Horizontal, VerticalScroll
from textual.widgets import ContentSwitcher

from engine.messages import RunDetail, ShowRun
from engine.records import ENDED, RunRow
from tui import behindrun, details, pictures
from tui.charts import EVERYTHING, Picture
from tui.columns import Column
from tui.keys import CURVES, RUN, ZOOM, bindings
from tui.partcolumns import CHECKPOINTS, SYMBOLS
from tui.present import Part, cell
from tui.reader import Reading
from tui.screens.travelling import AHEAD, CLOCK, Travelling
from tui.shares import Row
from tui.widgets.chart import Chart
from tui.widgets.lines import Lines
from tui.widgets.logview import LogView
from tui.widgets.scrubber import Scrubber
from tui.widgets.strips import width_of
from tui.widgets.table import Table
from tui.world import World

if TYPE_CHECKING:  # duckdb's functions: they are imported in the workers that ask them
    from engine.store_upclose import Scored
    from tui.far import Far
    from tui.upclose import Checkpoint, Checkpoints, Devices, Evaluation, Forecast, Patch

TABS = ("charts", "log", "config", "code", "devices", "checkpoints", "evaluation", "events")
DEVICE_CHARTS = ("utilisation", "memory", "power", "temperature")
EVERY = 5.0
"""Seconds between two looks at the device samples of a run that goes on."""


def _list(name: str, columns: Sequence[Column[Any]], key: Callable[[Any], str]) -> Table[Any]:
    return Table(columns, cell("reading the database…", "rest"), key=key, id=name)


class RunScreen(Travelling):
    """Screen 3, pushed over the one it was opened from."""

    WHERE = RUN
    NAME = "run"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 - as Textual declares it
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(RUN)]
    ROWS = (
        Row("evaluation", ("symbols", "forecast")),
        Row("charts", ("loss", "error"), grid="charts"),
        Row("charts-down", ("loss", "speed"), down=True, grid="charts"),
        Row("devices", ("utilisation", "memory"), grid="devices"),
        Row("devices-down", ("utilisation", "power"), down=True, grid="devices"),
    )
    CSS = """
    RunScreen #devices { grid-size: 2 2; height: 100%; }
    RunScreen.-narrow #devices { grid-size: 1 2; }
    RunScreen.-narrow #power, RunScreen.-narrow #temperature { display: none; }
    RunScreen #evaluation { height: 100%; }
    RunScreen #symbols { width: 70; height: 100%; }
    RunScreen #forecast { width: 1fr; height: 100%; }
    RunScreen.-narrow #evaluation { layout: vertical; }
    RunScreen.-narrow #symbols, RunScreen.-narrow #forecast { width: 100%; height: 1fr; }
    RunScreen #checkpoints, RunScreen #code { height: 100%; }
    RunScreen #code { overflow-x: auto; }
    RunScreen #code:focus { border: round $primary; }
    """

    def __init__(self, run: str, tab: str = "charts") -> None:
        super().__init__()
        self.run_id = run
        self._tab = tab
        self._detail: RunDetail | None = None
        self._asked_for: tuple[object, ...] = ()
        self._loaded: dict[str, object] = {}
        self._patch: Patch | None = None
        self._symbol = ""

    def compose(self) -> ComposeResult:
        yield Lines(id="top")
        yield Lines(id="facts", classes="pane")
        yield Lines(id="tabs")
        with ContentSwitcher(initial=self._tab, id="pages"):
            with Grid(id="charts"):
                yield Chart("loss", id="loss", focusable=True)
                yield Chart("val pct_mae", id="error", focusable=True)
                yield Chart("windows/s", id="speed", focusable=True)
                yield Chart("lr", id="rates", focusable=True)
            yield LogView("its log is empty", id="log")
            with VerticalScroll(id="config"):
                yield Lines(id="config-lines")
            with VerticalScroll(id="code"):
                yield Lines(id="code-lines")
            with Grid(id="devices"):
                for name in DEVICE_CHARTS:
                    yield Chart(name, id=name, focusable=True, group=CLOCK)
            yield _list("checkpoints", CHECKPOINTS, lambda row: f"{row.saved.step} {row.saved.path}")
            with Horizontal(id="evaluation"):
                yield _list("symbols", SYMBOLS, lambda row: row.symbol)
                yield Chart("forecast", id="forecast", focusable=True, group=AHEAD)
            with VerticalScroll(id="events"):
                yield Lines(id="event-lines")
        yield Scrubber(id="scrub")
        yield Lines(id="foot")

    def on_mount(self) -> None:
        panes = ("loss", "error", "speed", "rates", "log", "config", "code", *DEVICE_CHARTS, "checkpoints", "symbols")
        for name in (*panes, "forecast", "events"):
            self.query_one(f"#{name}").add_class("pane")
        for name, keys in (("loss", CURVES), ("error", ZOOM), ("utilisation", ZOOM)):
            self.query_one(f"#{name}", Chart).offer(*keys)
        self.query_one("#log").border_subtitle = " following "
        self.query_one("#symbols").border_subtitle = " worst first "
        self.wish(self.run_id)
        self._show_tab()
        self.begin()

    def target(self) -> RunRow | None:
        return self.paddock.world.rows.get(self.run_id)

    # -- what the engine says --------------------------------------------------------------------------------------

    def show(self, world: World) -> None:
        row = self.target()
        self.show_frame(world)
        if row is None:
            self.query_one("#facts", Lines).show([[(f"{self.run_id} is not known to this engine", "attention")]])
            return
        self._show_facts(row)
        # What a detail says changes with the state and with what is saved or validated, not with each step.
        wanted = (row.state, row.best, row.metric, row.checkpoint, row.warning, row.tags, row.note, world.link.state)
        if wanted != self._asked_for:
            self._asked_for = wanted
            self.paddock.ask(ShowRun(run=self.run_id), self._take)
        self._load()

    def _show_facts(self, row: RunRow) -> None:
        pane = self.query_one("#facts", Lines)
        pane.border_title = f" {row.id} "
        room = 5 if self.size.height >= 40 else 2 if self.size.height >= 30 else 1
        detail = self._detail
        more = details.card(detail, pane.size.width, room if detail is not None and detail.cause else 1)
        lines = [*details.facts(row, pane.size.width, time.time()), *more]
        if len(lines) != len(pane.lines):
            pane.styles.height = len(lines) + 2
        pane.show(lines)

    def tick(self) -> None:
        super().tick()
        if (row := self.target()) is not None:
            self._show_facts(row)
            self._load()
        self.show_scrub()

    def _take(self, reply: object) -> None:
        if isinstance(reply, RunDetail) and self.ready:
            self._detail = reply
            self._fill("#config-lines", details.config(reply))
            self._fill("#event-lines", details.events(reply))
            self._fill("#code-lines", details.code(reply, self._patch))
            self._show_facts(reply.row)

    def _fill(self, name: str, lines: list[list[Part]]) -> None:
        shown = self.query_one(name, Lines)
        if len(lines) != len(shown.lines):
            shown.styles.height = max(1, len(lines))
        shown.show(lines)

    def read(self, reading: Reading) -> None:
        if reading.wish.run != self.run_id:
            return
        self.take(reading)
        self.show_charts(reading)
        self.query_one("#speed", Chart).show(pictures.speed(reading))
        self.query_one("#rates", Chart).show(pictures.rates(reading))
        log = self.query_one("#log", LogView)
        row = self.target()
        waits = row is not None and row.state in ("queued", "held", "starting")
        log.show(reading.log, reading.trouble or ("it has not started yet" if waits else "its log is empty"))
        log.border_title = " log · older lines are in log.txt " if reading.log_left_out else " log "
        self.show_scrub()

    @on(LogView.Follows)
    def _follows(self, event: LogView.Follows) -> None:
        self.tell_following(event)

    # -- what the database and the folder say ----------------------------------------------------------------------

    def _load(self) -> None:
        """Have what the tab shows read in a worker, when something may have changed since it last was."""
        row = self.target()
        if row is None or not self.ready:
            return
        stand: tuple[object, ...] = (row.state, row.best, row.checkpoint)
        if self._tab == "devices" and row.state not in ENDED:
            stand = (*stand, int(time.time() / EVERY))
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

    def _take_patch(self, patch: Patch) -> None:
        self._patch = patch
        if self.ready and self._detail is not None:
            self._fill("#code-lines", details.code(self._detail, patch))

    def _take_devices(self, found: Devices) -> None:
        if not self.ready:
            return
        for name in DEVICE_CHARTS:
            picture = pictures.devices(found.watched, name, None)
            self.query_one(f"#{name}", Chart).show(replace(picture, empty=found.trouble or picture.empty))
        self.travel(self.moment)

    def _take_checkpoints(self, found: Checkpoints) -> None:
        if self.ready:
            empty = found.trouble or "no checkpoint was saved yet"
            shown: Table[Checkpoint] = self.query_one("#checkpoints", Table)
            shown.show(found.rows, time.time(), cell(empty, "rest"))

    def _take_evaluation(self, found: Evaluation) -> None:
        if not self.ready:
            return
        table: Table[Scored] = self.query_one("#symbols", Table)
        empty = found.trouble or "not evaluated yet: a trainer does so at its end"
        table.show(found.rows, time.time(), cell(empty, "rest"))
        beaten = sum(row.skill is not None and row.skill > 0 for row in found.rows)
        table.border_title = f" {len(found.rows)} symbols, {beaten} beat naive " if found.rows else ""
        if not found.rows:
            self.query_one("#forecast", Chart).show(Picture("forecast", empty="a forecast of the symbol chosen"))

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
        if found.band is None:
            chart.show(Picture("forecast", empty=found.trouble or f"no forecast of {found.symbol} was kept"))
        else:
            self.look(EVERYTHING, AHEAD)
            chart.show(pictures.forecast(found.band, (found.run, found.symbol, found.band.origin)))

    # -- tabs ------------------------------------------------------------------------------------------------------

    def _show_tab(self) -> None:
        self.query_one("#pages", ContentSwitcher).current = self._tab
        parts: list[Part] = [(" ", "text")]
        links = []
        for name in TABS:
            start = width_of(parts)
            here = name == self._tab
            parts.append((f" {name} ", "badge" if here else "rest"))
            links.append((0, start, width_of(parts), f"screen.go('{name}')"))
            parts.append((" " if self.app.size.width >= 100 else "", "text"))
        self.query_one("#tabs", Lines).show([parts], links)
        self.query_one(f"#{'symbols' if self._tab == 'evaluation' else self._tab}").focus()
        if self._tab in ("charts", "devices"):
            self.set_focus(None)
        self._load()

    def action_tab(self, way: int) -> None:
        self.action_go(TABS[(TABS.index(self._tab) + way) % len(TABS)])

    def action_go(self, tab: str) -> None:
        if self.maximized is not None:
            self.minimize()
        self._tab = tab
        self._show_tab()

    def action_log(self) -> None:
        self.action_go("log")

    def action_sql(self) -> None:
        if query := behindrun.of_tab(self._tab, self.run_id):
            self.paddock.open_sql(query)
        else:
            what = "log.txt" if self._tab == "log" else "code.patch and spec.json"
            self.notify(f"There is no SQL behind this tab: it shows {what} of the run's folder.", timeout=5)

    def action_back(self) -> None:
        if not self.let_go():
            self.dismiss(None)
