"""Matrix-free resolvents: conjugate gradients and GMRES, batched, for torch and NumPy."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch

from monops.arrays import Array, Shape, epsilon, flatten_trailing, is_torch, known_true, namespace, norm
from monops.autodiff import Problem, solve_implicitly
from monops.errors import NonFiniteError, NotConvergedError, OptionError
from monops.linear.around import Around
from monops.linear.base import LinearOperator
from monops.linear.identity import Identity


@dataclass(frozen=True, eq=False)
class Krylov(Around):
    """x ↦ (I + step·op)⁻¹ x, by an iterative solve at each application.

    Conjugate gradients where `op` is known to be symmetric, restarted GMRES otherwise (Saad, *Iterative methods for
    sparse linear systems*, 2nd edition, 2003, algorithms 6.18 and 6.9). Each sample of the batch has its own
    residual; the slowest one decides. Differentiable in x and in the tensors of `op`, to any order.

    Args:
        op: any square linear operator.
        step: a finite number.
        tol: relative residual at which a sample is done, > 0; ten units in the last place of the terms unless given.
        max_steps: products with `op` allowed for one application.
        restart: GMRES keeps this many basis vectors, ≥ 1.

    Raises:
        NotConvergedError: an application needs more than `max_steps` products; `op` is singular, say, or `tol` is
            below what rounding allows.
        NonFiniteError: a right-hand side or the operator holds a NaN or an infinity.
    """

    op: LinearOperator
    step: float
    tol: float | None = None
    max_steps: int = 2000
    restart: int = 50

    def __post_init__(self) -> None:
        self.op._require_step(self.step)
        if self.tol is not None and not self.tol > 0:
            raise OptionError(f"tol wants a number > 0, got {self.tol}")
        if min(self.max_steps, self.restart) < 1:
            raise OptionError(f"max_steps and restart want ≥ 1, got {self.max_steps}, {self.restart}")

    def apply(self, x: Array) -> Array:
        return solve_implicitly(_LinearSystem(self, x)) if is_torch(x) else self._solve(x)

    def adjoint(self) -> LinearOperator:
        return self if self.symmetric else replace(self, op=self.op.H)

    def system(self) -> LinearOperator:
        """I + step·op."""
        return Identity.like(self.op) + self.step * self.op

    def take(self, index: Array, shape: Shape) -> LinearOperator:
        return replace(self, op=self.op.take(index, shape))

    def _solve(self, b: Array) -> Array:
        axes = len(self.domain)
        if not known_true(namespace(b).isfinite(b).all()):
            raise NonFiniteError(f"Krylov resolvent of {self.op.signature}: NaN or infinity in the right-hand side")
        solver = _conjugate_gradients if self.symmetric else _gmres
        x, residual, target = solver(self, b, axes)
        if not bool((residual <= target).all()):
            worst = float((residual / namespace(b).clip(target, epsilon(b.dtype) ** 4, None)).max())
            raise NotConvergedError(
                f"Krylov resolvent of {self.op.signature}: residual still {worst:.1e} × its tolerance after "
                f"{self.max_steps} products; with a smaller step than {self.step:g} fewer are needed; methods such as "
                f"ForwardBackwardForward need no resolvent of A; for an operator of your own, define its `resolvent`, "
                f"such as Krylov(self, step, tol=1e-6, max_steps=10_000)"
            )
        return x

    def _target(self, b: Array, x: Array, size: Array, axes: int) -> Array:
        """The residual to reach: `tol` relative to b, or else what rounding allows if ‖I + step·op‖ ≈ size."""
        if self.tol is not None:
            return self.tol * norm(b, axes)
        eps, b_size = epsilon(b.dtype), norm(b, axes)
        # Where x is huge the system is singular to working precision, which must not pass for a solution.
        return namespace(b).minimum(10 * eps * (b_size + size * norm(x, axes)), eps**0.5 * b_size)


@dataclass(frozen=True, eq=False)
class _LinearSystem(Problem):
    """(I + step·op) x = b."""

    resolvent: Krylov
    b: torch.Tensor = field(metadata={"axes": "domain"})

    @property
    def domain(self) -> Shape:
        return self.resolvent.domain

    @property
    def batch(self) -> Shape:
        leading = self.b.shape[: self.b.ndim - len(self.domain)]
        return tuple(torch.broadcast_shapes(leading, self.resolvent.batch))

    def solve(self) -> torch.Tensor:
        return self.resolvent._solve(self.b.expand(*self.batch, *self.domain))

    def equation(self, x: torch.Tensor) -> torch.Tensor:
        return self.resolvent.system().apply(x) - self.b

    def tangent(self, x: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
        return self.resolvent.apply(r)

    def cotangent(self, x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        return self.resolvent.H.apply(g)


def _inner(x: Array, y: Array, axes: int) -> Array:
    return flatten_trailing(x * y, axes).sum(-1)


def _conjugate_gradients(resolvent: Krylov, b: Array, axes: int) -> tuple[Array, Array, Array]:
    system, xp = resolvent.system(), namespace(b)
    column = (...,) + (None,) * axes
    x, r = xp.zeros_like(b), b
    p, rho = r, _inner(r, r, axes)
    size = xp.zeros_like(rho)
    for _ in range(resolvent.max_steps):
        if not bool((rho > resolvent._target(b, x, size, axes) ** 2).any()):
            break
        q = system.apply(p)
        size = xp.maximum(size, norm(q, axes) / _safe(norm(p, axes)))
        alpha = rho / _safe(_inner(p, q, axes))
        x, r = x + alpha[column] * p, r - alpha[column] * q
        new = _inner(r, r, axes)
        p, rho = r + (new / _safe(rho))[column] * p, new
    return x, norm(b - system.apply(x), axes), 2 * resolvent._target(b, x, size, axes)


def _gmres(resolvent: Krylov, b: Array, axes: int) -> tuple[Array, Array, Array]:
    system, xp = resolvent.system(), namespace(b)
    x, r = xp.zeros_like(b), b
    size = xp.zeros_like(norm(b, axes))
    for _ in range(math.ceil(resolvent.max_steps / resolvent.restart)):
        residual, target = norm(r, axes), resolvent._target(b, x, size, axes)
        if not bool((residual > target).any()):
            break
        correction, size = _gmres_cycle(system, r, residual, target, size, axes, resolvent.restart)
        x = x + correction
        r = b - system.apply(x)
    return x, norm(r, axes), resolvent._target(b, x, size, axes)


def _gmres_cycle(
    system: LinearOperator, r: Array, residual: Array, target: Array, size: Array, axes: int, restart: int
) -> tuple[Array, Array]:
    """The correction to x from one Arnoldi basis (orthogonalised twice), by Givens rotations, a sample each.

    `size` comes back as the largest ‖system v‖ seen for a unit vector v.
    """
    xp = namespace(r)
    column = (...,) + (None,) * axes
    basis = [r / _safe(residual)[column]]
    triangle: list[list[Array]] = []  # columns of the rotated Hessenberg matrix
    rotations: list[tuple[Array, Array]] = []
    right = [residual]  # the rotated right-hand side; its last entry is the residual
    for _ in range(min(restart, math.prod(system.domain))):
        w, h = system.apply(basis[-1]), [xp.zeros_like(residual) for _ in basis]
        size = xp.maximum(size, norm(w, axes))
        for _ in range(2):
            for i, v in enumerate(basis):
                overlap = _inner(v, w, axes)
                h[i], w = h[i] + overlap, w - overlap[column] * v
        length = norm(w, axes)
        basis.append(w / _safe(length)[column])
        for i, (c, s) in enumerate(rotations):
            below = h[i + 1] if i + 1 < len(h) else length
            h[i], below = c * h[i] + s * below, c * below - s * h[i]
            h[i + 1 :] = [below, *h[i + 2 :]]
        diagonal = xp.hypot(h[-1], length)
        c, s = h[-1] / _safe(diagonal), length / _safe(diagonal)
        rotations.append((c, s))
        triangle.append([*h[:-1], diagonal])
        right[-1:] = [c * right[-1], -s * right[-1]]
        if not bool((abs(right[-1]) > target / 2).any()):
            break
    weights: list[Array] = [None] * len(triangle)
    for i in reversed(range(len(triangle))):
        known = sum(triangle[j][i] * weights[j] for j in range(i + 1, len(triangle)))
        weights[i] = (right[i] - known) / _safe(triangle[i][i])
    return sum(weight[column] * v for weight, v in zip(weights, basis, strict=False)), size


def _safe(divisor: Array) -> Array:
    """The divisor, or 1 where it is zero: there the sample is solved already and its dividend is zero too."""
    return namespace(divisor).where(divisor == 0, 1, divisor)
