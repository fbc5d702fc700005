"""One round: some runs, some misfortunes at random moments, then quiet; the seed decides which and when."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine import rundir
from engine.errors import EngineError
from engine.messages import ListRuns, Order, Retry, Submit
from engine.records import ENDED, Spec
from tests.chaos import truth
from tests.chaos.place import HERE, PYTHON, Place, holder, kill, reap

QUIET = 300.0
"""Seconds until everything must have ended once the misfortunes are over; a start that came to nothing takes 10.

So many because a round may be played on a machine that others use too: starved, 90 were too few now and then.
"""
MANNERS = ("plain", "plain", "plain", "mute", "fail", "oom", "deaf", "stray")
HALVES = (b'{"t":17', b'{"event":"exi', b"\x00\x00\x00", b'{"t":1,"order":"stop"}')
CLOCKS = (-86_400, -3600, -30, 0, 45, 3600, 40 * 86_400)


class Failure(Exception):
    """The engine's story is not the truth."""


class Round:
    """A round in a place where others were before; `answered` is shared by all of a campaign."""

    def __init__(self, place: Place, seed: str, answered: dict[str, str]) -> None:
        self.place = place
        self.random = random.Random(seed)
        self.answered = answered
        self.did: list[str] = []

    def play(self) -> None:
        """Raise Failure with everything that is wrong afterwards."""
        for _ in range(self.random.randint(1, 3)):
            self.submit()
        acts: list[Callable[[], None]] = [
            self.submit, self.order, self.kill_engine, self.kill_engine, self.kill_supervisor, self.kill_supervisor,
            self.kill_trainer, self.kill_group, self.kill_all, self.full_disk, self.read_only, self.hold_database,
            self.tear, self.clock, self.retry,
        ]  # fmt: skip
        for _ in range(self.random.randint(1, 4)):
            time.sleep(self.random.choice((0.0, 0.01, 0.05, 0.2)) * self.random.random())
            self.random.choice(acts)()
        self.settle()
        if found := truth.faults(self.place, self.answered):
            raise Failure("; ".join(found))

    # -- what people do -----------------------------------------------------------------------------------------------

    def submit(self) -> None:
        dice = self.random
        manner, steps = dice.choice(MANNERS), dice.choice((1, 10, 60))
        command = (PYTHON, "-S", str(HERE / "trainer.py"), str(self.place.ledger), str(steps), "0.004", manner)
        if manner != "mute":  # msgspec lies in site-packages, which -S leaves out
            command = (PYTHON, *command[2:])
        fields = {"gpus": dice.choice((0, 1, 1, 2)), "grace": 0.3, "priority": dice.choice((0, 0, 5))}
        spec = Spec(family="exec", command=command, cwd="/", **fields)
        row = self.ask(Submit(spec=spec, environment=dict(os.environ)))
        if row is not None:
            self.answered[row.row.id] = manner
        self.did.append(f"submit {manner} on {fields['gpus']} -> {row.row.id if row else 'no answer'}")

    def ask(self, request: object) -> object | None:
        """Ask; None where the engine died of it, or could not do it just now."""
        try:
            return self.place.call(request)
        except EngineError as error:
            self.did.append(f"{type(request).__name__}: {error}")
            return None

    def order(self) -> None:
        if self.answered:
            order = Order(
                run=self.random.choice([*self.answered]), order=self.random.choice(("stop", "kill", "tag")), value="x"
            )
            self.did.append(f"{order.order} {order.run}")
            self.ask(order)

    def retry(self) -> None:
        if self.answered:
            run = self.random.choice([*self.answered])
            self.did.append(f"retry {run}")
            if (row := self.ask(Retry(run=run, environment=dict(os.environ)))) is not None:
                self.answered[row.row.id] = "retry"

    # -- what befalls -------------------------------------------------------------------------------------------------

    def kill_engine(self) -> None:
        if pid := self.place.engine():
            self.did.append("kill -9 the engine")
            kill(pid, signal.SIGKILL)

    def kill_supervisor(self) -> None:
        if pids := self.place.supervisors():
            self.did.append("kill -9 a supervisor")
            kill(self.random.choice(pids), signal.SIGKILL)

    def kill_trainer(self) -> None:
        if living := self.place.begun():
            pid, run = self.random.choice(living)
            self.did.append(f"kill -9 a process of {run}")
            kill(pid, signal.SIGKILL)

    def kill_group(self) -> None:
        if living := self.place.begun():
            pid, run = self.random.choice(living)
            self.did.append(f"kill -9 the group and the supervisor of {run}")
            if supervisor := holder(self.place.workspace.run(run) / rundir.SUPERVISOR_LOCK):
                kill(supervisor, signal.SIGKILL)
            kill(pid, signal.SIGKILL, group=True)

    def kill_all(self) -> None:
        self.did.append("kill -9 everybody")
        engine = self.place.engine()
        if engine:
            kill(engine, signal.SIGSTOP)
        for pid in (*self.place.supervisors(), *(pid for pid, _ in self.place.begun()), *([engine] if engine else ())):
            kill(pid, signal.SIGKILL)

    def full_disk(self) -> None:
        if self.place.fill():
            self.did.append("full disk")
            self.meanwhile()
            self.place.empty()

    def read_only(self) -> None:
        if self.place.lock_up(True):
            self.did.append("read-only")
            self.meanwhile()
        self.place.lock_up(False)

    def meanwhile(self) -> None:
        """Let something happen while it lasts."""
        self.random.choice((self.submit, self.order, self.kill_engine, self.kill_supervisor, self.kill_trainer))()
        time.sleep(0.3 * self.random.random())

    def hold_database(self) -> None:
        import duckdb

        try:
            con = duckdb.connect(str(self.place.workspace.database), read_only=True)
        except duckdb.Error:
            return
        self.did.append("hold the database")
        with con:
            self.meanwhile()

    def clock(self) -> None:
        seconds = self.random.choice(CLOCKS)
        self.did.append(f"clock {seconds:+}")
        self.place.move_clock(seconds)

    def tear(self) -> None:
        """Leave half a line in a file whose writer is dead, as a power cut would."""
        with self.dead_engine() as folders:
            for folder in folders:
                files = [rundir.ORDERS]
                if not rundir.held(folder / rundir.SUPERVISOR_LOCK) and (folder / rundir.LIFECYCLE).exists():
                    files.append(rundir.LIFECYCLE)
                if not rundir.held(folder / rundir.TRAINER_LOCK) and (folder / rundir.METRICS).exists():
                    files += [rundir.METRICS, rundir.EVENTS]
                name = self.random.choice(files)
                self.did.append(f"tear {folder.name}/{name}")
                with (folder / name).open("ab", buffering=0) as file:
                    file.write(
                        self.random.choice((b'{"t":17', b'{"event":"exi', b"\x00\x00\x00", b'{"t":1,"order":"stop"}'))
                    )

    @contextmanager
    def dead_engine(self) -> Iterator[list]:
        self.kill_engine()
        give_up = time.monotonic() + 5
        while self.place.engine() and time.monotonic() < give_up:
            time.sleep(0.002)
        folders = [f for f in self.place.folders() if not rundir.held(f / rundir.SUPERVISOR_LOCK)][-3:]
        try:
            yield [] if self.place.engine() else folders
        except OSError:
            pass  # the file can't be written just now

    # -- quiet --------------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """End the misfortunes and wait until every run has ended. Raises Failure if that does not come."""
        self.place.empty()
        self.place.lock_up(False)
        give_up = time.monotonic() + QUIET
        trouble = ""
        while True:
            reap()
            try:
                rows = self.place.call(ListRuns()).rows
            except EngineError as error:
                trouble = f"no engine answers: {error}"
            else:
                waiting = [f"{row.id} is {row.state}: {row.reason}" for row in rows if row.state not in ENDED]
                trouble = "; ".join(waiting)
                if not waiting:
                    return
            if time.monotonic() > give_up:
                raise Failure(f"after {QUIET:g} s of quiet: {trouble}")
            time.sleep(0.03)
