"""One run from its folder: read spec.json, load data, train, score the best weights, and end with a code that says why.

This is the edge of the process: what went wrong becomes one line on stderr, a `failed` event and an exit code.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from engine import runlog
from trainers import checkpoint, earlier, evaluate, folds, launch, promise, ranks
from trainers import family as families
from trainers.data.dataset import Dataset
from trainers.data.dataset import load as load_data
from trainers.device import Placement, place
from trainers.errors import ConfigError, OutOfMemoryError, TrainerError
from trainers.family import Family
from trainers.loop import Loop
from trainers.progress import Progress
from trainers.ranks import Ranks
from trainers.resolve import RunConfig, from_dict, workspace


def run(family: str, folder: str | Path, stop: Callable[[], bool] = lambda: False) -> int:
    """Train what the folder says; the process's exit code. stop: see `trainers.stop`."""
    folder = Path(folder)
    spec = read_spec(folder, family)
    if ranks.here() == 0:
        runlog.open(folder)
    else:
        runlog.mute()

    def train() -> int:
        config = from_dict(family, spec.get("config") or {})
        with ranks.join(config.train.device) as us:
            return _train(family, folder, spec, config, stop, us)

    return told(train, stop)


def told(work: Callable[[], int], stop: Callable[[], bool] = lambda: False) -> int:
    """The work's exit code; what went wrong becomes one line on stderr, a `failed` event and a code that says why."""
    try:
        return work()
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        memory = _memory(error)
        if memory is not None:
            return _fail(OutOfMemoryError(f"Out of memory: {_first_line(error)} Lower train.batch, raise "
                                          "train.accumulate, or choose a smaller model."), memory)  # fmt: skip
        if launch.is_rank() and ranks.lost_a_peer(error):
            launch.linger(stop)
            return launch.PEER_LOST
        raise
    except TrainerError as error:
        return _fail(error)
    except (OSError, SafetensorError) as error:  # a full or vanished disk is nobody's bug; it is told in one line
        return _fail(TrainerError(f"{type(error).__name__}: {_first_line(error)}"))


def _train(
    family_name: str, folder: Path, spec: dict[str, Any], config: RunConfig, stop: Callable[[], bool], us: Ranks
) -> int:
    if us.count > 1 and config.eval.folds:
        raise ConfigError(
            f"eval.folds = {config.eval.folds} with {us.count} processes: folds are trained by one process. "
            "Give the run one device (--gpus 1), or leave the folds out."
        )
    if checkpoint.all_in(folder):
        raise ConfigError(f"{folder} holds checkpoints already: a run folder is trained once; resume into a new one.")
    placement = place(config.train.device, config.train.precision, config.train.threads)
    placement.check(config.train)
    # every rank builds the same model, from the seed itself, and then drops out for itself
    torch.manual_seed((config.train.seed + 1_000_003 * us.rank) % 2**63)
    runlog.event("phase", name="load")
    promise.begin()
    family = families.load(family_name)
    dataset = load_data(config.data, workspace(), config.eval.stride).to(placement.device)
    if getattr(family, "stamps", False):
        dataset = dataset.with_stamps()
    for note in dataset.notes:
        runlog.event("warning", code="data", text=note)
        _say(f"data: {note}")
    parts = dataset.folds(config.eval.folds) if config.eval.folds else []
    if config.data.known_future and not getattr(family, "knows_future", False):
        raise ConfigError(f"data.known_future: {family_name} cannot use what is known ahead; leave it out.")
    model = family.build(config, len(dataset.variates), config.train.seed).to(placement.device)
    untuned = us.tell(_zero_shot(family, model, config, dataset, stop) if us.first else None)
    before = folder.resolve().parent / str(spec["resume_from"]) if spec.get("resume_from") else None
    trained: torch.nn.Module | None = None
    about = {
        "family": family_name,
        "variates": list(dataset.variates),
        "target": config.data.target,
        "run": spec.get("id"),
        "synthetic": dataset.synthetic,
    }

    def loop_on(
        data: Dataset, where: Path, say: Callable[[str], object], model: torch.nn.Module | None = None,
        zero_shot: float | None = None, asked: RunConfig = config,
    ) -> Loop:  # fmt: skip
        if model is None:
            model = family.build(asked, len(data.variates), config.train.seed).to(placement.device)
            if trained is not None:
                family.continued(model, trained)  # type: ignore[attr-defined]
        score = evaluate.Scorer(family, asked, data, placement, zero_shot)
        windows = evaluate.training_windows(family, model, asked, data, us.count)
        told = {**about, "config": asked.as_dict()}
        return Loop(family, model, asked, windows, score, where, told, placement, stop, say, us)

    first = family.before(config) if hasattr(family, "before") else None
    if first is not None:
        trained = earlier.run(lambda asked, where, say: loop_on(dataset, where, say, asked=asked), first[0], first[1],
                              folder, before, _say)  # fmt: skip
        if trained is None:
            runlog.event("finished", step=0, why="stopped")
            _say(f"stopped before step 0, in the training of the {first[0]}")
            return 143
        family.continued(model, trained)  # type: ignore[attr-defined]
    loop = loop_on(dataset, folder, _say, model, untuned.get("val", {}).get("pct_mae"))
    _tell_plan(config, dataset, model, placement, loop, family,
               {**loop.used(), **evaluate.used(loop.windows), "processes": us.count})  # fmt: skip
    if before is not None:
        _resume(loop, folder, str(spec["resume_from"]), config, began=trained is not None)
    runlog.event("phase", name="train")
    why = loop.run()
    summary: dict[str, float] | None = {}
    if why != "stopped" and parts:
        summary = folds.run(loop_on, parts, config, folder, before, stop, _say)
    promise.now("evaluate")
    if why != "stopped" and summary is not None and us.first:
        _final(loop, folder, config, dataset, untuned, summary, stop)
    why = us.tell("stopped" if stop() else why)
    if (held := placement.memory()) is not None:
        runlog.event("memory", **held)
    runlog.event("finished", step=loop.progress.step, why=why)
    _say(f"{why} at step {loop.progress.step}")
    return 143 if why == "stopped" else 0


