"""The list of all runs, at the keyboard: a query, an order, marks, orders to several, tags, columns, attempts."""

from __future__ import annotations

import json
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ids import base
from engine.messages import Order, Retry
from engine.query_fields import Known, Stored
from engine.records import RunRow
from engine.store import Store
from tests.engine.store_folders import finished
from tests.tui import recorded
from tests.tui.pilot import SIZES, travel
from tests.tui.recorded import RecordedEngine
from tui import bulk
from tui.present import plain
from tui.runcolumns import CATALOG, about
from tui.runs import Looks, RunList
from tui.screens.bulk import BulkScreen
from tui.screens.columns import ColumnsScreen
from tui.screens.run import RunScreen
from tui.screens.runs import RunsScreen
from tui.settings import Settings
from tui.suggest import complete

NOW = time.time()
MANY = recorded.many_runs(NOW, 100)
SIZE = (120, 30)


@pytest.fixture
def scene(workspace):
    with RecordedEngine(workspace, MANY, recorded.two_gpus(NOW), recorded.history(NOW)) as engine:
        yield engine


async def at_the_list(journey) -> RunsScreen:
    await journey.known()
    await journey.press("2")
    await journey.until(lambda: isinstance(journey.app.screen, RunsScreen) and journey.app.screen.ready)
    await journey.until(lambda: journey.app.screen.table.rows, "for the rows")
    return journey.app.screen


async def ask(journey, text: str) -> None:
    await journey.press("slash")
    await journey.paste(text)
    await journey.press("enter")
    await journey.until(lambda: journey.app.screen.table.has_focus)


def orders(scene) -> list[tuple[str, str, str]]:
    return [(one.run, one.order, one.value) for one in scene.asked if isinstance(one, Order)]


@pytest.mark.parametrize("size", SIZES)
def test_filter_sort_open_and_come_back(workspace, scene, size):
    async def way(journey):
        screen = await at_the_list(journey)
        await journey.sees("Runs · 100", "toto-00100", "VAL", "vs NAIVE")
        await ask(journey, "family:toto state:ok val_pct_mae<0.6")
        await journey.sees("of 100 · family:toto state:ok val_pct_mae<0.6")
        rows = screen.table.rows
        expected = {r.id for r in MANY if r.family == "toto" and r.state == "ok" and (r.best or 9) < 0.6}
        assert {row.id for row in rows} == expected
        await journey.press("less_than_sign", "less_than_sign", "less_than_sign")
        await journey.sees("by VAL ↑")
        assert [row.best for row in screen.table.rows] == sorted(row.best for row in rows)
        await journey.press("r")
        await journey.sees("by VAL ↓")
        await journey.press("down", "enter")
        await journey.until(lambda: isinstance(journey.app.screen, RunScreen))
        assert journey.app.screen.run_id == screen.table.rows[1].id
        await journey.press("escape", "slash", "escape")
        await journey.sees("Runs · 100 · by VAL ↓")

    travel(workspace, way, size)


def test_a_query_that_is_none_yet_is_told_and_leaves_the_list(workspace, scene):
    async def way(journey):
        screen = await at_the_list(journey)
        await journey.press("slash")
        await journey.paste("state:failed")
        await journey.until(lambda: {row.state for row in screen.table.rows} == {"failed"})
        await journey.paste(" los<")
        await journey.sees("los< needs a value (at 18)")
        assert {row.state for row in screen.table.rows} == {"failed"}
        await journey.press("enter")
        assert not screen.table.has_focus
        await journey.paste("1")
        await journey.sees("There is no field 'los'. Did you mean loss? (at 14)")
        await journey.press("escape")
        await journey.until(lambda: len(screen.table.rows) == 100)
        assert "✗ There" not in journey.text()
        await ask(journey, "nothing-has-this")
        await journey.sees("No run is like that.", "lists all 1")

    travel(workspace, way, SIZE)


