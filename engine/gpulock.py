"""One lock per GPU for the whole box, so that two workspaces, or two users, never give it out at the same moment.

The locks are flocks on files in a folder that every user can reach. Whoever starts a run takes them and hands the
descriptors down: they live exactly as long as the run's processes, whatever becomes of the engine. A run that has its
GPU alone holds it exclusively; runs that share one hold it together, but only those of one workspace, for nobody knows
the claims of another. A file's text only says who holds it and is believed no further than that; an unfriendly user can
keep a GPU busy through it, as he can by using it.
"""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import WorkspaceError

FOLDERS = ("/run/lock", "/tmp")
"""The first that all may write into and nobody may delete others' files from; of a box, the same for everybody."""
CHOSEN = "ENGINE_GPU_LOCKS"
PATIENCE = 0.5
"""Seconds to wait for another engine that is just taking a device; it needs a millisecond."""
_WHO = re.compile(r"user=([\w.@-]{1,32}) engine=(\d{1,10}) group=([0-9a-f]{16})\n")


@dataclass(frozen=True)
class Taken:
    """fds: of the locks, to be handed to the run and closed here; none when a device is held.

    held: by device, who holds it, in words.
    """

    fds: tuple[int, ...] = ()
    held: tuple[tuple[str, str], ...] = ()


class GpuLocks:
    """The locks as one workspace uses them."""

    def __init__(self, workspace: Path) -> None:
        self.group = hashlib.sha256(os.fsencode(os.path.realpath(workspace))).hexdigest()[:16]

    def take(self, devices: Sequence[str], *, shared: bool) -> Taken:
        """Take all these devices or none of them. Raises WorkspaceError where there is no folder for the locks."""
        folder = find_folder()
        fds: list[int] = []
        held: list[tuple[str, str]] = []
        try:
            with _gate(folder) as mine:
                if not mine:
                    return Taken(held=tuple((device, "being taken by another engine") for device in devices))
                for device in devices:
                    fd = _open(folder / _name(device))
                    fds.append(fd)
                    if not self._lock(fd, shared):
                        held.append((device, _holder(fd)))
        except OSError as error:
            _close(fds)
            raise WorkspaceError(
                f"The GPU lock {error.filename or folder} can't be used: {error.strerror}. "
                f"{CHOSEN} names another folder for the locks."
            ) from None
        if held:
            _close(fds)
            return Taken(held=tuple(held))
        return Taken(fds=tuple(fds))

    def _lock(self, fd: int, shared: bool) -> bool:
        """Lock one device; nobody else takes one meanwhile, for we hold the gate."""
        if _flock(fd, fcntl.LOCK_EX):
            text = f"user={_user()} engine={os.getpid()} group={self.group}\n".encode()
            with contextlib.suppress(OSError):  # the first user's file may not be ours to write
                os.ftruncate(fd, 0)
                os.pwrite(fd, text, 0)
            if shared:
                fcntl.flock(fd, fcntl.LOCK_SH)
            return True
        if not shared or not _flock(fd, fcntl.LOCK_SH):
            return False
        said = _said(fd)
        return said is not None and said[3] == self.group


def find_folder() -> Path:
    """Give the folder of the locks. Raises WorkspaceError where none will do."""
    if chosen := os.environ.get(CHOSEN):
        folder = Path(chosen)
        try:
            with contextlib.suppress(FileExistsError):
                folder.mkdir(parents=True)
                folder.chmod(0o1777)
        except OSError as error:
            raise WorkspaceError(f"{CHOSEN}={chosen}: {error.strerror}.") from None
        return folder
    for name in FOLDERS:
        with contextlib.suppress(OSError):
            mode = os.lstat(name).st_mode
            if stat.S_ISDIR(mode) and mode & stat.S_ISVTX and mode & stat.S_IWOTH:
                return Path(name)
    raise WorkspaceError(f"No folder for GPU locks: neither {' nor '.join(FOLDERS)} is open to all. Set {CHOSEN}.")


def _name(device: str) -> str:
    return f"paddock-{re.sub(r'[^A-Za-z0-9-]', '_', device)[:100]}.lock"


def _open(path: Path) -> int:
    """Open a lock file that anybody may have made; never through a link, never a pipe or a device. Raises OSError.

    Not with O_CREAT where it exists: in such folders Linux refuses that for a file of another user.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    for attempt in range(3):
        try:
            fd = os.open(path, flags)
        except FileNotFoundError:
            try:
                fd = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                continue
            os.fchmod(fd, 0o666)  # whatever the umask: others lock the same file
        except PermissionError:
            if attempt == 2:
                raise
            fd = os.open(path, flags & ~os.O_RDWR)  # readable is enough for a lock
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return fd
        os.close(fd)
        break
    raise OSError(0, "it is no plain file", str(path))


def _flock(fd: int, how: int) -> bool:
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _gate(folder: Path) -> Iterator[bool]:
    """Be the only one on this box that takes devices; False when another engine has not let go in time."""
    fd = _open(folder / "paddock-gpus.gate")
    try:
        give_up = time.monotonic() + PATIENCE
        while not (mine := _flock(fd, fcntl.LOCK_EX)) and time.monotonic() < give_up:
            time.sleep(0.005)
        yield mine
    finally:
        os.close(fd)


def _said(fd: int) -> re.Match[str] | None:
    return _WHO.match(os.pread(fd, 200, 0).decode("ascii", "replace"))


def _holder(fd: int) -> str:
    said = _said(fd)
    return f"held by another engine ({said[1]}, pid {said[2]})" if said else "held by another engine"


def _user() -> str:
    try:
        return re.sub(r"[^\w.@-]", "_", getpass.getuser())[:32] or "unknown"
    except (KeyError, OSError):
        return str(os.getuid())


def _close(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)
