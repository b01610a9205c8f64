"""The algebra of functions: the laws of what it makes, ways back, facts, and what it refuses."""

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
import torch
from cases import draw_of, jit_warning, kinds
from function_cases import close, sample, tensor
from torch.autograd import gradcheck

from monops import BlockSpace, Dense, Subdifferential, solve
from monops.errors import NotSingleValuedError, OptionError, ShapeError
from monops.functions import (
    L1,
    Box,
    Distance,
    Function,
    HalfSpace,
    L1Ball,
    L2Ball,
    MoreauEnvelope,
    Multiple,
    Perturbed,
    Precomposed,
    PSDCone,
    ReLU,
    Rescaled,
    SeparableSum,
    Sigmoid,
    Simplex,
    Softmax,
    Softplus,
    SquaredL2,
    Tanh,
    Translated,
)
from monops.linear import Diagonal, Identity
from monops.monotone import Precomposed as PrecomposedOperator
from monops.splitting import ForwardBackward
from monops.testing import check_function, check_monotone_operator

D = torch.float64
CENTER = np.array([1.0, -2.0, 0.5, 0.0, 3.0])
ORTHOGONAL = np.linalg.qr(np.random.default_rng(3).standard_normal((5, 5)))[0]

MADE: dict[str, Callable[[Any], Function]] = {
    "multiple of Tanh": lambda put: 3.0 * Tanh(),
    "multiple of a set": lambda put: Simplex() * 2.0,
    "multiple of a smooth function": lambda put: 0.5 * SquaredL2(3.0),
    "translated simplex": lambda put: Simplex().translate(put(CENTER)),
    "translated box": lambda put: Box(-0.1, 0.3).translate(put(CENTER / 3)),
    "translated, by a number": lambda put: Sigmoid().translate(-0.3),
    "translated, smooth": lambda put: SquaredL2(2.0).translate(put(CENTER)),
    "rescaled Sigmoid": lambda put: Sigmoid().rescale(-2.0),
    "rescaled box": lambda put: Box(-0.1, 0.3).rescale(0.3),
    "rescaled, smooth": lambda put: SquaredL2(2.0).rescale(3.0),
    "perturbed L1": lambda put: L1(0.5).perturb(0.7, put(CENTER), center=put(CENTER[::-1].copy())),
    "linear term": lambda put: L1(0.5).perturb(shift=put(CENTER)),
    "linear term on a set": lambda put: L2Ball(2.0).perturb(shift=put(CENTER)),
    "set and quadratic": lambda put: Simplex() + SquaredL2(0.5),
    "quadratic and Tanh": lambda put: SquaredL2(0.5) + Tanh(),
    "perturbed, smooth": lambda put: SquaredL2(2.0).perturb(0.5, 1.0, center=-1.0),
    "precomposed, wide": lambda put: L1(0.5).precompose(Dense(put(1.5 * ORTHOGONAL[:3])), 0.25),
    "precomposed, square": lambda put: Tanh().precompose(Dense(put(1.5 * ORTHOGONAL)), 0.25),
    "precomposed set": lambda put: Simplex().precompose(Dense(put(1.5 * ORTHOGONAL[:3])), put(CENTER[:3])),
    "precomposed, smooth": lambda put: SquaredL2(2.0).precompose(Dense(put(0.5 * ORTHOGONAL))),
    "envelope of L1": lambda put: L1(0.5).envelope(0.5),
    "envelope of a set": lambda put: L2Ball(0.5).envelope(1.0),
    "envelope of Softplus": lambda put: Softplus().envelope(2.0),
    "envelope, strongly convex": lambda put: SquaredL2(2.0).envelope(2.0),
    "distance to a ball": lambda put: Distance(L2Ball(1.0)),
    "distance to a simplex": lambda put: Distance(Simplex()),
    "distance to a half-space": lambda put: Distance(HalfSpace(put(CENTER), -1.0)),
    "distance to the l1 ball": lambda put: Distance(L1Ball(0.5)),
    "pieces": lambda put: SeparableSum((L1(0.5), Simplex(), L2Ball()), (1, 2, 2)),
    "smooth pieces": lambda put: SeparableSum((SquaredL2(0.5), L1(0.5).envelope(1.0)), (2, 3)),
    "pieces of a set": lambda put: SeparableSum((ReLU(), Simplex()), [3, 2]),
    "all at once": lambda put: 2.0 * (L1(0.3) + SquaredL2(0.1)).translate(put(CENTER)).envelope(0.5).rescale(-0.5),
}
made = pytest.mark.parametrize("name", list(MADE))


@made
@kinds
def test_laws(name: str, kind: str) -> None:
    draw = draw_of(kind)
    check_function(MADE[name](draw.put), draw.put(draw.array(20, 5, scale=2.0)), dtype=draw.dtype)


