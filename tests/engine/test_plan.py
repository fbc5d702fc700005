"""The plan of a queue says what the scheduler then does, admits what nobody knows, and is drawn at any width."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cli import gantt
from engine.cli.queue import summary
from engine.estimate import Durations, kinds, share_left
from engine.places import Slot
from engine.plan import MOST, plan
from engine.records import ENDED, WAITING, Plan, Spec, Turn
from engine.rehearsal import copy_world
from engine.run import Seen
from engine.state import Start, World
from tests.conftest import Box
from tests.engine.test_cli import BLOCK, Cli, cli, queue

__all__ = ["cli"]

NOW = 1_000_000.0
NAMES = {"cpu": "CPU", "g0": "GPU0", "g1": "GPU1"}
GIB = 1 << 30


def command(kind: int) -> tuple[str, ...]:
    return ("work", str(kind))


def world(took: dict[int, float], asked: list[dict], *, cpu_slots: int = 2) -> World:
    """A world where commands of a kind took so long, on either kind of device, and these runs wait."""
    made = World(cpu_slots)
    for kind, seconds in took.items():
        for gpu in (False, True):
            made.durations.add(Spec(family="exec", command=command(kind), cwd="/"), seconds, gpu)
    for number, fields in enumerate(asked, 1):
        spec = {"family": "exec", "cwd": "/", "submitted": NOW - 60, **fields}
        made.found(Spec(id=f"exec-{number:04d}", command=command(spec.pop("kind")), **spec))
    return made


def slots(count: int) -> list[Slot]:
    return [Slot(f"g{i}", f"GPU{i}", 80 * GIB, 80 * GIB) for i in range(count)]


def start(run: object, t: float, devices: tuple[str, ...]) -> dict[str, object]:
    return {"t": t, "event": "started", "pid": 7, "supervisor": 6, "devices": [*devices]}


def exited(t: float) -> dict[str, object]:
    return {"t": t, "event": "exited", "code": 0, "signal": None, "why": ""}


def happen(made: World, took: dict[int, float], gpus: int) -> dict[str, tuple[float, float]]:
    """Let the scheduler run its course with lines as supervisors write them; give each run's start and end."""
    lines: dict[str, list] = {}
    spans: dict[str, tuple[float, float]] = {}
    t = NOW
    while True:
        for action in made.act(t, slots(gpus)):
            assert isinstance(action, Start)
            run = made.runs[action.run]
            run.take_order({"order": "start", "t": t, "devices": [*action.devices], "claim": action.claim})
            lines[run.id] = [start(run, t, action.devices)]
            made.seen(run.id, Seen(lines[run.id], True, True), t)
            seconds = min(filter(None, (took[int(run.spec.command[1])], run.spec.limit)))
            spans[run.id] = t, t + seconds
        coming = [end for run_id, (_, end) in spans.items() if run_id in made.live]
        coming += [run.spec.begin for run in made.queue() if run.spec.begin and run.spec.begin > t]
        if not coming:
            return spans
        t = min(coming)
        for run_id in [*made.live]:
            if spans[run_id][1] <= t:
                made.seen(run_id, Seen([*lines[run_id], exited(t)]), t)


runs = st.lists(
    st.fixed_dictionaries(
        {"kind": st.integers(0, 3), "gpus": st.sampled_from([None, 0, 1, 2])},
        optional={
            "priority": st.integers(-1, 1),
            "begin": st.floats(NOW - 10, NOW + 5000).map(round).map(float),
            "limit": st.integers(50, 900).map(float),
            "after": st.integers(1, 3).map(lambda number: (f"exec-{number:04d}",)),
            "after_any": st.integers(1, 3).map(lambda number: (f"exec-{number:04d}",)),
        },
    ),
    max_size=10,
)
TOOK = {0: 100.0, 1: 1000.0, 2: 350.5, 3: 60.0}


@given(runs, st.integers(0, 2), st.integers(1, 2))
def test_what_is_planned_is_what_then_happens(asked, gpus, cpu_slots):
    made = world(TOOK, asked, cpu_slots=cpu_slots)
    planned = {turn.run: turn for turn in plan(copy_world(made), slots(gpus), NOW, NAMES).turns}
    assert all(run.state in WAITING for run in made.runs.values()), "the plan is made on a copy"
    done = happen(made, TOOK, gpus)
    assert {run_id: (turn.start, turn.end) for run_id, turn in planned.items() if turn.start is not None} == done
    for run_id, turn in planned.items():
        if turn.start is not None:
            names = tuple(NAMES.get(device, device) for device in made.runs[run_id].devices)
            assert turn.labels == names, run_id


