"""Layout, columns, world, logs, keys and lines: pure parts with known answers."""

from __future__ import annotations

import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.messages import Changed, RunDetail, Snapshot
from engine.provenance import Git
from engine.records import EngineStatus, RunRow, Spec
from engine.store_upclose import Watched
from tests.tui import recorded
from tui import details, devices, keys, logs, pictures, places, status
from tui.charts import _box
from tui.columns import FINISHED, QUEUE, RUNNING, fit
from tui.keys import COMPARE, DASHBOARD, EVERYWHERE, FORM, KEYS, LOG, RUN, RUNS, TITLES, bindings, footer, help_places
from tui.layout import plan
from tui.present import plain
from tui.screens.best import BestScreen
from tui.screens.compare import CompareScreen
from tui.screens.dashboard import DashboardScreen
from tui.screens.help import _lines as help_lines
from tui.screens.new import NewRunScreen
from tui.screens.run import RunScreen
from tui.screens.runs import RunsScreen
from tui.screens.sql import SqlScreen
from tui.upclose import Patch
from tui.widgets.strips import across, fill
from tui.world import AWAY, CONNECTED, Link, World

STATUS = EngineStatus(pid=1, started=0.0, version="0", workspace="w", socket="s", cpu_slots=2, counts={})


@pytest.mark.parametrize("columns", [RUNNING, QUEUE, FINISHED])
@pytest.mark.parametrize("width", [60, 78, 96, 118, 156, 198])
def test_columns_fill_the_width_and_keep_what_matters(columns, width):
    fitted = fit(columns, width)
    total = sum(size for _, size in fitted) + 2 * (len(fitted) - 1)
    assert total <= width
    titles = [column.title for column, _ in fitted]
    assert "RUN" in titles
    assert {"VAL", "BEST VAL", "WAITS BECAUSE"} & set(titles)


def test_narrow_lists_drop_the_least_important_first():
    assert [c.title for c, _ in fit(RUNNING, 78)] == ["", "RUN", "PROGRESS", "LOSS", "VAL", "vs NAIVE", "ETA"]
    assert "MEMORY" in [c.title for c, _ in fit(RUNNING, 196)]


cells = st.lists(st.tuples(st.text("ab –…漢", max_size=9), st.sampled_from(["text", "good"])), max_size=3).map(tuple)


@given(st.lists(st.tuples(cells, st.integers(2, 12), st.booleans()), max_size=5))
def test_cells_side_by_side_read_as_each_cut_and_filled_by_itself(columns):
    each = (plain(fill(one, width, right=right)) for one, width, right in columns)
    assert plain(across(columns, 2)).rstrip() == "  ".join(each).rstrip()


@given(st.integers(80, 250), st.integers(24, 80), st.integers(1, 9), *[st.integers(0, 500)] * 3, st.integers(0, 9))
def test_panes_fill_the_terminal_exactly(width, height, rows, running, queued, finished, alerts):
    made = plan(width, height, rows, running, queued, finished, alerts)
    lists = max(made.queue, made.finished) if made.beside else made.queue + made.finished
    assert made.outlook + made.devices + made.running + lists + made.detail == height - 2
    assert made.outlook >= 1 + (alerts > 0)
    assert min(made.devices, made.running, made.queue, made.finished) > made.frame
    assert made.detail == 0 or made.detail >= 9


def test_layout_at_the_three_sizes():
    wide, middle, small = plan(200, 50, 3, 3, 5, 10), plan(120, 36, 3, 3, 5, 10), plan(80, 24, 3, 3, 5, 10)
    assert (wide.columns, middle.columns, small.detail) == (3, 2, 0)
    assert (wide.beside, middle.beside, small.beside) == (True, True, False)
    assert small.frame == 1
    assert plan(200, 50, 3, 0, 0, 0).detail == 0


def test_when_a_run_is_done_by_its_own_rate_or_by_runs_like_it():
    eta = next(column for column in RUNNING if column.title == "ETA")
    row = RunRow(id="exec-0001", family="exec", state="running", since=900.0)
    told = [(replace(row, eta=61.0, until=1061.0), "1m 01s"), (replace(row, until=1581.0), "~9m 41s"),
            (replace(row, until=990.0), "–"), (row, "–")]  # fmt: skip
    assert [plain(eta.fill(one, 1000.0)) for one, _ in told] == [text for _, text in told]
    assert all(len(text) <= eta.width for _, text in told)


