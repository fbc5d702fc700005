"""What is taken over from one world to the next is what sorting everything anew would give."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.messages import Changed, Snapshot
from engine.records import RunRow
from tests.tui import recorded
from tests.tui.test_plain_parts import STATUS
from tui.world import SORTED, World


def snapshot(rows) -> Snapshot:
    return Snapshot(rows=tuple(rows), sample=recorded.no_gpu(1.0), history=(), status=STATUS)


states = st.sampled_from(("queued", "held", "running", "stopping", "ok", "failed", "lost"))
times = st.integers(1, 4).map(float)
rows = st.builds(
    RunRow, id=st.sampled_from(("a-0001", "a-0001.2", "b-0002", "c-0003")), family=st.just("a"), state=states,
    since=times, started=st.none() | times, ended=st.none() | times, place=st.none() | st.integers(1, 3),
    later=st.sampled_from(("", "a-0001.2", "gone-1")), best=st.none() | times, archived=st.booleans(),
)  # fmt: skip
messages = st.lists(st.lists(rows, min_size=1, max_size=3), max_size=5)


@given(st.lists(rows, max_size=4, unique_by=lambda row: row.id), messages)
def test_news_one_by_one_give_the_same_world_as_all_at_once(first, news):
    world = World().told(snapshot(first))
    for changed in news:
        before = world
        world = world.told(Changed(rows=tuple(changed)))
        anew = World().told(snapshot(world.rows.values()))
        for name in (*SORTED, "counts"):
            assert getattr(world, name) == getattr(anew, name), name
        ended = [row for row in world.rows.values() if row.state in ("ok", "failed", "lost")]
        assert world.ended_since(before) == [
            row for row in ended if row.id in before.rows and before.rows[row.id].state not in ("ok", "failed", "lost")
        ]


def test_a_step_of_a_live_run_leaves_the_other_lists_as_they_are():
    now = time.time()
    world = World().told(snapshot(recorded.many_runs(now, 300)))
    assert len(world.running) == 8
    live = world.running[3]
    after = world.told(Changed(rows=(replace(live, step=5000),), sample=recorded.no_gpu(2.0)))
    assert after.running[3].step == 5000
    assert after.finished is world.finished
    assert after.queue is world.queue
    assert after.told(Changed(status=STATUS)).running is after.running
