"""What is kept of text that changes all day: as much after forty screens of it as after ten."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

from textual.app import App, ComposeResult
from textual.strip import Strip

from tui.theme import DARK, Palette
from tui.widgets.logview import DRAWN, LogView

SCREEN = 50


class Log(App[None]):
    """A log and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.register_theme(DARK)
        self.theme = DARK.name
        self.palette = Palette(self.theme_variables)

    def compose(self) -> ComposeResult:
        yield LogView("", id="log")


def test_a_log_that_goes_on_keeps_a_few_drawn_lines_alone():
    assert DRAWN > 2 * SCREEN  # a scroll by a page draws nothing anew

    async def go() -> list[int]:
        app, found = Log(), []
        async with app.run_test(size=(100, SCREEN)) as pilot:
            log, written = app.query_one(LogView), (f"12:00:00 step {step} loss 0.1" for step in range(1 << 20))
            for round_ in range(40):
                log.show(_more(log.lines, written))
                await pilot.pause()
                for y in range(SCREEN):
                    log.render_line(y)
                if round_ in (9, 39):
                    gc.collect()
                    found.append(sum(isinstance(one, Strip) for one in gc.get_objects()))
            assert log.follows
            assert len(log.lines) == 40 * SCREEN
        return found

    early, late = asyncio.run(go())
    assert late < early + 10 * SCREEN


def _more(lines: tuple[str, ...], written: Iterator[str]) -> tuple[str, ...]:
    return (*lines, *(next(written) for _ in range(SCREEN)))
