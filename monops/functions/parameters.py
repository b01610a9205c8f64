"""Parameters of functions: numbers, or arrays that broadcast against the points."""

from __future__ import annotations

import numbers
from dataclasses import Field
from typing import ClassVar

import numpy as np
import torch

from monops.arrays import Array, Shape, detach, device_of, floating, is_torch, known_true
from monops.errors import DeviceError, DTypeError, OptionError, ShapeError

# Metadata of a field for a parameter: a number, or an array that broadcasts, aligned at the right,
# against the points.
PARAMETER = {"axes": "domain"}


class Parametric:
    """A base of dataclasses that notes which of their fields are marked `PARAMETER`."""

    _parameters: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        # This runs before the dataclass decorator takes the field objects away.
        own = [k for k, v in vars(cls).items() if isinstance(v, Field) and v.metadata == PARAMETER]
        cls._parameters = (*cls._parameters, *own)


def admit_parameters(function: Parametric) -> None:
    """Make plain floats of numbers among the parameters; raise unless the arrays go together."""
    arrays: dict[str, Array] = {}
    for name in function._parameters:
        value = getattr(function, name)
        if isinstance(value, numbers.Real):
            # Unlike a NumPy scalar, a float leaves the dtype of the states alone.
            object.__setattr__(function, name, float(value))
        elif isinstance(value, torch.Tensor | np.ndarray):
            arrays[name] = floating(value)
        else:
            raise OptionError(
                f"{type(function).__name__} wants a number, a tensor or a NumPy array as {name}, got {value!r}"
            )
    if len({value.dtype for value in arrays.values()}) > 1:
        got = ", ".join(f"{name} of {value.dtype}" for name, value in arrays.items())
        raise DTypeError(f"{type(function).__name__} wants parameters of one dtype, got {got}")
    try:
        np.broadcast_shapes(*(tuple(value.shape) for value in arrays.values()))
    except ValueError:
        got = ", ".join(f"{name} of shape {tuple(a.shape)}" for name, a in arrays.items())
        raise ShapeError(f"{type(function).__name__} wants parameters that broadcast together, got {got}") from None


def require(function: Parametric, admissible: Array, wanted: str) -> None:
    """Raise unless `admissible` (a truth value, or an array of them) holds; `wanted` says what was.

    Values that cannot be read, those inside `torch.func.vmap`, are taken as they are.
    """
    refused = not admissible if isinstance(admissible, bool) else ~admissible.all()
    if known_true(refused):
        got = ", ".join(f"{name}={getattr(function, name)}" for name in function._parameters)
        raise OptionError(f"{type(function).__name__} wants {wanted}, got {got}")


def require_fit(what: str, value: Array, x: Array) -> None:
    """Raise unless the array `value` of a parameter (its name: `what`) fits the states `x`."""
    if value.dtype != x.dtype:
        raise DTypeError(f"{what} has dtype {value.dtype}, got an array of {x.dtype}")
    if is_torch(x) and value.device != x.device:
        raise DeviceError(f"{what} lives on {device_of(value)}, got an array on {x.device}")
    if not _broadcasts(tuple(value.shape), tuple(x.shape)):
        raise ShapeError(
            f"{what} has shape {tuple(value.shape)}, which does not broadcast against "
            f"an array of shape {tuple(x.shape)}"
        )


def _broadcasts(shape: Shape, onto: Shape) -> bool:
    pairs = zip(reversed(shape), reversed(onto), strict=False)
    return len(shape) <= len(onto) and all(n in (1, m) for n, m in pairs)


def require_narrow(function: Parametric, name: str, axes: int) -> None:
    """Raise unless an array of this name is one number a point: of length 1 on its last `axes` axes."""
    value = getattr(function, name)
    shape = () if isinstance(value, float) else tuple(value.shape)
    if any(n != 1 for n in shape[max(len(shape) - axes, 0) :]):
        raise ShapeError(
            f"{type(function).__name__} wants one {name} for each point, of length 1 on the last {axes} axes, "
            f"got shape {shape}"
        )


def holds(condition: Array) -> bool:
    """Whether a truth value, or each of an array of them, is known to be true."""
    return known_true(condition if isinstance(condition, bool) else condition.all())


def least(value: float | Array) -> float:
    """The smallest entry of a parameter."""
    return value if isinstance(value, float) else float(detach(value).min())


def greatest(value: float | Array) -> float:
    """The largest entry of a parameter."""
    return value if isinstance(value, float) else float(detach(value).max())