def test_the_world_is_a_fold_of_what_the_engine_says():
    now = 1000.0
    rows = tuple(recorded.busy_box(now))
    world = World().told(Snapshot(rows=rows, sample=recorded.no_gpu(now), history=(), status=STATUS))
    assert [row.id for row in world.running] == ["kronos-0208", "toto-0211", "kronos-0210"]
    assert [row.id for row in world.queue] == ["toto-0212", "toto-0207.2", "kronos-0213", "toto-0215", "toto-0214"]
    assert world.finished[0].id == "toto-0206"
    assert world.counts == {"running": 3, "queued": 5, "done": 8, "failed": 2}
    assert world.best is not None
    assert world.best.best == min(row.best for row in rows if row.best is not None)  # all against the same naive
    other = RunRow(id="toto-0300", family="toto", state="ok", since=now, ended=now, best=0.05, naive=0.05)
    assert world.told(Changed(rows=(other,), sample=None)).best is world.best, "easy data make nothing the best"
    ended = RunRow(id="toto-0211", family="toto", state="ok", since=now, ended=now, best=0.1, naive=0.588)
    after = world.told(Changed(rows=(ended,), sample=recorded.no_gpu(now + 1)))
    assert after.finished[0].id == "toto-0211"
    assert after.best is not None
    assert after.best.id == "toto-0211"
    assert len(after.history) == 1
    assert len(world.running) == 3, "a world never changes"


def test_history_is_bounded():
    world = World()
    for second in range(300):
        world = world.told(Changed(sample=recorded.no_gpu(float(second))))
    assert len(world.history) == 120
    assert world.history[-1].t == 299.0


def test_device_lines_name_strangers_and_fit():
    now = time.time()
    world = World(Link(CONNECTED), sample=recorded.two_gpus(now), history=tuple(recorded.history(now)), known=True)
    for width in (78, 116, 196):
        lines = devices.lines(world, width, 3)
        assert len(lines) == 3
        assert all(len(plain(line)) <= width for line in lines)
    text = plain(devices.lines(world, 196, 3)[0])
    assert "61.2/80 GiB" in text
    assert "97%" in text
    assert "python (pid 8812) 4.2, not ours" in text
    assert "1 more GPUs" in plain(devices.lines(world, 196, 2)[-1])


def test_without_a_gpu_the_machine_is_shown_and_why():
    world = World(Link(CONNECTED), sample=recorded.no_gpu(1.0), history=(), status=STATUS, known=True)
    text = [plain(line) for line in devices.lines(world, 196, 3)]
    assert text[0].startswith("CPU 2c")
    assert "no GPU: NVML Shared Library Not Found" in text[0]
    assert "5.0/16 GiB" in text[1]
    assert "412 GiB free" in text[2]


def test_the_top_line_fits_and_says_how_the_engine_is():
    world = World(Link(CONNECTED), known=True, status=STATUS)
    for width in (80, 120, 200):
        parts, _ = status.top_line(world, "dashboard", width, readonly=True)
        assert len(plain(parts)) == width
        assert "engine" in plain(parts)
    away = World(Link(AWAY, "No engine runs here.", retry_at=105.0), known=True)
    told = plain(status.away_line(away, 100.0))
    assert told == "▲ E starts the engine   trying again in 5s   No engine runs here.", "a long reason hides no key"
    assert status.away_line(world, 100.0) == []


def test_leaving_says_that_training_goes_on():
    world = World().told(
        Snapshot(rows=tuple(recorded.busy_box(9.0)), sample=recorded.no_gpu(9.0), history=(), status=STATUS)
    )
    assert status.leaving(world).startswith("Training goes on: 3 running, 5 queued.")
    assert status.leaving(World()).startswith("Nothing runs")


# -- keys ------------------------------------------------------------------------------------------------------------


def test_no_key_has_two_meanings_in_one_place():
    for where in (DASHBOARD, RUN, FORM):
        taken = [key for binding in bindings(where) + bindings("everywhere") for key in binding.key.split(",")]
        assert len(taken) == len(set(taken)), where


def test_every_key_is_in_the_help():
    helped = {id(key) for _, keys in help_places() for key in keys}
    assert all(id(key) in helped for key in KEYS if key.helped)
    assert {key.where for key in KEYS} == {where for where, _ in TITLES}


