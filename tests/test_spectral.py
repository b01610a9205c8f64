"""Functions of singular values: their laws, the SVD written out, and derivatives where singular values repeat."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from cases import draw_of, kinds, libraries
from function_cases import close, tensor
from scipy import optimize
from torch.autograd import gradcheck, gradgradcheck

from monops import Affine, Diagonal, ForwardBackward, NormalCone, Subdifferential, solve, verify
from monops.arrays import Array, to_numpy
from monops.errors import NotSingleValuedError, OptionError, ShapeError, SingularError
from monops.functions import (
    L0,
    L1,
    L2,
    Box,
    ElasticNet,
    Function,
    Huber,
    LInf,
    NuclearNorm,
    SortedL1,
    Spectral,
    SquaredL2,
)
from monops.testing import check_function
from monops.testing.catalogue import Draw

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")

CASES: dict[str, Callable[[Draw], Function]] = {
    "NuclearNorm": lambda d: NuclearNorm(0.7),
    "NuclearNorm, weight 0": lambda d: NuclearNorm(0.0),
    "L2": lambda d: Spectral(L2(0.7)),
    "LInf": lambda d: Spectral(LInf(0.7)),
    "SquaredL2": lambda d: Spectral(SquaredL2(0.7)),
    "Box": lambda d: Spectral(Box(-1.0, 1.0)),
    "Huber": lambda d: Spectral(Huber(0.5)),
    "ElasticNet": lambda d: Spectral(ElasticNet(0.3, 0.5)),
    "ElasticNet*": lambda d: Spectral(ElasticNet(0.3, 0.5)).conjugate(),
    "SortedL1": lambda d: Spectral(SortedL1(d.put(np.array([1.0, 0.5, 0.125])))),
}
cases = pytest.mark.parametrize("make", CASES.values(), ids=CASES)


def special(draw: Draw) -> Array:
    """Matrices (k, 3, 4) with repeated, zero and nearly equal singular values."""
    rng = np.random.default_rng(2)
    rows = []
    for s in ([2.0, 2.0, 0.3], [1.7, 1.7, 1.7], [2.0, 0.0, 0.0], [0.1, 0.1, 0.0], [1.5, 1.5 - 1e-11, 0.4], [0, 0, 0]):
        u, v = np.linalg.qr(rng.standard_normal((3, 3)))[0], np.linalg.qr(rng.standard_normal((4, 4)))[0]
        rows.append((u * np.array(s)) @ v[:3])
    return draw.put(np.array(rows))


@cases
@kinds
def test_laws(make: Callable[[Draw], Function], kind: str) -> None:
    draw = draw_of(kind)
    f = make(draw)
    check_function(f, dtype=draw.dtype)
    check_function(f, draw.put(draw.array(6, 3, 4, scale=2.0)))
    check_function(f, special(draw), steps=(0.43, 1.1))


@cases
@libraries
def test_the_prox_is_that_of_the_singular_values(make: Callable[[Draw], Function], kind: str) -> None:
    draw = draw_of(kind)
    f: Any = make(draw)
    x = draw.array(5, 4, 3, scale=2.0)
    for step in (0.3, 2.0):
        u, s, vh = np.linalg.svd(x, full_matrices=False)
        want = np.einsum("bij,bj,bjk->bik", u, to_numpy(f._inner.prox(draw.put(s), step)), vh)
        assert close(to_numpy(f.prox(draw.put(x), step)), want, 1e-13)
    np.testing.assert_allclose(to_numpy(f(draw.put(x))), to_numpy(f._inner(draw.put(s))), rtol=1e-13)


def test_nothing_that_an_optimiser_finds_is_better() -> None:
    rng = np.random.default_rng(3)
    for f in (NuclearNorm(0.7), Spectral(LInf(0.7))):
        v = rng.standard_normal((3, 2))

        def objective(u: np.ndarray, f: Function = f, v: np.ndarray = v) -> float:
            return float(f(u.reshape(3, 2)) + ((u - v.ravel()) ** 2).sum())

        best = optimize.minimize(objective, 0.5 * v.ravel(), method="Powell", options={"xtol": 1e-9, "ftol": 1e-14})
        assert objective(f.prox(v, 0.5).ravel()) <= best.fun + 1e-12


@cases
@pytest.mark.parametrize("step", [0.43, 1.1])
def test_derivatives_where_singular_values_repeat(make: Callable[[Draw], Function], step: float) -> None:
    draw = draw_of("torch64", 4)
    f = make(draw)
    for x in (special(draw), special(draw).mT, draw.put(draw.array(3, 4, 3, scale=2.0))):
        at = x.clone().requires_grad_()
        g = draw.put(draw.array(*x.shape))
        p, D = f.prox(at, step), f.prox_derivative(x, step)
        (pulled,) = torch.autograd.grad(p, at, g)
        torch.testing.assert_close(pulled, D(g), rtol=1e-9, atol=1e-9)
        tangent = torch.func.jvp(lambda x: f.prox(x, step), (x,), (g,))[1]
        torch.testing.assert_close(tangent, D(g), rtol=1e-9, atol=1e-9)
        assert D.batch == (len(x),)
        assert torch.isfinite(D.to_dense()).all()
        spectrum = torch.linalg.eigvalsh(D.to_dense())
        assert spectrum.min() > -1e-9
        assert spectrum.max() < 1 + 1e-9
        torch.testing.assert_close(D.take(torch.tensor([1]), tuple(x.shape))(g[[1]]), D(g)[[1]])
        mapped = torch.func.vmap(lambda x: f.prox(x, step))(x)
        torch.testing.assert_close(mapped, p, rtol=1e-12, atol=1e-12)


@cases
def test_gradcheck(make: Callable[[Draw], Function]) -> None:
    f, x = make(draw_of("torch64")), tensor(draw_of("torch64", 6).array(2, 3, 4, scale=2.0))
    assert gradcheck(lambda x: f.prox(x, 0.6), x)
    d = torch.ones_like(x)
    if f.prox_derivative(x, 0.6)(d).requires_grad:
        assert gradcheck(lambda x: f.prox_derivative(x, 0.6)(d), x)


def test_a_weight_may_require_grad() -> None:
    x, weight = tensor(draw_of("torch64", 6).array(2, 3, 2, scale=2.0)), tensor(0.7)
    assert gradcheck(lambda x, w: NuclearNorm(w).prox(x, 0.6), (x, weight))
    assert gradcheck(lambda x, w: NuclearNorm(w)(x), (x, weight))
    assert gradcheck(lambda x, w: Spectral(SquaredL2(w)).gradient(x), (x, weight))


@kinds
def test_weights_may_belong_to_samples(kind: str) -> None:
    draw, weights = draw_of(kind), np.array([0.5, 0.0, 1.0, 2.0])
    f, x = NuclearNorm(draw.put(weights[:, None, None])), draw.put(draw.array(4, 3, 2, scale=2.0))
    for thing in (f, f.conjugate()):
        assert verify(thing, dtype=draw.dtype, device=draw.device)
    single = [NuclearNorm(w) for w in weights]
    tolerance = 1e-13 if kind.endswith("64") else 1e-5
    for mine, theirs in (
        (f.prox(x, 0.7), [g.prox(v, 0.7) for g, v in zip(single, x, strict=True)]),
        (f(x), [g(v) for g, v in zip(single, x, strict=True)]),
        (f.conjugate().prox(x, 0.7), [g.conjugate().prox(v, 0.7) for g, v in zip(single, x, strict=True)]),
        (f.prox_derivative(x, 0.7)(x), [g.prox_derivative(v, 0.7)(v) for g, v in zip(single, x, strict=True)]),
    ):
        assert close(to_numpy(mine), np.stack([to_numpy(one) for one in theirs]), tolerance)


def test_samples_with_weights_of_their_own() -> None:
    draw = draw_of("torch64", 6)
    x, weight = tensor(draw.array(3, 3, 2, scale=2.0)), tensor([[[0.5]], [[1.0]], [[0.25]]])
    f = NuclearNorm(weight)
    assert gradcheck(lambda x, w: NuclearNorm(w).prox(x, 0.6), (x, weight))
    assert gradgradcheck(lambda x, w: NuclearNorm(w).prox(x, 0.6), (x, weight))
    mapped = torch.func.vmap(lambda x, w: NuclearNorm(w).prox(x, 0.6))(x, weight)
    torch.testing.assert_close(mapped, f.prox(x, 0.6), rtol=1e-12, atol=1e-12)
    D, g = f.prox_derivative(x, 0.6), torch.ones_like(x)
    torch.testing.assert_close(D.take(torch.tensor([2, 0]), (3, 3, 2))(g[[2, 0]]), D(g)[[2, 0]])
    # Whoever has parameters for single samples keeps them together.
    for operator in (Subdifferential(f), Subdifferential(f).resolvent(1.0), NormalCone(f.conjugate())):
        with pytest.raises(NotImplementedError):
            operator.take(torch.tensor([0]), (3, 3, 2))
    shared = Subdifferential(NuclearNorm(torch.tensor(0.5, dtype=torch.float64)))
    assert shared.take(torch.tensor([0]), (3, 3, 2)) is shared
    # Samples that end at very different steps, each where it would end alone.
    M = Diagonal(torch.tensor([[1.0, 0.5], [0.7, 2.0], [0.3, 1.0]], dtype=torch.float64))
    b = x.detach() * torch.tensor([1e-6, 1.0, 1e2], dtype=torch.float64)[:, None, None]
    together = solve(ForwardBackward("auto"), Affine(M, b), Subdifferential(NuclearNorm(weight.detach())), tol=1e-10)
    for i, w in enumerate(weight.detach().flatten().tolist()):
        alone = solve(ForwardBackward("auto"), Affine(M, b[i]), Subdifferential(NuclearNorm(w)), tol=1e-10)
        torch.testing.assert_close(together.point[i], alone.point, rtol=1e-8, atol=1e-8)


def spread(s: list[float], m: int, n: int) -> torch.Tensor:
    """An m×n matrix with these singular values."""
    rng = np.random.default_rng(len(s) + m + n)
    u, v = np.linalg.qr(rng.standard_normal((m, m)))[0], np.linalg.qr(rng.standard_normal((n, n)))[0]
    return tensor(u[:, : len(s)] * np.array(s) @ v[:, : len(s)].T)


@cases
@pytest.mark.parametrize("shape", [(3, 3), (4, 3), (3, 4)], ids=str)
@pytest.mark.parametrize("values", [[3.0, 1.7, 0.2], [2.0, 1.99, 0.9], [2.0, 1.9999, 0.9]], ids=str)
def test_second_derivatives(make: Callable[[Draw], Function], shape: tuple[int, int], values: list[float]) -> None:
    f, x = make(draw_of("torch64")), spread(values, *shape)
    # A difference quotient of numbers of which 1/gap of the digits are lost.
    assert gradgradcheck(lambda x: f.prox(x, 0.6), x, atol=1e-4, fast_mode=True)


def test_second_derivatives_in_every_mode() -> None:
    f, x = Spectral(L2(0.7)), spread([3.0, 1.7, 0.2], 4, 3).detach()
    g = torch.tensor(draw_of("torch64", 1).array(4, 3))

    def value(x: torch.Tensor) -> torch.Tensor:
        return (f.prox(x, 0.6) * g).sum()

    want = torch.autograd.functional.hessian(value, x)
    rev, fwd = torch.func.jacrev, torch.func.jacfwd
    for outer, inner in ((rev, rev), (fwd, rev), (rev, fwd)):
        torch.testing.assert_close(outer(inner(value))(x), want, rtol=1e-9, atol=1e-12)
    assert want.abs().max() > 1e-3
    assert gradgradcheck(lambda x, w: Spectral(L2(w)).prox(x, 0.6), (x.requires_grad_(), tensor(0.7)))


@pytest.mark.parametrize(
    ("values", "shape"), [([2.0, 2.0, 0.9], (3, 3)), ([2.0, 2 - 1e-7, 0.9], (4, 3)), ([2.0, 1.0, 0.0], (4, 3))]
)
def test_second_derivatives_that_cannot_be_had_say_so(values: list[float], shape: tuple[int, int]) -> None:
    f, x = NuclearNorm(0.7), spread(values, *shape)
    (first,) = torch.autograd.grad((f.prox(x, 0.6) ** 2).sum(), x, create_graph=True)
    assert torch.isfinite(first).all()
    with pytest.raises(SingularError, match=r"wants them apart .* by 6\.1e-06 of the largest, got"):
        torch.autograd.grad((first**2).sum(), x)
    with pytest.raises(SingularError, match="wants them apart"):
        torch.autograd.grad(f.prox_derivative(x, 0.6)(torch.ones_like(x)).sum(), x)


def test_a_single_zero_is_no_obstacle_in_a_square_matrix() -> None:
    assert gradgradcheck(lambda x: NuclearNorm(0.7).prox(x, 0.6), spread([2.0, 1.0, 0.0], 3, 3), atol=1e-4)


def test_facts() -> None:
    assert Spectral(ElasticNet(0.3, 0.5)).strong_convexity == 0.5
    assert Spectral(Huber(0.5, 2.0)).smoothness == 2.0
    assert NuclearNorm().smoothness == np.inf
    ball = NuclearNorm(0.5).conjugate()
    assert isinstance(ball, Spectral)
    assert ball.is_indicator
    NormalCone(ball)
    x = draw_of("numpy64", 7).array(5, 3, 4)
    assert close(ball.prox(x, 1.0) + NuclearNorm(0.5).prox(x, 1.0), x, 1e-14)
    top = np.linalg.norm(ball.prox(x, 1.0), 2, axis=(-2, -1))
    assert np.all(top <= 0.5 + 1e-15)
    assert np.array_equal(ball(x), np.where(np.linalg.norm(x, 2, axis=(-2, -1)) > 0.5, np.inf, 0.0))
    assert np.array_equal(ball(ball.prox(x, 1.0)), np.zeros(5))
    assert close(Spectral(SquaredL2(3.0)).gradient(x), 3 * x, 1e-14)
    with pytest.raises(NotSingleValuedError):
        NuclearNorm().gradient(x)
    resolvent = Subdifferential(NuclearNorm(0.5)).resolvent(1.0)
    assert np.array_equal(resolvent(x), NuclearNorm(0.5).prox(x, 1.0))


def test_wrong_input_is_named() -> None:
    with pytest.raises(OptionError, match="Spectral wants a convex function such as L1"):
        Spectral(L0())
    with pytest.raises(OptionError, match="Spectral wants a convex function"):
        Spectral("L1")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"NuclearNorm wants weight in \[0, ∞\)"):
        NuclearNorm(-1.0)
    with pytest.raises(ShapeError, match=r"NuclearNorm wants one weight for each point, .* got shape \(3,\)"):
        NuclearNorm(np.ones(3))
    with pytest.raises(OptionError, match="NuclearNorm is a function of matrices, got axes=1"):
        NuclearNorm().on_axes(1)
    with pytest.raises(ShapeError, match=r"axes=2 expects shape \(\*batch, \*domain\), got \(3,\)"):
        NuclearNorm().prox(np.ones(3), 1.0)
    assert Spectral(L1(0.5, axes=3)).function.axes == 1
    assert NuclearNorm(0.5).on_axes(2).weight == 0.5
