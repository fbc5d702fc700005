"""Tables that fit, sizes and durations that read well, options read without typer."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cli import again, ls, table, words
from engine.differ import Difference
from tests.conftest import CHARACTERS

COLUMNS = (
    table.Column("NAME", lambda row: row[0], keep=True),
    table.Column("SIZE", lambda row: row[1], right=True),
    table.Column("WHAT", lambda row: row[2], shrink=True),
)


def test_columns_are_aligned_and_empty_ones_left_out():
    text = table.render(COLUMNS, [("a", "1", ""), ("long name", "200", "")])
    assert text == "NAME       SIZE\na             1\nlong name   200\n"


def test_long_cells_are_cut_visibly_at_a_terminal_only():
    rows = [("a", "1", "x" * 100)]
    assert "x" * 100 in table.render(COLUMNS, rows)
    cut = table.render(COLUMNS, rows, limit=40)
    assert max(map(len, cut.splitlines())) == 40
    assert cut.endswith("…\n")


def test_what_matters_keeps_its_room_and_what_does_not_is_named():
    columns = (
        table.Column("NAME", lambda row: row[0], keep=True),
        table.Column("SIZE", lambda row: row[1], right=True, spare=1),
        table.Column("TAG", lambda row: row[1], spare=2),
        table.Column("WHY", lambda row: row[2], shrink=True, least=20),
    )
    rows = [("one", "1234567890", "y" * 50)]
    gone: list[str] = []
    assert "SIZE" in table.render(columns, rows, limit=40, left_out=gone)
    assert gone == ["TAG"]
    text = table.render(columns, rows, limit=30, left_out=(gone := []))
    assert (gone, max(map(len, text.splitlines()))) == (["SIZE", "TAG"], 30)
    assert table.render(columns, rows, left_out=(gone := [])).endswith("y" * 50 + "\n")
    assert gone == []


def test_a_reason_wraps_below_itself_rather_than_being_cut():
    why = table.Column("WHY", lambda row: row[2], shrink=True, wrap=True)
    text = table.render((COLUMNS[0], why), [("one", "", "needs 62 GiB while 24 are free"), ("two", "", "")], limit=18)
    assert text == ("NAME  WHY\none   needs 62 GiB\n      while 24 are\n      free\ntwo\n")


def test_long_lines_go_on_below_their_own_text_and_paths_stay_whole():
    text = (
        "cause   out of device memory: asked for 2 GiB\nfolder  /a/very/long/path/that/is/wider\n  | a line of words\n"
    )
    assert table.wrapped(text, 24) == (
        "cause   out of device\n        memory: asked\n        for 2 GiB\n"
        "folder\n        /a/very/long/path/that/is/wider\n  | a line of words\n"
    )
    assert table.wrapped("  | one two three four\n", 14) == "  | one two\n  | three four\n"
    assert table.wrapped("ok   one two three", 12, 5) == "ok   one two\n     three"
    assert table.wrapped(text, None) == text


def test_differences_stand_beside_each_other_or_below_with_short_hashes():
    found = [Difference("data", "fingerprint", ("0a" * 32, "0b" * 32)), Difference("code", "frozen", (True, None))]
    beside = again.side_by_side("toto-1", "toto-2", found, 80)
    assert beside.splitlines()[1:] == [
        "data fingerprint  0a0a0a0a0a0a  0b0b0b0b0b0b", "code frozen       true          -"
    ]  # fmt: skip
    below = again.side_by_side("toto-1", "toto-2", found, 30)
    assert below.splitlines()[:3] == ["data fingerprint", "  toto-1  0a0a0a0a0a0a", "  toto-2  0b0b0b0b0b0b"]


def test_line_breaks_cannot_break_a_table():
    assert len(table.render(COLUMNS, [("a\nb", "1", "c\td")]).splitlines()) == 2


def test_colour_does_not_count_as_width():
    red = table.Column("NAME", lambda row: row[0], style=lambda row: "31")
    plain = table.render((red, COLUMNS[1]), [("ab", "1", "")])
    coloured = table.render((red, COLUMNS[1]), [("ab", "1", "")], colour=True)
    assert "\x1b[31mab  \x1b[0m" in coloured
    assert plain.splitlines()[1] == "ab       1"


@given(
    st.lists(st.tuples(st.text(CHARACTERS), st.text(CHARACTERS), st.text(CHARACTERS)), max_size=5), st.integers(10, 120)
)
def test_any_text_fits_or_is_as_wide_as_what_may_not_be_cut(rows, limit):
    fixed = [max([4, *(len(" ".join(row[i].split())) for row in rows)]) for i in (0, 1)]
    least = sum(fixed) + 2 * len(table.GAP) + max(table.MIN_WIDTH, 4)
    for line in table.render(COLUMNS, rows, limit=limit).split("\n"):
        assert len(line) <= max(limit, least)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.04, "0.0s"), (9.94, "9.9s"), (9.96, "10s"), (59.6, "1m00s"), (200, "3m20s"), (7500, "2h05m"),
     (273600, "3d04h"), (-5, "0s")],
)  # fmt: skip
def test_spans(seconds, text):
    assert words.span(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "n/a"), (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (1023 * 1024, "1023 KiB"), (80 << 30, "80 GiB"),
     (3 << 40, "3 TiB")],
)  # fmt: skip
def test_sizes(count, text):
    assert words.size(count) == text


@given(st.one_of(st.none(), st.floats(-1, 2)), st.integers(1, 40))
def test_a_bar_has_its_width(share, cells):
    assert len(words.bar(share, cells)) == cells


def test_the_quick_way_reads_what_is_usual():
    assert ls.quick([]) == ls.Asked()
    assert ls.quick(["-a", "--json"]) == ls.Asked(every=True, json=True)
    asked = ls.quick(["--state", "ok", "--state=held", "--tag", "x", "--family=toto", "--limit", "3"])
    assert asked == ls.Asked(state=("ok", "held"), tag=("x",), family="toto", limit=3)


@given(st.lists(st.one_of(st.sampled_from(["--all", "--state", "--limit", "-a", "--json", "x", "-1", "--help"]),
                          st.text(string.printable, max_size=8)), max_size=5))  # fmt: skip
def test_the_quick_way_never_fails(args):
    """What it does not understand is typer's to explain."""
    asked = ls.quick(args)
    if asked is not None:
        assert "--help" not in args or any(a in ("--state", "--tag", "--family") for a in args)
