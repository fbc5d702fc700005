"""The engine's socket: one JSON line a message, answered in order; watchers are sent what changed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import struct
import time
from typing import TYPE_CHECKING

import msgspec

from engine.bring import take_in
from engine.devices import Sample
from engine.errors import EngineError, StoreError, UsageError
from engine.messages import (
    VERSION,
    Bring,
    Changed,
    Down,
    DryRun,
    Failed,
    GetPlan,
    GetSample,
    GetStatus,
    Hello,
    ListRuns,
    ListText,
    Note,
    Ok,
    Order,
    PlanReply,
    Queued,
    QueueOrder,
    Rebuild,
    Rehearsed,
    Reply,
    Request,
    Retry,
    SampleReply,
    ShowRun,
    Snapshot,
    StatusReply,
    Submit,
    Sync,
    Watch,
    decode_request,
)
from engine.plan import plan
from engine.records import EngineStatus, RunRow, encode
from engine.rehearsal import Rehearsal, copy_world
from engine.sampler import slots

if TYPE_CHECKING:
    from engine.core import Daemon

log = logging.getLogger("engine")
PATIENCE = 2.0
"""Seconds that somebody waits for an engine that comes up before he is told how far it is."""
LIMIT = 64 << 20
"""Bytes of the longest request line: a spec with its patch."""


class Watcher:
    """What one watching client has not been told yet."""

    def __init__(self) -> None:
        self.rows: dict[str, RunRow] = {}
        self.sample: Sample | None = None
        self.status: EngineStatus | None = None
        self.news = asyncio.Event()

    def take(self) -> Changed:
        message = Changed(rows=tuple(self.rows.values()), sample=self.sample, status=self.status)
        self.rows, self.sample, self.status = {}, None, None
        self.news.clear()
        return message


class Server:
    """Listens on the workspace's socket; the daemon decides, this only speaks."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.watchers: set[Watcher] = set()
        self.talks: set[asyncio.Task[None]] = set()
        self.listening: asyncio.Server | None = None

    async def start(self) -> None:
        path = self.daemon.workspace.socket
        with contextlib.suppress(FileNotFoundError):
            path.unlink()  # left by an engine that was killed; we hold the lock
        mask = os.umask(0o177)
        try:
            self.listening = await asyncio.start_unix_server(self.accept, path, limit=LIMIT, backlog=256)
        finally:
            os.umask(mask)

    async def stop(self) -> None:
        if self.listening is not None:
            self.listening.close()
        for talk in self.talks:
            talk.cancel()
        await asyncio.gather(*self.talks, return_exceptions=True)
        with contextlib.suppress(FileNotFoundError):
            self.daemon.workspace.socket.unlink()

    def push(self, *, sample: Sample | None = None, status: EngineStatus | None = None) -> None:
        """Give every watcher the news; it is sent when its turn comes."""
        if not self.watchers:
            return
        rows = self.daemon.readings.news()
        if not rows and sample is None and status is None:
            return
        if rows and status is None:
            status = self.daemon.status()
        for watcher in self.watchers:
            watcher.rows.update((row.id, row) for row in rows)
            watcher.sample = sample or watcher.sample
            watcher.status = status or watcher.status
            watcher.news.set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self.talks.add(task)
            task.add_done_callback(self.talks.discard)
        try:
            if foreign_user(writer):
                return
            await self.talk(reader, writer)
        except (ConnectionError, asyncio.LimitOverrunError, ValueError, asyncio.CancelledError):
            pass  # the client is gone, or sent no line of ours
        finally:
            writer.close()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        rehearsal: Rehearsal | None = None
        while line := await reader.readline():
            if not self.daemon.up.is_set() and (said := await self.not_yet()):
                writer.write(encode(Failed("EngineStarting", said)))
                await writer.drain()
                continue
            try:
                request = decode_request(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                writer.write(encode(Failed("UsageError", f"The engine does not understand this request: {error}")))
                await writer.drain()
                continue
            if isinstance(request, Watch):
                await self.stream(request, writer)
                return
            if isinstance(request, DryRun):
                rehearsal = rehearsal or Rehearsal(self.daemon)
                writer.write(encode(await self.rehearse(rehearsal, request)))
            else:
                writer.write(encode(await self.answer(request)))
            await writer.drain()
            if isinstance(request, Down):
                self.daemon.over.set()

    async def not_yet(self) -> str:
        """Wait a while for the engine to know all its runs; say how far it is, or nothing once it does."""
        try:
            await asyncio.wait_for(self.daemon.up.wait(), PATIENCE)
        except TimeoutError:
            known, of = self.daemon.loaded
            return f"The engine comes up: it has read {known:,} of {of:,} runs." if of else "The engine comes up."
        return ""

    async def stream(self, watch: Watch, writer: asyncio.StreamWriter) -> None:
        daemon, watcher = self.daemon, Watcher()
        writer.write(
            encode(
                Snapshot(
                    rows=daemon.readings.all_rows(),
                    sample=daemon.sample,
                    history=tuple(daemon.history),
                    status=daemon.status(),
                )
            )
        )
        self.watchers.add(watcher)
        try:
            await writer.drain()
            while True:
                await watcher.news.wait()
                writer.write(encode(watcher.take()))
                await writer.drain()
                await asyncio.sleep(max(0.02, watch.every))
                for run_id in [*daemon.world.live]:
                    with daemon.troubles.apart(run_id):
                        if daemon.follow(daemon.world.runs[run_id]):
                            daemon.readings.stale.add(run_id)
                self.push()
        finally:
            self.watchers.discard(watcher)

    async def plan(self) -> PlanReply:
        """Play the queue forward on a copy, beside the event loop: a long queue takes a while."""
        daemon = self.daemon
        world = copy_world(daemon.world)
        made = await asyncio.to_thread(plan, world, slots(daemon.sample), time.time(), daemon.readings.names)
        return PlanReply(made)

    async def rehearse(self, rehearsal: Rehearsal, request: DryRun) -> Reply:
        try:
            found = rehearsal.rehearse(request.wish)
        except EngineError as error:
            return Failed(type(error).__name__, str(error))
        if request.plan and isinstance(found.reply, Queued) and found.reply.needed:
            # Beside the event loop: a long queue takes a while. Nobody else touches this rehearsal meanwhile.
            turn = await asyncio.to_thread(rehearsal.turn, found.reply.row.id)
            return Rehearsed((*found.told, *rehearsal.said(turn)), found.reply, turn)
        return found

    async def answer(self, request: Request) -> Reply:
        try:
            return await self._answer(request)
        except EngineError as error:
            return Failed(type(error).__name__, str(error))
        except Exception as error:  # one request's fault must not end the talk with everybody
            log.exception("%s", type(request).__name__)
            told = f"{type(error).__name__}: {error}. This is a fault of the engine"
            return Failed("EngineError", f"{told}; its log is {self.daemon.workspace.log}.")

    async def _answer(self, request: Request) -> Reply:
        daemon = self.daemon
        match request:
            case Hello():
                if request.version > VERSION:
                    raise UsageError("The engine that runs is older than this program: `engine down`, then try again.")
                return Ok()
            case Submit():
                return daemon.wishes.submit(request)
            case Retry():
                return daemon.wishes.retry(request)
            case Bring():
                return take_in(daemon, request)
            case Order():
                return daemon.wishes.order(request)
            case QueueOrder():
                return Ok(daemon.wishes.order_queue(request))
            case ListRuns():
                return daemon.readings.listed(request)
            case ListText():
                from engine.cli import ls  # a command's own module: asked for by those who list as text

                return ls.listed(request, daemon.readings.listed)
            case ShowRun():
                return daemon.readings.detail(request.run)
            case GetPlan():
                return await self.plan()
            case GetStatus():
                return StatusReply(daemon.status())
            case GetSample():
                return SampleReply(daemon.sample)
            case Sync():
                state = await daemon.keeper.sync()
                if state["store_error"]:
                    raise StoreError(state["store_error"])
                return Ok(f"held by {state['store_holder']}" if state["store_holder"] else "")
            case Rebuild():
                return Ok(f"{await daemon.keeper.rebuild():,} rows")
            case Note():
                daemon.note(request)
                return Ok()
            case Down():
                live = len(daemon.world.live)
                if request.stop_runs:
                    await daemon.drain()
                    return Ok(f"{live} stopped")
                return Ok(f"{live} go on")
        raise UsageError("A watch is answered on a connection of its own.")


def foreign_user(writer: asyncio.StreamWriter) -> bool:
    """Tell whether the other end belongs to another user (the folder is private; this is the second lock)."""
    sock = writer.get_extra_info("socket")
    if not hasattr(socket, "SO_PEERCRED"):
        return False
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return uid not in (0, os.getuid())
