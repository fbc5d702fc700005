"""A sign at a terminal that something has ended: the bell, and a desktop notification where the terminal shows one.

BEL rings or marks the window everywhere. OSC 9 is shown by iTerm2, kitty, WezTerm, Ghostty and Windows Terminal,
OSC 777 by foot, urxvt and VTE terminals; others pass over what they do not know. Inside tmux the two are wrapped so
that they reach the terminal outside (`set -g allow-passthrough on`); the bell is tmux's own.
"""

from __future__ import annotations

from collections.abc import Mapping

LIMIT = 200


def notice(title: str, body: str, environ: Mapping[str, str], *, ring: bool = True) -> str:
    """Give what to write to a terminal; control characters and what OSC 777 separates with are taken out."""
    title, body = _plain(title).replace(";", ","), _plain(body)
    shown = f"\x1b]9;{title}: {body}\x1b\\\x1b]777;notify;{title};{body}\x1b\\"
    if environ.get("TMUX"):
        shown = "\x1bPtmux;" + shown.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    return shown + ("\a" if ring else "")


def _plain(text: str) -> str:
    return "".join(char for char in text if char.isprintable())[:LIMIT]
