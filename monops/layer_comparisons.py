"""Comparisons of equilibrium layers with the reference."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from monops.arrays import Array, epsilon, to_numpy
from monops.errors import OptionError
from monops.function_comparisons import case_of, reference_maps
from monops.implicit import equilibrium
from monops.nn import Equilibrium, MonotoneConv, MonotoneDense, MonotoneLinear, MonotoneMultiTier
from monops.operator_comparisons import check, tight, tolerance
from monops.reference import equilibrium as reference_equilibrium
from monops.reference import linear as reference_linear
from monops.reference.tiers import Tiers
from monops.report import Check
from monops.testing.catalogue import Draw

# Up to this many unknowns a sample the reference solves with dense matrices; beyond, it certifies what it is given.
DENSE_LIMIT = 3000


class LayerReference(ABC):
    """The problem of a layer on explicit matrices, for given inputs, without the entries that are kept at zero.

    Attributes:
        b: U x + b, (batch, n).
    """

    b: np.ndarray

    @property
    @abstractmethod
    def matrix(self) -> np.ndarray:
        """M, (n, n)."""

    @abstractmethod
    def apply(self, z: np.ndarray) -> np.ndarray:
        """M z for each row of z."""

    @abstractmethod
    def reduce(self, state: Array) -> np.ndarray:
        """A state of the layer as rows of n numbers."""

    @abstractmethod
    def output(self, z: np.ndarray) -> np.ndarray:
        """The layer's output for the equilibria z (batch, n)."""

    @abstractmethod
    def gradients(self, G: np.ndarray, g_b: np.ndarray) -> Mapping[str, np.ndarray]:
        """Gradients in the parameters, by name, from those in the matrix and in b."""


class DenseReference(LayerReference):
    """Of `MonotoneDense`."""

    def __init__(self, linear: MonotoneDense, x: torch.Tensor) -> None:
        self.A, B, U = (_plain(p) for p in (linear.A, linear.B, linear.U))
        self.inputs = _plain(x).reshape(-1, U.shape[1])
        self._matrix = np.eye(len(self.A)) - reference_linear.paper_w(self.A, B, linear.m)
        self.b = self.inputs @ U.T + (0 if linear.bias is None else _plain(linear.bias))

    @property
    def matrix(self) -> np.ndarray:
        return self._matrix

    def apply(self, z: np.ndarray) -> np.ndarray:
        return z @ self._matrix.T

    def reduce(self, state: Array) -> np.ndarray:
        return _plain(state).reshape(self.b.shape)

    def output(self, z: np.ndarray) -> np.ndarray:
        return z

    def gradients(self, G: np.ndarray, g_b: np.ndarray) -> Mapping[str, np.ndarray]:
        return reference_equilibrium.paper_gradient(self.A, self.inputs, G, g_b)


class TiersReference(LayerReference):
    """Of `MonotoneConv`, which is one tier, and `MonotoneMultiTier`."""

    def __init__(self, linear: MonotoneConv | MonotoneMultiTier, x: torch.Tensor) -> None:
        self.is_single = isinstance(linear, MonotoneConv)
        self.tiers = _tiers(linear)
        self.border = not self.is_single and linear.border
        self.inputs = _plain(x).reshape(-1, *x.shape[x.ndim - 1 - len(linear.kernel) :])
        self.free = self.tiers.free
        self.b = self.tiers.inject(self.inputs)[:, self.free]

    @property
    def matrix(self) -> np.ndarray:
        return self.tiers.matrix()[np.ix_(self.free, self.free)]

    def apply(self, z: np.ndarray) -> np.ndarray:
        return self.tiers.apply(self._whole(z))[:, self.free]

    def _whole(self, z: np.ndarray) -> np.ndarray:
        state = np.zeros((len(z), len(self.free)))
        state[:, self.free] = z
        return state

    def reduce(self, state: Array) -> np.ndarray:
        flat = _plain(state).reshape(len(self.inputs), -1)
        if not self.is_single:  # each tier is laid out in Fortran order
            parts = [flat[:, at] for at in self.tiers.slices]
            shapes = self.tiers.shapes
            flat = np.concatenate([_from_fortran(p, s) for p, s in zip(parts, shapes, strict=True)], 1)
        return flat[:, self.free]

    def output(self, z: np.ndarray) -> np.ndarray:
        last = self._whole(z)[:, self.tiers.slices[-1]]
        return last if self.border else last @ self.tiers.frame(-1)

    def gradients(self, G: np.ndarray, g_b: np.ndarray) -> Mapping[str, np.ndarray]:
        whole = np.zeros((len(self.free),) * 2)
        whole[np.ix_(self.free, self.free)] = G
        gradients = self.tiers.gradients(self.inputs, whole, self._whole(g_b))
        if self.is_single:
            return {name: np.asarray(v[0] if name in "ABgh" else v) for name, v in gradients.items() if len(v)}
        named: dict[str, np.ndarray] = {}
        for name, value in gradients.items():
            listed = {f"{name}.{i}": v for i, v in enumerate(value)} if isinstance(value, list) else {name: value}
            named.update({key: np.asarray(v) for key, v in listed.items()})
        return named


@functools.singledispatch
def reference_of(linear: MonotoneLinear, x: torch.Tensor) -> LayerReference:
    """The reference for a layer's parameters and inputs; an `OptionError` if there is none."""
    raise OptionError(f"there is no reference for a layer over {type(linear).__name__}")


reference_of.register(MonotoneDense, DenseReference)
reference_of.register(MonotoneConv, TiersReference)
reference_of.register(MonotoneMultiTier, TiersReference)


