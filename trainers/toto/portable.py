"""Toto's forward pass as one graph of plain tensors, for runtimes that know nothing of us.

B series, V variates (0 is the target), T time steps (whole patches), P steps in a patch, k components.
"""

from __future__ import annotations

from torch import Tensor, nn

from trainers.errors import ConfigError
from trainers.toto.config import ModelConfig
from trainers.toto.mixture import Mixture
from trainers.toto.model import Toto
from trainers.toto.outcome import Gaussian, Outcome, Point, Quantiles

OUTPUTS = {
    "nll": ("df", "loc", "scale", "log_weight"),
    "gaussian": ("loc", "scale"),
    "quantile": ("values",),
}
"""By loss; of any other loss it is "value" alone."""


class Portable(nn.Module):
    """values [B,V,T] float32 and observed [B,V,T] bool -> what the model says of the target's next P steps.

    Outputs in the target's own unit, one tensor for each name of `outputs`: the parameters [k,B,P] of a mixture of
    Student t distributions, loc and scale [B,P] of a normal one, values [Q,B,P] at model.quantile_levels, or value
    [B,P]. T is a multiple of P; in an exported file it is fixed. What is not observed holds the last value before it
    (trainers.toto.decode.fill).
    """

    def __init__(self, model: Toto) -> None:
        super().__init__()
        if model.known:
            raise ConfigError("A model with data.known_future has no portable form: its input reaches into the future.")
        self.model = model

    @property
    def config(self) -> ModelConfig:
        return self.model.config

    @property
    def outputs(self) -> tuple[str, ...]:
        return OUTPUTS.get(self.config.loss, ("value",))

    def forward(self, values: Tensor, observed: Tensor) -> tuple[Tensor, ...]:
        from trainers.toto.family import in_units

        x, unit = in_units(values, observed, self.config)
        said, _ = self.model.prefill(x, observed, targets=1)
        of = unit[:, :1].float()
        loc, scale = said.loc[:, 0].float() * of, said.scale[:, 0].float() * of
        outcome = said.outcome
        if isinstance(outcome, Mixture):
            return (
                _next(outcome.df),
                _next(outcome.loc) * scale + loc,
                _next(outcome.scale) * scale,
                _next(outcome.log_weight),
            )
        if isinstance(outcome, Gaussian):
            return _next(outcome.loc) * scale + loc, _next(outcome.scale) * scale
        return (_next(outcome.values if isinstance(outcome, Quantiles) else outcome.value) * scale + loc,)

    def read(self, tensors: tuple[Tensor, ...]) -> Outcome:
        """The outputs of any runtime as what they mean, in float64."""
        parts = [tensor.double() for tensor in tensors]
        if self.config.loss == "nll":
            return Mixture(*parts)
        if self.config.loss == "gaussian":
            return Gaussian(*parts)
        return Quantiles(parts[0], self.config.quantile_levels) if self.config.loss == "quantile" else Point(parts[0])


def _next(x: Tensor) -> Tensor:
    """[...,B,1,1,P] -> [...,B,P]: the one variate and patch there is."""
    return x.squeeze(-2).squeeze(-2)
