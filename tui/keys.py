"""Every key of the program, once: bindings, footer, help and palette are made from this table."""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding

from tui.places import PLACES

EVERYWHERE, LIST, LOG = "everywhere", "list", "log"
DASHBOARD, RUNS, RUN, COMPARE, BEST, SQL, FORM = "dashboard", "runs", "run", "compare", "best", "sql", "form"
TYPING = (FORM, SQL)
"""Where letters are text."""


@dataclass(frozen=True)
class Key:
    """keys: as Textual names them, the first is shown. foot: the word in the footer, "" keeps it out of there.

    changes: not available with --readonly. made_by: "widget" when the list or log binds it itself.
    """

    where: tuple[str, ...]
    keys: str
    action: str
    text: str
    foot: str = ""
    changes: bool = False
    priority: bool = False
    shown: str = ""
    made_by: str = "screen"
    helped: bool = True

    @property
    def label(self) -> str:
        return self.shown or _label(self.keys.split(",")[0])

    @property
    def label_while_typing(self) -> str:
        """The first key that is no letter or sign; empty if there is none."""
        safe = [key for key in self.keys.split(",") if len(key) > 1 and key not in _LABELS]
        return self.shown or (_label(safe[0]) if safe else "")


_LABELS = {
    "plus": "+",
    "minus": "−",
    "comma": ",",
    "full_stop": ".",
    "question_mark": "?",
    "slash": "/",
    "colon": ":",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
}


def _label(key: str) -> str:
    return _LABELS.get(key, key.replace("escape", "esc"))


D, R = (DASHBOARD,), (RUN,)
BOTH = (DASHBOARD, RUN)

# Keys of the chosen run are the same wherever a run is chosen.
CHOSEN_KEYS = (
    Key(BOTH, "n", "app.new_run", "queue a new run from a form", "new run", changes=True),
    Key(D, "enter", "open", "open the run under the cursor", "open", made_by="widget"),
    Key(BOTH, "l", "log", "the log of the run", "log"),
    Key(BOTH, "x", "stop", "stop the run: SIGTERM, then SIGKILL after its grace", "stop", changes=True),
    Key(BOTH, "X", "kill", "kill the run at once, without a last checkpoint", changes=True),
    Key(BOTH, "R", "retry", "queue the run again, from its last checkpoint", "retry", changes=True),
    Key(BOTH, "h", "hold", "hold a waiting run back, or release it", "hold", changes=True),
    Key(BOTH, "y", "copy", "copy the run's id to the clipboard (OSC 52)"),
    Key(BOTH, "e", "smooth", "smooth the curves, or not"),
    Key(BOTH, "b", "log_scale", "logarithmic loss, or linear"),
    Key(BOTH, "i", "x_axis", "x axis: step, epoch, time, tokens"),
)

CHARTED = (DASHBOARD, RUN)
"""Where several charts are zoomed together and have one crosshair; the mouse does so on every screen with charts."""
CHART_KEYS = (
    Key(CHARTED, "left", "cross(-1)", "move the crosshair, with shift by ten columns; a click puts it there",
        shown="← →"),
    Key(CHARTED, "right", "cross(1)", "crosshair to the right", helped=False),
    Key(CHARTED, "shift+left", "cross(-10)", "crosshair far to the left", helped=False),
    Key(CHARTED, "shift+right", "cross(10)", "crosshair far to the right", helped=False),
    Key(CHARTED, "plus,equals_sign", "zoom(True)", "zoom in or out at the crosshair; the wheel: at the pointer; "
        "dragging: to what is marked", shown="+ −"),
    Key(CHARTED, "minus", "zoom(False)", "zoom out", helped=False),
    Key(CHARTED, "0", "fit", "show the whole curves again; a second time: no crosshair"),
    Key(CHARTED, "z", "grow", "one chart alone, or all again; also a double click"),
)  # fmt: skip

DASHBOARD_KEYS = (
    Key(D, "slash", "filter", "filter the finished runs: any part of id, family, tag, note or cause", "filter"),
)

RUNS_KEYS: tuple[Key, ...] = ()

RUN_KEYS = (
    Key(R, "right_square_bracket", "tab(1)", "the next tab, the tab before", "tabs", shown="[ ]"),
    Key(R, "left_square_bracket", "tab(-1)", "the tab before", helped=False),
    Key(R, "comma", "travel(-1)", "charts, devices and log back in time, < by ten steps; or by mouse", "time",
        shown=", ."),
    Key(R, "full_stop", "travel(1)", "forward in time", helped=False),
    Key(R, "less_than_sign", "travel(-10)", "far back in time", helped=False),
    Key(R, "greater_than_sign", "travel(10)", "far forward in time", helped=False),
    Key(R, "end", "now", "to the present again"),
    Key(R, "escape", "back", "back: from one chart alone, the crosshair, the zoom, then to where you were", "back"),
)  # fmt: skip

