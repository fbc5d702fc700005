"""Every command that changes something can be rehearsed: it tells, refuses the same, and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import typer

from engine import hooks, packing, store_own
from engine.cli import lazy, main
from engine.export import export
from engine.messages import Order, Sync
from engine.workspace import Workspace
from tests.conftest import Box, alive, stopped, wait_for
from tests.engine.store_folders import finished
from tests.engine.test_cli import BLOCK
from tests.nursery import Nursery

TOURS = ("demo",)
"""What only calls other commands."""
READS = {
    "ls": (), "queue": ("--plan",), "show": ("1",), "diff": ("1", "2"), "logs": ("live",), "follow": ("1",),
    "wait": ("1",), "families": (), "config": ("toto",), "best": (), "compare": ("1", "2"), "report": ("--md",),
    "aliases": (), "predict": ("--alias", "nobody"), "data check": ("{prices}",), "db views": (), "db recipes": (),
    "du": (), "status": (), "gpus": (), "hook ls": (), "doctor": (),
}  # fmt: skip
"""Commands that change nothing, as they are called here."""
CHANGES: dict[str, tuple[tuple[str, ...], ...]] = {
    "run": (("toto", "--preset", "tiny", "--set", "data.path={prices}"),),
    "exec": (("--hold", "true"),),
    "stop": (("live",), ("held",)),
    "kill": (("live",),),
    "pause": (("live",), ()),
    "resume": (("asleep",),),
    "archive": (("1", "2"),),
    "unarchive": (("2",),),
    "retry": (("failed", "--cascade"),),
    "rerun": (("failed", "--anyway"),),
    "hold": (("waits",),),
    "release": (("held",),),
    "limit": (("family:exec", "1"),),
    "priority": (("waits", "7"),),
    "change": (("waits", "--begin", "+2h", "--limit", "none"),),
    "move": (("waits", "top"),),
    "tag": (("1", "good"),),
    "untag": (("1", "first"),),
    "note": (("1", "better"),),
    "export": (("1",), ("best", "--alias", "prod", "--to", "{away}/copy"), ("--undo",)),
    "evaluate": (("1", "--data", "{prices}"),),
    "data synth": (("--out", "{away}/made"),),
    "data import": (("{prices}", "--to", "{away}/brought"),),
    "sql": (("--write", "UPDATE runs SET note = 'gone'; DROP TABLE tags"),),
    "db rebuild": ((),),
    "db export": (("--parquet", "{away}/tables"),),
    "db view": (("better", "SELECT id FROM runs"), ("mine", "--drop")),
    "gc": ((), ("--yes",)),
    "pack": (("1", "-o", "{away}/one.tar"), ("1", "--no-checkpoints", "-o", "{away}/none/one.tar", "--json")),
    "unpack": (("{away}/packed.tar", "{away}/packed.tar"),),
    "import": (("{away}/theirs",),),
    "up": ((),),
    "down": ((), ("--stop-runs",)),
    "hook add": (("true", "--on", "failed"),),
    "hook rm": (("1",),),
}
REFUSED: tuple[tuple[str, ...], ...] = (
    ("exec", "--needed", "true"),
    ("resume", "live"),
    ("resume",),
    ("rerun", "failed", "--check"),
    ("stop", "1"),
    ("tag", "nobody", "x"),
    ("export", "nobody"),
    ("export", "1", "--alias", "Prod"),
    ("export", "1", "--to", "{prices}"),
    ("export", "1", "--to", "{prices}/AEM.csv/below"),
    ("export", "--undo", "--alias", "prod"),
    ("export", "1", "--format", "onnx"),
    ("evaluate", "1", "--data", "{away}/nothing"),
    ("sql", "--write", "SELECT nothing FROM runs"),
    ("sql", "--write", "SELECT 1", "--out", "x.exe"),
    ("db", "view", "runs", "SELECT 1"),
    ("db", "view", "other", "DROP TABLE runs"),
    ("db", "view", "nothing", "--drop"),
    ("db", "export", "--parquet", "{away}/packed.tar"),
    ("db", "export", "--parquet", "{away}/packed.tar/below"),
    ("gc", "--keep-best", "0"),
    ("pack", "live"),
    ("pack", "1", "-o", "{away}/packed.tar"),
    ("pack", "1", "-o", "{away}/nowhere/one.tar"),
    ("unpack", "{away}/nothing"),
    ("unpack", "{prices}/AEM.csv"),
    ("import", "{away}/none"),
    ("hook", "add", "  "),
    ("hook", "add", "true", "--on", "faild"),
    ("hook", "rm", "9"),
)


class Said(NamedTuple):
    code: int
    out: str
    err: str


class Scene(NamedTuple):
    """A workspace in which there is something for every command to change."""

    root: Path
    box: Box
    pid: int

    def words(self, args: tuple[str, ...]) -> list[str]:
        places = {"prices": self.root / "prices", "away": self.root}
        return [arg.format(**places) if "{" in arg else arg for arg in args]

    def picture(self) -> dict[str, bytes | None]:
        """Every file and folder with its bytes, but for what the engine writes on its own."""
        own = ("runs.duckdb", "runs.duckdb.wal", "host", ".engine")
        found = {}
        for path in sorted(self.root.rglob("*")):
            if not any(part in own for part in path.parts):
                found[str(path)] = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        return found


def leaves() -> dict[str, object]:
    """Every command there is with its own options, as `hook add` where it is one of a group."""
    found = {}
    for section in main.COMMANDS.values():
        for name, (place, _) in section.items():
            loaded = lazy._load(place)
            if isinstance(loaded, typer.Typer):
                group = typer.main.get_command(loaded)
                found |= {f"{name} {sub}": group.get_command(None, sub) for sub in group.list_commands(None)}
            elif name == "data":  # the trainers' own
                found |= {f"data {sub}": None for sub in ("synth", "import", "check")}
            else:
                found[name] = lazy.build(name, loaded)
    return found


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> Iterator[Scene]:
    root = tmp_path_factory.mktemp("dry")
    workspace = Workspace(root / "w")
    workspace.root.mkdir()
    for number, error in ((1, 0.5), (2, 0.6)):
        finished(workspace, f"toto-{number:04d}", error).evaluate("test", pct_mae=0.7)
    saved = workspace.run("toto-0002") / "checkpoints"
    for step in (50, 75):  # for gc
        (saved / f"step-{step:06d}").mkdir()
        (saved / f"step-{step:06d}" / "model.safetensors").write_bytes(bytes(5000))
    (root / "prices").mkdir()
    for symbol in ("AEM", "JD"):
        rows = [f"2024-{month:02d}-{day:02d},{month + day}" for month in range(1, 13) for day in range(1, 29)]
        (root / "prices" / f"{symbol}.csv").write_text("\n".join(["date,close", *rows]))
    (root / "theirs").mkdir()
    (root / "none").mkdir()
    (root / "theirs" / "final_metrics.json").write_text('{"val": {"loss": 0.4}}')
    packing.pack(workspace, "toto-0001", root / "packed.tar")
    hooks.add(workspace.hooks, "true", ("lost",), 1.0, 0.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENGINE_HOME", str(workspace.root))
        patch.setenv("PYTHONPATH", str(Path(main.__file__).parents[2]))
        patch.setenv("ENGINE_CPU_SLOTS", "2")
        patch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        patch.delenv("ENGINE_RUN", raising=False)
        patch.chdir(workspace.root)
        box = Box(workspace, nursery)
        try:
            box.ended(box.submit("false", name="failed").id)
            pid = box.state(box.submit("sh", "-c", BLOCK, name="live").id, "running").pid
            asleep = box.state(box.submit("sh", "-c", BLOCK, name="asleep").id, "running")
            box.call(Order(run=asleep.id, order="pause"))
            wait_for(lambda: stopped(asleep.pid))
            box.submit("true", name="held", hold=True)
            box.submit("true", name="waits", begin=4e9)
            box.call(Sync())
            for _ in range(2):
                export(workspace, "toto-0001")  # twice, so that there is one before
            store_own.save(workspace, "mine", "SELECT 1 AS one")
            box.call(Sync())
            yield Scene(root, box, pid)
        finally:
            box.close()


@pytest.fixture
def cli(scene: Scene, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def call(*args: str) -> Said:
        capfd.readouterr()
        try:
            code = main.run(scene.words(args))
        except SystemExit as end:
            code = int(end.code or 0)
        return Said(code, *capfd.readouterr())

    return call


@pytest.mark.parametrize("name", leaves())
def test_a_command_can_be_rehearsed_or_changes_nothing(name: str, scene: Scene, cli: Callable[..., Said]):
    if name in TOURS:
        return
    before = scene.picture()
    if name in READS:
        cli(*name.split(), *READS[name])
        assert scene.picture() == before, f"{name} changes something and has no --dry-run"
        return
    for args in CHANGES[name]:
        said = cli(*name.split(), "--dry-run", *args)
        assert "No such option" not in said.err, "a command that changes something needs --dry-run"
        assert said.code == 0, said
        assert "dry run: " in (said.err + said.out).lower()
        assert scene.picture() == before, (name, args)
    assert alive(scene.pid)
    assert len(scene.box.rows()) == 7
    assert scene.box.row("failed").id == "exec-0003"


@pytest.mark.parametrize("args", REFUSED, ids=" ".join)
def test_what_is_refused_is_refused_in_a_rehearsal_in_the_same_words(args, scene: Scene, cli: Callable[..., Said]):
    before = scene.picture()
    options = 2 if args[0] in ("db", "hook") else 1
    real, dry = cli(*args), cli(*args[:options], "--dry-run", *args[options:])
    assert real.code != 0
    assert dry == real
    assert "fault of the program" not in real.err
    assert scene.picture() == before


def test_a_rehearsal_tells_what_would_come(scene: Scene, cli: Callable[..., Said]):
    root = scene.root
    told = cli("unpack", "--dry-run", str(root / "packed.tar"), str(root / "packed.tar"))
    assert told.code == 0
    assert "dry run: toto-0008 would be taken in as history: " in told.err
    assert "nothing would be taken in: it is here already, as toto-0008" in told.err
    assert "imported-0008 would be taken in" in cli("import", "--dry-run", "{away}/theirs").err
    shown = json.loads(cli("export", "--dry-run", "--json", "2").out)
    assert (shown["run"], shown["revealed"]) == ("toto-0002", {}), "test results are not revealed by a rehearsal"
    assert "toto-0001 at step 100 would become the model of .best_model_path" in cli("export", "best", "--dry-run").err
    assert "step-000050 would go" in cli("gc", "--dry-run", "--yes").err
    assert (
        "hook 2 would be called when a run has ended failed"
        in cli("hook", "add", "--dry-run", "true", "--on", "failed").err
    )
    assert "anew from 7 run folders" in cli("db", "rebuild", "--dry-run").err
    said = cli("sql", "--dry-run", "--write", "UPDATE runs SET note = 'x' WHERE id = 'toto-0001'")
    assert said.err == "engine: dry run: runs.duckdb would be changed as the query says: Count 1.\n"
    assert "x" not in cli("sql", "SELECT note FROM runs WHERE id = 'toto-0001'", "--csv").out
    assert cli("sql", "--dry-run", "--write", "COMMIT").code == 2
    copied = cli("sql", "--dry-run", "--write", "COPY runs TO '{away}/x.csv'")
    assert "(a dry run reaches no other file)" in copied.err
    assert not (root / "x.csv").exists()
    assert cli("sql", "--dry-run", "SELECT 1").code == 2
    assert "nothing to do: the engine runs" in cli("up", "--dry-run").err