def test_help_begins_with_the_nearest_place_and_cuts_no_words():
    titles = dict(TITLES)
    assert [title for title, _ in help_places((LOG, RUN))][:2] == [titles[LOG,], titles[RUN,]]
    near = [title for title, _ in help_places((COMPARE, EVERYWHERE))]
    assert near[0] == titles[COMPARE,]
    assert near.index(titles[EVERYWHERE,]) < near.index(titles[RUNS,])
    assert sorted(near) == sorted(titles.values())
    for width in (68, 72):
        lines = ["".join(text for text, _ in line).rstrip() for line in help_lines(width, ())]
        assert max(map(len, lines)) <= width
        told = " ".join(line.strip() for line in lines)
        assert "…" not in told
        assert all(key.text in told for key in KEYS if key.helped)


def test_a_run_is_told_once_and_from_the_left():
    def told(**fields: object) -> list[str]:
        row = RunRow(id="toto-0001", family="toto", since=1.0, submitted=1.0, tags=("paper", "b"), **fields)
        return ["".join(text for text, _ in line) for line in details.facts(row, 120, 9.0)]

    assert told(state="queued", what="lr 1e-4")[1:] == ["lr 1e-4  #paper  #b", ""]
    assert told(state="ok", loss=0.5)[1:] == ["loss 0.5000", "#paper  #b"]
    assert told(state="failed", what="lr 1e-4", reason="out of memory")[1:] == ["lr 1e-4  #paper  #b", "out of memory"]
    assert told(state="running", warning="slow")[2] == "▲ slow"


def test_code_that_is_in_no_repository_is_not_told_to_be_as_committed():
    row = RunRow(id="exec-0001", family="exec", state="ok", since=0.0, submitted=0.0)
    git = Git(why="not in a git repository")
    spec = Spec(id=row.id, family="exec", command=("python", "a.py"), cwd="/w", submitted=0.0, git=git)
    detail = RunDetail(row=row, spec=spec, folder="/w/runs/exec-0001", orders=[], lifecycle=[], events=[])
    told = [plain(line).rstrip() for line in details.code(detail, Patch(row.id))]
    assert told == ["commit      none: not in a git repository",
                    "frozen      no, it ran the code as it was when it started"]  # fmt: skip
    assert "    git                   not in a git repository" in map(plain, details.config(detail))
    detail = replace(detail, row=replace(row, state="queued"))
    told = [plain(line).rstrip() for line in details.code(detail, Patch(row.id))]
    assert told[1] == "frozen      no, it will run the code as it is when it starts"


def test_events_tell_bytes_as_people_do():
    event = {"t": 1.0, "event": "exited", "max_rss_bytes": 3 << 30, "code": 0}
    assert "max_rss_bytes=3.0 GiB  code=0" in plain(details._event(event, "event", "exited", "text")[1])


def test_shares_of_a_device_are_drawn_from_nothing_to_all():
    gpu = Watched(
        "GPU0", [0.0, 1.0], [90.0, 95.0], [2.0**30] * 2, [2.0**30] * 2, [300.0] * 2, [60.0, 61.0], 80 * 2.0**30
    )
    reach = {what: _box(pictures.devices([gpu], what, None), None)[1] for what in pictures._WATCHED}
    assert reach["utilisation"][0] == 0 < 100 <= reach["utilisation"][1] < 110
    assert reach["memory"][0] == 0 < 80 <= reach["memory"][1] < 90
    assert reach["power"][0] == 0 < 300 < reach["power"][1]
    assert 50 < reach["temperature"][0] < 60


def test_readonly_shows_no_key_that_changes_something():
    assert all(not key.changes for _, key in footer(DASHBOARD, readonly=True))
    assert any(key.changes for _, key in footer(DASHBOARD, readonly=False))


@pytest.fixture
def locked():
    keys.use({}, readonly=True)
    yield
    keys.use({})


def test_readonly_strikes_out_what_it_bars(locked):
    parts = status.foot_line(DASHBOARD, 200, readonly=True)[0]
    struck = [text for text, role in parts if role == "struck"]
    assert "x stop" in struck
    assert len(plain(parts)) <= 200
    assert not any(text in struck for text, role in parts if role == "key")
    assert keys.hint("dashboard.open", "chosen.log", "chosen.stop") == "enter open   l log"
    assert keys.offer("chosen.new-run", " queues a run.") == []
    barred = [line for line in help_lines(74, ()) if "struck" in {role for _, role in line} and line[0][0] == "  "]
    assert len(barred) == sum(key.changes and key.helped for key in KEYS)
    assert status.away_line(World(link=Link(AWAY, "gone")), 0.0)[1][0].startswith("trying again")


@pytest.mark.parametrize("width", [80, 120, 200])
def test_the_foot_fits_and_always_shows_help_and_leave(width):
    for where in (DASHBOARD, RUN):
        text = plain(status.foot_line(where, width, readonly=False)[0])
        assert len(text) <= width
        assert "? help" in text
        assert "q leave" in text
    assert "f1 help" in plain(status.foot_line(FORM, width, readonly=False)[0]), "in a form ? is text"


