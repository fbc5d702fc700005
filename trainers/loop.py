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
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine import runlog
from trainers import checkpoint, keeping, optim, promise
from trainers.augment import Augment
from trainers.compiling import compiled
from trainers.device import Placement
from trainers.ema import Ema
from trainers.errors import ConfigError, LossError
from trainers.family import Family
from trainers.journal import Journal
from trainers.lengths import Lengths, total_steps
from trainers.progress import Progress
from trainers.ranks import ALONE, LossOf, Ranks
from trainers.resolve import RunConfig, workspace
from trainers.sampler import Sampler, Windows
from trainers.schedule import beta1, factor

HIGHER_IS_BETTER = {"val_skill", "val_dir_acc"}
_BESIDE = (("naive", "val_naive_pct_mae", ".5g"), ("skill", "val_skill", "+.4f"))
"""What a person is told beside the metric of each validation, where there is such."""


Score = Callable[[nn.Module, int, Callable[[], bool]], Mapping[str, float] | None]
"""(model in eval mode, step, asked to stop?) -> validation metrics, or None when it was cut short."""


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
        ranks: Ranks = ALONE,
    ) -> None:
        """about: what config.json of each checkpoint must hold. stop: asked once a step. ranks: this is one of them."""
        self.family, self.model, self.config, self.train = family, model, config, config.train
        self.windows, self.score, self.folder = windows, score, folder
        self.about, self.placement, self.stop, self.say = dict(about), placement, stop, say
        self.ranks = ranks
        parts = ranks.count * self.train.accumulate
        if self.train.batch % parts and not self.train.token_budget:
            raise ConfigError(
                f"train.batch = {self.train.batch} cannot be cut into equal parts for {ranks.count} processes"
                + (f" with train.accumulate = {self.train.accumulate}" if self.train.accumulate > 1 else "")
                + f": choose a multiple of {parts}."
            )
        self.lengths = Lengths(self.train, config.data, parts)
        self.progress = Progress(windows=len(windows))
        self.steps = total_steps(config, len(windows), self.lengths)
        self.eval_every = self.train.eval_every or max(1, round(len(windows) / self.lengths.mean_windows))
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
        self.loss_of = ranks.wrap(LossOf(family, self.network))
        self.optimizer = optim.build(self.train, family.parameter_groups(model, self.train.weight_decay))
        self.scaler = placement.scaler()
        self.ema = Ema(model, self.train.ema, self.train.offload in ("ema", "both")) if self.train.ema else None
        self._higher = config.eval.metric in HIGHER_IS_BETTER
        flops = family.flops_per_window(config, len(self.about.get("variates", "?")))
        self.journal = Journal(self.train, self.steps, flops, placement, ranks, folder, say)
        self.journal.meter.windows = self.lengths.largest().windows
        self._length = config.data.context + config.data.horizon  # rows of a whole window
        self.journal.meter.points = self._length * len(self.about.get("variates", "?"))
        self._rate = 0.0  # of the last update
        self._saved = -1
        self._stopping = False
        self._began = time.monotonic()
        self._seconds_before = 0.0

    # -- the run ---------------------------------------------------------------------------------------------------

    def run(self) -> str:
        try:
            return self._run()
        finally:
            self.journal.close()

    def _run(self) -> str:
        promise.now("begin")
        self.model.train()
        self.journal.meter.restart()
        while True:
            if self._evaluation_due() and not self._stopping:
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
        return "stopped" if self._over() == "stopped" else why

    def take_step(self) -> None:
        """One optimizer update. Leaves loss and gradient norm on the device, to be read by `flush`."""
        train, progress = self.train, self.progress
        meter = self.journal.meter
        size = self.lengths.at(progress.step, self.steps)
        self.augment.windows, self.augment.context = size.windows, size.context
        with meter.waiting():
            numbers = self.sampler.take(size.windows)
        share = self.ranks.share(size.windows)
        part_size = len(share) // train.accumulate
        loss_sum: Tensor | None = None
        for first in share[::part_size]:
            with meter.waiting():
                batch = self.windows.gather(numbers[first : first + part_size], size.context, size.horizon)
            batch = self.augment(batch, progress.step, first)
            if self._graphs:
                torch.compiler.cudagraph_mark_step_begin()
            with self.ranks.alone(self.loss_of, first + part_size < share.stop):
                with self.placement.autocast():
                    loss = self.loss_of(batch, size.horizon)
                if train.accumulate > 1:
                    loss = loss / train.accumulate
                torch.autograd.backward(loss if self.scaler is None else self.scaler.scale(loss))
            loss_sum = loss.detach() if loss_sum is None else loss_sum + loss.detach()
        assert loss_sum is not None
        self._rate = self.lr()
        self.optimizer.set_lr(self._rate)
        self.optimizer.set_beta1(beta1(train, progress.step, self.steps))
        norm, each = self._update()
        optim.zero_gradients(self.parameters, keep=self._graphs)
        if self.ema is not None:
            self.ema.update()
            progress.averaged = self.ema.updates
        progress.step += 1
        progress.position = self.sampler.position
        self.journal.add(loss_sum, norm, each, size.windows, size.length / self._length)

    def _update(self) -> tuple[Tensor, Tensor]:
        """Clip and step; the gradient norm before, of all and of each parameter.

        Under fp16 a step whose gradients overflowed changes nothing.
        """
        if not self.journal.names:
            self.journal.names = [name for name, p in self.model.named_parameters() if p.grad is not None]
        if self.scaler is None:
            norms = optim.clip(self.parameters, self.train.clip)
            self.optimizer.step()
            return norms
        self.scaler.unscale_(self.optimizer)  # type: ignore[arg-type]
        norms = optim.clip(self.parameters, self.train.clip)
        self.scaler.step(self.optimizer)  # type: ignore[arg-type]
        self.scaler.update()
        return norms

    def lr(self) -> float:
        """The rate of the next update."""
        return self.train.lr * factor(self.train, self.progress.step, self.steps, self.progress.cuts)

    def used(self) -> dict[str, Any]:
        """What is really in the path of a step, for the `used` event."""
        train = self.train
        return {"optimizer": self.optimizer.name, "schedule": train.schedule, **self._betas(),
                "compile": train.compile, "checkpointing": train.checkpointing, "offload": train.offload,
                "augment": self.augment.names(), **self.lengths.told()}  # fmt: skip

    def _betas(self) -> dict[str, Any]:
        train = self.train
        peak = train.beta1_at_peak if train.schedule == "onecycle" else 0.0
        return {"beta1": f"{train.betas[0]:g} to {peak:g} where lr peaks, and back"} if peak else {}

    def _evaluation_due(self) -> bool:
        step = self.progress.step
        due = step > 0 and (step % self.eval_every == 0 or step >= self.steps)
        return due and self.progress.evaluated != step

    def _over(self) -> str:
        """Why no further step is to be taken, or an empty string."""
        self.progress.seconds = self._seconds_before + time.monotonic() - self._began
        late = 0.0 < self.train.time_limit * 60 <= self.progress.seconds
        self._stopping, late = self.ranks.any(self.stop(), late)  # so that all ranks end at the same step
        if self._stopping:
            return "stopped"
        if self.progress.step >= self.steps:
            return "steps"
        if self.train.patience and self.progress.without_gain >= self.train.patience:
            return "early_stop"
        return "time" if late else ""

    # -- numbers ---------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Read the pending losses and norms (the only wait for the device) and write one metric line.

        Raises LossError naming the first step whose loss or gradient norm was not finite.
        """
        losses, norms = self.journal.read()
        count = len(losses)
        if not count:
            return
        rates = self.journal.meter.read()
        step, loss = self.progress.step, sum(losses) / count
        skipped = self._overflows(norms)
        norms = [0.0 if i in skipped else norm for i, norm in enumerate(norms)]
        numbers = {
            "epoch": self.progress.position / len(self.windows),
            "loss": loss,
            "lr": self._rate,
            "grad_norm": sum(norms) / max(count - len(skipped), 1),
            **rates,
        }
        if self.scaler is not None:
            numbers |= {"skipped_steps": len(skipped), "loss_scale": self.scaler.get_scale()}
        self.journal.log(step, numbers)
        promise.now("steps")
        bad = next((i for i in range(count) if not math.isfinite(losses[i] + norms[i])), None)
        self.journal.progress(step, loss, self._rate, rates.get("steps_per_s"), bad is not None)
        if bad is not None:
            where = step - count + 1 + bad
            found = self.journal.not_a_number(bad, where, losses[bad], norms[bad], self._numbers_in(where))
            self.journal.warn([found], where)
            raise LossError(f"{found.text} {found.suggestion}")
        self.journal.warn(self.journal.doctor.line(step, loss, self._rate, max(norms), rates.get("data_share")), step)

    def _numbers_in(self, step: int) -> bool:
        """Whether the windows of an update hold nothing but numbers."""
        size = self.lengths.at(step - 1, self.steps)
        at = self.progress.position - self.lengths.between(step - 1, self.progress.step, self.steps)
        numbers = Sampler(len(self.windows), self.train.seed, at).take(size.windows)
        share = self.ranks.share(size.windows)
        batch = self.windows.gather(numbers[share.start : share.stop], size.context, size.horizon)
        good = bool(torch.isfinite(batch.values).all())
        return not self.ranks.any(not good)[0]

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

    # -- validation and checkpoints --------------------------------------------------------------------------------

    def evaluate(self) -> None:
        """Score the weights that would be saved, save them, and remember whether they are the best."""
        self.flush()
        progress, metric = self.progress, self.config.eval.metric
        runlog.event("phase", name="evaluate")
        promise.now("evaluate")
        self.model.eval()
        devices = [self.placement.device] if self.placement.device.type == "cuda" else []
        with self._weights_to_score(), torch.random.fork_rng(devices):  # watching must not change what is watched
            torch.manual_seed(self.train.seed)  # a loss that draws is the same for the same weights
            metrics = self.score(self.model, progress.step, self.stop) if self.ranks.first else None
        metrics = self.ranks.tell(metrics and dict(metrics))
        self.model.train()
        runlog.event("phase", name="train")
        promise.now("steps" if progress.step else "begin")
        if metrics is None:  # asked to stop half-way: the resumed run scores this step
            self.journal.meter.restart()
            return
        value = metrics.get(metric, math.nan)
        self.journal.log(progress.step, {"epoch": progress.position / len(self.windows), **metrics})
        self.say(
            f"step {progress.step}/{self.steps} {metric} {value:.5g}"
            + "".join(f" {name} {metrics[key]:{form}}" for name, key, form in _BESIDE if key in metrics)
        )
        if not math.isfinite(value):
            runlog.event("warning", code="nan", step=progress.step, text=f"{metric} is {value}")
            raise LossError(f"{metric} is {value} at step {progress.step}. Lower train.lr ({self.train.lr:g}).")
        is_best = progress.scored(metrics, value, self.train.keep, higher=self._higher)
        if self.train.schedule == "plateau" and progress.flat >= self.train.plateau_patience:
            progress.cuts, progress.flat = progress.cuts + 1, 0
        self.save(force=True)
        self.journal.warn(self.journal.doctor.validation(metrics), progress.step)
        if is_best:
            path = f"checkpoints/{progress.best[0]['name']}"
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
        chance = keeping.chance(self)  # of all ranks
        self._saved = progress.step
        promise.now("checkpoint")
        if self.ranks.first:
            tensors = keeping.tensors(self) | chance  # before the averages take the place of the weights
            with self._weights_to_score():
                path = checkpoint.save(self.folder, progress.step, self._write_model, about, asdict(progress), tensors)
            relative = f"checkpoints/{path.name}"
            runlog.event("checkpoint", step=progress.step, path=relative, bytes=checkpoint.size(path), metrics=scored)
            checkpoint.retain(self.folder, [e["name"] for e in progress.best], path)
        self.ranks.wait()
        promise.now("steps")
        self.journal.meter.restart()

    def resume(self, path: Path) -> None:
        """Take up the state of a checkpoint; the next step is the one that would have followed it."""
        self.progress = keeping.restore(self, path)
        self._seconds_before = self.progress.seconds
        self._saved = self.progress.step

    def _write_model(self, folder: Path) -> None:
        self.family.save(self.model, folder)

    def _weights_to_score(self) -> AbstractContextManager[None]:
        return self.ema.applied() if self.ema is not None else nullcontext()
