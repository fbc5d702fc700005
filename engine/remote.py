"""The same command on another machine, by the system's own ssh: nothing listens there, and no password is asked for.

A place is written like scp's: `user@box`, or `user@box:/data/work` for a workspace other than ENGINE_HOME or the home
folder there. ENGINE_REMOTE names the program on that side where `engine` is not on its PATH.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from engine.errors import EngineDown, EngineError, UsageError

NOT_REACHED = 255
"""What ssh ends with for a failure of its own; engine never does."""
NO_PROGRAM = 127
_HOST = re.compile(r"(?:[A-Za-z0-9_][\w.+-]*@)?[A-Za-z0-9_\[][\w.:%\[\]-]*")
QUIETLY = (
    "-o",
    "BatchMode=yes",
    "-o",
    "ConnectTimeout=15",
    "-o",
    "ServerAliveInterval=15",
    "-o",
    "ServerAliveCountMax=3",
)


@dataclass(frozen=True)
class Place:
    """host: as ssh knows it. folder: the workspace there; empty for ENGINE_HOME there, or the home folder."""

    host: str
    folder: str = ""

    def ssh(self, args: Sequence[str], *options: str) -> list[str]:
        """Give the command that runs `engine` with these arguments there."""
        program = shlex.join([os.environ.get("ENGINE_REMOTE") or "engine", *args])
        if self.folder:  # it wins over an ENGINE_HOME that the shell there sets
            line = f'cd -- {shlex.quote(self.folder)} && export ENGINE_HOME="$PWD" && exec {program}'
        else:
            line = f'cd -- "${{ENGINE_HOME:-.}}" && exec {program}'
        return ["ssh", *QUIETLY, *options, self.host, line]


def place(text: str) -> Place:
    """Read user@box or user@box:/folder. Raises UsageError; a host can't be an option of ssh."""
    host, colon, folder = text, "", ""
    if match := re.fullmatch(r"([^/\[\]]*?(?:\[[^\]]*\])?):(.*)", text):
        host, colon, folder = match[1], ":", match[2]
    if not _HOST.fullmatch(host) or (colon and not folder) or "\n" in folder:
        raise UsageError(f"--host {text}: expected user@box, or user@box:/folder of the workspace there.")
    return Place(host, folder)


def split(args: Sequence[str]) -> tuple[Place | None, Sequence[str]]:
    """Take --host off the front of a command line. Raises UsageError."""
    if args and args[0].startswith("--host="):
        return place(args[0].removeprefix("--host=")), args[1:]
    if args and args[0] == "--host":
        if len(args) < 2:
            raise UsageError("--host needs a machine: engine --host user@box ls")
        return place(args[1]), args[2:]
    return None, args


def run(there: Place, args: Sequence[str]) -> int:
    """Run a command line there, with our terminal or pipes; gives its exit code. Raises EngineDown, EngineError."""
    if not args:
        raise UsageError(f"--host {there.host} needs a command: engine --host {there.host} ls")
    # A terminal there only for one here: else what is data and what is talk would be mixed.
    terminal = "-t" if sys.stdin.isatty() and sys.stdout.isatty() else "-T"
    try:
        code = subprocess.run(there.ssh(args, terminal), check=False).returncode
    except FileNotFoundError:
        raise EngineError("There is no ssh on this machine; install OpenSSH's client.") from None
    return checked(there, code)


def checked(there: Place, code: int, said: str = "") -> int:
    """Give a command's exit code. Raises EngineDown where ssh failed, EngineError where there is no engine."""
    why = f" ({said})" if said else ""
    if code == NOT_REACHED:
        raise EngineDown(
            f"{there.host} was not reached by ssh{why}. `ssh {there.host} true` must work without a password."
        )
    if code == NO_PROGRAM:
        program = os.environ.get("ENGINE_REMOTE") or "engine"
        raise EngineError(
            f"{there.host} has no program '{program}' on its PATH; ENGINE_REMOTE names where it is there."
        )
    return code if code >= 0 else 128 - code


def ask(there: Place, *args: str) -> bytes:
    """Run a command there and give what it prints. Raises EngineDown, or EngineError with its last line."""
    try:
        done = subprocess.run(there.ssh(args, "-T"), stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except FileNotFoundError:
        raise EngineError("There is no ssh on this machine; install OpenSSH's client.") from None
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    said = lines[-1].removeprefix("engine: ") if lines else ""
    if code := checked(there, done.returncode, said):
        raise EngineError(f"{there.host}: {said or f'exit code {code}'}")
    return done.stdout