@made
def test_laws_of_conjugates(name: str) -> None:
    draw = draw_of("torch64", 4)
    f = MADE[name](draw.put).conjugate()
    x = draw.put(draw.array(20, 5, scale=2.0))
    check_function(f, x, steps=(0.5, 2.0))


@made
@jit_warning
def test_autograd_agrees_with_the_derivative(name: str) -> None:
    draw = draw_of("torch64", 6)
    f, x = MADE[name](draw.put), tensor(draw.array(3, 5, scale=2.0))
    for step in (0.3, 4.0):
        assert gradcheck(lambda x, s=step: f.prox(x, s), x)
        tangent = draw.put(draw.array(3, 5))
        moved = torch.func.jvp(lambda x, s=step: f.prox(x, s), (x.detach(),), (tangent,))[1]
        torch.testing.assert_close(moved, f.prox_derivative(x.detach(), step)(tangent), rtol=1e-9, atol=1e-11)
    try:
        slope = f.gradient(x)
    except NotSingleValuedError:
        return
    torch.testing.assert_close(torch.autograd.grad(f(x).sum(), x)[0], slope.detach(), rtol=1e-9, atol=1e-11)


def test_parameters_are_differentiated() -> None:
    x, c, v = (tensor(sample(*shape, seed=seed)) for seed, shape in enumerate(((3, 5), (5,), (5,))))
    assert gradcheck(lambda x, c: Tanh().translate(c).prox(x, 0.7), (x, c))
    assert gradcheck(lambda x, c, v: Simplex().perturb(0.5, v, center=c).prox(x, 0.7), (x, c, v))
    K = tensor(ORTHOGONAL)
    # Only along rotations does K keep K Kᴴ = ν I, so K itself is not perturbed here.
    assert gradcheck(lambda x, c: Tanh().precompose(Dense(K.detach()), c).prox(x, 0.7), (x, c))
    (back,) = torch.autograd.grad(Tanh().precompose(Dense(K)).prox(x, 0.7).sum(), K)
    assert bool(back.isfinite().all())


def test_the_algebra_names_its_classes() -> None:
    f = L1(0.5)
    K = Dense(torch.eye(3, dtype=D))
    made = [2 * f, f.translate(1.0), f.rescale(2.0), f.perturb(1.0), f + SquaredL2(2.0), f.precompose(K), f.envelope(1)]
    kinds = [Multiple, Translated, Rescaled, Perturbed, Perturbed, Precomposed, MoreauEnvelope]
    assert [type(g) for g in made] == kinds
    assert all(isinstance(g.conjugate().conjugate(), Function) for g in made)
    assert (2 * f).on_axes(2).axes == 2
    assert (np.float64(2.0) * f).prox(np.ones(2, np.float32), 1.0).dtype == np.float32


def test_facts() -> None:
    g = SquaredL2(3.0)
    assert ((2 * g).strong_convexity, (2 * g).smoothness) == (6.0, 6.0)
    assert (g.rescale(-2.0).strong_convexity, g.rescale(2.0).smoothness) == (12.0, 12.0)
    assert (g.perturb(1.0).strong_convexity, g.perturb(1.0).smoothness) == (4.0, 4.0)
    assert (L1().perturb(1.0).strong_convexity, L1().perturb(1.0).smoothness) == (1.0, math.inf)
    assert (L1().envelope(0.5).strong_convexity, L1().envelope(0.5).smoothness) == (0.0, 2.0)
    assert g.envelope(1.0).strong_convexity == g.envelope(1.0).smoothness == 0.75
    wide, square = Dense(torch.tensor(2 * ORTHOGONAL[:3])), Dense(torch.tensor(2 * ORTHOGONAL))
    assert g.precompose(wide).strong_convexity == 0
    assert g.precompose(square).strong_convexity == pytest.approx(12)
    assert g.precompose(wide).smoothness == pytest.approx(12)
    two = SeparableSum((SquaredL2(1.0), SquaredL2(3.0)), (1, 1))
    assert (two.strong_convexity, two.smoothness, two.is_indicator) == (1.0, 3.0, False)
    sets = (2 * Simplex(), Simplex().translate(1.0), Simplex().rescale(2.0), Simplex().precompose(square))
    assert all(f.is_indicator for f in (*sets, SeparableSum((ReLU(), Simplex()), (1, 2))))
    assert not any(f.is_indicator for f in (Simplex().perturb(1.0), Simplex().envelope(1.0), Distance(Simplex())))
    assert L1().envelope(0.5).conjugate().strong_convexity == 0.5


def test_half_the_squared_distance_is_an_envelope() -> None:
    x, C = sample(20, 5), L2Ball(1.0)
    assert close(C.envelope(1.0)(x), 0.5 * Distance(C)(x) ** 2, 1e-14)


