"""Hooks: each finish is told once, whatever happens to the engine; a bad hook harms nothing and is shown."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from engine import hooks, rundir
from engine.errors import UsageError, WorkspaceError
from engine.messages import GetStatus, Order
from tests.conftest import Box, alive, wait_for
from tests.engine.test_cli import BLOCK, Cli, cli, queue

__all__ = ["cli"]


def ended(box: Box, run_id: str, count: int = 1) -> list[dict]:
    """The last lines of the hooks of a run, once there are so many."""

    def lines() -> list[dict] | None:
        found = [line for line in box.lines(run_id, rundir.HOOKS) if line["event"] == "hook ended"]
        return found if len(found) >= count else None

    return wait_for(lines, f"for the hooks of {run_id}")


def test_a_hook_gets_the_run_as_json_and_only_for_its_ends(cli: Cli, box: Box):
    before = queue(cli, "true")
    box.ended(before)
    assert cli("hook", "add", "cat >> told.jsonl; echo >> told.jsonl", "--on", "failed,lost").code == 0
    assert cli("hook", "add", "true", "--on", "faild").err.startswith("engine: No end 'faild'. Did you mean failed?")
    bad = queue(cli, "false")
    [line] = ended(box, bad)
    assert line["code"] == 0
    good = queue(cli, "true", options=("--on-finish", "cat > mine.json; echo done"))
    assert ended(box, good)[0]["said"] == "done"
    told = [json.loads(text) for text in (box.workspace.root / "told.jsonl").read_text().splitlines()]
    assert [(doc["event"], doc["run"]["id"], doc["run"]["state"]) for doc in told] == [("finished", bad, "failed")]
    assert told[0]["run"]["reason"] == "exit code 1"
    mine = json.loads((box.workspace.root / "mine.json").read_text())
    assert (mine["run"]["id"], mine["folder"]) == (good, str(box.workspace.run(good)))
    assert "hook ended" in cli("show", good).out
    assert not (box.workspace.run(before) / rundir.HOOKS).exists()
    assert [hook["on"] for hook in cli("hook", "ls", "--json").json] == [["failed", "lost"]]
    assert "failed,lost" in cli("hook", "ls").out
    assert cli("hook", "rm", "7").code == 2
    assert cli("hook", "rm", "1").code == 0
    assert "no hooks" in cli("hook", "ls").err


def test_each_finish_is_told_once_though_the_engine_dies_or_is_away(cli: Cli, box: Box):
    cli("hook", "add", "echo $ENGINE_RUN >> told")
    ids = [queue(cli, "sh", "-c", BLOCK) for _ in range(2)]
    ids.append(queue(cli, "true", options=("--hold",)))
    for run_id in ids[:2]:
        box.state(run_id, "running")
    pids = [box.row(run_id).pid for run_id in ids[:2]]
    box.call(Order(run=ids[2], order="stop"))
    box.crash()
    ended(box, ids[2])
    cli("down")
    box.client.close()
    box._client = None
    (box.workspace.root / "go").touch()
    wait_for(lambda: not any(map(alive, pids)), "for the runs to end without an engine")
    cli("up")
    for run_id in ids:
        ended(box, run_id)
    box.crash()
    last = queue(cli, "true")
    ended(box, last)
    told = (box.workspace.root / "told").read_text().split()
    assert sorted(told) == sorted(str(box.workspace.run(run_id)) for run_id in (*ids, last))


def test_a_bad_hook_or_file_blocks_nobody_and_is_shown(cli: Cli, box: Box):
    cli("hook", "add", "echo cannot reach anybody; sleep 600", "--timeout", "0.2s")
    first, second = queue(cli, "true"), queue(cli, "true")
    for run_id in (first, second):
        assert box.ended(run_id).state == "ok"
        [line] = ended(box, run_id)
        assert (line["late"], line["limit"], line["code"]) == (True, 0.2, -signal.SIGTERM)
    wait_for(lambda: "cannot reach anybody" in box.call(GetStatus()).status.hook_trouble)
    assert "was ended after 0.2 s: cannot reach anybody" in cli("status").out
    assert box.workspace.log.read_text().count("cannot reach anybody") >= 1
    # a damaged file is told, and what ended meanwhile is told of once it is mended
    box.workspace.hooks.write_text('{"hooks": [{"id": "one"}]}')
    run_id = queue(cli, "true")
    box.ended(run_id)
    wait_for(lambda: "hooks.json can't be used" in box.call(GetStatus()).status.hook_trouble)
    assert cli("hook", "ls").code == 5
    box.workspace.hooks.write_text('{"hooks": [{"id": 9, "command": "echo told"}]}')
    assert ended(box, run_id)[0]["said"] == "told"


def test_two_callers_at_once_and_one_that_was_cut_short_call_nothing_twice(tmp_path):
    asked = json.dumps({"hooks": {"1": {"command": "echo x >> $ENGINE_RUN/told", "limit": 20}}, "told": {}}).encode()
    env = {**os.environ, **hooks.environment(tmp_path, tmp_path)}
    command = [sys.executable, "-m", "engine.hookrun", str(tmp_path)]
    several = [subprocess.Popen(command, stdin=subprocess.PIPE, env=env) for _ in range(3)]
    for process in several:
        process.communicate(asked)
    assert (tmp_path / "told").read_text() == "x\n"
    (tmp_path / rundir.HOOKS).write_text('{"t":1,"event":"hook","hook":"2","command":"true"}\n')
    subprocess.run(command, input=asked.replace(b'"1"', b'"2"'), env=env, check=True)
    assert (tmp_path / "told").read_text() == "x\n"


def test_what_can_be_no_hook_is_refused(tmp_path):
    path = tmp_path / "hooks.json"
    with pytest.raises(UsageError, match="is empty"):
        hooks.add(path, "  ", (), 1.0, 0.0)
    for text in ("[]", "{", '{"hooks":[{"id":1,"command":"x","on":["soon"]}]}', '{"hooks":[{"id":1,"command":""}]}'):
        path.write_text(text)
        with pytest.raises(WorkspaceError, match="no hook is called"):
            hooks.read(path)
    path.write_text('{"hooks":[{"id":1,"command":"a"},{"id":1,"command":"b"}]}')
    with pytest.raises(WorkspaceError, match="the same id"):
        hooks.read(path)


def test_due_are_those_of_the_end_and_the_time():
    some = [hooks.Hook(id=1, command="a", on=("ok",), since=5.0), hooks.Hook(id=2, command="b", since=50.0)]
    assert [*hooks.due(some, "", "ok", 10.0)] == ["1"]
    assert [*hooks.due(some, "mine", "failed", 60.0)] == [hooks.OWN, "2"]
