"""The battery and derivatives: of a prox and of an operator, by formula and through autograd."""

from typing import Any

import pytest
import torch
from cases import jit_warning

from monops import L1, Affine, Box, Dense, Huber, Softplus, SortedL1, Tanh
from monops.arrays import Array
from monops.functions import Function
from monops.linear import LinearOperator
from monops.testing import BrokenLaw, check_function, check_monotone_operator
from monops.testing.differences import quotients

D = torch.float64
WEIGHT = torch.tensor([0.2, 0.5, 1.0, 0.3, 0.7], dtype=D)


class ScaledDerivative(Huber):
    def prox_derivative(self, x: Array, step: float) -> LinearOperator:
        return 0.999 * super().prox_derivative(x, step)


class LostInPoint(L1):
    def prox(self, x: Array, step: float) -> Array:
        return super().prox(x.detach(), step) + 0 * x


class LostInParameter(L1):
    def prox(self, x: Array, step: float) -> Array:
        held: Any = self.weight
        return L1(held.detach()).prox(x, step) + 0 * held * x


class ScaledInParameter(L1):
    def prox(self, x: Array, step: float) -> Array:
        held: Any = self.weight
        return L1(held.detach() + 1.001 * (held - held.detach())).prox(x, step)


class ScaledJacobian(Affine):
    def derivative(self, x: Array) -> LinearOperator:
        return 0.999 * super().derivative(x)


@pytest.mark.parametrize(
    ("f", "law"),
    [
        (ScaledDerivative(0.5), "the derivative of the prox"),
        (LostInPoint(WEIGHT), "autograd through the prox is its derivative"),
        (LostInParameter(WEIGHT), "autograd through the prox, in weight, is its derivative"),
        (ScaledInParameter(WEIGHT), "autograd through the prox, in weight, is its derivative"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Function) else "",
)
def test_wrong_derivatives_of_a_prox_are_found(f: Function, law: str) -> None:
    with pytest.raises(BrokenLaw, match=law):
        check_function(f, dtype=D)


@jit_warning
def test_a_wrong_jacobian_is_found() -> None:
    M = Dense(torch.tensor([[2.0, -1.0], [1.0, 2.0]], dtype=D))
    check_monotone_operator(Affine(M))
    with pytest.raises(BrokenLaw, match=r"A\.derivative"):
        check_monotone_operator(ScaledJacobian(M))


@pytest.mark.parametrize(
    "f", [L1(WEIGHT), Box(-WEIGHT, WEIGHT), Huber(WEIGHT, WEIGHT), Tanh(), Softplus()], ids=lambda f: type(f).__name__
)
def test_right_ones_pass(f: Function) -> None:
    check_function(f, dtype=D)


@pytest.mark.parametrize("at", [0.0, 0.1, 0.25, 0.4, 0.5, 0.7, 0.99, 1.5])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_kink_near_by_excuses_no_more_than_it_has_to(at: float, side: int) -> None:
    """t ↦ t + 3 max(t - u, 0): its slope at 0 is admitted wherever u is, and with u = 0 the slopes of both sides."""
    h = torch.finfo(D).eps ** (1 / 3)
    kink = side * at * h

    def bent(t: float) -> torch.Tensor:
        return torch.tensor(t + 3 * max(t - kink, 0.0), dtype=D)

    central, room = quotients(bent, 1.0, torch.finfo(D).eps)
    for slope in [1.0, 4.0] if at == 0 else [4.0 if side < 0 else 1.0]:
        assert abs(slope - central) <= room + 1e-9
    assert abs(30 - central) > room
    assert at < 1 or room < 1e-8


@pytest.mark.parametrize("weights", [[0.0] * 5, [1.0, 0.5, 0.4, 0.1, 0.0]], ids=["all 0", "one 0"])
def test_what_sorted_l1_does_not_shrink_passes_its_gradient_on_at_0(weights: list[float]) -> None:
    f, x = SortedL1(torch.tensor(weights, dtype=D)), torch.tensor([[1.0, 2.0, 0.0, -3.0, -4.0]], dtype=D)
    leaf, g = x.clone().requires_grad_(), torch.ones_like(x)
    (slope,) = torch.autograd.grad(f.prox(leaf, 0.1), leaf, g)
    assert slope.equal(g)
    assert slope.equal(f.prox_derivative(x, 0.1)(g))