def test_spaces_with_parts_of_several_shapes() -> None:
    space = BlockSpace(((2, 2), (3,)))
    f = SeparableSum((PSDCone(), L1(0.5)), space)
    x = torch.tensor(sample(7, 7))
    first, second = space.split(f.prox(x, 0.7))
    matrix, vector = space.split(x)
    torch.testing.assert_close(first, PSDCone().prox(matrix, 0.7))
    torch.testing.assert_close(second, L1(0.5).prox(vector, 0.7))
    assert f.prox_at(0.7)(x).equal(f.prox(x, 0.7))
    derivative = f.prox_derivative(x, 0.7)
    assert (derivative.domain, derivative.batch, derivative.symmetric) == ((7,), (7,), True)
    index = torch.tensor([4, 1])
    torch.testing.assert_close(derivative.take(index, (7, 7))(x[index]), derivative(x)[index])
    assert derivative.to_dense().shape == (7, 7, 7)


def test_families_of_derivatives_give_up_samples() -> None:
    x, index = torch.tensor(sample(6, 5)), torch.tensor([5, 0])
    for f in (Simplex(), L1Ball(), L2Ball(), Softmax(), Distance(Simplex()), SeparableSum((L1(), L2Ball()), (2, 3))):
        derivative = f.prox_derivative(x, 0.7)
        torch.testing.assert_close(derivative.take(index, (6, 5))(x[index]), derivative(x)[index])
        shifted = 2.0 * derivative + Identity.like(derivative) + Diagonal(torch.ones(5, dtype=D))
        torch.testing.assert_close(shifted(x), 2 * derivative(x) + 2 * x)
        dense = derivative.to_dense()
        torch.testing.assert_close(dense, dense.mT)
        torch.testing.assert_close((dense @ x[..., None])[..., 0], derivative(x))


def test_functions_and_operators_share_the_constant_of_a_frame() -> None:
    K = Dense(torch.tensor(1.5 * ORTHOGONAL[:3]))
    f, x = L1(0.5), torch.tensor(sample(4, 5))
    operator = PrecomposedOperator(Subdifferential(f), K)
    assert operator.nu == Precomposed(f, K).nu == pytest.approx(2.25)
    torch.testing.assert_close(operator.resolvent(0.7)(x), f.precompose(K).prox(x, 0.7))
    check_monotone_operator(Subdifferential(f.precompose(K)), domain=(5,))


def test_a_solver_runs_on_the_algebra() -> None:
    target = torch.tensor(sample(3, 5, seed=3))
    smooth = SquaredL2(1.0).translate(target[0])
    result = solve(ForwardBackward(0.5), Subdifferential(smooth), Subdifferential(Simplex()), z0=0 * target, tol=1e-12)
    torch.testing.assert_close(result.point, Simplex().prox(target[:1], 1.0).expand(3, 5), rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: -1.0 * L1(), OptionError, r"Multiple wants a number in \(0, ∞\) as factor, got -1.0"),
        (lambda: Multiple(L1(), cast(float, "a")), OptionError, r"Multiple wants a number .* got 'a'"),
        (lambda: L1().rescale(0.0), OptionError, r"Rescaled wants a number ≠ 0 as scale, got 0.0"),
        (lambda: L1().perturb(-1.0), OptionError, r"Perturbed wants a number in \[0, ∞\) as curvature"),
        (lambda: L1().perturb(math.inf), OptionError, r"as curvature, got inf"),
        (lambda: L1().envelope(0.0), OptionError, r"MoreauEnvelope wants a number in \(0, ∞\) as scale"),
        (lambda: L1() + ReLU(), OptionError, r"the prox of L1 \+ ReLU is not known"),
        (lambda: L1() + SquaredL2(1.0, axes=2), OptionError, "as many axes, got 1 and 2"),
        (lambda: Translated(cast(Function, 3)), OptionError, "Translated wants a Function such as"),
        (lambda: Distance(L1()), OptionError, "Distance wants the indicator of a set, got L1"),
        (lambda: L1().precompose(Dense(torch.ones(2, 3))), OptionError, "K Kᴴ = ν I"),
        (lambda: L1(axes=2).precompose(Dense(torch.eye(3))), OptionError, "wants axes=1, got 2"),
        (lambda: L1().precompose(Dense(torch.eye(3))).on_axes(2), OptionError, "keeps axes=1, got 2"),
        (lambda: SeparableSum((L1(),), (1, 2)), OptionError, "wants 2 functions, one a part"),
        (lambda: SeparableSum((L1(), cast(Function, 3)), (1, 2)), OptionError, "wants 2 functions, one a part"),
        (lambda: SeparableSum((L1(), L1()), (1, 2)).on_axes(2), OptionError, "have 1 axis, got 2"),
        (lambda: SeparableSum((L1(), L1()), (1, 2)).prox(np.ones(4), 1.0), ShapeError, "a state with parts"),
        (lambda: L1().translate(np.ones(3)).prox(np.ones(4), 1.0), ShapeError, "Translated.center has shape"),
        (lambda: ReLU().translate(1.0).gradient(np.ones(4)), NotSingleValuedError, "ReLU is not differentiable"),
    ],
)
def test_errors(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
