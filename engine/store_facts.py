"""What single lines of a run folder say of the run: rows of small tables, and columns of its row in `runs`.

How a run ended is told here once for SQL, by the same rules as engine.state tells it for the lists.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import msgspec

from engine.rundir import MAX_LINE
from engine.store_rows import INTEGER, Rows, flag, moment, number, text, texts, whole
from engine.store_schema import TABLES

Line = dict[str, Any]

OUTCOME_SQL = """
UPDATE runs SET outcome = e.outcome,
  cause = CASE e.outcome
    WHEN 'failed' THEN coalesce(failed, CASE WHEN oom IS NOT NULL THEN 'out of device memory' END,
      'killed by signal ' || signal || ', not by the engine', 'exit code ' || exit_code,
      'ended after its supervisor was killed; its exit code is unknown')
    WHEN 'stopped' THEN CASE WHEN exit_why = 'limit' THEN 'time limit'
      WHEN exit_why = 'hang' THEN 'hung'
      WHEN coalesce(stop_order, exit_why) = 'kill' THEN 'killed' ELSE 'stopped' END
  END
FROM (
  SELECT run_id AS touched, CASE
    WHEN ended IS NULL AND started IS NULL AND stop_order IS NOT NULL THEN 'stopped'
    WHEN ended IS NULL AND started IS NULL AND coalesce(start_ordered, false) = false THEN 'queued'
    WHEN ended IS NULL THEN 'open'
    WHEN stop_order IS NOT NULL OR coalesce(exit_why, '') IN ('stop', 'kill', 'limit', 'hang') THEN
      CASE WHEN to_the_end AND coalesce(exit_code, 0) = 0 THEN 'ok' ELSE 'stopped' END
    WHEN exit_code = 0 OR (exit_code IS NULL AND to_the_end) THEN 'ok'
    ELSE 'failed' END AS outcome
  FROM (SELECT *, coalesce(finished, 'stopped') <> 'stopped' AS to_the_end FROM runs)
  WHERE run_id IN (SELECT unnest(?::INTEGER[]))) e
WHERE run_id = e.touched
"""


_DECIDING = {"started", "ended", "exit_code", "exit_why", "finished", "failed", "oom", "stop_order", "start_ordered"}
_COLUMNS = list(TABLES["runs"][1])
_NOTHING_YET = [None] * (len(_COLUMNS) - _COLUMNS.index("started"))


class Facts:
    """Columns of `runs` that lines have told, the last one counting, and the tags as they are after them."""

    def __init__(self) -> None:
        self.runs: defaultdict[int, dict[str, object]] = defaultdict(dict)
        self.tags: dict[tuple[int, str], bool] = {}
        self.unsettled: set[int] = set()
        """Runs whose outcome has to be told anew."""
        self.promoted: set[int] = set()
        self.ended: set[int] = set()

    def forget(self, run_id: int) -> None:
        self.runs.pop(run_id, None)
        for told in (self.unsettled, self.promoted, self.ended):
            told.discard(run_id)
        self.tags = {key: on for key, on in self.tags.items() if key[0] != run_id}

    def tell(self, run_id: int, **columns: object) -> None:
        self.runs[run_id].update({name: value for name, value in columns.items() if value is not None})
        if columns.keys() & _DECIDING:
            self.unsettled.add(run_id)
        if columns.get("ended") is not None:
            self.ended.add(run_id)
        if columns.get("promoted"):
            self.promoted.add(run_id)

    def write(self, rows: Rows) -> None:
        rows.update_runs({run_id: fact for run_id, fact in self.runs.items() if fact})
        self.runs.clear()
        if self.tags:
            ids, tags = zip(*self.tags, strict=True)
            rows.con.execute(
                "DELETE FROM tags USING (SELECT unnest($1::INTEGER[]) AS run_id, unnest($2::VARCHAR[]) AS tag) b "
                "WHERE tags.run_id = b.run_id AND tags.tag = b.tag",
                [list(ids), list(tags)],
            )
            for (run_id, tag), on in self.tags.items():
                if on:
                    rows.add("tags", run_id, tag)
            self.tags = {}
            rows.flush()


def read_spec(rows: Rows, facts: Facts, run_id: int, name: str, spec: Line) -> None:
    """spec.json: the run's row, its params, packages and first tags. name: of the folder, which is the id."""
    git, data, config = (_dict(spec.get(key)) for key in ("git", "data", "config"))
    rows.add(
        "runs", run_id, name, text(spec.get("family")) or name.rpartition("-")[0], text(spec.get("name")),
        text(spec.get("preset")), texts(spec.get("command")), text(spec.get("cwd")), text(git.get("commit")),
        text(git.get("branch")), flag(git.get("dirty")), text(git.get("patch_sha")), text(data.get("path")),
        text(data.get("fingerprint")), whole(data.get("bytes")), flag(data.get("synthetic")),
        whole(_dict(config.get("data")).get("horizon"), INTEGER), whole(spec.get("seed")),
        whole(spec.get("gpus"), INTEGER), whole(spec.get("priority"), INTEGER), texts(spec.get("after")),
        text(spec.get("resume_from")), text(spec.get("note")), text(spec.get("user")), text(spec.get("host")),
        moment(spec.get("submitted")), *_NOTHING_YET,
    )  # fmt: skip
    facts.unsettled.add(run_id)
    told = {"imported": text(spec.get("imported")), "rerun_of": text(spec.get("rerun_of"))}
    told["frozen"] = text(_dict(spec.get("code")).get("tree"))
    facts.tell(run_id, **{name: value for name, value in told.items() if value})
    for section, fields in config.items():
        for field, value in _dict(fields).items():
            _param(rows, run_id, f"{section}.{field}", value)
    for package, version in _dict(spec.get("packages")).items():
        rows.add("packages", run_id, text(package), text(version))
    for tag in texts(spec.get("tags")) or []:
        facts.tags[run_id, tag] = True


