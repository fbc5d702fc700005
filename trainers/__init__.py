"""Trainers of time-series forecasters; `load_forecaster` is loaded on first use, as it needs torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainers.forecast import load_forecaster

__all__ = ["load_forecaster"]


def __getattr__(name: str) -> Any:
    if name == "load_forecaster":
        from trainers.loading import loading

        with loading():
            from trainers.forecast import load_forecaster
        return load_forecaster
    raise AttributeError(f"module 'trainers' has no attribute '{name}'")
