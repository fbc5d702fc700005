"""The dashboard: is anything wrong, what runs, what is next, what came out; and the chosen run up close."""

from __future__ import annotations

import time
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.events import ScreenResume
from textual.geometry import Size
from textual.widgets import Input

from engine.records import RunRow
from tui import devices, nothing, outlook
from tui.alerts import alerts
from tui.charts import EVERYTHING
from tui.columns import FINISHED, QUEUE, RUNNING
from tui.keys import CURVES, DASHBOARD, bindings, hint, label, offer
from tui.layout import Plan, plan
from tui.present import Cell, cell
from tui.reader import Reading
from tui.screens.past import PastDevices
from tui.screens.queueing import Queueing
from tui.shares import Row
from tui.widgets.chart import Chart
from tui.widgets.filterline import FilterLine
from tui.widgets.ground import Beside
from tui.widgets.lines import Lines
from tui.widgets.logview import LogView
from tui.widgets.pane import framed
from tui.widgets.scrubber import Scrubber
from tui.widgets.table import RunTable
from tui.world import AWAY, World

TABLES = ("running", "queue", "finished")


class DashboardScreen(Queueing, PastDevices):
    """Screen 1. The cursor stays on its run, even when the run moves to another list."""

    WHERE = DASHBOARD
    NAME = "dashboard"
    BACK = "dashboard.back"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(DASHBOARD)]
    AUTO_FOCUS = "#running"
    ROWS = (
        Row("detail", ("loss", "error", "log")),
        Row("lists", ("queue", "finished")),
        Row("panes", ("running", "lists", "detail"), down=True),
    )

    def __init__(self) -> None:
        super().__init__()
        self._run: str | None = None
        self._plan: Plan | None = None
        self._filter = ""
        self._touched = False
        self._alerted: str | None = None
        """Where the key for alerts led last."""

    def compose(self) -> ComposeResult:
        yield Lines(id="top")
        yield Lines(id="outlook")
        yield Lines(id="devices", classes="pane")
        slow = self.paddock.slow
        running = tuple(column for column in RUNNING if not (slow and column.moves))
        yield framed(RunTable(running, cell(""), id="running", markable=True))
        with Beside(id="lists"):
            yield framed(RunTable(QUEUE, cell(""), id="queue", markable=True))
            yield framed(RunTable(FINISHED, cell(""), id="finished", markable=True))
        with Beside(id="detail"):
            yield framed(Chart("loss", id="loss"))
            yield framed(Chart("val pct_mae", id="error"))
            yield framed(LogView("", id="log"))
        yield Scrubber(id="scrub")
        yield FilterLine(
            id="filter", asks=label("dashboard.filter"), placeholder="part of id, family, tag or cause; esc clears"
        )
        yield Lines(id="foot")

    def on_mount(self) -> None:
        for name, title, keys in (
            ("devices", "Devices", ""),
            ("running", "Running", hint("dashboard.open", "chosen.log", "chosen.stop")),
            ("queue", "Queue", hint("dashboard.move", "chosen.hold", "dashboard.why")),
            ("finished", "Finished", hint("dashboard.filter", "dashboard.why", "chosen.retry")),
            ("loss", "", ""),
            ("error", "", ""),
            ("log", "log", "following"),
        ):
            pane = self.query_one(f"#{name}")
            pane.border_title = title
            pane.border_subtitle = keys
        self.query_one("#loss", Chart).offer(*CURVES)
        self.query_one("#filter").display = self.query_one("#scrub").display = False
        self.begin()

    def table(self, name: str) -> RunTable:
        return self.query_one(f"#{name}", RunTable)

    def target(self) -> RunRow | None:
        return self.paddock.world.rows.get(self._run) if self._run else None

    # -- what the engine says ------------------------------------------------------------------------------------

    def show(self, world: World) -> None:
        now = time.time()
        finished = self._filtered(world)
        found = alerts(world, now)
        self._arrange(world, len(found))
        shown = {"running": world.running, "queue": world.queue, "finished": finished}
        for name, rows in shown.items():
            self.table(name).show(rows, now, self._empty(name, world))
            self.table(name).mark(self.paddock.marked)
        self._follow_run(world)
        self.foresee(world)
        line = self.query_one("#outlook", Lines)
        rows_ = self._plan.outlook if self._plan else 1
        line.show(*outlook.lines(world, found, self._plan_of_queue, self.app.size.width - 2, rows_, now))
        title = f"Finished · {len(finished)} of {len(world.finished)} with “{self._filter}”"
        title = title.replace("[", "\\[") if self._filter else "Finished"
        if self.table("finished").border_title != title:
            self.table("finished").border_title = title
        self.show_devices(world)
        self.show_frame(world)

    def _empty(self, name: str, world: World) -> Cell:
        if not world.known:
            if name != "running":
                return ()
            if world.link.state == AWAY:
                return nothing.no_engine()
            return cell(world.link.why or "Asking the engine for its runs…", "rest")
        if name == "running":
            if world.rows:
                return (("Nothing runs. ", "rest"), *offer("chosen.new-run", " queues a run."))
            way = offer("chosen.new-run", " to queue a run, or: ")
            press = (("Press ", "rest"), *way, ("engine run toto", "ours")) if way else ()
            return (("Nothing runs yet. ", "rest"), *press)
        if name == "queue":
            return (("Nothing waits. ", "rest"), *offer("chosen.new-run", " queues a run."))
        if name == "finished" and self._filter:
            return (
                (f"No finished run has “{self._filter}”. ", "rest"),
                *offer("dashboard.filter", " then "),
                ("esc", "key"),
                (" lists all.", "rest"),
            )
        runs = world.running
        way = offer("chosen.log", " shows the log of what runs.") if runs else offer("chosen.new-run", " queues a run.")
        return (("Nothing has ended yet. ", "rest"), *way)

    def _filtered(self, world: World) -> tuple[RunRow, ...]:
        words = self._filter.lower().split()
        if not words:
            return world.finished
        return tuple(
            row
            for row in world.finished
            if all(
                word in " ".join((row.id, row.family, row.name, row.note, row.what, row.reason, row.state, *row.tags))
                .lower()
                for word in words
            )
        )  # fmt: skip

    def _follow_run(self, world: World) -> None:
        """Keep the cursor on its run wherever it went; else begin with the first run there is."""
        if not isinstance(self.focused, RunTable):
            return
        if self._run is None or self._run not in world.rows or not self._touched:
            first = next((self.table(name) for name in TABLES if self.table(name).rows), None)
            if first is not None and (self._run is None or self._run not in world.rows):
                first.focus()
                self._choose(first.chosen)
            return
        if self.focused.chosen == self._run:
            return
        home = next((self.table(name) for name in TABLES if self.table(name).choose(self._run)), None)
        if home is not None:
            home.focus()
        else:
            self._choose(self.focused.chosen)

    # -- the chosen run ------------------------------------------------------------------------------------------

    @on(RunTable.Chosen)
    def _chosen(self, event: RunTable.Chosen) -> None:
        event.stop()
        if event.table.has_focus and event.key is not None:
            self._choose(event.key)

    def _choose(self, run: str | None) -> None:
        if run is None or run == self._run:
            return
        self._run = run
        if self.moment is not None:  # it was one of the run before
            self.travel(None)
        self._touched = True
        self.look(EVERYTHING)
        self.query_one("#loss").border_title = run
        self.wish(run)
        self.show_frame(self.paddock.world)

    def read(self, reading: Reading) -> None:
        if reading.wish.run != self._run:
            return
        self.take(reading)
        self.show_charts(reading)
        self.show_log(self.query_one("#log", LogView), reading)

    @on(LogView.Follows)
    def _follows(self, event: LogView.Follows) -> None:
        self.tell_following(event)

    @on(RunTable.Opened)
    def _opened(self, event: RunTable.Opened) -> None:
        self.paddock.open_run(event.key)

    @on(RunTable.Edge)
    def _edge(self, event: RunTable.Edge) -> None:
        """Pushed past its end, the cursor goes on in the next list that has rows."""
        order = TABLES[TABLES.index(event.table.id or "") + event.way :: event.way] if event.way > 0 else (
            TABLES[: TABLES.index(event.table.id or "")][::-1]
        )  # fmt: skip
        for name in order:
            table = self.table(name)
            if table.rows:
                table.action_edge(-event.way)
                table.focus()
                return

    def action_log(self) -> None:
        if (row := self.target()) is not None:
            self.paddock.open_run(row.id, tab="log")

    def on_screen_resume(self, _: ScreenResume) -> None:  # Textual calls the base class's as well
        if self._run and self.ready:
            self.wish(self._run)

    def action_sql(self) -> None:
        """Of the list that has the focus; of the one with the cursor where a chart or the log has it."""
        here = self.focused.id if isinstance(self.focused, RunTable) else None
        home = here or next((name for name in TABLES if self.table(name).chosen == self._run), TABLES[0])
        from tui import behindrun

        self.paddock.open_sql(behindrun.of_list(home))

    def action_choose(self, run: str) -> None:
        """Put the cursor on a run, in whatever list it is."""
        home = next((self.table(name) for name in TABLES if self.table(name).choose(run)), None)
        if home is not None:
            home.focus()

    def action_alert(self) -> None:
        """Go through the runs that alerts are about, worst first."""
        world = self.paddock.world
        runs = list(dict.fromkeys(alert.run for alert in alerts(world, time.time()) if alert.run))
        if not runs:
            self.notify("No run wants you.", timeout=2)
            return
        again = self._run == self._alerted and self._run in runs
        self._alerted = runs[(runs.index(self._run or "") + 1) % len(runs) if again else 0]
        self.action_choose(self._alerted)

    # -- the filter ----------------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        line = self.query_one("#filter", FilterLine)
        line.display = True
        self.set_focus(line)  # at once: focus() would let the next key that was typed go to the list
        self._make_room()

    @on(Input.Changed, "#filter")
    def _typed(self, event: Input.Changed) -> None:
        self._filter = event.value.strip()
        self.show(self.paddock.world)

    @on(Input.Submitted, "#filter")
    @on(FilterLine.Left)
    def _leave_filter(self) -> None:
        self.query_one("#filter").display = bool(self._filter)
        self.set_focus(self.table("finished"))
        self._make_room()

    def _make_room(self) -> None:
        """The line of the filter takes one from the panes: nothing lies below another, nothing scrolls."""
        world = self.paddock.world
        self._arrange(world, len(alerts(world, time.time())))

    # -- places --------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        super().tick()
        now = time.time()
        for name in TABLES:
            self.table(name).tick(now)

    def _arrange(self, world: World, found: int) -> None:
        size: Size = self.app.size
        made = plan(
            size.width,
            # The lines of the scrubber and of the filter.
            size.height - (self.moment is not None) - self.query_one("#filter").display,
            devices.amount(world),
            len(world.running),
            len(world.queue),
            len(world.finished),
            found,
        )
        if made == self._plan:
            return
        self._plan = made
        self.set_class(made.frame == 1, "-tight")
        lists, detail = self.query_one("#lists"), self.query_one("#detail")
        lists.set_class(not made.beside, "-stacked")
        self.query_one("#outlook").styles.height = made.outlook
        self.query_one("#devices").styles.height = made.devices
        self.table("running").styles.height = made.running
        self.table("queue").styles.height = made.queue
        self.table("finished").styles.height = made.finished
        lists.styles.height = made.queue if made.beside else made.queue + made.finished
        detail.display = made.detail > 0
        detail.styles.height = made.detail or 1
        self.query_one("#error").display = made.columns > 1
        self.query_one("#log").display = made.columns > 2
        if self.shaped("panes"):  # the lists fill what a person gave them
            heights = ("100%", "100%") if made.beside else ("2fr", "3fr")
            self.table("queue").styles.height, self.table("finished").styles.height = heights
        self.lay()

    def reshaped(self, row: Row) -> None:
        """Heights come from the plan: where nobody has another wish any more, they are given anew."""
        self._plan = None
        super().reshaped(row)
