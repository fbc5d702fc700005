"""The run under the cursor beside a list, where the terminal is wide enough: its facts, its curves, its last words."""

from __future__ import annotations

import time

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical

from engine.devices import Sample
from engine.records import RunRow
from tui import details
from tui.charts import EVERYTHING, Picture
from tui.keys import label
from tui.reader import Reading
from tui.screens.base import BaseScreen
from tui.shares import Row
from tui.widgets.chart import Chart
from tui.widgets.lines import Lines
from tui.widgets.logview import LogView
from tui.widgets.pane import framed
from tui.world import World

WIDE, HIGH = 210, 40
"""Columns and lines of a terminal from which on there is room for it."""


class Preview(Vertical):
    """Panes above each other; made when a screen first has room for them."""

    DEFAULT_CSS = """
    Preview { width: 2fr; height: 100%; }
    Preview #preview-facts { height: 5; }
    Preview #preview-loss { height: 3fr; }
    Preview #preview-error { height: 3fr; }
    Preview #preview-log { height: 2fr; }
    """

    def compose(self) -> ComposeResult:
        yield Lines(id="preview-facts", classes="pane")
        yield framed(Chart("loss", id="preview-loss"))
        yield framed(Chart("val pct_mae", id="preview-error"))
        yield framed(LogView("", id="preview-log"))

    def on_mount(self) -> None:
        self.query_one("#preview-log").border_title = "log"


class Previewing(BaseScreen):
    """A screen with a #body whose last part is the preview. target() is the run that is shown there."""

    ROWS = (
        Row("preview", ("preview-facts", "preview-loss", "preview-error", "preview-log"), down=True),
        Row("body", ("list", "preview")),
    )

    def __init__(self) -> None:
        super().__init__()
        self._previewed = ""

    @property
    def roomy(self) -> bool:
        """Whether there is room for a preview, and a run to show there."""
        return self.app.size.width >= WIDE and self.app.size.height >= HIGH and bool(self.paddock.world.rows)

    @property
    def preview(self) -> Preview | None:
        """What there is of it on the screen now."""
        found = self.query(Preview)
        return found.first() if found and found.first().display and found.first().is_mounted else None

    def make_room(self) -> None:
        """Bring it up or put it away, as the terminal is."""
        there = self.query(Preview)
        if there:
            there.first().display = self.roomy
        elif self.roomy:
            self.query_one("#body").mount(Preview(id="preview"))
            self.call_after_refresh(self._made)

    def _made(self) -> None:
        if self.ready:
            self.lay()
            self.show(self.paddock.world)

    @staticmethod
    def tell_facts(pane: Lines, row: RunRow | None, width: int, sample: Sample | None = None) -> None:
        """What is known of a run, in so many cells; its note on the lower edge."""
        pane.show(details.facts(row, width, time.time(), sample) if row else [])
        pane.border_title = row.id if row else ""
        pane.border_subtitle = f"✎ {row.note}".replace("[", "\\[")[: width // 2] if row and row.note else ""

    def look_closer(self, world: World) -> None:
        """Tell of the run under the cursor, and have its curves and its log read."""
        preview, row = self.preview, self.target()
        if preview is None or not preview.query("#preview-facts") or not self.ready:
            return
        facts = preview.query_one("#preview-facts", Lines)
        width = facts.size.width or self.app.size.width * 2 // 5 - 5  # not laid out yet
        self.tell_facts(facts, row, width, world.sample)
        if row is None:
            return
        if row.id != self._previewed:
            self._previewed = row.id
            self.look(EVERYTHING)
            if (reading := self.paddock.reading) is not None:  # another screen may have wished for the same
                self.read(reading)
        self.wish(row.id)

    def read(self, reading: Reading) -> None:
        preview, row = self.preview, self.target()
        if preview is None or row is None or reading.wish.run != row.id or not preview.query("#preview-log"):
            return
        self.show_charts(reading)
        self.show_log(preview.query_one("#preview-log", LogView), reading)

    def picture(self, chart: str, reading: Reading) -> Picture | None:
        return super().picture(chart.removeprefix("preview-"), reading)

    @on(LogView.Follows)
    def _follows(self, event: LogView.Follows) -> None:
        event.view.border_subtitle = "" if event.follows else f"{label('log.follow')} follows again"

    def action_back(self) -> None:
        """Take back what was done to the charts."""
        self.let_go()
