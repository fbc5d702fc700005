"""What a Kronos model can be told: sizes of predictor and tokenizer, how it learns, and where its weights come from.

The architecture's fields are named as in the config.json of the release; those of the tokenizer begin with tokenizer_.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any

from trainers.config import param
from trainers.errors import ConfigError

TITLE = "Kronos"
HELP = "Foundation model of K-lines: bars become tokens, a transformer continues them (own implementation)."
DEFAULT_PRESET = "tiny"


@dataclass(frozen=True)
class TokenizerConfig:
    """The constructor's arguments of the released tokenizer; group_size decides the shape of one buffer, else nothing.

    One block fewer than n_enc_layers and n_dec_layers say is built on each side.
    """

    d_in: int = 6
    d_model: int = 256
    n_heads: int = 4
    ff_dim: int = 512
    n_enc_layers: int = 4
    n_dec_layers: int = 4
    ffn_dropout_p: float = 0.0
    attn_dropout_p: float = 0.0
    resid_dropout_p: float = 0.0
    s1_bits: int = 10
    s2_bits: int = 10
    beta: float = 0.05
    gamma0: float = 1.0
    gamma: float = 1.1
    zeta: float = 0.05
    group_size: int = 4


@dataclass(frozen=True)
class PredictorConfig:
    """The constructor's arguments of the released predictor; these values are Kronos-small's."""

    s1_bits: int = 10
    s2_bits: int = 10
    n_layers: int = 8
    d_model: int = 512
    n_heads: int = 8
    ff_dim: int = 1024
    ffn_dropout_p: float = 0.25
    attn_dropout_p: float = 0.1
    resid_dropout_p: float = 0.25
    token_dropout_p: float = 0.1
    learn_te: bool = True


@dataclass(frozen=True)
class ModelConfig:
    """The defaults are the `tiny` preset, but for what follows from them."""

    s1_bits: int = param(6, help="bits of a token's coarse half; the vocabulary of s1 is 2^s1_bits",
                         low=1, high=16, unit="bits")  # fmt: skip
    s2_bits: int = param(6, help="bits of its fine half, predicted once s1 is known", low=1, high=16, unit="bits")
    n_layers: int = param(3, help="blocks of the predictor", low=1, high=96)
    d_model: int = param(64, help="width of the predictor's residual stream, a multiple of 8", low=8, high=8192)
    n_heads: int = param(2, help="attention heads; d_model / n_heads must be even", low=1, high=128)
    ff_dim: int = param(128, help="hidden width of the gated feed-forward", low=4, high=32768)
    ffn_dropout_p: float = param(0.0, help="dropout on the feed-forward's output, in training", low=0.0, high=0.9)
    attn_dropout_p: float = param(0.0, help="dropout on attention weights, in training", low=0.0, high=0.9)
    resid_dropout_p: float = param(0.0, help="dropout on attention's output, in training", low=0.0, high=0.9)
    token_dropout_p: float = param(0.0, help="dropout on embedded tokens, in training", low=0.0, high=0.9)
    learn_te: bool = param(True, help="the embedding of time stamps is trained; false: sines and cosines")
    max_context: int = param(512, help="bars that the predictor sees at most; older ones leave its window",
                             low=2, high=65536, unit="bars")  # fmt: skip
    tokenizer_d_model: int = param(64, help="width of the tokenizer", low=4, high=4096)
    tokenizer_n_heads: int = param(2, help="its attention heads; the width of each must be even", low=1, high=128)
    tokenizer_ff_dim: int = param(128, help="hidden width of its feed-forwards", low=4, high=16384)
    tokenizer_n_enc_layers: int = param(3, help="one more than the blocks of its encoder, as released", low=1, high=64)
    tokenizer_n_dec_layers: int = param(3, help="one more than the blocks of its decoder, as released", low=1, high=64)
    tokenizer_beta: float = param(0.05, help="weight of the distance to the nearest code", low=0.0, high=100.0)
    tokenizer_gamma0: float = param(1.0, help="weight of each bit being sure", low=0.0, high=100.0)
    tokenizer_gamma: float = param(1.1, help="weight of both values of a bit being used", low=0.0, high=100.0)
    tokenizer_zeta: float = param(0.05, help="weight of both entropies together", low=0.0, high=100.0)
    phase: str = param(
        "both", help="what learns: the tokenizer, the predictor over a frozen tokenizer, or both in turn; a run of the "
        "tokenizer alone makes no forecast and is judged by val_loss",
        choices=("predictor", "tokenizer", "both"),
    )  # fmt: skip
    tokenizer_steps: int = param(300, help="steps that the tokenizer learns before the predictor begins", low=1,
                                 high=2**53, unit="steps", when=("phase", "both"))  # fmt: skip
    tokenizer_lr: float = param(1e-3, help="peak learning rate of these steps", low=1e-8, high=1.0, log=True,
                                when=("phase", "both"))  # fmt: skip
    pretokenise: str = param(
        "auto", help="keep the tokens of all training windows, computed once; auto: where the tokenizer is frozen, "
        "windows have one lookback, come more than once and are not augmented, and it takes less than 1 GiB",
        choices=("auto", "yes", "no"), when=("phase", ("predictor", "both")),
    )  # fmt: skip
    condition: str = param(
        "sampled", help="what the loss of s2 is told of s1: a draw from its forecast, as upstream's recipes, or its "
        "true value (teacher)", choices=("sampled", "teacher"), when=("phase", ("predictor", "both")),
    )  # fmt: skip
    validation: str = param(
        "causal", help="what a bar's s2 sees in validation: bars up to then, or with upstream its future too, which "
        "leaks and is there for comparison only", choices=("causal", "upstream"), when=("phase", ("predictor", "both")),
    )  # fmt: skip
    weights: str = param(
        "", help="the predictor to start from, whose architecture is taken over: a name of the Hugging Face hub "
        "(owner/model or owner/model@revision) or a folder with config.json and model.safetensors; empty: none",
    )  # fmt: skip
    tokenizer: str = param("", help="the tokenizer to start from, in the same way; empty: none")
    tune: str = param(
        "all", help="what is trained of a loaded predictor: all, the heads alone (dep_layer and head), or lora: "
        "low-rank adapters beside frozen weights",
        choices=("all", "heads", "lora"), when=("phase", ("predictor", "both")),
    )  # fmt: skip
    lora_rank: int = param(8, help="rank of each adapter", low=1, high=1024, log=True, when=("tune", "lora"))
    lora_alpha: float = param(16.0, help="an adapter counts lora_alpha / lora_rank times", low=1e-3, high=1e4, log=True,
                              when=("tune", "lora"))  # fmt: skip
    lora_dropout: float = param(0.0, help="on what enters an adapter, in training", low=0.0, high=0.9,
                                when=("tune", "lora"))  # fmt: skip
    lora_targets: tuple[str, ...] = param(
        ("transformer", "dep_layer"), help="parts of the predictor whose linear maps get an adapter",
        choices=("embedding.fusion_proj", "transformer", "dep_layer", "head"), when=("tune", "lora"),
    )  # fmt: skip

    samples: int = param(32, help="paths that a forecast is made of", low=1, high=65536, log=True)
    temperature: float = param(1.0, help="logits are divided by it: above 1 paths spread, below 1 they keep to what is "
                               "likely", low=1e-3, high=100.0, log=True)  # fmt: skip
    top_k: int = param(0, help="ids that each draw is among, the likeliest; 1: greedy; 0: all", low=0, high=65536)
    top_p: float = param(1.0, help="each draw is among the likeliest ids that hold this share; a path's spread is too "
                         "small below 1, as upstream has it (0.9)", low=1e-3, high=1.0, when=("top_k", 0))  # fmt: skip
    candles: bool = param(False, help="forecast bars are moved to the nearest valid candle: high and low around open "
                          "and close, no volume below 0")  # fmt: skip

    def __post_init__(self) -> None:
        if self.tune != "all" and not self.weights:
            raise ValueError(
                f"tune = {self.tune} leaves most weights as they are, which without model.weights are random: "
                "name weights to start from, or set model.tune=all."
            )
        if not self.lora_targets or len(set(self.lora_targets)) < len(self.lora_targets):
            raise ValueError(f"lora_targets = {','.join(self.lora_targets)}: name at least one, and each once.")
        if self.d_model % 8:
            raise ValueError(
                f"d_model = {self.d_model}: the dependency layer's 4 heads need an even whole width each; "
                f"try {max(1, round(self.d_model / 8)) * 8}."
            )
        for prefix in ("", "tokenizer_"):
            width, heads = getattr(self, f"{prefix}d_model"), getattr(self, f"{prefix}n_heads")
            if width % heads or (width // heads) % 2:
                raise ValueError(
                    f"{prefix}d_model = {width} with {prefix}n_heads = {heads}: every head needs an even whole width; "
                    f"try {prefix}d_model = {max(1, round(width / heads / 2)) * 2 * heads}."
                )

    @property
    def for_predictor(self) -> PredictorConfig:
        return PredictorConfig(**{f.name: getattr(self, f.name) for f in fields(PredictorConfig)})

    @property
    def for_tokenizer(self) -> TokenizerConfig:
        """Dropouts and the inert group_size are as released."""
        shared = {"s1_bits": self.s1_bits, "s2_bits": self.s2_bits}
        own = {
            f.name: getattr(self, f"tokenizer_{f.name}")
            for f in fields(TokenizerConfig)
            if hasattr(self, f"tokenizer_{f.name}")
        }
        return TokenizerConfig(**own, **shared)


_RELEASED_TOKENIZER = {
    "model.s1_bits": 10, "model.s2_bits": 10, "model.tokenizer_d_model": 256, "model.tokenizer_n_heads": 4,
    "model.tokenizer_ff_dim": 512, "model.tokenizer_n_enc_layers": 4, "model.tokenizer_n_dec_layers": 4,
    "model.tokenizer_steps": 5000, "model.tokenizer_lr": 2e-4,
}  # fmt: skip


def tiny() -> dict[str, Any]:
    """Demo size: both parts learn on one CPU core within minutes."""
    return {}


def mini() -> dict[str, Any]:
    """The released Kronos-mini, 4.1M parameters, context 2048."""
    return {
        **_RELEASED_TOKENIZER, "model.n_layers": 4, "model.d_model": 256, "model.n_heads": 4, "model.ff_dim": 512,
        "model.ffn_dropout_p": 0.2, "model.resid_dropout_p": 0.2, "model.max_context": 2048,
        "data.context": 512, "data.horizon": 48, "train.lr": 4e-5, "train.batch": 32,
    }  # fmt: skip


def small() -> dict[str, Any]:
    """The released Kronos-small, 24.7M parameters."""
    return {
        **_RELEASED_TOKENIZER, "model.n_layers": 8, "model.d_model": 512, "model.n_heads": 8, "model.ff_dim": 1024,
        "model.ffn_dropout_p": 0.25, "model.attn_dropout_p": 0.1, "model.resid_dropout_p": 0.25,
        "model.token_dropout_p": 0.1, "data.context": 464, "data.horizon": 48, "train.lr": 4e-5, "train.batch": 32,
    }  # fmt: skip


def base() -> dict[str, Any]:
    """The released Kronos-base, 102.3M parameters: for one large GPU."""
    return {
        **_RELEASED_TOKENIZER, "model.n_layers": 12, "model.d_model": 832, "model.n_heads": 16, "model.ff_dim": 2048,
        "model.ffn_dropout_p": 0.2, "model.resid_dropout_p": 0.2,
        "data.context": 464, "data.horizon": 48, "train.lr": 4e-5, "train.batch": 16,
    }  # fmt: skip


def finetune() -> dict[str, Any]:
    """Full fine-tuning of the released Kronos-small: a small rate, and an end when validation no longer gains."""
    return {
        "model.weights": "NeoQuasar/Kronos-small", "model.tokenizer": "NeoQuasar/Kronos-Tokenizer-base",
        "data.context": 464, "data.horizon": 48, "train.lr": 1e-5, "train.warmup": 0.1, "train.batch": 16,
        "train.epochs": 3, "train.patience": 3,
    }  # fmt: skip


def lora() -> dict[str, Any]:
    """Low-rank adapters on the released Kronos-small, at a larger rate."""
    return {**finetune(), "model.tune": "lora", "train.lr": 2e-4}


def upstream() -> dict[str, Any]:
    """Upstream's recipe for Kronos-small: one cycle that moves beta1 too, 90 bars seen and 10 ahead."""
    return {
        "model.weights": "NeoQuasar/Kronos-small", "model.tokenizer": "NeoQuasar/Kronos-Tokenizer-base",
        "data.context": 90, "data.horizon": 10, "train.lr": 4e-5, "train.schedule": "onecycle",
        "train.rise_share": 0.03, "train.start_ratio": 0.1, "train.min_lr_ratio": 1e-5, "train.betas": (0.95, 0.95),
        "train.beta1_at_peak": 0.85, "train.weight_decay": 0.1, "train.clip": 3.0, "train.batch": 50,
        "train.epochs": 30,
    }  # fmt: skip


