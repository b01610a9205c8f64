"""Operators K with K Kᴴ = ν I, which keep the resolvents and proximal maps of what they are composed with."""

from __future__ import annotations

import numpy as np
import torch

from monops.arrays import detach
from monops.errors import OptionError
from monops.linear.base import LinearOperator


def frame_constant(K: LinearOperator) -> float:
    """The ν > 0 with K Kᴴ = ν I, from a random vector.

    Raises:
        OptionError: K Kᴴ is no multiple of the identity.
    """
    y = K._from_numpy(np.random.default_rng(0).standard_normal(K.codomain))
    with torch.no_grad():
        image = K.apply(K.H.apply(y))
    nu = float((image * y).sum() / (y * y).sum())
    if not (nu > 0 and float(abs(detach(image) - nu * y).max()) <= 1e-4 * nu * float(abs(y).max())):
        raise OptionError(f"precompose wants K Kᴴ = ν I with ν > 0, which is false for {K.signature}")
    return nu
