"""Time travel: charts, devices and log of one run go to the same moment of the past, whichever of them is moved."""

from __future__ import annotations

import time

from msgspec.structs import replace
from textual import on

from engine.records import ENDED
from tui import travel
from tui.charts import View
from tui.keys import label
from tui.reader import Reading
from tui.screens.base import BaseScreen
from tui.travel import Scrub, Times
from tui.widgets.logview import LogView
from tui.widgets.scrubber import Scrubber

CLOCK, AHEAD = "clock", "ahead"
"""Groups of charts: x is the time of day, or the steps of a forecast; that of the others is the run's own."""


class Travelling(BaseScreen):
    """A screen of one run with a Scrubber #scrub, charts of the groups above and, maybe not yet, a LogView #log."""

    BACK = "run.now"
    """The name of the key that leads to now."""

    def __init__(self) -> None:
        super().__init__()
        self._moment: float | None = None
        self._reading: Reading | None = None
        self._times: tuple[object, Times] = (None, Times())

    @property
    def moment(self) -> float | None:
        """The moment that is shown, in unix seconds; None is now."""
        return self._moment

    def take(self, reading: Reading) -> None:
        """Know from now on when the run was where."""
        self._reading = reading

    def look(self, view: View, group: str = "") -> None:
        """A crosshair on one group of charts is a moment: the other charts and the log go there too."""
        before = self.view_of(group).at
        super().look(view, group)
        if group == AHEAD or view.at == before:
            return
        clock = self._reading.clock if self._reading is not None else ((), ())
        if view.at is None:
            self._moment = None
        else:
            self._moment = view.at if group == CLOCK else travel.moment_at(clock, view.at)
        self._follow_moment(but=group)

    def travel(self, moment: float | None) -> None:
        """Show everything as it was at a moment, in unix seconds; None is now."""
        self._moment = moment
        self._follow_moment()

    def _follow_moment(self, but: str = AHEAD) -> None:
        moment, reading = self._moment, self._reading
        self.set_class(moment is not None, "-past")
        if but != CLOCK:
            super().look(replace(self.view_of(CLOCK), at=moment), CLOCK)
        if but != "":
            place = travel.place_at(reading.clock, moment) if reading is not None and moment is not None else None
            super().look(replace(self.view_of(), at=place))
        for log in self.query("#log").results(LogView):
            if moment is not None and reading is not None:
                log.point(self._log_times(reading).line(moment))
            elif log.pointed is not None:
                log.point(None)
                log.action_follow()
        self.show_scrub()

    def tell_following(self, event: LogView.Follows) -> None:
        """At the edge of the log, whether it follows its end; where it is made to, one is in the present again."""
        event.view.border_subtitle = "following" if event.follows else f"{label('log.follow')} follows again"
        if event.follows and self.moment is not None:
            self.travel(None)

    def _log_times(self, reading: Reading) -> Times:
        if self._times[0] is not reading.log:
            by_step = reading.clock if reading.wish.x == "step" else ((), ())
            self._times = (reading.log, travel.times(reading.log, by_step, self._scrub().end))
        return self._times[1]

    def _scrub(self) -> Scrub:
        row, now = self.target(), time.time()
        if row is None or row.started is None:
            return Scrub(0.0, 0.0)
        ended = row.ended if row.state in ENDED else None
        return Scrub(
            row.started, ended or now, self._moment, ended is None, label("run.travel-before"), label(self.BACK)
        )

    def show_scrub(self) -> None:
        scrubber = self.query_one("#scrub", Scrubber)
        scrub = self._scrub()
        scrubber.display = scrub.end > 0 and (self.app.size.height >= 30 or scrub.moment is not None)
        scrubber.show(scrub)

    def action_travel(self, steps: int) -> None:
        self.travel(self._scrub().moved(steps))

    def action_now(self) -> None:
        self.travel(None)

    @on(Scrubber.Moved)
    def _scrubbed(self, event: Scrubber.Moved) -> None:
        self.travel(event.moment)
