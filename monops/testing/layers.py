"""Random equilibrium layers, each with inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from monops.arrays import Array
from monops.nn import Equilibrium, MonotoneConv, MonotoneDense, MonotoneMultiTier
from monops.testing.draw import Draw


def _layer(draw: Draw, linear: Any, shape: tuple[int, ...]) -> tuple[Equilibrium, Array]:
    with torch.no_grad():
        for parameter in linear.parameters():
            parameter.copy_(draw.put(draw.array(*parameter.shape, scale=0.5) + 0.1))
    return Equilibrium(linear, tol=1e-2), draw.put(draw.array(4, *shape))


LAYERS: dict[str, Callable[[Draw], tuple[Equilibrium, Array]]] = {
    "MonotoneDense": lambda draw: _layer(draw, MonotoneDense(4, draw.size, m=0.5, **draw.kind), (4,)),
    "MonotoneConv": lambda draw: _layer(draw, MonotoneConv(2, 2, (4, 3), m=0.5, **draw.kind), (2, 4, 3)),
    "MonotoneConv, 1-d": lambda draw: _layer(draw, MonotoneConv(1, 2, (6,), kernel=5, **draw.kind), (1, 6)),
    "MonotoneConv, 3-d": lambda draw: _layer(draw, MonotoneConv(1, 2, (2, 3, 2), **draw.kind), (1, 2, 3, 2)),
    "MonotoneMultiTier": lambda draw: _layer(draw, MonotoneMultiTier(2, (1, 2, 2), (8, 8), **draw.kind), (2, 8, 8)),
    "MonotoneMultiTier, stride 3": lambda draw: _layer(
        draw, MonotoneMultiTier(1, (2, 3), (6,), stride=3, kernel=5, border=True, **draw.kind), (1, 6)
    ),
}
