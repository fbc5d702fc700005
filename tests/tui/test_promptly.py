"""A key after a rest is drawn without Textual's clock; within a beat that clock goes on being waited for."""

from __future__ import annotations

import asyncio
import math
import time

import pytest

from tests.tui import recorded
from tests.tui.pilot import travel
from tests.tui.recorded import RecordedEngine
from tui import promptly


@pytest.mark.parametrize("beat", [0.001, math.inf])
def test_a_key_is_drawn_at_once_after_a_rest_and_not_within_a_beat(workspace, monkeypatch, beat):
    async def soon(condition):
        """The pilot's own ways to wait draw."""
        give_up = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < give_up
            await asyncio.sleep(0)

    async def way(journey):
        await journey.known()
        screen, frames = journey.dashboard, []
        before = screen.target().id
        screen._update_timer.stop()  # what is drawn from here on is drawn by itself
        monkeypatch.setattr(promptly, "BEAT", beat)
        monkeypatch.setattr(screen, "_compositor_refresh", lambda: frames.append(screen.target().id))
        journey.burst("j")
        if beat < math.inf:
            await soon(lambda: frames and frames[-1] != before)
        else:
            await soon(lambda: screen.target().id != before and screen._dirty_widgets)
            assert not frames

    rows, devices = recorded.busy_box(time.time()), recorded.two_gpus(time.time())
    with RecordedEngine(workspace, rows, devices):
        travel(workspace, way)
