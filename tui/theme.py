"""What colours mean: every piece of text has a role, and a theme gives each role its style.

Blue is ours, purple second, green good, amber wants attention, red is trouble, grey is the rest.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache

from rich.color import Color as RichColor
from rich.style import Style
from textual.color import Color, ColorParseError
from textual.theme import Theme
from textual.widget import Widget

DARK = Theme(
    name="paddock",
    dark=True,
    primary="#7aa2f7",
    secondary="#c792ea",
    success="#8bd5a0",
    warning="#e5c07b",
    error="#e8707a",
    accent="#56b6c2",
    foreground="#c9d3e0",
    background="#11151c",
    surface="#161b24",
    panel="#1b212c",
    variables={
        "rest": "#77839a",
        "faint": "#566280",
        "track": "#1e2531",
        "line": "#2a3342",
        "cursor": "#232f44",
        "cursor-faint": "#1a212d",
        "strong": "#eef2f8",
        "band": "#1c2a40",
        "run-1": "#7aa2f7",
        "run-2": "#ff9e64",
        "run-3": "#8bd5a0",
        "run-4": "#c792ea",
        "run-5": "#56c7d2",
        "run-6": "#f0788c",
        "run-7": "#e5d07b",
        "run-8": "#a9b4c6",
        "border": "#7aa2f7",
        "border-blurred": "#2a3342",
        "input-cursor-background": "#7aa2f7",
        "input-selection-background": "#7aa2f7 35%",
        "scrollbar": "#2a3342",
        "scrollbar-hover": "#3a465b",
        "scrollbar-active": "#7aa2f7",
        "scrollbar-background": "#11151c",
        "scrollbar-background-hover": "#11151c",
        "scrollbar-background-active": "#11151c",
        "scrollbar-corner-color": "#11151c",
    },
)

LIGHT = Theme(
    name="paddock-light",
    dark=False,
    primary="#2f5fd0",
    secondary="#8a3fc0",
    success="#1f7a43",
    warning="#9a6400",
    error="#c0303c",
    accent="#0f7f8c",
    foreground="#2b3442",
    background="#f7f8fa",
    surface="#eceff4",
    panel="#e4e8ef",
    variables={
        "rest": "#667085",
        "faint": "#858fa1",
        "track": "#dfe4ec",
        "line": "#cdd4df",
        "cursor": "#d5e0f8",
        "cursor-faint": "#e8edf6",
        "strong": "#10151d",
        "band": "#dbe6fa",
        "run-1": "#2f5fd0",
        "run-2": "#c2570c",
        "run-3": "#1f7a43",
        "run-4": "#8a3fc0",
        "run-5": "#0f7f8c",
        "run-6": "#c0303c",
        "run-7": "#8a6d00",
        "run-8": "#556072",
        "border": "#2f5fd0",
        "border-blurred": "#cdd4df",
        "scrollbar": "#cdd4df",
        "scrollbar-hover": "#b5bfce",
        "scrollbar-active": "#2f5fd0",
        "scrollbar-background": "#f7f8fa",
        "scrollbar-background-hover": "#f7f8fa",
        "scrollbar-background-active": "#f7f8fa",
        "scrollbar-corner-color": "#f7f8fa",
    },
)

# Role -> (foreground variable, background variable or "", bold). Names after "$" in app.tcss are the same ones.
ROLES: dict[str, tuple[str, str, bool]] = {
    "text": ("foreground", "", False),
    "strong": ("strong", "", True),
    "rest": ("rest", "", False),
    "faint": ("faint", "", False),
    "struck": ("faint", "", False),
    "line": ("line", "", False),
    "ours": ("primary", "", False),
    "second": ("secondary", "", False),
    "good": ("success", "", False),
    "attention": ("warning", "", False),
    "trouble": ("error", "", False),
    "good weak": ("success-muted", "", False),
    "trouble weak": ("error-muted", "", False),
    "spark": ("accent", "", False),
    "key": ("primary", "", True),
    "head": ("rest", "", False),
    "title": ("primary", "", True),
    "ours bold": ("primary", "", True),
    "good bold": ("success", "", True),
    "attention bold": ("warning", "", True),
    "trouble bold": ("error", "", True),
    "spark bold": ("accent", "", True),
    "second bold": ("secondary", "", True),
    "badge": ("badge", "primary", True),
    "badge attention": ("badge", "warning", True),
    # Bars: the last cell can be part bar, part track.
    "bar": ("primary", "track", False),
    "bar second": ("secondary", "track", False),
    "bar rest": ("rest", "track", False),
    "bar attention": ("warning", "track", False),
    "bar good": ("success", "track", False),
    "bar second on first": ("secondary", "primary", False),
    "track": ("track", "track", False),
    # Runs beside each other, see run_roles.
    **{f"run {i}{bold}": (f"run-{i}", "", bool(bold)) for i in range(1, 9) for bold in ("", " bold")},
}
GROUNDS = ("band", "cursor")
"""What can lie behind a part of another role, as `ours on band`."""

# Where another theme (Textual's own, chosen in the palette) says nothing of ours.
FALLBACK = {
    "rest": "text-muted",
    "faint": "text-disabled",
    "track": "surface-lighten-1",
    "line": "surface-lighten-2",
    "cursor": "primary-muted",
    "cursor-faint": "surface-lighten-1",
    "strong": "foreground",
    "badge": "background",
    "success-muted": "success",
    "error-muted": "error",
    "band": "primary-muted",
    **{
        f"run-{i}": name
        for i, name in enumerate(
            ("primary", "warning", "success", "secondary", "accent", "error", "text-warning", "text-muted"), 1
        )
    },
}


class Styles(dict[str, Style]):
    """Styles by role; those of a role on a ground are made when they are first asked for."""

    def __init__(self, grounds: Mapping[str, str | RichColor]) -> None:
        super().__init__()
        self._grounds = grounds

    def __missing__(self, role: str) -> Style:
        front, on, ground = role.rpartition(" on ")
        if not on or ground not in GROUNDS:
            raise KeyError(role)
        made = self[role] = self[front] + Style(bgcolor=self._grounds[ground])
        return made


def run_roles(runs: Sequence[str]) -> dict[str, str]:
    """Give each of up to 8 runs a colour of its own, most often the one it has beside any others too."""
    found: dict[str, str] = {}
    free = list(range(8))
    for run in runs:
        want = zlib.crc32(run.encode()) % 8
        number = min(free or range(8), key=lambda one: (one - want) % 8)
        if number in free:
            free.remove(number)
        found[run] = f"run {number + 1}"
    return found


class Over(dict[str, Style]):
    """Styles by role over one ground, made when they are first asked for."""

    def __init__(self, ground: Style, styles: Styles) -> None:
        super().__init__()
        self._ground, self._styles = ground, styles

    def __missing__(self, role: str) -> Style:
        made = self[role] = self._ground + self._styles[role]
        return made


class Palette:
    """The styles of one theme. Made anew when the theme changes; equal only to itself, so a part of cache keys."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._colors = {name: self._color(variables, name) for name in {"cursor", "cursor-faint", "band"}}
        # In the terminal's own 16 colours what steps back is dim, which shows on any ground.
        plain = not isinstance(self._colors["cursor"], str)
        self.styles = Styles(self._colors)
        self.styles |= {
            role: Style(
                color=self._color(variables, fore),
                bgcolor=self._color(variables, back) if back else None,
                bold=bold or None,
                strike=role == "struck" or None,
                dim=(plain and fore == "rest" and not back) or None,
            )
            for role, (fore, back, bold) in ROLES.items()
        }
        self.plain = frozenset(role for role, (_, back, _bold) in ROLES.items() if not back and role != "struck")
        """Roles that leave the background alone: a blank looks the same in all of them."""
        self.true = not any(color and color.triplet is None for one in self.styles.values()
                             for color in (one.color, one.bgcolor))  # fmt: skip
        """Whether none of its colours is one of the terminal's own 16."""
        self.lit = Style(color="bright_white", dim=False) if plain else None
        """Over the text of a line that has a cursor's ground, where the terminal's own 16 colours would hide it."""
        self.cursor = Style(bgcolor=self._colors["cursor"])
        self.cursor_faint = Style(bgcolor=self._colors["cursor-faint"])

        self._over: dict[Style, Over] = {}

    def __getitem__(self, role: str) -> Style:
        return self.styles[role]

    def over(self, ground: Style) -> Over:
        """The styles over a ground, of which there are few: a pane's own, and a cursor's."""
        if (found := self._over.get(ground)) is None:
            found = self._over[ground] = Over(ground, self.styles)
        return found

    @staticmethod
    def _color(variables: Mapping[str, str], name: str) -> str | RichColor:
        for key in (name, FALLBACK.get(name, ""), "foreground"):
            if key not in variables:
                continue
            try:
                color = _parse(variables[key])
            except ColorParseError:  # "auto 60%" and the like need a background to be a colour
                continue
            if color.ansi is not None:  # one of the terminal's own 16
                return color.rich_color
            background = _parse(variables.get("background", "#000000")) if color.a < 1 else color
            return (background.blend(color.with_alpha(1), color.a) if color.a < 1 else color).hex6
        return "#808080"


def palette_of(widget: Widget) -> Palette:
    """The palette of the app a widget lives in."""
    palette = getattr(widget.app, "palette", None)
    assert isinstance(palette, Palette)
    return palette


@lru_cache(maxsize=512)
def _parse(text: str) -> Color:
    return Color.parse(text)
