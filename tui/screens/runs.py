"""All runs: thousands of them, filtered while one types, sorted, marked, tagged, and acted on together."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import ClassVar

from msgspec.structs import replace
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input

from engine import store_fields
from engine.errors import BadFilter
from engine.ids import base
from engine.query_fields import Known
from tui import faults
from tui.keys import RUNS, bindings, label, offer
from tui.nothing import no_engine
from tui.present import Cell, cell
from tui.runcolumns import CATALOG, USUAL, usual
from tui.runs import Looks, Values
from tui.screens.columns import ColumnsScreen
from tui.screens.several import SeveralScreen
from tui.suggest import QuerySuggester
from tui.widgets.filterline import FilterLine
from tui.widgets.ground import Beside
from tui.widgets.lines import Lines
from tui.widgets.pane import framed
from tui.widgets.table import RunTable
from tui.world import AWAY, World

READ_AGAIN = 10.0
"""Seconds after which columns of the database are read again while it changes; 2 s when runs have come or ended."""
ROOMY = 30
"""Lines from which the chosen run is told about below the list."""
REST, STEP = 0.2, 0.02
"""Seconds without a key before columns are looked at that somebody may sort by, and between two of them: a key that
comes meanwhile waits for one at most, which is 5 to 15 ms of 10,000 runs."""


class RunsScreen(SeveralScreen):
    """Screen 2."""

    WHERE = RUNS
    NAME = "runs"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(RUNS)]
    AUTO_FOCUS = "#list"
    CSS = """
    RunsScreen #body { height: 1fr; }
    RunsScreen #list { width: 3fr; height: 100%; overflow-x: auto; scrollbar-size-horizontal: 0; }
    RunsScreen #about { height: 5; }
    RunsScreen #query, RunsScreen #typed { height: 1; background: $panel; }
    RunsScreen #said { height: 1; }
    RunsScreen.-tight .pane { border: none; border-top: solid $line; }
    RunsScreen.-tight .pane:focus { border: none; border-top: solid $primary; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._problem = ""
        self._suggester = QuerySuggester()
        self._read_at = 0.0
        self._read_for: tuple[object, ...] = ()
        self._reading = False
        self._columns_for: tuple[object, ...] = ()
        self._own = False
        """Whether a person has chosen the columns; else they are those that there is room for."""

    def compose(self) -> ComposeResult:
        yield Lines(id="top")
        with Beside(id="body"):
            yield framed(RunTable(self.list.columns(), cell(""), id="list", markable=True, wide=True, pinned=2))
        yield Lines(id="about", classes="pane")
        yield Lines(id="said")
        yield FilterLine(
            id="query",
            asks=label("runs.filter"),
            placeholder="family:toto val_pct_mae<1 lr>=1e-4 -tag:base state:failed or words; enter keeps, esc clears",
            suggester=self._suggester,
        )
        yield FilterLine(id="typed")
        yield Lines(id="foot")

    def on_mount(self) -> None:
        settings = self.paddock.settings
        names = tuple(name for name in settings.get("runs.columns", []) if isinstance(name, str))
        self._own = bool(names) and names != USUAL
        sort, down = settings.get("runs.sort", "ago"), settings.get("runs.down", True)
        self.list.look(Looks(names or USUAL, sort, down))
        for name in ("query", "typed", "said"):
            self.query_one(f"#{name}").display = False
        self._preparing = self.set_interval(STEP, self._prepare, pause=True)
        self.begin()

    # -- what the engine says ------------------------------------------------------------------------------------

    def show(self, world: World) -> None:
        now = time.time()
        self.set_class(self.app.size.height < ROOMY or self.app.size.width < 100, "-tight")
        self.make_room()
        self.query_one("#about").display = self.app.size.height >= ROOMY and bool(world.rows) and not self.roomy
        self._fill(world, now)
        self._want(world)
        self.show_frame(world)

    def _fill(self, world: World, now: float) -> None:
        table = self.table
        if not self._own and (names := self._usual()) != self.list.looks.columns:
            self.list.look(replace(self.list.looks, columns=names))
        view = self.list.show(world.rows, now)
        self._preparing.resume()
        looks = (self.list.looks, self.list.id_width, self.list.values, self.list.known, self.list.unfolded)
        if looks != self._columns_for:
            self._columns_for = looks
            table.show_columns(self.list.columns())
        table.show(view.rows, now, self._empty(world), view.ids)
        table.mark(self.paddock.marked)
        self.tell()

    def _usual(self) -> tuple[str, ...]:
        """The columns there is room for, where nobody has chosen any; the list takes the left part of a wide screen."""
        frame = 4 if not self.has_class("-tight") else 2
        room = self.table.size.width or (self.app.size.width * 3 // 5 if self.roomy else self.app.size.width) - frame
        return usual(room, self.list.id_width)

    def _empty(self, world: World) -> Cell:
        if not world.known:
            if world.link.state == AWAY:
                return no_engine()
            return cell("Asking the engine for its runs…", "rest")
        if not world.rows:
            way = offer("runs.new-run", " to queue one, or: ")
            press = (("Press ", "rest"), *way, ("engine run toto", "ours")) if way else ()
            return (("No runs yet. ", "rest"), *press)
        return (("No run is like that. ", "rest"), (label("runs.filter"), "key"), (" then ", "rest"), ("esc", "key"),
                (f" lists all {len(world.rows):,}.", "rest"))  # fmt: skip

    def tell(self) -> None:
        """The title, what is out of sight, and what is known of the chosen run."""
        table = self.table
        title = f"Runs · {self.list.title(self.paddock.marked)}"
        away = table.away if table.rows else ""
        if self._anchor is not None:
            title += f" · marking: {label('runs.mark-range')} ends"
        if away and self.has_class("-tight"):  # its lower edge is not drawn
            title, away = f"{title} · {away.replace(' more', ' more columns')}", ""
        if (table.border_title, table.border_subtitle) != (title, away):
            table.border_title, table.border_subtitle = title.replace("[", "\\["), away
        self.look_closer(self.paddock.world)
        pane = self.query_one("#about", Lines)
        row = self.target()
        if pane.display:
            self.tell_facts(pane, row, max(20, self.app.size.width - 4))

    @on(RunTable.Chosen)
    def _chosen(self, event: RunTable.Chosen) -> None:
        event.stop()
        self.stretch(event.key)
        self.tell()
        self.show_frame(self.paddock.world)

    @on(RunTable.Shifted)
    def _shifted(self) -> None:
        self.tell()

    @on(RunTable.Opened)
    def _opened(self, event: RunTable.Opened) -> None:
        self.paddock.open_run(event.key)

    def action_log(self) -> None:
        if (row := self.target()) is not None:
            self.paddock.open_run(row.id, tab="log")

    def tick(self) -> None:
        super().tick()
        self.table.tick(time.time())
        if self.roomy or self.query_one("#about").display:
            self.tell()

    # -- columns of the database -----------------------------------------------------------------------------------

    def _want(self, world: World) -> None:
        """Have settings and metrics read in a worker, if the list asks for any and they may be others by now."""
        needs = self.list.needs()
        names = {*self.list.looks.columns, self.list.looks.sort} - CATALOG.keys() - {"id"}
        if self._reading or not (needs or names) or not self.ready:
            return
        stored = world.status.store_at if world.status is not None else None
        runs = (frozenset(needs), len(world.rows), len(world.finished))
        wait = 2.0 if runs != self._read_for[:-1] else READ_AGAIN
        missing = not needs <= self.list.values.keys() or not self._read_for
        if missing or ((*runs, stored) != self._read_for and time.monotonic() - self._read_at > wait):
            self._read((*runs, stored))

    def _read(self, read_for: tuple[object, ...]) -> None:
        self._reading = True
        self._read_for, database, needs = read_for, self.paddock.workspace.database, self.list.needs()
        names = {*self.list.looks.columns, self.list.looks.sort} - CATALOG.keys()

        def work() -> None:
            back: Callable[[], object]
            try:
                known, values = store_fields.read(database, needs)
                more = {one for name in names for one in known.find(name)} - values.keys()
                if more:  # what a name means is known only now
                    known, added = store_fields.read(database, more)
                    values |= added
                back = partial(self._learned, known, values)
            except Exception as error:  # the edge of a worker
                back = partial(self._not_learned, faults.said(error))
            self.paddock.back(back)

        self.paddock.run_worker(work, group="fields", thread=True, exit_on_error=False)

    def _learned(self, known: Known, values: Values) -> None:
        self._reading, self._read_at = False, time.monotonic()
        self.list.learn(known, values, time.time())
        line = self.query_one("#query", FilterLine)
        if self._problem and line.value:
            self._ask(line.value)
        self.show(self.paddock.world)

    def _not_learned(self, text: str) -> None:
        self._reading, self._read_at = False, time.monotonic()
        self.notify(text, severity="error", timeout=8)

    # -- the filter ----------------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        line = self.query_one("#query", FilterLine)
        line.display = True
        self.set_focus(line)  # at once: focus() would let the next key that was typed go to the list
        self.call_after_refresh(self.paddock.run_worker, self._warm, group="warm", thread=True, exit_on_error=False)

    def _warm(self) -> None:
        """Look through all runs before a word is asked for, in a thread; not before the line is on the screen."""
        self._suggester.learn(self.paddock.world.rows.values(), self.list.known)
        self.list.warm()

    @on(Input.Changed, "#query")
    def _typed(self, event: Input.Changed) -> None:
        self._ask(event.value)
        self._fill(self.paddock.world, time.time())
        self.table.action_edge(-1)

    def _ask(self, text: str) -> None:
        """List what is meant; a query that is not one yet leaves the list and is told beside."""
        self._problem = ""
        try:
            self.list.ask(text, time.time())
        except BadFilter as error:
            self._problem = str(error)
            if "no field" in self._problem and not self.list.known.params and not self._reading:
                self._read(())  # it may be a setting or a metric
        said = self.query_one("#said", Lines)
        said.display = bool(self._problem)
        said.show([[(f" ✗ {self._problem}", "trouble")]])
        self._want(self.paddock.world)

    @on(Input.Submitted, "#query")
    def _keep_filter(self) -> None:
        if not self._problem:
            self.leave_line()

    @on(FilterLine.Left)
    def leave_line(self) -> None:
        for name in ("query", "typed"):
            line = self.query_one(f"#{name}", FilterLine)
            line.display = name == "query" and bool(line.value)
        self.set_focus(self.table)

    # -- order and columns -----------------------------------------------------------------------------------------

    def _look(self, looks: Looks) -> None:
        self.list.look(looks)
        self.call_after_refresh(self._remember, looks)
        self._want(self.paddock.world)
        self._fill(self.paddock.world, time.time())
        self.table.action_edge(-1)  # one sorts to see what comes first

    def _remember(self, looks: Looks) -> None:
        columns = [*looks.columns] if self._own else []
        for name, value in (("columns", columns), ("sort", looks.sort), ("down", looks.down)):
            self.paddock.remember(f"runs.{name}", value)

    def _prepare(self) -> None:
        """Look at what may be sorted by next, while nobody types."""
        if not self.is_current or (self.paddock.rests(REST) and not self.list.prepare(time.time())):
            self._preparing.pause()

    def action_sort(self, way: int) -> None:
        self._look(self.list.sort_beside(way))

    def action_reverse(self) -> None:
        self._look(self.list.sort_by(self.list.looks.sort))

    @on(RunTable.HeaderClicked)
    def _header_clicked(self, event: RunTable.HeaderClicked) -> None:
        place = self.table.columns.index(event.column) - 1
        if place >= 0:
            self._look(self.list.sort_by(self.list.names()[place]))

    def action_columns(self) -> None:
        if not self.list.known.params and not self._reading:
            self._read(())
        choices = [(name, column.help) for name, column in CATALOG.items()]
        choices += [(name, "a setting") for name in self.list.known.params]
        choices += [(f"last.{name}", "a metric, as the database knows it") for name in self.list.known.metrics]

        def chosen(names: tuple[str, ...] | None) -> None:
            if names is not None:
                self._own = names not in (USUAL, usual_)
                self._look(Looks(names, self.list.looks.sort, self.list.looks.down))

        usual_ = self._usual()
        self.app.push_screen(ColumnsScreen(self.list.looks.columns, choices, usual_), chosen)

    def action_unfold(self) -> None:
        row = self.target()
        if row is None or not self.list.attempts(row.id):
            self.notify("This run has one attempt." if row else "No run is chosen.", timeout=2)
            return
        self.list.fold(self.list.unfolded ^ {base(row.id)})
        self._fill(self.paddock.world, time.time())

    def action_unfold_all(self) -> None:
        self.list.fold(frozenset() if self.list.unfolded else self.list.foldable)
        self._fill(self.paddock.world, time.time())

    # -- elsewhere -------------------------------------------------------------------------------------------------

    def action_compare(self) -> None:
        if len(self.paddock.marked & self.paddock.world.rows.keys()) < 2:
            self.notify("Mark two runs or more with space, then c.", severity="warning")
        else:
            self.paddock.action_go("compare")

    def action_sql(self) -> None:
        self.paddock.open_sql(self.list.sql(time.time()))
