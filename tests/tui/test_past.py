"""The dashboard at a moment of the past: charts, devices and log of the chosen run together, and back to now."""

from __future__ import annotations

import time

import msgspec

from engine import rundir
from engine.store import Store
from tests.tui import recorded, scene
from tests.tui.pilot import Journey, travel
from tui.theme import palette_of
from tui.travel import known_at, world_at
from tui.widgets.logview import LogView
from tui.world import World


def test_the_world_of_a_moment_has_its_devices_and_the_cores_of_today():
    samples = tuple(recorded.history(1000.0))
    world = World(sample=samples[-1], history=samples)
    past = known_at(world, samples[3].t + 0.1)
    assert past.samples == samples[:4]
    then = world_at(world, past)
    assert then.sample.t == samples[3].t
    assert then.sample.host.cores == world.sample.host.cores
    assert known_at(world, samples[0].t - 1) is None
    assert known_at(World(), 5.0) is None


def test_charts_devices_and_log_go_back_together_and_to_now_again(workspace):
    async def way(journey: Journey) -> None:
        await scene.dashboard(journey)
        screen, log = journey.dashboard, journey.app.screen.query_one("#log", LogView)
        await journey.press("less_than_sign")
        await journey.sees("in the past", "before now", "esc now")
        assert screen.has_class("-past")
        assert screen.view_of().at is not None
        assert log.pointed is not None
        assert not log.follows
        here = log.pointed - log.scroll_offset.y
        grounds = [{segment.style.bgcolor for segment in log.render_line(y)} for y in (here - 1, here)]
        assert grounds[1] == {palette_of(log).cursor.bgcolor} != grounds[0], "the line of the moment stands out"
        await journey.until(lambda: "follows again" in str(log.border_subtitle), "for what the log says of itself")
        told = time.strftime("%H:%M:%S", time.localtime(screen.moment))
        await journey.sees(f"Devices · {told}", "the database is not here yet")
        await journey.press("comma")
        assert screen.query_one("#foot").region.y == journey.app.size.height - 1
        await journey.press("escape")
        await journey.until(lambda: screen.moment is None)
        await journey.pilot.pause()
        assert "in the past" not in journey.text()
        assert log.follows
        await journey.until(lambda: "following" in str(log.border_subtitle), "for the present")
        assert screen.view_of().at is None
        # A crosshair is a moment too, and another run has other moments.
        await journey.press("left", "left")
        await journey.sees("in the past")
        screen.query_one("#queue").focus()
        await journey.until(lambda: screen.moment is None, "for the present of another run")

    with scene.box(workspace):
        travel(workspace, way, (200, 50))


def test_devices_of_two_minutes_are_known_at_once_and_older_ones_are_read(workspace):
    now = time.time()
    recorded.write_folder(workspace, "kronos-0208", steps=3000, now=now)
    workspace.host.mkdir(parents=True, exist_ok=True)
    day = time.strftime("%Y-%m-%d", time.gmtime(now))
    for one in recorded.history(now - 1000):
        rundir.append(workspace.host / f"{day}.jsonl", {"kind": "sample", **msgspec.to_builtins(one)})
    Store(workspace).catch_up().check()

    async def way(journey: Journey) -> None:
        await scene.dashboard(journey)
        screen, history = journey.dashboard, journey.app.world.history
        screen.travel(history[len(history) // 2].t)
        await journey.pilot.pause()
        assert screen._past.samples == history[: len(history) // 2 + 1]
        screen.travel(now - 1000)
        await journey.until(lambda: screen._past and screen._past.samples, "for the database")
        assert screen._past.samples[-1].t <= now - 1000 < screen._past.samples[-1].t + 2
        await journey.sees("GPU0", "GPU1", "Devices · ")

    engine = recorded.RecordedEngine(workspace, recorded.busy_box(now), recorded.two_gpus(now), recorded.history(now))
    with engine:
        travel(workspace, way, (160, 44))
