"""What the TUI remembers from one time to the next: a small JSON file in the user's state folder.

Losing it loses nothing but looks: a file that can't be read is told once and begun anew, one that can't be written
is told and left.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

NAME = "tui.json"


def folder() -> Path:
    """$XDG_STATE_HOME/paddock, or ~/.local/state/paddock."""
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if state else Path.home() / ".local" / "state") / "paddock"


class Settings:
    """Values by name, JSON ones. get() never fails; put() gives what went wrong, "" when nothing did."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or folder() / NAME
        self.trouble = ""
        """Why the file was not read."""
        self._values: dict[str, Any] = {}
        try:
            read = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            self.trouble = f"{self.path} can't be read ({error}); the looks it kept are forgotten."
            return
        if isinstance(read, dict):
            self._values = read
        else:
            self.trouble = f"{self.path} holds no JSON object; the looks it kept are forgotten."

    def get(self, name: str, default: Any) -> Any:
        """The value if there is one of the default's type, else the default."""
        value = self._values.get(name, default)
        return value if isinstance(value, type(default)) else default

    def put(self, name: str, value: Any) -> str:
        """Keep a value, in the file too: written beside, then renamed."""
        if self._values.get(name) == value:
            return ""
        self._values[name] = value
        beside = self.path.with_suffix(f".{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            beside.write_text(json.dumps(self._values, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            beside.replace(self.path)
        except OSError as error:
            return f"{self.path} can't be written: {error.strerror}"
        return ""
