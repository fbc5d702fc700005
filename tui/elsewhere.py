"""What SQL, Best and Compare ask of a workspace on another machine: `engine … --json` there, over ssh.

Each function gives what its namesake for a workspace here gives. What lies only in files there is not copied, and said.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from engine import remote
from engine.errors import EngineError
from engine.messages import RunDetail, ShowRun
from engine.store_sql import Answer, Stopped
from tui import behindrun, faults
from tui.feed import ask

if TYPE_CHECKING:
    from tui.answers import Compared, Near, Ranking, Wish
    from tui.completion import Catalogue
    from tui.far import Far
    from tui.upclose import Evaluation

# answers.py brings duckdb with it: imported in the functions, in a worker, never before the first frame.

NO_FORECAST = "forecasts are files of the other machine, which are not read over ssh"

_METRICS = """
SELECT DISTINCT 'metric' AS kind, 'val_' || metric AS name FROM evaluations WHERE split = 'val' AND symbol = ''
UNION SELECT 'metric', name FROM metric_names WHERE NOT regexp_matches(name, '^(test|unseen)_')
UNION SELECT 'family', family FROM runs
ORDER BY kind, name NOT LIKE 'val_%', name
"""


def _json(far: Far, *args: str) -> Any:
    return json.loads(remote.ask(far.place, *args))


# -- Best ------------------------------------------------------------------------------------------------------------


def rank(far: Far, wish: Wish) -> Ranking:
    """As answers.rank; what the other machine refuses stands in Ranking.trouble."""
    import msgspec

    from engine.board import Board
    from tui.answers import BESIDE, TOP, Ranking

    family = ("--family", wish.family) if wish.family else ()
    try:
        told = _json(far, "sql", "--json", _METRICS)
        metrics, families = ([str(row["name"]) for row in told if row["kind"] == kind] for kind in ("metric", "family"))
        if not metrics:
            return Ranking(wish, families=tuple(families), empty=True)
        found = _json(far, "best", "--json", "--all-data", "--metric", wish.metric, "--top-k", str(TOP), *family)
        boards = msgspec.convert(found, tuple[Board, ...], strict=False)
        board = next((one for one in boards if wish.dataset and one.fingerprint == wish.dataset), boards[0])
        promoted = [row.id for row in board.rows if row.test is not None]  # which only those tell
        beside = tuple(row.id for row in board.rows if not row.is_naive)[:BESIDE]
        symbols = _json(far, "compare", "--json", *beside)["symbols"] if len(beside) > 1 else {}
    except Exception as error:  # the edge of a worker
        return Ranking(wish, trouble=faults.said(error))
    return Ranking(
        wish, boards, board, tuple(metrics), tuple(families), frozenset(promoted), {}, _symbols(symbols), beside,
        empty=not board.rows,
    )  # fmt: skip


def look_near(far: Far, run: str, rival: str) -> Near:
    """As answers.look_near, but for the forecasts."""
    from tui.answers import Near

    if not rival:
        return Near(run, no_forecast=NO_FORECAST)
    try:
        found = _json(far, "compare", "--json", run, rival)
    except Exception as error:  # the edge of a worker
        return Near(run, rival, trouble=faults.said(error))
    results = {one["name"]: one["values"][0] for one in found["metrics"]}
    kept = tuple(
        one
        for one in _differences(found)
        if one.part in ("settings", "code") and one.name not in ("train.seed", "seed")
    )
    return Near(run, rival, results, kept, no_forecast=NO_FORECAST)


def _symbols(told: dict[str, dict[str, dict[str, float | None]]]) -> dict[str, Any]:
    return {symbol: {run: (one["skill"], one["pct_mae"]) for run, one in runs.items()} for symbol, runs in told.items()}


def _differences(told: dict[str, Any]) -> Any:
    import msgspec

    from engine.differ import Difference

    return msgspec.convert(told["differences"], tuple[Difference, ...])


# -- Compare ---------------------------------------------------------------------------------------------------------


def put_beside(far: Far, runs: Sequence[str]) -> Compared:
    """As answers.put_beside; the curves of the runs are copied to `far.compared`."""
    import msgspec

    from engine.compare import Comparison
    from tui.answers import Compared, settings_of

    try:
        told = _json(far, "compare", "--json", *runs)
        specs = {}
        for run in told["runs"]:
            reply = ask(far.workspace, ShowRun(run))
            assert isinstance(reply, RunDetail)
            specs[run] = reply.spec
            _copy_curves(far, run)
    except Exception as error:  # the edge of a worker
        return Compared(tuple(runs), trouble=faults.said(error))
    found = msgspec.convert({**told, "symbols": {}}, Comparison)
    found.symbols.update(_symbols(told["symbols"]))
    return Compared(found.runs, found, settings_of(specs))


def _copy_curves(far: Far, run: str) -> None:
    """Append what is new of a run's curves: their file only grows, and whoever reads it here goes on where he was."""
    file = far.compared / run / "metrics.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    told = remote.ask(far.place, "logs", run, "--metrics")
    have = file.stat().st_size if file.exists() else 0
    with file.open("ab") as out:
        out.write(told[have:])


