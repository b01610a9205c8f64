"""What loops call in place of `prox` is tried by the battery of functions, and what is no function is refused."""

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

import monops as mo
from monops.errors import OptionError
from monops.functions import Function
from monops.testing import (
    BrokenLaw,
    check_function,
    check_linear_operator,
    check_monotone_operator,
    check_splitting_method,
)


class NoReflection(mo.L1):
    def reflection_at(self, step: float) -> Any:
        return lambda x: self.prox(x, step)


class OneStep(mo.L1):
    def prox_at(self, step: float) -> Any:
        return lambda x: self.prox(x, 1.0)


class OtherConjugate(mo.SquaredL2):
    def conjugate_value(self, y: Any) -> Any:
        return super().conjugate_value(y) + 0.3


class OtherConjugateProx(mo.SquaredL2):
    def conjugate_prox(self, x: Any, step: float) -> Any:
        return 0.5 * super().conjugate_prox(x, step)


class OtherAxes(mo.L2):
    def on_axes(self, axes: int) -> Any:
        return replace(self, weight=2.0, axes=axes)


@dataclass(frozen=True, eq=False)
class ForgetsAxes(mo.L2):
    def on_axes(self, axes: int) -> Any:
        return self


@pytest.mark.parametrize(
    ("f", "law"),
    [
        (NoReflection(), "reflection_at(step) is 2·prox - I"),
        (OneStep(), "prox_at(step) is the prox at this step"),
        (OtherConjugate(), "conjugate_value(y) is the value of conjugate() at y"),
        (OtherConjugateProx(), "conjugate_prox is the prox of conjugate()"),
        (OtherAxes(), "on points with a further axis of length 1"),
        (ForgetsAxes(), "on_axes(k) has k axes"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Function) else "",
)
def test_a_wrong_hook_is_found(f: Function, law: str) -> None:
    with pytest.raises(BrokenLaw, match=re.escape(law)):
        check_function(f)


@pytest.mark.parametrize(
    ("check", "thing", "message"),
    [
        (check_function, mo.L1, r"a Function is wanted, such as L1\(0.3\), got the class L1"),
        (check_function, 3, "a Function is wanted.*got 3"),
        (check_linear_operator, torch.eye(3), r"a LinearOperator is wanted, such as Dense\(matrix\), got Tensor"),
        (check_linear_operator, mo.Dense, "got the class Dense"),
        (check_monotone_operator, mo.L1(), "a MonotoneOperator is wanted.*got L1"),
        (check_splitting_method, 3, "a SplittingMethod is wanted.*got 3"),
        (check_splitting_method, lambda: 3, "a SplittingMethod is wanted.*got 3"),
    ],
    ids=["class", "number", "tensor", "operator class", "function", "no method", "makes none"],
)
def test_what_cannot_be_checked_is_refused_in_words(check: Any, thing: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        check(thing)


@pytest.mark.parametrize("samples", [np.ones((1, 3)), np.ones(()), [1.0, 2.0]], ids=["one", "number", "list"])
def test_less_than_two_samples_are_refused(samples: Any) -> None:
    f = mo.L1()
    for check in (lambda: check_function(f, samples), lambda: check_monotone_operator(mo.Subdifferential(f), samples)):
        with pytest.raises(OptionError, match="samples wants an array"):
            check()
