"""The command line on a real engine: what each command prints, changes and ends with."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import pexpect
import pytest

from engine.cli import ls, main, swift, talk
from engine.messages import Ok, Sync
from tests.conftest import Box, alive, wait_for

ENGINE = [sys.executable, "-m", "engine.cli.main"]
PYTHON = sys.executable
BLOCK = "while [ ! -e go ]; do sleep 0.02; done"
STEPS = """
from engine import runlog
runlog.event("plan", steps=20, epochs=2)
for step in range(1, 21):
    runlog.log(step, loss=1 / step, epoch=step / 10)
runlog.log(20, val_pct_mae=1.5, val_naive_pct_mae=2.0, val_skill=0.25)
print("trained")
"""


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


Cli = Callable[..., Said]


@pytest.fixture
def cli(box: Box, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run a command line in this process, as `engine` does, in the workspace's folder."""
    monkeypatch.chdir(box.workspace.root)

    def call(*args: str) -> Said:
        if args[0] != "up":
            assert box.client  # forked, which no command does
        capsys.readouterr()
        try:
            code = main.run(args)
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return call


def queue(cli: Cli, *command: str, options: tuple[str, ...] = ()) -> str:
    said = cli("exec", *options, "--", *command)
    assert said.code == 0, said.err
    return said.out.strip()


def test_exec_follows_to_the_end_and_gives_its_outcome(cli: Cli):
    said = cli(
        "exec", "--name", "first", "--tag", "a", "--tag", "b", "--note", "why", "--follow", "--", PYTHON, "-c", STEPS
    )
    assert (said.code, said.out) == (0, "exec-0001\n")
    assert "exec-0001 first  ok" in said.err
    assert "val 1.5%" in said.err
    assert "naive 2%" in said.err
    assert cli("exec", "-f", "--", "sh", "-c", "exit 3").code == 1
    row = cli("show", "1", "--json").json["row"]
    assert (row["name"], row["tags"], row["note"], row["skill"]) == ("first", ["a", "b"], "why", 0.25)


def test_exec_without_follow_prints_the_id_alone(cli: Cli, box: Box):
    said = cli("exec", "--json", "--hold", "--priority", "3", "--gpus", "0", "true")
    assert said.json["state"] == "held"
    assert (said.json["priority"], said.json["gpus"]) == (3, 0)
    after = cli("exec", "--after", "1", "true")
    assert after.out == "exec-0002\n"
    assert "exec-0002 is queued: after exec-0001" in after.err
    assert box.row("2").after == ("exec-0001",)


def test_exec_runs_in_the_folder_where_it_was_asked(cli: Cli, box: Box, monkeypatch: pytest.MonkeyPatch):
    inner = box.workspace.root / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    monkeypatch.setenv("OF_MINE", "mine")
    run_id = queue(cli, "sh", "-c", "pwd; echo $OF_MINE")
    box.ended(run_id)
    assert cli("logs", run_id).out == f"{inner}\nmine\n"


def test_ls_as_text_of_the_engine_is_what_the_command_itself_would_say(
    cli: Cli, box: Box, capsys: pytest.CaptureFixture[str]
):
    for number in range(3):
        box.ended(queue(cli, "sh", "-c", f"echo ünd; exit {number}", options=("--tag", "good")))
    queue(cli, "true", options=("--hold",))
    cli("pause")
    for line in ("", "--limit 1", "--limit=2 --tag good", "--all --state ended", "--tag none", "--archived"):
        told = cli("ls", *line.split())
        asked = ls.quick(line.split())
        assert asked is not None
        ls.show(asked)
        texts = (told.out, told.err), capsys.readouterr()
        first, second = ([re.sub(r" +[\d.]+s", " ...s", text) for text in both] for both in texts)  # time passes
        assert first == second, line
        assert swift.ls(line.split()), line
    capsys.readouterr()
    for other in ("--json", "--state nothing", "--family exce", "tag:good", "--limit x", "--sql", "--nonsense"):
        assert not swift.ls(other.split()), other
    assert capsys.readouterr() == ("", "")
    assert "Did you mean exec?" in cli("ls", "--family", "exce").err
    cli("down")
    assert not swift.ls(())
    assert "the queue is paused" in cli("ls").err, "an engine was started to tell"


