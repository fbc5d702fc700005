"""Several attempts shown as one run: the curve with its seams, the list, and everything about one of them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cli.main import run as cli
from engine.lineage import Lineage, attempts
from engine.messages import Retry
from tests.conftest import Box


def write(folder: Path, *steps: int, t: float = 0.0, **more: float) -> Path:
    folder.mkdir(exist_ok=True)
    lines = [{"t": t + step, "step": step, "epoch": step / 10, "loss": 100.0 * t + step, **more} for step in steps]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_what_was_done_again_is_shown_once(tmp_path: Path):
    folders = [
        write(tmp_path / "a", *range(1, 8), t=0),
        tmp_path / "never started",
        write(tmp_path / "b", *range(5, 9), t=1000, val=2.0),
    ]
    joined = Lineage(folders)
    assert joined.refresh()
    assert not joined.refresh()
    assert joined.names() == ["loss", "val"]
    xs, ys = joined.points("loss")
    assert list(xs) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert list(ys) == [1, 2, 3, 4, 100_005, 100_006, 100_007, 100_008]
    assert joined.seams() == [5]
    assert joined.seams("epoch") == [0.5]
    # no pause between the attempts: the second begins where what is kept of the first ends
    assert list(joined.points("loss", "time")[0]) == [0, 1, 2, 3, 3, 4, 5, 6]
    assert joined.seams("time") == [3]
    assert list(joined.points("val")[0]) == [5, 6, 7, 8]
    assert joined.last("loss") == 100_008
    assert math.isnan(joined.last("nothing"))


def test_an_attempt_from_the_start_stands_alone(tmp_path: Path):
    joined = Lineage([write(tmp_path / "a", *range(1, 8)), write(tmp_path / "b", 1, 2, t=50)])
    joined.refresh()
    assert list(joined.points("loss")[0]) == [1, 2]
    assert joined.seams() == []


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=5))
def test_steps_rise_whatever_the_attempts_did(tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[int, int]]):
    root = tmp_path_factory.mktemp("runs")
    folders = [write(root / str(at), *range(first, first + count)) for at, (first, count) in enumerate(parts)]
    joined = Lineage(folders)
    joined.refresh()
    xs = list(joined.points("loss")[0])
    assert xs == sorted(set(xs))
    first, count = parts[-1]
    assert xs[-count:] == list(range(first, first + count))  # of the last attempt nothing is left out
    seams = joined.seams()
    assert seams == sorted(seams)
    assert set(seams) <= {first for first, _ in parts[1:]}


def test_the_attempts_of_an_id():
    assert attempts("toto-0007") == ("toto-0007",)
    assert attempts("toto-0007.3") == ("toto-0007", "toto-0007.2", "toto-0007.3")


def test_a_list_shows_the_last_attempt_and_show_all_of_them(box: Box, capsys: pytest.CaptureFixture[str]):
    code = "import os, sys; sys.exit(os.environ['ENGINE_ATTEMPT'] == '1')"
    first = box.python(code, gpus=0).id
    box.ended(first)
    second = box.call(Retry(run=first)).row.id
    box.ended(second)
    assert box.row(first).later == second
    assert cli(["ls", "--json"]) == 0
    assert [row["id"] for row in json.loads(capsys.readouterr().out)] == [second]
    assert cli(["ls"]) == 0
    assert "attempt 2" in capsys.readouterr().out
    assert cli(["ls", "--attempts", "--json"]) == 0
    assert [row["id"] for row in json.loads(capsys.readouterr().out)] == [first, second]
    assert cli(["show", first]) == 0
    told = capsys.readouterr().out
    assert f"> {first}    failed, exit code 1" in told
    assert f"  {second}  ok" in told
    box.crash()
    assert box.row(first).later == second
