"""What every test may use: a workspace of its own, a real engine in it, and a way to wait for a condition."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import shutil
import signal
import socket
import struct
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st

from engine import rundir
from engine.client import Client, connect
from engine.errors import EngineDown
from engine.messages import Down, GetStatus, ListRuns, ShowRun, Submit
from engine.records import ENDED, RunRow, Spec
from engine.workspace import Workspace
from tests.nursery import Nursery

# A busy machine is no fault of the code: examples are counted, not timed.
settings.register_profile("paddock", deadline=None, max_examples=30)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("PADDOCK_EXAMPLES", "paddock"))

CHARACTERS = st.characters(exclude_categories=("Cs",))
"""What st.text has by itself; but it finds that out in 6 s, trying every character there is."""

ROOT = Path(__file__).resolve().parent.parent

gc.disable()  # till all is imported: what is imported stays, and looking it over takes 0.6 s


def pytest_configure(config: pytest.Config) -> None:
    """Let each worker begin to import at another file, where it is the whole suite that runs.

    In a fresh checkout the asserts of all files are rewritten, 9 s of CPU time; so each worker does its part of them
    and finds the rest on the disk. What can't be imported, or warns, does so again when it is collected.
    """
    worker = getattr(config, "workerinput", None)
    if worker is None or sys.dont_write_bytecode or [Path(arg).resolve() for arg in config.args] != [ROOT / "tests"]:
        return
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    first = int(worker["workerid"].removeprefix("gw")) * len(files) // worker["workercount"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for path in files[first:] + files[:first]:
            with contextlib.suppress(Exception):
                importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()  # a million objects that no later round looks at
    gc.enable()


def pytest_sessionfinish() -> None:
    gc.unfreeze()  # so that nobody complains of objects left over at the end


def wait_for(condition: Callable[[], Any], what: str = "", seconds: float = 60.0) -> Any:
    """Wait until the condition gives something true and give that; fail with `what` after some seconds."""
    give_up = time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        if time.monotonic() > give_up:
            pytest.fail(f"waited {seconds} s in vain {what or condition}")
        time.sleep(0.01)


def states(group: int) -> set[str]:
    """The states of the processes of a group, as /proc tells them: Z of one that has ended and nobody has reaped."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # ended meanwhile
            state, _parent, its_group = path.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group:
                found.add(state)
    return found


def stopped(group: int) -> bool:
    """Whether SIGSTOP holds a process group.

    Its leader alone does not show it: a shell waits in state D for a child of vfork that was stopped before its exec.
    """
    found = states(group)
    return "T" in found and found <= {"T", "D", "Z"}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """An empty workspace that ENGINE_HOME points at."""
    home = tmp_path / "w"
    home.mkdir()
    monkeypatch.setenv("ENGINE_HOME", str(home))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("ENGINE_RUN", raising=False)
    monkeypatch.delenv("ENGINE_SOCKET", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("ENGINE_GPU_LOCKS", str(tmp_path / "gpu-locks"))
    return Workspace(home)


class Box:
    """A real engine in a workspace, started when first asked, and stopped with its runs at the end."""

    def __init__(self, workspace: Workspace, nursery: Nursery | None = None) -> None:
        """nursery: what to fork the first engine off; the later ones, and without it all, are started as anybody's."""
        self.workspace = workspace
        self._nursery = nursery
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        if self._client is None:
            nursery, self._nursery = self._nursery, None
            if nursery is not None and not self.workspace.socket.exists():
                self.workspace.prepare()
                if nursery.start(self.workspace.root, self.workspace.log):
                    wait_for(self._up, "for the engine to be born")
            self._client = connect(self.workspace)
        return self._client

    def _up(self) -> bool:
        with contextlib.suppress(EngineDown):
            connect(self.workspace, start=False).close()
            return True
        return False

    def submit(self, *command: str, **fields: Any) -> RunRow:
        hold = fields.pop("hold", False)
        spec = Spec(family="exec", command=command, cwd=str(self.workspace.root), **fields)
        return self.client.call(Submit(spec=spec, hold=hold, environment=dict(os.environ))).row

    def python(self, code: str, **fields: Any) -> RunRow:
        return self.submit(sys.executable, "-c", code, **fields)

    def row(self, run_id: str) -> RunRow:
        return self.client.call(ShowRun(run_id)).row

    def rows(self) -> dict[str, RunRow]:
        return {row.id: row for row in self.client.call(ListRuns()).rows}

    def state(self, run_id: str, *states: str, seconds: float = 60.0) -> RunRow:
        """Wait until the run is in one of the states."""
        return wait_for(
            lambda: row if (row := self.row(run_id)).state in states else None, f"for {run_id} {states}", seconds
        )

    def ended(self, run_id: str) -> RunRow:
        return self.state(run_id, *ENDED)

    def call(self, request: Any) -> Any:
        return self.client.call(request)

    def lines(self, run_id: str, name: str) -> list[dict[str, Any]]:
        return rundir.read(self.workspace.run(run_id) / name)

    @property
    def pid(self) -> int:
        return self.client.call(GetStatus()).status.pid

    def crash(self) -> None:
        """Kill -9 the engine; the next call starts another."""
        pid = self.pid
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not alive(pid), "for the engine's death")
        self.client.close()
        self._client = None

    def close(self) -> None:
        """End what runs, and the engine: where nothing does it is killed, as its farewell takes a sixth of a test."""
        try:
            with connect(self.workspace, start=self._anything_lives()) as client:
                asked = client._sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
                pid = struct.unpack("3i", asked)[0]  # by the engine's status it would load what only that needs
                rows = client.call(ListRuns()).rows
                for row in rows:
                    if row.pid and row.state not in ENDED:
                        with contextlib.suppress(ProcessLookupError, PermissionError):
                            os.killpg(row.pid, signal.SIGKILL)
                if all(row.state in ENDED for row in rows):
                    os.kill(pid, signal.SIGKILL)
                else:
                    client.call(Down(stop_runs=True))
                wait_for(lambda: not alive(pid), "for the engine to end")
        except EngineDown:
            pass
        if self._client is not None:
            self._client.close()

    def _anything_lives(self) -> bool:
        locks = (rundir.TRAINER_LOCK, rundir.SUPERVISOR_LOCK)
        return any(rundir.held(path) for name in locks for path in self.workspace.runs.glob(f"*/{name}"))


def alive(pid: int) -> bool:
    """Tell whether a process lives; a zombie, which nobody has reaped yet, does not."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """runs.duckdb as a store leaves it where there are no runs: made once, as its 250 comments take 0.2 s."""
    from engine.store import Store

    workspace = Workspace(tmp_path_factory.mktemp("empty"))
    workspace.prepare()
    Store(workspace).catch_up().check()
    return workspace.database


@pytest.fixture
def database(workspace: Workspace, empty_database: Path) -> Path:
    """The workspace's database, still empty."""
    return Path(shutil.copy(empty_database, workspace.database))


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


@pytest.fixture
def box(workspace: Workspace, database: Path, nursery: Nursery, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    """A real engine with two CPU slots, in a workspace where one has been before."""
    monkeypatch.setenv("ENGINE_CPU_SLOTS", "2")
    made = Box(workspace, nursery)
    yield made
    made.close()
