"""What is new in the run folders, told from names, inodes and sizes alone: no file is opened, nor the database."""

from __future__ import annotations

import os
import re
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path

from engine.rundir import ADOPTED, EVENTS, LIFECYCLE, METRICS, ORDERS, SPEC

LINES = (LIFECYCLE, ORDERS, EVENTS, METRICS, ADOPTED)
SPLITS = ("val", "test", "unseen", "holdout")
CLOSED = ("test", "unseen")
"""Splits whose results stay unread until the run is promoted (DESIGN §6)."""
WHOLE = (SPEC, *(f"evaluation/{split}.json" for split in SPLITS))
HOST = "host"
RUN_NAME = re.compile(r"[A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)*-\d+(?:\.\d+)*")
EVERYTHING_EVERY = 20.0
"""Seconds between looks at every file of a run that has ended; in between, only its orders can be news."""

Sign = tuple[int, int, int]
"""Inode, size, and the time of change of what is written as a whole (else 0)."""
Files = dict[str, Sign]


def sign(path: str, *, whole: bool) -> Sign | None:
    """Give what tells one state of a file from another; None for what is no regular file."""
    try:
        found = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns if whole else 0) if stat.S_ISREG(found.st_mode) else None


def files_of(folder: str) -> Files:
    found: Files = {}
    for name in LINES:
        if signed := sign(f"{folder}/{name}", whole=False):
            found[name] = signed
    for name in WHOLE:
        if signed := sign(f"{folder}/{name}", whole=True):
            found[name] = signed
    return found


@dataclass
class News:
    """Folders whose files differ from what was written into the database."""

    present: set[str]
    """All run folders."""
    todo: dict[str, Files] = field(default_factory=dict)
    """New or changed ones with their files; HOST is the folder of samples."""
    gone: set[str] = field(default_factory=set)
    backlog: int = 0
    """Bytes that are new."""

    def __bool__(self) -> bool:
        return bool(self.todo or self.gone)


class Scan:
    """Remembers each folder as it was when it was last written: about 1 KB a run."""

    def __init__(self, runs: Path) -> None:
        self.runs = str(runs)
        self._known: dict[str, Files] = {}
        self._ended: set[str] = set()
        self._complete = -EVERYTHING_EVERY

    def forget(self) -> None:
        """Look at everything the next time."""
        self._known.clear()
        self._ended.clear()

    def news(self, *, everything: bool = False) -> News:
        """Look around; a few µs a run that has ended, 20 µs one that lives. Raises OSError when runs/ can't be read."""
        now = time.monotonic()
        everything = everything or now - self._complete >= EVERYTHING_EVERY
        with os.scandir(self.runs) as entries:
            present = {
                entry.name
                for entry in entries
                if RUN_NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
            }
        news = News(present, gone=self._known.keys() - present - {HOST})
        for name in sorted(present, key=_order):
            folder = f"{self.runs}/{name}"
            known = self._known.get(name)
            settled = name in self._ended and not everything
            if settled and known is not None and sign(f"{folder}/{ORDERS}", whole=False) == known.get(ORDERS):
                continue
            files = files_of(folder)
            if SPEC in files:
                self._compare(news, name, files)
            else:  # not a run yet, or no more
                present.discard(name)
                news.gone |= {name} & self._known.keys()
        self._compare(news, HOST, self._samples())
        if everything:
            self._complete = now
        return news

    def _samples(self) -> Files:
        try:
            names = sorted(os.listdir(f"{self.runs}/{HOST}"))
        except OSError:
            return {}
        found = {name: sign(f"{self.runs}/{HOST}/{name}", whole=False) for name in names if name.endswith(".jsonl")}
        return {name: signed for name, signed in found.items() if signed}

    def _compare(self, news: News, name: str, files: Files) -> None:
        known = self._known.get(name)
        if files != known and (files or known or name == HOST):
            news.todo[name] = files
            before = {file: size for file, (_, size, _) in (known or {}).items()}
            news.backlog += sum(max(0, size - before.get(file, 0)) for file, (_, size, _) in files.items())

    def written(self, name: str, files: Files, *, ended: bool) -> None:
        self._known[name] = files
        if ended:
            self._ended.add(name)
        else:
            self._ended.discard(name)

    def dropped(self, name: str) -> None:
        self._known.pop(name, None)
        self._ended.discard(name)


def _order(name: str) -> tuple[str, int, str]:
    """By family, then by number: toto-0009 before toto-0010 and before toto-0009.2's younger siblings."""
    family, _, number = name.rpartition("-")
    head, _, attempt = number.partition(".")
    return family, int(head), attempt
