"""Windows over a screen say all they have to say on the smallest terminal, and again when it becomes another size."""

from __future__ import annotations

import re
import time

import pytest

from tests.tui import recorded
from tests.tui.pilot import Journey, travel
from tests.tui.recorded import RecordedEngine
from tui import bulk
from tui.screens.ask import AskScreen
from tui.screens.bulk import BulkScreen
from tui.screens.choose import Choice, ChooseScreen
from tui.screens.columns import ColumnsScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.help import HelpScreen

LONG = "kept in views/NAME.sql, where every client of DuckDB sees it, and so does whoever opens the file tomorrow."


def confirm():
    more = [
        [(f" {'beside':<9}", "rest"), (".best_model_path.json: run, metrics, commit, data, and defaults too", "rest")]
    ]
    return ConfirmScreen().ask("Promote toto-0206?", LONG, "yes, promote it", more=more), (
        LONG, ".best_model_path.json: run, metrics, commit, data, and defaults too", "y yes, promote it", "n no, leave",
    )  # fmt: skip


def ask():
    return AskScreen("Save the query as a view called", LONG, lambda _: ""), (LONG, "enter does it", "esc no")


def choose():
    choices = [Choice("md", "Markdown", "the table, and what to think of it: engine best --md"), Choice("csv", "CSV")]
    return ChooseScreen("Export as", choices, detail=LONG), (LONG, choices[0].told, "enter takes it")


def several():
    order = bulk.plan("stop", recorded.busy_box(time.time())[:4])
    return BulkScreen(order), (order.question, order.detail, "y yes, stop", "n no, leave all as it is")


def columns():
    told = "validation error in per cent of the best one"
    return ColumnsScreen(("state",), [("state", "its state"), ("val_pct_mae", told)], ("state",)), (told, "enter done")


def keys():
    window = HelpScreen()
    window.near(("dashboard",))
    return window, ("filter the finished runs: any part of id, family, tag, note or cause",)


def words(text: str) -> str:
    """What a window says, without its frame and without the screen below."""
    return " ".join(re.sub("[│▏▕▁-█▌]", " ", line).strip() for line in text.splitlines())


@pytest.mark.parametrize("size", [(120, 36), (80, 24)], ids=lambda size: f"to {size[0]}x{size[1]}")
def test_nothing_is_cut_in_a_window_that_comes_up_at_another_size(workspace, size):
    """It is laid out for the one size when it opens, and for the other when the terminal becomes that."""

    async def way(journey: Journey) -> None:
        await journey.known()
        for made in (confirm, ask, choose, several, columns, keys):
            window, told = made()
            await journey.pilot.resize_terminal(*((80, 24) if size == (120, 36) else (120, 36)))
            await journey.app.push_screen(window)
            await journey.pilot.resize_terminal(*size)
            await journey.until(lambda shown=window: shown.size == size, "for the other size")
            await journey.pilot.pause()
            box = window.query_one("#box").region
            assert window.region.contains_region(box)
            lines = [line[box.x : box.right] for line in journey.text().splitlines()[box.y : box.bottom]]
            seen = re.sub(r"\s+", " ", words("\n".join(lines)))
            assert [text for text in told if text not in seen] == [], "\n".join(lines)
            journey.app.pop_screen()

    now = time.time()
    with RecordedEngine(workspace, recorded.busy_box(now), recorded.two_gpus(now)):
        travel(workspace, way, (120, 36))
