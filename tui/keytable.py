"""Every key of the program, once: bindings, footer, help, palette and docs/keys.md are made from this table."""

from __future__ import annotations

from tui.key import (
    BEST,
    BOTH,
    CHARTED,
    COLUMNS,
    COMPARE,
    DASHBOARD,
    EVERYWHERE,
    FORM,
    LIST,
    LOG,
    RUN,
    RUNS,
    SIZED,
    SQL,
    TRAVELLED,
    Key,
)  # fmt: skip
from tui.places import PLACES, is_place

D, R = (DASHBOARD,), (RUN,)

CLONE = "a new run like this one: the form, showing only what it changed"

# Keys of the chosen run are the same wherever a run is chosen.
CHOSEN_KEYS = (
    Key(BOTH, "n", "app.new_run", "queue a new run from a form", "new run", changes=True),
    Key(D, "enter", "app.open_chosen", "open the run under the cursor", "open", called="open"),
    Key(BOTH, "l", "log", "the log of the run", "log"),
    Key(BOTH, "x", "stop", "stop the run: SIGTERM, then SIGKILL after its grace", "stop", changes=True),
    Key(BOTH, "X", "kill", "kill the run at once, without a last checkpoint", changes=True),
    Key(BOTH, "R", "retry", "queue the run again, from its last checkpoint", "retry", changes=True),
    Key(BOTH, "ctrl+n", "clone", CLONE, changes=True),
    Key(BOTH, "h", "hold", "hold a waiting run back, or release it", "hold", changes=True),
    Key(BOTH, "y", "copy", "copy the run's id to the clipboard (OSC 52)"),
    Key(BOTH, "s", "sql", "the SQL behind the list, or behind the tab"),
    Key(BOTH, "e", "smooth", "smooth the curves, or not"),
    Key(BOTH, "b", "log_scale", "logarithmic loss, or linear"),
    Key(BOTH, "i", "x_axis", "x axis: step, epoch, time, tokens"),
)

CHART_KEYS = (
    Key(CHARTED, "left", "cross(-1)", "move the crosshair, with shift by ten columns; a click puts it there",
        shown="← →"),
    Key(CHARTED, "right", "cross(1)", "crosshair to the right", helped=False, called="cross-next"),
    Key(CHARTED, "shift+left", "cross(-10)", "crosshair far to the left", helped=False, called="cross-far-before"),
    Key(CHARTED, "shift+right", "cross(10)", "crosshair far to the right", helped=False, called="cross-far-next"),
    Key(CHARTED, "plus,equals_sign", "zoom(True)", "zoom at the crosshair; wheel: at the pointer; drag: to what is "
        "marked; right button: to a side", shown="+ −", called="zoom-in"),
    Key(CHARTED, "minus", "zoom(False)", "zoom out", helped=False, called="zoom-out"),
    Key(CHARTED, "0", "fit", "show the whole curves again; a second time: no crosshair"),
    Key(CHARTED, "z", "grow", "one chart alone, or all again; also a double click"),
)  # fmt: skip

TRAVEL_KEYS = (
    Key(TRAVELLED, "comma", "travel(-1)", "charts, devices and log back in time, < by ten steps; or by mouse", "time",
        shown=", ."),
    Key(TRAVELLED, "full_stop", "travel(1)", "forward in time", helped=False),
    Key(TRAVELLED, "less_than_sign", "travel(-10)", "far back in time", helped=False),
    Key(TRAVELLED, "greater_than_sign", "travel(10)", "far forward in time", helped=False),
    Key(TRAVELLED, "end", "now", "to the present again"),
)  # fmt: skip

PANE_KEYS = (
    Key(SIZED, "ctrl+right", "push(False, 2)", "move the border of the pane in focus; or drag it with the mouse",
        shown="ctrl ← ↑", called="right"),
    Key(SIZED, "ctrl+left", "push(False, -2)", "the border to the left", helped=False, called="left"),
    Key(SIZED, "ctrl+down", "push(True, 1)", "the border down", helped=False, called="down"),
    Key(SIZED, "ctrl+up", "push(True, -1)", "the border up", helped=False, called="up"),
    Key(SIZED, "ctrl+home", "unpush", "all borders as they were at first; a double click on one: those of its row",
        called="reset"),
)  # fmt: skip

