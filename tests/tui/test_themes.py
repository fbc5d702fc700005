"""Whether what is on the screens can be read: the colours of each theme on the grounds they lie on."""

from __future__ import annotations

import pytest
from textual.app import App
from textual.color import Color

from tests.tui.pilot import Journey, travel
from tui.theme import ROLES, Palette
from tui.themes import THEMES
from tui.widgets.strips import strip


def _ratio(one: Color, other: Color) -> float:
    """Contrast as WCAG 2.1 has it, from 1 to 21."""
    parts = [[v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in c.normalized] for c in (one, other)]
    low, high = sorted(0.2126 * red + 0.7152 * green + 0.0722 * blue for red, green, blue in parts)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", ["dark", "light", "safe"])
def test_what_is_written_can_be_read_on_its_ground(name):
    """Text by WCAG's 4.5 where it lies, 3.3 under the cursor; what steps back, and edges, by its 3 for graphics."""
    theme = THEMES[name]
    look = Palette(App().get_css_variables() | theme.to_color_system().generate() | theme.variables)
    ground, cursor = Color.parse(theme.background), Color.from_rich_color(look.cursor.bgcolor)
    for role, (_, back, _bold) in ROLES.items():
        if back or role == "line" or role.endswith("weak"):
            continue
        color = Color.from_rich_color(look[role].color)
        least = 2.95 if role in ("faint", "struck") else 4.1 if role.startswith("run") else 4.45
        assert _ratio(color, ground) >= least, role
        assert _ratio(color, cursor) >= (2.1 if role in ("faint", "struck") else 3.3), role


def test_in_16_colours_nothing_is_of_a_terminals_ground():
    """A dark one and a light one: white, black and what is bright on them is not seen on one of both."""
    theme = THEMES["plain"]
    look = Palette(App().get_css_variables() | theme.to_color_system().generate() | theme.variables)
    hidden = {0, 7, 10, 11, 14, 15}  # black, white, and the bright ones of green, yellow, cyan and white
    for role, (_, back, _bold) in ROLES.items():
        if not back:
            assert look[role].color.number not in hidden, role
    assert look["badge"].color.number == 0, "which lies on a ground of its own"
    assert look["rest"].dim
    assert not look["text"].dim
    assert look["good on band"].bgcolor.is_default, "a forecast's curves are seen between its edges"
    assert len({look[f"run {i}"].color for i in range(1, 9)}) == 8


def test_another_theme_is_another_palette_at_once(workspace):
    """Whatever draws before Textual has worked its styles out anew, as the SQL editor does, would keep the old one."""

    async def way(journey: Journey) -> None:
        for theme in (*THEMES.values(), THEMES["dark"]):
            journey.app.theme = theme.name
            text = Color.from_rich_color(journey.app.palette["text"].color)
            assert text == Color.parse(theme.foreground), theme.name
            await journey.pilot.pause()
            assert Color.from_rich_color(journey.app.palette["text"].color) == text

    travel(workspace, way, readonly=True)


def test_in_16_colours_a_question_stands_over_its_screen_too(workspace):
    """There is no colour that is half there: a ground of the screen's own would hide what is asked about."""

    async def way(journey: Journey) -> None:
        await journey.press("question_mark")
        await journey.sees("esc closes", " paddock ", "Running")

    travel(workspace, way, (200, 50), readonly=True, theme="plain")


def test_the_cursor_hides_no_text_in_16_colours():
    """Green on grey and purple on blue can't be read, and other grounds there are none."""
    for theme in THEMES.values():
        look = Palette(App().get_css_variables() | theme.to_color_system().generate() | theme.variables)
        parts = (("+1.5 %", "good"), ("██", "bar"))
        over = list(strip(parts, look, 10, look.cursor))
        assert over[0].style.bgcolor == look.cursor.bgcolor
        hidden = look.lit is not None
        assert hidden == (theme is THEMES["plain"])
        assert (over[0].style.color.name == "bright_white") == hidden
        assert over[1].style.color == look["bar"].color


def test_no_run_has_the_colour_of_what_steps_back():
    """In Compare it would look as if it were left out."""
    for theme in THEMES.values():
        look = Palette(App().get_css_variables() | theme.to_color_system().generate() | theme.variables)
        assert look["faint"].color not in {look[f"run {number}"].color for number in range(1, 9)}
