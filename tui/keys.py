"""What is made from the table of keys: bindings, footer, help and the words at the edges of panes.

People can have other keys (tui/keymap.py): use() takes theirs, and whatever names a key then names theirs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

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
from tui.present import Part

__all__ = [
    "BEST", "COMPARE", "CURVES", "DASHBOARD", "EVERYWHERE", "FORM", "KEYS", "LIST", "LOG", "METRIC", "RUN", "RUNS",
    "SQL", "TITLES", "TYPING", "ZOOM", "Key", "bindings", "footer", "help_places", "hint", "label", "named", "offer",
    "struck", "use",
]  # fmt: skip

CURVES = ("chosen.smooth", "chosen.log-scale", "chosen.x-axis")
ZOOM = ("charts.cross-before:crosshair", "charts.zoom-in:zoom", "charts.fit:all", "charts.grow:alone")
METRIC = ("run.metric:another metric",)
"""These are for hint(): at the edge of one of several charts."""
_NAME = re.compile(r"\{([a-z]+\.[a-z-]+)\}")


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


def struck(where: str) -> list[tuple[str, Key]]:
    """What the last line would show, were it allowed to change anything here."""
    return [pair for pair in footer(where, readonly=False) if pair[1].barred]


def help_places(near: Sequence[str] = ()) -> list[tuple[str, list[Key]]]:
    """(title, keys) for the help screen; every key is in one of them.

    near: places such as LOG, RUN: what works there comes first, in their order, and there what works least elsewhere.
    """

    def far(place: tuple[str, ...]) -> tuple[int, int]:
        found = [near.index(one) for one in place if one in near]
        return (min(found), len(place)) if found else (len(near), 0)

    places = sorted(TITLES, key=lambda one: far(one[0]))  # stable: those that are far keep their order
    return [(title, [key for key in KEYS if key.where == where and key.helped]) for where, title in places]


def label(name: str) -> str:
    """The key of an action as it is shown, by name."""
    return _by_name()[name].label


def named(text: str) -> str:
    """A text with the keys whose names it has in braces: `{chosen.hold} releases it`."""
    return _NAME.sub(lambda found: label(found[1]), text)


def offer(name: str, text: str) -> list[Part]:
    """A key and what it does, as parts of a line; nothing where it can't be used."""
    key = _by_name()[name]
    return [] if key.barred else [(key.label, "key"), (text, "rest")]


def hint(*names: str, between: str = "   ") -> str:
    """Keys with their words for the edge of a pane: `enter open   l log`; those that can't be used are left out.

    The word stands after a colon, `charts.zoom-in:zoom`; else it is the footer's, or that of the name.
    """
    by_name, found = _by_name(), []
    for one in names:
        name, _, word = one.partition(":")
        key = by_name[name]
        if not key.barred:
            found.append(f"{key.label} {word or key.foot or name.partition('.')[2].replace('-', ' ')}")
    return between.join(found)


def _by_name() -> dict[str, Key]:
    return {key.name: key for key in KEYS}
