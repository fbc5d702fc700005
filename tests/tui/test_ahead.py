"""Screens that are made while nobody types: there at once, with the styles they would have, and nothing is read yet."""

from __future__ import annotations

import gc
import weakref
from functools import partial

import pytest

from tests.tui import recorded, upclose
from tests.tui.pilot import travel
from tests.tui.recorded import RecordedEngine
from tui import ahead
from tui.answers import rank
from tui.places import PLACES, SPARE
from tui.screens import best
from tui.screens.run import RunScreen
from tui.theme import DARK, LIGHT
from tui.widgets.lines import Lines

NOW = 1_800_000_000.0
MADE = [place.name for place in PLACES if place.screen]


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(ahead, "REST", 0.0)
    monkeypatch.setattr(ahead, "STEP", 0.01)


@pytest.fixture
def asked(monkeypatch):
    """How often the leaderboard was ranked."""
    found: list[float] = []

    def ranked(workspace, wish):
        found.append(NOW)
        return rank(workspace, wish)

    monkeypatch.setattr(best, "rank", ranked)
    return found


def shown(app, screen, tab):
    return app.screen is screen and screen.ready and screen.query_one("#pages").current == tab


def styles_stand(screen, least):
    """Whether its nodes have the styles that they get when all are worked out anew."""
    nodes = [*screen.walk_children(with_self=True)]
    known = [node.styles.base.get_rules() for node in nodes]
    screen.app.stylesheet.update(screen)
    return len(nodes) > least and [node.styles.base.get_rules() for node in nodes] == known


def test_screens_are_made_ahead_look_as_they_would_and_read_nothing_before_they_are_seen(workspace, at_once, asked):
    async def way(journey):
        app = journey.app
        await journey.known()
        before = journey.text()
        await journey.until(lambda: [*app._screen_stacks] == MADE, "for all screens")
        made = [app._screen_stacks[name][0] for name in MADE]
        await journey.until(lambda: all(screen.is_mounted for screen in made), "for their panes")
        assert app.screen is journey.dashboard
        assert journey.text().splitlines()[1:] == before.splitlines()[1:]
        assert not asked
        assert all(styles_stand(screen, 5) for screen in made)
        await journey.press("5")
        await journey.until(lambda: asked, "for the leaderboard to be asked for")
        await journey.sees("No run has a result yet")
        first = len(asked)
        await journey.press("1", "5")
        await journey.until(lambda: app.current_mode == "best")
        assert len(asked) == first  # what was asked for once is not asked for again by coming back
        await journey.press("2")
        await journey.sees(" Runs · ", recorded.busy_box(NOW)[0].id)

    with RecordedEngine(workspace, recorded.busy_box(NOW), recorded.two_gpus(NOW), recorded.history(NOW)):
        travel(workspace, way)


def test_a_theme_that_came_after_it_was_made_holds_for_a_screen(workspace, at_once):
    async def way(journey):
        app = journey.app
        await journey.known()
        await journey.until(lambda: [*app._screen_stacks] == MADE, "for all screens")
        app.theme = LIGHT.name
        await journey.press("2")
        await journey.until(lambda: app.current_mode == "runs")
        assert app.screen.background_colors[1] == app.screen_stack[0].background_colors[1]
        assert styles_stand(app.screen, 5)

    with RecordedEngine(workspace, recorded.busy_box(NOW), recorded.two_gpus(NOW), recorded.history(NOW)):
        travel(workspace, way)


@pytest.mark.parametrize("size", [(160, 44), (80, 24)])
def test_a_run_and_a_form_that_were_made_ahead_are_opened_as_others_are(workspace, at_once, size):
    async def way(journey):
        app = journey.app
        await journey.known()
        for tab, theme in (("charts", LIGHT), ("config", DARK)):
            await journey.until(lambda: {*app._spare} == {*SPARE}, "for the spare ones")
            made, app.theme = app._spare["run"], theme.name
            app.open_run("toto-0206", tab)
            await journey.until(partial(shown, app, made, tab), "for the run")
            assert styles_stand(made, 8)
            await journey.sees("toto-0206", "config")
            await journey.press("escape")
            assert app._spare.get("run") is not made
        form = app._spare["new"]
        await journey.press("8")
        await journey.until(lambda: app.screen is form and form.form is not None, "for the form")
        assert styles_stand(form, 5)

    with RecordedEngine(workspace, recorded.busy_box(NOW), recorded.two_gpus(NOW), recorded.history(NOW)):
        travel(workspace, way, size)


def test_a_spare_screen_shows_at_once_what_was_read_of_its_run_already(workspace, at_once):
    """Of a run that has ended nothing new comes that would bring it."""
    upclose.trained(workspace, "toto-0206")

    async def way(journey):
        app = journey.app
        await journey.known()
        await journey.until(lambda: "run" in app._spare and app._spare["run"].is_mounted, "for the spare one")
        journey.dashboard.action_choose("toto-0206")
        await journey.until(lambda: app._read_shown and app._read_shown.wish.run == "toto-0206", "for its log")
        for tab, shows in (("charts", lambda screen: screen.query_one("#loss").picture.curves),
                           ("log", lambda screen: screen.query_one("#log").lines)):  # fmt: skip
            await journey.until(lambda: "run" in app._spare and app._spare["run"].is_mounted, "for a spare one")
            made = app._spare["run"]
            app.open_run("toto-0206", tab)
            await journey.until(partial(shown, app, made, tab), "for the run")
            await journey.until(partial(shows, made), f"for its {tab}", seconds=10)
            await journey.press("escape")

    with RecordedEngine(workspace, recorded.busy_box(NOW), recorded.two_gpus(NOW), recorded.history(NOW)):
        travel(workspace, way)


