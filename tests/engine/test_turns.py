"""Whose turn it is: moves that put a run where it was asked to be, and what a run waits for but devices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import turns
from engine.errors import BadDependency, UsageError
from engine.messages import Order
from engine.records import Spec
from engine.run import Seen
from engine.state import Start, World

STARTED = {"t": 100.0, "event": "started", "pid": 7, "supervisor": 6, "devices": ["cpu"]}
EXITED = {"t": 200.0, "event": "exited", "code": 1, "signal": None, "why": ""}


def name(number: int) -> str:
    return f"exec-{number:04d}"


def world(count: int, *, slots: int = 0, **fields: object) -> World:
    made = World(slots)
    for number in range(1, count + 1):
        add(made, name(number), **fields)
    return made


def add(made: World, run_id: str, **fields: object) -> None:
    made.found(Spec(id=run_id, family="exec", command=("true",), cwd="/", submitted=90.0, **fields))


def tell(made: World, run_id: str, order: str, value: str = "", t: float = 95.0) -> dict[str, object]:
    run, line = made.order(Order(run=run_id, order=order, value=value))
    line = {"t": t, **line}
    run.take_order(line)
    return line


def queue(made: World) -> list[str]:
    return [run.id for run in made.queue()]


moves = st.lists(st.tuples(st.integers(0, 7), st.sampled_from(turns.WAYS)), max_size=40)


@given(st.lists(st.integers(-2, 2), min_size=8, max_size=8), moves)
def test_a_move_puts_a_run_where_it_was_asked_to_be_and_the_lines_say_it_again(priorities, asked):
    made, lines = World(1), []
    for number, priority in enumerate(priorities):
        add(made, name(number + 1), priority=priority)
    for which, way in asked:
        before = queue(made)
        run_id = before[which]
        there = {"up": which - 1, "down": which + 1, "top": 0, "bottom": 7}[way]
        if there == which or not 0 <= there <= 7:
            with pytest.raises(UsageError, match="in the queue already"):
                tell(made, run_id, "move", way)
            continue
        lines.append((run_id, tell(made, run_id, "move", way)))
        wanted = [other for other in before if other != run_id]
        wanted.insert(there, run_id)
        assert queue(made) == wanted
    again = World(1)
    for number, priority in enumerate(priorities):
        run_id = name(number + 1)
        spec = Spec(id=run_id, family="exec", command=("true",), cwd="/", submitted=90.0, priority=priority)
        again.found(spec, [line for moved, line in lines if moved == run_id])
    assert queue(again) == queue(made)


def test_moving_between_the_same_two_for_ever_ends_in_a_clear_error():
    made = world(4)

    def shuffle() -> None:
        for _ in range(200):
            last = queue(made)[-1]
            tell(made, last, "move", "top")
            tell(made, last, "move", "down")
            tell(made, queue(made)[2], "move", "up")

    with pytest.raises(UsageError, match=r"There is no room between exec-\d+ and exec-\d+; move it to the top"):
        shuffle()


def test_only_what_waits_can_be_moved_and_only_in_known_ways():
    made = world(2)
    with pytest.raises(UsageError, match="No way 'left' to move: up, down, top, bottom"):
        tell(made, name(1), "move", "left")
    made.seen(name(1), Seen([STARTED], True, True), 150.0)
    with pytest.raises(UsageError, match="exec-0001 is running: only a waiting run has a place"):
        tell(made, name(1), "move", "top")


def test_after_any_waits_for_the_end_whatever_it_is():
    made = world(1)
    add(made, name(2), after_any=(name(1),))
    made.seen(name(1), Seen([STARTED], True, True), 150.0)
    made.act(150.0, [])
    assert made.runs[name(2)].reason == "after exec-0001, which is running, whatever its end"
    made.seen(name(1), Seen([STARTED, EXITED]), 210.0)
    assert made.runs[name(1)].state == "failed"
    made.cpu_slots = 1
    assert made.act(210.0, []) == [Start(name(2), ("cpu",))]


def test_a_run_begins_at_its_time_and_says_so_before():
    made = world(1, slots=1, begin=5000.0)
    assert made.act(4999.0, []) == []
    assert made.runs[name(1)].reason.startswith("begins at ")
    assert made.act(5000.0, []) == [Start(name(1), ("cpu",))]


def test_a_paused_queue_starts_nothing_and_keeps_other_reasons():
    made = world(2, slots=1)
    tell(made, name(1), "hold")
    made.seen(name(1), Seen(), 100.0)
    made.paused = 100.0
    assert made.act(150.0, []) == []
    assert made.runs[name(1)].reason.startswith("held by you since ")
    assert made.runs[name(2)].reason.startswith("the queue is paused since ")
    made.paused = None
    assert made.act(151.0, []) == [Start(name(2), ("cpu",))]


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6), st.booleans()), max_size=12))
def test_circles_are_found_wherever_they_are(edges):
    needs: dict[int, tuple[list[int], list[int]]] = {number: ([], []) for number in range(1, 7)}
    for this, that, any_end in edges:
        needs[this][any_end].append(that)
    made = World(6)
    for number, (after, after_any) in needs.items():
        add(made, name(number), after=tuple(map(name, after)), after_any=tuple(map(name, after_any)))

    def reach(number: int, seen: frozenset[int]) -> bool:
        return number in seen or any(reach(other, seen | {number}) for both in needs[number] for other in both)

    found = turns.circles(made.runs, made.waiting, made.bound)
    assert set(found) == {name(number) for number in needs if reach(number, frozenset())}
    for path in found.values():
        assert path[-1] in path[:-1]
    if found:
        with pytest.raises(BadDependency, match="waits in a circle"):
            made.check_after([min(found)])


def test_a_long_chain_is_no_trouble():
    made = World(1)
    for number in range(1, 3000):
        add(made, name(number), after=(name(number - 1),) if number > 1 else ())
    assert made.act(100.0, []) == [Start(name(1), ("cpu",))]
    assert len(turns.dependents(name(1), made.runs, made.last_attempt)) == 2998


def test_dependents_are_those_behind_nearest_first_in_their_last_attempts():
    made = world(1)
    add(made, name(2), after=(name(1),))
    add(made, name(3), after_any=(name(2),))
    add(made, "exec-0002.2", after=(name(1),))
    add(made, name(4))
    assert [run.id for run in turns.dependents(name(1), made.runs, made.last_attempt)] == ["exec-0002.2", name(3)]