PRESETS = {
    "tiny": tiny, "mini": mini, "small": small, "base": base, "finetune": finetune, "lora": lora, "upstream": upstream,
}  # fmt: skip


def follows(config: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Settings by full name that the model's fields bring along, unless set by hand."""
    return {"eval.metric": "val_loss"} if config["model"].get("phase") == "tokenizer" else {}


COLUMNS = ("open", "high", "low", "close", "volume", "amount")
"""The features of a bar, in the order of the tokenizer's input."""


def check(config: Any) -> None:
    """ConfigError for what does not go together, or would change nothing. config: of the run."""
    model, train = config.model, config.train
    columns = [c.strip().lower() for c in config.data.variates]
    lacking = [c for c in COLUMNS[:4] if c not in columns]
    unknown = [c for c in columns if c not in COLUMNS]
    if lacking or unknown:
        what = f"lacks {lacking[0]}" if lacking else f"has {unknown[0]}, which no bar has"
        raise ConfigError(
            f"data.target and data.covariates: {', '.join(columns)} {what}. Kronos takes open, high, low, close and, "
            "where there are, volume and amount."
        )
    if model.phase == "predictor" and not model.tokenizer:
        raise ConfigError(
            "model.phase = predictor needs a tokenizer that has learned: name one with model.tokenizer, or set "
            "model.phase=both."
        )
    if model.weights and not model.tokenizer:
        raise ConfigError(
            f"model.weights = {model.weights} without model.tokenizer: a predictor knows the tokens of its own "
            "tokenizer only; name that too."
        )
    if model.phase == "tokenizer":
        for name, value, wanted in (("metric", config.eval.metric, "val_loss"), ("folds", config.eval.folds, 0)):
            if value != wanted:
                raise ConfigError(
                    f"eval.{name} = {value}: a tokenizer makes no forecast that could be scored; "
                    f"set eval.{name}={wanted}, or train a predictor too (model.phase=both)."
                )
    if train.augment_scale:
        raise ConfigError(
            f"train.augment_scale = {train.augment_scale:g} changes nothing: every window is normalised by its own "
            "history. Leave it out."
        )
    if model.phase != "tokenizer" and model.pretokenise == "yes":
        why = not_alike(train)
        if why:
            raise ConfigError(f"model.pretokenise = yes with {why}: a window's tokens would differ each time it "
                              "is taken. Use model.pretokenise=no, or leave it out.")  # fmt: skip


def not_alike(train: Any) -> str:
    """Why a training window is not the same whenever it is taken; empty if it is. Horizons alone cut tokens short."""
    if len(train.lookbacks) > 1:
        return "several train.lookbacks"
    changed = [f"train.augment_{name}" for name in ("noise", "time_mask") if getattr(train, f"augment_{name}")]
    return changed[0] if changed else ""


def complete(values: Mapping[str, Any], given: Collection[str]) -> dict[str, Any]:
    """The model's fields as a run needs them: with weights or a tokenizer named, their architecture.

    values: fields by name, from preset and by hand; given: those by hand. Finds config.json, downloading it if need
    be. ConfigError where it is not to be had, or says otherwise than what was given.
    """
    from trainers import hub
    from trainers.kronos import layout  # it reads this module

    out, decided = dict(values), set(given)
    if out.get("tokenizer") and "phase" not in given:
        out["phase"] = "predictor"
    for name, kind in (("weights", PredictorConfig), ("tokenizer", TokenizerConfig)):
        source = str(values.get(name) or "").strip()
        if source:
            folder = hub.locate(source, ("config.json",), f"model.{name}", layout.EXAMPLES[name]).folder
            folder = layout.tokenizer_in(folder) if name == "tokenizer" else folder
            out = layout.with_architecture(out, decided, layout.read_config(kind, folder), source)
            decided |= {"s1_bits", "s2_bits"}  # the tokenizer must have those of the predictor
    return out
