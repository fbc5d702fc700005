"""A run as one file: whole when it arrives, without secrets, and harmless whatever somebody put into the file."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from engine import rundir
from engine.cli import main
from engine.errors import DataError
from engine.packing import Entry, Manifest, foresee, pack, unpack
from engine.records import Spec, encode
from engine.workspace import Workspace
from tests.conftest import Box

TOKEN = "ghp_" + "a1B2" * 8
TRAINS = f"""
import os
from pathlib import Path
from engine import runlog
for step in range(5):
    runlog.log(step, loss=1 / (step + 1), val_pct_mae=2.0)
here = Path(os.environ["ENGINE_RUN"])
(here / "checkpoints" / "step-000004").mkdir(parents=True)
(here / "checkpoints" / "step-000004" / "model.safetensors").write_bytes(bytes(range(256)) * 4096)
(here / "link").symlink_to("/etc/passwd")
print("logged in with {TOKEN} today")
"""


@pytest.fixture
def packed(box: Box, tmp_path: Path) -> tuple[str, Path, Manifest]:
    run_id = box.python(TRAINS, env={"OMP_NUM_THREADS": "1", "HF_HUB": TOKEN}, name="mine").id
    assert box.ended(run_id).state == "ok"
    path = tmp_path / "run.tar"
    return run_id, path, pack(box.workspace, run_id, path)


def test_a_run_travels_whole_and_once(box: Box, packed: tuple[str, Path, Manifest], tmp_path: Path, monkeypatch):
    run_id, path, made = packed
    there = Box(type(box.workspace)(tmp_path / "there"))
    there.workspace.root.mkdir()
    monkeypatch.setenv("ENGINE_HOME", str(there.workspace.root))
    try:
        there.python("pass")  # so that the id is taken there
        row, new = unpack(there.client, there.workspace, path)
        assert (row.id, row.state, row.name, row.step, new) == ("exec-0002", "ok", "mine", 4, True)
        assert row.imported.startswith(f"{made.host}:{run_id}#")
        assert unpack(there.client, there.workspace, path) == (row, False)
        one, other = box.workspace.run(run_id), there.workspace.run(row.id)
        for name in ("metrics.jsonl", "lifecycle.jsonl", "checkpoints/step-000004/model.safetensors"):
            assert (other / name).read_bytes() == (one / name).read_bytes()
        assert not os.path.lexists(other / "link")
        assert (other / "log.txt").read_text() == "logged in with [withheld] today\n"
        spec = json.loads((other / "spec.json").read_text())
        assert (spec["env"], spec["env_withheld"]) == ({"OMP_NUM_THREADS": "1"}, ["HF_HUB"])
        assert TOKEN.encode() not in path.read_bytes()
    finally:
        there.close()
    assert path.stat().st_mode & 0o077 == 0
    assert sorted(made.left_out) == [
        "link (a link)",
        "parts of log.txt (1 look like secrets)",
        "parts of the command (they look like secrets)",
    ]


def test_the_commands(box: Box, packed: tuple[str, Path, Manifest], capsys: pytest.CaptureFixture[str], tmp_path: Path):
    run_id, path, _ = packed
    cut_anywhere(box, path)
    light = tmp_path / "light.tar"
    capsys.readouterr()
    assert main.run(["pack", run_id, "-o", str(light), "--no-checkpoints", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["bytes"] == light.stat().st_size < 100_000
    assert main.run(["pack", run_id, "-o", str(light)]) == 2
    assert "is there already" in capsys.readouterr().err
    live = box.python("import time\ntime.sleep(600)").id
    assert main.run(["pack", live]) == 2
    assert "only an ended run" in capsys.readouterr().err
    assert main.run(["unpack", str(light), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)[0]["run"]
    assert (row["id"], row["state"]) == ("exec-0003", "ok")
    assert main.run(["unpack", str(tmp_path / "nothing")]) == 3
    assert "can't be read" in capsys.readouterr().err


Files = dict[str, bytes]
SPEC = Spec(id="exec-0001", family="exec", command=(sys.executable, "-c", "print(1)"), cwd="/")
ENDED = b'{"t":1,"event":"started","pid":1}\n{"t":2,"event":"exited","code":1}\n'


def tar(
    path: Path, content: Files, change: Callable[[tarfile.TarFile], None] | None = None, **manifest: object
) -> Path:
    """A packed run of somebody who means us no good."""
    with tarfile.open(path, "w") as out:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
        if change is not None:
            change(out)
        entries = tuple(Entry(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in content.items())
        data = msgspec.json.encode(Manifest(**{"run": "r", "host": "h", "packed": 1.0, "files": entries, **manifest}))
        info = tarfile.TarInfo("manifest.json")
        info.size = len(data)
        out.addfile(info, io.BytesIO(data))
    return path


def plus(**fields: object) -> Files:
    return {rundir.SPEC: encode(msgspec.structs.replace(SPEC, **fields)), rundir.LIFECYCLE: ENDED}


def special(kind: bytes) -> Callable[[tarfile.TarFile], None]:
    def add(out: tarfile.TarFile) -> None:
        info = tarfile.TarInfo("log.txt")
        info.type, info.linkname = kind, "/etc/passwd"
        out.addfile(info)

    return add


HOSTILE: dict[str, tuple[Files, dict[str, object]]] = {
    "a name outside": ({**plus(), "../../evil": b"x"}, {}),
    "an absolute name": ({**plus(), "/tmp/evil": b"x"}, {}),
    "a hidden name": ({**plus(), ".ssh/evil": b"x"}, {}),
    "a lock": ({**plus(), "trainer.lock": b""}, {}),
    "a link": (plus(), {"change": special(tarfile.SYMTYPE)}),
    "a hard link": (plus(), {"change": special(tarfile.LNKTYPE)}),
    "a device": (plus(), {"change": special(tarfile.CHRTYPE)}),
    "a file that the list does not name": (plus(), {"files": ()}),
    "another checksum": (plus(), {"files": (Entry(rundir.SPEC, 1, "0"), Entry(rundir.LIFECYCLE, 1, "0"))}),
    "a newer format": (plus(), {"format": 99}),
    "no spec": ({rundir.LIFECYCLE: ENDED}, {}),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_refused_and_leaves_nothing(workspace: Workspace, tmp_path: Path, what: str):
    files, more = HOSTILE[what]
    path = tar(tmp_path / "evil.tar", files, **more)
    workspace.prepare()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError):
        unpack(None, workspace, path)  # it never comes to asking the engine
    with pytest.raises(DataError):
        foresee(None, path)
    assert sorted(tmp_path.rglob("*")) == before


def cut_anywhere(box: Box, path: Path) -> None:
    whole = path.read_bytes()
    for cut in (0, 100, 700, len(whole) // 2, len(whole) - 12_000):
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError):
            unpack(box.client, box.workspace, path)
        with pytest.raises(DataError):
            foresee(box.client, path)
    path.write_text("not a tar at all" * 100)
    with pytest.raises(DataError):
        unpack(box.client, box.workspace, path)
    assert len(box.rows()) == 1


def test_nothing_that_a_file_asks_for_is_done(box: Box, tmp_path: Path):
    """Neither a start, nor an attempt of the engine's own, nor a command at the end."""
    witness = tmp_path / "witness"
    touch = ("touch", str(witness))
    for lifecycle in (b"", b'{"t":1,"event":"started","pid":1}\n'):
        path = tar(tmp_path / "open.tar", {**plus(command=touch), rundir.LIFECYCLE: lifecycle})
        assert main.run(["unpack", str(path)]) == 2
    from engine.retry import Policy

    files = plus(command=touch, on_finish=f"touch {witness}", retry=Policy(times=3), id="../../x-0001")
    assert main.run(["unpack", str(tar(tmp_path / "asks.tar", files))]) == 0
    rows = [*box.rows().values()]
    assert [(row.id, row.state) for row in rows] == [("exec-0001", "failed")]
    later = box.python("pass")  # by its end the engine has had its time
    assert box.ended(later.id).state == "ok"
    assert not witness.exists()
    assert len(box.rows()) == 2
