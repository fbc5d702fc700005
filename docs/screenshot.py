"""Draw the pictures of the README and the docs, as Textual's own SVG, by going through the program itself.

    ENGINE_HOME=... python docs/screenshot.py           of the live engine of a workspace: docs/dashboard.svg
    python docs/screenshot.py --recorded                of the recorded box of the tests: one picture a screen

Wait with the first until runs train: the picture shows what is there, nothing is invented. The second needs no GPU and
no engine; its box is that of tests/tui/recorded.py.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

if __name__ == "__main__":
    # the repository in place of docs/, so that no file here shadows a module
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from engine import workspace
from engine.workspace import Workspace
from tui.app import PaddockApp

WIDTH, HEIGHT = 160, 44
PATIENCE = 30.0
FOLDER = Path(__file__).resolve().parent


async def draw(path: Path) -> None:
    app = PaddockApp(workspace.find())
    async with app.run_test(size=(WIDTH, HEIGHT)) as pilot:
        give_up = time.monotonic() + PATIENCE
        # A run with a log has been read, and the machine has been sampled often enough for a history.
        while not (app.reading and app.reading.log and len(app.world.history) > 3):
            if time.monotonic() > give_up:
                break
            await pilot.pause(0.1)
        await pilot.pause(0.5)
        path.write_text(app.export_screenshot(title="tui"))
        app.feed.stop()
        app.reader.stop()
    if not app.world.rows:
        sys.exit(f"{workspace.find().root} has no runs: the picture shows an empty dashboard.")


def recorded() -> None:
    """Every screen that an engine alone fills."""
    from tests.tui import scene

    def save(name: str, app: PaddockApp) -> None:
        target = FOLDER / f"{name}.svg"
        target.write_text(app.export_screenshot(title="tui"))
        print(target)

    for name in ("dashboard", "runs", "run"):
        with tempfile.TemporaryDirectory() as home, scene.box(Workspace(Path(home))):
            scene.draw(Workspace(Path(home)), scene.WAYS[name], (WIDTH, HEIGHT), partial(save, name))


if __name__ == "__main__":
    if sys.argv[1:] == ["--recorded"]:
        recorded()
    elif sys.argv[1:]:
        sys.exit(f"unknown: {' '.join(sys.argv[1:])}\n\n{__doc__}")
    else:
        asyncio.run(draw(FOLDER / "dashboard.svg"))
        print(FOLDER / "dashboard.svg")
