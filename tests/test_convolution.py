"""Circulant operators: against index arithmetic, in space and in frequency, by both transforms."""

import math
from typing import Any

import pytest
import torch
from cases import KINDS, draw_of, is_numpy, jit_warning, quick
from hypothesis import given, settings
from hypothesis import strategies as st

from monops import Affine, CircularConv, Identity, PeacemanRachford, ReLU, Subdifferential, equilibrium, solve
from monops.errors import MonopsError, ShapeError
from monops.linear import Circulant, fourier
from monops.linear.circulant import ShiftInvariant
from monops.linear.convolution import correlate, one_product
from monops.reference import convolution
from monops.testing import check_linear_operator
from monops.testing.catalogue import TORCH_ONLY

D = torch.float64
grids = st.lists(st.integers(1, 7), min_size=1, max_size=3)


@pytest.fixture(params=["matrix products", "FFT"])
def transform(request: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "FFT":
        monkeypatch.setattr(fourier, "SEPARABLE_LIMIT", {"cpu": 0, "cuda": 0})
    return str(request.param)


@pytest.mark.parametrize("name", list(TORCH_ONLY))
@pytest.mark.parametrize("kind", [kind for kind in KINDS if not is_numpy(kind)])
def test_laws(name: str, kind: str, transform: str) -> None:
    case = TORCH_ONLY[name](draw_of(kind))
    check_linear_operator(case.op, case.matrix)


@quick
@given(grid=grids, seed=st.integers(0, 99))
def test_space_frequency_and_index_arithmetic_agree(grid: list[int], seed: int) -> None:
    draw = draw_of("torch64", seed)
    kernel = [int(draw.rng.integers(0, (n + 1) // 2)) * 2 + 1 for n in grid]
    weight = draw.array(2, 3, *kernel)
    A, x = CircularConv(draw.put(weight), tuple(grid)), draw.put(draw.array(4, 3, *grid))
    want = draw.put(convolution.circular(weight, tuple(grid)) @ x.reshape(4, -1).numpy().T).T.reshape(4, 2, *grid)
    torch.testing.assert_close(A(x), want, rtol=0, atol=1e-12)
    torch.testing.assert_close(A.circulant(x), want, rtol=0, atol=1e-12)
    torch.testing.assert_close(A.circulant(A.arrange(x)), want, rtol=0, atol=1e-12)


@quick
@given(grid=grids)
def test_the_two_transforms_are_one(grid: list[int]) -> None:
    x = torch.randn(*grid, 2, 3, dtype=D)
    limit = fourier.SEPARABLE_LIMIT
    try:
        products = fourier.spectrum(x, tuple(reversed(grid)))
        fourier.SEPARABLE_LIMIT = {"cpu": 0}
        library = fourier.spectrum(x, tuple(reversed(grid)))
        torch.testing.assert_close(products, library, rtol=0, atol=1e-11)
        torch.testing.assert_close(fourier.inverse(library, tuple(reversed(grid))), x, rtol=0, atol=1e-12)
    finally:
        fourier.SEPARABLE_LIMIT = limit
    torch.testing.assert_close(fourier.inverse(products, tuple(reversed(grid))), x, rtol=0, atol=1e-12)


def paper(a: torch.Tensor, b: torch.Tensor, grid: tuple[int, ...], m: float = 0.5) -> Any:
    A, B = CircularConv(a, grid), CircularConv(b, grid)
    I = Identity.like(A)  # noqa: E741
    return I - ((1 - m) * I - A.H @ A + B - B.H)


def test_the_algebra_stays_circulant() -> None:
    M = paper(torch.randn(2, 2, 3, 3, dtype=D), torch.randn(2, 2, 3, 3, dtype=D), (4, 5))
    for op in (M, M.H, M.resolvent(0.3), M.resolvent(0.3).H, 2.0 * M, M @ M):
        assert isinstance(op, ShiftInvariant)
    torch.testing.assert_close(M.resolvent(0.3).H.to_dense(), M.H.resolvent(0.3).to_dense(), rtol=0, atol=1e-13)
    assert M.monotonicity() >= 0.5 - 1e-12


def test_equilibria_keep_their_memory_order_and_match_the_reference() -> None:
    draw = draw_of("torch64")
    a, b, grid = draw.array(2, 2, 3, 3, scale=0.3), draw.array(2, 2, 3, 3, scale=0.3), (4, 5)
    M, c = paper(draw.put(a), draw.put(b), grid), draw.put(draw.array(6, 2, *grid))
    result = solve(PeacemanRachford(0.4), Affine(M, c, claim=0.5), Subdifferential(ReLU(axes=3)), tol=1e-12)
    matrix_a, matrix_b = (convolution.circular(w, grid).toarray() for w in (a, b))
    W = 0.5 * torch.eye(len(matrix_a), dtype=D) + draw.put(-matrix_a.T @ matrix_a + matrix_b - matrix_b.T)
    z = result.point.flatten(1)
    torch.testing.assert_close(z, torch.relu(z @ W.mT + c.flatten(1)), rtol=0, atol=1e-10)
    assert result.point.stride()[0] == 1, "batch innermost"


@jit_warning
def test_derivatives_through_weights_and_data() -> None:
    torch.manual_seed(0)
    a, b = (0.3 * torch.randn(2, 2, 3, 1, dtype=D) for _ in range(2))
    c = torch.randn(2, 2, 3, 2, dtype=D)

    def point(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        A, B = Affine(paper(a, b, (3, 2)), c, claim=0.5), Subdifferential(ReLU(axes=3))
        return equilibrium(PeacemanRachford(0.5), A, B, tol=1e-13, max_steps=2000).point

    inputs = tuple(t.requires_grad_() for t in (a, b, c))
    assert torch.autograd.gradcheck(point, inputs, check_forward_ad=True)


def test_the_route_is_the_cheaper_one() -> None:
    small, large = torch.randn(2, 2, 3, 3), torch.randn(40, 40, 9, 9)
    assert CircularConv(small, (12, 12)).route == "space"
    assert CircularConv(large, (12, 12)).route == "frequency"
    A = CircularConv(large.double(), (12, 12))
    x = torch.randn(2, 40, 12, 12, dtype=D)
    torch.testing.assert_close(A(x), A.H.H(x), rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("weight", "grid", "match"),
    [
        (torch.zeros(2, 2, 2, 3), (4, 4), r"odd kernels .*got \(2, 3\) on \(4, 4\)"),
        (torch.zeros(2, 2, 5, 3), (4, 4), r"no larger than the grid, got \(5, 3\)"),
        (torch.zeros(2, 2, 3), (4, 4), r"the same 1 to 3 axes, got \(2, 2, 3\) and \(4, 4\)"),
        (torch.zeros(2, 2, 1, 1, 1, 1), (4, 4, 4, 4), "1 to 3 axes"),
    ],
)
def test_wrong_kernels_are_named(weight: torch.Tensor, grid: tuple[int, ...], match: str) -> None:
    with pytest.raises(ShapeError, match=match):
        CircularConv(weight, grid)


def test_wrong_data_is_named() -> None:
    with pytest.raises(ShapeError, match=r"shape \(15, out, in\), complex"):
        Circulant(torch.zeros(3, 2, 2, dtype=torch.complex64), (4, 5))
    A = CircularConv(torch.tensor([[[math.nan, 0.0, 0.0]]]), (4,))
    with pytest.raises(MonopsError, match="NaN or an infinity"):
        A.resolvent(1.0)
    minus = CircularConv(torch.tensor([[[0.0, -1.0, 0.0]]], dtype=D), (4,))
    with pytest.raises(MonopsError, match="one matrix for each frequency, is singular"):
        minus.resolvent(1.0)


def test_the_algebra_knows_what_is_symmetric() -> None:
    """So the gradient of a least-squares term is cocoercive with 1/L, not with m/L²."""
    C = CircularConv(torch.randn(2, 2, 3, dtype=D), (8,))
    gram = C.H @ C
    for op in (gram, 2.0 * gram + Identity.like(gram), gram.H, gram.resolvent(0.5), gram + gram):
        assert op.symmetric
        torch.testing.assert_close(op.to_dense(), op.to_dense().mT)
    assert not (gram + C).symmetric
    assert not (C @ C).symmetric
    A = Affine(gram)
    assert A.is_gradient
    assert A.cocoercivity == pytest.approx(1 / A.lipschitz)


@given(
    grid=st.lists(st.integers(1, 12), min_size=1, max_size=3).filter(lambda sizes: math.prod(sizes) <= 200),
    channels=st.tuples(*[st.integers(1, 4)] * 3),
    seed=st.integers(0, 99),
)
@settings(max_examples=30, deadline=None)
def test_products_of_kernels_are_those_of_symbols(grid: list[int], channels: tuple[int, int, int], seed: int) -> None:
    """Whether the algebra multiplies kernels or symbols, and however large the kernels become, the map is the same."""
    torch.manual_seed(seed)
    out, between, into = channels
    sizes = [[min(k, n if n % 2 else n - 1) for n in grid] for k in (3, 5)]
    left = CircularConv(torch.randn(out, between, *sizes[0], dtype=D), tuple(grid))
    right = CircularConv(torch.randn(between, into, *sizes[1], dtype=D), tuple(grid))
    by_symbols = Circulant(left.circulant.symbol @ right.circulant.symbol, tuple(grid)).to_dense()
    torch.testing.assert_close((left @ right).to_dense(), by_symbols, rtol=0, atol=1e-11)
    other = CircularConv(torch.randn(out, into, *sizes[0], dtype=D), tuple(grid))
    total = left @ right + 2.0 * other
    torch.testing.assert_close(total.to_dense(), by_symbols + 2 * other.to_dense(), rtol=0, atol=1e-11)


def test_products_are_taken_where_they_cost_less() -> None:
    kernel = torch.randn(24, 24, 3, 3)
    large, small = CircularConv(kernel, (16, 16)), CircularConv(kernel, (4, 4))
    gram = large.H @ large
    assert isinstance(gram, CircularConv)
    assert gram.kernel == (5, 5)
    assert gram.symmetric
    assert isinstance(small.H @ small, Circulant)
    assert (small.H @ small).symmetric


def test_what_is_kept_under_inference_mode_serves_no_training() -> None:
    op = CircularConv(torch.randn(3, 3, 3, 3, dtype=D), (40, 40))
    x = torch.randn(2, 3, 40, 40, dtype=D)
    with torch.inference_mode():
        for _ in range(3):
            seen = op.circulant(x)
    x.requires_grad_()
    for _ in range(3):
        y = op.circulant(x)
        torch.testing.assert_close(y, seen, rtol=0, atol=1e-12)
        assert torch.autograd.grad(y.sum(), x)[0].isfinite().all()


@quick
@given(grid=grids, seed=st.integers(0, 99))
def test_the_product_that_replaces_convolutions_on_cuda(grid: list[int], seed: int) -> None:
    draw = draw_of("torch64", seed)
    kernel = [int(draw.rng.integers(1, n + 1)) for n in grid]
    x, weight = draw.put(draw.array(2, 3, *grid)), draw.put(draw.array(4, 3, *kernel))
    results = [correlate(x, weight), one_product(x, weight)]
    torch.testing.assert_close(*results, rtol=0, atol=1e-12)
