"""One run up close: charts, log, configuration, code, devices, checkpoints, evaluation, events; each a tab."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget

from engine.messages import RunDetail, ShowRun
from engine.records import RunRow
from tui import behindrun, details, pictures, present
from tui.charts import Picture
from tui.columns import Column
from tui.folding import folded
from tui.keys import CURVES, METRIC, RUN, ZOOM, bindings
from tui.partcolumns import CHECKPOINTS, SYMBOLS
from tui.present import Part, cell
from tui.reader import Reading
from tui.screens.choose import Choice, ChooseScreen
from tui.screens.loading import DEVICE_CHARTS, Loading
from tui.screens.travelling import AHEAD, CLOCK
from tui.shares import Row
from tui.widgets.chart import Chart
from tui.widgets.ground import Beside, Board, Pages
from tui.widgets.lines import Lines
from tui.widgets.logview import LogView
from tui.widgets.pane import framed
from tui.widgets.scrubber import Scrubber
from tui.widgets.strips import width_of
from tui.widgets.table import Table
from tui.world import World

DRAWN = "run.charts"
"""The setting under which it is kept which metric a chart draws."""
CHARTS = ("loss", "error", "speed", "rates")
TABS = ("charts", "log", "config", "code", "devices", "checkpoints", "evaluation", "events")


def page(tab: str) -> Widget:
    """What a tab shows, empty yet: eight of them take three times as long to mount as the one that is looked at."""
    if tab == "charts":
        loss, error = Chart("loss", id="loss", focusable=True), Chart("val pct_mae", id="error", focusable=True)
        speed, rates = Chart("windows/s", id="speed", focusable=True), Chart("lr", id="rates", focusable=True)
        loss.offer(*CURVES)
        error.offer(*ZOOM)
        rates.offer(*METRIC)
        return Board(*map(framed, (loss, error, speed, rates)), id="charts")
    if tab == "devices":
        charts = [framed(Chart(name, id=name, focusable=True, group=CLOCK)) for name in DEVICE_CHARTS]
        charts[0].offer(*ZOOM)
        return Board(*charts, id="devices")
    if tab == "log":
        log = framed(LogView("its log is empty", id="log"))
        log.border_subtitle = "following"
        return log
    if tab == "checkpoints":
        return _list("checkpoints", CHECKPOINTS, lambda row: f"{row.saved.step} {row.saved.path}")
    if tab == "evaluation":
        symbols = _list("symbols", SYMBOLS, lambda row: row.symbol)
        symbols.border_subtitle = "worst first"
        forecast = framed(Chart("forecast", id="forecast", focusable=True, group=AHEAD))
        return Beside(symbols, forecast, id="evaluation")
    name = {"config": "config-lines", "code": "code-lines", "events": "event-lines"}[tab]
    return VerticalScroll(Lines(id=name), id=tab, classes="pane")


def _list(name: str, columns: Sequence[Column[Any]], key: Callable[[Any], str]) -> Table[Any]:
    return framed(Table(columns, cell("reading the database…", "rest"), key=key, id=name))


class RunScreen(Loading):
    """Screen 3, pushed over the one it was opened from."""

    WHERE = RUN
    NAME = "run"
    AUTO_FOCUS = ""  # no chart has the focus until somebody puts it there
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

    def __init__(self) -> None:
        super().__init__()
        self._asked_for: tuple[object, ...] = ()
        self._drawn: dict[str, str] = {}
        """The metric of a chart that does not draw its own; a run that does not log it has the usual one."""

    def look_at(self, run: str, tab: str) -> None:
        """Say which run it is of, and what of it comes first, before it is opened."""
        self.run_id = run
        self._drawn = dict(self.paddock.settings.get(DRAWN, {}))
        if self.is_mounted and tab != self._tab:
            self.call_later(self.action_go, tab)
        self._tab = tab

    def compose(self) -> ComposeResult:
        yield Lines(id="top")
        yield Lines(id="facts", classes="pane")
        yield Lines(id="tabs")
        with Pages(initial=self._tab, id="pages"):
            yield page(self._tab)
        yield Scrubber(id="scrub")
        yield Lines(id="foot")

    def on_mount(self) -> None:
        self._await_detail()
        self._show_tab()
        self.begin()

    def arrived(self) -> None:
        self.wish(self.run_id)
        self.show(self.paddock.world)

    def target(self) -> RunRow | None:
        return self.paddock.world.rows.get(self.run_id)

    # -- what the engine says --------------------------------------------------------------------------------------

    def show(self, world: World) -> None:
        row = self.target()
        self.show_frame(world)
        if not self.run_id:
            return
        if row is None:
            self.query_one("#facts", Lines).show([[(f"{self.run_id} is not known to this engine", "attention")]])
            return
        self._show_facts(row)
        if not self._seen:
            return
        # What a detail says changes with the state and with what is saved or validated, not with each step.
        wanted = (row.state, row.best, row.metric, row.checkpoint, row.warning, row.tags, row.note, world.link.state)
        if wanted != self._asked_for:
            self._asked_for = wanted
            self.paddock.ask(ShowRun(run=self.run_id), self._take, partial(self.set_timer, self.AGAIN, self._ask_anew))
        self._load()

    def _ask_anew(self) -> None:
        """Ask for what the engine did not tell, with the next that it tells."""
        self._asked_for = ()
        if self.ready:
            self.show(self.paddock.world)

    def _show_facts(self, row: RunRow) -> None:
        pane = self.query_one("#facts", Lines)
        pane.border_title = row.id
        height = self.app.size.height
        room = 5 if height >= 40 else 2 if height >= 30 else 1
        detail = self._detail
        more = details.card(detail, pane.size.width, room if detail is not None and detail.cause else 1)
        lines = [*details.facts(row, pane.size.width, time.time(), self.paddock.world.sample), *more]
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
            self._tell(reply)
            self._show_facts(reply.row)

    def _await_detail(self) -> None:
        for name in ("#config-lines", "#code-lines", "#event-lines"):
            self._fill(name, [[("asking the engine…", "rest")]])

    def _tell(self, detail: RunDetail) -> None:
        """What has long lines is folded for the width there is: words go on below words."""
        width = max(40, self.app.size.width - 5)
        config, events = details.config(detail), details.events(detail)
        under = 4 + details.names_of(detail)
        self._fill("#config-lines", [part for line in config for part in folded(line, width, 20, under)])
        self._fill("#event-lines", [part for line in events for part in folded(line, width, 20, details.EVENT)])
        self._fill("#code-lines", details.code(detail, self._patch))

    def _resized(self) -> None:
        super()._resized()
        if self.ready and self._detail is not None:
            self._tell(self._detail)

    def read(self, reading: Reading) -> None:
        if reading.wish.run != self.run_id:
            return
        self.take(reading)
        self.show_charts(reading)
        for log in self.query("#log").results(LogView):
            self.show_log(log, reading)
            log.border_title = "log · older lines are in log.txt" if reading.log_left_out else "log"
        self.show_scrub()

    def picture(self, chart: str, reading: Reading) -> Picture | None:
        """As a person wants it, where this run logs that."""
        drawn = self._drawn.get(chart, "")
        if drawn and drawn in pictures.logged(reading):
            return pictures.metric(reading, drawn, log=self.paddock.log_scale)
        if chart == "speed":
            return pictures.speed(reading)
        return pictures.rates(reading) if chart == "rates" else super().picture(chart, reading)

    async def action_metric(self) -> None:
        """Choose what the chart in focus draws; without one the last that is to be seen."""
        if self._tab != "charts":
            await self.action_go("charts")
        reading, focused = self.paddock.reading, self.focused
        if reading is None or reading.wish.run != self.run_id or not (names := pictures.logged(reading)):
            self.notify("Nothing is logged yet.", timeout=3)
            return
        shown = [name for name in CHARTS if self.query_one(f"#{name}").is_on_screen]
        chart = focused.id if focused is not None and focused.id in shown else shown[-1]
        choices = [Choice("", "as usual")]
        choices += [Choice(name, told=present.number(reading.curves[name][1][-1])) for name in names]

        def chosen(name: str | None) -> None:
            if name is None:
                return
            self._drawn = {one: drawn for one, drawn in {**self._drawn, chart: name}.items() if drawn}
            self.paddock.remember(DRAWN, self._drawn)
            if (now := self.paddock.reading) is not None and now.wish.run == self.run_id:
                self.show_charts(now)

        title = f"Draw what in place of {self.query_one(f'#{chart}', Chart).picture.title}?"
        self.app.push_screen(ChooseScreen(title, choices, self._drawn.get(chart, "")), chosen)

    @on(LogView.Follows)
    def _follows(self, event: LogView.Follows) -> None:
        self.tell_following(event)

    # -- tabs ------------------------------------------------------------------------------------------------------

    def _show_tab(self) -> None:
        self.query_one("#pages", Pages).current = self._tab
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

    async def action_tab(self, way: int) -> None:
        await self.action_go(TABS[(TABS.index(self._tab) + way) % len(TABS)])

    async def action_go(self, tab: str) -> None:
        if self.maximized is not None:
            self.minimize()
        self._tab = tab
        if not self.query(f"#{tab}"):
            await self.query_one("#pages").mount(page(tab))
            self._fill_page()
        self._show_tab()

    def _fill_page(self) -> None:
        """Show on a page that was not there before what is known by now."""
        self.lay()
        if self._detail is not None:
            self._tell(self._detail)
        else:
            self._await_detail()
        if self._reading is not None:
            self.read(self._reading)
        if self.moment is not None:
            self.travel(self.moment)

    async def action_log(self) -> None:
        await self.action_go("log")

    def action_sql(self) -> None:
        if query := behindrun.of_tab(self._tab, self.run_id):
            self.paddock.open_sql(query)
        else:
            what = "log.txt" if self._tab == "log" else "code.patch and spec.json"
            self.notify(f"There is no SQL behind this tab: it shows {what} of the run's folder.", timeout=5)

    def action_back(self) -> None:
        if not self.let_go():
            self.dismiss(None)
