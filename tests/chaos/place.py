"""Where a chaos campaign happens: a workspace on a small disk of its own, stand-in devices, a movable clock."""

from __future__ import annotations

import ctypes
import mmap
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from engine import rundir
from engine.client import Client, connect
from engine.errors import EngineError
from engine.workspace import Workspace
from tests.engine.nvml_stub import fixture as stub

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DEVICES = ("GPU-aaaa", "GPU-bbbb", "GPU-cccc")
DISK = 96
"""MiB of the small disk."""


class Place:
    """A workspace, its ledger, and what can be done to the machine under it. `missing`: what this machine can't do."""

    def __init__(self, base: Path | None = None, *, disk: bool = True) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="chaos-", dir=base))
        self.ledger = self.base / "ledger"
        self.disk = self.base / "disk"
        self.clock = self.base / "clock"
        self.missing: dict[str, str] = {}
        for folder in (self.ledger, self.disk, self.base / "runtime"):
            folder.mkdir(mode=0o700)
        self.mounted = disk and self._mount()
        self.workspace = Workspace(self.disk / "w")
        self.workspace.root.mkdir()
        self.clock.write_bytes(struct.pack("l", 0))
        with self.clock.open("r+b") as file:
            self._clock = mmap.mmap(file.fileno(), 8)
        state = self.base / "nvml"
        stub.write_state(state, [stub.StubGpu(uuid) for uuid in DEVICES])
        self.environment = {
            "ENGINE_HOME": str(self.workspace.root),
            "ENGINE_CPU_SLOTS": "3",
            "PYTHONPATH": str(ROOT),
            "LD_LIBRARY_PATH": str(stub.build(self.base)),
            "NVML_STUB_STATE": str(state),
            "XDG_RUNTIME_DIR": str(self.base / "runtime"),
            "CHAOS_CLOCK": str(self.clock),
            "LD_PRELOAD": str(self._shim()),
            "OMP_NUM_THREADS": "1",
        }
        self._before = {name: os.environ.get(name) for name in (*self.environment, *GONE)}
        for name in GONE:
            os.environ.pop(name, None)
        os.environ.update(self.environment)
        self._client: Client | None = None
        self._filler = self.disk / "filler"

    def _mount(self) -> bool:
        options = ["-t", "tmpfs", "-o", f"size={DISK}m,mode=0700", "paddock-chaos", str(self.disk)]
        done = subprocess.run(["mount", *options], capture_output=True, text=True)
        if done.returncode:
            self.missing["full disk"] = f"no small disk could be mounted ({done.stderr.strip() or 'refused'})"
        return not done.returncode

    def _shim(self) -> Path:
        path = self.base / "clock.so"
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", path, HERE / "clock.c", "-ldl"], check=True)
        return path

    # -- the machine --------------------------------------------------------------------------------------------------

    def move_clock(self, seconds: int) -> None:
        """Set the time of day of engine, supervisors and trainers so many seconds off ours."""
        self._clock[:8] = struct.pack("l", seconds)

    def fill(self) -> bool:
        """Write until the disk is full; False where there is no small disk to fill."""
        if not self.mounted:
            return False
        with self._filler.open("ab", buffering=0) as file:
            for size in (1 << 20, 4096):
                try:
                    while file.write(bytes(size)):
                        pass
                except OSError:
                    continue
        return True

    def empty(self) -> None:
        self._filler.unlink(missing_ok=True)

    def lock_up(self, locked: bool) -> bool:
        """Make everything in the workspace read-only for whoever opens it from now on, or writable again."""
        if os.getuid() != 0:
            how = ["chmod", "-R", "a-w" if locked else "u+w", str(self.workspace.root)]
        else:
            how = ["chattr", "-R", "-f", "+i" if locked else "-i", str(self.workspace.root)]
        done = subprocess.run(how, capture_output=True, text=True)
        if done.returncode and locked and not self._is_locked():
            self.missing["read-only"] = "chattr does not work on this file system"
            return False
        return True

    def _is_locked(self) -> bool:
        try:
            (self.workspace.root / "probe").touch()
        except OSError:
            return True
        (self.workspace.root / "probe").unlink()
        return False

    # -- the engine ---------------------------------------------------------------------------------------------------

    def call(self, request: Any) -> Any:
        """Ask the engine; starts one where none lives. Raises EngineError, also when it dies in the middle."""
        try:
            if self._client is None:
                self._client = connect(self.workspace)
            return self._client.call(request)
        except (EngineError, OSError) as error:
            if self._client is not None:
                self._client.close()
                self._client = None
            raise error if isinstance(error, EngineError) else EngineError(str(error)) from None

    def engine(self) -> int | None:
        """The process that holds the workspace, if any."""
        return holder(self.workspace.lock)

    def supervisors(self) -> list[int]:
        return [pid for folder in self.folders() if (pid := holder(folder / rundir.SUPERVISOR_LOCK))]

    def folders(self) -> list[Path]:
        return sorted(path for path in self.workspace.runs.glob("*-[0-9]*") if path.is_dir())

    def close(self) -> None:
        self.empty()
        self.lock_up(False)
        for pid in [*filter(None, [self.engine()]), *self.supervisors(), *(pid for pid, _ in self.begun())]:
            kill(pid, 9)
        if self._client is not None:
            self._client.close()
        give_up = time.monotonic() + 10
        while self.mounted and subprocess.run(["umount", self.disk], capture_output=True).returncode:
            if time.monotonic() > give_up:
                subprocess.run(["umount", "-l", self.disk], capture_output=True)
                break
            time.sleep(0.05)
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._clock.close()
        shutil.rmtree(self.base, ignore_errors=True)

    def begun(self) -> list[tuple[int, str]]:
        """Every process of a trainer that still lives: its pid and its run."""
        found = []
        for path in (*self.ledger.glob("*/begun"), *self.ledger.glob("*/begun-stray")):
            for line in path.read_text().splitlines():
                pid, born = line.split()
                if rundir.start_time(int(pid)) == born and not zombie(int(pid)):
                    found.append((int(pid), path.parent.name))
        return found


GONE = ("ENGINE_RUN", "ENGINE_SOCKET", "CUDA_VISIBLE_DEVICES")


def holder(lock: Path) -> int | None:
    """Who holds a lock, by the kernel's own table."""
    try:
        at = os.stat(lock)
    except OSError:
        return None
    for line in Path("/proc/locks").read_text().splitlines():
        parts = line.split()
        if parts[1] == "FLOCK" and parts[3] == "WRITE" and parts[5].endswith(f":{at.st_ino}"):
            major, minor = (int(part, 16) for part in parts[5].split(":")[:2])
            if os.makedev(major, minor) == at.st_dev:
                return int(parts[4])
    return None


def zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except OSError:
        return True


def kill(pid: int, number: int, *, group: bool = False) -> None:
    if pid <= 1:
        return
    try:
        (os.killpg if group else os.kill)(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def adopt_orphans() -> None:
    """Become the parent of engines and supervisors whose own is killed, so that nobody is left a zombie."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


PYTHON = sys.executable
