"""Numbers become the text that people read: known answers."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.devices import DeviceSample, ProcessSample
from engine.records import ENDED, LIVE, WAITING, RunRow
from tui import devicecells, present
from tui.present import plain

GIB = 1 << 30


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (42.9, "42s"), (245, "4m 05s"), (3600, "1h 00m"), (11220, "3h 07m"), (187_200, "2d 04h"), (None, "–"),
     (math.nan, "–"), (-3, "–"), (9e9, "104166d")],
)  # fmt: skip
def test_duration(seconds, text):
    assert present.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0108, "0.0108"), (1.912, "1.912"), (24.31, "24.31"), (0, "0"), (1.2e-5, "1.2e-05"), (None, "–"),
     (math.nan, "nan"), (-math.inf, "-inf"), (123456.7, "123457"), (2e9, "2.0e+09")],
)  # fmt: skip
def test_number(value, text):
    assert present.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(61.2 * GIB, "61.2 GiB"), (812 << 20, "812 MiB"), (3 << 10, "3.0 KiB"), (12, "12 B"), (None, "–"),
     (3 << 40, "3.0 TiB")],
)  # fmt: skip
def test_size(value, text):
    assert present.size(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(950, "950"), (9210, "9.2k"), (412_000, "412k"), (1_300_000, "1.3M"), (6000, "6k")]
)
def test_count(value, text):
    assert present.count(value) == text


def test_skill_says_its_sign_in_words_and_colour():
    assert present.skill_cell(0.0123) == (("+1.2 %", "good"),)
    assert present.skill_cell(-0.129) == (("−12.9 %", "trouble"),)
    assert present.skill_cell(-0.0001) == (("0.0 %", "rest"),)
    assert present.skill_cell(None) == (("–", "faint"),)
    assert present.skill_cell(math.nan) == (("–", "faint"),)


def test_a_bar_is_an_eighth_fine_and_always_as_wide_as_asked():
    assert plain(present.bar(0.5, 4)) == "██  "
    assert plain(present.bar(0.53125, 4)) == "██▏ "
    assert plain(present.bar(None, 4)) == "    "
    assert plain(present.bar(7, 4)) == "████"


@given(st.lists(st.floats(0, 1), max_size=6), st.integers(1, 60))
def test_a_stacked_bar_is_as_wide_as_asked(fractions, width):
    assert len(plain(present.stacked([(f, "bar") for f in fractions], width))) == width


@given(st.lists(st.one_of(st.none(), st.floats()), max_size=60), st.integers(1, 40))
def test_a_spark_is_as_wide_as_asked(values, width):
    assert len(present.spark(values, width)) == width


def test_spark_heights_and_gaps():
    assert present.spark([0, 50, None, 100], 4, 0, 100) == "▁▅ █"
    assert present.spark([3, 3], 4) == "  ▁▁"


def row(**fields: object) -> RunRow:
    return msgspec.convert({"id": "toto-0001", "family": "toto", "state": "running", "since": 0.0, **fields}, RunRow)


def test_progress_by_steps_or_else_by_epochs():
    assert present.progress(row(step=50, steps=200)) == 0.25
    assert present.progress(row(epoch=1.5, epochs=3.0)) == 0.5
    assert present.progress(row()) is None
    assert present.progress(row(state="ok")) == 1.0
    assert present.epochs(row(epoch=16.6, epochs=30.0)) == "e17/30"
    assert present.epochs(row(epoch=30.0, epochs=30.0)) == "e30/30"
    assert present.epochs(row(step=1200)) == "s1.2k"


def test_every_state_has_a_mark_of_its_own():
    marks = [present.MARKS[state][0] for state in sorted(WAITING | LIVE | ENDED)]
    assert len(set(marks)) == len(marks)


def test_a_warning_takes_the_place_of_the_mark_and_of_the_note():
    assert present.mark(row(warning="slow")) == (("▲", "attention"),)
    assert present.note(row(warning="slow")) == (("▲ slow", "attention"),)
    assert plain(present.note(row(phase="evaluate"))) == "evaluate…"
    assert plain(present.note(row(state="stopping"))) == "stopping…"


def test_a_failed_run_always_has_a_cause():
    assert plain(present.cause(row(state="failed", reason="nan at step 3"))) == "nan at step 3"
    assert plain(present.cause(row(state="failed", exit_code=1))) == "exit code 1"
    assert plain(present.cause(row(state="failed", signal=9))) == "signal 9"
    assert plain(present.cause(row(state="lost"))).startswith("lost")


def test_memory_tells_ours_from_strangers():
    device = DeviceSample(
        "u", 0, "NVIDIA H100", 50.0, 40 * GIB, 80 * GIB, 40 * GIB, None, None, None,
        (ProcessSample(1, 10 * GIB, "python", "me", "toto-0001"),
         ProcessSample(2, 5 * GIB, "python", "me", "toto-0002"), ProcessSample(3, 20 * GIB, "jax", "you", None)),
        False, True,
    )  # fmt: skip
    shares = devicecells.memory_shares(device)
    assert [(who, size // GIB, role) for who, size, role in shares] == [
        ("toto-0001", 10, "ours"), ("toto-0002", 5, "second"), ("jax (pid 3)", 20, "attention"), ("", 5, "rest"),
    ]  # fmt: skip
    assert [role for _, role in devicecells.memory_bar(device, 16)] == [
        "bar", "bar second", "bar attention", "bar rest", "track",
    ]  # fmt: skip


def test_names_of_cards_keep_what_tells_them_apart():
    assert devicecells.short_name("NVIDIA H100 80GB HBM3") == "H100"
    assert devicecells.short_name("NVIDIA GeForce RTX 4090") == "RTX 4090"
    assert devicecells.short_name("NVIDIA H100 80GB HBM3 MIG 1g.10gb") == "H100 1g.10gb"
