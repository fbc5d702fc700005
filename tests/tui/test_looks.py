"""What was once not beautiful or could not be read: words cut, titles on a line, colours lost, room left unused."""

from __future__ import annotations

import re
import time

import msgspec
import pytest
from rich.color import Color
from textual.geometry import Region

from engine.compare import Comparison
from engine.differ import Difference
from tests.tui import recorded, scene
from tests.tui.pilot import Journey, travel
from tests.tui.recorded import RecordedEngine
from tui import compare, details, devices, heat, outlook, why
from tui.answers import Near
from tui.app import PaddockApp
from tui.present import plain
from tui.screens.best import BestScreen
from tui.theme import Palette
from tui.themes import PLAIN, THEMES
from tui.widgets.strips import strip
from tui.world import World


def test_titles_stand_off_their_frame_and_off_a_mere_rule(workspace):
    async def way(journey: Journey) -> None:
        await journey.known()
        for size, title in (((120, 36), "╭─ Running ──"), ((80, 24), "─ Running ───")):
            await journey.pilot.resize_terminal(*size)
            await journey.sees(f"\n{title}")
        lines = journey.text().splitlines()
        assert [line for line in lines if re.search(r"[─━]\w|\w[─━]", line)] == []

    now = time.time()
    with RecordedEngine(workspace, recorded.busy_box(now), recorded.two_gpus(now)):
        travel(workspace, way, (120, 36))


def test_in_16_colours_heat_keeps_its_colours_under_the_cursor():
    palette = Palette(PLAIN.to_color_system().generate() | PLAIN.variables)
    parts = [("ARM ", "text"), *heat.heat(0.05, 4), *heat.heat(-0.05, 4), ("● ok", "good")]
    line = strip(parts, palette, 40, palette.cursor)
    by_text = {segment.text.strip(): segment.style.color for segment in line if segment.text.strip()}
    blocks = [segment.style.color for segment in line if "█" in segment.text]
    assert blocks == [palette["good"].color, palette["trouble"].color]
    assert by_text["● ok"] == palette.lit.color == Color.parse("bright_white")


def test_a_run_is_tested_in_words_that_have_room():
    side = compare.Side(
        "toto-0002", 2, "run 1", against=(("worse, p = 0.0066", "trouble"), ("  1,000 windows", "faint"))
    )
    found = Comparison(("toto-0001", "toto-0002"), (), (), (), (), {}, {}, {})
    for width, told in ((74, "worse, p = 0.0066"), (200, "worse, p = 0.0066  1,000 windows")):
        (column,) = [one for one in compare.columns(found, "", width, compare.RUN) if one.title == "AGAINST 1"]
        assert plain(column.fill(side, 0.0)) == told
        assert len(told) <= column.width


def test_a_long_name_of_what_differs_loses_its_beginning_and_says_so():
    row = Difference("settings", "model.decoder.cross_attention.dropout", ("0.1", "0.2"))
    near = Near(
        "toto-0001", rival="toto-0002", differences=(row, Difference("code", "uncommitted changes", ("no", "yes")))
    )
    lines = [plain(line) for line in why._differs(near, "toto-0001", 46)]
    assert any("  uncommitted changes" in line for line in lines)
    assert any("  …" in line and "attention.dropout" in line for line in lines)


@pytest.mark.parametrize("size", [(200, 50), (80, 24)])
def test_where_nothing_beats_naive_the_cursor_is_on_the_best_run(workspace, size):
    """Its why, its symbols and its forecast are there; not a line about naive that is cut, beside an empty chart."""

    async def way(journey: Journey) -> None:
        await scene.place("5", ("No run beats the naive forecast", "vs NAIVE"))(journey)
        screen = journey.app.screen
        assert isinstance(screen, BestScreen)
        await journey.until(lambda: screen.board.chosen == "toto-0001", "for the best run")
        assert screen.board.rows[0].row.is_naive
        await journey.sees("toto-0001 is the least bad")
        await journey.press("home")
        await journey.sees("naive repeats the last price; it is what a")
        await journey.sees("model has to beat" if size[0] == 200 else "has to beat")
        if size == (80, 24):
            await journey.sees("Why · v symbols")
            await journey.press("v")
            await journey.sees("Skill by symbol, % · v forecast")

    with scene.results(workspace, worse=0.1):
        travel(workspace, way, size)


