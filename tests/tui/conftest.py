"""What the TUI remembers goes to a folder of the test, never to the user's own; and styles are parsed once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet

from tui import ahead, keys

_parse = Stylesheet._parse_rules
_parsed: dict[object, list[RuleSet]] = {}


def _parse_once(sheet: Stylesheet, css: str, *args: Any, **more: Any) -> list[RuleSet]:
    """Hundreds of apps are made here of the same styles; to parse them anew is a tenth of what their tests cost."""
    key = (css, args, tuple(more.items()), tuple(sheet._variables.items()))
    if key not in _parsed:
        _parsed[key] = _parse(sheet, css, *args, **more)
    return _parsed[key]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that stands for ~/.config and ~/.local/state; keys of one's own and barred ones end with the test."""
    folder = tmp_path / "home"
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    monkeypatch.setattr(Stylesheet, "_parse_rules", _parse_once)
    yield folder
    keys.use({})


AS_ITS_USERS = ("test_ahead", "test_journeys", "test_terminal")
"""Where screens are made ahead as for people."""


@pytest.fixture(autouse=True)
def one_screen_at_a_time(request, monkeypatch):
    """Make no screen that a test does not go to: six more would take as long as most tests."""
    if request.module.__name__.rpartition(".")[2] not in AS_ITS_USERS:
        monkeypatch.setattr(ahead, "REST", 3600.0)
