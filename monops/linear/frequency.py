"""Operators that act on spectra, and signals that are transformed no more often than they need be."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch

from monops.arrays import Array, Shape, add_multiple, may_write
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
    def takes_spectra(self) -> bool:
        """Whether `on_signal` begins with the spectrum, and not with the array."""
        return True

    @property
    def layout(self) -> Shape:
        return tuple(reversed(range(len(self.domain))))

    def apply(self, x: Array) -> Array:
        batch = tuple(x.shape[: x.ndim - len(self.domain)])
        stored = reversed_axes(x.reshape(-1, *self.domain))
        # Nested, so that no name here holds a spectrum while the next step makes another.
        y = fourier.inverse(self.on_spectrum(fourier.spectrum(stored, self.domain[1:])), self.codomain[1:])
        return reversed_axes(y).reshape(*batch, *self.codomain)

    def _apply_between(self, x: Array, b: Array, before: float, after: float) -> Array:
        y = self.apply(x if before == 0 else add_multiple(x, before, b))
        if after == 0:
            return y
        # Nobody else holds what `apply` has returned.
        fits = may_write() and torch.broadcast_shapes(y.shape, b.shape) == y.shape
        return torch.add(y, b, alpha=after, out=y if fits else None)

    def on_signal(self, signal: Signal) -> Signal:
        """The map on signals, whose spectra it takes and gives."""
        return Signal(None, self.codomain, self.on_spectrum(signal.spectrum), signal.batch)

    def pairing(self, x: Array, w: Array) -> Array:
        return pairing(self, Signal(x, self.domain), Signal(w, self.codomain))

    def pairing_on_spectra(self, y: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """⟨op(x), v⟩, a number, for x and v with the half spectra y and w."""
        return fourier.pairing(self.on_spectrum(y), w, self.codomain[1:])


class Signal:
    """An array (*batch, channels, *grid) or its half spectrum; the other one is computed when it is asked for.

    `image`, where there is one, is an operator and its value at this signal, which came out on the way to it.
    """

    def __init__(
        self,
        array: Array | None,
        shape: Shape,
        spectrum: torch.Tensor | None = None,
        batch: Shape = (),
        image: tuple[LinearOperator, Signal] | None = None,
    ) -> None:
        self.shape, self.image = shape, image
        self.batch = batch if array is None else tuple(array.shape[: array.ndim - len(shape)])
        self._array, self._spectrum = array, spectrum

    @property
    def array(self) -> Array:
        """The array itself."""
        if self._array is None:
            self._array = reversed_axes(self._made()).reshape(*self.batch, *self.shape)
        return self._array

    def _made(self, out: torch.Tensor | None = None) -> torch.Tensor:
        """The array as it is stored, (*reversed grid, channels, batch), in `out` if that is given."""
        assert self._spectrum is not None
        return fourier.inverse(self._spectrum, self.shape[1:], out)

    @property
    def stored(self) -> torch.Tensor:
        """The array as it is stored. Shapes: (*reversed grid, channels, batch)."""
        return reversed_axes(self.array.reshape(-1, *self.shape))

    @property
    def spectrum(self) -> torch.Tensor:
        """The half spectrum of the array, batch axes as one."""
        if self._spectrum is None:
            self._spectrum = fourier.spectrum(self.stored, self.shape[1:])
        return self._spectrum

    def image_of(self, op: LinearOperator) -> Signal | None:
        """op(self), if that came out on the way."""
        if self.image is None:
            return None
        known, value = self.image
        return value if op is known else None

    def write(self, target: Array) -> None:
        """Write the array into `target`, which is stored as states are and not followed by autograd."""
        if self._array is None:
            self._made(reversed_axes(target.reshape(-1, *self.shape)))
        else:
            target.copy_(self._array)

    def minus(self, other: Signal, on_spectra: bool) -> Signal:
        """The difference, taken where `on_spectra` says; batch axes broadcast."""
        if on_spectra and self.batch == other.batch:
            return Signal(None, self.shape, self.spectrum - other.spectrum, self.batch)
        return Signal(self.array - other.array, self.shape)


def apply_to(op: LinearOperator, signal: Signal) -> Signal:
    """op(signal), without transforms between operators that act on spectra."""
    known = signal.image_of(op)
    if known is not None:
        return known
    if isinstance(op, Composed):
        return apply_to(op.left, apply_to(op.right, signal))
    if isinstance(op, FrequencyMap):
        return op.on_signal(signal)
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


def reversed_axes(x: torch.Tensor) -> torch.Tensor:
    """A view with all axes in the opposite order."""
    return x.permute(*reversed(range(x.ndim)))
