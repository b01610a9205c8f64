"""What a solve is given: a method, operators on one space, and where to start."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from monops.arrays import Array, check_array, detach, device_of, epsilon, is_torch, namespace, norm
from monops.errors import DeviceError, DTypeError, MonopsError, OptionError, ShapeError
from monops.monotone import MonotoneOperator, ZeroOperator
from monops.monotone.base import common_domain, common_rank
from monops.options import require_number, shown
from monops.splitting import SplittingMethod, State
from monops.splitting.parts import summands
from monops.splitting.state import first


def problem_of(
    A: MonotoneOperator, B: MonotoneOperator | None, z0: State | None
) -> tuple[MonotoneOperator, MonotoneOperator, Array]:
    """A; B, which is zero unless given; and the point to start from, with the batch axes of both.

    Raises:
        OptionError: A or B is no monotone operator, or nothing tells the shape of a state.
        ShapeError, DTypeError, DeviceError: operators or start do not fit each other.
    """
    for name, operator in (("A", A), ("B", B)):
        if not (isinstance(operator, MonotoneOperator) or (name == "B" and operator is None)):
            is_misplaced = isinstance(operator, SplittingMethod) or hasattr(operator, "ndim")
            raise OptionError(
                f"{name} wants a MonotoneOperator such as Affine(M, b) or Subdifferential(f), got {shown(operator)}"
                + ("; the order of arguments is method, A, B, z0" if is_misplaced else "")
            )
    B = ZeroOperator(A.rank) if B is None else B
    if None not in (A.domain, B.domain) and A.domain != B.domain:
        raise ShapeError(
            f"A acts on {A.domain}, B on {B.domain}: one space wanted; a function acts on as many axes as its `axes` "
            f"says, so with states of several axes write ReLU(axes=3), say"
        )
    return A, B, _start(A, B, z0)


def tolerance(tol: float | None, z0: Array) -> float:
    """The relative tolerance: the one given, or that of the dtype of z0."""
    return epsilon(z0.dtype) ** (2 / 3) if tol is None else require_number("tol", tol)


def _start(A: MonotoneOperator, B: MonotoneOperator, z0: State | None) -> Array:
    """z0, or the point in it if it is a state, with the batch axes of the operators; zero if it is None."""
    zero = A.zero() if A.zero() is not None else B.zero()
    if z0 is None:
        if zero is None:
            raise OptionError("neither A nor B knows the shape of a state: give z0, an array to start from")
        return zero
    z0 = _floating(first(z0) if isinstance(z0, tuple) and z0 else z0)
    domain, rank = common_domain(A, B), common_rank(A, B)
    if z0.ndim < rank:
        raise ShapeError(f"z0 wants the {rank} axes of one point at least, got shape {tuple(z0.shape)}")
    kind = z0 if zero is None else zero
    if device_of(z0) != device_of(kind):
        raise DeviceError(f"the operators live on {device_of(kind)}, got a z0 on {device_of(z0)}; move it there")
    if domain is not None:
        check_array(z0, domain, kind.dtype, device_of(kind), "z0")
    if zero is None:
        return z0
    try:
        shape = np.broadcast_shapes(tuple(z0.shape), tuple(zero.shape))
    except ValueError as error:
        raise ShapeError(f"z0 of shape {tuple(z0.shape)} does not fit states {tuple(zero.shape)}") from error
    return z0.expand(shape) if is_torch(z0) else np.broadcast_to(z0, shape)


def _floating(z0: Any) -> Array:
    """z0, once it is certain that it is an array of floating-point numbers of 32 or 64 bits."""
    dtype = getattr(z0, "dtype", None)
    wanted = "z0 wants a torch tensor or a NumPy array of float32 or float64 numbers, such as torch.zeros(6)"
    if dtype is None or not hasattr(z0, "ndim"):
        raise DTypeError(f"{wanted}, or the `state` of an earlier result, got {shown(z0)}")
    if str(dtype).removeprefix("torch.") not in ("float32", "float64"):
        advice = "z0.double()" if is_torch(z0) else "z0.astype(float)"
        raise DTypeError(f"{wanted}, got one of {dtype}; convert it, by {advice}, say")
    return z0


def residual_scale(A: MonotoneOperator, B: MonotoneOperator, zero: Array, rank: int) -> Array:
    """‖A(0)‖ of each sample; where A is set-valued, the largest such size of its terms and of B.

    Of those which are set-valued it is, by Yosida, ‖A₁(0)‖ with A₁(0) = -J_A(0).
    """
    known = A.scale(zero, rank)
    if known is not None:
        return known
    scale = norm(zero, rank)
    for op in (*summands(A), B):
        term = None if op is B else op.scale(zero, rank)
        with contextlib.suppress(MonopsError, NotImplementedError):
            term = norm(detach(op.resolvent(1.0)(zero)), rank) if term is None else term
        scale = scale if term is None else namespace(zero).maximum(scale, term)
    return scale