def test_marks_and_orders_to_several_are_asked_once_with_the_list(workspace, scene):
    async def way(journey):
        screen = await at_the_list(journey)
        await ask(journey, "state:waiting or state:running")
        await journey.press("g", "v", *["down"] * 13, "v")
        await journey.sees("14 marked")
        await journey.press("x")
        await journey.until(lambda: isinstance(journey.app.screen, BulkScreen))
        await journey.sees("Stop 14 runs?", "toto-00100", "kronos-00087", "SIGTERM")
        await journey.press("n")
        await journey.until(lambda: journey.app.screen is screen)
        assert not orders(scene)
        await journey.press("X")
        await journey.sees("Kill 2 runs?", "left out: 12", "queued: it does not run")
        await journey.press("y")
        await journey.until(lambda: len(orders(scene)) == 2)
        assert {order for _, order, _ in orders(scene)} == {"kill"}
        await journey.press("V")
        await journey.until(lambda: "marked" not in journey.text())
        assert journey.app.marked == frozenset()
        await ask(journey, "state:failed")
        await journey.press("A", "R")
        await journey.sees("Queue again")
        await journey.press("y")
        failed = sum(row.state == "failed" and not row.later for row in MANY)
        await journey.until(lambda: sum(isinstance(one, Retry) for one in scene.asked) == failed)
        await ask(journey, " -state:failed")
        await journey.sees(f"{failed} marked, {failed} of them not listed")

    travel(workspace, way, SIZE)


def test_archive_and_take_it_back(workspace, scene):
    async def way(journey):
        screen = await at_the_list(journey)
        await ask(journey, "state:ok")
        await journey.press("space", "space", "D")
        await journey.sees("Archive 2 runs?", "u brings them back")
        await journey.press("y")
        await journey.until(lambda: len(orders(scene)) == 2)
        runs = [run for run, _, _ in orders(scene)]
        assert runs == [row.id for row in screen.table.rows[:2]]
        for run in runs:
            scene.change(run, archived=True)
        await journey.until(lambda: screen.table.rows[0].id not in runs, "for the list without them")
        await journey.press("u")
        await journey.until(lambda: orders(scene)[2:] == [(run, "unarchive", "") for run in runs])
        await journey.press("u")
        await journey.sees("Nothing was archived here")

    travel(workspace, way, SIZE)


def test_a_run_is_archived_with_the_attempts_that_are_folded_up_under_it(workspace, scene):
    async def way(journey):
        screen = await at_the_list(journey)
        await ask(journey, "attempt>1")
        run = screen.table.rows[0].id
        await journey.press("D")
        await journey.sees("Archive 2 runs?", run, run.removesuffix(".2"))
        await journey.press("y")
        await journey.until(lambda: [one for one, _, _ in orders(scene)] == [run, run.removesuffix(".2")])
        await journey.press("o")
        await journey.sees(f"{run} ▾")
        await journey.press("D")
        await journey.until(lambda: orders(scene)[2:] == [(run, "archive", "")], "for it alone, unfolded")

    travel(workspace, way, SIZE)


def test_tags_and_notes_are_written_in_place(workspace, scene):
    async def way(journey):
        screen = await at_the_list(journey)
        await ask(journey, "tag:base state:ok")
        row = screen.table.rows[0]
        await journey.press("t")
        await journey.paste("night -base")
        await journey.press("enter")
        await journey.until(lambda: orders(scene) == [(row.id, "tag", "night"), (row.id, "untag", "base")])
        await journey.press("t")
        await journey.paste("x" * 500)
        await journey.press("enter")
        await journey.until(lambda: len(orders(scene)) == 2 and screen.query_one("#typed").has_focus)
        await journey.press("escape", "space", "space", "N")
        await journey.paste("look again")
        await journey.press("enter")
        await journey.sees("Note 2 runs?", "look again")
        await journey.press("y")
        await journey.until(
            lambda: [value for _, order, value in orders(scene) if order == "note"] == ["look again"] * 2
        )

    travel(workspace, way, SIZE)


def test_attempts_fold_and_unfold(workspace, scene):
    async def way(journey):
        screen = await at_the_list(journey)
        await ask(journey, "attempt>1")
        (first, *others) = screen.table.rows
        await journey.sees(f"{first.id} ▸")
        assert all(row.attempt == 2 for row in (first, *others))
        await journey.press("o")
        await journey.sees(f"{first.id} ▾", f"└ {first.id.removesuffix('.2')}")
        assert [row.attempt for row in screen.table.rows][:2] == [2, 1]
        await journey.sees(f"{len(others) + 1} of 100")
        await journey.press("o")
        await journey.until(lambda: len(screen.table.rows) == len(others) + 1)
        await journey.press("O")
        await journey.until(lambda: len(screen.table.rows) == 2 * len(others) + 2)

    travel(workspace, way, SIZE)


