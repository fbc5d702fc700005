"""The lock of a GPU for the whole box: real processes, real locks."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from engine import gpulock
from engine.errors import WorkspaceError
from engine.gpulock import GpuLocks
from tests.conftest import wait_for

GPUS = ("GPU-aaaa", "GPU-bbbb")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(gpulock.CHOSEN, str(tmp_path / "locks"))
    return tmp_path / "locks"


def close(*fds: int) -> None:
    for fd in fds:
        os.close(fd)


def test_one_workspace_at_a_time_and_all_devices_or_none(tmp_path: Path):
    ours, theirs = GpuLocks(tmp_path / "a"), GpuLocks(tmp_path / "b")
    first = ours.take(GPUS[:1], shared=False)
    assert len(first.fds) == 1
    refused = theirs.take(GPUS, shared=False)
    assert not refused.fds
    [(device, who)] = refused.held
    assert device == "GPU-aaaa"
    assert f"pid {os.getpid()})" in who
    second = theirs.take(GPUS[1:], shared=False)  # what was refused as a whole holds nothing
    assert second.fds
    close(*first.fds)
    third = theirs.take(GPUS[:1], shared=False)
    assert third.fds
    close(*second.fds, *third.fds)


def test_only_runs_of_one_workspace_share(tmp_path: Path):
    ours, theirs = GpuLocks(tmp_path / "a"), GpuLocks(tmp_path / "b")
    first, second = (ours.take(GPUS[:1], shared=True) for _ in range(2))
    assert first.fds
    assert second.fds
    assert not ours.take(GPUS[:1], shared=False).fds
    assert not theirs.take(GPUS[:1], shared=True).fds
    close(*first.fds)
    assert not theirs.take(GPUS[:1], shared=True).fds
    close(*second.fds)
    third = theirs.take(GPUS[:1], shared=True)
    assert third.fds
    assert not ours.take(GPUS[:1], shared=True).fds
    close(*third.fds)


def test_the_lock_lives_as_long_as_the_last_process_that_was_handed_it(tmp_path: Path):
    locks = GpuLocks(tmp_path / "a")
    taken = locks.take(GPUS[:1], shared=False)
    code = "import subprocess, sys; p = subprocess.Popen(['sleep', '60'], close_fds=False); print(p.pid, flush=True)"
    with subprocess.Popen([sys.executable, "-c", code], pass_fds=taken.fds, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        close(*taken.fds)
    assert not locks.take(GPUS[:1], shared=False).fds
    os.kill(child, 9)
    again = wait_for(lambda: locks.take(GPUS[:1], shared=False).fds)
    close(*again)


def test_a_file_of_lies_is_only_a_file(folder: Path, tmp_path: Path):
    locks = GpuLocks(tmp_path / "a")
    close(*locks.take(GPUS[:1], shared=False).fds)
    path = folder / "paddock-GPU-aaaa.lock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o666
    path.write_bytes(b"user=\x1b[31mroot engine=1 group=" + b"f" * 1000)
    fds = locks.take(GPUS[:1], shared=True).fds
    path.write_bytes(b"\x00" * 5000)
    assert GpuLocks(tmp_path / "b").take(GPUS[:1], shared=False).held == (("GPU-aaaa", "held by another engine"),)
    assert not locks.take(GPUS[:1], shared=True).fds  # whose group it is can't be read any more
    close(*fds)


@pytest.mark.parametrize("make", ["link", "pipe", "folder"])
def test_nothing_but_a_plain_file_is_locked(folder: Path, tmp_path: Path, make: str):
    folder.mkdir()
    path, victim = folder / "paddock-GPU-aaaa.lock", tmp_path / "victim"
    victim.write_text("kept")
    {"link": lambda: path.symlink_to(victim), "pipe": lambda: os.mkfifo(path), "folder": path.mkdir}[make]()
    with pytest.raises(WorkspaceError, match="ENGINE_GPU_LOCKS"):
        GpuLocks(tmp_path / "a").take(GPUS[:1], shared=False)
    assert victim.read_text() == "kept"


def test_the_box_has_a_folder_for_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv(gpulock.CHOSEN)
    mode = gpulock.find_folder().stat().st_mode
    assert mode & stat.S_ISVTX
    assert mode & stat.S_IWOTH
    monkeypatch.setattr(gpulock, "FOLDERS", (str(tmp_path),))
    with pytest.raises(WorkspaceError, match="open to all"):
        gpulock.find_folder()


RACER = """
import os, random, sys
from pathlib import Path
from engine.gpulock import GpuLocks

home, seed = Path(sys.argv[1]), int(sys.argv[2])
locks, chance, won = GpuLocks(home / str(seed)), random.Random(seed), 0
while won < 25:
    wanted = chance.sample(["a", "b", "c"], chance.randint(1, 3))
    shared = chance.random() < 0.3
    taken = locks.take(wanted, shared=shared)
    if not taken.fds:
        continue
    won += 1
    for device in wanted:  # two who think that they have it would meet here
        os.close(os.open(home / device, os.O_CREAT | os.O_EXCL))
    for device in wanted:
        os.unlink(home / device)
    for fd in taken.fds:
        os.close(fd)
print("done")
"""


def test_engines_that_race_never_have_the_same_gpu(tmp_path: Path):
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(tmp_path), str(seed)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for seed in range(3)
    ]
    for racer in racers:
        out, err = racer.communicate()
        assert out == b"done\n", err.decode()
