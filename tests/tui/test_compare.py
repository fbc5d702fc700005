"""Runs side by side at the screen: a real engine and its real database, curves from the folders, code from git."""

from __future__ import annotations

import json
import subprocess

import pytest
from msgspec.structs import replace

from engine.codediff import code_diff
from engine.compare import Comparison, Metric, spec_of
from engine.errors import EngineError
from engine.select import leaderboards
from engine.store import Store
from engine.store_sql import ask
from engine.workspace import Workspace
from tests.conftest import Box
from tests.engine.store_folders import Run, finished
from tests.engine.test_cli import Cli, cli  # noqa: F401 - a fixture
from tests.tui.pilot import SIZES, travel
from tests.tui.recorded import RecordedEngine, no_gpu
from tui import behind, compare
from tui.answers import Wish as Ranked
from tui.answers import put_beside, rank
from tui.overlay import Overlay, errors, logged, losses
from tui.present import plain
from tui.screens.choose import ChooseScreen
from tui.screens.compare import CompareScreen
from tui.screens.diff import DiffScreen, lines
from tui.widgets.chart import Chart, View


def git(folder, *command: str) -> str:
    names = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *names, *command], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def two(box: Box) -> Box:
    """Two runs of two commits of a repository, the second with a change that was never committed; an engine."""
    code = box.workspace.root / "code"
    code.mkdir()
    git(code, "init", "-q", "-b", "main")
    commits = []
    for text in ("lr = 1\nsteps = 2\n", "lr = 1\nsteps = 3\n"):
        (code / "train.py").write_text(text)
        git(code, "add", "train.py")
        git(code, "commit", "-q", "-m", "more")
        commits.append(git(code, "rev-parse", "HEAD").strip())
    (code / "train.py").write_text("lr = 1\nsteps = 3\nwarm = 9\n")
    patch = git(code, "diff", "HEAD")
    git(code, "checkout", "-q", "--", "train.py")
    for number, (commit, lr, value) in enumerate(zip(commits, (3e-4, 1e-3), (0.5, 0.6), strict=True), 1):
        config = {"train": {"lr": lr, "batch": 64}, "data": {"context": 512, "horizon": 64}}
        run = finished(box.workspace, f"toto-000{number}", value, config=config,
                       git={"commit": commit, "branch": "main", "dirty": number == 2, "patch_sha": ""})  # fmt: skip
        run.spec(cwd=str(code), config=config, git={"commit": commit, "branch": "main", "dirty": number == 2})
        run.forecasts([value + 0.01 * (day % 3) for day in range(20)], symbols=("ARM", "JD"))
        if number == 2:
            (run.folder / "code.patch").write_text(patch)
    assert box.client
    return box


