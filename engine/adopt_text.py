"""Metrics in what a program prints: `step 40 loss: 0.12`, `Epoch 3/10 - val_loss=0.3`, progress bars, printed dicts.

Pure: text in, lines out. A person's own pattern can be one that never ends on some line, so each is given a moment.
"""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from engine.adopt import NAME_LIMIT, Line, name_of
from engine.errors import UsageError

LINE_LIMIT = 2000
"""Characters of a line that are looked at."""
MOMENT = 0.1
"""Seconds that a person's pattern has for one line; one that needs more is given up."""
NUMBER = r"(?>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?:nan|inf)(?:inity)?\b)"
# A number that goes on (12GB, 0:03:21, 1.2.3) is none.
_PAIR = re.compile(
    rf"(?<![\w.])['\"]?([A-Za-z](?>[\w./@-]*)(?: (?!(?:step|epoch|iter)\b)[A-Za-z](?>[\w./@-]*))?)['\"]?"
    rf"\s?[:=]\s?['\"]?({NUMBER})(?![\w:]|\.\d)",
    re.IGNORECASE,
)
_STEP = re.compile(
    r"(?<![\w/])(?:global[_ ]?step|train[_ ]?step|steps?|iter(?:ation)?s?)['\"]?\s?[:=#]?\s?\[?(\d{1,15})"
    r"(?:\s?(?:/|of)\s?(\d{1,15}))?(?!\w)",
    re.IGNORECASE,
)
_BAR = re.compile(r"(?:^|[\s|])(\d{1,15})/(\d{1,15})\s?\[")
_EPOCH = re.compile(
    r"(?<![\w/])epochs?['\"]?\s?[:=#]?\s?\[?['\"]?(\d{1,9}(?:\.\d+)?)(?:\s?(?:/|of)\s?(\d{1,9}))?", re.IGNORECASE
)
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,6}))?(Z|[+-]\d\d:?\d\d)?")
_WORDS = (
    r"loss(?:es)?|acc(?:uracy)?|mae|mse|rmse|mape|smape|mase|r2|auc|f1|ppl|perplexity|bleu|rouge|error|score|reward|"
    r"psnr|ssim|iou|crps|nll|kl|grad_?norm|lr|learning_rate|skill|sharpe|recall|precision"
)
_TELLS = re.compile(rf"(?<![a-z])(?:{_WORDS})(?![a-z])", re.IGNORECASE)
_BLANK = re.compile(rf"(?<![\w.])((?:[a-z]{{1,12}}[_/])?(?:{_WORDS}))\s{{1,4}}({NUMBER})(?![\w:]|\.\d)", re.IGNORECASE)
_TOLD_APART = {"step", "steps", "global_step", "train_step", "iter", "iteration", "epoch", "epochs"}


class TooSlow(Exception):
    """A pattern did not end in time on a line."""


