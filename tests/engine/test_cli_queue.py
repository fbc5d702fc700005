"""The life of a queue at the command line: pauses, moves, times, chains, what is needed, rehearsals, waiting."""

from __future__ import annotations

import os
import subprocess

import pytest

from engine import rundir
from engine.messages import ShowRun
from tests.conftest import Box, alive, stopped, wait_for
from tests.engine.test_cli import BLOCK, Cli, cli, queue

__all__ = ["cli"]

TICKING = "trap 'echo saved; exit 0' TERM; while [ ! -e go ]; do date +%s%N > tick; sleep 0.02; done"


def state_of(box: Box) -> dict[str, bytes]:
    """Every order and spec there is, to see that nothing was changed."""
    return {str(path): path.read_bytes() for path in box.workspace.runs.rglob("*.json*") if "host" not in path.parts}


def test_a_paused_run_keeps_its_slot_over_a_restart_and_goes_on(cli: Cli, box: Box):
    run_id = queue(cli, "sh", "-c", TICKING)
    pid = box.state(run_id, "running").pid
    said = cli("pause", run_id, "--why", "needs the memory bus")
    assert said.code == 0
    assert said.err == f"engine: {run_id}: paused; it keeps CPU until it goes on or is stopped.\n"
    row = box.state(run_id, "paused")
    wait_for(lambda: stopped(pid))
    assert "paused by you since" in row.reason
    assert "keeps its devices and their memory" in row.reason
    assert cli("pause", run_id).code == 2
    box.crash()
    assert box.row(run_id).state == "paused"
    assert "paused by you since" in cli("show", run_id).out
    assert cli("resume", run_id, "--json").json[0]["id"] == run_id
    row = box.state(run_id, "running")
    assert row.paused > 0
    assert "in pause" in cli("show", run_id).out
    wait_for(lambda: not stopped(pid))
    assert "only a paused run can go on" in cli("resume", run_id).err
    cli("pause", run_id)
    box.state(run_id, "paused")
    assert cli("stop", run_id).code == 0
    assert box.ended(run_id).state == "stopped"
    assert "saved" in cli("logs", run_id).out, "a paused run hears that it shall end"


def test_a_paused_queue_starts_nothing_and_moves_hold_over_a_restart(cli: Cli, box: Box):
    running = queue(cli, "sh", "-c", BLOCK)
    box.state(running, "running")
    assert cli("pause").err.startswith("engine: the queue is paused since ")
    waits = queue(cli, "true")
    assert box.row(waits).reason.startswith("the queue is paused since ")
    assert "paused since" in cli("status").out
    assert "the queue is paused since" in cli("ls").err
    ids = [waits, *(queue(cli, "true") for _ in range(3))]
    assert cli("move", ids[3], "top").err == f"engine: {ids[3]}: place 1.\n"
    assert cli("move", ids[0], "down").code == 0
    assert cli("move", ids[0], "sideways").code == 2
    assert cli("move", ids[3], "up").err == f"engine: {ids[3]} is first in the queue already.\n"
    box.crash()
    rows = sorted((row for row in box.rows().values() if row.place), key=lambda row: row.place)
    assert [row.id for row in rows] == [ids[3], ids[1], ids[0], ids[2]]
    assert box.row(waits).state == "queued"
    assert cli("pause").err == "engine: The queue is paused already.\n"
    assert box.row(running).state == "running"
    assert cli("resume", "--json").json["queue_paused"] is None
    assert box.ended(waits).state == "ok"
    assert [line["order"] for line in rundir.read(box.workspace.queue)] == ["pause", "resume"]
    assert cli("resume").code == 2
    (box.workspace.root / "go").touch()


def test_hold_begin_and_limit_are_told_as_reasons_and_causes(cli: Cli, box: Box):
    held = queue(cli, "true", options=("--hold",))
    assert box.row(held).reason.startswith("held by you since ")
    later = cli("exec", "--begin", "+2h", "true")
    assert ": begins at " in later.err
    assert cli("exec", "--begin", "later", "true").code == 2
    assert cli("exec", "--limit", "8", "true").code == 2
    assert len(box.rows()) == 2, "what is refused is not queued"
    run_id = queue(cli, "sh", "-c", TICKING, options=("--limit", "0.3s"))
    row = box.ended(run_id)
    assert (row.state, row.reason) == ("stopped", "time limit of 0.3 s")
    kept = cli("sql", f"select state, cause from run_summary where id = '{run_id}'", "--json").json
    assert kept == [{"state": "stopped", "cause": "time limit"}], "the database says the same"
    assert "saved" in cli("logs", run_id).out