def test_compare_two_runs_look_at_the_code_sort_remove(two, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    async def way(journey):
        await journey.known()
        await journey.press("4")
        await journey.sees("Mark two runs or more with space, in 2 runs or 5 best.")
        journey.app.marked = frozenset({"toto-0001", "toto-0002"})
        await journey.press("1", "c")
        screen = journey.app.screen
        assert isinstance(screen, CompareScreen)
        await journey.until(lambda: screen.found.found is not None, "for the comparison", 60)
        await journey.sees("0.500 ★", "+15.0 % ★", "worse, p < 0.001", "train.lr", "0.0003", "0.001", "ARM")
        assert "train.batch" not in journey.text()
        await journey.press("u")
        await journey.sees("train.batch", "What differs, and what does not")
        chart = screen.query_one("#loss", Chart)
        await journey.until(lambda: {c.name for c in chart.picture.curves} == {"toto-0001", "toto-0002"}, "for curves")
        roles = {curve.name: curve.role for curve in chart.picture.curves}
        assert len(set(roles.values())) == 2
        other = screen.query_one("#error", Chart)
        await journey.press("left", "left", "plus")
        assert chart.view == other.view
        assert chart.view.at is not None
        assert chart.view.window is not None
        await journey.press("escape", "escape")
        assert chart.view == other.view == View()
        await journey.press("m")
        await journey.sees("Draw what beside the loss?", "as usual")
        await journey.press("down", "enter")
        (first, *_) = logged(screen._curves)
        await journey.until(lambda: other.picture.title == first, "for another metric")
        assert {curve.name for curve in other.picture.curves} == {"toto-0001", "toto-0002"}
        await journey.press("m", "up", "enter")
        await journey.until(lambda: other.picture.title == "val pct_mae", "for the usual one")

        assert [side.run for side in screen.table.rows] == ["toto-0001", "toto-0002"]
        await journey.press("less_than_sign")  # the last metric
        await journey.until(lambda: screen._sort == compare.metrics_shown(screen.found.found)[-1])
        await journey.press("greater_than_sign", "greater_than_sign", "greater_than_sign")
        await journey.sees("val_skill ▲")
        await journey.press("home", "down", "F")
        await journey.until(lambda: screen.runs == ("toto-0002", "toto-0001"), "for another first")
        await journey.until(lambda: screen.found.runs == screen.runs, "for the comparison anew")
        await journey.sees("better, p < 0.001")

        await journey.press("d")
        await journey.until(lambda: isinstance(journey.app.screen, DiffScreen), "for the diff")
        await journey.sees("-steps = 3", "+steps = 2", "-warm = 9", "train.lr")
        await journey.press("escape", "E")
        await journey.until(lambda: isinstance(journey.app.screen, ChooseScreen))
        await journey.press("down", "enter")
        written = await journey.until(lambda: list(tmp_path.glob("compare-*.html")), "for the file", 60)
        await journey.until(lambda: written[0].read_text().startswith("<!doctype html>"))
        await journey.press("delete")
        await journey.until(lambda: len(journey.app.marked) == 1)
        await journey.sees("One run is marked.")

    travel(two.workspace, way, (130, 34))


@pytest.mark.parametrize("size", SIZES[2:])
def test_of_nine_marked_the_first_eight_are_compared(workspace, size):
    marked = [f"toto-{number:04d}" for number in range(1, 10)]
    for run in marked:
        Run(workspace, run).logs(20)
    Store(workspace).catch_up().check()

    async def way(journey):
        journey.app.marked = frozenset(marked)
        await journey.known()
        await journey.press("4")
        await journey.sees("8 runs of 9 marked: 8 at most are compared", "toto-0001", "toto-0008")
        assert "toto-0009" not in journey.text()
        screen = journey.app.screen
        await journey.until(lambda: screen.found.found is not None, "for the comparison", 60)
        await journey.sees("Nothing differs in config, code, environment and data")
        if size[0] < 100:
            await journey.press("v")
        chart = screen.query_one("#error", Chart)
        await journey.until(lambda: len(chart.picture.curves) == 8, "for the curves")
        with open(workspace.run("toto-0003") / "metrics.jsonl", "a") as file:
            file.write(json.dumps({"t": 1.0, "step": 50, "val_pct_mae": 0.25}) + "\n")
        screen._read_curves()
        await journey.until(
            lambda: any(c.name == "toto-0003" and c.ys[-1] == 0.25 for c in chart.picture.curves), "for what is new"
        )

    with RecordedEngine(workspace, [], no_gpu(1.0)):
        travel(workspace, way, size)


# -- pure parts -------------------------------------------------------------------------------------------------------


def test_the_same_diff_on_the_command_line(two, cli: Cli):  # noqa: F811
    found = cli("compare", "2", "1", "--code")
    assert (found.code, "+steps = 2" in found.out, "-warm = 9" in found.out) == (0, True, True)
    assert git(two.workspace.root / "code", "status", "--porcelain") == ""
    assert "takes two runs or more" in cli("compare", "1", "--code").err


def test_code_that_cannot_be_had_is_said(workspace):
    first, second = Run(workspace, "toto-0001"), Run(workspace, "toto-0002", git=None)
    one, other = spec_of(workspace, first.id), spec_of(workspace, second.id)
    with pytest.raises(EngineError, match="toto-0002: its code was in no git repository"):
        code_diff(workspace, one, other)
    assert code_diff(workspace, one, one) == ""
    third = Run(workspace, "toto-0003", git={"commit": "b" * 40})
    with pytest.raises(EngineError, match="No repository at hand has the code of toto-0001 and toto-0003"):
        code_diff(workspace, one, spec_of(workspace, third.id))


def test_a_diff_says_when_it_is_cut_and_when_nothing_differs(monkeypatch):
    monkeypatch.setattr("tui.screens.diff.MOST", 2)
    text = ["".join(part for part, _ in line) for line in lines("a", "b", [], "@@ -1 +1 @@\n-x\n+y\n+z\n", "")]
    assert text[-1] == "… 2 more lines: engine compare a b --code"
    assert "Nothing differs in config, environment and data." in text
    same = ["".join(part for part, _ in line) for line in lines("a", "b", [], "", "")]
    assert same[-1] == "Both ran the same code."


def test_which_runs_are_compared_and_where_each_stands(workspace):
    assert compare.chosen(frozenset("cab"), "bx") == ("b", "a", "c")
    assert len(compare.chosen(frozenset("abcdefghij"), "")) == 8
    finished(workspace, "toto-0001", 0.6)
    finished(workspace, "toto-0002", 0.5)
    Run(workspace, "toto-0003")
    Store(workspace).catch_up().check()
    runs = ("toto-0001", "toto-0002", "toto-0003")
    found = put_beside(workspace, runs)
    assert found.behind, "no engine has brought the database up to date"
    order = [side.run for side in compare.sides(found, runs, {}, {}, "val_pct_mae")]
    assert order == ["toto-0002", "toto-0001", "toto-0003"]
    assert [side.run for side in compare.sides(found, runs, {}, {}, "val_skill")] == order
    second = compare.sides(found, runs, {}, {}, "")[1]
    assert plain(compare.metric(second, "val_pct_mae")) == "0.500 ★"
    assert plain(compare.metric(second, "val_nothing")) == "–"
    assert compare.settings(found, (*runs, "toto-0009"), equal=True) == [], "nothing under the wrong run meanwhile"
    assert compare.metric_of("val_skill ▲") == "val_skill"
    assert compare.metric_of("FAMILY") == ""
    assert "There is no run" in put_beside(workspace, ("toto-0001", "toto-0009")).trouble


def test_each_run_keeps_its_colour_and_naive_is_a_level(workspace):
    for run in ("toto-0001", "toto-0002"):
        Run(workspace, run).logs(30)
    Run(workspace, "toto-0003").log(5, val_pct_mae=0.5, val_naive_pct_mae=0.6)
    reader = Overlay(workspace.runs)
    curves = reader.read(["toto-0001", "toto-0002"], "step", True)
    assert reader.read(["toto-0001", "toto-0002"], "step", True) is curves, "nothing new: the same again"
    picture = losses(curves, {"toto-0001": "run 1", "toto-0002": "run 2"}, log=True)
    assert [(curve.name, curve.role, curve.quiet) for curve in picture.curves if not curve.quiet] == [
        ("toto-0001", "run 1", False), ("toto-0002", "run 2", False),
    ]  # fmt: skip
    assert sum(curve.quiet for curve in picture.curves) == 2
    three = reader.read(["toto-0001", "toto-0003"], "step", False)
    drawn = errors(three, {"toto-0001": "run 1", "toto-0003": "run 3"}).curves
    assert (drawn[0].name, drawn[0].dotted, list(drawn[0].ys)) == ("naive", True, [0.6])
    assert errors(reader.read([], "step", False), {}).curves == ()


def test_an_axis_that_not_every_run_has_is_told(workspace):
    """Tokens of one, values seen of another, neither of a third, which logs no epochs either."""
    runs = ("toto-0001", "toto-0002", "toto-0003")
    first, second, third = (Run(workspace, run) for run in runs)
    for step in (1, 2, 3):
        first.log(step, loss=1 / step, tokens=1000 * step, epoch=step / 3)
        second.log(step, loss=1 / step, points_per_s=512.0, steps_per_s=2.0, epoch=step / 3)
        third.log(step, loss=1 / step, epoch=None)
    reader, roles = Overlay(workspace.runs), dict.fromkeys(runs, "ours")
    both = losses(reader.read(runs[:2], "tokens", False), roles, log=False)
    assert [list(curve.xs) for curve in both.curves] == [[1000, 2000, 3000], [256, 512, 768]]
    assert (both.x_name, both.title) == ("tokens or values seen", "loss")
    found = losses(reader.read(runs[1:], "tokens", True), roles, log=False)
    assert (found.x_name, found.title) == ("values seen", "loss · toto-0003: no tokens or points_per_s")
    assert [curve.name for curve in found.curves] == ["toto-0002"]
    assert losses(reader.read(runs, "epoch", False), roles, log=False).title == "loss · toto-0003: no epochs"
    alone = reader.read(runs[2:], "tokens", False)
    for picture in (losses(alone, roles, log=False), errors(alone, roles)):
        assert picture.empty == "no run logs tokens or points_per_s: i goes on to the next x axis"
    assert losses(reader.read(runs, "step", False), roles, log=False).x_name == "step"


def test_the_sql_behind_gives_the_same_runs_in_the_same_order(workspace: Workspace):
    other = {"path": "other", "fingerprint": "e" * 32, "files": 1, "bytes": 5, "synthetic": False}
    for number, value in enumerate((0.6, 0.5, 0.55), 1):
        finished(workspace, f"toto-000{number}", value)
    finished(workspace, "kronos-0004", 0.52)
    finished(workspace, "toto-0005", 0.1, data=other)
    finished(workspace, "toto-0006", 0.2).order("archive")
    finished(workspace, "toto-0007", 0.2, windows=7)
    Store(workspace).catch_up().check()
    for metric in ("val_pct_mae", "val_skill", "loss"):
        for family in ("", "toto") if metric == "val_pct_mae" else ("",):
            for board in leaderboards(workspace.database, metric, None, family or None):
                asked = ask(workspace.database, behind.of_board(board, family))
                assert asked.names[2] == metric
                assert [row[0] for row in asked.rows] == [row.id for row in board.rows if not row.is_naive]
    answer = ask(workspace.database, behind.of_runs(["toto-0001", "toto-0002"]))
    assert answer.names == ["metric", "toto-0001", "toto-0002"]
    assert ("val_pct_mae", 0.6, 0.5) in answer.rows
    found = rank(workspace, Ranked(metric="val_nothing"))
    assert found.trouble.startswith("No run has the metric 'val_nothing'")


def test_names_of_runs_and_their_own_metrics_come_before_those_of_naive():
    names = ("val_crps", "val_naive_mase", "val_naive_pct_r2", "val_pct_mae", "val_pct_rmse", "val_skill")
    metrics = tuple(Metric(name, (0.5, 0.6), 0) for name in names)
    found = Comparison(("toto-0001", "toto-0002"), ("", "a longer name"), ("ok", "ok"), (), metrics, {}, {}, {})
    shown = ["val_pct_mae", "val_skill", "val_crps", "val_pct_rmse", "val_naive_mase", "val_naive_pct_r2"]
    assert compare.metrics_shown(found) == shown
    rows = [compare.Side(run, i, "text", name, "toto", "ok", (), frozenset(), ())
            for i, (run, name) in enumerate(zip(found.runs, found.names, strict=True), 1)]  # fmt: skip
    assert [compare.named(rows, width) for width in (80, 120, 200)] == [14, 14, len("toto-0002  a longer name")]
    assert compare.named([replace(rows[0], name="n" * 99)], 250) == compare.NAMED
    assert compare.named(rows[:1], 250) == 14
    assert "toto-0002  a longer name" in plain(compare.columns(found, "", 200, 24)[1].fill(rows[1], 0.0))
