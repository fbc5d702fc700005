"""The query language: its text, what it means of rows, and that SQL means the same of the database."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import store_fields
from engine.errors import BadFilter
from engine.query import All, Either, Not, Test, Value, Word, parse, written
from engine.query_fields import FIELDS, Known, Stored
from engine.query_rows import keep, read
from engine.query_sql import sql
from engine.records import RunRow
from engine.store import Store
from engine.store_open import reading
from engine.store_sql import ask
from tests.engine.store_folders import T0, Run, finished

NOW = 1_800_000_000.0
KNOWN = Known(("optim.lr", "optim.name", "train.ema", "data.context", "data.lr", "used.precision"), ("lr", "val_crps"))
LR, DATA_LR, NAME = Stored("param", "optim.lr"), Stored("param", "data.lr"), Stored("param", "optim.name")
COLUMNS = {
    LR: {"toto-0001": 3e-4, "kronos-0002": 1e-3},
    NAME: {"toto-0001": "adamw", "kronos-0002": "Muon"},
    Stored("metric", "val_crps"): {"toto-0001": 0.4},
    Stored("metric", "lr"): {"kronos-0002": 1e-6},
}
ROWS = (
    RunRow(id="toto-0001", family="toto", state="ok", since=NOW, name="Paper #4", submitted=NOW - 86400, best=0.61,
           metric=0.7, naive=0.6, tags=("base", "Paper"), started=NOW - 7200, ended=NOW, commit="abc123", step=900),
    RunRow(id="kronos-0002", family="kronos", state="failed", since=NOW, submitted=NOW - 9 * 86400,
           cause="device memory", reason="out of memory at step 412",
           note='he said "no"', device_memory=12 << 30, labels=("GPU0", "GPU1")),
    RunRow(id="toto2-0003", family="toto2", state="queued", since=NOW, submitted=NOW - 60, place=1, tags=("base2",)),
)  # fmt: skip


def meant(text: str) -> str:
    """Numbers of the runs that a query means."""
    return "".join(row.id[-1] for row in keep(ROWS, read(text, KNOWN, NOW), COLUMNS, NOW))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "123"),
        ("family:toto", "1"),
        ("family:toto*", "13"),
        ("family:toto,kronos", "12"),
        ("FAILED", "2"),
        ('"out of memory"', "2"),
        ("memory 412", "2"),
        ("paper", "1"),
        ("-paper", "23"),
        ("not paper", "23"),
        ("val_pct_mae<1", "1"),
        ("val_pct_mae < .61", ""),
        ("val_pct_mae:0.6..0.62", "1"),
        ("val_pct_mae:..0.5,0.61", "1"),
        ("lr>=1e-4", "12"),
        ("optim.lr>=1e-3", "2"),
        ("lr:3e-4", "1"),
        ("lr!=3e-4", "2"),
        ("-lr:3e-4", "23"),
        ("last.lr<1e-3", "2"),
        ("name:muon", ""),
        ("optim.name:muon", "2"),
        ("optim.name:*m*w", "1"),
        ("val_crps<=0.4", "1"),
        ("has:lr", "12"),
        ("has:val_crps,place", "13"),
        ("-has:note", "13"),
        ("tag:base", "1"),
        ("tag:base*", "13"),
        ("tag:BASE,paper", "1"),
        ("state:ended", "12"),
        ("state:live or state:waiting", "3"),
        ("state!=ok", "23"),
        ("since:7d", "13"),
        ("before:7d", "2"),
        ("since:2d -since:1h", "1"),
        ("took>1h", "1"),
        ("hours:2", "1"),
        ("gpu_memory>10GiB", "2"),
        ("on:gpu1", "2"),
        ("cause:memory", "2"),
        ("commit:abc", "1"),
        ("commit=abc", ""),
        ("id:kronos", "2"),
        ("skill<-1%", "1"),
        ("steps>0.5k", "1"),
        ("note:'said \"no'", "2"),
        ("family:toto or family:kronos state:ok", "1"),
        ("(family:toto or family:kronos) -state:ok", "2"),
        ("state:ok OR (state:queued)", "13"),
        ("-(state:ok or state:failed)", "3"),
        ("--paper", "1"),
        ("oregon or notable", ""),
    ],
)
def test_what_is_meant(text, expected):
    assert meant(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("famly:toto", "There is no field 'famly'. Did you mean family? (at 1)"),
        ("toto optim.lrr>1", "There is no field 'optim.lrr'. Did you mean optim.lr? (at 6)"),
        ("ago<2d", "There is no field 'ago'. since:2d and before:2d go by when a run was queued. (at 1)"),
        ("mae<1", "There is no field 'mae'. Did you mean val_pct_mae? (at 1)"),
        ("has:taggs", "There is no field 'taggs'. Did you mean tags? (at 5)"),
        ("state:faild", "There is no state 'faild'. Did you mean failed? (at 7)"),
        ("loss<abc", "'abc' is no number (at 6)"),
        ("loss<", "loss< needs a value (at 6)"),
        ("lr<1,2", "lr< takes one value (at 6)"),
        ("took>5", "'5' is not a duration such as 45s, 30m, 8h, 1h30m or 2d (at 6)"),
        ("gpu_memory>5", "'5' is no amount of memory such as 6GiB or 512MiB (at 12)"),
        ("family<a", "family is text: ask for it with : or = or != (at 1)"),
        ("since:soon", "'soon' is neither a duration such as 7d or 12h nor a day such as 2026-03-01 (at 7)"),
        ("since>7d", "since takes a colon: since:7d (at 1)"),
        ("a or", "Something has to stand on both sides of `or` (at 5)"),
        ("or a", "Something has to stand on both sides of `or` (at 1)"),
        ("(a", "This ( is not closed (at 1)"),
        ("a)", "This ) closes nothing (at 2)"),
        ("()", "Nothing stands between these parentheses (at 1)"),
        ('"a', "This quote is not closed (at 1)"),
        ("- a", "`-` needs something after it that is not to be so (at 1)"),
        ("a not", "`not` needs something after it that is not to be so (at 3)"),
        ("=5", "'=' needs the name of a field before it (at 1)"),
    ],
)
def test_faults_are_told_with_their_place(text, said):
    with pytest.raises(BadFilter) as error:
        read(text, KNOWN, NOW)
    assert str(error.value) == said


def test_depth_and_length_are_bounded():
    for text in ("(" * 500 + "a" + ")" * 500, "-" * 500 + "a", "a " * 5000):
        with pytest.raises(BadFilter):
            parse(text)


def test_needs_are_only_the_columns_of_the_database():
    query = read("lr>1 or has:val_crps family:toto since:1d", KNOWN, NOW)
    assert set(query.needs) == {LR, DATA_LR, Stored("metric", "val_crps")}
    assert query.clocked
    assert read("family:toto", KNOWN).needs == ()


def fault(text: str) -> BadFilter | None:
    try:
        read(text, KNOWN, NOW)
    except BadFilter as error:
        return error
    return None


SIGNS = "abcinort_01.*:<>=!-()\"'\\ ,\t\né漢\x00"


@given(st.text(SIGNS, max_size=40))
def test_any_text_is_a_query_or_a_fault_within_it(text):
    found = fault(text)
    assert found is None or (0 <= found.at <= len(text) and str(found).endswith(f"(at {found.at + 1})"))


words = st.text(SIGNS, min_size=1, max_size=8).map(Word)
values = st.lists(st.builds(Value, st.text(SIGNS, max_size=6), st.just(True)), min_size=1, max_size=3).map(tuple)
tests = st.builds(Test, st.sampled_from(("note", "a.b-c", "x_1")), st.sampled_from((":", "!=", "<=")), values)


def nested(inner):
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.builds(Not, inner) | st.builds(All, several) | st.builds(Either, several)


@given(st.recursive(words | tests, nested, max_leaves=8))
def test_what_is_written_is_read_as_the_same(node):
    assert parse(written(node)) == node


@given(st.lists(st.sampled_from(["family:toto", "paper", "has:lr", "state:ok", "lr<5e-4"]), min_size=1, max_size=4))
def test_not_both_is_not_one_or_not_the_other(parts):
    together, apart = " ".join(parts), " or ".join(f"-{part}" for part in parts)
    assert meant(f"-({together})") == meant(apart)
    assert sorted(meant(together) + meant(f"-({together})")) == ["1", "2", "3"]


ATOMS = ["family:toto", "paper", "o", "has:lr", "lr<5e-4", "state!=ok", "tag:base*", "since:2d", "lr:3e-4", "has:note"]


def joined(part):
    """Trees of (text, what it says of a row) out of smaller ones."""
    several = st.lists(part, min_size=2, max_size=3)
    return (
        part.map(lambda one: (f"-({one[0]})", lambda row: not one[1](row)))
        | several.map(
            lambda ones: (" ".join(f"({text})" for text, _ in ones), lambda r: all(is_(r) for _, is_ in ones))
        )
        | several.map(lambda ones: (" or ".join(text for text, _ in ones), lambda r: any(is_(r) for _, is_ in ones)))
    )


atoms = st.sampled_from(ATOMS).map(lambda text: (text, lambda row: row.id[-1] in meant(text)))


@given(st.recursive(atoms, joined, max_leaves=6), st.lists(st.sampled_from(ROWS), max_size=12))
def test_many_rows_asked_together_are_meant_as_each_is_alone(query, rows):
    text, says = query
    assert read(text, KNOWN, NOW).mask(COLUMNS, NOW)(rows) == [says(row) for row in rows]


# -- the database ---------------------------------------------------------------------------------------------------


@pytest.fixture
def store(workspace, database):
    first = finished(workspace, "toto-0001", 0.5, name="first of all")
    first.order("tag", "base")
    first.order("note", "a good one")
    finished(workspace, "toto-0002", 0.7, config={"train": {"lr": 1e-3, "optimizer": "muon"}})
    bad = Run(workspace, "kronos-0003", config={})
    bad.start()
    bad.end(code=1)
    Run(workspace, "toto-0004", tags=[]).order("hold")
    hidden = finished(workspace, "toto-0005", 0.1)
    hidden.order("archive")
    Store(workspace).catch_up()
    return workspace


def test_columns_come_from_the_database_by_name(store):
    lr, ema, crps = Stored("param", "train.lr"), Stored("param", "train.ema"), Stored("metric", "val_pct_mae")
    known, columns = store_fields.read(store.database, (lr, ema, crps))
    assert "train.optimizer" in known.params
    assert {"loss", "lr", "val_pct_mae", "val_skill"} <= set(known.metrics)
    assert columns[lr]["toto-0002"] == 1e-3
    assert columns[ema]["toto-0001"] == "true"
    assert columns[crps]["toto-0001"] == 0.5, "what the best checkpoint reached on every window, not what was logged"
    assert "kronos-0003" not in columns[lr]


def test_test_results_of_promoted_runs_choose_nothing(store):
    run = finished(store, "toto-0009", 0.3)
    run.evaluate("test", pct_mae=0.2)
    run.order("promote", "somewhere")
    Store(store).catch_up()
    known, _ = store_fields.read(store.database, ())
    assert not [name for name in known.metrics if "test" in name]


def test_no_database_knows_nothing(workspace):
    assert store_fields.read(workspace.database, (LR,)) == (Known(), {})


BOTH_WAYS = (
    "", "family:toto", "id:toto-000", "tag:base", "tag!=base", "-tag:base", "has:tag", "has:note", "note:good",
    "state:ok", "state:ended", "state:waiting", "state!=ok", "val_pct_mae<0.6", "-val_pct_mae<0.6", "skill>0",
    "lr>=1e-3", "lr:3e-4", "lr!=3e-4", "optimizer:muon", "optimizer:*w", "ema:true", "has:lr", "loss<0.06",
    "hours:0.5..1.5", "took>30m", "memory>512MiB", "first", '"of all" family:toto', "val_skill<0", "steps:10..",
    "state:failed or (state:ok lr<5e-4)", "last.lr:3e-4", "since:2025-11-19", "before:2025-11-19", "exit_code:1",
    "-(family:kronos or name:first)", "note:'it''s'", "commit:aaa", "planned:100 val_dm_pvalue<1",
)  # fmt: skip


def test_sql_means_what_the_list_shows(store, box):
    """The same runs, in the same order, by the rows of a real engine and by the SQL behind them."""
    rows = sorted((row for row in box.rows().values() if not row.archived), key=lambda row: (row.submitted, row.id))
    assert [row.id for row in rows] == ["toto-0001", "toto-0002", "kronos-0003", "toto-0004"]
    box.close()  # so that nobody else has the database
    known, _ = store_fields.read(store.database, ())
    differing = set()
    with reading(store.database) as con:
        for text in BOTH_WAYS:
            query = read(text, known, NOW)
            columns = {one: store_fields.column(con, one) for one in query.needs}
            asked = con.execute(sql(query, [("submitted", False)], (), NOW)).fetchall()
            kept = tuple(row.id for row in keep(rows, query, columns, NOW))
            assert tuple(row[0] for row in asked) == kept, text
            differing.add(kept)
    assert len(differing) > 9, "the queries tell the runs apart"


def test_sql_says_what_it_leaves_out(store):
    query = read("eta<2h family:toto (warning:slow or id:toto-0001)", Known(), NOW)
    text = sql(query, [("place", False), ("val_pct_mae", True)], (), NOW)
    assert "-- left out, because only the engine knows it: eta<2h\n" in text
    assert "warning:slow or id:toto-0001" in text
    assert "place" not in text
    assert len(ask(store.database, text).rows) == 3


def test_every_field_is_asked_in_sql_that_works(store):
    sample = {"number": "1", "span": "1h", "size": "1GiB", "state": "ok"}
    asked = " ".join(
        f"-({name}:{value} {name}!={value}) -has:{name}"
        for name, field in FIELDS.items()
        for value in [sample.get(field.kind, "x")]
    )
    text = sql(read(asked, Known(), NOW), [(name, True) for name in FIELDS], list(FIELDS), NOW)
    assert len(ask(store.database, text).rows) == 0
    assert {"val_pct_mae", "loss", "signal"} <= set(ask(store.database, text).names)


def test_times_are_told_in_utc(store):
    text = sql(read("since:2025-11-20T01:00:00", Known(), NOW), [], (), NOW)
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.mktime((2025, 11, 20, 1, 0, 0, 0, 0, -1))))
    assert re.search(rf"submitted >= TIMESTAMP '{at}'", text)
    assert T0 < NOW