@pytest.mark.parametrize("size", [(160, 44), (80, 24)])
def test_the_help_that_was_made_ahead_is_that_of_the_place_and_scrolls(workspace, at_once, size):
    async def way(journey):
        app = journey.app
        await journey.known()
        for place, title in (("2", "Runs"), ("5", "Best")):
            await journey.press(place)
            await journey.until(lambda: "keys" in app._spare and app._spare["keys"].is_mounted, "for the spare one")
            made = app._spare["keys"]
            await journey.press("question_mark")
            await journey.until(lambda shown=made: app.screen is shown, "for the help")
            shown = made.query_one("#lines", Lines)
            assert shown.text_of(0) == title
            await journey.sees(title, "esc closes")
            await journey.press("end")
            await journey.sees("grey: the rest")
            await journey.press("escape")
            await journey.until(lambda shown=made: app.screen is not shown, "to close it")

    with RecordedEngine(workspace, recorded.busy_box(NOW), recorded.two_gpus(NOW), recorded.history(NOW)):
        travel(workspace, way, size)


def test_a_question_that_was_made_ahead_asks_what_is_asked_now(workspace, at_once):
    async def way(journey):
        app = journey.app
        await journey.known()
        journey.dashboard.action_choose("toto-0211")
        for key, said, trouble in (("X", "Kill toto-0211 at once?", True), ("x", "Stop toto-0211?", False)):
            await journey.until(lambda: "question" in app._spare and app._spare["question"].is_mounted, "for a spare")
            made = app._spare["question"]
            await journey.press(key)
            await journey.until(lambda shown=made: app.screen is shown, "for the question")
            await journey.sees(said, "no, leave it")
            assert made.query_one("#box").has_class("trouble") is trouble
            await journey.press("n")
            await journey.until(lambda: app.screen is journey.dashboard)

    with RecordedEngine(workspace, recorded.busy_box(NOW), recorded.two_gpus(NOW), recorded.history(NOW)):
        travel(workspace, way)


def test_nothing_is_made_while_somebody_types(workspace, monkeypatch):
    monkeypatch.setattr(ahead, "STEP", 0.01)
    clock = [1000.0]
    monkeypatch.setattr(ahead, "monotonic", lambda: clock[0])

    async def way(journey):
        app = journey.app
        await journey.known()
        for _ in range(5):
            clock[0] += 0.9 * ahead.REST
            await journey.press("j")
            await journey.pilot.pause(0.03)
        assert [*app._screen_stacks] == ["dashboard"]
        clock[0] += 1.1 * ahead.REST
        await journey.until(lambda: [*app._screen_stacks] == MADE, "for all screens")
        await journey.until(lambda: app._screen_stacks[MADE[-1]][0].is_mounted)

    with RecordedEngine(workspace, recorded.busy_box(NOW), recorded.two_gpus(NOW), recorded.history(NOW)):
        travel(workspace, way)


@pytest.mark.parametrize("name", MADE[1:])
def test_the_program_may_end_while_a_screen_is_made(workspace, name):
    async def way(journey):
        await journey.known()
        journey.app._init_mode(name)
        journey.app.exit()

    with RecordedEngine(workspace, [], recorded.two_gpus(NOW), recorded.history(NOW)):
        assert travel(workspace, way).return_code == 0


def test_the_collector_looks_at_everything_when_nobody_types_and_at_last_in_any_case(workspace, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(ahead, "monotonic", lambda: clock[0])

    class Knot:
        def __init__(self):
            self.itself = self

    async def way(journey):
        app = journey.app
        await journey.known()
        app.tidy()
        knot = weakref.ref(Knot())
        for passed, gone in ((ahead.TIDY - 1, False), (2.0, True)):
            clock[0] += passed
            app.tidy()
            assert (knot() is None) == gone
        knot = weakref.ref(Knot())
        clock[0] += ahead.AT_LAST - 1
        app._touched_at = clock[0]
        app.tidy()
        assert knot() is not None
        clock[0] += 1
        app._touched_at = clock[0]
        app.tidy()
        assert knot() is None

    gc.disable()
    try:
        with RecordedEngine(workspace, recorded.busy_box(NOW), recorded.two_gpus(NOW), recorded.history(NOW)):
            travel(workspace, way)
    finally:
        gc.enable()


def test_a_screen_that_is_opened_over_others_has_its_styles(workspace):
    async def way(journey):
        app = journey.app
        await journey.known()
        await journey.press("enter")
        await journey.until(lambda: isinstance(app.screen, RunScreen) and app.screen.ready, "for the run")
        assert styles_stand(app.screen, 10)

    with RecordedEngine(workspace, recorded.busy_box(NOW), recorded.two_gpus(NOW), recorded.history(NOW)):
        travel(workspace, way)