def layer_checks(name: str, layer: Equilibrium, x: torch.Tensor) -> Iterator[Check]:
    """A layer's output, its certified bound, and the gradients in all its parameters."""
    linear = layer.linear
    reference = reference_of(linear, x)
    draw = Draw(0, dtype=x.dtype, device=x.device)
    prox, slope = reference_maps(case_of(layer.activation))
    if reference.b.shape[1] > DENSE_LIMIT:
        yield _certificate(name, layer, x, reference)
        return
    matrix, b = reference.matrix, reference.b
    want = reference_equilibrium.equilibrium(matrix, b, prox, slope)

    with torch.no_grad():
        layer(x)
    assert layer.last is not None
    distance = np.linalg.norm(reference.reduce(layer.last.point) - want, axis=-1)
    size = np.linalg.norm(want, axis=-1) + np.linalg.norm(b, axis=-1) / linear.m
    rounding = 10 * epsilon(draw.dtype) * (1 + reference_linear.norm(matrix)) * size
    bound = layer.last.error_bound.reshape(-1).astype(np.float64) + rounding
    ratio = float(np.max(distance / np.maximum(bound, 1e-300), initial=0))
    yield Check(f"{name}: its error, as a share of its certified bound", ratio, 1.0)

    F, G = layer.problem(x)
    state = equilibrium(layer.method, F, G, warn=False, **tight(draw.dtype)).point
    yield check(f"{name}: equilibrium at tight tolerance", reference.reduce(state), want, draw, kind="equilibrium")
    output, size = linear.extract(state), float(np.linalg.norm(want))
    # What one tier adds to the error of a solve is in proportion to the whole state, not to that tier alone.
    yield check(f"{name}: output", output, reference.output(want), draw, kind="equilibrium", scale=size)
    g = draw.array(*want.shape)
    parameters = {key: p for key, p in linear.named_parameters() if p.numel()}
    inside = torch.as_tensor(_places(reference, state), device=state.device)
    cotangent = torch.zeros(state.shape, dtype=state.dtype, device=state.device).reshape(len(want), -1)
    cotangent[:, inside] = draw.put(g)
    got = torch.autograd.grad(state, list(parameters.values()), cotangent.reshape(state.shape))
    theirs = reference.gradients(*reference_equilibrium.gradient(matrix, b, want, g, slope))
    for parameter, mine in zip(parameters, got, strict=True):
        tiers = [value for key, value in theirs.items() if key.partition(".")[0] == parameter.partition(".")[0]]
        scale = float(np.sqrt(sum(np.sum(value**2) for value in tiers)))
        yield check(f"{name}: gradient in {parameter}", mine, theirs[parameter], draw, kind="gradient", scale=scale)


def _certificate(name: str, layer: Equilibrium, x: torch.Tensor, reference: LayerReference) -> Check:
    """A bound on the distance from the layer's equilibrium to the true one, by the reference's M and prox alone.

    With y = prox(z - (M z - b), 1), g = (z - y) - (M z - b) + (M y - b) is in (A + B)(y), and so ‖z - z*‖ is at most
    ‖z - y‖ + ‖g‖/m.
    """
    prox, _ = reference_maps(case_of(layer.activation))
    with torch.no_grad():
        F, G = layer.problem(x)
        z = reference.reduce(equilibrium(layer.method, F, G, warn=False, **tight(x.dtype)).point)
    forward = reference.apply(z) - reference.b
    y = prox(z - forward, 1.0)
    g = (z - y) - forward + reference.apply(y) - reference.b
    bound = np.linalg.norm(z - y, axis=1) + np.linalg.norm(g, axis=1) / layer.linear.m
    size = np.linalg.norm(z, axis=1) + np.linalg.norm(reference.b, axis=1) / layer.linear.m
    share = float(np.max(bound / np.maximum(size, 1e-300), initial=0.0))
    # A bound is larger than the error, by as much as ‖I - W‖/m.
    return Check(f"{name}: certified relative error of the equilibrium", share, 10 * tolerance(x.dtype, "equilibrium"))


def _places(reference: LayerReference, state: torch.Tensor) -> np.ndarray:
    """Where in a flattened state each of the n numbers stands."""
    size = state.numel() // len(reference.b)
    numbers = np.broadcast_to(np.arange(size), (len(reference.b), size)).reshape(tuple(state.shape))
    return reference.reduce(numbers)[0].astype(int)


def _tiers(linear: MonotoneConv | MonotoneMultiTier) -> Tiers:
    is_single = isinstance(linear, MonotoneConv)
    anything: Any = linear
    return Tiers(
        A=[_plain(w) for w in ([linear.A] if is_single else anything.A)],
        B=[_plain(w) for w in ([linear.B] if is_single else anything.B)],
        down=[] if is_single else [_plain(w) for w in anything.down],
        g=np.atleast_1d(_plain(linear.g)),
        g_down=np.zeros(0) if is_single else _plain(anything.g_down),
        h=np.atleast_1d(_plain(linear.h)),
        U=_plain(linear.U),
        bias=None if linear.bias is None else _plain(linear.bias),
        m=linear.m,
        grids=[anything.grid] if is_single else anything.grids,
        images=[anything.size] if is_single else anything.images,
        stride=(1,) * len(anything.kernel) if is_single else anything.stride,
    )


def _from_fortran(part: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    rows = part.reshape(len(part), *reversed(shape))
    return rows.transpose(0, *range(rows.ndim - 1, 0, -1)).reshape(len(part), -1)


def _plain(x: Array) -> np.ndarray:
    return to_numpy(x).astype(np.float64)
