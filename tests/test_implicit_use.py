"""Differentiable equilibria in use: warm starts, records, graphs, autocast, compilation, refusals."""

import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from cases import calls_of, draw_of, jit_warning, paper
from test_implicit import METHODS, TIGHT, leaves, point, tensors

from monops import (
    L1,
    Affine,
    Box,
    ChambollePock,
    ConvergenceWarning,
    DavisYin,
    Dense,
    DouglasRachford,
    ForwardBackward,
    ForwardBackwardForward,
    Identity,
    LeastSquares,
    NormalCone,
    PeacemanRachford,
    ReLU,
    SquaredL2,
    Status,
    Subdifferential,
    Tanh,
    WarmStart,
    equilibrium,
    solve,
)
from monops.errors import DerivativeError, DTypeError, NoResolventError, NotSingleValuedError, OptionError
from monops.implicit import EquilibriumProblem
from monops.nn import Equilibrium, MonotoneDense

D = torch.float64
tanh = Subdifferential(Tanh())


def test_warm_starts_save_steps_forward_and_backward() -> None:
    M, b = leaves(*tensors(3))
    warm = WarmStart()
    options: dict[str, Any] = {"tol": 1e-10, "check_every": 1}
    cold = equilibrium(METHODS["PR"], Affine(Dense(M), b), tanh, **options)
    g = torch.randn(3, 4, dtype=D)
    want = torch.autograd.grad(cold.point, b, g)[0]
    steps = []
    for _ in range(2):
        result = equilibrium(METHODS["PR"], Affine(Dense(M), b), tanh, warm=warm, **options)
        (grad,) = torch.autograd.grad(result.point, b, g)
        torch.testing.assert_close(grad, want, rtol=0, atol=1e-8)
        assert result.backward is not None
        steps.append((result.steps, result.backward.steps))
    assert cold.backward is not None
    assert steps[0] == (cold.steps, cold.backward.steps)
    assert steps[1][0] <= 2
    assert steps[1][1] <= 2
    shape = equilibrium(METHODS["PR"], Affine(Dense(M), b[:2]), tanh, warm=warm, **options)
    assert shape.steps > 2  # another shape starts anew


def test_a_warm_start_with_no_gradient_at_all_is_quiet() -> None:
    """A cotangent of zero (a masked sample, say) has the solution zero, wherever the last solve ended."""
    M, b = leaves(*tensors(3))
    warm = WarmStart()
    for factor in (torch.ones(3, 1, dtype=D), torch.tensor([[1.0], [0.0], [1.0]], dtype=D)):
        result = equilibrium(METHODS["PR"], Affine(Dense(M), b), tanh, warm=warm, tol=1e-8)
        (grad,) = torch.autograd.grad((factor * result.point).sum(), b)
        assert result.backward is not None
        assert result.backward.status is Status.CONVERGED
        assert result.backward.steps < 100
        assert (grad[factor[:, 0] == 0].abs() < 1e-6).all()


def test_results_are_cut_off_from_the_graph() -> None:
    M, b = leaves(*tensors(3))
    result = equilibrium(METHODS["PR"], Affine(Dense(M), b), tanh, **TIGHT)
    assert result.point.requires_grad
    assert not result.state.requires_grad
    assert result.problem is not None
    A, _ = result.problem
    assert not A.linear.to_dense().requires_grad  # type: ignore[attr-defined]
    assert result.backward is None
    result.point.sum().backward()
    assert result.backward is not None
    assert result.backward.converged.shape == (3,)
    assert (result.error_bound < 1e-10).all()
    with torch.no_grad():
        assert not point(M, b, Tanh()).requires_grad


