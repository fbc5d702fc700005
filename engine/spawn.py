"""Start supervisors: their environment, their devices, and the descriptors that tell when they began and ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine import supervisor
from engine.workspace import Workspace

# Imported, not run as a script: a script is compiled anew at each start, which costs 5 ms.
LAUNCH = f"import sys; sys.path.insert(0, {str(Path(supervisor.__file__).parent.parent)!r}); "
LAUNCH += "from engine.supervisor import run; run()"
OURS = ("ENGINE_RUN", "ENGINE_HOME", "ENGINE_SOCKET")


@dataclass(frozen=True)
class Spawned:
    """A supervisor of ours. ready: readable once the run has begun, or at once with no byte if it could not."""

    process: subprocess.Popen[bytes]
    ready: int


def environment(
    workspace: Workspace, folder: Path, base: Mapping[str, str], visible: str, threads: int | None
) -> dict[str, str]:
    """Give a run's environment: the user's, our three names, and CUDA_VISIBLE_DEVICES always set.

    visible: the devices' UUIDs, empty for a CPU run. threads: OMP_NUM_THREADS of a CPU run, so that runs on
    neighbouring slots do not crowd each other; what the user has set wins.
    """
    env = {name: value for name, value in base.items() if name not in OURS}
    env.setdefault("PYTHONUNBUFFERED", "1")  # a log that can be followed
    if threads:
        env.setdefault("OMP_NUM_THREADS", str(threads))
    env["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    env["CUDA_VISIBLE_DEVICES"] = visible
    env["ENGINE_HOME"] = str(workspace.root)
    env["ENGINE_RUN"] = str(folder)
    return env


def spawn(folder: Path, env: Mapping[str, str], log: Path, locks: Sequence[int] = ()) -> Spawned:
    """Start a supervisor in its own session; it outlives this process. Raises OSError.

    locks: descriptors that it and the run inherit and so hold for as long as they live.
    """
    read, write = os.pipe()
    try:
        with open(log, "ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", LAUNCH, str(folder), "--ready", str(write)],
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                pass_fds=(write, *locks),
                start_new_session=True,
                cwd="/",
            )
    except BaseException:
        os.close(read)
        raise
    finally:
        os.close(write)
    return Spawned(process, read)
