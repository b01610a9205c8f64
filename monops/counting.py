"""Counting what a splitting method asks of its operators, without changing or hiding them.

A counted operator is the same object in a class derived from its own: its data, its structure and all that other code
asks by `isinstance` stay, and only the calls go through a counter. Sums and operators behind linear ones are not
counted themselves, but their parts are, since methods take them apart.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import torch

from monops.linear import LinearOperator
from monops.monotone import MonotoneOperator, MonotoneSum, Precomposed, Resolvent
from monops.splitting import SplittingMethod, Step

KINDS = ("apply", "resolvent", "linear", "derivative")


class Counter:
    """Calls by their kind.

    Attributes:
        calls: evaluations of operators ("apply"), of resolvents ("resolvent"), of the linear operators K and Kᴴ in
            KᴴBK ("linear"), and derivatives taken ("derivative").
    """

    def __init__(self) -> None:
        self.calls = dict.fromkeys(KINDS, 0)
        self._paused = 0
        self._classes: dict[type, type] = {}

    @property
    def total(self) -> int:
        """Calls of all kinds."""
        return sum(self.calls.values())

    def reset(self) -> None:
        """Forget all calls so far."""
        self.calls = dict.fromkeys(KINDS, 0)

    def tick(self, kind: str) -> None:
        """Count one call, unless the counter is paused."""
        if not self._paused:
            self.calls[kind] += 1

    def paused(self, function: Any) -> Any:
        """`function`, during which nothing is counted; what is not callable as it is."""
        if not callable(function):
            return function

        def run() -> Any:
            self._paused += 1
            try:
                return function()
            finally:
                self._paused -= 1

        return run

    def operator(self, A: MonotoneOperator) -> MonotoneOperator:
        """The same operator, of which every call is counted.

        Example:
            >>> import torch
            >>> from monops import ReLU, Subdifferential
            >>> counter = Counter()
            >>> J = counter.operator(Subdifferential(ReLU())).resolvent(1.0)
            >>> J(torch.tensor([-1.0, 2.0])), counter.total
            (tensor([0., 2.]), 1)
        """
        if type(A) is MonotoneSum:
            return MonotoneSum(self.operator(A.A), self.operator(A.B))
        if type(A) is Precomposed:
            return _retyped(A, type(A), A=self.operator(A.A), K=self._counted(A.K))
        return self._counted(A)

    def method(self, method: SplittingMethod) -> SplittingMethod:
        """The same method. Calls are counted from its first step on, but not those that a look at the residual makes.

        What the method has prepared is counted too, even if it was made without a counted operator, such as the inverse
        (A + KᴴK)⁻¹ of ADMM.
        """
        plain, counter = type(method), self

        def prepare(self: Any, A: MonotoneOperator, B: MonotoneOperator) -> Any:
            plan = counter._plan(plain.prepare(self, A, B))
            counter.reset()
            return plan

        def advance(self: Any, plan: Any, z: Any) -> Step:
            now = plain.advance(self, plan, z)
            if not isinstance(now, Step):
                return now  # which `solve` refuses in words
            return Step(now.state, counter.paused(now.point), counter.paused(now.gap))

        return self._in_class(method, {"prepare": prepare, "advance": advance})

    def _plan(self, plan: Any) -> Any:
        if isinstance(plan, tuple):
            members = [self._plan(member) for member in plan]
            return type(plan)(*members) if hasattr(plan, "_fields") else tuple(members)
        if isinstance(plan, Resolvent | MonotoneOperator | LinearOperator) and not self._counts(plan):
            return self._counted(plan)
        return plan

    def _counts(self, thing: Any) -> bool:
        """Whether this is, or is made of, something counted."""
        if isinstance(thing, torch.Tensor | np.ndarray):
            return False
        if isinstance(thing, tuple):
            return any(map(self._counts, thing))
        if type(thing) in self._classes.values():
            return True
        is_node = dataclasses.is_dataclass(thing) and not isinstance(thing, type)
        return is_node and any(self._counts(getattr(thing, field.name)) for field in dataclasses.fields(thing))

    def _counted(self, thing: Any) -> Any:
        plain, counter = type(thing), self
        if plain in self._classes.values():
            return thing

        def ticking(name: str, kind: str) -> Callable[..., Any]:
            def call(self: Any, x: Any) -> Any:
                counter.tick(kind)
                # By the plain object: a default that calls another counted method must not count twice.
                return getattr(self._uncounted, name)(x)

            return call

        def passing(name: str) -> Callable[..., Any]:
            def make(self: Any, *arguments: Any) -> Any:
                return counter._counted(getattr(self._uncounted, name)(*arguments))

            return make

        if isinstance(thing, Resolvent):
            changes: dict[str, Any] = {
                "__call__": ticking("__call__", "resolvent"),
                "derivative": ticking("derivative", "derivative"),
            }
            passed: tuple[str, ...] = ("reflected", "take")
        elif isinstance(thing, MonotoneOperator):
            changes = {"apply": ticking("apply", "apply"), "derivative": ticking("derivative", "derivative")}
            passed = ("resolvent", "inverse", "take", "factored")
        else:
            changes = {"apply": ticking("apply", "linear")}
            passed = ("adjoint", "take")
        # Kept, for the kernels that it caches.
        changes["_uncounted"] = cached_property(lambda self: _retyped(self, plain))
        return self._in_class(thing, changes | {name: passing(name) for name in passed})

    def _in_class(self, thing: Any, changes: dict[str, Any]) -> Any:
        plain = type(thing)
        if plain not in self._classes:
            space = {**changes, "__module__": plain.__module__, "__doc__": plain.__doc__}
            self._classes[plain] = type(plain.__name__, (plain,), space)
        return _retyped(thing, self._classes[plain])


def _retyped(thing: Any, kind: type, **changes: Any) -> Any:
    """The same data as an object of another class."""
    copy: Any = object.__new__(kind)
    copy.__dict__.update(thing.__dict__ | changes)
    return copy
