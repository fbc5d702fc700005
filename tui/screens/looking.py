"""Zoom, crosshair and the largest size of a chart, by key and mouse, for all charts of a screen at once."""

from __future__ import annotations

from msgspec.structs import replace
from textual.widget import Widget

from tui import looking
from tui.charts import EVERYTHING, View
from tui.screens.resizing import Resizing
from tui.widgets.chart import Chart


class Looking(Resizing):
    """One View for each group of charts: those of a group have the same x, and are zoomed together."""

    ALLOW_IN_MAXIMIZED_VIEW = "#foot, .-textual-system"

    def view_of(self, group: str = "") -> View:
        return next((chart.view for chart in self.query(Chart) if chart.group == group), EVERYTHING)

    def look(self, view: View, group: str = "") -> None:
        """Show all charts of a group as a view says; a subclass may follow with more than charts."""
        for chart in self.query(Chart):
            if chart.group == group:
                chart.look(view)

    def _at_hand(self) -> Chart | None:
        """The chart that keys mean: the one in focus, else the largest one there is."""
        if isinstance(self.focused, Chart):
            return self.focused
        shown = [chart for chart in self.query(Chart) if chart.is_on_screen]
        return max(shown, key=lambda chart: chart.size.area, default=None)

    def _whole(self, group: str) -> tuple[float, float] | None:
        """What the charts of a group that are to be seen span together."""
        return looking.reach(c.picture for c in self.query(Chart) if c.group == group and c.is_on_screen)

    # -- keys ----------------------------------------------------------------------------------------------------

    def action_cross(self, columns: int) -> None:
        """Move the crosshair by so many columns of the chart."""
        if (chart := self._at_hand()) is not None and (whole := self._whole(chart.group)) is not None:
            part = columns / max(1, chart.plot_width)
            self.look(looking.crossed(chart.view, whole, part), chart.group)

    def action_zoom(self, closer: bool) -> None:
        if (chart := self._at_hand()) is not None and (whole := self._whole(chart.group)) is not None:
            self.look(looking.zoomed(chart.view, whole, None, closer=closer), chart.group)

    def action_fit(self) -> None:
        """Show everything again; when all is shown, take the crosshair away."""
        if (chart := self._at_hand()) is not None:
            self.look(View(at=chart.view.at) if chart.view.window is not None else EVERYTHING, chart.group)

    def action_grow(self) -> None:
        if (chart := self._at_hand()) is not None:
            self._grow(chart)

    def _grow(self, chart: Chart) -> None:
        if self.maximized is not None:
            self.minimize()
        else:
            self.maximize(chart, container=False)

    def watch_maximized(self, before: Widget | None, now: Widget | None) -> None:
        for widget in (before, now):
            if isinstance(widget, Chart):
                widget.stand(alone=widget is now)

    def let_go(self) -> bool:
        """Take back the last of: one chart alone, the crosshairs, the zooms. False when there was nothing of it."""
        if self.maximized is not None:
            self.minimize()
            return True
        groups = {chart.group: chart.view for chart in self.query(Chart)}
        if any(view.at is not None for view in groups.values()):
            for group, view in groups.items():
                self.look(replace(view, at=None), group)
            return True
        for group in groups:
            self.look(EVERYTHING, group)
        return any(view != EVERYTHING for view in groups.values())

    # -- the mouse -----------------------------------------------------------------------------------------------

    def on_chart_pointed(self, event: Chart.Pointed) -> None:
        chart = event.chart
        if (whole := self._whole(chart.group)) is not None:
            self.look(looking.pointed(chart.view, whole, event.x), chart.group)

    def on_chart_wheeled(self, event: Chart.Wheeled) -> None:
        chart = event.chart
        if (whole := self._whole(chart.group)) is not None:
            self.look(looking.zoomed(chart.view, whole, event.x, closer=event.closer), chart.group)

    def on_chart_panned(self, event: Chart.Panned) -> None:
        chart = event.chart
        if (whole := self._whole(chart.group)) is not None:
            self.look(looking.panned(chart.view, whole, event.part), chart.group)

    def on_chart_hovered(self, event: Chart.Hovered) -> None:
        """Tell the values under the pointer in all charts of the group; on a slow line they cost too much."""
        if not self._app.slow:
            self.look(replace(event.chart.view, over=event.x), event.chart.group)

    def on_chart_picked(self, event: Chart.Picked) -> None:
        chart = event.chart
        if (whole := self._whole(chart.group)) is None:
            return
        if event.done:
            self.look(looking.windowed(chart.view, whole, event.low, event.high), chart.group)
        else:
            self.look(replace(chart.view, picked=(event.low, event.high)), chart.group)

    def on_chart_grown(self, event: Chart.Grown) -> None:
        self._grow(event.chart)
