"""Where things lie: the workspace's folders and the private folder of its engine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from engine import writable
from engine.errors import WorkspaceError

SOCKET_LIMIT = 107
"""Bytes a Unix socket's path may have (sun_path of unix(7), less its final zero)."""


@dataclass(frozen=True)
class Workspace:
    """A folder that holds runs/, runs.duckdb, trainingdata/ and .best_model_path."""

    root: Path

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def database(self) -> Path:
        return self.root / "runs.duckdb"

    @property
    def data(self) -> Path:
        return self.root / "trainingdata"

    @property
    def best(self) -> Path:
        return self.root / ".best_model_path"

    @property
    def host(self) -> Path:
        """Daily files of device samples and of what was typed outside a single run."""
        return self.runs / "host"

    @property
    def queue(self) -> Path:
        """Orders for the whole queue: pause, resume."""
        return self.runs / "queue.jsonl"

    @property
    def hooks(self) -> Path:
        """Commands that are told of finished runs."""
        return self.root / "hooks.json"

    @property
    def views(self) -> Path:
        """Views of runs.duckdb that people saved, a file each."""
        return self.root / "views"

    @property
    def private(self) -> Path:
        """The engine's own folder, 0700: socket, lock, log."""
        return self.runs / ".engine"

    @property
    def code(self) -> Path:
        """Frozen code, a folder for each state that a run was queued with."""
        return self.private / "code"

    @property
    def ended(self) -> Path:
        """What is kept of ended runs (engine.shelf)."""
        return self.private / "ended.cache"

    @property
    def lock(self) -> Path:
        return self.private / "engine.lock"

    @property
    def log(self) -> Path:
        return self.private / "engine.log"

    @property
    def socket(self) -> Path:
        """The engine's socket; ENGINE_SOCKET names another place for it. Raises WorkspaceError if it is too long."""
        path = Path(os.environ.get("ENGINE_SOCKET") or self.private / "engine.sock")
        size = len(os.fsencode(path))
        if size > SOCKET_LIMIT:
            raise WorkspaceError(
                f"The path of the engine's socket has {size} bytes, {SOCKET_LIMIT} is the most a Unix socket takes: "
                f"{path}. Move the workspace to a shorter path or set ENGINE_SOCKET to a short one."
            )
        return path

    def run(self, run_id: str) -> Path:
        return self.runs / run_id

    def check(self) -> None:
        """Raise WorkspaceError where `prepare` would, and make nothing."""
        _ = self.socket
        try:
            writable.check(self.private / "engine.sock", parents=True)
        except OSError as error:
            raise self.unusable(error) from None

    def prepare(self) -> None:
        """Make runs/ and the private folder. Raises WorkspaceError, in one line, if that can't be done."""
        try:
            self.runs.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.host.mkdir(mode=0o700, exist_ok=True)
            self.private.mkdir(mode=0o700, exist_ok=True)
            if self.private.stat().st_mode & 0o077:
                self.private.chmod(0o700)
        except OSError as error:
            raise self.unusable(error) from None

    def unusable(self, error: OSError) -> WorkspaceError:
        """The error to raise where the system refused something that the workspace needs."""
        return WorkspaceError(
            f"The workspace {self.root} can't be used: {error.strerror}. "
            "Make it writable, free some space, or set ENGINE_HOME to another folder."
        )


def find() -> Workspace:
    """Give the workspace of this process: ENGINE_HOME, else the current folder."""
    home = os.environ.get("ENGINE_HOME")
    return Workspace(Path(home).expanduser().absolute() if home else Path.cwd())
