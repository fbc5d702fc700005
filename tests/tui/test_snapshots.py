"""What the screens look like: a text of each at each size, with the roles of its colours, kept beside the tests.

    PADDOCK_SNAPSHOTS=write python -m pytest tests/tui/test_snapshots.py

writes them anew; `git diff` then shows what changed. The clock is frozen and the time zone is UTC.
"""

from __future__ import annotations

import itertools
import os
import re
import time
from pathlib import Path

import pytest

from tests.tui import scene
from tests.tui.pilot import SIZES
from tui.app import PaddockApp
from tui.theme import LIGHT

FOLDER = Path(__file__).parent / "snapshots"
THEMES = ("dark", "light")


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr(time, "time", lambda: scene.NOW)
    yield
    monkeypatch.undo()
    time.tzset()


def picture(app: PaddockApp) -> tuple[str, str]:
    """The text of the screen, and how many cells of each look there are on each line."""
    lines = app.screen._compositor.render_strips()
    looks = []
    for y, line in enumerate(lines):
        spans = [(str(segment.style), len(segment.text)) for segment in line if segment.text.strip()]
        groups = itertools.groupby(spans, key=lambda span: span[0])
        looks.append(f"{y:>2} " + " | ".join(f"{style} {sum(size for _, size in same)}" for style, same in groups))
    return "\n".join(line.text.rstrip() for line in lines) + "\n", "\n".join(looks) + "\n"


TIMES = re.compile(r"\d+ rows · [\d.]+ m?s")


def settled(text: str, looks: str) -> tuple[str, str]:
    """Without the lines that tell how long a query took."""
    timed = {y for y, line in enumerate(text.splitlines()) if TIMES.search(line)}
    kept = (TIMES.sub("rows · time", line).rstrip(" ─╮╯") if y in timed else line
            for y, line in enumerate(text.splitlines()))  # fmt: skip
    return "\n".join(kept) + "\n", "".join(
        line for y, line in enumerate(looks.splitlines(keepends=True)) if y not in timed
    )


@pytest.mark.parametrize("name", list(scene.ASKING))
def test_screens_that_ask_look_as_they_did(workspace, frozen, name):
    """As below, in one go: the same app at each size."""
    wanted: dict[str, str] = {}

    def keep(app: PaddockApp) -> None:
        stem, theme = f"{name}-{app.size.width}x{app.size.height}", "light" if app.theme == LIGHT.name else "dark"
        text, looks = settled(*picture(app))
        assert wanted.setdefault(f"{stem}.txt", text) == text, "a theme changes colours only"
        wanted[f"{stem}-{theme}.looks"] = looks

    with scene.results(workspace):
        scene.draw(workspace, scene.ASKING[name], SIZES[0], keep, THEMES, SIZES)
    compared(wanted)


def compared(wanted: dict[str, str]) -> None:
    for file, text in wanted.items():
        if os.environ.get("PADDOCK_SNAPSHOTS") == "write":
            scene.save(FOLDER / file, text)
        assert (FOLDER / file).read_text() == text, f"{file} looks otherwise; see the top of this file"


DRAWN = [*itertools.product(scene.WAYS, SIZES), *((name, (250, 70)) for name in ("dashboard", "runs"))]


@pytest.mark.parametrize(
    ("name", "size"), DRAWN, ids=lambda one: one if isinstance(one, str) else "x".join(map(str, one))
)
def test_screens_look_as_they_did(workspace, frozen, name, size):
    """Text at every size, and its colours in both themes."""
    seen: list[tuple[str, str]] = []
    stem = f"{name}-{size[0]}x{size[1]}"
    with scene.box(workspace):
        scene.draw(workspace, scene.WAYS[name], size, lambda app: seen.append(picture(app)), THEMES)
    assert seen[0][0] == seen[1][0], "a theme changes colours only"
    looks = {f"{stem}-{theme}.looks": found for theme, (_, found) in zip(THEMES, seen, strict=True)}
    compared({f"{stem}.txt": seen[0][0], **looks})
