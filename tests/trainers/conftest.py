"""A workspace with a little data, the toy family, and runs made as the engine makes them."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine import rundir
from tests.trainers import toy
from trainers.family import FAMILIES
from trainers.resolve import resolve

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"data.context": 16, "data.horizon": 4, "train.batch": 16, "train.device": "cpu", "train.log_every": 1}


class Home:
    """A workspace: `make` writes a run folder, `train` runs it here, `start` in a process of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def make(self, run_id: str, family: str = "toy", resume_from: str | None = None, **sets: Any) -> Path:
        """Fields are given with __ for the dot, as in train__steps=5; None leaves one of SMALL out."""
        given = {**SMALL, **{name.replace("__", "."): value for name, value in sets.items()}}
        given = {name: value for name, value in given.items() if value is not None}
        folder = self.root / "runs" / run_id
        folder.mkdir(parents=True)
        config = resolve(family, None, given).as_dict()
        spec = {"id": run_id, "family": family, "config": config, "resume_from": resume_from}
        (folder / "spec.json").write_text(json.dumps(spec))
        return folder

    def train(self, run_id: str, family: str = "toy", **sets: Any) -> tuple[int, Path]:
        from trainers.run import run

        folder = self.make(run_id, family, **sets)
        return run(family, folder), folder

    def start(self, folder: Path, family: str = "toy") -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.trainers.toy", family, str(folder)],
            cwd=self.root, env=environment(self.root), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip


def environment(root: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "ENGINE_HOME": str(root), "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": ""}  # fmt: skip


def call(root: Path, *argv: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trainers", *argv],
        cwd=root, env=environment(root), input=stdin, capture_output=True, text=True, timeout=100,
    )  # fmt: skip


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    return rundir.read(folder / name)


def events(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [line for line in lines(folder, "events.jsonl") if line["event"] == kind]


def write_prices(path: Path, rows: int, seed: int, price: float = 100.0) -> None:
    """Daily OHLCV on business days, a random walk."""
    rng = random.Random(seed)
    day, close, out = date(2023, 1, 2), price, ["Date,Open,High,Low,Close,Volume"]
    while len(out) <= rows:
        if day.weekday() < 5:
            start, close = close, close * (1 + rng.gauss(0, 0.01))
            high, low = max(start, close) * 1.001, min(start, close) * 0.999
            out.append(f"{day},{start:.4f},{high:.4f},{low:.4f},{close:.4f},{rng.randint(1000, 9000)}")
        day += timedelta(days=1)
    path.write_text("\n".join(out) + "\n")


@pytest.fixture(autouse=True)
def _toy() -> Iterator[None]:
    toy.register()
    yield
    FAMILIES.pop("toy")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Three symbols of 190 to 200 rows in trainingdata/."""
    data = tmp_path / "trainingdata"
    data.mkdir()
    for i, name in enumerate(("AAA", "BBB", "CCC")):
        write_prices(data / f"{name}.csv", 200 - 5 * i, seed=i, price=10.0 * 5**i)
    monkeypatch.setenv("ENGINE_HOME", str(tmp_path))
    monkeypatch.delenv("ENGINE_RUN", raising=False)
    return Home(tmp_path)
