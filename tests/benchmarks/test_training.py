"""A whole training step, implicit, against the same step with autograd through the unrolled iterations."""

from typing import Any

import pytest
import torch

from monops import PeacemanRachford, ReLU, Subdifferential, equilibrium, solve

from .conftest import Timer
from .problems import dense_affine, dense_leaves


@pytest.mark.parametrize("m", [1.0, 0.05])
@pytest.mark.parametrize(("n", "batch"), [(87, 128), (1024, 128)])
def test_training_step(n: int, batch: int, m: float, interleave: Timer) -> None:
    """From the parameters to their gradients: the operator, its factorisation, the solves, the derivative."""
    B, method = Subdifferential(ReLU()), PeacemanRachford(0.5)
    options: dict[str, Any] = {"tol": 1e-4, "max_steps": 500, "check_every": 5}
    a, b, c = (t.requires_grad_() for t in dense_leaves(n, batch))
    leaves = (a, b, c)
    steps: dict[str, int] = {}

    def step(run: str) -> torch.Tensor:
        A = dense_affine(leaves, m)
        result = (
            equilibrium(method, A, B, **options) if run == "implicit" else solve(method, A, B, unroll=True, **options)
        )
        gradients = torch.autograd.grad(result.point.square().sum(), leaves)
        steps[run] = result.steps
        return gradients[0]

    mine, theirs = step("implicit"), step("unrolled")
    assert (mine - theirs).norm() < 1e-2 * theirs.norm()
    assert steps["implicit"] == steps["unrolled"]
    seconds = interleave({run: lambda run=run: step(run) for run in ("implicit", "unrolled")}, rounds=7)
    ratio = seconds["unrolled"] / seconds["implicit"]
    print(f"n = {n}, batch {batch}, m = {m}, {steps['implicit']} steps: implicit {seconds['implicit'] * 1e3:.1f} ms")
    print(f"  unrolled autograd takes {ratio:.2f} × as long")
