"""Derivatives of convex functions and their proximal maps, in points and in parameters."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from function_cases import STEPS, Make, all_cases, dyadic, entries, sample, smooth_cases, tensor
from torch.autograd import gradcheck, gradgradcheck

from monops.functions import L1, Box, Function, LeakyReLU, SquaredL2, Support, Tanh

# torch scripts a function of its own when forward mode is first used.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")


def slope_of_prox(f: Function, x: torch.Tensor, step: float) -> torch.Tensor:
    (gradient,) = torch.autograd.grad(f.prox(x, step).sum(), x, create_graph=True)
    return gradient


@all_cases
@pytest.mark.parametrize("step", STEPS)
def test_derivative_against_differences(make: Make, step: float) -> None:
    f, v, h = make(), sample(300, seed=5), 1e-7
    left = (f.prox(v, step) - f.prox(v - h, step)) / h
    right = (f.prox(v + h, step) - f.prox(v, step)) / h
    slope = entries(f, v, step)
    smooth = np.abs(right - left) < 1e-4 * max(1, 1 / step)
    assert smooth.mean() > 0.98
    assert np.all(np.abs(slope - (left + right) / 2)[smooth] <= 1e-7)
    kinks = entries(f, dyadic(300), step)
    for s in (slope, kinks):
        assert np.all((s >= 0) & (s <= 1))


@all_cases
def test_derivative_is_an_operator_on_the_domain(make: Make) -> None:
    x = torch.tensor(sample(5, 2, 3))
    for axes in (0, 1, 2, 3):
        derivative: Any = make(axes=axes).prox_derivative(x, 0.7)
        assert derivative.domain == tuple(x.shape[3 - axes :])
        assert derivative.batch == tuple(x.shape[: 3 - axes])
        assert torch.equal(derivative(x), derivative.entries * x)


@all_cases
@pytest.mark.parametrize("step", [0.01, 0.3, 1.0, 1.1, 1.5, 40.0])
def test_autograd_agrees_to_second_order(make: Make, step: float) -> None:
    f, x = make(), tensor(sample(6, seed=6))
    slope, stated = slope_of_prox(f, x, step), entries(f, x, step)
    assert torch.allclose(slope, stated, rtol=1e-11, atol=1e-13)
    second = [torch.autograd.grad(s.sum(), x)[0] if s.requires_grad else torch.zeros_like(x) for s in (slope, stated)]
    assert torch.allclose(second[0], second[1], rtol=1e-8, atol=1e-11)
    assert gradcheck(lambda x: f.prox(x, step), x)


@smooth_cases
@pytest.mark.parametrize("step", [0.01, 0.3, 1.0, 1.1, 1.5, 40.0])
def test_second_derivatives_of_activations(make: Make, step: float) -> None:
    f, x = make(), tensor(np.append(sample(4, seed=7), 0.0))
    assert gradgradcheck(lambda x: f.prox(x, step), x)
    assert gradcheck(lambda x: entries(f, x, step), x)
    assert gradgradcheck(lambda x: entries(f, x, step), x)


@pytest.mark.parametrize("step", [0.05, 8.0])
def test_the_iterations_are_not_recorded(step: float) -> None:
    x = tensor(sample(3))
    todo, nodes = [Tanh().prox(x, step).grad_fn], list[Any]()
    while todo:
        node: Any = todo.pop()
        if node is not None and node not in nodes:
            nodes.append(node)
            todo += [parent for parent, _ in node.next_functions]
    assert sum("Tanh" in node.name() for node in nodes) == 1
    assert len(nodes) < 30


def test_derivative_of_the_identity_at_its_kink() -> None:
    for f in (L1(0.0), Support(0.0, 0.0), LeakyReLU(1.0)):
        assert entries(f, np.zeros(1), 0.5) == 1.0


@smooth_cases
def test_derivatives_of_values(make: Make) -> None:
    f = make()
    x = f.prox(torch.tensor(sample(5, seed=8)), 1.0).requires_grad_()
    (y,) = torch.autograd.grad(f(x), x)
    assert torch.allclose(f.prox(x.detach() + 2 * y, 2.0), x, rtol=1e-12)
    y.requires_grad_()
    (back,) = torch.autograd.grad(f.conjugate()(y), y)
    assert torch.allclose(back, x, rtol=1e-9)
    assert gradcheck(f, x, eps=1e-7, atol=1e-5)
    assert gradgradcheck(f.conjugate(), y)


PARAMETRIC: dict[str, tuple[Callable[..., Function], list[list[float]]]] = {
    "LeakyReLU": (LeakyReLU, [[0.1, 0.5, 0.9]]),
    "Box": (Box, [[-1.0, -0.5, 0.25], [-0.5, 0.5, 0.5]]),
    "Box, one number": (lambda upper: Box(-2.0, upper), [[-0.5, 0.5, 0.5]]),
    "Support": (Support, [[-1.0, -0.5, 0.25], [-0.5, 0.5, 0.5]]),
    "L1": (L1, [[0.5, 1.0, 0.0625]]),
    "SquaredL2": (SquaredL2, [[0.5, 1.0, 0.0625]]),
}


@pytest.mark.parametrize(("make", "values"), PARAMETRIC.values(), ids=PARAMETRIC)
@pytest.mark.parametrize("step", [0.3, 1.0, 4.0])
def test_tensor_parameters(make: Any, values: list[list[float]], step: float) -> None:
    x, theta = tensor(sample(5, 3, seed=9)), [tensor(v) for v in values]
    assert gradcheck(lambda x, *theta: make(*theta).prox(x, step), (x, *theta))
    assert gradgradcheck(lambda x, *theta: make(*theta).prox(x, step), (x, *theta))
    plain = [np.array(v) for v in values]
    f, g, numpy_x = make(*theta), make(*plain), x.detach().numpy()
    assert np.array_equal(f.prox(x, step).detach().numpy(), g.prox(numpy_x, step))
    columns = [make(*(v[i] for v in values)).prox(x[:, i], step) for i in range(3)]
    assert torch.allclose(f.prox(x, step), torch.stack(columns, 1), rtol=1e-15)
    slope = entries(f, x, step)
    if slope.requires_grad:
        assert gradcheck(lambda *theta: entries(make(*theta), x.detach(), step), theta)


@pytest.mark.parametrize(("make", "values"), PARAMETRIC.values(), ids=PARAMETRIC)
def test_vmap_over_parameters(make: Any, values: list[list[float]]) -> None:
    x, theta = torch.tensor(sample(3)), [torch.tensor(v, dtype=torch.float64) for v in values]
    mapped = torch.func.vmap(lambda *theta: make(*theta).prox(x, 0.7))(*(t[:, None].expand(3, 3) for t in theta))
    assert torch.equal(mapped, torch.stack([make(*(t[i] for t in theta)).prox(x, 0.7) for i in range(3)]))


def test_parameters_of_single_samples() -> None:
    x, weight = torch.tensor(sample(5, 3)), torch.linspace(0, 2, 5, dtype=torch.float64)
    rows = [L1(float(w)).prox(row, 0.7) for w, row in zip(weight, x, strict=True)]
    assert torch.equal(L1(weight[:, None]).prox(x, 0.7), torch.stack(rows))


@all_cases
@pytest.mark.parametrize("step", [0.3, 1.0, 4.0])
def test_functional_transforms(make: Make, step: float) -> None:
    f, x, v = make(), torch.tensor(sample(4, 3, seed=10)), torch.tensor(sample(4, 3, seed=11))
    out, tangent = torch.func.jvp(lambda x: f.prox(x, step), (x,), (v,))[:2]
    assert torch.equal(out, f.prox(x, step))
    assert torch.allclose(tangent, entries(f, x, step) * v, rtol=1e-11, atol=1e-13)
    mapped = torch.func.vmap(lambda x: f.prox(x, step))(x)
    assert torch.allclose(mapped, out, rtol=1e-15, atol=1e-15)
    assert torch.allclose(torch.func.vmap(f)(out), f(out))
    reverse = torch.func.hessian(lambda x: f.prox(x, step).sum())(x[0])
    forward = torch.func.jacfwd(torch.func.jacfwd(lambda x: f.prox(x, step).sum()))(x[0])
    assert torch.allclose(reverse, forward, rtol=1e-9, atol=1e-11)
