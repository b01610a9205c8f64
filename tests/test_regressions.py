"""One test for each bug that review and use brought up."""

import functools
import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from monops import (
    L1,
    TV1D,
    Affine,
    Box,
    CircularConv,
    Dense,
    Diagonal,
    ElasticNet,
    FromCallable,
    Function,
    Hinge,
    Huber,
    Hyperplane,
    Identity,
    KullbackLeibler,
    LeastSquares,
    LinearOperator,
    LogBarrier,
    PeacemanRachford,
    QuadraticForm,
    ReLU,
    Softsign,
    SplittingMethod,
    SquaredL2,
    Step,
    Subdifferential,
    equilibrium,
    error_bound,
    solve,
    tree,
)
from monops.arrays import Array
from monops.errors import DeviceError, DTypeError, OptionError, ShapeError, StepSizeError
from monops.linear import Factored
from monops.monotone import MonotoneOperator, Resolvent
from monops.nn import Equilibrium, MonotoneDense

D = torch.float64
M = torch.tensor([[2.0, -1.0], [1.0, 2.0]], dtype=D)
relu = Subdifferential(ReLU())


def test_an_automatic_step_keeps_the_gradient_of_unrolled_steps() -> None:
    m = M.clone().requires_grad_()
    A = Affine(Dense(m), torch.tensor([1.0, 1.0], dtype=D))
    unrolled = solve(PeacemanRachford("auto"), A, relu, tol=1e-12, unroll=True).point
    implicit = equilibrium(PeacemanRachford("auto"), A, relu, tol=1e-12).point
    (mine,), (want,) = (torch.autograd.grad(z.sum(), m) for z in (unrolled, implicit))
    torch.testing.assert_close(mine, want, rtol=0, atol=1e-9)


@dataclass(frozen=True)
class Preconditioned(SplittingMethod):
    """Forward-backward with a diagonal metric, one row a sample, kept as a bare array."""

    metric: Any
    step: float = 0.3

    def prepare(self, A: MonotoneOperator, B: MonotoneOperator) -> tuple[MonotoneOperator, Resolvent, Array]:
        return A, B.resolvent(self.step), self.metric

    def advance(self, plan: tuple[MonotoneOperator, Resolvent, Array], z: Array) -> Step:
        A, J_B, metric = plan
        y = J_B(z - self.step * metric * A.apply(z))
        return Step(state=y, point=y, gap=lambda: (z - y) / self.step)


@pytest.mark.parametrize("library", [torch.as_tensor, np.asarray])
def test_arrays_in_a_plan_leave_with_their_samples(library: Any) -> None:
    b = library(np.logspace(-6, 3, 8)[:, None] * np.array([1.0, 2.0]))
    metric = library(np.linspace(0.5, 1.0, 8)[:, None] * np.ones(2))
    A = Affine(Dense(library(np.diag([1.0, 1.2]))), b)
    result = solve(Preconditioned(metric), A, relu, A.zero() + 1, tol=1e-10, check_every=1)
    assert len(set(result.sample_steps.tolist())) > 1, "the samples end at different times"
    np.testing.assert_allclose(np.asarray(result.point), np.asarray(b) / [1.0, 1.2], rtol=1e-7)


def test_scalar_states_are_a_batch_of_numbers() -> None:
    A = Affine(Diagonal(torch.tensor(2.0, dtype=D)), torch.tensor([1.0, -3.0], dtype=D))
    result = solve(PeacemanRachford(0.5), A, Subdifferential(Box(-1.0, 1.0, axes=0)), tol=1e-12)
    torch.testing.assert_close(result.point, torch.tensor([0.5, -1.0], dtype=D))
    assert error_bound(A, Subdifferential(Box(-1.0, 1.0, axes=0)), result.point).shape == (2,)


@pytest.mark.parametrize("make", [lambda layer: layer, lambda layer: layer.forward, lambda layer: lambda x: layer(x)])
def test_modules_are_captured_however_they_come(make: Any) -> None:
    layer = torch.nn.Linear(2, 2, bias=False)
    with pytest.raises(OptionError, match="params"):
        FromCallable(make(layer), lambda y: y, (2,))
    with pytest.raises(OptionError, match="params"):
        FromCallable(functools.partial(torch.mul, layer.weight[0]), lambda y: y, (2,))


def test_every_point_is_checked_against_arrays_of_parameters() -> None:
    J = Subdifferential(L1(torch.ones(3))).resolvent(1.0)
    assert J(torch.ones(5, 3)).shape == (5, 3)
    with pytest.raises(DTypeError):
        J(torch.ones(5, 3, dtype=D))
    with pytest.raises(ShapeError):
        J(torch.ones(5, 1))


def test_resolvents_are_trees_and_can_be_pickled() -> None:
    x = torch.tensor([1.0, -2.0], dtype=D)
    for J in (Affine(Dense(M), x).resolvent(0.5), relu.resolvent(0.5)):
        want = J(x)
        moved = tree.map_tensors(lambda leaf: leaf.clone(), J)
        torch.testing.assert_close(moved(x), want)
        torch.testing.assert_close(pickle.loads(pickle.dumps(J))(x), want)


