"""Linear operators: the battery on every kind in every library, closure of the algebra, refusals."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from cases import calls_of, draw_of, is_numpy, jit_warning, libraries, linear_case, linear_cases, quick
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

import monops.linear
from monops import Dense, Diagonal, FromCallable, FromScipy, Identity, LinearOperator, Zero, tree
from monops.errors import DeviceError, DTypeError, NonFiniteError, OptionError, ShapeError, SingularError, StepSizeError
from monops.linear import Composed, Factored, FiniteDifference, Krylov, Restriction, Scaled, Sum
from monops.linear.base import LinearOperator as Base
from monops.linear.spectral import DENSE_LIMIT
from monops.testing import check_linear_operator
from monops.testing.catalogue import LINEAR, TORCH_ONLY

D = torch.float64


def test_every_kind_has_a_case() -> None:
    exported = {getattr(monops.linear, name) for name in monops.linear.__all__ if name[0].isupper()} - {Base}
    cases = {type(linear_case(name, kind).op) for name, kind in linear_cases()}
    assert exported <= cases | {type(make(draw_of("torch64")).op) for make in TORCH_ONLY.values()}


@pytest.mark.parametrize(("name", "kind"), linear_cases())
def test_laws(name: str, kind: str) -> None:
    case = linear_case(name, kind)
    check_linear_operator(case.op, case.matrix)


@pytest.mark.parametrize("name", ["Dense", "Diagonal", "Dense, a family", "Composed", "FromCallable, two axes"])
@quick
@given(seed=st.integers(0, 10**6), size=st.integers(1, 9))
def test_laws_for_other_data(name: str, seed: int, size: int) -> None:
    case = linear_case(name, "torch64", seed, size)
    check_linear_operator(case.op, case.matrix, seed=seed)


@jit_warning
@pytest.mark.parametrize("name", sorted({name for name, kind in linear_cases() if kind == "torch64"} - {"Zero"}))
def test_derivatives(name: str) -> None:
    op = linear_case(name, "torch64", size=3).op
    flat = tree.flatten(op)
    moving = flat.rebuild([leaf.detach().clone().requires_grad_() for leaf in flat.leaves], fresh=True)
    check_linear_operator(moving)


def test_the_scale_of_an_identity_is_differentiable() -> None:
    check_linear_operator(Identity((3,), torch.tensor(0.7, dtype=D, requires_grad=True), dtype=D))
    scaled = torch.tensor(0.7, dtype=D, requires_grad=True) * linear_case("FromCallable", "torch64").op
    assert isinstance(scaled, Scaled)
    check_linear_operator(scaled)


def test_second_derivatives_of_a_resolvent() -> None:
    matrix = linear_case("Dense, I - W of the paper", "torch64", size=3).op.to_dense()
    x = torch.ones(2, 3, dtype=D)
    for symmetric in (False, True):

        def solve(m: torch.Tensor, x: torch.Tensor, symmetric: bool = symmetric) -> torch.Tensor:
            m = (m + m.mT) / 2 if symmetric else m
            return Dense(m, symmetric=symmetric).resolvent(0.4)(x)

        assert torch.autograd.gradgradcheck(solve, (matrix.clone().requires_grad_(), x.clone().requires_grad_()))


# what comes out where two kinds meet: sum, product
CLOSURE: dict[tuple[str, str], tuple[type, type]] = {
    ("dense", "dense"): (Dense, Dense),
    ("dense", "diagonal"): (Dense, Dense),
    ("diagonal", "dense"): (Dense, Dense),
    ("dense", "identity"): (Dense, Dense),
    ("identity", "dense"): (Dense, Dense),
    ("diagonal", "diagonal"): (Diagonal, Diagonal),
    ("diagonal", "identity"): (Diagonal, Diagonal),
    ("identity", "diagonal"): (Diagonal, Diagonal),
    ("identity", "identity"): (Identity, Identity),
    ("zero", "dense"): (Dense, Zero),
    ("dense", "zero"): (Dense, Zero),
    ("diagonal", "zero"): (Diagonal, Zero),
    ("zero", "identity"): (Identity, Zero),
    ("callable", "zero"): (FromCallable, Zero),
    ("callable", "identity"): (Sum, FromCallable),
    ("callable", "dense"): (Sum, Composed),
    ("dense", "callable"): (Sum, Composed),
    ("sparse", "sparse"): (FromScipy, FromScipy),
    ("sparse", "diagonal"): (FromScipy, Composed),
    ("diagonal", "sparse"): (FromScipy, Composed),
    ("sparse", "identity"): (FromScipy, FromScipy),
    ("identity", "sparse"): (FromScipy, FromScipy),
}


@libraries
@pytest.mark.parametrize(("left", "right"), list(CLOSURE))
def test_structure_is_kept(kind: str, left: str, right: str) -> None:
    if "sparse" in (left, right) and not is_numpy(kind):
        kind = "numpy64"  # where sparse matrices live
    n = 4

    def make(what: str, seed: int) -> tuple[LinearOperator, np.ndarray]:
        draw = draw_of(kind, seed, n)
        if what == "identity":
            return Identity((n,), **draw.kind), np.eye(n)
        if what == "zero":
            return Zero((n,), **draw.kind), np.zeros((n, n))
        names = {"diagonal": "Diagonal", "callable": "FromCallable", "sparse": "FromScipy, sparse"}
        if what in names:
            return linear_case(names[what], kind, seed, n)
        matrix = draw.array(n, n)
        return Dense(draw.put(matrix)), matrix

    (a, A), (b, B) = make(left, 1), make(right, 2)
    for op, matrix, wanted in zip((a + b, a @ b), (A + B, A @ B), CLOSURE[left, right], strict=True):
        assert type(op) is wanted
        check_linear_operator(op, matrix)
    if "sparse" in (left, right):
        assert (a + b).is_sparse  # type: ignore[attr-defined]


def test_the_formula_of_the_paper_is_written_literally() -> None:
    draw = draw_of("torch64", 3, 5)
    for make, kind in (
        (lambda: Dense(draw.put(draw.array(5, 5))), Dense),
        (lambda: Diagonal(draw.put(draw.array(5))), Diagonal),
    ):
        A, B, m = make(), make(), 0.3
        identity = Identity.like(A)
        M = identity - ((1 - m) * identity - A.H @ A + B - B.H)
        a, b = A.to_dense(), B.to_dense()
        assert type(M) is kind
        torch.testing.assert_close(M.to_dense(), m * torch.eye(5, dtype=D) + a.T @ a - b + b.T)
        assert M.monotonicity() >= m - 1e-12


def test_symmetry_is_known_by_construction() -> None:
    A, weird = linear_case("Dense", "torch64").op, linear_case("FromCallable", "torch64").op
    for product in (A.H @ A, A @ A.H, weird.H @ weird, 2 * (A.H @ A), A.H @ A + Identity((6,), dtype=D)):
        assert product.symmetric
    assert not (A.H @ Dense(A.matrix)).symmetric  # type: ignore[attr-defined]
    assert not (weird @ weird).symmetric
    assert not (A.H @ A + weird).symmetric


def test_the_adjoint_of_a_resolvent_reuses_its_factor(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = calls_of(monkeypatch, monops.linear.dense, "inverse")
    op = linear_case("Dense, I - W of the paper", "torch64").op
    J = op.resolvent(0.5)
    J.H(torch.ones(6, dtype=D))
    assert len(calls) == 1
    kept = Factored(op)
    for _ in range(2):
        kept.resolvent(0.5), kept.H.resolvent(0.5), kept.H.H.resolvent(0.5)
    assert len(calls) == 2
    kept.H.resolvent(0.7), kept.resolvent(0.7)
    assert len(calls) == 3
    assert kept.norm() == op.norm()
    assert kept.H.monotonicity() == pytest.approx(op.monotonicity())


def test_symmetric_matrices_are_factorised_by_cholesky(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = calls_of(monkeypatch, torch.linalg, "cholesky_ex")
    linear_case("Dense, A.H @ A", "torch64").op.resolvent(1.0)
    linear_case("Dense, I - W of the paper", "torch64").op.resolvent(1.0)
    assert len(calls) == 1
    indefinite = Dense(torch.diag(torch.tensor([1.0, -3.0], dtype=D)), symmetric=True)
    torch.testing.assert_close(indefinite.resolvent(1.0).to_dense(), torch.diag(torch.tensor([0.5, -0.5], dtype=D)))


def test_spectral_facts_of_large_operators_come_from_lanczos() -> None:
    n = DENSE_LIMIT + 90
    entries = np.linspace(-2.0, 3.0, n)
    op = FromCallable(lambda x: entries * x, lambda x: entries * x, (n,), dtype=np.float64, known_symmetric=True)
    assert 3.0 <= op.norm() <= 3.0 + 1e-9
    assert -2.0 - 1e-9 <= op.monotonicity() <= -2.0
    family = Diagonal(torch.ones(2, n), 1) + FromCallable(lambda x: x, lambda x: x, (n,))
    with pytest.raises(ShapeError, match=f"up to {DENSE_LIMIT} unknowns"):
        family.norm()


@libraries
def test_singular_operators_are_named(kind: str) -> None:
    draw = draw_of(kind)
    minus = draw.put(-np.eye(3))
    singular: list[LinearOperator] = [Dense(minus), Dense(minus, symmetric=True), Diagonal(draw.put(-np.ones(3)))]
    singular += [Identity((3,), -1.0, **draw.kind), Dense(draw.put(np.stack([np.eye(3), -np.eye(3)])))]
    if is_numpy(kind):
        singular.append(FromScipy(sparse.csc_array(minus)))
    for op in singular:
        with pytest.raises(SingularError, match=r"step 1|1·op"):
            op.resolvent(1.0)
    nearly = draw.put(np.diag([1.0, 1e-18 - 1.0, 2.0]))
    with pytest.raises(SingularError, match="Dense"):
        Dense(nearly).resolvent(1.0)


@libraries
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_non_finite_matrices_are_named(kind: str, value: float) -> None:
    matrix = np.eye(3)
    matrix[0, 1] = matrix[1, 0] = value
    for symmetric in (False, True):
        with pytest.raises(NonFiniteError, match=r"Dense.*NaN or an infinity"):
            Dense(draw_of(kind).put(matrix), symmetric=symmetric).resolvent(1.0)


def test_operators_which_do_not_fit_are_refused() -> None:
    A, rows = Dense(torch.ones(3, 3, dtype=D)), Dense(torch.ones(2, 3, dtype=D))
    with pytest.raises(ShapeError, match=r"\(3,\) → \(2,\).*\(3,\) → \(3,\)"):
        A + rows
    with pytest.raises(ShapeError, match=r"cannot compose .*\(3,\) → \(3,\).* after .*\(3,\) → \(2,\)"):
        A @ rows
    with pytest.raises(DTypeError, match=r"float64.*float32"):
        A + Dense(torch.ones(3, 3))
    with pytest.raises(DTypeError, match="one dtype"):
        A @ Dense(np.ones((3, 3)))
    with pytest.raises(DeviceError, match=r"cpu.*meta"):
        A + Dense(torch.ones(3, 3, dtype=D, device="meta"))
    with pytest.raises(DeviceError, match="lives on cpu, got an array on meta"):
        A(torch.ones(3, dtype=D, device="meta"))
    with pytest.raises(OptionError, match="compose operators with @"):
        A * A
    with pytest.raises(OptionError, match="only numbers"):
        torch.ones(3, dtype=D) * A
    with pytest.raises(TypeError):
        A + 1.0  # type: ignore[operator]
    with pytest.raises(ShapeError, match="resolvent wants domain = codomain"):
        rows.resolvent(1.0)
    for step in (math.nan, math.inf):
        with pytest.raises(StepSizeError, match="finite step"):
            A.resolvent(step)
    with pytest.raises(ShapeError, match="single operator"):
        Dense(torch.ones(2, 3, 3)).to_scipy()


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: Dense(torch.ones(3)), ShapeError, r"matrix .*got shape \(3,\)"),
        (lambda: Dense(torch.ones(3, 3, dtype=torch.int64)), DTypeError, "float32 or float64 data, got torch.int64"),
        (lambda: Dense(torch.ones(3, 3, dtype=torch.float16)), DTypeError, "torch.float16"),
        (lambda: Dense([[1.0]]), DTypeError, "tensor or a NumPy array, got list"),
        (lambda: Dense(torch.ones(2, 3), symmetric=True), ShapeError, r"square, got shape \(2, 3\)"),
        (lambda: Diagonal(torch.ones(3), 2), ShapeError, "at most 1 domain axes.*got rank 2"),
        (lambda: FromScipy(np.eye(2)), DTypeError, "sparse matrix or LinearOperator, got ndarray"),
        (lambda: FromScipy(sparse.csc_array(np.eye(2, dtype=int))), DTypeError, "float32 or float64 data, got int"),
        (lambda: FromCallable(abs, abs, (2,), (3,), known_symmetric=True), ShapeError, "one space"),
    ],
)  # fmt: skip
def test_what_cannot_be_an_operator_is_refused(make: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        make()


def test_a_gradient_that_would_be_lost_is_refused() -> None:
    weight, layer = torch.ones(3, requires_grad=True), torch.nn.Linear(3, 3)
    with pytest.raises(OptionError, match="params"):
        FromCallable(lambda x: weight * x, lambda x: x, (3,))
    with pytest.raises(OptionError, match="params"):
        FromCallable(lambda x: x, lambda x: layer(x), (3,))


@pytest.mark.parametrize(
    "name", ["Identity", "Zero", "Diagonal", "Dense", "Sum", "Scaled", "Composed", "Factored", "Krylov"]
)
def test_operators_move_to_another_dtype(name: str) -> None:
    case = linear_case(name, "torch64")
    moved = case.op.to(torch.float32)
    assert moved.dtype is torch.float32
    check_linear_operator(moved, case.matrix, tol=1e-4)


def test_numbers_multiply_from_either_side() -> None:
    for op in (Dense(np.eye(2)), linear_case("FromCallable", "numpy64", size=2).op):
        for two in (2, 2.0, np.float64(2), np.array(2.0)):
            for doubled in (two * op, op * two):
                np.testing.assert_array_equal(doubled.to_dense(), 2 * op.to_dense())
    op = Dense(torch.eye(2))
    torch.testing.assert_close((torch.tensor(2.0) * op).to_dense(), 2 * torch.eye(2))


def test_krylov_is_what_an_operator_without_structure_gets() -> None:
    for name in ("FromCallable", "Sum", "Composed", "Scaled"):
        assert isinstance(linear_case(name, "torch64").op.resolvent(0.1), Krylov)


@pytest.mark.parametrize(
    "name", ["Dense, I - W of the paper", "Circulant, I - W of the paper", "multi_tier, 2-d", "Identity"]
)
def test_shifted_maps_stay_the_same_however_often_they_are_used(name: str) -> None:
    draw = draw_of("torch64")
    op = {**LINEAR, **TORCH_ONLY}[name](draw).op
    x, b = draw.put(draw.array(3, *op.domain)), draw.put(draw.array(*op.domain))
    for before, after in ((0.5, 0.0), (0.5, 0.5)):
        shifted, want = op.shifted(b, before, after), op(x + before * b) + after * b
        for _ in range(12):
            torch.testing.assert_close(shifted(x), want, rtol=0, atol=1e-12)


def test_operators_without_data_take_the_default_dtype() -> None:
    try:
        torch.set_default_dtype(torch.float64)
        made = [Identity((2,)), Zero((2,), (2,)), Restriction((4,), (2,)), FiniteDifference((3,))]
        assert {op.dtype for op in made} == {torch.float64}
        assert (made[0] - Dense(torch.ones(2, 2))).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert Identity((2,)).dtype == torch.float32
