"""A whole training step, implicit, against the same step with autograd through the unrolled iterations."""

import pytest
import torch

from monops import PeacemanRachford, ReLU, Subdifferential, equilibrium, solve

from .conftest import Timer
from .problems import dense_affine


@pytest.mark.parametrize(("n", "batch"), [(87, 128), (1024, 128)])
def test_training_step(n: int, batch: int, interleave: Timer) -> None:
    B, method = Subdifferential(ReLU()), PeacemanRachford(0.5)
    options = {"tol": 1e-4, "max_steps": 300, "check_every": 1}

    def step(run: str) -> torch.Tensor:
        A = dense_affine(n, batch, requires_grad=True)
        if run == "implicit":
            result = equilibrium(method, A, B, **options)
        else:
            result = solve(method, A, B, unroll=True, **options)
        result.point.square().sum().backward()
        steps[run] = result.steps
        return result.point.detach()

    steps: dict[str, int] = {}
    assert torch.allclose(step("implicit"), step("unrolled"), atol=1e-2)  # unrolled samples go on after they are done
    assert steps["implicit"] == steps["unrolled"]
    seconds = interleave({run: lambda run=run: step(run) for run in ("implicit", "unrolled")}, rounds=7)
    ratio = seconds["unrolled"] / seconds["implicit"]
    print(f"n = {n}, batch {batch}, {steps['implicit']} steps: implicit {seconds['implicit'] * 1e3:.1f} ms")
    print(f"  unrolled autograd takes {ratio:.2f} × as long")
