"""Random data for one instance of everything, in any array library, and operators beside their matrices."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from monops.arrays import Array, DType, as_dtype, is_torch
from monops.linear import LinearOperator


class Draw:
    """A source of random data in a chosen array library, dtype and device.

    Args:
        seed: of the generator.
        size: about the number of unknowns, ≥ 1.
        dtype: a torch dtype or a NumPy one; float32 or float64.
        device: for tensors.
    """

    def __init__(self, seed: int, size: int = 6, dtype: DType = torch.float64, device: Any = "cpu") -> None:
        self.rng = np.random.default_rng(seed)
        self.size, self.dtype = size, as_dtype(dtype)
        self.device = torch.device(device) if is_torch(self.dtype) else torch.device("cpu")

    @property
    def kind(self) -> dict[str, Any]:
        """dtype and device, as operators take them."""
        return {"dtype": self.dtype, "device": self.device}

    def array(self, *shape: int, scale: float = 1.0) -> np.ndarray:
        """Normal numbers of this standard deviation, float64, but representable in float32 too."""
        return (scale * self.rng.standard_normal(shape)).astype(np.float32).astype(np.float64)

    def put(self, x: np.ndarray) -> Array:
        """The plain array `x` in the chosen library, dtype and device; a copy, as things under test may write to it."""
        if is_torch(self.dtype):
            return torch.tensor(x, **self.kind)
        return np.array(x, dtype=self.dtype)


class LinearCase(NamedTuple):
    """An operator and its matrix, which was built from the same plain data in another way."""

    op: LinearOperator
    matrix: np.ndarray