def test_columns_are_chosen_and_remembered(workspace, scene):
    async def way(journey):
        await at_the_list(journey)
        await journey.press("C")
        await journey.until(lambda: isinstance(journey.app.screen, ColumnsScreen))
        await journey.press("K", "slash")
        await journey.paste("the loss, all the way")
        await journey.press("enter", "space")
        await journey.press("slash", "escape", "G", "home", "down", "K", "enter")
        await journey.sees("1 more →")
        assert Settings().get("runs.columns", [])[:2] == ["val_pct_mae", "state"]

    async def again(journey):
        screen = await at_the_list(journey)
        assert screen.list.looks.columns[:2] == ("val_pct_mae", "state")
        assert screen.list.looks.columns[-1] == "spark"
        await journey.press(*["right"] * 6)
        await journey.until(
            lambda: screen.table.hidden[1] == 0 and screen.table.hidden[0] > 0, "to scroll to the right"
        )
        await journey.sees("CURVE", "toto-00100")

    travel(workspace, way, SIZE)
    travel(workspace, again, (100, 24))


def test_settings_of_all_runs_come_from_the_database(workspace):
    """A real database: lr is filtered by, shown and sorted by, though no row of the engine tells it."""
    for number, lr in ((1, 1e-3), (2, 3e-4), (3, 3e-5)):
        config = {"train": {"lr": lr}, "data": {"context": 512}}
        finished(workspace, f"toto-000{number}", 0.5 + number / 10, config=config)
    Store(workspace).catch_up()
    rows = [
        RunRow(id=f"toto-000{n}", family="toto", state="ok", since=NOW, submitted=NOW - n, best=0.5 + n / 10)
        for n in (1, 2, 3)
    ]
    Settings().put("runs.columns", ["state", "lr", "last.val_dm_pvalue"])

    async def way(journey):
        screen = await at_the_list(journey)
        await journey.sees("LR", "3e-05", "0.0003", "0.3000")
        await ask(journey, "lr>=1e-4")
        await journey.until(lambda: [row.id for row in screen.table.rows] == ["toto-0001", "toto-0002"])
        await journey.press("less_than_sign", "less_than_sign", "greater_than_sign")
        while screen.list.looks.sort != "lr":
            await journey.press("greater_than_sign")
        await journey.until(lambda: [row.id for row in screen.table.rows] == ["toto-0002", "toto-0001"])
        await journey.press("s")
        await journey.until(lambda: journey.app.current_mode == "sql", "for the SQL behind it")
        await journey.sees("p.name IN ('train.lr')")

    with RecordedEngine(workspace, rows, recorded.no_gpu(NOW)):
        travel(workspace, way, SIZE)


def test_copy_gives_ids_paths_and_markdown(workspace, scene):
    async def way(journey):
        await at_the_list(journey)
        app = journey.app
        await journey.press("space", "space", "y")
        await journey.sees("Copy 2 runs", "Markdown")
        await journey.press("i")
        await journey.until(lambda: app.clipboard == "toto-00100\npatchtst-00099")
        await journey.press("y", "m")
        await journey.until(lambda: app.clipboard.startswith("| RUN | STATE |"))
        assert app.clipboard.count("\n") == 4
        await journey.press("y", "c")
        await journey.sees("Unknown family 'patchtst'")
        await journey.press("V", "y", "p")
        await journey.until(lambda: app.clipboard == str(workspace.run("chronos2-00098")))

    travel(workspace, way, SIZE)


def test_an_empty_list_says_the_next_key(workspace):
    async def way(journey):
        await journey.known()
        await journey.press("2")
        await journey.sees("No runs yet. Press n to queue one, or: engine run toto")

    with RecordedEngine(workspace, [], recorded.no_gpu(NOW)):
        travel(workspace, way, (80, 24))


def test_readonly_changes_nothing(workspace, scene):
    async def way(journey):
        await at_the_list(journey)
        await journey.press("A", "x", "X", "R", "h", "D", "u", "t", "N")
        await journey.sees("nothing can be changed here")
        assert isinstance(journey.app.screen, RunsScreen)

    travel(workspace, way, SIZE, readonly=True)
    assert not [one for one in scene.asked if isinstance(one, Order | Retry)]


# -- without a screen -----------------------------------------------------------------------------------------------


def by_id(rows) -> dict[str, RunRow]:
    return {row.id: row for row in rows}


def sorted_by(looks: Looks) -> RunList:
    made = RunList()
    made.look(looks)
    return made


