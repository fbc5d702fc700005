"""The `data` section of every family's configuration: what is read, what is forecast, and where the cuts lie.

Standard library only: `python -m trainers describe` reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from trainers.config import param


@dataclass(frozen=True)
class DataConfig:
    path: str = param("trainingdata", help="folder or file of CSV, Parquet or JSON series; relative to the workspace")
    target: str = param("close", help="column to forecast")
    covariates: tuple[str, ...] = param(
        ("open", "high", "low", "volume"), help="further columns that the model sees; empty for none"
    )
    known_future: tuple[str, ...] = param(
        (), help="further columns whose values are known ahead, such as holidays: the model sees them over the horizon "
        "too, and a forecast needs rows with them; empty for none",
    )  # fmt: skip
    context: int = param(128, help="steps that the model sees", low=2, high=65_536, log=True, unit="steps")
    horizon: int = param(16, help="steps to forecast", low=1, high=8_192, log=True, unit="steps")
    stride: int = param(1, help="steps between the starts of training windows", low=1, high=65_536, unit="steps")
    val_fraction: float = param(
        0.15, help="share of the calendar for validation, unless data.val_from is given", low=0.01, high=0.8
    )
    test_fraction: float = param(
        0.15,
        help="share of the calendar for the test, unless data.test_from is given; 0 for no test",
        low=0.0,
        high=0.8,
    )
    val_from: str = param("", help="first date that validation forecasts, such as 2024-01-31")
    test_from: str = param("", help="first date that the test forecasts, such as 2025-01-31")
    purge: int = param(
        0,
        help="steps left out between the targets of two splits; 0 means the horizon",
        low=0,
        high=65_536,
        unit="steps",
    )
    unseen: tuple[str, ...] = param((), help="symbols kept wholly out of training and validation")
    symbols: tuple[str, ...] = param((), help="only these symbols; empty for all")
    skip_bad: bool = param(False, help="leave out files that cannot be read, instead of stopping")

    def __post_init__(self) -> None:
        if 0 < self.purge < self.horizon:
            raise ValueError(
                f"data.purge = {self.purge} is less than data.horizon = {self.horizon}: "
                "targets of two splits would touch; use 0 or at least the horizon."
            )
        if not (self.val_from or self.test_from) and self.val_fraction + self.test_fraction > 0.9:
            raise ValueError(
                f"data.val_fraction + data.test_fraction = {self.val_fraction + self.test_fraction:g} "
                "leaves less than a tenth for training."
            )
        for name, text in (("val_from", self.val_from), ("test_from", self.test_from)):
            if text:
                _date(name, text)
        if self.val_from and self.test_from and _date("", self.val_from) >= _date("", self.test_from):
            raise ValueError(f"data.val_from = {self.val_from} must lie before data.test_from = {self.test_from}.")
        columns = [c.strip().lower() for c in self.covariates]
        if self.target.strip().lower() in columns or len(set(columns)) < len(columns):
            raise ValueError(
                f"data.covariates = {','.join(self.covariates)} names a column twice, or the target '{self.target}'."
            )
        known = [c.strip().lower() for c in self.known_future]
        if {self.target.strip().lower(), *columns} & set(known) or len(set(known)) < len(known):
            raise ValueError(
                f"data.known_future = {','.join(self.known_future)} names a column twice, or the target or a "
                "covariate: what is known ahead stands in data.known_future only."
            )

    @property
    def variates(self) -> tuple[str, ...]:
        """All columns in the order of the model's variates: the target first, what is known ahead last."""
        return (self.target, *self.covariates, *self.known_future)

    @property
    def gap(self) -> int:
        """Steps between the last target of one split and the first of the next, in force."""
        return self.purge or self.horizon


def _date(name: str, text: str) -> datetime:
    try:
        day = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"data.{name} = {text!r}: expected a date such as 2024-01-31.") from None
    return day if day.tzinfo is None else day.astimezone(UTC).replace(tzinfo=None)
