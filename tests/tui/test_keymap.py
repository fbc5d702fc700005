"""Keys of one's own: what the file may say, and that every place then shows and obeys them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from engine.errors import UsageError
from tests.conftest import ROOT
from tests.tui import recorded, scene
from tests.tui.pilot import Journey, travel
from tests.tui.recorded import RecordedEngine
from tui import bulk, keymap, keys
from tui.keys import DASHBOARD, EVERYWHERE, KEYS, LIST
from tui.screens.commands import CommandsScreen
from tui.screens.run import RunScreen
from tui.themes import LIGHT

SCROLLBAR = "▁▂▃▄▅▆▇█"


def write(text: str) -> None:
    keymap.path().parent.mkdir(parents=True, exist_ok=True)
    keymap.path().write_text(text)


def test_no_file_is_no_key_of_ones_own():
    assert keymap.load() == {}


def test_keys_are_given_by_name():
    write('chosen.log = "o, f6"\nchosen.stop = "ctrl+x"\n[everywhere]\nkeys = ["?", "f1"]\n')
    assert keymap.load() == {
        "chosen.log": "o,f6", "everywhere.keys": "question_mark,f1", "chosen.stop": "ctrl+x"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('chosen.stpo = "x"', "no key is called 'chosen.stpo'. Did you mean chosen.stop?"),
        ('chosen.stop = "crtl+x"', "there is no such key"),
        ('chosen.stop = "pgup"', "Did you mean pageup?"),
        ("chosen.stop = 3", "expected a key such as"),
        ('chosen.stop = ""', "expected a key such as"),
        ('chosen.stop = "l"', "'l' is both chosen.log"),
        ('chosen.stop = "q"', "'q' is both chosen.stop"),
        ('chosen.log = "j"', "list.down"),
        ('form.submit = ["f6", "a"]', "form.submit = 'a': it works where one types"),
        ("chosen.stop = ", "is no TOML"),
    ],
)
def test_what_is_wrong_is_one_line(text, told):
    write(text)
    with pytest.raises(UsageError) as caught:
        keymap.load()
    assert told in str(caught.value)
    assert str(keymap.path()) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_two_keys_can_change_places():
    write('chosen.stop = "l"\nchosen.log = "x"')
    assert keymap.load() == {"chosen.stop": "l", "chosen.log": "x"}


def test_every_name_is_one_keys_only_and_no_default_clashes():
    named = [key.name for key in keys.KEYS if key.action]
    assert len(named) == len(set(named))
    keymap._check({key.name: key.keys for key in keys.KEYS if key.action})


def test_the_default_file_can_be_taken_as_it_is():
    write(
        "\n".join(
            line.removeprefix("#") for line in keymap.default().splitlines() if line.startswith("#") and " = " in line
        )
    )
    assert set(keymap.load()) == set(keymap.named())


def test_the_program_says_what_is_wrong_before_it_draws(workspace):
    write('chosen.stpo = "x"')
    in_terminal = "import pty, sys; sys.exit(pty.spawn([sys.executable, '-m', 'tui']) >> 8)"
    done = subprocess.run([sys.executable, "-c", in_terminal], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Did you mean chosen.stop?" in done.stdout
    assert done.stdout.count("\n") == 1


def test_a_run_is_opened_with_a_key_of_ones_own(workspace):
    write('dashboard.open = "f7"')

    async def way(journey):
        await journey.known()
        await journey.sees("f7 open", "kronos-0208")
        await journey.press("f7")
        await journey.until(lambda: isinstance(journey.app.screen, RunScreen), "for the run")

    with RecordedEngine(workspace, recorded.busy_box(1000.0), recorded.two_gpus(1000.0)):
        travel(workspace, way, keys=keymap.load())


def test_own_keys_work_and_are_shown(workspace):
    now = 1000.0
    write('chosen.log = "f6"\nlist.down = "f10"\nchosen.retry = "f4"\nchosen.hold = "f9"\ncolumns.take = "f2"')

    async def way(journey):
        await journey.known()
        await journey.sees("f6 log", "kronos-0208")
        await journey.press("f10")
        await journey.until(lambda: journey.dashboard.target().id == "toto-0211", "for the cursor")
        await journey.press("j", "l")
        assert journey.app.screen is journey.dashboard
        assert journey.dashboard.target().id == "toto-0211"
        await journey.press("x")
        await journey.sees("f4 goes on from there")
        await journey.press("n", "f6")
        await journey.until(lambda: isinstance(journey.app.screen, RunScreen), "for the log")
        await journey.press("2", "C")
        await journey.sees("f2 show, hide", "1  state")
        await journey.press("f2")
        await journey.sees("·  state")
        assert bulk.plan("hold", []).detail == "They keep their places; f9 releases them."

    with RecordedEngine(workspace, recorded.busy_box(now), recorded.two_gpus(now)):
        travel(workspace, way, keys=keymap.load())


async def commands(journey: Journey, wanted: str = "") -> set[str]:
    """What the palette offers, which stays open; or do the first of what is wanted."""
    await journey.press("colon")
    await journey.until(lambda: isinstance(journey.app.screen, CommandsScreen), "for the palette")
    offered = {one.text.lower() for one in journey.app.screen.table.rows}
    if wanted:
        await journey.paste(wanted)
        await journey.press("enter")
    return offered


def test_the_palette_has_every_action_that_can_be_done_here(workspace):
    """Those of the list in focus too, which are the list's own keys."""

    async def way(journey: Journey) -> None:
        await journey.known()
        app = journey.app
        offered = await commands(journey)
        here = [key for key in KEYS if {DASHBOARD, LIST, EVERYWHERE} & set(key.where)]
        actions = {key.text.lower() for key in here if key.action not in ("", "app.command_palette")}
        assert actions == offered - {"choose a theme by its name"}
        await journey.press("escape")
        await journey.until(lambda: app.screen is journey.dashboard and app.focused, "to be back in the list")
        table = app.focused
        await commands(journey, "last row")
        await journey.until(lambda: table.place == len(table.rows) - 1 > 0, "for the last row")
        chosen = table.chosen
        await journey.until(lambda: app.screen.target().id == chosen)
        await commands(journey, "open the run")
        await journey.until(lambda: isinstance(app.screen, RunScreen) and app.screen.ready)
        await journey.sees("evaluation")
        assert app.screen.run_id == chosen
        assert "last row" not in await commands(journey), "there is no list"

    with scene.box(workspace):
        travel(workspace, way)


