"""From the leaderboard to a model in use, at the screen: a real engine, its real database, the product's own files."""

from __future__ import annotations

import json
import threading

import pytest

from engine.board import Board, BoardRow
from engine.messages import Order, Sync
from tests.conftest import Box
from tests.engine.store_folders import finished
from tests.tui.pilot import SIZES, travel
from tests.tui.recorded import RecordedEngine, no_gpu
from tui import best, heat
from tui.answers import Ranking, Wish
from tui.present import plain
from tui.screens.best import BestScreen
from tui.screens.choose import ChooseScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.run import RunScreen

OTHER = {"path": "other", "fingerprint": "e" * 32, "files": 1, "bytes": 5, "synthetic": False}


def config(seed: int, lr: float = 3e-4) -> dict:
    return {"train": {"lr": lr, "seed": seed}, "data": {"context": 512, "horizon": 64}}


@pytest.fixture
def models(box: Box) -> Box:
    """Two seeds of one config and another config on the same data, one on other data, all finished; an engine."""
    symbols = {"ARM": {"pct_mae": 0.5, "naive_pct_mae": 0.6}, "JD": {"pct_mae": 0.7, "naive_pct_mae": 0.6}}
    first = finished(box.workspace, "toto-0001", 0.50, config=config(7), seed=7, dm_stat=-3.0, dm_pvalue=0.01,
                     symbols=symbols)  # fmt: skip
    first.evaluate("test", pct_mae=0.61)
    second = finished(box.workspace, "toto-0002", 0.505, config=config(8), seed=8)
    for run in (first, second):  # the same forecasts: nothing tells the two apart
        run.windows([100.0 + i % 7 for i in range(40)], 4)
    finished(box.workspace, "kronos-0003", 0.70, config=config(1, lr=1e-3), seed=1, dm_stat=2.5, dm_pvalue=0.02)
    finished(box.workspace, "toto-0004", 0.10, data=OTHER)
    assert box.client
    return box


class Writing(RecordedEngine):
    """Brings its database up to date for as long as a test wants: of 10,000 runs for half a minute, the first time."""

    written = threading.Event()

    def _answer(self, request, writer):
        if isinstance(request, Sync):
            assert self.written.wait(60)
        return super()._answer(request, writer)


def test_a_screen_is_there_before_its_database_is_written(workspace):
    async def way(journey):
        await journey.known()
        for digit, sight in (("4", "Mark"), ("5", "Reading the leaderboard…"), ("7", "Query")):
            await journey.press(digit)
            await journey.sees(sight)
            assert journey.text().splitlines()[0].startswith(" paddock   1"), journey.text()
        engine.written.set()
        await journey.press("escape", "5")
        await journey.sees("No run has a result yet.")

    Writing.written.clear()
    with Writing(workspace, [], no_gpu(0.0)) as engine:
        travel(workspace, way, SIZES[0])


def ready(journey):
    """Whether the leaderboard and what is told of its run are on the screen."""
    screen = journey.app.screen
    return isinstance(screen, BestScreen) and screen.found is not None and screen._near is not None


