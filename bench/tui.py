"""The screens as people have them: `tui` in a terminal of 200x50 beside a real engine, measured from outside.

    python bench/tui.py             about eight minutes; exit 1 if a figure falls short
    python bench/tui.py --quick     a tenth of the runs and not 10,000, nothing is judged
    python bench/tui.py --hour      memory over an hour of updates at thirty times its speed; three minutes

1,000 recorded runs and eight live ones that write 20 points a second each, on eight (stub) GPUs; then 10,000 runs. CPU
is the time of all threads of `tui`, bytes are what it wrote to the terminal. Keys are timed from the press to the bytes
that show its effect, beside those of a plain table of Textual's (bench/tui_floor.py). Where other processes have the
processor everything waits: `alone` leaves out the time in which the main thread was ready to run and was not let
(/proc/PID/schedstat), and limits hold for that. `speed` is what a fixed loop takes here beside a quiet machine.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # the repository in place of bench/, so that no file here shadows a module
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import statistics
import subprocess
import tempfile
import time

from bench.tui_runs import CURSOR, presses
from bench.tui_scene import LIVE, POINTS_A_SECOND, box
from bench.tui_terminal import Terminal, Took

STARTS, PRESSES = 7, 30
FRAME, DATA = b"Devices", "◆".encode()  # a pane of the first frame; the mark of an engine that answers
FLOOR_CURSOR = b"48;2;1;120;212"
"""The same of Textual's own table in its own theme."""
LETTERS = (b"3", b"7", b"8")
"""Where esc leads back: a digit is text there, or opens over the screen below."""
OPENED, LOOK = (b"3", b"8"), 0.8
"""What is another one each time, and how long somebody looks at it and at the screen below, in seconds."""
WINDOWS = {"commands": (b":", b"earch for"), "keys": (b"?", b"esc closes"), "a question": (b"x", b"yes, stop it")}
"""What opens over the dashboard, and what it shows; the first sign of a line to type in is under its cursor."""
HOUR, PACE = 3600.0, 30.0
LIMITS = {"first_frame_ms": 700.0, "cpu_percent": 8.0, "memory_mib": 150.0, "bytes_kb_s": 20.0, "key_ms": 50.0,
          "usable_s": 1.0, "key_10k_ms": 50.0, "growth_mib": 4.0}  # fmt: skip


