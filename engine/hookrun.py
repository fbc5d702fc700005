"""One short-lived process for the hooks of one finished run: each is called once, whatever happens to the engine.

    python -m engine.hookrun RUN_FOLDER  < {"hooks": {NAME: {"command", "limit"}}, "told": ...}

It holds hooks.lock, and writes that a hook is called before it calls it: one that was cut short is not called again.
What a hook prints goes to hooks.txt of the run.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time

from engine import rundir

GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL for a hook that takes too long."""


def call(folder: str, name: str, command: str, limit: float, told: bytes) -> None:
    """Call a hook and write down how that went."""
    lines, log = os.path.join(folder, rundir.HOOKS), os.path.join(folder, "hooks.txt")
    rundir.append(lines, {"t": time.time(), "event": "hook", "hook": name, "command": command}, sync=True)
    began = time.monotonic()
    late = False
    with open(log, "ab") as out, tempfile.TemporaryFile() as stdin:
        begin = out.tell()
        stdin.write(told)
        stdin.seek(0)
        process = subprocess.Popen(
            ["/bin/sh", "-c", command], stdin=stdin, stdout=out, stderr=out, cwd=os.environ.get("ENGINE_HOME"),
            start_new_session=True,
        )  # fmt: skip
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            late = True
            code = end(process)
    with open(log, "rb") as file:
        file.seek(begin)
        said = file.read().decode(errors="replace").strip().splitlines()
    line = {"t": time.time(), "event": "hook ended", "hook": name, "command": command, "code": code}
    line |= {"seconds": round(time.monotonic() - began, 3), "said": said[-1][:200] if said else ""}
    rundir.append(lines, line | ({"late": True, "limit": limit} if late else {}), sync=True)


def end(process: subprocess.Popen[bytes]) -> int:
    """End a hook with all that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            return process.wait(GRACE)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            break
    return process.wait()


def main() -> None:
    folder = sys.argv[1]
    asked = json.load(sys.stdin)
    if rundir.take(os.path.join(folder, "hooks.lock"), patience=0.0) is None:
        return  # another one is at it
    before = {
        line.get("hook") for line in rundir.read(os.path.join(folder, rundir.HOOKS)) if line.get("event") == "hook"
    }
    for name, hook in asked["hooks"].items():
        if name not in before:
            call(folder, name, hook["command"], float(hook["limit"]), json.dumps(asked["told"]).encode())


if __name__ == "__main__":
    main()
