"""`monops.verify`: everything passes, what is broken on purpose is found, and what the report says."""

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from cases import KINDS, draw_of, linear_case, paper

from monops import (
    L1,
    Affine,
    Box,
    Dense,
    DouglasRachford,
    FromCallable,
    LinearOperator,
    NormalCone,
    PeacemanRachford,
    ReLU,
    Report,
    Softplus,
    Step,
    Subdifferential,
    Tanh,
    verify,
)
from monops.arrays import Array
from monops.errors import OptionError
from monops.functions import LeakyReLU, Sigmoid, Support
from monops.linear import Diagonal, Identity
from monops.linear.base import LinearOperator as Base
from monops.nn import Equilibrium, MonotoneDense
from monops.reference import equilibrium as reference
from monops.reference import linear as reference_linear
from monops.reference.functions import FUNCTIONS
from monops.report import Check
from monops.testing import catalogue
from monops.testing.problems import kind_for, random_problems

D = torch.float64
CHECKED = [kind for kind in KINDS if kind != "numpy32"]


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    """Everything, verified in every kind (NumPy in one precision, which says as much as two)."""
    return {kind: verify(dtype=dtype, device=device) for kind, (dtype, device) in KINDS.items() if kind in CHECKED}


@pytest.mark.parametrize("kind", CHECKED)
def test_everything_passes(reports: dict[str, Report], kind: str) -> None:
    report = reports[kind]
    assert report.passed, str(report)
    for check in report.checks:
        is_gradient, is_solved = "gradient in" in check.name, "equilibrium" in check.name or ": output" in check.name
        if "share of its certified bound" in check.name:
            wanted = 1.0
        elif kind.endswith("64"):
            wanted = 1e-9 if is_gradient or is_solved else 1e-12
        else:
            wanted = 1e-4 if is_gradient else 1e-5
        assert check.tolerance == wanted, check.name


@pytest.mark.parametrize("kind", CHECKED)
def test_nothing_is_left_out(reports: dict[str, Report], kind: str) -> None:
    names = [check.name for check in reports[kind].checks]
    assert len(names) == len(set(names))
    is_numpy = kind.startswith("numpy")
    for name in [*catalogue.LINEAR, *catalogue.NUMPY_ONLY]:
        for what in ("apply", "adjoint", "norm"):
            assert f"{name}: {what}" in names
        between_two_spaces = ("Zero", "Dense", "Restriction", "ZeroPad", "Blocks")
        if not name.startswith("FiniteDifference") and name not in between_two_spaces:
            assert any(found.startswith(f"{name}: resolvent.H") for found in names)
    for name in catalogue.FUNCTIONS:
        for what in ("value", "prox, step 0.1", "derivative of the prox, step 7", "prox of the conjugate, step 1"):
            assert f"{name}: {what}" in names
    for method, make in catalogue.METHODS.items():
        for name in random_problems(0, kind_for(make(), 0)):
            assert f"{method}, {name}: equilibrium" in names
            for part in ("M", "b"):
                assert (f"{method}, {name}: gradient in {part}" in names) is not is_numpy
    for layer in catalogue.LAYERS:
        for part in ("equilibrium at tight tolerance", "output", "gradient in U", "gradient in bias"):
            assert (f"{layer}: {part}" in names) is not is_numpy
    for part in ("A.0", "A.2", "B.1", "down.0", "down.1", "g", "g_down", "h"):
        assert (f"MonotoneMultiTier: gradient in {part}" in names) is not is_numpy
    if not is_numpy:
        assert all(f"{name}: adjoint" in names for name in catalogue.TORCH_ONLY)


def failed(report: Report) -> list[str]:
    assert not report
    return [check.name for check in report.checks if not check.passed]