def test_what_a_run_was_queued_with_is_changed_while_it_waits(cli: Cli, box: Box):
    run_id = queue(cli, "sh", "-c", TICKING, options=("--begin", "+9h", "--limit", "1h"))
    assert cli("change", run_id).code == 2
    assert cli("change", run_id, "--limit", "8").code == 2
    assert "limit" in cli("change", run_id, "--limit", "none", "--dry-run").err
    assert box.row(run_id).limit == 3600.0, "a rehearsal changes nothing"
    assert cli("change", run_id, "--limit", "0.3s", "--priority", "3").code == 0
    row = box.row(run_id)
    assert (row.limit, row.priority, row.state) == (0.3, 3, "queued")
    assert "begins when it is its turn" in cli("change", run_id, "--begin", "now").err
    assert box.ended(run_id).reason == "time limit of 0.3 s"
    assert cli("change", run_id, "--begin", "+1h").code == 2
    assert box.call(ShowRun(run_id)).spec.limit == 0.3


def test_a_run_that_hangs_is_ended_and_tried_again(cli: Cli, box: Box):
    assert cli("exec", "--hang", "0", "true").code == 2
    code = "[ $ENGINE_ATTEMPT = 2 ] || exec sleep 300"
    run_id = queue(cli, "sh", "-c", code, options=("--hang", "0.5s", "--retry", "1", "--retry-wait", "1s"))
    row = box.ended(run_id)
    assert (row.state, row.cause) == ("stopped", "hang")
    assert row.reason.startswith("hung: it wrote nothing for ")
    assert box.call(ShowRun(run_id)).cause.facts["hang"] == 0.5
    wait_for(lambda: f"{run_id}.2" in box.rows())
    second = box.ended(f"{run_id}.2")
    assert (second.state, second.because) == ("ok", "hang")
    told = cli("sql", f"select state, cause from run_summary where id = '{run_id}'", "--json").json
    assert told == [{"state": "stopped", "cause": "hung"}]


def test_after_any_and_a_chain_redone(cli: Cli, box: Box):
    first = queue(cli, "sh", "-c", "test -e go")
    box.ended(first)
    any_end = queue(cli, "true", options=("--after-any", first))
    assert box.ended(any_end).state == "ok"
    second = queue(cli, "true", options=("--after", first))
    third = queue(cli, "true", options=("--after", second))
    assert "which failed" in box.row(second).reason
    cli("stop", second)
    assert "which was stopped" in box.row(third).reason
    (box.workspace.root / "go").touch()
    assert cli("exec", "--after-any", "exec-0099", "true").code == 2
    plain = cli("retry", first, "--cascade", "--dry-run", "--json")
    assert [row["id"] for row in plain.json] == [f"{first}.2", f"{second}.2"]
    assert cli("retry", first, "--cascade").out.split() == [f"{first}.2", f"{second}.2"]
    for run_id in (f"{first}.2", f"{second}.2", third):
        assert box.ended(run_id).state == "ok"
    assert box.lines(f"{second}.2", rundir.LIFECYCLE)[0]["t"] >= box.row(f"{first}.2").ended


def test_a_run_that_is_not_needed_is_not_queued(cli: Cli, box: Box):
    root = box.workspace.root
    refused = cli("exec", "--needed", "true")
    assert refused.code == 2
    assert "--needed: its folder has no commit" in refused.err
    for command in (
        ("init", "-q"),
        ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"),
    ):
        subprocess.run(["git", "-C", str(root), *command], check=True)
    bad = queue(cli, "sh", "-c", "test -e go", options=("--needed",))
    assert box.ended(bad).state == "failed"
    (root / "go").touch()
    (root / ".git" / "info" / "exclude").write_text("go\n")
    good = queue(cli, "sh", "-c", "test -e go", options=("--needed",))
    assert good != bad
    box.ended(good)
    said = cli("exec", "--needed", "--", "sh", "-c", "test -e go")
    assert (said.code, said.out) == (0, f"{good}\n")
    assert f"not needed: {good} is the same and ended well" in said.err
    assert queue(cli, "sh", "-c", "test -e  go", options=("--needed",)) not in (good, bad)
    (root / "new.py").write_text("code = 1\n")
    assert queue(cli, "sh", "-c", "test -e go", options=("--needed",)) not in (good, bad), "its code has changed"