def read_lifecycle(rows: Rows, facts: Facts, run_id: int, line: Line) -> None:
    match line.get("event"):
        case "started":
            facts.tell(
                run_id, started=moment(line.get("t")), pid=whole(line.get("pid")), devices=_devices(line.get("devices"))
            )
        case "exited":
            facts.tell(
                run_id,
                ended=moment(line.get("t")),
                exit_code=whole(line.get("code"), INTEGER),
                signal=whole(line.get("signal"), INTEGER),
                exit_why=text(line.get("why")),
                utime=number(line.get("utime")),
                stime=number(line.get("stime")),
                max_rss=whole(line.get("max_rss_bytes")),
            )


def read_order(rows: Rows, facts: Facts, run_id: int, line: Line) -> None:
    kind, value = text(line.get("order")), line.get("value")
    shown = value if isinstance(value, str) or value is None else msgspec.json.encode(value).decode()
    rows.add("orders", run_id, moment(line.get("t")), kind, text(shown), text(line.get("why")), _json(line))
    match kind:
        case "start":
            facts.tell(run_id, start_ordered=True, devices=_devices(line.get("devices")))
        case "stop" | "kill":
            facts.tell(run_id, stop_order=kind)
        case "priority":
            facts.tell(run_id, priority=whole(value, INTEGER))
        case "note":
            facts.tell(run_id, note=text(value) or "")
        case "tag" | "untag":
            if tag := text(value):
                facts.tags[run_id, tag] = kind == "tag"
        case "archive" | "unarchive":
            facts.tell(run_id, archived=kind == "archive")
        case "promote":
            facts.tell(run_id, promoted=True)


def read_event(rows: Rows, facts: Facts, run_id: int, line: Line) -> None:
    kind, t, step = text(line.get("event")), moment(line.get("t")), whole(line.get("step"))
    said = next((found for key in ("text", "cause", "name", "why") if (found := text(line.get(key)))), None)
    rows.add("events", run_id, t, kind, step, said, _json(line))
    match kind:
        case "plan":
            facts.tell(run_id, steps_planned=whole(line.get("steps")))
        case "used":
            for name, value in line.items():
                if name not in ("t", "event"):
                    _param(rows, run_id, f"used.{name}", value)
        case "checkpoint":
            scored = number(_dict(line.get("metrics")).get("val_pct_mae"))
            rows.add("checkpoints", run_id, t, step, text(line.get("path")), whole(line.get("bytes")), scored)
        case "best":
            facts.tell(
                run_id,
                best_step=step,
                best_checkpoint=text(line.get("path")),
                best_metric=text(line.get("metric")),
                best_value=number(line.get("value")),
            )
        case "oom":
            facts.tell(run_id, oom=_json(line))
        case "finished":
            facts.tell(run_id, finished=text(line.get("why")) or "")
        case "failed":
            facts.tell(run_id, failed=text(line.get("cause"), 500))


def _param(rows: Rows, run_id: int, name: str, value: object) -> None:
    shown = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    as_number = float(value) if isinstance(value, bool) else number(value)
    rows.add("params", run_id, text(name), None if value is None else text(shown), as_number)


def _dict(value: object) -> Line:
    return value if isinstance(value, dict) else {}


def _devices(value: object) -> list[str] | None:
    found = texts(value)
    return None if found is None else [device for device in found if device != "cpu"]


def _json(line: Line) -> str | None:
    return text(msgspec.json.encode(line).decode("utf-8", "replace"), MAX_LINE)
