"""What is made from the table of keys: bindings, footer, help and the words at the edges of panes.

People can have other keys (tui/keymap.py): use() takes theirs, and whatever names a key then names theirs.
"""

from __future__ import annotations

from textual.binding import Binding

from tui.key import (
    BEST,
    COMPARE,
    DASHBOARD,
    EVERYWHERE,
    FORM,
    LIST,
    LOG,
    RUN,
    RUNS,
    SQL,
    TYPING,
    Key,
    use,
)  # fmt: skip
from tui.keytable import KEYS, TITLES

__all__ = [
    "BEST", "COMPARE", "DASHBOARD", "EVERYWHERE", "FORM", "KEYS", "LIST", "LOG", "RUN", "RUNS", "SQL", "TITLES",
    "TYPING", "Key", "bindings", "footer", "help_places", "hint", "label", "use",
]  # fmt: skip


def bindings(where: str, made_by: str = "screen") -> list[Binding]:
    """What a screen binds (or the app, for EVERYWHERE; or a widget, for LIST and LOG). The id is for a person's own."""
    return [
        Binding(key.keys, key.action, key.text, show=bool(key.foot), priority=key.priority, id=key.name)
        for key in KEYS
        if where in key.where and key.action and key.made_by == made_by
    ]


def footer(where: str, *, readonly: bool) -> list[tuple[str, Key]]:
    """What the last line shows, in order, with the key as it works there: in a form letters are text."""
    found = []
    for key in KEYS:
        label = key.label_while_typing if where in TYPING else key.label
        if key.foot and label and {where, EVERYWHERE} & set(key.where) and not (readonly and key.changes):
            found.append((label, key))
    return found


def help_places() -> list[tuple[str, list[Key]]]:
    """(title, keys) for the help screen; every key is in one of them."""
    return [(title, [key for key in KEYS if key.where == where and key.helped]) for where, title in TITLES]


def label(name: str) -> str:
    """The key of an action as it is shown, by name."""
    return next(key.label for key in KEYS if key.name == name)


def hint(*names: str, between: str = "   ") -> str:
    """Keys with their words for the edge of a pane: `enter open   l log`; the word is the footer's or the name's."""
    by_name = {key.name: key for key in KEYS}
    return between.join(
        f"{by_name[name].label} {by_name[name].foot or name.partition('.')[2].replace('-', ' ')}" for name in names
    )
