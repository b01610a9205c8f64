"""Operators are taken apart however they were put together: multiples, translations, and sums in any order."""

import itertools
from typing import Any

import pytest
import torch

from monops import (
    ADMM,
    L1,
    Affine,
    Box,
    ChambollePock,
    CondatVu,
    DavisYin,
    Dense,
    Identity,
    LeastSquares,
    LinearizedADMM,
    NormalCone,
    ProximalPoint,
    QuadraticForm,
    SquaredL2,
    Subdifferential,
    ZeroOperator,
    solve,
)
from monops.errors import ConditionError, NoResolventError
from monops.functions import Zero
from monops.monotone import MonotoneOperator

D = torch.float64
S = torch.tensor([[2.0, 1.0, 0.0], [1.0, 3.0, 0.5], [0.0, 0.5, 1.0]], dtype=D)
b = torch.tensor([1.0, -2.0, 3.0], dtype=D)
C = Affine(Dense(S, symmetric=True), b)
K = Dense(torch.tensor([[1.0, -1.0, 0.0], [0.0, 1.0, -1.0]], dtype=D))
ABS, BOX = Subdifferential(L1(0.3)), NormalCone(Box(-0.5, 0.8))
c = torch.tensor([0.3, -0.2, 0.5], dtype=D)
TIGHT: dict[str, Any] = {"tol": 1e-11, "max_steps": 20000}
BEHIND = {"ChambollePock": ChambollePock(0.3), "CondatVu": CondatVu(0.2), "LinearizedADMM": LinearizedADMM(0.5)}
THREE = {"DavisYin": DavisYin(0.2), "CondatVu": CondatVu(0.2)}


def same(method: Any, A: MonotoneOperator, B: MonotoneOperator, want: torch.Tensor) -> None:
    torch.testing.assert_close(solve(method, A, B, torch.zeros(3, dtype=D), **TIGHT).point, want, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", [*BEHIND, "ADMM"])
def test_a_multiple_or_translation_of_an_operator_behind_a_linear_one(name: str) -> None:
    method = {**BEHIND, "ADMM": ADMM(0.5)}[name]
    doubled = Subdifferential(L1(0.6)).precompose(K)
    want = solve(method, C, doubled, **TIGHT).point
    for multiple in (2.0 * ABS.precompose(K), ABS.precompose(K) * 2, 4.0 * (0.5 * ABS.precompose(K))):
        same(method, C, multiple, want)
    moved = Subdifferential(L1(0.3)).translate(K(c)).precompose(K)
    same(method, C, ABS.precompose(K).translate(c), solve(method, C, moved, **TIGHT).point)
    twice = ABS.precompose(Dense(K.to_dense() @ S))
    same(method, C, ABS.precompose(K).precompose(Dense(S)), solve(method, C, twice, **TIGHT).point)


@pytest.mark.parametrize("method", [ChambollePock(0.3), CondatVu(0.2), LinearizedADMM(0.5), ADMM(0.5)], ids=repr)
@pytest.mark.parametrize(
    "B",
    [ABS.precompose(K) + b, ABS.precompose(K) + Identity((3,), dtype=D), ABS.precompose(K) + BOX],
    ids=["shifted", "curved", "a sum"],
)
def test_an_operator_behind_a_linear_one_inside_of_another_is_refused_in_words(method: Any, B: Any) -> None:
    with pytest.raises(ConditionError, match=r"it is all of the second operator.*add the rest to the first"):
        solve(method, C, B)


@pytest.mark.parametrize("name", THREE)
def test_sums_of_three_in_every_order(name: str) -> None:
    method, B = THREE[name], Subdifferential(SquaredL2(1.0))
    both = Affine(Dense(S + 0.5 * torch.eye(3, dtype=D), symmetric=True), b + c)
    want = solve(method, BOX + both, B, torch.zeros(3, dtype=D), **TIGHT).point
    rest = Affine(Dense(0.5 * torch.eye(3, dtype=D), symmetric=True), c)
    smooth = Subdifferential(QuadraticForm(Dense(S, symmetric=True), b))
    for x, y, z in itertools.permutations((BOX, smooth, rest)):
        same(method, x + y + z, B, want)
        same(method, x + (y + z), B, want)
    same(method, 0.5 * ((2.0 * smooth + 2.0 * BOX) + 2.0 * rest), B, want)
    same(method, (BOX + smooth + 0.5 * Identity((3,), dtype=D)) + (-c), B, want)
    same(method, ZeroOperator() + smooth + BOX + rest, B, want)
    same(method, (BOX.translate(-c) + both.translate(-c)).translate(c), B, want)


@pytest.mark.parametrize("name", THREE)
def test_a_sum_of_two_that_are_not_cocoercive_is_refused_in_words(name: str) -> None:
    for A in (ABS + BOX + C, C + ABS + BOX, ABS + (C + BOX), ABS + BOX):
        with pytest.raises(ConditionError, match=r"all terms but one are cocoercive.*that are not"):
            solve(THREE[name], A, Subdifferential(SquaredL2(1.0)), torch.zeros(3, dtype=D))


def test_unproven_terms_are_evaluated_where_they_can_be() -> None:
    skew = Affine(Dense(torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=D)), torch.ones(2, dtype=D))
    for A in (ABS + skew, skew + ABS):
        _, _, C = DavisYin(0.1, allow_unproven=True).prepare(A, BOX)
        assert C is skew


