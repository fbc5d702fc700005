"""What all screens share: the top and bottom line, and orders to the run that is meant."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, cast

from textual.events import ScreenResume
from textual.worker import Worker

from engine.messages import Order, OrderKind, Request, Retry
from engine.records import ENDED, LIVE, WAITING, RunRow
from tui import nothing, status
from tui.charts import EVERYTHING, Picture
from tui.keys import named
from tui.pictures import error, loss, told
from tui.reader import Reading, Wish
from tui.screens.confirm import ConfirmScreen
from tui.screens.looking import Looking
from tui.shares import Row
from tui.widgets.chart import Chart
from tui.widgets.ground import Ground
from tui.widgets.lines import Lines
from tui.widgets.logview import LogView
from tui.world import World

if TYPE_CHECKING:
    from tui.app import PaddockApp

X_AXES = ("step", "epoch", "time", "tokens")


class BaseScreen(Looking, Ground):
    """A screen that is told the World; subclasses say which run is meant and fill their panes."""

    WHERE = ""
    NAME = ""

    def __init__(self) -> None:
        super().__init__()
        self._seen = False

    @property
    def paddock(self) -> PaddockApp:
        return cast("PaddockApp", self.app)

    @property
    def ready(self) -> bool:
        """Whether its widgets are there: not before it is mounted, nor after it was left or while the app ends."""
        return self.is_mounted and self.app.is_running and self in self.app.screen_stack

    def target(self) -> RunRow | None:
        """The run that keys act on."""
        raise NotImplementedError

    def show(self, world: World) -> None:
        """Take a new world. Called at most some times a second, always in the app's thread."""
        raise NotImplementedError

    def read(self, reading: Reading) -> None:
        """Take what was read from the folder of the run that was wished for."""

    def on_screen_resume(self, event: ScreenResume) -> None:
        event.refresh_styles = False  # they are kept right while it is out of sight; to work them out anew takes 10 ms
        if self.ready:
            self.show(self.paddock.world)
            if (reading := self.paddock.reading) is not None:  # another screen may have had it, and no news comes
                self.read(reading)
            if not self._seen:
                self._seen = True
                self.call_after_refresh(self.arrived)

    def arrived(self) -> None:
        """Called once, after the first frame that was seen: now is the time to have read what takes a while."""

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        self.paddock.on_worker_state_changed(event)

    def tick(self) -> None:
        """Once a second: what changes with the clock."""
        self.show_frame(self.paddock.world)

    def on_resize(self) -> None:
        if self.ready:
            self.show(self.paddock.world)
            self.call_after_refresh(self._resized)

    def _resized(self) -> None:
        """Once more, laid out: only now does a screen know whether it is a narrow one."""
        if self.ready:
            self.lay()
            self.show(self.paddock.world)

    def reshaped(self, row: Row) -> None:
        if self.ready:
            self.show(self.paddock.world)

    def show_frame(self, world: World) -> None:
        """The first and the last line."""
        row = self.target()
        width = self.app.size.width
        readonly = self.paddock.readonly
        top, links = status.top_line(world, self.NAME, width, readonly=readonly, run=row.id if row else "")
        self.query_one("#top", Lines).show([top], links)
        foot, links = status.foot_line(self.WHERE, width, readonly=readonly)
        away = status.away_line(world, time.time())
        self.query_one("#foot", Lines).show([away or foot], [] if away else links)

    # -- the run that is looked at ---------------------------------------------------------------------------------

    def wish(self, run: str) -> None:
        """Have the curves and the log of a run read from now on."""
        self.paddock.reader.look_at(Wish(run, self.paddock.x_axis, self.paddock.smooth))

    def begin(self) -> None:
        """Show what is known already; called at the end of on_mount, which may be before somebody goes there."""
        self.show(self.paddock.world)
        self.lay()

    def picture(self, chart: str, reading: Reading) -> Picture | None:
        """What a chart of that id draws of a reading; a subclass may know more of them."""
        if chart == "loss":
            return loss(reading, log=self.paddock.log_scale)
        return error(reading) if chart == "error" else None

    def show_charts(self, reading: Reading) -> None:
        row = self.target()
        for chart in self.query(Chart):
            if (picture := self.picture(chart.id or "", reading)) is not None:
                chart.show(told(picture, row))

    def show_log(self, log: LogView, reading: Reading) -> None:
        log.show(reading.log, reading.trouble or nothing.log(self.target()))

    def action_smooth(self) -> None:
        self.paddock.smooth = not self.paddock.smooth
        self._rewish("curves smoothed" if self.paddock.smooth else "curves as they are")

    def action_x_axis(self) -> None:
        after = X_AXES.index(self.paddock.x_axis) + 1
        self.paddock.x_axis = X_AXES[after % len(X_AXES)]
        self.look(EVERYTHING)  # a window of steps is none of epochs
        self._rewish(f"x axis: {self.paddock.x_axis}")

    def action_log_scale(self) -> None:
        self.paddock.log_scale = not self.paddock.log_scale
        if (reading := self.paddock.reading) is not None:
            self.read(reading)

    def _rewish(self, text: str) -> None:
        if (row := self.target()) is not None:
            self.wish(row.id)
        self.notify(text, timeout=2)

    # -- orders ----------------------------------------------------------------------------------------------------

    def _meant(self, states: frozenset[str], can: str) -> RunRow | None:
        """The run that is meant if it is in one of these states; else say why nothing happens."""
        if self.paddock.refuse():
            return None
        row = self.target()
        if row is None:
            self.notify("No run is chosen.", severity="warning")
        elif row.state not in states:
            self.notify(f"{row.id} is {row.state}: {can}.", severity="warning")
        else:
            return row
        return None

    def _order(self, row: RunRow, order: OrderKind, said: str) -> None:
        self.paddock.send(Order(run=row.id, order=order, why="asked in the TUI"), said)

    def action_stop(self) -> None:
        row = self._meant(LIVE | WAITING, "only what runs or waits can be stopped")
        if row is None:
            return
        if row.state in WAITING:
            asked = (f"Take {row.id} out of the queue?", named("{chosen.retry} queues it again."), "yes, take it out")
        else:
            detail = named("It gets SIGTERM and saves a checkpoint; {chosen.retry} goes on from there.")
            asked = (f"Stop {row.id}?", detail, "yes, stop it")
        request = Order(run=row.id, order="stop", why="asked in the TUI")
        self._confirm(asked, request, f"{row.id} is asked to stop")

    def action_kill(self) -> None:
        row = self._meant(LIVE, "only what runs can be killed")
        if row is not None:
            detail = "SIGKILL to its whole group: what it learned since its last checkpoint is lost."
            asked = (f"Kill {row.id} at once?", detail, "yes, kill it")
            request = Order(run=row.id, order="kill", why="asked in the TUI")
            self._confirm(asked, request, f"{row.id} is killed", trouble=True)

    def _confirm(self, asked: tuple[str, str, str], request: Request, said: str, *, trouble: bool = False) -> None:
        """asked: the question, what comes of it, and the words of yes."""

        def answered(yes: bool | None) -> None:
            if yes:
                self.paddock.send(request, said)

        window = self.paddock.opened("question", ConfirmScreen)
        self.app.push_screen(window.ask(*asked, trouble=trouble), answered)

    def action_retry(self) -> None:
        row = self._meant(ENDED, "only what has ended can be queued again")
        if row is not None:
            self.paddock.send(Retry(run=row.id, environment=dict(os.environ)), f"{row.id} is queued again")

    def action_clone(self) -> None:
        if not self.paddock.refuse():
            if (row := self.target()) is None:
                self.notify("No run is chosen.", severity="warning")
            else:
                self.paddock.action_new_run(row.id)

    def action_hold(self) -> None:
        row = self._meant(WAITING, "only what waits can be held back")
        if row is not None and row.state == "held":
            self._order(row, "release", f"{row.id} is released")
        elif row is not None:
            self._order(row, "hold", named(f"{row.id} is held back; {{chosen.hold}} releases it"))

    def action_copy(self) -> None:
        row = self.target()
        if row is not None:
            self.app.copy_to_clipboard(row.id)
            self.notify(f"{row.id} is in the clipboard", timeout=2)
