"""The screen of a workspace on another machine, over a program that behaves like ssh."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pexpect
import pytest

from engine.errors import EngineDown
from tests import standin
from tests.conftest import Box, wait_for
from tests.tui.test_terminal import start
from tui.far import Far

TRAINS = """
import time
from engine import runlog
runlog.event("plan", steps=100)
for step in range(1, 41):
    runlog.log(step, loss=1 / step)
print("a word from far away", flush=True)
time.sleep(600)
"""


def test_a_workspace_elsewhere_is_looked_at(box: Box, tmp_path: Path, monkeypatch):
    there = box.workspace.root
    run_id = box.python(TRAINS, name="faraway").id
    box.state(run_id, "running")
    here = Path(tempfile.mkdtemp(prefix="far-"))  # short: a socket lies below it
    standin.install(tmp_path, there, monkeypatch)
    monkeypatch.setenv("TMPDIR", str(here))
    screen = start(type(box.workspace)(here), "--host", f"me@box:{there}")
    try:
        screen.expect("faraway")
        screen.send("l")
        screen.expect("a word from far away")
        assert (next(here.glob("tui-*")).stat().st_mode & 0o777) == 0o700
        copied = next(here.glob(f"tui-*/runs/{run_id}/metrics.jsonl"))
        wait_for(lambda: copied.read_text().count("\n") == 40, "for the curves")
        screen.send("\x11")
        screen.expect(pexpect.EOF)
        screen.close()
        assert screen.exitstatus == 0
    finally:
        screen.close(force=True)
    assert [*here.iterdir()] == []
    here.rmdir()
    assert box.row(run_id).state == "running"


def test_a_machine_that_is_not_there(tmp_path: Path, monkeypatch):
    standin.install(tmp_path, tmp_path, monkeypatch)
    far = Far("nowhere")
    with pytest.raises(EngineDown, match="nowhere was not reached by ssh"):
        far.open()
    far.close()
    assert not far.home.exists()
