"""Convex sets: the laws, other ways to the same projection, derivatives, and edges."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from cases import draw_of, jit_warning, kinds, libraries
from function_cases import close, numbers, quick, sample, steps, tensor
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize
from test_functions_arrays import kernels
from torch.autograd import gradcheck

from monops import Affine, Dense, DouglasRachford, NormalCone, Subdifferential, equilibrium, verify
from monops.arrays import to_numpy
from monops.errors import DTypeError, OptionError, ShapeError, SingularError
from monops.function_comparisons import known
from monops.functions import (
    L2,
    AffineSet,
    Box,
    BoxHyperplane,
    Conjugate,
    Function,
    HalfSpace,
    Hyperplane,
    L1Ball,
    L2Ball,
    LInf,
    LInfBall,
    NonNegative,
    PSDCone,
    ReLU,
    SecondOrderCone,
    Simplex,
    SortedL1,
)
from monops.testing import catalogue, check_function
from monops.testing.joint import MATRIX, NORMAL, RIGHT

D = torch.float64
# These have tests of their own: of norms, losses, spectral functions, supports and total variation.
NORMS = ("GroupL2", "L21", "SortedL1", "Supported", "NuclearNorm", "Spectral", "Spectral, not separable")
ELSEWHERE = (*NORMS, "L0", "QuadraticForm", "LeastSquares", "TV2D", "TV2D, anisotropic")
JOINT = [name for name in catalogue.JOINT if name not in ELSEWHERE]
SETS = [name for name in JOINT if catalogue.JOINT[name](draw_of("numpy64")).f.is_indicator]
all_joint = pytest.mark.parametrize("name", JOINT)
all_sets = pytest.mark.parametrize("name", SETS)


def instance(name: str, draw: catalogue.Draw) -> tuple[Any, tuple[int, ...]]:
    case = catalogue.JOINT[name](draw)
    return case.f, case.domain


@all_joint
@kinds
def test_laws(name: str, kind: str) -> None:
    draw = draw_of(kind)
    f, domain = instance(name, draw)
    x = draw.array(20, *domain, scale=2.0)
    check_function(f, draw.put(x + x.swapaxes(-1, -2) if isinstance(f, PSDCone) else x), dtype=draw.dtype)


@pytest.mark.parametrize("f", [Simplex(2.0, axes=2), L1Ball(axes=3), L2Ball(axes=0), L1Ball(axes=0), LInfBall(axes=2)])
def test_laws_on_other_axes(f: Function) -> None:
    check_function(f)


@pytest.mark.parametrize("name", [*JOINT, *NORMS])
@kinds
def test_the_reference_agrees(name: str, kind: str) -> None:
    draw = draw_of(kind, 3)
    case = catalogue.JOINT[name](draw)
    f, domain, prox = case.f, case.domain, known(case).prox
    for scale in (1e-3, 1.0, 1e4):
        v = draw.array(30, *domain, scale=scale)
        for step in (1e-3, 1.0, 50.0):
            got, epsilon = to_numpy(f.prox(draw.put(v), step)), np.finfo(str(draw.dtype).removeprefix("torch.")).eps
            size = np.abs(v).max() + 1
            assert np.abs(got - prox(v, step)).max() <= 40 * epsilon * size
            if f.is_indicator:
                assert not to_numpy(f(draw.put(got))).any(), "rounding does not put a projection outside"


@all_sets
def test_verify_finds_the_reference(name: str) -> None:
    assert verify(catalogue.JOINT[name](draw_of("torch64")).f)


def brute_force(v: np.ndarray, constraints: list[dict[str, Any]], bounds: Any = None) -> np.ndarray:
    start = np.zeros_like(v) if bounds is None else np.clip(v, *np.transpose(bounds))
    done = optimize.minimize(
        lambda x: 0.5 * ((x - v) ** 2).sum(), start, jac=lambda x: x - v, bounds=bounds, constraints=constraints,
        method="SLSQP", options={"ftol": 1e-15, "maxiter": 500},
    )  # fmt: skip
    return done.x


BRUTE: dict[str, tuple[list[dict[str, Any]], Any]] = {
    "Simplex": ([{"type": "eq", "fun": lambda x: x.sum() - 2}], [(0, None)] * 5),
    "HalfSpace": ([{"type": "ineq", "fun": lambda x: 1 - NORMAL @ x}], None),
    "Hyperplane": ([{"type": "eq", "fun": lambda x: NORMAL @ x - 1}], None),
    "AffineSet": ([{"type": "eq", "fun": lambda x: MATRIX @ x - RIGHT}], None),
    "BoxHyperplane": ([{"type": "eq", "fun": lambda x: NORMAL @ x - 1}], [(-1, 2)] * 5),
    "L2Ball": ([{"type": "ineq", "fun": lambda x: 1.5**2 - x @ x}], None),
}


@pytest.mark.parametrize("name", list(BRUTE))
def test_a_general_solver_finds_the_same_point(name: str) -> None:
    constraints, bounds = BRUTE[name]
    bounds = None if bounds is None else [(-1e9 if a is None else a, 1e9 if b is None else b) for a, b in bounds]
    f = catalogue.JOINT[name](draw_of("numpy64")).f
    for v in sample(8, 5, seed=2, scale=2.0):
        assert close(f.prox(v, 1.0), brute_force(v, constraints, bounds), 2e-6)


@all_joint
@jit_warning
def test_autograd_agrees_with_the_derivative(name: str) -> None:
    draw = draw_of("torch64", 5)
    f, domain = instance(name, draw)
    x = draw.put(draw.array(4, *domain, scale=2.0)).requires_grad_()
    for step in (0.3, 1.0, 4.0):
        assert gradcheck(lambda x, s=step: f.prox(x, s), x, check_forward_ad=True)
        tangent = draw.put(draw.array(4, *domain))
        moved = torch.func.jvp(lambda x, s=step: f.prox(x, s), (x.detach(),), (tangent,))[1]
        torch.testing.assert_close(moved, f.prox_derivative(x.detach(), step)(tangent), rtol=1e-10, atol=1e-12)
        mapped = torch.func.vmap(lambda x, s=step: f.prox(x, s))(x)
        torch.testing.assert_close(mapped, f.prox(x, step), rtol=1e-14, atol=1e-14)


@all_joint
def test_derivatives_are_finite_at_kinks(name: str) -> None:
    f, domain = instance(name, draw_of("torch64"))
    for point in (torch.zeros(domain, dtype=D), torch.ones(domain, dtype=D), -torch.ones(domain, dtype=D)):
        for x in (point, f.prox(point, 1.0), 2 * f.prox(point, 1.0)):
            x = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(f.prox(x, 0.7).sum(), x)
            assert bool(gradient.isfinite().all())
            assert bool(f.prox_derivative(x.detach(), 0.7)(torch.ones_like(x)).isfinite().all())


PARAMETRIC: dict[str, tuple[Callable[..., Function], tuple[Any, ...]]] = {
    "Simplex": (Simplex, ([[2.0]],)),
    "Simplex, one a sample": (Simplex, ([[2.0], [0.5], [3.0]],)),
    "L1Ball": (L1Ball, ([[1.5]],)),
    "L2Ball": (L2Ball, ([[1.5]],)),
    "HalfSpace": (HalfSpace, (NORMAL, [[1.0]])),
    "Hyperplane": (Hyperplane, (NORMAL, [[1.0]])),
    "AffineSet": (AffineSet, (MATRIX, RIGHT)),
    "BoxHyperplane": (
        BoxHyperplane,
        (NORMAL + 0.1, [[0.5]], [-1.0, -0.5, -1.0, -0.75, -1.0], [1.0, 0.5, 1.5, 1.0, 2.0]),
    ),
}


@pytest.mark.parametrize("name", list(PARAMETRIC))
def test_derivatives_in_parameters(name: str) -> None:
    make, values = PARAMETRIC[name]
    x, theta = tensor(sample(3, 5, seed=9)), [tensor(np.array(v)) for v in values]
    assert gradcheck(lambda x, *theta: make(*theta).prox(x, 1.0), (x, *theta))


@pytest.mark.parametrize("kind", [Simplex, L1Ball, L2Ball])
def test_one_parameter_a_sample(kind: Any) -> None:
    x, sizes = torch.tensor(sample(6, 5)), torch.linspace(0, 3, 6, dtype=D)
    f = kind(sizes[:, None])
    rows = [kind(float(size)) for size in sizes]
    torch.testing.assert_close(f.prox(x, 1.0), torch.stack([g.prox(v, 1.0) for g, v in zip(rows, x, strict=True)]))
    assert not f(f.prox(x, 1.0)).any()
    dual = torch.stack([g.conjugate()(v) for g, v in zip(rows, x, strict=True)])
    torch.testing.assert_close(f.conjugate()(x), dual)
    with pytest.raises(NotImplementedError):
        Subdifferential(f).take(torch.tensor([0]), (6, 5))
    shared = Subdifferential(rows[1])
    assert shared.take(torch.tensor([0]), (6, 5)) is shared
    fixed = Subdifferential(AffineSet(torch.tensor(MATRIX), torch.tensor(RIGHT)))
    assert fixed.take(torch.tensor([0]), (6, 5)) is fixed


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e3])
def test_the_positive_part_where_eigenvalues_coincide(scale: float) -> None:
    f = PSDCone()
    Q = np.linalg.qr(sample(4, 4, seed=1))[0]
    for values in ([1, 1, -1, -1], [2, 2, 2, 2], [-1, -1, -1, -1], [1, 1, 1, -2]):
        x = torch.tensor(Q @ np.diag(scale * np.array(values, float)) @ Q.T).requires_grad_()
        direction = torch.tensor(sample(4, 4, seed=2))
        (back,) = torch.autograd.grad(f.prox(x, 1.0), x, direction)
        torch.testing.assert_close(back, f.prox_derivative(x.detach(), 1.0)(direction), rtol=1e-9, atol=1e-9)
        h, even = 1e-6 * scale, direction + direction.mT
        quotient = (f.prox(x + h * even, 1.0) - f.prox(x - h * even, 1.0)) / (2 * h)
        torch.testing.assert_close(quotient, back + back.mT, rtol=1e-5, atol=1e-5)


@all_joint
def test_nothing_waits_for_the_device(name: str) -> None:
    f, domain = instance(name, draw_of("torch64"))
    x = torch.tensor(sample(3, *domain))
    names = set(kernels(lambda: f.prox(x, 0.7)) + kernels(lambda: f.prox_derivative(x, 0.7)(x)))
    assert names
    assert not {"_local_scalar_dense", "item", "nonzero", "equal"} & names


@all_joint
@kinds
def test_several_batch_axes(name: str, kind: str) -> None:
    draw = draw_of(kind, 8)
    f, domain = instance(name, draw)
    x = draw.put(draw.array(2, 3, *domain, scale=2.0))
    flat = x.reshape(6, *domain)
    p, D_x = f.prox(x, 0.7), f.prox_derivative(x, 0.7)(x)
    tolerance = 1e-13 if "64" in kind else 1e-5
    assert close(to_numpy(p), to_numpy(f.prox(flat, 0.7)).reshape(p.shape), tolerance)
    assert close(to_numpy(f(p)), to_numpy(f(f.prox(flat, 0.7))).reshape(2, 3), tolerance)
    assert close(to_numpy(D_x), to_numpy(f.prox_derivative(flat, 0.7)(flat)).reshape(p.shape), tolerance)
    single = to_numpy(f.prox(x[1, 2], 0.7))
    assert close(single, to_numpy(p)[1, 2], tolerance)


def test_equilibria_are_differentiable_in_the_sets() -> None:
    rng = np.random.default_rng(1)
    M = torch.tensor(np.eye(5) + rng.standard_normal((5, 5)) * 0.2)
    c = torch.tensor(rng.standard_normal((2, 5)))
    cases: tuple[tuple[Callable[..., Function], tuple[Any, ...]], ...] = (
        (AffineSet, (MATRIX, RIGHT)),
        (Simplex, ([2.0],)),
        (HalfSpace, (NORMAL, [-1.0])),
    )
    for make, values in cases:
        theta = tuple(tensor(np.array(v)) for v in values)

        def solution(*theta: torch.Tensor, make: Callable[..., Function] = make) -> torch.Tensor:
            options: Any = {"tol": 1e-12, "max_steps": 5000}
            return equilibrium(DouglasRachford(0.7), Affine(Dense(M), c), NormalCone(make(*theta)), **options).point

        assert gradcheck(solution, theta, atol=1e-5, rtol=1e-3)


def test_box_and_hyperplane_with_many_ties_and_infinite_bounds() -> None:
    a = np.array([1.0, 1.0, 1.0, -1.0, 0.0])
    f = BoxHyperplane(a, 1.0, 0.0, 1.0)
    for v in (np.zeros(5), np.ones(5), np.array([1e6, 1e6, -1e6, 1e6, 2.0]), np.full(5, -1e8)):
        p = f.prox(v, 1.0)
        assert abs(p @ a - 1) <= 1e-15
        assert f(p) == 0
        assert p[4] == np.clip(v[4], 0, 1)
    for low, high in ((-math.inf, math.inf), (0.0, math.inf), (-math.inf, 0.5)):
        v = sample(50, 5, seed=4, scale=100.0)
        g = BoxHyperplane(a, -0.5, low, high)
        assert np.abs(g.prox(v, 1.0) @ a + 0.5).max() <= 1e-12
        assert not g(g.prox(v, 1.0)).any()
    whole = BoxHyperplane(a, -0.5, -math.inf, math.inf).prox(v, 1.0)
    assert close(whole, Hyperplane(a, -0.5).prox(v, 1.0), 1e-13)
    budget = BoxHyperplane(np.ones(5), 2.0, 0.0, math.inf).prox(v, 1.0)
    assert close(budget, Simplex(2.0).prox(v, 1.0), 1e-13)
    corner = BoxHyperplane(np.ones(5), 5.0, 0.0, 1.0)
    assert np.array_equal(corner.prox(v, 1.0), np.ones((50, 5)))


@pytest.mark.parametrize("size", [1e30, 1e-30])
def test_squares_that_overflow_or_vanish(size: float) -> None:
    x = np.array([[3.0, 4.0, 0.0]], np.float32) * np.float32(size)
    for v in (x, torch.tensor(x)):
        p = to_numpy(L2Ball(size).prox(v, 1.0))
        assert np.abs(p - x / 5).max() <= 1e-6 * size
        assert np.abs(to_numpy(L2Ball(1.0).conjugate()(v)) - 5 * size).max() <= 1e-5 * size
        cone = to_numpy(SecondOrderCone().prox(v[..., [2, 0, 1]], 1.0))
        assert np.abs(cone - size * np.array([[2.5, 1.5, 2.0]])).max() <= 1e-6 * size


def test_empty_balls_and_simplices_are_points() -> None:
    x = sample(10, 4)
    for f in (Simplex(0.0), L1Ball(0.0), L2Ball(0.0), LInfBall(0.0)):
        assert not f.prox(x, 1.0).any()
        assert not f.conjugate()(x).any()


def test_duals_are_the_supports() -> None:
    y = sample(10, 4)
    assert close(Simplex(2.0).conjugate()(y), 2 * y.max(-1), 1e-15)
    assert close(L1Ball(2.0).conjugate()(y), 2 * np.abs(y).max(-1), 1e-15)
    assert close(LInfBall(2.0).conjugate()(y), 2 * np.abs(y).sum(-1), 1e-15)
    assert close(L2Ball(2.0).conjugate()(y), 2 * np.linalg.norm(y, axis=-1), 1e-15)
    a = np.array([1.0, -2.0, 0.0, 0.5])
    assert HalfSpace(a, 3.0).conjugate()(2 * a) == 6
    assert HalfSpace(a, 3.0).conjugate()(-2 * a) == math.inf
    assert Hyperplane(a, 3.0).conjugate()(-2 * a) == -6
    assert Hyperplane(a, 3.0).conjugate()(np.ones(4)) == math.inf
    cone = SecondOrderCone()
    assert cone.conjugate()(np.array([-2.0, 1.0, 1.0])) == 0
    assert cone.conjugate()(np.array([2.0, 1.0, 1.0])) == math.inf
    assert isinstance(cone.conjugate(), Conjugate)
    assert NonNegative is ReLU


def test_equilibria_and_their_derivatives_on_a_simplex() -> None:
    rng = np.random.default_rng(0)
    M = torch.tensor(np.eye(4) + rng.standard_normal((4, 4)) * 0.2, requires_grad=True)
    b = torch.tensor(rng.standard_normal((3, 4)), requires_grad=True)

    def solution(M: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        options: Any = {"tol": 1e-12, "max_steps": 5000}
        return equilibrium(DouglasRachford(0.7), Affine(Dense(M), b), NormalCone(Simplex()), **options).point

    z = solution(M, b).detach()
    F = z @ M.detach().mT - b.detach()
    torch.testing.assert_close(Simplex().prox(z - F, 1.0), z, rtol=0, atol=1e-9)
    assert gradcheck(solution, (M, b), atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Simplex(-1.0), OptionError, r"Simplex wants total in \[0, ∞\), got total=-1.0"),
        (lambda: L1Ball(math.inf), OptionError, r"radius in \[0, ∞\)"),
        (lambda: L2Ball(math.nan), OptionError, r"radius in \[0, ∞\)"),
        (lambda: L2Ball(np.ones(3)), ShapeError, r"L2Ball wants one radius for each point, .* got shape \(3,\)"),
        (lambda: HalfSpace(np.zeros(3)), OptionError, "a normal that is not 0"),
        (lambda: Hyperplane(1.0), OptionError, "Hyperplane wants an array as normal, got 1.0"),
        (lambda: BoxHyperplane(1.0), OptionError, "BoxHyperplane wants an array as normal"),
        (lambda: BoxHyperplane(np.ones(3), 4.0), OptionError, "BoxHyperplane is empty"),
        (lambda: BoxHyperplane(np.ones(3), -1.0), OptionError, "BoxHyperplane is empty"),
        (lambda: BoxHyperplane(np.ones(3), 1.0, 2.0, 1.0), OptionError, "lower ≤ upper"),
        (lambda: AffineSet(np.ones((3, 2)), np.ones(3)), ShapeError, "m ≤ n"),
        (lambda: AffineSet(np.ones((2, 3)), np.ones(2)), SingularError, "linearly independent rows"),
        (lambda: AffineSet(np.ones((1, 3)), np.ones(2)), ShapeError, r"expects shape \(\*batch, 1\)"),
        (lambda: AffineSet(np.ones((1, 3)), np.ones(1)).on_axes(2), OptionError, "have 1 axis"),
        (lambda: AffineSet(np.ones((1, 3)), np.ones(1)).prox(np.ones(4), 1.0), ShapeError, r"expects shape"),
        (lambda: SecondOrderCone(axes=2), OptionError, "have 1 axis, got 2"),
        (lambda: PSDCone(axes=1), OptionError, "have 2 axes, got 1"),
        (lambda: PSDCone().prox(np.ones((2, 3)), 1.0), ShapeError, "square matrices"),
        (lambda: L2Ball(np.ones(1)).prox(np.ones(3, np.float32), 1.0), DTypeError, "L2Ball.radius has dtype float64"),
    ],
)
def test_errors(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_values_outside_are_infinite_and_nan_stays() -> None:
    x = np.array([[3.0, 3.0, 3.0], [math.nan, 1.0, 0.0]])
    for f in (Simplex(), L1Ball(), L2Ball(), HalfSpace(np.ones(3), 1.0), Hyperplane(np.ones(3)), Box(0.0, 1.0)):
        value = f(x)
        assert value[0] == math.inf
        assert math.isnan(value[1])
        assert np.isnan(f.prox(x, 1.0)[1]).any()
    for step in (1e-3, 1e3):
        assert f.prox(np.zeros((0, 3)), step).shape == (0, 3)


@pytest.mark.parametrize("name", ["Simplex", "L1Ball", "L2Ball", "HalfSpace", "SecondOrderCone", "BoxHyperplane"])
@quick
@given(v=st.lists(numbers | st.sampled_from([0.0, 0.5, 1.0, -2.0]), min_size=5, max_size=5), step=steps)
def test_points_of_every_size(name: str, v: list[float], step: float) -> None:
    case = catalogue.JOINT[name](draw_of("numpy64"))
    f = case.f
    x = np.array([v])
    got, size = f.prox(x, step), 1 + np.abs(x).max()
    assert np.abs(got - known(case).prox(x, step)).max() <= 1e-14 * size
    assert f(got) == 0
    same = catalogue.JOINT[name](draw_of("torch64")).f.prox(torch.tensor(x), step)
    assert np.abs(same.numpy() - got).max() <= 1e-14 * size
    d, e = f.prox(-x[:, ::-1], step) - got, -x[:, ::-1] - x
    assert float((d * d).sum()) <= float((d * e).sum()) + 1e-13 * size**2


@libraries
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounding_puts_no_point_outside(kind: str, dtype: str) -> None:
    # What scaling up and down leaves of points on the boundary; a thousandth beyond it is outside.
    weights = np.array([2.0, 1.0, 0.5, 0.25, 0.1], dtype)
    put: Callable[[np.ndarray], Any] = np.asarray if kind == "numpy64" else torch.tensor
    one = np.ones(5, dtype)
    cases: list[tuple[Function, np.ndarray]] = [
        (Box(-0.3, 0.7), 0.7 * one),
        (Box(-0.3, 0.7), -0.3 * one),
        (LInfBall(0.7), -0.7 * one),
        (Conjugate(L2(0.7)), 0.7 * one / np.float64(5) ** 0.5),
        (Conjugate(LInf(0.7)), 0.14 * one),
        (Conjugate(SortedL1(put(weights))), weights),
    ]
    for f, edge in cases:
        near, beyond = ((edge * factor).astype(dtype) for factor in (1 + 2 * np.finfo(dtype).eps, 1.001))
        assert float(f(put(near))) == 0, f
        assert float(f(put(beyond))) == math.inf, f
        assert math.isnan(float(f(put(np.full_like(one, np.nan))))), f
    for f in (Box(-0.3, 0.7), LInfBall(0.7), ReLU()):
        assert float(f(put(np.array([0.1, -np.inf], dtype)))) == math.inf
    assert float(ReLU()(put(np.array([1.0, -np.finfo(dtype).eps], dtype)))) == 0
    assert float(ReLU()(put(np.array([np.inf, -1e-3], dtype)))) == math.inf