@dataclass(frozen=True, eq=False)
class Scaled(Base):
    """A matrix one of whose methods is wrong."""

    inner: LinearOperator
    adjoint_factor: float = 1.0
    resolvent_factor: float = 1.0
    norm_factor: float = 1.0
    shift: float = 0.0

    domain = property(lambda self: self.inner.domain)
    codomain = property(lambda self: self.inner.codomain)
    dtype = property(lambda self: self.inner.dtype)

    def apply(self, x: Array) -> Array:
        return self.inner.apply(x)

    def adjoint(self) -> LinearOperator:
        return self.adjoint_factor * self.inner.H

    def resolvent(self, step: float) -> LinearOperator:
        return self.resolvent_factor * self.inner.resolvent(step)

    def norm(self) -> float:
        return self.norm_factor * self.inner.norm()

    def monotonicity(self) -> float:
        return self.inner.monotonicity() + self.shift


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ({}, None),
        ({"adjoint_factor": 1 + 1e-9}, "adjoint"),
        ({"resolvent_factor": 1 - 1e-9}, "resolvent"),
        ({"norm_factor": 1.001}, "norm"),
        ({"shift": 1e-6}, "monotonicity"),
    ],
)
def test_a_wrong_operator_is_found(wrong: dict[str, float], found: str | None) -> None:
    report = verify(Scaled(linear_case("Dense, I - W of the paper", "torch64").op, **wrong))
    if found is None:
        assert report, str(report)
    else:
        assert all(found in name for name in failed(report))


def test_a_wrong_adjoint_by_functions_is_found() -> None:
    shift = FromCallable(lambda x: x.roll(1, -1), lambda y: y.roll(1, -1), (5,), dtype=D)
    assert "FromCallable: adjoint" in failed(verify(shift))


@pytest.mark.parametrize(
    ("kind", "name", "replacement", "found"),
    [
        (ReLU, "_prox", lambda self, x, step: abs(x), "prox"),
        (ReLU, "_prox_slope", lambda self, x, step: (x > 0.5).to(x.dtype), "derivative of the prox"),
        (L1, "_prox", lambda self, x, step: x - x.clip(-self.weight, self.weight), "prox"),
        (L1, "_value", lambda self, x: abs(x), "value"),
        (Tanh, "_prox_slope", lambda self, x, step: 1 - torch.tanh(torch.tanh(x)) ** 2, "derivative of the prox"),
        (LeakyReLU, "conjugate", lambda self: self, "prox of the conjugate"),
    ],
)  # fmt: skip
def test_a_wrong_function_is_found(
    monkeypatch: pytest.MonkeyPatch, kind: Any, name: str, replacement: Any, found: str
) -> None:
    f = kind(0.3) if kind in (L1, LeakyReLU) else kind()
    assert verify(f)
    monkeypatch.setattr(kind, name, replacement)
    names = failed(verify(f))
    assert any(found in name for name in names)


def test_a_wrong_resolvent_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    A, _, _ = paper(draw_of("torch64"), 4)
    assert verify(A)
    monkeypatch.setattr(Dense, "resolvent", lambda self, step: Dense(torch.eye(6, dtype=D) - step * self.matrix))
    assert failed(verify(A)) == ["Affine: resolvent"]


@dataclass(frozen=True)
class Halved(DouglasRachford):
    """Its point is wrong by a little."""

    def advance(self, plan: Any, z: Array) -> Step:
        step = super().advance(plan, z)
        return Step(step.state, (1 + 1e-7) * step.approximation(), step.gap)


def test_a_wrong_method_is_found() -> None:
    names = failed(verify(Halved("auto")))
    assert any("equilibrium" in name for name in names)


