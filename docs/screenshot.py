"""Draw the README's picture: the dashboard of the live engine of a workspace, as Textual's own SVG.

    ENGINE_HOME=... python docs/screenshot.py [docs/dashboard.svg]

Wait with it until runs train: the picture shows what is there, nothing is invented.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from engine import workspace
from tui.app import PaddockApp

WIDTH, HEIGHT = 160, 44
PATIENCE = 30.0


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


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "dashboard.svg"
    asyncio.run(draw(target))
    print(target)
