"""Norms of whole points: their laws, brute force, and what derivatives say at the places that are not smooth."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from cases import draw_of, kinds, libraries
from function_cases import close, sample, tensor
from scipy import optimize
from test_functions_arrays import kernels
from torch.autograd import gradcheck

from monops import NormalCone, Subdifferential, verify
from monops.arrays import Array, to_numpy
from monops.errors import OptionError, ShapeError
from monops.functions import (
    L0,
    L1,
    L2,
    L21,
    Box,
    Conjugate,
    Distance,
    Function,
    GroupL2,
    LInf,
    SeparableSum,
    SortedL1,
    SquaredL2,
    Supported,
)
from monops.linear import Dense
from monops.testing import BrokenLaw, check_function
from monops.testing.catalogue import Draw

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")

SLOPE = np.array([2.0, 1.0, 0.5, 0.25, 0.0])
NORMS: dict[str, Callable[[Draw], Function]] = {
    "L2": lambda d: L2(0.5),
    "L2, weight 0": lambda d: L2(0.0),
    "L2, matrices": lambda d: L2(3.0, axes=2),
    "L21": lambda d: L21(0.5),
    "L21, weights": lambda d: L21(d.put(np.array([0.25, 0.5, 1.0, 2.0, 0.0])[:, None])),
    "L21, two axes": lambda d: L21(0.5, over=2, axes=3),
    "L21, no axes": lambda d: L21(0.5, over=0, axes=1),
    "GroupL2, tuples": lambda d: GroupL2(0.7, groups=((0, 3), (1,), (2, 4))),
    "GroupL2, weights": lambda d: GroupL2(d.put(np.array([1.0, 2.0, 0.5, 1.0, 0.5])), groups=((0, 3), (1,), (2, 4))),
    "GroupL2, size": lambda d: GroupL2(0.7, groups=5),
    "LInf": lambda d: LInf(0.5),
    "LInf, weight 0": lambda d: LInf(0.0),
    "LInf, matrices": lambda d: LInf(2.0, axes=2),
    "SortedL1": lambda d: SortedL1(d.put(SLOPE)),
    "SortedL1, equal": lambda d: SortedL1(d.put(0.5 * np.ones(5))),
    "SortedL1, 0": lambda d: SortedL1(d.put(np.zeros(5))),
}
norms = pytest.mark.parametrize("make", NORMS.values(), ids=NORMS)
SHAPES = {1: (5,), 2: (5, 3), 3: (5, 3, 2)}


@norms
@kinds
def test_laws(make: Callable[[Draw], Function], kind: str) -> None:
    draw = draw_of(kind)
    f = make(draw)
    check_function(f, dtype=draw.dtype)
    # Where entries and groups tie, or vanish; the steps keep clear of kinks of several pieces, where no law is stated.
    ties = np.random.default_rng(1).integers(-2, 3, (20, *SHAPES[f.axes])) / 2
    check_function(f, draw.put(ties), steps=(0.37, 1.9))


@norms
@pytest.mark.parametrize("step", [0.3, 2.0])
def test_autograd_is_the_derivative(make: Callable[[Draw], Function], step: float) -> None:
    f, draw = make(draw_of("torch64")), draw_of("torch64", 3)
    x = draw.put(draw.array(4, *SHAPES[f.axes], scale=2.0)).requires_grad_()
    g = draw.put(draw.array(*x.shape))
    p, D = f.prox(x, step), f.prox_derivative(x, step)
    (pulled,) = torch.autograd.grad(p, x, g, create_graph=True)
    torch.testing.assert_close(pulled, D(g), rtol=1e-12, atol=1e-12)
    assert D.batch == (4,)
    assert D.H is D
    torch.testing.assert_close(D.take(torch.tensor([2, 0]), tuple(x.shape))(g[[2, 0]]), D(g)[[2, 0]])
    assert gradcheck(lambda x: f.prox(x, step), x)
    second = [
        torch.autograd.grad((part * g).sum(), x, retain_graph=True)[0] if part.requires_grad else torch.zeros_like(x)
        for part in (pulled, D(g))
    ]
    torch.testing.assert_close(*second)
    tangent = torch.func.jvp(lambda x: f.prox(x, step), (x.detach(),), (g,))[1]
    torch.testing.assert_close(tangent, D(g), rtol=1e-12, atol=1e-12)
    mapped = torch.func.vmap(lambda x: f.prox(x, step))(x)
    torch.testing.assert_close(mapped, p, rtol=1e-14, atol=1e-14)


@norms
def test_nothing_waits_for_the_device(make: Callable[[Draw], Function]) -> None:
    f, x = make(draw_of("torch64")), torch.tensor(sample(2, *SHAPES[make(draw_of("torch64")).axes]))
    names = kernels(lambda: f.prox(x, 0.7)) + kernels(lambda: f.prox_derivative(x, 0.7))
    assert names
    waits = {"_local_scalar_dense"} if isinstance(f, SortedL1) else set()  # one for each round of cuts
    assert not ({"_local_scalar_dense", "item", "nonzero", "equal"} - waits) & set(names)


@norms
def test_gradients_are_finite_at_zero(make: Callable[[Draw], Function]) -> None:
    f = make(draw_of("torch64"))
    x = torch.zeros(2, *SHAPES[f.axes], dtype=torch.float64, requires_grad=True)
    for value in (f(x).sum(), f.prox(x, 0.7).sum()):
        (g,) = torch.autograd.grad(value, x)
        assert torch.isfinite(g).all()


@pytest.mark.parametrize("name", ["L2", "L21, weights", "GroupL2, weights", "LInf", "SortedL1"])
def test_nothing_that_an_optimiser_finds_is_better(name: str) -> None:
    f, rng = NORMS[name](draw_of("numpy64")), np.random.default_rng(5)
    for step in (0.2, 1.5):
        v = 2 * rng.standard_normal(SHAPES[f.axes])

        def objective(u: np.ndarray, v: np.ndarray = v, step: float = step) -> float:
            return float(f(u.reshape(v.shape)) + ((u - v.ravel()) ** 2).sum() / (2 * step))

        best = optimize.minimize(objective, 0.5 * v.ravel(), method="Powell", options={"xtol": 1e-9, "ftol": 1e-14})
        p = f.prox(v, step)
        assert objective(p.ravel()) <= best.fun + 1e-12
        assert np.abs(p.ravel() - best.x).max() < 0.05


@libraries
def test_norms_that_coincide(kind: str) -> None:
    draw = draw_of(kind)
    x = draw.put(draw.array(6, 5, scale=2.0))
    pairs: list[tuple[Function, Function]] = [
        (L21(0.4, over=0, axes=1), L1(0.4)),
        (L21(0.4, over=1, axes=1), L2(0.4)),
        (GroupL2(0.4, groups=1), L1(0.4)),
        (GroupL2(0.4, groups=((4, 2, 0, 1, 3),)), L2(0.4)),
        (SortedL1(draw.put(0.4 * np.ones(5))), L1(0.4)),
        (SortedL1(draw.put(np.array([0.4, 0, 0, 0, 0]))), LInf(0.4)),
    ]
    for f, g in pairs:
        for mine, theirs in (
            (f(x), g(x)),
            (f.prox(x, 1.3), g.prox(x, 1.3)),
            (f.conjugate()(0.1 * x), g.conjugate()(0.1 * x)),
        ):
            assert np.array_equal(np.isfinite(to_numpy(mine)), np.isfinite(to_numpy(theirs)))
            assert close(np.nan_to_num(to_numpy(mine)), np.nan_to_num(to_numpy(theirs)), 1e-14)


def test_dual_norms() -> None:
    x = sample(50, 5, seed=2, scale=0.5)
    for f, dual in (
        (L2(0.8), np.linalg.norm(x, axis=-1) / 0.8),
        (LInf(0.8), np.abs(x).sum(-1) / 0.8),
        (SortedL1(SLOPE), (np.cumsum(-np.sort(-np.abs(x)), -1) / np.cumsum(SLOPE)).max(-1)),
    ):
        values = f.conjugate()(x)
        assert np.array_equal(values == 0, dual <= 1)
        assert np.array_equal(np.isinf(values), dual > 1)
        assert {True, False} == set((dual <= 1).tolist())


@pytest.mark.parametrize(
    "make",
    [L2, LInf, lambda w: L21(w, axes=1), lambda w: GroupL2(w, groups=((0, 2), (1, 3)))],
    ids=["L2", "LInf", "L21", "GroupL2"],
)
def test_weights_may_require_grad_and_belong_to_samples(make: Any) -> None:
    x, weight = tensor(sample(3, 4)), tensor([[0.5], [1.0], [0.25]])
    assert gradcheck(lambda x, w: make(w).prox(x, 0.7), (x, weight))
    assert gradcheck(lambda x, w: make(w)(x), (x, weight))
    rows = [make(float(w.detach())).prox(row, 0.7) for w, row in zip(weight, x, strict=True)]
    torch.testing.assert_close(make(weight).prox(x, 0.7), torch.stack(rows), rtol=1e-14, atol=1e-14)
    number = tensor(0.5)
    assert gradcheck(lambda x, w: make(w).prox(x, 0.7), (x, number))


def test_slopes_may_require_grad() -> None:
    x, weights = tensor(sample(3, 4)), tensor([1.0, 0.75, 0.5, 0.125])
    assert gradcheck(lambda x, w: SortedL1(w).prox(x, 0.7), (x, weights))
    assert gradcheck(lambda x, w: SortedL1(w)(x), (x, weights))


@kinds
def test_verified(kind: str) -> None:
    draw = draw_of(kind)
    for f in (L2(0.8), LInf(0.8)):
        assert verify(f, dtype=draw.dtype, device=draw.device)


@norms
def test_a_nan_spoils_its_own_sample_only(make: Callable[[Draw], Function]) -> None:
    for draw in (draw_of("torch64"), draw_of("numpy64")):
        f = make(draw)
        x = draw.put(draw.array(3, *SHAPES[f.axes]))
        clean = to_numpy(f.prox(x, 0.7)).copy()
        x.reshape(3, -1)[1, 0] = np.nan
        p, value = to_numpy(f.prox(x, 0.7)), to_numpy(f(x))
        assert np.isnan(p[1]).any()
        assert np.array_equal(np.isnan(value), [False, True, False])
        assert close(p[[0, 2]], clean[[0, 2]], 1e-15)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: L2(-1.0), OptionError, r"L2 wants weight in \[0, ∞\), got weight=-1.0"),
        (lambda: LInf(np.inf), OptionError, r"LInf wants weight in \[0, ∞\), got weight=inf"),
        (lambda: L2(np.ones(3)), ShapeError, r"L2 wants one weight for each point, .* got shape \(3,\)"),
        (lambda: LInf(np.ones((2, 1, 3)), axes=2), ShapeError, r"last 2 axes, got shape \(2, 1, 3\)"),
        (lambda: L21(np.ones((3, 2))), ShapeError, r"L21 wants one weight"),
        (lambda: L21(over=3, axes=2), OptionError, r"L21 wants over in \[0, 2\], got 3"),
        (lambda: GroupL2(groups=0), OptionError, "groups of size ≥ 1, got 0"),
        (lambda: GroupL2(groups=((0, 1), (1, 2))), OptionError, "each index 0, 1, … in one group"),
        (lambda: GroupL2(groups=((0, 1), ())), OptionError, "no empty one"),
        (lambda: GroupL2(np.array([1.0, 2.0]), groups=2), OptionError, "one weight in each group"),
        (lambda: GroupL2(groups=2)(np.ones(3)), ShapeError, "multiple of that length, got 3"),
        (lambda: GroupL2(groups=((0,), (1,)))(np.ones(3)), ShapeError, "points of that length, got 3"),
        (lambda: GroupL2(groups=2).on_axes(2), OptionError, "one axis, got axes=2"),
        (lambda: SortedL1(np.array([1.0, 2.0])), OptionError, "weights that do not increase"),
        (lambda: SortedL1(np.array([1.0, -2.0])), OptionError, r"weights in \[0, ∞\)"),
        (lambda: SortedL1(np.ones((1, 2))), ShapeError, r"weights \(n,\), got shape \(1, 2\)"),
        (lambda: SortedL1(np.ones(2)).prox(np.ones(3), 1.0), ShapeError, "2 weights, got points of length 3"),
        (lambda: SortedL1(np.ones(2)).on_axes(2), OptionError, "one axis, got axes=2"),
    ],
)
def test_wrong_input_is_named(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def brute(f: Function, v: np.ndarray, step: float) -> np.ndarray:
    """The least of f(u) + (u - v)²/(2 step) on a fine grid, 0 and v included; entry by entry."""
    grid = np.concatenate([np.linspace(-6, 6, 4001), [0.0]])
    grid = np.concatenate([grid + np.zeros((len(v), 1)), v[:, None]], axis=1)
    return (f(grid) + (grid - v[:, None]) ** 2 / (2 * step)).min(axis=1)


@libraries
@pytest.mark.parametrize("step", [0.1, 1.0, 3.0])
def test_l0_beats_brute_force_though_not_convex(kind: str, step: float) -> None:
    draw, f = draw_of(kind), L0(0.5, axes=0)
    v = draw.array(60, scale=2.0)
    x: Array = f.prox(draw.put(v), step)
    p = to_numpy(x)
    assert np.all(L0(0.5, axes=0)(p) + (p - v) ** 2 / (2 * step) <= brute(f, v, step) + 1e-14)
    assert set(np.unique(p == v)) == {False, True}
    assert np.array_equal(to_numpy(L0(0.5).prox_derivative(draw.put(v), step).entries) == 1, p == v)  # type: ignore[attr-defined]
    assert float(L0(0.5)(draw.put(np.array([0.0, 2.0, -1.0])))) == 1.0


def test_l0_is_refused_where_convexity_is_needed() -> None:
    assert not L0().is_convex
    assert not Supported(L0(), np.ones(3)).is_convex
    assert L1().is_convex
    for kind in (Subdifferential, NormalCone):
        with pytest.raises(OptionError, match="wants a convex function, since no other has a monotone subdiff"):
            kind(L0())
    with pytest.raises(OptionError, match="Moreau's identity wants a convex function, got L0"):
        Conjugate(L0())
    with pytest.raises(BrokenLaw, match=r"these are laws of convex functions.*L0 says it is not convex"):
        check_function(L0())
    conjugate = L0().conjugate()
    assert conjugate(np.array([0.0, 0.0])) == 0
    assert conjugate(np.array([0.0, 1e-3])) == np.inf
    with pytest.raises(OptionError, match=r"L0 wants weight in"):
        L0(-1.0)


WRAPPED: dict[str, Callable[[Function], Function]] = {
    "multiple": lambda f: 2.0 * f,
    "translated": lambda f: f.translate(1.0),
    "rescaled": lambda f: f.rescale(-2.0),
    "perturbed": lambda f: f.perturb(1.0, 2.0),
    "with a square": lambda f: f + SquaredL2(1.0),
    "precomposed": lambda f: f.precompose(Dense(torch.eye(3, dtype=torch.float64))),
    "one of several parts": lambda f: SeparableSum((L1(), f), (1, 2)),
    "twice": lambda f: (2.0 * f).translate(1.0),
}


@pytest.mark.parametrize("name", list(WRAPPED))
def test_what_is_made_of_l0_is_as_little_convex(name: str) -> None:
    f = WRAPPED[name](L0())
    assert WRAPPED[name](L1()).is_convex
    assert not f.is_convex
    with pytest.raises(OptionError, match=f"wants a convex function.*got {type(f).__name__}"):
        Subdifferential(f)
    with pytest.raises(OptionError, match=r"MoreauEnvelope wants a convex function, since .*got " + type(f).__name__):
        f.envelope(1.0)


def test_distances_are_to_convex_sets() -> None:
    class Corners(Box):
        @property
        def is_convex(self) -> bool:
            return False

    assert Distance(Box()).is_convex
    with pytest.raises(OptionError, match=r"Distance wants a convex function, since .*got Corners"):
        Distance(Corners())


@libraries
def test_points_without_entries_have_norm_zero(kind: str) -> None:
    x = draw_of(kind).put(np.zeros((3, 0)))
    for f in (L2(), L1()):
        assert f(x).tolist() == [0.0] * 3
        assert f.prox(x, 1.0).shape == (3, 0)
