"""What a Toto model can be told: sizes, loss, and where its weights come from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from trainers.config import param
from trainers.errors import ConfigError

TITLE = "Toto 1.0"
HELP = "Decoder-only patch transformer with a Student t mixture head (Datadog's Toto 1.0, own implementation)."
DEFAULT_PRESET = "tiny"


@dataclass(frozen=True)
class ModelConfig:
    """The defaults are the `tiny` preset.

    patch 16 rather than less: the usual horizon is then one patch, forecast exactly and 5 times as fast as over paths.
    heads 2: on a CPU the cost of small heads is per head. loss_on all: at 400 equal steps on mean-reverting prices a
    skill of 2.3 %, against 2.0 % when learning the target alone, and paths need the covariates' forecasts too.
    """

    patch: int = param(16, help="time steps in one token; a forecast no longer than this needs no sampling",
                       low=1, high=1024, unit="steps")  # fmt: skip
    embed_dim: int = param(64, help="width of the residual stream", low=4, high=8192)
    layers: int = param(3, help="attention layers", low=1, high=96)
    heads: int = param(2, help="attention heads; embed_dim / heads must be even", low=1, high=128)
    mlp_dim: int = param(128, help="hidden width of the gated feed-forward", low=4, high=32768)
    components: int = param(4, help="Student t components of the predicted mixture", low=1, high=128,
                            when=("loss", "nll"))  # fmt: skip
    dropout: float = param(0.0, help="on attention weights and the feed-forward's output, in training",
                           low=0.0, high=0.9)  # fmt: skip
    space_every: int = param(
        3, help="every so many layers, one over variates instead of time; -1: none", low=-1, high=96, unit="layers"
    )
    space_first: bool = param(False, help="the layer over variates opens its group instead of closing it")
    stabilize_with_global: bool = param(True, help="bound running scales by the window's overall scale")
    scale_factor_exponent: float = param(10.0, help="how far they may differ from it, as a power of ten",
                                         low=0.0, high=30.0, when=("stabilize_with_global", True))  # fmt: skip
    anchor: str = param(
        "last", help="what predicted locations are relative to: the patch's last value, or none as released",
        choices=("last", "none"),
    )  # fmt: skip
    units: str = param(
        "basis_points", help="what the network sees: basis points of the window's first level, or raw as released",
        choices=("basis_points", "raw"),
    )  # fmt: skip
    loss: str = param(
        "nll", help="what is learned of the next patch, in its own units: nll a mixture of Student t as released, "
        "gaussian a mean and a deviation, quantile values at levels, huber, mae or mse a point without a spread",
        choices=("nll", "gaussian", "quantile", "huber", "mae", "mse"),
    )  # fmt: skip
    nll_weight: float = param(
        0.575, help="part of the likelihood in the loss; the rest is a robust loss on the mean", low=0.0, high=1.0,
        when=("loss", "nll"),
    )  # fmt: skip
    robust_delta: float = param(0.1, help="width of the robust loss, in scaled units", low=1e-6, high=1e3, log=True,
                                when=("loss", "nll"))  # fmt: skip
    huber_delta: float = param(1.0, help="error from which the Huber loss goes on linearly, in scaled units",
                               low=1e-6, high=1e3, log=True, when=("loss", "huber"))  # fmt: skip
    quantile_levels: tuple[float, ...] = param(
        (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99), help="levels whose quantiles are learned, 0.5 among "
        "them; forecasts interpolate between them", low=1e-4, high=0.9999, when=("loss", "quantile"),
    )  # fmt: skip
    loss_on: str = param("all", help="variates whose next patch is learned", choices=("all", "target"))
    samples: int = param(128, help="paths drawn for a forecast longer than one patch", low=1, high=65536, log=True,
                         when=("loss", ("nll", "gaussian", "quantile")))  # fmt: skip
    weights: str = param(
        "", help="weights to start from, whose architecture is taken over: a name of the Hugging Face hub "
        "(owner/model or owner/model@revision) or a folder with config.json and model.safetensors; empty: none",
    )  # fmt: skip
    tune: str = param(
        "all", help="what is trained of loaded weights: all, the heads alone (unembed and distribution), or lora: "
        "low-rank adapters beside frozen weights",
        choices=("all", "heads", "lora"),
    )  # fmt: skip
    lora_rank: int = param(8, help="rank of each adapter", low=1, high=1024, log=True, when=("tune", "lora"))
    lora_alpha: float = param(16.0, help="an adapter counts lora_alpha / lora_rank times", low=1e-3, high=1e4, log=True,
                              when=("tune", "lora"))  # fmt: skip
    lora_dropout: float = param(0.0, help="on what enters an adapter, in training", low=0.0, high=0.9,
                                when=("tune", "lora"))  # fmt: skip
    lora_targets: tuple[str, ...] = param(
        ("wQKV", "wO", "w12", "w3"), help="linear maps of every layer that get an adapter: attention's input and "
        "output (wQKV, wO), the feed-forward's (w12, w3)",
        choices=("wQKV", "wO", "w12", "w3"), when=("tune", "lora"),
    )  # fmt: skip

    def __post_init__(self) -> None:
        if self.tune != "all" and not self.weights:
            raise ValueError(
                f"tune = {self.tune} leaves most weights as they are, which without model.weights are random: "
                "name weights to start from, or set model.tune=all."
            )
        if not self.lora_targets or len(set(self.lora_targets)) < len(self.lora_targets):
            raise ValueError(f"lora_targets = {','.join(self.lora_targets)}: name at least one, and each once.")
        if self.embed_dim % self.heads or (self.embed_dim // self.heads) % 2:
            raise ValueError(
                f"embed_dim = {self.embed_dim} with heads = {self.heads}: every head needs an even whole width; "
                f"try embed_dim = {max(1, round(self.embed_dim / self.heads / 2)) * 2 * self.heads}."
            )
        if self.space_every == 0 or self.space_every > self.layers:
            raise ValueError(
                f"space_every = {self.space_every} with layers = {self.layers}: "
                f"choose 1 to {self.layers}, or -1 for none."
            )

        if 0.5 not in self.quantile_levels or list(self.quantile_levels) != sorted(set(self.quantile_levels)):
            raise ValueError(
                f"quantile_levels = {','.join(map(str, self.quantile_levels))}: expected rising levels that hold 0.5, "
                "as in 0.1,0.5,0.9."
            )

    @property
    def outputs(self) -> int:
        """Numbers that the head gives for every step."""
        if self.loss == "nll":
            return 4 * self.components
        return {"gaussian": 2, "quantile": len(self.quantile_levels)}.get(self.loss, 1)

    @property
    def head(self) -> tuple[str, tuple[float, ...]]:
        """What the head's numbers mean: weights of it fit another config only where this is the same."""
        if self.loss in ("nll", "gaussian"):
            return self.loss, ()
        return ("quantile", self.quantile_levels) if self.loss == "quantile" else ("point", ())

    @property
    def head_dim(self) -> int:
        return self.embed_dim // self.heads

    @property
    def space_layers(self) -> tuple[bool, ...]:
        """For every layer whether it attends over variates: the last of each group of space_every, or the first."""
        if self.space_every < 1:
            return (False,) * self.layers
        place = 0 if self.space_first else self.space_every - 1
        return tuple(i % self.space_every == place for i in range(self.layers))


