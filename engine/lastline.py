"""The last line of a run's lifecycle.jsonl: how it ended, by what its supervisor saw and what the run left behind.

Standard library only: the supervisor must stay small.
"""

from __future__ import annotations

import errno
import os
import time

from engine import kernel, rundir

TYPE_CHECKING = False  # known to type checkers by its name
if TYPE_CHECKING:
    import resource

    from engine.group import Group

NOT_A_FILE = (errno.ELOOP, errno.EISDIR, errno.EINVAL, errno.ENXIO)
"""What appending to a link, a folder, a pipe or a device ends with."""


def record(folder: str, line: dict[str, object]) -> None:
    """Append to lifecycle.jsonl, for as long as it takes: a full disk delays the record, it does not lose it."""
    while True:
        try:
            rundir.append(os.path.join(folder, rundir.LIFECYCLE), {"t": time.time(), **line}, sync=True)
        except FileNotFoundError:
            return  # the folder itself was removed
        except OSError as error:
            if error.errno not in NOT_A_FILE or not put_aside(folder):
                time.sleep(1.0)
        else:
            return


def put_aside(folder: str) -> bool:
    """Move what the run has put in place of its lifecycle.jsonl, so that its end can be told; False if that fails."""
    path = os.path.join(folder, rundir.LIFECYCLE)
    try:
        os.rename(path, f"{path}.{os.getpid()}.aside")
    except OSError:
        return False
    return True


def ended(status: int, used: resource.struct_rusage, asked: str) -> dict[str, object]:
    code = os.waitstatus_to_exitcode(status)
    return {
        "event": "exited",
        "code": code if code >= 0 else None,
        "signal": -code if code < 0 else None,
        "utime": round(used.ru_utime, 3),
        "stime": round(used.ru_stime, 3),
        "max_rss_bytes": used.ru_maxrss * 1024,
        "why": asked,
    }


def examined(folder: str, group: Group, kills: int | None) -> dict[str, object]:
    """Give what a run that ended badly has left: words of its log, and whether the kernel ended it for memory.

    kills: the kernel's count when it began; None if that is not known, as for an adopted run.
    """
    try:
        from engine import lastwords  # its patterns cost 3 ms and 2 MB, which a good end never needs

        found = lastwords.of_folder(folder)
    except (OSError, RecursionError, MemoryError, ValueError):
        found = {}  # an end without its words is better than none
    now = kernel.oom_kills()
    if kills is not None and now is not None and now > kills:
        found["oom_kills"] = now - kills
    born = group.start_time if isinstance(group.start_time, str) else None
    if said := kernel.killed(group.pgid, born):
        found["kernel"] = said
    return found


def limited(spec: dict[str, object], group: Group) -> dict[str, object]:
    """Give what the last line tells of a limit that was reached."""
    if group.asked == "hang":
        listening = group.silence
        told = {"hang": listening.longest, "promised": listening.promised} if listening is not None else {}
        return {**told, "silent": round(group.silent, 1)}
    return {"limit": spec.get("limit")} if group.asked == "limit" else {}
