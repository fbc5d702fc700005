"""Keeps a World up to date from the engine in a thread of its own, and heals the connection when it breaks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from engine.client import Client, connect
from engine.errors import EngineDown, EngineError
from engine.messages import Ok, Reply, Request, Sync
from engine.workspace import Workspace
from tui import faults
from tui.world import AWAY, CONNECTED, CONNECTING, Link, World

BACK_OFF = (0.2, 0.5, 1.0, 2.0, 4.0, 5.0)
"""Seconds before each new try; the last one is repeated."""


class Feed:
    """Calls `publish` in its thread with every new World; call run() in a thread, shown() and stop() from any.

    may_start: start an engine at the first connection, or when start_engine() was called. Afterwards a lost engine is
    waited for and not started, because somebody may have taken it down on purpose.
    """

    def __init__(self, workspace: Workspace, publish: Callable[[World], None], *, may_start: bool) -> None:
        self.workspace = workspace
        self._publish = publish
        self._start = may_start
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._shown = threading.Event()
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._no_start = ""
        """Why an engine could not be started; says more than that there is none."""
        self._world = World(Link(CONNECTING, since=time.time()))

    def run(self) -> None:
        """Connect, watch, and again, until stop()."""
        failures = 0
        while not self._stop.is_set():
            try:
                failures = self._follow(failures)
            except EngineError as error:
                lost = error
            except (OSError, ValueError) as error:  # a socket path that can't be used, an answer that is none
                lost = EngineDown(f"The engine can't be reached: {error}")
            except Exception as error:  # the edge of this thread: tried again, as if the engine were away
                lost = EngineDown(faults.said(error))
            else:
                lost = EngineDown("The engine closed the connection.")
            if self._stop.is_set():
                return
            wait = BACK_OFF[min(failures, len(BACK_OFF) - 1)]
            failures += 1
            now = time.time()
            why = self._no_start or str(lost)
            since = self._world.link.since if self._world.link.state == AWAY else now
            self._tell(self._world.linked(Link(AWAY, why, since, now + wait)))
            self._wake.wait(wait)
            self._wake.clear()

    def _follow(self, failures: int) -> int:
        """One connection from start to end. Returns how many failures to count when it ends without an error."""
        client = self._reach()
        self._no_start = ""
        with self._lock:
            self._client = client
        try:
            for message in client.watch(hold=self._shown.wait):
                if self._stop.is_set():
                    break
                world, why = self._world.told(message), self._amiss()
                if (world.link.state, world.link.why) != (CONNECTED, why):
                    world = world.linked(Link(CONNECTED, why, since=time.time()))
                self._tell(world)
                failures = 0
        except EngineDown:
            if self._world.link.state == CONNECTED:
                failures = 0  # it had been well: try again at once
            raise
        finally:
            with self._lock:
                self._client = None
            client.close()
        return failures

    def _amiss(self) -> str:
        """Why an engine that answers does not help: it does so too where its folder was taken away."""
        root = self.workspace.root
        return "" if root.is_dir() else f"The workspace is gone, this is what was known of it: {root}"

    def _reach(self) -> Client:
        """An engine that runs is asked before anything is on the screen, and has answered by then; one that has to be
        started is not: nobody should wait for it to see the screen."""
        if not self._shown.is_set():
            try:
                client = connect(self.workspace, start=False)
            except (EngineError, OSError, ValueError):  # tried again, and told, once there is a screen
                self._shown.wait()
            else:
                self._start = False
                return client
        start, self._start = self._start, False
        if start:
            self._tell(self._world.linked(Link(CONNECTING, since=time.time())))
        try:
            return connect(self.workspace, start=start, told=self._coming_up)
        except EngineError as error:
            self._no_start = str(error) if start else self._no_start
            raise

    def _coming_up(self, text: str) -> None:
        self._tell(self._world.linked(Link(CONNECTING, text, since=self._world.link.since)))

    def shown(self) -> None:
        """There is a screen: nothing is told before."""
        self._shown.set()

    def _tell(self, world: World) -> None:
        self._shown.wait()
        self._world = world
        self._publish(world)

    def start_engine(self) -> None:
        """Try again now, starting an engine if there is none."""
        self._start = True
        self._wake.set()

    def stop(self) -> None:
        """End run() soon."""
        self._stop.set()
        self._wake.set()
        self._shown.set()
        with self._lock:
            if self._client is not None:
                self._client.close()


def ask(workspace: Workspace, request: Request) -> Reply:
    """One question over a connection of its own. Blocks: call it in a worker. Raises engine.errors."""
    with connect(workspace, start=False) as client:
        return client.call(request)


def up_to_date(workspace: Workspace) -> str:
    """Have the engine write what is new; why it may not have, "" when all is well."""
    try:
        reply = ask(workspace, Sync())
    except Exception as error:  # the edge of a worker: what the database holds already is shown in any case
        return faults.said(error)
    return reply.text if isinstance(reply, Ok) else ""


def ask_all(workspace: Workspace, requests: Sequence[Request]) -> Reply:
    """Many wishes over one connection, each tried. Raises EngineError that tells those that were refused."""
    refused: list[str] = []
    with connect(workspace, start=False) as client:
        for request in requests:
            try:
                client.call(request)
            except EngineDown:
                raise
            except EngineError as error:
                refused.append(str(error))
    if refused:
        done = len(requests) - len(refused)
        more = f" And {len(refused) - 3:,} more." if len(refused) > 3 else ""
        raise EngineError(f"{done:,} of {len(requests):,} done. {' '.join(refused[:3])}{more}")
    return Ok()
