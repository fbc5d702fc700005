"""Toto 1.0 as the shared loop and the forecaster see it.

B windows, V variates (0 is the target), T time, H horizon, Q levels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainers import hub, optim
from trainers.errors import ConfigError
from trainers.family import Forecast
from trainers.toto import decode, layout, lora, weights
from trainers.toto.config import ModelConfig
from trainers.toto.loss import next_patch_loss
from trainers.toto.model import Toto
from trainers.toto.portable import Portable


class TotoFamily:
    name = "toto"
    knows_future = True

    def build(self, config: Any, variates: int, seed: int) -> Toto:
        """A model from config.model: from the weights it names, else from the seed. Works for any number of variates.

        Raises ConfigError where a window holds no patch before the one it predicts, or the weights do not fit.
        """
        if config.data.context < config.model.patch:
            raise ConfigError(
                f"data.context = {config.data.context} is shorter than one patch (model.patch = {config.model.patch}): "
                "give a longer context or a smaller patch."
            )
        if config.model.loss == "quantile":
            _check_levels(config.model, config.eval.levels, "eval.levels")
        known = len(getattr(config.data, "known_future", ()))
        if known and not any(config.model.space_layers):
            raise ConfigError(
                "data.known_future without a layer over variates reaches no forecast: "
                "set model.space_every to 1 or more, or leave data.known_future out."
            )
        if config.model.weights:
            found = hub.locate(config.model.weights)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)  # of adapters, and of a new head where the loss asks for one
                model = weights.load(found.folder, config=config.model).train()
                lora.prepare(model, new_head=layout.read_config(found.folder).head != config.model.head)
            model.origin = {"source": config.model.weights, "revision": found.revision}
            model.known = known
            return model
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = Toto(config.model)
        model.known = known
        return model

    def loss(self, model: nn.Module, batch: Any, horizon: int) -> Tensor:
        """Next-patch loss over the whole window, context and future alike: every patch learns from the ones before.

        The mean over each window's observed points, then over windows. Points whose past holds no observation at all
        are left out. horizon is part of every window already and decides nothing here. Variates known ahead run one
        patch early and are not learned.
        """
        del horizon
        toto = _toto(model)
        config = toto.config
        x, mask = decode.align(batch.values, batch.mask, config.patch)
        x, _ = in_units(x, mask, config)
        learned = x.shape[1] - toto.known
        targets = 1 if config.loss_on == "target" else learned
        inputs, observed = x[..., : -config.patch], mask[..., : -config.patch]
        if toto.known:
            inputs, observed = (
                torch.cat([now[:, :learned], whole[:, learned:, config.patch :]], dim=1)
                for now, whole in ((inputs, x), (observed, mask))
            )
        prediction = model(inputs, observed, None, targets)
        seen = mask.unflatten(-1, (-1, config.patch)).any(-1).cummax(-1).values[..., :-1]
        valid = mask[..., config.patch :] & seen.repeat_interleave(config.patch, dim=-1)
        return next_patch_loss(prediction, x[:, :targets, config.patch :], valid[:, :targets], per_series=True)

    def forecast(
        self,
        model: nn.Module,
        values_BVT: Tensor,
        mask_BVT: Tensor,
        horizon: int,
        levels: tuple[float, ...],
        seed: int,
        samples: int | None = None,
        known: tuple[Tensor, Tensor] | None = None,
    ) -> Forecast:
        """The horizon after the last of T. point is the median. known: see `Family`.

        values: the context alone, original units, any length. Within one patch everything is exact and seed and
        samples decide nothing; beyond, samples paths (config.model.samples if None) are drawn with the seed, one path
        where the loss knows no spread. Raises ConfigError for a level beyond those a quantile head has learned.
        """
        toto = _toto(model)
        if toto.config.loss == "quantile":
            _check_levels(toto.config, levels, "levels")
        paths = 1 if toto.config.head[0] == "point" else samples or toto.config.samples
        x, mask = decode.align(values_BVT, mask_BVT, toto.config.patch)
        x, unit = in_units(x, mask, toto.config)
        later = None
        if toto.known:
            if known is None or known[0].shape[1:] != (toto.known, horizon):
                raise ValueError(f"known: expected {toto.known} variates over {horizon} steps")
            ahead = (known[0].double() / unit[:, -toto.known :, None]).to(x.dtype)
            x, mask, later = decode.look_ahead(x, mask, ahead, known[1], toto.config.patch)
        asked = tuple(sorted({*levels, 0.5}))
        was_training = toto.training
        toto.eval()
        try:
            mean, quantiles = decode.forecast(
                toto,
                x,
                mask,
                horizon,
                asked,
                paths,
                torch.Generator(x.device).manual_seed(seed),
                later_BnSP=later,
            )
        finally:
            toto.train(was_training)
        unit_B1 = unit[:, :1]
        quantiles_BHQ = quantiles[:, 0] * unit_B1.unsqueeze(-1)
        return Forecast(
            point_BH=quantiles_BHQ[..., asked.index(0.5)],
            mean_BH=mean[:, 0] * unit_B1,
            quantiles_BHQ=quantiles_BHQ[..., [asked.index(level) for level in levels]],
        )

    def parameter_groups(self, model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
        """Matrices decay; biases and norm scales do not (upstream's fine-tuning decays all alike)."""
        return optim.default_groups(model, weight_decay, hidden="transformer.layers.")

    def checkpoint_layers(self, model: nn.Module) -> None:
        _toto(model).checkpointing = True

    def save(self, model: nn.Module, folder: Path) -> None:
        """config.json and model.safetensors under the released keys; reading back gives the same bits."""
        weights.save(_toto(model), Path(folder))

    def export(self, model: nn.Module, folder: Path) -> str:
        """The layout of the release, for upstream's own loader; or, writing nothing, why upstream could not run it."""
        toto = _toto(model)
        why = layout.not_upstream(toto.config)
        if not why:
            weights.save(toto, Path(folder), hub=True)
        return why

    def portable(self, model: nn.Module) -> Portable:
        """The forward pass for other runtimes, see trainers.convert."""
        return Portable(_toto(model))

    def load(self, folder: Path, device: torch.device | str) -> Toto:
        return weights.load(Path(folder), device)

    def flops_per_window(self, config: Any, variates: int) -> float:
        """Of one forward pass over the inputs of a training window; a multiply-add is two."""
        m: ModelConfig = config.model
        patches = -(-(config.data.context + config.data.horizon) // m.patch) - 1
        E = m.embed_dim
        space = sum(m.space_layers)
        matrices = m.layers * (4 * E * E + 3 * E * m.mlp_dim) + m.patch * E + m.patch * m.outputs * E
        attention = (m.layers - space) * E * (patches + 1) + space * 2 * E * variates
        return 2.0 * variates * patches * (matrices + attention) + 2.0 * m.patch * m.outputs * E * E


def in_units(x_BVT: Tensor, mask_BVT: Tensor, config: ModelConfig) -> tuple[Tensor, Tensor]:
    """The series in config.units and what one unit is worth [B,V], in float64.

    Basis points: one is a ten-thousandth of the mean absolute value of the first patch with an observation. The scaler
    adds 0.1 to every variance, so the released model cannot tell one move of a 2-dollar stock from another; this way
    prices of any size look alike. No prediction is made before that patch has ended, so nothing later is used.
    """
    if config.units == "raw":
        return x_BVT, torch.ones(x_BVT.shape[:2], dtype=torch.float64, device=x_BVT.device)
    x_BVSP, mask_BVSP = (a.unflatten(-1, (-1, config.patch)) for a in (x_BVT, mask_BVT))
    first = mask_BVSP.any(-1).long().argmax(-1)[..., None, None].expand(-1, -1, 1, config.patch)
    x, w = x_BVSP.gather(2, first).squeeze(2).double(), mask_BVSP.gather(2, first).squeeze(2).double()
    level = (x.abs() * w).sum(-1) / w.sum(-1).clamp_min(1.0)
    unit = torch.where(level > 0, level * 1e-4, 1.0)
    return (x_BVT.double() / unit.unsqueeze(-1)).to(x_BVT.dtype), unit


def _check_levels(config: ModelConfig, levels: tuple[float, ...], name: str) -> None:
    low, high = config.quantile_levels[0], config.quantile_levels[-1]
    for level in levels:
        if not low <= level <= high:
            raise ConfigError(
                f"{name}: {level:g} lies outside of model.quantile_levels = {low:g} to {high:g}: "
                "a quantile head says nothing there. Ask for levels between them, or train with wider ones."
            )


def _toto(model: nn.Module) -> Toto:
    """The network itself, also from inside a wrapper such as torch.compile's or DDP's."""
    inner = getattr(model, "module", getattr(model, "_orig_mod", model))
    if not isinstance(inner, Toto):
        raise TypeError(f"expected a Toto model, got {type(inner).__name__}")
    return inner
