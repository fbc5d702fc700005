"""`--slow`: the fewest bytes, and a terminal at the other end that shows what one shows that gets everything."""

from __future__ import annotations

import asyncio
import itertools
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.color import Color, ColorSystem
from rich.color_triplet import ColorTriplet
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.theme import Theme

from engine.workspace import Workspace
from tests.tui import scene
from tests.tui.glass import Glass, Line, over_a_line
from tests.tui.pilot import Journey
from tui.screens.commands import CommandsScreen
from tui.skills import Skills
from tui.terse import Sheetful
from tui.themes import THEMES, of_256

WIDTH, HEIGHT = 40, 4
STYLES = [
    Style(), Style(bgcolor="#101820"), Style(color="#ff0000", bgcolor="#101820"), Style(color="red", bold=True),
    Style(color="#ff0000", bgcolor="#101820", bold=True, dim=True), Style(dim=True), Style(reverse=True),
    Style(color="#00ff00", underline=True), Style(bgcolor="bright_blue", strike=True, italic=True),
]  # fmt: skip
SIGNS = " ab─漢"
SKILLS = [Skills(*each) for each in itertools.product((True, False), repeat=3)]


@st.composite
def strips(draw: st.DrawFn, width: int) -> Strip:
    """A strip of so many cells: runs of one sign, many of them blanks, some two wide."""
    segments = []
    while width:
        size = draw(st.integers(1, width))
        sign = draw(st.sampled_from(SIGNS))
        wide = 2 if sign == "漢" else 1
        segments.append(Segment(sign * (size // wide) or " ", draw(st.sampled_from([*STYLES, None]))))
        width -= segments[-1].cell_length
    return Strip(segments)


@st.composite
def frames(draw: st.DrawFn) -> list[tuple[bool, list[tuple[int, int, Strip]]]]:
    """Frames of the whole screen, and of some places: whether it is a whole one, (line, column, strip)."""
    found = []
    for whole in [True, *draw(st.lists(st.booleans(), max_size=4))]:
        placed = []
        for y in range(HEIGHT):
            if whole:
                placed.append((y, 0, draw(strips(WIDTH))))
            elif draw(st.booleans()):
                x = draw(st.integers(0, WIDTH - 1))
                placed.append((y, x, draw(strips(draw(st.integers(1, WIDTH - x))))))
        found.append((whole, placed))
    return found


@given(frames(), st.sampled_from(SKILLS), st.integers(0, 5))
def test_the_fewest_bytes_leave_the_screen_as_everything_would(shown, skills, forgotten):
    sheet, terse, whole = (
        Sheetful(WIDTH, HEIGHT, skills),
        Glass(WIDTH, HEIGHT, colored=skills.colored),
        Glass(WIDTH, HEIGHT),
    )
    for number, (complete, placed) in enumerate(shown):
        if number == forgotten:
            sheet.forget()
        spared = sheet.written(placed, ColorSystem.TRUECOLOR, whole=complete)
        terse.feed(spared)
        for y, x, strip in placed:
            plain = "".join(
                Strip.render_style(style or Style(), text, ColorSystem.TRUECOLOR) for text, style, _ in strip
            )
            whole.feed(f"\x1b[{y + 1};{x + 1}H{plain}")
        assert terse.cells == whole.cells
        assert sheet.written(placed, ColorSystem.TRUECOLOR, whole=complete) == "", "it stands there"
        assert skills.erases or "X" not in spared
        assert skills.repeats or not re.search(r"\x1b\[\d+b", spared)


BYTES = {
    (200, 50): {"start": 20_000, "palette": 2_000, "esc": 3_000, "cursor": 1_500, "runs": 9_000, "help": 7_000,
                "esc of help": 7_000, "question": 1_000, "esc of it": 1_500},
    (80, 24): {"start": 7_000, "palette": 2_000, "esc": 3_000, "cursor": 1_500, "runs": 6_000, "help": 4_500,
               "esc of help": 5_500, "question": 1_000, "esc of it": 1_500},
}  # fmt: skip
"""At most so many, half as much again as they are: before, the first of them were 61 kB, 30 kB and 34 kB."""
KEYS = {"palette": "colon", "esc": "escape", "cursor": "j", "runs": "2", "help": "question_mark",
        "esc of help": "escape", "question": "x", "esc of it": "escape"}  # fmt: skip


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.delenv("TMUX", raising=False)


async def shown(journey: Journey, line: Line, what: str) -> None:
    """Wait until the other end shows the screen. Not with the pilot, whose pauses have it drawn."""
    give_up = time.monotonic() + 60
    while line.glass.text != journey.text():
        assert time.monotonic() < give_up, f"{what}:\n{line.glass.text}\nin place of\n{journey.text()}"
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("size", BYTES)
def test_what_a_key_takes(workspace: Workspace, terminal, size):
    async def way(journey: Journey, line: Line) -> None:
        await scene.dashboard(journey)
        await shown(journey, line, "start")
        took["start"], before = line.bytes, line.bytes
        for name, key in KEYS.items():
            await journey.press(key)
            if name == "palette":
                await journey.until(lambda: "Search for" in line.glass.text, "for the palette")
                await journey.until(lambda: "ctrl+" in line.glass.text, "for its list")
            else:
                await journey.pilot.pause()
                await shown(journey, line, name)
            took[name], before = line.bytes - before, line.bytes

        fitted = {name: journey.app.available_themes[theme.name] for name, theme in THEMES.items()}
        assert fitted == {name: of_256(theme) for name, theme in THEMES.items()}

    took: dict[str, int] = {}
    with scene.box(workspace):
        over_a_line(workspace, way, size, slow=True)
    assert {name: (took[name], most) for name, most in BYTES[size].items() if took[name] > most} == {}


def test_a_window_that_closes_while_the_line_takes_nothing_is_gone_when_it_does_again(
    workspace: Workspace, terminal, monkeypatch
):
    """Without a beat nothing else has the screen drawn: its own way back must do so."""
    monkeypatch.setattr("tui.app.SLOW_BEAT", 3600.0)

    async def way(journey: Journey, line: Line) -> None:
        await scene.dashboard(journey)
        await journey.press("colon")
        await journey.until(lambda: "Search for" in line.glass.text, "for the palette")
        line.stop()
        await journey.press("t", "h", "e", "backspace", "backspace", "l", "o")
        await journey.until(lambda: journey.app._waiting, "for frames to be held back")
        await journey.press("escape")
        await journey.until(lambda: journey.app.screen is journey.dashboard)
        line.go_on()
        await shown(journey, line, "the palette is still there")
        assert not any(isinstance(screen, CommandsScreen) for screen in journey.app.screen_stack)

    with scene.box(workspace):
        over_a_line(workspace, way, (200, 50), slow=True)


@pytest.mark.parametrize("name", ["dark", "light", "safe"])
def test_themes_of_256_colours_keep_their_grounds_and_roles_apart(name):
    def seen(theme: Theme) -> dict[str, ColorTriplet]:
        named = {"background": theme.background, "surface": theme.surface, "primary": theme.primary, **theme.variables}
        shown = {key: Color.parse(value) for key, value in named.items() if value and len(value) == 7}
        return {key: color.downgrade(ColorSystem.EIGHT_BIT).get_truecolor() for key, color in shown.items()}

    told, theme = seen(of_256(THEMES[name])), THEMES[name]
    grounds = [told[key] for key in ("background", "surface", "line", "cursor")]
    assert len({*grounds}) == 4
    assert len({told[f"run-{number}"] for number in range(1, 9)}) == 8, "curves beside each other"
    for key, color in told.items():
        wanted = Color.parse(theme.variables.get(key) or getattr(theme, key)).get_truecolor()
        assert all(abs(a - b) <= 48 for a, b in zip(color, wanted, strict=True)), (key, color, wanted)
    assert told != seen(theme), "left to Rich, a dark ground is black and a line teal"


def test_the_terminals_own_colours_stay_its_own():
    assert of_256(THEMES["plain"]) == THEMES["plain"]
