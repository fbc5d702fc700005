"""The dashboard's questions: what is wrong, why does it wait, when is it done; and its orders to the queue."""

from __future__ import annotations

import re
import time
from functools import partial

import msgspec
import pytest
from textual._compositor import LayoutUpdate

from engine.cause import Cause
from engine.messages import Order, QueueOrder, Snapshot
from engine.records import RunRow
from tests.tui import recorded, upclose
from tests.tui.pilot import travel
from tests.tui.recorded import RecordedEngine
from tui import devices, outlook
from tui.alerts import LONG, alerts
from tui.present import plain
from tui.screens.card import CardScreen
from tui.world import CONNECTED, Link, World

NOW = 1_700_000_000.0


def world(rows=None, sample=None, **status: object) -> World:
    """A busy box in which nothing is wrong but what is asked for."""
    told = msgspec.structs.replace(STATUS, **status)
    rows = [row for row in recorded.busy_box(NOW) if row.state not in ("failed", "lost") and not row.warning
            and (row.skill or 0) >= 0] if rows is None else rows  # fmt: skip
    made = World(Link(CONNECTED)).told(
        Snapshot(rows=tuple(rows), sample=sample or recorded.no_gpu(NOW), history=(), status=told)
    )
    return made


STATUS = recorded.EngineStatus(pid=1, started=0.0, version="0", workspace="w", socket="s", cpu_slots=2, counts={})


def test_nothing_wrong_is_said_so():
    assert alerts(world(), NOW) == []
    head = outlook.lines(world(), [], None, 120, 1, NOW)[0][0]
    assert plain(head).startswith("✓ nothing is wrong")
    assert len(plain(head)) == 120


def test_a_database_that_is_not_there_yet_has_no_size():
    assert plain(devices._store(world(database=0))) == "runs.duckdb not written yet"
    assert plain(devices._store(world(database=3 << 20))) == "runs.duckdb 3.0 MiB"


def row(**fields: object) -> RunRow:
    base = {"id": "toto-0001", "family": "toto", "state": "running", "since": NOW - 60, "submitted": NOW - 90}
    return msgspec.convert({**base, **fields}, RunRow)


