"""The pure parts of the SQL screen: tokens, completion, cells, folded lines, pictures, history."""

from __future__ import annotations

import datetime
import math
from decimal import Decimal

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.store_sql import Answer
from tui import sql as sqls
from tui.completion import Catalogue, Column, Relation, complete, quoted
from tui.folding import folded
from tui.history import KEPT, History
from tui.present import plain
from tui.sqlplot import picture
from tui.sqltext import COMMENT, KEYWORD, NAME, NUMBER, QUOTED, SPACE, STRING, line_and_column, statement_at, tokens

RUNS = Relation("runs", "table", "one row a run", (Column("id", "VARCHAR", "its name"), Column("run_id", "INTEGER")))
CURVES = Relation("metric_curve", "view", "points", (Column("id", "VARCHAR"), Column("value", "DOUBLE", "the number")))
CATALOGUE = Catalogue((RUNS, CURVES, Relation("tags", "table", "", (Column("tag", "VARCHAR"),))))
SQLISH = st.text(alphabet=st.sampled_from("selctfrom \n.,;()'\"-/*$01e+_ünrusid"), max_size=60)


@given(SQLISH | st.text(max_size=40), st.integers(0, 60))
def test_tokens_are_the_text_again_and_statements_part_it(text, at):
    found = tokens(text)
    assert "".join(token.text for token in found) == text
    assert all(token.text == text[token.start : token.end] for token in found)
    at = min(at, len(text))
    start, end = statement_at(text, at)
    assert 0 <= start <= end <= len(text)
    line, column = line_and_column(text, at)
    assert sum(len(one) + 1 for one in text.split("\n")[:line]) + column == at


@given(SQLISH, st.integers(0, 60), st.booleans())
def test_offers_never_fail_and_fit_what_was_typed(text, at, asked):
    at = min(at, len(text))
    found = complete(text, at, CATALOGUE, asked=asked)
    typed = text[found.start : at].strip('"').lower()
    if found.offers:
        assert 0 <= found.start <= at
        assert all(typed in offer.text.lower() for offer in found.offers)
        assert len({offer.text for offer in found.offers}) == len(found.offers)


def test_tokens_know_what_they_are():
    text = "SELECT 'it''s', 1.5e-3 -- end\nFROM \"a b\" /* x */ ;"
    kinds = [token.kind for token in tokens(text) if token.kind not in (SPACE, "sign")]
    assert kinds == [KEYWORD, STRING, NUMBER, COMMENT, KEYWORD, QUOTED, COMMENT]
    assert [token.kind for token in tokens("leaf")] == [NAME]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("SELECT * FROM ru|", "runs"),
        ("SELECT * FROM runs r JOIN me|", "metric_curve"),
        ("SELECT r.i| FROM runs r", "id"),
        ("SELECT c.va| FROM runs r JOIN metric_curve AS c USING (run_id)", "value"),
        ("SELECT va| FROM metric_curve", "value"),
        ("SELECT va|", "value"),
        ("FROM runs WHERE ru|", "run_id"),
        ("WITH good AS (FROM runs) FROM go|", "good"),
        ("SEL|", "SELECT"),
        ("select id from runs ord|", "order"),
        ("SELECT 1; SELECT * FROM ta|", "tags"),
        ("SELECT * FROM runs, ta|", "tags"),
        ("SELECT runs.run| FROM runs", "run_id"),
        ("SELECT coun|", "count"),
    ],
)
def test_the_first_offer_is_what_one_means(text, first):
    at = text.index("|")
    found = complete(text.replace("|", ""), at, CATALOGUE)
    assert found.offers[0].text == first


@pytest.mark.parametrize(
    "text", ["SELECT 'ru|'", "SELECT 'ru|", "-- ru|", "/* ru|", "SELECT 12|", "FROM r|", "SELECT x.ru| FROM runs r"]
)
def test_nothing_is_offered_where_nothing_can_stand(text):
    at = text.index("|")
    assert complete(text.replace("|", ""), at, CATALOGUE).offers == ()


def test_a_column_comes_with_its_type_and_comment():
    offer = complete("SELECT va FROM metric_curve", 9, CATALOGUE).offers[0]
    assert (offer.text, offer.about, offer.comment) == ("value", "double", "the number")
    assert complete("FROM r", 6, CATALOGUE, asked=True).offers[0].text == "runs"


def test_a_quoted_name_is_that_name_to_duckdb():
    names = ("order", "all", "end", "commit", "Big", "two words", 'a"b', "ünï", "1st", "_x", "value", "a")
    with duckdb.connect() as connection:
        asked = connection.execute(f"SELECT {', '.join(f'1 AS {quoted(name)}' for name in names)}")
        assert tuple(column[0] for column in asked.description) == names
    assert [quoted(name) for name in ("value", "id", "run_id")] == ["value", "id", "run_id"]