def test_ls_lists_what_ended_runs_and_waits(cli: Cli, box: Box):
    ok = queue(cli, PYTHON, "-c", STEPS, options=("--tag", "good"))
    box.ended(ok)
    bad = queue(cli, "sh", "-c", "echo broke >&2; exit 9")
    box.ended(bad)
    live = queue(cli, "sh", "-c", BLOCK)
    box.state(live, "running")
    held = queue(cli, "true", options=("--hold",))
    said = cli("ls")
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0].split() == ["RUN", "STATE", "ON", "DONE", "LOSS", "MAE%", "SKILL", "TIME", "TAGS", "WHAT"]
    assert [line.split()[0] for line in lines[1:]] == [ok, bad, live, held]
    assert "+0.250" in lines[1]
    assert "exit code 9: broke" in lines[2]
    assert "\x1b" not in said.out
    assert [row["id"] for row in cli("ls", "--json").json] == [ok, bad, live, held]
    assert [row["id"] for row in cli("ls", "--state", "ended", "--json").json] == [ok, bad]
    assert [row["id"] for row in cli("ls", "--state=failed,held", "--json").json] == [bad, held]
    assert [row["id"] for row in cli("ls", "--tag", "good", "--family", "exec", "--all", "--json").json] == [ok]
    short = cli("ls", "--limit", "1")
    assert ok not in short.out
    assert "1 older runs are not listed" in short.err
    assert "none of 4 runs" in cli("ls", "--tag", "nothing").err
    assert all("exit_code" in row for row in cli("ls", "--json").json), "the same keys for every run"
    assert [row["id"] for row in cli("ls", "--json", "state:ended", "val_pct_mae<2").json] == [ok]
    assert [row["id"] for row in cli("ls", "--json", "--limit", "+9", "not", "tag:good", "state:ended").json] == [bad]
    assert cli("ls", "tagg:good").err == "engine: There is no field 'tagg'. Did you mean tag? (at 1)\n"
    assert cli("ls", "state:nothing").code == 2
    talk.ask(Sync(), Ok)
    assert [row["id"] for row in cli("ls", "--json", "last.val_skill:0.25").json] == [ok], "what the database tells"
    asked = cli("sql", cli("ls", "--sql", "state:ended last.val_skill>0").out, "--json").json
    assert [row["id"] for row in asked] == [ok]
    assert "query only" in cli("ls", "--sql", "--all", "x").err


def test_ls_reads_the_same_with_and_without_typer(cli: Cli, box: Box):
    box.ended(queue(cli, "true"))
    quick = cli("ls", "--json", "--limit", "5").json
    assert quick == cli("ls", "--json", "--limit", "+5").json, "a number only typer's path reads"
    assert len(quick) == 1
    assert "Usage: engine ls" in cli("ls", "--help").out


def test_show_tells_everything(cli: Cli, box: Box):
    run_id = queue(cli, PYTHON, "-c", STEPS, options=("--name", "told", "--note", "a note"))
    box.ended(run_id)
    said = cli("show", run_id)
    for part in (
        "told",
        "ok",
        "a note",
        "step",
        "20 of 20",
        "0.05",
        "what happened",
        "order start",
        "exited",
        "command",
    ):
        assert part in said.out
    detail = cli("show", run_id, "--json").json
    assert detail["spec"]["id"] == run_id
    assert [line["event"] for line in detail["lifecycle"]] == ["started", "exited"]


def test_logs_whole_last_lines_and_follow(cli: Cli, box: Box):
    run_id = queue(cli, "sh", "-c", "for i in 1 2 3 4 5; do echo $i; done; printf tail")
    box.ended(run_id)
    assert cli("logs", run_id).out == "1\n2\n3\n4\n5\ntail"
    assert cli("logs", run_id, "-n", "2").out == "5\ntail"
    assert cli("logs", run_id, "-n", "0").out == ""
    assert cli("logs", run_id, "-n", "99").out == "1\n2\n3\n4\n5\ntail"
    assert cli("logs", run_id, "-n", "2", "--json").json == {"run": run_id, "state": "ok", "lines": ["5", "tail"]}
    assert cli("logs", run_id, "-f", "--json").code == 2
    followed = cli("logs", "-f", run_id)
    assert (followed.code, followed.out) == (0, "1\n2\n3\n4\n5\ntail")
    assert f"{run_id} ended: ok" in followed.err
    held = queue(cli, "true", options=("--hold",))
    said = cli("logs", held)
    assert (said.code, said.err) == (7, f"engine: {held} is held and has written nothing yet.\n")


