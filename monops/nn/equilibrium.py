"""The layer whose output is an equilibrium."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from monops.errors import DeviceError, DTypeError, NonFiniteError, OptionError, StepSizeError
from monops.functions import Function, ReLU
from monops.implicit import WarmStart, equilibrium
from monops.monotone import Affine, Subdifferential
from monops.nn.base import MonotoneLinear
from monops.options import require_integer, require_number
from monops.result import Result, Status
from monops.solver import warn_of
from monops.splitting import PeacemanRachford, SplittingMethod
from monops.splitting.base import require_method
from monops.tuning import search_step


class Equilibrium(nn.Module):
    """x ↦ z, the unique solution of z = σ(W z + U x + b).

    Solved by operator splitting, differentiated implicitly: memory does not depend on the number of steps.

    Shapes: those of `linear`: for `MonotoneDense`, (*batch, inputs) → (*batch, features); for `MonotoneConv`,
    (*batch, inputs, *size) → (*batch, channels, *size).

    Args:
        linear: the module with the parameters, such as `MonotoneDense`.
        activation: the function f whose prox at step 1 is σ, such as `ReLU()` or `Tanh()`.
        method: a splitting method. With `step="auto"` the first call finds a step, kept until the method refuses
            it since the parameters have changed; `tune` finds it anew.
        tol: relative tolerance of the forward solve, in (0, ∞); see `monops.solve`.
        backward_tol: of the backward solve; the same unless given.
        max_steps: limit for both, ≥ 1; reaching it warns.
        check_every: steps from one look at the residual to the next, ≥ 1; see `monops.solve`. Unless given, 3, or what
            the method says where that is less.
        warm_start: start each solve from the last one's state if shape, dtype and device are the same.
        compile: fuse the elementwise parts of the solvers' steps; see `monops.solve`.

    Raises:
        OptionError: from the constructor, for an argument of another kind or outside its range.
        ShapeError, DTypeError, DeviceError: on a call, if x does not fit `linear`.
        NonFiniteError: on a call, if there is a NaN or infinity in x, in the parameters or in the solve; the message
            names the samples.

    Attributes:
        method: the splitting method, with the number that "auto" has found once it has.
        last: the `Result` of the last call, cut off from the graph, with its `backward` once that is done; or None. Its
            `state` is kept with `warm_start` only; otherwise it is the point.

    Source: Winston & Kolter 2020, section 3.

    Example:
        >>> import torch
        >>> from monops.nn import MonotoneDense
        >>> layer = Equilibrium(MonotoneDense(4, 8), tol=1e-5)
        >>> layer(torch.ones(3, 4)).shape, layer.last.status.name
        (torch.Size([3, 8]), 'CONVERGED')
    """

    def __init__(
        self,
        linear: MonotoneLinear,
        activation: Function | None = None,
        method: SplittingMethod | None = None,
        *,
        tol: float = 1e-4,
        backward_tol: float | None = None,
        max_steps: int = 500,
        check_every: int | None = None,
        warm_start: bool = False,
        compile: bool = False,
    ) -> None:
        super().__init__()
        activation = ReLU() if activation is None else activation
        method = PeacemanRachford("auto") if method is None else method
        if not isinstance(linear, MonotoneLinear):
            raise OptionError(f"linear wants a MonotoneLinear such as MonotoneDense(4, 8), got {linear!r}")
        if not isinstance(activation, Function):
            raise OptionError(f"activation wants a Function such as ReLU(), got {activation!r}")
        require_method("method", method)
        require_number("tol", tol)
        if backward_tol is not None:
            require_number("backward_tol", backward_tol)
        max_steps = require_integer("max_steps", max_steps)
        check_every = min(3, method.check_every) if check_every is None else require_integer("check_every", check_every)
        self.linear = linear
        self.activation = activation
        self.method = method
        self.is_auto = getattr(method, "step", None) == "auto"
        self.options: dict[str, Any] = {"tol": tol, "max_steps": max_steps, "check_every": check_every}
        self.options["compile"] = compile
        self.backward_tol = backward_tol
        self.warm = WarmStart() if warm_start else None
        self.last: Result | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not isinstance(x, torch.Tensor):
            raise DTypeError(f"{type(self).__name__} expects a torch tensor, got {type(x).__name__}")
        parameter = next(self.linear.parameters(), x)
        if x.device != parameter.device:
            raise DeviceError(f"{type(self).__name__} lives on {parameter.device}, got an input on {x.device}")
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(parameter.dtype)  # the layer keeps the precision of its parameters
        self.last = None  # so that its memory is free for this call
        with torch.autocast(x.device.type, enabled=False):
            A, B = self.problem(x)
            try:
                result = self._solve(x, A, B)
            except NonFiniteError as error:
                raise NonFiniteError(self._diagnose(x, None, str(error))) from error
        if result.status is Status.NON_FINITE:
            raise NonFiniteError(self._diagnose(x, ~np.isfinite(result.residual)))
        if result.status is not Status.CONVERGED:
            warn_of(result, self.options["tol"])
        point = result.point.detach()
        # Between calls no more is kept than has a use.
        self.last = replace(result, point=point, state=point if self.warm is None else result.state)
        self.method = result.method  # with the number that "auto" has found
        return self.linear.extract(result.point)

    def _solve(self, x: torch.Tensor, A: Affine, B: Subdifferential) -> Result:
        options = {**self.options, "backward_tol": self.backward_tol, "warm": self.warm, "warn": False}
        try:
            return equilibrium(self.method, A, B, **options)
        except StepSizeError:
            if not self.is_auto:
                raise
            self.tune(x)  # the parameters have changed since, and with them the steps that are proven to converge
            return equilibrium(self.method, A, B, **options)

    def problem(self, x: torch.Tensor) -> tuple[Affine, Subdifferential]:
        """The operators A and B whose sum has its zero at the output."""
        A = Affine(self.linear.operator(), self.linear.inject(x), claim=self.linear.m)
        return A, Subdifferential(self.linear.confine(self.activation))

    def tune(self, x: torch.Tensor) -> float | None:
        """Set the step of `method` to the one that needs the fewest steps for these inputs, and return it."""
        if not hasattr(self.method, "step"):
            return None
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            A, B = self.problem(x)
            self.method = search_step(self.method, A.factored(), B, tol=self.options["tol"]).method
        return float(self.method.step)

    def extra_repr(self) -> str:
        return f"activation={self.activation}, method={self.method}, tol={self.options['tol']}"

    def _diagnose(self, x: torch.Tensor, bad: np.ndarray | None, found: str = "NaN or infinity in the solve") -> str:
        for name, parameter in self.linear.named_parameters():
            if not bool(parameter.isfinite().all()):
                return f"parameter {name} holds a NaN or infinity"
        found = found if bool(x.isfinite().all()) else "NaN or infinity in the input"
        where = "" if bad is None else f", at samples {np.argwhere(bad).tolist()[:8]} of {bad.size}"
        return f"{found}{where}; if data and parameters are sound, they may be too large for their precision"