def tiny() -> dict[str, Any]:
    """Demo size, 0.2M parameters: learns context 128, horizon 16 in a minute or two on one CPU core."""
    return {}


def small() -> dict[str, Any]:
    """2M parameters: minutes on a CPU, at home on any GPU."""
    return {
        "model.patch": 16,
        "model.embed_dim": 160,
        "model.layers": 6,
        "model.heads": 8,
        "model.mlp_dim": 480,
        "model.components": 8,
        "model.space_every": 6,
        "model.dropout": 0.1,
        "train.lr": 5e-4,
    }


def base() -> dict[str, Any]:
    """The released shape, 151M parameters: for released weights, or for one large GPU."""
    return {
        "model.patch": 64,
        "model.embed_dim": 768,
        "model.layers": 12,
        "model.heads": 12,
        "model.mlp_dim": 3072,
        "model.components": 24,
        "model.space_every": 12,
        "model.dropout": 0.1,
        "model.anchor": "none",
        "model.units": "raw",
        "data.context": 512,
        "data.horizon": 64,
        "train.lr": 4e-5,
        "train.batch": 16,
    }


def finetune() -> dict[str, Any]:
    """Full fine-tuning of the released weights: a small rate, and an end when validation no longer gains."""
    return {
        "model.weights": "Datadog/Toto-Open-Base-1.0",
        "data.context": 512,
        "data.horizon": 64,
        "train.lr": 2e-5,
        "train.warmup": 0.1,
        "train.batch": 16,
        "train.epochs": 3,
        "train.patience": 3,
    }


def lora() -> dict[str, Any]:
    """Low-rank adapters on the released weights: a hundredth of the weights trained, at a larger rate."""
    return {**finetune(), "model.tune": "lora", "train.lr": 2e-4}


def check(config: Any) -> None:
    """ConfigError where a field of another section would change nothing for this model. config: of the run."""
    if config.train.augment_scale and config.model.units == "basis_points":
        raise ConfigError(
            f"train.augment_scale = {config.train.augment_scale:g} changes nothing with model.units=basis_points, "
            "which sees every price level alike: leave it out, or set model.units=raw."
        )


PRESETS = {"tiny": tiny, "small": small, "base": base, "finetune": finetune, "lora": lora}


def complete(values: Mapping[str, Any], given: Collection[str]) -> dict[str, Any]:
    """The model's fields as a run needs them: with model.weights, the architecture comes from the weights.

    values: fields by name, from preset and by hand; given: those by hand. Finds config.json, downloading it if need
    be. ConfigError where it is not to be had, or says otherwise than what was given.
    """
    source = str(values.get("weights") or "").strip()
    if not source:
        return dict(values)
    from trainers import hub
    from trainers.toto import layout  # it reads this module

    stored = layout.read_config(hub.locate(source, ("config.json",)).folder)
    return layout.with_architecture(values, given, stored, source)
