"""Journeys through the form of a new run, with a real engine."""

from __future__ import annotations

import subprocess

import pytest

from tests.tui.pilot import travel
from tui.screens.new import NewRunScreen


@pytest.fixture
def committed(workspace):
    """A workspace whose code is known: a git repository with a commit."""
    (workspace.root / "train.py").write_text("print('loss: 0.5 (step 1)')\n")
    (workspace.root / ".gitignore").write_text("runs/\nruns.duckdb*\n")
    name = ("-c", "user.name=ann", "-c", "user.email=ann@box")
    for command in (("init", "-q"), ("add", "-A"), (*name, "commit", "-q", "-m", "first")):
        subprocess.run(["git", *command], cwd=workspace.root, check=True)
    return workspace


def test_any_command_then_its_clone_which_exists_already(box, committed, monkeypatch):
    monkeypatch.chdir(committed.root)

    async def form_of(journey) -> NewRunScreen:
        screen = await journey.until(lambda: isinstance(journey.app.screen, NewRunScreen) and journey.app.screen)
        await journey.until(lambda: screen.form is not None, "for the form")
        return screen

    async def way(journey):
        await journey.known()
        await journey.press("n")
        screen = await form_of(journey)
        await journey.press("e")
        await journey.sees("type a command")
        screen.fields.go("command")
        await journey.paste("python train.py")
        screen.fields.go("gpu-memory")
        await journey.paste("6")
        await journey.sees("expected an amount of memory such as 6GiB")
        await journey.press("ctrl+r")
        screen.fields.go("tags")
        await journey.paste("quick")
        await journey.sees("engine exec --tag quick -- python train.py", "starts at once on CPU", "needs no GPU memory")
        await journey.press("f2")
        assert [item.name for item in screen.fields.shown_items] == ["family", "command", "tags"]
        await journey.press("f3")
        await journey.until(lambda: journey.app.clipboard == "engine exec --tag quick -- python train.py")
        await journey.press("f4")
        await journey.sees("dry run: nothing is queued", "exec-0001 would start on CPU")
        assert box.rows() == {}
        await journey.press("escape", "ctrl+s")
        await journey.until(lambda: journey.app.screen is journey.dashboard, "to be back")
        box.ended("exec-0001")
        await journey.until(lambda: journey.app.world.finished, "for its end")
        journey.dashboard.set_focus(journey.dashboard.table("finished"))
        await journey.until(lambda: journey.dashboard.target() is not None)
        await journey.press("ctrl+n")
        screen = await form_of(journey)
        await journey.sees("New run like exec-0001", "the same run exists: exec-0001 ended well")
        assert screen.fields.changed_only
        screen.fields.go("command")
        await journey.paste("y")
        await journey.sees("engine exec --tag quick -- python train.pyy")
        await journey.until(lambda: screen._foretold and "same run" not in journey.text(), "for what is foreseen")
        await journey.press("backspace")
        await journey.sees("the same run exists")
        screen.fields.go("tags")
        await journey.press("ctrl+u", "ctrl+s")
        await journey.until(lambda: journey.app.screen is journey.dashboard, "to be back")

        await journey.press("2", "G", "y", "c")  # the first run, listed last
        again = f"cd {committed.root} && engine exec --tag quick -- python train.py"
        await journey.until(lambda: journey.app.clipboard == again, "for a command that can be typed")

    travel(committed, way)
    assert [row.tags for row in box.rows().values()] == [("quick",), ()]
