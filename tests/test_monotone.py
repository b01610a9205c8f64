"""Monotone operators and their algebra: the battery on every kind, constants, refusals, derivatives."""

import inspect
import math
from typing import Any

import numpy as np
import pytest
import torch
from cases import (
    MONOTONE,
    draw_of,
    is_numpy,
    jit_warning,
    kinds,
    libraries,
    linear_case,
    orthogonal,
    paper,
    quick,
)
from hypothesis import given
from hypothesis import strategies as st

import monops.monotone
from monops import (
    L1,
    Affine,
    Box,
    Dense,
    Diagonal,
    Identity,
    MonotoneOperator,
    NormalCone,
    ReLU,
    Sigmoid,
    SquaredL2,
    Subdifferential,
    Tanh,
)
from monops.arrays import to_numpy
from monops.errors import (
    DeviceError,
    DTypeError,
    NoResolventError,
    NotSingleValuedError,
    OptionError,
    ShapeError,
    StepSizeError,
)
from monops.monotone import FromResolvent, Inverse, MonotoneSum, Multiple, Perturbed, Translated
from monops.testing import catalogue, check_monotone_operator

D = torch.float64
relu = Subdifferential(ReLU())


def domain_of(name: str) -> tuple[int, ...]:
    return (6, 2) if "two axes" in name else (6,)


def test_every_kind_has_a_case() -> None:
    exported = {getattr(monops.monotone, name) for name in monops.monotone.__all__}
    concrete = {kind for kind in exported if not inspect.isabstract(kind)}
    assert concrete <= {type(make(draw_of("torch64"))) for make in MONOTONE.values()}
    assert len(concrete) >= 10


@kinds
@pytest.mark.parametrize("name", list(MONOTONE))
@jit_warning
def test_laws(name: str, kind: str) -> None:
    draw = draw_of(kind)
    check_monotone_operator(MONOTONE[name](draw), dtype=draw.dtype, domain=domain_of(name))


@jit_warning
@pytest.mark.parametrize("name", list(catalogue.FUNCTIONS))
@libraries
def test_laws_of_subdifferentials(name: str, kind: str) -> None:
    f = catalogue.FUNCTIONS[name]().f
    A = NormalCone(f) if f.is_indicator else Subdifferential(f)
    check_monotone_operator(A, dtype=draw_of(kind).dtype)
    check_monotone_operator(A.inverse(), dtype=draw_of(kind).dtype)


@pytest.mark.parametrize("name", ["Affine, a batch", "FromResolvent", "Inverse", "Precomposed, square", "Perturbed"])
@quick
@given(seed=st.integers(0, 10**6), size=st.integers(3, 9))
def test_laws_for_other_data(name: str, seed: int, size: int) -> None:
    check_monotone_operator(MONOTONE[name](draw_of("torch64", seed, size)), domain=(size,), seed=seed)


@pytest.mark.parametrize("seed", range(4))
def test_claims_are_the_constants_of_the_matrix(seed: int) -> None:
    A, matrix, _ = paper(draw_of("torch64", seed), m=0.3)
    assert A.strong_monotonicity == pytest.approx(np.linalg.eigvalsh((matrix + matrix.T) / 2)[0])
    assert A.lipschitz == pytest.approx(np.linalg.norm(matrix, 2))
    inverse = np.linalg.inv(matrix)  # ⟨y, M⁻¹ y⟩ ≥ β‖y‖² for y = M x
    assert A.cocoercivity == pytest.approx(np.linalg.eigvalsh((inverse + inverse.T) / 2)[0])
    symmetric = MONOTONE["Affine, symmetric"](draw_of("torch64", seed))
    assert symmetric.cocoercivity == pytest.approx(1 / symmetric.lipschitz)
    assert (3 * A).lipschitz == pytest.approx(3 * A.lipschitz)
    assert (A + A).strong_monotonicity == pytest.approx(2 * A.strong_monotonicity)
    assert A.inverse().lipschitz == pytest.approx(1 / A.strong_monotonicity)
    shifted = Subdifferential(L1()) + 0.7 * Identity((6,), dtype=D)
    assert shifted.strong_monotonicity == pytest.approx(0.7)
    assert Affine(Dense(torch.eye(3)), claim=0.2).strong_monotonicity == 0.2
    assert Subdifferential(SquaredL2(3.0)).cocoercivity == pytest.approx(1 / 3)
    assert relu.cocoercivity == 0
    assert Affine(Dense(torch.zeros(2, 2))).cocoercivity == math.inf


