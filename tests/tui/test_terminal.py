"""The program in a real terminal: it starts an engine, draws, survives a resize, and leaves training alone."""

from __future__ import annotations

import os
import sys

import pexpect
import pytest

from engine.records import Order, QueueOrder
from tests.conftest import alive, wait_for


def start(workspace, *arguments: str) -> pexpect.spawn:
    env = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "ENGINE_HOME": str(workspace.root)}
    for name in ("COLUMNS", "LINES"):  # what they say wins over the terminal, and test runners set them
        env.pop(name, None)
    return pexpect.spawn(sys.executable, ["-m", "tui", *arguments], dimensions=(40, 140), env=env, timeout=60)


def test_start_resize_leave(box, workspace):
    row = box.python("import time; print('begun', flush=True); time.sleep(60)", name="sleeper")
    box.state(row.id, "running")
    pid = box.row(row.id).pid
    screen = start(workspace)
    screen.expect("Running")
    screen.expect(row.id)
    screen.setwinsize(24, 80)
    screen.expect("Finished")
    screen.send("q")
    screen.expect("Training goes on: 1 running")
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 0
    assert alive(pid)
    assert box.row(row.id).state == "running"


def test_a_paused_queue_is_in_the_header_and_an_end_is_a_desktop_notice(box, workspace, monkeypatch):
    monkeypatch.delenv("TMUX", raising=False)
    go = workspace.root / "go"
    row = box.submit("sh", "-c", f"while [ ! -e {go} ]; do sleep 0.02; done", name="sweep;1")
    box.state(row.id, "running")
    box.call(Order(run=row.id, order="pause"))
    box.call(QueueOrder(order="pause"))
    screen = start(workspace)
    screen.expect("queue paused since [0-9]{2}:[0-9]{2}")
    screen.expect("◫".encode())
    box.call(Order(run=row.id, order="resume"))
    go.touch()
    screen.expect("\x1b]777;notify;sweep,1;exec-0001 ok\x1b")
    screen.send("q")
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 0


def test_it_starts_an_engine_on_demand(workspace, box):
    assert not workspace.socket.exists()
    screen = start(workspace)
    screen.expect("Nothing runs yet")
    wait_for(lambda: workspace.socket.exists(), "for the engine's socket")
    screen.send("\x11")  # ctrl+q
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 0
    assert alive(box.pid), "the engine goes on"


@pytest.mark.parametrize("argument", ["--help", "--nonsense"])
def test_arguments_are_answered_without_a_screen(workspace, argument):
    screen = start(workspace, argument)
    screen.expect("--readonly")
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == (0 if argument == "--help" else 2)