@settings(max_examples=40)
@given(runs, st.integers(0, 2))
def test_what_nobody_knows_has_no_end_and_nothing_starts_on_its_devices_after(asked, gpus):
    known = {kind: seconds for kind, seconds in TOOK.items() if kind < 2}
    made = world(known, asked)
    found = plan(copy_world(made), slots(gpus), NOW, NAMES)
    for turn in found.turns:
        kind = int(made.runs[turn.run].spec.command[1])
        assert (turn.takes is None) == (kind >= 2)
        assert (turn.end is not None) == (turn.start is not None and kind < 2)
        if turn.start is not None and turn.end is None and "CPU" not in turn.labels:
            others = [other for other in found.turns if other is not turn and {*other.labels} & {*turn.labels}]
            assert not [other for other in others if other.start is not None and other.start > turn.start]
    assert (found.until is None) == any(turn.end is None for turn in found.turns)


def test_a_paused_queue_and_what_is_held_have_no_start():
    made = world(TOOK, [{"kind": 0}, {"kind": 1}])
    made.runs["exec-0001"].take_order({"order": "hold", "t": NOW})
    made.seen("exec-0001", Seen(), NOW)
    first = plan(copy_world(made), [], NOW, NAMES)
    assert [turn.start for turn in first.turns] == [None, NOW]
    made.paused = NOW
    second = plan(copy_world(made), [], NOW, NAMES)
    assert [turn.start for turn in second.turns] == [None, None]
    assert summary(second).startswith("the queue is paused since ")
    assert second.until is None


def test_one_that_takes_longer_than_expected_or_is_paused_has_no_known_end():
    for line in ([], [{"t": NOW - 5, "event": "paused"}]):
        made = world(TOOK, [{"kind": 0}, {"kind": 0}], cpu_slots=1)
        made.seen(
            "exec-0001", Seen([start(None, NOW - 10_000 if not line else NOW - 10, ("cpu",)), *line], True, True), NOW
        )
        found = plan(copy_world(made), [], NOW, NAMES)
        assert [(turn.run, turn.end, turn.start) for turn in found.turns][1] == ("exec-0002", None, None)
        assert found.turns[0].end is None
        assert found.unknown == 2


def test_a_long_queue_is_planned_at_its_head_and_the_rest_is_counted():
    made = world(TOOK, [{"kind": 0, "gpus": 0}] * (MOST + 30), cpu_slots=200)
    found = plan(copy_world(made), [], NOW, NAMES)
    assert (len(found.turns), found.beyond, found.until) == (MOST, 30, None)
    assert "the last 30 are not planned" in summary(found)


def test_a_plan_that_takes_too_long_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch):
    made = world(TOOK, [{"kind": 0}] * 5, cpu_slots=1)
    monkeypatch.setattr("engine.plan.PATIENCE", -1.0)
    found = plan(copy_world(made), [], NOW, NAMES)
    assert [turn.start for turn in found.turns] == [NOW, None, None, None, None]
    assert (found.cut, found.until) == (True, None)
    assert "planning took too long" in summary(found)


def test_durations_are_of_like_runs_only():
    known = Durations()

    def spec(**fields: object) -> Spec:
        config = {"train": {"steps": 100, "lr": 1e-3, "batch": 8}, "model": {"dim": 4}}
        for name, value in fields.items():
            if name in ("steps", "lr", "batch"):
                config["train"][name] = value
        kept = {name: value for name, value in fields.items() if name not in ("steps", "lr", "batch")}
        return Spec(**{"family": "toto", "preset": "small", "command": ("x",), "cwd": "/", "config": config, **kept})

    for seconds in (90.0, 100.0, 300.0):
        known.add(spec(), seconds, False)
    known.add(spec(resume_from="toto-0001"), 1.0, False)
    assert str(known.predict(kinds(spec(lr=0.1), False))) == "from 3 runs like it"
    assert known.predict(kinds(spec(steps=200), False)).seconds == pytest.approx(200.0), "the median, by the step"
    rough = known.predict(kinds(spec(batch=16), False))
    assert (rough.rough, str(rough)) == (True, "from 3 runs of its preset")
    assert known.predict(kinds(spec(preset="large", batch=9), False)) is None
    assert known.predict(kinds(spec(), True)) is None, "a GPU is another matter"
    assert known.predict(kinds(spec(), False), share_left(75, 100)).seconds == pytest.approx(25.0)
    assert share_left(None, 100) == 1.0
    known.add(spec(steps=300), 280.0, False)
    assert known.predict(kinds(spec(steps=200), False)).seconds == pytest.approx(190.0), (
        "10 s go for starting, then 0.9 a step"
    )
    assert known.predict(kinds(spec(), False)).seconds == 100.0, "as many steps are known: their median"