@libraries
def test_the_algebra_keeps_structure(kind: str) -> None:
    draw = draw_of(kind)
    A, matrix, b = paper(draw)
    x, c = draw.array(3, 6), draw.array(6)
    put = draw.put
    sums: list[tuple[Any, type, np.ndarray]] = [
        (A + A.linear, Affine, 2 * x @ matrix.T - b),
        (A + A, Affine, 2 * (x @ matrix.T - b)),
        (A + put(c), Affine, x @ matrix.T - b + c),
        (A + 2.0 * Identity((6,), **draw.kind), Affine, x @ matrix.T - b + 2 * x),
        (0.5 * A, Multiple, 0.5 * (x @ matrix.T - b)),
        (A * 0.5, Multiple, 0.5 * (x @ matrix.T - b)),
        (A.translate(put(c)), Translated, (x - c) @ matrix.T - b),
        (Subdifferential(SquaredL2(0.7)) + A, MonotoneSum, 0.7 * x + x @ matrix.T - b),
        (Subdifferential(SquaredL2(0.7)) + A.linear, MonotoneSum, 0.7 * x + x @ matrix.T),
        (Subdifferential(SquaredL2(0.7)) + put(c), Perturbed, 0.7 * x + c),
    ]
    for got, kept, want in sums:
        np.testing.assert_allclose(to_numpy(got(put(x))), want, rtol=1e-12, atol=1e-12)
        assert type(got) is kept
    for reflected in (put(c) + A, put(c) + Subdifferential(SquaredL2(0.7))):
        assert isinstance(reflected, MonotoneOperator)
    assert isinstance(relu + A, MonotoneSum)
    assert type(relu.inverse().inverse()) is Subdifferential
    assert A.inverse().inverse() is A


def test_sums_have_no_resolvent_and_say_what_to_do() -> None:
    with pytest.raises(NoResolventError, match=r"Affine \+ Subdifferential .*to a splitting method"):
        (paper(draw_of("torch64"))[0] + relu).resolvent(1.0)


@pytest.mark.parametrize("step", [0.2, 1.0, 5.0])
def test_a_relation_is_what_its_resolvent_says(step: float) -> None:
    """At step β: d/(d + (β/α)(1 - d)) for a resolvent d at step α; finite at d = 0, the identity at d = 1."""
    d, at = torch.tensor([0.0, 1e-9, 0.25, 0.5, 1.0], dtype=D), 0.8
    x = torch.ones(5, dtype=D)
    got = FromResolvent(Diagonal(d), at).resolvent(step)(x)
    torch.testing.assert_close(got, d / (d + (step / at) * (1 - d)))
    assert got[0] == 0
    assert got[-1] == pytest.approx(1)


def test_a_family_in_a_relation_is_one_a_sample() -> None:
    d = torch.rand(4, 3, dtype=D)
    B, x = FromResolvent(Diagonal(d, 1), 0.5), torch.randn(4, 3, dtype=D)
    whole = B.resolvent(2.0)(x)
    parts = [FromResolvent(Diagonal(d[i]), 0.5).resolvent(2.0)(x[i]) for i in range(4)]
    torch.testing.assert_close(whole, torch.stack(parts))
    index = torch.tensor([2, 0])
    torch.testing.assert_close(B.take(index, tuple(x.shape)).resolvent(2.0)(x[index]), whole[index])


@libraries
def test_shared_shifts_of_two_axes_stay_when_samples_leave(kind: str) -> None:
    """A center of shape (p, q) belongs to every sample, though it has as many axes as a batch of (q,) would."""
    draw = draw_of(kind)
    center, x = draw.put(draw.array(4, 3)), draw.put(draw.array(7, 4, 3))
    index = [5, 1] if is_numpy(kind) else torch.tensor([5, 1])
    f = Subdifferential(L1(0.3, axes=2))
    for A in (f.translate(center), f + center):
        whole = A.resolvent(0.7)(x)
        for taken in (A.take(index, tuple(x.shape)).resolvent(0.7), A.resolvent(0.7).take(index, tuple(x.shape))):
            np.testing.assert_array_equal(to_numpy(taken(x[index])), to_numpy(whole[index]))


