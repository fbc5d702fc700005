"""What a key is: where it works, what it does and how it is shown, also when it is a person's own (tui/keymap.py)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property

from msgspec import Struct

EVERYWHERE, LIST, LOG = "everywhere", "list", "log"
DASHBOARD, RUNS, RUN, COMPARE, BEST, SQL, FORM = "dashboard", "runs", "run", "compare", "best", "sql", "form"
COLUMNS = "columns"
"""Where the columns of a list are chosen."""
TYPING = (FORM, SQL)
"""Where letters are text."""

BOTH = (DASHBOARD, RUN)
"""Where one run is chosen."""
CHARTED = (RUN, DASHBOARD, COMPARE, SQL)
"""Where several charts are zoomed together and have one crosshair; the mouse does so on every screen with charts."""
TRAVELLED = (RUN, DASHBOARD)
"""Where charts, devices and log go to the same moment of the past."""
SIZED = (DASHBOARD, RUNS, RUN, COMPARE, BEST, SQL)
"""Where borders between panes can be moved."""
_GROUPS = {BOTH: "chosen", CHARTED: "charts", TRAVELLED: "run", SIZED: "panes"}
"""What keys of several places are called by."""


class Key(Struct, frozen=True, dict=True):
    """keys: as Textual names them, the first is shown. foot: the word in the footer, "" keeps it out of there.

    changes: not available with --readonly. made_by: "widget" when the list or log binds it itself; one without an
    action is Textual's own and can't be another.
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
    before: str = ""
    """The name of the key of everywhere that it takes the place of, on purpose."""
    called: str = ""
    """Its name where the action does not give a good one."""

    @cached_property
    def name(self) -> str:
        """What it is called in keys.toml, for good: `chosen.stop`, `log.follow`."""
        where = _GROUPS.get(self.where, self.where[0])
        return f"{where}.{self.called or _slug(self.action or self.text)}"

    @property
    def barred(self) -> bool:
        """Whether it can't be used, because nothing may be changed here."""
        return self.changes and bool(_locked)

    @property
    def in_use(self) -> str:
        """The keys as they are here: a person's own, or those of the table."""
        return _own.get(self.name, self.keys)

    @property
    def label(self) -> str:
        shown = "" if self.name in _own else self.shown
        return shown or label_of(self.in_use.split(",")[0])

    @property
    def label_while_typing(self) -> str:
        """The first key that is no letter or sign; empty if there is none."""
        safe = [key for key in self.in_use.split(",") if len(key) > 1 and key not in _LABELS]
        shown = "" if self.name in _own else self.shown
        return shown or (label_of(safe[0]) if safe else "")


_LABELS = {
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "plus": "+",
    "minus": "−",
    "comma": ",",
    "full_stop": ".",
    "question_mark": "?",
    "slash": "/",
    "colon": ":",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "exclamation_mark": "!",
}


_own: dict[str, str] = {}
_locked: set[str] = set()


def use(own: Mapping[str, str], *, readonly: bool = False) -> None:
    """Take a person's own keys, by name; {} takes those of the table again. readonly: bar those that change things."""
    _own.clear()
    _own.update(own)
    _locked.clear()
    _locked.update(("changes",) if readonly else ())


def _slug(text: str) -> str:
    """app.go('runs') -> go-runs, tab(-1) -> tab-before, tab(1) -> tab-next."""
    text = text.removeprefix("app.").replace("(-1)", "-before").replace("(1)", "-next").replace("(-", "-back-")
    return "-".join(re.findall(r"[a-z0-9]+", text.replace("_", "-").lower())[:4])


def label_of(key: str) -> str:
    return _LABELS.get(key, key.replace("escape", "esc"))