@dataclass(frozen=True, eq=False)
class Gather(LinearOperator):
    """An operator with integers inside."""

    index: Any
    weight: Any

    @property
    def domain(self) -> tuple[int, ...]:
        return (len(self.index),)

    @property
    def codomain(self) -> tuple[int, ...]:
        return self.domain

    @property
    def dtype(self) -> Any:
        return self.weight.dtype

    def apply(self, x: Array) -> Array:
        return self.weight * x[..., self.index]

    def adjoint(self) -> LinearOperator:
        return Gather(torch.argsort(self.index), (self.weight)[torch.argsort(self.index)])


def test_moving_leaves_integers_alone_and_numpy_where_it_is() -> None:
    op = Gather(torch.tensor([1, 0]), torch.tensor([2.0, 3.0], dtype=D)).to(torch.float32)
    torch.testing.assert_close(op(torch.tensor([1.0, 10.0])), torch.tensor([20.0, 3.0]))
    with pytest.raises(DTypeError, match="only operators on tensors"):
        Dense(np.eye(2)).to(torch.float32)


def test_tensors_in_lists_are_refused_and_not_overlooked() -> None:
    @dataclass(frozen=True)
    class Node:
        parts: list[torch.Tensor]

    with pytest.raises(OptionError, match="list or dict"):
        tree.flatten(Node([torch.ones(2)]))


def test_options_of_an_equilibrium_are_named_ones() -> None:
    with pytest.raises(TypeError, match="unroll"):
        equilibrium(PeacemanRachford(0.5), Affine(Dense(M)), relu, unroll=True)  # type: ignore[call-arg]
    with pytest.raises(OptionError, match=r"m in \[0, ∞\), got inf"):
        Affine(Dense(M), claim=float("inf"))


def test_a_shift_keeps_the_claim() -> None:
    A = Affine(Dense(M), claim=0.25) + torch.ones(2, dtype=D)
    assert isinstance(A, Affine)
    assert A.strong_monotonicity == 0.25


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")
def test_an_automatic_step_is_found_inside_of_transforms() -> None:
    b = torch.tensor([[1.0, 1.0], [2.0, -0.5]], dtype=D)

    def point(m: torch.Tensor, b: torch.Tensor, step: Any = "auto") -> torch.Tensor:
        return equilibrium(PeacemanRachford(step), Affine(Dense(m), b), relu, tol=1e-12).point

    for transform in (
        lambda f: torch.func.vmap(f, (None, 0))(M, b),
        lambda f: torch.func.vmap(f, (0, None))(torch.stack([M, 2 * M]), b),
        lambda f: torch.func.jacrev(f)(M, b),
        lambda f: torch.func.jacfwd(f)(M, b),
        lambda f: torch.func.vmap(torch.func.grad(lambda m, b: f(m, b).sum()), (None, 0))(M, b),
    ):
        torch.testing.assert_close(transform(point), transform(functools.partial(point, step=0.5)), rtol=0, atol=1e-9)


def test_a_new_layer_works_inside_of_transforms() -> None:
    torch.manual_seed(0)
    linear, x = MonotoneDense(3, 4, dtype=D), torch.randn(5, 3, dtype=D)
    mapped = torch.func.vmap(Equilibrium(linear, tol=1e-11))(x)
    torch.testing.assert_close(mapped, Equilibrium(linear, tol=1e-11)(x), rtol=0, atol=1e-9)


def test_cocoercivity_goes_through_the_algebra() -> None:
    A = Subdifferential(SquaredL2(4.0))  # 1/4-cocoercive
    assert (2.0 * A).cocoercivity == pytest.approx(1 / 8)
    assert A.translate(torch.ones(2)).cocoercivity == pytest.approx(1 / 4)
    assert (A + torch.ones(2)).cocoercivity == pytest.approx(1 / 4)
    assert (A + 4.0 * Identity((2,))).cocoercivity == pytest.approx(1 / 8)
    assert (A + A).cocoercivity == pytest.approx(1 / 8)
    assert (A + relu).cocoercivity == 0.0


def test_an_input_on_another_device_is_named_before_anything_else() -> None:
    with pytest.raises(DeviceError, match="lives on cpu, got an input on meta"):
        Equilibrium(MonotoneDense(3, 4))(torch.ones(2, 3, device="meta"))