@libraries
def test_shifts_of_single_samples_leave_with_them(kind: str) -> None:
    draw = draw_of(kind)
    center, x = draw.put(draw.array(7, 3)), draw.put(draw.array(7, 3))
    index = [5, 1] if is_numpy(kind) else torch.tensor([5, 1])
    for A in (Subdifferential(L1(0.3)).translate(center), Subdifferential(L1(0.3)) + center):
        whole = A.resolvent(0.7)(x)
        np.testing.assert_array_equal(
            to_numpy(A.take(index, tuple(x.shape)).resolvent(0.7)(x[index])), to_numpy(whole[index])
        )


def test_parameters_of_single_samples_keep_all_samples() -> None:
    A = Subdifferential(L1(torch.rand(7, 3, dtype=D)))
    for thing in (A, A.resolvent(1.0)):
        with pytest.raises(NotImplementedError, match="L1 has parameters for single samples"):
            thing.take(torch.tensor([0]), (7, 3))


@jit_warning
def test_derivatives_reach_every_tensor() -> None:
    """Of resolvents and values, in all tensors of an operator, against finite differences."""
    draw = draw_of("torch64", size=3)
    K = orthogonal(draw, 3, 3)
    makes: dict[str, Any] = {
        "Affine": lambda M, b: Affine(Dense(M), b),
        "Translated": lambda M, b: Affine(Dense(M)).translate(b),
        "Perturbed": lambda M, b: Affine(Dense(M)).inverse() + b,
        "Precomposed": lambda M, b: Affine(Dense(M), b).precompose(K),
        "Sum": lambda M, b: Affine(Dense(M), b) + Dense(M),
    }
    M, b, x = (draw.put(v) for v in (paper(draw)[1], draw.array(3), draw.array(2, 3)))
    for make in makes.values():
        inputs = tuple(v.clone().requires_grad_() for v in (M, b, x))
        assert torch.autograd.gradcheck(lambda M, b, x, make=make: make(M, b).resolvent(0.6)(x), inputs)


def test_a_tensor_multiple_of_the_identity_keeps_its_gradient() -> None:
    """It is no number, so nothing but a sum can be made of it without losing the gradient."""
    s = torch.tensor(0.5, dtype=D, requires_grad=True)
    x = torch.tensor([2.0, -3.0, 0.01], dtype=D)
    A = Subdifferential(SquaredL2(1.0)) + s * Identity((3,), dtype=D)
    assert torch.autograd.grad(A(x).sum(), s)[0] == x.sum()
    with pytest.raises(NoResolventError):
        A.resolvent(1.0)


@jit_warning
def test_an_automatic_derivative_is_one_operator_a_sample() -> None:
    """A.derivative by automatic differentiation: applied, transposed, and with samples left out."""
    x = torch.randn(5, 3, dtype=D)
    A = Subdifferential(SquaredL2(torch.tensor([1.0, 2.0, 3.0], dtype=D)))
    M = A.derivative(x)
    v = torch.randn(5, 3, dtype=D)
    want = v * torch.tensor([1.0, 2.0, 3.0], dtype=D)
    torch.testing.assert_close(M(v), want)
    torch.testing.assert_close(M.H(v), want)
    assert M.norm() == pytest.approx(3.0)
    assert M.monotonicity() == pytest.approx(1.0)
    index = torch.tensor([3, 0])
    torch.testing.assert_close(Affine(M, v).take(index, tuple(v.shape))(v[index]), (want - v)[index])