@pytest.mark.parametrize(
    ("A", "M", "q"),
    [
        (Subdifferential(LeastSquares(K, K(c))), K.to_dense().mT @ K.to_dense(), K.to_dense().mT @ K(c)),
        (Subdifferential(QuadraticForm(Dense(S, symmetric=True), 2.0)), S, 2.0 * torch.ones(3, dtype=D)),
        (Subdifferential(0.5 * QuadraticForm(C.linear, b) + SquaredL2(3.0)), S / 2 + 3 * torch.eye(3), b / 2),
        (2.0 * C, 2 * S, 2 * b),
        (C.translate(c), S, b + S @ c),
        ((3.0 * C) + 2.0 * Identity((3,), dtype=D) + c, 3 * S + 2 * torch.eye(3), 3 * b - c),
        (Subdifferential(LeastSquares(K, K(c))) + C, K.to_dense().mT @ K.to_dense() + S, K.to_dense().mT @ K(c) + b),
        (2.0 * Affine(Identity((2,), dtype=D)).precompose(K), 2 * K.to_dense().mT @ K.to_dense(), 0 * b),
    ],
    ids=["least squares", "a form", "a perturbed multiple", "a multiple", "moved", "perturbed", "a sum", "behind K"],
)  # fmt: skip
def test_what_is_affine_is_known_to_be(A: MonotoneOperator, M: torch.Tensor, q: torch.Tensor) -> None:
    affine = A.as_affine()
    assert affine is not None
    torch.testing.assert_close(affine.linear.to_dense(), M.to(D))
    torch.testing.assert_close(affine.b, q)
    x = torch.tensor([0.1, 0.7, -0.4], dtype=D)
    torch.testing.assert_close(affine(x), A(x))


def test_what_is_not_affine_is_not() -> None:
    for A in (ABS, 2.0 * ABS, ABS.translate(c), ABS + b, ABS + C, ABS.precompose(K), Subdifferential(2.0 * L1())):
        assert A.as_affine() is None


def test_admm_behind_a_linear_operator_takes_all_that_is_affine() -> None:
    B = ABS.precompose(K)
    least = Subdifferential(LeastSquares(Dense(S), S @ c))
    want = solve(ChambollePock(0.3), least, B, torch.zeros(3, dtype=D), **TIGHT).point
    for A in (least, 2.0 * Subdifferential(0.5 * LeastSquares(Dense(S), S @ c))):
        same(ADMM(0.5), A, B, want)


def test_an_operator_behind_a_linear_one_says_where_it_belongs() -> None:
    with pytest.raises(NoResolventError, match="hand it as B to a primal-dual method"):
        solve(ChambollePock(0.5), ABS.precompose(K), BOX, torch.zeros(3, dtype=D))


def test_what_is_zero_is_known_to_be() -> None:
    nothing = Subdifferential(Zero())
    for A in (nothing, 2.0 * nothing, nothing + ZeroOperator(), nothing.precompose(K), Subdifferential(0.5 * Zero())):
        assert A.is_zero
    for A in (nothing + b, nothing.inverse(), BOX, ABS, Subdifferential(SquaredL2()), nothing + ABS):
        assert not A.is_zero
    point = solve(ProximalPoint(0.5), C, 2.0 * nothing, **TIGHT).point
    torch.testing.assert_close(point, torch.linalg.solve(S, b))


def test_zero_beside_a_single_operator_has_its_axes() -> None:
    on_images = Subdifferential(SquaredL2(1.0, axes=2))
    J, _, _ = DavisYin(0.5).prepare(on_images, on_images)
    assert J.derivative(torch.ones(4, 2, 3)).domain == (2, 3)
