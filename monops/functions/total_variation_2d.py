"""Total variation of images."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Self

import torch

from monops.arrays import Array, Shape, cast, clip, detach, is_torch, namespace, norm, require_step
from monops.autodiff import Problem, solve_implicitly
from monops.errors import NotConvergedError, OptionError
from monops.functions.base import Function, total
from monops.functions.jacobians import PerSample
from monops.functions.parameters import PARAMETER, require
from monops.linear import LinearOperator

# The step of the dual method, 1/‖D‖² for the differences D of an image in two directions.
_RATE = 0.125
_CHECK_EVERY = 10


@dataclass(frozen=True, eq=False)
class TV2D(Function):
    """f(x) = weight·Σ_p ‖(D x)_p‖, D x the differences of the image x to the next row and the next column.

    The norm is Euclidean, which makes f isotropic, or else the sum of absolute values.

    Shapes: `x` (*batch, rows, columns).

    The prox has no formula: it is x - Dᴴu for the dual solution u, found by projected accelerated gradients with
    restarts, in float64. A duality gap proves ‖error‖ ≤ tol·‖x‖ for each image; looking at it is what this prox, unlike
    others, waits for the device for. Its derivative is that of the dual fixed point, by conjugate gradients: on an
    anisotropic prox, the mean over each constant patch. It is differentiable once.

    Args:
        weight: a number in [0, ∞).
        isotropic: whether the norm of the two differences at a pixel is Euclidean.
        tol: the largest error of the prox relative to its argument, ≥ 1e-7. A gap shows half of the digits, fewer
            where steps are long and images large: what cannot be proven is not claimed. Where an isotropic prox is
            constant on large patches, but not everywhere, 1e-6 can take a hundred times as long as 1e-4.
        max_steps: of the dual method, and of the conjugate gradients.

    Raises:
        OptionError: an argument is out of its range.
        NotConvergedError: by `prox` and its derivative, when `max_steps` were not enough.

    Source:
        Beck & Teboulle 2009, Fast gradient-based algorithms for constrained total variation image denoising and
        deblurring problems; O'Donoghue & Candès 2015, Adaptive restart for accelerated gradient schemes.

    Example:
        >>> import torch
        >>> TV2D(1.0).prox(torch.tensor([[0.0, 8.0], [0.0, 8.0]]), 1.0)
        tensor([[1., 7.],
                [1., 7.]])
    """

    weight: float = field(default=1.0, metadata=PARAMETER)
    isotropic: bool = field(default=True, kw_only=True)
    tol: float = field(default=1e-4, kw_only=True)
    max_steps: int = field(default=100_000, kw_only=True)
    axes: int = field(init=False, default=2)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.weight, float):
            raise OptionError(f"TV2D wants a number as weight, got {self.weight!r}")
        require(self, 0 <= self.weight < math.inf, "weight in [0, ∞)")
        if not self.tol >= 1e-7 or self.max_steps < 1:
            raise OptionError(f"TV2D wants tol ≥ 1e-7 and max_steps ≥ 1, got {self.tol} and {self.max_steps}")

    def on_axes(self, axes: int) -> Self:
        if axes != 2:
            raise OptionError(f"TV2D is a function of two axes, got axes={axes}")
        return self

    def __call__(self, x: Array) -> Array:
        return self.weight * total(self._lengths(*_differences(self._admit(x))), 2)

    def prox(self, x: Array, step: float) -> Array:
        step = require_step(step, self, "prox")
        self._admit(x)
        return solve_implicitly(_Denoising(self, x, step)) if is_torch(x) else self._solve(x, step)[0]

    def prox_derivative(self, x: Array, step: float) -> LinearOperator:
        step = require_step(step, self, "prox_derivative")
        xp, bound = namespace(self._admit(x)), self._bound(x, step)
        _, u, v = self._solve(detach(x), step)
        image = cast(detach(x), xp.float64) - _adjoint(u, v)
        across, down = (a + _RATE * b for a, b in zip((u, v), _differences(image), strict=True))
        if self.isotropic:
            length = xp.hypot(across, down)
            is_cut = length > bound
            safe = xp.where(length > 0, length, 1.0)
            scale = xp.where(is_cut, xp.sqrt(bound / safe), 1.0)
            data = (scale, scale, xp.where(is_cut, across / safe, 0.0), xp.where(is_cut, down / safe, 0.0))
        else:
            scales = (cast(abs(part) <= bound, image.dtype) for part in (across, down))
            data = (*scales, 0 * image, 0 * image)
        return PerSample(partial(_linearised, max_steps=self.max_steps), (0 * detach(x), *data), 2)

    def conjugate_value(self, y: Array) -> Array:
        # f* is the indicator of the set that the prox at step 1 sends to 0. On its boundary, where subgradients lie,
        # the dual method is slow: membership is judged to four digits.
        xp, rough = namespace(y), max(self.tol, 1e-5)
        far, room = norm(replace(self, tol=rough).prox(y, 1.0), 2), 10 * rough * norm(y, 2)
        return xp.where(far > room, math.inf, xp.where(far == far, 0.0, far))

    def _lengths(self, across: Array, down: Array) -> Array:
        """The norm of the two differences, for each pixel, with derivative 0 at 0."""
        if not self.isotropic:
            return abs(across) + abs(down)
        xp, square = namespace(across), across * across + down * down
        return xp.where(square > 0, xp.sqrt(xp.where(square > 0, square, 1.0)), square)

    def _project(self, u: Array, v: Array, bound: Array) -> tuple[Array, Array]:
        if not self.isotropic:
            return clip(u, -bound, bound), clip(v, -bound, bound)
        xp = namespace(u)
        length = xp.hypot(u, v)
        factor = xp.where(length > bound, bound / xp.where(length > 0, length, 1.0), 1.0)
        return factor * u, factor * v

    def _bound(self, x: Array, step: float) -> Array:
        """step·weight, or as much of it as can matter. Shapes: (*batch, 1, 1), float64.

        Along a tree of neighbours no dual entry has to exceed Σ abs(x - mean): from there on the prox is the mean,
        and a larger bound would only blow rounding up in the duality gap.
        """
        held = cast(detach(x), namespace(x).float64)
        spread = total(abs(held - _mean(held)), 2)[..., None, None]
        return clip(spread, None, step * self.weight)

    def _solve(self, x: Array, step: float) -> tuple[Array, Array, Array]:
        """The prox, in the dtype of x, and the dual solution in float64."""
        xp, bound = namespace(x), self._bound(x, step)
        held = cast(x, xp.float64)
        u, v = 0 * held, 0 * held
        if 0 in x.shape or self.weight == 0:
            return x + 0 * x, u, v
        ahead_u, ahead_v, t = u, v, held[..., :1, :1] * 0 + 1
        allowed = 0.5 * self.tol**2 * total(held * held, 2)
        gap, mean = allowed, _mean(held)
        for k in range(self.max_steps):
            across, down = _differences(held - _adjoint(ahead_u, ahead_v))
            new_u, new_v = self._project(ahead_u + _RATE * across, ahead_v + _RATE * down, bound)
            gained = total((ahead_u - new_u) * (new_u - u) + (ahead_v - new_v) * (new_v - v), 2)[..., None, None]
            t = xp.where(gained > 0, 1.0, t)
            following = 0.5 * (1 + xp.sqrt(1 + 4 * t * t))
            momentum = (t - 1) / following
            ahead_u, ahead_v = new_u + momentum * (new_u - u), new_v + momentum * (new_v - v)
            u, v, t = new_u, new_v, following
            if k % _CHECK_EVERY == _CHECK_EVERY - 1:
                image = held - _adjoint(u, v)
                across, down = _differences(image)
                gap = total(bound * self._lengths(across, down) - u * across - v * down, 2)
                # With the mean as the primal point instead, which shows it to more digits where that is the solution.
                flat = 0.5 * total((image - mean) ** 2, 2)
                gap = xp.where(flat < gap, flat, gap)
                if not bool((gap > allowed).any()):  # NaN has nothing to wait for
                    return cast(image, x.dtype), u, v
        worst = float((gap / allowed).max()) ** 0.5 * self.tol
        raise NotConvergedError(
            f"TV2D: the error of the prox is up to {worst:.1e} after {self.max_steps} steps, wanted {self.tol:.1e}; "
            f"give it more max_steps or a larger tol"
        )


@dataclass(frozen=True, eq=False)
class _Denoising(Problem):
    """The prox of f at x, for automatic differentiation: its derivative is known as an operator."""

    f: TV2D
    x: torch.Tensor = field(metadata={"axes": "domain"})
    step: float

    @property
    def domain(self) -> Shape:
        return tuple(self.x.shape[-2:])

    @property
    def batch(self) -> Shape:
        return tuple(self.x.shape[:-2])

    def solve(self) -> torch.Tensor:
        return self.f._solve(self.x, self.step)[0]

    def equation(self, x: torch.Tensor) -> torch.Tensor:
        return -self.x

    def tangent(self, x: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
        return self.f.prox_derivative(self.x, self.step).apply(r)

    def cotangent(self, x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        return self.tangent(x, g)


def _mean(x: Array) -> Array:
    return total(x, 2)[..., None, None] / max(1, math.prod(x.shape[-2:]))


def _differences(x: Array) -> tuple[Array, Array]:
    """To the next column, and to the next row; 0 in the last one."""
    xp = namespace(x)
    across = xp.concatenate((x[..., :, 1:] - x[..., :, :-1], 0 * x[..., :, :1]), -1)
    return across, xp.concatenate((x[..., 1:, :] - x[..., :-1, :], 0 * x[..., :1, :]), -2)


def _adjoint(u: Array, v: Array) -> Array:
    xp = namespace(u)
    edge_u, edge_v = xp.zeros_like(u[..., :, :1]), xp.zeros_like(v[..., :1, :])
    u, v = u[..., :, :-1], v[..., :-1, :]
    columns = xp.concatenate((edge_u, u), -1) - xp.concatenate((u, edge_u), -1)
    return columns + xp.concatenate((edge_v, v), -2) - xp.concatenate((v, edge_v), -2)


def _linearised(
    d: Array, zero: Array, scale_u: Array, scale_v: Array, along_u: Array, along_v: Array, max_steps: int
) -> Array:
    """The derivative of the prox: d - Dᴴ R z with (I - R² + rate·R D Dᴴ R) z = rate·R D d.

    R is the square root of the derivative M of the projection at the dual fixed point u = P(u + rate·D x): there
    du = M (du + rate·D (d - Dᴴ du)), and du = R z.
    """
    xp = namespace(d)

    def R(u: Array, v: Array) -> tuple[Array, Array]:
        share = along_u * u + along_v * v
        return scale_u * (u - along_u * share), scale_v * (v - along_v * share)

    def inner(a: tuple[Array, Array], b: tuple[Array, Array]) -> Array:
        return total(a[0] * b[0] + a[1] * b[1], 2)[..., None, None]

    def system(z: tuple[Array, Array]) -> tuple[Array, Array]:
        turned = R(*z)
        lifted = _differences(_adjoint(*turned))
        back = R(*(a - _RATE * b for a, b in zip(turned, lifted, strict=True)))
        return z[0] - back[0], z[1] - back[1]

    held = cast(d + zero, xp.float64)
    u, v = R(*_differences(held))
    r: tuple[Any, Any] = (_RATE * u, _RATE * v)
    z, p, size = (0 * r[0], 0 * r[1]), r, inner(r, r)
    wanted = 1e-28 * detach(size)
    for k in range(max_steps + 1):
        if k % _CHECK_EVERY == 0 and not bool((size > wanted).any()):
            return cast(held - _adjoint(*R(*z)), d.dtype)
        if k == max_steps:
            break
        q = system(p)
        bend = inner(p, q)
        length = xp.where(bend > 0, size / xp.where(bend > 0, bend, 1.0), 0.0)
        z, r = (z[0] + length * p[0], z[1] + length * p[1]), (r[0] - length * q[0], r[1] - length * q[1])
        new = inner(r, r)
        ratio = xp.where(size > wanted, new / xp.where(size > wanted, size, 1.0), 0.0)
        p, size = (r[0] + ratio * p[0], r[1] + ratio * p[1]), new
    raise NotConvergedError(
        f"TV2D: the derivative of the prox was not found by {max_steps} conjugate gradients; give it more max_steps"
    )
