"""The same run again with other seeds, which tells how much of its result is chance."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine import ids
from engine.errors import UsageError
from engine.messages import Submit
from engine.records import Spec
from engine.store_board import seeds_of
from engine.store_open import PATIENCE, reading

if TYPE_CHECKING:
    from engine.rerun import Rerun
    from engine.workspace import Workspace

MOST = 64
"""More at once is a slip of the finger."""


def seed_of(spec: Spec) -> int:
    """Raises UsageError for a run whose seed we do not set."""
    seed = spec.config.get("train", {}).get("seed")
    if isinstance(seed, int) and spec.command:
        return seed
    why = "was imported: there is no command to run again" if not spec.command else "has no setting train.seed"
    raise UsageError(f"{spec.id} {why}; other seeds of it can't be queued.")


def further_seeds(workspace: Workspace, spec: Spec, count: int) -> list[int]:
    """Give the next seeds that no run of the same config and code has had.

    Raises UsageError for a run without a seed of ours or a count out of range.
    """
    first = seed_of(spec)
    if not 1 <= count <= MOST:
        raise UsageError(f"{count} further seed{'' if count == 1 else 's'}: expected 1 to {MOST}.")
    with reading(workspace.database, PATIENCE) as con:
        taken = {first, *seeds_of(con, spec.id)}
    return _free(first, taken, count)


def _free(first: int, taken: Collection[int], count: int) -> list[int]:
    found: list[int] = []
    seed = first
    while len(found) < count:
        seed += 1
        if seed not in taken:
            found.append(seed)
    return found


def replicas(made: Rerun, seeds: Sequence[int], *, hold: bool = False) -> list[Submit]:
    """What to ask the engine for: one wish for each seed, all else as engine.rerun prepared it.

    They start from the beginning: a checkpoint of an earlier attempt was learned with the seed of then.
    """
    wishes = []
    for seed in seeds:
        spec = made.spec
        config = spec.config | {"train": spec.config["train"] | {"seed": seed}}
        own = spec.resume_from is not None and ids.base(spec.resume_from) == ids.base(spec.rerun_of)
        wishes.append(Submit(
            spec=replace(
                spec, config=config, changed=spec.changed | {"train.seed": seed}, seed=seed, rerun_of="",
                resume_from=None if own else spec.resume_from,
            ),
            patch=made.patch, environment=made.environment, hold=hold,
        ))  # fmt: skip
    return wishes