class Reader:
    """Makes lines of printed text, one after the other; what it has to remember of those before is `marked`."""

    def __init__(self, patterns: Sequence[str] = (), marked: int | None = None, last: int | None = None) -> None:
        """marked: the last step that was printed. last: the last step given to a line. Both go on after a restart."""
        self.patterns = [compile_pattern(text) for text in patterns]
        self.marked = marked
        self.last = last
        self.steps: int | None = None
        """How many steps it means to train, where it says so."""

    def read(self, text: str, t: float) -> Line | None:
        """Give the line that a printed line makes, or None. t: its time, where it begins with none of its own.

        Its step is the one it tells; else the last one told; else its epoch; else one more than the line before.
        Raises TooSlow when a person's pattern needs too long.
        """
        text = text[:LINE_LIMIT]
        if self.patterns:
            found = self._by_patterns(text)
        else:
            found = self._usual(text)
        if not found:
            return None
        step, epoch = found.pop("step", None), found.get("epoch")
        if not found.keys() - {"epoch"}:
            return None
        if isinstance(step, int | float) and step == step and abs(step) < 1 << 53:
            self.marked = at = int(step)
        elif self.marked is not None:
            at = self.marked
        elif isinstance(epoch, int | float) and epoch == int(epoch):
            at = int(epoch)
        else:
            at = (self.last or 0) + 1
        self.last = at
        return {"t": moment_of(text) or t, "step": at, **found}

    def _usual(self, text: str) -> Line:
        if not _TELLS.search(text):
            return {}
        pairs = [(name_of(name), float(value)) for name, value in _BLANK.findall(text) + _PAIR.findall(text)]
        pairs = [(name, value) for name, value in pairs if name.rpartition("_")[2] not in _TOLD_APART]
        if not any(_TELLS.search(name) for name, _ in pairs):
            return {}
        line: Line = {}
        if step := _STEP.search(text) or _BAR.search(text):
            line["step"] = int(step[1])
            if step[2]:
                self.steps = int(step[2])
        if epoch := _EPOCH.search(text):
            line["epoch"] = float(epoch[1])
        return {**dict(pairs), **line}

    def _by_patterns(self, text: str) -> Line:
        line: Line = {}
        with _Moment():
            for pattern in self.patterns:
                for match in pattern.finditer(text):
                    line |= _groups(match.groupdict())
        return line


def _groups(groups: dict[str, str | None]) -> Line:
    """Numbers by the names of their groups; a pair of groups `name` and `value` names itself."""
    line: Line = {}
    if groups.get("name") and groups.get("value") and (n := _read(groups["value"])) is not None:
        line[name_of(str(groups["name"]))] = n
    for name, value in groups.items():
        if name not in ("name", "value") and (n := _read(value)) is not None:
            line[name[:NAME_LIMIT]] = n
    return line


def compile_pattern(text: str) -> re.Pattern[str]:
    """Compile a person's pattern. Raises UsageError if it is none, or names nothing."""
    try:
        pattern = re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(f"--metrics-pattern {text!r} is no regular expression: {error}.") from None
    if not pattern.groupindex.keys() - {"step", "epoch"}:
        raise UsageError(
            f"--metrics-pattern {text!r} names no metric: write (?P<loss>\\S+), or (?P<name>\\w+)=(?P<value>\\S+)."
        )
    return pattern


class _Moment:
    """Ends what happens inside after MOMENT seconds with TooSlow: `re` looks for signals while it searches.

    Only the main thread gets signals; elsewhere nothing is limited.
    """

    armed = False

    def __enter__(self) -> None:
        self.here = threading.current_thread() is threading.main_thread()
        if self.here:
            self.before = signal.signal(signal.SIGALRM, self._over)
            self.armed = True
            signal.setitimer(signal.ITIMER_REAL, MOMENT)

    def __exit__(self, *_: object) -> None:
        if self.here:
            self.armed = False
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, self.before)

    def _over(self, *_: object) -> None:
        if self.armed:
            self.armed = False
            raise TooSlow


def pieces(data: bytes) -> Iterator[tuple[int, str]]:
    """Give the finished lines of printed bytes, each with the offset behind it; a progress bar's redraws are lines."""
    start = 0
    for end in re.finditer(rb"[\r\n]", data):
        if end.start() > start:
            yield end.end(), data[start : end.start()][: 4 * LINE_LIMIT].decode(errors="replace")
        start = end.end()


def _read(text: str | None) -> float | None:
    try:
        return float(text.strip().rstrip(",;%")) if text else None
    except ValueError:
        return None


def moment_of(text: str) -> float | None:
    """The time that a log line begins with, in unix seconds; without a zone it is this machine's."""
    found = _TIME.search(text[:64])
    if found is None:
        return None
    day, clock, part, zone = found.groups()
    try:
        told = datetime.fromisoformat(f"{day}T{clock}")
        told = told.replace(tzinfo=UTC) if zone == "Z" else told
        if zone and zone != "Z":
            told = datetime.fromisoformat(f"{day}T{clock}{zone}")
        return told.timestamp() + (float(f"0.{part}") if part else 0.0)
    except (ValueError, OverflowError, OSError):
        return None