def test_a_small_terminal_says_that_there_are_further_columns(workspace):
    async def way(journey: Journey) -> None:
        await scene.place("2", ("Runs · 18 · by AGO ↑ · 2 more columns →",))(journey)
        await journey.press("right", "right", "right")
        await journey.sees("← 3 more columns")

    with scene.box(workspace):
        travel(workspace, way, (80, 24))


def test_a_command_is_folded_between_its_words(workspace):
    """What F3 copies can be read below the form, too: no option is broken in two."""

    async def way(journey: Journey) -> None:
        await scene.form(journey)
        screen = journey.app.screen
        screen.fields.go("name")
        await journey.paste("a-name-that-is-long-enough-to-need-another-line-of-a-small-one")
        await journey.until(lambda: "--name" in screen.query_one("#command").text)
        lines = screen.query_one("#command").text.splitlines()
        command = screen.form.line()
        told = [word for line in lines for word in line.split()]
        assert told[: len(command.split())] == command.split()
        name = "a-name-that-is-long-enough-to-need-another-line-of-a-small-one"
        assert f"…{name[-16:]}▏" in journey.text(), "what is typed is seen where it grows"
        screen.fields.go("data.path")
        await journey.sees("folder or file of CSV, Parquet or JSON series; relative to the workspace")

    with scene.box(workspace):
        travel(workspace, way, (80, 24))


def test_what_is_wrong_with_a_query_is_folded_anew_for_another_width(workspace):
    async def way(journey: Journey) -> None:
        await scene.place("7", ("run_summary",))(journey)
        journey.app.screen.editor.text = "SELECT nonsense FROM leaderboard"
        await journey.press("f5")
        await journey.sees("Binder Error", "Candidate bindings")
        await journey.pilot.resize_terminal(80, 24)
        verdict = journey.app.screen.query_one("#verdict")
        await journey.until(lambda: verdict.size.width == 78)
        await journey.until(lambda: all(len(line) <= 78 for line in verdict.text.splitlines()), "for other lines")
        assert verdict.size.height == len(verdict.lines)

    with scene.results(workspace):
        travel(workspace, way, (160, 44))


def test_a_high_dashboard_shows_all_that_wants_somebody(workspace):
    from tui.layout import plan

    assert [plan(200, height, 3, 3, 5, 10, alerts=6).outlook for height in (24, 36, 50, 70)] == [2, 2, 4, 7]


@pytest.mark.parametrize("width", [78, 116, 196])
def test_who_is_on_a_device_is_told_whole_at_every_width(width):
    now = time.time()
    world = World(sample=recorded.two_gpus(now), history=tuple(recorded.history(now)))
    first, second, machine = (plain(line) for line in devices.lines(world, width, 3))
    assert "…" not in first + second + machine
    assert all(name in first for name in ("64°", "toto-0211", "python"))
    assert all(name in second for name in ("kronos-0208", "kronos-0210"))
    assert "412 GiB" in machine
    assert ("not ours" in first) == (width > 78)


def test_the_timeline_has_the_colours_of_what_runs_and_what_waits():
    line = "\x1b[2mnow\x1b[0m toto \x1b[32m━━┥\x1b[36m├─┤\x1b[0m"
    assert outlook.inked(line) == [("now", "rest"), (" toto ", "text"), ("━━┥", "good"), ("├─┤", "ours")]


