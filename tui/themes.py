"""The themes one can choose: dark, light, one that is safe for the colour-blind, and the terminal's own 16 colours."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from functools import lru_cache
from typing import Any

from rich.color import Color as RichColor
from rich.color import ColorSystem
from rich.color_triplet import ColorTriplet
from textual.theme import BUILTIN_THEMES, Theme

from tui.theme import DARK, LIGHT

SAFE = replace(
    DARK,
    name="paddock-safe",
    # Okabe & Ito 2008: told apart with any kind of colour blindness, some a little lighter for the dark ground.
    primary="#56b4e9",
    secondary="#cc79a7",
    success="#1fbf93",
    warning="#f0e442",
    error="#f0733a",
    accent="#9ad0f5",
    variables={**DARK.variables, "border": "#56b4e9", "scrollbar-active": "#56b4e9",
               "input-cursor-background": "#56b4e9", "input-selection-background": "#56b4e9 35%"},
)  # fmt: skip

PLAIN = Theme(
    name="paddock-plain",
    dark=True,
    ansi=True,
    primary="ansi_bright_blue",
    secondary="ansi_bright_magenta",
    success="ansi_green",
    warning="ansi_yellow",
    error="ansi_red",
    accent="ansi_cyan",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    variables={
        **BUILTIN_THEMES["ansi-dark"].variables,
        # Nothing is white or bright: a terminal may have a light ground. What steps back is dim (tui/theme.py).
        "rest": "ansi_default",
        "faint": "ansi_bright_black",
        "track": "ansi_bright_black",
        "line": "ansi_bright_black",
        "cursor": "ansi_blue",
        "cursor-faint": "ansi_bright_black",
        "strong": "ansi_default",
        "badge": "ansi_black",
        "band": "ansi_default",
        "success-muted": "ansi_green",
        "error-muted": "ansi_red",
        **{
            f"run-{i}": f"ansi_{name}"
            for i, name in enumerate(
                ("bright_blue", "yellow", "green", "magenta", "cyan", "red", "bright_red", "default"), 1
            )
        },
        "border": "ansi_bright_blue",
        "border-blurred": "ansi_bright_black",
        "block-cursor-foreground": "ansi_black",
        "block-cursor-background": "ansi_white",
        "input-cursor-background": "ansi_bright_blue",
        "input-cursor-foreground": "ansi_black",
        "input-selection-background": "ansi_bright_blue",
        "input-selection-foreground": "ansi_black",
        "screen-selection-background": "ansi_bright_blue",
        "screen-selection-foreground": "ansi_black",
        "scrollbar": "ansi_bright_black",
        "scrollbar-hover": "ansi_white",
        "scrollbar-active": "ansi_bright_blue",
        "scrollbar-background": "ansi_default",
        "scrollbar-background-hover": "ansi_default",
        "scrollbar-background-active": "ansi_default",
        "scrollbar-corner-color": "ansi_default",
    },
)

THEMES = {"dark": DARK, "light": LIGHT, "safe": SAFE, "plain": PLAIN}
"""By the name --theme takes, in the order ctrl+t goes through them."""

_HEX = re.compile(r"#[0-9a-f]{6}")
_STEPS = (0, 95, 135, 175, 215, 255)


def of_256(theme: Theme) -> Theme:
    """The same in the nearest of the 240 colours that all terminals of 256 have: what is darker there stays so.

    Rich finds others, and takes every dark ground for black and a dark line for teal.
    """
    known = {field.name: getattr(theme, field.name) for field in fields(theme)}
    named: dict[str, Any] = {name: _fitted(value) for name, value in known.items() if isinstance(value, str)}
    return replace(theme, **named, variables={name: _fitted(value) for name, value in theme.variables.items()})


def _fitted(value: str) -> str:
    return _HEX.sub(lambda found: _nearest(found[0]), value)


@lru_cache(maxsize=256)
def _nearest(color: str) -> str:
    """By the weighted distance of T. Riemersma, https://www.compuphase.com/cmetric.htm, in whole numbers."""
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    found, least = "", 1 << 62
    for asked, its_red, its_green, its_blue in _of_256():  # spelled out: it is done 30,000 times before the first frame
        mean = red + its_red
        apart = (1024 + mean) * (red - its_red) ** 2 + 2048 * (green - its_green) ** 2
        apart += (1534 - mean) * (blue - its_blue) ** 2
        if apart < least:
            found, least = asked, apart
    return found


@lru_cache(maxsize=1)
def _of_256() -> list[tuple[str, int, int, int]]:
    """(what to ask for, what is shown): Rich takes a light grey for the one before it."""
    cube = [ColorTriplet(red, green, blue) for red in _STEPS for green in _STEPS for blue in _STEPS]
    asked = [*cube, *(ColorTriplet(grey, grey, grey) for grey in (round(10.2 * step) for step in range(1, 25)))]
    shown = [RichColor.from_triplet(one).downgrade(ColorSystem.EIGHT_BIT).get_truecolor() for one in asked]
    return [(one.hex, *its) for one, its in zip(asked, shown, strict=True)]
