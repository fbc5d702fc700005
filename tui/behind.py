"""The SQL behind what the screens Best and Compare show, ready to be asked and changed on the SQL screen."""

from __future__ import annotations

from collections.abc import Sequence

from engine.board import Board


def of_board(board: Board, family: str) -> str:
    """The ranking of a board: the same runs in the same order, but for ties and tests, which are no SQL."""
    short = board.metric.removeprefix("val_")
    where = [
        _is("r.data_fingerprint", board.fingerprint) if board.fingerprint else "coalesce(r.data_fingerprint, '') = ''",
        "NOT coalesce(r.archived, false)",
        *([f"r.family = {text(family)}"] if family else []),
    ]
    way = "" if board.direction == "min" else " DESC"
    if board.windows is None:  # no evaluation holds it: the best value logged
        value = "least" if board.direction == "min" else "most"
        return "\n".join((
            f"SELECT r.id, r.family, l.{value} AS {_name(board.metric)}, l.step,",
            "  r.seed, r.\"commit\", r.best_checkpoint",
            "FROM latest l JOIN runs r USING (run_id)",
            f"WHERE l.metric = {text(board.metric)}",
            *(f"  AND {one}" for one in where),
            f"ORDER BY l.{value}{way}, r.submitted, r.id",
        ))  # fmt: skip
    where += [_is("e.windows", board.windows)]
    if board.horizon is not None:
        where.append(f"coalesce(e.horizon, r.horizon) = {board.horizon}")
    names = {board.metric: short, "naive": f"naive_{short}"}
    names |= {name: name for name in ("skill", "dm_pvalue") if name != short}
    picked = ", ".join(
        f"\n  max(value) FILTER (metric = {text(metric)}) AS {_name(name)}" for name, metric in names.items()
    )
    return "\n".join((
        f"SELECT r.id, r.family, {picked},",
        "  r.seed, r.\"commit\", r.best_checkpoint",
        "FROM evaluations e JOIN runs r USING (run_id)",
        "WHERE e.split = 'val' AND e.symbol = ''",
        *(f"  AND {one}" for one in where),
        "GROUP BY r.id, r.family, r.seed, r.\"commit\", r.best_checkpoint, r.submitted",
        f"HAVING isfinite({_name(board.metric)})",
        f"ORDER BY {_name(board.metric)}{way}, r.submitted, r.id",
    ))  # fmt: skip


def of_runs(runs: Sequence[str]) -> str:
    """The results of runs side by side: a row a metric, a column a run."""
    columns = ", ".join(f"\n  max(value) FILTER (r.id = {text(run)}) AS {_name(run)}" for run in runs)
    return "\n".join((
        f"SELECT e.split || '_' || e.metric AS metric, {columns}",
        "FROM evaluations e JOIN runs r USING (run_id)",
        f"WHERE e.symbol = '' AND r.id IN ({', '.join(map(text, runs))})",
        "GROUP BY e.split, e.metric ORDER BY list_position(['val', 'test', 'unseen'], e.split), e.metric",
    ))  # fmt: skip


def _is(column: str, value: str | int) -> str:
    return f"{column} = {value if isinstance(value, int) else text(value)}"


def text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _name(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'
