"""The one training loop of all families: steps, validations, checkpoints, and when to stop.

Everything that decides the next step lives in `Progress` or in tensors, and both are saved; so a run that was killed
and resumed goes on bit for bit (on a CPU) as if it had not been. Numbers stay on the device between two metric lines:
no step waits for the one before it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from engine import runlog
from trainers import checkpoint, optim
from trainers.augment import Augment
from trainers.compiling import compiled
from trainers.device import Placement
from trainers.ema import Ema
from trainers.errors import LossError
from trainers.family import Family
from trainers.resolve import RunConfig, workspace
from trainers.sampler import Sampler
from trainers.schedule import factor

HIGHER_IS_BETTER = {"val_skill", "val_dir_acc"}


class Windows(Protocol):
    """Training windows by number."""

    def __len__(self) -> int: ...

    def gather(self, numbers: Tensor) -> Any:
        """The Batch of these windows, on the device of training. numbers: int64 [B] on the CPU."""
        ...


Score = Callable[[nn.Module, int, Callable[[], bool]], Mapping[str, float] | None]
"""(model in eval mode, step, asked to stop?) -> validation metrics, or None when it was cut short."""


@dataclass
class Progress:
    """All of the loop's state that is not a tensor; state.json of a checkpoint."""

    step: int = 0
    position: int = 0
    averaged: int = 0
    evaluated: int = -1  # the step of the last finished validation
    without_gain: int = 0  # validations since the best
    flat: int = 0  # validations since the best or the last cut of the rate
    cuts: int = 0  # of the rate, by the plateau schedule
    seconds: float = 0.0
    best: list[dict[str, Any]] = field(default_factory=list)  # {"step", "value", "name"}, best first
    metrics: dict[str, float] = field(default_factory=dict)  # of the last validation
    windows: int = 0


