"""What is broken on purpose is found by `monops.verify`."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from cases import draw_of, linear_case, paper

from monops import (
    L1,
    Dense,
    DouglasRachford,
    FromCallable,
    LinearOperator,
    PeacemanRachford,
    ReLU,
    Report,
    Step,
    Tanh,
    verify,
)
from monops.arrays import Array
from monops.function_comparisons import function_checks
from monops.functions import LeakyReLU
from monops.linear.base import LinearOperator as Base
from monops.nn import Equilibrium, MonotoneDense
from monops.testing import catalogue

D = torch.float64


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


@pytest.mark.parametrize("name", [name for name in catalogue.JOINT if name not in ("L0", "Multiple", "Rescaled")])
@pytest.mark.parametrize("part", ["prox", "prox_derivative", "__call__"])
def test_a_wrong_function_of_points_is_found(monkeypatch: pytest.MonkeyPatch, name: str, part: str) -> None:
    """Off by a little more than the tolerance, which a function may claim to be larger."""
    case = catalogue.JOINT[name](draw_of("torch64"))
    kind, off = type(case.f), 1 + (1e-5 if name.startswith("TV2D") else 1e-10)
    original = getattr(kind, part)
    if part == "__call__" and case.f.is_indicator:
        monkeypatch.setattr(kind, part, lambda self, x: 1e-10 + original(self, x))
    else:
        monkeypatch.setattr(kind, part, lambda self, *a: off * original(self, *a))
    broken = [check.name for check in function_checks(name, case, draw_of("torch64")) if not check.passed]
    what = {"prox": ": prox, step", "prox_derivative": ": derivative", "__call__": ": value"}[part]
    assert any(what in found for found in broken)


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


def test_a_wrong_layer_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer, x = Equilibrium(MonotoneDense(4, 6, dtype=D), Tanh()), torch.randn(5, 4, dtype=D)
    monkeypatch.setattr(MonotoneDense, "inject", lambda self, x: x @ self.U.T + 1.001 * self.bias)
    names = failed(verify(layer, x))
    assert "MonotoneDense: equilibrium at tight tolerance" in names
