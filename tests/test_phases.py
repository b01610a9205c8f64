"""Sampled operators on the phases of their grid, and what resolvents give away to the next tier."""

from typing import Any

import numpy as np
import pytest
import torch
from cases import jit_warning, quick
from hypothesis import given
from hypothesis import strategies as st

from monops import Affine, PeacemanRachford
from monops.linear import (
    BlockSubstitution,
    CirculantPlusGram,
    CircularConv,
    Decimated,
    Dense,
    Diagonal,
    Identity,
    LinearOperator,
    StridedCircularConv,
    ZeroPad,
    fourier,
    multi_tier,
    phases,
)
from monops.linear.block import BlockTriangular
from monops.linear.frequency import Signal
from monops.nn import Equilibrium, MonotoneMultiTier

D = torch.float64
axes = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=3)
both_routes = pytest.mark.parametrize("route", ["phases", "aliases"])


def conv(out: int, into: int, grid: tuple[int, ...], stride: Any = None) -> Any:
    weight = torch.randn(out, into, *(3 if n >= 3 else 1 for n in grid), dtype=D)
    return CircularConv(weight, grid) if stride is None else StridedCircularConv(weight, grid, stride)


def tiers(grid: tuple[int, int] = (8, 6)) -> LinearOperator:
    """Three tiers, sampled by 2 and by (2, 1), each put among zeros."""
    first, second = conv(3, 2, grid, 2), conv(4, 3, (6, 4), (2, 1))
    down = [
        ZeroPad((3, 6, 4), first.codomain, (0, 1, 0), dtype=D) @ first,
        ZeroPad((4, 4, 5), second.codomain, (0, 0, 1), dtype=D) @ second,
    ]
    shapes = (2, *grid), (3, 6, 4), (4, 4, 5)
    A, B = ([conv(c, c, tuple(n)) for c, *n in shapes] for _ in range(2))
    return multi_tier(A, down, B, m=0.1)


@quick
@given(axes=axes, channels=st.integers(1, 3))
def test_phases_are_what_lies_a_stride_apart(axes: list[tuple[int, int]], channels: int) -> None:
    grid, stride, coarse = tuple(n * s for n, s in axes), tuple(s for _, s in axes), tuple(n for n, _ in axes)
    x = torch.randn(*reversed(grid), channels, 2, dtype=D)
    y = phases.split(x, grid, stride)
    assert y.shape == (*reversed(coarse), int(np.prod(stride)) * channels, 2)
    assert torch.equal(phases.join(y, grid, stride), x)
    out = torch.empty_like(x)
    assert phases.join(y, grid, stride, out) is out
    assert torch.equal(out, x)
    for number, place in enumerate(np.ndindex(*reversed(stride))):
        apart = x[tuple(slice(p, None, s) for p, s in zip(place, reversed(stride), strict=True))]
        assert torch.equal(y[..., number * channels : (number + 1) * channels, :], apart)


