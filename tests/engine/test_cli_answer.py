"""From the leaderboard to a model in use, by the command line: best, compare, report, export, undo, aliases."""

from __future__ import annotations

import csv
import io
import json

import pexpect
import pytest

from engine.store import Store
from tests.conftest import Box
from tests.engine.store_folders import finished
from tests.engine.test_cli import ENGINE, Cli, cli  # noqa: F401 - a fixture

OTHER = {"path": "other", "fingerprint": "e" * 32, "files": 1, "bytes": 5, "synthetic": False}


@pytest.fixture
def models(box: Box) -> Box:
    """Two models on the same data and one on other data, all finished before the engine starts."""
    finished(box.workspace, "toto-0001", 0.50).forecasts([0.5, 0.6, 0.5, 0.6])
    finished(box.workspace, "toto-0002", 0.51).forecasts([0.6, 0.5, 0.6, 0.5])
    finished(box.workspace, "toto-0003", 0.10, data=OTHER)
    return box


def test_from_the_leaderboard_to_a_model_in_use(models: Box, cli: Cli, tmp_path):  # noqa: F811
    root = models.workspace.root
    refused = cli("best")
    assert (refused.code, refused.out) == (2, "")
    assert "2 different data sets" in refused.err
    assert refused.err.count("\n") == 1
    assert [board["rows"][0]["id"] for board in cli("best", "--all-data", "--json").json] == ["toto-0001", "toto-0003"]
    board = cli("best", "--dataset", "trainingdata", "--json").json
    assert [(row["id"], row["tie"]) for row in board["rows"]] == [
        ("toto-0001", False), ("toto-0002", True), ("naive", False),
    ]  # fmt: skip
    assert "2 =  toto-0002" in cli("best", "--dataset", "fff").out
    assert "The first 1 of 2 runs." in cli("best", "--dataset", "fff", "-k", "1").out
    rows = [*csv.DictReader(io.StringIO(cli("best", "--dataset", "fff", "--csv").out))]
    assert [(row["rank"], row["id"], row["metric"]) for row in rows] == [
        ("1", "toto-0001", "val_pct_mae"), ("2", "toto-0002", "val_pct_mae"), ("", "naive", "val_pct_mae"),
    ]  # fmt: skip
    assert {row["fingerprint"] for row in csv.DictReader(io.StringIO(cli("best", "--all-data", "--csv").out))} == {
        board["fingerprint"] for board in cli("best", "--all-data", "--json").json
    }
    shown = cli("best", "--dataset", "fff", "--md").out
    assert shown.startswith("# Best by val_pct_mae\n")
    assert [line.split("|")[2].strip() for line in shown.splitlines() if "| toto-" in line] == [
        "toto-0001",
        "toto-0002",
    ]
    assert cli("best", "--md", "--csv").code == 2

    assert "No difference in code, environment, data." not in cli("compare", "1", "3").out
    assert cli("compare", "2", "1", "--json").json["tests"]["toto-0001"]["origins"] == 4
    assert cli("compare", "1", "2", "--md").out.startswith("# Comparison of toto-0001, toto-0002\n")
    assert cli("compare", "1").code == 2
    assert cli("report", "1", "2", "-o", "r.md", "--md").code == 0
    assert "**toto-0001 beats the naive forecast" in (root / "r.md").read_text()
    assert "<!doctype html>" in cli("report", "--since", "2020-01-01", "--html").out
    assert "expected 30m, 12h" in cli("report", "--since", "soon").err

    first = cli("export", "best", "--dataset", "trainingdata")
    assert (first.code, first.out.strip()) == (0, str(root / "runs/toto-0001/checkpoints/step-000100"))
    assert cli("export", "2", "--alias", "prod", "--to", str(tmp_path / "copy")).out.strip() == str(tmp_path / "copy")
    assert cli("export", "2").code == 0
    back = cli("export", "--undo")
    assert (back.code, "toto-0001 is the model again" in back.err) == (0, True)
    assert (root / ".best_model_path").read_text() == first.out
    gone = cli("export", "--undo", "--alias", "prod")
    assert (gone.code, gone.out, "No model is named any more" in gone.err) == (0, "", True)
    assert "prod" not in cli("aliases").out
    assert "toto-0002 is the model again" in cli("export", "--undo", "--alias", "prod").err
    assert cli("export", "--undo", "--alias", "nobody").code == 7
    named = cli("aliases", "--json").json
    assert [(one["alias"], one["run"]) for one in named["now"]] == [("", "toto-0001"), ("prod", "toto-0002")]
    assert [(line["kind"], line["alias"], line["run"]) for line in named["history"]] == [
        ("undo", "prod", "toto-0002"), ("undo", "prod", ""), ("undo", "", "toto-0001"), ("export", "", "toto-0002"),
        ("alias", "prod", "toto-0002"),
        ("export", "", "toto-0001"),
    ]  # fmt: skip
    assert "prod  toto-0002" in cli("aliases").out
    orders = [line for line in models.lines("toto-0002", "orders.jsonl") if line["order"] == "promote"]
    assert len(orders) == 2
    before = named["history"]
    Store(models.workspace).rebuild()  # the history is lines: it comes back from them
    assert cli("aliases", "--json").json["history"] == before

    assert cli("db", "export", "--parquet", str(tmp_path / "p"), "--json").json
    assert (tmp_path / "p" / "leaderboard.parquet").is_file()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("export",), "Export what?"),
        (("export", "1", "--undo"), "--undo goes back"),
        (("best", "-i", "--json"), "exclude each other"),
        (("best", "--interactive"), "stdin is none"),
        (("best", "--all-data", "--dataset", "x"), "exclude each other"),
        (("compare", "1", "2", "--md", "--html"), "exclude each other"),
        (("report", "1", "--family", "toto"), "not both"),
        (("report", "--html", "--md"), "exclude each other"),
    ],
)
def test_what_excludes_each_other(cli: Cli, args, said):  # noqa: F811
    found = cli(*args)
    assert (found.code, said in found.err, found.err.count("\n")) == (2, True, 1)


def test_a_choice_by_its_number_is_exported(models: Box):
    child = pexpect.spawn(
        ENGINE[0], [*ENGINE[1:], "best", "--dataset", "trainingdata", "-i"], encoding="utf-8", timeout=60
    )
    child.expect(r"Export which\? 1-2, or nothing: ")
    child.sendline("7")
    child.expect("'7' is no place of the list")
    child.sendline("2")
    child.expect("toto-0002 at step 100 is the model of .best_model_path")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    twin = json.loads((models.workspace.root / ".best_model_path.json").read_text())
    assert twin["run"] == "toto-0002"
