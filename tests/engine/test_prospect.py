"""What would become of a run if it were queued now, told without queueing it."""

from __future__ import annotations

import sys
import time

import pytest

from engine.errors import BadDependency, EngineDown
from engine.prospect import foresee
from engine.submit import Wishes, submit_command


def test_a_prospect_tells_the_start_and_changes_nothing(box, workspace):
    def submit(client, wishes):
        command = [sys.executable, "-c", "pass"]
        return submit_command(client, workspace, command, cwd=workspace.root, wishes=wishes)

    with pytest.raises(EngineDown):
        foresee(workspace, Wishes(), submit)
    box.rows()  # starts the engine
    now = foresee(workspace, Wishes(), submit)
    assert now.starts_now
    assert now.told == ("exec-0001 would be starting", "exec-0001 would start on CPU")
    assert now.blind == "its folder has no commit"
    begin = time.time() + 7200
    later = foresee(workspace, Wishes(begin=begin), submit)
    assert not later.starts_now
    assert later.turn is not None
    assert later.turn.start == pytest.approx(begin, abs=1)
    assert "exec-0001 would start about" in later.told[-1]
    assert foresee(workspace, Wishes(hold=True), submit).row.state == "held"
    with pytest.raises(BadDependency):
        foresee(workspace, Wishes(after=("nobody-1",)), submit)
    assert box.rows() == {}