def test_a_dry_run_tells_and_changes_nothing(cli: Cli, box: Box):
    live = queue(cli, "sh", "-c", TICKING)
    pid = box.state(live, "running").pid
    ended = queue(cli, "false")
    box.ended(ended)
    held, waits = queue(cli, "true", options=("--hold",)), queue(cli, "true", options=("--begin", "+9h"))
    before = state_of(box)
    for command, told in (
        (("exec", "--name", "new", "true"), "exec-0005 would be starting"),
        (("exec", "--gpus", "0", "--after", held, "true"), f"exec-0005 would be queued at place 3: after {held}"),
        (("stop", live, "--why", "x"), f"{live}: state running -> stopping, SIGTERM to its group {pid}, SIGKILL 30 s"),
        (("kill", live), f"{live}: state running -> stopping, SIGKILL to its group {pid}"),
        (("stop", held), f"{held}: state held -> stopped"),
        (("pause", live), f"SIGSTOP to its group {pid}"),
        (("retry", ended), "exec-0002.2 would start on CPU"),
        (("hold", waits), f"{waits}: state queued -> held"),
        (("release", held), f"{held} would start on CPU"),
        (("priority", waits, "7"), f"{waits}: place 2 -> 1, priority 0 -> 7"),
        (("move", waits, "top"), f"{waits}: place 2 -> 1"),
        (("tag", held, "a", "b"), f"{held}: tags a -> a b"),
        (("note", held, "text"), f"{held}: note none -> text"),
        (("pause",), "the queue is paused since"),
        (("down", "--stop-runs"), "would end; 1 live runs would be stopped first"),
    ):  # fmt: skip
        options = ("--json",) if command[0] in ("exec", "kill", "move", "pause") else ()
        said = cli(*command[:1], "--dry-run", *options, *command[1:])
        assert said.code == 0, (command, said.err)
        assert told in said.err, (command, said.err)
        assert all(line.startswith("engine: dry run: ") for line in said.err.splitlines())
        assert bool(said.out) == bool(options)
    assert cli("stop", "--dry-run", ended).code == 2, "what would be refused is refused"
    assert state_of(box) == before
    assert alive(pid)
    assert not stopped(pid)
    assert {row.id for row in box.rows().values()} == {live, ended, held, waits}
    more = [queue(cli, "true", options=("--hold",)) for _ in range(2)]
    said = cli("release", "--dry-run", held, *more)
    assert said.err.count("would start on CPU") == 1, "one slot is free, and a rehearsal builds on itself"
    assert f"{more[1]}: state held -> queued" in said.err
    assert [box.row(run_id).state for run_id in (held, *more)] == ["held"] * 3


def test_wait_for_any_or_all_and_not_for_ever(cli: Cli, box: Box, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("TMUX", raising=False)
    quick, slow = queue(cli, "sh", "-c", "exit 4"), queue(cli, "sh", "-c", BLOCK)
    said = cli("wait", "--any", quick, slow, "--json", "--bell")
    assert said.code == 1
    assert [row["id"] for row in said.json] == [quick]
    assert said.err == f"\x1b]9;{quick}: failed exit code 4\x1b\\\x1b]777;notify;{quick};failed exit code 4\x1b\\\a"
    over = cli("wait", slow, quick, "--timeout", "0.1s")
    assert (over.code, over.err) == (124, f"engine: 0.1s are over; {slow} goes on.\n")
    (box.workspace.root / "go").touch()
    assert cli("wait", "--all", "--timeout", "60s", slow).code == 0
    followed = cli("follow", "--bell", quick)
    assert followed.err.endswith("\a")
    assert os.path.exists(box.workspace.run(slow))
