"""One run on several devices: this process stays the run's leader and has torchrun start one rank for each device.

torchrun puts every rank in a session of its own, where neither the group's signals nor the lock of the run reach it.
So the leader hands SIGTERM on, every rank dies with the leader (see `attend`), and the leader alone tells how it ended:
with the exit code, and in one line the cause, of the rank that failed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from trainers.errors import ConfigError

LEADER = "TRAINERS_LAUNCHER"  # in a rank's environment: the leader's process id
PEER_LOST = 76
"""Exit code of a rank that ends only because another did."""


def processes(folder: str) -> int:
    """How many processes the run is to have; 1 in a rank itself, and for a spec that cannot be read (`run` tells)."""
    if is_rank():
        return 1
    try:
        train = json.loads((Path(folder) / "spec.json").read_text())["config"]["train"]
        wanted, device = int(train.get("processes", 0)), train.get("device", "auto")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 1
    given = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip() not in ("", "-1")]
    if device == "cpu" or not given:
        return max(1, wanted)
    count = wanted or len(given)
    if count > 1 and any(name.strip().startswith("MIG-") for name in given):
        raise ConfigError(
            f"The run was given {len(given)} MIG slices, but a process sees one slice only and NCCL joins none: "
            "ask for one device (--gpus 1) or for whole GPUs."
        )
    return count


def launch(count: int, module: str, arguments: list[str], folder: str) -> int:
    """Run `python -m module arguments` as `count` ranks until all have ended; the exit code of the run."""
    from tempfile import TemporaryDirectory

    os.environ[LEADER] = str(os.getpid())
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // count)))
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # all ranks are on this machine, whatever its name resolves to
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    with _Relay() as relay, TemporaryDirectory(prefix="ranks-") as told:
        failures = _torchrun(count, module, arguments, told)
    if not failures:
        return 0
    stopped = any(failure.exitcode == 143 for failure in failures.values())
    if (stopped or relay.asked) and all(f.exitcode in (143, PEER_LOST, -signal.SIGTERM) for f in failures.values()):
        return 143
    return tell(failures, count, folder)


def _torchrun(count: int, module: str, arguments: list[str], told: str) -> dict[int, Any]:
    """Failures by rank. told: where torchrun lets each rank leave what went wrong."""
    import logging

    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # the cause is told below, once
    asked = ["--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", str(count), "--log-dir", told]
    # of the signals torchrun would take over, it may have this one: it gives ranks no more than 30 s to save
    asked += ["--signals-to-handle", "SIGQUIT", "-m", module, *arguments]
    try:
        run.run(run.parse_args(asked))  # type: ignore[no-untyped-call]
    except ChildFailedError as error:
        return dict(error.failures)
    return {}


def tell(failures: dict[int, Any], count: int, folder: str) -> int:
    """Write the cause once: of the lowest rank that failed by itself and was not ended for another's sake."""
    own = {r: f for r, f in sorted(failures.items()) if f.exitcode not in (PEER_LOST, 143, -signal.SIGTERM)}
    rank, failure = next(iter((own or failures).items()))
    data = failure.error_file_data if isinstance(failure.error_file_data.get("exit"), int) else {}
    if data:
        alike = sum(f.error_file_data.get("message") == data["message"] for f in own.values())
        cause = data["message"] if alike > 1 or rank == 0 else f"rank {rank} of {count}: {data['message']}"
    elif failure.exitcode < 0:
        cause = f"rank {rank} of {count} (pid {failure.pid}) was ended by {signal.Signals(-failure.exitcode).name}"
    else:
        cause = f"rank {rank} of {count} (pid {failure.pid}) ended with exit code {failure.exitcode}; see its traceback"
    from engine import runlog

    runlog.open(folder)  # no rank lives any more: the leader is the only writer
    if data.get("oom"):
        runlog.event("oom", **data["oom"])
    runlog.event("failed", cause=cause)
    sys.stdout.flush()
    print(cause, file=sys.stderr, flush=True)
    return failure.exitcode if failure.exitcode > 0 and failure.exitcode != PEER_LOST else 1


class _Relay:
    """Within its `with` block SIGTERM and Ctrl-C go to every rank, also to one that is only being started."""

    def __init__(self) -> None:
        self.asked = False
        self._told: set[int] = set()

    def __enter__(self) -> _Relay:
        self._before = {s: signal.signal(s, self._ask) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)}
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, _: object) -> None:
        self.asked = True
        for pid in _children() - self._told:
            self._told.add(pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        signal.setitimer(signal.ITIMER_REAL, 0.2)  # for a rank that was forked while we looked


def _children() -> set[int]:
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            found |= set(map(int, (task / "children").read_text().split()))
    return found


# -- in a rank -----------------------------------------------------------------------------------------------------


def is_rank() -> bool:
    return LEADER in os.environ


def attend() -> None:
    """Die with the leader, however it dies: a rank left behind would hold its device. Nothing outside a rank."""
    leader = os.environ.get(LEADER)
    if leader is None:
        return
    import ctypes

    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(leader):  # it died before the line above
        os._exit(PEER_LOST)


def leave_word(code: int, message: str, oom: dict[str, int | None] | None = None) -> None:
    """Tell the leader why this rank fails."""
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if path:
        word = {"message": message, "timestamp": int(time.time()), "exit": code, "oom": oom}
        Path(path).write_text(json.dumps(word))


def linger(stop: Any, seconds: float = 10.0) -> None:
    """Before ending for another rank's sake, let the leader see that one's end first."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and not stop():
        time.sleep(0.02)
