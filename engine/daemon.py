"""The engine's process: one per workspace, guarded by a lock.

    python -m engine.daemon [--home WORKSPACE]

It may be killed at any moment: runs go on, and the next one reads the folders. SIGTERM and SIGINT end it and leave
training alone. It starts for whoever asks first, so it comes up without what it can do without.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path

from engine import rundir, tls
from engine.allocator import stay_small, staying
from engine.errors import EngineBusy, EngineError, UsageError, WorkspaceError
from engine.stamps import Stamps
from engine.workspace import Workspace, find

WORTH = 64 << 10
"""Bytes that are kept of some hundred ended runs: with fewer a second process does not pay."""


def default_cpu_slots() -> int:
    """Half the cores, at least one: a CPU run uses two threads and leaves room for looking."""
    return max(1, (os.cpu_count() or 1) // 2)


def main() -> int:
    """Serve the workspace of ENGINE_HOME; exit code of engine.errors when that can't be."""
    parser = argparse.ArgumentParser(prog="python -m engine.daemon")
    parser.add_argument("--home", help="the workspace (else ENGINE_HOME, else the current folder)")
    parser.add_argument("--cpu-slots", type=int, default=None, help="CPU runs at a time (or ENGINE_CPU_SLOTS)")
    arguments = parser.parse_args()
    asked = arguments.cpu_slots
    workspace = Workspace(Path(arguments.home).absolute()) if arguments.home else find()
    try:
        cpu_slots = asked if asked is not None else int(os.environ.get("ENGINE_CPU_SLOTS") or default_cpu_slots())
        if cpu_slots < 1:
            raise UsageError(f"{cpu_slots} CPU slots: at least 1 is needed.")
        workspace.socket  # noqa: B018 - raises if its path is too long
        workspace.prepare()
        lock = take_lock(workspace)
    except ValueError:
        print("engine: ENGINE_CPU_SLOTS is not a whole number.", file=sys.stderr)
        return 2
    except EngineError as error:
        print(f"engine: {error}", file=sys.stderr)
        return error.exit_code
    stamps = Stamps(workspace.runs, lock) if kept(workspace) > WORTH else None
    stay_small()
    os.chdir("/")  # so that it keeps no folder busy that a user may want to unmount
    try:
        serve(workspace, cpu_slots, stamps)
    finally:
        os.close(lock)
    return 0


def kept(workspace: Workspace) -> int:
    """Bytes of what is kept of ended runs."""
    try:
        return os.lstat(workspace.ended).st_size
    except OSError:
        return 0


def come_in() -> None:
    """Import the engine. Somebody waits for it: no garbage is looked for among what comes in, and TLS does not."""
    with staying(), tls.left_out():
        import logging  # noqa: F401

        import engine.core  # noqa: F401


def serve(workspace: Workspace, cpu_slots: int, stamps: Stamps | None = None) -> None:
    """Be the engine."""
    come_in()
    import asyncio
    import logging

    from engine.core import Daemon

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    asyncio.run(Daemon(workspace, cpu_slots, stamps).run())


def take_lock(workspace: Workspace) -> int:
    """Take the workspace. Raises EngineBusy if another engine has it, WorkspaceError if it can't be written."""
    try:
        lock = rundir.take(workspace.lock, patience=0.3)
    except OSError as error:
        raise WorkspaceError(f"The workspace {workspace.root} can't be written: {error.strerror}.") from None
    if lock is None:
        raise EngineBusy(f"An engine already runs in {workspace.root}. `engine status` tells of it.")
    return lock


if __name__ == "__main__":
    code = main()
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    os._exit(code)  # all is written and closed: taking Python apart would take 0.06 s
