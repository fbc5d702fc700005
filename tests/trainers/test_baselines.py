"""Forecasts that cost nothing, on arrays and tensors alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trainers.baselines import drift, naive, seasonal_naive

CONTEXT = np.array([[1.0, 2.0, 4.0, 7.0], [5.0, 5.0, 5.0, 5.0]])


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_by_hand(make):
    context = make(CONTEXT)
    assert naive(context, 2).tolist() == [[7, 7], [5, 5]]
    assert seasonal_naive(context, 4, 3).tolist() == [[2, 4, 7, 2], [5, 5, 5, 5]]
    assert drift(context, 3).tolist() == [[9, 11, 13], [5, 5, 5]]
    assert type(drift(context, 3)) is type(naive(context, 3)) is type(context)


def test_edges():
    one = torch.tensor([[3.0]])
    assert drift(one, 2).tolist() == naive(one, 2).tolist() == [[3, 3]]
    with pytest.raises(ValueError, match="season = 2"):
        seasonal_naive(one, 2, 2)