turns_drawn = st.lists(
    st.builds(
        lambda start, takes, lane, live, name: Turn(
            run="exec-0001", name=name, family="exec", state="running" if live else "queued", place=None, gpus=None,
            labels=(lane,), start=NOW + (0 if live else start), end=None if takes is None else NOW + start + takes,
            takes=takes, how="", reason="",
        ),
        st.floats(0, 1e6), st.none() | st.floats(0.1, 1e6), st.sampled_from(["GPU0", "GPU1", "CPU"]), st.booleans(),
        st.text("ab é", max_size=9),
    ),
    max_size=8,
)  # fmt: skip


@settings(max_examples=50)
@given(turns_drawn, st.integers(40, 220))
def test_the_chart_fits_its_width_and_shows_every_unknown_end(turns, width):
    found = Plan(now=NOW, lanes=("GPU0", "GPU1"), cpu_slots=2, turns=tuple(turns), until=None, unknown=0, beyond=0)
    text = gantt.chart(found, width)
    lines = text.splitlines()
    assert all(len(line) <= width for line in lines)
    assert text.count("?") == sum(turn.end is None for turn in turns)
    assert lines[0].strip().startswith("now")
    assert re.sub(r"\x1b\[\d*m", "", gantt.chart(found, width, colour=True)).split() == text.split()


def test_the_chart_of_a_small_queue():
    def turn(run: str, label: str, start: float, end: float | None, state: str = "queued") -> Turn:
        return Turn(
            run=run, name="", family="toto", state=state, place=None, gpus=1, labels=(label,), start=NOW + start,
            end=None if end is None else NOW + end, takes=None, how="", reason="",
        )  # fmt: skip

    found = Plan(
        now=NOW, lanes=("GPU0", "GPU1"), cpu_slots=1, until=None, unknown=1, beyond=0,
        turns=(turn("toto-0007", "GPU0", -9, 3600, "running"), turn("toto-0009", "GPU0", 3600, 7200),
               turn("toto-0011", "GPU1", 0, None)),
    )  # fmt: skip
    assert gantt.chart(found, 66).splitlines()[1:] == [
        "GPU0  toto-0007                toto-0009",
        "      ━━━━━━━━━━━━━━━━━━━━━━━━┥├────────────────────────┤",
        "GPU1  toto-0011",
        "      ├───────────────────────────────────────╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌?",
    ]


def test_the_queue_at_the_command_line(cli: Cli, box: Box):
    assert cli("queue").err == "engine: nothing runs and nothing waits.\n"
    done = queue(cli, "sh", "-c", "true; sleep 0.05")
    box.ended(done)
    live = [queue(cli, "sh", "-c", BLOCK) for _ in range(2)]
    for run_id in live:
        box.state(run_id, "running")
    like = queue(cli, "sh", "-c", "true; sleep 0.05")
    held = queue(cli, "true", options=("--hold", "--name", "later"))
    said = cli("queue")
    assert [line.split()[:2] for line in said.out.splitlines()[1:]] == [["1", like], ["2", held]]
    assert "1 run like it" in said.out
    assert "held by you since" in said.out
    assert "2 live, 2 waiting; of 4 nobody knows when they end" in said.err
    found = cli("queue", "--json").json
    assert {turn["run"]: turn["state"] for turn in found["turns"]} == {
        live[0]: "running", live[1]: "running", like: "queued", held: "held",
    }  # fmt: skip
    assert found["turns"][2]["takes"] > 0
    chart = cli("queue", "--plan").out
    assert "CPU 1" in chart
    assert "CPU 2" in chart
    assert f"?  {like}  CPU slots busy" in chart
    (box.workspace.root / "go").touch()
    cli("release", held)
    for run_id in (*live, like, held):
        assert box.ended(run_id).state in ENDED
