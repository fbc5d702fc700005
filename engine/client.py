"""Talk to the workspace's engine: one question, one answer; or watch what changes. Starts the engine when asked to."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from engine.errors import EngineDown, EngineError, EngineStarting, by_name
from engine.messages import (
    Bring,
    Changed,
    Down,
    DryRun,
    Failed,
    Hello,
    Note,
    Order,
    QueueOrder,
    Rebuild,
    Rehearsed,
    Reply,
    Request,
    Retry,
    Snapshot,
    Submit,
    Watch,
    decode_reply,
)
from engine.records import encode
from engine.workspace import Workspace

READING = 300.0
"""Seconds that a daemon of ours may say nothing."""
PATIENCE = 20.0
"""Seconds a new engine has until it answers."""


class Client:
    """A connection. Not for use from several threads at once; a watch needs one of its own."""

    def __init__(self, sock: socket.socket) -> None:
        self.rehearse: Callable[[Sequence[str]], None] | None = None
        """Where set, no wish is carried out: this is told what would happen, and what would be answered is given."""
        self.rehearsed: Rehearsed | None = None
        """The last rehearsal as it was answered."""
        self._sock = sock
        self._file = sock.makefile("rb", buffering=1 << 16)

    def call(self, request: Request) -> Reply:
        """Ask and wait. Raises what the engine raised (a class of engine.errors), EngineDown if it went away."""
        if self.rehearse is not None and isinstance(request, Submit | Order | Retry | QueueOrder | Bring | Down):
            reply = self._ask(DryRun(request, plan=isinstance(request, Submit)))
            assert isinstance(reply, Rehearsed)
            self.rehearsed = reply
            self.rehearse(reply.told)
            return reply.reply
        assert self.rehearse is None or not isinstance(request, Note | Rebuild), "a dry run changes nothing"
        return self._ask(request)

    def _ask(self, request: Request) -> Reply:
        return self._read(self._answer(request))

    def _answer(self, request: Request) -> bytes:
        try:
            self._sock.sendall(encode(request))
            return self._file.readline()
        except OSError as error:
            raise EngineDown(f"The engine went away ({error.strerror or error}). Try again.") from None

    def watch(self, every: float = 0.25, hold: Callable[[], object] | None = None) -> Iterator[Snapshot | Changed]:
        """Give everything once, then what changes, until the engine ends (EngineDown).

        hold: called when everything has come and before it is looked at, which takes a while of 10,000 runs.
        """
        line = self._answer(Watch(every))
        if hold is not None:
            hold()
        first = self._read(line)
        while isinstance(first, Snapshot | Changed):
            yield first
            try:
                first = self._read(self._file.readline())
            except OSError as error:
                raise EngineDown(f"The engine went away ({error.strerror or error}).") from None

    def _read(self, line: bytes) -> Reply:
        if not line.endswith(b"\n"):
            raise EngineDown("The engine went away in the middle of an answer. Try again.")
        reply = decode_reply(line)
        if isinstance(reply, Failed):
            raise by_name(reply.error)(reply.text)
        return reply

    def close(self) -> None:
        """Hang up; a watch in another thread then ends with EngineDown."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._file.close()
        self._sock.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _unheard(_: str) -> None:
    pass


def connect(workspace: Workspace, *, start: bool = True, told: Callable[[str], None] = _unheard) -> Client:
    """Reach the engine of a workspace, starting it if need be. Raises EngineDown, or why it could not start.

    One that still reads its runs, as all 10,000 of them after an upgrade, is waited for, and `told` hears every other
    second how far it is; without start that raises EngineStarting.
    """
    while True:
        try:
            client = _try(workspace)
            break
        except EngineStarting as error:
            if not start:
                raise
            told(str(error))
    if client is None and start:
        client = _start(workspace, told)
    if client is None:
        raise EngineDown(f"No engine runs in {workspace.root}. `engine up` starts it.")
    return client


def _try(workspace: Workspace) -> Client | None:
    """Reach an engine that answers; a socket file, or even one that still listens, may belong to a dying one."""
    path = os.fspath(workspace.socket)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        return None
    client = Client(sock)
    try:
        client.call(Hello())
    except Exception as error:  # what it answers may be no reply at all
        client.close()
        if isinstance(error, EngineDown):
            return None
        raise
    return client


def _start(workspace: Workspace, told: Callable[[str], None]) -> Client | None:
    """Start a daemon and wait until it answers. Two clients may do so at once: the second daemon gives way.

    posix_spawn and not Popen: the daemon outlives us on purpose, and subprocess (14 ms) is imported by nobody else.
    """
    workspace.prepare()
    env = {name: value for name, value in os.environ.items() if name != "ENGINE_RUN"}
    try:
        log = os.open(workspace.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise workspace.unusable(error) from None
    begin = os.fstat(log).st_size
    command = [sys.executable, "-m", "engine.daemon", "--home", str(workspace.root)]
    files = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), *((os.POSIX_SPAWN_DUP2, log, fd) for fd in (1, 2))]
    try:
        pid = os.posix_spawn(sys.executable, command, env, file_actions=files, setsid=True)
    finally:
        os.close(log)
    ended = False
    begun = time.monotonic()
    while time.monotonic() - begun < (PATIENCE if ended else READING):
        try:
            if (client := _try(workspace)) is not None:
                return client
        except EngineStarting as error:
            told(str(error))
            begun = time.monotonic()
        if not ended:
            done, status = os.waitpid(pid, os.WNOHANG)
            ended = bool(done)
            if ended and (code := os.waitstatus_to_exitcode(status)) not in (0, EngineDown.exit_code):
                raise _why(workspace, begin, code)
        time.sleep(0.01)
    return None


def _why(workspace: Workspace, begin: int, code: int) -> EngineError:
    with open(workspace.log, "rb") as log:
        log.seek(begin)
        lines = log.read().decode(errors="replace").strip().splitlines()
    said = [line for line in lines if line.startswith("engine: ")]
    text = said[-1].removeprefix("engine: ") if said else f"The engine could not start; see {workspace.log}."
    kinds = [EngineError]
    for kind in kinds:
        if kind.exit_code == code and kind is not EngineError:
            return kind(text)
        kinds += kind.__subclasses__()
    return EngineError(text)