def _zero_shot(
    family: Family, model: torch.nn.Module, config: RunConfig, dataset: Dataset, stop: Callable[[], bool]
) -> dict[str, dict[str, float | None]]:
    """Scores by split of loaded weights as they were loaded, before the first step; empty for a model from a seed."""
    origin = getattr(model, "origin", None)
    if not origin:
        return {}
    runlog.event("weights", **origin)
    if "source" not in origin or not evaluate.scored(family, config):
        return {}  # a part of a model, which alone makes no forecast
    runlog.event("phase", name="evaluate")
    scores = evaluate.zero_shot(family, model, config, dataset, stop)
    found = scores.get("val", {}).get("pct_mae")
    if found is not None:
        runlog.log(0, val_zeroshot_pct_mae=found)
        _say(f"zero-shot: val_pct_mae {found:.5g} of {origin['source']} before any training")
    return scores


def _final(
    loop: Loop, folder: Path, config: RunConfig, dataset: Dataset, untuned: dict[str, dict[str, float | None]],
    summary: dict[str, float], stop: Callable[[], bool],
) -> None:  # fmt: skip
    """Score the best checkpoint, read back from its folder, on every split there is. summary: of the folds."""
    best = loop.progress.best[0]
    path = folder / "checkpoints" / best["name"]
    model = loop.family.load(path, loop.placement.device).eval()
    _export(loop.family, model, folder)
    if not evaluate.scored(loop.family, config):
        _say(f"no evaluation: this model makes no forecast; its {config.eval.metric} is {best['value']:.5g}")
        return
    runlog.event("phase", name="evaluate")
    for split in evaluate.EVALUATED:
        if not dataset.windows()[split]:
            continue
        metrics = evaluate.write(loop.family, model, config, dataset, split, best["step"], folder, stop,
                                 untuned.get(split), summary if split == "val" else None)  # fmt: skip
        if metrics is None:
            return
        shown = {"metrics": metrics} if split == "val" else {}  # the others stay closed until the run is promoted
        runlog.event("evaluation", split=split, path=f"evaluation/{split}.json", **shown)
        again = metrics.get(config.eval.metric)
        if split == "val" and again is not None and abs(again - best["value"]) > 1e-3 * abs(best["value"]) + 1e-9:
            text = f"the best weights, read back, give {config.eval.metric} {again:g} instead of {best['value']:g}"
            runlog.event("warning", code="evaluation", text=text)
            _say(f"warning: {text}")


def _export(family: Family, model: torch.nn.Module, folder: Path) -> None:
    """hf_export/: the best weights for the family's upstream, where there is one that can read them."""
    export = getattr(family, "export", None)
    if export is None:
        return
    beside = folder / f".hf_export.{os.getpid()}"
    why = export(model, beside)
    if why:
        _say(f"no hf_export: {why}")
    else:
        beside.rename(folder / "hf_export")