def test_values_as_a_table_shows_them():
    time = datetime.datetime(2025, 11, 20, 0, 53, 20)
    values = (None, True, 3, 0.5, math.nan, 1e20, Decimal("1.50"), time, [1, None], {"a": 0.25}, "two\nlines")
    assert [sqls.shown(value) for value in values] == [
        "", "true", "3", "0.5", "nan", "1e+20", "1.50", "2025-11-20 00:53:20", "[1, ]", "{a: 0.25}", "two lines",
    ]  # fmt: skip


def test_points_of_a_column_stand_below_each_other_and_numbers_to_the_right():
    answer = Answer(
        ["id", "skill", "n"], [("a", 0.5, 1), ("b", -0.125, 20), ("c", None, 3)], ("VARCHAR", "DOUBLE", "BIGINT")
    )
    first, second, third = sqls.columns(answer)
    rows = list(enumerate(answer.rows))
    assert [plain(second.fill(row, 0)) for row in rows] == ["0.500", "-0.125", "NULL"]
    assert (first.right, second.right, third.right, second.width) == (False, True, True, 6)
    wild = Answer(["x"], [(1e-9,), (1e9,)], ("DOUBLE",))
    assert [plain(sqls.columns(wild)[0].fill(row, 0)) for row in enumerate(wild.rows)] == ["1e-09", "1e+09"]


def test_a_cut_result_says_so():
    assert sqls.title(Answer(["a"], [(1,)] * 3, ("BIGINT",), False, 0.0123)) == "3 rows · 12 ms"
    assert sqls.title(Answer(["a"], [(1,)], ("BIGINT",), True, 2.5)) == "first 1 rows, there are more · 2.5 s"


def test_rows_by_a_column_keep_nothing_last():
    rows = list(enumerate([(2.0,), (None,), (1.0,), (math.nan,)]))
    assert [row[0] for row in sqls.ordered(rows, 0, down=False)] == [2, 0, 1, 3]
    assert [row[0] for row in sqls.ordered(rows, 0, down=True)] == [0, 2, 1, 3]


@given(st.lists(st.text(alphabet="ab ", max_size=30), max_size=4), st.integers(5, 40))
def test_folded_lines_lose_no_word_and_fit(texts, width):
    line = [(text, "text") for text in texts]
    found = folded(line, width, 99)
    assert plain(part for one in found for part in one).replace(" ", "") == "".join(texts).replace(" ", "")
    for one in found:
        text = plain(one)
        assert len(text) <= width or " " not in text.strip(), "blanks past the edge would have the line cut there"


def test_a_picture_takes_the_first_number_as_x_and_parts_by_text():
    rows = [(2, "b", 5.0), (1, "a", 1.0), (2, "a", 2.0), (1, "b", None)]
    drawn = picture(Answer(["step", "id", "loss"], rows, ("BIGINT", "VARCHAR", "DOUBLE")), 1)
    assert {curve.name: (list(curve.xs), [str(y) for y in curve.ys]) for curve in drawn.curves} == {
        "b": ([1.0, 2.0], ["nan", "5.0"]), "a": ([1.0, 2.0], ["1.0", "2.0"]),
    }  # fmt: skip
    assert (drawn.title, drawn.x_name) == ("loss", "step")
    times = [(datetime.datetime(2025, 1, 1, 0, 1), 5), (datetime.datetime(2025, 1, 1), 4)]
    drawn = picture(Answer(["t", "n"], times, ("TIMESTAMP", "INTEGER")), 1)
    assert (list(drawn.curves[0].xs), list(drawn.curves[0].ys)) == ([0.0, 60.0], [4.0, 5.0])
    alone = picture(Answer(["n"], [(3,), (4,)], ("INTEGER",)), 1)
    assert (list(alone.curves[0].xs), alone.x_name) == ([0.0, 1.0], "row")
    runs = [(step, f"{run:02d}", f"{run} {step}", 1.0) for run in range(12) for step in range(5)]
    drawn = picture(Answer(["step", "id", "own", "loss"], runs, ("BIGINT", "VARCHAR", "VARCHAR", "DOUBLE")), 1)
    assert [curve.name for curve in drawn.curves] == [f"{run:02d}" for run in range(8)]
    assert drawn.title == "loss (first 8 of 12 curves)"
    assert "no column holds numbers" in picture(Answer(["s"], [("x",)], ("VARCHAR",)), 1).empty


def test_history_is_newest_first_once_and_survives(tmp_path):
    path = tmp_path / "state" / "h.jsonl"
    history = History(path)
    for query in ("SELECT 1", "SELECT\n2", "SELECT 1", "  "):
        history.add(query)
    assert history.queries == ["SELECT 1", "SELECT\n2"]
    with path.open("a") as file:
        file.write('{"torn')
    assert History(path).queries == ["SELECT 1", "SELECT\n2"]
    path.write_text("".join(f'"SELECT {n}"\n' for n in range(2 * KEPT + 1)))
    assert History(path).queries[0] == f"SELECT {2 * KEPT}"
    assert len(path.read_text().splitlines()) == KEPT
