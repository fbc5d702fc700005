"""Zoom, crosshair and the largest size of a chart, by key and mouse, for all charts of a screen at once."""

from __future__ import annotations

from dataclasses import replace

from textual.screen import Screen

from tui import looking
from tui.charts import EVERYTHING, View
from tui.widgets.chart import Chart


class Looking(Screen[None]):
    """One View for all charts of the screen. Charts whose x is something else set `alone` and keep a view of theirs."""

    ALLOW_IN_MAXIMIZED_VIEW = "#foot, .-textual-system"

    view: View = EVERYTHING

    def charts(self) -> list[Chart]:
        """The charts that go together and are to be seen."""
        return [chart for chart in self.query(Chart) if not chart.alone and chart.is_on_screen]

    def look(self, view: View) -> None:
        """Show all charts as a view says; a subclass may follow with more than charts."""
        self.view = view
        for chart in self.query(Chart):
            if not chart.alone:
                chart.look(view)

    def _group(self, chart: Chart | None = None) -> list[Chart]:
        return [chart] if chart is not None and chart.alone else self.charts()

    def _step(self, chart: Chart | None, view: View) -> None:
        if chart is not None and chart.alone:
            chart.look(view)
        else:
            self.look(view)

    def _at_hand(self) -> Chart | None:
        """The chart that keys mean: the one in focus, else the largest one there is."""
        focused = self.focused
        if isinstance(focused, Chart):
            return focused
        shown = self.charts() or [chart for chart in self.query(Chart) if chart.is_on_screen]
        return max(shown, key=lambda chart: chart.size.area, default=None)

    # -- keys ----------------------------------------------------------------------------------------------------

    def action_cross(self, columns: int) -> None:
        """Move the crosshair by so many columns of the chart."""
        chart = self._at_hand()
        if chart is None or (whole := looking.reach(one.picture for one in self._group(chart))) is None:
            return
        view = chart.view if chart.alone else self.view
        self._step(chart, looking.crossed(view, whole, columns / max(1, chart.plot_width)))

    def action_zoom(self, closer: bool) -> None:
        chart = self._at_hand()
        if chart is None or (whole := looking.reach(one.picture for one in self._group(chart))) is None:
            return
        view = chart.view if chart.alone else self.view
        self._step(chart, looking.zoomed(view, whole, None, closer=closer))

    def action_fit(self) -> None:
        """Show everything again; when all is shown, take the crosshair away."""
        chart = self._at_hand()
        if chart is not None:
            view = chart.view if chart.alone else self.view
            self._step(chart, View(at=view.at) if view.window is not None else EVERYTHING)

    def action_grow(self) -> None:
        if (chart := self._at_hand()) is not None:
            self._grow(chart)

    def _grow(self, chart: Chart) -> None:
        if self.maximized is not None:
            self.minimize()
        else:
            self.maximize(chart, container=False)

    def let_go(self) -> bool:
        """Take back the last of: one chart alone, the crosshair, the zoom. False when there was nothing of it."""
        if self.maximized is not None:
            self.minimize()
            return True
        for view in (replace(self.view, at=None), EVERYTHING):
            if view != self.view:
                self.look(view)
                return True
        return False

    # -- the mouse -----------------------------------------------------------------------------------------------

    def on_chart_pointed(self, event: Chart.Pointed) -> None:
        if (whole := looking.reach(one.picture for one in self._group(event.chart))) is not None:
            self._step(event.chart, looking.pointed(event.chart.view, whole, event.x))

    def on_chart_wheeled(self, event: Chart.Wheeled) -> None:
        if (whole := looking.reach(one.picture for one in self._group(event.chart))) is not None:
            self._step(event.chart, looking.zoomed(event.chart.view, whole, event.x, closer=event.closer))

    def on_chart_picked(self, event: Chart.Picked) -> None:
        whole = looking.reach(one.picture for one in self._group(event.chart))
        if whole is None:
            return
        if event.done:
            self._step(event.chart, looking.windowed(event.chart.view, whole, event.low, event.high))
        else:
            self._step(event.chart, replace(event.chart.view, picked=(event.low, event.high)))

    def on_chart_grown(self, event: Chart.Grown) -> None:
        self._grow(event.chart)
