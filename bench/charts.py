"""A chart of 8 curves x 100,000 points from new data to lines of text, beside numpy's own min and max of that data.

    python bench/charts.py

Milliseconds of processor time, the least of many: what the machine does besides is not counted.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path = [path for path in sys.path if Path(path).resolve() != Path(__file__).resolve().parent]  # it has a tui.py
from tui.charts import Curve, Picture, View, lay_out  # noqa: E402

CURVES, POINTS, TRIES = 8, 100_000, 60
WIDTH, HEIGHT = 200, 50
LIMIT_MS = 15.0


def least(work: Callable[[], object]) -> float:
    """Milliseconds."""
    work()
    found = []
    for _ in range(TRIES):
        begin = time.process_time()
        work()
        found.append(time.process_time() - begin)
    return 1000 * min(found)


def main() -> None:
    chance = np.random.default_rng(7)
    xs = np.arange(float(POINTS))
    walks = [np.exp(0.002 * chance.standard_normal(POINTS).cumsum()) for _ in range(CURVES)]
    holed = [np.where(chance.random(POINTS) < 0.01, np.nan, walk) for walk in walks]

    def picture(data: list[np.ndarray], log: bool = False) -> Picture:
        curves = tuple(Curve(f"run {i}", xs, ys, f"run {i}") for i, ys in enumerate(data, 1))  # type: ignore[arg-type]
        return Picture("loss", curves, log=log)

    floor = least(lambda: [(ys.min(), ys.max()) for ys in walks])
    print(f"{CURVES} curves x {POINTS:,} points on {WIDTH} x {HEIGHT} cells; numpy min and max of it: {floor:.2f} ms")
    for name, work in (
        ("all of it", lambda: lay_out(picture(walks), WIDTH, HEIGHT)),
        ("with 1 % gaps", lambda: lay_out(picture(holed), WIDTH, HEIGHT)),
        ("log y", lambda: lay_out(picture(walks, log=True), WIDTH, HEIGHT)),
        ("a tenth of x", lambda: lay_out(picture(walks), WIDTH, HEIGHT, View((45_000, 55_000), 50_000))),
    ):
        took = least(work)
        print(f"  {name:<14} {took:6.2f} ms  {took / floor:5.1f} x floor  {'ok' if took <= LIMIT_MS else 'TOO SLOW'}")


if __name__ == "__main__":
    main()
