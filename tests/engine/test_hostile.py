"""Whatever a run puts into its folder, and whoever else is on the box: the engine goes on and tells nothing."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import rows, rundir
from engine.messages import Rows, Submit, decode_reply
from engine.records import ENDED, Spec, encode
from engine.run import Run, Seen
from engine.tail import Tail
from tests.conftest import Box, wait_for

LINES = (rundir.ORDERS, rundir.LIFECYCLE, rundir.METRICS, rundir.EVENTS, rundir.LOG)
KEYS = ("t", "step", "steps", "loss", "epoch", "epochs", "val_pct_mae", "val_skill", "val_naive_pct_mae", "pid", "name",
        "supervisor", "devices", "code", "signal", "why", "value", "rank", "priority", "claim", "max_rss_bytes", "text",
        "cause", "path", "metric", "metrics", "split", "limit", "within", "by", "oom_kills", "boot", "windows_per_s",
        "total", "free")  # fmt: skip
EVENTS = ("started", "exited", "adopted", "paused", "resumed", "plan", "phase", "best", "warning", "oom", "failed",
          "finished", "evaluation", "promise")  # fmt: skip
ORDERS = ("start", "stop", "kill", "hold", "priority", "move", "note", "tag", "untag", "pause", "resume", "promote")
anything = st.one_of(
    st.sampled_from((None, True, "x", "", 3, 10**400, -(2**70), [1, "a"], {}, [[]])), st.floats(), st.integers(),
)  # fmt: skip
lines = st.lists(
    st.fixed_dictionaries(
        {"event": st.sampled_from(EVENTS), "order": st.sampled_from(ORDERS)},
        optional=dict.fromkeys(KEYS, anything),
    ),
    max_size=4,
)


@given(lines, st.booleans(), st.booleans())
def test_lines_of_any_type_make_a_row_that_can_be_told(told, supervisor, trainer):
    written = "".join(json.dumps(line) + "\n" for line in told).encode()
    run = Run(Spec(id="exec-0001", family="exec", command=("true",), cwd="/", submitted=1.0))
    for line in rundir.parse(written):
        run.take_order(line)
        run.progress.metrics(line)
        run.progress.event(line)
    run.derive(Seen(rundir.parse(written), supervisor, trainer), 1e9, 0.0)
    row = rows.row(run, {}, "")
    sent = encode(Rows((row,)))
    assert decode_reply(sent).rows[0].id == "exec-0001"
    assert len(sent) < 20_000


def test_half_characters_and_deep_or_long_lines_are_passed_over(tmp_path: Path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(
        b'{"a":"\\ud800"}\n' + b'{"a":' + b"[" * 100_000 + b"\n" + b"x" * (2 << 20) + b'\n{"a":"\\ud83d\\ude00"}\n'
    )
    assert rundir.read(path) == [{"a": "\U0001f600"}] == Tail(path).read() + Tail(path, last=100).read()


def test_whatever_lies_in_place_of_a_file_the_engine_goes_on(box: Box):
    """Runs swap every file they may reach for something else; then another run has its turn, and an engine dies."""
    outside = box.workspace.root / "outside"
    outside.write_text('{"t":1,"event":"failed","cause":"from outside"}\n' * 3)
    plants = {
        "pipe": "os.mkfifo(path)",
        "link": f"os.symlink({str(outside)!r}, path)",
        "endless": "os.symlink('/dev/zero', path)",
        "folder": "os.mkdir(path)",
        "huge": "os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), 1 << 40)",
    }
    bad = []
    for plant, make in plants.items():
        names = LINES if plant != "huge" else (rundir.METRICS, rundir.EVENTS, rundir.LOG)
        code = f"import os\nfor name in {names!r}:\n path = os.path.join(os.environ['ENGINE_RUN'], name)\n"
        code += f" if os.path.lexists(path): os.unlink(path)\n {make}\n"
        bad.append(box.python(code).id)
    for run in bad:
        box.ended(run)
        assert "from outside" not in box.row(run).reason
    box.crash()
    assert {box.row(run).state for run in bad} <= ENDED
    assert box.ended(box.submit("true").id).state == "ok"
    assert outside.read_text().count("\n") == 3


def test_folders_and_socket_are_for_their_owner_alone(box: Box):
    box.ended(box.submit("true").id)
    runs = box.workspace.runs
    for path in (runs, box.workspace.private, box.workspace.host, box.workspace.run("exec-0001")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    wait_for(box.workspace.database.exists)
    for path in (box.workspace.socket, box.workspace.database):
        wait_for(lambda path=path: stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, f"for {path} to be private")


def test_another_user_can_neither_talk_to_the_engine_nor_read(box: Box):
    """As root the attempt is really made as another user; else the modes above and the check of the peer say it."""
    box.ended(box.submit("true").id)
    if os.getuid() != 0:
        from engine.server import foreign_user

        ours, theirs = socket.socketpair(socket.AF_UNIX)
        with ours, theirs:
            writer = type("Writer", (), {"get_extra_info": lambda self, name: ours})()
            assert foreign_user(writer) is False
        return
    root = box.workspace.root
    root.chmod(root.stat().st_mode | 0o011)
    box.workspace.private.chmod(0o755)  # as if the folder's lock had failed: the socket's own must hold
    box.workspace.runs.chmod(0o755)
    box.workspace.socket.chmod(0o666)
    script = (
        "import os, socket, sys\n"
        "os.chdir(sys.argv[3])\n"  # nothing above is in the way, so that what stops them is ours
        "os.setgid(65534); os.setuid(65534)\n"
        "s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect(sys.argv[1])\n"
        "try:\n"
        '    s.sendall(b\'{"type":"status"}\\n\')\n'
        "    assert s.recv(100) == b'', 'answered'\n"
        "except ConnectionError: pass\n"
        "for name in ('spec.json', 'log.txt'):\n"
        "    try: open(os.path.join(sys.argv[2], name))\n"
        "    except PermissionError: pass\n"
        "    else: raise SystemExit(name + ' was read')\n"
    )
    paths = [path.relative_to(root) for path in (box.workspace.socket, box.workspace.run("exec-0001"))]
    argv = [sys.executable, "-I", "-S", "-c", script, *map(str, paths), str(root)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_id_with_a_path_in_it_reaches_no_folder(box: Box):
    from engine.errors import EngineError

    for family in ("../../x", "a/b", ".", ""):
        with pytest.raises(EngineError):
            box.call(Submit(spec=Spec(family=family, command=("true",), cwd="/")))
    assert box.rows() == {}
    assert not list(box.workspace.root.parent.rglob("*-0001"))
