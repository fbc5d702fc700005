"""Every end has a cause, with its facts: read from real logs, real processes and real kills."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import kernel, lastwords, rundir
from engine.autopsy import log_end, sample_before
from engine.cause import KINDS, Cause, Ending, end, judge
from engine.cli import detail
from engine.live import Progress
from engine.messages import Order, ShowRun
from engine.run import Seen
from engine.state import World
from tests.conftest import Box, wait_for
from tests.engine.test_state import STARTED, exited, world

GIB = 1 << 30
NEW_OOM = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 1 has a total capacity of 79.11 GiB "
    "of which 1.50 GiB is free. Including non-PyTorch memory, this process has 77.60 GiB memory in use. Of the "
    "allocated memory 70.00 GiB is allocated by PyTorch, and 512.00 MiB is reserved by PyTorch but unallocated."
)
OLD_OOM = (
    "RuntimeError: CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 15.78 GiB total capacity; 14.50 GiB already "
    "allocated; 12.75 MiB free; 14.60 GiB reserved in total by PyTorch)"
)


def traceback(*last: str, prefix: str = "") -> str:
    lines = ["epoch 1", "Traceback (most recent call last):", '  File "/x/train.py", line 7, in <module>', "    step()"]
    return "\n".join(prefix + line for line in (*lines, '  File "/x/net.py", line 42, in step', "    y = f(x)", *last))


@pytest.mark.parametrize(
    ("log", "kind", "facts"),
    [
        (traceback(NEW_OOM), "device memory",
         {"requested": 2 * GIB, "free": 3 * GIB // 2, "total": int(79.11 * GIB), "gpu": 1, "allocated": 70 * GIB}),
        (traceback(OLD_OOM) + "\n", "device memory",
         {"requested": 20 << 20, "free": int(12.75 * (1 << 20)), "total": int(15.78 * GIB), "gpu": 0}),
        (NEW_OOM, "device memory", {"requested": 2 * GIB}),
        (traceback("RuntimeError: CUDA error: out of memory"), "device memory", {}),
        (traceback("numpy._core._exceptions._ArrayMemoryError: Unable to allocate 7.45 GiB"), "host memory",
         {"requested": int(7.45 * GIB)}),
        (traceback("MemoryError"), "host memory", {"exception": "MemoryError"}),
        (traceback("ModuleNotFoundError: No module named 'flash_attn'"), "import", {"module": "flash_attn"}),
        (traceback("ImportError: libnccl.so.2: cannot open shared object file"), "import", {"module": "libnccl.so.2"}),
        (traceback("AssertionError: shapes differ"), "assertion", {"where": "/x/net.py:42"}),
        (traceback("AssertionError"), "assertion", {"where": "/x/net.py:42"}),
        (traceback("OSError: [Errno 28] No space left on device: '/data/ck.pt'"), "disk full", {"path": "/data/ck.pt"}),
        ("cp: error writing 'x': No space left on device\n", "disk full", {}),
        (traceback("ValueError: loss is nan at step 812"), "nan", {"step": 812}),
        (traceback("RuntimeError: DataLoader worker (pid 7) is killed by signal: Killed. "), "worker killed", {}),
        (traceback("my.pkg.OddThing: what it says", "and a second line"), "exception",
         {"exception": "my.pkg.OddThing", "where": "/x/net.py:42"}),
        (traceback("KeyboardInterrupt"), "exception", {"exception": "KeyboardInterrupt"}),
        (traceback("ValueError: a", prefix="[rank1]: ") + "\n" + traceback("torch.x.ChildFailedError: ", "===="),
         "exception", {"exception": "ValueError"}),
        (traceback(OLD_OOM) + "\ntrying again\n" + traceback("KeyError: 'lr'"), "exception", {"exception": "KeyError"}),
        ("engine: can't start no-such-thing: No such file or directory\n", "not found", {}),
        ("engine: can't start /etc/passwd: Permission denied\n", "permission", {}),
        ("sh: 1: torchrun: not found\n", "not found", {}),
        ("train: train.c:3: main: Assertion `n > 0' failed.\n", "assertion", {}),
        ("loss 0.3\nall is well\n", None, {}),
        ("", None, {}),
    ],
)  # fmt: skip
def test_the_end_of_a_log_tells(log: str, kind: str | None, facts: dict):
    said = lastwords.read_log(log)
    assert (said and said["kind"]) == kind
    if said:
        assert kind in KINDS
        assert {name: said.get(name) for name in facts} == facts
        assert said["text"]


@given(st.text(alphabet="Traceb k(mosrcnl):\n File\"1,Eo.'d[]0GiB"), st.binary(max_size=300))
def test_no_log_is_too_odd(text: str, data: bytes):
    for log in (text, f"Traceback (most recent call last):\n{text}", data.decode(errors="replace")):
        said = lastwords.read_log(log)
        assert said is None or said["kind"] in KINDS


def test_real_programs_and_their_ends(box: Box, tmp_path: Path):
    """Each end as it really happens, all at once on two slots; exit code, sender and words are the supervisor's."""
    denied = tmp_path / "denied"
    denied.write_text("#!/bin/sh\n")
    told = "from engine import runlog; runlog.event('oom', requested=5 << 30, free=1 << 30, total=8 << 30); 1 / 0"
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    ends = (
        (box.python("import flash_attn_9"), "import", "ModuleNotFoundError: No module named 'flash_attn_9'"),
        (box.python("assert 1 == 2, 'one is not two'"), "assertion", "assertion failed: one is not two"),
        (box.python("open('/dev/full', 'w').write('x' * 9000)"), "disk full", "disk full: OSError: [Errno 28] No sp"),
        (box.python(crash), "signal", "killed by signal 11 (SIGSEGV), not by the engine: it touched memory"),
        (box.python(f"print({NEW_OOM!r}); raise SystemExit(1)"), "device memory",
         "out of device memory: asked for 2.0 GiB, 1.5 GiB free of 79.1 GiB"),
        (box.python(told), "device memory", "out of device memory: asked for 5.0 GiB, 1.0 GiB free of 8.0 GiB"),
        (box.submit("no-such-program"), "not found", "can't start no-such-program: No such file"),
        (box.submit(str(denied)), "permission", f"can't start {denied}: Permission denied"),
        (box.submit("sh", "-c", "echo odd; exit 9"), "exit code", "exit code 9: odd"),
    )  # fmt: skip
    unsaid = "from engine import runlog; runlog.log(7, loss=.5); runlog.log(8, loss=float('nan')); raise SystemExit(1)"
    mended = "from engine import runlog; runlog.log(8, loss=float('nan')); runlog.log(9, loss=.5); raise SystemExit(1)"
    unsaid_ends = (
        (box.python(unsaid), "nan", "its loss is no number since step 8; exit code 1"),
        (box.python(mended), "exit code", "exit code 1"),
        (box.submit("sh", "-c", "sh -c 'echo bye; kill -9 $$'"), "signal",
         "exit code 137: it, or a process that it waited for, was ended by signal 9 (SIGKILL), not by the engine; its"),
    )  # fmt: skip
    runs = {row.id: (kind, text) for row, kind, text in (*ends, *unsaid_ends)}
    for run_id, (kind, text) in runs.items():
        row = box.ended(run_id)
        assert (row.state, row.cause) == ("failed", kind), row.reason
        assert row.reason.startswith(text)
    silent = detail.text(box.call(ShowRun(next(row.id for row, kind, _ in unsaid_ends if kind == "nan"))))
    assert "last numbers: step 8 loss nan\n" in silent
    assert silent.count("exit code 1") == 2, "in the state and in the card, once each"
    before = {run_id: box.row(run_id).reason for run_id in runs}
    box.crash()
    assert {run_id: box.row(run_id).reason for run_id in runs} == before
    shown = box.call(ShowRun(next(iter(runs))))
    assert shown.cause == Cause("import", before[shown.row.id], shown.cause.facts)
    assert shown.cause.facts["module"] == "flash_attn_9"
    assert shown.log[-1] == "ModuleNotFoundError: No module named 'flash_attn_9'"
    card = detail.text(shown)
    assert not any(word in card for word in ("said=", "boot=", "start_time=", "by={}")), card
    assert "why it ended" in card
    assert "flash_attn_9" in card.split("why it ended")[1]