def bare(code: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return 1000 * (time.perf_counter() - begin)


def speed() -> float:
    """How many times as long as on a quiet machine a loop takes here, of processor time."""
    begin = time.process_time()
    total = 0
    for number in range(2_000_000):
        total += number & 7
    return (time.process_time() - begin) / 0.09


def median(times: list[Took]) -> Took:
    return Took(statistics.median(t.clock for t in times), statistics.median(t.alone for t in times))


def p95(times: list[Took]) -> Took:
    place = int(0.95 * (len(times) - 1))
    return Took(sorted(t.clock for t in times)[place], sorted(t.alone for t in times)[place])


def starts(figures: dict[str, Took | float]) -> None:
    frames, data = [], []
    for turn in range(STARTS + 1):
        with Terminal() as terminal:
            first = terminal.since_start(terminal.expect(FRAME))
            second = terminal.since_start(terminal.expect(DATA))
        if turn:  # the first one warms the disk
            frames.append(first)
            data.append(second)
    textual = statistics.median(bare("import textual.app") for _ in range(STARTS))
    figures["first_frame_ms"] = median(frames)
    told("first frame", median(frames))
    told("with the engine's data", median(data))
    print(f"import textual.app       {textual:7.0f} ms; the first frame is {median(frames).clock / textual:.1f}x of it")


def told(what: str, took: Took, floor: Took | None = None) -> None:
    beside = f"   {took.alone / floor.alone:.1f}x of plain Textual" if floor else ""
    print(f"{what:<28} {took.clock:7.0f} ms   alone {took.alone:6.0f}{beside}")


def idle(figures: dict[str, Took | float], seconds: float) -> None:
    """The dashboard while eight runs train and nobody touches a key."""
    with Terminal() as terminal:
        terminal.expect(DATA, b"exec-")
        terminal.idle(8)
        cpu, sent, begun = terminal.cpu(), terminal.bytes, time.perf_counter()
        terminal.idle(seconds)
        took = time.perf_counter() - begun
        figures["cpu_percent"] = 100 * (terminal.cpu() - cpu) / took
        figures["bytes_kb_s"] = (terminal.bytes - sent) / took / 1000
        resident, shared = terminal.memory()
        figures["memory_mib"] = resident
        print(f"dashboard, idle and live  {figures['cpu_percent']:5.1f} % of a core   "
              f"{figures['bytes_kb_s']:.1f} kB/s   {resident:.0f} MiB resident ({shared:.0f} PSS)")  # fmt: skip


def keys(figures: dict[str, Took | float], name: str) -> None:
    """From a key to the screen, on every screen, while the runs go on."""
    worst = Took(0.0, 0.0)
    with Terminal() as terminal:
        terminal.expect(DATA, b"exec-")
        terminal.idle(3)
        found: dict[str, list[Took]] = {
            "dashboard: cursor": [terminal.press(b"jk"[turn % 2 :][:1], CURSOR) for turn in range(PRESSES)]
        }
        for digit, mark in sorted(places().items()):
            times = []
            for _ in range(PRESSES // 3):
                times.append(terminal.press(digit, mark))
                terminal.idle(LOOK if digit in OPENED else 0.2)
                back(terminal, b"\x1b" if digit in LETTERS else b"1")
                terminal.idle(LOOK if digit in OPENED else 0.2)
            found[f"to screen {digit.decode()}"] = times
        found |= {f"window of {what}": window(terminal, key, mark) for what, (key, mark) in WINDOWS.items()}
        if b"2" in places():
            terminal.press(b"2", active("runs"))
            terminal.idle(1)
            found |= {f"runs: {what}": times for what, times in presses(terminal, PRESSES // 3).items()}
    least = floor()
    for what, times in found.items():
        told(f"{what}, p95", p95(times), least["screen" if what.startswith(("to ", "window ")) else "cursor"])
        worst = max(worst, p95(times), key=lambda took: took.alone)
    figures[name] = worst


def window(terminal: Terminal, key: bytes, mark: bytes) -> list[Took]:
    """How long a window over the dashboard takes to come, each time; it darkens the whole screen, and is left again."""
    times = []
    for _ in range(PRESSES // 3):
        times.append(terminal.press(key, mark))
        terminal.idle(LOOK)
        terminal.press(b"\x1b")
        terminal.idle(0.3)
    return times


def floor() -> dict[str, Took]:
    """What the same keys take in a plain Textual app, p95, while the same runs go on."""
    found: dict[str, list[Took]] = {"cursor": [], "screen": []}
    with Terminal(program=("-c", "from bench.tui_floor import Floor; Floor().run()")) as terminal:
        terminal.expect(b"screen one")
        terminal.idle(1)
        for turn in range(PRESSES):
            found["cursor"].append(terminal.press(b"jk"[turn % 2 :][:1], FLOOR_CURSOR))
        for turn in range(PRESSES):
            found["screen"].append(
                terminal.press(b"21"[turn % 2 :][:1], b"screen two" if turn % 2 == 0 else b"screen one")
            )
            terminal.idle(0.2)
    least = {what: p95(times) for what, times in found.items()}
    for what, took in least.items():
        told(f"plain Textual: {what}, p95", took)
    return least


def back(terminal: Terminal, key: bytes) -> None:
    """To the dashboard, however many levels there are; not timed."""
    for _ in range(5):
        try:
            terminal.press(key)
            terminal.expect(active("dashboard"), seconds=5)
        except TimeoutError:
            continue
        return
    raise TimeoutError("the dashboard does not come back")


def places() -> dict[bytes, bytes]:
    """The digits of the other screens, and what shows that one is there: its name in the top line, lit up."""
    from tui.places import PLACES

    return {place.digit.encode(): active(place.name) for place in PLACES if place.name != "dashboard"}


def active(name: str) -> bytes:
    return f"1;38;2;238;242;248;48;2;22;27;36m {name}".encode()


def main(argv: list[str]) -> int:
    if argv not in ([], ["--quick"], ["--hour"]):
        print(f"unknown: {' '.join(argv)}\n\n{__doc__}", file=sys.stderr)
        return 2
    quick = argv == ["--quick"]
    figures: dict[str, Took | float] = {}
    print(f"speed {speed():.1f} (1 is a quiet machine)")
    with tempfile.TemporaryDirectory() as folder:
        if argv == ["--hour"]:
            with box(Path(folder), 200, rate=PACE * POINTS_A_SECOND):
                hour(figures)
            return judge(figures, quick)
        with box(Path(folder), 100 if quick else 1_000):
            starts(figures)
            idle(figures, 10 if quick else 30)
            keys(figures, "key_ms")
        if not quick:
            with box(Path(folder), 10_000):
                many(figures)
                keys(figures, "key_10k_ms")
    return judge(figures, quick)


def many(figures: dict[str, Took | float]) -> None:
    """Until a list of 10,000 runs can be used."""
    times = []
    for _ in range(STARTS):
        with Terminal() as terminal:
            times.append(terminal.since_start(terminal.expect(DATA, b"exec-1000")))
            resident, _ = terminal.memory()
    told("10,000 runs to be used", median(times))
    print(f"10,000 runs              {resident:7.0f} MiB resident")
    figures["usable_s"] = Took(median(times).clock / 1000, median(times).alone / 1000)


def hour(figures: dict[str, Took | float]) -> None:
    """Memory before and after an hour of points: live runs at thirty times their pace."""
    with Terminal() as terminal:
        terminal.expect(DATA, b"exec-")
        terminal.idle(HOUR / PACE / 6)
        before, _ = terminal.memory()
        terminal.idle(HOUR / PACE)
        after, _ = terminal.memory()
    figures["growth_mib"] = after - before
    print(f"an hour of {LIVE} runs     {before:.0f} to {after:.0f} MiB, {HOUR * POINTS_A_SECOND:,.0f} points a run")


def judge(figures: dict[str, Took | float], quick: bool) -> int:
    short = []
    print()
    for name, limit in LIMITS.items():
        if name not in figures:
            continue
        value = figures[name]
        number = value.alone if isinstance(value, Took) else value
        mark = "" if number <= limit else "   TOO MUCH"
        short += [name] if mark else []
        print(f"{name:<16} {number:8.2f}   at most {limit:g}{mark}")
    return 1 if short and not quick else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