def lost(app: PaddockApp, part: Region | None = None) -> list[str]:
    """Words that can hardly be told from their ground, in a part of the screen; what steps back is let off."""
    found = []
    x, y, width, height = part or app.screen.region
    for line in app.screen._compositor.render_strips()[y : y + height]:
        for segment in line.crop(x, x + width):
            style = segment.style
            if style is None or not any(sign.isalnum() for sign in segment.text) or style.dim:
                continue
            front, ground = (
                Color.from_triplet(one.get_truecolor(foreground=fore)) if one is not None else None
                for one, fore in ((style.color, True), (style.bgcolor, False))
            )
            if front and ground and contrast(front, ground) < 2.2:
                found.append(segment.text.strip())
    return found


def contrast(one: Color, other: Color) -> float:
    """As WCAG 2 has it: 1 for the same brightness, 21 for black on white."""
    light = sorted(sum(part * bent(value) for part, value in zip((0.2126, 0.7152, 0.0722), color.triplet, strict=True))
                   for color in (one, other))  # fmt: skip
    return (light[1] + 0.05) / (light[0] + 0.05)


def bent(value: int) -> float:
    share = value / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4


@pytest.mark.parametrize("theme", list(THEMES))
def test_no_word_is_lost_on_its_ground(workspace, theme):
    async def way(journey: Journey) -> None:
        await scene.dashboard(journey)
        assert lost(journey.app) == []
        await journey.press("2")
        await journey.sees("toto-0206")
        assert lost(journey.app) == []
        await journey.press("colon")
        await journey.sees("The log of the run")
        assert lost(journey.app, journey.app.screen.table.region) == []

    with scene.box(workspace):
        travel(workspace, way, (120, 36), theme=theme)


def test_a_long_name_of_a_setting_keeps_off_its_value(workspace):
    now = time.time()
    engine = RecordedEngine(workspace, recorded.busy_box(now), recorded.two_gpus(now))
    detail = engine.detail(engine.rows["toto-0211"])
    spec = msgspec.structs.replace(detail.spec, config={"model": {"tokenizer_n_dec_layers": 3, "phase": "both"}})
    lines = [plain(line) for line in details.config(msgspec.structs.replace(detail, spec=spec))]
    long, short = (next(line for line in lines if name in line) for name in ("tokenizer_n", "phase"))
    assert long.endswith("tokenizer_n_dec_layers  3")
    assert long.index("3") == short.index("both")


@pytest.mark.parametrize(("height", "whole"), [(66, True), (44, False)])
def test_on_a_high_terminal_symbols_are_seen_without_scrolling(workspace, height, whole):
    async def way(journey: Journey) -> None:
        await scene.compare(journey)
        symbols = journey.app.screen.query_one("#symbols")
        await journey.until(lambda: len(symbols.rows) == 30, "for the symbols")
        await journey.until(lambda: (symbols.max_scroll_y == 0) == whole, "for their share of the lines")
        assert journey.app.screen.query_one("#loss").size.height >= 12

    with scene.results(workspace, symbols=[f"S{number:02d}" for number in range(30)]):
        travel(workspace, way, (200, height))


def test_a_box_without_a_gpu_tells_its_disk_whole():
    sample = recorded.no_gpu(time.time())
    lines = [plain(line) for line in devices.lines(World(sample=sample), 78, 3)]
    assert "412 GiB free" in lines[-1]
    disk = msgspec.structs.replace(sample, host=msgspec.structs.replace(sample.host, disk_free=int(60.8 * (1 << 30))))
    assert "60.8 GiB free" in plain(devices.lines(World(sample=disk), 78, 3)[-1])


def test_a_chart_that_stands_alone_says_how_the_others_come_back(workspace):
    async def way(journey: Journey) -> None:
        await scene.dashboard(journey)
        assert "z all again" not in journey.text()
        await journey.press("z")
        await journey.sees("z all again", "enter open")
        screen = journey.app.screen
        await journey.until(lambda: screen.query_one("#foot").region.y == 35, "for the keys in the last line")
        assert screen.query_one("#loss").region.size == (120, 35)
        assert screen.max_scroll_y == 0
        await journey.press("escape")
        await journey.sees("Finished")
        assert "z all again" not in journey.text()

    with scene.box(workspace):
        travel(workspace, way, (120, 36))
