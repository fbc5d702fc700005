"""What a person looks at first when something does not work, looked at for them: `engine doctor`."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from engine import doctor_more
from engine.doctor_check import Check
from engine.errors import EngineError
from engine.workspace import Workspace

__all__ = ["LOOKS", "Check", "examine"]

GIB = 1 << 30
NEEDED = (
    "msgspec",
    "duckdb",
    "typer",
    "textual",
    "tabulate",
    "psutil",
    "nvidia-ml-py",
    "GitPython",
    "pandas",
    "pyarrow",
)
DISK_LOW, DISK_LEAST = 10 * GIB, GIB
"""Checkpoints of a few runs fill the first; below the second a run may end at its next one."""
REBUILD = "`engine db rebuild` makes it anew from the run folders"


def examine(workspace: Workspace) -> list[Check]:
    """Look at everything, in the order in which one thing needs the other; changes nothing, raises nothing."""
    checks = []
    for name, look in LOOKS.items():
        try:
            checks.append(look(workspace, name))
        except (OSError, EngineError, ValueError) as error:
            checks.append(Check(name, False, f"can't be looked at: {error}", "see the text"))
    return checks


def _python(_: Workspace, name: str) -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check(name, True, f"{version} at {sys.executable}")


def _packages(_: Workspace, name: str) -> Check:
    from engine.provenance import package_versions

    found = package_versions(NEEDED)
    text = ", ".join(f"{package} {version}" for package, version in found.items())
    missing = [package for package in NEEDED if package not in found]
    if missing:
        return Check(name, False, f"missing: {', '.join(missing)}", f"pip install {' '.join(missing)}")
    return Check(name, True, text)


def _torch(_: Workspace, name: str) -> Check:
    """Importing it takes a second or more, so only its presence is looked at."""
    from importlib.util import find_spec

    from engine.provenance import package_versions

    version = package_versions(["torch"]).get("torch")
    if find_spec("torch") is None or version is None:
        return Check(name, False, "not installed: runs of any command work, our families do not", "pip install torch")
    cpu = " (a build without CUDA)" if "+cpu" in version else ""
    return Check(name, True, version + cpu)


def _trainers(workspace: Workspace, name: str) -> Check:
    from engine.families import describe

    try:
        families = describe(workspace.root if workspace.root.is_dir() else Path.cwd())
    except EngineError as error:
        return Check(name, False, str(error), "install paddock again (pip install -e .)")
    return Check(name, True, "families: " + ", ".join(families))


def _devices(workspace: Workspace, name: str) -> Check:
    from engine.devices import Devices

    devices = Devices(workspace.root)
    devices.open()
    try:
        sample = devices.sample({})
    finally:
        devices.close()
    if not sample.devices:
        # A machine without GPUs is fine; a driver that is there and does not answer is not.
        broken = shutil.which("nvidia-smi") is not None or bool(sample.warnings)
        remedy = "runs use the CPU until `nvidia-smi` works again" if broken else ""
        return Check(name, False if broken else None, f"none: {sample.why_none}", remedy)
    lost = [d for d in sample.devices if d.error]
    hidden = sum(not d.visible for d in sample.devices)
    named = ", ".join(f"GPU{d.index} {d.name}" for d in sample.devices)
    text = f"driver {devices.driver or 'n/a'}; {named}" + (f"; {hidden} hidden" if hidden else "")
    said = [*sample.warnings, *(f"GPU{d.index}: {d.error}" for d in lost)]
    if said:
        return Check(name, False, "; ".join([text, *said]), "look at `nvidia-smi` and at CUDA_VISIBLE_DEVICES")
    return Check(name, True, text)


def _disk(workspace: Workspace, name: str) -> Check:
    place = workspace.root
    while not place.exists() and place != place.parent:
        place = place.parent
    disk = os.statvfs(place)
    free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    text = f"{free / GIB:.1f} of {size / GIB:.1f} GiB free"
    if disk.f_files and disk.f_favail < 1000:
        return Check(name, False, f"{text}, but only {disk.f_favail} more files", "delete files, or old runs")
    if free < DISK_LEAST:
        return Check(name, False, text, "free some space: a run may end at its next checkpoint")
    return Check(name, None if free < DISK_LOW else True, text)


def _workspace(workspace: Workspace, name: str) -> Check:
    """Write and lock a file there: network folders may allow the one and not the other."""
    root = workspace.root
    if not root.is_dir():
        return Check(name, False, f"{root} is not a folder", "make it, or set ENGINE_HOME to another one")
    places = [place for place in (root, workspace.runs) if place.is_dir()]
    for place in places:
        try:
            with tempfile.NamedTemporaryFile(prefix=".doctor-", dir=place) as file:
                file.write(b"x" * 4096)
                file.flush()
                try:
                    fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError as error:
                    return Check(name, False, f"{place} has no file locks ({error.strerror})", "use a local disk")
        except OSError as error:
            remedy = "make it writable, free some space, or set ENGINE_HOME to another folder"
            return Check(name, False, f"{place} can't be written: {error.strerror}", remedy)
    return Check(name, True, f"{root} can be written and locked")


def _socket(workspace: Workspace, name: str) -> Check:
    path = workspace.socket  # raises, with what to do, when it is too long
    folder = path.parent
    if not folder.exists():
        return Check(name, None, f"{folder} is made when the engine first starts")
    state = folder.stat()
    if state.st_uid != os.getuid():
        return Check(name, False, f"{folder} belongs to another user", "use a workspace of your own")
    if state.st_mode & 0o077:
        mode = stat.S_IMODE(state.st_mode)
        return Check(name, False, f"{folder} is open to others (mode {mode:o})", f"chmod 700 {folder}")
    return Check(name, True, f"{path}, open to you alone")


def _engine(workspace: Workspace, name: str) -> Check:
    from engine import rundir
    from engine.client import connect
    from engine.errors import EngineDown, EngineStarting
    from engine.messages import GetStatus, StatusReply

    try:
        if not workspace.socket.exists():
            raise EngineDown
        with connect(workspace, start=False) as client:
            reply = client.call(GetStatus())
    except EngineStarting as error:
        return Check(name, None, str(error))
    except EngineDown:
        if rundir.held(workspace.lock):
            return Check(
                name, False, "it runs but does not answer", f"look at {workspace.log}; `engine down`, `engine up`"
            )
        return Check(name, None, "not running; it starts when it is needed")
    if not isinstance(reply, StatusReply):
        return Check(name, False, "it answers something else than asked", "`engine down`, then `engine up`")
    status = reply.status
    text = f"pid {status.pid}, version {status.version}, {sum(status.counts.values())} runs"
    if status.trouble:
        return Check(
            name, False, f"{text}; {status.trouble}", f"free some space if that is it; else look at {workspace.log}"
        )
    if status.store_error:
        return Check(name, False, f"{text}; the database: {status.store_error}", _mend(status.store_error))
    return Check(name, True, text)


def _mend(trouble: str) -> str:
    return "free some space" if "the disk is full" in trouble else REBUILD


def _database(workspace: Workspace, name: str) -> Check:
    """The file's head and lock, without opening it as a database: that would lock others out."""
    path = workspace.database
    if not path.exists():
        return Check(name, None, "runs.duckdb is made with the first run")
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        head = os.pread(fd, 20, 0)
        holder = _holder(fd)
    finally:
        os.close(fd)
    # DuckDB's main header: checksum (8 bytes), "DUCK", storage version (u64).
    if len(head) < 20 or head[8:12] != b"DUCK":
        return Check(name, False, f"{path} is no DuckDB file (damaged?)", REBUILD)
    text = f"{path.stat().st_size / 1e6:.1f} MB, storage version {struct.unpack('<Q', head[12:20])[0]}"
    if holder:
        remedy = "the engine writes again once it is closed there; nothing is lost"
        return Check(name, None, f"{text}; held by {holder}", remedy)
    return Check(name, True, text)


