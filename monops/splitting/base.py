"""What a splitting method is: one step."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Literal, NamedTuple, Self, TypeAlias

from monops.arrays import Array, norm, require_step
from monops.errors import ConditionError, OptionError, StepSizeError
from monops.monotone import MonotoneOperator
from monops.options import require_flag, shown
from monops.signatures import require_signatures
from monops.splitting.state import State, arrays

StepSize: TypeAlias = float | Literal["auto"]


class Step(NamedTuple):
    """What one iteration gives.

    Attributes:
        state: what the next iteration starts from: an array, or a named tuple of arrays of which the first is shaped as
            a point (see `SplittingMethod.start`).
        point: the current approximation y of the solution, or a function without arguments for it.
        gap: a function without arguments for an element of A(x) + B(y), at some x with x - y → 0; zero at a solution.
            All methods mean the same by it, so a tolerance means the same for all. Primal-dual methods, for A + KᴴBK,
            give a tuple (r, s) with r ∈ A(point) + Kᴴ y for a y ∈ B(K point + α s), α the step. Functions are called
            only when convergence is looked at, so they cost nothing in the steps between.
    """

    state: State
    point: Array | Callable[[], Array]
    gap: Callable[[], Array | tuple[Array, ...]]

    def approximation(self) -> Array:
        """The point itself."""
        return self.point() if callable(self.point) else self.point


class SplittingMethod(ABC):
    """A method for 0 ∈ A(z) + B(z), as a frozen dataclass of its parameters; `monops.solve` iterates it.

    Subclasses provide `prepare` and `advance`, and where they are known `rate` and `best_step`. A field `step` is
    the step size: a number in (0, ∞), or "auto" for one that `solve` finds (see `monops.tune`).
    """

    step: StepSize
    # Whether samples have an influence on each other's steps (never on their solutions).
    couples_samples: ClassVar[bool] = False
    # Whether ‖gap‖ is a fixed multiple of ‖z⁺ - z‖, and any two states contract by `rate`.
    gap_is_step: ClassVar[bool] = False
    # Whether every point is a value of J_B at the method's step: then zeros that B makes are exact in it, for example.
    point_is_value: ClassVar[bool] = False
    # How often `solve` looks at convergence unless it is told, in steps: where these are few and dear, at each.
    check_every: ClassVar[int] = 10
    # Whether states hold more than the unknowns: earlier points or counters, which must not be mixed with later ones.
    remembers: ClassVar[bool] = False

    def __post_init__(self) -> None:
        step = getattr(self, "step", 1.0)
        if isinstance(step, str):
            if step != "auto":
                raise OptionError(f'step wants a number in (0, ∞) or "auto", got {step!r}')
        else:
            require_step(step, self, "step")
        require_flag(f"{type(self).__name__}.allow_unproven", getattr(self, "allow_unproven", False))

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        operators = ("A", "B")
        require_signatures(cls, prepare=operators, advance=("plan", "z"), start=("plan", "z0"))
        require_signatures(cls, rate=("m", "L"), rate_for=operators, averagedness=operators)

    @abstractmethod
    def prepare(self, A: MonotoneOperator, B: MonotoneOperator) -> Any:
        """What the steps need, computed once a solve: resolvents, say.

        A tuple whose members all have `take(index, shape)` or are plain numbers lets `solve` drop finished samples.

        Raises:
            StepSizeError: with this step convergence is not proven (the message names the bound).
            MonopsError: an operator lacks what the method needs.
        """

    @abstractmethod
    def advance(self, plan: Any, z: Array) -> Step:
        """One iteration from state z. Only + - * / and calls of operators, so torch and NumPy both run it."""

    def checked_advance(self, plan: Any, z: State) -> Step:
        """`advance`, once it is certain that it gave a `Step` whose gap is a function.

        Raises:
            OptionError: it did not.
        """
        step = self.advance(plan, z)
        name = type(self).__name__
        if not isinstance(step, Step):
            raise OptionError(f"{name}.advance has to return a Step(state, point, gap), got a {type(step).__name__}")
        if not callable(step.gap):
            raise OptionError(
                f"the gap of a Step is a function without arguments, called only when it is looked at, such as "
                f"lambda: (z - y) / self.step; {name}.advance gave a {type(step.gap).__name__}"
            )
        return step

    def with_step(self, step: StepSize) -> Self:
        """The same method with another step size.

        Raises:
            OptionError: the method is no dataclass with a field `step`.
        """
        name = type(self).__name__
        fields: Any = dataclasses.fields(self) if dataclasses.is_dataclass(self) else ()
        if not any(field.name == "step" and field.init for field in fields):
            raise OptionError(
                f"{name} has no field `step` to be given another number, as a search for the step does: write "
                f"@dataclass(frozen=True) above the class and `step: float = 1.0` in it, or define {name}.with_step"
            )
        return dataclasses.replace(self, step=step)  # type: ignore[type-var]

    def start(self, plan: Any, z0: Array) -> State:
        """The first state, from the point that the user starts from.

        What a method remembers beside a point, it keeps in its state: a named tuple whose first member is shaped as a
        point. Members are arrays with the batch axes first (so that samples may leave), numbers, or tuples of these.
        """
        return z0

    def unguarded(self) -> Self:
        """The same method for a wrapper that converges wherever steps keep distances, as an average of steps does."""
        return self

    def rate(self, m: float, L: float) -> float | None:
        """The factor by which a step is proven to bring the state nearer to its limit, or None where there is none.

        It holds for A m-strongly monotone and L-Lipschitz. At `step="auto"`: that of the best step.
        """
        return None

    def rate_for(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        """The factor proven for these two operators: less than `rate(m, L)` where more is known of them.

        That A is a gradient or cocoercive, say, or that B is strongly monotone. Points come nearer to the solution by
        it at every step or, where the docstring of a method says so, on the average.
        """
        return self.rate(A.strong_monotonicity, A.lipschitz)

    def gap_slack(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        """The factor c with ‖gap‖ ≤ c rateᵏ ‖gap of k steps before‖ for `rate_for(A, B)`; None where none is known.

        1 where `gap_is_step`, since steps contract like any two states.
        """
        return 1.0 if self.gap_is_step else None

    def averagedness(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        """The least known a in (0, 1] for which a step is a-averaged on states: (1 - a) I + a N, N nonexpansive.

        In `state_norm`.
        """
        return None

    def state_norm(self, plan: Any, difference: State, batch: int = 1) -> Array:
        """The norm of a difference of states in which steps are averaged: the Euclidean one unless overridden.

        Shapes: arrays with `batch` batch axes → (*batch).
        """
        return sum(norm(part, part.ndim - batch) ** 2 for part in arrays(difference)) ** 0.5

    def best_step(self, m: float, L: float) -> float | None:
        """The step in (0, ∞) with the smallest `rate(m, L)`; a first guess where no rate is proven; or None."""
        return None

    def starting_step(self, A: MonotoneOperator) -> float | None:
        """Where a search for the step begins: `best_step`, unless more than m and L is known of A."""
        return self.best_step(A.strong_monotonicity, A.lipschitz)

    def require_step_below(self, bound: Callable[[], tuple[float, str]], *, closed: bool = False) -> float:
        """The step, once it is certain that it is less than the bound, or equal to it where that is allowed (`closed`).

        `bound` gives that number, and its formula for the message, such as "1/L for L = 3". It is not called for a
        method whose field `allow_unproven` is true, which takes any step.

        Raises:
            StepSizeError: the step is not in (0, bound), or (0, bound].
            ConditionError: the bound is 0, since an operator lacks what the proof needs.
        """
        step, name = self._numeric_step(), type(self).__name__
        if getattr(self, "allow_unproven", False):
            return step
        limit, formula = bound()
        unproven = ", or allow_unproven=True" if hasattr(self, "allow_unproven") else ""
        if not limit > 0:
            raise ConditionError(
                f"{name} wants operators for which steps up to some bound are proven to converge, but the bound is "
                f"{limit:g}, from {formula}; take a method that asks less of them, such as DouglasRachford{unproven}"
            )
        if not (step < limit or (closed and step <= limit * (1 + 1e-12))):
            raise StepSizeError(
                f"{name} wants a step in (0, {limit:.6g}{']' if closed else ')'}, where the bound is {formula}, "
                f"got {step:g}; take a smaller one{unproven}"
            )
        return step

    def _step_for(self, m: float, L: float) -> float | None:
        return self.best_step(m, L) if self.step == "auto" else float(self.step)

    def _step_at(self, A: MonotoneOperator) -> float | None:
        return self.starting_step(A) if self.step == "auto" else float(self.step)

    def _numeric_step(self) -> float:
        if self.step == "auto":
            raise StepSizeError(f'{type(self).__name__}: "auto" is resolved by solve; prepare wants a number')
        return float(self.step)


def require_method(name: str, method: Any) -> None:
    """Raise an `OptionError`, in which the argument is called `name`, unless `method` is a splitting method."""
    if isinstance(method, SplittingMethod):
        return
    advice = ""
    if isinstance(method, type) and issubclass(method, SplittingMethod):
        advice = f"; an object of it is wanted, such as {method.__name__}(…)"
    elif name == "method" and isinstance(method, MonotoneOperator):
        advice = "; the order of arguments is method, A, B, z0"
    raise OptionError(f"{name} wants a SplittingMethod such as PeacemanRachford(), got {shown(method)}{advice}")
