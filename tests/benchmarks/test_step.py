"""One Peaceman-Rachford step through `solve`, against its four tensor operations in a bare loop."""

from typing import Any

import pytest
import torch

from monops import PeacemanRachford, ReLU, Subdifferential, solve

from .conftest import Timer
from .problems import dense_affine, dense_leaves


@pytest.mark.parametrize(("n", "steps"), [(87, 400), (1024, 40)])
def test_step(n: int, steps: int, interleave: Timer) -> None:
    alpha, batch = 0.4, 128
    A, B = dense_affine(dense_leaves(n, batch)), Subdifferential(ReLU())
    R = A.linear.resolvent(alpha).to_dense().mT
    shift = alpha * (A.b @ R)
    start = torch.zeros(batch, n)

    def bare() -> torch.Tensor:
        z = start
        for _ in range(steps):
            x = torch.addmm(shift, z, R)
            y = torch.relu(2 * x - z)
            z = z + 2 * (y - x)
        return z

    def prepare() -> object:
        return PeacemanRachford(alpha).prepare(A, B)

    def through_solve() -> torch.Tensor:
        options: dict[str, Any] = {"tol": 1e-30, "max_steps": steps, "check_every": 20, "warn": False}
        return solve(PeacemanRachford(alpha), A, B, start, **options).state

    assert torch.allclose(bare(), through_solve(), rtol=1e-4, atol=1e-5)
    seconds = interleave({"bare": bare, "solve": through_solve, "prepare": prepare})
    per_step = (seconds["solve"] - seconds["prepare"]) / seconds["bare"]
    print(f"n = {n}, batch {batch}: bare step {seconds['bare'] / steps * 1e6:.0f} µs")
    print(f"  a step through solve: {per_step:.2f} × (and {seconds['prepare'] * 1e3:.1f} ms once, to factorise)")
