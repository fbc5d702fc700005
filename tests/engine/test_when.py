"""Times and durations: what people type, what is refused, and that telling and reading agree."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import UsageError
from engine.when import DAYS, LONGEST, clock, duration, moment, span
from tests.conftest import CHARACTERS

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC).timestamp()  # a Wednesday


@pytest.fixture(autouse=True, scope="module")
def utc():
    """A clock without summer time, whatever the machine's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def at(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("45s", 45), ("30m", 1800), ("8h", 28800), ("1h30m", 5400), ("1.5h", 5400), ("2d", 172800), ("1w", 604800),
        (" 1 h 30 min ", 5400), ("90 Minutes", 5400), ("1h 5s", 3605),
    ],
)  # fmt: skip
def test_durations(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "8", "0s", "h", "8x", "-1h", "1h1h", "1h-5m", "1e3s", "4000d", "８h8", "nan s"])
def test_what_is_no_duration_is_refused_with_the_value(text):
    with pytest.raises(UsageError) as error:
        duration(text, "--limit")
    assert f"--limit {text}".strip() in str(error.value)


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("22:00", at(2026, 3, 4, 22, 0)), ("11:59", at(2026, 3, 5, 11, 59)), ("12:00", at(2026, 3, 5, 12, 0)),
        ("22:00:30", at(2026, 3, 4, 22, 0, 30)), ("10:30pm", at(2026, 3, 4, 22, 30)), ("12:00 am", at(2026, 3, 5)),
        ("tomorrow 8:00", at(2026, 3, 5, 8, 0)), ("today 13:00", at(2026, 3, 4, 13, 0)),
        ("friday 18:30", at(2026, 3, 6, 18, 30)), ("Wed 11:00", at(2026, 3, 11, 11, 0)),
        ("wed 13:00", at(2026, 3, 4, 13, 0)), ("+2h", NOON + 7200), ("in 90 min", NOON + 5400),
        ("2026-03-05T08:15", at(2026, 3, 5, 8, 15)), ("2026-03-05 08:15", at(2026, 3, 5, 8, 15)),
        ("2030-01-01T00:00+00:00", 1893456000.0), ("2030-01-01T00:00Z", 1893456000.0),
    ],
)  # fmt: skip
def test_moments(text, when):
    assert moment(text, NOON) == when


@pytest.mark.parametrize(
    "text",
    ["", "soon", "25:00", "12:60", "13:00pm", "2026-03-04T11:00", "+", "+0h", "today 11:00", "we 12:00", "20300101"],
)
def test_what_is_no_time_to_come_is_refused(text):
    with pytest.raises(UsageError, match="--begin"):
        moment(text, NOON, "--begin")


def test_a_past_time_says_how_long_ago():
    with pytest.raises(UsageError, match=r"--begin 2026-03-04T10:30: that was 1 h 30 min ago\."):
        moment("2026-03-04T10:30", NOON, "--begin")


def test_clock_is_as_short_as_it_is_clear():
    told = [clock(at(2026, 3, day, 22, 0), NOON) for day in (3, 4, 5, 6, 11)]
    assert told == ["yesterday 22:00", "22:00", "tomorrow 22:00", "Fri 22:00", "2026-03-11 22:00"]


def test_a_number_that_is_no_time_is_told_all_the_same():
    assert clock(1e12, NOON).startswith("9999-12-")
    assert clock(1e300, NOON) == clock(1e12, NOON)
    assert clock(-1e300, NOON) == clock(0.0, NOON)


def test_a_clock_time_means_the_local_one(monkeypatch):
    for zone, hour in (("UTC", 22), ("America/New_York", 3), ("Asia/Tokyo", 13)):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        assert datetime.fromtimestamp(moment("22:00", NOON)).hour == 22
        assert time.gmtime(moment("22:00", NOON)).tm_hour == hour


@given(st.floats(0.5, LONGEST / 2))
def test_a_told_span_is_read_again_within_its_smaller_unit(seconds):
    text = span(seconds)
    back = duration(text)
    largest = text.split()[1]
    error = {"s": 0.6, "min": 1.6, "h": 61, "d": 3601}[largest]
    assert abs(back - seconds) <= error


parts = st.lists(
    st.tuples(st.integers(0, 999), st.sampled_from("smhdw")), min_size=1, max_size=5, unique_by=lambda part: part[1]
)


@given(parts)
def test_a_duration_is_the_sum_of_its_parts(found):
    size = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
    total = sum(count * size[unit] for count, unit in found)
    text = "".join(f"{count}{unit}" for count, unit in found)
    if 0 < total <= LONGEST:
        assert duration(text) == total
    else:
        with pytest.raises(UsageError):
            duration(text)


@given(st.integers(0, 23), st.integers(0, 59), st.floats(1.6e9, 2.2e9), st.sampled_from(["", *DAYS, "tomorrow"]))
def test_a_moment_is_to_come_and_shows_what_was_typed(hour, minute, now, day):
    found = moment(f"{day} {hour}:{minute:02d}".strip(), now)
    assert now < found <= now + 8 * 86400
    assert (datetime.fromtimestamp(found).hour, datetime.fromtimestamp(found).minute) == (hour, minute)
    if day in DAYS:
        assert datetime.fromtimestamp(found).weekday() == DAYS.index(day)
    if not day:
        assert clock(found, now) in (f"{hour:02d}:{minute:02d}", f"tomorrow {hour:02d}:{minute:02d}")


@given(st.text(CHARACTERS, max_size=30))
def test_any_text_is_read_or_refused_in_one_line(text):
    for read in (duration, lambda word: moment(word, NOON)):
        with contextlib.suppress(UsageError):
            assert read(text) > 0