def test_graphs_of_several_solves_do_not_mix() -> None:
    """A second forward between the first one's forward and backward changes nothing; a graph may be used twice."""
    M, b = leaves(*tensors(3))
    first = point(M, b, Tanh())
    want = torch.autograd.grad(first.sum(), (M, b), retain_graph=True)
    second = point(2 * M, -b, ReLU(), PeacemanRachford(0.7))
    torch.autograd.grad(second.sum(), (M, b))
    again = torch.autograd.grad(first.sum(), (M, b))
    for mine, theirs in zip(again, want, strict=True):
        torch.testing.assert_close(mine, theirs)
    twice = point(M, point(M, b, Tanh()), Tanh())  # through each other
    assert torch.autograd.gradcheck(lambda b: point(M.detach(), point(M.detach(), b, Tanh()), Tanh()), leaves(b))
    assert twice.requires_grad


def test_shared_data_gets_the_sum_of_gradients() -> None:
    M, b = leaves(*tensors(size=4))
    z0 = torch.zeros(5, 4, dtype=D)
    z = equilibrium(METHODS["PR"], Affine(Dense(M), b), tanh, z0, **TIGHT).point
    assert z.shape == (5, 4)
    grads = torch.autograd.grad(z.sum(), (M, b))
    for mine, one in zip(grads, torch.autograd.grad(point(M, b, Tanh()).sum(), (M, b)), strict=True):
        torch.testing.assert_close(mine, 5 * one)


def test_tolerances_of_both_solves() -> None:
    M, b = leaves(*tensors(3))
    errors = []
    exact = torch.autograd.grad(point(M, b, Tanh()).sum(), b)[0]
    for backward_tol in (1e-2, 1e-10):
        options: dict[str, Any] = {"tol": 1e-12, "backward_tol": backward_tol, "check_every": 1}
        result = equilibrium(METHODS["PR"], Affine(Dense(M), b), tanh, **options)
        grad = torch.autograd.grad(result.point.sum(), b)[0]
        assert result.backward is not None
        assert (result.backward.residual <= backward_tol).all()
        errors.append((grad - exact).norm())
    assert errors[0] > 100 * errors[1]
    loose = equilibrium(METHODS["PR"], Affine(Dense(M), b), tanh, tol=1e-2, check_every=1)
    loose.point.sum().backward()
    assert loose.backward is not None
    assert result.backward is not None
    assert loose.backward.steps < result.backward.steps  # as in the forward solve unless given


def test_solves_out_of_steps_warn_once_each() -> None:
    M, b = leaves(*tensors(3))
    for warn in (True, False):
        with warnings.catch_warnings(record=True) as forward:
            warnings.simplefilter("always")
            z = equilibrium(METHODS["PR"], Affine(Dense(M), b), tanh, max_steps=2, warn=warn).point
        assert [w.category for w in forward] == [ConvergenceWarning] * warn
        with pytest.warns(ConvergenceWarning, match="after 2 steps") as backward:  # nobody else hears of that one
            torch.autograd.grad(z.sum(), b)
        assert len(backward) == 1


def test_the_step_is_found_once() -> None:
    M, b = leaves(*tensors(3))
    result = equilibrium(PeacemanRachford("auto"), Affine(Dense(M), b), tanh, **TIGHT)
    assert isinstance(result.method.step, float)
    result.point.sum().backward()
    assert result.backward is not None
    assert result.backward.method == result.method