def _resume(loop: Loop, folder: Path, run_id: str, config: RunConfig, began: bool = False) -> None:
    """began: something comes before the first checkpoint, and has been taken over."""
    old = folder.resolve().parent / run_id
    if os.path.basename(run_id) != run_id or not old.is_dir():
        raise ConfigError(f"resume_from = {run_id!r}: there is no such run folder beside {folder.name}.")
    if checkpoint.newest_with_state(old) is None:
        if began:
            return
        text = f"{run_id} ended before its first checkpoint: starting from the beginning"
        runlog.event("warning", code="resume", text=text)
        _say(text)
        return
    loop.ranks.wait()  # until all have seen that this folder holds no checkpoint of its own
    if loop.ranks.first:
        checkpoint.adopt(old, folder)
    loop.ranks.wait()
    path = checkpoint.newest_with_state(folder)
    assert path is not None
    # read through the fields, so that one which did not exist then counts as its default
    before, now = from_dict(config.family, checkpoint.about(path)["config"]).as_dict(), config.as_dict()
    for section in ("model", "data"):
        for name in sorted(before[section].keys() | now[section].keys()):
            was, is_ = before[section].get(name), now[section].get(name)
            if was != is_:
                raise ConfigError(f"{section}.{name} = {is_} cannot go on from {run_id}, trained with {was}.")
    for name in ("seed", "ema", "optimizer"):
        was, is_ = before["train"].get(name), now["train"].get(name)
        if was != is_:
            raise ConfigError(f"train.{name} = {is_} cannot go on from {run_id}, trained with {was}.")
    windows = loop.progress.windows
    loop.resume(path)
    if loop.progress.windows != windows:
        raise ConfigError(
            f"The data changed: {run_id} had {loop.progress.windows} training windows, now there are {windows}. "
            "Start a new run."
        )
    _tell_resumed(loop.progress, run_id, config)


def _tell_resumed(progress: Progress, run_id: str, config: RunConfig) -> None:
    for entry in progress.best[:1]:
        runlog.event("best", step=entry["step"], path=f"checkpoints/{entry['name']}", metric=config.eval.metric,
                     value=entry["value"])  # fmt: skip
    _say(f"resumed {run_id} at step {progress.step}")


def _tell_plan(
    config: RunConfig, dataset: Dataset, model: torch.nn.Module, placement: Placement, loop: Loop, family: Any,
    used: dict[str, Any],
) -> None:  # fmt: skip
    steps, windows, batch = loop.steps, len(loop.windows), loop.lengths.mean_windows
    count = sum(p.numel() for p in model.parameters())
    runlog.event("plan", steps=steps, epochs=steps * batch / windows, windows=dataset.windows(),
                 symbols=len(dataset.symbols), parameters=count,
                 trainable=sum(p.numel() for p in model.parameters() if p.requires_grad))  # fmt: skip
    runlog.event("used", device=placement.name(), precision=placement.precision, evaluation_precision="fp32",
                 **used, threads=torch.get_num_threads(), torch=str(torch.__version__),
                 flops_per_window=family.flops_per_window(config, len(dataset.variates)),
                 **({"attention": model.attention} if isinstance(getattr(model, "attention", None), str) else {}),
                 )  # fmt: skip
    _say(f"{count:,} parameters, {steps} steps of {batch:g} windows, {windows} to train on, "
         f"{dataset.windows()['val']} to validate, {placement.name()} {placement.precision}")  # fmt: skip


def read_spec(folder: Path, family: str) -> dict[str, Any]:
    path = folder / "spec.json"
    try:
        spec = json.loads(path.read_text())
    except FileNotFoundError:
        raise ConfigError(f"{path}: not there. `engine run {family}` makes run folders.") from None
    except (ValueError, OSError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}).") from None
    if not isinstance(spec, dict):
        raise ConfigError(f"{path}: expected a JSON object.")
    if spec.get("family", family) != family:
        raise ConfigError(f"{path} is for family '{spec['family']}', but '{family}' was asked for.")
    return spec


def _fail(error: TrainerError, memory: dict[str, int | None] | None = None) -> int:
    text = str(error).replace("\n", " ")
    if launch.is_rank():  # the leader tells it, once for all
        launch.leave_word(error.code, text, memory)
        return error.code
    if memory is not None:
        runlog.event("oom", **memory)
    runlog.event("failed", cause=text)
    sys.stdout.flush()
    print(text, file=sys.stderr, flush=True)
    return error.code


def _memory(error: BaseException) -> dict[str, int | None] | None:
    """The `oom` event's fields if the error means that memory ran out, else None."""
    import re

    text = str(error)
    if isinstance(error, torch.OutOfMemoryError):
        free, total = torch.cuda.mem_get_info() if torch.cuda.is_available() else (None, None)
        asked = re.search(r"Tried to allocate ([\d.]+) (\w+)", text)
        units = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
        requested = int(float(asked[1]) * units.get(asked[2], 1)) if asked else None
        return {"requested": requested, "free": free, "total": total}
    asked = re.search(r"can't allocate memory: you tried to allocate (\d+) bytes", text)
    if asked or isinstance(error, MemoryError):
        pages, size = os.sysconf("SC_AVPHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
        total = os.sysconf("SC_PHYS_PAGES") * size
        return {"requested": int(asked[1]) if asked else None, "free": pages * size, "total": total}
    return None


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _say(line: str) -> None:
    if ranks.here() == 0:
        print(line, flush=True)
