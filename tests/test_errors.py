"""Bad input, as a person meets it first: each message names what was got and what was wanted."""

import inspect
import math
from typing import Any

import numpy as np
import pytest
import torch
from cases import draw_of, paper
from scipy import sparse

import monops
from monops import (
    L1,
    Affine,
    Box,
    Dense,
    Diagonal,
    DouglasRachford,
    ForwardBackward,
    FromScipy,
    Identity,
    PeacemanRachford,
    ReLU,
    SquaredL2,
    Subdifferential,
    Tanh,
    equilibrium,
    errors,
    solve,
    tune,
)
from monops.errors import MonopsError
from monops.functions import LeakyReLU
from monops.nn import Equilibrium, MonotoneDense

D = torch.float64
relu, pr = Subdifferential(ReLU()), PeacemanRachford(0.5)


def A() -> Affine:
    return paper(draw_of("torch64"), 3)[0]


def anything(x: Any) -> Any:
    """x, which the type checker is not to look at."""
    return x


def run(*arguments: Any, **options: Any) -> Any:
    return lambda: solve(*arguments, **options)


def test_every_error_is_a_monops_error_and_a_builtin_one() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    for kind in kinds:
        assert issubclass(kind, errors.MonopsWarning if issubclass(kind, Warning) else MonopsError)
        assert kind.__doc__
    for kind, builtin in (
        (errors.ShapeError, ValueError), (errors.DTypeError, TypeError), (errors.DeviceError, ValueError),
        (errors.OptionError, ValueError), (errors.StepSizeError, errors.OptionError),
        (errors.SingularError, ArithmeticError), (errors.NonFiniteError, ArithmeticError),
        (errors.NotConvergedError, ArithmeticError), (errors.DataError, ValueError),
        (errors.CheckpointError, ValueError), (errors.ConvergenceWarning, errors.MonopsWarning),
        (errors.MonopsWarning, UserWarning),
    ):  # fmt: skip
        assert issubclass(kind, builtin)
    assert monops.MonopsError is MonopsError


