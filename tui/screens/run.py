"""One run up close: charts, log, configuration, code, devices, checkpoints, evaluation, events; each a tab."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Grid, Horizontal, VerticalScroll
from textual.widgets import ContentSwitcher

from engine.messages import RunDetail, ShowRun
from engine.records import RunRow
from tui import behindrun, details, pictures
from tui.columns import Column
from tui.keys import CURVES, RUN, ZOOM, bindings
from tui.partcolumns import CHECKPOINTS, SYMBOLS
from tui.present import Part, cell
from tui.reader import Reading
from tui.screens.loading import DEVICE_CHARTS, Loading
from tui.screens.travelling import AHEAD, CLOCK
from tui.shares import Row
from tui.widgets.chart import Chart
from tui.widgets.lines import Lines
from tui.widgets.logview import LogView
from tui.widgets.pane import framed
from tui.widgets.scrubber import Scrubber
from tui.widgets.strips import width_of
from tui.widgets.table import Table
from tui.world import World

TABS = ("charts", "log", "config", "code", "devices", "checkpoints", "evaluation", "events")


def _list(name: str, columns: Sequence[Column[Any]], key: Callable[[Any], str]) -> Table[Any]:
    return framed(Table(columns, cell("reading the database…", "rest"), key=key, id=name))


class RunScreen(Loading):
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
        super().__init__(run, tab)
        self._asked_for: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        yield Lines(id="top")
        yield Lines(id="facts", classes="pane")
        yield Lines(id="tabs")
        with ContentSwitcher(initial=self._tab, id="pages"):
            with Grid(id="charts"):
                yield framed(Chart("loss", id="loss", focusable=True))
                yield framed(Chart("val pct_mae", id="error", focusable=True))
                yield framed(Chart("windows/s", id="speed", focusable=True))
                yield framed(Chart("lr", id="rates", focusable=True))
            yield framed(LogView("its log is empty", id="log"))
            with VerticalScroll(id="config", classes="pane"):
                yield Lines(id="config-lines")
            with VerticalScroll(id="code", classes="pane"):
                yield Lines(id="code-lines")
            with Grid(id="devices"):
                for name in DEVICE_CHARTS:
                    yield framed(Chart(name, id=name, focusable=True, group=CLOCK))
            yield _list("checkpoints", CHECKPOINTS, lambda row: f"{row.saved.step} {row.saved.path}")
            with Horizontal(id="evaluation"):
                yield _list("symbols", SYMBOLS, lambda row: row.symbol)
                yield framed(Chart("forecast", id="forecast", focusable=True, group=AHEAD))
            with VerticalScroll(id="events", classes="pane"):
                yield Lines(id="event-lines")
        yield Scrubber(id="scrub")
        yield Lines(id="foot")

    def on_mount(self) -> None:
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
            self.paddock.ask(ShowRun(run=self.run_id), self._take, partial(self.set_timer, self.AGAIN, self._ask_anew))
        self._load()

    def _ask_anew(self) -> None:
        """Ask for what the engine did not tell, with the next that it tells."""
        self._asked_for = ()
        if self.ready:
            self.show(self.paddock.world)

    def _show_facts(self, row: RunRow) -> None:
        pane = self.query_one("#facts", Lines)
        pane.border_title = f" {row.id} "
        room = 5 if self.size.height >= 40 else 2 if self.size.height >= 30 else 1
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
            self._fill("#config-lines", details.config(reply))
            self._fill("#event-lines", details.events(reply))
            self._fill("#code-lines", details.code(reply, self._patch))
            self._show_facts(reply.row)

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