# -- logs ------------------------------------------------------------------------------------------------------------


def test_a_log_is_followed_line_by_line(tmp_path):
    path = tmp_path / "log.txt"
    tail = logs.LogTail(path)
    assert not tail.refresh()
    path.write_bytes(b"one\ntw")
    assert tail.refresh()
    assert list(tail.lines) == ["one", "tw"]
    with path.open("ab") as file:
        file.write(b"o\nthree\n")
    assert tail.refresh()
    assert list(tail.lines) == ["one", "two", "three"]
    assert not tail.refresh()
    path.write_bytes(b"anew\n")
    assert tail.refresh()
    assert list(tail.lines) == ["anew"]


def test_a_long_log_is_read_from_its_end_and_says_so(tmp_path):
    path = tmp_path / "log.txt"
    path.write_bytes(b"".join(b"line %07d\n" % i for i in range(100_000)))
    tail = logs.LogTail(path)
    tail.refresh()
    assert tail.left_out
    assert len(tail.lines) == logs.KEPT_LINES
    assert tail.lines[-1] == "line 0099999"
    assert all(line.startswith("line ") for line in tail.lines)


def test_terminal_codes_and_progress_bars_are_resolved():
    assert logs.clean(b"\x1b[31mred\x1b[0m\ttab") == "red tab"
    assert logs.clean(b" 10%|#\r 20%|##\r 30%|###") == " 30%|###"
    assert logs.clean(b"caf\xc3\xa9 \xff\x07") == "café \ufffd·"


@pytest.mark.parametrize(
    ("line", "role"),
    [("14:02:11 step 10 loss 0.1", "text"), ("ValueError: no", "trouble"), ("UserWarning: odd", "attention"),
     ("checkpoint step-5 saved, best so far", "good")],
)  # fmt: skip
def test_log_lines_have_the_colour_of_what_they_say(line, role):
    assert logs.colored(line)[-1][1] == role
    assert plain(logs.colored(line)) == line


def test_a_signed_percentage_in_a_log_has_its_own_colour():
    parts = logs.colored("14:02:03 val_pct_mae 0.664 (naive 0.588, skill -12.9 %)")
    assert parts[0] == ("14:02:03 ", "rest")
    assert ("-12.9 %", "trouble") in parts


def test_every_screen_is_lit_in_the_first_line_by_the_name_of_its_place():
    screens = {DashboardScreen, RunsScreen, RunScreen, CompareScreen, BestScreen, SqlScreen, NewRunScreen}
    assert {screen.NAME for screen in screens} == {place.name for place in places.PLACES}


def test_a_step_is_told_once_where_there_are_no_epochs():
    row = RunRow(id="toto-1", family="toto", state="ok", since=0.0, submitted=0.0, ended=9.0, step=10_100)
    said = plain(details.facts(row, 120, 10.0)[0])
    assert said.count("10.1k") == 1


def test_a_run_tells_what_its_devices_have_left_while_it_lives():
    """Against running out of memory: what NVML says is free, and amber where that is nearly nothing."""
    sample, now = recorded.two_gpus(10.0), 10.0
    row = next(row for row in recorded.busy_box(now) if row.id == "toto-0211")
    told = plain(details.facts(row, 200, now, sample)[1])
    assert "GPU memory 57.0 GiB · 18.8 GiB of 80.0 GiB free" in told
    assert plain(details.facts(row, 115, now, sample)[1]).endswith("GPU memory 57.0 GiB"), "what fits"
    device = msgspec.structs.replace(sample.devices[0], memory_free=2 << 30)
    line = details.facts(row, 200, now, msgspec.structs.replace(sample, devices=(device,)))[1]
    assert (" · 2.0 GiB of 80.0 GiB free", "attention") in line
    ended = msgspec.structs.replace(row, state="failed", ended=now)
    assert "free" not in plain(details.facts(ended, 200, now, sample)[1])


def test_a_wide_terminal_shows_a_minute_of_a_device():
    now = 1000.0
    history = tuple(recorded.history(now))
    world = World(sample=history[-1], history=history)
    shown = {width: plain(devices.lines(world, width, 3)[0]) for width in (120, 160, 240)}
    assert [sum(sign in "▁▂▃▄▅▆▇█" for sign in text[40:]) for text in shown.values()] == [12, 24, 60]
    assert all("toto-0211" in text for text in shown.values())