def test_who_stopped_it_is_told(box: Box):
    mine, theirs = box.submit("sleep", "300").id, box.submit("sleep", "300").id
    box.state(mine, "running")
    box.state(theirs, "running")
    box.call(Order(run=mine, order="stop", why="it diverged"))
    supervisor = box.lines(theirs, rundir.LIFECYCLE)[0]["supervisor"]
    os.kill(supervisor, signal.SIGTERM)
    assert box.ended(mine).cause == "stop"
    assert box.call(ShowRun(mine)).cause.facts == {"why": "it diverged"}
    row = box.ended(theirs)
    assert row.reason.startswith("stopped without an order: its supervisor was signalled by ")
    assert row.reason.endswith(f"(pid {os.getpid()})")
    assert box.call(ShowRun(theirs)).cause.facts["pid"] == os.getpid()


def test_the_kernels_counter_makes_a_kill_a_lack_of_memory():
    """The counter itself is the kernel's; that it is read where this machine has one, the next test shows."""
    ending = Ending(state="failed", exited=exited(None, 9) | {"oom_kills": 1}, progress=Progress())
    assert judge(ending).kind == "host memory"
    assert judge(Ending(state="failed", exited=exited(1) | {"oom_kills": 1}, progress=Progress())).kind == "exit code"
    worker = {"said": {"kind": "worker killed", "text": "RuntimeError: DataLoader worker"}, "oom_kills": 2}
    cause = judge(Ending(state="failed", exited=exited(1) | worker, progress=Progress()))
    assert (cause.kind, cause.facts) == ("host memory", {"oom_kills": 2})