def test_the_column_about_a_run_sorts_by_what_it_says():
    names = {"name": "paper"}, {"note": "look at it"}, {"what": "lr=3e-4"}, {"what": ""}, {"state": "failed"}, {}
    rows = [*MANY, *(msgspec.structs.replace(row, **change) for row in MANY[:50] for change in names)]
    assert [*CATALOG["about"].keys(rows, NOW)] == [plain(about(row)) or None for row in rows]


@pytest.mark.parametrize("sort", [*CATALOG, "id", "optim.lr"])
def test_news_give_the_same_list_as_all_at_once(sort):
    looks = Looks(("state",), sort, len(sort) % 2 == 0)
    values = {Stored("param", "optim.lr"): {row.id: float(i % 7) if i % 3 else "auto" for i, row in enumerate(MANY)}}
    known = Known(("optim.lr",), ())
    rows = by_id(MANY)
    steps = [("toto-00090", {"step": 5000, "loss": 0.5}), ("toto-00085", {"state": "ok", "ended": NOW, "best": 0.1})]
    made = sorted_by(looks)
    made.learn(known, values, NOW)
    made.ask("state:ended or optim.lr:3 or loss>0.4", NOW)
    made.show(rows, NOW)
    for run, fields in steps:
        rows = {**rows, run: RunRow(**{**{f: getattr(rows[run], f) for f in rows[run].__struct_fields__}, **fields})}
        anew = sorted_by(looks)
        anew.learn(known, values, NOW)
        anew.ask(made.query.text, NOW)
        assert made.show(rows, NOW).rows == anew.show(rows, NOW).rows


RUNS = [row.id for row in MANY[:12]] + [row.id for row in MANY if row.state in ("running", "queued")][:6]
steps = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(["", "t", "to", "toto", "state:ended", "loss<0.4 or toto", "-state:ok"])),
    st.tuples(st.just("look"), st.sampled_from(["ago", "loss", "state", "id", "val_pct_mae"]), st.booleans()),
    st.tuples(st.just("news"), st.sampled_from(RUNS), st.sampled_from([0.1, 0.9]), st.sampled_from(["ok", "held"])),
    st.tuples(st.just("gone"), st.sampled_from(RUNS)),
    st.tuples(st.just("fold"), st.sampled_from(RUNS)),
    st.tuples(st.just("prepare")),
    st.tuples(st.just("show")),
)  # fmt: skip


@given(st.lists(steps, max_size=9))
def test_whatever_is_asked_between_news_lists_what_a_new_list_would(steps):
    made, rows = RunList(), by_id(MANY)
    for what, *values in [*steps, ("show",)]:
        if what == "ask":
            made.ask(values[0], NOW)
        elif what == "look":
            made.look(Looks(("state",), *values))
        elif what == "fold":
            made.fold(made.unfolded ^ {base(values[0])})
        elif what == "prepare":
            made.prepare(NOW)
        elif what == "gone":
            rows = {run: row for run, row in rows.items() if run != values[0]}
        elif what == "news" and values[0] in rows:
            run, loss, state = values
            rows = {**rows, run: msgspec.structs.replace(rows[run], loss=loss, state=state)}
        else:
            view = made.show(rows, NOW)
    anew = sorted_by(made.looks)
    anew.ask(made.query.text, NOW)
    anew.fold(made.unfolded)
    assert view == anew.show(rows, NOW)
    assert view.ids == [row.id for row in view.rows]


def test_a_column_that_was_sorted_by_before_goes_with_the_clock():
    """Nothing was heard of the run meanwhile; it has taken longer all the same."""
    ended = msgspec.structs.replace(MANY[0], id="a", state="ok", started=NOW - 200, ended=NOW - 100, later="")
    live = msgspec.structs.replace(ended, id="b", state="running", started=NOW - 50, ended=None)
    made, rows = sorted_by(Looks(("state",), "took", True)), by_id([ended, live])
    assert made.show(rows, NOW).ids == ["a", "b"]
    made.look(Looks(("state",), "id", True))
    made.show(rows, NOW + 10)
    made.look(Looks(("state",), "took", True))
    assert made.show(rows, NOW + 60).ids == ["b", "a"]