# what is wrong -> how it comes about, the error, what its message names
BAD: dict[str, tuple[Any, type[MonopsError], str]] = {
    "shape of x": (lambda: Dense(torch.eye(3))(torch.ones(2, 4)), errors.ShapeError, r"\(\*batch, 3\), got \(2, 4\)"),
    "a scalar for a vector": (lambda: Dense(torch.eye(3))(torch.tensor(1.0)), errors.ShapeError, r"got \(\)"),
    "shape of z0": (lambda: solve(pr, A(), relu, torch.ones(3, 5, dtype=D)), errors.ShapeError, r"z0 .*6\), got"),
    "batch of z0": (lambda: solve(pr, A(), relu, torch.ones(2, 6, dtype=D)), errors.ShapeError, r"2, 6\) .* \(3, 6"),
    "batch of M and b": (
        lambda: solve(pr, Affine(Dense(torch.eye(3).expand(3, 3, 3)), torch.ones(2, 3)), relu),
        errors.ShapeError, r"\(3,\).*\(2,\)|\(2,\).*\(3,\)"),
    "spaces of A and B": (
        lambda: solve(pr, A(), Affine(Dense(torch.eye(4, dtype=D)))), errors.ShapeError, r"on \(6,\), B on \(4,\)"),
    "dtype of x": (lambda: Dense(torch.eye(3))(torch.ones(3, dtype=D)), errors.DTypeError, "float32 .*float64"),
    "NumPy for torch": (lambda: Dense(torch.eye(3))(np.ones(3, np.float32)), errors.DTypeError, r"torch.* float32"),
    "torch for NumPy": (lambda: Dense(np.eye(3))(torch.ones(3, dtype=D)), errors.DTypeError, "float64 .*torch.float64"),
    "a list": (lambda: Dense(np.eye(3))([1.0, 2.0, 3.0]), errors.DTypeError, "float64 arrays, got list"),
    "a number": (lambda: solve(pr, A(), relu, 0.0), errors.DTypeError, "a torch tensor or a NumPy array, got float"),
    "integers": (lambda: solve(pr, A(), relu, torch.zeros(6, dtype=torch.int64)), errors.DTypeError, "got torch.int64"),
    "half precision": (lambda: Diagonal(torch.ones(3, dtype=torch.float16)), errors.DTypeError, "got torch.float16"),
    "complex": (lambda: Diagonal(np.ones(3, complex)), errors.DTypeError, "float32 or float64 data, got complex128"),
    "dtype of z0": (lambda: solve(pr, A(), relu, torch.zeros(6)), errors.DTypeError, r"z0 .*float64 .*float32"),
    "library of z0": (lambda: solve(pr, A(), relu, np.zeros(6)), errors.DTypeError, "z0 expects torch.float64"),
    "dtype of B": (
        lambda: solve(pr, A(), Subdifferential(L1(torch.ones(6)))), errors.DTypeError, "L1.weight .*float32.*float64"),
    "dtypes of two": (lambda: Dense(torch.eye(3)) + Dense(torch.eye(3, dtype=D)), errors.DTypeError, "one dtype"),
    "device": (
        lambda: Dense(torch.eye(3))(torch.ones(3, device="meta")), errors.DeviceError, "on cpu, got an array on meta"),
    "device of b": (
        lambda: Affine(Dense(torch.eye(3)), torch.ones(3, device="meta")), errors.DeviceError, "on cpu, got .*meta"),
    "m": (lambda: MonotoneDense(2, 3, m=0.0), errors.OptionError, "m > 0, got 0"),
    "step 0": (lambda: PeacemanRachford(0.0), errors.StepSizeError, r"step in \(0, ∞\), got 0.0"),
    "step below 0": (lambda: ForwardBackward(-0.1), errors.StepSizeError, r"step in \(0, ∞\), got -0.1"),
    "step of a prox": (lambda: ReLU().prox(torch.ones(3), 0.0), errors.StepSizeError, r"\(0, ∞\), got 0.0"),
    "step of a resolvent": (lambda: relu.resolvent(-1.0), errors.StepSizeError, r"\(0, ∞\), got -1.0"),
    "step's name": (lambda: DouglasRachford(anything("best")), errors.OptionError, "\"auto\", got 'best'"),
    "step over its bound": (run(ForwardBackward(10.0), A(), relu), errors.StepSizeError, r"\(0, 0\.\d+\).*got 10"),
    "method's name": (run("PeacemanRachford", A(), relu), errors.OptionError, r"SplittingMethod .*got 'Peace"),
    "method's class": (run(PeacemanRachford, A(), relu), errors.OptionError, "SplittingMethod .*got <class"),
    "A": (run(pr, Dense(torch.eye(3)), relu), MonopsError, "MonotoneOperator.*Affine|Affine.*MonotoneOperator"),
    "B": (run(pr, A(), ReLU()), MonopsError, "MonotoneOperator.*Subdifferential|Subdifferential.*MonotoneOperator"),
    "M": (lambda: Affine(anything(torch.eye(3))), MonopsError, "LinearOperator|Dense"),
    "f": (lambda: Subdifferential(anything(torch.relu)), MonopsError, "Function"),
    "tol": (run(pr, A(), relu, tol=0.0), errors.OptionError, r"tol .*\(0, ∞\), got 0.0"),
    "tol is NaN": (run(pr, A(), relu, tol=math.nan), errors.OptionError, r"tol .*\(0, ∞\), got nan"),
    "atol": (run(pr, A(), relu, atol=-1.0), errors.OptionError, r"atol .*\[0, ∞\), got -1.0"),
    "max_steps": (run(pr, A(), relu, max_steps=0), errors.OptionError, "max_steps .*≥ 1, got 0"),
    "max_steps is no integer": (run(pr, A(), relu, max_steps=10.5), MonopsError, "max_steps .*10.5"),
    "check_every": (run(pr, A(), relu, check_every=-3), errors.OptionError, "check_every .*≥ 1, got .*-3"),
    "tol of tune": (lambda: tune(pr, A(), relu, tol=-1.0), errors.OptionError, "tol .*got -1.0"),
    "max_steps of tune": (lambda: tune(pr, A(), relu, max_steps=0), errors.OptionError, "max_steps .*got .*0"),
    "samples of tune": (lambda: tune(pr, A(), relu, samples=0), errors.OptionError, "samples .*0"),
    "method of tune": (lambda: tune(anything("pr"), A(), relu), errors.OptionError, "method with a step, .* got 'pr'"),
    "method of equilibrium": (lambda: equilibrium(anything("pr"), A(), relu), errors.OptionError, "got 'pr'"),
    "no start": (run(pr, relu, relu), errors.OptionError, "give z0"),
    "singular": (lambda: Dense(-torch.eye(3)).resolvent(1.0), errors.SingularError, r"I \+ 1·op, .*Dense.*singular"),
    "singular diagonal": (lambda: Diagonal(-torch.ones(3)).resolvent(1.0), errors.SingularError, "diagonal for step 1"),
    "singular, sparse": (
        lambda: FromScipy(sparse.csc_array(-np.eye(3))).resolvent(1.0), errors.SingularError, "singular .*FromScipy"),
    "NaN in a matrix": (
        lambda: Dense(torch.full((2, 2), math.nan)).resolvent(1.0), errors.NonFiniteError, "NaN or an infinity"),
    "NaN in a symmetric one": (
        lambda: Dense(np.full((2, 2), math.nan), symmetric=True).resolvent(1.0), errors.NonFiniteError, "NaN"),
    "NaN in a matrix, auto": (
        run(PeacemanRachford("auto"), Affine(Dense(torch.full((2, 2), math.nan))), relu), errors.NonFiniteError, "NaN"),
    "bounds in the wrong order": (lambda: Box(1.0, 0.0), errors.OptionError, "lower=1.0, upper=0.0"),
    "negative weight": (lambda: L1(-1.0), errors.OptionError, r"\[0, ∞\), got weight=-1.0"),
    "slope": (lambda: LeakyReLU(0.0), errors.OptionError, "slope.*got slope=0.0"),
    "axes": (lambda: SquaredL2(axes=-1), errors.OptionError, "axes ≥ 0, got -1"),
    "too few axes": (lambda: Tanh(axes=2).prox(torch.ones(3), 1.0), errors.ShapeError, r"axes=2 .*got \(3,\)"),
    "integers for a function": (
        lambda: Tanh().prox(torch.ones(3, dtype=torch.int32), 1.0), errors.DTypeError, "got torch.int32"),
    "activation": (lambda: Equilibrium(MonotoneDense(2, 3), anything("relu")), errors.OptionError, "got 'relu'"),
    "linear": (lambda: Equilibrium(anything(torch.nn.Linear(2, 3))), MonopsError, "operator|MonotoneDense"),
    "features": (lambda: MonotoneDense(2, 0), errors.OptionError, "≥ 1 as features, got 0"),
    "multiple": (lambda: -2.0 * relu, errors.OptionError, "number > 0, got -2.0"),
}  # fmt: skip


@pytest.mark.parametrize("what", list(BAD))
def test_bad_input_is_named(what: str) -> None:
    make, error, match = BAD[what]
    with pytest.raises(error, match=match):
        make()


def test_an_array_on_the_left_reaches_the_operator() -> None:
    """NumPy would rather make an array of operators."""
    shifted = np.ones(6) + paper(draw_of("numpy64"))[0]
    assert isinstance(shifted, Affine)
    with pytest.raises((MonopsError, TypeError)):
        np.ones((2, 2)) * Identity((2,), dtype=np.float64)


def test_warnings_point_at_the_caller() -> None:
    with pytest.warns(errors.ConvergenceWarning, match="residual") as caught:
        solve(pr, A(), relu, max_steps=1)
    assert [warning.filename for warning in caught] == [__file__]
