"""Matrix-free resolvents: conjugate gradients and GMRES against dense solves, and their derivatives."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from cases import calls_of, draw_of, is_numpy, jit_warning, kinds, libraries, quick
from hypothesis import given
from hypothesis import strategies as st

from monops import Dense, FromCallable, Identity, LinearOperator
from monops.arrays import epsilon, to_numpy
from monops.errors import NonFiniteError, NotConvergedError, OptionError, ShapeError, StepSizeError
from monops.linear import Krylov
from monops.linear import krylov as module
from monops.testing import check_linear_operator
from monops.testing.catalogue import Draw

D = torch.float64


def hidden(draw: Draw, matrix: np.ndarray, symmetric: bool = False) -> LinearOperator:
    """The operator of a matrix, known by its products only."""
    M = draw.put(matrix)
    forward, backward = lambda x: x @ M.swapaxes(-1, -2), lambda y: y @ M
    return FromCallable(forward, backward, (matrix.shape[0],), known_symmetric=symmetric, **draw.kind)


def matrix_of(draw: Draw, n: int, symmetric: bool) -> np.ndarray:
    a, s = draw.array(n, n, scale=n**-0.5), draw.array(n, n, scale=n**-0.5)
    return a.T @ a if symmetric else 0.2 * np.eye(n) + a.T @ a + s - s.T


@kinds
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("n", [1, 7, 80])
def test_solves_as_the_dense_matrix_does(kind: str, symmetric: bool, n: int) -> None:
    draw = draw_of(kind)
    matrix = matrix_of(draw, n, symmetric)
    J = hidden(draw, matrix, symmetric).resolvent(2.0)
    assert isinstance(J, Krylov)
    assert J.symmetric is symmetric
    x = draw.array(3, n) * np.array([1.0, 1e-6, 1e6])[:, None]  # each sample has its own scale
    for got, system in ((J, matrix), (J.H, matrix.T)):
        want = np.linalg.solve(np.eye(n) + 2.0 * system, x.T).T
        error = np.linalg.norm(to_numpy(got(draw.put(x))) - want, axis=-1) / np.linalg.norm(want, axis=-1)
        assert error.max() < 300 * epsilon(draw.dtype)


@libraries
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("step", [10.0, 1e3])
def test_reaches_rounding_error_on_ill_conditioned_systems(kind: str, symmetric: bool, step: float) -> None:
    """The residual cannot fall below ε‖system‖‖x‖, which is far above ε‖b‖ here; that is no failure."""
    draw = draw_of(kind)
    matrix = matrix_of(draw, 40, symmetric)
    x = draw.array(2, 40)
    y = to_numpy(hidden(draw, matrix, symmetric).resolvent(step)(draw.put(x)))
    system = np.eye(40) + step * matrix
    want = np.linalg.solve(system, x.T).T
    assert np.linalg.norm(y - want) < 1e-13 * np.linalg.cond(system) * np.linalg.norm(want)


@quick
@given(seed=st.integers(0, 10**6), n=st.integers(1, 8), symmetric=st.booleans())
def test_laws(seed: int, n: int, symmetric: bool) -> None:
    draw = draw_of("torch64", seed)
    matrix = 0.2 * matrix_of(draw, n, symmetric)
    check_linear_operator(Krylov(hidden(draw, matrix, symmetric), 0.7), np.linalg.inv(np.eye(n) + 0.7 * matrix))


def test_symmetric_operators_get_conjugate_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    conjugate, general_ones = (calls_of(monkeypatch, module, name) for name in ("_conjugate_gradients", "_gmres"))
    draw, x = draw_of("torch64"), torch.ones(5, dtype=D)
    general = hidden(draw, matrix_of(draw, 5, False))
    general.resolvent(0.3)(x)
    assert (len(conjugate), len(general_ones)) == (0, 1)
    (general.H @ general).resolvent(0.3).H(x)
    assert (len(conjugate), len(general_ones)) == (1, 1)


def test_gmres_restarts() -> None:
    draw = draw_of("torch64")
    matrix = matrix_of(draw, 60, False)
    op, x = hidden(draw, matrix), torch.ones(2, 60, dtype=D)
    restarted = Krylov(op, 1.0, tol=1e-12, restart=8, max_steps=5000)
    torch.testing.assert_close(restarted(x), Dense(draw.put(matrix)).resolvent(1.0)(x), rtol=1e-9, atol=1e-9)


@libraries
def test_products_stop_at_the_tolerance_and_at_the_limit(kind: str) -> None:
    draw = draw_of(kind)
    matrix, count = draw.put(matrix_of(draw, 30, False)), [0]

    def product(x: Any) -> Any:
        count[0] += 1
        return x @ matrix.T

    op = FromCallable(product, lambda y: y @ matrix, (30,), **draw.kind)
    x = draw.put(draw.array(30))
    counts = []
    for tol in (1e-2, 1e-6, 1e-12):
        count[0] = 0
        y = to_numpy(Krylov(op, 1.0, tol=tol)(x))
        counts.append(count[0])
        residual = y + to_numpy(matrix) @ y - to_numpy(x)
        assert np.linalg.norm(residual) <= tol * np.linalg.norm(to_numpy(x))
    assert counts == sorted(set(counts))
    assert counts[-1] <= 35
    count[0] = 0
    with pytest.raises(
        NotConvergedError, match=r"after 6 products; with a smaller step than 1 .* no resolvent of A; .*max_steps="
    ):
        Krylov(op, 1.0, max_steps=6, restart=3)(x)
    assert count[0] <= 6 + 3  # and one more a restart, for the residual


@libraries
def test_a_right_hand_side_of_zero(kind: str) -> None:
    draw = draw_of(kind)
    for symmetric in (False, True):
        J = hidden(draw, matrix_of(draw, 6, symmetric), symmetric).resolvent(1.0)
        b = draw.array(3, 6)
        b[1] = 0
        y = to_numpy(J(draw.put(b)))
        assert np.isfinite(y).all()
        assert not y[1].any()
        np.testing.assert_allclose(y[2], to_numpy(J(draw.put(b[2]))), atol=1e-12)
        assert not to_numpy(J(draw.put(0 * b))).any()


@libraries
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_non_finite_systems_are_named(kind: str, symmetric: bool, value: float) -> None:
    draw = draw_of(kind)
    J = hidden(draw, matrix_of(draw, 4, symmetric), symmetric).resolvent(1.0)
    b = draw.array(2, 4)
    b[1, 2] = value
    with np.errstate(invalid="ignore"), pytest.raises(NonFiniteError, match="NaN or infinity"):
        J(draw.put(b))


@libraries
@pytest.mark.parametrize("symmetric", [False, True])
def test_singular_systems_do_not_pass_silently(kind: str, symmetric: bool) -> None:
    draw = draw_of(kind)
    J = hidden(draw, -np.diag([1.0, 0.5, 0.0]), symmetric).resolvent(1.0)
    with np.errstate(all="ignore"), pytest.raises((NotConvergedError, NonFiniteError), match="Krylov resolvent of"):
        J(draw.put(np.ones(3)))


def test_options_are_checked() -> None:
    op = hidden(draw_of("torch64"), np.eye(3))
    for tol in (0.0, -1.0, math.nan):
        with pytest.raises(OptionError, match="tol wants a number > 0, got"):
            Krylov(op, 1.0, tol=tol)
    for wrong in ({"max_steps": 0}, {"restart": 0}):
        with pytest.raises(OptionError, match="max_steps and restart want ≥ 1"):
            Krylov(op, 1.0, **wrong)
    with pytest.raises(StepSizeError, match="finite step, got inf"):
        Krylov(op, math.inf)
    with pytest.raises(ShapeError, match="domain = codomain"):
        Krylov(FromCallable(lambda x: x[..., :2], lambda y: y, (3,), (2,)), 1.0)


def with_params(w: torch.Tensor, known_symmetric: bool = False) -> LinearOperator:
    """A weighted shift whose weights are differentiable, plus twice the identity; or a diagonal."""
    n = w.shape[-1]
    if known_symmetric:
        return FromCallable(
            lambda x, w: w * x, lambda y, w: w * y, (n,), params=(w,), dtype=D, known_symmetric=True
        ) + Identity((n,), 2.0, dtype=D)
    shift = FromCallable(lambda x, w: w * x.roll(1, -1), lambda y, w: (w * y).roll(-1, -1), (n,), params=(w,), dtype=D)
    return shift + Identity((n,), 2.0, dtype=D)


@jit_warning
@pytest.mark.parametrize("symmetric", [False, True])
def test_derivatives_of_every_order_and_mode(symmetric: bool) -> None:
    torch.manual_seed(0)
    w, x = torch.rand(4, dtype=D), torch.randn(2, 4, dtype=D)

    def solve(w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return with_params(w, symmetric).resolvent(0.4)(x)

    inputs = (w.clone().requires_grad_(), x.clone().requires_grad_())
    assert torch.autograd.gradcheck(solve, inputs, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(solve, inputs)

    def dense(w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        matrix = torch.diag(w) if symmetric else torch.diag(w) @ torch.eye(4, dtype=D).roll(1, 0)
        return torch.linalg.solve(1.8 * torch.eye(4, dtype=D) + 0.4 * matrix, x.mT).mT

    torch.testing.assert_close(solve(w, x), dense(w, x))
    for argument in (0, 1):
        torch.testing.assert_close(torch.func.jacrev(solve, argument)(w, x), torch.func.jacrev(dense, argument)(w, x))


@jit_warning
def test_forward_mode_through_functions() -> None:
    torch.manual_seed(0)
    w, x = torch.rand(4, dtype=D), torch.randn(2, 4, dtype=D)

    def solve(x: torch.Tensor) -> torch.Tensor:
        return with_params(w).resolvent(0.4)(x)

    push = torch.func.jvp(solve, (x,), (torch.ones_like(x),))[1]
    torch.testing.assert_close(push, solve(torch.ones_like(x)))


def test_vmap_over_right_hand_sides_and_over_parameters() -> None:
    torch.manual_seed(0)
    w, x = torch.rand(3, 4, dtype=D), torch.randn(3, 4, dtype=D)

    def solve(w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return with_params(w).resolvent(0.4)(x)

    for dims in ((0, 0), (0, None), (None, 0)):
        arguments = [v if d == 0 else v[0] for v, d in zip((w, x), dims, strict=True)]
        rows = [[v[i] if d == 0 else v[0] for v, d in zip((w, x), dims, strict=True)] for i in range(3)]
        torch.testing.assert_close(torch.func.vmap(solve, dims)(*arguments), torch.stack([solve(*row) for row in rows]))
    per_sample = torch.func.vmap(torch.func.grad(lambda w, x: solve(w, x).sum()), (None, 0))(w[0], x)
    one_by_one = [torch.func.grad(lambda w, i=i: solve(w, x[i]).sum())(w[0]) for i in range(3)]
    torch.testing.assert_close(per_sample, torch.stack(one_by_one))


@libraries
def test_a_family_of_operators_takes_one_right_hand_side(kind: str) -> None:
    draw = draw_of(kind)
    matrices = np.stack([matrix_of(draw, 5, False) for _ in range(3)])
    family = Dense(draw.put(matrices)) + hidden(draw, np.eye(5))
    x = draw.array(5)
    got = family.resolvent(0.3)(draw.put(x))
    want = [np.linalg.solve(1.3 * np.eye(5) + 0.3 * matrix, x) for matrix in matrices]
    np.testing.assert_allclose(to_numpy(got), want, rtol=1e-11)
    assert is_numpy(kind) is isinstance(got, np.ndarray)
