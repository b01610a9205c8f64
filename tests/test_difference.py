"""Forward differences on random grids, what they make of total variation, and bad input."""

from typing import Any, Literal

import numpy as np
import pytest
import torch
from cases import quick
from hypothesis import given
from hypothesis import strategies as st

from monops import L1, ChambollePock, FiniteDifference, Identity, LeastSquares, Subdifferential, solve
from monops.errors import MonopsError, OptionError, ShapeError
from monops.functions import TV1D

grids = st.lists(st.integers(1, 5), min_size=1, max_size=3)


@quick
@given(grid=grids, periodic=st.booleans(), seed=st.integers(0, 99), use_numpy=st.booleans())
def test_on_random_grids(grid: list[int], periodic: bool, seed: int, use_numpy: bool) -> None:
    x = np.random.default_rng(seed).standard_normal((2, *grid))
    mode: Literal["wrap", "edge"] = "wrap" if periodic else "edge"
    want = [
        np.diff(np.pad(x, [(0, int(k == axis)) for k in range(x.ndim)], mode), axis=axis) for axis in range(1, x.ndim)
    ]
    D = FiniteDifference(tuple(grid), periodic=periodic, dtype=np.float64 if use_numpy else torch.float64)
    np.testing.assert_array_equal(np.asarray(D(x if use_numpy else torch.from_numpy(x))), np.stack(want, -1))
    matrix = np.asarray(D.to_dense())
    np.testing.assert_array_equal(np.asarray(D.H.to_dense()), matrix.T)
    assert D.norm() == pytest.approx(np.linalg.norm(matrix, 2), abs=1e-12)
    assert D.H.norm() == D.norm()
    assert D.H.H is D


def test_total_variation_along_a_line_is_the_exact_prox() -> None:
    b = torch.randn(3, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    D = FiniteDifference((20,), dtype=torch.float64)
    F = Subdifferential(LeastSquares(Identity((20,), dtype=torch.float64), b))
    G = Subdifferential(L1(0.4, axes=2)).precompose(D)
    got = solve(ChambollePock(0.3), F, G, torch.zeros_like(b), tol=1e-10, max_steps=20_000).point
    torch.testing.assert_close(got, TV1D(0.4).prox(b, 1.0), rtol=0, atol=1e-8)


def test_an_empty_grid_has_norm_0() -> None:
    assert FiniteDifference((0, 3)).norm() == 0


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (((4, 3), (0, -2)), OptionError, r"distinct axes of the domain \(4, 3\), got \(0, -2\)"),
        (((4, 3), (2,)), OptionError, "distinct axes"),
        (((4,), ()), OptionError, "distinct axes"),
        (((),), OptionError, "distinct axes"),
        (((4, -1),), ShapeError, "sizes ≥ 0"),
    ],
)
def test_bad_input_is_refused(arguments: Any, error: type[MonopsError], match: str) -> None:
    with pytest.raises(error, match=match):
        FiniteDifference(*arguments)
