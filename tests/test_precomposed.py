"""Kᴴ ∘ A ∘ K: what may be composed, and the facts of what comes out."""

from typing import Any

import numpy as np
import pytest
import torch
from cases import jit_warning

from monops import (
    L1,
    Affine,
    CircularConv,
    Dense,
    Diagonal,
    FiniteDifference,
    FromCallable,
    PeacemanRachford,
    SquaredL2,
    Subdifferential,
    error_bound,
    solve,
)
from monops.errors import OptionError, ShapeError
from monops.linear import LinearOperator
from monops.testing import check_monotone_operator

D = torch.float64
K = Dense(torch.tensor([[1.0, -1.0], [0.5, 2.0], [1.0, 0.0]], dtype=D))


@pytest.mark.parametrize(
    ("A", "inner", "error", "match"),
    [
        (Subdifferential(L1()), torch.ones(3, 2), OptionError, "wants a LinearOperator .* as K, got Tensor"),
        (Subdifferential(L1()), None, OptionError, "wants a LinearOperator .* as K, got NoneType"),
        (
            Affine(Diagonal(torch.ones(2, dtype=D))),
            K,
            ShapeError,
            r"codomain \(3,\) of K, .*got Dense: .* and Affine on",
        ),
        (Subdifferential(L1(axes=2)), K, ShapeError, r"codomain \(3,\).* and Subdifferential on points of 2 axes"),
    ],
    ids=["a tensor", "nothing", "another space", "more axes"],
)
def test_what_does_not_fit_is_refused_at_construction(A: Any, inner: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        A.precompose(inner)


def conv() -> LinearOperator:
    draw = torch.Generator().manual_seed(0)
    return CircularConv(torch.randn(2, 1, 3, dtype=D, generator=draw), (8,))


def free() -> LinearOperator:
    M = K.matrix
    return FromCallable(lambda x: x @ M.mT, lambda y: y @ M, (2,), (3,), dtype=D)


INJECTIVE = {"tall": lambda: K, "square": lambda: Dense(K.matrix[:2]), "circulant": conv, "without a matrix": free}
SINGULAR = {
    "wide": lambda: Dense(K.matrix.mT),
    "tall of rank 1": lambda: Dense(torch.ones(3, 2, dtype=D)),
    "differences": lambda: FiniteDifference((6,), dtype=D),
}


@jit_warning
@pytest.mark.parametrize("name", [*INJECTIVE, *SINGULAR])
def test_facts_of_a_composition_are_those_of_its_parts(name: str) -> None:
    """m σ² with the smallest singular value σ of K, L‖K‖² and β/‖K‖²; for SquaredL2 they are exact."""
    inner = {**INJECTIVE, **SINGULAR}[name]()
    A = Subdifferential(SquaredL2(2.0, axes=len(inner.codomain))).precompose(inner)
    matrix = inner.to_dense().numpy()
    eigenvalues = np.linalg.eigvalsh(matrix.T @ matrix)
    assert A.lipschitz == pytest.approx(2 * eigenvalues[-1])
    assert A.cocoercivity == pytest.approx(0.5 / eigenvalues[-1])
    assert A.strong_monotonicity == pytest.approx(2 * eigenvalues[0] if name in INJECTIVE else 0.0, rel=1e-9, abs=0)
    check_monotone_operator(A, domain=inner.domain)


def test_what_is_not_strongly_monotone_asks_nothing_of_its_linear_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dense, "monotonicity", lambda self: pytest.fail("an eigenvalue was computed"))
    assert Subdifferential(L1()).precompose(K).strong_monotonicity == 0


def test_errors_are_bounded_behind_an_injective_operator() -> None:
    """Neither A alone is strongly monotone, so the bound rests on m of the composition."""
    turn = Affine(Dense(torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=D)), torch.tensor([1.0, 2.0], dtype=D))
    B = Subdifferential(SquaredL2(0.5)).precompose(Dense(torch.tensor([[0.0, 2.0], [2.0, 0.0]], dtype=D)))
    result = solve(PeacemanRachford(0.5), turn, B, tol=1e-6)
    exact = torch.linalg.solve(turn.linear.to_dense() + 2 * torch.eye(2, dtype=D), turn.b)
    bound = error_bound(turn, B, result.point)
    assert float((result.point - exact).norm()) <= bound < 1e-4
