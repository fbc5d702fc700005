"""`engine limit`: how many runs of a family, or with a tag, may live at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli import lazy, table, talk
from engine.errors import UsageError

if TYPE_CHECKING:
    from engine.records import EngineStatus


@lazy.mutation
def limit(
    group: Annotated[
        str, typer.Argument(help="family:NAME or tag:NAME; none lists all limits.", metavar="[GROUP]")
    ] = "",
    most: Annotated[str, typer.Argument(help="Runs at a time, or `none`: no limit.", metavar="[NUMBER]")] = "",
    why: Annotated[str, typer.Option(help="The reason, kept with the order.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="All limits, as JSON.")] = False,
) -> None:
    """Limit how many runs of a family or with a tag live at a time, such as: engine limit family:kronos 2

    What runs already goes on. A run of several groups must fit into each.
    """
    from engine.messages import GetStatus, Ok, QueueOrder, StatusReply

    if group and not most:
        raise UsageError(f"How many runs of {group}? A number, or `none` for no limit.")
    if not group:
        talk.rehearse(False)  # a list changes nothing
    wanted = None if most == "none" else _number(most)
    if group.startswith("family:") and wanted is not None:
        _check_family(group.removeprefix("family:"))
    text = ""
    with talk.engine() as client:
        if group:
            wish = QueueOrder(order="limit", group=group, most=wanted, why=why)
            text = talk.expect(client.call(wish), Ok).text
        status = talk.expect(client.call(GetStatus()), StatusReply).status
    if as_json:
        talk.json_out({name: {"most": number, "live": status.limited[name]} for name, number in status.limits.items()})
    elif group:
        talk.say(f"{text}.")
    elif status.limits:
        talk.table(_columns(status), sorted(status.limits))
    else:
        talk.say("nothing is limited: `engine limit family:kronos 2` lets two of a family run at a time.")


def _check_family(name: str) -> None:
    """Refuse a family that no run can have; a tag may come later."""
    from engine import families

    if name and name != "exec":
        families.find(talk.workspace().root, name)


def _columns(status: EngineStatus) -> tuple[table.Column, ...]:
    return (
        table.Column("GROUP", lambda name: name, keep=True),
        table.Column("MOST", lambda name: str(status.limits[name]), right=True, keep=True),
        table.Column("LIVE", lambda name: str(status.limited[name]), right=True, keep=True),
    )


def _number(text: str) -> int | None:
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{text!r} is no number of runs; `none` takes a limit away.") from None
