"""What is new in the run folders, told from names, inodes and sizes alone: no file is opened, nor the database."""

from __future__ import annotations

import math
import os
import re
import stat
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from engine.rundir import ADOPTED, EVENTS, LIFECYCLE, METRICS, ORDERS, SPEC

LINES = (LIFECYCLE, ORDERS, EVENTS, METRICS, ADOPTED)
SPLITS = ("val", "test", "unseen", "holdout")
CLOSED = ("test", "unseen")
"""Splits whose results stay unread until the run is promoted (DESIGN §6)."""
WHOLE = (SPEC, *(f"evaluation/{split}.json" for split in SPLITS))
SEALED = tuple(f"evaluation/{split}.json" for split in CLOSED)
HOST = "host"
RUN_NAME = re.compile(r"[A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)*-\d+(?:\.\d+)*")
EVERYTHING_EVERY = 20.0
"""Seconds between looks at every file of every run, at least; in between, what is said to have changed can be news."""
SHARE = 0.004
"""Part of a core that these may take: with tens of thousands of runs they become rarer."""

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

    present: set[str] | None
    """All run folders, where all were looked at."""
    todo: dict[str, Files] = field(default_factory=dict)
    """New or changed ones with their files; HOST is the folder of samples."""
    gone: set[str] = field(default_factory=set)
    backlog: int = 0
    """Bytes that are new."""

    def __bool__(self) -> bool:
        return bool(self.todo or self.gone)


class Known(NamedTuple):
    """A folder as it was when it was last written, in a fifth of the memory of its files' signs."""

    orders: Sign | None
    size: int
    """Bytes of all its files."""
    files: int
    """A checksum of all signs."""

    @classmethod
    def of(cls, files: Files) -> Known:
        return cls(files.get(ORDERS), sum(size for _, size, _ in files.values()), hash(frozenset(files.items())))


class Scan:
    """Remembers each folder as it was when it was last written."""

    def __init__(self, runs: Path) -> None:
        self.runs = str(runs)
        self._known: dict[str, Known] = {}
        self._ended: set[str] = set()
        self._unopened: set[str] = set()
        """Runs whose closed results the database does not hold."""
        self._again = -math.inf
        """When to look at everything again, on the monotonic clock."""

    @property
    def blank(self) -> bool:
        return not self._known

    def forget(self) -> None:
        """Look at everything the next time."""
        self._known.clear()
        self._ended.clear()
        self._unopened.clear()
        self._again = -math.inf

    def assume(self, name: str, files: Files, *, ended: bool, promoted: bool) -> None:
        """Take what a database says it holds of a folder as known."""
        self.written(name, files, ended=ended)
        if not promoted:
            self._unopened.add(name)

    def news(self, changed: Collection[str] | None = None, *, everything: bool = False) -> News:
        """Look around; a few µs a run that has ended, 20 µs one that lives. Raises OSError when runs/ can't be read.

        changed: the runs that may have news, where that is known; all are looked at now and then even so.
        """
        now = time.monotonic()
        if changed is not None and not everything and now < self._again:
            return self._news_of(changed)
        everything = everything or now >= self._again
        begun = time.thread_time()
        with os.scandir(self.runs) as entries:
            present = {
                entry.name
                for entry in entries
                if RUN_NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
            }
        news = News(present, gone=self._known.keys() - present - {HOST})
        for name in sorted(present, key=_order):
            known = self._known.get(name)
            settled = name in self._ended and not everything
            orders = f"{self.runs}/{name}/{ORDERS}"
            if settled and known is not None and sign(orders, whole=False) == known.orders:
                continue
            self._look(news, name)
        self._compare(news, HOST, self._samples())
        if everything:
            self._again = now + max(EVERYTHING_EVERY, (time.thread_time() - begun) / SHARE)
        return news

    def _news_of(self, changed: Collection[str]) -> News:
        """Look at these only, and at the samples."""
        news = News(None)
        for name in sorted((name for name in changed if RUN_NAME.fullmatch(name)), key=_order):
            self._look(news, name)
        self._compare(news, HOST, self._samples())
        return news

    def _look(self, news: News, name: str) -> None:
        files = files_of(f"{self.runs}/{name}")
        if SPEC in files:
            self._compare(news, name, files)
        else:  # not a run yet, or no more
            if news.present is not None:
                news.present.discard(name)
            news.gone |= {name} & self._known.keys()

    def _samples(self) -> Files:
        try:
            names = sorted(os.listdir(f"{self.runs}/{HOST}"))
        except OSError:
            return {}
        found = {name: sign(f"{self.runs}/{HOST}/{name}", whole=False) for name in names if name.endswith(".jsonl")}
        return {name: signed for name, signed in found.items() if signed}

    def _compare(self, news: News, name: str, files: Files) -> None:
        known, found = self._known.get(name), Known.of(files)
        if name in self._unopened and Known.of({file: files[file] for file in files if file not in SEALED}) == known:
            self._known[name] = found
            self._unopened.discard(name)
        elif found != known and (files or known or name == HOST):
            news.todo[name] = files
            news.backlog += max(0, found.size - (known.size if known is not None else 0))

    def written(self, name: str, files: Files, *, ended: bool) -> None:
        self._known[name] = Known.of(files)
        self._unopened.discard(name)
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
