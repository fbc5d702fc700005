"""What stands where there is nothing to show of a run: why that is, and the key that helps."""

from __future__ import annotations

from engine.records import ENDED, WAITING, RunRow
from tui.keys import offer
from tui.present import Cell, plain


def no_engine() -> Cell:
    """Instead of runs, while nobody tells them; where nothing may be changed here, it is started in a shell."""
    way = offer("everywhere.start-engine", " starts one.") or [
        ("engine up", "ours"),
        (" in a shell starts one.", "rest"),
    ]
    return (("No engine answers. ", "rest"), *way)


def log(row: RunRow | None) -> str:
    """Instead of the lines of its log."""
    if row is not None and row.state in WAITING:
        return f"it has not started yet{_waiting(row)}"
    if row is not None and row.state == "starting":
        return f"it is starting{_way('chosen.stop', 'stops it')}"
    if row is not None and row.state not in ENDED:
        return f"it has written nothing yet{_way('chosen.stop', 'stops it')}"
    return f"its log is empty{_way('chosen.retry', 'queues it again')}"


def curves(row: RunRow | None, what: str = "values") -> str:
    """Instead of curves; what: values or validation."""
    if row is not None and row.state in WAITING:
        return f"no {what} yet{_waiting(row)}"
    told = f"no {what}" if row is not None and row.state in ENDED else f"no {what} yet"
    return f"{told}{_way('chosen.log', 'shows its log')}"


def checkpoints(row: RunRow | None) -> str:
    if row is not None and row.state in WAITING:
        return f"no checkpoint was saved yet{_waiting(row)}"
    if row is not None and row.state in ENDED:
        return f"no checkpoint was saved{_way('chosen.retry', 'queues it again, from its beginning')}"
    return f"no checkpoint was saved yet{_way('chosen.log', 'shows how far it is')}"


def evaluation(row: RunRow | None) -> str:
    if row is not None and row.state in WAITING:
        return f"not evaluated yet{_waiting(row)}"
    if row is not None and row.state in ENDED:
        return f"not evaluated: a trainer does so at its end{_way('chosen.retry', 'queues it again')}"
    return f"not evaluated yet: a trainer does so at its end{_way('chosen.log', 'shows how far it is')}"


def code() -> str:
    return f"the code of this run was not recorded{_way('chosen.clone', 'makes a new run like it')}"


def samples() -> str:
    """Instead of what its devices did."""
    return f"no samples of its time{_way('chosen.sql', 'asks for others')}"


def _waiting(row: RunRow) -> str:
    return _way("chosen.hold", "releases it" if row.state == "held" else "holds it back")


def _way(name: str, does: str) -> str:
    """`; l shows its log`; "" where the key can't be used."""
    return "; " + plain(way) if (way := offer(name, f" {does}")) else ""
