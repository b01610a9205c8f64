"""Solutions of 0 ∈ A(z) + B(z), differentiable in every tensor of A and B."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch

from monops import tree
from monops.arrays import Array, Shape
from monops.autodiff import Problem, solve_implicitly
from monops.errors import DTypeError, NoResolventError, NotSingleValuedError, OptionError
from monops.inputs import problem_of
from monops.linear import LinearOperator
from monops.loop import Callback
from monops.monotone import Affine, FromResolvent, MonotoneOperator
from monops.monotone.base import common_domain, common_rank
from monops.options import require_number, shown
from monops.result import Result, Status
from monops.solver import solve
from monops.splitting import SplittingMethod, State
from monops.splitting.base import require_method
from monops.splitting.state import first


class WarmStart:
    """The last states of a repeated solve and of its adjoint: the next ones start there if shape and dtype fit."""

    def __init__(self) -> None:
        self.forward: State | None = None
        self.backward: State | None = None


def equilibrium(
    method: SplittingMethod,
    A: MonotoneOperator,
    B: MonotoneOperator | None = None,
    z0: torch.Tensor | None = None,
    *,
    tol: float | None = None,
    backward_tol: float | None = None,
    atol: float = 0.0,
    max_steps: int = 1000,
    check_every: int | None = None,
    callback: Callback | None = None,
    warm: WarmStart | None = None,
    compile: bool = False,
    warn: bool = True,
) -> Result:
    """Find z with 0 ∈ A(z) + B(z), as `solve` does, with a `point` that is differentiable.

    By the implicit function theorem at the solution, z = J(v), v = z - α A(z), where J is the resolvent of B. With
    D = J'(v) and M = A'(z) the derivative solves one more monotone inclusion, of the same kind: for a cotangent g,

        0 ∈ Mᴴ w - g/α + B̃(w),   (I + α B̃)⁻¹ = Dᴴ,

    which the same method solves with the same (transposed) factorisation. Nothing is infinite where D is 0. It holds
    for reverse and forward mode, of any order, and under `torch.func`; but not for forward over forward mode, which
    PyTorch would ignore in functions of one's own. Memory does not depend on the steps.

    Shapes: those of `monops.solve`.

    Args:
        method: see `monops.solve`; used for the linearised solves too, with the same step.
        A: see `monops.solve`; on tensors, single-valued and differentiable.
        B: see `monops.solve`; on tensors, with a resolvent: not KᴴBK for any K, nor a sum of two functions.
        z0: see `monops.solve`; of a state, the solve starts from the point in it. No derivative depends on it.
        tol: see `monops.solve`; of the forward solve.
        backward_tol: relative tolerance of the linearised solves; as in the forward solve unless given.
        atol: see `monops.solve`; for each solve.
        max_steps: see `monops.solve`; for each solve.
        check_every: see `monops.solve`; for each solve.
        callback: see `monops.solve`; of the forward solve alone.
        warm: start both solves from what the last call with this object left.
        compile: see `monops.solve`; for each solve.
        warn: see `monops.solve`; of the forward solve: the linearised ones always warn.

    Returns:
        A `Result`. Its `point` carries the derivative, everything else is cut off from the graph (and under
        `torch.func.vmap`, where solves may go one by one, describes the last of them).

    Raises:
        DTypeError: the states are NumPy arrays.
        NoResolventError: B has none.
        DerivativeError: forward over forward mode.
        MonopsError: those of `monops.solve`, in the forward as in the backward solve.

    Source: Winston & Kolter 2020, theorems 2 and 3, with the derivative of the prox at its argument v.

    Example:
        >>> import torch
        >>> from monops import Affine, Dense, PeacemanRachford, ReLU, Subdifferential
        >>> b = torch.tensor([1.0, -1.0], requires_grad=True)
        >>> A = Affine(Dense(torch.tensor([[2.0, -1.0], [1.0, 2.0]])), b)
        >>> z = equilibrium(PeacemanRachford(0.5), A, Subdifferential(ReLU())).point
        >>> torch.autograd.grad(z.sum(), b)
        (tensor([0.5000, 0.0000]),)
    """
    if backward_tol is not None:
        require_number("backward_tol", backward_tol)
    if not (warm is None or isinstance(warm, WarmStart)):
        raise OptionError(f"warm wants a WarmStart(), kept from one call to the next, got {shown(warm)}")
    require_method("method", method)
    A, B, z0 = problem_of(A, B, z0)
    if not isinstance(z0, torch.Tensor):
        raise DTypeError(f"equilibrium differentiates tensors, got {type(z0).__name__}; use solve for NumPy")
    if not isinstance(B, Affine):  # whose resolvent is known, and is not to be computed twice
        try:
            B.resolvent(1.0)
        except NoResolventError as error:
            raise NoResolventError(
                f"equilibrium differentiates through the resolvent of B: {error}; solve gives the solution without "
                f"derivatives"
            ) from error
    if not isinstance(A, Affine):
        try:
            with torch.no_grad():
                A.apply(z0)
        except NotSingleValuedError as error:
            raise NotSingleValuedError(
                f"equilibrium differentiates the equation z = J(z - α A(z)), J the resolvent of B, so A has to be "
                f"single-valued: {error}; exchange A and B, or write a set-valued term of a sum as part of B; "
                f"solve(..., unroll=True) differentiates through the steps of any method"
            ) from error
    A = A.factored()
    options: dict[str, Any] = {"tol": tol, "atol": atol, "max_steps": max_steps, "check_every": check_every}
    options |= {"callback": callback, "compile": compile, "warn": warn}
    problem = EquilibriumProblem(A, B, z0.detach(), method, options, backward_tol, warm)
    point = solve_implicitly(problem)
    result = problem.record["forward"]
    problem.record["forward"] = result.figures()  # all that the graph has to keep
    return replace(result, point=point)


@dataclass(frozen=True, eq=False)
class EquilibriumProblem(Problem):
    """The inclusion 0 ∈ A(z) + B(z), for `monops.autodiff`.

    Its linearisation at the solution z is M w + B̃(w) ∋ r, with M = A'(z) and (I + α B̃)⁻¹ = D, the derivative of
    J = (I + α B)⁻¹ at v = z - α A(z).
    """

    A: MonotoneOperator
    B: MonotoneOperator
    z0: torch.Tensor = field(metadata={"axes": "domain"})
    method: SplittingMethod
    options: dict[str, Any]
    backward_tol: float | None = None
    warm: WarmStart | None = None
    direction: str = "forward"
    record: dict[str, Result] = field(default_factory=dict)  # what the last solve gave, as "forward"

    @property
    def step(self) -> float:
        """The α of the equation: that of the method, or what "auto" has found in the forward solve."""
        return float(getattr(self._tuned, "step", 1.0))

    @property
    def _tuned(self) -> SplittingMethod:
        return self.record["forward"].method if "forward" in self.record else self.method

    @property
    def domain(self) -> Shape:
        known = common_domain(self.A, self.B)
        return tuple(self.z0.shape[self.z0.ndim - common_rank(self.A, self.B) :]) if known is None else known

    @property
    def batch(self) -> Shape:
        return tuple(self.z0.shape[: self.z0.ndim - len(self.domain)])

    def solve(self) -> torch.Tensor:
        start = getattr(self.warm, self.direction, None)
        like = None if start is None else first(start)
        fits = like is not None and all(getattr(like, k) == getattr(self.z0, k) for k in ("shape", "dtype", "device"))
        z0 = start if fits else self.z0
        result = solve(self.method, self.A, self.B, z0, **self.options)
        if self.warm is not None:  # from what is not finite no later solve would recover
            is_sound = result.status is not Status.NON_FINITE
            setattr(self.warm, self.direction, result.state if is_sound else None)
        # Another tensor than the one returned, which will carry a graph that the record must not hold.
        self.record["forward"] = replace(result, point=result.point.detach())
        return result.point

    def equation(self, x: torch.Tensor) -> torch.Tensor:
        return self.A.apply(x)

    def pairing(self, x: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        return self.A.pairing(x, u)

    def cotangent(self, x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        M, D = self._linearise(x)
        return self._solve_linear(M.H, D.H, self.A.arrange(g))

    def tangent(self, x: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
        M, D = self._linearise(x)
        return self._solve_linear(M, D, r)

    def for_derivatives_in(self, tensors: Sequence[torch.Tensor]) -> EquilibriumProblem:
        chosen = {id(t) for t in tensors}
        if not any(id(leaf) in chosen for leaf in tree.flatten(self.B).leaves):
            return self  # with the fewest products and the least memory, since the resolvent of B is a constant
        return NaturalProblem(*(getattr(self, f.name) for f in fields(self)))

    def _linearise(self, x: torch.Tensor) -> tuple[LinearOperator, LinearOperator]:
        J = self.B.resolvent(self.step)
        D = J.derivative_from(x) if self._tuned.point_is_value else None
        if D is None:
            D = J.derivative(x - self.step * self.A.apply(x))
        return self.A.derivative(x), D

    def _solve_linear(self, M: LinearOperator, D: LinearOperator, b: torch.Tensor) -> Array:
        """w with b ∈ M w + B̃(w), that is w = D(w - α(M w - b))."""
        options = {**self.options, "callback": None, "warn": True}  # nobody else hears of a backward solve
        if self.backward_tol is not None:
            options["tol"] = self.backward_tol
        inner = EquilibriumProblem(
            Affine(M, b, claim=getattr(self.A, "claim", None)),
            FromResolvent(D, self.step),
            torch.zeros((), dtype=b.dtype, device=b.device).expand(b.shape),
            self._tuned,
            options,
            warm=self.warm,
            direction="backward",
        )
        w = solve_implicitly(inner)
        if "forward" in inner.record and "forward" in self.record:  # else a mapped batch's solves went one by one
            self.record["forward"].record["backward"] = inner.record["forward"].figures()
            inner.record["forward"] = inner.record["forward"].figures()
        return w


@dataclass(frozen=True, eq=False)
class NaturalProblem(EquilibriumProblem):
    """The same inclusion as the equation z = J(z - α A(z)), which has derivatives in the tensors of B too."""

    def equation(self, x: torch.Tensor) -> torch.Tensor:
        return -self.B.resolvent(self.step)(x - self.step * self.A.apply(x))

    def pairing(self, x: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        return Problem.pairing(self, x, u)

    def cotangent(self, x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        M, D = self._linearise(x)
        g = self.A.arrange(g)
        w = self._solve_linear(M.H, D.H, g)  # α times the solution for g/α, which saves an array
        return w / self.step + (g - M.H.apply(w))

    def tangent(self, x: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
        M, D = self._linearise(x)
        return r + self._solve_linear(M, D, r / self.step - M.apply(r))
