"""One file about many runs: the summary, what it holds, what it leaves sealed, and its pictures."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from engine import page
from engine.errors import NothingToShow, UnknownFamily, UsageError
from engine.records import Spec
from engine.report import Choice, gather, spearman
from engine.report_page import command, parts
from engine.store import Store
from engine.workspace import Workspace
from tests.conftest import ROOT
from tests.engine.store_folders import T0, Run, finished


@pytest.fixture(scope="module")
def many(tmp_path_factory, empty_database):
    workspace = Workspace(tmp_path_factory.mktemp("w"))
    shutil.copy(empty_database, workspace.database)
    for number in range(1, 7):
        config = {"train": {"lr": 10.0**-number, "optimizer": "adamw"}, "data": {"context": 512, "horizon": 64}}
        run = finished(workspace, f"toto-{number:04d}", 0.5 + number / 100, config=config)
        run.forecasts([0.5 + number / 10 + 0.01 * (day % 3) for day in range(10)], symbols=("ARM", "JD"))
        run.evaluate("test", pct_mae=0.777)
    failed = Run(workspace, "exec-0007", tags=["odd"], data=None)
    failed.start()
    failed.event("failed", cause="NaN at step 3 <b>")
    (failed.folder / "log.txt").write_text("one\ntwo & three\n")
    failed.end(1)
    Store(workspace).catch_up().check()
    return workspace


def test_it_tells_everything_once(many):
    report = gather(many, Choice())
    assert [len(report.runs), len(report.boards), report.boards[0].best.id] == [7, 1, "toto-0001"]
    (impact,) = report.impact
    assert (impact.name, impact.rho) == ("train.lr", pytest.approx(-1.0))
    assert impact.middles[0] == ("0.1", 1, 0.51)
    assert list(report.bands) == ["ARM: skill +0.133"]
    html = page.html("r", parts(report, many.runs, pictures=True))
    for words in (
        "toto-0001 beats the naive forecast", "synthetic", "its error there is flattered", "1 of 7 runs failed",
        "engine export toto-0001", "NaN at step 3 &lt;b&gt;", "two &amp; three", "train.lr", "worse, p &lt; 0.001",
        "git checkout " + "a" * 40, "engine run toto --preset small", "60 min of CPU", "torch==2.13.0",
    ):  # fmt: skip
        assert words in html, words
    assert "0.777" not in html, "a test result that nobody revealed"
    assert html.count("<svg") == 4
    wellformed(html)
    text = page.terminal(parts(report, many.runs, pictures=False))
    assert "exec-0007" in text
    assert "0.777" not in text
    markdown = page.markdown(parts(report, many.runs, pictures=False))
    assert "# Report: all runs" in markdown
    assert "**toto-0001 beats" in markdown


def test_which_runs(many):
    chosen = gather(many, Choice(("toto-0002", "toto-0003")))
    assert ([run.id for run in chosen.runs], chosen.boards[0].best.id) == (["toto-0002", "toto-0003"], "toto-0002")
    assert [run.id for run in gather(many, Choice(tag="odd")).runs] == ["exec-0007"]
    assert len(gather(many, Choice(family="toto")).runs) == 6
    assert [run.id for run in gather(many, Choice(since=T0 + 6)).runs] == ["toto-0006", "exec-0007"]
    odd = page.markdown(parts(gather(many, Choice(tag="odd")), many.runs, pictures=False))
    assert "No run has a result yet." in odd
    assert " from 1 run." in odd
    assert (chosen.choice.words, Choice(("a",) * 9).words) == ("toto-0002, toto-0003", "9 chosen runs")
    with pytest.raises(UnknownFamily, match="Did you mean toto"):
        gather(many, Choice(family="totp"))
    with pytest.raises(UsageError, match="Did you mean odd"):
        gather(many, Choice(tag="od"))
    with pytest.raises(NothingToShow, match="all runs since"):
        gather(many, Choice(since=T0 + 100))


def test_the_command_that_makes_it_again():
    spec = Spec(
        family="toto", command=("x",), cwd="/", config={"train": {"seed": 3}}, preset="tiny", gpus=1, seed=3,
        changed={"train.lr": 1e-3, "data.unseen": ["A B", "C"], "train.ema": True},
    )  # fmt: skip
    assert command(spec) == (
        "engine run toto --preset tiny --gpus 1 --set train.lr=0.001 --set 'data.unseen=A B,C' --set train.ema=true "
        "--set train.seed=3"
    )
    assert command(Spec(family="exec", command=("python", "a b.py"), cwd="/")) == "engine exec -- python 'a b.py'"


def test_rank_correlation():
    assert spearman([(1, 1), (2, 8), (3, 27)]) == pytest.approx(1.0)
    assert spearman([(1, 3), (2, 2), (2, 2), (9, 1)]) == pytest.approx(-1.0)
    assert spearman([(1, 1), (1, 2)]) is None


def test_without_matplotlib_one_line_says_what_to_do(many, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "matplotlib.py").write_text("raise ImportError('not here')\n")
    env = {**os.environ, "ENGINE_HOME": str(many.root), "PYTHONPATH": f"{broken}{os.pathsep}{ROOT}"}
    code = "import sys; from engine.cli.main import run; sys.exit(run(['report', '--html']))"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "engine: Pictures need matplotlib (not here): pip install 'paddock[report]'. --md does without.\n"
    )


def test_an_exported_run_shows_its_test_results(many):
    """The last one: it exports a run of the others."""
    Run.order(Folder(many.run("toto-0001")), "promote", "checkpoints/step-000100")
    Store(many).catch_up(everything=True).check()
    text = page.terminal(parts(gather(many, Choice()), many.runs, pictures=False))
    assert "On test data it has an error of 0.777 %, the naive forecast 0.588 %" in text


class Folder:
    """A run folder that is there already, for Run's own writers."""

    def __init__(self, folder) -> None:
        self.folder = folder


def wellformed(html: str) -> None:
    """Every element is closed by its own end, but for those that have none."""
    stack: list[str] = []

    class Look(HTMLParser):
        def handle_starttag(self, tag, attrs) -> None:
            if tag not in ("meta", "br"):
                stack.append(tag)

        def handle_startendtag(self, tag, attrs) -> None:
            pass

        def handle_endtag(self, tag) -> None:
            assert stack.pop() == tag

    Look().feed(html)
    assert stack == []
