"""Matrix-free resolvents: conjugate gradients and GMRES, batched, for torch and NumPy."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch

from monops.arrays import Array, DType, Shape, epsilon, flatten_trailing, is_torch, namespace, norm
from monops.autodiff import Problem, solve_implicitly
from monops.errors import NonFiniteError, NotConvergedError, OptionError
from monops.linear.base import LinearOperator
from monops.linear.identity import Identity


@dataclass(frozen=True, eq=False)
class Krylov(LinearOperator):
    """x ↦ (I + step·op)⁻¹ x, by an iterative solve at each application.

    Conjugate gradients where `op` is known to be symmetric, restarted GMRES otherwise (Saad, *Iterative methods for
    sparse linear systems*, 2nd edition, 2003, algorithms 6.18 and 6.9). Each sample of the batch has its own
    residual; the slowest one decides. Differentiable in x and in the tensors of `op`, to any order.

    Args:
        op: any square linear operator.
        step: a finite number.
        tol: relative residual at which a sample is done, > 0; ten units in the last place unless given.
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

    @property
    def domain(self) -> Shape:
        return self.op.domain

    @property
    def codomain(self) -> Shape:
        return self.op.domain

    @property
    def dtype(self) -> DType:
        return self.op.dtype

    @property
    def device(self) -> torch.device:
        return self.op.device

    @property
    def batch(self) -> Shape:
        return self.op.batch

    @property
    def symmetric(self) -> bool:
        return self.op.symmetric

    def apply(self, x: Array) -> Array:
        return solve_implicitly(_LinearSystem(self, x)) if is_torch(x) else self._solve(x)

    def adjoint(self) -> LinearOperator:
        return self if self.symmetric else replace(self, op=self.op.H)

    def system(self) -> LinearOperator:
        """I + step·op."""
        return Identity.like(self.op) + self.step * self.op

    def _take(self, index: Array, batch: Shape) -> LinearOperator:
        return replace(self, op=self.op._take(index, batch))

    def _solve(self, b: Array) -> Array:
        axes = len(self.domain)
        target = (self.tol or 10 * epsilon(b.dtype)) * norm(b, axes)
        solver = _conjugate_gradients if self.symmetric else _gmres
        x, residual = solver(self, b, target)
        if bool((residual > target).any()):
            worst = float((residual / namespace(b).clip(target, epsilon(b.dtype) ** 4, None)).max())
            raise NotConvergedError(
                f"Krylov resolvent of {self.op.signature}: residual still {worst:.1e} × its tolerance after "
                f"{self.max_steps} products; raise max_steps or tol, or give the operator more structure"
            )
        if not bool(namespace(b).isfinite(residual).all()):
            raise NonFiniteError(f"Krylov resolvent of {self.op.signature}: NaN or infinity in the system")
        return x


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


def _conjugate_gradients(resolvent: Krylov, b: Array, target: Array) -> tuple[Array, Array]:
    system, axes = resolvent.system(), len(resolvent.domain)
    xp = namespace(b)
    column = (...,) + (None,) * axes
    x, r = xp.zeros_like(b), b
    p, rho = r, _inner(r, r, axes)
    for _ in range(resolvent.max_steps):
        if not bool((rho > target**2).any()):
            break
        q = system.apply(p)
        curvature = _inner(p, q, axes)
        alpha = rho / _safe(curvature)
        x, r = x + alpha[column] * p, r - alpha[column] * q
        new = _inner(r, r, axes)
        p, rho = r + (new / _safe(rho))[column] * p, new
    return x, norm(b - system.apply(x), axes)


def _gmres(resolvent: Krylov, b: Array, target: Array) -> tuple[Array, Array]:
    system, axes = resolvent.system(), len(resolvent.domain)
    x, r = namespace(b).zeros_like(b), b
    for _ in range(math.ceil(resolvent.max_steps / resolvent.restart)):
        residual = norm(r, axes)
        if not bool((residual > target).any()):
            break
        x = x + _gmres_cycle(system, r, residual, target, axes, resolvent.restart)
        r = b - system.apply(x)
    return x, norm(r, axes)


def _gmres_cycle(system: LinearOperator, r: Array, residual: Array, target: Array, axes: int, restart: int) -> Array:
    """The correction to x from one Arnoldi basis (orthogonalised twice), by Givens rotations, a sample each."""
    xp = namespace(r)
    column = (...,) + (None,) * axes
    basis = [r / _safe(residual)[column]]
    triangle: list[list[Array]] = []  # columns of the rotated Hessenberg matrix
    rotations: list[tuple[Array, Array]] = []
    right = [residual]  # the rotated right-hand side; its last entry is the residual
    for _ in range(min(restart, math.prod(system.domain))):
        w, h = system.apply(basis[-1]), [xp.zeros_like(residual) for _ in basis]
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
    return sum(weight[column] * v for weight, v in zip(weights, basis, strict=False))


def _safe(divisor: Array) -> Array:
    """The divisor, or 1 where it is zero: there the sample is solved already and its dividend is zero too."""
    return namespace(divisor).where(divisor == 0, 1, divisor)
