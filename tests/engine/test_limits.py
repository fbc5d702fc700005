"""Limits for a family or a tag: through a real engine, over its death, and what is refused."""

from __future__ import annotations

import json

import pytest

from engine import limits
from engine.cli.main import run as cli
from engine.errors import UsageError
from engine.messages import DryRun, GetStatus, QueueOrder
from tests.conftest import Box

SLEEP = "import time; time.sleep(60)"


def test_a_limit_holds_until_it_is_taken_away(box: Box, capsys: pytest.CaptureFixture[str]):
    assert cli(["limit", "tag:night", "1"]) == 0
    assert capsys.readouterr().err == "engine: at most 1 of tag:night run at a time.\n"
    first, second = (box.python(SLEEP, gpus=0, tags=("night",)).id for _ in range(2))
    assert box.row(second).reason == f"limit tag:night 1: {first}"
    assert box.state(box.python("", gpus=0).id, "ok")  # of another group, though queued later
    box.crash()
    assert box.row(second).reason == f"limit tag:night 1: {first}"
    assert cli(["limit", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"tag:night": {"most": 1, "live": 1}}
    assert cli(["limit"]) == 0
    assert capsys.readouterr().out.split() == ["GROUP", "MOST", "LIVE", "tag:night", "1", "1"]
    told = box.call(DryRun(QueueOrder(order="limit", group="tag:night"))).told
    assert told[0] == "tag:night is not limited any more"
    assert any(line.startswith(f"{second} would start") for line in told)
    assert box.call(GetStatus()).status.limits == {"tag:night": 1}
    assert cli(["limit", "tag:night", "none"]) == 0
    assert box.state(second, "running")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["family:kronos"], "How many runs of family:kronos?"),
        (["kronos", "2"], "No group 'kronos': a limit is for family:NAME or tag:NAME"),
        (["tag:a b", "2"], "tag 'a b': one word"),
        (["tag:x", "two"], "'two' is no number of runs"),
        (["tag:x", "1001"], "out of range: 0 to 1000"),
        (["tag:x", "none"], "There is no limit for tag:x. Nothing is limited."),
    ],
)
def test_what_can_not_be_is_refused(box: Box, capsys: pytest.CaptureFixture[str], words: list[str], text: str):
    assert cli(["limit", *words]) == 2
    assert text in capsys.readouterr().err


def test_lines_of_others_limit_nothing():
    known = {"tag:x": 1}
    for line in (
        {},
        {"order": "limit"},
        {"order": "limit", "group": 5},
        {"order": "limit", "group": "a", "most": True},
    ):
        limits.take(line, known)
    limits.take({"order": "pause", "group": "tag:x"}, known)
    assert known == {"tag:x": 1}
    with pytest.raises(UsageError, match="Limited are: tag:x"):
        limits.order("tag:y", None, known)
