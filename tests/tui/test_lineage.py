"""A run of several attempts on the screens: one line in the lists, one curve with a seam in the charts."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from engine.messages import Snapshot
from engine.records import RunRow
from tests.conftest import wait_for
from tests.tui import recorded
from tests.tui.test_plain_parts import STATUS
from tui import details, pictures
from tui.reader import Reader, Reading, Wish
from tui.widgets.chart import draw
from tui.world import World


def row(run_id: str, state: str, **more: object) -> RunRow:
    return RunRow(id=run_id, family="toto", state=state, since=1.0, **more)


def test_lists_show_the_last_attempt_only():
    rows = (
        row("toto-0001", "failed", later="toto-0001.2"),
        row("toto-0001.2", "running", attempt=2, tries=3),
        row("toto-0002", "failed", later="toto-0002.2"),  # the later one was archived: this one stands for the run
    )
    world = World().told(Snapshot(rows=rows, sample=recorded.no_gpu(1.0), history=(), status=STATUS))
    assert [one.id for one in world.running] == ["toto-0001.2"]
    assert [one.id for one in world.finished] == ["toto-0002"]
    assert world.counts["failed"] == 1
    assert "2 of 3" in "".join(text for line in details.facts(rows[1], 200, 2.0) for text, _ in line)


def test_a_chart_has_a_seam_where_an_attempt_begins(tmp_path: Path):
    for name, steps in (("toto-0001", range(1, 80)), ("toto-0001.2", range(50, 100))):
        (tmp_path / name).mkdir()
        lines = [{"t": step, "step": step, "loss": 1000 / step, "tokens": 10 * step} for step in steps]
        (tmp_path / name / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    readings: list[Reading] = []
    reader = Reader(tmp_path, readings.append)
    thread = threading.Thread(target=reader.run)
    thread.start()
    try:
        reader.look_at(Wish("toto-0001.2"))
        reading = wait_for(lambda: readings and readings[-1])
        assert reading.seams == (50.0,)
        assert list(reading.curves["loss"][0]) == list(range(1, 100))
        lines = draw(pictures.loss(reading, log=False), 60, 12)
        assert "attempt 2" in "".join(text for text, _ in lines[0])
        reader.look_at(Wish("toto-0001.2", x="tokens"))
        counted = wait_for(lambda: readings[-1].wish.x == "tokens" and readings[-1])
        assert counted.seams == (500.0,)
        assert pictures.loss(counted, log=False).x_name == "tokens"
        plot = lines[1:-2]
        drawn = [line for line in plot if any(role == "faint" and text.strip(" ⠀") for text, role in line)]
        assert len(drawn) >= len(plot) - 2  # from top to bottom, but for cells that the curve has taken
        reader.look_at(Wish("toto-0001"))
        wait_for(lambda: readings[-1].wish.run == "toto-0001")
        assert readings[-1].seams == ()
    finally:
        reader.stop()
        thread.join()
