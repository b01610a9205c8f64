"""Comparisons of functions with the reference."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from monops.arrays import Shape, to_numpy
from monops.errors import OptionError
from monops.functions import (
    L21,
    TV1D,
    TV2D,
    AffineSet,
    Function,
    GroupL2,
    LeastSquares,
    NuclearNorm,
    PSDCone,
    QuadraticForm,
    SeparableSum,
    Spectral,
    Supported,
)
from monops.monotone import NormalCone, Subdifferential
from monops.operator_comparisons import check, matrix_of
from monops.reference.functions import FUNCTIONS as REFERENCE_FUNCTIONS
from monops.reference.kinds import Map, Reference
from monops.report import Check
from monops.testing.catalogue import Draw, FunctionCase

# Of points whose shape no parameter says.
_SIZES = (2, 3, 5)
# Matrices and lists, which all samples share.
_SHARED = ("A", "K", "Q", "groups")


@functools.singledispatch
def case_of(f: Function) -> FunctionCase:
    """f with its name and parameters in the reference; an `OptionError` if that does not know it."""
    name = type(f).__name__
    if name not in REFERENCE_FUNCTIONS:
        known = ", ".join(name for name in REFERENCE_FUNCTIONS if " " not in name)
        raise OptionError(f"the reference knows {known}, got {name}")
    return _case(f, name, _parameters(f))


@case_of.register
def _(f: SeparableSum) -> FunctionCase:
    raise OptionError("the reference knows no sums of parts; verify the parts one by one")


@case_of.register
def _(f: Supported) -> FunctionCase:
    inner = case_of(f.function)
    return _case(f, f"Supported {inner.reference}", {"mask": to_numpy(f.mask), **inner.parameters})


@case_of.register
def _(f: AffineSet) -> FunctionCase:
    K, b = to_numpy(f.K), to_numpy(f.b)
    return FunctionCase(f, "AffineSet", {"K": K, "b": b}, K.shape[1:], b.shape[:-1])


@case_of.register
def _(f: PSDCone) -> FunctionCase:
    return FunctionCase(f, "PSDCone", {}, (4, 4))


@case_of.register
def _(f: GroupL2) -> FunctionCase:
    whole = _case(f, "GroupL2", {"weight": _plain(f.weight)})
    if not isinstance(f.groups, int):
        return whole._replace(parameters={**whole.parameters, "groups": f.groups}, domain=(sum(map(len, f.groups)),))
    n = whole.domain[0] if np.ndim(whole.parameters["weight"]) else 2 * f.groups
    return whole._replace(parameters={**whole.parameters, "groups": _pieces(n, f.groups)}, domain=(n,))


@case_of.register
def _(f: L21) -> FunctionCase:
    whole, n = _case(f, "GroupL2", {"weight": _plain(f.weight)}), f.axes
    weight = np.broadcast_to(_plain(f.weight), whole.batch + whole.domain)
    groups = _pieces(math.prod(whole.domain), math.prod(whole.domain[n - f.over :]))
    return whole._replace(parameters={"weight": _flat(weight, n), "groups": groups})


@case_of.register
def _(f: QuadraticForm) -> FunctionCase:
    domain = f.Q.domain
    q = _plain(f.q)
    batch = np.shape(q)[: max(np.ndim(q) - len(domain), 0)]
    q = _flat(np.broadcast_to(q, batch + domain), len(domain))
    return FunctionCase(f, "QuadraticForm", {"Q": matrix_of(f.Q), "q": q}, domain, batch)


@case_of.register
def _(f: LeastSquares) -> FunctionCase:
    rank = len(f.A.codomain)
    b = to_numpy(f.b).reshape(*f.b.shape[: f.b.ndim - rank], -1)
    return FunctionCase(f, "LeastSquares", {"A": matrix_of(f.A), "b": b}, f.A.domain, b.shape[:-1])


@case_of.register
def _(f: Spectral) -> FunctionCase:
    inner = case_of(f.function)
    name = f"Spectral {inner.reference}"
    if name not in REFERENCE_FUNCTIONS:
        raise OptionError(f"the reference knows no {name}")
    r = inner.domain[0] if any(np.ndim(v) for v in inner.parameters.values()) else 3
    parameters = {k: v[..., None] if np.ndim(v) > 1 else v for k, v in inner.parameters.items()}
    return FunctionCase(f, name, parameters, (r + 1, r), inner.batch)


@case_of.register
def _(f: NuclearNorm) -> FunctionCase:
    whole = _case(f, "NuclearNorm", {"weight": _plain(f.weight)})
    return whole._replace(domain=(4, 3))


@case_of.register
def _(f: TV1D) -> FunctionCase:
    whole = _case(f, "TV1D", {"weight": _plain(f.weight)})
    return whole._replace(parameters={**whole.parameters, "rows": math.prod(whole.domain[:-1])})


@case_of.register
def _(f: TV2D) -> FunctionCase:
    return FunctionCase(f, "TV2D", {"weight": f.weight, "isotropic": f.isotropic}, (4, 3))


def _case(f: Function, name: str, parameters: dict[str, Any]) -> FunctionCase:
    """With points that fit the parameters, whose arrays are aligned with them at the right."""
    n = f.axes
    shape = np.broadcast_shapes((1,) * n, *(np.shape(value) for value in parameters.values()))
    inside = shape[len(shape) - n :]
    domain = tuple(k if k > 1 else default for k, default in zip(inside, _SIZES[len(_SIZES) - n :], strict=True))
    if REFERENCE_FUNCTIONS[name].axes == 1:
        parameters = {k: _flat(value, n) for k, value in parameters.items()}
    return FunctionCase(f, name, parameters, domain, shape[: len(shape) - n])


def _parameters(f: Function) -> dict[str, Any]:
    """The parameters of f as plain data."""
    return {k: _plain(v) for k, v in vars(f).items() if k != "axes" and not k.startswith("_")}


def _plain(value: Any) -> Any:
    return value if isinstance(value, float) else to_numpy(value)


def _flat(value: Any, axes: int) -> Any:
    """A parameter whose last axes are those of a point, with these as one."""
    value = _plain(value)
    return value if np.ndim(value) < axes else value.reshape(*value.shape[: value.ndim - axes], -1)


def _pieces(n: int, size: int) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(range(i, i + size)) for i in range(0, n, size))


def reference_maps(case: FunctionCase) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The prox and its derivative, as the reference computes them."""
    reference = REFERENCE_FUNCTIONS[case.reference]
    return (
        functools.partial(reference.prox, **case.parameters),
        functools.partial(reference.prox_derivative, **case.parameters),
    )


