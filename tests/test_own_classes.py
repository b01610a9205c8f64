"""Classes of other people which are not quite what the package calls: what is wrong is said at once, in words."""

from typing import Any

import pytest
import torch

import monops as mo
from monops.errors import OptionError
from monops.testing import check_splitting_method

A = mo.Affine(mo.Dense(torch.eye(3)), torch.ones(3))
B = mo.Subdifferential(mo.ReLU())


class ForwardBackwardBase(mo.SplittingMethod):
    step = 0.3

    def prepare(self, A: Any, B: Any) -> Any:
        return A, B.resolvent(0.3)


class GapIsArray(ForwardBackwardBase):
    def advance(self, plan: Any, z: Any) -> Any:
        y = plan[1](z - 0.3 * plan[0].apply(z))
        return mo.Step(y, y, z - y)


class GivesArray(ForwardBackwardBase):
    def advance(self, plan: Any, z: Any) -> Any:
        return plan[1](z - 0.3 * plan[0].apply(z))


@pytest.mark.parametrize("check_every", [1, 10])
@pytest.mark.parametrize(
    ("method", "message"),
    [
        (GapIsArray, r"gap of a Step is a function without arguments.*GapIsArray.advance gave a Tensor"),
        (GivesArray, r"GivesArray.advance has to return a Step\(state, point, gap\), got a Tensor"),
    ],
)
def test_what_advance_has_to_give(method: Any, message: str, check_every: int) -> None:
    with pytest.raises(OptionError, match=message):
        mo.solve(method(), A, B, check_every=check_every)
    with pytest.raises(OptionError, match=message):
        check_splitting_method(method())


@pytest.mark.parametrize(
    ("base", "name", "function", "message"),
    [
        (mo.SplittingMethod, "prepare", lambda self, A: A, r"prepare\(self, A, B\).*got prepare\(self, A\)"),
        (mo.SplittingMethod, "advance", lambda self, z: z, r"advance\(self, plan, z\).*got advance\(self, z\)"),
        (mo.LinearOperator, "adjoint", lambda self, x: x, r"adjoint\(self\).*got adjoint\(self, x\)"),
        (mo.LinearOperator, "apply", lambda x: x, r"apply\(self, x\).*got apply\(x\)"),
        (mo.Function, "prox", lambda self, x: x, r"prox\(self, x, step\).*got prox\(self, x\)"),
        (mo.MonotoneOperator, "resolvent", lambda self: self, r"resolvent\(self, step\).*got resolvent\(self\)"),
    ],
    ids=["prepare", "advance", "adjoint", "apply", "prox", "resolvent"],
)
def test_what_methods_have_to_take(base: Any, name: str, function: Any, message: str) -> None:
    with pytest.raises(OptionError, match=rf"Mine.{name} is called as {message}"):
        type("Mine", (base,), {name: function})


def test_further_arguments_with_defaults_are_in_order() -> None:
    class Mine(mo.SplittingMethod):
        def prepare(self, A: Any, B: Any, *others: Any, **options: Any) -> Any:
            return A, B

        def advance(self, plan: Any, state: Any, twice: bool = False) -> Any:
            return mo.Step(state, state, lambda: 0 * state)

    assert mo.solve(Mine(), A, B, torch.ones(3)).residual == 0
