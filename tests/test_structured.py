"""Strided convolutions, blocks and tiers: closure under the algebra, random grids, bad input."""

from typing import Any, cast

import numpy as np
import pytest
import torch
from cases import draw_of, jit_warning, quick
from hypothesis import given
from hypothesis import strategies as st

from monops import BlockSpace, Dense, Diagonal, FromScipy, Identity, multi_tier, tree, verify
from monops.errors import DTypeError, MonopsError, NonFiniteError, ShapeError, SingularError
from monops.linear import (
    BlockDiagonal,
    Blocks,
    BlockSubstitution,
    BlockTriangular,
    Circulant,
    CirculantPlusGram,
    CircularConv,
    Decimated,
    Interpolated,
    Krylov,
    Restriction,
    StridedCircularConv,
    ZeroPad,
    aliasing,
    fourier,
    padded_grid,
)
from monops.reference import convolution
from monops.testing.catalogue import LINEAR, TORCH_ONLY

D = torch.float64
axes = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=3)


def close(op: Any, matrix: np.ndarray, atol: float = 1e-11) -> None:
    np.testing.assert_allclose(op.to_dense().numpy(), matrix, rtol=0, atol=atol)


@quick
@given(axes=axes, seed=st.integers(0, 99), channels=st.tuples(st.integers(1, 3), st.integers(1, 3)))
def test_strided_convolutions_on_random_grids(
    axes: list[tuple[int, int]], seed: int, channels: tuple[int, int]
) -> None:
    coarse, stride = zip(*axes, strict=True)
    grid, draw = tuple(n * s for n, s in axes), draw_of("torch64", seed)
    kernel = tuple(int(draw.rng.integers(0, (n + 1) // 2)) * 2 + 1 for n in grid)
    weight, skew = draw.array(*channels, *kernel), draw.array(channels[1], channels[1], *kernel)
    C, B = StridedCircularConv(draw.put(weight), grid, stride), CircularConv(draw.put(skew), grid)
    c, b = convolution.circular(weight, grid, stride).toarray(), convolution.circular(skew, grid).toarray()
    assert C.codomain == (channels[0], *coarse)
    close(C, c)
    close(C.H, c.T)
    M = 0.5 * Identity.like(B) + C.H @ C + B - B.H
    m = 0.5 * np.eye(len(b)) + c.T @ c + b - b.T
    close(M, m)
    inverse = np.linalg.inv(np.eye(len(m)) + 0.7 * m)
    close(M.resolvent(0.7), inverse)
    close(M.resolvent(0.7).H, inverse.T)
    close(C @ M @ C.H, c @ m @ c.T, atol=1e-9)


def test_the_algebra_stays_within_its_kinds() -> None:
    draw = draw_of("torch64")
    grid = (4, 6)
    C = StridedCircularConv(draw.put(draw.array(3, 2, 3, 3)), grid, 2)
    P, Q = CircularConv(draw.put(draw.array(2, 2, 3, 3)), grid), CircularConv(draw.put(draw.array(3, 3, 1, 3)), (2, 3))
    G = C.H @ C
    kinds: dict[type, list[Any]] = {
        CirculantPlusGram: [G, G + P, P + G, G + G, 2.0 * G, G @ G, P @ G, G @ P, G.H, (G + P.H @ P).resolvent(0.1)],
        Decimated: [C @ P, Q @ C, C + C, 3.0 * C, C @ G],
        Interpolated: [C.H, P @ C.H, C.H @ Q, C.H + C.H, -C.H, G @ C.H],
        Circulant: [C @ C.H, C @ G @ C.H, Q @ C @ C.H],
    }
    for kind, operators in kinds.items():
        for operator in operators:
            assert isinstance(operator, kind), (operator.signature, kind)
    other = CircularConv(draw.put(draw.array(2, 2, 3, 3)), (6, 4))
    assert not isinstance(Blocks([[other]]) + Blocks([[other]]), CirculantPlusGram)


@quick
@given(axes=axes)
def test_every_frequency_has_its_aliases(axes: list[tuple[int, int]]) -> None:
    grid, stride = tuple(n * s for n, s in axes), tuple(s for _, s in axes)
    table = aliasing.aliases(grid, stride, torch.device("cpu"))
    assert table.place.shape == (fourier.frequencies(tuple(n for n, _ in axes)), int(np.prod(stride)))
    assert set(table.place.flatten().tolist()) == set(range(fourier.frequencies(grid)))
    x = torch.randn(*reversed(grid), 2, 3, dtype=D)
    y = fourier.spectrum(x, grid)
    torch.testing.assert_close(aliasing.scatter(aliasing.gather(y, grid, stride), grid, stride), y, rtol=0, atol=0)
    sampled = x[tuple(slice(None, None, s) for s in reversed(stride))]
    complex_y = torch.complex(y[:, :2], y[:, 2:])
    mean = aliasing.fold(complex_y, grid, stride).mean(1)
    want = fourier.spectrum(sampled, tuple(n for n, _ in axes))
    torch.testing.assert_close(torch.cat([mean.real, mean.imag], 1), want, rtol=0, atol=1e-12)


# Blocks


def test_a_block_space_is_made_of_views() -> None:
    space = BlockSpace(((2, 3, 4), (5,), (1, 2)))
    z = torch.randn(6, 7, space.domain[0])
    parts = space.split(z)
    assert [tuple(p.shape) for p in parts] == [(6, 7, 2, 3, 4), (6, 7, 5), (6, 7, 1, 2)]
    assert all(p.untyped_storage().data_ptr() == z.untyped_storage().data_ptr() for p in parts)
    assert torch.equal(space.join(parts), z)
    as_numpy = space.split(z.numpy())
    for mine, theirs in zip(parts, as_numpy, strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs)
    np.testing.assert_array_equal(space.join(as_numpy), z.numpy())
    assert space.join([parts[0][:, :1], parts[1], parts[2]]).shape == z.shape, "batch axes broadcast"
    arranged = torch.randn(space.domain[0], 6).T
    first, *_ = space.split(arranged)
    assert first.permute(3, 2, 1, 0).is_contiguous(), "in Fortran order each part is one piece"


def test_blocks_keep_their_structure() -> None:
    draw = draw_of("torch64")
    A, B, C = (Dense(draw.put(draw.array(3, 3))) for _ in range(3))
    lower, diagonal = BlockTriangular([[A, None], [B, C]]), BlockDiagonal([A, C])
    I = Identity.like(lower)  # noqa: E741
    kinds: dict[type, list[Any]] = {
        BlockTriangular: [
            lower + lower,
            lower @ lower,
            lower.H,
            2.0 * lower,
            lower + diagonal,
            lower + I,
            lower - lower,
        ],
        BlockDiagonal: [diagonal + diagonal, diagonal @ diagonal, diagonal.H, diagonal + I, diagonal.resolvent(0.1)],
        Blocks: [lower + lower.H, lower.H @ lower],
        BlockSubstitution: [lower.resolvent(0.1), lower.H.resolvent(0.1), lower.resolvent(0.1).H],
        Krylov: [(lower.H @ lower).resolvent(0.1)],
    }
    for kind, operators in kinds.items():
        for operator in operators:
            assert type(operator) is kind, (operator.signature, kind)
    a = lower.to_dense().numpy()
    close(lower.resolvent(0.1), np.linalg.inv(np.eye(6) + 0.1 * a))
    close(lower.H.resolvent(0.1), np.linalg.inv(np.eye(6) + 0.1 * a.T))
    assert verify(lower)


def test_blocks_of_numpy_and_of_several_kinds() -> None:
    from scipy import sparse

    S = FromScipy(sparse.eye_array(3, format="csc") * 2.0)
    mixed = BlockTriangular([[S, None], [Dense(np.ones((2, 3))), Diagonal(np.array([1.0, 2.0]))]])
    x = np.arange(5.0)
    np.testing.assert_allclose(mixed(x), [0.0, 2.0, 4.0, 6.0, 11.0])
    assert verify(mixed, dtype=np.float64)


# Bad input

ones = torch.ones(2, 2, 3)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: StridedCircularConv(ones, (7,), 2), ShapeError, r"stride \(2,\) on the grid \(7,\)"),
        (lambda: StridedCircularConv(ones, (6,), 0), ShapeError, r"stride \(0,\)"),
        (lambda: StridedCircularConv(ones, (6,), (2, 2)), ShapeError, "divides the grid"),
        (lambda: StridedCircularConv(torch.ones(2, 2, 4), (6,), 2), ShapeError, "odd kernels"),
        (lambda: StridedCircularConv(torch.ones(2, 2, 7), (6,), 2), ShapeError, "no larger than the grid"),
        (lambda: Restriction((4,), (3,), (2,)), ShapeError, r"within \(4,\), got one of shape \(3,\) from \(2,\)"),
        (lambda: ZeroPad((4, 4), (3,)), ShapeError, "a box within"),
        (lambda: padded_grid((4, 4), (3,)), ShapeError, "as many sizes of the kernel"),
        (lambda: CircularConv(cast(Any, np.ones((2, 2, 3))), (6,)), DTypeError, "a tensor as weight, got ndarray"),
        (lambda: BlockSpace(()), ShapeError, "at least one part"),
        (lambda: BlockSpace(((2,),)).split(torch.ones(3)), ShapeError, r"\(\*batch, 2\), got \(3,\)"),
        (lambda: BlockSpace(((2,),)).join([torch.ones(3)]), ShapeError, r"shapes \(\(2,\),\) wanted, got \[\(3,\)\]"),
        (lambda: Blocks([]), ShapeError, "rows of one length"),
        (lambda: Blocks([[Dense(torch.eye(2))], []]), ShapeError, "rows of one length"),
        (lambda: Blocks([[Dense(torch.eye(2)), None]]), ShapeError, "column 1"),
        (lambda: Blocks([[Dense(torch.eye(2))], [Dense(torch.eye(3))]]), ShapeError, "domain in column 0"),
        (lambda: BlockDiagonal([Dense(torch.eye(2)), Dense(torch.eye(2, dtype=D))]), DTypeError, "one dtype"),
        (lambda: BlockDiagonal([]), ShapeError, "rows of one length"),
        (lambda: BlockTriangular([[Dense(torch.eye(2))] * 2] * 2), ShapeError, r"got some at"),
        (lambda: BlockTriangular([[Dense(torch.ones(3, 2))]]), ShapeError, "square blocks"),
        (lambda: multi_tier([Dense(torch.eye(2))], [], [], m=1.0), ShapeError, "got 1, 0, 0"),
        (
            lambda: multi_tier([Dense(torch.eye(2))] * 2, [Dense(torch.eye(3))], [Dense(torch.eye(2))] * 2, m=1.0),
            ShapeError, r"down\[0\] maps \(3,\) to \(3,\), wanted \(2,\) to \(2,\)",
        ),
        (lambda: StridedCircularConv(ones * torch.nan, (6,), 2).norm(), NonFiniteError, "NaN"),
        (lambda: CircularConv(ones * torch.nan, (6,)).norm(), NonFiniteError, "NaN"),
        (lambda: CircularConv(ones * torch.nan, (6,)).monotonicity(), NonFiniteError, "NaN"),
        (lambda: BlockDiagonal([CircularConv(ones * torch.nan, (6,))]).resolvent(1.0), NonFiniteError, "NaN"),
    ],
)  # fmt: skip
def test_wrong_input_is_named(make: Any, error: type[MonopsError], match: str) -> None:
    with pytest.raises(error, match=match):
        make()


