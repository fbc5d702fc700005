"""The feed asks before there is a screen and tells only then; an engine is started for no one who sees nothing yet."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest

from engine.client import connect
from engine.errors import EngineError
from engine.messages import GetStatus, Watch
from tests.conftest import wait_for
from tests.tui import recorded
from tests.tui.recorded import RecordedEngine
from tui.feed import Feed
from tui.world import AWAY, CONNECTED


@contextmanager
def fed(workspace, *, may_start=False):
    """A feed that runs, and what it has told."""
    told = []
    feed = Feed(workspace, told.append, may_start=may_start)
    thread = threading.Thread(target=feed.run, daemon=True)
    thread.start()
    try:
        yield feed, told
    finally:
        feed.stop()
        thread.join(60)
        assert not thread.is_alive()


def test_everything_is_asked_for_at_once_and_told_once_there_is_a_screen(workspace):
    with RecordedEngine(workspace, recorded.busy_box(1000.0), recorded.no_gpu(1000.0)) as engine:
        with fed(workspace) as (feed, told):
            wait_for(lambda: any(isinstance(one, Watch) for one in engine.asked), "for the question")
            assert told == []
            feed.shown()
            wait_for(lambda: told, "for the world")
            assert (told[0].known, told[0].link.state, len(told[0].rows)) == (True, CONNECTED, len(engine.rows))
        with fed(workspace) as (_, told):
            wait_for(lambda: sum(isinstance(one, Watch) for one in engine.asked) == 2, "for the question")
        assert not any(world.known for world in told)  # left before anything was on the screen


def test_that_no_engine_answers_is_told_once_there_is_a_screen(workspace):
    with fed(workspace) as (feed, told):
        feed.shown()
        wait_for(lambda: told, "for the news")
        assert told[0].link.state == AWAY
        assert "No engine runs" in told[0].link.why


def test_an_engine_is_started_only_once_there_is_a_screen(box):
    workspace = box.workspace
    with fed(workspace, may_start=True) as (feed, told):
        with pytest.raises(EngineError):
            connect(workspace, start=False)
        assert told == []
        feed.shown()
        wait_for(lambda: told and told[-1].known, "for the engine")
        with connect(workspace, start=False) as client:
            assert client.call(GetStatus()).status.pid