DASHBOARD_KEYS = (
    Key(D, "c", "app.go('compare')", "compare the marked runs", "compare"),
    Key(D, "slash", "filter", "filter the finished runs: any part of id, family, tag, note or cause", "filter"),
    Key(D, "space", "mark", "mark the run, on every screen; also a right click", "mark"),
    Key(D, "K", "move('up')", "move the waiting run up in the queue", changes=True, shown="K J", called="move"),
    Key(D, "J", "move('down')", "move the waiting run down", changes=True, called="move-down", helped=False),
    Key(D, "p", "pause_queue", "pause the queue, or let it go on: nothing new starts", "pause queue", changes=True),
    Key(D, "P", "pause_run", "pause the run, or let it go on: it keeps its device", changes=True),
    Key(D, "w", "why", "why the run waits, or how it ended", "why"),
    Key(
        D, "D", "archive", "archive the run that has ended: it leaves list and alerts, nothing is deleted", changes=True
    ),
    Key(D, "exclamation_mark", "alert", "put the cursor on the run of the next alert"),
    Key(D, "escape", "back", "from the past to now; else one chart alone, the crosshair and the zoom go"),
    Key(D, "t", "timeline", "when each run starts and ends, as a chart"),
)

L = (RUNS,)
RUNS_KEYS = (
    Key(L, "slash", "filter", "list what a query means: family:toto val_pct_mae<1 lr>=1e-4 -tag:base", "filter"),
    Key(L, "enter", "app.open_chosen", "open the run under the cursor", "open", called="open"),
    Key(L, "space", "mark", "mark the run, or not any more; also a right click", "mark"),
    Key(L, "v", "mark_range", "mark from here to where the cursor goes; v again ends it"),
    Key(L, "A", "mark_all", "mark all that are listed"),
    Key(L, "V", "mark_none", "forget all marks"),
    Key(L, "less_than_sign", "sort(-1)", "sort by the column to the left, or to the right; or click its title", "sort",
        shown="< >"),
    Key(L, "greater_than_sign", "sort(1)", "sort by the column to the right", helped=False),
    Key(L, "r", "reverse", "turn the order around"),
    Key(L, "ctrl+n", "clone", CLONE, changes=True),
    Key(L, "C", "columns", "choose the columns and their order; every setting and metric can be one", "columns"),
    Key(L, "left,right", "", "see further columns, where they do not all fit", made_by="widget", shown="← →"),
    Key(L, "o", "unfold", "list the earlier attempts at the run, or fold them up"),
    Key(L, "O", "unfold_all", "list all earlier attempts, or fold all up"),
    *((Key(L, "c", "compare", "compare the marked runs", "compare"),) if is_place("compare") else ()),
    Key(L, "l", "log", "the log of the run", "log"),
    Key(L, "t", "tag", "tag the marked runs, or the chosen one: paper -old", "tag", changes=True),
    Key(L, "N", "note", "write a note on the marked runs, or on the chosen one", "note", changes=True),
    Key(L, "x", "stop", "stop the marked runs, or the chosen one", "stop", changes=True),
    Key(L, "X", "kill", "kill them at once, without a last checkpoint", changes=True),
    Key(L, "R", "retry", "queue them again, from their last checkpoints", "retry", changes=True),
    Key(L, "h", "hold", "hold them back while they wait, or release them", changes=True),
    Key(L, "D", "archive", "archive them: they leave the lists, nothing is deleted", "archive", changes=True),
    Key(L, "u", "unarchive", "bring back what was archived last", changes=True),
    Key(L, "y", "copy", "copy ids, the command, the folder, Markdown or SQL (OSC 52)", "copy"),
    Key(L, "s", "sql", "the SQL behind the list", "SQL"),
    Key(L, "n", "app.new_run", "queue a new run from a form", "new run", changes=True),
    Key(L, "escape", "back", "beside the list of a wide terminal: one chart alone, the crosshair and the zoom go"),
)  # fmt: skip

COLUMNS_KEYS = (
    Key((COLUMNS,), "space", "take", "show the column, or hide it", "show, hide"),
    Key((COLUMNS,), "K,shift+up", "shift(-1)", "further to the left, or to the right", "left, right", shown="K J",
        called="left"),
    Key((COLUMNS,), "J,shift+down", "shift(1)", "further to the right", helped=False, called="right"),
    Key((COLUMNS,), "slash", "narrow", "find a column by a part of its name", "find"),
    Key((COLUMNS,), "d", "default", "the columns of the beginning", "usual"),
    Key((COLUMNS,), "enter", "done", "list with these columns", "done"),
    Key((COLUMNS,), "escape", "leave", "leave the columns as they were", "no"),
)  # fmt: skip

RUN_KEYS = (
    Key(R, "right_square_bracket", "tab(1)", "the next tab, the tab before", "tabs", shown="[ ]"),
    Key(R, "left_square_bracket", "tab(-1)", "the tab before", helped=False),
    Key(R, "m", "metric", "choose what the chart in focus draws, or else the last: any metric that was logged"),
    Key(R, "escape", "back", "back: from one chart alone, the crosshair, the zoom, then to where you were", "back"),
)  # fmt: skip