def test_a_wrong_gradient_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The derivative taken at the output instead of the argument: the same for ReLU, wrong for tanh."""
    original = Tanh.prox_derivative
    monkeypatch.setattr(Tanh, "prox_derivative", lambda self, x, step: original(self, self.prox(x, step), step))
    names = failed(verify(PeacemanRachford("auto")))
    assert names == [f"PeacemanRachford, Tanh: gradient in {part}" for part in "Mb"]


@pytest.mark.parametrize("activation", [ReLU(), Tanh(), Sigmoid(), Softplus(), LeakyReLU(0.1), Box(-1.0, 0.5)])
def test_layers(activation: Any) -> None:
    torch.manual_seed(0)
    layer = Equilibrium(MonotoneDense(4, 6, dtype=D, m=0.7), activation, PeacemanRachford("auto"), tol=1e-3)
    x = torch.randn(5, 4, dtype=D)
    report = verify(layer, x)
    assert report, str(report)
    assert verify(layer.float(), x.float())


def test_a_wrong_layer_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer, x = Equilibrium(MonotoneDense(4, 6, dtype=D), Tanh()), torch.randn(5, 4, dtype=D)
    monkeypatch.setattr(MonotoneDense, "inject", lambda self, x: x @ self.U.T + 1.001 * self.bias)
    names = failed(verify(layer, x))
    assert "MonotoneDense: equilibrium at tight tolerance" in names


@pytest.mark.parametrize(
    "thing",
    [
        Affine(Dense(torch.eye(3))),
        Subdifferential(Softplus()),
        Subdifferential(Support(-0.5, 1.0)),
        NormalCone(Box(0.0, 1.0)),
        Diagonal(np.ones(3)),
        Identity((2, 2), dtype=D),
        L1(torch.tensor(0.5, dtype=D)),
        Tanh(),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_single_things(thing: Any) -> None:
    assert verify(thing)


def test_what_has_no_reference_is_refused() -> None:
    for thing in (3, "PeacemanRachford", Affine(Dense(torch.eye(2))).inverse()):
        with pytest.raises(OptionError, match=r"there is no reference for a (int|str|Inverse)"):
            verify(thing)
    with pytest.raises(OptionError, match="with inputs x"):
        verify(Equilibrium(MonotoneDense(2, 3)))
    with pytest.raises(OptionError, match=r"the reference knows ReLU, .*got Mine"):
        verify(type("Mine", (Tanh,), {})())


def test_reports() -> None:
    good, bad = Check("good", 1e-13, 1e-12), Check("bad", 0.5, 1e-12)
    nan = Check("nan", math.nan, 1.0)
    report = Report((good, bad))
    assert not report
    assert not report.passed
    assert report.worst == 0.5
    assert str(report).splitlines() == [
        "ok    good  1.0e-13  (≤ 1e-12)",
        "FAIL  bad   5.0e-01  (≤ 1e-12)",
        "1 passed, 1 failed",
    ]
    assert json.loads(json.dumps(report.to_dict())) == {
        "passed": False,
        "checks": [
            {"name": "good", "error": 1e-13, "tolerance": 1e-12, "passed": True},
            {"name": "bad", "error": 0.5, "tolerance": 1e-12, "passed": False},
        ],
    }
    assert Report((good,))
    assert not Report(()), "nothing checked is nothing proven"
    assert not nan.passed
    assert not Report((good, nan))
    assert math.isnan(Report((good, nan)).worst)


def test_progress_sees_every_check_in_order() -> None:
    seen: list[Check] = []
    report = verify(Dense(torch.eye(3, dtype=D)), progress=seen.append)
    assert tuple(seen) == report.checks
    assert len(seen) == 8


def test_seeds_give_other_data() -> None:
    first, again, other = (verify(Softplus(), seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert other


def test_the_reference_solves_its_own_equations() -> None:
    """It is the judge of everything else, so it is judged by its definitions."""
    draw = draw_of("numpy64", 7)
    _, matrix, b = paper(draw, 3)
    for name, make in catalogue.FUNCTIONS.items():
        case = make()
        known = FUNCTIONS[case.reference]
        prox = lambda v, step, k=known, c=case: k.prox(v, step, **c.parameters)  # noqa: E731
        slope = lambda v, step, k=known, c=case: k.prox_derivative(v, step, **c.parameters)  # noqa: E731
        z = reference.equilibrium(matrix, b, prox, slope)
        for step in (0.1, 1.0, 3.0):
            np.testing.assert_allclose(prox(z - step * (z @ matrix.T - b), step), z, atol=1e-13, err_msg=name)
        g = draw.array(*b.shape)
        _, gradient = reference.gradient(matrix, b, z, g, slope)
        direction, h = draw.array(*b.shape), 1e-6
        sides = [reference.equilibrium(matrix, b + s * h * direction, prox, slope) for s in (1, -1)]
        numeric = ((sides[0] - sides[1]) * g).sum() / (2 * h)
        np.testing.assert_allclose((gradient * direction).sum(), numeric, rtol=1e-6, atol=1e-8, err_msg=name)
    np.testing.assert_allclose(reference_linear.resolvent(matrix, 0.5, b) @ (np.eye(6) + 0.5 * matrix).T, b, atol=1e-13)
    np.testing.assert_allclose(
        reference_linear.resolvent(matrix, 0.5, b, transpose=True) @ (np.eye(6) + 0.5 * matrix), b, atol=1e-13
    )
