"""Lines survive what happens to files: torn tails, junk, locks and their probes."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from engine import rundir
from engine.tail import Tail, last_line
from tests.conftest import CHARACTERS, ROOT, wait_for


def fresh(tmp_path_factory) -> Path:
    """A new folder; mktemp would look through all the earlier ones each time."""
    return Path(tempfile.mkdtemp(dir=tmp_path_factory.getbasetemp()))


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(CHARACTERS, max_size=20),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)
records = st.dictionaries(st.text(CHARACTERS, min_size=1, max_size=8), values, min_size=1, max_size=4)


@given(st.lists(records, max_size=8), st.binary(max_size=40), st.integers(0, 60))
def test_appended_lines_come_back_whatever_was_torn(tmp_path_factory, lines, junk, cut):
    path = fresh(tmp_path_factory) / "x.jsonl"
    half = len(lines) // 2
    for line in lines[:half]:
        rundir.append(path, line)
    with path.open("ab") as file:
        file.write(junk.replace(b"\n", b"")[:cut])
    for line in lines[half:]:
        rundir.append(path, line)
    found = rundir.read(path)
    # junk may itself be an object, and is finished by the next append
    assert [line for line in found if line in lines] == [line for line in lines if line in found]
    assert len(found) >= len(lines)


@given(st.lists(records, min_size=1, max_size=20), st.data())
def test_a_tail_gives_every_line_once_however_the_file_grows(tmp_path_factory, lines, data):
    path = fresh(tmp_path_factory) / "x.jsonl"
    whole = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    tail, found = Tail(path), []
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    for begin, end in itertools.pairwise([0, *cuts, len(whole)]):
        with path.open("ab") as file:
            file.write(whole[begin:end])
        found += tail.read()
    assert found == lines
    assert tail.read() == []


@given(st.lists(records, min_size=1, max_size=30), st.integers(0, 400))
def test_a_tail_from_near_the_end_begins_at_a_whole_line(tmp_path_factory, lines, last):
    path = fresh(tmp_path_factory) / "x.jsonl"
    for line in lines:
        rundir.append(path, line)
    raw = path.read_bytes().splitlines(keepends=True)
    fits = sum(1 for size in itertools.accumulate(len(line) for line in reversed(raw)) if size <= last)
    assert Tail(path, last=last).read() == lines[len(lines) - fits :]


@given(st.binary(max_size=300))
def test_reading_never_fails_on_junk(data):
    for line in rundir.parse(data):
        assert isinstance(line, dict)


def test_a_file_that_shrank_is_read_anew(tmp_path: Path):
    path = tmp_path / "x.jsonl"
    rundir.append(path, {"a": 1, "long": "x" * 50})
    tail = Tail(path)
    assert len(tail.read()) == 1
    path.write_bytes(b'{"b":2}\n')
    assert tail.read() == [{"b": 2}]


def test_deeply_nested_and_huge_lines_are_passed_over(tmp_path: Path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"[" * 100_000 + b"\n" + b'{"a":' * 50_000 + b"\n" + b"y" * (3 << 20) + b'\n{"ok":1}\n')
    assert rundir.read(path) == [{"ok": 1}]
    tail, found = Tail(path), []
    for _ in range(8):
        found += tail.read()
    assert found == [{"ok": 1}]


HOLD = """
import sys, time
from engine import rundir
fd = rundir.take(sys.argv[1], inherit=True)
print("held", flush=True)
time.sleep(60)
"""


def test_a_lock_is_seen_held_until_its_holder_dies(tmp_path: Path):
    path = tmp_path / "x.lock"
    probe = rundir.Probe(str(path))
    assert not rundir.held(path)
    assert not probe.held()
    assert not path.exists()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    assert rundir.held(path)
    assert probe.held()
    assert probe.held(), "the file stays open"
    assert rundir.take(path, patience=0.01) is None
    holder.kill()
    holder.wait()
    holder.stdout.close()
    wait_for(lambda: not rundir.held(path))
    assert not probe.held()
    fd = rundir.take(path, patience=0.01)
    assert fd is not None, "a probe keeps nobody out"
    assert probe.held()
    os.close(fd)
    probe.close()


def test_probes_never_keep_a_taker_out(tmp_path: Path):
    path = tmp_path / "x.lock"
    path.touch()
    probe = f"from engine import rundir\nwhile True: rundir.held({str(path)!r})"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    probing = [subprocess.Popen([sys.executable, "-c", probe], env=env) for _ in range(2)]
    try:
        for _ in range(50):
            fd = rundir.take(path)
            assert fd is not None
            os.close(fd)
    finally:
        for process in probing:
            process.kill()
            process.wait()


def test_write_new_replaces_whole_or_not_at_all(tmp_path: Path):
    path = tmp_path / "x"
    rundir.write_new(path, b"one")
    rundir.write_new(path, b"two")
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


def test_the_last_line_of_a_log(tmp_path: Path):
    path = tmp_path / "log"
    assert last_line(path) == ""
    path.write_bytes(b"x" * 10_000 + b"\n first \xff\n\n  \n")
    assert last_line(path) == "first �"
