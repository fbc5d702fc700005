"""More that a person looks at when something does not work: driver, NVML, locks, versions, and the run folders."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from engine import rundir
from engine.doctor_check import Check

if TYPE_CHECKING:
    from engine.workspace import Workspace

DRIVER = Path("/proc/driver/nvidia/version")
LIBRARY = "libnvidia-ml.so.1"
MISMATCH = 18
"""NVML_ERROR_LIB_RM_VERSION_MISMATCH"""
STALE = 3600.0


def driver(_: Workspace, name: str, place: Path = DRIVER) -> Check:
    """The kernel's part of NVIDIA's driver, as it says itself."""
    try:
        told = place.read_text(errors="replace")
    except OSError:
        if shutil.which("nvidia-smi") is None:
            return Check(name, None, "no NVIDIA driver in the kernel: runs use the CPU")
        remedy = "`sudo modprobe nvidia`, or reboot; in a container start it with --gpus all"
        return Check(name, False, "nvidia-smi is here, but no driver is loaded", remedy)
    found = re.search(r"Kernel Module\D*?(\d+(?:\.\d+)+)", told)
    return Check(name, True, f"kernel module {found[1] if found else 'of an unknown version'}")


def nvml(_: Workspace, name: str, library: str = LIBRARY, place: Path = DRIVER) -> Check:
    """The library that tells of the GPUs, and whether it fits the kernel's part of the driver."""
    try:
        loaded = ctypes.CDLL(library)
    except OSError:
        if not place.exists():
            return Check(name, None, f"{library} is not here, as there is no driver")
        remedy = "install the driver's libraries of the same version; in a container start it with --gpus all"
        return Check(name, False, f"the driver is loaded but {library} is not found", remedy)
    try:
        code = loaded.nvmlInitWithFlags(0)
        if code == 0:
            loaded.nvmlShutdown()
            return Check(name, True, f"{library} answers")
        loaded.nvmlErrorString.restype = ctypes.c_char_p
        said = (loaded.nvmlErrorString(code) or b"").decode(errors="replace")
    except AttributeError as error:
        return Check(name, False, f"{library} is not NVIDIA's: {error}", "see what LD_LIBRARY_PATH brings in")
    mismatch = "reboot: the driver was updated under the running kernel"
    return Check(
        name,
        False,
        f"it does not start: {said or f'error {code}'}",
        mismatch if code == MISMATCH else "see `nvidia-smi`",
    )


def locks(workspace: Workspace, name: str) -> Check:
    """Who holds what: live runs without an engine, and lock files that nobody can take."""
    from engine.folders import scan

    if not workspace.runs.is_dir():
        return Check(name, None, "none yet")
    live, orphaned, odd = [], [], []
    for run_id in scan(workspace):
        folder = workspace.run(run_id)
        for file in (rundir.SUPERVISOR_LOCK, rundir.TRAINER_LOCK):
            path = folder / file
            if os.path.lexists(path) and (path.is_symlink() or not os.access(path, os.R_OK | os.W_OK)):
                odd.append(f"{run_id}/{file}")
        trainer = rundir.held(folder / rundir.TRAINER_LOCK)
        supervisor = rundir.held(folder / rundir.SUPERVISOR_LOCK)
        if trainer or supervisor:
            live.append(run_id)
        if trainer and not supervisor:
            orphaned.append(run_id)
    if odd:
        return Check(
            name, False, f"not to be taken by you: {', '.join(odd[:3])}", "give them back to your user (chown)"
        )
    engine = rundir.held(workspace.lock)
    text = f"{len(live)} runs live, the engine's is {'held' if engine else 'free'}"
    if live and not engine:
        return Check(name, None, text, "`engine up` takes them up again")
    if orphaned:
        remedy = "the engine gives it a new supervisor within seconds; else look at its log"
        return Check(name, None, f"{text}; without a supervisor: {', '.join(orphaned[:3])}", remedy)
    return Check(name, True, text)


def versions(workspace: Workspace, name: str) -> Check:
    """Whether the engine that runs, this program and the trainers are of one installation."""
    from engine import families
    from engine.client import connect
    from engine.errors import EngineError
    from engine.messages import GetStatus, StatusReply
    from engine.readings import own_version

    mine, here = own_version(), Path(__file__).resolve().parent.parent
    text = f"paddock {mine} at {here}"
    try:
        trainers = families.package().resolve().parent
    except EngineError:
        trainers = here
    if trainers != here:
        remedy = "install one of them only, or set PYTHONPATH to the one that is meant"
        return Check(name, False, f"{text}, but its trainers come from {trainers}", remedy)
    if workspace.socket.exists():
        try:
            with connect(workspace, start=False) as client:
                reply = client.call(GetStatus())
        except EngineError:
            return Check(name, True, text)
        if isinstance(reply, StatusReply) and reply.status.version != mine:
            other = f"{text}; the engine that runs is {reply.status.version}"
            return Check(name, False, other, "`engine down`, then `engine up`: training goes on meanwhile")
    return Check(name, True, text)


def folders(workspace: Workspace, name: str) -> Check:
    """Run folders that can't be read as one, leftovers, and who may look into them."""
    from engine.folders import load, scan

    if not workspace.runs.is_dir():
        return Check(name, None, "none yet")
    found = [*scan(workspace)]
    damaged = [run_id for run_id in found if load(workspace.run(run_id)) is None]
    if damaged:
        remedy = "bring spec.json back from a backup, or move the folder away; the engine leaves it alone"
        return Check(
            name, False, f"{len(damaged)} with a missing or damaged spec.json: {', '.join(damaged[:3])}", remedy
        )
    old = time.time() - STALE
    left = [e.name for e in os.scandir(workspace.runs) if e.name.startswith(".new-") and e.stat().st_mtime < old]
    text = f"{len(found)} runs"
    if left:
        return Check(
            name, None, f"{text}, {len(left)} half-made by a death", "`engine gc` shows them, --yes deletes them"
        )
    if workspace.runs.stat().st_mode & 0o077:
        mode = f"{workspace.runs.stat().st_mode & 0o777:o}"
        return Check(
            name, None, f"{text}; others on this machine may look in (mode {mode})", f"chmod 700 {workspace.runs}"
        )
    return Check(name, True, text)
