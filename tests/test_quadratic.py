"""Quadratic functions and least squares: their laws, what they solve, what they keep, and what they refuse."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from cases import draw_of, kinds, libraries
from function_cases import close, sample, tensor
from torch.autograd import gradcheck

from monops import DouglasRachford, Subdifferential, solve
from monops.arrays import to_numpy
from monops.errors import OptionError, ShapeError
from monops.functions import Function, LeastSquares, QuadraticForm, SquaredL2
from monops.linear import Dense, Diagonal, FromCallable, Identity
from monops.testing import check_function

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")


@kinds
def test_laws_of_quadratic_functions(kind: str) -> None:
    draw = draw_of(kind)
    M, q, b = draw.array(4, 5), draw.array(5), draw.array(4)
    A = Dense(draw.put(M))
    points = draw.put(draw.array(20, 5, scale=2.0))
    for f in (
        QuadraticForm(A.H @ A + 0.5 * Identity.like(A.H @ A), draw.put(q)),
        QuadraticForm(A.H @ A),
        QuadraticForm(Diagonal(draw.put(np.array([0.0, 1.0, 2.0, 0.5, 3.0]))), 0.5),
        LeastSquares(A, draw.put(b)),
    ):
        check_function(f, points)
    grid = Diagonal(draw.put(abs(draw.array(3, 2))))
    check_function(QuadraticForm(grid), draw.put(draw.array(6, 3, 2)))
    check_function(LeastSquares(grid, draw.put(draw.array(3, 2))), draw.put(draw.array(6, 3, 2)))


@libraries
def test_quadratic_functions_solve_the_normal_equations(kind: str) -> None:
    draw = draw_of(kind)
    M, b, v = draw.array(6, 4), draw.array(3, 6), draw.array(3, 4)
    f = LeastSquares(Dense(draw.put(M)), draw.put(b))
    g = QuadraticForm(Dense(draw.put(M.T @ M), symmetric=True), draw.put(b @ M))
    for step in (0.2, 5.0):
        want = np.linalg.solve(np.eye(4) + step * M.T @ M, (v + step * b @ M).T).T
        for h in (f, g):
            assert close(to_numpy(h.prox(draw.put(v), step)), want, 1e-13)
            assert close(to_numpy(h.prox_at(step)(draw.put(v))), want, 1e-13)
    assert close(to_numpy(f(draw.put(v))), 0.5 * ((v @ M.T - b) ** 2).sum(-1), 1e-14)
    constant = 0.5 * (b**2).sum(-1)
    assert close(to_numpy(g(draw.put(v))) + constant, to_numpy(f(draw.put(v))), 1e-13)
    assert f.smoothness == pytest.approx(np.linalg.norm(M, 2) ** 2)
    assert f.strong_convexity == pytest.approx(np.linalg.svd(M)[1][-1] ** 2)
    best = np.linalg.lstsq(M, b.T, rcond=None)[0].T
    A, B = Subdifferential(f), Subdifferential(SquaredL2(1e-300))
    start = draw.put(np.zeros((3, 4)))
    result = solve(DouglasRachford(0.5), A, B, start, tol=1e-12, max_steps=5000)
    assert close(to_numpy(result.point), best, 1e-10)


def test_gradients_in_the_data_of_quadratic_functions() -> None:
    M, b, x = tensor(sample(4, 3)), tensor(sample(4, seed=1)), tensor(sample(2, 3, seed=2))
    assert gradcheck(lambda M, b, x: LeastSquares(Dense(M), b).prox(x, 0.3), (M, b, x))
    assert gradcheck(lambda M, b, x: LeastSquares(Dense(M), b)(x), (M, b, x))
    assert gradcheck(lambda b, x: QuadraticForm(Identity((4,), 2.0, dtype=torch.float64), b).gradient(x),
                     (b, tensor(sample(2, 4))))  # fmt: skip


@libraries
def test_what_follows_from_the_operator_alone_is_computed_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    draw, calls = draw_of(kind), Counter[str]()
    A, b, x = Dense(draw.put(draw.array(6, 4))), draw.put(draw.array(6)), draw.put(draw.array(4))
    functions = [LeastSquares(A, b), QuadraticForm(A.H @ A, A.H(b))]

    def counted(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            calls[name] += 1
            return method(*args)

        return call

    for name in ("_times", "resolvent", "norm", "monotonicity"):
        monkeypatch.setattr(Dense, name, counted(name, getattr(Dense, name)))
    for f, products in zip(functions, (1, 0), strict=True):
        calls.clear()
        for _ in range(3):
            assert f.smoothness > f.strong_convexity > 0
            f.prox(x, 0.5)
            f.prox_at(0.5)(x)
            f.prox_derivative(x, 0.5)
        assert calls == Counter(_times=products, resolvent=1, norm=1, monotonicity=1)
        one, two = f.prox(x, 0.5), f.prox(x, 2.0)
        assert not close(to_numpy(one), to_numpy(two), 1e-3)  # what is kept for one step does not serve another
        assert calls["resolvent"] == 2


def test_nothing_is_kept_that_belongs_elsewhere() -> None:
    M, b, x = (sample(*shape, seed=seed) for seed, shape in enumerate(((6, 4), (6,), (4,))))
    want = LeastSquares(Dense(M), b).prox(x, 0.5)
    put = torch.tensor
    uses: list[Callable[[Function], Any]] = [
        lambda f: torch.func.hessian(lambda x: f.prox(x, 0.5).sum())(put(x)),
        lambda f: torch.func.vmap(lambda x: f.prox(x, 0.5))(put(np.stack([x, x]))),
        lambda f: torch.func.jvp(lambda x: f.prox(x, 0.5), (put(x),), (put(x),)),
        torch.inference_mode()(lambda f: f.prox(put(x), 0.5)),
    ]
    for use in uses:
        f = LeastSquares(Dense(put(M)), put(b))
        use(f)
        at = tensor(x)
        f.prox(at, 0.5).sum().backward()
        assert at.grad is not None
        torch.func.grad(lambda x, f=f: f.prox(x, 0.5).sum())(put(x))
        assert close(f.prox(put(x), 0.5).numpy(), want, 1e-13)
    # A tensor that is trained, changed in place: nothing of it is kept, neither a graph nor an old number.
    matrix = torch.nn.Parameter(put(M))
    f = LeastSquares(Dense(matrix), put(b))
    for factor in (1.0, 2.0):
        f.prox(put(x), 0.5).sum().backward()
        assert f.smoothness == pytest.approx(factor**2 * np.linalg.norm(M, 2) ** 2)
        with torch.no_grad():
            assert close(f.prox(put(x), 0.5).numpy(), LeastSquares(Dense(factor * M), b).prox(x, 0.5), 1e-13)
            matrix.mul_(2.0)


def test_wrong_operators_are_named() -> None:
    A = Dense(np.ones((2, 3)))
    with pytest.raises(OptionError, match=r"QuadraticForm wants an operator that is known to be symmetric, got Dense"):
        QuadraticForm(Dense(np.eye(3)))
    with pytest.raises(OptionError, match="QuadraticForm wants a LinearOperator such as"):
        QuadraticForm(np.eye(3))  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"QuadraticForm wants a single operator, got a family of shape \(2,\)"):
        QuadraticForm(Diagonal(np.ones((2, 3)), 1))
    with pytest.raises(OptionError, match="LeastSquares wants a LinearOperator"):
        LeastSquares(None, np.ones(2))  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"LeastSquares: b expects shape \(\*batch, 2\), got \(3,\)"):
        LeastSquares(A, np.ones(3))
    grid = FromCallable(lambda x: x[..., 0], lambda y: np.stack([y, 0 * y], -1), (3, 2), (3,), dtype=np.float64)
    with pytest.raises(ShapeError, match=r"got shape \(5, 3\)"):
        LeastSquares(grid, np.ones((5, 3)))
    with pytest.raises(OptionError, match="has the 1 axes of its operator, got axes=2"):
        LeastSquares(A, np.ones(2)).on_axes(2)
    assert LeastSquares(A, np.ones(2)).on_axes(1).axes == 1
    with pytest.raises(ShapeError, match="LeastSquares expects shape"):
        LeastSquares(A, np.ones(2)).prox(np.ones(4), 1.0)


@kinds
@pytest.mark.parametrize("step", [1e-6, 1.0, 1e4, 1e8, 1e15])
def test_least_squares_with_few_rows_keep_their_digits_at_every_step(step: float, kind: str) -> None:
    draw = draw_of(kind)
    K, b, x = draw.array(3, 7), draw.array(3), draw.array(4, 7)
    K, b, x = (to_numpy(draw.put(v)).astype(np.float64) for v in (K, b, x))
    U, s, Vt = np.linalg.svd(K, full_matrices=False)
    share = step * s**2 / (1 + step * s**2)
    want = x + (share * ((b @ U) / s - x @ Vt.T)) @ Vt
    f = LeastSquares(Dense(draw.put(K)), draw.put(b))
    tol = 1e-5 if kind.endswith("32") else 1e-13
    assert close(to_numpy(f.prox(draw.put(x), step)), want, tol)
    D = to_numpy(f.prox_derivative(draw.put(x), step).to_dense())
    assert close(D, np.eye(7) - Vt.T * share @ Vt, tol)
