"""What the batteries say: the law, what it was tried on, and where an exception of the thing itself came from."""

import re
from typing import Any

import numpy as np
import pytest
import torch

import monops as mo
from monops.linear import Dense
from monops.testing import (
    BrokenLaw,
    check_function,
    check_linear_operator,
    check_monotone_operator,
    check_splitting_method,
    splitting,
)
from monops.testing.problems import random_problems


class WrongAdjoint(Dense):
    def adjoint(self) -> Any:
        return Dense(self.matrix)


class WrongProx(mo.L1):
    def _prox(self, x: Any, step: float) -> Any:
        return 0.5 * x


class TooMonotone(mo.Subdifferential):
    @property
    def strong_monotonicity(self) -> float:
        return 0.5


class Impolite(mo.DouglasRachford):
    def start(self, plan: Any, z0: Any) -> Any:
        z0[1, 2] = 7.0
        return z0


class Boastful(mo.DouglasRachford):
    def rate(self, m: float, L: float) -> float:
        return 0.1


def matrix(seed: int) -> Any:
    return torch.as_tensor(np.random.default_rng(seed).standard_normal((4, 4)))


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: check_linear_operator(WrongAdjoint(matrix(0)), seed=3), "op.H is the transpose .*float64, seed 3"),
        (lambda: check_function(WrongProx(), seed=2), r"p = prox\(x\) .*step 0.1, torch.float64, seed 2\]: .*sample"),
        (lambda: check_monotone_operator(TooMonotone(mo.ReLU())), r"with m = 0.5 \[step 0.2, torch.float64, seed 0\]"),
        (
            lambda: check_splitting_method(Impolite("auto")),
            r"left untouched .*entry \(1, 2\) of an input of shape \(5, 6\) was .* and became 7",
        ),
        (lambda: check_splitting_method(Boastful("auto")), r"beats 1 .*f = ReLU, .*rate\(m=0, L=.*\) is 0.1"),
    ],
)
def test_a_broken_law_is_named_with_its_input(check: Any, message: str) -> None:
    with pytest.raises(BrokenLaw, match=message):
        check()


class Oops(Exception):
    """Raised by things that fail on their own."""


class FailingProx(mo.L1):
    def _prox(self, x: Any, step: float) -> Any:
        raise Oops


class FailingMap(Dense):
    def apply(self, x: Any) -> Any:
        raise Oops


class FailingResolvent(mo.Subdifferential):
    def resolvent(self, step: float) -> Any:
        raise Oops


class FailingInSingle(mo.DouglasRachford):
    def advance(self, plan: Any, z: Any) -> Any:
        if z.dtype == torch.float32:
            raise Oops
        return super().advance(plan, z)


@pytest.mark.parametrize(
    ("check", "note"),
    [
        (lambda: check_function(FailingProx()), "raised by FailingProx while .* a convex function .*seed 0"),
        (lambda: check_linear_operator(FailingMap(matrix(0))), "raised by FailingMap while .* a linear operator"),
        (lambda: check_monotone_operator(FailingResolvent(mo.ReLU())), "raised by FailingResolvent while"),
        (lambda: check_splitting_method(FailingInSingle("auto")), "to solve a problem with f = ReLU, torch.float32"),
    ],
)
def test_what_the_thing_raises_has_a_note_on_what_was_tried(
    check: Any, note: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {name: random_problems(0, "monotone")[name] for name in ("SquaredL2", "ReLU")}
    monkeypatch.setattr(splitting, "random_problems", lambda *given: few)
    with pytest.raises(Oops) as caught:
        check()
    (said,) = caught.value.__notes__
    assert re.search(note, said), said
