"""A workspace on another machine, looked at over ssh: its engine's socket is forwarded, its logs and curves are copied.

Everything lies in a private folder here that is gone when the screen is left. Nothing can be changed over there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from engine import remote
from engine.errors import EngineDown, EngineError
from engine.workspace import Workspace
from tui.reader import Reader, Reading, Wish

PATIENCE = 20.0
"""Seconds until the forwarded socket must be there."""
AGAIN = 2.0
"""Seconds before a connection that broke is made anew."""
LINES = "20000"
"""Lines of a log that are fetched at first."""


class Far:
    """The way to a workspace elsewhere; open() first, close() at the end. Raises EngineDown and EngineError."""

    def __init__(self, text: str) -> None:
        self.place = remote.place(text)
        self.home = Path(tempfile.mkdtemp(prefix="tui-"))
        self.workspace = Workspace(self.home)
        self.socket = self.home / "engine.sock"
        self.compared = self.home / "compared"
        """Where the curves of runs that are compared are copied to."""
        self._there = ""
        self._tunnel: subprocess.Popen[bytes] | None = None
        self._copies: list[subprocess.Popen[bytes]] = []
        self._over = threading.Event()

    def open(self) -> None:
        """Start the engine there if need be, and reach its socket."""
        status = json.loads(remote.ask(self.place, "up", "--json"))
        self._there = str(status["socket"])
        self._forward()
        give_up = time.monotonic() + PATIENCE
        assert self._tunnel is not None
        while not self.socket.exists():
            if self._tunnel.poll() is not None or time.monotonic() > give_up:
                raise EngineDown(f"{self.place.host}: its engine's socket can't be forwarded: {self._why()}.")
            time.sleep(0.02)
        os.environ["ENGINE_SOCKET"] = str(self.socket)
        threading.Thread(target=self._keep, daemon=True).start()

    def _forward(self) -> None:
        options = ("-o", "ExitOnForwardFailure=yes", "-o", "StreamLocalBindUnlink=yes", "-N", "-T")
        command = ["ssh", *remote.QUIETLY, *options, "-L", f"{self.socket}:{self._there}", self.place.host]
        try:
            with (self.home / "ssh.log").open("ab") as said:
                self._tunnel = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        except FileNotFoundError:
            raise EngineError("There is no ssh on this machine; install OpenSSH's client.") from None

    def _keep(self) -> None:
        """Forward anew when the connection broke; the feed finds the socket again by itself."""
        while not self._over.wait(AGAIN):
            if self._tunnel is not None and self._tunnel.poll() is not None:
                self._forward()

    def _why(self) -> str:
        lines = (self.home / "ssh.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "ssh does not say why"

    def fetch(self, run: str) -> None:
        """Copy log and curves of a run from now on, instead of those of the one before."""
        self._stop_copies()
        folder = self.workspace.run(run)
        folder.mkdir(parents=True, exist_ok=True)
        for name, options in (("log.txt", ("-n", LINES)), ("metrics.jsonl", ("--metrics",))):
            with (folder / name).open("wb") as out:
                self._copies.append(
                    subprocess.Popen(
                        self.place.ssh(["logs", run, "--follow", *options], "-T"),
                        stdin=subprocess.DEVNULL,
                        stdout=out,
                        stderr=subprocess.DEVNULL,
                    )
                )

    def _stop_copies(self) -> None:
        for process in self._copies:
            process.terminate()
        for process in self._copies:
            process.wait()
        self._copies.clear()

    def close(self) -> None:
        self._over.set()
        self._stop_copies()
        if self._tunnel is not None:
            self._tunnel.terminate()
            self._tunnel.wait()
        shutil.rmtree(self.home, ignore_errors=True)


class FarReader(Reader):
    """Reads what was copied; what is looked at is copied first."""

    def __init__(self, far: Far, publish: Callable[[Reading], None]) -> None:
        super().__init__(far.workspace.runs, publish)
        self._far = far
        self._fetched = ""

    def _read(self, wish: Wish) -> Reading | None:
        if wish.run != self._fetched:
            self._far.fetch(wish.run)
            self._fetched = wish.run
        return super()._read(wish)