def test_a_singular_resolvent_is_named() -> None:
    minus = torch.zeros(1, 1, 3, dtype=D)
    minus[0, 0, 1] = -1.0
    C = StridedCircularConv(torch.ones(1, 1, 1, dtype=D), (4,), 2)
    P = CircularConv(minus, (4,))
    with pytest.raises(SingularError, match="singular"):
        (P + C.H @ C).resolvent(1.0)
    with pytest.raises(SingularError, match="singular"):
        BlockTriangular([[P]]).resolvent(1.0)


def test_blocks_may_be_families() -> None:
    entries = torch.arange(1.0, 13, dtype=torch.float64).reshape(4, 3)
    one, two = Diagonal(entries, 1), Diagonal(entries[:, :2] + 1, 1)
    coupling = Dense(torch.ones(2, 3, dtype=torch.float64))
    index = torch.tensor([2, 0])
    z = torch.randn(4, 5, dtype=torch.float64)
    for op in (BlockDiagonal((one, two)), BlockTriangular([[one, None], [coupling, two]])):
        inverse = op.resolvent(0.5)
        assert op.batch == inverse.batch == (4,)
        assert op.to_dense().shape == (4, 5, 5)
        torch.testing.assert_close(torch.linalg.solve(torch.eye(5) + 0.5 * op.to_dense(), z), inverse(z))
        for family in (op, inverse):
            torch.testing.assert_close(family.take(index, (4, 5))(z[index]), family(z)[index])