def _holder(fd: int) -> str:
    """Name the process with a write lock on the file (DuckDB's are POSIX locks); empty if there is none.

    Only for a process that has not opened the database itself: closing fd would drop its locks.
    """
    layout = "hhqqi"  # struct flock of 64-bit Linux: type, whence, start, length, pid
    asked = struct.pack(layout, fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
    asked += b"\0" * 8
    kind, _, _, _, pid = struct.unpack_from(layout, fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    if kind == fcntl.F_UNLCK:
        return ""
    from engine.host import Processes

    return f"{Processes().who(pid).name or 'a process'} (pid {pid})"


def _clock(workspace: Workspace, name: str) -> Check:
    """Order of events is told by times: a clock that jumps back, or a file server's that differs, mixes it up."""
    now = time.time()
    if workspace.runs.is_dir():
        newest = max((entry.stat().st_mtime for entry in os.scandir(workspace.runs)), default=0.0)
        if newest > now + 60:
            text = f"{workspace.runs} holds something {newest - now:.0f} s from the future"
            return Check(name, False, text, "set the clock (timedatectl)")
    if workspace.root.is_dir() and os.access(workspace.root, os.W_OK):
        with tempfile.NamedTemporaryFile(prefix=".doctor-", dir=workspace.root) as file:
            differs = os.fstat(file.fileno()).st_mtime - time.time()
        if abs(differs) > 5:
            text = f"the workspace's disk is {differs:+.0f} s from this machine's clock"
            return Check(name, False, text, "set both clocks (timedatectl)")
    if time.gmtime(now).tm_year < 2025:
        return Check(
            name, False, f"it says {time.strftime('%Y-%m-%d', time.gmtime(now))}", "set the clock (timedatectl)"
        )
    return Check(name, True, time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(now)))


def _data(workspace: Workspace, name: str) -> Check:
    remedy = "`engine data import FOLDER` takes yours in, `engine data synth` makes some to try"
    folder = workspace.data
    if not folder.is_dir():
        return Check(name, None, "trainingdata/ is missing", remedy)
    kinds = (".csv", ".tsv", ".parquet", ".pq", ".json", ".jsonl", ".ndjson")
    files = size = 0
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for file in names:
            if file.lower().endswith(kinds) and not file.startswith(".") and file != "SYNTHETIC.json":
                files += 1
                size += os.stat(os.path.join(where, file)).st_size
    if not files:
        return Check(name, None, "trainingdata/ is empty", remedy)
    from engine.fingerprint import synthetic

    made_up = ", synthetic" if synthetic(folder) else ""
    return Check(name, True, f"{files} files, {size / 1e6:.1f} MB{made_up}")


def _git(workspace: Workspace, name: str) -> Check:
    if shutil.which("git") is None:
        return Check(name, None, "not installed: runs are recorded without a commit", "install git")
    from engine.provenance import git_state

    git, _patch = git_state(workspace.root, [workspace.runs, workspace.database, workspace.data, workspace.best])
    if git.why:
        return Check(name, None, f"{git.why}: runs are recorded without a commit")
    where = f"{git.branch or 'detached'} at {git.commit[:10] or 'no commit yet'}"
    return Check(name, True, where + (", with changes (kept as each run's patch)" if git.dirty else ""))


LOOKS: dict[str, Callable[[Workspace, str], Check]] = {
    "python": _python,
    "packages": _packages,
    "torch": _torch,
    "trainers": _trainers,
    "driver": doctor_more.driver,
    "nvml": doctor_more.nvml,
    "devices": _devices,
    "disk": _disk,
    "workspace": _workspace,
    "socket": _socket,
    "engine": _engine,
    "versions": doctor_more.versions,
    "folders": doctor_more.folders,
    "locks": doctor_more.locks,
    "database": _database,
    "clock": _clock,
    "data": _data,
    "git": _git,
}
