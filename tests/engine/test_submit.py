"""What submit writes into a run's spec, and what it refuses before anything is queued."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadField, DataError, UnknownFamily, UsageError
from engine.messages import ShowRun
from engine.submit import Wishes, check, check_data, has_data, parse_sets, submit_command, submit_family
from tests.conftest import CHARACTERS, Box


def prices(folder: Path) -> None:
    folder.mkdir(parents=True)
    rows = "".join(f"2024-01-{day:02d},{100 + day}\n" for day in range(1, 29))
    (folder / "ABC.csv").write_text(f"date,close\n{rows}")


def test_a_family_run_has_its_whole_config_and_where_it_comes_from(box: Box):
    root = box.workspace.root
    subprocess.run(["git", "init", "-q", "-b", "trunk", root], check=True)
    prices(box.workspace.data)
    wishes = Wishes(
        name="n", tags=("b", "a", "b"), note="why", gpus=0, priority=2, hold=True, environ={"SECRET_TOKEN": "x"}
    )
    sets = {"train.lr": "3e-4", "train.seed": "11"}
    row = submit_family(box.client, box.workspace, "toto", sets=sets, wishes=wishes)
    assert (row.id, row.state, row.tags, row.what) == ("toto-0001", "held", ("b", "a"), "lr 0.0003 seed 11")
    spec = box.client.call(ShowRun(row.id)).spec
    assert spec.command == (sys.executable, "-m", "trainers", "toto", "{run}")
    assert spec.cwd == str(root)
    assert (spec.preset, spec.seed, spec.changed) == ("tiny", 11, {"train.lr": 3e-4, "train.seed": 11})
    assert spec.config["train"]["lr"] == 3e-4
    assert spec.config["data"]["path"] == "trainingdata"
    assert spec.git is not None
    assert spec.git.branch == "trunk"
    assert spec.data is not None
    assert (spec.data.files, spec.data.synthetic) == (1, False)
    assert "torch" in spec.packages
    assert spec.user
    assert "SECRET_TOKEN" not in (box.workspace.run(row.id) / "spec.json").read_text()


def test_a_command_runs_with_the_environment_that_is_given(box: Box):
    wishes = Wishes(environ={"PATH": "/usr/bin:/bin", "MINE": "here", "ENGINE_RUN": "/elsewhere"})
    row = submit_command(
        box.client, box.workspace, ["sh", "-c", "echo $MINE $ENGINE_RUN"], cwd=Path("/"), wishes=wishes
    )
    box.ended(row.id)
    folder = box.workspace.run(row.id)
    assert (folder / "log.txt").read_text() == f"here {folder}\n"


@pytest.mark.parametrize(
    ("family", "sets", "error"),
    [("totp", {}, UnknownFamily), ("toto", {"train.lr": "much"}, BadField), ("toto", {}, DataError)],
)
def test_what_is_refused_leaves_nothing_behind(box: Box, family, sets, error):
    with pytest.raises(error):
        submit_family(box.client, box.workspace, family, sets=sets)
    assert box.rows() == {}


def test_data_files_are_looked_for(tmp_path: Path):
    folder = tmp_path / "data"
    with pytest.raises(DataError, match=r"does not exist.*engine data import"):
        check_data([str(folder)])
    (folder / ".hidden").mkdir(parents=True)
    (folder / ".hidden" / "x.csv").write_text("")
    (folder / "SYNTHETIC.json").write_text("{}")
    (folder / "README.md").write_text("")
    with pytest.raises(DataError, match="holds no CSV, Parquet or JSON file"):
        check_data([str(folder)])
    (folder / "deeper").mkdir()
    (folder / "deeper" / "A.PARQUET").write_text("")
    check_data([str(folder)])
    assert has_data(folder / "deeper" / "A.PARQUET")
    assert not has_data(folder / "README.md")


def test_sets_are_read():
    assert parse_sets(["a.b=1", " c.d =x=y", "e.f="]) == {"a.b": "1", "c.d": "x=y", "e.f": ""}
    for bad in (["a.b"], ["=1"], ["a=1", "a=2"]):
        with pytest.raises(BadField):
            parse_sets(bad)


@given(st.lists(st.text(CHARACTERS, max_size=20), max_size=4))
def test_any_argument_is_read_or_refused(pairs):
    try:
        sets = parse_sets(pairs)
    except BadField:
        return
    assert len(sets) == len(pairs)


def test_wishes_are_checked():
    assert check(Wishes(tags=(" a ", "a", "b"))).tags == ("a", "b")
    for wrong in (Wishes(tags=("",)), Wishes(tags=("a\nb",)), Wishes(gpus=-1), Wishes(name="x" * 201)):
        with pytest.raises(UsageError):
            check(wrong)