C = (COMPARE,)
COMPARE_KEYS = (
    Key(C, "enter", "app.open_chosen", "open the run under the cursor", "open", called="open"),
    Key(C, "greater_than_sign", "sort(1)", "sort the runs by the next metric, or the one before", "sort", shown="< >"),
    Key(C, "less_than_sign", "sort(-1)", "by the metric before", helped=False),
    Key(C, "F", "first", "make it the first: the others are tested against that", "first"),
    Key(C, "space,delete", "remove", "take the run out of the comparison", "remove"),
    Key(C, "u", "equal", "show the settings that are equal too, or not", "equal ones"),
    Key(C, "d", "diff", "the run and the first line by line: config and code", "diff"),
    Key(C, "o", "order", "symbols: worst first, best first, by name"),
    Key(
        C,
        "E",
        "export",
        "write the comparison as Markdown or HTML (while the engine is away: start it)",
        "export",
        before="everywhere.start-engine",
    ),
    Key(C, "m", "metric", "choose what is drawn beside the loss: any metric that was logged"),
    Key(C, "s", "sql", "the SQL behind the results", "sql"),
    Key(C, "v", "pane", "on a small terminal, what is below: settings, curves, symbols"),
    Key(C, "e", "smooth", "smooth the curves, or not"),
    Key(C, "b", "log_scale", "logarithmic loss, or linear"),
    Key(C, "i", "x_axis", "x axis: step, epoch, time, tokens"),
    Key(C, "y", "copy", "copy the run's id to the clipboard (OSC 52)"),
    Key(C, "escape", "back", "take back: one chart alone, the crosshair, the zoom"),
)

B = (BEST,)
BEST_KEYS = (
    Key(B, "m", "metric", "choose what runs are ranked on; which way is better follows from it", "metric"),
    Key(B, "M", "family", "rank the runs of one family, or all", "family"),
    Key(B, "d", "dataset", "choose the data, where runs are on several"),
    Key(B, "enter", "app.open_chosen", "open the run under the cursor", "open", called="open"),
    Key(B, "space", "mark", "mark the run, to compare it; also a right click", "mark"),
    Key(B, "c", "app.go('compare')", "compare the marked runs", "compare"),
    Key(B, "P", "promote", "promote the run: write .best_model_path, reveal test and unseen", "promote", changes=True),
    Key(B, "u", "undo", "go back to the model that was promoted before", changes=True),
    Key(B, "A", "alias", "promote the run under a name such as prod", "alias", changes=True),
    Key(B, "R", "replicate", "queue more seeds of the run, to tell chance from skill", "more seeds", changes=True),
    Key(
        B,
        "E",
        "export_table",
        "write the table as Markdown or CSV (while the engine is away: start it)",
        "export",
        before="everywhere.start-engine",
    ),
    Key(B, "s", "sql", "the SQL behind the ranking", "sql"),
    Key(B, "o", "order", "symbols: worst first, best first, by name"),
    Key(B, "v", "pane", "on a small terminal, what is below: why, symbols, forecast"),
    Key(B, "ctrl+n", "clone", CLONE, changes=True),
    Key(B, "y", "copy", "copy the run's id to the clipboard (OSC 52)"),
)

S = (SQL,)
SQL_KEYS = (
    Key(S, "f5,ctrl+enter", "run", "run the query, or what is selected of it", "run", priority=True, shown="F5"),
    Key(S, "f7", "plot", "draw the result: first number or time along x, a text column parts the curves", "plot",
        priority=True, shown="F7"),
    Key(S, "f8", "history", "earlier queries, newest first", "earlier", priority=True, shown="F8"),
    Key(S, "f9", "save_view", "save the query as a view that every DuckDB client sees", "save as view", changes=True,
        priority=True, shown="F9"),
    Key(S, "f10", "export", "write the result to a file: CSV, JSON, Markdown or Parquet", "write", priority=True,
        shown="F10"),
    Key(S, "f3", "copy", "copy the query as an `engine sql` command (OSC 52)", "copy", priority=True, shown="F3"),
    Key(S, "f2", "side", "show or hide tables and recipes", "tables", priority=True, shown="F2"),
    Key(S, "escape", "back", "stop a query; else take a zoom back, leave the editor, go to the dashboard", "back"),
    Key(S, "tab", "", "in the editor: complete the name at the cursor, from two letters on by itself",
        made_by="widget"),
    Key(S, "up", "", "in the first line: the query before, and in the last line down: the one after",
        made_by="widget", shown="↑ ↓"),
)  # fmt: skip