def test_grids_have_at_most_three_axes() -> None:
    for grid in ((), (2, 2, 2, 3)):
        with pytest.raises(ShapeError, match="one to three axes"):
            Circulant(torch.ones(24, 1, 1, dtype=torch.complex128), grid)


def test_grams_of_other_strides_are_composed() -> None:
    C, D = (StridedCircularConv(torch.randn(1, 1, 3, dtype=torch.float64), (12,), s) for s in (2, 3))
    product = (C.H @ C) @ D.H
    torch.testing.assert_close(product.to_dense(), C.H.to_dense() @ C.to_dense() @ D.H.to_dense())


def test_derivatives_after_inference() -> None:
    weight = torch.randn(3, 2, 5, 7, dtype=torch.float64)
    x = torch.randn(2, 22, 26, dtype=torch.float64)
    with torch.inference_mode():
        first = CircularConv(weight, (22, 26)).circulant(x)
        strided = StridedCircularConv(weight, (22, 26), 2)(x)
    x.requires_grad_()
    second = CircularConv(weight, (22, 26)).circulant(x)
    torch.testing.assert_close(second, first)
    torch.autograd.grad(second.sum(), x)
    torch.autograd.grad(StridedCircularConv(weight, (22, 26), 2)(x).sum(), x)
    assert strided.shape == (3, 11, 13)