def test_logs_follow_shows_lines_as_they_come(cli: Cli, box: Box):
    run_id = queue(cli, "sh", "-c", f"echo one; {BLOCK}; echo two; exit 4")
    box.state(run_id, "running")
    with subprocess.Popen([*ENGINE, "logs", "-f", run_id], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "one\n"
        (box.workspace.root / "go").touch()
        assert process.stdout.read() == "two\n"
        assert process.wait() == 1


def test_orders_change_runs(cli: Cli, box: Box):
    live, other = queue(cli, "sleep", "600"), queue(cli, "sleep", "600")
    waits = queue(cli, "true", options=("--hold",))
    box.state(live, "running"), box.state(other, "running")
    assert cli("tag", waits, "x", "y").err == f"engine: {waits}: tags x, y.\n"
    assert cli("untag", waits, "x").err == f"engine: {waits}: tags y.\n"
    assert cli("note", waits, "two", "words").err == f"engine: {waits}: note 'two words'.\n"
    assert "priority -4" in cli("priority", waits, "-4").err
    assert cli("release", waits, "--json").json[0]["state"] == "queued"
    assert cli("hold", waits, "--why", "later").code == 0
    assert cli("stop", live, "--why", "enough").code == 0
    assert cli("kill", other, waits).code == 0
    assert [box.ended(run_id).state for run_id in (live, other, waits)] == ["stopped"] * 3
    assert [line.get("why") for line in box.lines(live, "orders.jsonl")][-1] == "enough"
    assert cli("wait", live).code == 8
    again = cli("retry", other, "--fresh")
    assert again.out == "exec-0002.2\n"
    box.state("exec-0002.2", "running")
    assert cli("stop", "exec-0002.2").code == 0
    box.ended("exec-0002.2")


def test_a_typo_among_several_runs_changes_nothing(cli: Cli, box: Box):
    run_id = queue(cli, "true", options=("--hold",))
    said = cli("stop", run_id, "exec-9999")
    assert said.code == 2
    assert box.row(run_id).state == "held"


def test_wait_and_follow_several(cli: Cli, box: Box):
    ids = [queue(cli, "sh", "-c", f"{BLOCK}; exit {code}") for code in (0, 1)]
    (box.workspace.root / "go").touch()
    said = cli("wait", *ids, "--json")
    assert said.code == 1
    assert [row["state"] for row in said.json] == ["ok", "failed"]
    assert cli("wait").code == 0, "nothing is left to wait for"
    followed = cli("follow", *ids)
    assert followed.code == 1
    assert f"{ids[1]}  failed" in followed.err


def test_ctrl_c_leaves_the_run_alone(cli: Cli, box: Box):
    run_id = queue(cli, "sleep", "600")
    box.state(run_id, "running")
    # A shell's background job starts with SIGINT ignored, and these tests may run in one.
    listening = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        [*ENGINE, "follow", run_id], stderr=subprocess.PIPE, text=True, preexec_fn=listening
    ) as process:
        assert process.stderr is not None
        assert "running" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read() == f"engine: {run_id} goes on; `engine stop {run_id}` would stop it.\n"
    assert box.row(run_id).state == "running"


def test_progress_is_redrawn_at_a_terminal(cli: Cli, box: Box):
    run_id = queue(cli, PYTHON, "-c", STEPS + "\nimport os, time\nwhile not os.path.exists('go'): time.sleep(0.02)")
    child = pexpect.spawn(
        ENGINE[0], [*ENGINE[1:], "follow", run_id], encoding="utf-8", dimensions=(24, 200), timeout=60
    )
    child.expect("100%  epoch 2.00/2  step 20/20  loss 0.05")
    (box.workspace.root / "go").touch()
    child.expect(r"\x1b\[1F" + run_id + "  ok")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_colour_at_a_terminal_only_and_not_with_no_color(cli: Cli, box: Box, monkeypatch: pytest.MonkeyPatch):
    box.ended(queue(cli, "false"))
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    shown = pexpect.run(" ".join([*ENGINE, "ls"]), encoding="utf-8", timeout=60)
    assert "\x1b[31mfailed" in shown
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in pexpect.run(" ".join([*ENGINE, "ls"]), encoding="utf-8", timeout=60)


def test_a_reader_that_goes_away_is_no_error(cli: Cli, box: Box):
    box.ended(queue(cli, "seq", "200000"))
    done = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$@" logs 1 | head -n 1', "x", *ENGINE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("1\n", "")
    assert done.returncode == 141


