"""Whose turn it is: where a run stands in the queue, where it is moved to, and what but devices it waits for. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from engine import ids, when
from engine.errors import UsageError
from engine.records import ENDED
from engine.run import Run

WAYS = ("up", "down", "top", "bottom")
Find = Callable[[str], Run]


def place(run: Run) -> tuple[int, float, int, int]:
    """Sort key of the queue: higher priority first, then first come first served, or where it was moved to.

    A retry keeps its run's place.
    """
    number, attempt = ids.number(run.id)
    return (-run.priority, number if run.rank is None else run.rank, number, attempt)


def _rank(run: Run) -> float:
    return ids.number(run.id)[0] if run.rank is None else run.rank


def moved(queue: Sequence[Run], run: Run, way: str) -> tuple[int, float]:
    """Give the priority and rank that put a run one up or down, or at the top or bottom of the queue.

    queue: all waiting runs in their order. A run that is moved among others of another priority gets theirs.
    Raises UsageError if it can't go there.
    """
    here = queue.index(run)
    there = {"up": here - 1, "down": here + 1, "top": 0, "bottom": len(queue) - 1}[way]
    if not 0 <= there < len(queue) or there == here:
        raise UsageError(
            f"{run.id} is {'first' if here == 0 and way in ('up', 'top') else 'last'} in the queue already."
        )
    others = [other for other in queue if other is not run]
    before = others[there - 1] if there else None
    after = others[there] if there < len(others) else None
    if after is not None and (before is None or before.priority > after.priority == run.priority):
        return after.priority, _rank(after) - 1
    assert before is not None
    if after is None or before.priority > after.priority:
        return before.priority, _rank(before) + 1
    middle = (_rank(before) + _rank(after)) / 2
    if not place(before) < (-before.priority, middle, *ids.number(run.id)) < place(after):
        raise UsageError(f"There is no room between {before.id} and {after.id}; move it to the top or the bottom.")
    return before.priority, middle


def waits_for(run: Run, now: float, runs: Mapping[str, Run], last_attempt: Find) -> str:
    """Say what a run that is not held waits for before it may have devices, or nothing."""
    asked = run.brief
    for run_id in asked.after:
        if run_id not in runs:
            return f"after {run_id}, which is gone; stop this one"
        last = last_attempt(run_id)
        if last.state == "ok":
            continue
        if last.state in ENDED:
            return f"after {last.id}, which {_told(last.state)}: retry that one or stop this one"
        return f"after {last.id}, which is {last.state}"
    for run_id in asked.after_any:
        if run_id not in runs:
            return f"after {run_id}, which is gone; stop this one"
        last = last_attempt(run_id)
        if last.state not in ENDED:
            return f"after {last.id}, which is {last.state}, whatever its end"
    if asked.begin is not None and asked.begin > now:
        if asked.because and asked.retry:
            tries = f"{asked.spent[1]} of {asked.retry.times}"
            return f"tries again at {when.clock(asked.begin, now)} ({tries})"
        return f"begins at {when.clock(asked.begin, now)}"
    return ""


def _told(state: str) -> str:
    return {"failed": "failed", "stopped": "was stopped", "lost": "was lost"}.get(state, state)


def is_bound(run: Run) -> bool:
    """Whether a run may have to wait for other runs, or for a time."""
    return bool(run.brief.after or run.brief.after_any or run.brief.begin is not None)


def circles(runs: Mapping[str, Run], waiting: Collection[str], bound: Iterable[str]) -> dict[str, list[str]]:
    """Give, for each waiting run that can never start because of one, the runs that wait for each other in a circle.

    bound: those of them that may wait for others at all.
    """
    needs = {
        run_id: [other for other in (*spec.after, *spec.after_any) if other in waiting]
        for run_id in bound
        if (spec := runs[run_id].brief).after or spec.after_any
    }
    behind: dict[str, list[str]] = {}
    for run_id, others in needs.items():
        for other in others:
            behind.setdefault(other, []).append(run_id)
    open_needs = {run_id: len(others) for run_id, others in needs.items() if others}
    free = [run_id for run_id in behind if not needs.get(run_id)]
    for run_id in free:  # grows while it is walked
        for other in behind.get(run_id, ()):
            open_needs[other] -= 1
            if not open_needs[other]:
                del open_needs[other]
                free.append(other)
    return {run_id: _circle(run_id, needs, open_needs) for run_id in open_needs}


def _circle(run_id: str, needs: Mapping[str, Sequence[str]], stuck: Mapping[str, int]) -> list[str]:
    path = [run_id]
    while True:
        step = next(other for other in needs[path[-1]] if other in stuck)
        if step in path:
            return [*path[path.index(step) :], step]
        path.append(step)


def dependents(run_id: str, runs: Mapping[str, Run], last_attempt: Find) -> list[Run]:
    """Give those that wait or waited for a run, and those behind them, nearest first; of each its last attempt."""
    behind: dict[str, list[str]] = {}
    for run in runs.values():
        for word in (*run.brief.after, *run.brief.after_any):
            behind.setdefault(ids.base(word), []).append(ids.base(run.id))
    found: list[str] = []
    todo = [ids.base(run_id)]
    for base in todo:
        for other in sorted(set(behind.get(base, ())), key=ids.number):
            if other not in found and other != ids.base(run_id):
                found.append(other)
                todo.append(other)
    return [last_attempt(base) for base in found if base in runs]
