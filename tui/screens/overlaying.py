"""The curves of the runs that are compared: read as they grow, drawn over one another."""

from __future__ import annotations

from functools import cached_property

from textual.events import ScreenResume

from engine.records import LIVE
from tui import compare, faults, overlay
from tui.overlay import Curves, Overlay
from tui.screens.choose import Choice, ChooseScreen
from tui.screens.comparing import Comparing
from tui.widgets.chart import Chart

DRAWN = "compare.chart"
"""The setting under which it is kept what is drawn beside the loss."""


class Overlaying(Comparing):
    """A screen with a Chart #loss and a Chart #error. Each run keeps its colour."""

    def __init__(self) -> None:
        super().__init__()
        self._roles: dict[str, str] = {}
        self._curves = Curves()
        self._reading = False
        self._curves_fault = ""
        """Why they could not be read the last time: told once, while it is tried again each second."""

    @cached_property
    def _overlay(self) -> Overlay:
        far = self.paddock.far
        return Overlay(far.compared if far else self.paddock.workspace.runs)

    def tick(self) -> None:
        super().tick()
        rows = self.paddock.world.rows
        if any(run in rows and rows[run].state in LIVE for run in self.runs):
            self._read_curves()

    def on_screen_resume(self, _: ScreenResume) -> None:  # Textual calls the base class's as well
        self._read_curves()

    def _read_curves(self) -> None:
        """Read what is new of all curves, unless that goes on already."""
        if self._reading or len(self.runs) < compare.LEAST:
            return
        self._reading = True
        reader, runs = self._overlay, self.runs
        x, smooth = self.paddock.x_axis, self.paddock.smooth

        def look() -> Curves | Exception:
            try:
                return reader.read(runs, x, smooth)
            except Exception as error:  # the edge of a worker
                return error

        self.work("curves", look, self._read)

    def _read(self, curves: Curves | Exception) -> None:
        self._reading = False
        before, self._curves_fault = self._curves_fault, repr(curves) if isinstance(curves, Exception) else ""
        if isinstance(curves, Exception):
            if self._curves_fault != before:
                self.notify(faults.said(curves), severity="error", timeout=8)
            return
        if curves is not self._curves:
            self._curves = curves
            self._show_curves()
        asked = (self.paddock.x_axis, self.paddock.smooth)
        if curves.behind or set(curves.runs) != set(self.runs) or (curves.x, curves.smooth) != asked:
            self._read_curves()

    def _show_curves(self) -> None:
        self.query_one("#loss", Chart).show(overlay.losses(self._curves, self._roles, log=self.paddock.log_scale))
        self.query_one("#error", Chart).show(overlay.errors(self._curves, self._roles, self.drawn))

    def _rewish(self, text: str) -> None:
        self._read_curves()
        self.notify(text, timeout=2)

    def action_log_scale(self) -> None:
        self.paddock.log_scale = not self.paddock.log_scale
        self._show_curves()

    def action_metric(self) -> None:
        """Choose what is drawn beside the loss: kept for other runs, where they log it."""
        names = overlay.logged(self._curves)
        if not names:
            self.notify("Nothing is logged yet.", timeout=3)
            return

        def chosen(name: str | None) -> None:
            if name is not None:
                self.paddock.remember(DRAWN, name)
                self._show_curves()

        choices = [Choice("", "as usual"), *map(Choice, names)]
        self.ask_person(ChooseScreen("Draw what beside the loss?", choices, self.drawn), chosen)

    @property
    def drawn(self) -> str:
        return str(self.paddock.settings.get(DRAWN, ""))