def test_columns_are_looked_at_before_somebody_sorts_by_them():
    made, rows = sorted_by(Looks(("state", "loss", "took"), "loss", False)), by_id(MANY)
    assert not made.prepare(NOW)  # there are no runs
    made.show(rows, NOW)
    assert [made.prepare(NOW) for _ in range(5)] == [True] * 3 + [False] * 2
    made.show({run: row for run, row in rows.items() if row is not MANY[0]}, NOW)
    assert made.prepare(NOW)


def test_what_is_not_a_number_comes_last_both_ways_and_numbers_before_words():
    heads = [row.id for row in MANY if not row.later]
    values = dict(zip(heads, [0.3, float("nan"), 12.0, "auto", 9.0], strict=False))
    known = Known(("optim.lr",), ())
    for down, found in ((False, [0.3, 9.0, 12.0, "auto"]), (True, ["auto", 12.0, 9.0, 0.3])):
        made = sorted_by(Looks(("optim.lr",), "optim.lr", down))
        made.learn(known, {Stored("param", "optim.lr"): values}, NOW)
        assert [values[run] for run in made.show(by_id(MANY), NOW).ids[:4]] == found


def test_rows_that_come_in_another_order_are_listed_all_the_same():
    """And the ids beside them are those of the rows, whatever is listed."""
    rows = by_id(recorded.busy_box(1000.0))
    listed = RunList()
    before = listed.show(rows, 1000.0)
    run = next(iter(rows))
    later = dict(reversed(by_id([*rows.values()]).items())) | {run: msgspec.structs.replace(rows[run], loss=7.5)}
    view = listed.show(later, 1000.0)
    assert view.ids == before.ids == [row.id for row in before.rows]
    assert {row.id: row for row in view.rows}[run].loss == 7.5
    for query in ("state:running", ""):
        listed.ask(query, 1000.0)
        view = listed.show(later, 1000.0)
        assert view.ids == [row.id for row in view.rows]
    assert len(view.ids) == len(before.ids)


def test_only_values_that_nobody_asks_about_leave_the_order_alone():
    rows = by_id(MANY)
    made = RunList()
    before = made.show(rows, NOW)
    live = next(row for row in MANY if row.state == "running")
    changed = RunRow(**{**{f: getattr(live, f) for f in live.__struct_fields__}, "step": 9})
    after = made.show({**rows, live.id: changed}, NOW)
    assert [a is b for a, b in zip(before.rows, after.rows, strict=True)].count(False) == 1


def test_runs_without_a_value_come_last_both_ways():
    rows = by_id(MANY)
    for down in (True, False):
        made = sorted_by(Looks(("val_pct_mae",), "val_pct_mae", down))
        found = [row.best for row in made.show(rows, NOW).rows]
        known = [value for value in found if value is not None]
        assert found == sorted(known, reverse=down) + [None] * (len(found) - len(known))


def test_what_an_order_to_several_leaves_out_is_told():
    rows = [row for row in MANY if row.state in ("running", "failed") and not row.later][:6]
    for name in bulk.KINDS:
        made = bulk.plan(name, rows)
        assert {row.id for row in made.take} | {row.id for row, _ in made.leave} == {row.id for row in rows}
        assert len(made.requests) == len(made.take)
    held = [RunRow(id="a-0001", family="a", state="held", since=1.0)]
    assert bulk.hold_or_release(held) == "release"
    assert bulk.hold_or_release([*held, RunRow(id="a-0002", family="a", state="queued", since=1.0)]) == "hold"


def test_a_query_goes_on_by_names_and_values():
    known = Known(("optim.lr",), ("val_crps",))
    values = {"state": ("failed", "ok"), "tag": ("base", "paper")}
    assert complete("fam", known, values) == "family:"
    assert complete("toto -st", known, values) == "toto -state:"
    assert complete("state:fa", known, values) == "state:failed"
    assert complete("state:ok,fa", known, values) == "state:ok,failed"
    assert complete("(tags:p", known, values) == "(tags:paper"
    assert complete("opt", known, values) == "optim.lr:"
    assert complete("val_pct_mae<1 ", known, values) is None
    assert complete("state:failed", known, values) is None


def test_markdown_is_a_table_of_the_columns():
    made = sorted_by(Looks(("state", "family"), "id", False))
    made.show(by_id(MANY), NOW)
    text = made.markdown(MANY[:2], NOW)
    assert text.splitlines()[:2] == ["| RUN | STATE | FAMILY |", "|---|---|---|"]
    assert json.dumps(MANY[0].id)[1:-1] in text
