"""The list of all runs on a wide terminal: the run under the cursor beside it, and more columns than elsewhere."""

from __future__ import annotations

import itertools

from tests.tui import scene
from tests.tui.pilot import travel
from tui.runcolumns import CATALOG, TOLD, USUAL, usual
from tui.screens.columns import ColumnsScreen


def test_a_wide_terminal_shows_the_run_under_the_cursor_beside_the_list(workspace):
    """Facts, curves and log; the pane goes when the terminal is too small for it and comes again, borders and all."""

    def panes(screen):
        return [one.region for one in (screen.table, screen.query_one("#preview"))]

    async def way(journey):
        await journey.known()
        await journey.press("2")
        screen = journey.app.screen
        await journey.until(lambda: screen.table.choose("toto-0211"), "for the list")
        await journey.sees("ETA", "epoch 5.6  step 3,000")
        curves = screen.query_one("#preview-loss").picture.curves
        assert {curve.name for curve in curves} == {"train", "val"}
        left, right = panes(screen)
        assert (left.x, left.right, right.right) == (0, right.x, 250)
        assert left.bottom == right.bottom == 69
        assert not screen.query_one("#about").display
        screen.table.choose("kronos-0208")
        await journey.until(lambda: screen.query_one("#preview-facts").border_title == "kronos-0208")
        await journey.sees("throughput −38 %")
        await journey.press("ctrl+right")
        await journey.until(lambda: panes(screen)[0].right == left.right + 2, "for the border")
        await journey.pilot.resize_terminal(120, 36)
        await journey.until(lambda: not screen.query_one("#preview").display, "to have it put away")
        await journey.until(lambda: screen.table.region.width == 120)
        assert screen.query_one("#about").display
        await journey.pilot.resize_terminal(250, 70)
        await journey.until(lambda: panes(screen)[0].right == left.right + 2, "for the border where it was")

    with scene.box(workspace):
        travel(workspace, way, (250, 70))


def test_who_has_chosen_no_columns_has_those_there_is_room_for(workspace):
    assert usual(120, 13) == usual(60, 13) == USUAL
    assert usual(196, 13) == ("state", "val_pct_mae", "skill", "took", "ago", "loss", "spark", "steps", "family", "on",
                              "commit", "tags", "about")  # fmt: skip
    seen = [usual(width, 13) for width in range(60, 300)]
    assert all(set(less) <= set(more) for less, more in itertools.pairwise(seen))
    for width, names in zip(range(60, 300), seen, strict=True):
        needs = 4 + 13 + sum(CATALOG[name].width + 2 for name in names) + TOLD - CATALOG["about"].width
        assert names == USUAL or needs <= width

    async def way(journey):
        await journey.known()
        await journey.press("2")
        screen = journey.app.screen
        await journey.sees("CURVE")
        await journey.press("r")  # the order is remembered, the columns are still nobody's
        assert journey.app.settings.get("runs.columns", []) == []
        await journey.pilot.resize_terminal(120, 36)
        await journey.until(lambda: screen.list.looks.columns == USUAL, "for those of a narrow one")
        await journey.press("C")
        await journey.until(lambda: isinstance(journey.app.screen, ColumnsScreen))
        await journey.press("space", "enter")
        await journey.until(lambda: screen.list.looks.columns == USUAL[1:], "for what was chosen")
        await journey.pilot.resize_terminal(200, 50)
        await journey.until(lambda: screen.table.region.width == 200)
        await journey.pilot.pause()
        assert screen.list.looks.columns == USUAL[1:]
        assert journey.app.settings.get("runs.columns", []) == [*USUAL[1:]]

    with scene.box(workspace):
        travel(workspace, way, (200, 50))
