"""Which run a person means: what was typed, held against the ids and names that there are. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from engine import ids
from engine.errors import UnknownRun, did_you_mean
from engine.run import Run


def find(runs: Mapping[str, Run], word: str) -> Run:
    """Find a run by its id, its number or name, else by a beginning that fits one only. Raises UnknownRun."""
    if word in runs:
        return runs[word]
    fits = _named(runs, word)
    if number := re.fullmatch(r"(\d{1,9})(?:\.(\d{1,4}))?", word):
        wanted = int(number[1]), int(number[2] or 1)
        fits = list({*fits, *(run_id for run_id in runs if ids.number(run_id) == wanted)})
    elif not fits:
        fits = [run_id for run_id in runs if run_id.startswith(word)]
    if len(fits) == 1:
        return runs[fits[0]]
    if fits:
        some = ", ".join(sorted(fits)[:5]) + (", ..." if len(fits) > 5 else "")
        raise UnknownRun(f"{word!r} fits {len(fits)} runs: {some}. Type more of the id.")
    names = {run.brief.name for run in runs.values()}
    raise UnknownRun(f"No run {word!r}.{did_you_mean(word, {*runs, *names} - {''})} `engine ls --all` shows them all.")


def _named(runs: Mapping[str, Run], name: str) -> list[str]:
    """Give the runs of a name; attempts of one run are one run, and the last of them is meant."""
    last: dict[str, str] = {}
    for run_id in sorted((run.id for run in runs.values() if run.brief.name == name), key=ids.number):
        last[ids.base(run_id)] = run_id
    return [*last.values()]
