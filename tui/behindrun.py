"""The SQL behind the lists of the dashboard and the tabs of a run, ready to be asked and changed on the SQL screen."""

from __future__ import annotations

from tui.behind import text

LISTS = {
    "running": ("started IS NOT NULL AND ended IS NULL", "started DESC"),
    "queue": ("started IS NULL AND ended IS NULL", "submitted"),
    "finished": ("ended IS NOT NULL", "ended DESC"),
}
"""Lists of the dashboard: which runs, in which order."""


def of_list(name: str) -> str:
    """The runs of a list of the dashboard; what only the engine knows, such as why one waits, is no SQL."""
    which, order = LISTS[name]
    return "\n".join((
        "SELECT id, family, name, state, val_pct_mae, naive_pct_mae, skill, steps, submitted, started, ended",
        "FROM run_summary",
        f"WHERE {which}",
        f"ORDER BY {order}, id",
    ))  # fmt: skip


def of_tab(tab: str, run: str) -> str:
    """What a tab of a run shows, as far as runs.duckdb has it; "" for log and code, which are files."""
    me = text(run)
    mine = f"run_id = (SELECT run_id FROM runs WHERE id = {me})"
    return {
        "charts": "\n".join((
            "SELECT metric, step, epoch, t, value",
            "FROM metric_curve",
            f"WHERE id = {me}",
            "ORDER BY metric, step",
        )),
        "config": f"SELECT name, value\nFROM params\nWHERE {mine}\nORDER BY name",
        "devices": "\n".join((
            "SELECT d.t, d.name, d.idx, d.utilisation, d.memory_used, d.power, d.temperature,",
            "  (SELECT sum(p.memory) FROM process_samples p",
            f"    WHERE p.id = {me} AND p.t = d.t AND p.uuid = d.uuid) AS own_memory",
            f"FROM device_samples d JOIN runs r ON r.id = {me} AND list_contains(r.devices, d.uuid)",
            "WHERE d.t BETWEEN r.started AND coalesce(r.ended, d.t)",
            "ORDER BY d.t, d.idx",
        )),
        "checkpoints": f"SELECT step, val_pct_mae, bytes, t, path\nFROM checkpoints\nWHERE {mine}\nORDER BY step DESC",
        "evaluation": "\n".join((
            "SELECT symbol, skill, pct_mae, naive_pct_mae, dir_acc, crps, windows",
            "FROM symbol_results",
            f"WHERE id = {me} AND split = 'val'",
            "ORDER BY skill NULLS LAST, symbol",
        )),
        "events": "\n".join((
            f"SELECT t, kind, step, text, detail FROM events WHERE {mine}",
            f"UNION ALL SELECT t, 'order ' || kind, NULL, value::VARCHAR, detail FROM orders WHERE {mine}",
            "ORDER BY t",
        )),
    }.get(tab, "")  # fmt: skip
