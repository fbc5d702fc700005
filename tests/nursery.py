"""Engines forked off a process that has imported what every engine imports: most of the time that their start takes.

What runs is `python -m engine.daemon --home ...`, from its first line on; done before is Python's own start, and the
imports. Where something is asked for that counts only at a start (a library to load first, a language, a time zone),
nothing is forked. Of how an engine is started by whoever needs one, tests/engine/test_daemon.py and the tests of the
command line tell.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
AT_START = ("GLIBC", "LANG", "LC_", "LD_", "MALLOC", "PYTHON", "TZ")
"""How the names of variables begin that are read when a process starts, and never again."""


def _at_start(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(AT_START)}


class Nursery:
    """The process that forks; started at the first wish, it ends with the process that made it."""

    def __init__(self) -> None:
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, home: Path, log: Path) -> bool:
        """Start an engine with our environment, its words going to `log`; whether that can be done by forking."""
        environment = {name: value for name, value in os.environ.items() if name != "ENGINE_RUN"}
        if _at_start(environment) != _at_start(self.environment):
            return False
        if self._process is None:
            self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                command = [sys.executable, "-m", "tests.nursery"]
                self._process = subprocess.Popen(command, stdin=theirs, cwd=ROOT, env=self.environment)
        wish = json.dumps({"home": str(home), "environment": environment, "cwd": os.getcwd()})
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            socket.send_fds(self._ours, [wish.encode()], [descriptor])
        finally:
            os.close(descriptor)
        return True

    def close(self) -> None:
        if self._process is not None:
            self._ours.close()
            self._process.wait()


def main() -> None:
    """Fork an engine for every wish, until there is nobody left to have one."""
    from engine.daemon import come_in

    come_in()
    signal.signal(signal.SIGCHLD, _bury)
    wishes = socket.socket(fileno=os.dup(0))
    while True:
        told, descriptors, _flags, _from = socket.recv_fds(wishes, 1 << 18, 1)
        if not told:
            return
        if os.fork() == 0:
            wishes.close()
            _be_an_engine(descriptors[0], **json.loads(told))
        os.close(descriptors[0])


def _bury(*_: object) -> None:
    """Nobody else waits for an engine that has ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _be_an_engine(log: int, home: str, environment: dict[str, str], cwd: str) -> NoReturn:
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        null = os.open(os.devnull, os.O_RDONLY)
        for opened, number in ((null, 0), (log, 1), (log, 2)):
            os.dup2(opened, number)
        os.close(null)
        os.close(log)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv[1:] = ["--home", home]
        with contextlib.suppress(SystemExit):
            runpy.run_module("engine.daemon", run_name="__main__", alter_sys=True)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
