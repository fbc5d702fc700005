"""A workspace kept in order: what is hidden, what is counted, what is deleted and what never is."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from engine import freeze, gc, rundir
from engine.cli import main
from engine.messages import Order, Sync
from engine.select import leaderboard
from engine.store import reading
from engine.usage import usage
from tests.conftest import Box
from tests.engine.test_freeze import git, repo  # noqa: F401 - a fixture

SAVES = """
import os
from pathlib import Path
from engine import runlog
here = Path(os.environ["ENGINE_RUN"])
for step, score in ((1, 3.0), (2, 1.0), (3, 2.0), (4, 4.0)):
    folder = here / "checkpoints" / f"step-{step:06d}"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(bytes(8192))
    (folder / "config.json").write_text("{}")
    runlog.event("checkpoint", step=step, path=f"checkpoints/{folder.name}", bytes=8192, metrics={"val_pct_mae": score})
runlog.event("best", step=2, path="checkpoints/step-000002", metric="val_pct_mae", value=1.0)
runlog.log(4, val_pct_mae=1.0)
(here / "checkpoints" / "step-000004" / "state.json").write_text("{}")
(here / "checkpoints" / ".step-000005.123").mkdir()
"""


@pytest.fixture
def saved(box: Box) -> str:
    run_id = box.python(SAVES).id
    assert box.ended(run_id).state == "ok"
    return run_id


def names(box: Box, run_id: str) -> list[str]:
    return sorted(os.listdir(box.workspace.run(run_id) / "checkpoints"))


def cli(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, object]:
    capsys.readouterr()
    code = main.run([*args, "--json"])
    return code, json.loads(capsys.readouterr().out or "null")


def test_gc_shows_first_and_keeps_the_best_and_the_last(box: Box, saved: str, capsys: pytest.CaptureFixture[str]):
    before = names(box, saved)
    code, told = cli(capsys, "gc")
    going = sorted(Path(item["path"]).name for item in told["items"])
    assert (code, going, told["deleted"]) == (0, [".step-000005.123", "step-000001", "step-000003"], False)
    assert names(box, saved) == before
    code, told = cli(capsys, "gc", "--keep-best", "2")
    assert sorted(Path(item["path"]).name for item in told["items"]) == [".step-000005.123", "step-000001"]
    code, told = cli(capsys, "gc", "--yes")
    assert names(box, saved) == ["step-000002", "step-000004"]
    assert told["freed"] == told["bytes"] >= 2 * 8192
    assert [line["value"] for line in box.lines(saved, rundir.ORDERS) if line["order"] == "gc"] == [
        ".step-000005.123, step-000001, step-000003"
    ]
    assert cli(capsys, "gc", "--yes")[1]["items"] == []


def test_what_takes_room_is_counted_and_gc_takes_nothing_of_a_run_that_is_needed(
    box: Box, saved: str, capsys: pytest.CaptureFixture[str]
):
    counted(box, saved, capsys)
    rows = list(box.rows().values())
    row = rows[0]
    from msgspec.structs import replace

    def kept(*rows: object) -> str:
        return gc.plan(box.workspace, rows).kept.get(saved, "")

    assert kept(row) == ""
    assert "resumed" in kept(replace(row, state="stopped"))
    assert kept(replace(row, state="stopped"), replace(row, id=f"{saved}.2", state="ok")) == ""
    assert "running" in kept(replace(row, state="running"))
    assert "needs it" in kept(row, replace(row, id="exec-0099", state="queued", resume_from=saved))
    box.workspace.best.write_text(f"{box.workspace.run(saved)}/checkpoints/step-000001\n")
    assert "exported" in kept(row)
    box.workspace.best.unlink()
    box.call(Order(run=saved, order="promote", value="x"))
    assert "exported" in kept(row)
    (box.workspace.run(saved) / "checkpoints" / "step-000007").symlink_to(box.workspace.root)
    assert all("step-000007" not in str(item.path) for item in gc.plan(box.workspace, rows).items)


def test_gc_takes_leftovers_and_code_that_no_run_needs(box: Box, repo: Path, capsys: pytest.CaptureFixture[str]):  # noqa: F811
    from engine.provenance import git_state

    box.workspace.prepare()
    code = freeze.freeze(box.workspace, repo, *git_state(repo))
    old = box.workspace.runs / ".new-exec-0009"
    young = box.workspace.runs / ".new-exec-0010"
    for place in (old, young):
        place.mkdir()
    os.utime(old, (time.time() - 7200,) * 2)
    items = {item.path for item in gc.plan(box.workspace, list(box.rows().values())).items}
    assert items == {old, freeze.folder(box.workspace, code)}
    assert cli(capsys, "gc", "--yes")[0] == 0
    assert not old.exists()
    assert not freeze.folder(box.workspace, code).exists()
    assert [*box.workspace.code.iterdir()] == []


def counted(box: Box, saved: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every byte once, whoever links to it."""
    other = box.workspace.run("exec-0002")
    (other / "checkpoints").mkdir(parents=True)
    os.link(box.workspace.run(saved) / "checkpoints/step-000001/model.safetensors", other / "checkpoints" / "linked")
    (other / rundir.LOG).write_bytes(b"x" * 10_000)
    told = cli(capsys, "du")[1]
    first, second = told["runs"]
    assert first["run"] == saved
    assert first["checkpoints"] >= 4 * 8192
    assert (second["checkpoints"], second["shared"]) == (0, 8192)
    assert second["log"] >= 10_000
    assert {one["run"] for one in told["others"]} == {"frozen code", "samples", "database", "engine"}
    assert [one.run for one in usage(box.workspace, [saved])[0]] == [saved]
    assert main.run(["du"]) == 0
    assert saved in capsys.readouterr().out


def test_archived_runs_are_hidden_and_come_back(box: Box, saved: str, capsys: pytest.CaptureFixture[str]):
    live = box.python("import time\ntime.sleep(600)").id
    assert cli(capsys, "archive", saved)[0] == 0
    assert main.run(["archive", live]) == 2
    assert "only an ended run" in capsys.readouterr().err
    assert [row["id"] for row in cli(capsys, "ls", "--all")[1]] == [live]
    assert [row["id"] for row in cli(capsys, "ls", "--archived")[1]] == [saved]
    box.call(Sync())
    assert leaderboard(box.workspace.database).best is None
    with reading(box.workspace.database) as con:
        assert con.execute("SELECT archived FROM runs ORDER BY id").fetchall() == [(True,), (None,)]
    assert cli(capsys, "unarchive", saved)[1][0]["archived"] is False
    assert saved in [row["id"] for row in cli(capsys, "ls")[1]]
    box.call(Sync())
    assert leaderboard(box.workspace.database).best.id == saved
    box.call(Order(run=live, order="kill"))
