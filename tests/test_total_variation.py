"""Total variation: exact in one dimension, to a proven tolerance in two."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from cases import draw_of, kinds, libraries
from function_cases import close, quick, sample, tensor
from hypothesis import given
from hypothesis import strategies as st
from test_functions_arrays import kernels
from torch.autograd import gradcheck

from monops import verify
from monops.arrays import to_numpy
from monops.errors import NotConvergedError, OptionError, ShapeError
from monops.functions import TV1D, TV2D
from monops.reference.functions import FUNCTIONS
from monops.testing import check_function

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")

both_kinds = pytest.mark.parametrize("isotropic", [True, False])


@pytest.mark.parametrize("f", [TV1D(0.5), TV1D(0.5, axes=2), TV1D(0.0), TV1D(4.0)], ids=str)
@kinds
def test_laws(f: TV1D, kind: str) -> None:
    draw = draw_of(kind)
    check_function(f, dtype=draw.dtype)
    check_function(f, draw.put(draw.array(4, *(2, 9)[2 - f.axes :], scale=2.0)))


@kinds
def test_verified(kind: str) -> None:
    draw = draw_of(kind)
    assert verify(TV1D(0.7), dtype=draw.dtype, device=draw.device)


@quick
@given(n=st.integers(1, 14), seed=st.integers(0, 10**6), exponent=st.floats(-3, 2), is_integer=st.booleans())
def test_the_prox_is_that_of_the_dual(n: int, seed: int, exponent: float, is_integer: bool) -> None:
    v, step = sample(2, n, seed=seed), 10.0**exponent
    v = np.round(v) if is_integer else v
    want = FUNCTIONS["TV1D"].prox(v, step, weight=1.0)
    for x in (v, torch.tensor(v), v.astype(np.float32)):
        assert close(to_numpy(TV1D().prox(x, step)), want, 1e-5 if x.dtype == np.float32 else 1e-11)


def test_long_signals_obey_the_optimality_conditions() -> None:
    """v - x = step·Dᴴu with abs(u) ≤ 1, and u = sign(D x) where that is not 0."""
    rng = np.random.default_rng(0)
    pieces, noise = rng.standard_normal((3, 600)) * (rng.random((3, 600)) < 0.05), rng.standard_normal((3, 600))
    v = np.cumsum(pieces, -1) + 0.3 * noise
    for step in (0.01, 1.0, 50.0):
        x = TV1D().prox(v, step)
        u = np.cumsum(x - v, -1) / step
        assert np.all(np.abs(u[:, -1]) < 1e-10 / step)
        jumps = np.diff(x)
        assert np.all(np.abs(u) <= 1 + 1e-10 / step)
        is_jump = jumps != 0
        assert np.all(np.abs(u[:, :-1] - np.sign(jumps))[is_jump] < 1e-10 / step)
        assert is_jump.any()
        assert close(to_numpy(TV1D().prox(torch.tensor(v), step)), x, 1e-12)


def test_signals_of_no_and_of_one_entry() -> None:
    for library in (np.asarray, torch.as_tensor):
        for shape in ((2, 0), (2, 1)):
            x = library(np.ones(shape))
            assert np.array_equal(to_numpy(TV1D().prox(x, 1.0)), np.ones(shape))
            assert np.array_equal(to_numpy(TV1D()(x)), np.zeros(2))


@pytest.mark.parametrize("step", [0.2, 1.5])
def test_autograd_is_the_mean_over_stretches(step: float) -> None:
    x, g = tensor(sample(4, 9)), torch.tensor(sample(4, 9, seed=1))
    p, D = TV1D().prox(x, step), TV1D().prox_derivative(x, step)
    (pulled,) = torch.autograd.grad(p, x, g)
    torch.testing.assert_close(pulled, D(g), rtol=1e-13, atol=1e-13)
    means = torch.stack([
        torch.stack([gi[(pi - pk).abs() < 1e-12].mean() for pk in pi]) for pi, gi in zip(p, g, strict=True)
    ])  # fmt: skip
    torch.testing.assert_close(D(g), means)
    assert gradcheck(lambda x: TV1D().prox(x, step), tensor(sample(2, 7)))
    torch.testing.assert_close(torch.func.vmap(lambda x: TV1D().prox(x, step))(x), p)
    torch.testing.assert_close(torch.func.jvp(lambda x: TV1D().prox(x, step), (x.detach(),), (g,))[1], D(g))
    torch.testing.assert_close(D.take(torch.tensor([3, 0]), (4, 9))(g[[3, 0]]), D(g)[[3, 0]])


@pytest.mark.parametrize("use", [TV1D.prox, TV1D.prox_derivative])
def test_it_waits_for_the_device_once_a_round_and_rounds_hardly_grow(use: Any) -> None:
    waits = []
    for n in (9, 100, 10_000):
        x = torch.tensor(sample(2, n))
        names = kernels(partial(use, TV1D(), x, 0.7))
        assert not {"item", "nonzero", "equal"} & set(names)
        waits.append(names.count("_local_scalar_dense"))
    assert 2 <= waits[0] <= waits[1] <= waits[2] <= 20


@pytest.mark.parametrize("kind", ["steps", "powers", "offset", "walk"])
def test_long_signals_satisfy_the_optimality_conditions(kind: str) -> None:
    n, step = 20_000, 0.9
    x = sample(1, n)
    if kind == "steps":
        x = np.sign(x.cumsum(-1))
    if kind == "powers":  # of which each round of cuts takes few
        x = 2.0 ** -np.arange(60.0)[None]
    if kind == "offset":
        x = 1e6 + x
    if kind == "walk":
        x = x.cumsum(-1)
    p = to_numpy(TV1D().prox(torch.tensor(x), step))
    u = (x - p).cumsum(-1) / step  # the dual variable: within [-1, 1], and ±1 at jumps
    room = 1e-15 * np.abs(x).max() * x.shape[-1] / step
    assert abs(u[0, -1]) <= room
    assert np.abs(u).max() <= 1 + room
    jumps = np.diff(p)
    assert np.abs(u[:, :-1] + np.sign(jumps))[np.abs(jumps) > 1e-9].max(initial=0) <= room


def test_weights_may_require_grad_and_belong_to_samples() -> None:
    x, weight = tensor(sample(3, 6)), tensor([[0.5], [1.0], [0.25]])
    assert gradcheck(lambda x, w: TV1D(w).prox(x, 0.7), (x, weight))
    rows = [TV1D(float(w.detach())).prox(row, 0.7) for w, row in zip(weight, x, strict=True)]
    torch.testing.assert_close(TV1D(weight).prox(x, 0.7), torch.stack(rows), rtol=1e-13, atol=1e-13)


def test_a_nan_spoils_its_own_sample_only() -> None:
    x = sample(3, 6)
    clean = TV1D().prox(x, 0.7)
    x[1, 2] = np.nan
    p = TV1D().prox(x, 0.7)
    assert np.isnan(p[1]).any()
    assert close(p[[0, 2]], clean[[0, 2]], 1e-15)
    images = sample(3, 4, 4)
    images[1, 2, 2] = np.nan
    assert np.array_equal(np.isnan(TV2D().prox(images, 0.7)).any((1, 2)), [False, True, False])


def test_constants_cost_nothing_and_the_conjugate_knows() -> None:
    f = TV1D(0.5)
    assert f(np.ones((2, 5))).tolist() == [0.0, 0.0]
    y = np.array([[0.5, -1.0, 0.5, 0.0], [0.5, -1.0, 0.5, 0.1], [0.6, -1.0, 0.4, 0.0]])
    assert f.conjugate()(y).tolist() == [0.0, np.inf, np.inf]


@both_kinds
@kinds
def test_laws_of_images(isotropic: bool, kind: str) -> None:
    draw = draw_of(kind)
    tol = 1e-3 if kind.endswith("32") else 1e-6
    f = TV2D(0.5, isotropic=isotropic, tol=1e-7)
    check_function(f, draw.put(draw.array(6, 4, 3, scale=2.0)), steps=(0.1, 1.5), tol=tol)


@both_kinds
@libraries
@pytest.mark.parametrize("step", [0.1, 0.6, 3.0])
def test_images_are_those_of_another_solver(isotropic: bool, kind: str, step: float) -> None:
    draw = draw_of(kind, 2)
    v = draw.array(3, 4, 3, scale=2.0)
    got = to_numpy(TV2D(0.8, isotropic=isotropic, tol=1e-7).prox(draw.put(v), step))
    want = FUNCTIONS["TV2D"].prox(v, step, weight=0.8, isotropic=isotropic)
    assert np.all(np.linalg.norm(got - want, axis=(1, 2)) <= 1e-7 * np.linalg.norm(v, axis=(1, 2)))
    assert verify(TV2D(0.8, isotropic=isotropic, tol=1e-7), dtype=draw.dtype)


@both_kinds
def test_the_tolerance_is_kept(isotropic: bool) -> None:
    v = sample(2, 16, 12, seed=4)
    for step in (0.1, 2.0, 1e4):
        best = TV2D(0.5, isotropic=isotropic, tol=1e-7).prox(v, step)
        for tol in (1e-2, 1e-4):
            rough = TV2D(0.5, isotropic=isotropic, tol=tol).prox(v, step)
            assert np.all(np.linalg.norm(rough - best, axis=(1, 2)) <= 1.01 * tol * np.linalg.norm(v, axis=(1, 2)))
    assert close(best, v.mean((1, 2), keepdims=True) + 0 * v, 1e-6)
    with pytest.raises(NotConvergedError, match=r"error of the prox is up to .* after 20 steps, wanted 1.0e-04"):
        TV2D(0.5, isotropic=isotropic, max_steps=20).prox(v, 2.0)


def test_a_derivative_that_is_not_found_is_no_number() -> None:
    f, v = TV2D(0.5, tol=1e-2, max_steps=20), sample(1, 16, 12, seed=4)
    assert np.isfinite(f.prox(v, 0.5)).all()
    with pytest.raises(NotConvergedError, match=r"derivative .* not found by 20 conjugate gradients; give it more"):
        f.prox_derivative(v, 0.5)(v)


def test_one_row_is_a_signal() -> None:
    v = sample(3, 1, 9)
    for isotropic in (True, False):
        for x in (v, v.swapaxes(1, 2)):
            got = TV2D(0.5, isotropic=isotropic, tol=1e-7).prox(x, 1.2)
            assert close(got.reshape(3, 9), TV1D(0.5).prox(v[:, 0], 1.2), 1e-6)


@both_kinds
@pytest.mark.parametrize("step", [0.2, 1.5])
def test_derivatives_of_images(isotropic: bool, step: float) -> None:
    f: Any = TV2D(0.5, isotropic=isotropic, tol=1e-7)
    x, g = tensor(sample(2, 4, 3)), torch.tensor(sample(2, 4, 3, seed=1))
    D = f.prox_derivative(x, step)
    (pulled,) = torch.autograd.grad(f.prox(x, step), x, g)
    torch.testing.assert_close(pulled, D(g), rtol=1e-9, atol=1e-9)
    assert gradcheck(lambda x: f.prox(x, step), x, eps=1e-3, atol=2e-3)
    torch.testing.assert_close(torch.func.vmap(lambda x: f.prox(x, step))(x), f.prox(x, step), rtol=0, atol=1e-6)
    tangent = torch.func.jvp(lambda x: f.prox(x, step), (x.detach(),), (g,))[1]
    torch.testing.assert_close(tangent, D(g), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(D.take(torch.tensor([1]), (2, 4, 3))(g[[1]]), D(g)[[1]])
    if not isotropic:
        p = f.prox(x, step).detach()
        assert torch.allclose(D(D(g)), D(g), atol=1e-9)  # a projection
        assert torch.allclose(D(p), p, atol=1e-5)


def test_wrong_input_is_named() -> None:
    with pytest.raises(OptionError, match=r"TV1D wants weight in \[0, ∞\)"):
        TV1D(-1.0)
    with pytest.raises(OptionError, match="axes ≥ 1"):
        TV1D(axes=0)
    with pytest.raises(ShapeError, match="TV1D wants one weight for each point"):
        TV1D(np.ones(3))
    with pytest.raises(OptionError, match="TV2D wants a number as weight"):
        TV2D(np.ones(()))  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"TV2D wants weight in \[0, ∞\)"):
        TV2D(-1.0)
    with pytest.raises(OptionError, match="tol ≥ 1e-7 and max_steps ≥ 1, got 1e-09 and 100000"):
        TV2D(tol=1e-9)
    with pytest.raises(OptionError, match="two axes, got axes=1"):
        TV2D().on_axes(1)
    with pytest.raises(ShapeError, match="axes=2 expects shape"):
        TV2D().prox(np.ones(3), 1.0)
