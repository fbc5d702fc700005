"""The program in a real terminal: it starts an engine, draws, survives a resize, and leaves training alone."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pexpect
import pytest

from engine.messages import GetStatus, Order, QueueOrder
from tests.conftest import alive, wait_for
from tests.tui import recorded
from tests.tui.recorded import RecordedEngine
from tui.settings import Settings


def start(workspace, *arguments: str, size: tuple[int, int] = (40, 140)) -> pexpect.spawn:
    Settings().put("tour", True)  # who starts it here has been shown around
    env = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "ENGINE_HOME": str(workspace.root)}
    for name in ("COLUMNS", "LINES"):  # what they say wins over the terminal, and test runners set them
        env.pop(name, None)
    return pexpect.spawn(sys.executable, ["-m", "tui", *arguments], dimensions=size, env=env, timeout=60)


def test_start_resize_leave(box, workspace):
    row = box.python("import time; print('begun', flush=True); time.sleep(60)", name="sleeper")
    box.state(row.id, "running")
    pid = box.row(row.id).pid
    screen = start(workspace)
    screen.expect("Running")
    screen.expect(row.id)
    screen.send("\x1b[<0;26;1M\x1b[<0;26;1m")  # a click on `2 runs` in the first line, as terminals tell it
    screen.expect("columns")  # a key of that screen alone
    screen.send("1")
    screen.expect("nothing is wrong")
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


def test_a_small_terminal_that_may_only_look(box, workspace):
    row = box.python("import time; time.sleep(60)", name="sleeper")
    box.state(row.id, "running")
    screen = start(workspace, "--readonly", "--theme", "plain", size=(24, 80))
    screen.expect("read only")
    screen.expect(row.id)
    screen.send("x")
    screen.expect("This is tui --readonly")
    screen.send("q")
    screen.expect("Training goes on: 1 running")
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 0
    assert box.row(row.id).state == "running"


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


def tmux(place, *command: str) -> str:
    done = subprocess.run(["tmux", "-L", f"paddock-{os.getpid()}", "-f", "/dev/null", *command], cwd=place,
                          capture_output=True, text=True, check=False)  # fmt: skip
    return done.stdout


def test_inside_tmux_it_starts_resizes_suspends_survives_its_engine_and_leaves(box, workspace, home):
    """The whole life in a multiplexer, as most people who train on a box elsewhere have it."""
    Settings().put("tour", True)
    row = box.python("import time; time.sleep(120)", name="sleeper")
    box.state(row.id, "running")
    inside = " ".join(f"{name}={os.environ[name]}" for name in ("ENGINE_HOME", "PYTHONPATH", "XDG_STATE_HOME"))
    shell = f"env {inside} sh"
    seen = lambda *texts: wait_for(  # noqa: E731
        lambda: all(text in tmux(workspace.root, "capture-pane", "-p", "-t", "w") for text in texts), f"for {texts}", 60
    )
    try:
        tmux(workspace.root, "new-session", "-d", "-s", "w", "-x", "140", "-y", "40", shell)
        tmux(workspace.root, "send-keys", "-t", "w", f"{sys.executable} -m tui", "Enter")
        seen(row.id, "nothing is wrong", "leave")
        tmux(workspace.root, "resize-window", "-t", "w", "-x", "80", "-y", "24")
        seen(row.id, "Finished", "q leave")
        tmux(workspace.root, "send-keys", "-t", "w", "y")
        wait_for(lambda: tmux(workspace.root, "show-buffer") == row.id, "for the clipboard of tmux", 60)
        tmux(workspace.root, "send-keys", "-t", "w", "?")
        seen("esc closes")
        tmux(workspace.root, "send-keys", "-t", "w", "C-z")
        wait_for(lambda: "closes" not in tmux(workspace.root, "capture-pane", "-p", "-t", "w"), "to be suspended", 60)
        tmux(workspace.root, "send-keys", "-t", "w", "fg", "Enter")
        seen("esc closes")
        tmux(workspace.root, "send-keys", "-t", "w", "Escape")
        seen(row.id, "Finished")
        pid = box.client.call(GetStatus()).status.pid
        os.kill(pid, signal.SIGKILL)
        seen("engine away", "starts the engine")
        tmux(workspace.root, "send-keys", "-t", "w", "E")
        seen(row.id, "◆ engine")
        tmux(workspace.root, "send-keys", "-t", "w", "q")
        seen("Training goes on: 1 running")
    finally:
        tmux(workspace.root, "kill-server")


def test_a_browser_gets_the_same_screens(box, workspace):
    """`--serve` over the real server and a real websocket, to its own page on this machine only."""
    Settings().put("tour", True)
    box.call(GetStatus())  # who may change nothing starts no engine
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tui", "--serve", "--readonly", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        assert f"http://localhost:{port}" in process.stdout.readline()
        second = subprocess.run(command, capture_output=True, text=True)
        assert (second.returncode, second.stdout, second.stderr.count("\n")) == (1, "", 1)
        assert f"port {port} can't be used: Address already in use" in second.stderr
        text, child = asyncio.run(first_screen(port, process))
        assert "Nothing runs" in text
        assert "read only" in text
        assert process.wait(60) == 0, "with a page open"
        wait_for(lambda: not alive(child), "the program behind the page to end", 60)
        assert process.stdout.read() == "", "one line is all it says"
    finally:
        process.kill()
        process.communicate()


def test_what_a_browser_sees_ends_with_a_server_that_was_killed():
    child = "import os, time; from tui.__main__ import end_with; end_with(os.getppid()); print(os.getpid(), flush=True)"
    server = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child + '; time.sleep(600)'!r}])"
    process = subprocess.Popen([sys.executable, "-c", server], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    assert alive(pid)
    process.kill()
    process.wait()
    wait_for(lambda: not alive(pid), "for the end of what it showed", 60)
    process.stdout.close()


async def first_screen(port: int, server: subprocess.Popen[str]) -> tuple[str, int]:
    """What a browser is sent until the dashboard is there, and the program that draws it; then the server is ended."""
    import aiohttp  # 0.2 s, which every worker would pay

    async with aiohttp.ClientSession() as session:
        here, ws = f"http://localhost:{port}", f"http://localhost:{port}/ws?width=140&height=40"
        page = await session.get(here)
        assert f"ws://localhost:{port}/ws" in await page.text()
        assert (await session.get(f"{here}/static/js/textual.js")).status == 200
        for name, value in (("Origin", "http://elsewhere.example"), ("Origin", "http://localhost:1"), ("Host", "a.b")):
            with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
                await session.ws_connect(ws, headers={name: value})
        talk = await session.ws_connect(ws, headers={"Origin": here})
        text, child = "", 0
        async with asyncio.timeout(90):
            async for message in talk:
                if message.type is aiohttp.WSMsgType.BINARY:
                    text += message.data.decode(errors="replace")
                if "Nothing runs" in text and not child:
                    [child] = children(server.pid)
                    server.send_signal(signal.SIGTERM)
        assert talk.close_code == aiohttp.WSCloseCode.GOING_AWAY
        return text, child


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_on_a_line_that_takes_nothing_keys_are_heard_and_their_frames_left_out(workspace):
    """A screen that is gone to and left forty times while nobody reads: the order after it is given, and shown next."""
    now = time.time()
    with RecordedEngine(workspace, recorded.busy_box(now), recorded.two_gpus(now), recorded.history(now)) as engine:
        screen = start(workspace, "--slow", size=(50, 200))
        screen.expect("kronos-0208")
        screen.send("21" * 40 + "p")
        wait_for(lambda: any(isinstance(one, QueueOrder) for one in engine.asked), "for the order", 60)
        screen.expect("the queue is paused")
        assert len(screen.before) < 250_000, "some frames, not eighty"
        screen.send("q")
        screen.expect(pexpect.EOF)
        screen.close()
        assert screen.exitstatus == 0
