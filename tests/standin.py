"""A stand-in for ssh: a real program on PATH that runs the command here, in the home of another machine.

It knows the options we use and no others, refuses a host called `nowhere` as ssh does, and forwards sockets.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest  # 0.2 s of CPU time, at every call of what stands in for ssh


def install(folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put it first on PATH; commands run in `home`. Gives the file that tells every call's arguments."""
    place = folder / "bin"
    place.mkdir()
    (place / "ssh").write_text(f"#!{sys.executable}\nimport runpy\nrunpy.run_path({__file__!r}, run_name='__main__')\n")
    (place / "engine").write_text(f'#!/bin/sh\nexec {sys.executable} -m engine.cli.main "$@"\n')
    for name in ("ssh", "engine"):
        (place / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("STANDIN_HOME", str(home))
    monkeypatch.setenv("STANDIN_CALLS", str(folder / "calls"))
    return folder / "calls"


def main(args: list[str]) -> int:
    with open(os.environ["STANDIN_CALLS"], "a") as calls:
        calls.write(repr(args) + "\n")
    forward, quiet = "", False
    while args and args[0].startswith("-"):
        option = args.pop(0)
        if option == "-o":
            args.pop(0)
        elif option == "-L":
            forward = args.pop(0)
        elif option == "-N":
            quiet = True
        elif option not in ("-T", "-t"):
            print(f"unknown option {option}", file=sys.stderr)
            return 255
    host = args.pop(0)
    if host == "nowhere":
        print(f"ssh: Could not resolve hostname {host}: Name or service not known", file=sys.stderr)
        return 255
    if quiet:
        return proxy(*forward.split(":"))
    # Another machine knows nothing of our environment but what its own shell sets.
    env = {name: value for name, value in os.environ.items() if not name.startswith("ENGINE_")}
    env["ENGINE_CPU_SLOTS"] = "2"
    return subprocess.run(["sh", "-c", " ".join(args)], cwd=os.environ["STANDIN_HOME"], env=env).returncode


def proxy(here: str, there: str) -> int:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(here)
    listening.listen()
    while True:
        one, _ = listening.accept()
        other = socket.socket(socket.AF_UNIX)
        try:
            other.connect(there)
        except OSError:
            one.close()
            continue
        for a, b in ((one, other), (other, one)):
            threading.Thread(target=pump, args=(a, b), daemon=True).start()


def pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
    except OSError:
        pass
    for sock in (source, target):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
