"""What the batteries share: how a law is stated, checked and reported, and where random data comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, is_dataclass
from typing import Any

import numpy as np

from monops import tree
from monops.arrays import Array, DType, Shape, device_of, epsilon, is_torch, namespace, to_numpy
from monops.errors import MonopsError, OptionError
from monops.options import require_number, shown
from monops.testing.catalogue import Draw


class BrokenLaw(MonopsError, AssertionError):
    """A law does not hold: the message names it, the thing, the input, and the error beside its tolerance."""


@dataclass(frozen=True)
class Laws:
    """Laws about one thing.

    Args:
        what: the thing, for messages.
        draw: the source of its inputs, with their dtype and device.
        tol: the largest relative error; the dtype's ε to the power ⅔ unless given (4e-11, or 2e-5 in float32).
        seed: of the inputs, for messages.
    """

    what: str
    draw: Draw
    tol: float
    seed: int = 0

    @classmethod
    def of(cls, thing: object, seed: int, dtype: DType, device: Any, tol: float | None) -> Laws:
        """Laws about `thing`, with inputs of this dtype, and on this device, or where the tensors in `thing` are."""
        if device is None:
            device = next((leaf.device for leaf in tree.flatten(thing).leaves), "cpu")
        draw = Draw(seed, dtype=dtype, device=device)
        return cls(type(thing).__name__, draw, epsilon(draw.dtype) ** (2 / 3) if tol is None else tol, seed)

    def normal(self, *shape: int, scale: float = 1.0) -> Array:
        """Random normal numbers."""
        return self.draw.put(self.draw.array(*shape, scale=scale))

    def equal(self, law: str, got: Array, want: Array, on: str = "", *, scale: float = 0.0, slack: float = 1.0) -> None:
        """Raise unless `got` is `want`, up to `slack` tolerances relative to the larger of ‖want‖ and `scale`."""
        mine, theirs = (to_numpy(v).astype(np.float64) for v in (got, want))
        if mine.shape != theirs.shape:
            self.fail(law, on, f"got shape {mine.shape}, wanted {theirs.shape}")
        size = max(float(np.linalg.norm(theirs)), scale)
        self.at_most(law, float(np.linalg.norm(mine - theirs)) / (size or 1.0), slack * self.tol, on)

    def at_most(self, law: str, value: Any, bound: Any, on: str = "") -> None:
        """Raise unless `value` ≤ `bound`, numbers or arrays; NaN breaks the law."""
        value, bound = np.broadcast_arrays(*(np.asarray(to_numpy(v), dtype=np.float64) for v in (value, bound)))
        bad = ~(value <= bound)
        if bad.any():
            i = tuple(np.argwhere(bad)[0].tolist())
            where = f", sample {i}" if i else ""
            self.fail(law, on, f"{value[i]:.3e} > {bound[i]:.3e}{where}")

    def true(self, law: str, holds: Any, on: str = "", found: str = "") -> None:
        """Raise unless `holds`."""
        if not holds:
            self.fail(law, on, found or "it does not")

    def same_kind(self, law: str, got: Array, like: Array, shape: Shape, on: str = "") -> None:
        """Raise unless `got` has this shape, and the array library, dtype and device of `like`."""
        self.true(law, is_torch(got) == is_torch(like), on, f"got a {type(got).__name__} for a {type(like).__name__}")
        found, wanted = ((v.dtype, str(device_of(v)), tuple(s)) for v, s in ((got, got.shape), (like, shape)))
        self.true(law, found == wanted, on, f"got {found}, wanted {wanted}")

    @contextmanager
    def refused(self, law: str, error: type[MonopsError], on: str = "") -> Iterator[None]:
        """Raise unless what is inside raises `error`."""
        try:
            yield
        except error:
            return
        except Exception as other:
            self.fail(law, on, f"wanted {error.__name__}, got {type(other).__name__}: {other}")
        self.fail(law, on, f"wanted {error.__name__}, nothing was raised")

    @contextmanager
    def untouched(self, x: Array) -> Iterator[None]:
        """Raise if what is inside writes to `x`."""
        before = to_numpy(x).copy()
        yield
        changed = ~((to_numpy(x) == before) | (np.isnan(before) & np.isnan(to_numpy(x))))
        if changed.any():
            i = tuple(np.argwhere(changed)[0].tolist())
            found = f"entry {i} of an input of shape {before.shape} was {before[i]:.6g} and became {to_numpy(x)[i]:.6g}"
            self.fail("inputs are left untouched", "", found)

    @contextmanager
    def trying(self, what: str) -> Iterator[None]:
        """Say what was tried, in a note on an error that comes from the thing itself, not from a law."""
        try:
            yield
        except BrokenLaw:
            raise
        except Exception as error:
            error.add_note(f"raised by {self.what} while the battery tried: {what} [{self._inputs('')}]")
            raise

    def fail(self, law: str, on: str, found: str) -> None:
        """Raise: the law does not hold."""
        raise BrokenLaw(f"{self.what}: {law} [{self._inputs(on)}]: {found}")

    def _inputs(self, on: str) -> str:
        """What the law was tried on: enough to have the same inputs again."""
        dtype = "" if str(self.draw.dtype) in on else str(self.draw.dtype)
        return ", ".join(filter(None, [on, dtype, f"seed {self.seed}"]))


def inner(x: Array, y: Array, axes: int) -> Array:
    """⟨x, y⟩ over the last `axes` axes."""
    return (x * y).sum(tuple(range(-axes, 0))) if axes else x * y


def loop_over_batch(function: Any, x: Array) -> Array:
    """`function` on each sample of x (k, *domain) alone, stacked."""
    return namespace(x).stack([function(x[i]) for i in range(len(x))])


def holds_arrays(value: Any) -> bool:
    """Whether it is of one dtype: an array, a linear operator, or a dataclass or tuple with one in it."""
    if isinstance(value, tuple):
        return any(map(holds_arrays, value))
    return hasattr(value, "dtype") or (is_dataclass(value) and holds_arrays(tuple(vars(value).values())))


def require_a(kind: type, thing: object, example: str) -> None:
    """Raise an `OptionError` unless `thing` is an object of this class, as `example` makes one."""
    if not isinstance(thing, kind):
        raise OptionError(f"a {kind.__name__} is wanted, such as {example}, got {shown(thing)}")


def require_samples(samples: Array | None) -> None:
    """Raise an `OptionError` unless there are two samples at least, or none are given."""
    if samples is not None and not (getattr(samples, "ndim", 0) >= 1 and samples.shape[0] >= 2):
        got = tuple(samples.shape) if hasattr(samples, "shape") else shown(samples)
        raise OptionError(f"samples wants an array (k, *domain) of k ≥ 2 points, since laws are of two, got {got}")


def require_steps(steps: Any) -> None:
    """Raise an `OptionError` unless these are step sizes, at least one: with none, nothing would be checked."""
    if isinstance(steps, str) or not isinstance(steps, Sequence | np.ndarray) or not len(steps):
        raise OptionError(f"steps wants at least one step size, such as (0.1, 1.0), got {shown(steps)}")
    for step in steps:
        require_number("each of steps", step)