COMPARE_KEYS: tuple[Key, ...] = ()

BEST_KEYS: tuple[Key, ...] = ()

S = (SQL,)
SQL_KEYS = (
    Key(S, "f5,ctrl+enter", "run", "run the query, or what is selected of it", "run", priority=True, shown="F5"),
    Key(S, "f7", "plot", "draw the result: first number or time along x, a text column parts the curves", "plot",
        priority=True, shown="F7"),
    Key(S, "f2", "side", "show or hide tables and recipes", "tables", priority=True, shown="F2"),
    Key(S, "escape", "back", "stop a query that runs; else from the editor to the rows, then to the dashboard", "back"),
    Key(S, "tab", "", "in the editor: complete the name at the cursor, from two letters on by itself",
        made_by="widget"),
    Key(S, "up", "", "in the first line: the query before, and in the last line down: the one after",
        made_by="widget", shown="↑ ↓"),
)  # fmt: skip

FORM_KEYS = (
    Key((FORM,), "ctrl+s,f5", "submit", "queue the run", "queue", priority=True, shown="ctrl+s"),
    Key((FORM,), "ctrl+f", "find", "filter the fields", "filter fields", priority=True),
    Key((FORM,), "ctrl+r", "reset", "give the field its default again", "default", priority=True),
    Key((FORM,), "escape", "back", "back without queueing; esc in the filter clears it first", "cancel"),
)

WIDGET_KEYS = (
    Key((LIST,), "up,k", "", "up; past the first row into the list above", made_by="widget", shown="↑ k"),
    Key((LIST,), "down,j", "", "down; past the last row into the list below", made_by="widget", shown="↓ j"),
    Key((LIST,), "g,home", "", "first row", made_by="widget", shown="g home"),
    Key((LIST,), "G,end", "", "last row", made_by="widget", shown="G end"),
    Key((LIST,), "tab", "", "next list, shift+tab the one before", made_by="widget"),
    Key((LOG,), "f", "", "follow the end again", made_by="widget"),
    Key((LOG,), "g,home", "", "its start", made_by="widget", shown="g home"),
)

EVERYWHERE_KEYS = (
    *(Key((EVERYWHERE,), place.digit, place.go, place.text) for place in PLACES),
    Key((EVERYWHERE,), "E", "app.start_engine", "start the engine when it is away", changes=True),
    Key((EVERYWHERE,), "colon,ctrl+p", "app.command_palette", "every command, by name", "command"),
    Key((EVERYWHERE,), "question_mark,f1", "app.keys", "this help", "help"),
    Key((EVERYWHERE,), "ctrl+t", "app.switch_theme", "dark or light"),
    Key((EVERYWHERE,), "q", "app.leave", "leave; training goes on", "leave"),
    Key((EVERYWHERE,), "ctrl+q", "app.leave", "leave, from anywhere", priority=True),
)

KEYS: tuple[Key, ...] = (
    *CHOSEN_KEYS,
    *CHART_KEYS,
    *DASHBOARD_KEYS,
    *RUNS_KEYS,
    *RUN_KEYS,
    *COMPARE_KEYS,
    *BEST_KEYS,
    *SQL_KEYS,
    *FORM_KEYS,
    *WIDGET_KEYS,
    *EVERYWHERE_KEYS,
)


def bindings(where: str) -> list[Binding]:
    """What a screen binds (or the app, for EVERYWHERE)."""
    return [
        Binding(key.keys, key.action, key.text, show=bool(key.foot), priority=key.priority)
        for key in KEYS
        if where in key.where and key.action and key.made_by == "screen"
    ]


def footer(where: str, *, readonly: bool) -> list[tuple[str, Key]]:
    """What the last line shows, in order, with the key as it works there: in a form letters are text."""
    found = []
    for key in KEYS:
        label = key.label_while_typing if where in TYPING else key.label
        if key.foot and label and {where, EVERYWHERE} & set(key.where) and not (readonly and key.changes):
            found.append((label, key))
    return found


TITLES: tuple[tuple[tuple[str, ...], str], ...] = (
    (BOTH, "The chosen run, on the dashboard and up close"),
    (CHARTED, "Charts"),
    (D, "Dashboard"),
    (R, "A run up close"),
    ((LIST,), "Lists"),
    ((LOG,), "Logs"),
    (S, "SQL"),
    ((FORM,), "New run"),
    ((EVERYWHERE,), "Everywhere"),
)


def help_places() -> list[tuple[str, list[Key]]]:
    """(title, keys) for the help screen; every key is in one of them."""
    return [(title, [key for key in KEYS if key.where == where and key.helped]) for where, title in TITLES]