@pytest.mark.parametrize("kind", ["dense", "quadratic", "convolution"])
def test_a_resolvent_first_used_without_gradients_has_them_later(kind: str) -> None:
    torch.manual_seed(0)
    b = torch.randn((3, 4, 4) if kind == "convolution" else (3,), dtype=D, requires_grad=True)
    A: MonotoneOperator
    if kind == "dense":
        A = Affine(Dense(2 * torch.eye(3, dtype=D)), b)
    elif kind == "quadratic":
        A = Subdifferential(QuadraticForm(Dense(2 * torch.eye(3, dtype=D), symmetric=True), b))
    else:
        C = CircularConv(torch.randn(3, 3, 3, 3, dtype=D), (4, 4))
        A = Affine(Identity((3, 4, 4), dtype=D) + (C - C.H), b)
    J = A.resolvent(1.0)
    x = torch.randn(2, *b.shape, dtype=D)
    wanted = torch.autograd.grad(A.resolvent(1.0)(x).sum(), b)[0]
    with torch.no_grad():
        for _ in range(12):
            J(x)
    assert torch.autograd.grad(J(x).sum(), b)[0].equal(wanted)
    reflected = A.resolvent(1.0).reflected()
    with torch.no_grad():
        reflected(x)
    torch.testing.assert_close(torch.autograd.grad(reflected(x).sum(), b)[0], 2 * wanted)


@pytest.mark.parametrize("f", [L1(0.5), Huber(0.3), LogBarrier(), KullbackLeibler(), Softsign(), Hinge()], ids=repr)
@pytest.mark.parametrize("step", [0.0, -1.0, float("inf"), float("nan")])
def test_proxes_of_conjugates_refuse_what_is_no_step(f: Function, step: float) -> None:
    with pytest.raises(StepSizeError, match=r"conjugate_prox wants a step in \(0, ∞\)"):
        f.conjugate_prox(torch.ones(3), step)


def test_conjugates_and_resolvents_of_parameters_that_vmap_hides() -> None:
    w, x = torch.rand(4, dtype=D) + 0.1, torch.randn(4, 3, dtype=D)
    one = torch.ones(3, dtype=D)

    def mapped(of: Any) -> torch.Tensor:
        return torch.func.vmap(of)(w, x)

    torch.testing.assert_close(mapped(lambda w, x: SquaredL2(w).conjugate().prox(x, 2.0)), x / (1 + 2 / w[:, None]))
    soft = mapped(lambda w, x: ElasticNet(w, w).conjugate_prox(x, 2.0))
    torch.testing.assert_close(mapped(lambda w, x: ElasticNet(w, w).conjugate().prox(x, 2.0)), soft)
    for op in (lambda w: Diagonal(w * one), lambda w: w * Identity((3,), dtype=D)):
        torch.testing.assert_close(mapped(lambda w, x, op=op: op(w).resolvent(1.0)(x)), x / (1 + w[:, None]))


def test_sums_and_products_with_factored_operators_are_those_of_the_operator() -> None:
    matrix = torch.tensor([[2.0, 1.0], [0.0, 1.0]], dtype=D)
    F, one = Factored(Dense(matrix)), Identity((2,), dtype=D)
    for made in (2.0 * F, F + F, F @ F, F.H @ F, F - F.H, F + one, one + F, F.H - one):
        assert isinstance(made, Dense)
    assert (F.H @ F).to_dense().equal(matrix.mT @ matrix)
    assert (F - F.H).to_dense().equal(matrix - matrix.mT)
    assert (F.H - one).to_dense().equal(matrix.mT - torch.eye(2, dtype=D))
    assert (2.0 * F.H @ F.H).to_dense().equal(2 * matrix.mT @ matrix.mT)


def test_matrices_of_operators_between_empty_spaces() -> None:
    nothing = torch.zeros(0, dtype=D)
    into = FromCallable(lambda x: x.new_zeros(*x.shape[:-1], 3), lambda y: y[..., :0], (0,), (3,), dtype=D)
    assert into.to_dense().shape == (3, 0)
    assert into.H.to_dense().shape == (0, 3)
    assert into(nothing).equal(torch.zeros(3, dtype=D))


@pytest.mark.parametrize("b", [torch.ones(2, dtype=D), torch.ones(3), np.ones(3), [1.0, 2.0, 3.0]], ids=str)
def test_least_squares_wants_data_that_fits_its_operator(b: Any) -> None:
    with pytest.raises((ShapeError, DTypeError), match="LeastSquares: b expects"):
        LeastSquares(Dense(torch.eye(3, dtype=D)), b)


def test_conjugates_of_what_is_not_a_number() -> None:
    line = Hyperplane(torch.tensor([1.0, 2.0], dtype=D), 1.0)
    values = line.conjugate_value(torch.tensor([[np.nan, 1.0], [1.0, 2.0], [1.0, 3.0]], dtype=D))
    torch.testing.assert_close(values, torch.tensor([np.nan, 1.0, np.inf], dtype=D), equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float32, D])
@pytest.mark.parametrize("n", [30, 3000])
def test_subgradients_of_total_variation_are_in_the_domain_of_its_conjugate(n: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    f, x = TV1D(0.7), 10 * torch.randn(50, n, dtype=dtype)
    y = (x - f.prox(x, 1.3)) / 1.3
    assert (f.conjugate_value(y) == 0).all()
    assert (f.conjugate_value(1.01 * y) == np.inf).all()
    y[:, -1] += 0.01
    assert (f.conjugate_value(y) == np.inf).all()
