"""Commands for the engine and the machine: up, down, status, gpus, doctor."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from engine import when
from engine.cli import lazy, table, talk, words

if TYPE_CHECKING:
    from engine.devices import DeviceSample, Sample
    from engine.doctor import Check
    from engine.records import EngineStatus

Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
USERS = 24
"""Characters of a line that the users of a GPU get, whatever else must go; they wrap."""
END_PATIENCE = 60.0
"""Seconds that an engine may take to end."""


@lazy.mutation
def up(as_json: Json = False) -> None:
    """Start the engine of this workspace, if it does not run yet; it takes up again what runs and waits."""
    from engine.errors import EngineDown
    from engine.messages import GetStatus, StatusReply

    if talk.rehearsing():
        workspace = talk.workspace()
        try:
            status = talk.ask(GetStatus(), StatusReply, start=False).status
        except EngineDown:
            workspace.check()
            talk.would(f"an engine would be started in {workspace.root}")
            return
        talk.would(f"nothing to do: the engine runs (process {status.pid}) in {workspace.root}")
        if as_json:
            talk.json_out(status)
        return
    status = talk.ask(GetStatus(), StatusReply).status
    if as_json:
        talk.json_out(status)
        return
    talk.say(f"the engine runs (process {status.pid}) in {status.workspace}: {_counts(status)}.")


@lazy.mutation
def down(
    stop_runs: Annotated[
        bool, typer.Option("--stop-runs", help="Stop what runs first; what waits goes on waiting.")
    ] = False,
) -> None:
    """End the engine. Training goes on without it, and the next start takes it up again."""
    from engine.errors import EngineDown
    from engine.messages import Down, Ok

    try:
        client = talk.engine(start=stop_runs)  # without an engine, runs may go on all the same
    except EngineDown as error:
        talk.say(f"nothing to do: {error}")
        return
    with client:
        told = talk.expect(client.call(Down(stop_runs=stop_runs)), Ok).text
    if talk.rehearsing():
        return
    _until_ended()
    talk.say(f"the engine has ended; runs: {told}.")


def _until_ended() -> None:
    """Wait for the engine's lock, so that whoever comes next finds no half of it."""
    from engine import rundir
    from engine.errors import EngineDown

    lock = talk.workspace().lock
    give_up = time.monotonic() + END_PATIENCE
    while rundir.held(lock):
        if time.monotonic() > give_up:
            raise EngineDown(f"The engine has not ended in {END_PATIENCE:.0f} s; see {talk.workspace().log}.")
        time.sleep(0.01)


def status(as_json: Json = False) -> None:
    """Tell how the engine, its runs and its database are. Exit code 4 where no engine runs; none is started."""
    from engine.messages import GetStatus, StatusReply

    told = talk.ask(GetStatus(), StatusReply, start=False).status
    if as_json:
        talk.json_out(told)
        return
    behind = f"{words.size(told.store_backlog)} behind" if told.store_backlog else "up to date"
    if told.store_at:
        behind += f", written {words.span(time.time() - told.store_at)} ago"
    talk.out(
        table.pairs([
            ("engine", f"process {told.pid}, up {words.span(time.time() - told.started)}, version {told.version}"),
            ("workspace", told.workspace),
            ("socket", told.socket),
            ("runs", _counts(told)),
            ("queue", f"paused since {when.clock(told.queue_paused, time.time())}" if told.queue_paused else ""),
            ("CPU slots", str(told.cpu_slots)),
            ("database", f"{words.size(told.database)}, {behind}" if told.database else "not written yet"),
            ("hooks", told.hook_trouble),
            ("held by", told.store_holder),
            ("trouble", "; ".join(filter(None, (told.trouble, told.store_error)))),
        ])
    )  # fmt: skip


def _counts(status: EngineStatus) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(status.counts.items()) if count) or "no runs yet"


def gpus(as_json: Json = False) -> None:
    """Show the GPUs, who uses them, and the machine, as the engine last saw them."""
    from engine.messages import GetSample, SampleReply

    sample = talk.ask(GetSample(), SampleReply).sample
    if as_json:
        talk.json_out(sample)
        return
    if sample.devices:
        talk.table(_columns(), sample.devices)
    else:
        talk.say(f"no GPU: {sample.why_none or 'none was found'}. Runs use CPU slots.")
    for warning in sample.warnings:
        talk.say(warning)
    talk.out(_host(sample))


def _columns() -> tuple[table.Column, ...]:
    column = table.Column
    return (
        column("GPU", lambda d: f"{d.index}{' MIG' if d.mig else ''}{'' if d.visible else ' (hidden)'}", keep=True),
        column("NAME", lambda d: d.name, shrink=True),
        column("BUSY", lambda d: words.per_cent(d.utilisation), right=True),
        column("MEMORY", lambda d: words.bar(_share(d), 10)),
        column("USED", lambda d: f"{words.size(d.memory_used)} of {words.size(d.memory_total)}"),
        column("POWER", lambda d: "n/a" if d.power is None else f"{d.power:.0f} W", right=True, spare=1),
        column("TEMP", lambda d: "n/a" if d.temperature is None else f"{d.temperature} °C", right=True, spare=2),
        column("USED BY", _users, shrink=True, wrap=True, least=USERS),
        column("TROUBLE", lambda d: d.error or "", shrink=True, wrap=True, least=USERS),
        column("UUID", lambda d: d.uuid, shrink=True, spare=3),
    )


def _share(device: DeviceSample) -> float | None:
    used, total = device.memory_used, device.memory_total
    return used / total if used is not None and total else None


def _users(device: DeviceSample) -> str:
    return ", ".join(
        f"{p.run or p.name or ('hidden' if p.pid == 0 else p.pid)} {words.size(p.memory)}" for p in device.processes
    )


def _host(sample: Sample) -> str:
    host = sample.host
    if host is None:
        return ""

    def used(some: int | None, whole: int | None) -> str:
        part = some / whole if some is not None and whole else None
        return f"{words.bar(part, 10)} {words.size(some)} of {words.size(whole)}"

    taken = None if host.disk_total is None or host.disk_free is None else host.disk_total - host.disk_free
    load = "n/a" if host.load1 is None else f"{host.load1:.2f}"
    busy = "n/a" if host.cpu is None else f"{host.cpu:.0f}%"
    share = None if host.cpu is None else host.cpu / 100
    return table.pairs([
        ("CPU", f"{words.bar(share, 10)} {busy} of {host.cores} cores, load {load}"),
        ("memory", used(host.memory_used, host.memory_total)),
        ("disk", used(taken, host.disk_total)),
    ])  # fmt: skip


def doctor(as_json: Json = False) -> None:
    """Check what training needs on this machine; exit code 1 if something has to be mended."""
    from engine.doctor import examine

    checks = examine(talk.workspace())
    if as_json:
        talk.json_out(checks)
    else:
        size = max(len(check.name) for check in checks)
        talk.out("".join(_checked(check, size, table.width()) for check in checks))
    if any(check.ok is False for check in checks):
        raise typer.Exit(1)


def _checked(check: Check, size: int, limit: int | None) -> str:
    sign, code = {True: ("ok", "32"), False: ("BAD", "31"), None: ("-", "2")}[check.ok]
    lines = table.wrapped(f"{sign:<3}  {check.name:<{size}}  {check.text}", limit, size + 7)
    if check.remedy and not check.ok:
        lines += "\n" + table.wrapped(f"{'':<{size + 7}}{check.remedy}", limit, size + 7)
    if talk.colour():
        lines = f"\x1b[{code}m{lines[:3]}\x1b[0m{lines[3:]}"
    return lines + "\n"
