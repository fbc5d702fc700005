"""`engine ls` from an engine that runs, as finished text: asked so often that even msgspec and pathlib are too slow.

Whatever is out of the ordinary (no engine, an older one, an error, another kind of list) is left to engine.cli.ls.
"""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING

from engine.cli import table, talk

if TYPE_CHECKING:
    from collections.abc import Sequence

OTHER = ("--json", "--help", "-h", "--sql")
"""What makes it another kind of list at once."""


def ls(args: Sequence[str]) -> bool:
    """List the runs; False if that is not for this to do, and nothing was written."""
    if any(word in OTHER for word in args) or "TZ" in os.environ:  # the engine tells times of day by its own clock
        return False
    asked = {"type": "list_text", "args": [*args], "width": table.width(), "colour": talk.colour()}
    try:
        reply = json.loads(_ask(json.dumps(asked).encode() + b"\n"))
    except (OSError, ValueError):
        return False
    if reply.get("type") != "listed":
        return False
    talk.out(reply["text"])
    for line in reply.get("said", ()):
        talk.say(line)
    return True


def _ask(line: bytes) -> bytes:
    """Give the engine's answer; see engine.workspace for where it listens. Raises OSError."""
    home = os.path.join(os.getcwd(), os.path.expanduser(os.environ.get("ENGINE_HOME") or ""))
    path = os.environ.get("ENGINE_SOCKET") or os.path.join(home, "runs", ".engine", "engine.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as engine:
        engine.connect(path)
        engine.sendall(line)
        parts = []
        while part := engine.recv(1 << 18):
            parts.append(part)
            if part.endswith(b"\n"):
                break
        return b"".join(parts)
