"""A run promises its next line by itself: generously, from how long it was silent, and with few lines."""

from __future__ import annotations

import json

from engine import runlog
from trainers.promise import LEAST, TIMES, Promises


def told(folder) -> list[float]:
    events = folder / "events.jsonl"
    lines = [json.loads(line) for line in events.read_text().splitlines()] if events.exists() else []
    return [line["within"] for line in lines if line["event"] == "promise"]


def test_a_trainer_promises_more_before_what_takes_long(home):
    code, folder = home.train("toy-0001", train__steps=10, train__eval_every=5)
    assert code == 0
    said = told(folder)
    assert said[0] == LEAST["begin"]
    assert said[-1] == LEAST["evaluate"]  # the last scoring
    assert 1.25 * LEAST["steps"] in said
    assert len(said) < 12


def test_a_promise_grows_with_the_longest_silence(tmp_path, monkeypatch):
    for name in ("_writer", "log", "event"):
        monkeypatch.setattr(runlog, name, getattr(runlog, name))  # so that what open() binds is undone
    runlog.open(tmp_path)
    clock = [0.0]
    made = Promises(lambda: clock[0])
    made.now("begin")
    for pause in (30.0, 10.0, 10.0, 10.0, 100.0, 100.0):
        clock[0] += pause
        made.now("steps")
    made.now("checkpoint")
    clock[0] += 200.0
    made.now("steps")
    made.now("checkpoint")
    steps = 1.25 * TIMES * 100
    assert told(tmp_path) == [3600.0, 750.0, steps, TIMES * 200.0]
