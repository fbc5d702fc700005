"""What one does with runs on the dashboard: order and halt the queue, ask why and when, mark, put away what ended."""

from __future__ import annotations

import time
from functools import partial

from textual import on

from engine import ids
from engine.messages import GetPlan, Order, PlanReply, QueueOrder, Reply, RunDetail, ShowRun
from engine.records import ENDED, LIVE, WAITING, Plan
from tui import bulk, outlook
from tui.ending import ending
from tui.feed import ask_all
from tui.keys import label
from tui.present import Part
from tui.screens.base import BaseScreen
from tui.screens.card import CardScreen
from tui.widgets.table import RunTable
from tui.world import World


class Queueing(BaseScreen):
    """Orders go to the engine; nothing moves before it says so."""

    _plan_of_queue: Plan | None = None
    _plan_asked: tuple[object, ...] = ()

    def foresee(self, world: World) -> None:
        """Ask for the plan when what it rests on has changed, and twice a minute."""
        basis = outlook.rests_on(world, time.time())
        if basis and basis != self._plan_asked:
            self._plan_asked = basis
            self.paddock.ask(GetPlan(), self._foreseen)

    def _foreseen(self, reply: Reply) -> None:
        if isinstance(reply, PlanReply) and self.ready:
            self._plan_of_queue = reply.plan
            self.show(self.paddock.world)

    def action_move(self, way: str) -> None:
        row = self._meant(WAITING, "only what waits can be moved in the queue")
        if row is None:
            return
        order = Order(run=row.id, order="move", value=way, why="asked in the TUI")
        self.paddock.ask(order, lambda _: None)  # the list shows it

    def action_pause_queue(self) -> None:
        if self.paddock.refuse():
            return
        status = self.paddock.world.status
        if status is not None and status.queue_paused is not None:
            self.paddock.send(QueueOrder(order="resume", why="asked in the TUI"), "the queue goes on")
        else:
            said = f"the queue is paused: what runs goes on, nothing new starts; {label('dashboard.pause-queue')} again"
            self.paddock.send(QueueOrder(order="pause", why="asked in the TUI"), said)

    def action_pause_run(self) -> None:
        row = self._meant(LIVE, "only what runs can be paused")
        if row is not None and row.state == "paused":
            self._order(row, "resume", f"{row.id} goes on")
        elif row is not None:
            self._order(row, "pause", f"{row.id} is paused; it keeps its device and memory")

    def action_why(self) -> None:
        row = self.target()
        if row is None:
            self.notify("No run is chosen.", severity="warning")
        elif row.state in WAITING:
            self.app.push_screen(CardScreen("why it waits", outlook.why(self.paddock.world, row.id, time.time())))
        elif row.state in ENDED:
            self.paddock.ask(ShowRun(run=row.id), self._show_end)
        else:
            self.notify(f"{row.id} is {row.state}: it neither waits nor has it ended.", timeout=3)

    def _show_end(self, reply: Reply) -> None:
        if isinstance(reply, RunDetail):
            self.app.push_screen(CardScreen("how it ended", ending(reply)))

    def action_timeline(self) -> None:
        self.paddock.ask(GetPlan(), self._show_timeline)

    def _show_timeline(self, reply: Reply) -> None:
        if not isinstance(reply, PlanReply):
            return
        from engine.cli.gantt import chart

        text = chart(reply.plan, max(60, min(200, self.app.size.width - 12)), colour=True)
        lines: list[list[Part]] = [outlook.inked(line) for line in text.splitlines()]
        lines = lines or [[("Nothing runs and nothing waits.", "rest")]]
        if reply.plan.unknown:
            lines += [[], [("? where nobody knows when a run will end", "rest")]]
        self.app.push_screen(CardScreen("when each run starts and ends, as far as is known", lines))

    def action_archive(self) -> None:
        """With the earlier attempts at it: one of them would be listed, and want a person, in its place."""
        row = self._meant(ENDED, "only what has ended can be archived")
        if row is None:
            return
        same = [one for one in self.paddock.world.rows.values() if ids.base(one.id) == ids.base(row.id)]
        work = partial(ask_all, self.paddock.workspace, bulk.plan("archive", same).requests)
        said = f"{row.id} is archived; `engine unarchive {row.id}` lists it again"
        self.paddock.in_worker(work, lambda _: self.notify(said, timeout=5))

    def action_mark(self) -> None:
        if (row := self.target()) is not None:
            self._mark(row.id)

    @on(RunTable.Marked)
    def _marked(self, event: RunTable.Marked) -> None:
        self._mark(event.key)

    def _mark(self, run: str) -> None:
        self.paddock.marked ^= {run}
        self.show(self.paddock.world)
