"""Tensors out of files: in memory of their own, where a product of matrices comes out as it did before."""

from __future__ import annotations

import torch
from safetensors.torch import save_file

from trainers import tensors


def test_tensors_stay_as_read_and_begin_where_new_ones_do(tmp_path):
    path = tmp_path / tensors.FILE
    kept = {"bias": torch.randn(1), "weight": torch.randn(48, 40)}
    save_file(kept, path)
    found, again = tensors.whole(path), tensors.read(tmp_path)
    with path.open("r+b") as file:  # in place, as a file mapped into memory would show
        file.write(bytes(path.stat().st_size))
    for name, tensor in kept.items():
        assert torch.equal(found[name], tensor)
        assert torch.equal(again[name], tensor)
        assert found[name].data_ptr() % 64 == again[name].data_ptr() % 64 == torch.empty(7).data_ptr() % 64 == 0