@pytest.mark.parametrize(
    ("made", "text", "role", "key"),
    [
        (world([row(warning="loss is NaN")]), "toto-0001: loss is NaN", "attention", "chosen.log"),
        (world([row(state="orphaned")]), "supervisor is gone", "trouble", "chosen.kill"),
        (world([row(skill=-0.13, step=60, steps=100)]), "13.0 % worse than naive after 60%", "attention",
         "chosen.stop"),
        (world([row(state="failed", ended=NOW - 7200, reason="KeyError: 'lr'")]), "failed 2h ago: KeyError: 'lr'",
         "trouble", "chosen.retry"),
        (world([row(state="queued", place=1)], queue_paused=NOW - 9), "paused and a run waits", "attention",
         "dashboard.pause-queue"),
        (world(store_error="disk I/O error"), "runs.duckdb: disk I/O error", "trouble", ""),
        (world(hook_trouble="line 3 is no JSON"), "hooks: line 3", "attention", ""),
        (world(trouble="exec-0001: No space left on device"), "engine: exec-0001: No space", "trouble", ""),
        (world(sample=recorded.two_gpus(NOW)), "GPU0: python (not ours) holds 4.2 GiB while runs wait", "attention",
         ""),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found_with_the_key_that_helps(made, text, role, key):
    (found,) = alerts(made, NOW)
    assert text in found.text
    assert (found.role, found.key) == (role, key)


def test_a_beginning_and_an_old_failure_are_no_alert():
    young = row(skill=-0.4, step=10, steps=100)
    old = row(id="toto-0002", state="failed", ended=NOW - 90_000)
    assert alerts(world([young, old]), NOW) == []


def test_a_device_that_idles_under_a_run_is_one():
    busy, idle = recorded.two_gpus(NOW), recorded.two_gpus(NOW, (97.0, 0.0))
    trains = row(devices=("GPU-1",), phase="train")
    for history, found in (((idle,) * LONG, 1), ((busy, *(idle,) * (LONG - 1)), 0), ((idle,) * (LONG - 1), 0)):
        made = msgspec.structs.replace(world([trains], sample=idle), history=history)
        assert len([alert for alert in alerts(made, NOW) if "GPU1 idles" in alert.text]) == found


def test_the_worst_comes_first_and_what_is_left_out_is_counted():
    rows = [row(warning="slow"), row(id="toto-0002", state="failed", ended=NOW - 50),
            row(id="toto-0003", state="lost", ended=NOW - 5)]  # fmt: skip
    found = alerts(world(rows), NOW)
    assert [alert.run for alert in found] == ["toto-0003", "toto-0002", "toto-0001"]
    lines, links = outlook.lines(world(rows), found, None, 100, 3, NOW)
    assert "3 things want you" in plain(lines[0])
    assert "1 not shown" in plain(lines[0])
    assert [action for *_, action in links] == ["screen.choose('toto-0003')", "screen.choose('toto-0002')"]
    assert all(len(plain(line)) <= 100 for line in lines)


def test_what_is_next_and_when_all_is_done(workspace):
    with RecordedEngine(workspace, recorded.busy_box(NOW), recorded.no_gpu(NOW)) as engine:
        plan = engine.plan()
    made = world(recorded.busy_box(NOW))
    wide = plain(outlook.lines(made, [], plan, 160, 1, plan.now)[0][0])
    assert "next toto-0212 ~" in wide
    assert "queue empty ~" in wide
    narrow = plain(outlook.lines(made, [], plan, 60, 1, plan.now)[0][0])
    assert "next" not in narrow
    assert "queue empty ~" in narrow
    unknown = msgspec.structs.replace(plan, until=None, unknown=2)
    assert "nobody knows when 2 runs will end" in plain(outlook.lines(made, [], unknown, 160, 1, plan.now)[0][0])


def test_orders_to_the_queue_and_why_and_when(workspace):
    now = time.time()

    async def way(journey):
        await journey.known()
        await journey.sees("things want you", "queue empty ~")
        await journey.press("tab", "J", "K", "p")
        await journey.until(lambda: [r for r in engine.asked if isinstance(r, QueueOrder)], "for the order")
        moves = [(r.run, r.value) for r in engine.asked if isinstance(r, Order) and r.order == "move"]
        assert moves == [("toto-0212", "down"), ("toto-0212", "up")]
        await journey.press("w")
        await journey.sees("why it waits", "GPU0 busy until about 14:33")
        await journey.press("escape", "t")
        await journey.sees("as far as is known", "GPU1", "now")
        await journey.press("escape")
        await journey.until(lambda: journey.app.screen is journey.dashboard)
        await journey.press("shift+tab", "P")
        await journey.until(
            lambda: [r.run for r in engine.asked if isinstance(r, Order) and r.order == "pause"] == ["kronos-0208"]
        )
        await journey.press("exclamation_mark")
        await journey.until(lambda: journey.dashboard.target().id == "toto-0203", "for the failed run")
        await journey.press("w")
        await journey.sees("how it ended", "asked 2.1 GiB")
        assert isinstance(journey.app.screen, CardScreen)
        await journey.press("escape", "space", "up", "space")
        await journey.until(lambda: journey.app.marked == {"toto-0203", "kronos-0204"})

    with RecordedEngine(workspace, recorded.busy_box(now), recorded.two_gpus(now), recorded.history(now)) as engine:
        travel(workspace, way)


def test_the_card_of_an_end_has_its_cause_and_last_lines(workspace):
    from tui.ending import ending

    engine = RecordedEngine(workspace, recorded.busy_box(NOW), recorded.no_gpu(NOW))
    detail = engine.detail(next(row for row in engine.rows.values() if row.state == "failed"))
    told = {"requested": 2 << 30, "allocated": 3 << 30, "nvml_free": 1 << 30, "nvml_others": 5 << 29, "step": 412}
    cause = Cause("device memory", "out of memory on GPU0", {**told, "limit": 3600.0, "where": ""})
    text = "\n".join(plain(line) for line in ending(msgspec.structs.replace(detail, cause=cause, log=("Traceback",))))
    assert "out of memory on GPU0" in text
    facts = {"requested": "2.0 GiB", "allocated": "3.0 GiB", "free (NVML)": "1.0 GiB", "others (NVML)": "2.5 GiB",
             "step": "412", "limit": "1h 00m"}  # fmt: skip
    for name, value in facts.items():
        assert f"{name:<16}{value}" in text
    assert "where" not in text
    assert text.endswith("Traceback")


def test_the_first_start_shows_around_once_and_again_when_asked(workspace):
    async def first(journey):
        await journey.known()
        await journey.sees("One line says it all", "1 of 3")
        assert {"One", "kronos-0208"} <= set(re.split(r"[^\w-]+", journey.app.export_screenshot()))  # it shows through
        await journey.press("enter", "left", "enter")
        await journey.sees("2 of 3", "queues a new one")
        await journey.press("enter", "enter")
        await journey.until(lambda: journey.app.screen is journey.dashboard)

    async def second(journey):
        await journey.known()
        await journey.sees("kronos-0208")
        assert journey.app.screen is journey.dashboard
        await journey.press("f11")
        await journey.sees("1 of 3")
        await journey.press("escape")
        await journey.until(lambda: journey.app.screen is journey.dashboard)
        await journey.press("f12")
        await journey.sees("the screen is in")
        (picture,) = workspace.root.glob("paddock-*.svg")
        assert "kronos-0208" in picture.read_text()

    with RecordedEngine(workspace, recorded.busy_box(NOW), recorded.no_gpu(NOW)):
        travel(workspace, first, tour=True)
        travel(workspace, second, tour=True)


def test_things_go_on_behind_a_window(workspace, monkeypatch):
    """A first start opens one before the run that is shown has been read."""
    drawn = []

    def display(shows, screen, renderable):
        drawn.append(renderable)
        shows(screen, renderable)

    upclose.trained(workspace)
    shown = row(id="toto-0001", state="running", step=600, loss=0.1234)

    async def way(journey):
        await journey.known()
        await journey.sees("One line says it all", "0.1234", "train", "step 300 val_pct_mae")
        engine.tell(msgspec.structs.replace(shown, step=601, loss=0.0987))
        await journey.sees("One line says it all", "0.0987")
        await journey.press("escape", "question_mark")
        await journey.sees("esc closes")
        engine.tell(msgspec.structs.replace(shown, step=602, name="beside"))
        await journey.sees("esc closes", "beside")
        monkeypatch.setattr(journey.app, "_display", partial(display, journey.app._display))
        for step in range(603, 609):
            engine.tell(msgspec.structs.replace(shown, step=step, name=f"beside-{step}"))
            await journey.sees("esc closes", f"beside-{step}")
        whole = [isinstance(one, LayoutUpdate) for one in drawn if one is not None]
        assert 2 * sum(whole) < len(whole), "what changed is written, not the whole screen each time"
        engine.tell(
            msgspec.structs.replace(shown, id="toto-0002", state="failed", reason="behind the keys", ended=time.time())
        )
        await journey.sees("esc closes", "toto-0002 failed")

    with RecordedEngine(workspace, [shown], recorded.no_gpu(NOW)) as engine:
        travel(workspace, way, (200, 50), tour=True)


@pytest.mark.parametrize(
    ("state", "said"), [("running", "it has written nothing yet; x stops it"), ("queued", "it has not started yet")]
)
def test_a_log_without_a_line_says_why(workspace, state, said):
    async def way(journey):
        await journey.known()
        await journey.sees(said)

    with RecordedEngine(workspace, [row(id="exec-0001", state=state)], recorded.no_gpu(NOW)):
        travel(workspace, way, (200, 50))


def test_what_has_failed_and_is_understood_is_put_away_with_its_attempts(workspace):
    rows = [row(id="toto-0001", state="failed", later="toto-0001.2", ended=NOW),
            row(id="toto-0001.2", state="failed", attempt=2, ended=time.time())]  # fmt: skip

    async def way(journey):
        await journey.known()
        await journey.sees("toto-0001.2 failed")
        await journey.press("exclamation_mark", "D")
        await journey.until(
            lambda: [one.run for one in engine.asked if isinstance(one, Order)] == [rows[0].id, rows[1].id]
        )
        await journey.sees("toto-0001.2 is archived")
        for run in (rows[0].id, rows[1].id):
            engine.change(run, archived=True)
        await journey.sees("nothing is wrong")

    with RecordedEngine(workspace, rows, recorded.no_gpu(NOW)) as engine:
        travel(workspace, way)


def test_themes_are_gone_through_and_remembered(workspace):
    async def way(journey):
        await journey.known()
        for name in ("paddock-light", "paddock-safe", "paddock-plain"):
            await journey.press("ctrl+t")
            assert journey.app.theme == name
            await journey.sees("kronos-0208")
        journey.app.settings.trouble = ""

    with RecordedEngine(workspace, recorded.busy_box(NOW), recorded.two_gpus(NOW), recorded.history(NOW)):
        travel(workspace, way)
        assert travel(workspace, _nothing).theme == "paddock-plain"
        assert travel(workspace, _nothing, theme="safe").theme == "paddock-safe"


async def _nothing(journey) -> None:
    await journey.known()


def test_a_slow_line_gets_no_moving_pictures_and_a_broken_settings_file_is_told(workspace, home):
    async def way(journey):
        await journey.sees("forgotten")  # the last word: where its line ends depends on the length of a path
        await journey.known()
        await journey.sees("kronos-0208")
        assert not [column for column in journey.dashboard.table("running").columns if column.moves]
        assert not set("▁▂▃▅▆▇") & set(journey.text())

    (home / "state" / "paddock").mkdir(parents=True)
    (home / "state" / "paddock" / "tui.json").write_text("{")
    with RecordedEngine(workspace, recorded.busy_box(NOW), recorded.two_gpus(NOW), recorded.history(NOW)):
        travel(workspace, way, slow=True)


@pytest.mark.parametrize("size", [(200, 50), (120, 36), (80, 24)])
def test_the_line_of_the_filter_has_room_of_its_own(workspace, size):
    """Panes make room for it: the screen does not scroll, nothing is covered, and what is asked stands before it."""

    async def way(journey):
        await journey.known()
        screen = journey.dashboard
        await journey.press("slash")
        await journey.paste("zzzz")
        await journey.sees("No finished run has “zzzz”. / then esc lists all.")
        await journey.pilot.pause()
        assert screen.max_scroll_y == 0
        lines = [one for one in screen.children if one.display]
        assert [one.region.bottom for one in lines[:-1]] == [one.region.y for one in lines[1:]]
        assert lines[-1].region.bottom == size[1]
        last = journey.text().splitlines()[-2]
        assert last.startswith(" / zzzz")
        line = screen.query_one("#filter")
        await journey.pilot.click("#filter", offset=(4, 0))
        assert line.cursor_position == 1, "the mouse means the letter it is on"
        await journey.press("escape")
        await journey.until(lambda: screen.query_one("#foot").region.y == lines[-1].region.y)
        await journey.until(lambda: not line.display)

    now = time.time()
    with RecordedEngine(workspace, recorded.busy_box(now), recorded.two_gpus(now)):
        travel(workspace, way, size)
