"""Differentiation of whatever is defined by an equation: the only `torch.autograd.Function` of the package.

A `Problem` knows an equation G(x, θ) = 0 for x, how to solve it (by any number of steps, which autograd never sees)
and how to solve its linearisation, forwards and transposed. By the implicit function theorem

    dx = -(∂G/∂x)⁻¹ (∂G/∂θ) dθ,

so the pull-back of a cotangent g is u = (∂G/∂x)⁻ᴴ g, followed by -(∂G/∂θ)ᴴ u: one vector-Jacobian product of a
single evaluation of G. The linearised solves are themselves differentiable (they come back here), which gives
derivatives of every order.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch._C import _functorch as functorch
from torch._C._functorch import TransformType

from monops import tree
from monops.arrays import Shape
from monops.errors import DerivativeError


class Problem(ABC):
    """An equation G(x, θ) = 0 that defines x, where θ are the tensors in this frozen dataclass (see `monops.tree`).

    Shapes: x (*batch, *domain).
    """

    @property
    @abstractmethod
    def domain(self) -> Shape:
        """Shape of one solution, without batch axes."""

    @property
    @abstractmethod
    def batch(self) -> Shape:
        """Batch axes of the solution."""

    @abstractmethod
    def solve(self) -> torch.Tensor:
        """The solution x, by any means; called without gradients, on plain tensors."""

    @abstractmethod
    def equation(self, x: torch.Tensor) -> torch.Tensor:
        """G(x, θ), differentiable in θ, or what is left of it without terms in x alone."""

    def pairing(self, x: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        """⟨G(x, θ), u⟩, a number, differentiable in θ: all that the pull-back needs of G."""
        return (self.equation(x) * u).sum()

    @abstractmethod
    def tangent(self, x: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
        """v with (∂G/∂x) v = r at the solution x; differentiable."""

    @abstractmethod
    def cotangent(self, x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        """u with (∂G/∂x)ᴴ u = g at the solution x; differentiable."""

    def for_derivatives_in(self, tensors: Sequence[torch.Tensor]) -> Problem:
        """The same problem, by the equation that suits derivatives in these tensors of it."""
        return self


def solve_implicitly(problem: Problem) -> torch.Tensor:
    """The solution of `problem`, differentiable in every tensor of it: reverse and forward, to any order, and by vmap.

    But not forward over forward mode, since PyTorch drops what is nested in the `jvp` of a custom function.

    Memory does not depend on how many steps `problem.solve` takes: the solution alone is kept.

    Raises:
        DerivativeError: forward over forward mode.
    """
    flat = tree.flatten(problem)
    _refuse_forward_over_forward(flat.leaves)
    return cast(torch.Tensor, _Implicit.apply(flat, *flat.leaves))


class _Implicit(torch.autograd.Function):
    @staticmethod
    def forward(flat: tree.Flat, *theta: torch.Tensor) -> torch.Tensor:
        with torch.no_grad(), _full_precision(theta):
            return cast(Problem, flat.rebuild([t.detach() for t in theta])).solve()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        flat, *theta = inputs
        ctx.rebuild = flat.rebuild
        ctx.save_for_backward(*theta, output)
        ctx.save_for_forward(*theta, output)

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        *theta, x = ctx.saved_tensors
        if g.is_cuda:
            g.new_zeros(())  # autograd's thread may be new to the device, and cuBLAS warns where it is the first there
        wanted = [i for i, needed in enumerate(ctx.needs_input_grad[1:]) if needed]
        grads: list[torch.Tensor | None] = [None] * (len(theta) + 1)
        with _full_precision(theta):
            problem = cast(Problem, ctx.rebuild(theta)).for_derivatives_in([theta[i] for i in wanted])
            u = -problem.cotangent(x, g)
            # Only now, so that what this evaluation keeps for its derivative takes no memory during the solve; and of
            # ⟨G, u⟩, since a value of G itself would be held as long as its derivative is.
            paired = _function_of(ctx.rebuild, theta, wanted, lambda problem: problem.pairing(x, u))
            value, pull = torch.func.vjp(paired, *(theta[i] for i in wanted))[:2]
            for i, grad in zip(wanted, pull(torch.ones_like(value)), strict=True):
                grads[i + 1] = grad
        return tuple(grads)

    @staticmethod
    def jvp(ctx: Any, _: None, *tangents: torch.Tensor | None) -> torch.Tensor:
        *theta, x = ctx.saved_tensors
        moving = [i for i, t in enumerate(tangents) if t is not None]
        # A push-forward as the pull-back of a pull-back, since forward mode does not nest inside a custom function.
        equation = _function_of(ctx.rebuild, theta, moving, lambda problem: problem.equation(x))
        with _full_precision(theta):
            primal, pull = torch.func.vjp(equation, *(theta[i] for i in moving))[:2]
            push = torch.func.vjp(pull, torch.zeros_like(primal))[1]
            (r,) = push(tuple(tangents[i] for i in moving))
            problem = cast(Problem, ctx.rebuild(theta)).for_derivatives_in([theta[i] for i in moving])
            return -problem.tangent(x, r)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], flat: tree.Flat, *theta: torch.Tensor) -> tuple[torch.Tensor, int]:
        dims: tuple[int | None, ...] = in_dims[1:]
        mapped = [t if dim is None else t.movedim(dim, 0) for t, dim in zip(theta, dims, strict=True)]
        if any(dim is not None and axes is None for dim, axes in zip(dims, flat.axes, strict=True)):
            return _one_by_one(flat, mapped, dims, info.batch_size), 0
        one = cast(Problem, flat.rebuild(_pick(mapped, dims, 0)))
        lifted = [
            t if dim is None else _lift(t, axes, one) for t, dim, axes in zip(mapped, dims, flat.axes, strict=True)
        ]
        # Fresh, since what is kept for these numbers would not do for the mapped ones, nor the other way round.
        out = solve_implicitly(flat.rebuild(lifted, fresh=True))
        return out.expand(info.batch_size, *one.batch, *one.domain), 0


def _refuse_forward_over_forward(theta: Sequence[torch.Tensor]) -> None:
    """Raise where two levels of `torch.func.jvp` have tangents for one of these: the outer one would come out as 0."""
    forward = {level.level() for level in functorch.get_interpreter_stack() or () if level.key() == TransformType.Jvp}
    if len(forward) < 2:
        return
    for t in theta:
        levels = set()
        while functorch.is_functorch_wrapped_tensor(t):
            levels.add(functorch.maybe_get_level(t))
            t = functorch.get_unwrapped(t)
        if len(levels & forward) > 1:
            raise DerivativeError(
                "forward over forward mode (jvp of jvp, jacfwd of jacfwd) does not go through an equilibrium: PyTorch "
                "would leave out the outer one; take reverse mode for one of the two, as torch.func.hessian does"
            )


def _full_precision(theta: Sequence[torch.Tensor]) -> torch.autocast:
    """A context without autocast, which would solve in a precision that no tolerance is meant for."""
    return torch.autocast(theta[0].device.type if theta else "cpu", enabled=False)


def _function_of(
    rebuild: Any, theta: list[torch.Tensor], chosen: list[int], of: Callable[[Problem], torch.Tensor]
) -> Callable[..., torch.Tensor]:
    """`of` the problem as a function of the chosen ones among its tensors θ."""

    def function(*values: torch.Tensor) -> torch.Tensor:
        every = list(theta)
        for i, value in zip(chosen, values, strict=True):
            every[i] = value
        return of(cast(Problem, rebuild(every)).for_derivatives_in(values))

    return function


def _pick(mapped: list[torch.Tensor], dims: tuple[int | None, ...], i: int) -> list[torch.Tensor]:
    return [t if dim is None else t[i] for t, dim in zip(mapped, dims, strict=True)]


def _lift(leaf: torch.Tensor, axes: Any, problem: Problem) -> torch.Tensor:
    """Put axes of length 1 behind the mapped first axis, so that it stands before all batch axes of the states."""
    own = len(problem.domain) if axes == "domain" else axes
    missing = len(problem.batch) + own - (leaf.ndim - 1)
    return leaf.reshape(leaf.shape[0], *(1,) * missing, *leaf.shape[1:])


def _one_by_one(flat: tree.Flat, mapped: list[torch.Tensor], dims: tuple[int | None, ...], size: int) -> torch.Tensor:
    """The mapped problems in turn, for tensors which do not say how they broadcast."""
    return torch.stack([solve_implicitly(flat.rebuild(_pick(mapped, dims, i), fresh=True)) for i in range(size)])