FORM_KEYS = (
    Key((FORM,), "ctrl+s,f5", "submit", "queue the run", "queue", priority=True, shown="ctrl+s"),
    Key((FORM,), "ctrl+f", "find", "filter the fields", "filter fields", priority=True),
    Key((FORM,), "f2", "changed", "show only what was changed, or everything", "only changed", priority=True,
        shown="F2"),
    Key((FORM,), "f3", "copy", "copy the command line that does the same (OSC 52)", "copy command", priority=True,
        shown="F3"),
    Key((FORM,), "f4", "rehearse", "a dry run: what would become of it", "dry run", priority=True, shown="F4"),
    Key((FORM,), "ctrl+r", "reset", "give the field its default again", "default", priority=True),
    Key((FORM,), "left", "", "the value before, or the next one; letters are typed into the field", made_by="widget",
        shown="← →"),
    Key((FORM,), "tab", "", "the next field, shift+tab the one before; ctrl+u empties it", made_by="widget"),
    Key((FORM,), "escape", "back", "back without queueing; esc in the filter clears it first", "cancel"),
)  # fmt: skip

WIDGET_KEYS = (
    Key((LIST,), "up,k", "move(-1)", "up; past the first row into the list above", made_by="widget", shown="↑ k",
        called="up"),
    Key((LIST,), "down,j", "move(1)", "down; past the last row into the list below", made_by="widget", shown="↓ j",
        called="down"),
    Key((LIST,), "g,home", "edge(-1)", "first row", made_by="widget", shown="g home", called="first"),
    Key((LIST,), "G,end", "edge(1)", "last row", made_by="widget", shown="G end", called="last"),
    Key((LIST,), "pageup", "page(-1)", "a page up, or down", made_by="widget", shown="pgup pgdn"),
    Key((LIST,), "pagedown", "page(1)", "a page down", made_by="widget", helped=False),
    Key((LIST,), "tab", "", "next list, shift+tab the one before", made_by="widget"),
    Key((LOG,), "f,G,end", "follow", "follow the end again", made_by="widget", shown="f"),
    Key((LOG,), "k,up", "scroll_up", "a line up, or down; pgup pgdn: a page", made_by="widget", shown="k j"),
    Key((LOG,), "j,down", "scroll_down", "a line down", made_by="widget", helped=False),
    Key((LOG,), "g,home", "scroll_home", "its start", made_by="widget", shown="g home", called="start"),
)  # fmt: skip

EVERYWHERE_KEYS = (
    *(Key((EVERYWHERE,), place.digit, place.go, place.text, changes=place.name == "new") for place in PLACES),
    Key((EVERYWHERE,), "E", "app.start_engine", "start the engine when it is away", changes=True),
    Key((EVERYWHERE,), "colon,ctrl+p", "app.command_palette", "every command, by name", "command"),
    Key((EVERYWHERE,), "question_mark,f1", "app.keys", "this help", "help"),
    Key((EVERYWHERE,), "ctrl+t", "app.switch_theme", "the next theme: dark, light, safe for the colour-blind, plain"),
    Key((EVERYWHERE,), "f12", "app.picture", "save the screen as a picture (SVG)"),
    Key((EVERYWHERE,), "ctrl+z", "app.suspend_process", "to the shell for a while; `fg` comes back"),
    Key((EVERYWHERE,), "f11", "app.tour", "the tour of the first start"),
    Key((EVERYWHERE,), "q", "app.leave", "leave; training goes on", "leave"),
    Key((EVERYWHERE,), "ctrl+q", "app.leave", "leave, from anywhere", priority=True, called="leave-anywhere"),
)

KEYS: tuple[Key, ...] = (
    *CHOSEN_KEYS,
    *CHART_KEYS,
    *DASHBOARD_KEYS,
    *TRAVEL_KEYS,
    *PANE_KEYS,
    *RUNS_KEYS,
    *COLUMNS_KEYS,
    *RUN_KEYS,
    *COMPARE_KEYS,
    *BEST_KEYS,
    *SQL_KEYS,
    *FORM_KEYS,
    *WIDGET_KEYS,
    *EVERYWHERE_KEYS,
)

TITLES: tuple[tuple[tuple[str, ...], str], ...] = (
    (BOTH, "The chosen run, on the dashboard and up close"),
    (CHARTED, "Charts"),
    (TRAVELLED, "Time travel, on the dashboard and up close"),
    (SIZED, "Borders between panes"),
    (D, "Dashboard"),
    (L, "Runs"),
    ((COLUMNS,), "Choosing columns"),
    (R, "A run up close"),
    (C, "Compare"),
    (B, "Best"),
    ((LIST,), "Lists"),
    ((LOG,), "Logs"),
    (S, "SQL"),
    ((FORM,), "New run"),
    ((EVERYWHERE,), "Everywhere"),
)
