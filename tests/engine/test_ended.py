"""A start from what was kept of ended runs tells the same as one from their folders, whatever happened to either."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings

from engine import ended, restart, rundir, server, shelf
from engine.client import connect
from engine.core import Daemon
from engine.errors import EngineStarting, WorkspaceError
from engine.messages import ListRuns, Order
from engine.provenance import Git
from engine.records import RunRow, Spec, encode
from engine.retry import Policy
from engine.run import Run
from engine.stamps import Stamps, sign
from engine.workspace import Workspace
from tests.conftest import wait_for
from tests.engine.test_hostile import lines as any_lines

BEGUN = {"t": 10.0, "event": "started", "pid": 1 << 22, "supervisor": 1 << 22, "devices": ["cpu"]}
ENDS = (
    {"code": 0},
    {"code": 1, "last": "KeyError: 'lr'"},
    {"code": 1, "said": {"kind": "exception", "text": "KeyError: 'lr'"}},
    {"code": 3},
    {"code": None, "signal": 9},
    {"code": 0, "why": "stop"},
    {"code": None, "why": "limit", "limit": 60},
)
UNKEPT = ["toto-0020", "toto-0021"]
"""Of `bag`: what has told no end is read from its folder each time."""
CONFIG = {"train": {"steps": 50, "lr": 0.1}, "model": {"dim": 4}}


def folder(workspace: Workspace, number: int, told: dict[str, list[dict]], **fields: object) -> Path:
    run_id = f"toto-{number:04d}"
    made = workspace.run(run_id)
    made.mkdir(parents=True)
    given = {"config": CONFIG, "env": {"A": "b"}, "packages": {"torch": "2"}, "submitted": 5.0, **fields}
    (made / rundir.SPEC).write_bytes(encode(Spec(id=run_id, family="toto", command=("x",), cwd="/", **given)))
    for name, found in told.items():
        (made / name).write_text("".join(json.dumps(line) + "\n" for line in found))
    return made


def bag(workspace: Workspace) -> None:
    """Runs of all ends, one that lives on, one that never began, one that is tried again."""
    workspace.prepare()
    for number, end in enumerate(ENDS, 1):
        metrics = [{"t": 10 + step, "step": step, "loss": 1 / step, "val_pct_mae": 9 - step} for step in range(1, 51)]
        told = {
            rundir.ORDERS: [
                {"t": 9.0, "order": "start", "devices": ["cpu"]},
                {"t": 99.0, "order": "tag", "value": "x"},
            ],
            rundir.LIFECYCLE: [BEGUN, {"t": 70.0, "event": "exited", "max_rss_bytes": 7, **end}],
            rundir.METRICS: metrics,
            rundir.EVENTS: [{"t": 9.0, "event": "plan", "steps": 50}, {"t": 60.0, "event": "warning", "text": "w"}],
        }
        made = folder(workspace, number, told, retry=Policy(times=0, oom=1) if number == 2 else None, name=f"n{number}")
        (made / rundir.LOG).write_text("the last words\n")
    folder(workspace, 20, {rundir.LIFECYCLE: [BEGUN]})
    folder(workspace, 21, {}, after=("toto-0001",), begin=1e12)


def start(
    workspace: Workspace,
    look: Callable[[Daemon, list[str]], object] = lambda *_: None,
    stamps: Stamps | None = None,
) -> dict[str, RunRow]:
    """Let an engine come up as far as reading, and give its rows; `look` may ask it more."""

    async def up() -> dict[str, RunRow]:
        daemon = Daemon(workspace, 2, stamps)
        read = await restart.load(daemon)
        daemon.attempts.ready = True
        rows = {row.id: row for row in daemon.readings.all_rows()}
        look(daemon, sorted(read))
        daemon.shelf.close()
        return rows

    return asyncio.run(up())


def mind(daemon: Daemon) -> str:
    """All that an engine knows of its runs, as text: a number that is none is not equal to itself."""
    world = daemon.world
    known = [one.name for one in dataclasses.fields(Run) if one.name not in ended.LIVING]
    runs = {run.id: [(name, getattr(run, name)) for name in known] for run in world.runs.values()}
    found = world.states, world.attempts, sorted(world.waiting), sorted(world.live), world.durations
    return "\n".join(map(repr, (*runs.items(), *found)))


def from_folders(workspace: Workspace) -> dict[str, RunRow]:
    (workspace.private / "ended.cache").unlink(missing_ok=True)
    return start(workspace)


def test_rows_from_the_shelf_are_those_of_the_folders(workspace: Workspace):
    bag(workspace)
    first = from_folders(workspace)
    assert {row.state for row in first.values()} == {"ok", "failed", "stopped", "lost", "queued"}
    told: list[object] = []
    minds: list[str] = []
    (workspace.private / "ended.cache").unlink()
    start(workspace, lambda daemon, _: minds.append(mind(daemon)))

    def look(daemon: Daemon, read: list[str]) -> None:
        assert read == UNKEPT, "only what has told no end is read"
        assert mind(daemon) == minds[0]
        told.append(daemon.world.runs["toto-0001"].spec)
        told.append(daemon.world.durations.count)
        told.append(str(daemon.readings.detail("toto-0003").cause))

    assert start(workspace, look) == first
    spec, count, cause = told
    assert (spec.config, spec.env, spec.packages, count) == (CONFIG, {"A": "b"}, {"torch": "2"}, 1)
    assert "KeyError" in cause


def test_a_folder_that_changed_is_read_anew(workspace: Workspace):
    bag(workspace)
    from_folders(workspace)
    rundir.append(workspace.run("toto-0001") / rundir.ORDERS, {"t": 100.0, "order": "note", "value": "good"})
    rundir.append(workspace.run("toto-0002") / rundir.METRICS, {"t": 100.0, "step": 77})
    log = workspace.run("toto-0004") / rundir.LOG
    log.write_text("other words\n")
    read: list[str] = []
    rows = start(workspace, lambda _, ids: read.extend(ids))
    assert read == ["toto-0001", "toto-0002", "toto-0004", *UNKEPT]
    assert (rows["toto-0001"].note, rows["toto-0002"].step) == ("good", 77)
    assert "other words" in rows["toto-0004"].reason
    read.clear()
    assert start(workspace, lambda _, ids: read.extend(ids)) == rows
    assert read == UNKEPT, "the next start knows them as they are now"
    assert from_folders(workspace) == rows


def test_a_second_process_tells_of_the_files_what_the_engine_would_see_itself(workspace: Workspace):
    bag(workspace)
    rows = from_folders(workspace)
    rundir.append(workspace.run("toto-0001") / rundir.ORDERS, {"t": 100.0, "order": "note", "value": "good"})
    (workspace.run("toto-0004") / rundir.LOG).write_text("other words\n")
    (workspace.run("toto-0006") / rundir.EVENTS).unlink()
    again = "import sys; from pathlib import Path; from tests.engine.test_ended import stamped; "
    done = subprocess.run(
        [sys.executable, "-c", f"{again}stamped(Path(sys.argv[1]))", workspace.root], capture_output=True, check=True
    )
    read, found, killed = map(json.loads, done.stdout.splitlines())
    assert read == ["toto-0001", "toto-0004", "toto-0006", *UNKEPT]
    assert found == {name: signs for name in rows if (signs := b"".join(sign(str(workspace.run(name)))).hex())}
    assert killed.items() <= found.items()


def stamped(root: Path) -> None:
    """Come up with a second process, then let one tell, then let one be killed over it; a fork is for one thread."""
    workspace = Workspace(root)
    before = Stamps(workspace.runs)
    start(workspace, lambda _, ids: print(json.dumps(ids)), before)
    for kill in (False, True):
        one = Stamps(workspace.runs)
        if kill:
            os.kill(one.child, signal.SIGKILL)
        found = {name: signs.hex() for name, signs in one.take().items() if name.startswith("toto")}
        print(json.dumps(found))


@pytest.mark.parametrize("damage", ["cut", "noise", "other program", "swapped", "folder"])
def test_a_damaged_file_costs_time_only(workspace: Workspace, damage: str):
    bag(workspace)
    first = from_folders(workspace)
    path = workspace.private / "ended.cache"
    data = path.read_bytes()
    head, *kept = data.splitlines(keepends=True)
    match damage:
        case "cut":
            path.write_bytes(data[: len(data) // 2])
        case "noise":
            path.write_bytes(head + b"\xff\x00\n" + kept[0][:50] + b"\n[]\n" + b"x" * (1 << 18) + b"\n" + kept[2])
        case "other program":
            path.write_bytes(data.replace(head, b"0" * 64 + b"\n"))
        case "swapped":
            path.write_bytes(head + b"toto-0001\t" + kept[1].partition(b"\t")[2])
        case "folder":
            path.unlink()
            path.mkdir()
    assert start(workspace) == first
    if damage != "folder":
        read: list[str] = []
        assert start(workspace, lambda _, ids: read.extend(ids)) == first
        assert read == UNKEPT, "it is whole again"


def test_who_waits_for_a_long_start_is_told_how_far_it_is(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    bag(workspace)
    monkeypatch.setattr(server, "PATIENCE", 0.01)
    monkeypatch.setattr(restart, "SLICE", 0.0)
    heard: list[str] = []

    async def told(text: str) -> None:
        while text not in heard:
            await asyncio.sleep(0.01)

    async def up() -> list[str]:
        daemon = Daemon(workspace, 2)
        await daemon.server.start()
        asking = asyncio.create_task(asyncio.to_thread(connect, workspace, told=heard.append))
        await told("The engine comes up.")
        await restart.load(daemon)
        await told("The engine comes up: it has read 8 of 9 runs.")
        with pytest.raises(EngineStarting, match="8 of 9 runs"):  # who does not want it started does not wait for it
            await asyncio.to_thread(connect, workspace, start=False)
        daemon.attempts.ready = True
        daemon.up.set()
        with await asking as client:
            rows = (await asyncio.to_thread(client.call, ListRuns())).rows
        await daemon.server.stop()
        return [row.id for row in rows]

    assert len(asyncio.run(asyncio.wait_for(up(), 60))) == 9


def test_an_engine_that_is_told_to_end_while_it_reads_leaves_what_is_kept(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
):
    bag(workspace)
    from_folders(workspace)
    kept = (workspace.private / "ended.cache").read_bytes()
    monkeypatch.setattr(restart, "SLICE", 0.0)

    async def up() -> int:
        daemon = Daemon(workspace, 2)
        daemon.over.set()
        await daemon.run()
        return len(daemon.world.runs)

    assert asyncio.run(asyncio.wait_for(up(), 60)) < 9
    assert (workspace.private / "ended.cache").read_bytes() == kept


def test_what_ends_while_an_engine_lives_is_known_at_the_next_start(workspace: Workspace):
    bag(workspace)
    from_folders(workspace)
    made = folder(workspace, 30, {}, gpus=0)
    (made / rundir.LOG).write_text("no such module\n")

    def live(daemon: Daemon, read: list[str]) -> None:
        """It ends, in the eyes of an engine that has followed it."""
        daemon.shelf.close()
        for name, line in ((rundir.METRICS, {"t": 20.0, "step": 3, "loss": 0.5}), (rundir.LIFECYCLE, BEGUN),
                           (rundir.LIFECYCLE, {"t": 70.0, "event": "exited", "code": 1})):  # fmt: skip
            rundir.append(made / name, line)
            daemon.look(made.name)
        daemon.wishes.order(Order(run="toto-0001", order="note", value="good"))
        assert daemon.shelf.due == {made.name, "toto-0001"}
        daemon.shelf.keep(daemon.world, 60.0)
        assert not daemon.shelf.due

    start(workspace, live)
    read: list[str] = []
    minds: list[str] = []
    rows = start(workspace, lambda daemon, ids: (read.extend(ids), minds.append(mind(daemon))))
    assert read == UNKEPT, "it need not be read"
    assert ("no such module" in rows[made.name].reason, rows["toto-0001"].note) == (True, "good")
    (workspace.private / "ended.cache").unlink()
    assert start(workspace, lambda daemon, _: minds.append(mind(daemon))) == rows
    assert minds[0] == minds[1]


def test_a_file_that_tells_mostly_what_was_is_written_anew(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shelf, "STALE", 2)
    bag(workspace)
    from_folders(workspace)
    path = workspace.private / "ended.cache"
    size = path.stat().st_size
    sizes = []
    for step in range(80, 100):
        rundir.append(workspace.run("toto-0001") / rundir.METRICS, {"t": 100.0 + step, "step": step})
        rows = start(workspace)
        sizes.append(path.stat().st_size)
    assert max(sizes) < 4 * size
    assert sizes != sorted(sizes), "it became shorter"
    assert rows == from_folders(workspace)


def test_an_engine_on_a_full_disk_keeps_nothing_and_goes_on(workspace: Workspace):
    bag(workspace)
    from_folders(workspace)
    path = workspace.private / "ended.cache"
    kept = path.read_bytes()
    rundir.append(workspace.run("toto-0001") / rundir.METRICS, {"t": 100.0, "step": 77})
    most, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(kept) + 10, hard))  # ten bytes of what is new have room
    try:
        rows = start(workspace)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    assert rows["toto-0001"].step == 77
    assert path.read_bytes() == kept, "what was begun is taken back"
    assert start(workspace) == rows
    assert path.read_bytes().startswith(kept)
    assert len(path.read_bytes()) > len(kept)


def test_a_spec_that_went_away_meanwhile_is_told(workspace: Workspace):
    bag(workspace)
    from_folders(workspace)

    def look(daemon: Daemon, read: list[str]) -> None:
        (workspace.run("toto-0001") / rundir.SPEC).unlink()
        with pytest.raises(WorkspaceError, match=r"toto-0001: its spec\.json is gone"):
            daemon.readings.detail("toto-0001")

    start(workspace, look)


def test_needed_finds_a_run_whose_spec_is_not_at_hand(workspace: Workspace):
    from engine import needed

    workspace.prepare()
    git = Git(commit="c" * 40)
    for number in (1, 2):
        folder(workspace, number, {rundir.LIFECYCLE: [BEGUN, {"t": 70.0, "event": "exited", "code": 0}]}, git=git,
               seed=number, packages={"torch": str(number)})  # fmt: skip
    from_folders(workspace)
    found: list[object] = []

    def look(daemon: Daemon, read: list[str]) -> None:
        for number in (1, 2, 3):
            wish = Spec(family="toto", command=("x",), cwd="/", config=CONFIG, git=git, packages={"torch": str(number)})
            run = needed.find(wish, daemon.world.runs.values())
            found.append(run and run.id)

    start(workspace, look)
    assert found == ["toto-0001", "toto-0002", None]


def test_an_engine_that_is_killed_while_it_writes_leaves_what_was_there(workspace: Workspace):
    bag(workspace)
    first = from_folders(workspace)
    again = "import sys; from pathlib import Path; from tests.engine.test_ended import write_forever; "
    path = workspace.private / "ended.cache"
    for _ in range(3):
        size = path.stat().st_size
        with subprocess.Popen([sys.executable, "-c", f"{again}write_forever(Path(sys.argv[1]))", workspace.root]) as by:
            wait_for(lambda size=size: path.stat().st_size != size)
            by.kill()
        beside = workspace.private / f"ended.cache.{by.pid}.new"
        beside.touch()  # as if it had been killed while it wrote all anew
        read: list[str] = []
        assert start(workspace, lambda _, ids, read=read: read.extend(ids)) == first
        assert read == UNKEPT
        assert not beside.exists(), "what it left is cleared away"
    for cut in (1, 100, 2000):  # as a kill in the middle of a write would leave it
        path.write_bytes(path.read_bytes()[:-cut])
        assert start(workspace) == first
        assert start(workspace, lambda _, ids, read=read: read.extend(ids)) == first
        assert read == 2 * UNKEPT, "it is whole again"
        del read[2:]


def write_forever(root: Path) -> None:
    """Be an engine that comes up again and again and has news each time."""
    workspace = Workspace(root)
    while True:
        start(workspace, lambda daemon, _: daemon.shelf.put(*news(daemon)))


def news(daemon: Daemon) -> tuple[Run, list[bytes]]:
    run = daemon.world.runs["toto-0001"]
    return run, sign(str(daemon.workspace.run(run.id)), ended.ALL)


@pytest.mark.parametrize("module", ended.READERS)
def test_what_another_program_kept_is_not_believed(workspace: Workspace, module: str, monkeypatch: pytest.MonkeyPatch):
    bag(workspace)
    first = from_folders(workspace)
    other = workspace.root / "other.py"
    other.write_bytes(Path(str(sys.modules[f"engine.{module}"].__file__)).read_bytes() + b"# otherwise\n")
    monkeypatch.setattr(sys.modules[f"engine.{module}"], "__file__", str(other))
    read: list[str] = []
    assert start(workspace, lambda _, ids: read.extend(ids)) == first
    assert len(read) == len(first)


@settings(max_examples=25)
@given(any_lines, any_lines, any_lines)
def test_lines_of_any_type_are_known_the_same_without_their_folder(orders, lifecycle, told):
    with tempfile.TemporaryDirectory() as home:
        workspace = Workspace(Path(home))
        workspace.prepare()
        ended = [BEGUN, *lifecycle, {"t": 70.0, "event": "exited", "code": 1}]
        folder(
            workspace,
            1,
            {rundir.ORDERS: orders, rundir.LIFECYCLE: ended, rundir.METRICS: told, rundir.EVENTS: told},
        )
        minds: list[str] = []
        first = start(workspace, lambda daemon, _: minds.append(mind(daemon)))
        assert start(workspace, lambda daemon, _: minds.append(mind(daemon))) == first
        assert minds[0] == minds[1]