def test_promote_look_at_what_is_revealed_and_take_it_back(models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = models.workspace.root

    async def way(journey):
        await journey.known()
        await journey.press("5")
        await journey.until(lambda: ready(journey), "for the leaderboard", 60)
        await journey.sees("toto-0001", "1=", "naive", "kronos-0003", "locked", "is the best honest choice")
        await journey.sees("toto-0001 beats the naive forecast (0.588) by 15.0 % (p = 0.01). 1 other ties with it.")
        await journey.sees("Results on different data can't be ranked together", "differs from kronos-0003", "0.001")
        assert "0.610" not in journey.text(), "test results stay locked"
        await journey.press("P")
        await journey.until(lambda: isinstance(journey.app.screen, ConfirmScreen), "for the question")
        await journey.sees(str(root / ".best_model_path"), "step-000100", "sha256 ", "test and unseen results")
        assert not (root / ".best_model_path").exists()
        await journey.press("n")
        await journey.until(lambda: ready(journey))
        assert not (root / ".best_model_path").exists()
        await journey.press("P")
        await journey.until(lambda: isinstance(journey.app.screen, ConfirmScreen), "for the question")
        await journey.press("y")
        await journey.sees("in use", "0.610", "UNSEEN")
        await journey.sees("not evaluated")  # unseen: it is said, not left locked
        assert (root / ".best_model_path").read_text().strip().endswith("toto-0001/checkpoints/step-000100")
        assert [line["order"] for line in models.lines("toto-0001", "orders.jsonl")][-1] == "promote"
        await journey.press("u")
        await journey.sees("Go back to no model?", "the file goes away")
        await journey.press("y")
        await journey.sees("no model is named any more")
        assert not (root / ".best_model_path").exists()
        await journey.until(lambda: ready(journey))
        await journey.press("u")
        await journey.sees("Go back to toto-0001?")
        await journey.press("y")
        await journey.until((root / ".best_model_path").exists, "for the file again")
        await journey.until(lambda: journey.app.screen.found.names.get("toto-0001") == ("",), "for the leaderboard")

        await journey.press("down")
        await journey.until(lambda: journey.app.screen.board.chosen == "toto-0002")
        await journey.press("P")
        await journey.until(lambda: isinstance(journey.app.screen, ConfirmScreen), "for the question")
        await journey.sees("toto-0001, kept for u")
        await journey.press("y")
        await journey.until(lambda: "toto-0002" in (root / ".best_model_path").read_text(), "for the file")
        await journey.until(lambda: journey.app.screen.found.names.get("toto-0002") == ("",), "for the leaderboard")
        await journey.press("u")
        await journey.sees("Go back to toto-0001?", "What was revealed stays revealed.")
        await journey.press("y")
        await journey.until(lambda: "toto-0001" in (root / ".best_model_path").read_text(), "to go back")

        await journey.press("E")
        await journey.until(lambda: isinstance(journey.app.screen, ChooseScreen))
        await journey.press("enter")
        written = await journey.until(lambda: list(tmp_path.glob("best-val_pct_mae-*.md")), "for the file")
        await journey.until(lambda: written[0].read_text().startswith("# Best by val_pct_mae"))

    travel(models.workspace, way, (150, 34))


def test_choose_metric_family_and_data_name_it_and_queue_more_seeds(models):
    async def way(journey):
        await journey.known()
        await journey.press("5")
        await journey.until(lambda: ready(journey), "for the leaderboard", 60)
        screen = journey.app.screen
        await journey.press("m")
        await journey.until(lambda: isinstance(journey.app.screen, ChooseScreen))
        await journey.press("down", "enter")
        await journey.sees("val_skill ▲ higher is better")
        await journey.until(lambda: screen.found.wish.metric == "val_skill", "for the answer")
        assert screen.found.board.direction == "max"
        assert [line.id for line in screen.board.rows][:2] == ["toto-0001", "toto-0002"]
        await journey.press("M")
        await journey.until(lambda: isinstance(journey.app.screen, ChooseScreen))
        assert journey.app.screen.query_one("#choices").rows[0].text == "all"
        await journey.press("down", "enter")
        await journey.until(lambda: screen.found.wish.family == "kronos", "for the family")
        await journey.until(lambda: [line.id for line in screen.board.rows] == ["naive", "kronos-0003"])
        await journey.sees("No run beats the naive forecast")
        await journey.press("M", "up", "enter")
        await journey.until(lambda: screen.found.wish.family == "", "for all again")
        await journey.press("d")
        await journey.until(lambda: isinstance(journey.app.screen, ChooseScreen))
        await journey.press("down", "enter")
        await journey.until(lambda: screen.board.rows[0].id == "toto-0004", "for the other data")
        await journey.press("d", "up", "enter")
        await journey.until(lambda: screen.board.rows[0].id == "toto-0001", "for the first data")

        await journey.press("home", "space")
        await journey.until(lambda: journey.app.marked == {"toto-0001"}, "for the mark")
        await journey.press("home", "A")
        await journey.sees("Under which name")
        await journey.paste("Prod!")
        await journey.press("enter")
        await journey.sees("can't be an alias")
        await journey.press("ctrl+u")
        await journey.paste("prod")
        await journey.press("enter")
        await journey.until(lambda: isinstance(journey.app.screen, ConfirmScreen), "for the question")
        await journey.sees(".best_model_path.prod", "engine export toto-0001 --alias prod")
        await journey.press("y")
        await journey.until(lambda: screen.found.names == {"toto-0001": ("prod",)}, "for the alias")

        await journey.press("R")
        await journey.until(lambda: isinstance(journey.app.screen, ChooseScreen), "for the seeds")
        await journey.sees("seeds 9, 10", "As near as can be")
        await journey.press("up", "enter")
        new = models.workspace.run("toto-0005") / "spec.json"
        await journey.until(new.exists, "for the new run")
        assert json.loads(new.read_text())["config"]["train"] == {"lr": 3e-4, "seed": 9}
        assert not models.workspace.run("toto-0006").exists()
        await journey.press("enter")
        await journey.until(lambda: isinstance(journey.app.screen, RunScreen), "for the run")

    travel(models.workspace, way, (120, 30))


def test_an_empty_leaderboard_says_what_to_do(workspace):
    async def way(journey):
        await journey.known()
        await journey.press("5")
        await journey.sees("No run has a result yet.")
        assert "queues one" not in journey.text(), "here nothing can be queued"
        await journey.press("P")
        await journey.sees("This is tui --readonly")
        assert not any(isinstance(request, Order) for request in engine.asked)

    with RecordedEngine(workspace, [], no_gpu(1.0)) as engine:
        travel(workspace, way, SIZES[-1], readonly=True)


# -- pure parts -------------------------------------------------------------------------------------------------------


def board(*skills: float | None) -> Board:
    rows = tuple(BoardRow(i, f"toto-{i:04d}", 0.5, skill=skill) for i, skill in enumerate(skills, 1))
    return Board("val_pct_mae", "min", rows, 0.588, runs=len(rows))


def test_bars_meet_at_one_line():
    scale = best.scale_of(board(0.1, 0.05, -0.1))
    assert scale == (-0.1, 0.1)
    bars = [plain(best.bar(skill, scale, 21)) for skill in (0.1, 0.05, 0.0, -0.05, -0.1)]
    assert bars == [
        "          │██████████",
        "          │█████",
        "          │",
        "     █████│",
        "██████████│",
    ]
    assert plain(best.bar(None, scale, 21)) == "          │"
    hopeless = best.scale_of(board(0.01, -12.0))
    cut = plain(best.bar(-12.0, hopeless, 21))
    assert cut.lstrip().startswith("◂█")
    assert plain(best.bar(0.01, hopeless, 21)).index("│") == cut.index("│")


def test_what_stands_in_a_row():
    tied = BoardRow(2, "toto-0002", 0.574, spread=0.0091, seeds=3, tie=True, dm_stat=-2.0, dm_p=0.031)
    assert best.place(tied) == "1="
    assert plain(best.value(tied)) == "0.574 ±.009"
    assert best.chance(tied) == (("0.031", "good"),)
    worse = BoardRow(3, "toto-0003", 0.6, dm_stat=2.0, dm_p=0.0004)
    assert best.chance(worse) == (("<.001", "trouble"),)
    assert best.seeds(worse) == (("1", "attention"),)
    assert plain(best.kept_apart(best.Line(worse), None)) == "locked"
    assert plain(best.kept_apart(best.Line(worse, promoted=True), None)) == "none"
    assert plain(best.hours(BoardRow(1, "x", 0.5, hours=1.5))) == "1.5 cpu"
    assert plain(best.alias(best.Line(worse, names=("", "prod")))) == "in use, prod"


def test_the_sentence_is_wrapped_and_left_out_runs_are_told():
    found = Board("val_pct_mae", "min", (BoardRow(1, "toto-0001", 0.6),), 0.588, "No run beats naive.", "2 left out.",
                  runs=300)  # fmt: skip
    lines = best.said(Ranking(Wish(), (found,), found, behind="held by duckdb (pid 7)"), 40)
    text = [part for line in lines for part, _ in line]
    assert text == ["No run beats naive.", "The first 1 of 300 runs.", "2 left out.",
                    "The database may be behind: held by", "duckdb (pid 7)"]  # fmt: skip
    assert lines[0][0][1].startswith("attention")


def test_heat_is_never_colour_alone():
    assert heat.heat(0.029, 4) == (("████", "good"), ("  +2.9", "text"))
    assert heat.heat(-0.01, 4) == (("████", "trouble weak"), ("  −1.0", "rest"))
    assert plain(heat.heat(None, 2)) == "       –"
    found = {"ARM": {"a": (0.1, 1.0), "b": (-0.1, 1.0)}, "JD": {"a": (-0.2, 1.0)}, "ZS": {"b": (0.3, 1.0)}}
    assert [row.name for row in heat.symbols(found, ["a", "b"])] == ["JD", "ARM", "ZS"]
    assert [row.name for row in heat.symbols(found, ["a", "b"], "best first")] == ["ARM", "JD", "ZS"]
    assert heat.symbols(found, ["a", "b"], "by name")[2].skills == (None, 0.3)
