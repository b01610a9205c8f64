"""Linear maps between two additions of the same array."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monops.arrays import Array, add_multiple

if TYPE_CHECKING:
    from monops.linear.base import LinearOperator


class Shifted:
    """x ↦ op(x + before · b) + after · b; from the tenth use on op(x) + a constant, which is computed then.

    The constant costs one application and spares one addition each time, so short solves go without.
    """

    def __init__(self, op: LinearOperator, b: Array, before: float, after: float) -> None:
        self.op, self.b, self.before, self.after = op, b, before, after
        self.uses, self.constant = 0, None

    def __call__(self, x: Array) -> Array:
        self.uses += 1
        if self.uses < 10:
            return self.op._apply_between(x, self.b, self.before, self.after)
        if self.constant is None:
            self.constant = add_multiple(self.op.apply(self.before * self.b), self.after, self.b)
        return self.op._apply_between(x, self.constant, 0.0, 1.0)
