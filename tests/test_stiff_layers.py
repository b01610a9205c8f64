"""Equilibria of convolutional layers in float32 where ‖I - W‖ is about 100 and m = 1."""

import copy
from typing import Any

import pytest
import torch

from monops import PeacemanRachford, SplittingMethod, solve
from monops.nn import Equilibrium, MonotoneConv, MonotoneMultiTier


@pytest.mark.parametrize(
    ("linear", "size"),
    [(MonotoneConv(2, 6, (9, 7)), (9, 7)), (MonotoneMultiTier(2, (4, 6), (8, 12)), (8, 12))],
    ids=["one tier", "two tiers"],
)
def test_float32_agrees_with_float64(linear: Any, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    linear.reset_parameters()
    with torch.no_grad():
        linear.g.fill_(150.0 if isinstance(linear, MonotoneConv) else 90.0)
        linear.h.fill_(30.0)
        if hasattr(linear, "g_down"):
            linear.g_down.fill_(30.0)
    assert 90 < linear.operator().norm() < 150
    x, points = torch.randn(4, 2, *size), []
    method: SplittingMethod = PeacemanRachford("auto")
    for layer in (Equilibrium(linear), Equilibrium(copy.deepcopy(linear).double())):
        A, B = layer.problem(x.to(layer.linear.U.dtype))  # type: ignore[arg-type]
        tol = 1e-6 if A.b.dtype == torch.float32 else 1e-12
        result = solve(method, A, B, tol=tol, max_steps=5000)
        method = result.method
        points.append(result.point.double())
    assert (points[0] - points[1]).norm() <= 1e-5 * points[1].norm()
