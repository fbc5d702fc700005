"""What a Kronos model can be told: sizes of predictor and tokenizer, how it learns, and where its weights come from.

The architecture's fields are named as in the config.json of the release; those of the tokenizer begin with tokenizer_.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any

from trainers.config import param

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
    phase: str = param("predictor", help="what learns: the predictor over a frozen tokenizer, or the tokenizer",
                       choices=("predictor", "tokenizer"))  # fmt: skip
    condition: str = param(
        "sampled", help="what the loss of s2 is told of s1: a draw from its forecast, as upstream's recipes, or its "
        "true value (teacher)", choices=("sampled", "teacher"), when=("phase", "predictor"),
    )  # fmt: skip
    validation: str = param(
        "causal", help="what a bar's s2 sees in validation: bars up to then, or with upstream its future too, which "
        "leaks and is there for comparison only", choices=("causal", "upstream"), when=("phase", "predictor"),
    )  # fmt: skip
    weights: str = param(
        "", help="the predictor to start from, whose architecture is taken over: a name of the Hugging Face hub "
        "(owner/model or owner/model@revision) or a folder with config.json and model.safetensors; empty: none",
    )  # fmt: skip
    tokenizer: str = param("", help="the tokenizer to start from, in the same way; empty: none")
    tune: str = param(
        "all", help="what is trained of a loaded predictor: all, the heads alone (dep_layer and head), or lora: "
        "low-rank adapters beside frozen weights",
        choices=("all", "heads", "lora"), when=("phase", "predictor"),
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


PRESETS = {"tiny": tiny, "mini": mini, "small": small, "base": base, "finetune": finetune, "lora": lora}


def complete(values: Mapping[str, Any], given: Collection[str]) -> dict[str, Any]:
    """The model's fields as a run needs them: with weights or a tokenizer named, their architecture.

    values: fields by name, from preset and by hand; given: those by hand. Finds config.json, downloading it if need
    be. ConfigError where it is not to be had, or says otherwise than what was given.
    """
    from trainers import hub
    from trainers.kronos import layout  # it reads this module

    out = dict(values)
    for name, kind in (("weights", PredictorConfig), ("tokenizer", TokenizerConfig)):
        source = str(values.get(name) or "").strip()
        if source:
            found = hub.locate(source, ("config.json",), f"model.{name}", layout.EXAMPLES[name])
            out = layout.with_architecture(out, given, layout.read_config(kind, found.folder), source)
    return out