def test_the_kernel_ends_a_run_in_a_small_control_group(box: Box, tmp_path: Path):
    """A real kill for memory, where this machine lets us make a control group; else that nothing is made up."""
    group = small_group(f"paddock-test-{os.getpid()}")
    if group is None:
        assert kernel.killed(os.getpid(), rundir.start_time(os.getpid())) == ""
        return
    try:
        tasks = group / ("cgroup.procs" if (group / "cgroup.procs").exists() else "tasks")
        eat = f"import os; open({str(tasks)!r}, 'w').write(str(os.getpid())); x = bytearray(400 << 20)"
        row = box.ended(box.python(eat).id)
        assert (row.signal, row.cause) == (9, "host memory"), row.reason
        assert row.reason.startswith("out of host memory: the kernel ended it")
    finally:
        wait_for(lambda: subprocess.run(["rmdir", group], capture_output=True).returncode == 0 or not group.exists())


def small_group(name: str) -> Path | None:
    """A control group of 64 MiB without swap, if we may make one and the kernel's log can be read."""
    if not os.access("/dev/kmsg", os.R_OK):
        return None
    for base, limits in (
        ("/sys/fs/cgroup/memory", ("memory.limit_in_bytes",)),
        ("/sys/fs/cgroup", ("memory.max", "memory.swap.max")),
    ):
        group = Path(base) / name
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            for limit, size in zip(limits, (64 << 20, 0), strict=False):
                (group / limit).write_text(str(size))
        except OSError:
            group.rmdir()
            continue
        return group
    return None


def test_a_power_cut_is_told_by_the_kernels_own_name_of_its_time():
    """The clock may have been set: the machine came up "before" the run began, or the other way round."""
    for boot, ours, kind in ((50.0, "b", "power"), (150.0, "a", "killed with its supervisor")):
        made = World(1, boot=boot, boot_id=ours)
        made.found(world().runs["exec-0001"].spec)
        made.seen("exec-0001", Seen([STARTED | {"boot": "a"}]), 160.0)
        assert (made.runs["exec-0001"].state, made.runs["exec-0001"].cause.kind) == ("lost", kind)


def test_a_clock_set_back_does_not_keep_a_run_starting():
    made = world()
    run = made.runs["exec-0001"]
    run.take_order({"t": 100_000.0, "order": "start", "devices": ["cpu"]})
    made.seen("exec-0001", Seen(), 1000.0)
    assert run.state == "queued"


def test_nan_of_our_trainers_has_its_step():
    progress = Progress(failed="The loss is nan at step 31. Lower train.lr (0.1).")
    cause = judge(Ending(state=end(exited(5), None, progress), exited=exited(5), progress=progress))
    assert (cause.kind, cause.facts["step"], cause.text) == ("nan", 31, progress.failed)


def test_what_nvml_said_last_is_found_in_a_long_day(box: Box):
    """20,000 samples of a day, found without reading them all."""
    box.ended(box.submit("true").id)
    t = 1_700_000_000.0
    day = time.strftime("%Y-%m-%d", time.gmtime(t))
    path = box.workspace.host / f"{day}.jsonl"
    line = '{"kind":"sample","t":%s,"devices":[],"pad":"' + "x" * 300 + '"}\n'
    path.write_text("".join(line % (t + second) for second in range(-10_000, 10_000)))
    for asked, found in ((t + 0.5, t), (t - 9_999.5, t - 10_000), (t + 9_999, t + 9_999), (t + 10_030, t + 9_999)):
        assert sample_before(box.workspace, asked).t == found
    assert sample_before(box.workspace, t + 20_000) is None
    assert sample_before(box.workspace, t - 10_001) is None


def test_the_last_lines_are_those_a_person_saw(tmp_path: Path):
    (tmp_path / rundir.LOG).write_bytes(b"one\n\n 10%\r 50%\r100%\ntwo\n" + b"y" * 1000)
    assert log_end(tmp_path) == ("one", "100%", "two", "y" * 400)
