"""Derivatives beside difference quotients."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch

from monops.arrays import Array, epsilon, is_torch, namespace
from monops.errors import MonopsError
from monops.functions import Function
from monops.testing.laws import Laws


def quotients(function: Callable[[float], Array], span: float, eps: float) -> tuple[Array, Array]:
    """The central difference quotient of t ↦ function(t) at 0, and how far from it a derivative may be, by entries.

    Differences of length h and h/2 tell kinks from curves: of a smooth function both central quotients nearly agree,
    and the right one less the left one halves with the length. One kink within h, at u·h, where the slope jumps by J,
    leaves a difference of (1 - 3u) J between these, for u ≤ ½, and one of u J/2 between the central quotients, so that
    twice the first and six times the other are J at least. At such a kink an entry of the slope of a separable function
    may lie anywhere between both sides.

    Args:
        function: of a number t.
        span: how far t has to go for a change as large as what is differentiated.
        eps: ε of its numbers.
    """
    h = eps ** (1 / 3) * span
    here, looks = function(0.0), []
    for length in (h, h / 2):
        right, left = (function(length) - here) / length, (here - function(-length)) / length
        looks.append(((right + left) / 2, right - left))
    (whole, jump), (half, half_jump) = looks
    coarse = 0.51 * abs(jump) + abs(whole - half)
    fine = 2 * abs(2 * half_jump - jump) + 6 * abs(whole - half)
    return half, namespace(half).minimum(coarse, fine)


def derivative_law(laws: Laws, law: str, function: Any, slope: Array, x: Array, direction: Array, on: str = "") -> None:
    """Raise unless `slope` is the derivative of `function` at x along `direction`, wherever there is no kink."""
    span = 1 + float(abs(x).max())
    central, room = quotients(lambda t: function(x + t * direction), span, epsilon(x.dtype))
    size = abs(central) + float(abs(direction).max())
    laws.at_most(law, abs(slope - central), room + _accuracy(laws, x) * size, on)


def autograd_laws(laws: Laws, f: Function, x: Array, step: float, on: str) -> None:
    """Raise unless autograd differentiates the prox in x, and in the tensors among the parameters of f."""
    if not is_torch(x):
        return
    w, d = laws.normal(*x.shape), laws.normal(*x.shape)
    with torch.enable_grad():
        leaf = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(f.prox(leaf, step), leaf, w)
    known = f.prox_derivative(x, step)(w)
    laws.equal("autograd through the prox is its derivative", slope, known, on, scale=float(abs(w).max()), slack=10)
    for name in f._parameters:
        value = getattr(f, name)
        if isinstance(value, torch.Tensor):
            _parameter(laws, f, name, value, x, d, step, on)


def _parameter(
    laws: Laws, f: Function, name: str, value: torch.Tensor, x: torch.Tensor, w: torch.Tensor, step: float, on: str
) -> None:
    direction = value * laws.normal(*value.shape)  # so that what is 0 or has a sign keeps it

    def prox(parameter: torch.Tensor) -> torch.Tensor:
        return dataclasses.replace(f, **{name: parameter}).prox(x, step)  # type: ignore[arg-type]

    try:
        prox(value + epsilon(x.dtype) ** (1 / 3) * direction)
    except MonopsError:  # of a parameter that has no neighbours, such as whole numbers
        return
    with torch.enable_grad():
        leaf = value.detach().clone().requires_grad_()
        p = prox(leaf)
        if not p.requires_grad:
            return
        (slope,) = torch.autograd.grad((p * w).sum(), leaf)
    central, room = quotients(lambda t: (prox(value + t * direction) * w).sum(), 1.0, epsilon(x.dtype))
    size = float((abs(p) * abs(w)).sum()) + float(abs(central))
    allowance = room + _accuracy(laws, x) * size
    law = f"autograd through the prox, in {name}, is its derivative"
    laws.at_most(law, abs((slope * direction).sum() - central), allowance, on)


def _accuracy(laws: Laws, x: Array) -> float:
    """The relative error of a quotient: that of its values, ε or more, over the length of the difference, ε^⅓."""
    return 100 * max(laws.tol, epsilon(x.dtype) ** (2 / 3))
