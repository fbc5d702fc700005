"""What the doctor says of driver, NVML, locks, versions and run folders that are not as they should be."""

from __future__ import annotations

import ctypes.util
import os
import sys
import time
from pathlib import Path

import pytest

from engine import doctor_more, rundir
from engine.workspace import Workspace
from tests.engine.nvml_stub import fixture as stub


def test_driver_and_library(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    missing = tmp_path / "none"
    assert doctor_more.driver(workspace, "driver", missing).ok is None
    assert doctor_more.nvml(workspace, "nvml", "libno-such.so.1", missing).ok is None
    proc = tmp_path / "version"
    proc.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15  Tue Jan 14\nGCC version: 12\n")
    assert doctor_more.driver(workspace, "driver", proc).text == "kernel module 570.86.15"
    check = doctor_more.nvml(workspace, "nvml", "libno-such.so.1", proc)
    assert (check.ok, "--gpus all" in check.remedy) == (False, True)
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    check = doctor_more.driver(workspace, "driver", missing)
    assert (check.ok, "modprobe" in check.remedy) == (False, True)
    check = doctor_more.nvml(workspace, "nvml", ctypes.util.find_library("c") or "libc.so.6", proc)
    assert (check.ok, "is not NVIDIA's" in check.text) == (False, True)


def test_a_library_that_answers(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    library, state = stub.build(tmp_path), tmp_path / "state"
    stub.write_state(state)
    for name, value in stub.environment(library, state).items():
        monkeypatch.setenv(name, value)
    found = next(library.rglob("libnvidia-ml.so.1")) if library.is_dir() else library
    assert doctor_more.nvml(workspace, "nvml", str(found)).ok is True


def test_run_folders(workspace: Workspace):
    assert doctor_more.folders(workspace, "folders").ok is None
    workspace.prepare()
    assert doctor_more.folders(workspace, "folders").ok is True
    workspace.runs.chmod(0o755)
    check = doctor_more.folders(workspace, "folders")
    assert (check.ok, check.remedy) == (None, f"chmod 700 {workspace.runs}")
    half = workspace.runs / ".new-exec-0001"
    half.mkdir()
    os.utime(half, (time.time() - 9000,) * 2)
    assert "engine gc" in doctor_more.folders(workspace, "folders").remedy
    (workspace.runs / "exec-0001").mkdir()
    check = doctor_more.folders(workspace, "folders")
    assert (check.ok, "exec-0001" in check.text) == (False, True)


def test_the_version_is_the_one_that_is_installed():
    from importlib import metadata

    from engine.readings import own_version

    found = [one.version for one in metadata.distributions() if one.metadata["Name"] == "paddock"]
    assert own_version() == (found[0] if found else "0")


def test_locks_and_versions(workspace: Workspace):
    workspace.prepare()
    assert doctor_more.versions(workspace, "versions").ok is True
    folder = workspace.run("exec-0001")
    folder.mkdir()
    held = [rundir.take(folder / name) for name in (rundir.SUPERVISOR_LOCK, rundir.TRAINER_LOCK)]
    check = doctor_more.locks(workspace, "locks")
    assert (check.ok, "engine up" in check.remedy) == (None, True)
    held.append(rundir.take(workspace.lock))
    check = doctor_more.locks(workspace, "locks")
    assert (check.ok, check.text) == (True, "1 runs live, the engine's is held")
    os.close(held.pop(0))
    assert "without a supervisor: exec-0001" in doctor_more.locks(workspace, "locks").text
    (folder / rundir.SUPERVISOR_LOCK).unlink()
    (folder / rundir.SUPERVISOR_LOCK).symlink_to("/etc/passwd")
    check = doctor_more.locks(workspace, "locks")
    assert (check.ok, "exec-0001/supervisor.lock" in check.text) == (False, True)
    for fd in held:
        os.close(fd)


def test_trainers_of_another_installation(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "other" / "trainers").mkdir(parents=True)
    (tmp_path / "other" / "trainers" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path / "other"))
    for name in [name for name in sys.modules if name.split(".")[0] == "trainers"]:
        monkeypatch.delitem(sys.modules, name)
    check = doctor_more.versions(workspace, "versions")
    assert (check.ok, "its trainers come from" in check.text) == (False, True)
