"""Comparisons of equilibrium layers with the reference."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from monops.arrays import Array, epsilon, to_numpy
from monops.comparisons import case_of, check, reference_maps, tight
from monops.errors import OptionError
from monops.implicit import equilibrium
from monops.nn import Equilibrium, MonotoneConv, MonotoneDense, MonotoneLinear, MonotoneMultiTier
from monops.reference import equilibrium as reference_equilibrium
from monops.reference import linear as reference_linear
from monops.reference.tiers import Tiers
from monops.report import Check
from monops.testing.catalogue import Draw


class LayerReference(ABC):
    """The problem of a layer on explicit matrices, for given inputs, without the entries that are kept at zero.

    Attributes:
        matrix: M, (n, n).
        b: U x + b, (batch, n).
    """

    matrix: np.ndarray
    b: np.ndarray

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
        self.matrix = np.eye(len(self.A)) - reference_linear.paper_w(self.A, B, linear.m)
        self.b = self.inputs @ U.T + (0 if linear.bias is None else _plain(linear.bias))

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
        self.matrix = self.tiers.matrix()[np.ix_(self.free, self.free)]
        self.b = self.tiers.inject(self.inputs)[:, self.free]

    def reduce(self, state: Array) -> np.ndarray:
        flat = _plain(state).reshape(len(self.inputs), -1)
        if not self.is_single:  # each tier is laid out in Fortran order
            parts = [flat[:, at] for at in self.tiers.slices]
            shapes = self.tiers.shapes
            flat = np.concatenate([_from_fortran(p, s) for p, s in zip(parts, shapes, strict=True)], 1)
        return flat[:, self.free]

    def output(self, z: np.ndarray) -> np.ndarray:
        state = np.zeros((len(z), len(self.free)))
        state[:, self.free] = z
        last = state[:, self.tiers.slices[-1]]
        return last if self.border else last @ self.tiers.frame(-1)

    def gradients(self, G: np.ndarray, g_b: np.ndarray) -> Mapping[str, np.ndarray]:
        whole, whole_b = np.zeros((len(self.free),) * 2), np.zeros((len(g_b), len(self.free)))
        whole[np.ix_(self.free, self.free)], whole_b[:, self.free] = G, g_b
        gradients = self.tiers.gradients(self.inputs, whole, whole_b)
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
    linear: Any = layer.linear
    draw = Draw(0, dtype=linear.U.dtype, device=linear.U.device)
    reference = reference_of(linear, x)
    matrix, b = reference.matrix, reference.b
    prox, slope = reference_maps(case_of(layer.activation))
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
    yield check(f"{name}: equilibrium at tight tolerance", reference.reduce(state), want, draw, solved=True)
    output = linear.extract(state)
    yield check(f"{name}: output", output, reference.output(want), draw, solved=True)
    g = draw.array(*want.shape)
    names = [name for name, _ in linear.named_parameters()]
    inside = torch.as_tensor(_places(reference, state), device=state.device)
    cotangent = torch.zeros(state.shape, dtype=state.dtype, device=state.device).reshape(len(want), -1)
    cotangent[:, inside] = draw.put(g)
    got = torch.autograd.grad(state, list(linear.parameters()), cotangent.reshape(state.shape))
    theirs = reference.gradients(*reference_equilibrium.gradient(matrix, b, want, g, slope))
    for parameter, mine in zip(names, got, strict=True):
        yield check(f"{name}: gradient in {parameter}", mine, theirs[parameter], draw, solved=True)


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