@jit_warning
def test_the_backward_solve_accepts_the_step_of_the_forward_one() -> None:
    """The gradient of a convex function allows steps up to 2/L, beyond 2m/L², and so does its symmetric derivative."""
    w, b = leaves(torch.tensor([1.0, 0.1, 0.5], dtype=D), torch.tensor([[1.0, -2.0, 0.3]], dtype=D))
    M = torch.tensor([[0.5, 1.0, 0.0], [-1.0, 0.5, 0.0], [0.0, 0.0, 1.0]], dtype=D)

    def solution(w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        A, B = Subdifferential(SquaredL2(w)), Affine(Dense(M), b)
        return equilibrium(ForwardBackward(1.0), A, B, torch.zeros(1, 3, dtype=D), **TIGHT).point

    torch.testing.assert_close(solution(w, b), torch.linalg.solve(M + torch.diag(w), b.mT).mT)
    assert torch.autograd.gradcheck(solution, (w, b))


def test_numpy_is_refused() -> None:
    A, _, _ = paper(draw_of("numpy64"))
    with pytest.raises(DTypeError, match=r"got ndarray; use solve for NumPy"):
        equilibrium(METHODS["PR"], A, tanh)


@pytest.mark.parametrize("name", ["tol", "atol", "max_steps", "check_every", "backward_tol"])
@pytest.mark.parametrize("step", [0.5, "auto"])
def test_options_out_of_range(name: str, step: Any) -> None:
    M, b = tensors(3)
    options: dict[str, Any] = {name: -1}
    with pytest.raises(OptionError, match=rf"{name}.* wants? "):
        equilibrium(PeacemanRachford(step), Affine(Dense(M), b), tanh, **options)


def test_unknown_options_are_not_swallowed() -> None:
    M, b = tensors(3)
    with pytest.raises(TypeError, match="tolerance"):
        equilibrium(METHODS["PR"], Affine(Dense(M), b), tanh, tolerance=1e-3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="tolerance"):
        solve(METHODS["PR"], Affine(Dense(M), b), tanh, tolerance=1e-3)  # type: ignore[call-arg]


def test_an_empty_batch_has_empty_gradients() -> None:
    M, b = leaves(*tensors(0))
    z = equilibrium(METHODS["PR"], Affine(Dense(M), b), tanh).point
    assert z.shape == (0, 4)
    for grad, like in zip(torch.autograd.grad(z.sum(), (M, b)), (M, b), strict=True):
        assert grad.shape == like.shape
        assert not grad.any()


def network() -> Any:
    torch.manual_seed(0)
    layer = Equilibrium(MonotoneDense(5, 6), Tanh(), PeacemanRachford(0.5), tol=1e-5)
    return torch.nn.Sequential(torch.nn.Linear(3, 5), layer, torch.nn.Linear(6, 2))


@pytest.mark.parametrize("inside", [False, True], ids=["backward outside", "backward inside"])
def test_autocast_around_the_layer(inside: bool) -> None:
    """The solve stays in the precision of its parameters, forward and backward; only the rest is cast."""
    net, x = network(), torch.randn(7, 3)
    exact = torch.autograd.grad(net(x).pow(2).sum(), tuple(net.parameters()))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = net(x)
        loss = out.float().pow(2).sum()
        if inside:
            loss.backward()
    if not inside:
        loss.backward()
    assert out.dtype is torch.bfloat16
    for p, want in zip(net.parameters(), exact, strict=True):
        assert p.grad is not None
        assert p.grad.dtype is torch.float32
        torch.testing.assert_close(p.grad, want, rtol=0, atol=0.05 * float(want.abs().max()) + 1e-3)
    backward = net[1].last.backward
    assert backward.status is Status.CONVERGED


@pytest.mark.filterwarnings("ignore")  # the compiler warns about its own doings
def test_a_compiled_model_around_the_layer() -> None:
    net, x = network(), torch.randn(7, 3)
    compiled = torch.compile(net, backend="eager")
    want = net(x)
    got = compiled(x)
    torch.testing.assert_close(got, want)
    grads = [torch.autograd.grad(out.sum(), tuple(net.parameters())) for out in (got, want)]
    for mine, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(mine, theirs)
    torch.compiler.reset()


def test_non_finite_data_has_its_status_and_other_samples_their_gradients() -> None:
    M, b = tensors(3)
    b = b.clone()
    b[1, 2] = math.nan
    M, b = leaves(M, b)
    result = equilibrium(METHODS["PR"], Affine(Dense(M), b), tanh, warn=False)
    assert result.status is Status.NON_FINITE
    assert result.converged.tolist() == [True, False, True]
    with pytest.warns(ConvergenceWarning, match="1 of 3 samples not converged with a NaN"):
        (grad,) = torch.autograd.grad(result.point[[0, 2]].sum(), b)
    want = torch.autograd.grad(point(M, b[[0, 2]], Tanh()).sum(), b)[0]
    np.testing.assert_allclose(grad[[0, 2]], want[[0, 2]], atol=1e-6)


@pytest.mark.parametrize(
    ("method", "f", "evaluations"),
    [(PeacemanRachford(0.5), ReLU(), 0), (PeacemanRachford(0.5), Tanh(), 1), (ForwardBackwardForward(0.1), ReLU(), 1)],
    ids=["known from the value", "not known from the value", "points are no values"],
)
def test_backward_evaluates_the_operator_only_where_the_solution_does_not_tell(
    method: Any, f: Any, evaluations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    A, *_ = paper(draw_of("torch64"), 3)
    A = Affine(A.linear, A.b.requires_grad_())
    z = equilibrium(method, A, Subdifferential(f), tol=1e-10).point
    calls = calls_of(monkeypatch, Affine, "apply")
    monkeypatch.setattr("monops.implicit.EquilibriumProblem._solve_linear", lambda self, M, D, b: b)
    z.sum().backward()
    assert len(calls) == evaluations


def test_forward_over_forward_mode_is_refused() -> None:
    M, b = tensors(1)

    def value(b: torch.Tensor) -> torch.Tensor:
        return equilibrium(METHODS["PR"], Affine(Dense(M), b), tanh, tol=1e-12).point.sum()

    b = b.reshape(-1)[: M.shape[0]]
    want = torch.func.jacfwd(torch.func.jacrev(value))(b)
    torch.testing.assert_close(torch.func.jacrev(torch.func.jacfwd(value))(b), want, rtol=1e-7, atol=1e-9)
    assert want.abs().max() > 1e-3
    with pytest.raises(DerivativeError, match="reverse mode for one of the two"):
        torch.func.jacfwd(torch.func.jacfwd(value))(b)


def test_what_has_no_resolvent_is_refused_before_the_solve(monkeypatch: pytest.MonkeyPatch) -> None:
    A = Affine(Identity((4,), dtype=D), torch.ones(4, dtype=D))
    solves = calls_of(monkeypatch, EquilibriumProblem, "solve")
    for B in (
        Subdifferential(L1(0.3)).precompose(Dense(torch.randn(3, 4, dtype=D))),
        Subdifferential(L1(0.3)) + Subdifferential(ReLU()),
    ):
        with pytest.raises(NoResolventError, match=r"through the resolvent of B: .*; solve gives the solution without"):
            equilibrium(ChambollePock("auto"), A, B)
    assert solves == []


def test_a_mapped_solve_leaves_no_factors_behind() -> None:
    """What is kept for the mapped matrices, all at once, would not do for one of them."""
    matrices, b = 2 * torch.eye(4, dtype=D) + 0.3 * torch.randn(3, 4, 4, dtype=D).triu(1), torch.ones(4, dtype=D)

    def both(M: torch.Tensor) -> torch.Tensor:
        A = Affine(Dense(M), b).factored()
        z = equilibrium(PeacemanRachford(0.5), A, tanh, tol=1e-10).point
        other = equilibrium(PeacemanRachford(0.5), A, Subdifferential(ReLU()), tol=1e-10).point
        return torch.stack([z, other, A.resolvent(0.5)(b)])

    want = torch.stack([both(M) for M in matrices])
    torch.testing.assert_close(torch.func.vmap(both)(matrices), want, rtol=0, atol=1e-8)


def test_a_set_valued_first_operator_is_refused_before_the_solve() -> None:
    fit = Subdifferential(LeastSquares(Dense(torch.eye(2)), torch.ones(2, requires_grad=True)))
    with pytest.raises(NotSingleValuedError, match=r"A has to be single-valued: L1 is not differentiable.*unroll=True"):
        equilibrium(DavisYin(0.5), Subdifferential(L1(0.1)) + fit, NormalCone(Box(0.0, 1.0)), torch.zeros(2))
    swapped = equilibrium(DouglasRachford(0.5), fit, Subdifferential(L1(0.1)), torch.zeros(2))
    assert swapped.point.requires_grad