def test_the_palette_shows_commands_on_a_terminal_of_few_lines(workspace):
    async def way(journey: Journey) -> None:
        await journey.known()
        await commands(journey)
        await journey.sees("Queue a new run")

    with scene.box(workspace):
        travel(workspace, way, (40, 8))


def test_a_click_on_a_command_does_it_and_a_theme_is_chosen_by_its_name(workspace):
    async def way(journey: Journey) -> None:
        await journey.known()
        await commands(journey)
        await journey.paste("theme")
        await journey.until(lambda: "by its name" in journey.text() and len(journey.app.screen.table.rows) < 9)
        table = journey.app.screen.table
        line = next(y for y, row in enumerate(table.rows) if row.name == "theme")
        await journey.pilot.click(table, offset=(20, line + 1))
        await journey.sees("Which theme?", "--theme light")
        await journey.paste("light")
        await journey.press("enter")
        await journey.until(lambda: journey.app.theme == LIGHT.name, "for the light theme")

    with scene.box(workspace):
        travel(workspace, way)


def test_the_docs_hold_every_key():
    told = (ROOT / "docs" / "keys.md").read_text()
    assert told == keymap.markdown(), "python -m tui --keys=markdown > docs/keys.md"


def test_the_palette_has_a_line_for_each_command_with_its_key_before_it(workspace):
    """In a frame of our colours, no wider than the smallest terminal; found by its key too."""

    async def way(journey: Journey) -> None:
        await journey.known()
        await journey.press("colon")
        await journey.sees("A new run like this one", "The log of the run")
        lines = journey.text().splitlines()
        (found,) = [line for line in lines if "The log of the run" in line]
        left, right = found.index("│"), found.rindex("│")
        assert found[left + 1 : right].rstrip(f" {SCROLLBAR}").split() == ["l", "The", "log", "of", "the", "run"]
        top = next(line for line in lines if "╭" in line)
        assert (top.index("╭"), top.rindex("╮")) == (left, right), "one frame"
        await journey.paste("ctrl+n")
        await journey.sees("A new run like this one")
        await journey.until(lambda: "The log of the run" not in journey.text(), "for what the key means alone")
        assert "enter does it" in journey.text(), "its last line is in sight"

    with scene.box(workspace):
        travel(workspace, way, (80, 24))
