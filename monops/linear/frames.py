"""Operators K with K Kᴴ = ν I, which keep the resolvents and proximal maps of what they are composed with."""

from __future__ import annotations

import numpy as np
import torch

from monops.arrays import detach
from monops.linear.base import LinearOperator


def frame_constant(K: LinearOperator) -> float | None:
    """The ν > 0 with K Kᴴ = ν I, from a random vector; None where K Kᴴ is no multiple of the identity."""
    y = K._from_numpy(np.random.default_rng(0).standard_normal(K.codomain))
    with torch.no_grad():
        image = K.apply(K.H.apply(y))
    nu = float((image * y).sum() / (y * y).sum())
    is_multiple = nu > 0 and float(abs(detach(image) - nu * y).max()) <= 1e-4 * nu * float(abs(y).max())
    return nu if is_multiple else None
