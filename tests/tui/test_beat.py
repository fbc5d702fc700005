"""What is shown at once: all but numbers that count on."""

from __future__ import annotations

import msgspec
import pytest

from engine.messages import Changed, Snapshot
from engine.records import EngineStatus
from tests.tui import recorded
from tui.beat import NUMBERS, news
from tui.world import AWAY, CONNECTED, Link, World

STATUS = EngineStatus(pid=1, started=0.0, version="0", workspace="w", socket="s", cpu_slots=2, counts={})
ROWS = tuple(recorded.busy_box(1000.0))
WORLD = World(Link(CONNECTED)).told(
    Snapshot(rows=ROWS, sample=recorded.no_gpu(1000.0), history=(), status=STATUS)
)  # fmt: skip


def changed(**fields: object) -> World:
    return WORLD.told(Changed(rows=(msgspec.structs.replace(ROWS[0], **fields),), sample=recorded.no_gpu(1001.0)))


def test_numbers_of_a_run_that_trains_wait_for_the_beat():
    values = dict.fromkeys(NUMBERS - {"spark", "checkpoint"}, 7) | {"spark": (1.0,), "checkpoint": "c"}
    assert not news(WORLD, changed(**values))
    status = msgspec.structs.replace(STATUS, store_backlog=9, counts={"ok": 1})
    assert not news(WORLD, WORLD.told(Changed(status=status)))


@pytest.mark.parametrize(
    "fields",
    [{"state": "stopping"}, {"state": "ok", "ended": 2.0}, {"warning": "loss is NaN"}, {"phase": "val"},
     {"tags": ("a",)}, {"note": "n"}, {"archived": True}],
)  # fmt: skip
def test_what_happens_is_shown_at_once(fields):
    assert news(WORLD, changed(**fields))


def test_the_queue_the_engine_and_the_connection_are_news():
    assert news(None, WORLD)
    moved = msgspec.structs.replace(ROWS[3], place=9)
    assert news(WORLD, WORLD.told(Changed(rows=(moved,))))
    assert news(WORLD, WORLD.told(Changed(status=msgspec.structs.replace(STATUS, queue_paused=5.0))))
    assert news(WORLD, WORLD.linked(Link(AWAY, "gone")))
    assert not news(WORLD, WORLD.told(Changed(sample=recorded.no_gpu(1002.0))))