def test_numpy_has_no_automatic_derivative() -> None:
    with pytest.raises(DTypeError, match="no derivative of its own"):
        Subdifferential(SquaredL2(1.0)).derivative(np.ones(3))


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: Affine(Dense(torch.ones(2, 3))), ShapeError, r"Affine wants domain = codomain, got .*\(3,\) → \(2,\)"),
        (lambda: Affine(Dense(torch.eye(3)), torch.ones(2)), ShapeError, r"\(\*batch, 3\), got \(2,\)"),
        (lambda: Affine(Dense(torch.eye(3)), torch.ones(3, dtype=D)), DTypeError, r"float32 arrays, got torch.float64"),
        (lambda: Affine(Dense(torch.eye(3)), np.ones(3)), DTypeError, "float32 arrays, got a NumPy array of float64"),
        (lambda: Affine(Dense(torch.eye(3)), torch.ones(3, device="meta")), DeviceError, "cpu, got an array on meta"),
        (lambda: Affine(Dense(torch.eye(3)), claim=-1.0), OptionError, r"claim wants m .*got -1"),
        (lambda: Affine(Dense(torch.eye(3)), claim=math.nan), OptionError, r"claim wants m .*got nan"),
        (lambda: NormalCone(L1()), OptionError, "indicator of a set, got L1"),
        (lambda: -1.0 * relu, OptionError, "a number > 0, got -1"),
        (lambda: 0 * relu, OptionError, "a number > 0, got 0"),
        (lambda: math.inf * relu, OptionError, "a number > 0, got inf"),
        (lambda: FromResolvent(Identity((2,)), at=0.0), StepSizeError, r"\(0, ∞\), got 0.0"),
        (lambda: relu.precompose(Dense(torch.ones(2, 3))).resolvent(1.0), NoResolventError, "K Kᴴ = ν I"),
        (lambda: relu.precompose(Dense(torch.zeros(2, 3))).resolvent(1.0), NoResolventError, "K Kᴴ = ν I"),
        (lambda: relu(torch.ones(3)), NotSingleValuedError, "ReLU"),
        (lambda: Subdifferential(Sigmoid()).inverse().resolvent(-1.0), StepSizeError, "got -1"),
        (lambda: paper(draw_of("torch64"))[0].inverse()(torch.ones(6)), NotSingleValuedError, "Inverse is set-valued"),
        (lambda: paper(draw_of("torch64"))[0].resolvent(1.0)(torch.ones(6)), DTypeError, "got torch.float32"),
        (lambda: paper(draw_of("torch64"))[0].resolvent(1.0)(torch.ones(5, dtype=D)), ShapeError, r"got \(5,\)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused(make: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        make()


def test_data_of_single_samples_decides_the_batch() -> None:
    assert paper(draw_of("torch64"), 4)[0].zero().shape == (4, 6)
    family = Dense(torch.eye(3).expand(5, 1, 3, 3))
    assert Affine(family, torch.ones(2, 3)).zero().shape == (5, 2, 3)
    assert linear_case("Dense", "torch64").op.batch == ()
    assert Subdifferential(Tanh()).zero() is None
    assert NormalCone(Box(0.0, 1.0)).domain is None


def test_what_is_no_summand_is_refused() -> None:
    A = Subdifferential(L1())
    for wrong in ("x", 1.0, None):
        with pytest.raises(TypeError):
            A + wrong
    with pytest.raises(TypeError):
        A - A
    shift = torch.ones(3)
    x = torch.randn(4, 3)
    torch.testing.assert_close((A - shift).resolvent(0.5)(x), A.resolvent(0.5)(x + 0.5 * shift))


def test_facts_of_an_inverse() -> None:
    """Of a symmetric matrix they are attained: β = 1/L becomes the monotonicity, m the cocoercivity."""
    M = torch.diag(torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64))
    A = Affine(Dense(M, symmetric=True))
    inverse = Inverse(A)
    assert (inverse.strong_monotonicity, inverse.lipschitz, inverse.cocoercivity) == (0.2, 1.0, 1.0)
    skewed = Affine(Dense(torch.tensor([[1.0, 2.0], [-2.0, 1.0]], dtype=torch.float64)))
    back = Inverse(skewed)
    assert back.strong_monotonicity == pytest.approx(1 / 5)
    assert back.cocoercivity == pytest.approx(1.0)
    assert Inverse(back).strong_monotonicity == pytest.approx(1.0)
    assert Inverse(back).lipschitz == pytest.approx(5.0)
