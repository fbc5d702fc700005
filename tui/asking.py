"""How the program asks: in workers, whose answers come back to its own thread, and whose faults are told there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from textual.worker import Worker, WorkerState

from engine.messages import Reply, Request
from engine.workspace import Workspace
from tui import faults
from tui.feed import ask
from tui.inorder import InOrder

T = TypeVar("T")


class Asking(InOrder):
    """An app of one workspace."""

    workspace: Workspace
    readonly: bool

    def refuse(self) -> bool:
        """Say so when nothing may be changed."""
        if self.readonly:
            self.notify("This is tui --readonly: nothing can be changed here.", severity="warning")
        return self.readonly

    def send(self, request: Request, said: str) -> None:
        """Send an order; the screen changes when the engine tells that it has happened."""
        self.ask(request, lambda _: self.notify(said, timeout=3))

    def ask(self, request: Request, then: Callable[[Reply], None], failed: Callable[[], object] | None = None) -> None:
        """Ask the engine in a worker; `then` gets the answer here, a refusal is shown."""
        self.in_worker(partial(ask, self.workspace, request), then, failed)

    def in_worker(
        self, work: Callable[[], T], then: Callable[[T], None], failed: Callable[[], object] | None = None
    ) -> None:
        """failed: called after a fault was told, for who would else wait for an answer for good."""

        def refused(said: str) -> None:
            self.notify(said, severity="error", timeout=8)
            if failed is not None:
                failed()

        def run() -> None:
            try:
                reply = work()
            except Exception as error:  # the edge of a worker
                self.back(partial(refused, faults.said(error)))
            else:
                self.back(partial(then, reply))

        self.run_worker(run, group="asks", thread=True, exit_on_error=False)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Tell what a worker could not tell itself: a fault where its answer was taken up, too.

        Textual tells who started it, and nobody else: screens and panes hand it on.
        """
        if event.state == WorkerState.ERROR and event.worker.error is not None and self.is_running:
            self.notify(faults.said(event.worker.error), severity="error", timeout=8)

    def back(self, call: Callable[[], object]) -> None:
        """Call something in the app's thread, from a worker; not any more when the app ends."""
        if self.is_running:
            self.call_from_thread(call)