@pytest.mark.parametrize("bad", [((8,), (2,)), ((8,), (3,), (0,)), ((0,), (3,))])
def test_bad_padded_grids(bad: Any) -> None:
    with pytest.raises(ShapeError, match="odd kernels"):
        padded_grid(*bad)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: BlockDiagonal([torch.eye(3)]), "LinearOperators.*got Tensor"),  # type: ignore[list-item]
        (lambda: multi_tier([Identity((2,))] * 2, [None], [Identity((2,))] * 2, m=0.1), r"NoneType as down\[0\]"),  # type: ignore[list-item]
        (lambda: multi_tier([Identity((2,))], [], [Identity((3,))], m=0.1), r"B\[0\] wants to map \(2,\)"),
        (lambda: multi_tier([Identity((2,))], [], [Identity((2,))], m=-1.0), r"m in \[0, ∞\), got -1"),
        (lambda: CircularConv(torch.ones(1, 1, 3), 8), r"such as \(8,\).*got 8"),  # type: ignore[arg-type]
        (lambda: CircularConv(torch.ones(1, 1, 3), (8.5,)), r"integers ≥ 1.*got \(8.5,\)"),  # type: ignore[arg-type]
        (lambda: CircularConv(torch.ones(0, 1, 3), (8,)), "at least one channel"),
        (lambda: CircularConv(torch.tensor([[[-0.5, 0, -0.5]]]), (8,)).resolvent(1.0), "matrix 0 of 5 has.*inf"),
    ],
)
def test_what_new_users_have_tried(make: Any, match: str) -> None:
    with pytest.raises(MonopsError, match=match):
        make()


@pytest.mark.parametrize("name", [*TORCH_ONLY, "Blocks", "Composed", "Factored"])
def test_the_derivative_of_a_pairing_is_that_of_the_product(name: str) -> None:
    op = {**LINEAR, **TORCH_ONLY}[name](draw_of("torch64")).op
    flat = tree.flatten(op)
    theta = [leaf.clone().requires_grad_(leaf.is_floating_point() or leaf.is_complex()) for leaf in flat.leaves]
    moved = flat.rebuild(theta, fresh=True)
    x, w = torch.randn(3, *op.domain, dtype=D), torch.randn(3, *op.codomain, dtype=D)
    got, want = moved.pairing(x, w), (moved(x) * w).sum()
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)
    gradients = (torch.autograd.grad(value, theta) for value in (got, want))
    for mine, theirs, leaf in zip(*gradients, flat.leaves, strict=True):
        if leaf.is_complex():  # along symbols of real operators; with others nothing is promised
            directions = torch.randn(5, 1, leaf.shape[1], leaf.shape[1], dtype=leaf.dtype).real.to(leaf.dtype) @ leaf
            mine, theirs = ((g.conj() * directions).real.sum((1, 2, 3)) for g in (mine, theirs))
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)


@jit_warning
def test_what_is_kept_for_all_is_plain_whoever_asks_first() -> None:
    """Inside of `torch.func` or of inference mode, too: it would be of no use outside."""
    weight, x = torch.randn(2, 2, 3, dtype=D), torch.randn(4, 2, 23, dtype=D)  # a grid that no other test has

    def value(weight: torch.Tensor) -> torch.Tensor:
        return CircularConv(weight, (23,)).circulant.pairing(x, x)

    torch.func.hessian(value)(weight)
    gradient = torch.func.grad(value)(weight)
    with torch.inference_mode():
        StridedCircularConv(torch.ones(1, 1, 3, dtype=D), (46,), 2)(torch.ones(1, 46, dtype=D))
    weight.requires_grad_()
    torch.testing.assert_close(torch.autograd.grad(value(weight), weight)[0], gradient)
    C = StridedCircularConv(weight, (46,), 2)
    (C.H @ C).resolvent(1.0)(torch.ones(2, 46, dtype=D)).sum().backward()
    assert weight.grad is not None
    assert weight.grad.isfinite().all()
