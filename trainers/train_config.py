"""What the shared loop can be told: how to train, and how to score; the same fields for every family.

Defaults suit a small model on daily prices of some dozens of symbols, on a CPU or one GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

from trainers.config import param


@dataclass(frozen=True)
class TrainConfig:
    """Optimizer, schedule, stopping and saving. A step is one optimizer update of `batch` windows."""

    lr: float = param(1e-3, help="peak learning rate", low=1e-8, high=1.0, log=True)
    schedule: str = param(
        "cosine", help="how lr comes down after its rise; plateau: cut when eval.metric no longer gains; "
        "wsd: stable, then a decay at the end",
        choices=("cosine", "restarts", "onecycle", "plateau", "wsd"),
    )  # fmt: skip
    min_lr_ratio: float = param(0.05, help="floor of the schedule, as a part of lr", low=0.0, high=1.0)
    warmup: float = param(
        0.05, help="part of all steps in which lr rises linearly", low=0.0, high=0.9,
        when=("schedule", ("cosine", "restarts", "plateau", "wsd")),
    )  # fmt: skip
    cycles: int = param(3, help="half cosines, the last ending with the run", low=2, high=100,
                        when=("schedule", "restarts"))  # fmt: skip
    cycle_growth: float = param(2.0, help="length of a cycle over that of the one before", low=0.25, high=4.0,
                                when=("schedule", "restarts"))  # fmt: skip
    rise_share: float = param(0.3, help="part of all steps in which lr rises by a cosine", low=0.0, high=0.9,
                              when=("schedule", "onecycle"))  # fmt: skip
    start_ratio: float = param(0.04, help="rate of the first step, as a part of lr", low=1e-4, high=1.0, log=True,
                               when=("schedule", "onecycle"))  # fmt: skip
    beta1_at_peak: float = param(
        0.0, help="AdamW's first decay rate where lr peaks: it goes from betas there and back with lr; 0: it stays",
        low=0.0, high=0.99999, when=("schedule", "onecycle"),
    )  # fmt: skip
    plateau_factor: float = param(0.5, help="what lr is multiplied by at a cut", low=0.01, high=0.99,
                                  when=("schedule", "plateau"))  # fmt: skip
    plateau_patience: int = param(3, help="validations without a better metric before a cut", low=1, high=10**6,
                                  when=("schedule", "plateau"))  # fmt: skip
    decay_share: float = param(0.2, help="part of all steps, at the end, in which lr falls", low=0.0, high=1.0,
                               when=("schedule", "wsd"))  # fmt: skip
    steps: int = param(0, help="optimizer steps; 0: as many as epochs say", low=0, high=2**53, unit="steps")
    epochs: float = param(
        10.0, help="passes over the training windows", low=1e-6, high=1e6, unit="epochs", when=("steps", 0)
    )
    batch: int = param(32, help="windows of one optimizer step", low=1, high=1 << 20, log=True,
                       when=("token_budget", 0))  # fmt: skip
    token_budget: int = param(
        0, help="windows times rows of one optimizer step: it takes as many windows as fit; 0: batch windows",
        low=0, high=1 << 30, unit="rows",
    )  # fmt: skip
    lookbacks: tuple[int, ...] = param(
        (), help="context lengths of training windows, one drawn for each step; empty: data.context", low=2, high=65_536
    )
    horizons: tuple[int, ...] = param(
        (), help="horizons of training windows, one drawn for each step; empty: data.horizon", low=1, high=8_192
    )
    length_warmup: float = param(
        0.0, help="part of all steps in which longer lookbacks and horizons join the shortest", low=0.0, high=1.0
    )
    accumulate: int = param(
        1, help="equal parts a batch is computed in, to save memory; the result is the same", low=1, high=4096
    )
    optimizer: str = param(
        "adamw", help="muon: Muon for the matrices between embedding and head, AdamW for the rest, at one lr",
        choices=("adamw", "muon"),
    )  # fmt: skip
    weight_decay: float = param(0.01, help="decoupled decay of matrices", low=0.0, high=10.0)
    betas: tuple[float, ...] = param((0.9, 0.95), help="AdamW's two decay rates", low=0.0, high=0.99999)
    momentum: float = param(0.95, help="of Muon", low=0.0, high=0.9999, when=("optimizer", "muon"))
    clip: float = param(1.0, help="largest gradient norm; 0: never clipped", low=0.0, high=1e6)
    ema: float = param(
        0.0, help="decay of the averaged weights that are scored and saved; 0: the weights themselves",
        low=0.0, high=0.999999,
    )  # fmt: skip
    precision: str = param(
        "auto", help="number format of the forward pass; auto: bf16 on a GPU that has it, else fp32; "
        "fp16: on a GPU, with a loss scale that adapts",
        choices=("auto", "fp32", "bf16", "fp16"),
    )  # fmt: skip
    compile: str = param(
        "none", help="torch.compile of the network; reduce-overhead: with CUDA graphs, on a GPU",
        choices=("none", "default", "reduce-overhead"),
    )  # fmt: skip
    checkpointing: bool = param(
        False, help="compute every layer's activations again in the backward pass: less memory, a third more time"
    )
    offload: str = param(
        "none", help="what lives in main memory instead of on the GPU: optimizer state (and its step), averages",
        choices=("none", "optimizer", "ema", "both"),
    )  # fmt: skip
    augment_noise: float = param(
        0.0, help="noise on the context of training windows, in deviations of the window's own one-step moves",
        low=0.0, high=2.0,
    )  # fmt: skip
    augment_scale: float = param(
        0.0, help="training windows are multiplied by a factor between 1 / (1 + this) and 1 + this",
        low=0.0, high=9.0,
    )  # fmt: skip
    augment_time_mask: float = param(
        0.0, help="longest run of steps hidden in the context of training windows, as a part of it",
        low=0.0, high=0.9,
    )  # fmt: skip
    seed: int = param(0, help="seed of weights, window order and sampling", low=0, high=2**63 - 1)
    patience: int = param(
        0, help="evaluations without a better metric before stopping early; 0: never", low=0, high=10**6
    )
    keep: int = param(2, help="best checkpoints that are kept, beside the newest", low=1, high=1000)
    log_every: int = param(10, help="steps between metric lines", low=1, high=10**6, unit="steps")
    eval_every: int = param(0, help="steps between validations; 0: every epoch", low=0, high=2**53, unit="steps")
    save_every: int = param(
        0, help="steps between checkpoints beside those of validations; 0: none", low=0, high=2**53, unit="steps"
    )
    time_limit: float = param(
        0.0, help="time after which training stops and is scored; 0: none", low=0.0, unit="minutes"
    )
    threads: int = param(0, help="CPU threads of torch; 0: as the environment says", low=0, high=4096)
    device: str = param("auto", help="auto: a GPU if one is visible", choices=("auto", "cpu", "cuda"))
    processes: int = param(
        0, help="processes of this run, each taking its part of every batch; 0: one for each GPU the run was given",
        low=0, high=64,
    )  # fmt: skip
    tensorboard: bool = param(False, help="also write the metrics for TensorBoard (needs the package tensorboard)")
    profile: bool = param(False, help="leave a trace of a few steps by torch's profiler in the run folder")

    def __post_init__(self) -> None:
        if len(self.betas) != 2:
            raise ValueError(f"train.betas = {','.join(map(str, self.betas))}: expected two numbers, as in 0.9,0.95.")
        if self.length_warmup and len(self.lookbacks) < 2 and len(self.horizons) < 2:
            raise ValueError(
                f"train.length_warmup = {self.length_warmup:g} with windows of one length: give train.lookbacks or "
                "train.horizons several, or leave it out."
            )
        if self.batch % self.accumulate and not self.token_budget:
            raise ValueError(
                f"train.batch = {self.batch} cannot be cut into train.accumulate = {self.accumulate} equal parts: "
                "choose a divisor."
            )
        if self.schedule == "wsd" and self.warmup + self.decay_share > 1.0:
            raise ValueError(
                f"train.decay_share = {self.decay_share:g} with train.warmup = {self.warmup:g}: more than a whole run; "
                f"choose at most {1.0 - self.warmup:g}."
            )
        if self.offload in ("ema", "both") and not self.ema:
            raise ValueError(f"train.offload = {self.offload} with train.ema = 0: there are no averages to offload.")


@dataclass(frozen=True)
class EvalConfig:
    """How validation windows are laid, forecast and compared."""

    metric: str = param(
        "val_pct_mae", help="validation metric that selects the best checkpoint; smaller is better, "
        "but for val_skill and val_dir_acc",
        choices=("val_pct_mae", "val_pct_rmse", "val_pct_mape", "val_mase", "val_crps", "val_loss", "val_skill",
                 "val_dir_acc"),
    )  # fmt: skip
    stride: int = param(
        0, help="rows between the origins of two validation windows; 0: the horizon, so none overlap",
        low=0, high=2**53, unit="rows",
    )  # fmt: skip
    levels: tuple[float, ...] = param(
        (0.1, 0.25, 0.5, 0.75, 0.9), help="quantile levels that are forecast and scored", low=1e-4, high=0.9999
    )
    samples: int = param(0, help="sample paths a forecast is made of; 0: as the family prefers", low=0, high=100_000)
    batch: int = param(64, help="windows forecast at once", low=1, high=1 << 20)
    folds: int = param(
        0, help="walk-forward cross-validation: parts of the validation period, each forecast by a model trained anew "
        "on what came before it, as many more trainings; 0: none",
        low=0, high=1000,
    )  # fmt: skip

    def __post_init__(self) -> None:
        if self.folds == 1:
            raise ValueError("eval.folds = 1: one part is the ordinary validation; use 0, or 2 and more.")
        if 0.5 not in self.levels or list(self.levels) != sorted(set(self.levels)):
            raise ValueError(
                f"eval.levels = {','.join(map(str, self.levels))}: expected rising levels that hold 0.5, "
                "as in 0.1,0.5,0.9."
            )
