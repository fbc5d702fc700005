"""The table of DESIGN §2, replayed; and laws of the fold: no run is lost, none starts twice."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadDependency, UnknownRun, UsageError
from engine.messages import Order
from engine.records import ENDED, LIVE, WAITING, Spec
from engine.run import START_PATIENCE, START_TRIES, Seen
from engine.state import Adopt, Start, World

STARTED = {"t": 100.0, "event": "started", "pid": 7, "supervisor": 6, "devices": ["cpu"]}


def exited(code: int | None = 0, signal: int | None = None, why: str = "") -> dict[str, object]:
    return {"t": 200.0, "event": "exited", "code": code, "signal": signal, "why": why}


def world(*ids: str, **fields: object) -> World:
    made = World(cpu_slots=1, boot=50.0)
    for run_id in ids or ("exec-0001",):
        made.found(Spec(id=run_id, family="exec", command=("true",), cwd="/", submitted=90.0, **fields))
    return made


def order(kind: str, t: float = 95.0, **fields: object) -> dict[str, object]:
    return {"t": t, "order": kind, **fields}


@pytest.mark.parametrize(
    ("supervisor", "trainer", "lifecycle", "state"),
    [
        (False, False, [], "queued"),
        (True, False, [], "starting"),
        (True, True, [STARTED], "running"),
        (True, False, [STARTED], "finishing"),
        (True, False, [STARTED, exited()], "finishing"),
        (False, False, [STARTED, exited()], "ok"),
        (False, False, [STARTED, exited(3)], "failed"),
        (False, False, [STARTED, exited(None, 9)], "failed"),
        (False, True, [STARTED], "orphaned"),
        (False, True, [STARTED, exited()], "orphaned"),
        (False, False, [STARTED], "lost"),
    ],
)
def test_the_table(supervisor, trainer, lifecycle, state):
    made = world()
    made.seen("exec-0001", Seen(lifecycle, supervisor, trainer), 150.0)
    run = made.runs["exec-0001"]
    assert run.state == state
    assert ("exec-0001" in made.live) == (state in LIVE)
    assert ("exec-0001" in made.waiting) == (state in WAITING)
    assert (run.state in ENDED) == (state in ENDED)


def test_lost_tells_a_power_cut_from_a_kill():
    for boot, reason in ((150.0, "the machine went down"), (50.0, "it and its supervisor were killed together")):
        made = world()
        made.boot = boot
        made.seen("exec-0001", Seen([STARTED]), 160.0)
        assert made.runs["exec-0001"].reason == reason


def test_stop_orders_name_the_end():
    for end, finished, state in (
        (exited(0), None, "stopped"),
        (exited(143), None, "stopped"),
        (exited(None, 15), None, "stopped"),
        (exited(0), "stopped", "stopped"),
        (exited(0), "steps", "ok"),
    ):
        made = world()
        run = made.runs["exec-0001"]
        run.take_order(order("stop", 120.0))
        run.progress.finished = finished
        made.seen("exec-0001", Seen([STARTED, end]), 210.0)
        assert run.state == state, (end, finished)


def test_an_adopted_run_is_ok_if_it_said_so():
    for finished, state in ((None, "failed"), ("steps", "ok"), ("early_stop", "ok")):
        made = world()
        made.runs["exec-0001"].progress.finished = finished
        made.seen("exec-0001", Seen([STARTED, exited(None, None, "adopted")]), 210.0)
        assert made.runs["exec-0001"].state == state


def test_a_start_that_came_to_nothing_is_given_again_and_then_given_up():
    made = world()
    run, now = made.runs["exec-0001"], 100.0
    for _ in range(START_TRIES):
        made.seen("exec-0001", Seen(), now)
        assert made.act(now, []) == [Start("exec-0001", ("cpu",))]
        run.take_order(order("start", now, devices=["cpu"]))
        made.seen("exec-0001", Seen(), now + 1)
        assert run.state == "starting"
        assert made.act(now + 1, []) == []
        now += START_PATIENCE + 1
    made.seen("exec-0001", Seen(), now)
    assert (run.state, made.act(now, [])) == ("failed", [])
    assert "3 tries" in run.reason


def test_an_orphan_is_adopted_and_keeps_its_slot():
    made = world("exec-0001", "exec-0002")
    made.seen("exec-0001", Seen([STARTED], supervisor=False, trainer=True), 110.0)
    assert made.act(110.0, []) == [Adopt("exec-0001")]
    assert made.runs["exec-0002"].reason == "CPU slot busy: exec-0001"
    made.seen("exec-0001", Seen([STARTED], supervisor=True, trainer=True), 111.0)
    assert made.runs["exec-0001"].state == "running"


def test_an_ended_run_whose_worker_still_holds_the_device_keeps_it():
    made = world("exec-0001", "exec-0002")
    made.seen("exec-0001", Seen([STARTED, exited()], supervisor=False, trainer=True), 210.0)
    assert made.act(211.0, []) == []
    made.seen("exec-0001", Seen([STARTED, exited()]), 212.0)
    assert made.act(213.0, []) == [Start("exec-0002", ("cpu",))]


def test_after_follows_the_last_attempt():
    made = world("exec-0001")
    made.found(Spec(id="exec-0002", family="exec", command=("true",), cwd="/", after=("exec-0001",)))
    made.seen("exec-0001", Seen([STARTED, exited(1)]), 210.0)
    made.act(211.0, [])
    assert "which failed" in made.runs["exec-0002"].reason
    assert made.next_attempt("exec-0001") == "exec-0001.2"
    made.found(Spec(id="exec-0001.2", family="exec", command=("true",), cwd="/", resume_from="exec-0001"))
    made.seen("exec-0001.2", Seen([STARTED, exited(0)]), 300.0)
    assert made.act(301.0, []) == [Start("exec-0002", ("cpu",))]
    assert made.next_attempt("exec-0001.2") == "exec-0001.3"


def test_a_circle_is_told_and_refused():
    made = World(cpu_slots=1)
    made.found(Spec(id="exec-0001", family="exec", command=("true",), cwd="/", after=("exec-0002",)))
    made.found(Spec(id="exec-0002", family="exec", command=("true",), cwd="/", after=("exec-0001",)))
    assert made.act(1.0, []) == []
    assert "waits in a circle: exec-0001 -> exec-0002 -> exec-0001" in made.runs["exec-0001"].reason
    with pytest.raises(BadDependency, match="in a circle"):
        made.check_after(["exec-0001"])


def test_orders_that_make_no_sense_are_refused():
    made = world()
    made.seen("exec-0001", Seen([STARTED, exited()]), 210.0)
    for kind, value in (("stop", ""), ("hold", ""), ("priority", "x"), ("priority", "5000"), ("tag", "a b")):
        with pytest.raises(UsageError):
            made.order(Order(run="exec-0001", order=kind, value=value))


def test_ids():
    made = world("toto-0001", "exec-0012", "toto-0003", "toto-0003.2")
    assert made.new_id("kronos") == "kronos-0013"
    assert made.find("12").id == "exec-0012"
    assert made.find("3").id == "toto-0003"
    assert made.find("3.2").id == made.find("0003.2").id == "toto-0003.2"
    assert made.find("exec").id == "exec-0012"
    with pytest.raises(UnknownRun, match="fits 3 runs"):
        made.find("toto")
    with pytest.raises(UnknownRun, match="No run 'totp'"):
        made.find("totp")


def test_a_name_means_the_last_attempt_of_its_run():
    made = World(cpu_slots=1)
    for run_id in ("toto-0001", "toto-0001.2", "toto-0001.10", "toto-0002"):
        name = "slow" if run_id != "toto-0002" else "fast"
        made.found(Spec(id=run_id, family="toto", command=("true",), cwd="/", name=name))
    assert made.find("slow").id == "toto-0001.10"
    made.found(Spec(id="toto-0003", family="toto", command=("true",), cwd="/", name="slow"))
    with pytest.raises(UnknownRun, match="fits 2 runs"):
        made.find("slow")


def test_a_name_typed_in_full_is_not_taken_for_the_beginning_of_an_id():
    made = World(cpu_slots=1)
    for run_id, name in (("toto-0001", ""), ("exec-0002", "toto"), ("exec-0003", "1"), ("exec-0004", "slowly")):
        made.found(Spec(id=run_id, family="exec", command=("true",), cwd="/", name=name))
    assert made.find("toto").id == "exec-0002"
    assert made.find("toto-").id == "toto-0001"
    with pytest.raises(UnknownRun, match="'1' fits 2 runs: exec-0003, toto-0001"):
        made.find("1")
    with pytest.raises(UnknownRun, match="Did you mean slowly"):
        made.find("slowy")


events = st.lists(
    st.tuples(st.sampled_from(["spawned", "begins", "ends", "supervisor dies", "trainer dies", "tick", "restart"])),
    max_size=40,
)


@given(events, st.integers(1, 3), st.integers(1, 5))
def test_no_history_starts_a_run_twice_or_loses_one(history, cpu_slots, count):
    """A little model of the box beside the world: whatever dies when, each run begins at most once."""
    ids = [f"exec-{number:04d}" for number in range(1, count + 1)]
    specs = [Spec(id=run_id, family="exec", command=("true",), cwd="/", submitted=1.0) for run_id in ids]
    made = World(cpu_slots)
    folder: dict[str, dict] = {
        run_id: {"life": [], "sup": False, "tr": False, "begun": 0, "orders": []} for run_id in ids
    }
    for spec in specs:
        made.found(spec)
    now = 10.0

    def look_all() -> None:
        for run_id in ids:
            at = folder[run_id]
            made.seen(run_id, Seen(tuple(at["life"]), at["sup"], at["tr"]), now)

    def decide() -> None:
        for action in made.act(now, []):
            at = folder[action.run]
            if isinstance(action, Start):
                line = {"t": now, "order": "start", "devices": list(action.devices)}
                at["orders"].append(line)
                made.runs[action.run].take_order(line)
            if not at["sup"] and not any(line["event"] == "exited" for line in at["life"]):
                at["sup"] = True  # the spawned supervisor gets the lock

    targets = itertools.cycle(ids)
    for (what,) in history:
        now += 6.0
        at = folder[next(targets)]
        if what == "begins" and at["sup"] and not at["life"]:
            at["life"].append({"t": now, "event": "started", "pid": 1, "devices": ["cpu"]})
            at["tr"] = True
            at["begun"] += 1
        elif what == "ends" and at["sup"] and at["life"]:
            at["tr"] = False
            at["life"].append({"t": now, "event": "exited", "code": 0})
            at["sup"] = False
        elif what == "supervisor dies":
            at["sup"] = False
        elif what == "trainer dies":
            at["tr"] = False
        elif what == "restart":
            made = World(cpu_slots)
            for spec in specs:
                made.found(spec, folder[spec.id]["orders"])
        look_all()
        decide()
        look_all()
        busy = [run_id for run_id in ids if folder[run_id]["tr"]]
        assert len(busy) <= cpu_slots
        assert all(at["begun"] <= 1 for at in folder.values())
    assert set(made.runs) == set(ids)
    for run in made.runs.values():
        assert run.state in WAITING | LIVE | ENDED
        if folder[run.id]["tr"]:
            assert run.state in LIVE