class Loop:
    """Trains one model in one run folder. `run` returns why it ended: steps, early_stop, time or stopped."""

    def __init__(
        self,
        family: Family,
        model: nn.Module,
        config: RunConfig,
        windows: Windows,
        score: Score,
        folder: Path,
        about: Mapping[str, Any],
        placement: Placement,
        stop: Callable[[], bool] = lambda: False,
        say: Callable[[str], object] = print,
    ) -> None:
        """about: what config.json of each checkpoint must hold. stop: asked once a step."""
        self.family, self.model, self.config, self.train = family, model, config, config.train
        self.windows, self.score, self.folder = windows, score, folder
        self.about, self.placement, self.stop, self.say = dict(about), placement, stop, say
        self.progress = Progress(windows=len(windows))
        self.steps = total_steps(config, len(windows))
        self.eval_every = self.train.eval_every or max(1, round(len(windows) / self.train.batch))
        self.sampler = Sampler(len(windows), self.train.seed)
        self.augment = Augment(self.train, self.train.batch, config.data.context)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        if self.train.checkpointing:
            family.checkpoint_layers(model)
        mode = self.train.compile
        self.network: nn.Module = model if mode == "none" else compiled(model, mode, workspace())  # of the losses
        # gradients stay in memory of their own: in a CUDA graph's, the next replay would write over sums of parts
        self._graphs = mode == "reduce-overhead"
        optim.zero_gradients(self.parameters, keep=self._graphs)
        self.optimizer = optim.build(self.train, family.parameter_groups(model, self.train.weight_decay))
        self.scaler = placement.scaler()
        self.ema = Ema(model, self.train.ema, self.train.offload in ("ema", "both")) if self.train.ema else None
        self._higher = config.eval.metric in HIGHER_IS_BETTER
        self._losses: list[Tensor] = []
        self._norms: list[Tensor] = []
        self._rate = 0.0  # of the last update
        self._saved = -1
        self._marked = self._said = time.perf_counter()
        self._began = time.monotonic()
        self._seconds_before = 0.0

    # -- the run ---------------------------------------------------------------------------------------------------

    def run(self) -> str:
        self.model.train()
        self._mark()
        while True:
            if self._evaluation_due() and not self.stop():
                self.evaluate()
            elif self.train.save_every and self.progress.step % self.train.save_every == 0:
                self.save()
            why = self._over()
            if why:
                break
            self.take_step()
            if self.progress.step % self.train.log_every == 0:
                self.flush()
        self.flush()
        if why == "time" and self.progress.evaluated != self.progress.step:
            self.evaluate()
        self.save()
        return "stopped" if self.stop() else why

    def take_step(self) -> None:
        """One optimizer update. Leaves loss and gradient norm on the device, to be read by `flush`."""
        train, progress = self.train, self.progress
        numbers = self.sampler.take(train.batch)
        part_size = train.batch // train.accumulate
        loss_sum: Tensor | None = None
        for first in range(0, train.batch, part_size):
            batch = self.augment(self.windows.gather(numbers[first : first + part_size]), progress.step, first)
            if self._graphs:
                torch.compiler.cudagraph_mark_step_begin()
            with self.placement.autocast():
                loss = self.family.loss(self.network, batch, self.config.data.horizon)
            if train.accumulate > 1:
                loss = loss / train.accumulate
            torch.autograd.backward(loss if self.scaler is None else self.scaler.scale(loss))
            loss_sum = loss.detach() if loss_sum is None else loss_sum + loss.detach()
        assert loss_sum is not None
        self._rate = self.lr()
        self.optimizer.set_lr(self._rate)
        norm = self._update()
        optim.zero_gradients(self.parameters, keep=self._graphs)
        if self.ema is not None:
            self.ema.update()
            progress.averaged = self.ema.updates
        progress.step += 1
        progress.position = self.sampler.position
        self._losses.append(loss_sum)
        self._norms.append(norm)

    def _update(self) -> Tensor:
        """Clip and step; the gradient norm before. Under fp16 a step whose gradients overflowed changes nothing."""
        if self.scaler is None:
            norm = optim.clip(self.parameters, self.train.clip)
            self.optimizer.step()
            return norm
        self.scaler.unscale_(self.optimizer)  # type: ignore[arg-type]
        norm = optim.clip(self.parameters, self.train.clip)
        self.scaler.step(self.optimizer)  # type: ignore[arg-type]
        self.scaler.update()
        return norm

    def lr(self) -> float:
        """The rate of the next update."""
        return self.train.lr * factor(self.train, self.progress.step, self.steps, self.progress.cuts)

    def used(self) -> dict[str, Any]:
        """What is really in the path of a step, for the `used` event."""
        train = self.train
        return {"optimizer": self.optimizer.name, "schedule": train.schedule, "compile": train.compile,
                "checkpointing": train.checkpointing, "offload": train.offload,
                "augment": self.augment.names()}  # fmt: skip

    def _evaluation_due(self) -> bool:
        step = self.progress.step
        due = step > 0 and (step % self.eval_every == 0 or step >= self.steps)
        return due and self.progress.evaluated != step

    def _over(self) -> str:
        """Why no further step is to be taken, or an empty string."""
        self.progress.seconds = self._seconds_before + time.monotonic() - self._began
        if self.stop():
            return "stopped"
        if self.progress.step >= self.steps:
            return "steps"
        if self.train.patience and self.progress.without_gain >= self.train.patience:
            return "early_stop"
        if self.train.time_limit and self.progress.seconds >= self.train.time_limit * 60:
            return "time"
        return ""

    # -- numbers ---------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Read the pending losses and norms (the only wait for the device) and write one metric line.

        Raises LossError naming the first step whose loss or gradient norm was not finite.
        """
        count = len(self._losses)
        if not count:
            return
        losses, norms = torch.stack([torch.stack(self._losses).float(), torch.stack(self._norms).float()]).tolist()
        self._losses.clear()
        self._norms.clear()
        now = time.perf_counter()
        speed = count / max(now - self._marked, 1e-9)
        self._marked = now
        step = self.progress.step
        loss = sum(losses) / count
        skipped = self._overflows(norms)
        norms = [0.0 if i in skipped else norm for i, norm in enumerate(norms)]
        runlog.log(
            step,
            epoch=self.progress.position / len(self.windows),
            loss=loss,
            lr=self._rate,
            grad_norm=sum(norms) / max(count - len(skipped), 1),
            windows_per_s=speed * self.train.batch,
            steps_per_s=speed,
            **({} if self.scaler is None else {"skipped_steps": len(skipped), "loss_scale": self.scaler.get_scale()}),
        )
        first_bad = next((i for i in range(count) if not math.isfinite(losses[i] + norms[i])), None)
        if now - self._said >= 1.0 or step >= self.steps or first_bad is not None:
            self._said = now
            self.say(f"step {step}/{self.steps} loss {loss:.4g} lr {self._rate:.2g} {speed:.3g} it/s")
        if first_bad is not None:
            bad = step - count + 1 + first_bad
            what = "The loss" if not math.isfinite(losses[first_bad]) else "The gradient norm"
            text = f"{what} is {losses[first_bad] if what == 'The loss' else norms[first_bad]} at step {bad}"
            runlog.event("warning", code="nan", step=bad, text=text)
            raise LossError(f"{text}. Lower train.lr ({self.train.lr:g}), warm up longer, or check the data.")

    def _overflows(self, norms: list[float]) -> set[int]:
        """The steps among these that fp16 left out. LossError when no loss scale is small enough any more."""
        if self.scaler is None:
            return set()
        skipped = {i for i, norm in enumerate(norms) if not math.isfinite(norm)}
        if len(skipped) == len(norms) and self.scaler.get_scale() < 1.0:
            raise LossError(
                f"Gradients overflow fp16 at step {self.progress.step} even with a loss scale of "
                f"{self.scaler.get_scale():g}. Use train.precision=bf16 or fp32, or lower train.lr ({self.train.lr:g})."
            )
        return skipped

    def _mark(self) -> None:
        """Start the clock of it/s anew, so that validations and saves do not count as slow steps."""
        self._marked = time.perf_counter()

    # -- validation and checkpoints --------------------------------------------------------------------------------

    def evaluate(self) -> None:
        """Score the weights that would be saved, save them, and remember whether they are the best."""
        self.flush()
        progress, metric = self.progress, self.config.eval.metric
        runlog.event("phase", name="evaluate")
        self.model.eval()
        devices = [self.placement.device] if self.placement.device.type == "cuda" else []
        with self._weights_to_score(), torch.random.fork_rng(devices):  # watching must not change what is watched
            metrics = self.score(self.model, progress.step, self.stop)
        self.model.train()
        runlog.event("phase", name="train")
        if metrics is None:  # asked to stop half-way: the resumed run scores this step
            self._mark()
            return
        value = metrics.get(metric, math.nan)
        runlog.log(progress.step, epoch=progress.position / len(self.windows), **metrics)
        self.say(
            f"step {progress.step}/{self.steps} {metric} {value:.5g} naive "
            f"{metrics.get('val_naive_pct_mae', math.nan):.5g} skill {metrics.get('val_skill', math.nan):+.4f}"
        )
        if not math.isfinite(value):
            runlog.event("warning", code="nan", step=progress.step, text=f"{metric} is {value}")
            raise LossError(f"{metric} is {value} at step {progress.step}. Lower train.lr ({self.train.lr:g}).")
        progress.evaluated = progress.step
        progress.metrics = {k: float(v) for k, v in metrics.items()}
        entry = {"step": progress.step, "value": value, "name": f"step-{progress.step:06d}"}
        ranked = sorted([*progress.best, entry], key=lambda e: -e["value"] if self._higher else e["value"])
        progress.best = ranked[: self.train.keep]  # sorted() is stable: of equals the earlier stays ahead
        is_best = progress.best[0] is entry
        progress.without_gain = 0 if is_best else progress.without_gain + 1
        progress.flat = 0 if is_best else progress.flat + 1
        if self.train.schedule == "plateau" and progress.flat >= self.train.plateau_patience:
            progress.cuts, progress.flat = progress.cuts + 1, 0
        self.save(force=True)
        if is_best:
            path = f"checkpoints/{entry['name']}"
            runlog.event("best", step=progress.step, path=path, metric=metric, value=value)

    def save(self, force: bool = False) -> None:
        """Write the checkpoint of this step, if there is none yet, and drop those that are no longer kept."""
        progress = self.progress
        if progress.step == 0 or (self._saved == progress.step and not force):
            return
        self.flush()
        progress.seconds = self._seconds_before + time.monotonic() - self._began
        scored = progress.metrics if progress.evaluated == progress.step else {}
        about = {**self.about, "step": progress.step, "metrics": scored, "averaged": self.ema is not None}
        tensors = self._tensors()  # before the averages take the place of the weights
        with self._weights_to_score():
            path = checkpoint.save(self.folder, progress.step, self._write_model, about, asdict(progress), tensors)
        self._saved = progress.step
        relative = f"checkpoints/{path.name}"
        runlog.event("checkpoint", step=progress.step, path=relative, bytes=checkpoint.size(path), metrics=scored)
        checkpoint.retain(self.folder, [e["name"] for e in progress.best], path)
        self._mark()

    def resume(self, path: Path) -> None:
        """Take up the state of a checkpoint; the next step is the one that would have followed it."""
        state, tensors = checkpoint.load_state(path)
        self.progress = Progress(**{k: v for k, v in state.items() if k in Progress.__dataclass_fields__})
        self.sampler.position = self.progress.position
        self._seconds_before = self.progress.seconds
        self._saved = self.progress.step
        self.model.load_state_dict(_under("model/", tensors))
        self.optimizer.load_state(_under("optim/", tensors))
        if self.scaler is not None:
            now = {name: t.item() for name, t in _under("scaler/", tensors).items()}
            self.scaler.load_state_dict({**self.scaler.state_dict(), **now})
        if self.ema is not None:
            self.ema.load(_under("ema/", tensors), self.progress.averaged)
        torch.set_rng_state(tensors["rng/cpu"])
        if "rng/cuda" in tensors and self.placement.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["rng/cuda"], self.placement.device)

    def _write_model(self, folder: Path) -> None:
        self.family.save(self.model, folder)

    def _weights_to_score(self) -> AbstractContextManager[None]:
        return self.ema.applied() if self.ema is not None else nullcontext()

    def _tensors(self) -> dict[str, Tensor]:
        out = {f"model/{k}": v for k, v in self.model.state_dict().items()}
        out |= {f"optim/{k}": v for k, v in self.optimizer.state_tensors().items()}
        if self.scaler is not None:
            state = self.scaler.state_dict()
            out |= {f"scaler/{key}": torch.tensor(state[key]) for key in ("scale", "_growth_tracker")}
        if self.ema is not None:
            out |= {f"ema/{k}": v for k, v in self.ema.tensors().items()}
        out["rng/cpu"] = torch.get_rng_state()
        if self.placement.device.type == "cuda":
            out["rng/cuda"] = torch.cuda.get_rng_state(self.placement.device)
        return out


def total_steps(config: RunConfig, windows: int) -> int:
    """Optimizer steps of the whole run: train.steps, or what train.epochs over these windows make, rounded up."""
    return config.train.steps or max(1, math.ceil(config.train.epochs * windows / config.train.batch))


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
