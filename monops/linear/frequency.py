"""Operators that act on spectra, and signals that are transformed no more often than they need be."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch

from monops.arrays import Array, Shape
from monops.linear import fourier
from monops.linear.base import LinearOperator
from monops.linear.lazy import Composed


class FrequencyMap(LinearOperator):
    """A map between periodic grids that is given on spectra: transform, `on_spectrum`, inverse transform.

    States are stored in Fortran order, batch innermost: then no spectrum is ever permuted.
    """

    @abstractmethod
    def on_spectrum(self, y: torch.Tensor) -> torch.Tensor:
        """The map on half spectra (see `monops.linear.fourier`). Shapes: (F, 2 · in, batch) → (F', 2 · out, batch)."""

    @property
    def layout(self) -> Shape:
        return tuple(reversed(range(len(self.domain))))

    def apply(self, x: Array) -> Array:
        batch = tuple(x.shape[: x.ndim - len(self.domain)])
        stored = _reversed(x.reshape(-1, *self.domain))
        # Nested, so that no name here holds a spectrum while the next step makes another.
        y = fourier.inverse(self.on_spectrum(fourier.spectrum(stored, self.domain[1:])), self.codomain[1:])
        return _reversed(y).reshape(*batch, *self.codomain)

    def pairing(self, x: Array, w: Array) -> Array:
        return pairing(self, Signal(x, self.domain), Signal(w, self.codomain))

    def pairing_on_spectra(self, y: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """⟨op(x), v⟩, a number, for x and v with the half spectra y and w."""
        return fourier.pairing(self.on_spectrum(y), w, self.codomain[1:])


class Signal:
    """An array (*batch, channels, *grid) or its half spectrum; the other one is computed when it is asked for."""

    def __init__(
        self, array: Array | None, shape: Shape, spectrum: torch.Tensor | None = None, batch: Shape = ()
    ) -> None:
        self.shape = shape
        self.batch = batch if array is None else tuple(array.shape[: array.ndim - len(shape)])
        self._array, self._spectrum = array, spectrum

    @property
    def array(self) -> Array:
        """The array itself."""
        if self._array is None:
            assert self._spectrum is not None
            x = fourier.inverse(self._spectrum, self.shape[1:])
            self._array = _reversed(x).reshape(*self.batch, *self.shape)
        return self._array

    @property
    def spectrum(self) -> torch.Tensor:
        """The half spectrum of the array, batch axes as one."""
        if self._spectrum is None:
            x = self.array.reshape(-1, *self.shape)
            self._spectrum = fourier.spectrum(_reversed(x), self.shape[1:])
        return self._spectrum

    def minus(self, other: Signal, on_spectra: bool) -> Signal:
        """The difference, taken where `on_spectra` says; batch axes broadcast."""
        if on_spectra and self.batch == other.batch:
            return Signal(None, self.shape, self.spectrum - other.spectrum, self.batch)
        return Signal(self.array - other.array, self.shape)


def apply_to(op: LinearOperator, signal: Signal) -> Signal:
    """op(signal), without transforms between operators that act on spectra."""
    if isinstance(op, Composed):
        return apply_to(op.left, apply_to(op.right, signal))
    if isinstance(op, FrequencyMap):
        return Signal(None, op.codomain, op.on_spectrum(signal.spectrum), signal.batch)
    return Signal(op.apply(signal.array), op.codomain)


def pairing(op: LinearOperator, signal: Signal, other: Signal) -> torch.Tensor:
    """⟨op(signal), other⟩, a number, by spectra where op acts on them."""
    if signal.batch == other.batch:
        if isinstance(op, Composed):
            return pairing(op.left, apply_to(op.right, signal), other)
        if isinstance(op, FrequencyMap):
            return op.pairing_on_spectra(signal.spectrum, other.spectrum)
    return (apply_to(op, signal).array * other.array).sum()


def total(signals: Sequence[Signal]) -> Signal:
    """The sum of several signals: of their spectra where all of them came as spectra."""
    first, *others = signals
    if not others:
        return first
    if all(s._spectrum is not None and s.batch == first.batch for s in signals):
        spectrum = first.spectrum
        for signal in others:
            spectrum = spectrum + signal.spectrum
        return Signal(None, first.shape, spectrum, first.batch)
    array = first.array
    for signal in others:
        array = array + signal.array
    return Signal(array, first.shape)


def _reversed(x: torch.Tensor) -> torch.Tensor:
    """A view with all axes in the opposite order."""
    return x.permute(*reversed(range(x.ndim)))