def test_up_status_down(cli: Cli, box: Box):
    assert "the engine runs" in cli("up").err
    status = cli("status", "--json").json
    assert status["workspace"] == str(box.workspace.root)
    text = cli("status").out
    assert f"process {status['pid']}" in text
    assert "CPU slots  2" in text
    run_id = queue(cli, "sleep", "600")
    pid = box.state(run_id, "running").pid
    box.client.close()
    said = cli("down")
    assert said.code == 0
    assert "1 go on" in said.err
    wait_for(lambda: not alive(status["pid"]))
    assert alive(pid)
    assert cli("status").code == 4
    assert cli("up").code == 0
    assert cli("status", "--json").json["database"] == box.workspace.database.stat().st_size > 0, "known from the start"
    assert cli("down").code == 0
    assert cli("down").code == 0, "down twice is fine"
    assert "1 stopped" in cli("down", "--stop-runs").err, "runs are stopped though no engine was there"
    wait_for(lambda: not alive(pid))


def test_gpus_and_doctor(cli: Cli, box: Box):
    sample = wait_for(lambda: found if (found := cli("gpus", "--json").json)["host"] else None)
    assert sample["host"]["cores"] >= 1
    said = cli("gpus")
    assert "memory" in said.out
    checks = cli("doctor", "--json")
    assert {"name", "ok", "text", "remedy"} <= set(checks.json[0])
    assert "python" in cli("doctor").out


def test_families_and_config(cli: Cli):
    assert "toto" in cli("families").out
    assert cli("families", "--json").json["toto"]["presets"]
    assert any(line.startswith("train.lr ") for line in cli("config", "toto").out.splitlines())
    field = {field["name"]: field for field in cli("config", "toto", "--preset", "small", "--json").json}
    assert field["train.lr"]["low"] > 0
    assert field["model.layers"]["value"] != field["model.layers"]["default"]


def test_sql_reads_what_just_happened(cli: Cli, box: Box):
    box.ended(queue(cli, PYTHON, "-c", STEPS, options=("--name", "counted")))
    said = cli("sql", "select count(*) as n, max(step) as last from metrics", "--json")
    assert said.code == 0, said.err
    assert said.json[0]["last"] == 20
    assert list(csv.reader(io.StringIO(cli("sql", "select 1 as a, 'x,y' as b", "--csv").out))) == [
        ["a", "b"],
        ["1", "x,y"],
    ]
    assert cli("sql", "select 42 as answer").out.split() == ["answer", "--------", "42"]
    assert "1 row" in cli("sql", "select 42 as answer").err


def test_sql_is_read_only_and_reaches_no_file(cli: Cli, box: Box):
    box.ended(queue(cli, "true"))
    target = box.workspace.root / "stolen.csv"
    for query in ("create table t (i int)", f"copy (select 1) to '{target}'", "select * from read_csv('/etc/passwd')",
                  "set enable_external_access = true"):  # fmt: skip
        said = cli("sql", query)
        assert said.code == 2, query
        assert said.err.count("\n") == 1
    assert not target.exists()
    assert cli("sql", "--write", f"copy (select 1) to '{target}'").code == 0
    assert target.exists()
    said = cli("sql", "select * from runz")
    assert said.code == 2
    assert "runz" in said.err


def test_db_rebuild(cli: Cli, box: Box):
    box.ended(queue(cli, PYTHON, "-c", STEPS))
    before = cli("sql", "select count(*) as n from metrics", "--json").json
    said = cli("db", "rebuild")
    assert said.code == 0, said.err
    assert cli("sql", "select count(*) as n from metrics", "--json").json == before


def test_data_passes_through(cli: Cli, box: Box):
    assert main.run(["data", "synth", "--symbols", "2", "--days", "40"]) == 0
    assert len(list(box.workspace.data.glob("*.csv"))) == 2
    assert main.run(["data", "check", "nowhere"]) == 3
    assert main.run(["data", "chek"]) == 2


def test_nothing_heavy_is_imported_by_ls_and_help(cli: Cli, box: Box):
    heavy = {
        "typer",
        "rich",
        "textual",
        "duckdb",
        "pandas",
        "numpy",
        "git",
        "psutil",
        "asyncio",
        "pydantic",
        "pynvml",
        "torch",
    }
    cli("up")
    code = "import sys; from engine.cli.main import run; run(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    for args, allowed in ((["ls"], set()), (["--help"], {"typer"})):
        done = subprocess.run(
            [PYTHON, "-c", code, *args], capture_output=True, text=True, check=True, env=dict(os.environ)
        )
        assert heavy & set(done.stderr.split()) <= allowed, args
    done = subprocess.run([PYTHON, "-c", code, "logs", "nobody", "-n", "3"], capture_output=True, text=True, check=True)
    assert "pydantic" not in done.stderr.split(), "typer's own way of reading a number costs 100 ms"
