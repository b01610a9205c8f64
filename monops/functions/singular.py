"""Singular values and vectors for automatic differentiation, where the derivative of the vectors alone is infinite."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch

from monops.arrays import Array, Shape, detach, epsilon, is_torch, known_true, namespace
from monops.autodiff import Problem, solve_implicitly
from monops.errors import SingularError
from monops.functions.base import Function
from monops.functions.decompositions import svd, svdvals


def singular_values(x: torch.Tensor, u: Array, s: Array, vh: Array) -> torch.Tensor:
    """The singular values s of x, differentiable in x, from the SVD of x without its derivatives."""
    packed = solve_implicitly(_Values(x, u, s, vh))
    return packed[..., : s.shape[-1]]


def moved(f: Function, s: torch.Tensor, step: float) -> torch.Tensor:
    """The prox of f at s; at its kinks the derivative is that of `prox_derivative`, which autograd may not choose."""
    return f.prox(s, step) + solve_implicitly(_Choice(s, f, step))


def placed(x: torch.Tensor, p: Array, J: Array, u: Array, vh: Array) -> torch.Tensor:
    """U diag(p) Vᴴ for the singular vectors of x, differentiable in x and in the vector p, a function of the values.

    Its derivative in x is finite at repeated singular values too, by the Jacobian J of p, taken to be symmetric as that
    of a symmetric function is.
    """
    packed = solve_implicitly(_Placed(x, p, J, u, vh))
    return packed[..., : x.shape[-2] * x.shape[-1]].reshape(x.shape)


def frames(x: Array) -> tuple[Array, Array, Array]:
    """The SVD of x; its derivative is a `SingularError` where singular values are too near to have one."""
    if is_torch(x):
        x = solve_implicitly(_Apart(x))
    return svd(x)


def quotients(s: Array, p: Array, J: Array) -> tuple[Array, Array, Array]:
    """The factors by which a map of singular values s ↦ p moves what is off the diagonal, in the singular vectors.

    These are for symmetric and antisymmetric parts (p_i - p_j)/(s_i - s_j) and (p_i + p_j)/(s_i + s_j), and p_i/s_i
    beside the square; where nothing is left of a divisor, its limit from the Jacobian J of the map.

    Shapes: `s`, `p` (*batch, r), `J` (*batch, r, r) → (*batch, r, r) twice, and (*batch, r, 1).
    """
    xp = namespace(s)
    own = J.diagonal(0, -2, -1)
    mean = 0.5 * (own[..., :, None] + own[..., None, :])
    # A quotient of differences loses half of the digits here, a derivative is off by as much.
    small = epsilon(s.dtype) ** 0.5 * detach(s)[..., :1, None]

    def quotient(above: Array, below: Array, limit: Array) -> Array:
        is_safe = abs(below) > small
        return xp.where(is_safe, above / xp.where(is_safe, below, 1.0), limit)

    even = quotient(p[..., :, None] - p[..., None, :], s[..., :, None] - s[..., None, :], mean - J)
    odd = quotient(p[..., :, None] + p[..., None, :], s[..., :, None] + s[..., None, :], mean + J)
    return even, odd, quotient(p[..., None], s[..., None], own[..., None])


def turn(d: Array, diagonal: Array, u: Array, vh: Array, even: Array, odd: Array, beside: Array) -> Array:
    """U K Vᴴ for the K with this diagonal, and off it the parts of Uᴴ d V by their factors; beside it likewise."""
    z = u.mT @ d @ vh.mT
    r = z.shape[-1]
    eye = namespace(d).eye(r, dtype=d.dtype, device=d.device)
    moved = 0.5 * (even + odd) * z + 0.5 * (even - odd) * z.mT
    out = u @ (moved * (1 - eye) + diagonal[..., None] * eye) @ vh
    if d.shape[-2] > r:
        out = out + ((d @ vh.mT - u @ z) * beside.mT) @ vh
    if d.shape[-1] > r:
        out = out + u @ (beside * (u.mT @ d - z @ vh))
    return out


@dataclass(frozen=True, eq=False)
class _Apart(Problem):
    """x itself; whoever differentiates it is told if the singular vectors of x have no derivative."""

    x: torch.Tensor = field(metadata={"axes": 2})

    @property
    def domain(self) -> Shape:
        return tuple(self.x.shape[-2:])

    @property
    def batch(self) -> Shape:
        return tuple(self.x.shape[:-2])

    def solve(self) -> torch.Tensor:
        return self.x.clone()

    def equation(self, x: torch.Tensor) -> torch.Tensor:
        return x - self.x

    def tangent(self, x: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
        s = svdvals(self.x.detach())
        if self.x.shape[-2] != self.x.shape[-1]:
            s = torch.cat((s, 0 * s[..., :1]), -1)
        if s.shape[-1] > 1:
            gaps = (s[..., :-1] - s[..., 1:]).min(-1).values / s[..., 0]
            wanted = epsilon(s.dtype) ** (1 / 3)
            if known_true(~(gaps > wanted).all()):
                raise SingularError(
                    "the second derivative of a function of singular values wants them apart (and from 0, unless the "
                    f"matrix is square) by {wanted:.1e} of the largest, got {float(gaps.min()):.1e}"
                )
        return r

    def cotangent(self, x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        return self.tangent(x, g)


@dataclass(frozen=True, eq=False)
class _Choice(Problem):
    """Zero, with the difference of two derivatives of a prox: that of `prox_derivative` less that of autograd."""

    s: torch.Tensor = field(metadata={"axes": 1})
    f: Function
    step: float

    @property
    def domain(self) -> Shape:
        return tuple(self.s.shape[-1:])

    @property
    def batch(self) -> Shape:
        return tuple(self.s.shape[:-1])

    def solve(self) -> torch.Tensor:
        return torch.zeros_like(self.s)

    def equation(self, x: torch.Tensor) -> torch.Tensor:
        return x - self.s

    def tangent(self, x: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
        (by_autograd,) = torch.func.vjp(lambda s: self.f.prox(s, self.step), self.s)[1](r)
        return self.f.prox_derivative(self.s, self.step).apply(r) - by_autograd

    def cotangent(self, x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        return self.tangent(x, g)


@dataclass(frozen=True, eq=False)
class _OfMatrix(Problem):
    """A function of a matrix by its SVD. Solutions and arguments are flat, and padded with zeros to one length."""

    x: torch.Tensor = field(metadata={"axes": 2})

    @property
    def batch(self) -> Shape:
        return tuple(self.x.shape[:-2])


@dataclass(frozen=True, eq=False)
class _Values(_OfMatrix):
    """σ(x), with the derivative d ↦ the diagonal of Uᴴ d V."""

    u: torch.Tensor = field(metadata={"axes": 2})
    s: torch.Tensor = field(metadata={"axes": 1})
    vh: torch.Tensor = field(metadata={"axes": 2})

    @property
    def domain(self) -> Shape:
        return (math.prod(self.x.shape[-2:]),)

    def solve(self) -> torch.Tensor:
        return self._padded(self.s)

    def _padded(self, s: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(s, (0, self.domain[0] - s.shape[-1]))

    def equation(self, x: torch.Tensor) -> torch.Tensor:
        return 0 * x - self.x.flatten(-2)  # only its derivative in `self.x` is asked for

    def tangent(self, x: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
        u, _, vh = frames(self.x)
        return self._padded((u.mT @ r.reshape(self.x.shape) @ vh.mT).diagonal(0, -2, -1))

    def cotangent(self, x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        u, s, vh = frames(self.x)
        return ((u * g[..., None, : s.shape[-1]]) @ vh).flatten(-2)


@dataclass(frozen=True, eq=False)
class _Placed(_OfMatrix):
    """U diag(p) Vᴴ of x and p."""

    p: torch.Tensor = field(metadata={"axes": 1})
    J: torch.Tensor = field(metadata={"axes": 2})
    u: torch.Tensor = field(metadata={"axes": 2})
    vh: torch.Tensor = field(metadata={"axes": 2})

    @property
    def domain(self) -> Shape:
        return (math.prod(self.x.shape[-2:]) + self.p.shape[-1],)

    def solve(self) -> torch.Tensor:
        return torch.nn.functional.pad(((self.u * self.p[..., None, :]) @ self.vh).flatten(-2), (0, self.p.shape[-1]))

    def equation(self, x: torch.Tensor) -> torch.Tensor:
        return 0 * x - torch.cat((self.x.flatten(-2), self.p), -1)

    def tangent(self, x: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
        u, s, vh = frames(self.x)
        n = self.p.shape[-1]
        d = r[..., :-n].reshape(*r.shape[:-1], *self.x.shape[-2:])
        out = turn(d, r[..., -n:], u, vh, *quotients(s, self.p, self.J))
        return torch.nn.functional.pad(out.flatten(-2), (0, n))

    def cotangent(self, x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        u, s, vh = frames(self.x)
        n = self.p.shape[-1]
        d = g[..., :-n].reshape(*g.shape[:-1], *self.x.shape[-2:])
        off = turn(d, 0 * self.p, u, vh, *quotients(s, self.p, self.J))
        return torch.cat((off.flatten(-2), (u.mT @ d @ vh.mT).diagonal(0, -2, -1)), -1)
