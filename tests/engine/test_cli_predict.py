"""The picture of a forecast: where the past ends, what is drawn, and that it fits."""

from __future__ import annotations

import pytest

from engine.cli.predict import picture

ROWS = [
    {"symbol": "A", "timestamp": f"2024-01-{day:02d}T00:00:00", "step": day, "mean": 10.0}
    | {"0.1": 10.0 - day, "0.5": 10.0, "0.9": 10.0 + day}
    for day in range(1, 11)
]


@pytest.mark.parametrize("columns", [40, 80, 160])
def test_past_and_forecast_meet_at_the_bar(columns: int):
    head, *lines, last = picture("A", [10.0] * 30, ROWS, columns, 11)
    assert head == "A: 10 steps, 2024-01-01 to 2024-01-10, level 0.5, dotted 0.1 and 0.9"
    assert last == ""
    assert len(lines) == 11
    assert {len(line) for line in lines} == {columns}
    bar = lines[0].index("┊")
    assert 0.7 < (bar - lines[0].index("│")) / (columns - lines[0].index("│")) < 0.8  # 30 of 40 steps are past
    middle = lines[5]  # the past and the median lie at 10, half-way between 0 and 20
    assert middle[middle.index("│") + 1 :].strip() != ""
    assert not lines[0][lines[0].index("│") + 1 : bar].strip()  # nothing of the past at the top
    assert [line.split("│")[0].strip() for line in (lines[0], lines[-1])] == ["20", "0"]


def test_one_level_gaps_and_a_flat_series():
    rows = [{"symbol": "A", "timestamp": "2024-01-01T09:30:00", "step": 1, "mean": 3.0, "0.5": 3.0}]
    head, *lines = picture("A", [None, 3.0, 3.0], rows, 50, 5)
    assert head == "A: 1 steps, 2024-01-01T09:30 to 2024-01-01T09:30, level 0.5"
    assert any(line.split("│")[1].strip(" ┊") for line in lines if "│" in line)
