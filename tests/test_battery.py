"""The battery that people run on their own classes: what is wrong with a class is found, and named."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from cases import draw_of, jit_warning, paper

from monops import (
    L1,
    L2,
    Affine,
    Box,
    Dense,
    Diagonal,
    Function,
    LeakyReLU,
    LinearOperator,
    MonotoneOperator,
    SquaredL2,
    Subdifferential,
    Tanh,
)
from monops.arrays import Array
from monops.errors import MonopsError, NoResolventError, OptionError
from monops.monotone import Resolvent
from monops.testing import BrokenLaw, check_function, check_linear_operator, check_monotone_operator

D = torch.float64
MATRIX = paper(draw_of("numpy64", 3, 4))[1]


@dataclass(frozen=True, eq=False)
class Mine(LinearOperator):
    """A matrix, as a person would write it."""

    matrix: torch.Tensor = field(metadata={"axes": 2})

    domain = property(lambda self: (self.matrix.shape[-1],))
    codomain = property(lambda self: (self.matrix.shape[-2],))
    dtype = property(lambda self: self.matrix.dtype)

    def apply(self, x: Array) -> Array:
        return x @ self.matrix.T

    def adjoint(self) -> LinearOperator:
        return replace(self, matrix=self.matrix.T)


def _in_place(self: Any, x: Array) -> Array:
    y = x @ self.matrix.T
    x += 1
    return y


WRONG_LINEAR: dict[str, tuple[dict[str, Any], str]] = {
    "missing transpose": ({"adjoint": lambda s: replace(s, matrix=1 * s.matrix)}, "transpose"),
    "factor in the adjoint": ({"adjoint": lambda s: replace(s, matrix=1.001 * s.matrix.T)}, "transpose"),
    "not linear": ({"apply": lambda s, x: x @ s.matrix.T + 0.1 * abs(x)}, "matrix times x"),
    "affine": ({"apply": lambda s, x: x @ s.matrix.T + 0.1}, "matrix times x|transpose"),
    "mixes samples": ({"apply": lambda s, x: (x - x.mean(0) if x.ndim > 1 else x) @ s.matrix.T}, "matrix|transpose"),
    "writes to x": ({"apply": _in_place}, "untouched"),
    "loses the dtype": ({"apply": lambda s, x: (x @ s.matrix.T).float()}, "keeps batch, dtype"),
    "loses the batch": ({"apply": lambda s, x: (x @ s.matrix.T)[..., None, :]}, "keeps batch"),
    "norm too small": ({"norm": lambda s: 0.99 * float(torch.linalg.matrix_norm(s.matrix, 2))}, "norm.. bounds"),
    "monotonicity too large": ({"monotonicity": lambda s: 0.6}, "lower bound"),
    "false symmetry": ({"symmetric": property(lambda s: True)}, "symmetric"),
    "resolvent of another step": (
        {"resolvent": lambda s, step: Dense(torch.linalg.inv(torch.eye(4, dtype=D) + 0.5 * step * s.matrix))}, "= x"),
    "resolvent of the adjoint": (
        {"resolvent": lambda s, step: Dense(torch.linalg.inv(torch.eye(4, dtype=D) + step * s.matrix.T))}, "= x"),
    "sum drops a term": ({"_plus": lambda s, other: s}, r"op \+ op|op - 3·op"),
    "product the wrong way round": (
        {"_times": lambda s, other: Dense(other.to_dense() @ s.matrix)}, "matrix of op"),
    "scales by the square": ({"_scaled": lambda s, c: replace(s, matrix=c * abs(c) * s.matrix)}, "2·op"),
    "accepts every shape": ({"__call__": lambda s, x: s.apply(x[..., :4])}, "refused"),
    "lost gradient": ({"apply": lambda s, x: x @ s.matrix.detach().T}, "derivatives"),
}  # fmt: skip


def test_a_right_operator_passes() -> None:
    check_linear_operator(Mine(torch.tensor(MATRIX)), MATRIX)
    check_linear_operator(Mine(torch.tensor(MATRIX, requires_grad=True)))
    check_linear_operator(Mine(torch.tensor(MATRIX[:3])), MATRIX[:3])


@jit_warning
@pytest.mark.parametrize("wrong", list(WRONG_LINEAR))
def test_a_wrong_operator_is_found(wrong: str) -> None:
    parts, law = WRONG_LINEAR[wrong]
    kind = type("Spoilt", (Mine,), parts)
    with pytest.raises(BrokenLaw, match=law) as caught:
        check_linear_operator(kind(torch.tensor(MATRIX, requires_grad="gradient" in wrong)))
    assert str(caught.value).startswith("Spoilt: ")


def test_another_matrix_is_found() -> None:
    with pytest.raises(BrokenLaw, match=r"to_dense is the matrix \[.*\]: 1\.\d+e-06 > "):
        check_linear_operator(Mine(torch.tensor(MATRIX)), (1 + 1.5e-6) * MATRIX)


def test_a_broken_law_is_an_assertion_and_a_monops_error() -> None:
    assert issubclass(BrokenLaw, AssertionError)
    assert issubclass(BrokenLaw, MonopsError)


WRONG_FUNCTION: dict[str, tuple[type[Function], dict[str, Any], str]] = {
    "prox ignores the step": (L1, {"_prox": lambda s, x, step: x - x.clip(-s.weight, s.weight)}, "minimiser"),
    "prox of the conjugate": (L1, {"_prox": lambda s, x, step: x.clip(-step * s.weight, step * s.weight)}, "minimiser"),
    "prox off by little": (L1, {"_prox": lambda s, x, step: 0.9999 * (x - x.clip(-step, step))}, "minimiser|Moreau"),
    "prox expands": (Box, {"_prox": lambda s, x, step: 1.1 * x.clip(s.lower, s.upper)}, "finite at its proxes"),
    "another value": (L1, {"_value": lambda s, x: 1.01 * s.weight * abs(x)}, "minimiser|Fenchel"),
    "value not convex": (L1, {"_value": lambda s, x: s.weight * abs(x) ** 0.9}, "minimiser|convex"),
    "derivative of the complement": (L1, {"_prox_slope": lambda s, x, t: (abs(x) < t).to(x.dtype)}, "derivative of"),
    "derivative at the output": (
        Tanh, {"_prox_slope": lambda s, x, step: 1 - torch.tanh(s._prox(x, step)) ** 2}, "derivative of the prox"),
    "conjugate of another weight": (
        L1, {"conjugate": lambda s: Box(-1.1 * s.weight, 1.1 * s.weight)}, "Moreau"),
    "conjugate without the way back": (LeakyReLU, {"conjugate": lambda s: s}, "Moreau"),
    "conjugate infinite everywhere": (
        L2, {"conjugate_value": lambda s, y: y.sum(-1).abs() + math.inf}, "f\\* is finite"),
    "conjugate with a small domain": (
        L2, {"conjugate_value": lambda s, y: torch.where(y.norm(dim=-1) > 0.8 * s.weight, math.inf, 0.0).to(y.dtype)},
        "f\\* is finite"),
    "false strong convexity": (L1, {"strong_convexity": 0.1, "smoothness": 1e9}, "strongly convex"),
    "false smoothness": (SquaredL2, {"smoothness": 0.9, "strong_convexity": 0.0}, "smooth with L"),
    "convexity above smoothness": (L1, {"strong_convexity": 2.0, "smoothness": 1.0}, "≤ smoothness"),
    "false indicator": (L1, {"is_indicator": True}, "an indicator is 0"),
    "wrong gradient": (SquaredL2, {"gradient": lambda s, x: 0.5 * s.weight * x}, "∇f"),
    "any step": (Box, {"prox": lambda s, x, step: x.clip(s.lower, s.upper)}, "step outside"),
    "mixes samples": (Box, {"_prox": lambda s, x, step: (x + 0.01 * x.sum(0)).clip(s.lower, s.upper)}, "its samples"),
    "no batch": (L1, {"__call__": lambda s, x: abs(x).sum()}, "one number a sample"),
    "loses the dtype": (L1, {"_prox": lambda s, x, step: (x - x.clip(-step, step)).float()}, "keeps shape, dtype"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", list(WRONG_FUNCTION))
def test_a_wrong_function_is_found(wrong: str) -> None:
    kind, parts, law = WRONG_FUNCTION[wrong]
    check_function(kind())
    facts = {name: value if callable(value) else property(constant(value)) for name, value in parts.items()}
    with pytest.raises(BrokenLaw, match=law):
        check_function(type("Spoilt", (kind,), facts)())


def constant(value: Any) -> Any:
    return lambda self: value


def test_functions_are_checked_in_the_libraries_that_they_are_for() -> None:
    class TorchOnly(L1):
        def _prox(self, x: Array, step: float) -> Array:
            return torch.sign(x) * torch.relu(abs(x) - step * self.weight)

    check_function(TorchOnly(), dtype=D)
    with pytest.raises(TypeError) as caught:
        check_function(TorchOnly())
    assert "dtype=torch.float64" in caught.value.__notes__[-1]
    check_function(L1(np.full(1, 0.5)))
    check_function(L1(np.full(1, 0.5)).translate(np.ones(5)))
    check_function(L1(torch.full((1,), 0.5, dtype=D)))


def test_functions_at_given_points() -> None:
    """For parameters of a certain shape; and where a person wants the check to be."""
    f = L1(torch.tensor([0.1, 2.0, 0.7], dtype=D))
    check_function(f, torch.randn(9, 3, dtype=D))
    check_function(L1(0.5, axes=2), torch.randn(4, 3, 2, dtype=D), steps=(0.3,))
    check_function(L1(0.5, axes=2))
    with pytest.raises(MonopsError, match="weight"):
        check_function(f, torch.randn(9, 4, dtype=D))


@dataclass(frozen=True, eq=False)
class MyResolvent(Resolvent):
    J: Resolvent
    derivative_factor: float = 1.0
    value_factor: float = 1.0
    takes_wrong_rows: bool = False

    def __call__(self, x: Array) -> Array:
        return self.value_factor * self.J(x)

    def derivative(self, x: Array) -> LinearOperator:
        return self.derivative_factor * self.J.derivative(x)

    def take(self, index: Array, shape: tuple[int, ...]) -> Resolvent:
        return replace(self, J=self.J.take(index.flip(0) if self.takes_wrong_rows else index, shape))


@dataclass(frozen=True, eq=False)
class MyOperator(MonotoneOperator):
    A: Affine
    resolvent_options: dict[str, Any] = field(default_factory=dict)
    step_factor: float = 1.0
    m: float | None = None
    L: float | None = None
    beta: float | None = None
    value_factor: float = 1.0
    is_gradient: bool = False

    domain = property(lambda self: self.A.domain)

    @property
    def strong_monotonicity(self) -> float:
        return self.A.strong_monotonicity if self.m is None else self.m

    @property
    def lipschitz(self) -> float:
        return self.A.lipschitz if self.L is None else self.L

    @property
    def cocoercivity(self) -> float:
        return self.A.cocoercivity if self.beta is None else self.beta

    def apply(self, x: Array) -> Array:
        return self.value_factor * self.A.apply(x)

    def resolvent(self, step: float) -> Resolvent:
        J = self.A.resolvent(step)
        return MyResolvent(self.A.resolvent(step * self.step_factor) if step > 1 else J, **self.resolvent_options)

    def zero(self) -> Array:
        return self.A.zero()


WRONG_MONOTONE: dict[str, tuple[dict[str, Any], str]] = {
    "m too large": ({"m": 0.525}, r"monotone with m = 0.525 in every direction"),
    "L too small": ({"L": 1.0}, "Lipschitz with L"),
    "cocoercivity too large": ({"beta": 0.9}, "cocoercive with β"),
    "L too small by little": ({"L": 6.02}, r"Lipschitz with L = 6.02 in every direction"),
    "m above L": ({"m": 3.0, "L": 2.0}, "≤ L"),
    "resolvent of another step": ({"step_factor": 1.01}, r"J at step|J\(x\)"),
    "values do not belong to the resolvent": ({"value_factor": 1.01}, r"\(x - J\(x\)\)/step"),
    "wrong derivative": ({"resolvent_options": {"derivative_factor": 0.99}}, "derivative of J"),
    "expands": ({"resolvent_options": {"value_factor": 1.5}}, "firmly|monotone|J at step"),
    "is no gradient": ({"is_gradient": True}, "symmetric, as A.is_gradient says"),
    "takes other rows": ({"resolvent_options": {"takes_wrong_rows": True}}, "J.take"),
}


@jit_warning
@pytest.mark.parametrize("wrong", list(WRONG_MONOTONE))
def test_a_wrong_monotone_operator_is_found(wrong: str) -> None:
    A, _, _ = paper(draw_of("torch64", 3, 4), 12)
    check_monotone_operator(MyOperator(A))
    parts, law = WRONG_MONOTONE[wrong]
    with pytest.raises(BrokenLaw, match=law):
        check_monotone_operator(MyOperator(A, **parts))


@dataclass(frozen=True, eq=False)
class OnlyValues(MonotoneOperator):
    """z ↦ (1, 5, 3, 3) z, by entries; without a resolvent."""

    m: float = 1.0
    L: float = 5.0
    beta: float = 0.2
    domain = property(lambda self: (4,))
    strong_monotonicity = property(lambda self: self.m)
    lipschitz = property(lambda self: self.L)
    cocoercivity = property(lambda self: self.beta)

    def apply(self, x: Array) -> Array:
        return x * torch.tensor([1.0, 5.0, 3.0, 3.0], dtype=x.dtype)

    def resolvent(self, step: float) -> Resolvent:
        raise NoResolventError("it is written down nowhere")


class MixesSamples(OnlyValues):
    def apply(self, x: Array) -> Array:
        y = super().apply(x)
        return y - y.mean(0) if x.ndim > 1 else y


class Promotes(OnlyValues):
    def apply(self, x: Array) -> Array:
        return x * torch.tensor([1.0, 5.0, 3.0, 3.0], dtype=D)


@jit_warning
@pytest.mark.parametrize(
    ("A", "law"),
    [
        (OnlyValues(m=1.001), r"monotone with m = 1.001 in every direction \[A.derivative"),
        (OnlyValues(L=4.999), r"Lipschitz with L = 4.999 in every direction \[A.derivative"),
        (OnlyValues(beta=0.2001), r"cocoercive with β = 0.2001 in every direction \[A.derivative"),
        (MixesSamples(), r"A of a batch is that of its samples"),
        (Promotes(), r"A\(x\) keeps shape, dtype and device \[torch.float32.*got \(torch.float64"),
    ],
    ids=["m", "L", "β", "batch", "dtype"],
)
def test_a_wrong_operator_without_a_resolvent_is_found(A: MonotoneOperator, law: str) -> None:
    check_monotone_operator(OnlyValues())
    with pytest.raises(BrokenLaw, match=law):
        check_monotone_operator(A)


@jit_warning
@pytest.mark.parametrize("f", [L1(axes=0), SquaredL2(axes=2), L2(axes=3)], ids=["0 axes", "2 axes", "3 axes"])
def test_points_have_as_many_axes_as_the_operator_wants(f: Function) -> None:
    check_monotone_operator(Subdifferential(f))
    check_monotone_operator(Subdifferential(f), torch.randn(4, *(3, 2, 2)[: f.axes], dtype=D))
    if f.axes:
        with pytest.raises(OptionError, match=f"at least {f.axes} axes, got points of shape"):
            check_monotone_operator(Subdifferential(f), domain=())


def test_what_is_not_monotone_is_found() -> None:
    A = Affine(Dense(torch.diag(torch.tensor([1.0, -0.2], dtype=D))), claim=0.0)
    with pytest.raises(BrokenLaw, match=r"monotone with m = 0"):
        check_monotone_operator(A)


def test_messages_name_the_law_the_input_and_the_numbers() -> None:
    with pytest.raises(
        BrokenLaw, match=r"^Diagonal: to_dense is the matrix \[.*, seed 0\]: \d\.\d+e[+-]\d+ > 3\.667e-11$"
    ):
        check_linear_operator(Diagonal(torch.ones(3, dtype=D)), np.diag([1.0, 1.0, 2.0]))
    wide = type("Wide", (Box,), {"_prox": lambda s, x, step: x})
    with pytest.raises(BrokenLaw, match=r"^Wide: f is finite at its proxes \[step 0\.1, .*, seed 0\]: it does not"):
        check_function(wide())
