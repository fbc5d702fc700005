"""One run up close: charts, log, configuration, events; each a tab."""

from __future__ import annotations

import time
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Grid, VerticalScroll
from textual.widgets import ContentSwitcher

from engine.records import RunDetail, RunRow, ShowRun
from tui import details
from tui.keys import RUN, bindings
from tui.pictures import rates, speed
from tui.present import Part
from tui.reader import Reading
from tui.screens.base import BaseScreen
from tui.widgets.chart import Chart
from tui.widgets.lines import Lines
from tui.widgets.logview import LogView
from tui.widgets.strips import width_of
from tui.world import World

TABS = ("charts", "log", "config", "events")


class RunScreen(BaseScreen):
    """Screen 3, pushed over the one it was opened from."""

    WHERE = RUN
    NAME = "run"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 - as Textual declares it
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(RUN)]

    def __init__(self, run: str, tab: str = "charts") -> None:
        super().__init__()
        self.run_id = run
        self._tab = tab
        self._detail: RunDetail | None = None
        self._asked_for: tuple[object, ...] = ()

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
            with VerticalScroll(id="events"):
                yield Lines(id="event-lines")
        yield Lines(id="foot")

    def on_mount(self) -> None:
        for name in ("loss", "error", "speed", "rates", "log", "config", "events"):
            self.query_one(f"#{name}").add_class("pane")
        self.query_one("#loss").border_subtitle = " e smooth   b log   i x axis "
        self.query_one("#error").border_subtitle = " ← → crosshair   + − 0 zoom   z alone "
        self.query_one("#log").border_subtitle = " following "
        self.wish(self.run_id)
        self._show_tab()
        self.begin()

    def target(self) -> RunRow | None:
        return self.paddock.world.rows.get(self.run_id)

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

    def _show_facts(self, row: RunRow) -> None:
        pane = self.query_one("#facts", Lines)
        pane.border_title = f" {row.id} "
        pane.show(details.facts(row, pane.size.width, time.time()))

    def tick(self) -> None:
        super().tick()
        if (row := self.target()) is not None:
            self._show_facts(row)

    def _take(self, reply: object) -> None:
        if isinstance(reply, RunDetail) and self.ready:
            self._detail = reply
            self._fill("#config-lines", details.config(reply))
            self._fill("#event-lines", details.events(reply))

    def _fill(self, name: str, lines: list[list[Part]]) -> None:
        shown = self.query_one(name, Lines)
        if len(lines) != len(shown.lines):
            shown.styles.height = max(1, len(lines))
        shown.show(lines)

    def read(self, reading: Reading) -> None:
        if reading.wish.run != self.run_id:
            return
        self.show_charts(reading)
        self.query_one("#speed", Chart).show(speed(reading))
        self.query_one("#rates", Chart).show(rates(reading))
        log = self.query_one("#log", LogView)
        row = self.target()
        waits = row is not None and row.state in ("queued", "held", "starting")
        log.show(reading.log, reading.trouble or ("it has not started yet" if waits else "its log is empty"))
        log.border_title = " log · older lines are in log.txt " if reading.log_left_out else " log "

    @on(LogView.Follows)
    def _follows(self, event: LogView.Follows) -> None:
        event.view.border_subtitle = " following " if event.follows else " f follows again "

    # -- tabs ------------------------------------------------------------------------------------------------------

    def _show_tab(self) -> None:
        self.query_one("#pages", ContentSwitcher).current = self._tab
        parts: list[Part] = [(" ", "text")]
        links = []
        for name in TABS:
            start = width_of(parts)
            here = name == self._tab
            parts += [(f" {name} ", "badge" if here else "rest"), (" ", "text")]
            links.append((0, start, width_of(parts), f"screen.go('{name}')"))
        self.query_one("#tabs", Lines).show([parts], links)
        self.query_one(f"#{self._tab}").focus()
        if self._tab == "charts":
            self.set_focus(None)

    def action_tab(self, way: int) -> None:
        self.action_go(TABS[(TABS.index(self._tab) + way) % len(TABS)])

    def action_go(self, tab: str) -> None:
        self._tab = tab
        self._show_tab()

    def action_log(self) -> None:
        self.action_go("log")

    def action_back(self) -> None:
        if not self.let_go():
            self.dismiss(None)