def known(case: FunctionCase) -> Reference:
    """What the reference knows of a case, as maps of the points of f that take no parameters any more."""
    reference, axes = REFERENCE_FUNCTIONS[case.reference], len(case.domain)
    if not reference.axes:
        value, prox, derivative = (functools.partial(part, **case.parameters) for part in reference[:3])
        return Reference(value, prox, derivative)
    shape: Shape = (-1,) if reference.axes == 1 else case.domain

    def of_points(part: Map, keeps_shape: bool) -> Map:
        def every(v: np.ndarray, *arguments: Any) -> np.ndarray:
            batch = v.shape[: v.ndim - axes]
            points = v.reshape(*batch, *shape) if v.size else v
            if not case.batch:
                out = part(points, *arguments, **{k: _single(p) for k, p in case.parameters.items()})
            else:
                rows = [part(points[i], *arguments, **_own(case, i)) for i in np.ndindex(batch)]
                out = np.array(rows).reshape(*batch, *np.shape(rows[0]))
            return out.reshape(v.shape) if keeps_shape else out

        return every

    return Reference(
        of_points(reference.value, False),
        of_points(reference.prox, True),
        of_points(reference.prox_derivative, False),
        reference.axes,
    )


def _own(case: FunctionCase, index: tuple[int, ...]) -> dict[str, Any]:
    """The parameters of one sample."""
    rank, own = REFERENCE_FUNCTIONS[case.reference].axes, {}
    for name, p in case.parameters.items():
        shape = np.shape(p)[: max(np.ndim(p) - rank, 0)] if name not in _SHARED else ()
        place = tuple(i if n > 1 else 0 for i, n in zip(index[len(index) - len(shape) :], shape, strict=True))
        own[name] = _single(p[place] if place else p)
    return own


def _single(parameter: Any) -> Any:
    """An array with one number as that number."""
    return float(parameter.item()) if isinstance(parameter, np.ndarray) and parameter.size == 1 else parameter


def function_checks(name: str, case: FunctionCase, draw: Draw) -> Iterator[Check]:
    """Values, proxes and their derivatives, and the proxes of the conjugate."""
    f, reference = case.f, known(case)
    # How near to its prox a function claims to come, in terms of its argument.
    claim = getattr(f, "tol", 0.0)
    v = draw.array(*(case.batch or (20,)), *case.domain, scale=2.0)
    x, size = draw.put(v), float(np.linalg.norm(v))
    for step in (0.1, 1.0, 7.0):
        point = reference.prox(v, step)
        d = draw.array(*v.shape) if reference.axes else np.ones_like(v)
        scale = size if claim else None
        yield check(f"{name}: prox, step {step:g}", f.prox(x, step), point, draw, scale=scale, claim=claim)
        derivative = f.prox_derivative(x, step).apply(draw.put(d))
        slope = reference.push(v, step, d)
        yield check(f"{name}: derivative of the prox, step {step:g}", derivative, slope, draw, claim=claim)
        if not f.is_convex:
            continue
        dual = f.conjugate().prox(x, step)
        want = v - step * reference.prox(v / step, 1 / step)
        # The rounding of a difference is that of its terms: it may be 0.
        scale = max(size, float(np.linalg.norm(want)))
        yield check(f"{name}: prox of the conjugate, step {step:g}", dual, want, draw, scale=scale, claim=claim)
    if reference.axes:
        # At a point that f itself takes for one of its domain; there the reference allows for rounding.
        inside = to_numpy(f.prox(x, 1.0)).astype(np.float64)
    else:
        inside = reference.prox(v, 1.0).astype(np.float32).astype(np.float64)
        inside = np.where(np.isfinite(reference.value(inside)), inside, 0.0)
    yield check(f"{name}: value", f(draw.put(inside)), reference.total(inside, len(case.domain)), draw)


def monotone_function_checks(name: str, case: FunctionCase, draw: Draw) -> Iterator[Check]:
    """The resolvents of ∂f, 2 ∂f and (∂f)⁻¹."""
    reference, claim = known(case), getattr(case.f, "tol", 0.0)
    A = NormalCone(case.f) if case.f.is_indicator else Subdifferential(case.f)
    v = draw.array(*(case.batch or (4,)), *case.domain)
    scale = float(np.linalg.norm(v)) if claim else None
    for what, operator, step in ((name, A, 0.6), (f"2 · {name}", 2.0 * A, 0.3)):
        want = reference.prox(v, 0.6)
        got = operator.resolvent(step)(draw.put(v))
        yield check(f"{what}: resolvent", got, want, draw, scale=scale, claim=claim)
    want = v - 0.6 * reference.prox(v / 0.6, 1 / 0.6)
    scale = float(max(np.linalg.norm(v), np.linalg.norm(want)))
    got = A.inverse().resolvent(0.6)(draw.put(v))
    yield check(f"{name}⁻¹: resolvent", got, want, draw, scale=scale, claim=claim)
