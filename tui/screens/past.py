"""The devices panel at the moment that charts and log of the run are at: from memory, else from the database."""

from __future__ import annotations

import time

from textual.timer import Timer

from tui import devices, travel
from tui.screens.travelling import AHEAD, Travelling
from tui.travel import Past
from tui.widgets.lines import Lines
from tui.widgets.scrubber import Scrubber
from tui.world import World

PAUSE = 0.15
"""Seconds that the moment stands still before the database is asked for it."""


class PastDevices(Travelling):
    """A dashboard: its scrubber is there while one is in the past only."""

    _past: Past | None = None
    _past_timer: Timer | None = None

    def show_devices(self, world: World) -> None:
        panel = self.query_one("#devices", Lines)
        past, moment = self._past, self.moment
        if moment is None or past is None:
            title, shown = "Devices", world
        else:
            title = f"Devices · {time.strftime('%H:%M:%S', time.localtime(moment))}"
            shown = travel.world_at(world, past)
        if panel.border_title != title:
            panel.border_title = title
        if moment is not None and past is not None and not past.samples:
            panel.show([[(past.trouble or "nothing was recorded of them then", "attention")]])
            return
        still = self.paddock.slow and moment is None
        panel.show(devices.lines(shown, panel.size.width, max(1, panel.size.height), still=still))

    def _follow_moment(self, but: str = AHEAD) -> None:
        super()._follow_moment(but)
        moment, world = self.moment, self.paddock.world
        if self._past_timer is not None:
            self._past_timer.stop()
        if moment is None:
            self._past = None
        elif (known := travel.known_at(world, moment)) is not None:
            self._past = known
        else:
            self._past = Past(moment, trouble="reading the database…")
            self._past_timer = self.set_timer(PAUSE, self._read_past)
        self.show(world)

    def _read_past(self) -> None:
        moment, workspace = self.moment, self.paddock.workspace
        if moment is None:
            return
        if self.paddock.far is not None:
            self._take_past(Past(moment, trouble="over ssh only the last two minutes of the devices are known"))
            return
        from tui import upclose  # with duckdb's functions, which no first frame needs

        self.paddock.in_worker(lambda: upclose.read_past(workspace, moment), self._take_past)

    def _take_past(self, past: Past) -> None:
        if self.ready and past.moment == self.moment:
            self._past = past
            self.show_devices(self.paddock.world)

    def show_scrub(self) -> None:
        scrubber = self.query_one("#scrub", Scrubber)
        scrubber.display = self.moment is not None
        scrubber.show(self._scrub())

    def action_back(self) -> None:
        if self.maximized is None and self.moment is not None:
            self.travel(None)
        else:
            self.let_go()