def code_diff(far: Far, one: str, other: str) -> str:
    """As engine.codediff.code_diff. Raises EngineError with what the other machine says."""
    return remote.ask(far.place, "compare", one, other, "--code").decode(errors="replace")


# -- a run up close --------------------------------------------------------------------------------------------------

BY_SQL = "not copied over ssh; s asks runs.duckdb of the other machine for it"
"""What a tab says whose rows would need files or tables of the other machine."""


def read_evaluation(far: Far, run: str) -> Evaluation:
    """As upclose.read_evaluation."""
    from engine.store_upclose import Scored
    from tui.upclose import Evaluation

    try:
        rows = tuple(
            Scored(
                one["symbol"], one["pct_mae"], one["naive_pct_mae"], one["skill"], one["dir_acc"], one["crps"],
                one["windows"],
            )
            for one in _json(far, "sql", "--json", behindrun.of_tab("evaluation", run))
        )  # fmt: skip
    except Exception as error:  # the edge of a worker
        return Evaluation(run, trouble=faults.said(error))
    return Evaluation(run, rows)


# -- SQL -------------------------------------------------------------------------------------------------------------


class Question:
    """As engine.store_sql.Question; types are those that JSON tells, and the times of texts that are times."""

    def __init__(self, far: Far, query: str, *, most: int | None = None) -> None:
        self.query = query
        self._far, self._most = far, most
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def stop(self) -> None:
        """End our side soon; what was begun over there ends by itself."""
        self._stopped = True
        if self._process is not None:
            self._process.kill()

    def ask(self) -> Answer:
        begun = time.monotonic()
        self._process = subprocess.Popen(
            self._far.place.ssh(["sql", "--json", self.query], "-T"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        if self._stopped:
            self._process.kill()
        out, err = self._process.communicate()
        if self._stopped:
            raise Stopped("The query was stopped.")
        lines = err.decode(errors="replace").strip().splitlines()
        said = lines[-1].removeprefix("engine: ") if lines else ""
        if code := remote.checked(self._far.place, self._process.returncode, said):
            raise EngineError(f"{self._far.place.host}: {said or f'exit code {code}'}")
        told = json.loads(out)
        rows = told if self._most is None else told[: self._most]
        # Of no rows JSON does not even tell the columns.
        names = list(told[0]) if told else ["nothing"]
        columns = [_column([row[name] for row in rows]) for name in names]
        types = tuple(type_ for type_, _ in columns)
        values = list(zip(*(column for _, column in columns), strict=True))
        return Answer(names, values, types, len(told) > len(rows), time.monotonic() - begun)


def _column(values: list[Any]) -> tuple[str, list[Any]]:
    """The type of a column, and its values as that."""
    there = [value for value in values if value is not None]
    if there and all(isinstance(value, str) for value in there):
        try:
            times = [None if value is None else datetime.fromisoformat(value) for value in values]
        except ValueError:
            return "VARCHAR", values
        return "TIMESTAMP", times
    if there and all(isinstance(value, bool) for value in there):
        return "BOOLEAN", values
    if there and all(isinstance(value, int) and not isinstance(value, bool) for value in there):
        return "BIGINT", values
    if there and all(isinstance(value, int | float) and not isinstance(value, bool) for value in there):
        return "DOUBLE", [None if value is None else float(value) for value in values]
    return "VARCHAR", values


def read_catalogue(far: Far) -> Catalogue:
    """As sqlwork.read_catalogue."""
    from engine.store_catalogue import COLUMNS, relations
    from tui.sqlwork import shown

    return shown(relations(list(row.values()) for row in _json(far, "sql", "--json", COLUMNS)))