@quick
@given(axes=axes, seed=st.integers(0, 99))
def test_both_routes_agree(axes: list[tuple[int, int]], seed: int) -> None:
    torch.manual_seed(seed)
    grid, stride = tuple(n * s for n, s in axes), tuple(s for _, s in axes)
    C, B = conv(2, 3, grid, stride), conv(3, 3, grid)
    G = C.H @ C + B - B.H
    x = torch.randn(2, *G.domain, dtype=D)
    want = C.H(C(x)) + B(x) - B.H(x)
    inverse = torch.linalg.inv(torch.eye(x[0].numel(), dtype=D) + 0.3 * G.to_dense())
    for route in ("phases", "aliases"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(CirculantPlusGram, "route", route)
            torch.testing.assert_close(G(x), want, rtol=0, atol=1e-11)
            J = G.resolvent(0.3)
            close(J(x), x, inverse)
            close(J.H(x), x, inverse.T)  # by the kernels of J, which are there


@both_routes
def test_a_resolvent_of_tiers(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CirculantPlusGram, "route", route)
    M = tiers()
    inverse = torch.linalg.inv(torch.eye(M.domain[0], dtype=D) + 0.3 * M.to_dense())
    x = M.arrange(torch.randn(2, 3, M.domain[0], dtype=D))
    for J, matrix in ((M.resolvent(0.3), inverse), (M.H.resolvent(0.3), inverse.T)):
        for tracked in (True, False):
            with torch.set_grad_enabled(tracked):
                close(J(x), x, matrix)
                close(J.H(x), x, matrix.T)
                close(J.reflected()(x), x, 2 * matrix - torch.eye(len(matrix), dtype=D))
                close(J.reflected().H(x), x, 2 * matrix.T - torch.eye(len(matrix), dtype=D))
                close(J.reflected().reflected()(x), x, 4 * matrix - 3 * torch.eye(len(matrix), dtype=D))


@both_routes
def test_the_derivative_of_a_resolvent_of_tiers(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CirculantPlusGram, "route", route)
    J = tiers().resolvent(0.3).reflected()
    x, g = (torch.randn(3, J.domain[0], dtype=D) for _ in range(2))
    (gradient,) = torch.autograd.grad((J(x.requires_grad_()) * g).sum(), x)
    torch.testing.assert_close(gradient, J.H(g), rtol=0, atol=1e-10)


@both_routes
def test_additions_before_and_after_are_made_part_by_part(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CirculantPlusGram, "route", route)
    M = tiers()
    J = M.resolvent(0.3).reflected()
    assert isinstance(J, BlockSubstitution)
    x, kept = M.arrange(torch.randn(3, M.domain[0], dtype=D)), torch.randn(M.domain[0], dtype=D)
    start = x.clone()
    for b in (kept, M.arrange(torch.randn(3, M.domain[0], dtype=D)), torch.randn(2, 1, M.domain[0], dtype=D)):
        want = J(x + 0.5 * b) + 0.25 * b
        for tracked in (True, False):
            with torch.set_grad_enabled(tracked):
                torch.testing.assert_close(J._apply_between(x, b, 0.5, 0.25), want, rtol=0, atol=1e-11)
        shifted = J.shifted(b, 0.5, 0.25)
        for _ in range(12):  # by a constant, from the tenth use on
            torch.testing.assert_close(shifted(x), want, rtol=0, atol=1e-11)
    assert torch.equal(x, start), "nothing is written into what was given"


def test_a_circulant_operator_adds_in_place() -> None:
    R = conv(2, 2, (4, 6)).resolvent(0.1)
    x, start = R.arrange(torch.randn(3, 2, 4, 6, dtype=D)), torch.randn(3, 2, 4, 6, dtype=D)
    x.copy_(start)
    for b in (torch.randn(2, 4, 6, dtype=D), torch.randn(5, 1, 2, 4, 6, dtype=D)):
        kept = b.clone()
        for tracked in (True, False):
            with torch.set_grad_enabled(tracked):
                got = R._apply_between(x, b, 0.5, 0.25)
            torch.testing.assert_close(got, R(x + 0.5 * b) + 0.25 * b, rtol=0, atol=1e-12)
        assert torch.equal(x, start)
        assert torch.equal(b, kept)


@both_routes
def test_what_the_next_tier_takes_comes_out_on_the_way(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No sampled convolution is applied in a resolvent of tiers, nor its adjoint in the adjoint of one."""
    monkeypatch.setattr(CirculantPlusGram, "route", route)
    M = tiers()
    J = M.resolvent(0.3)
    x = torch.randn(2, M.domain[0], dtype=D)
    want, wanted = J(x), J.H(x)

    def refuse(self: Any, y: torch.Tensor) -> torch.Tensor:
        raise AssertionError("applied")

    monkeypatch.setattr(Decimated, "on_spectrum", refuse)
    monkeypatch.setattr("monops.linear.decimated.Interpolated.on_spectrum", refuse)
    assert torch.equal(J(x), want)
    assert torch.equal(J.H(x), wanted)
    with pytest.raises(AssertionError, match="applied"):
        M(x)


@both_routes
def test_so_it_does_in_a_layer(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose solve is of an operator taken apart into its tensors, and put together again."""
    monkeypatch.setattr(CirculantPlusGram, "route", route)
    layer = Equilibrium(MonotoneMultiTier(1, (2, 3, 4), (8, 8), dtype=D), method=PeacemanRachford(0.5))
    x = torch.randn(2, 1, 8, 8, dtype=D)
    want = layer(x)
    monkeypatch.setattr(Decimated, "on_spectrum", None)
    assert torch.equal(layer(x), want)


@both_routes
def test_an_adjoint_uses_the_matrices_that_are_there(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CirculantPlusGram, "route", route)
    C = conv(3, 2, (4, 6), 2).decimated
    J = (C.H @ C).resolvent(0.3)
    x, y = (Signal(torch.randn(2, *n, dtype=D), n) for n in (C.domain, C.codomain))
    want = J.H(x.array - C.H(y.array))
    assert isinstance(J, CirculantPlusGram)
    assert J.through(x, is_read=True).image_of(C) is not None
    monkeypatch.setattr(fourier, "blocks", None)
    adjoint = J.adjoint()
    assert isinstance(adjoint, CirculantPlusGram)
    torch.testing.assert_close(adjoint.through(x, y).array, want, rtol=0, atol=1e-12)


def test_other_couplings_are_applied_as_they_are() -> None:
    """Beside a resolvent that reads another operator, or none, and for blocks on the other side of the diagonal."""
    C, E = conv(3, 2, (4, 6), 2), conv(3, 2, (4, 6), 2)
    first = 0.1 * Identity.like(C.H @ C) + C.H @ C
    second = Identity((3, 2, 3), dtype=D)
    for coupling in (C, E, conv(3, 3, (2, 3)) @ C, conv(3, 3, (2, 3)) @ E):
        lower = BlockTriangular([[first, None], [coupling, second]])
        upper = BlockTriangular([[second, coupling], [None, first]])
        for M in (lower, upper, lower.H, upper.H):
            inverse = torch.linalg.inv(torch.eye(M.domain[0], dtype=D) + 0.3 * M.to_dense())
            x = torch.randn(2, M.domain[0], dtype=D)
            close(M.resolvent(0.3)(x), x, inverse)
            close(M.resolvent(0.3).H(x), x, inverse.T)


@both_routes
def test_families_of_couplings_keep_their_batch_axes(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CirculantPlusGram, "route", route)
    C, entries = conv(3, 2, (4, 6), 2).decimated, torch.rand(5, 3, 2, 3, dtype=D) + 0.5
    J = BlockTriangular([[C.H @ C, None], [Diagonal(entries, 3) @ C, Diagonal(entries, 3)]]).resolvent(0.3)
    with torch.no_grad():
        dense, adjoint = J.to_dense(), J.H.to_dense()
        torch.testing.assert_close(adjoint, dense.mT, rtol=0, atol=1e-11)
        for batch in ((), (1,), (3, 1)):
            x = torch.randn(*batch, J.domain[0], dtype=D)
            torch.testing.assert_close(J.H(x), (adjoint @ x[..., None])[..., 0], rtol=0, atol=1e-11)


def test_numpy_states_of_several_axes() -> None:
    a, b = Diagonal(np.full((2, 3), 2.0)), Diagonal(np.full((2, 3), 0.5))
    J = BlockTriangular([[a, None], [b, a]]).resolvent(0.5)
    with torch.no_grad():
        np.testing.assert_allclose(J(np.ones(12)), [0.5] * 6 + [0.4375] * 6)


@both_routes
@jit_warning
def test_what_was_made_in_another_mode_does_not_disturb(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CirculantPlusGram, "route", route)
    C = conv(2, 3, (4, 6), 2)
    J, x = (C.H @ C).resolvent(0.2), torch.randn(3, 4, 6, dtype=D)
    J(x)
    with torch.inference_mode():
        adjoint = J.adjoint()
    leaf = x.clone().requires_grad_()
    adjoint(leaf).sum().backward()
    torch.testing.assert_close(leaf.grad, J(torch.ones_like(x)), rtol=0, atol=1e-12)

    def energy(op: LinearOperator) -> Any:
        return torch.func.hessian(lambda x: (op(x) * x).sum())(x)

    for op in ((C.H @ C).resolvent(0.2), conv(3, 3, (4, 6)).resolvent(0.1), tiers().resolvent(0.1)):
        x = torch.randn(op.domain, dtype=D)
        first = energy(op)
        torch.testing.assert_close(energy(op), first)
        torch.func.grad(lambda x, op=op: op(x).sum())(x)
    J = Affine(Dense(torch.randn(3, 3, dtype=D)), torch.randn(3, dtype=D)).resolvent(0.1)
    x = torch.randn(3, dtype=D)
    first = torch.func.hessian(lambda x: (J(x) * x).sum())(x)
    torch.testing.assert_close(torch.func.hessian(lambda x: (J(x) * x).sum())(x), first)
    torch.func.grad(lambda x: J(x).sum())(x)


def test_flat_parts_are_joined() -> None:
    a, b = Dense(torch.randn(2, 2, dtype=D)), Dense(torch.randn(2, 2, dtype=D))
    J = BlockTriangular([[a @ a.H, None], [b, a @ a.H]]).resolvent(0.5).reflected()
    x, shift = torch.randn(3, 4, dtype=D), torch.randn(4, dtype=D)
    with torch.no_grad():
        torch.testing.assert_close(J._apply_between(x, shift, 2.0, 3.0), x @ J.to_dense().T + 2 * J(shift) + 3 * shift)


def test_an_inverse_transform_is_written_where_it_is_wanted() -> None:
    for grid in ((5,), (6, 4), (3, 4, 2), (50, 3)):
        y = fourier.spectrum(torch.randn(*reversed(grid), 2, 3, dtype=D), grid)
        out = torch.empty(*reversed(grid), 2, 3, dtype=D)
        want = fourier.inverse(y, grid)
        fourier.inverse(y, grid, out)
        assert torch.equal(out, want)


def close(got: torch.Tensor, x: torch.Tensor, matrix: torch.Tensor) -> None:
    want = (x.reshape(-1, len(matrix)) @ matrix.T).reshape(x.shape)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-10)
